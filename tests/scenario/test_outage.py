"""Consul away: answers go on, say that they are stale, and become live again."""

import shutil
import time

import pytest

from lib.consul import cluster
from lib.dnsq import EDE_NO_AUTHORITY, EDE_STALE
from lib.lictord import Lictord
from lib.wait import stays, until

WEB = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def stale(daemon, name="web.service.consul"):
    reply = daemon.ask(name)
    return reply if EDE_STALE in reply.ede_codes() else None


def live(daemon, name="web.service.consul"):
    reply = daemon.ask(name)
    return reply if reply.ede() == [] and reply.addresses() else None


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_lost_consul_and_its_return(web, tmp_path, how):
    daemon = Lictord(tmp_path, web, services={})
    daemon.wait_addresses("web.service.consul", WEB)
    if how == "killed":
        web.kill()
    else:
        web.pause()
    reply = until(lambda: stale(daemon), timeout=40, what="EDE 3 (stale answer)")
    assert reply.rcode == "NOERROR" and reply.addresses() == WEB and reply.ede()[0][1], "with a text"
    assert reply.ttl() <= 30
    stays(lambda: daemon.addresses("web.service.consul") == WEB, 2, what="answers went on")
    assert daemon.ask("nosuch.service.consul").rcode == "NXDOMAIN"
    assert daemon.metrics().total("lictor_answers_total", data="stale") > 0
    if how == "killed":
        web.restart()
    else:
        web.resume()
    until(lambda: live(daemon), timeout=40, what="live answers again")
    web.set_check("web-3", "critical")
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2"], timeout=10)


def test_no_consul_leader(tmp_path):
    """500 `No cluster leader`: an answer of Consul that says nothing about the catalog."""
    first, second = cluster(tmp_path, 2)
    first.register("web", address="10.0.0.1")
    daemon = Lictord(tmp_path, first, services={})
    daemon.wait_addresses("web.service.consul", ["10.0.0.1"])
    second.kill()
    stays(lambda: daemon.addresses("web.service.consul") == ["10.0.0.1"], 5, what="answers went on without a leader")
    until(lambda: stale(daemon), timeout=40)
    second.restart()
    until(lambda: live(daemon), timeout=40)
    assert daemon.addresses("web.service.consul") == ["10.0.0.1"]


def test_restart_during_an_outage(web, tmp_path):
    daemon = Lictord(tmp_path, web, services={})
    daemon.wait_addresses("web.service.consul", WEB)
    web.set_check("web-1", "critical")
    daemon.wait_addresses("web.service.consul", ["10.0.0.2", "10.0.0.3"])
    daemon.stop()
    web.kill()
    daemon.start(wait=False)
    reply = daemon.wait_addresses("web.service.consul", ["10.0.0.2", "10.0.0.3"], timeout=15)
    assert EDE_STALE in reply.ede_codes()
    web.restart()
    until(lambda: live(daemon), timeout=40)
    web.set_check("web-1", "passing")
    daemon.wait_addresses("web.service.consul", WEB, timeout=10)


def test_killed_and_started_during_an_outage(web, tmp_path):
    """The view is on disk before the end, not only at a clean one."""
    daemon = Lictord(tmp_path, web, services={})
    daemon.wait_addresses("web.service.consul", WEB)
    until(lambda: any((daemon.dir / "state").glob("*view*")) or list((daemon.dir / "state").iterdir())[1:], timeout=40,
          what="a saved view in state-dir")
    until(lambda: any(b"web" in path.read_bytes() for path in (daemon.dir / "state").iterdir() if path.is_file()), timeout=40,
          what="the view in state-dir")
    daemon.kill()
    web.kill()
    daemon.start(wait=False)
    reply = daemon.wait_addresses("web.service.consul", WEB, timeout=15)
    assert EDE_STALE in reply.ede_codes()


