"""A change of health, and services that come and go."""

import time

from lib.lictord import Lictord


def test_critical_leaves_and_returns(web, tmp_path):
    daemon = Lictord(tmp_path, web, services={})
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    started = time.monotonic()
    web.set_check("web-2", "critical")
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.3"], timeout=3)
    print(f"critical to the changed answer: {(time.monotonic() - started) * 1000:.0f} ms")
    assert daemon.addresses("v1.web.service.consul") == ["10.0.0.1"]
    assert len(daemon.ask("web.service.consul", "SRV").records("SRV")) == 2
    web.set_check("web-2", "passing")
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2", "10.0.0.3"], timeout=3)


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
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    web.register("late", address="10.0.2.1")
    daemon.wait_addresses("late.service.consul", ["10.0.2.1"], timeout=5)
    web.deregister("late")
    # Seen to be gone only by an empty list, which is to be believed after a second look (and held longer without a canary).
    daemon.wait_addresses("late.service.consul", [], timeout=45)
    web.register("web", id="web-4", address="10.0.0.4", port=8004)
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"], timeout=5)
    web.deregister("web-4")
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2", "10.0.0.3"], timeout=5)


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
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    web.put("/v1/agent/service/maintenance/web-1?enable=true&reason=test")
    daemon.wait_addresses("web.service.consul", ["10.0.0.2", "10.0.0.3"], timeout=5)
    web.put("/v1/agent/service/maintenance/web-1?enable=false")
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2", "10.0.0.3"], timeout=5)
