"""Programs that run on promoted, demoted and a service's status, with the event in environment and standard input."""

import json
import time
from pathlib import Path

import pytest

from lib.lictord import Lictord, primary_of
from lib.wait import stays, until

one_consul = True


@pytest.fixture
def script(tmp_path):
    """script(name, body="") -> (argv, records): each run appends one JSON line {env, input}."""
    def make(name, body=""):
        out = tmp_path / f"{name}.jsonl"
        path = tmp_path / name
        path.write_text(f"""#!/usr/bin/python3
import json, os, sys, time
data = sys.stdin.read()
with open({str(out)!r}, "a") as out:
    out.write(json.dumps({{"env": dict(os.environ), "input": data, "pid": os.getpid(), "argv": sys.argv[1:]}}) + "\\n")
{body}
""")
        path.chmod(0o755)

        def records():
            return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
        return [str(path), name], records
    return make


def process_group(leader):
    """The living processes of this group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[2] == str(leader) and fields[0] != "Z":
            found.append(stat.parent.name)
    return found


def test_promoted_and_demoted(web, tmp_path, zone_file, script):
    up, ups = script("up")
    down, downs = script("down")
    actions = {"up": {"when": "promoted", "run": up}, "down": {"when": "demoted", "run": down}}
    daemons = [Lictord(tmp_path, web, node=node, services={}, election={}, zones={"example.org": zone_file}, actions=actions)
               for node in ("ns1", "ns2")]
    primary, (standby,) = primary_of(daemons)
    run, = until(ups)
    assert run["env"]["LICTOR_EVENT"] == "promoted"
    assert int(run["env"]["LICTOR_EPOCH"]) == primary.epoch()
    assert run["env"]["LICTOR_EVENT_ID"]
    event = json.loads(run["input"])
    assert event["event"] == "promoted" and event["epoch"] == primary.epoch() and event["event_id"] == run["env"]["LICTOR_EVENT_ID"]
    assert run["argv"] == ["up"]
    assert not downs()
    primary.command("handover", check=True)
    until(lambda: len(ups()) == 2 and len(downs()) == 1, timeout=10)
    assert int(ups()[1]["env"]["LICTOR_EPOCH"]) == standby.epoch() > int(ups()[0]["env"]["LICTOR_EPOCH"])
    assert downs()[0]["env"]["LICTOR_EVENT"] == "demoted"
    until(lambda: standby.metrics().total("lictor_actions_total", action="up") >= 1, timeout=5)


def test_service_status(web, tmp_path, script):
    """Only the primary acts, once a change, and not for the state it finds at its start."""
    bad, bads = script("bad")
    good, goods = script("good")
    actions = {"bad": {"when": "service db is critical", "run": bad}, "good": {"when": "service db is passing", "run": good}}
    daemons = [Lictord(tmp_path, web, node=node, services={}, election={}, actions=actions) for node in ("ns1", "ns2")]
    primary_of(daemons)
    daemons[0].wait_addresses("db.service.consul", ["10.0.1.1"])
    stays(lambda: not bads(), 1)
    web.set_check("db", "critical")
    run = until(bads)[0]
    assert run["env"]["LICTOR_EVENT"].startswith("service") and "db" in run["input"] and "critical" in run["input"]
    stays(lambda: len(bads()) == 1, 1.5, what="one change, one run, one instance")
    before = len(goods())
    web.set_check("db", "passing")
    until(lambda: len(goods()) == before + 1)


def test_timeout_kills_the_whole_group(web, tmp_path, script):
    slow, runs = script("slow", body="import subprocess\nsubprocess.Popen(['/bin/sleep', '300'])\ntime.sleep(300)")
    daemon = Lictord(tmp_path, election={}, consul=web, actions={"slow": {"when": "promoted", "run": slow, "timeout": "1s"}})
    run = until(runs, timeout=15)[0]
    started = time.monotonic()

    assert process_group(run["pid"])
    until(lambda: not process_group(run["pid"]), timeout=10, what="the process group is killed at the timeout")
    assert time.monotonic() - started < 8
    daemon.wait_logged("(?i)slow.*(timeout|timed out|killed)")
    until(lambda: sum(value for key, value in daemon.metrics().items() if key.startswith("lictor_action") and "slow" in key and value) >= 1)
    assert daemon.is_primary()


def test_program_that_cannot_be_run(web, tmp_path):
    """One that is not there is a fault of the configuration; one without its interpreter shows when it is run."""
    program = tmp_path / "broken"
    program.write_text("#!/nonexistent/interpreter\n")
    program.chmod(0o755)
    daemon = Lictord(tmp_path, election={}, consul=web, actions={"gone": {"when": "promoted", "run": [str(program)]}})
    until(daemon.is_primary)
    daemon.wait_logged("gone.*cannot run")
    until(lambda: daemon.metrics().total("lictor_actions_total", action="gone", result="unable") == 1, timeout=5)
    assert "cannot run" in daemon.command("actions", check=True).stdout
    stays(lambda: daemon.is_primary() and daemon.process.alive, 1)


def test_action_ends_when_the_right_does(web, tmp_path, script):
    """The daemon is stopped: the runner ends its actions at the deadline by itself."""
    long, runs = script("long", body="time.sleep(300)")
    daemon = Lictord(tmp_path, election={}, consul=web, actions={"long": {"when": "promoted", "run": long, "timeout": "300s"}})
    run = until(runs, timeout=15)[0]
    assert process_group(run["pid"])
    daemon.pause()
    since = time.monotonic()
    until(lambda: not process_group(run["pid"]), timeout=10)
    print(f"SIGSTOP of the daemon: its action ended after {time.monotonic() - since:.3f} s")
    assert time.monotonic() - since < 2.0 + 1.0
    daemon.resume()
