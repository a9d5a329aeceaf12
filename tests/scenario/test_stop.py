"""Ends at awkward moments: whatever was under way, the daemon stops cleanly, and the sanitizers find nothing."""

import os
import signal
from pathlib import Path

import pytest

from conftest import ZONE
from lib.lictord import Lictord
from lib.wait import until


@pytest.fixture
def slow_zone(tmp_path):
    """Takes half a second to load under the sanitizers."""
    file = tmp_path / "slow.zone"
    file.write_text(ZONE + "".join(f"h{i} A 10.1.{i >> 8}.{i & 255}\n" for i in range(20000)))
    return file


def runner_of(daemon):
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if stat.read_text().rsplit(")", 1)[1].split()[1] == str(daemon.process.pid):
                return int(stat.parent.name)
        except OSError:
            pass  # it ended meanwhile
    raise AssertionError(f"{daemon.node} has no runner")


def test_stop_while_zones_are_being_loaded(tmp_path, slow_zone):
    daemon = Lictord(tmp_path, zones={"example.org": slow_zone}, wait=False)
    until(lambda: daemon.http("/healthz")[0] == 200, what="the loop to run")
    assert not daemon.ready(), "the zone came too fast for this test"
    daemon.stop()


@pytest.mark.parametrize("moment", [0.1, 0.5])
def test_stop_while_a_reload_is_under_way(tmp_path, slow_zone, moment):
    daemon = Lictord(tmp_path, zones={"example.org": slow_zone})
    daemon.reload()
    try:
        daemon.process.wait(timeout=moment)
    except AssertionError:
        pass  # it lives, as it should
    daemon.stop()


def test_stop_while_a_reload_waits_for_the_runner(tmp_path, zone_file):
    daemon = Lictord(tmp_path, zones={"example.org": zone_file})
    runner = runner_of(daemon)
    os.kill(runner, signal.SIGSTOP)
    try:
        daemon.reload()
        daemon.wait_logged(r"reload: the zones are read")
        daemon.stop()
    finally:
        os.kill(runner, signal.SIGCONT)


def test_a_signal_during_a_reload_is_not_lost(tmp_path, slow_zone):
    daemon = Lictord(tmp_path, zones={"example.org": slow_zone})
    daemon.reload()
    until(lambda: daemon.logged("reload: reading"), what="the reload to begin")
    slow_zone.write_text(slow_zone.read_text().replace("192.0.2.80", "192.0.2.81"))
    daemon.reload()
    daemon.wait_addresses("www.example.org", ["192.0.2.81"], timeout=60)
    daemon.stop()
