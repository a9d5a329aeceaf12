"""A zone of 100,000 records in Consul's KV: imported, mirrored, taken over, restarted. Prints how long each took; with LICTOR_TEST_LONG=1 only."""

import json
import os
import time

import pytest

from lib.lictord import Lictord, primary_of
from lib.wait import until

RECORDS = 100_000
ROUNDS = 3
ZONE = "example.org"

pytestmark = pytest.mark.skipif(not os.environ.get("LICTOR_TEST_LONG"), reason="long: set LICTOR_TEST_LONG=1")


def write(file, serial, more=0):
    lines = [f"$ORIGIN {ZONE}.", "$TTL 300", f"@ SOA ns1 hostmaster {serial} 3600 600 604800 60", "@ NS ns1", "ns1 A 192.0.2.1"]
    lines += [f"h{i} A 198.18.{i >> 8 & 255}.{i & 255}" for i in range(RECORDS - 3 + more)]
    file.write_text("\n".join(lines) + "\n")


def state(daemon):
    (zone,) = json.loads(daemon.command("zones", "--json", check=True).stdout)
    return zone


def holds(daemon, serial):
    zone = state(daemon)
    return zone["state"] == "current" and zone["serial"] == serial


def timed(what, condition):
    begin = time.monotonic()
    until(condition, timeout=120)
    print(f"{what}: {time.monotonic() - begin:.2f} s")


def test_100000_records_are_imported_mirrored_and_taken_over(consul, tmp_path):
    file = tmp_path / f"{ZONE}.zone"
    write(file, 1)
    begin = time.monotonic()
    daemons = [Lictord(tmp_path, consul, node=node, election={"standby": "serve"}, zones={ZONE: file}, wait=False) for node in ("ns1", "ns2")]
    until(lambda: any(d.is_primary() for d in daemons), timeout=60)
    primary, (standby,) = primary_of(daemons)
    print(f"\nstart to a primary: {time.monotonic() - begin:.2f} s")
    timed("imported", lambda: holds(primary, 1))
    timed("mirrored", lambda: holds(standby, 1))
    assert state(standby)["records"] == RECORDS
    for serial in range(2, 2 + ROUNDS):
        write(file, serial, serial)
        primary.command("reload", check=True)
        timed(f"round {serial - 1}: a newer file imported", lambda: holds(primary, serial))
        timed("  mirrored", lambda: holds(standby, serial))
        primary.kill()
        timed("  taken over", standby.is_primary)
        name = f"h{RECORDS - 4 + serial}.{ZONE}"
        assert standby.ask(name).addresses(), "what was committed last is there"
        primary.start(wait=False)
        timed("  restarted from its mirror", lambda: primary.ask(name).addresses() and holds(primary, serial))
        primary, standby = standby, primary
    assert state(primary)["records"] == RECORDS + 1 + ROUNDS
