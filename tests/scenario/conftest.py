"""What every scenario has: nothing it started outlives it, and no sanitizer finding passes."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.consul import Consul  # noqa: E402
from lib.lictord import Lictord, primary_of  # noqa: E402
from lib import process  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the end of every log, since they are gone from the screen of CI otherwise."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for running in process._running:
            report.sections.append((f"log of {running.name} (status {running.status})", running.tail(60)))


@pytest.fixture(scope="module", autouse=True)
def nothing_left_of_the_module():
    yield
    wrong = process.reap()
    if wrong:
        pytest.fail("\n\n".join(wrong), pytrace=False)


class Kept:
    """The Consul of a module that says `one_consul = True`: its tests have it one after the other, and begin with nothing in it."""

    def __init__(self, base):
        self.base = base
        self.count = 0
        self.consul = None

    def get(self):
        if not self.consul or not self.consul.process.alive:
            self.count += 1
            self.consul = Consul(self.base / str(self.count))
        self.consul.resume()
        return self.consul


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return Kept(tmp_path_factory.mktemp("kept"))


@pytest.fixture(autouse=True)
def nothing_left(request):
    """Processes of module fixtures were started before this one, and stay."""
    if getattr(request.module, "one_consul", False) and "consul" in request.fixturenames:
        request.getfixturevalue("kept").get()
    since = process.mark()
    yield
    wrong = process.reap(since) + process.findings()
    if wrong:
        pytest.fail("\n\n".join(wrong), pytrace=False)


@pytest.fixture
def consul(request, tmp_path):
    if getattr(request.module, "one_consul", False):
        return request.getfixturevalue("kept").get().forget()
    return Consul(tmp_path)


WEB = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def register_web(consul):
    """Three instances of `web` with addresses of their own, and one of `db`."""
    for number in (1, 2, 3):
        consul.register("web", id=f"web-{number}", address=f"10.0.0.{number}", port=8000 + number, tags=["v1"] if number < 3 else ["v2"])
    consul.register("db", address="10.0.1.1", port=5432)
    return consul


@pytest.fixture
def web(consul):
    return register_web(consul)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """For tests that change nothing: one Consul with `web` and one lictord with everything that answers, for the whole module."""
    base = tmp_path_factory.mktemp("shared")
    consul = register_web(Consul(base))
    consul.register("six", address="2001:db8::6", port=6)
    consul.register("noaddr", port=7)  # no address: the node's
    zone = base / "example.org.zone"
    zone.write_text(ZONE)
    daemon = Lictord(base, consul, services={"negative-ttl": "3s"}, zones={"example.org": zone}, workers=2, log="info")
    daemon.wait_addresses("web.service.consul", WEB)
    daemon.wait_addresses("noaddr.service.consul", ["127.0.0.1"])
    return daemon


ZONE = """\
$ORIGIN example.org.
$TTL 300
@       IN SOA ns1 hostmaster 2026010101 3600 600 604800 60
        IN NS  ns1
        IN NS  ns2
ns1     IN A   192.0.2.1
ns2     IN A   192.0.2.2
www     IN A   192.0.2.80
        IN AAAA 2001:db8::80
alias   IN CNAME www
*.wild  IN TXT "any"
"""


@pytest.fixture
def zone_file(tmp_path):
    path = tmp_path / "example.org.zone"
    path.write_text(ZONE)
    return path


@pytest.fixture
def pair(web, tmp_path, zone_file):
    """(primary, standby) with the zone example.org, both seeing `web`; make(**settings) for other ones."""
    def make(election=None, **settings):
        daemons = [Lictord(tmp_path, web, node=node, services={}, election=election or {}, zones={"example.org": zone_file},
                           wait=False, **settings) for node in ("ns1", "ns2")]
        for daemon in daemons:
            daemon.wait_ready()
        primary, (standby,) = primary_of(daemons)
        for daemon in daemons:
            daemon.wait_addresses("web.service.consul", WEB)
        return primary, standby
    return make
