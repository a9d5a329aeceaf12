"""What an operator does on purpose: resign, pause, resume. Each may be asked of any instance."""

import json
import time

import pytest

from lib.consul import ConsulError
from lib.lictord import Lictord, primary_of
from lib.wait import stays, until
from test_election import Referee, answers, refused

LEASE = 2.0
one_consul = True


def why(daemon):
    return "\n".join(entry["what"] for entry in json.loads(daemon.command("why", "--json", check=True).stdout)["history"])


def paused(daemon):
    return daemon.role_status()["paused"]


def requests_left(consul):
    try:
        return consul.get("/v1/kv/lictor/default/requests/?keys")
    except ConsulError:
        return []


@pytest.mark.parametrize("asked", ["primary", "standby"])
def test_resign_gives_the_role_to_a_ready_standby(pair, asked):
    primary, standby = pair()
    with Referee(primary, standby):
        stays(primary.is_primary, LEASE / 4)  # the marker counts for who has followed the holder for a lease
        since = time.monotonic()
        (primary if asked == "primary" else standby).command("resign", check=True)
        until(standby.is_primary, timeout=10, every=0.005)
        took = time.monotonic() - since
        assert took < LEASE, f"the clean marker spares the wait-out; it took {took:.3f} s"
        until(lambda: refused(primary))
        stays(lambda: standby.is_primary() and not primary.is_primary(), 1)
    assert "resigning" in why(primary)
    assert requests_left(primary.consul) == [], "the author removes its request"


def test_resign_to_nobody_stands_back(web, tmp_path, zone_file):
    """Alone: the lock is free for two leases, then it is taken again, without another wait (the marker names us)."""
    daemon = Lictord(tmp_path, web, election={}, zones={"example.org": zone_file})
    until(daemon.is_primary, timeout=15)
    time.sleep(LEASE + 0.5)  # who has followed the key for a lease may believe the marker
    epoch = daemon.epoch()
    since = time.monotonic()
    daemon.command("resign", check=True)
    assert not daemon.is_primary() and answers(daemon)
    entry, = web.get("/v1/kv/lictor/default/leader")
    assert "Session" not in entry and "clean" in web.kv("lictor/default/leader")
    until(daemon.is_primary, timeout=15, every=0.01)
    back = time.monotonic() - since
    assert 2 * LEASE <= back < 2 * LEASE + 2, f"it stood back for {back:.3f} s; two leases are {2 * LEASE} s"
    assert daemon.epoch() > epoch
    assert "to nobody" in why(daemon)


def test_nobody_to_ask(pair):
    primary, standby = pair()
    primary.command("pause", check=True)
    until(lambda: paused(standby))
    primary.kill()
    until(lambda: not standby.role_status()["primary"], timeout=10)
    done = standby.command("resign")
    assert done.returncode != 0 and "no primary holds the lock" in done.stderr and "resume" in done.stderr
    standby.command("resume", check=True)
    until(standby.is_primary, timeout=10)


def test_without_an_election(web, tmp_path, zone_file):
    daemon = Lictord(tmp_path, web, zones={"example.org": zone_file})
    for verb in ("resign", "pause", "resume"):
        done = daemon.command(verb)
        assert done.returncode != 0 and "election" in done.stderr, done.stderr


def test_words_of_pause_are_checked(pair):
    primary, _ = pair()
    for words in (["pause", "--for", "30"], ["pause", "--for", "-1s"], ["resume", "--for", "3s"], ["resign", "now"]):
        done = primary.command(*words)
        assert done.returncode != 0 and done.stderr.startswith("lictor: "), (words, done.stderr)
    assert primary.command("resume").returncode != 0, "nothing is paused"
    assert not paused(primary)


