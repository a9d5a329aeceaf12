"""Every form of a name that Consul's DNS knows, and the questions asked of each."""

from typing import NamedTuple

TYPES = ["A", "AAAA", "ANY", "SRV", "TXT", "PTR", "NS", "SOA", "CNAME", "MX"]


class Question(NamedTuple):
    name: str
    type: str
    form: str

    def __str__(self):
        return f"{self.name} {self.type}"


SERVICES = """web one plain UpperSvc uppersvc Redis redis dash-ed under_line _lead tagged service node tcp six sixnode dual mapped
    twin twinnode ports tagaddr bulk thirty sixty fat mixed weighty down onsick onresting onwarned maintained web-proxy native gate consul""".split()
HOSTS = """cname-out cname-in cname-six cname-in2 cname-in3 cname-node cname-gone loop-a loop-b selfname half-host two-hosts""".split()
NODES = """alpha beta Upper-Node upper-node dot.ted.node under_score six mapped hosty inside twin-a service node sick resting fat1
    node1""".split()


def names():
    """(form, name)"""
    for service in SERVICES + HOSTS:
        yield ("host" if service in HOSTS else "service"), f"{service}.service.consul"
        yield ("host" if service in HOSTS else "service"), f"{service}.service.dc1.consul"
        yield ("host" if service in HOSTS else "service"), f"_{service}._tcp.service.consul"
    yield from [("service", name) for name in (
        "WEB.Service.Consul", "web.service.DC1.consul", "nosuch.service.consul", "nosuch.service.dc1.consul",
        "dot.ted.service.consul", "sub.dot.ted.service.consul")]
    yield from [("tag", name) for name in (
        "v1.web.service.consul", "V1.web.service.dc1.consul", "blue.web.service.consul", "Blue.WEB.service.consul", "tcp.web.service.consul",
        "nosuch.web.service.consul", "v1.nosuch.service.consul", "bigtag.uppersvc.service.consul", "first.redis.service.consul",
        "second.Redis.service.consul", "v1.2.3.tagged.service.consul", "udp.tagged.service.consul", "_odd.tagged.service.consul",
        "v1.down.service.consul", "service.service.service.consul", "v1.blue.web.service.consul")]
    yield from [("rfc2782", name) for name in (
        "_web._v1.service.consul", "_web._V1.service.dc1.consul", "_web._udp.service.consul", "_tagged._udp.service.consul",
        "_WEB._TCP.service.consul", "_web._nosuch.service.consul", "_nosuch._tcp.service.consul", "_web._v1.2.service.consul",
        "x._web._tcp.service.consul", "_web.service.consul")]
    yield from [("rfc2782-short", name) for name in ("_web._tcp.consul", "_web._v1.consul", "_nosuch._tcp.consul", "_web._tcp.dc1.consul")]
    for node in NODES:
        yield "node", f"{node}.node.consul"
        yield "node", f"{node}.node.dc1.consul"
    yield from [("node", name) for name in ("nosuch.node.consul", "nosuch.node.dc1.consul", "ALPHA.Node.consul", "x.alpha.node.consul")]
    yield from [("addr", name) for name in (
        "0a020001.addr.consul", "0a020001.addr.dc1.consul", "0A020001.addr.dc1.consul", "0a020001.addr.a.b.consul", "0a020001.addr.dc9.consul",
        "20010db8000200000000000000000001.addr.dc1.consul", "00000000000000000000ffff0a020001.addr.dc1.consul", "0a0200.addr.consul",
        "0g020001.addr.consul", "0a0200010.addr.dc1.consul", "x.0a020001.addr.consul", "20010db800020000000000000000000g.addr.consul")]
    yield from [("query", name) for name in (
        "q-web.query.consul", "Q-Web.query.dc1.consul", "q-tags.query.consul", "q-passing.query.consul", "q-mixed.query.consul",
        "q-none.query.consul", "q-down.query.consul", "q.dotted.query.consul", "q-bulk.query.consul", "q-host.query.consul",
        "q-connect.query.consul", "q-alone.query.consul", "tpl-web-x.query.consul", "tpl-web-y.query.consul", "geo-web.query.consul",
        "nosuch.query.consul", "_q-web._tcp.query.consul")]
    yield from [("connect", name) for name in ("web.connect.consul", "web.connect.dc1.consul", "v1.web.connect.consul", "native.connect.consul",
                                               "one.connect.consul", "nosuch.connect.consul")]
    yield from [("ingress", name) for name in ("web.ingress.consul", "web.ingress.dc1.consul", "one.ingress.consul", "nosuch.ingress.consul")]
    yield from [("virtual", name) for name in ("web.virtual.consul", "nosuch.virtual.consul")]
    yield from [("bare", name) for name in (
        "service.consul", "node.consul", "query.consul", "connect.consul", "ingress.consul", "addr.consul", "virtual.consul", "dc1.consul",
        "service.dc1.consul", "node.dc1.consul", "addr.dc1.consul", "_tcp.service.consul", "ted.service.consul", "ted.node.node.consul", "ted.node.consul",
        "3.tagged.service.consul")]
    yield from [("unknown", name) for name in ("foo.consul", "web.foo.consul", "foo.dc1.consul", "ns.consul", "web.consul")]
    yield from [("datacenter", name) for name in ("web.service.dc9.consul", "alpha.node.dc9.consul", "q-web.query.dc9.consul",
                                                  "web.connect.dc9.consul", "web.service.a.b.consul", "alpha.node.a.b.consul")]
    yield from [("enterprise", name) for name in (
        "web.service.default.ns.default.ap.dc1.dc.consul", "web.service.default.dc1.consul", "web.service.dc1.dc.consul",
        "web.service.peer1.peer.consul", "web.service.group.sg.consul")]
    yield from [("apex", name) for name in ("consul", "CONSUL")]
    yield from [("alt", name) for name in ("web.service.alt.example", "alpha.node.alt.example", "alt.example", "foo.alt.example",
                                           "_web._tcp.service.alt.example")]
    yield from [("reverse", name) for name in (
        "1.0.1.10.in-addr.arpa", "3.0.1.10.in-addr.arpa", "1.0.2.10.in-addr.arpa", "10.0.1.10.in-addr.arpa", "9.9.9.10.in-addr.arpa",
        "1.0.168.192.in-addr.arpa", "10.in-addr.arpa", "1.10.in-addr.arpa",
        "6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
        "f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa")]
    yield from [("outside", name) for name in ("example.com", "www.example.org", "arpaa")]


