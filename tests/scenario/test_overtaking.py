"""Replies of Consul that overtake each other: what was true earlier never replaces what is true."""

import pytest

from lib.lictord import Lictord
from lib.proxy import Proxy
from lib.wait import stays, until


@pytest.mark.parametrize("late", ["/v1/health/service/consul?consistent", "/v1/health/service/web?consistent"])
def test_instance_that_comes_back_meanwhile_stays(consul, tmp_path, late):
    """The last instance goes, and is there again before the reads that confirm its going are back."""
    seen = []

    def delay(path):
        if path != late:
            return 0
        seen.append(path)
        return 1.5

    proxy = Proxy(consul, delay)
    try:
        consul.register("web", address="10.0.0.1")
        daemon = Lictord(tmp_path, consul, services={}, consul_settings={"address": proxy.url})
        daemon.wait_addresses("web.service.consul", ["10.0.0.1"])
        consul.deregister("web")
        until(lambda: seen, what="the daemon asks whether it may believe this")
        consul.register("web", address="10.0.0.2")
        daemon.wait_addresses("web.service.consul", ["10.0.0.2"])
        stays(lambda: daemon.addresses("web.service.consul") == ["10.0.0.2"], 3, what="the instance stays")
        consul.deregister("web")
        daemon.wait_addresses("web.service.consul", [])
    finally:
        proxy.close()
