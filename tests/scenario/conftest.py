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


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    findings = process.reap_all()
    if findings:
        pytest.fail("\n\n".join(findings), pytrace=False)


@pytest.fixture
def consul(tmp_path):
    return Consul(tmp_path)


@pytest.fixture
def web(consul):
    """Three instances of `web` with addresses of their own, and a node of its own for `db`."""
    for number in (1, 2, 3):
        consul.register("web", id=f"web-{number}", address=f"10.0.0.{number}", port=8000 + number, tags=["v1"] if number < 3 else ["v2"])
    consul.register("db", address="10.0.1.1", port=5432)
    return consul


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
            daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
        return primary, standby
    return make
