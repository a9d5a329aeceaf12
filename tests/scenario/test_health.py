"""A change of health, and services that come and go."""

import time

import pytest

from lib.dnsq import ask
from lib.lictord import Lictord
from lib.wait import until

one_consul = True

WEB = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


@pytest.fixture
def lictord(web, tmp_path):
    daemon = Lictord(tmp_path, web, services={})
    daemon.wait_addresses("web.service.consul", WEB)
    return daemon


def test_critical_leaves_and_returns(web, tmp_path):
    daemon = Lictord(tmp_path, web, services={})
    daemon.wait_addresses("web.service.consul", WEB)
    started = time.monotonic()
    web.set_check("web-2", "critical")
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.3"], timeout=3)
    print(f"critical to the changed answer: {(time.monotonic() - started) * 1000:.0f} ms")
    assert daemon.addresses("v1.web.service.consul") == ["10.0.0.1"]
    assert len(daemon.ask("web.service.consul", "SRV").records("SRV")) == 2
    web.set_check("web-2", "passing")
    daemon.wait_addresses("web.service.consul", WEB, timeout=3)


def test_all_critical_is_nxdomain_then_back(web, tmp_path):
    daemon = Lictord(tmp_path, web, services={})
    daemon.wait_addresses("db.service.consul", ["10.0.1.1"])
    web.set_check("db", "critical")
    daemon.wait_addresses("db.service.consul", [], timeout=3)
    assert daemon.ask("db.service.consul").rcode == "NXDOMAIN"
    web.set_check("db", "passing")
    daemon.wait_addresses("db.service.consul", ["10.0.1.1"], timeout=3)


def test_new_and_removed_services(web, tmp_path):
    daemon = Lictord(tmp_path, web, services={})
    daemon.wait_addresses("web.service.consul", WEB)
    web.register("late", address="10.0.2.1")
    daemon.wait_addresses("late.service.consul", ["10.0.2.1"], timeout=5)
    web.deregister("late")
    # Seen to be gone only by an empty list, which is to be believed after a second look (and held longer without a canary).
    daemon.wait_addresses("late.service.consul", [], timeout=45)
    web.register("web", id="web-4", address="10.0.0.4", port=8004)
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"], timeout=5)
    web.deregister("web-4")
    daemon.wait_addresses("web.service.consul", WEB, timeout=5)


def test_node_check_takes_its_services(web, tmp_path):
    """A node-level check takes every service of that node out, as Consul has it."""
    web.register_external("ext1", "10.0.3.1", "ext")
    daemon = Lictord(tmp_path, web, services={})
    daemon.wait_addresses("ext.service.consul", ["10.0.3.1"])
    web.put("/v1/catalog/register", {"Node": "ext1", "Address": "10.0.3.1",
                                     "Check": {"Node": "ext1", "CheckID": "alive", "Name": "alive", "Status": "critical"}})
    daemon.wait_addresses("ext.service.consul", [], timeout=5)


def test_maintenance(web, tmp_path):
    daemon = Lictord(tmp_path, web, services={})
    daemon.wait_addresses("web.service.consul", WEB)
    web.put("/v1/agent/service/maintenance/web-1?enable=true&reason=test")
    daemon.wait_addresses("web.service.consul", ["10.0.0.2", "10.0.0.3"], timeout=5)
    web.put("/v1/agent/service/maintenance/web-1?enable=false")
    daemon.wait_addresses("web.service.consul", WEB, timeout=5)


def test_many_addresses_fit_or_say_tc(lictord):
    for number in range(60):
        lictord.consul.register("many", id=f"many-{number}", address=f"10.9.0.{number + 1}", port=9)
    # The view follows in steps: a message that is whole under TCP shows when it has all of them.
    until(lambda: len(lictord.ask("many.service.consul", "SRV", tcp=True, timeout=5).message.answer[0]) == 60, timeout=20)
    small = lictord.ask("many.service.consul", "SRV", edns=False)
    assert small.tc and len(small.message.to_wire()) <= 512
    a = lictord.ask("many.service.consul", "A")
    assert len(a.addresses()) == 40 and not a.tc, "services.answers is 40 by default"
    seen = set()
    for _ in range(40):
        seen.update(lictord.ask("many.service.consul", "A").addresses())
    assert len(seen) == 60, "every instance gets its share"


def test_inspection_names(lictord):
    lictord.consul.set_check("web-2", "critical")
    lictord.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.3"])
    health = until(lambda: lictord.ask("web.health.lictor", "TXT").texts())
    assert any("critical" in text for text in health), health
    status = lictord.ask("status.lictor", "TXT")
    assert status.rcode == "NOERROR" and status.texts()
    assert any("ns1" in text for text in status.texts())


def test_dead_instance_and_warning(lictord):
    lictord.consul.set_check("web-1", "warning")
    lictord.consul.set_check("web-2", "critical")
    reply = lictord.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.3"])
    assert ask(("127.0.0.1", lictord.consul.ports["dns"]), "web.service.consul").addresses() == reply.addresses()


def test_only_passing(web, tmp_path):
    web.set_check("web-1", "warning")
    daemon = Lictord(tmp_path, web, services={"only-passing": True})
    daemon.wait_addresses("web.service.consul", ["10.0.0.2", "10.0.0.3"])


def test_ttls_and_domains(web, tmp_path):
    daemon = Lictord(tmp_path, web, services={"node-ttl": "7s", "service-ttl": ["web=10s", "d*=5s", "*=2s"], "alt-domain": "svc.test"})
    assert daemon.wait_addresses("web.service.consul", WEB).ttl() == 10
    assert daemon.wait_addresses("db.service.consul", ["10.0.1.1"]).ttl() == 5
    assert daemon.wait_addresses("node1.node.consul", ["127.0.0.1"]).ttl() == 7
    assert daemon.wait_addresses("web.service.svc.test", WEB).ttl() == 10
    other = Lictord(tmp_path, web, node="other", services={"domain": "example.net"})
    other.wait_addresses("web.service.example.net", WEB)
    assert other.ask("web.service.consul").rcode == "REFUSED"


def test_change_of_a_service_without_a_blocked_query_is_quick(consul, tmp_path):
    """Change after change, each seen before the next: the lists that tell where to look are not asked at leisure."""
    for number in range(130):  # twice what the pool holds
        consul.register(f"s{number}", id=f"s{number}-1", address=f"10.1.0.{number + 1}")
        consul.register(f"s{number}", id=f"s{number}-2", address=f"10.2.0.{number + 1}")
    daemon = Lictord(tmp_path, consul, services={}, log="info")
    for number in range(130):
        daemon.wait_addresses(f"s{number}.service.consul", [f"10.1.0.{number + 1}", f"10.2.0.{number + 1}"])

    def change(number, status, want):
        consul.set_check(f"s{number}-2", status)
        started = time.monotonic()
        until(lambda: len(daemon.addresses(f"s{number}.service.consul")) == want, every=0.001)
        return time.monotonic() - started

    took = sorted(change(number, status, want) for number in range(130) for status, want in (("critical", 1), ("passing", 2)))
    p80 = took[len(took) * 8 // 10]  # among those that have none
    print(f"p80 {p80 * 1000:.1f} ms, slowest {took[-1] * 1000:.1f} ms")
    assert p80 < 0.05, took
