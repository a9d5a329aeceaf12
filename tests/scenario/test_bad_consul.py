"""A Consul, or something between, that answers nonsense: the view stays, and is live again when sense returns."""

from pathlib import Path

import pytest

from lib.lictord import Lictord
from lib.proxy import Proxy
from lib.wait import stays, until

WEB = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


@pytest.fixture
def proxy(web):
    proxy = Proxy(web)
    yield proxy
    proxy.close()


def resident_mb(daemon):
    for line in Path(f"/proc/{daemon.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024


@pytest.mark.parametrize("mode", ["error", "garbage", "wrong type", "truncated", "endless", "reset", "no index", "tiny elements"])
def test_nonsense_changes_nothing(web, tmp_path, proxy, mode):
    daemon = Lictord(tmp_path, web, services={}, consul_settings={"address": proxy.url}, log="info")
    daemon.wait_addresses("web.service.consul", WEB)
    before = resident_mb(daemon)
    proxy.mode = mode
    until(lambda: proxy.served > 0, timeout=30, what="the daemon asked")
    web.register("wake", address="10.0.0.9")
    stays(lambda: daemon.addresses("web.service.consul") == WEB, 3, what=f"answers went on ({mode})")
    if mode != "no index":
        assert len(daemon.process.text().splitlines()) < 400, "one trouble, few lines"
    # 64 MiB a body, four of them at once; AddressSanitizer keeps some of what was freed.
    assert resident_mb(daemon) < before + 700, "an endless body is not kept"
    assert daemon.http("/healthz")[0] == 200
    proxy.mode = "pass"
    daemon.wait_addresses("wake.service.consul", ["10.0.0.9"], timeout=20)
    web.set_check("web-1", "critical")
    daemon.wait_addresses("web.service.consul", WEB[1:], timeout=30)


def test_nonsense_from_the_start(web, tmp_path, proxy):
    """Nothing true is known yet: SERVFAIL, never an invented NXDOMAIN."""
    proxy.mode = "wrong type"
    daemon = Lictord(tmp_path, web, services={}, consul_settings={"address": proxy.url}, wait=False)
    until(lambda: proxy.served > 2, timeout=30)
    assert daemon.ask("web.service.consul").rcode == "SERVFAIL"
    assert daemon.http("/readyz")[0] == 503
    proxy.mode = "pass"
    daemon.wait_addresses("web.service.consul", WEB, timeout=60)


def test_primary_behind_nonsense_steps_down(web, tmp_path, zone_file, proxy):
    """Errors confirm no lease: the acting ends with it, and comes back."""
    daemon = Lictord(tmp_path, web, election={}, zones={"example.org": zone_file}, consul_settings={"address": proxy.url})
    until(daemon.is_primary)
    proxy.mode = "garbage"
    until(lambda: not daemon.is_primary(), timeout=10)
    assert daemon.addresses("www.example.org") == ["192.0.2.80"], "answering does no harm"
    proxy.mode = "pass"
    until(daemon.is_primary, timeout=40)
