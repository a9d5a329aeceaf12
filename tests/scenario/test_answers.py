"""What `consul.` answers, beside Consul's own DNS where Consul is right."""

import socket
import struct
import subprocess

import dns.message
import dns.query
import pytest

from lib.dnsq import ask
from lib.lictord import BUILD, Lictord
from lib.wait import free_port, until

WEB = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


@pytest.fixture
def lictord(shared):
    return shared


@pytest.mark.parametrize("name", ["web.service.consul", "web.service.dc1.consul", "WEB.Service.CONSUL"])
def test_a(lictord, name):
    before = lictord.metrics().total("lictor_queries_total", transport="udp4")
    reply = lictord.ask(name)
    assert reply.rcode == "NOERROR" and reply.aa and not reply.tc and not reply.ra and reply.ede() == []
    assert reply.addresses() == WEB
    assert reply.ttl() == 0
    assert str(reply.message.question[0].name) == name + ".", "the case that was asked (0x20)"
    # Workers publish their counters as they go; the scrape may come a moment before.
    until(lambda: lictord.metrics().total("lictor_queries_total", transport="udp4") > before, timeout=3)


@pytest.mark.parametrize("name,type,want", [
    ("six.service.consul", "AAAA", ["2001:db8::6"]),
    ("v1.web.service.consul", "A", ["10.0.0.1", "10.0.0.2"]),
    ("v2.web.service.consul", "A", ["10.0.0.3"]),
    ("_web._tcp.service.consul", "A", WEB),
    ("_web._v2.service.consul", "A", ["10.0.0.3"]),
    ("node1.node.consul", "A", ["127.0.0.1"]),
    ("node1.node.dc1.consul", "A", ["127.0.0.1"]),
    ("noaddr.service.consul", "A", ["127.0.0.1"]),
])
def test_same_as_consul(lictord, name, type, want):
    own = ask(("127.0.0.1", lictord.consul.ports["dns"]), name, type)
    ours = lictord.ask(name, type)
    assert ours.addresses() == want
    assert ours.addresses() == own.addresses(), "differs from Consul's own DNS"
    assert ours.rcode == own.rcode == "NOERROR"


@pytest.mark.parametrize("name,ports", [("web.service.consul", {8001, 8002, 8003}), ("_web._tcp.service.consul", {8001, 8002, 8003}),
                                        ("_web._v2.service.consul", {8003})])
def test_srv(lictord, name, ports):
    reply = lictord.ask(name, "SRV")
    records = [rdata for rrset in reply.message.answer for rdata in rrset]
    assert {record.port for record in records} == ports
    assert len(records) == len(ports)
    own = ask(("127.0.0.1", lictord.consul.ports["dns"]), name, "SRV")
    assert {record.port for rrset in own.message.answer for record in rrset} == ports
    for record in records:
        inside = [str(rdata) for rrset in reply.message.additional if rrset.name == record.target for rdata in rrset]
        assert inside == [f"10.0.0.{record.port - 8000}"], "the address that belongs to this target"
        assert lictord.ask(record.target, "A").addresses() == inside, "and the target resolves to it"


def test_any_gives_no_more_than_its_size(lictord):
    reply = lictord.ask("web.service.consul", "ANY", edns=False)
    assert len(reply.message.to_wire()) <= 512 or reply.tc


def test_apex(lictord):
    soa = lictord.ask("consul", "SOA")
    assert soa.aa and len(soa.records("SOA")) == 1
    ns = lictord.ask("consul", "NS")
    assert ns.rcode == "NOERROR" and ns.aa and ns.records("NS")
    for target in ns.records("NS"):
        assert lictord.ask(target, "A").addresses() or lictord.ask(target, "AAAA").addresses(), f"NS target {target} does not resolve"


@pytest.mark.parametrize("name,type", [("service.consul", "A"), ("node.consul", "A"), ("web.service.consul", "AAAA"), ("web.service.consul", "MX")])
def test_nodata(lictord, name, type):
    reply = lictord.ask(name, type)
    assert (reply.rcode, reply.aa, reply.message.answer) == ("NOERROR", True, [])
    assert reply.records("SOA", "authority") and reply.ttl("authority") == 3


@pytest.mark.parametrize("name", ["nosuch.service.consul", "nosuch.node.consul", "v9.web.service.consul", "nosuch.consul", "a.b.c.d.consul"])
def test_nxdomain(lictord, name):
    reply = lictord.ask(name)
    assert (reply.rcode, reply.aa) == ("NXDOMAIN", True)
    assert reply.records("SOA", "authority") and reply.ttl("authority") == 3
    assert ask(("127.0.0.1", lictord.consul.ports["dns"]), name).rcode == "NXDOMAIN"


@pytest.mark.parametrize("name", ["example.com", "consul.example.com", ".", "notconsul"])
def test_refused_outside(lictord, name):
    reply = lictord.ask(name)
    assert reply.rcode == "REFUSED" and not reply.aa and reply.message.answer == []
    until(lambda: lictord.metrics().total("lictor_refused_total", reason="not_ours") > 0, timeout=3)


def test_tcp_and_pipelining(lictord):
    assert lictord.ask("web.service.consul", tcp=True).addresses() == WEB
    queries = [dns.message.make_query("web.service.consul" if i % 2 else "nosuch.service.consul", "A", id=i) for i in range(50)]
    with socket.create_connection(lictord.dns, timeout=5) as stream:
        stream.sendall(b"".join(struct.pack("!H", len(q.to_wire())) + q.to_wire() for q in queries))
        got = {}
        with stream.makefile("rb") as file:
            for _ in queries:
                length, = struct.unpack("!H", file.read(2))
                reply = dns.message.from_wire(file.read(length))
                got[reply.id] = reply
    assert sorted(got) == list(range(50))
    assert all(bool(got[i].answer) == bool(i % 2) for i in got)


def test_edns(lictord):
    assert lictord.ask("web.service.consul", edns=True).message.edns == 0
    assert lictord.ask("web.service.consul", edns=False).message.edns == -1
    query = dns.message.make_query("web.service.consul", "A", use_edns=True)
    query.ednsflags |= 1 << 16  # version 1
    reply = dns.query.udp(query, *lictord.dns[:1], port=lictord.dns[1], timeout=2)
    assert reply.rcode() == 16, f"not BADVERS: {reply}"


def test_identity(lictord):
    assert lictord.ask("web.service.consul", nsid=True).nsid() == b"ns1"
    assert lictord.ask("id.server", "TXT", klass="CH").texts() == ["ns1"]
    version = subprocess.run([BUILD / "lictord", "--version"], stdout=subprocess.PIPE, text=True).stdout.split()[-1]
    assert lictord.ask("version.bind", "TXT", klass="CH").texts() == [version]


def test_two_addresses_and_workers(web, tmp_path):
    """Replies leave from the address that was asked; every worker of every address answers."""
    second = free_port("127.0.0.2")
    daemon = Lictord(tmp_path, web, services={}, workers=2, start=False)
    daemon.top["listen"] = [f"127.0.0.1:{daemon.port}", f"127.0.0.2:{second}", f"[::1]:{second}"]
    daemon.write_config()
    daemon.start()
    daemon.wait_addresses("web.service.consul", WEB)
    for _ in range(20):  # a fresh source port each time: SO_REUSEPORT spreads them over the workers
        assert ask(("127.0.0.2", second), "web.service.consul").addresses() == WEB
        assert ask(("::1", second), "web.service.consul").addresses() == WEB
    assert ask(("127.0.0.2", second), "web.service.consul", tcp=True).addresses() == WEB