def remote_names():
    """The same with a second datacenter, dc2."""
    for service in ("web", "far", "both", "Far-Upper", "down-there", "six-there", "far-host"):
        yield "service", f"{service}.service.dc2.consul"
        yield "service", f"_{service}._tcp.service.dc2.consul"
    yield from [("tag", name) for name in ("v1.web.service.dc2.consul", "nosuch.web.service.dc2.consul", "v1.web.service.dc1.consul")]
    yield from [("service", name) for name in ("web.service.consul", "web.service.dc1.consul", "both.service.dc1.consul", "far.service.consul",
                                               "nosuch.service.dc2.consul", "FAR.Service.DC2.consul")]
    yield from [("node", name) for name in ("far-node.node.dc2.consul", "node2.node.dc2.consul", "node1.node.dc1.consul", "far-node.node.consul",
                                            "nosuch.node.dc2.consul")]
    yield from [("addr", name) for name in ("0a090001.addr.dc2.consul", "0a090001.addr.dc1.consul")]
    yield from [("query", name) for name in ("q-here.query.consul", "q-over.query.consul", "q-over-none.query.consul", "q-there.query.dc2.consul",
                                             "q-here.query.dc2.consul", "q-nearest.query.consul")]
    yield from [("connect", name) for name in ("far.connect.dc2.consul", "far.connect.consul")]
    yield from [("bare", name) for name in ("dc2.consul", "service.dc2.consul", "node.dc2.consul")]
    yield from [("datacenter", name) for name in ("web.service.dc9.consul", "node2.node.dc9.consul", "web.service.dc2.dc1.consul")]


def questions(of=names):
    return [Question(name, type, form) for form, name in of() for type in TYPES]
