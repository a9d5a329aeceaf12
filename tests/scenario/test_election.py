"""A pair on one Consul: who may act, who may answer, and how long it takes when the primary goes.

Each scenario runs a Referee, which asks both all the time and fails the test if two could act at once.
"""

import threading
import time
from pathlib import Path

import pytest

from lib.dnsq import EDE_NOT_AUTHORITATIVE, ask
from lib.lictord import Lictord, primary_of
from lib.proxy import Proxy
from lib.wait import stays, until

one_consul = True

LEASE = 2.0
SLACK = 1.5  # for two cores under sanitizers; the numbers themselves are printed
ANSWER_BOUND = 2.5
ACT_BOUND = LEASE + 1.0 + SLACK
ZONE_NAME = "www.example.org"


class Referee:
    """Finds two holders of the right to act: A says "primary" before and after B says it, in the same epoch of A."""

    def __init__(self, *daemons):
        self.daemons = daemons
        self.found = None
        self.rounds = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @staticmethod
    def _claim(daemon):
        try:
            status = daemon.role_status()
            return status["epoch"] if status["may_act"] else None
        except (OSError, AssertionError, KeyError, ValueError):
            return None  # dead, stopped or starting: it claims nothing

    def _watch(self):
        a, b = self.daemons
        while not self._stop.is_set():
            first, other, again = self._claim(a), self._claim(b), self._claim(a)
            self.rounds += 1
            if first is not None and other is not None and first == again:
                self.found = f"{a.node} in epoch {first} and {b.node} in epoch {other} at once"
            time.sleep(0.02)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *failed):
        if not failed[0]:
            until(lambda: self.rounds > 1, timeout=20, what="the referee has looked")
        self._stop.set()
        self._thread.join(30)
        assert self.found is None, f"two primaries: {self.found}"


def answers(daemon):
    try:
        return daemon.addresses(ZONE_NAME, timeout=0.3) == ["192.0.2.80"]
    except OSError:
        return False


def refused(daemon):
    reply = daemon.ask(ZONE_NAME)
    return reply if reply.rcode == "REFUSED" else None


def takeover(standby, since, what):
    """Times until the standby answers for the zone and until it may act; prints and bounds both."""
    until(lambda: answers(standby), timeout=15, every=0.005, what=f"{standby.node} answers for the zone")
    answered = time.monotonic() - since
    until(standby.is_primary, timeout=15, every=0.01, what=f"{standby.node} acts")
    acting = time.monotonic() - since
    print(f"{what}: the standby answered after {answered:.3f} s and acted after {acting:.3f} s (lease {LEASE} s)")
    assert answered < ANSWER_BOUND and acting < ACT_BOUND
    return answered, acting


