"""Failsafe: with Consul away the primary holds on while every other member consents, and not a moment longer.

`strict` makes it visible: who holds answers for the zone, and nobody else does.
"""

import base64
import time

import dns.message
import dns.query
import dns.rcode
import dns.tsig
import pytest

from lib.consul import Consul
from lib.lictord import Lictord, primary_of
from lib.proxy import Proxy
from lib.wait import stays, until

LEASE = 2.0
SLACK = 1.5
SECRET = base64.b64encode(b"a secret of the three instances!").decode()
OTHER = base64.b64encode(b"a secret of somebody else's, not").decode()
ZONE_NAME = "www.example.org"
NAMES = ("ns1", "ns2", "ns3")


def key_block(secret):
    return f'key "peers.example." {{ algorithm = "hmac-sha256" secret = "{secret}" }}'


def failsafe(daemon):
    return daemon.role_status()["failsafe"]


def holding(daemon):
    return failsafe(daemon)["holding"]


def answers(daemon):
    try:
        return daemon.addresses(ZONE_NAME, timeout=0.3) == ["192.0.2.80"]
    except OSError:
        return False


@pytest.fixture
def trio(tmp_path, zone_file):
    """start(urls, secrets, failsafe) -> (primary, others): a strict trio whose members all answer the primary's rehearsal."""
    def start(consul, urls=(), secrets=(SECRET,) * 3, settled=True, names=NAMES):
        daemons = []
        for i, node in enumerate(names):
            daemons.append(Lictord(tmp_path, consul, node=node, services={}, zones={"example.org": zone_file}, wait=False,
                                   election={"standby": "strict", "peer-key": "peers.example.", "failsafe": True},
                                   consul_settings={"address": urls[i]} if urls else {}, extra=key_block(secrets[i])))
        for daemon in daemons:
            daemon.wait_ready()
        primary, others = primary_of(daemons)
        if settled:
            until(lambda: [m["answer"] for m in failsafe(primary)["members"]] == ["reaches Consul itself"] * (len(names) - 1),
                  timeout=25, what=lambda: f"a rehearsal with everybody: {failsafe(primary)}")
        return primary, others
    return start


@pytest.fixture
def servers(tmp_path):
    """Three servers; the daemons use the first one's agent. Without a leader it keeps given-up requests for 7 s, so that three
    daemons on one host would reach its limit of connections."""
    found = []
    for number in (1, 2, 3):
        found.append(Consul(tmp_path, node=f"node{number}", expect=3, join=found, config={"limits": {"http_max_conns_per_client": 5000}}))
    for server in found:
        server.wait_leader()
    yield found
    for server in found:
        server.kill()  # the last of three would wait for a leader before it ends


def test_holds_through_an_outage_and_resumes_in_the_same_epoch(servers, trio):
    primary, others = trio(servers[0])
    epoch = primary.epoch()
    named = servers[0].kv("lictor/default/leader")["failsafe"]
    assert len(named) == 3
    for server in servers[1:]:
        server.kill()
    until(lambda: not primary.is_primary(), timeout=10, what="the lease runs out")
    until(lambda: holding(primary), timeout=1, what=lambda: f"consent: {failsafe(primary)}")
    stays(lambda: holding(primary) and answers(primary) and not any(answers(d) or d.is_primary() for d in others),
          3 * LEASE, what="held by consent, by nobody else")
    assert not primary.is_primary(), "commits go by the lease alone"
    assert primary.logged(r"Consul is away: holding by consent of (ns\d, ns\d) until ")
    assert all(d.logged(f"consenting that {primary.node} holds on in epoch {epoch}") for d in others)
    assert [m["consents"] for m in failsafe(primary)["members"]] == [True, True]
    assert failsafe(others[0])["promised_to"] == primary.node
    metrics = primary.metrics()
    assert metrics.total("lictor_failsafe_holding") == 1 and metrics.total("lictor_failsafe_rounds_total", result="whole") > 5
    assert others[0].metrics().total("lictor_failsafe_answers_total", answer="yes") > 5
    assert "holding by consent" in primary.command("status", check=True).stdout
    for server in servers[1:]:
        server.start()
    until(primary.is_primary, timeout=60, what="Consul confirms again")
    if primary.logged("the session is lost"):  # its agent was too busy to take a beat in time, and told Consul so: a new reign, as after any loss
        assert primary.epoch() > epoch
        return
    assert primary.epoch() == epoch
    assert not holding(primary) and primary.logged(f"Consul is back and confirms epoch {epoch}")
    assert not any(d.is_primary() for d in others)


def test_consul_killed_and_one_standby_killed(web, trio):
    primary, others = trio(web)
    web.kill()
    until(lambda: not primary.is_primary() and holding(primary), timeout=10)
    stays(lambda: holding(primary) and answers(primary), 2 * LEASE)
    since = time.monotonic()
    others[1].kill()
    until(lambda: not answers(primary), timeout=10, every=0.01, what="silence ends it")
    took = time.monotonic() - since
    print(f"holding ended {took:.3f} s after a member was killed (lease {LEASE} s)")
    assert LEASE / 2 - 0.2 < took < LEASE + 0.5
    primary.wait_logged(f"failsafe ended: {others[1].node} did not answer")
    assert not holding(primary) and not answers(others[0])
    # Back again: the restarted one has never seen who holds the lock, and consents to nobody.
    others[1].start(wait=False)
    until(lambda: "has not seen who holds the lock" in str(failsafe(primary)), timeout=20, what=lambda: failsafe(primary))
    stays(lambda: not answers(primary), 1)
    web.restart()
    primary_of([primary, *others], timeout=60)