def test_agent_restarts_with_an_empty_catalog(consul, tmp_path):
    """Its data is gone and its indexes begin anew: what most of the view consists of is not believed to be gone at once, and
    what is registered again is believed although its indexes are lower."""
    addresses = sorted(f"10.7.0.{number + 1}" for number in range(25))

    def register():
        for number, address in enumerate(addresses):
            consul.register_external(f"ext{number}", address, "web")
    register()
    for number in range(200):
        consul.put("/v1/kv/tests/index", str(number).encode())  # the new one's indexes shall be lower
    register()
    daemon = Lictord(tmp_path, consul, services={"answers": 0}, log="info")
    daemon.wait_addresses("web.service.consul", addresses)
    consul.kill()
    shutil.rmtree(consul.dir / "data")
    consul.restart()
    stays(lambda: daemon.addresses("web.service.consul") == addresses, 6, what="the view is kept")
    until(lambda: daemon.metrics()["lictor_watch_held_total"] >= 1, timeout=20, what="the hold is counted")
    register()
    until(lambda: live(daemon), timeout=40, what="live answers")
    assert daemon.addresses("web.service.consul") == addresses, "never empty"
    consul.register_external("ext0", addresses[0], "web", status="critical")
    daemon.wait_addresses("web.service.consul", addresses[1:], timeout=40)
    consul.register_external("ext0", addresses[0], "web")
    daemon.wait_addresses("web.service.consul", addresses, timeout=40)


def test_too_old_is_servfail(web, tmp_path):
    daemon = Lictord(tmp_path, web, services={}, consul_settings={"stale-for": "3s"})
    daemon.wait_addresses("web.service.consul", WEB)
    web.kill()

    def gone():
        reply = daemon.ask("web.service.consul")
        return reply if reply.rcode == "SERVFAIL" else None
    reply = until(gone, timeout=40)
    assert EDE_NO_AUTHORITY in reply.ede_codes()
    web.restart()
    until(lambda: live(daemon), timeout=40)


def test_reload_lengthens_how_long_a_restored_view_is_served(web, tmp_path):
    daemon = Lictord(tmp_path, web, services={}, consul_settings={"stale-for": "2s"})
    daemon.wait_addresses("web.service.consul", WEB)
    daemon.stop()
    web.kill()
    daemon.start(wait=False)
    until(lambda: EDE_NO_AUTHORITY in daemon.ask("web.service.consul").ede_codes(), timeout=20)
    daemon.consul_settings["stale-for"] = "1h"
    daemon.write_config()
    daemon.reload()
    assert EDE_STALE in daemon.wait_addresses("web.service.consul", WEB).ede_codes()


def test_crash_loop_leaves_connections_to_others(consul, tmp_path):
    """Consul keeps a connection whose client died until its blocking query ends, and allows 200 to one host."""
    for number in range(54):  # all the blocked queries there may be
        consul.put("/v1/catalog/register", {"Node": "n", "Address": "10.9.0.1", "Service": {"Service": f"s{number}", "ID": f"s{number}"}})
    daemon = Lictord(tmp_path, consul, services={}, log="info", start=False)
    for _ in range(6):
        daemon.start(wait=False)
        until(lambda: daemon.metrics().total("lictor_consul_requests_in_flight", client="watch") >= 56)
        time.sleep(2)
        daemon.kill()
        assert consul.get("/v1/status/leader"), "Consul still talks to this host"


def test_start_without_consul(tmp_path, consul):
    """Nothing known and nobody to ask: SERVFAIL with a reason, not silence and not NXDOMAIN; then live as soon as it comes."""
    consul.register("web", address="10.0.0.1")
    consul.kill()
    daemon = Lictord(tmp_path, consul, services={}, wait=False)
    reply = until(lambda: daemon.ask("web.service.consul"), timeout=15)
    assert reply.rcode == "SERVFAIL" and reply.ede()
    assert daemon.http("/readyz")[0] == 503 and daemon.http("/healthz")[0] == 200
    consul.restart()
    consul.register("web", address="10.0.0.1")
    daemon.wait_addresses("web.service.consul", ["10.0.0.1"], timeout=30)
    daemon.wait_ready()
