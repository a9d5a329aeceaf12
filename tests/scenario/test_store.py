"""Zones in Consul's KV: imported by the primary, mirrored by the standby, gone on with by a successor, put back after a `snapshot restore`."""

import hashlib
import json
import re
import time
import urllib.request

import pytest

from lib.consul import Consul, ConsulError
from lib.dnsq import EDE_NO_AUTHORITY, EDE_NOT_READY
from lib.lictord import Lictord, primary_of
from lib.wait import stays, until

ZONE = "example.org"


def soa(daemon):
    found = re.search(r"\s(\d+) 3600 600 604800 60$", "".join(daemon.ask(ZONE, "SOA").records("SOA")))
    return int(found.group(1)) if found else None


def zone_of(daemon):
    (zone,) = json.loads(daemon.command("zones", "--json", check=True).stdout)
    return zone


def head(consul):
    return consul.kv(f"lictor/default/heads/{ZONE}")


def edit(file, serial, more=""):
    text = re.sub(r"hostmaster \d+", f"hostmaster {serial}", file.read_text())
    file.write_text(text + more)


def synced(daemon, ago):
    """As if the machine had been started anew, and this instance's mirrors had been current `ago` seconds before now."""
    path = daemon.dir / "state" / "mirror" / "sync"
    header, _, body = path.read_bytes().partition(b"\n")
    lines = body.decode().splitlines()
    lines[0] = "00000000-0000-0000-0000-000000000000"
    lines[1:] = [f"{line.split()[0]} 1 {time.time_ns() - ago * 10**9}" for line in lines[1:]]
    body = ("\n".join(lines) + "\n").encode()
    kind, version = header.decode().split()[1:3]
    path.write_bytes(f"lictor-state {kind} {version} {len(body)} {hashlib.sha256(body).hexdigest()}\n".encode() + body)


def write_files(tmp_path, text):
    """Each instance has a file of its own."""
    files = []
    for node in ("ns1", "ns2"):
        (tmp_path / node).mkdir(exist_ok=True)
        file = tmp_path / node / f"{ZONE}.zone"
        file.write_text(text)
        files.append(file)
    return files


@pytest.fixture
def stored(consul, tmp_path, zone_file):
    """(primary, standby, {node: file}); `serve`, so that the standby's content can be asked for."""
    files = write_files(tmp_path, zone_file.read_text())
    daemons = [Lictord(tmp_path, consul, node=file.parent.name, election={"standby": "serve", "lease": "1s"}, zones={ZONE: file}, wait=False) for file in files]
    for daemon in daemons:
        daemon.wait_ready()
    primary, (standby,) = primary_of(daemons)
    return primary, standby, {file.parent.name: file for file in files}


def commit(primary, file, serial, name):
    """A change, by import; waits until the primary answers it."""
    edit(file, serial, f"{name} IN TXT \"{name}\"\n")
    primary.command("reload", check=True)
    until(lambda: primary.ask(f"{name}.{ZONE}", "TXT").texts() == [name])


def has(daemon, name):
    return daemon.ask(f"{name}.{ZONE}", "TXT").texts() == [name]


def test_a_zone_is_imported_mirrored_and_outlives_its_primary(stored, consul):
    primary, standby, files = stored
    for daemon in (primary, standby):
        assert daemon.ask(f"www.{ZONE}").addresses() == ["192.0.2.80"] and soa(daemon) == 2026010101
        zone = zone_of(daemon)
        assert zone["source"] == "kv" and zone["state"] == "current" and zone["imported"] == 2026010101 and zone["mirror"] == "saved"
    assert len(head(consul)) <= 200

    commit(primary, files[primary.node], 2026010105, "first")
    until(lambda: has(standby, "first") and soa(standby) == 2026010105)

    # The same serial with other content is refused, and so is a lower one; both are named.
    edit(files[primary.node], 2026010105, "other IN TXT other\n")
    primary.command("reload", check=True)
    primary.wait_logged(r"same|has the serial of the last imported file but other content: serial 2026010105")
    assert "other content" in zone_of(primary)["error"]
    edit(files[primary.node], 2026010103)
    primary.command("reload", check=True)
    primary.wait_logged(r"is older than the last imported file: serial 2026010103 .* against 2026010105")
    stays(lambda: soa(primary) == 2026010105 and not has(primary, "other"), 0.3)

    # Where a zone is kept does not change under way.
    primary.zones = {ZONE: {"file": str(files[primary.node]), "store": "file"}}
    primary.write_config()
    assert "zone.store" in primary.command("reload").stderr
    primary.zones = {ZONE: files[primary.node]}
    primary.write_config()

    # The successor has an old file on its disk: it changes nothing, and commits go on.
    before = head(consul)
    primary.kill()
    until(standby.is_primary)
    assert soa(standby) == 2026010105 and has(standby, "first")
    standby.wait_logged(r"is older than the last imported file: serial 2026010101")
    assert head(consul) == before
    commit(standby, files[standby.node], 2026010110, "second")
    assert soa(standby) == 2026010110
    # `first` stood in the other instance's file; this one's change since the last import is `second` alone and what it lacks.
    primary.start()
    until(lambda: has(primary, "second") and soa(primary) == 2026010110)