def test_a_member_that_reaches_consul_says_no_and_takes_over(web, trio):
    proxies = {name: Proxy(web) for name in NAMES}
    primary, others = trio(web, [proxies[name].url for name in NAMES])
    proxies[primary.node].mode = proxies[others[0].node].mode = "cut"
    until(others[1].is_primary, timeout=15, what="who reaches Consul takes over")
    assert not primary.is_primary() and not holding(primary) and not answers(primary)
    assert primary.logged(f"nothing is held: {others[1].node} (saw the lock free|holds the lock|reaches Consul|saw another)")
    assert not primary.logged("holding by consent")
    stays(lambda: answers(others[1]) and not answers(primary) and not answers(others[0]), LEASE)


def test_who_was_not_named_does_not_stand(web, trio, tmp_path, zone_file):
    """A fourth one comes up on Consul's side of the cut, while the primary holds by consent on the other."""
    proxies = {name: Proxy(web) for name in NAMES}
    primary, others = trio(web, [proxies[name].url for name in NAMES])
    for proxy in proxies.values():
        proxy.mode = "cut"
    until(lambda: not primary.is_primary() and holding(primary), timeout=10)
    fourth = Lictord(tmp_path, web, node="ns4", services={}, zones={"example.org": zone_file}, election={"standby": "strict"}, wait=False)
    until(lambda: "do not include this instance" in fourth.role_status()["reason"], timeout=20, what=lambda: fourth.role_status())
    stays(lambda: holding(primary) and not fourth.is_primary() and not answers(fourth), 3 * LEASE)
    # One that was named comes back to Consul: it consents no more, takes over, and ends the bar.
    proxies[others[0].node].mode = "pass"
    until(others[0].is_primary, timeout=20)
    assert not holding(primary) and not answers(primary)
    until(lambda: fourth.role_status()["ready"], timeout=10)


def test_another_key_is_no_consent(web, trio):
    primary, others = trio(web, secrets=(SECRET, SECRET, OTHER), settled=False)
    daemons = [primary, *others]
    stranger = next(d for d in daemons if d.node == "ns3")
    if primary is stranger:
        faulty = [f"{d.node} did not sign with our key: without it nothing will be held" for d in others]
    else:
        faulty = ["ns3 did not sign with our key: without it nothing will be held"]
    for line in faulty:
        primary.wait_logged(line, timeout=30)
    primary.wait_logged(r"BADSIG: the secrets differ")
    web.kill()
    until(lambda: not primary.is_primary(), timeout=10)
    stays(lambda: not holding(primary) and not answers(primary), 2 * LEASE)
    assert primary.metrics().total("lictor_failsafe_bad_signatures_total") > 0


def test_alone_there_is_nobody_to_consent(web, trio):
    primary, _ = trio(web, names=("ns1",))
    assert "failsafe" not in web.kv("lictor/default/leader")
    web.kill()
    until(lambda: not primary.is_primary(), timeout=10)
    stays(lambda: not holding(primary) and not answers(primary), LEASE)


def consent_query(instance="11111111-2222-3333-4444-555555555555", cluster_name="default"):
    return dns.message.make_query(f"consent.0123456789abcdef.7.2000.{instance}.{cluster_name}.lictor.", "TXT", flags=0)


def test_the_message_on_the_wire(web, trio):
    """dnspython as a peer: signed, unsigned, wrongly signed."""
    primary, others = trio(web, settled=False)
    target = others[0]

    def send(query):
        return dns.query.udp(query, "127.0.0.1", port=target.port, timeout=3)

    key = dns.tsig.Key("peers.example.", SECRET, "hmac-sha256")
    query = consent_query()
    query.use_tsig(key)
    reply = send(query)  # dnspython checks the answer's MAC
    assert reply.had_tsig and reply.rcode() == dns.rcode.NOERROR
    assert [s.decode() for s in reply.answer[0][0].strings] == ["no-reaches-consul", target.node]
    for wrong, why in ((dns.tsig.Key("peers.example.", OTHER, "hmac-sha256"), dns.tsig.PeerBadSignature),
                       (dns.tsig.Key("other.example.", SECRET, "hmac-sha256"), dns.tsig.PeerBadKey),
                       (dns.tsig.Key("peers.example.", SECRET, "hmac-sha512"), dns.tsig.PeerBadKey)):
        query = consent_query()
        query.use_tsig(wrong)
        with pytest.raises(why):
            send(query)
    assert send(consent_query()).rcode() in (dns.rcode.REFUSED, dns.rcode.NXDOMAIN), "unsigned: an ordinary query"
    query = consent_query(cluster_name="another")
    query.use_tsig(key)
    assert send(query).answer[0][0].strings[0] == b"no-stranger"
    assert target.metrics().total("lictor_peer_messages_total") >= 5
    assert target.addresses("web.service.consul")
