"""watch = "asked": only services that are asked for are watched, and nobody who asks can tell."""

import pytest

from lib.dnsq import EDE_NOT_READY
from lib.lictord import Lictord
from lib.wait import until


@pytest.fixture
def daemon(web, tmp_path):
    web.register("a.dotted", address="10.0.2.1", port=1)
    web.register("down", address="10.0.3.1", status="critical")
    daemon = Lictord(tmp_path, web, services={"watch": "asked"})
    until(lambda: daemon.status()["view"]["live"], what="a live view")
    return daemon


def watched(daemon):
    return daemon.status()["view"]["services"]


def first(daemon, name, type="A"):
    """The first answer for a name that needs Consul: on a busy machine it may be late, but it is never a denial."""
    reply = daemon.ask(name, type, timeout=3)
    if reply.rcode == "SERVFAIL":
        assert EDE_NOT_READY in reply.ede_codes(), reply
        reply = until(lambda: (again := daemon.ask(name, type)).rcode == "NOERROR" and again, what=name)
    return reply


def test_first_question_and_what_follows(daemon, web):
    assert watched(daemon) == 0
    assert first(daemon, "web.service.consul").addresses() == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert watched(daemon) == 1
    web.set_check("web-3", "critical")
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2"])
    web.register("web", id="web-4", address="10.0.0.4", port=8004)
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2", "10.0.0.4"])
    # By each form of a name.
    assert first(daemon, "_db._tcp.service.dc1.consul", "SRV").records("SRV") == ["1 1 5432 0a000101.addr.dc1.consul."]
    assert first(daemon, "a.dotted.service.consul").addresses() == ["10.0.2.1"]
    assert daemon.addresses("v1.web.service.dc1.consul") == ["10.0.0.1", "10.0.0.2"]
    # What does not exist is denied without a question to Consul: at once, and without limit.
    asked = daemon.metrics().total("lictor_asks_total")
    for name in ("nosuch.service.consul", "nosuch.web.service.consul", "x.y.z.service.dc1.consul", "_no._tcp.service.consul"):
        for _ in range(50):
            assert daemon.ask(name).rcode == "NXDOMAIN", name
    assert daemon.metrics().total("lictor_asks_total") == asked
    # One whose instances are all down, too, once it is watched.
    until(lambda: daemon.ask("down.service.consul", timeout=3).rcode == "NXDOMAIN", what="down")
    assert watched(daemon) == 4


def test_services_that_come_and_go(daemon, web):
    assert daemon.ask("later.service.consul").rcode == "NXDOMAIN"
    web.register("later", address="10.0.9.1")
    until(lambda: daemon.ask("later.service.consul").addresses() == ["10.0.9.1"], what="a new service")
    web.deregister("later")
    until(lambda: daemon.ask("later.service.consul").rcode == "NXDOMAIN", timeout=40, what="a service that went")
    until(lambda: watched(daemon) == 0, what="nothing is left of it")


def test_consul_away(daemon, web):
    """What was asked for goes on, also after a restart; what was not is not denied."""
    first(daemon, "web.service.consul")
    daemon.stop()  # with a saved view
    daemon.start()
    until(lambda: daemon.status()["view"]["live"] and watched(daemon) == 1, what="the service of the saved view, watched again")
    web.set_check("web-3", "critical")
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2"])
    web.kill()
    until(lambda: 3 in daemon.ask("web.service.consul").ede_codes(), timeout=40, what="a stale answer")
    reply = daemon.ask("db.service.consul", timeout=3)
    assert reply.rcode == "SERVFAIL" and EDE_NOT_READY in reply.ede_codes()
    assert daemon.ask("nosuch.service.consul").rcode == "NXDOMAIN"
    daemon.stop()
    daemon.start()
    reply = daemon.ask("web.service.consul")
    assert len(reply.addresses()) >= 2 and 3 in reply.ede_codes()
    for name in ("db.service.consul", "nosuch.service.consul"):  # the list of names is not known yet
        assert daemon.ask(name, timeout=3).rcode == "SERVFAIL", name
    web.restart()
    until(lambda: daemon.ask("web.service.consul").ede() == [], timeout=40, what="live again")
    until(lambda: daemon.ask("db.service.consul", timeout=3).addresses() == ["10.0.1.1"], what="db")
    assert daemon.ask("nosuch.service.consul").rcode == "NXDOMAIN"
    assert watched(daemon) == 2
