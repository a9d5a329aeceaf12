"""`service "NAME" { }` blocks, and the names of services that Consul has no answer for."""

import pytest

from lib.consul import Consul
from lib.lictord import Lictord
from lib.wait import until

CONFIG = """
services {
    service-ttl = {"*-db=9s", "canary.web=3s"}
    service "nearby" { order = nearest answers = 2 }
    service "fixed" { order = fixed answers = 1 }
    service "last" { last-resort = all }
    service "nodata" { last-resort = nodata }
    service "texts" { txt = true }
}
"""


@pytest.fixture(scope="module")
def lictord(tmp_path_factory):
    base = tmp_path_factory.mktemp("policies")
    consul = Consul(base)
    for number in (1, 2, 3):
        consul.register("web", id=f"web-{number}", address=f"10.0.0.{number}", port=8000, tags=[["blue", "v1"], ["blue", "canary"], ["v1"]][number - 1])
        consul.register("fixed", id=f"f-{number}", address=f"10.3.0.{number}", port=1)
    consul.register("users-db", address="10.0.1.1", port=5432)
    consul.register("web.front", id="front", address="10.0.2.1", port=80)
    for name in ("last", "nodata"):
        consul.register(name, address="10.0.3.1", port=80, status="critical")
    consul.register("texts", id="t1", address="10.0.4.1", port=80, Meta={"version": "1.2", "lictor-priority": "5", "lictor-ttl": "30s"})
    consul.register("texts", id="t2", address="10.0.4.2", port=80, Meta={"version": "1.2", "zone": "a=b"})
    consul.register("alias", address="web.front.service.consul", port=80)
    # The agent itself sends its own after some 15 seconds.
    for node, distance in ((consul.node, 0), ("far0", 0.3), ("far1", 0.001), ("far2", 0.1)):
        if node != consul.node:
            consul.register_external(node, "10.1.0." + node[-1], "nearby")
        consul.put("/v1/coordinate/update", {"Node": node, "Segment": "", "Coord": {
            "Vec": [distance] + 7 * [0.0], "Error": 0.1, "Adjustment": 0.0, "Height": 1e-5}})
    daemon = Lictord(base, consul, extra=CONFIG)
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    return daemon


def targets(reply):
    return sorted((rdata.priority, rdata.weight, rdata.port, str(rdata.target)) for rrset in reply.message.answer for rdata in rrset)


def order(reply):
    return [str(rdata) for rrset in reply.message.answer for rdata in rrset]


@pytest.mark.parametrize("name", ["_web._v1.consul", "_web._v1.dc1.consul", "_WEB._v1.service.consul"])
def test_short_form(lictord, name):
    want = [(1, 1, 8000, f"0a00000{number}.addr.dc1.consul.") for number in (1, 3)]
    assert targets(lictord.ask(name, "SRV")) == want
    if ".service" not in name:
        reply = lictord.ask(name, "A")
        assert reply.rcode == "NOERROR" and not reply.message.answer and reply.message.authority


def test_dots(lictord):
    assert lictord.ask("web.front.service.consul").addresses() == ["10.0.2.1"]


@pytest.mark.parametrize("name,want", [
    ("blue.and.v1.web.service.consul", ["10.0.0.1"]),
    ("blue.and.not.v1.web.service.dc1.consul", ["10.0.0.2"]),
    ("NOT.canary.web.service.consul", ["10.0.0.1", "10.0.0.3"]),
])
def test_tags_together(lictord, name, want):
    reply = lictord.ask(name)
    assert reply.rcode == "NOERROR" and reply.addresses() == want, "the first question waits for the builder"
    assert lictord.ask(name).addresses() == want


@pytest.mark.parametrize("name", ["canary.and.v1.web.service.consul", "blue.and.nosuch.web.service.consul", "a.and.b.nosuch.service.consul"])
def test_tags_that_no_instance_has(lictord, name):
    assert lictord.ask(name).rcode == "NXDOMAIN"


def test_last_resort(lictord):
    assert lictord.ask("last.service.consul").addresses() == ["10.0.3.1"]
    reply = lictord.ask("nodata.service.consul")
    assert reply.rcode == "NOERROR" and not reply.message.answer and reply.message.authority
    assert lictord.ask("web.service.consul", "TXT").rcode == "NOERROR"


def test_metadata(lictord):
    reply = lictord.ask("texts.service.consul", "TXT")
    assert sorted(rdata.strings[0] for rrset in reply.message.answer for rdata in rrset) == [b"version=1.2", b"zone=a=b"]
    assert reply.ttl() == 30
    assert [priority for priority, *_ in targets(lictord.ask("texts.service.consul", "SRV"))] == [1, 5]


def test_ttls(lictord):
    assert lictord.ask("users-db.service.consul").ttl() == 9
    assert lictord.ask("canary.web.service.consul").ttl() == 3
    assert lictord.ask("web.service.consul").ttl() == 0


def test_orders(lictord):
    for _ in range(5):
        assert order(lictord.ask("fixed.service.consul")) == ["10.3.0.1"]
    # Consul keeps coordinates for some seconds before they can be read.
    until(lambda: order(lictord.ask("nearby.service.consul")) == ["10.1.0.1", "10.1.0.2"], timeout=60,
          what="the order of network coordinates")


def test_alias(lictord):
    reply = lictord.ask("alias.service.consul")
    assert reply.addresses() == ["10.0.2.1"] and len(reply.message.answer) == 2
