"""A Consul, or something between, that answers nonsense: the view stays, and is live again when sense returns."""

from pathlib import Path

import pytest

from lib.lictord import Lictord
from lib.proxy import Proxy
from lib.wait import stays, until

one_consul = True

WEB = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


@pytest.fixture
def proxies(web):
    """proxies(): one more in front of the Consul with `web`."""
    made = []

    def make():
        made.append(Proxy(web))
        return made[-1]
    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture
def proxy(proxies):
    return proxies()


def resident_mb(daemon):
    for line in Path(f"/proc/{daemon.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024


# Each has a daemon and a proxy of its own, side by side; those that make gigabytes go alone.
@pytest.mark.parametrize("modes", [["error", "garbage", "wrong type", "truncated", "reset", "no index"], ["endless"], ["tiny elements"]],
                         ids=lambda modes: "small" if len(modes) > 1 else modes[0])
def test_nonsense_changes_nothing(web, tmp_path, proxies, modes):
    daemons = {}
    for mode in modes:
        proxy = proxies()
        daemon = Lictord(tmp_path, web, node=mode.replace(" ", "-"), services={}, consul_settings={"address": proxy.url}, log="info")
        daemons[mode] = daemon, proxy
    before = {}
    for mode, (daemon, proxy) in daemons.items():
        daemon.wait_addresses("web.service.consul", WEB)
        before[mode] = resident_mb(daemon)
    for mode, (daemon, proxy) in daemons.items():
        proxy.mode = mode
    for mode, (daemon, proxy) in daemons.items():
        until(lambda: proxy.served > 0, timeout=30, what=f"the daemon asked ({mode})")
    web.register("wake", address="10.0.0.9")
    wrong = {}

    def answers_go_on():
        wrong.update({mode: found for mode, (daemon, _) in daemons.items() if (found := daemon.addresses("web.service.consul")) != WEB})
        return not wrong
    stays(answers_go_on, 3, what=lambda: f"answers changed: {wrong}")
    for mode, (daemon, proxy) in daemons.items():
        if mode != "no index":
            assert len(daemon.process.text().splitlines()) < 400, f"one trouble, few lines ({mode})"
        # 64 MiB a body, four of them at once; AddressSanitizer keeps some of what was freed.
        assert resident_mb(daemon) < before[mode] + 700, f"what came is not kept ({mode})"
        assert daemon.http("/healthz")[0] == 200
        proxy.mode = "pass"
    for daemon, _ in daemons.values():
        daemon.wait_addresses("wake.service.consul", ["10.0.0.9"], timeout=20)
    web.set_check("web-1", "critical")
    for daemon, _ in daemons.values():
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
