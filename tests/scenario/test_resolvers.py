"""Real unbound and dnsmasq in front, with the snippets that contrib/ ships."""

import pytest

from lib import resolvers
from lib.lictord import Lictord
from lib.wait import until


@pytest.mark.parametrize("kind", ["unbound", "dnsmasq"])
def test_through_a_resolver(web, tmp_path, kind):
    daemon = Lictord(tmp_path, web, services={"reverse": []})
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    resolver = getattr(resolvers, kind)(tmp_path, daemon.port)
    reply = resolver.ask("web.service.consul")
    assert reply.rcode == "NOERROR" and reply.addresses() == ["10.0.0.1", "10.0.0.2", "10.0.0.3"] and reply.ra
    assert len(resolver.ask("_web._tcp.service.consul", "SRV").records("SRV")) == 3
    assert resolver.ask("v2.web.service.consul").addresses() == ["10.0.0.3"]
    assert resolver.ask("node1.node.consul").addresses() == ["127.0.0.1"]
    assert resolver.ask("nosuch.service.consul").rcode == "NXDOMAIN"
    nodata = resolver.ask("web.service.consul", "AAAA")
    assert nodata.rcode == "NOERROR" and nodata.message.answer == []
    assert resolver.ask("web.service.consul", tcp=True).addresses() == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    web.set_check("web-1", "critical")
    until(lambda: resolver.ask("web.service.consul").addresses() == ["10.0.0.2", "10.0.0.3"], timeout=10)
    before = daemon.metrics().total("lictor_queries_total")
    resolver.ask("db.service.consul")
    until(lambda: daemon.metrics().total("lictor_queries_total") > before)


# --- QNAME minimisation (RFC 9156) and delegation: what breaks where SOA, NS and empty names are not those of a zone

STRICT = """
server:
    qname-minimisation: yes
    qname-minimisation-strict: yes
    local-zone: "10.in-addr.arpa." nodefault
    domain-insecure: "10.in-addr.arpa."
stub-zone:
    name: "10.in-addr.arpa."
    stub-addr: 127.0.0.1@%d
"""
WEB = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_minimisation(shared, tmp_path):
    daemon = Lictord(tmp_path, shared.consul, services={"reverse": ["10.0.0.0/8"]})
    daemon.wait_addresses("web.service.consul", WEB)
    resolver = resolvers.unbound(tmp_path, daemon.port, STRICT % daemon.port)
    for name in ("web.service.consul", "web.service.dc1.consul", "_web._tcp.service.consul", "web.service.dc1.dc.consul"):
        assert resolver.ask(name).addresses() == WEB, name
    assert resolver.ask("v2.web.service.consul").addresses() == ["10.0.0.3"]
    assert resolver.ask("node1.node.dc1.consul").addresses() == ["127.0.0.1"]
    assert resolver.ask("0a000001.addr.dc1.consul").addresses() == resolver.ask("0a000001.addr.consul").addresses() == ["10.0.0.1"]
    assert len(resolver.ask("_web._tcp.service.consul", "SRV").records("SRV")) == 3
    assert resolver.ask("1.0.0.10.in-addr.arpa", "PTR").records("PTR") == ["web.service.dc1.consul."]
    assert resolver.ask("9.9.9.10.in-addr.arpa", "PTR").rcode == resolver.ask("nosuch.service.dc1.consul").rcode == "NXDOMAIN"


def test_minimisation_breaks_on_consuls_choices(shared, tmp_path):
    """Why empty names are NODATA, and that the test above would notice."""
    daemon = Lictord(tmp_path, shared.consul, services={"compat": "consul"})
    daemon.wait_addresses("web.service.consul", WEB)
    resolver = resolvers.unbound(tmp_path, daemon.port, STRICT % daemon.port)
    assert resolver.ask("web.service.consul").rcode == "NXDOMAIN"


def test_delegated_from_bind(shared, tmp_path):
    """BIND 9 is the parent and follows its own delegation; all servers listen at one port, on addresses of their own."""
    daemon = Lictord(tmp_path, shared.consul, services={"domain": "consul.example", "negative-ttl": "3s", "node-ttl": "5s"}, host="127.0.0.2")
    daemon.wait_addresses("web.service.consul.example", WEB)
    parent = f"""$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 60
  NS ns
ns A 127.0.0.1
consul NS ns1.ns.consul
ns1.ns.consul A 127.0.0.2
"""
    named = resolvers.bind(tmp_path, {"example": parent}, daemon.port)
    for name in ("web.service.consul.example", "WEB.Service.DC1.consul.example", "_web._tcp.service.consul.example"):
        reply = named.ask(name)
        assert (reply.rcode, reply.addresses(), reply.aa) == ("NOERROR", WEB, False), name
        assert str(reply.message.question[0].name) == f"{name}."
    assert len(named.ask("web.service.consul.example", "SRV").records("SRV")) == 3
    assert named.ask("node1.node.consul.example").addresses() == ["127.0.0.1"]
    assert named.ask("ns1.ns.consul.example").addresses() == ["127.0.0.2"], "the name server is found by its own name, too"
    assert named.ask("consul.example", "NS").records("NS") == ["ns1.ns.consul.example."]
    assert named.ask("consul.example", "SOA").records("SOA")[0].startswith("ns1.ns.consul.example. hostmaster.consul.example.")
    for name, type, rcode in (("nosuch.service.consul.example", "A", "NXDOMAIN"), ("web.service.consul.example", "AAAA", "NOERROR"),
                              ("service.consul.example", "A", "NOERROR"), ("service.consul.example", "SOA", "NOERROR"),
                              ("consul.example", "MX", "NOERROR"), ("web.service.consul.example", "NS", "NOERROR")):
        reply = named.ask(name, type)
        assert (reply.rcode, reply.message.answer) == (rcode, []), (name, type)
        assert reply.message.authority[0].name.to_text() == "consul.example.", "the SOA of the delegated zone"
    assert "REFUSED" not in named.process.tail(200) and "FORMERR" not in named.process.tail(200) and "lame" not in named.process.tail(200)
