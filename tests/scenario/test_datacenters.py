"""Two federated datacenters: the other one's names, what is unknown, and what happens when it is lost."""

import pytest

from lib.consul import Consul, federate, federation
from lib.dnsq import ask, EDE_NO_AUTHORITY, EDE_NOT_READY, EDE_STALE
from lib.lictord import Lictord
from lib.wait import until

FAR = ["10.2.0.1", "10.2.0.2"]


def register_both(here, there):
    here.register("web", address="10.1.0.1", port=80)
    here.register("near", address="10.1.0.9", port=9)
    for number in (1, 2):
        there.register("web", id=f"web-{number}", address=f"10.2.0.{number}", port=8000 + number, tags=[f"v{number}"])
    there.register("noaddr", port=7)
    there.register_external("Far-Node", "10.2.9.9", service="ext", port=99)


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    base = tmp_path_factory.mktemp("sites")
    here, there = federation(base)
    register_both(here, there)
    daemon = Lictord(base, here, services={"datacenters": ["dc2"], "node-ttl": "60s", "translate-wan-addrs": True})
    daemon.wait_addresses("web.service.consul", ["10.1.0.1"])
    daemon.wait_addresses("web.service.dc2.consul", FAR)
    return here, there, daemon


def test_names_of_the_other_datacenter(sites):
    here, there, daemon = sites
    assert daemon.addresses("web.service.consul") == daemon.addresses("web.service.dc1.consul") == ["10.1.0.1"]
    assert daemon.addresses("v2.web.service.DC2.consul") == ["10.2.0.2"]
    assert daemon.addresses("far-node.node.dc2.consul") == ["10.2.9.9"]
    srv = daemon.ask("_web._tcp.service.dc2.consul", "SRV")
    assert srv.records("SRV") == ["1 1 8001 0a020001.addr.dc2.consul.", "1 1 8002 0a020002.addr.dc2.consul."]
    assert srv.records("A", "additional") == FAR
    assert daemon.ask("noaddr.service.dc2.consul", "SRV").records("SRV") == ["1 1 7 node2.node.dc2.consul."]
    assert daemon.addresses("0a020001.addr.dc2.consul") == ["10.2.0.1"]
    for name in ("far-node.node.consul", "near.service.dc2.consul", "ext.service.consul"):
        assert daemon.ask(name).rcode == "NXDOMAIN", name
    for name in ("dc2.consul", "service.dc2.consul", "node.dc2.consul"):
        reply = daemon.ask(name)
        assert reply.rcode == "NOERROR" and reply.records("SOA", "authority"), name


def test_unknown_datacenter(sites):
    for name in ("web.service.dc9.consul", "dc9.consul", "node1.node.dc9.consul", "0a020001.addr.dc9.consul"):
        reply = sites[2].ask(name)
        assert reply.rcode == "NXDOMAIN" and reply.records("SOA", "authority") and reply.ede() == [], name


def test_changes_there_are_seen_here(sites):
    here, there, daemon = sites
    there.set_check("web-2", "critical")
    daemon.wait_addresses("web.service.dc2.consul", ["10.2.0.1"])
    there.set_check("web-2", "passing")
    daemon.wait_addresses("web.service.dc2.consul", FAR)
    there.register("later", address="10.2.0.77")
    daemon.wait_addresses("later.service.dc2.consul", ["10.2.0.77"])
    assert any("later: 1 instances" in line for line in daemon.ask("later.dc2.health.lictor", "TXT").texts())


def test_wan_addresses(sites, tmp_path):
    """Service and node addresses by tag: what Consul's own DNS answers for them."""
    here, there, daemon = sites
    # An agent that translates does so over HTTP too, and then the registered address is not to be had.
    translating = Consul(tmp_path, node="edge", server=False, join=[here], config={"translate_wan_addrs": True})

    def at(address, port):
        return {"Address": address, "Port": port}
    far = [({"wan": "203.0.113.1"}, "10.9.9.1", {"wan": at("203.0.113.81", 8081)}),
           ({"wan": "203.0.113.2", "wan_ipv6": "2001:db8:f::2"}, "10.9.9.2",
            {"wan": at("203.0.113.82", 8082), "wan_ipv4": at("203.0.113.92", 8092), "wan_ipv6": at("2001:db8:f::92", 8093)}),
           ({"wan": "203.0.113.3"}, "", {}), ({"wan_ipv4": "203.0.113.4"}, "", {}), ({"wan_ipv6": "2001:db8:f::5"}, "", {}),
           ({"wan_ipv6": "2001:db8:f::6"}, "10.9.9.6", {}), ({"wan": "203.0.113.9", "lan_ipv6": "2001:db8::9"}, "10.9.9.9", {}),
           ({}, "10.9.9.13", {"wan_ipv4": at("203.0.113.113", 8113)}), ({}, "", {"wan": at("203.0.113.110", 8010)})]
    near = [({"lan_ipv4": "10.0.0.11", "lan_ipv6": "2001:db8::11", "wan": "203.0.113.1"}, "10.1.1.1",
             {"lan_ipv4": at("10.1.1.11", 81), "lan_ipv6": at("2001:db8::81", 82), "wan": at("203.0.113.81", 8081)}),
            ({"lan_ipv6": "2001:db8::12"}, "", {})]
    names = []
    for consul, datacenter, cases in ((there, "dc2", far), (here, "dc1", near)):
        for number, (node_tags, address, tags) in enumerate(cases):
            node, service = f"tagged-{number}", f"tag-{number}"
            consul.put("/v1/catalog/register", {
                "Node": node, "Address": f"10.3.0.{number}", "TaggedAddresses": node_tags, "Datacenter": datacenter,
                "Service": {"Service": service, "ID": service, "Address": address, "Port": 80, "TaggedAddresses": tags}})
            names.append(f"{service}.service.{datacenter}.consul")
    for name in names:
        for type in ("A", "AAAA", "SRV"):
            consuls = ask(("127.0.0.1", translating.ports["dns"]), name, type)
            until(lambda: daemon.ask(name, type).records(type) == consuls.records(type),
                  what=lambda: f"{name} {type}: {daemon.ask(name, type)}\nConsul: {consuls}")