def test_pause_holds_the_standby_back_and_is_shown_everywhere(pair):
    primary, standby = pair()
    standby.command("pause", "kernel", "update", check=True)
    for daemon in (primary, standby):
        pause = until(lambda: paused(daemon))
        assert pause["who"] == standby.node and pause["why"] == "kernel update" and pause["until"] is None
        assert "kernel update" in daemon.command("status").stdout and "kernel update" in daemon.command("why").stdout
        assert "paused by" in why(daemon) and daemon.logged("elections are paused")
        assert daemon.metrics()["lictor_paused"] == 1
        until(lambda: any("paused=" in text for text in daemon.ask("status.lictor", "TXT").texts()), timeout=5)
    with Referee(primary, standby):
        epoch = primary.epoch()
        primary.kill()
        until(lambda: answers(standby), what="the zone goes on")
        stays(lambda: not standby.is_primary(), 2 * LEASE + 1, what="nobody takes over while paused")
        # The primary's reboot is no deadlock: it may stand again by itself.
        primary.start()
        until(primary.is_primary, timeout=15, what="the last primary may stand while paused")
        assert paused(primary) and primary.epoch() > epoch
        # On purpose the role still moves, and its new holder may come back too.
        primary.command("handover", check=True)
        until(standby.is_primary, timeout=5)
        standby.kill()
        stays(lambda: not primary.is_primary(), LEASE + 2, what="the other one is not the last primary any more")
        primary.command("resume", check=True)
        until(primary.is_primary, timeout=10, what="resumed: whoever is there may stand")
    assert "resumed" in why(primary) and primary.logged("elections are resumed")
    assert primary.metrics()["lictor_paused"] == 0 and not paused(primary)


def test_last_primary_with_a_new_identity_may_stand(pair):
    """Its host came back with an empty state-dir: it is known again by its name."""
    primary, standby = pair()
    primary.command("pause", check=True)
    until(lambda: paused(standby))
    primary.kill()
    (primary.dir / "state" / "identity").unlink()
    primary.start()
    until(primary.is_primary, timeout=15)
    assert not standby.is_primary() and paused(standby)


def test_clean_stop_hands_over_while_paused(pair):
    primary, standby = pair()
    primary.command("pause", check=True)
    until(lambda: paused(standby))
    with Referee(primary, standby):
        primary.stop()
        until(standby.is_primary, timeout=5)
        stays(standby.is_primary, 1)


def test_pause_ends_by_itself(pair):
    primary, standby = pair()
    primary.command("pause", "--for", "4s", check=True)
    until(lambda: paused(standby))
    assert paused(standby)["until"]
    since = time.monotonic()
    primary.kill()
    until(standby.is_primary, timeout=15)
    took = time.monotonic() - since
    assert 2.5 < took < 9, f"it acted {took:.3f} s after the kill, with a pause of 4 s"
    assert standby.logged("the pause has expired")
    until(lambda: primary.consul.kv("lictor/default/control/pause") is None, timeout=15, what="the primary removes what has expired")


def test_unreadable_pause_is_none(pair):
    primary, standby = pair()
    for number, garbage in enumerate([b"", b"not json", b'{"who": 1}'], 1):
        primary.consul.put("/v1/kv/lictor/default/control/pause", garbage)
        until(lambda: standby.process.text().count("taken for no pause") == number)
        assert not paused(standby)
    primary.kill()
    until(standby.is_primary, timeout=10)
    # And the verbs put it right.
    standby.command("pause", check=True)
    until(lambda: paused(standby))
    standby.command("resume", check=True)
    until(lambda: not paused(standby))


def test_a_successor_does_not_carry_out_what_its_predecessor_was_asked(pair):
    """The new primary sees the request before the old one has answered it: a second hand-over would bring the role back."""
    primary, standby = pair()
    with Referee(primary, standby):
        for _ in range(6):
            primary, (standby,) = primary_of([primary, standby])
            epoch = primary.epoch()
            standby.command("resign", check=True)
            until(standby.is_primary, timeout=5, every=0.005)
            stays(standby.is_primary, 0.5)
            assert standby.epoch() > epoch and not standby.logged("asks this instance to resign(?s:.)*asks this instance to resign(?s:.)*asks this instance to resign(?s:.)*asks this instance to resign")
