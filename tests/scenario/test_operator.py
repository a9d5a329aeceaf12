"""The command, the admin HTTP, and what they say."""

import json
import os
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from lib.lictord import BUILD, Lictord, primary_of
from lib.wait import until

one_consul = True


def test_every_verb_in_words_and_json(pair):
    primary, standby = pair()
    for daemon in (primary, standby):
        for words in (["status"], ["why"], ["services"], ["services", "web"], ["zones"]):
            text = daemon.command(*words, check=True).stdout
            assert text.strip(), words
            assert json.loads(daemon.command(*words, "--json", check=True).stdout) is not None
    assert primary.node in standby.command("status").stdout
    assert "web" in primary.command("services").stdout and "10.0.0.1" in primary.command("services", "web").stdout
    assert "example.org" in primary.command("zones").stdout
    assert primary.command("services", "nosuch").returncode != 0
    assert primary.command("status", "--nosuch").returncode != 0


def test_no_daemon_is_said(tmp_path):
    daemon = Lictord(tmp_path, start=False)
    done = daemon.command("status")
    assert done.returncode != 0 and str(daemon.control) in done.stderr


def test_what_went_wrong_is_json_too(tmp_path, zone_file):
    daemon = Lictord(tmp_path, zones={"example.org": zone_file})
    for words in (["services"], ["handover"], ["reload"]):
        daemon.write_config("nonsense")
        failed = daemon.command("--json", *words)
        assert failed.returncode == 1 and json.loads(failed.stdout)["error"] in failed.stderr, failed
    daemon.stop()
    assert "no lictord listens" in json.loads(daemon.command("--json", "status").stdout)["error"]


def test_http(pair):
    primary, standby = pair()
    for daemon in (primary, standby):
        assert daemon.http("/healthz")[0] == 200 and daemon.http("/readyz")[0] == 200
        status, text = daemon.http("/v1/status")
        assert status == 200 and json.loads(text)
    status, text = primary.http("/metrics")
    families = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    helped = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP")}
    samples = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if line and not line.startswith("#")}
    assert families == helped and families, "every family has TYPE and HELP"
    assert all(name.startswith("lictor_") for name in samples)
    bases = {name.removesuffix("_sum").removesuffix("_count").removesuffix("_bucket") for name in samples}
    assert bases <= families, bases - families


def test_metrics_of_the_role(pair):
    primary, standby = pair()
    ours, theirs = primary.metrics(), standby.metrics()
    assert (ours["lictor_primary"], theirs["lictor_primary"]) == (1, 0)
    assert ours["lictor_epoch"] == primary.epoch() and 0 < ours["lictor_lease_left_seconds"] <= 2
    assert ours["lictor_promotions_total"] == 1 and theirs["lictor_promotions_total"] == 0
    assert ours.total("lictor_members") == 2


def test_status_tells_why_consul_is_away(web, tmp_path):
    daemon = Lictord(tmp_path, web, services={})
    daemon.wait_addresses("db.service.consul", ["10.0.1.1"])
    web.kill()
    until(lambda: "refused" in json.dumps(daemon.status()).lower() or "connect" in json.dumps(daemon.status()).lower(), timeout=30)


def test_log_lines_carry_a_level_and_no_secret(web, tmp_path):
    daemon = Lictord(tmp_path, web, services={}, consul_settings={"token": "8f246b77-f3e1-ff88-5b48-8ec93abf3e05"})
    daemon.http("/v1/status")
    daemon.stop()
    assert "8f246b77" not in daemon.process.text()


def test_status_json_names_the_primary(pair):
    primary, standby = pair()
    assert primary.node in json.dumps(standby.status())
    primary_of([primary, standby])


def test_systemd_is_notified(web, tmp_path):
    """Type=notify: READY=1 once the ports are served, STOPPING=1 at the end."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        notify.settimeout(15)
        daemon = Lictord(tmp_path, web, services={}, env={"NOTIFY_SOCKET": str(path)}, wait=False)
        said = ""
        while "READY=1" not in said:
            said += notify.recv(4096).decode() + "\n"
        assert daemon.ask("nosuch.test").rcode == "REFUSED", "ready means served"
        daemon.process.signal(15)
        while "STOPPING=1" not in said:
            said += notify.recv(4096).decode() + "\n"
        assert daemon.process.wait(15) == 0


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_programs_explain_themselves(tmp_path, flag):
    for program in ("lictor", "lictord"):
        done = subprocess.run([BUILD / program, flag], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10)
        assert done.returncode == 0 and "lictor" in done.stdout.lower(), done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_configuration_that_its_user_cannot_read_is_said_at_start(zone_file):
    with tempfile.TemporaryDirectory(prefix="lictor-") as base:  # pytest's own folders are root's alone
        os.chmod(base, 0o755)
        zone = Path(base) / "zone"
        zone.write_text(zone_file.read_text())
        daemon = Lictord(base, zones={"example.org": zone}, user="nobody", start=False)
        daemon.control = daemon.dir / "run" / "control.sock"
        daemon.top["control"] = str(daemon.control)
        daemon.write_config()
        daemon.config.chmod(0o600)
        daemon.start()
        assert daemon.logged("not readable any more for user nobody"), daemon.tail()
        refused = daemon.command("reload")
        assert refused.returncode == 1 and "Permission denied" in refused.stderr
        daemon.stop()
