"""Names that are asked for when somebody asks: prepared queries, connect and ingress; and what waits while Consul does not answer."""

import random
import re
import socket
import time
from pathlib import Path

import dns.message
import pytest

from lib.consul import federation
from lib.dnsq import EDE_NOT_READY, EDE_STALE
from lib.lictord import Lictord
from lib.wait import until

WEB = ["10.1.0.1", "10.1.0.2", "10.1.0.3"]
NEAREST = ["10.7.0.1", "10.7.0.2", "10.7.0.3"]  # external nodes in a row: each is nearest to itself


def register_services(here, there):
    for number in (1, 2, 3):
        here.register("web", id=f"web-{number}", address=f"10.1.0.{number}", port=8000 + number, tags=["v1"] if number < 3 else ["v2"])
    there.register("db", address="10.2.0.1", port=5432)
    there.register("only-there", port=7)  # at its node's address
    here.register("web-proxy", address="10.5.0.1", port=21000, Kind="connect-proxy", Proxy={"DestinationServiceName": "web"})
    here.put("/v1/config", {"Kind": "ingress-gateway", "Name": "gate", "Listeners": [
        {"Port": 8080, "Protocol": "tcp", "Services": [{"Name": "web"}]}]})
    here.register("gate", address="10.5.1.1", port=8443, Kind="ingress-gateway")
    for number, address in enumerate(NEAREST, 1):
        here.register_external(f"row-{number}", address, service="row", port=number)
        here.put("/v1/coordinate/update", {"Node": f"row-{number}", "Coord": {
            "Vec": [number * 0.1] + [0] * 7, "Error": 0.1, "Adjustment": 0, "Height": 0.0001}})


def make_queries(here):
    ids = {}
    for body in (
            {"Name": "Plain", "Service": {"Service": "web"}, "DNS": {"TTL": "17s"}},
            {"Name": "cut", "Service": {"Service": "web"}, "DNS": {"TTL": "1500ms"}},
            {"Name": "own-ttl", "Service": {"Service": "web"}},
            {"Name": "tags", "Service": {"Service": "web", "Tags": ["v1"]}},
            {"Name": "not-tags", "Service": {"Service": "web", "Tags": ["!v1"]}},
            {"Name": "dot.ted", "Service": {"Service": "web"}},
            {"Name": "none", "Service": {"Service": "nosuch"}},
            {"Name": "far", "Service": {"Service": "db", "Failover": {"Datacenters": ["dc9", "dc2"]}}},
            {"Name": "far-node", "Service": {"Service": "only-there", "Failover": {"Datacenters": ["dc2"]}}},
            {"Name": "nowhere", "Service": {"Service": "nosuch", "Failover": {"Datacenters": ["dc9"]}}},
            {"Name": "mesh", "Service": {"Service": "web", "Connect": True}},
            {"Name": "row", "Service": {"Service": "row", "Near": "_ip"}},
            {"Name": "geo-", "Template": {"Type": "name_prefix_match", "Regexp": "^geo-(.*)-x$"}, "Service": {"Service": "${match(1)}"}},
            {"Name": "changing", "Service": {"Service": "changing"}}):
        ids[body["Name"]] = here.request("POST", "/v1/query", body)["ID"]
    return ids


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    base = tmp_path_factory.mktemp("asked")
    here, there = federation(base)
    register_services(here, there)
    ids = make_queries(here)
    daemon = Lictord(base, here, services={"service-ttl": ["web=7s"], "alt-domain": "alt"}, workers=2)
    daemon.wait_addresses("web.service.consul", WEB)
    return here, there, daemon, ids


def is_denied(reply):
    return reply.rcode == "NXDOMAIN" and reply.aa and bool(reply.records("SOA", "authority")) and reply.ede() == []