def session_members(pid):
    """Processes of the session that `pid` led: its runner, and what that started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[3] == str(pid) and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def test_standby_refuses_and_names_the_primary(pair):
    primary, standby = pair()
    reply = until(lambda: refused(standby))
    (code, text), = reply.ede()
    assert code == EDE_NOT_AUTHORITATIVE and primary.node in text
    assert answers(primary)
    assert primary.addresses("web.service.consul") == standby.addresses("web.service.consul"), "`consul.` is answered by everyone"
    for daemon in (primary, standby):
        assert any(primary.node in text for text in daemon.ask("leader.lictor", "TXT").texts())
        members = daemon.ask("members.lictor", "TXT").texts()
        assert any("ns1" in text for text in members) and any("ns2" in text for text in members)
    until(lambda: standby.metrics().total("lictor_refused_total", reason="not_primary") >= 1, timeout=3)


def test_ns_names_of_both_members_resolve(pair):
    primary, standby = pair()
    until(lambda: len(primary.ask("consul", "NS").records("NS")) == 2)
    for target in primary.ask("consul", "NS").records("NS"):
        assert primary.ask(target).addresses() == ["127.0.0.1"]


def test_kill(pair):
    primary, standby = pair()
    epoch = primary.epoch()
    consul = primary.consul
    with Referee(primary, standby):
        pid = primary.process.pid
        primary.kill()
        since = time.monotonic()
        takeover(standby, since, "SIGKILL")
        until(lambda: not session_members(pid), timeout=5, what="the runner ends with its daemon")
        assert standby.epoch() > epoch
        # Every service of the same node stays resolvable: our check is that of our own service instance alone.
        assert standby.addresses("db.service.consul") == ["10.0.1.1"]
        primary.start()
        until(lambda: refused(primary), what="the old primary comes back as a standby")
        stays(standby.is_primary, 1.5, what="and does not take the role back")
    key = consul.kv("lictor/default/leader")
    assert key["node"] == standby.node and key["epoch"] == standby.epoch()


def test_other_service_on_the_node_stays_through_a_kill(pair):
    primary, standby = pair()
    consuls_own = ("127.0.0.1", primary.consul.ports["dns"])
    primary.kill()
    stays(lambda: ask(consuls_own, "db.service.consul").addresses() == ["10.0.1.1"] and
          standby.addresses("db.service.consul") == ["10.0.1.1"], 4, what="db.service.consul on the node of the killed primary")


def test_pause_and_resume(pair):
    """The old primary wakes up after its lease: it must know at once that it may not act, asking nobody."""
    primary, standby = pair()
    with Referee(primary, standby):
        primary.pause()
        since = time.monotonic()
        takeover(standby, since, "SIGSTOP")
        primary.resume()
        assert not primary.is_primary()
        until(lambda: refused(primary), what="the resumed one is a standby")
        stays(lambda: not primary.is_primary() and standby.is_primary(), 2)
    assert primary.process.alive and primary.logged("(?i)demoted")


def test_short_pause_costs_nothing_but_may_move_the_role(pair):
    primary, standby = pair()
    with Referee(primary, standby):
        primary.pause()
        time.sleep(0.2)  # shorter than the check's 500 ms
        primary.resume()
        until(lambda: answers(primary) or answers(standby))
        primary_of([primary, standby])


def test_clean_stop_hands_over(pair):
    primary, standby = pair()
    epoch = primary.epoch()
    with Referee(primary, standby):
        since = time.monotonic()
        primary.process.signal(15)
        takeover(standby, since, "SIGTERM")
        took = time.monotonic() - since
        assert primary.process.wait(15) == 0
        assert took < LEASE, "the clean marker spares the wait-out"
        assert standby.epoch() > epoch
    consul = primary.consul
    ids = [service["ServiceID"] for service in consul.get("/v1/catalog/service/lictor")]
    assert len(ids) == 1, "it deregistered its own instance"


def test_last_one_stops_and_starts_again(pair):
    primary, standby = pair()
    standby.stop()
    primary.stop()
    assert primary.consul.get("/v1/session/list") == [], "no session is left behind"
    primary.start()
    until(primary.is_primary, timeout=15)
    assert answers(primary)


def test_handover_command(pair):
    primary, standby = pair()
    until(lambda: refused(standby))
    with Referee(primary, standby):
        since = time.monotonic()
        done = primary.command("handover", standby.node, check=True)
        until(standby.is_primary, timeout=10, every=0.005)
        print(f"handover took {time.monotonic() - since:.3f} s: {done.stdout.strip()}")
        assert time.monotonic() - since < LEASE
        until(lambda: answers(standby) and refused(primary))
        # And back, asked of the instance that is not the primary.
        done = primary.command("handover", primary.node)
        assert done.returncode == 0, done.stderr
        until(primary.is_primary, timeout=10)
    assert primary.command("handover", "nosuch").returncode != 0
    assert primary.is_primary()


def test_consul_outage(pair):
    """No acting past the lease, but the zone goes on from both; the role comes back in order."""
    primary, standby = pair()
    until(lambda: refused(standby))
    with Referee(primary, standby):
        primary.consul.kill()
        since = time.monotonic()
        until(lambda: not primary.is_primary(), timeout=15, every=0.01)
        print(f"Consul lost: acting ended after {time.monotonic() - since:.3f} s")
        assert time.monotonic() - since < LEASE + SLACK
        assert answers(primary)
        until(lambda: answers(standby), timeout=10, what="nobody can be asked: the standby answers from its mirror")
        primary.consul.restart()
        primary_of([primary, standby], timeout=40)


def test_strict(pair):
    primary, standby = pair(election={"standby": "strict"})
    assert answers(primary)
    assert EDE_NOT_AUTHORITATIVE in until(lambda: refused(standby)).ede_codes()
    primary.consul.kill()
    until(lambda: refused(primary) and refused(standby), timeout=15, what="nobody answers past the lease")
    assert primary.addresses("web.service.consul"), "but `consul.` does"


def test_serve(pair):
    primary, standby = pair(election={"standby": "serve"})
    assert answers(primary) and answers(standby)
    primary.kill()
    stays(lambda: answers(standby), 3)


def test_never_a_candidate(web, tmp_path, zone_file):
    daemon = Lictord(tmp_path, web, services={}, election={"candidate": False},
                     zones={"example.org": {"file": str(zone_file), "store": "file"}})  # nobody would import it
    stays(lambda: not daemon.is_primary(), 5)
    assert answers(daemon), "no primary is known: answering does no harm"


def test_second_daemon_of_the_same_name_refuses(pair, tmp_path):
    primary, standby = pair()
    twin = Lictord(tmp_path / "twin", primary.consul, node=primary.node, services={}, election={}, wait=False)
    assert twin.process.wait(20) not in (0, None)
    assert twin.logged(f"(?i){primary.node}")
    stays(lambda: answers(primary) and primary.is_primary(), 1)


def test_second_daemon_in_the_same_state_dir_refuses(web, tmp_path):
    first = Lictord(tmp_path, web, services={})
    second = Lictord(tmp_path, web, node="other", services={}, wait=False, state_dir=str(first.dir / "state"))
    assert second.process.wait(20) not in (0, None)
    assert second.logged(r"state")
    assert first.addresses("web.service.consul")


def test_a_service_named_like_ours_is_no_vote(pair):
    """Critical checks of other services on the node take nothing from the lock."""
    primary, standby = pair()
    primary.consul.set_check("db", "critical")
    stays(primary.is_primary, 2)


def test_lost_session_is_seen(pair):
    """An operator destroys the session: the role moves or returns, never doubles."""
    primary, standby = pair()
    epoch = primary.epoch()
    with Referee(primary, standby):
        entry, = primary.consul.get("/v1/kv/lictor/default/leader")
        primary.consul.put(f"/v1/session/destroy/{entry['Session']}")
        until(lambda: any(d.is_primary() and d.epoch() > epoch for d in (primary, standby)), timeout=15)


def test_a_renewal_that_knows_no_session_is_looked_into(web, tmp_path, zone_file):
    """A leader that has just begun answers 404 before it has applied its log. Believing it would leave the lock to a session
    that lives on with nobody behind it."""
    forget = []

    def reply(path):
        if forget and path.startswith("/v1/session/renew/"):
            return forget.pop()
    proxy = Proxy(web, reply=reply)
    daemon = Lictord(tmp_path, web, election={}, zones={"example.org": zone_file}, consul_settings={"address": proxy.url})
    until(daemon.is_primary)
    epoch, session = daemon.epoch(), daemon.role_status()["session"]
    forget.append((404, b"Session id not found"))
    until(lambda: not forget, timeout=10)
    stays(lambda: daemon.is_primary() and daemon.epoch() == epoch and daemon.role_status()["session"] == session, 3)
    proxy.close()


def test_deleted_key_is_seen(pair):
    primary, standby = pair()
    epoch = primary.epoch()
    with Referee(primary, standby):
        primary.consul.delete("/v1/kv/lictor/default/leader")
        until(lambda: any(d.is_primary() and d.epoch() > epoch for d in (primary, standby)), timeout=20)


@pytest.mark.parametrize("garbage", [b"not json", b"{}", b'{"node": 7}', b"[" * 5000])
def test_unreadable_key(web, tmp_path, zone_file, garbage):
    """Someone else's octets in the key: the value is waited out and replaced, not trusted."""
    web.put("/v1/kv/lictor/default/leader", garbage)
    daemon = Lictord(tmp_path, web, election={}, zones={"example.org": zone_file})
    until(daemon.is_primary, timeout=20)
    assert web.kv("lictor/default/leader")["node"] == "ns1"
