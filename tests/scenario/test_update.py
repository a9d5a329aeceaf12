"""UPDATE (RFC 2136): on the primary and through a standby, by nsupdate and message by message; rights by key; what outlives a primary."""

import re
import subprocess
import time

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.tsig
import dns.update
import pytest

from conftest import ZONE as ZONE_TEXT

from lib.consul import Consul
from lib.dnsq import EDE_NO_AUTHORITY, EDE_NOT_AUTHORITATIVE, EDE_PROHIBITED, Reply
from lib.lictord import Lictord, primary_of
from lib.wait import until

ZONE = "example.org"
SECRETS = {"admin.": "YWRtaW5hZG1pbmFkbWluYWRtaW5hZG1pbmFkbWluMTI=", "acme.example.": "YWNtZWFjbWVhY21lYWNtZWFjbWVhY21lYWNtZTEyMzQ=",
           "host1.example.org.": "aG9zdDFob3N0MWhvc3QxaG9zdDFob3N0MWhvc3QxMTI=", "other.": "b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyMTI=",
           "peers.": "cGVlcnNwZWVyc3BlZXJzcGVlcnNwZWVyc3BlZXJzMTI="}
KEYRING = {dns.name.from_text(name): dns.tsig.Key(name, secret, "hmac-sha256.") for name, secret in SECRETS.items()}

RIGHTS = """
  update = {"key:admin.", "key:acme.example.", "key:host1.example.org."}
  update-policy "acme.example." { names = {"_acme-challenge", "_acme-challenge.*"} types = {"TXT"} }
  update-policy "host1.example.org." { names = {"self"} types = {"A", "AAAA"} }
"""


SIGNED = """$TTL 300
@ IN SOA ns1 h 1 3600 600 604800 60
@ IN NS ns1.example.org.
@ IN DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==
"""


def keys():
    return "\n".join(f'key "{name}" {{ algorithm = "hmac-sha256" secret = "{secret}" }}' for name, secret in SECRETS.items())


def make(tmp_path, consul, zone_file, node, peer_key="peers.", rights=RIGHTS, **options):
    election = {"standby": "serve", "peer_key": peer_key, **options.pop("election", {})}
    signed = tmp_path / "signed.test.zone"
    signed.write_text(SIGNED)
    extra = (f'{keys()}\nzone "{ZONE}" {{ file = "{zone_file}" {rights} }}\nzone "signed.test" {{ file = "{signed}" update = {{"key:admin."}} }}\n'
             f'query-log {{ sample = "100%" rate = 10000 file = "{tmp_path}/{node}.queries" }}\n')
    return Lictord(tmp_path, consul, node=node, election=election, services={}, extra=extra, wait=False, **options)


def pair(tmp_path, consul, zone_file, **options):
    daemons = [make(tmp_path, consul, zone_file, node, **options) for node in ("ns1", "ns2")]
    for daemon in daemons:
        daemon.wait_ready()
    primary, (standby,) = primary_of(daemons)
    return primary, standby


@pytest.fixture(scope="module")
def daemons(tmp_path_factory):
    """The last test of the module kills one of them and starts it again."""
    base = tmp_path_factory.mktemp("update")
    zone_file = base / "zone"
    zone_file.write_text(ZONE_TEXT)
    return pair(base, Consul(base), zone_file)


@pytest.fixture
def two(daemons):
    """(primary, standby), as they are now."""
    primary, (standby,) = primary_of(daemons)
    return primary, standby


def changes(key="admin.", zone=ZONE, edns=True):
    message = dns.update.Update(zone, keyring=KEYRING if key else None, keyname=key or None, keyalgorithm="hmac-sha256." if key else None)
    if edns:
        message.use_edns(0, payload=1232)
    return message


def send(daemon, message, tcp=False, timeout=10):
    query = dns.query.tcp if tcp else dns.query.udp
    start = time.monotonic()
    return Reply(query(message, daemon.host, timeout=timeout, port=daemon.port), time.monotonic() - start)


def adding(name, address, key="admin.", **options):
    message = changes(key, **options)
    message.add(name, 60, "A", address)
    return message


def soa(daemon):
    return int(daemon.ask(ZONE, "SOA").records("SOA")[0].split()[2])