def test_prepared_queries(sites):
    here, there, daemon, ids = sites
    serial = daemon.ask("consul", "SOA").records("SOA")
    for name in ("plain.query.consul", "PLAIN.Query.consul", "plain.query.dc1.consul", f"{ids['Plain']}.query.consul",
                 f"{ids['Plain'].upper()}.query.consul", "dot.ted.query.consul", "geo-web-x.query.consul", "plain.query.alt"):
        assert daemon.addresses(name) == WEB, name
        assert daemon.addresses(name, tcp=True) == WEB, name
    assert daemon.addresses("tags.query.consul") == WEB[:2]
    assert daemon.addresses("not-tags.query.consul") == WEB[2:]
    assert daemon.addresses("mesh.query.consul") == ["10.5.0.1"]
    for name, ttl in (("plain", 17), ("cut", 1), ("own-ttl", 7)):
        assert daemon.ask(f"{name}.query.consul").ttl() == ttl, name
    for name in ("plain.query.consul", "_plain._tcp.query.consul"):
        srv = daemon.ask(name, "SRV")
        assert srv.records("SRV") == [f"1 1 800{n} 0a01000{n}.addr.dc1.consul." for n in (1, 2, 3)], name
        assert srv.records("A", "additional") == WEB
    nodata = daemon.ask("plain.query.consul", "AAAA")
    assert nodata.rcode == "NOERROR" and not nodata.message.answer and nodata.records("SOA", "authority")
    for name in ("nosuch.query.consul", "none.query.consul", "nowhere.query.consul", "geo-web-y.query.consul", "plain.query.dc9.consul",
                 "plain.query.dc2.consul", "plain.query.a.b.consul", "nosuch.service.consul"):
        assert is_denied(daemon.ask(name)), name
    assert daemon.ask("consul", "SOA").records("SOA") == serial  # such names are in no zone
    exists = daemon.ask("query.consul")
    assert exists.rcode == "NOERROR" and exists.records("SOA", "authority")


def test_failover(sites):
    daemon = sites[2]
    assert daemon.addresses("far.query.consul") == ["10.2.0.1"]
    assert daemon.ask("far.query.consul", "SRV").records("SRV") == ["1 1 5432 0a020001.addr.dc2.consul."]
    assert daemon.ask("far-node.query.consul", "SRV").records("SRV") == ["1 1 7 node2.node.dc2.consul."]


def in_order(reply):
    return [rdata.to_text() for rrset in reply.message.answer for rdata in rrset]


def test_nearest(sites):
    here, there, daemon, ids = sites
    until(lambda: len(here.get("/v1/coordinate/nodes")) >= 3, timeout=30, what="coordinates in the catalog")

    def nearest_to(number, server):
        from lib.dnsq import ask
        reply = ask(server, "row.query.consul", subnet=f"10.7.0.{number}/32")
        assert reply.subnet() == (f"10.7.0.{number}", 32, 32)
        return in_order(reply)

    consul = ("127.0.0.1", here.ports["dns"])
    for number in (1, 3):
        want = NEAREST if number == 1 else NEAREST[::-1]
        assert nearest_to(number, consul) == want
        for _ in range(5):
            assert nearest_to(number, daemon.dns) == want
    # Where it does not matter, Consul says that it does; a denial is for all.
    assert daemon.ask("plain.query.consul", subnet="10.1.2.0/24").subnet() == ("10.1.2.0", 24, 24)
    assert daemon.ask("nosuch.query.consul", subnet="10.1.2.0/24").subnet() == ("10.1.2.0", 24, 0)
    assert daemon.ask("web.service.consul", subnet="10.1.2.0/24").subnet() == ("10.1.2.0", 24, 0)


def test_connect_and_ingress(sites):
    daemon = sites[2]
    for name in ("web.connect.consul", "web.connect.dc1.consul", "v1.web.connect.consul"):
        assert daemon.addresses(name) == ["10.5.0.1"], name
    assert daemon.ask("web.connect.consul", "SRV").records("SRV") == ["1 1 21000 0a050001.addr.dc1.consul."]
    assert daemon.ask("web.connect.consul").ttl() == 7
    assert daemon.addresses("web.ingress.consul") == ["10.5.1.1"]
    assert daemon.ask("web.ingress.consul", "SRV").records("SRV") == ["1 1 8443 0a050101.addr.dc1.consul."]
    for name in ("nosuch.connect.consul", "db.ingress.consul", "web.connect.dc9.consul", "web.virtual.consul"):
        assert is_denied(daemon.ask(name)), name


