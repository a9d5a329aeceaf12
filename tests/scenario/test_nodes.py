"""Nodes and their addresses: reverse zones kept by each change, metadata beside addresses, and what Consul has the same."""

import pytest

from lib.dnsq import ask
from lib.lictord import Lictord
from lib.wait import until


def ptr(daemon, address_name):
    return daemon.ask(address_name, "PTR").records("PTR")


def test_reverse_zones_follow_the_catalog(shared, tmp_path):
    consul = shared.consul
    daemon = Lictord(tmp_path, consul, services={"reverse": ["10.0.0.0/16", "2001:db8::/32"], "reverse_ttl": "9s", "negative-ttl": "3s"})
    until(lambda: ptr(daemon, "1.0.0.10.in-addr.arpa") == ["web.service.dc1.consul."])
    reply = daemon.ask("1.0.0.10.in-addr.arpa", "PTR")
    assert reply.aa and reply.ttl() == 9
    serial = int(daemon.ask("0.10.in-addr.arpa", "SOA").records("SOA")[0].split()[2])
    try:
        consul.register_external("Name-d", "10.0.0.1")
        until(lambda: ptr(daemon, "1.0.0.10.in-addr.arpa") == ["Name-d.node.dc1.consul."], what="a node goes before services")
        consul.register_external("second", "10.0.0.1")
        until(lambda: ptr(daemon, "1.0.0.10.in-addr.arpa") == ["Name-d.node.dc1.consul.", "second.node.dc1.consul."])
        assert int(daemon.ask("0.10.in-addr.arpa", "SOA").records("SOA")[0].split()[2]) > serial
        assert daemon.ask("second.node.dc1.consul").addresses() == ["10.0.0.1"]
    finally:
        for node in ("Name-d", "second"):
            consul.put("/v1/catalog/deregister", {"Node": node})
    until(lambda: ptr(daemon, "1.0.0.10.in-addr.arpa") == ["web.service.dc1.consul."])
    six = "6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
    assert ptr(daemon, six) == ["six.service.dc1.consul."]

    gone = daemon.ask("9.0.0.10.in-addr.arpa", "PTR")
    assert (gone.rcode, gone.ttl("authority")) == ("NXDOMAIN", 3) and gone.message.authority[0].name.to_text() == "0.10.in-addr.arpa."
    assert daemon.ask("0.0.10.in-addr.arpa", "PTR").rcode == "NOERROR", "an empty name"
    assert daemon.ask("1.1.0.10.in-addr.arpa", "PTR").records("PTR") == ["db.service.dc1.consul."]
    for outside in ("1.1.11.10.in-addr.arpa", "1.2.0.192.in-addr.arpa", "in-addr.arpa", "10.in-addr.arpa", "8.b.d.1.1.0.0.2.ip6.arpa"):
        assert daemon.ask(outside, "PTR").rcode == "REFUSED", outside
    daemon.services["reverse"] = ["10.0.0.0/8"]
    daemon.write_config()
    daemon.reload()
    daemon.wait_logged("`services.reverse` cannot change while lictord runs")
    assert ptr(daemon, six) == ["six.service.dc1.consul."]


def test_not_ready_is_not_absent(tmp_path):
    """Before the first view reverse names are SERVFAIL, too, and with a view from the disk they are there."""
    daemon = Lictord(tmp_path, services={"reverse": ["10.0.0.0/8"]}, wait=False,
                     extra='consul { address = "http://127.0.0.1:9" }')
    until(lambda: daemon.process.must_live() and daemon.ask("1.0.0.10.in-addr.arpa", "PTR").rcode == "SERVFAIL")
    assert daemon.ask("1.0.0.10.in-addr.arpa", "PTR").ede_codes() == [14]
    assert daemon.ask("1.0.0.192.in-addr.arpa", "PTR").rcode == "REFUSED"


METADATA = {"rack": "r1", "a=b": "c`d", " edge ": "x", "empty": "", "rfc1035-raw": "raw = text"}


@pytest.fixture
def noted(shared):
    """A node with metadata, and a service on it without an address of its own."""
    shared.consul.put("/v1/catalog/register", {"Node": "Noted.one", "Address": "10.7.0.1", "NodeMeta": METADATA,
                                               "Service": {"ID": "on-noted", "Service": "on-noted", "Port": 70}})
    yield shared.consul
    shared.consul.put("/v1/catalog/deregister", {"Node": "Noted.one"})


@pytest.mark.parametrize("compat", ["none", "consul"])
def test_metadata(noted, tmp_path, compat):
    daemon = Lictord(tmp_path, noted, services={"compat": compat})
    own = ("127.0.0.1", noted.ports["dns"])
    daemon.wait_addresses("on-noted.service.consul", ["10.7.0.1"])
    until(lambda: daemon.ask("noted.one.node.consul", "TXT").records("TXT"))
    want = sorted(ask(own, "noted.one.node.consul", "TXT", tcp=True).records("TXT"))
    assert len(want) == len(METADATA)
    assert sorted(daemon.ask("noted.one.node.dc1.consul", "TXT").records("TXT")) == want
    beside = want if compat == "consul" else []
    for name, type in (("noted.one.node.consul", "A"), ("on-noted.service.consul", "SRV")):
        reply = daemon.ask(name, type)
        assert reply.rcode == "NOERROR" and reply.message.answer
        assert sorted(reply.records("TXT", "additional")) == beside, (name, type)
        assert sorted(ask(own, name, type, tcp=True).records("TXT", "additional")) == want, "Consul's own default"
