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