def test_asked_for(sites, tmp_path):
    """Not configured: the first question for a name of it has its view read, and is answered."""
    daemon = Lictord(tmp_path, sites[0], services={})
    datacenters = lambda: {item["datacenter"]: item for item in daemon.status()["view"]["datacenters"]}
    until(lambda: "dc2" in datacenters(), what="dc2 in the status")
    assert datacenters()["dc2"]["watch"] is None
    assert daemon.ask("web.service.dc9.consul").rcode == "NXDOMAIN"
    reply = daemon.ask("web.service.dc2.consul", timeout=3)
    if reply.rcode == "SERVFAIL":  # a busy machine: not within the half second
        assert EDE_NOT_READY in reply.ede_codes()
    else:
        assert reply.addresses() == FAR and reply.ede() == []
    daemon.wait_addresses("web.service.dc2.consul", FAR)
    assert daemon.ask("nosuch.service.dc2.consul").rcode == "NXDOMAIN"
    assert datacenters()["dc2"]["watch"]["live"] and not datacenters()["dc2"]["configured"]


def test_fallback_of_a_service(sites, tmp_path):
    """The block of the service is enough: the other datacenter is read for it."""
    here, there, _ = sites
    here.register("api", address="10.1.0.5", port=5)
    there.register("api", address="10.2.0.5", port=6)
    there.register("only-there", address="10.2.0.6", port=6)
    daemon = Lictord(tmp_path, here, node="ns2", extra='services {\n service "api" { datacenters = {dc2} }\n service "only-*" { datacenters = {dc2} }\n}')
    daemon.wait_addresses("api.service.consul", ["10.1.0.5"])
    daemon.wait_addresses("only-there.service.consul", ["10.2.0.6"])
    here.set_check("api", "critical")
    daemon.wait_addresses("api.service.consul", ["10.2.0.5"])
    assert daemon.ask("_api._tcp.consul", "SRV").records("SRV") == ["1 1 6 0a020005.addr.dc2.consul."]
    assert daemon.ask("api.service.dc1.consul").rcode == "NXDOMAIN", "who names the datacenter gets that one"
    assert any("answered by datacenter dc2" in line for line in daemon.ask("api.health.lictor", "TXT").texts())
    here.set_check("api", "passing")
    daemon.wait_addresses("api.service.consul", ["10.1.0.5"])


def test_lost_datacenter(tmp_path):
    """Its last view goes on, marked, also over a restart; ours stays live; and it comes back."""
    here, there = federation(tmp_path)
    register_both(here, there)
    daemon = Lictord(tmp_path, here, services={"datacenters": ["dc2"], "node-ttl": "60s"}, consul_settings={"stale-for": "1h"})
    daemon.wait_addresses("web.service.dc2.consul", FAR)
    there.kill()

    def stale():
        reply = daemon.ask("far-node.node.dc2.consul")
        return reply if EDE_STALE in reply.ede_codes() else None
    reply = until(stale, timeout=40, what="EDE 3 on an answer of dc2")
    assert reply.addresses() == ["10.2.9.9"] and reply.ttl() <= 5 and "dc2" in reply.ede()[0][1]
    assert daemon.addresses("web.service.dc2.consul") == FAR
    assert EDE_STALE in daemon.ask("nosuch.service.dc2.consul").ede_codes()
    ours = daemon.ask("node1.node.dc1.consul")
    assert ours.ede() == [] and ours.ttl() == 60
    here.set_check("near", "critical")
    until(lambda: daemon.ask("near.service.consul").rcode == "NXDOMAIN", what="a live local view")
    metrics = daemon.metrics()
    assert metrics.total("lictor_view_age_seconds", datacenter="dc2") > metrics.total("lictor_view_age_seconds", datacenter="dc1")
    assert "dc2: lost" in daemon.command("status").stdout

    # Who never saw it does not deny its names.
    other = Lictord(tmp_path, here, node="ns2", services={"datacenters": ["dc2"]})
    until(lambda: EDE_NO_AUTHORITY in other.ask("web.service.dc2.consul").ede_codes(), what="EDE 22")
    assert other.ask("web.service.dc2.consul").rcode == "SERVFAIL"
    assert other.ask("node1.node.dc1.consul").rcode == "NOERROR"
    other.stop()

    daemon.stop()
    daemon.start()
    until(stale, timeout=20, what="the saved view of dc2 after a restart")
    assert daemon.addresses("web.service.dc2.consul") == FAR
    until(lambda: daemon.ask("node1.node.consul").ede() == [], what="a live local view")
    assert daemon.addresses("web.service.dc2.consul") == FAR

    there.restart()
    federate(here, there)
    until(lambda: daemon.ask("far-node.node.dc2.consul").ede() == [], timeout=40, what="dc2 live again")
