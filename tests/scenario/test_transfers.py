"""Zones to real secondaries: NSD, Knot and BIND 9 by AXFR, IXFR and NOTIFY, with TSIG."""

import json

import pytest

from conftest import ZONE
from lib import secondaries
from lib.lictord import Lictord, primary_of
from lib.secondaries import KEY
from lib.wait import free_port, until

KEY_BLOCK = f'key "{KEY[0]}" {{ secret = "{KEY[1]}" }}\n'
CONTENT = ZONE + """\
mail    IN MX 10 www
sub     IN NS ns.sub
ns.sub  IN A 192.0.2.99
inner.sub IN TXT "below a cut"
odd     IN TYPE65280 \\# 3 0a0b0c
""" + "".join(f"host{n} IN A 10.1.{n // 250}.{n % 250 + 1}\n" for n in range(500))


def zone_block(name, file, ports, extra=""):
    """Every second secondary is told with a signature."""
    notify = ", ".join(f'"127.0.0.1:{port}{f" key:{KEY[0]}" if n % 2 else ""}"' for n, port in enumerate(ports))
    return f'zone "{name}" {{ file = "{file}" transfer = {{"key:{KEY[0]}"}} notify = {{{notify}}} {extra}}}\n'


class Source:
    """A zone file that changes: each version has a serial and records of its own."""

    def __init__(self, *paths):
        self.paths = paths
        self.serial = 2026010101
        self.lines = ""
        self.write()

    def write(self):
        for path in self.paths:
            path.write_text(CONTENT.replace("2026010101", str(self.serial)) + self.lines)

    def change(self, *lines):
        self.serial += 1
        self.lines += "".join(line + "\n" for line in lines)
        self.write()


def transfers(daemon, type, result="sent"):
    return daemon.metrics()[f'lictor_transfers_total{{type="{type}",result="{result}"}}']


def told(daemon, zone="example.org"):
    """What the secondaries of a zone acknowledged, by address."""
    for entry in json.loads(daemon.command("zones", "--json", check=True).stdout):
        if entry["zone"] == zone:
            return {s["address"]: s for s in entry["secondaries"]}
    raise AssertionError(f"no zone {zone}")


def test_nsd_knot_and_bind_follow(tmp_path):
    source = Source(tmp_path / "zone")
    ports = [free_port() for _ in secondaries.ALL]
    daemon = Lictord(tmp_path, zones={}, extra=KEY_BLOCK + zone_block("example.org", source.paths[0], ports))
    fleet = [kind(tmp_path, ["example.org"], [daemon.port], port, wait=False) for kind, port in zip(secondaries.ALL, ports)]
    for server in fleet:
        server.wait_serial("example.org", source.serial)
    assert transfers(daemon, "axfr") + transfers(daemon, "ixfr_whole_zone") >= 3
    assert transfers(daemon, "ixfr") == 0

    source.change("new IN A 192.0.2.200", "mail IN MX 20 new")
    daemon.command("reload", check=True)
    for server in fleet:
        server.wait_serial("example.org", source.serial)
        assert server.ask("new.example.org").addresses() == ["192.0.2.200"]
    assert transfers(daemon, "ixfr") >= 3, "a change goes by differences"
    until(lambda: all(s["acknowledged"] == source.serial and s["state"] == "acknowledged" and s["error"] is None for s in told(daemon).values()),
          what=lambda: told(daemon))
    assert set(told(daemon)) == {f"127.0.0.1:{port}" for port in ports}
    contents = [server.zone("example.org") for server in fleet]
    assert contents[0] == contents[1] == contents[2]
