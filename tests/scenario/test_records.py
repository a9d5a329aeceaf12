"""Health-driven records: what they answer, what they commit, and what secondaries and restarts have of them."""

import json
import statistics
import time

import pytest

from conftest import ZONE
from lib import secondaries
from lib.consul import Consul, federation
from lib.dnsq import EDE_NO_AUTHORITY
from lib.lictord import Lictord, primary_of
from lib.wait import free_port, stays, until

NAME = "example.org"
LOOPBACK = '"127.0.0.0/8"'


def record(name, **settings):
    def value(v):
        return "{" + ", ".join(f'"{item}"' for item in v) + "}" if isinstance(v, (list, tuple)) else f'"{v}"'
    return f'record "{name}" {{ ' + " ".join(f"{key.replace('_', '-')} = {value(v)}" for key, v in settings.items()) + " }\n"


def zone(file, *records, extra=""):
    return f'zone "{NAME}" {{ file = "{file}" transfer = {{{LOOPBACK}}} {extra}\n' + "".join(records) + "}\n"


def records_of(daemon):
    (found,) = [z for z in json.loads(daemon.command("zones", "--json", check=True).stdout) if z["zone"] == NAME]
    return {r["record"]: r for r in found["records"]}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "zone"
    path.write_text(ZONE.replace("www ", "static "))
    return path


@pytest.fixture
def single(consul, tmp_path, file):
    """One server without an election, whose records follow `web` in each way that there is."""
    for n in (1, 2, 3):
        consul.register("web", id=f"web-{n}", address=f"10.0.0.{n}", port=8000 + n, tags=["even" if n == 2 else "odd"])
    consul.register("spare", address="10.0.9.1", port=99)
    text = zone(file, record("www", service="web"),
                record("even", service="even.web", fallback=["spare", "198.51.100.7"]),
                record("last", service="web", when_all_down="last"),
                record("none", service="web", when_all_down="none"),
                record("fail", service="web", when_all_down="servfail"),
                record("fixed", service="web", when_all_down=["198.51.100.9", "2001:db8::9"]),
                record("two", service="web", min_healthy="2", fallback=["spare"]),
                record("*.wild", service="web"),
                record("_web._tcp", service="web", type="SRV"))
    daemon = Lictord(tmp_path, consul, services={}, extra=text)
    daemon.wait_addresses(f"www.{NAME}", ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    return daemon


def set_web(consul, *healthy):
    for n in (1, 2, 3):
        consul.set_check(f"web-{n}", "passing" if n in healthy else "critical")


def test_answers_follow_health(single, consul):
    ask = lambda name, type="A": single.ask(f"{name}.{NAME}", type)
    assert ask("even").addresses() == ["10.0.0.2"] and ask("x.wild").addresses() == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    srv = ask("_web._tcp", "SRV")
    assert srv.records("SRV") == [f"1 1 {8000 + n} 0a00000{n}._web._tcp.{NAME}." for n in (1, 2, 3)]
    assert ask("0a000002._web._tcp").addresses() == ["10.0.0.2"]
    assert ask("www").ttl() == 5 and ask("www", "AAAA").rcode == "NOERROR"

    set_web(consul, 1, 3)
    single.wait_addresses(f"www.{NAME}", ["10.0.0.1", "10.0.0.3"])
    single.wait_addresses(f"even.{NAME}", ["10.0.9.1"])
    assert ask("0a000002._web._tcp").rcode == "NXDOMAIN"
    single.wait_logged(r"even\.example\.org\.: even\.web has 0 of 1 healthy \(.*check .* is critical.*\): falls back to spare")
    set_web(consul, 3)
    single.wait_addresses(f"two.{NAME}", ["10.0.9.1"])
    assert ask("www").addresses() == ["10.0.0.3"]

    set_web(consul)
    single.wait_addresses(f"fixed.{NAME}", ["198.51.100.9"])
    assert ask("fixed", "AAAA").addresses() == ["2001:db8::9"]
    assert ask("www").addresses() == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert ask("last").addresses() == ["10.0.0.3"]
    none = ask("none")
    assert none.rcode == "NOERROR" and not none.addresses() and none.records("SOA", "authority")
    fail = ask("fail")
    assert fail.rcode == "SERVFAIL" and fail.ede_codes() == [EDE_NO_AUTHORITY], fail
    consul.set_check("service:spare" if False else "spare", "critical")
    single.wait_addresses(f"even.{NAME}", ["198.51.100.7"])
