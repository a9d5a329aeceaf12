"""Nobody ready: said everywhere. Keys of the dead and old requests: removed. The lock tampered with: seen, counted, named, survived."""

import json
import time

import pytest

from lib.consul import ConsulError
from lib.lictord import Lictord
from lib.wait import stays, until
from test_control_verbs import why
from test_election import Referee, answers

one_consul = True

LEADER = "/v1/kv/lictor/default/leader"


def keys(consul, prefix):
    try:
        return consul.get(f"/v1/kv/lictor/default/{prefix}?keys")
    except ConsulError:
        return []


def test_nobody_may_stand_and_everybody_says_why(web, tmp_path, zone_file):
    daemons = [Lictord(tmp_path, web, node=node, services={}, election={"candidate": False},
                       zones={"example.org": {"file": str(zone_file), "store": "file"}}) for node in ("ns1", "ns2")]
    since = time.monotonic()
    for daemon in daemons:
        until(lambda: len(daemon.role_status()["members"]) == 2)
        daemon.wait_logged(r"no primary for 1\d s: .*ns[12] is not a candidate, ns[12] is not a candidate", timeout=20)
        assert time.monotonic() - since > 8
        status = daemon.role_status()
        assert "not a candidate" in status["reason"]
        assert [member["reason"] for member in status["members"]] == ["not a candidate"] * 2
        metrics = daemon.metrics()
        assert metrics["lictor_members_ready"] == 0 and metrics["lictor_no_primary_seconds"] > 9
        assert metrics['lictor_cannot_stand{reason="not_candidate"}'] == 1 and metrics['lictor_cannot_stand{reason="paused"}'] == 0
        assert "no primary for" in why(daemon) and answers(daemon)


def test_a_standing_primary_is_no_vacancy(pair):
    primary, standby = pair()
    for daemon in (primary, standby):
        metrics = daemon.metrics()
        assert metrics["lictor_no_primary_seconds"] == 0 and metrics["lictor_members_ready"] == 2
        assert metrics.total("lictor_cannot_stand") == 0


def test_what_the_dead_left_is_removed(pair):
    primary, standby = pair()
    consul = primary.consul
    consul.put("/v1/kv/lictor/default/members/00000000-0000-4000-8000-000000000000", b"left behind")
    now = int(time.time())
    for name, at in (("old", now - 70), ("new", now)):
        consul.put(f"/v1/kv/lictor/default/requests/{name}",
                   json.dumps({"ask": "handover", "of": "", "to": "", "from": "gone", "at": at, "answer": ""}).encode())
    consul.put("/v1/kv/lictor/default/requests/garbage", b"\x00\xff")
    mine = len(keys(consul, "members/"))
    assert mine == 3
    standby.kill()
    since = time.monotonic()
    until(lambda: keys(consul, "requests/") == ["lictor/default/requests/new"], timeout=10, what="old and unreadable requests go")
    until(lambda: len(keys(consul, "members/")) == 1, timeout=25, what="keys without a session go")
    print(f"the keys of the dead were gone after {time.monotonic() - since:.1f} s")
    assert primary.is_primary() and "dead member" in why(primary)
    standby.start()
    until(lambda: len(keys(consul, "members/")) == 2)
    assert len(primary.role_status()["members"]) == 2


def put(consul, session):
    consul.put(LEADER, b"by a stranger")


def put_json(consul, session):
    consul.put(LEADER, b'{"node":"evil","instance":"11111111-1111-4111-8111-111111111111","addresses":[],"epoch":3,"lease_ms":2000,"write":1}')


def delete(consul, session):
    consul.delete(LEADER)


def release(consul, session):
    assert consul.put(f"{LEADER}?release={session}", b"released by a stranger") is True


@pytest.mark.parametrize("tamper", [put, put_json, delete, release], ids=lambda f: f.__name__)
def test_tampering_is_detected_counted_and_named(pair, tamper):
    primary, standby = pair()
    consul = primary.consul
    entry, = consul.get(LEADER)
    epoch = primary.epoch()
    with Referee(primary, standby):
        since = time.monotonic()
        tamper(consul, entry["Session"])
        until(lambda: primary.metrics()["lictor_lock_tampered_total"] >= 1, timeout=5, what="the metric counts it")
        noticed = time.monotonic() - since
        until(lambda: "somebody" in why(primary), timeout=5)
        until(lambda: any(d.is_primary() for d in (primary, standby)), timeout=10)
        acting = time.monotonic() - since
        print(f"{tamper.__name__}: noticed after {noticed:.3f} s, somebody acts after {acting:.3f} s")
        assert noticed < 1.5 and acting < 8, (noticed, acting)
        holder = primary if primary.is_primary() else standby
        stays(holder.is_primary, 1.5)
    value = consul.kv("lictor/default/leader")
    assert value["node"] == holder.node and value["epoch"] == holder.epoch() >= epoch
    assert standby.metrics()["lictor_lock_tampered_total"] == 0, "only who held it counts"
    if tamper in (delete, release):
        assert holder.epoch() > epoch, "the lock was lost: a new reign has a new epoch"