def test_changes_are_seen(sites):
    here, there, daemon, ids = sites
    assert is_denied(daemon.ask("changing.query.consul"))
    here.register("changing", id="c1", address="10.3.0.1")
    daemon.wait_addresses("changing.query.consul", ["10.3.0.1"])
    here.set_check("c1", "critical")
    until(lambda: is_denied(daemon.ask("changing.query.consul")))
    # While somebody asks, nobody waits.
    waited = daemon.metrics().total("lictor_parked_total")
    end = time.monotonic() + 1.6
    while time.monotonic() < end:
        daemon.ask("plain.query.consul")
        time.sleep(0.02)
    metrics = daemon.metrics()
    assert metrics.total("lictor_parked_total") - waited <= 1
    assert metrics.total("lictor_asked_reads_total", result="refresh") >= 1


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def test_flood_of_random_names(sites):
    here, there, daemon, ids = sites
    daemon.ask("plain.query.consul")
    before, size = daemon.metrics(), resident(daemon.process.pid)
    flood = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
    for sock in flood:
        sock.connect(daemon.dns)
        sock.setblocking(False)
    question = bytearray(dns.message.make_query("x" * 16 + ".query.consul", "A").to_wire())
    codes = []

    def drain():
        for sock in flood:
            try:
                while True:
                    codes.append(dns.message.from_wire(sock.recv(512)).rcode())
            except BlockingIOError:
                pass

    slowest, began = 0, time.monotonic()
    for number in range(10000):
        question[13:29] = f"{random.getrandbits(64):016x}".encode()
        flood[number % 4].send(question)
        if number % 50 == 0:
            drain()
        if number % 500 == 0:
            slowest = max(slowest, daemon.ask("web.service.consul").took, daemon.ask("plain.query.consul", tries=3).took)
    took = time.monotonic() - began
    after = until(lambda: daemon.metrics().total("lictor_parked") == 0 and daemon.metrics(), what="nobody waiting any more")
    assert slowest < 1
    asked = sum(after.total("lictor_asks_total", result=result) - before.total("lictor_asks_total", result=result)
                for result in ("published", "absent", "failed"))
    assert 0 < asked <= 100 * (took + 3)
    assert after.total("lictor_asks_total", result="refused") > before.total("lictor_asks_total", result="refused")
    assert resident(daemon.process.pid) - size < 64 * 1024 * 1024  # sanitizers keep freed memory for a while
    drain()
    for sock in flood:
        sock.close()
    assert len(codes) > 2000  # the rest was lost before anybody could read it
    assert set(codes) <= {2, 3}  # SERVFAIL for what was not asked, NXDOMAIN for what was


def test_consul_does_not_answer(sites):
    here, there, daemon, ids = sites
    until(lambda: daemon.ask("plain.query.consul").addresses() == WEB)
    here.pause()
    try:
        # Never asked before. (Right after the flood it may still be refused as one too many.)
        reply = until(lambda: (lambda reply: "too many" not in str(reply.ede()) and reply)(daemon.ask("tags.query.dc2.consul")))
        assert reply.rcode == "SERVFAIL" and reply.ede_codes() == [EDE_NOT_READY] and "in time" in reply.ede()[0][1]
        assert 0.45 < reply.took < 1.5
        assert daemon.ask("web.service.consul").took < 0.3
        # The last result goes on: at first after the wait, then at once.
        until(lambda: daemon.ask("plain.query.consul").ede_codes() == [EDE_STALE], timeout=10)
        stale = until(lambda: (lambda reply: reply.took < 0.3 and reply)(daemon.ask("plain.query.consul")), timeout=10)
        assert stale.addresses() == WEB and stale.ede_codes() == [EDE_STALE] and stale.ttl() <= 5
    finally:
        here.resume()
    until(lambda: daemon.ask("plain.query.consul").ede() == [], timeout=30)
    until(lambda: daemon.addresses("tags.query.consul") == WEB[:2], timeout=30)
    assert daemon.metrics().total("lictor_refused_total", reason="consul_late") >= 1