def refusal(reply):
    return reply if reply.rcode != "NOERROR" else None


def nsupdate(daemon, lines, key="admin.", tcp=False):
    text = f"server {daemon.host} {daemon.port}\nzone {ZONE}\n{lines}\nsend\nanswer\n"
    words = ["nsupdate", "-t", "10", "-y", f"hmac-sha256:{key}:{SECRETS[key]}"] + (["-v"] if tcp else [])
    done = subprocess.run(words, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    status = re.search(r"status: (\w+)", done.stdout)
    return status.group(1) if status else done.stdout


def test_nsupdate_on_every_instance(two):
    primary, standby = two
    serial = soa(primary)
    for number, (daemon, tcp) in enumerate(((primary, False), (primary, True), (standby, False), (standby, True))):
        assert nsupdate(daemon, f"update add n{number}.{ZONE} 60 A 192.0.2.{number}", tcp=tcp) == "NOERROR"
        assert primary.addresses(f"n{number}.{ZONE}") == [f"192.0.2.{number}"], "acknowledged is answered"
    assert soa(primary) == serial + 4, "one serial a change"
    standby.wait_addresses(f"n3.{ZONE}", ["192.0.2.3"])

    # Prerequisites, and that nothing of a refused message remains.
    assert nsupdate(standby, f"prereq nxdomain n0.{ZONE}\nupdate add n9.{ZONE} 60 A 192.0.2.9") == "YXDOMAIN"
    assert nsupdate(primary, f"prereq yxrrset n0.{ZONE} AAAA\nupdate add n9.{ZONE} 60 A 192.0.2.9") == "NXRRSET"
    assert nsupdate(primary, f"prereq yxdomain n9.{ZONE}\nupdate add n9.{ZONE} 60 A 192.0.2.9") == "NXDOMAIN"
    assert nsupdate(standby, f"prereq nxrrset n0.{ZONE} A\nupdate add n9.{ZONE} 60 A 192.0.2.9") == "YXRRSET"
    assert nsupdate(standby, f"prereq yxrrset n0.{ZONE} A 192.0.2.0\nupdate delete n0.{ZONE} A") == "NOERROR"
    assert nsupdate(primary, f"update delete {ZONE} NS\nupdate delete {ZONE} SOA\nupdate delete nothing.{ZONE}") == "NOERROR"
    assert soa(primary) == serial + 5 and primary.ask(f"n9.{ZONE}").rcode == "NXDOMAIN" and primary.ask(ZONE, "NS").records("NS")

    # What certificate clients do (RFC 8555 section 8.4), on a standby.
    assert nsupdate(standby, f"update delete _acme-challenge.www.{ZONE} TXT\nupdate add _acme-challenge.www.{ZONE} 60 TXT token",
                    key="acme.example.") == "NOERROR"
    assert primary.ask(f"_acme-challenge.www.{ZONE}", "TXT").texts() == ["token"]
    metrics = standby.metrics()
    # A frozen zone refuses, on every instance, and says so.
    primary.command("zone", "freeze", ZONE, "audit", check=True)
    reply = until(lambda: refusal(send(standby, adding("frozen", "192.0.2.1"))))
    assert reply.rcode == "REFUSED" and reply.ede_codes() == [EDE_PROHIBITED] and "frozen" in reply.ede()[0][1], reply
    primary.command("zone", "thaw", ZONE, check=True)
    until(lambda: send(standby, adding("frozen", "192.0.2.1")).rcode == "NOERROR")  # the primary sees the thaw a moment later
    # The history has who it was.
    history = primary.command("zone", "history", ZONE, check=True).stdout
    assert "acme.example." in history and "127.0.0.1" in history, history
    assert metrics.total("lictor_updates_forwarded_total") >= 5 and metrics.total("lictor_updates_total", rcode="YXDOMAIN") == 1
    assert primary.metrics().total("lictor_updates_total", rcode="NOERROR") >= 6 and metrics["lictor_updates_waiting"] == 0


def test_rights(two):
    primary, standby = two
    serial = soa(primary)

    def refused(message, rcode="REFUSED", ede=EDE_PROHIBITED, says=""):
        for daemon in (primary, standby):
            reply = send(daemon, message)
            assert reply.rcode == rcode, reply
            if ede is not None:
                assert reply.ede_codes() == [ede] and says in reply.ede()[0][1], reply

    refused(adding("x", "192.0.2.1", key=None), says="not signed")
    refused(adding("x", "192.0.2.1", key="other."), says="your key")
    refused(adding("x", "192.0.2.1", key="acme.example."), says="not among the `names`")
    refused(adding("_acme-challenge", "192.0.2.1", key="acme.example."), says="not among the `types`")
    whole = changes("acme.example.")
    whole.delete("_acme-challenge")
    refused(whole, says="cannot be removed as a whole")
    refused(adding("host2", "192.0.2.1", key="host1.example.org."), says="not among the `names`")
    signing = changes()
    signing.add("x", 60, "DNSKEY", "256 3 13 aaaa")
    refused(signing, says="comes with signing")
    refused(adding("x", "192.0.2.1", zone=f"below.{ZONE}"), "NOTAUTH", EDE_NOT_AUTHORITATIVE)
    refused(adding("x", "192.0.2.1", zone="consul"), says="come from Consul")
    refused(adding("x", "192.0.2.1", zone="signed.test"), says="is signed")
    refused(adding("x.example.com.", "192.0.2.1"), "NOTZONE", 0, "not in the zone")
    assert soa(primary) == serial

    for name, type, data, key in (("_acme-challenge", "TXT", "t", "acme.example."), ("_acme-challenge.a.b", "TXT", "t", "acme.example."),
                                  ("host1", "A", "192.0.2.1", "host1.example.org."), ("any", "SRV", "0 0 1 ns1", "admin.")):
        message = changes(key)
        message.add(name, 60, type, data)
        assert send(standby, message).rcode == "NOERROR"
    assert soa(primary) == serial + 4

    # A signature that is wrong: NOTAUTH, unsigned, from both.
    wrong = dns.update.Update(ZONE, keyring={dns.name.from_text("admin."): dns.tsig.Key("admin.", SECRETS["other."], "hmac-sha256.")},
                              keyalgorithm="hmac-sha256.")
    wrong.add("x", 60, "A", "192.0.2.1")
    for daemon in (primary, standby):
        with pytest.raises((dns.tsig.PeerBadSignature, dns.tsig.PeerBadKey)):
            send(daemon, wrong)
    # No rights may be had by a message that pretends to come from another instance.
    forged = dns.update.Update("default.update.lictor", keyring=KEYRING, keyname="other.", keyalgorithm="hmac-sha256.")
    with pytest.raises(dns.tsig.PeerBadKey):
        send(primary, forged)
    unsigned = dns.update.Update("default.update.lictor")
    assert send(primary, unsigned).rcode == "REFUSED"
    assert soa(primary) == serial + 4


def test_a_message_that_comes_again_is_not_applied_again(two):
    primary, standby = two
    message = changes()
    message.absent("once")
    message.add("once", 60, "A", "192.0.2.1")
    wire = message.to_wire()
    import socket
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        for daemon in (primary, primary, standby, standby):  # within the time of a signature, wherever
            client.sendto(wire, daemon.dns)
        codes = [dns.message.from_wire(client.recv(4096), keyring=KEYRING, request_mac=message.mac).rcode() for _ in range(4)]
    assert codes == [dns.rcode.NOERROR] * 4, "the second would be YXDOMAIN"
    removing = changes()
    removing.delete("once")
    assert send(primary, removing).rcode == "NOERROR"
    serial = soa(primary)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(wire, primary.dns)
        client.recv(4096)
    assert soa(primary) == serial and primary.ask(f"once.{ZONE}").rcode == "NXDOMAIN", "a replay brings nothing back"
    assert primary.metrics().total("lictor_updates_repeated_total") >= 4


def test_many_at_once_share_commits(two):
    primary, standby = two
    before, serial = primary.metrics(), soa(primary)
    import socket
    with socket.create_connection(standby.dns) as one, socket.create_connection(primary.dns) as other:
        for number in range(300):
            wire = adding(f"m{number}", f"10.0.{number // 250}.{number % 250}").to_wire()
            (one if number % 2 else other).sendall(len(wire).to_bytes(2, "big") + wire)
        for connection, count in ((one, 150), (other, 150)):
            connection.settimeout(20)
            stream = connection.makefile("rb")
            for _ in range(count):
                reply = stream.read(int.from_bytes(stream.read(2), "big"))
                assert reply[3] & 15 == 0
    for number in range(300):
        assert primary.addresses(f"m{number}.{ZONE}") == [f"10.0.{number // 250}.{number % 250}"]
    assert primary.metrics().total("lictor_updates_total", rcode="NOERROR") - before.total("lictor_updates_total", rcode="NOERROR") == 300
    assert soa(primary) < serial + 300, "commits were shared"


def test_a_mirror_that_is_behind_goes_on_entry_by_entry(two):
    """Were it to read the zone anew, it would never catch up while changes go on."""
    primary, standby = two
    before = standby.metrics().total("lictor_store_bases_read_total")
    standby.pause()
    try:
        for number in range(60):
            assert send(primary, adding(f"behind{number}", "192.0.2.1")).rcode == "NOERROR"
    finally:
        standby.resume()
    until(lambda: standby.addresses(f"behind59.{ZONE}") == ["192.0.2.1"])
    assert standby.metrics().total("lictor_store_bases_read_total") == before


def test_the_query_log(two):
    for daemon in two:
        send(daemon, adding("x.example.com.", "192.0.2.1"))
        lines = daemon.dir.parent / f"{daemon.node}.queries"
        until(lambda: re.search(r"transport=udp name=example\.org\. type=SOA rcode=NOTZONE .* reason=\"an UPDATE", lines.read_text()),
              what=lambda: lines.read_text()[-2000:])


def test_what_was_acknowledged_outlives_the_primary(two, tmp_path):
    primary, standby = two
    acknowledged, serials = [], [soa(standby)]
    for number in range(12):
        message = adding(f"k{number}", f"192.0.2.{number}")
        if send(standby if number % 2 else primary, message).rcode == "NOERROR":
            acknowledged.append(number)
    assert len(acknowledged) == 12
    primary.kill()

    # Until somebody else is primary the answer is SERVFAIL, with the reason, and never FORMERR.
    reply = send(standby, adding("k12", "192.0.2.12"))
    assert reply.rcode == "SERVFAIL" and reply.ede_codes() == [EDE_NO_AUTHORITY], reply
    until(standby.is_primary, timeout=30)
    for number in acknowledged:
        assert standby.addresses(f"k{number}.{ZONE}") == [f"192.0.2.{number}"], number
    assert soa(standby) >= serials[0] + 12
    until(lambda: send(standby, adding("k13", "192.0.2.13")).rcode == "NOERROR")
    primary.start()
    until(lambda: primary.addresses(f"k13.{ZONE}") == ["192.0.2.13"] and soa(primary) == soa(standby))
    assert send(primary, adding("k14", "192.0.2.14")).rcode == "NOERROR" and standby.addresses(f"k14.{ZONE}") == ["192.0.2.14"]


def test_without_a_primary_a_key_or_a_store(consul, tmp_path, zone_file):
    primary, standby = pair(tmp_path, consul, zone_file, peer_key=None)
    reply = send(standby, adding("x", "192.0.2.1"))
    assert reply.rcode == "SERVFAIL" and reply.ede_codes() == [EDE_NO_AUTHORITY] and primary.node in reply.ede()[0][1], reply
    assert send(primary, adding("x", "192.0.2.1")).rcode == "NOERROR"
    consul.pause()  # nothing is said to be done that Consul has not
    reply = send(primary, adding("y", "192.0.2.1"), timeout=15)
    assert reply.rcode == "SERVFAIL" and reply.ede(), reply
    consul.resume()
    alone = Lictord(tmp_path, None, node="ns3", zones={ZONE: zone_file}, extra=keys())
    reply = send(alone, adding("x", "192.0.2.1"))
    assert reply.rcode == "REFUSED" and "`store`" in reply.ede()[0][1], reply
    assert send(alone, adding("x", "192.0.2.1", edns=False)).rcode == "REFUSED"