def test_a_snapshot_restore_loses_nothing(stored, consul):
    primary, standby, files = stored
    commit(primary, files[primary.node], 2026010105, "kept")
    saved = urllib.request.urlopen(consul.url + "/v1/snapshot", timeout=30).read()
    commit(primary, files[primary.node], 2026010107, "lost")
    until(lambda: has(standby, "lost"))
    request = urllib.request.Request(consul.url + "/v1/snapshot", data=saved, method="PUT")
    urllib.request.urlopen(request, timeout=30).read()

    until(lambda: any(d.is_primary() for d in (primary, standby)), timeout=30)
    until(lambda: soa(primary) == soa(standby) and soa(primary) > 2026010107, timeout=40)
    for daemon in (primary, standby):
        assert has(daemon, "lost") and has(daemon, "kept")
        until(lambda: zone_of(daemon)["state"] == "current")
    one = next(d for d in (primary, standby) if d.is_primary())
    one.wait_logged(r"rewind: mended with serial 2026010108")
    assert "rewind: mended" in one.command("why", check=True).stdout

    def recovered():
        try:
            return not consul.get("/v1/kv/lictor/default/recover/?keys")
        except ConsulError:
            return True
    until(recovered)


def test_a_mirror_answers_without_consul_until_the_zone_expires(consul, tmp_path, zone_file):
    (file, _) = write_files(tmp_path, zone_file.read_text())
    daemon = Lictord(tmp_path, consul, election={"standby": "serve", "lease": "1s"}, zones={ZONE: file})
    until(lambda: soa(daemon) == 2026010101 and zone_of(daemon)["mirror"] == "saved")
    daemon.stop()
    consul.kill()
    file.unlink()
    synced(daemon, -3600)  # a time in the future counts as now
    daemon.start(wait=False)
    until(lambda: soa(daemon) == 2026010101, timeout=15)
    daemon.wait_logged(r"cannot be read: .*name a readable zone file")
    assert "cannot be read" in zone_of(daemon)["error"]
    daemon.kill()
    synced(daemon, 604800 + 10)  # EXPIRE is 604800
    daemon.start(wait=False)
    until(lambda: daemon.ask(ZONE, "SOA").ede_codes() == [EDE_NO_AUTHORITY], timeout=15)
    assert daemon.ask(ZONE, "SOA").rcode == "SERVFAIL"


def test_an_older_copy_of_a_file_zone_holds_that_zone_alone(consul, tmp_path, zone_file):
    """`store = "file"`: the head says how new the newest copy is."""
    files = write_files(tmp_path, zone_file.read_text())
    other = tmp_path / "example.net.zone"
    other.write_text(zone_file.read_text().replace(ZONE, "example.net"))
    zones = {node: {ZONE: {"file": str(file), "store": "file"}, "example.net": other} for node, file in zip(("ns1", "ns2"), files)}
    edit(files[0], 2026010107)
    newer = Lictord(tmp_path, consul, node="ns1", election={"standby": "serve", "lease": "1s"}, zones=zones["ns1"])
    until(lambda: newer.is_primary() and head(consul) is not None)
    older = Lictord(tmp_path, consul, node="ns2", election={"standby": "serve", "lease": "1s"}, zones=zones["ns2"])
    until(lambda: older.ask(ZONE, "SOA").ede_codes() == [EDE_NOT_READY])
    assert older.ask(f"www.{ZONE}").rcode == "SERVFAIL"
    assert older.ask("www.example.net").addresses() == ["192.0.2.80"], "that zone alone"
    assert soa(newer) == 2026010107
    older.wait_logged(r"its file has serial 2026010101, below 2026010107")

    # Neither does it gate the role, nor is the older copy answered from by the successor.
    newer.kill()
    until(older.is_primary)
    assert older.ask(ZONE, "SOA").ede_codes() == [EDE_NOT_READY]
    edit(files[1], 2026010107)
    older.command("reload", check=True)
    until(lambda: soa(older) == 2026010107)
