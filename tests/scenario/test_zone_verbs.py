"""`lictor zone ...`: each verb on the primary and on a standby, what outlives a takeover, and what is refused."""

import base64
import json
import re
import subprocess
import time
import uuid
from random import Random

import pytest

from lib.consul import ConsulError
from lib.lictord import Lictord, primary_of
from lib.wait import until

ZONE = "example.org"
LARGE = 10000


def zone(daemon, verb, *words, name=ZONE, timeout=60):
    """The result as JSON."""
    return json.loads(daemon.command("zone", verb, name, *map(str, words), "--json", check=True, timeout=timeout).stdout)


def refused(daemon, verb, *words, name=ZONE):
    done = daemon.command("zone", verb, name, *map(str, words), timeout=60)
    assert done.returncode == 1, f"{done.stdout}{done.stderr}"
    return done.stderr


def edit(file, serial, more=""):
    file.write_text(re.sub(r"hostmaster \d+", f"hostmaster {serial}", file.read_text()) + more)
    return file


def serial(daemon):
    return zone(daemon, "show")["serial"]


def committed(daemon, name):
    return daemon.command("zone", "export", ZONE, "--committed", check=True).stdout.count(f"\n{name}.{ZONE}. ")


def texts(daemon, name):
    return daemon.ask(f"{name}.{ZONE}", "TXT").texts()


def tasks_left(consul):
    try:
        return consul.get("/v1/kv/lictor/default/tasks/?keys")
    except ConsulError:
        return []


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two instances that serve example.org from KV, and a copy of its file for the operator."""
    from conftest import ZONE as TEXT, register_web
    from lib.consul import Consul
    base = tmp_path_factory.mktemp("zones")
    consul = register_web(Consul(base))
    daemons = []
    for node in ("ns1", "ns2"):
        (base / node).mkdir()
        (base / node / "zone").write_text(TEXT)
        daemons.append(Lictord(base, consul, node=node, election={"standby": "serve"}, wait=False, services={},
                               extra=f'zone "{ZONE}" {{ file = "{base / node / "zone"}" transfer = {{"127.0.0.0/8"}} record "svc" {{ service = "web" }} }}\n'))
    for daemon in daemons:
        daemon.wait_ready()
    primary, (standby,) = primary_of(daemons)
    until(lambda: serial(standby) == serial(primary) and committed(standby, "svc") == 3)
    return primary, standby, consul


@pytest.fixture
def file(pair, tmp_path):
    """What the operator edits: the zone as it is, with a serial above it."""
    path = tmp_path / "operator.zone"
    path.write_text(pair[0].command("zone", "export", ZONE, check=True).stdout)
    return path


@pytest.fixture(params=["primary", "standby"])
def asked(pair, request):
    return pair[0] if request.param == "primary" else pair[1]


def raised(file, more=""):
    """The next serial, as the operator writes it."""
    text = file.read_text()
    old = int(re.search(r"SOA \S+ \S+ (\d+)", text).group(1))
    file.write_text(re.sub(r"(SOA \S+ \S+) \d+", rf"\g<1> {old + 1}", text) + more)
    return old, old + 1


def test_import_merges_and_says_what_changed(pair, asked, file):
    primary, standby, consul = pair
    before, after = raised(file, f"new-{asked.node}.{ZONE}. 60 IN TXT \"from {asked.node}\"\n")
    preview = zone(asked, "diff", file)
    assert preview["from"] == before and preview["merge"]["to"] == after and preview["merge"]["added"] >= 1 and preview["refused"] is None
    assert f"new-{asked.node}.{ZONE}. 60 IN TXT \"from {asked.node}\"" in preview["merge"]["records"]["added"]
    assert serial(primary) == before, "a preview changes nothing"

    result = zone(asked, "import", file)
    assert (result["outcome"], result["serial_from"], result["serial"]) == ("committed", before, after) and result["added"] >= 1
    for daemon in pair[:2]:
        until(lambda: texts(daemon, f"new-{asked.node}") == [f"from {asked.node}"] and serial(daemon) == after)
    assert zone(asked, "history")["commits"][-1]["author"] == f"zone import on {asked.node}"

    # Again: its serial is not above the last import's. Both are named, and what to do.
    error = refused(asked, "import", file)
    assert f"serial {after} is not above {after}" in error and "raise it" in error
    assert json.loads(asked.command("zone", "import", ZONE, str(file), "--json").stdout)["error"] in error
    until(lambda: tasks_left(consul) == [])


def test_conflicts_are_named_and_decided(pair, asked, file):
    primary, standby, consul = pair
    raised(file, f"fight-{asked.node}.{ZONE}. 60 IN TXT one\n")
    zone(asked, "import", file)
    # The zone's own way, behind the file's back: back to before it was there.
    zone(asked, "rollback", "--steps", 1)
    file.write_text(file.read_text().replace("60 IN TXT one\n", "60 IN TXT two\n"))
    raised(file)
    error = refused(asked, "import", file)
    assert f"fight-{asked.node}.{ZONE}. TXT" in error and "--ours" in error and "--replace" in error
    preview = zone(asked, "diff", file)
    assert preview["merge"] is None and "fight" in preview["refused"] and preview["replace"]["added"] >= 1
    zone(asked, "import", file, "--ours")
    assert texts(primary, f"fight-{asked.node}") == []
    raised(file)
    zone(asked, "import", file, "--replace")
    assert texts(primary, f"fight-{asked.node}") == ["two"]


def test_a_broken_file_is_told_by_line(pair, asked, file):
    file.write_text(file.read_text() + "www.example.net. 60 IN A 192.0.2.1\n")
    error = refused(asked, "import", file)
    lines = len(file.read_text().splitlines())
    assert f"operator.zone:{lines}:" in error and "example.net" in error


def test_rollback_is_a_new_commit(pair, asked, file):
    primary, standby, consul = pair
    start, _ = raised(file, f"back-{asked.node}.{ZONE}. 60 IN TXT one\n")
    zone(asked, "import", file)
    file.write_text(file.read_text().replace("60 IN TXT one\n", "60 IN TXT two\n"))
    raised(file)
    second = zone(asked, "import", file)["serial"]
    assert texts(primary, f"back-{asked.node}") == ["two"]
    result = zone(asked, "rollback", "--steps", 1)
    assert result["serial"] > second and texts(primary, f"back-{asked.node}") == ["one"]
    result = zone(asked, "rollback", "--to", start)
    assert result["serial"] > second + 1 and texts(primary, f"back-{asked.node}") == []
    # And forth again: a rollback is a commit like others.
    assert zone(asked, "rollback", "--to", second) and texts(primary, f"back-{asked.node}") == ["two"]
    assert "does not begin as early as serial 7" in refused(asked, "rollback", "--to", 7)
    assert "commits, not 999" in refused(asked, "rollback", "--steps", 999)

    until(lambda: serial(asked) == serial(primary))
    difference = zone(asked, "diff", "--from", start, "--to", second)
    assert [line for line in difference["records"]["added"] if "SOA" not in line] == [f"back-{asked.node}.{ZONE}. 60 IN TXT \"two\""]
    assert zone(asked, "diff", "--from", second, "--to", start)["removed"] == difference["added"]
    assert "does not lead" in refused(asked, "diff", "--from", 7, "--to", 8)


def test_export_is_the_zone(pair, asked, file, tmp_path):
    raised(file, f"odd-{asked.node}.{ZONE}. 60 IN TXT \"a;b\\\"c\" \"\\200\"\n*.odd-{asked.node}.{ZONE}. 60 IN CAA 0 issue \"ca.example\"\nx.{ZONE}. 60 IN TYPE65280 \\# 3 010203\n")
    zone(asked, "import", file)
    until(lambda: serial(asked) == serial(pair[0]))
    out = tmp_path / "export"
    for words in ([], ["--committed"], ["--answers"]):
        out.write_text(asked.command("zone", "export", ZONE, *words, check=True).stdout)
        done = subprocess.run(["ldns-compare-zones", "-a", file, out], stdout=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stdout
    subprocess.run(["nsd-checkzone", ZONE, out], check=True)


def test_a_frozen_zone_takes_nothing(pair, asked, file):
    primary, standby, consul = pair
    zone(asked, "freeze", "moving", "house")
    raised(file, f"cold-{asked.node}.{ZONE}. 60 IN TXT cold\n")
    for daemon in (primary, standby):
        until(lambda: zone(daemon, "show")["frozen"] is not None)
        shown = zone(daemon, "show")["frozen"]
        assert shown["who"] == asked.node and shown["why"] == "moving house" and shown["at"].startswith("20")
        error = refused(daemon, "import", file)
        assert f"frozen on {asked.node}: moving house" in error and "thaw" in error
        assert "frozen" in refused(daemon, "rollback", "--steps", 1)
        assert zone(daemon, "diff", file)["merge"]["added"] >= 1, "looking is allowed"
        until(lambda: "frozen=yes" in daemon.ask(f"{ZONE}.zone.lictor", "TXT").texts()[0])
        assert daemon.metrics()['lictor_zone_frozen{zone="example.org"}'] == 1
    for words in (["zones"], ["zone", "show", ZONE]):
        assert "moving house" in standby.command(*words, check=True).stdout
    zone(asked, "thaw")
    for daemon in (primary, standby):
        until(lambda: zone(daemon, "show")["frozen"] is None)
    zone(asked, "import", file)
    assert texts(primary, f"cold-{asked.node}") == ["cold"]


def test_what_follows_health_goes_its_own_way(pair, asked, file):
    """A freeze does not hold it back, a rollback does not undo it, and no import takes it away."""
    primary, standby, consul = pair
    path = file.read_text()
    file.write_text("".join(line for line in path.splitlines(True) if not line.startswith("svc.")))  # the operator's file never had it
    raised(file, f"own-{asked.node}.{ZONE}. 60 IN TXT own\n")
    assert not any("svc" in line for line in zone(asked, "diff", file)["replace"]["records"]["removed"])
    zone(asked, "import", file, "--replace")
    assert zone(primary, "history", "-v")["commits"][-1]["author"].startswith("zone import") and committed(primary, "svc") == 3
    zone(asked, "freeze")
    consul.set_check("web-3", "critical")
    try:
        until(lambda: committed(primary, "svc") == 2)
        zone(asked, "thaw")
        assert zone(primary, "history")["commits"][-1]["author"] == "health"
        zone(asked, "rollback", "--steps", 1)
        assert texts(primary, f"own-{asked.node}") == [] and committed(primary, "svc") == 2
    finally:
        consul.set_check("web-3", "passing")
    until(lambda: committed(primary, "svc") == 3 and zone(standby, "show")["serial"] == serial(primary))


def test_wrong_words_are_told(pair, asked, file):
    assert f"did you mean {ZONE}?" in refused(asked, "show", name="exmaple.org")
    assert "lictor zones" in refused(asked, "history", name="nothing.like.it")
    assert "is missing" in asked.command("zone", "import", ZONE).stderr
    assert "no verb" in asked.command("zone", "explode", ZONE).stderr
    assert "does not go with zone show" in refused(asked, "show", "--ours")
    assert "--to SERIAL or --steps N" in refused(asked, "rollback")
    assert "exclude each other" in refused(asked, "import", file, "--ours", "--replace")
    assert asked.command("zone", "--help").returncode == 0


def test_a_large_zone_from_a_standby(pair, tmp_path):
    """Several parts below its task, several chunks in KV; no long turn of main's loop on either side."""
    primary, standby, consul = pair
    text = primary.command("zone", "export", ZONE, check=True).stdout
    file = tmp_path / "large"
    random = Random(1)
    file.write_text(text + "".join(f"h{i}.{ZONE}. 60 IN TXT \"{random.randbytes(24).hex()}\"\n" for i in range(LARGE)))
    _, after = raised(file)
    result = zone(standby, "import", file, timeout=120)
    assert result["added"] >= LARGE and result["serial"] == after
    until(lambda: serial(standby) == after, timeout=30)
    assert zone(standby, "rollback", "--steps", 1, timeout=120)["removed"] >= LARGE
    until(lambda: tasks_left(consul) == [])
    for daemon in (primary, standby):
        longest = daemon.metrics()["lictor_loop_longest_turn_seconds"]
        print(f"longest turn of main's loop of {daemon.node}, with sanitizers: {longest * 1000:.1f} ms")
        assert longest < 0.2


def test_only_the_primary_that_was_asked_does_a_task(pair):
    """What another epoch's primary was asked, and what is no order at all, is answered and not done."""
    primary, standby, consul = pair
    freeze = {"zone": {"verb": "freeze", "name": ZONE}}
    orders = {"old": {"from": "x", "epoch": primary.epoch() - 1, "parts": 0, "task": freeze}, "junk": [], "other": {"from": "x", "epoch": primary.epoch(), "parts": 0, "task": {"explode": {}}},
              "parts": {"from": "x", "epoch": primary.epoch(), "parts": 1, "task": freeze}, "show": {"from": "x", "epoch": primary.epoch(), "parts": 0, "task": {"zone": {"verb": "show", "name": ZONE}}}}
    words = {"old": "the primary changed", "junk": "not one", "other": "does not know", "parts": "is gone", "show": "not for the primary"}
    for what, order in orders.items():
        key = f"/v1/kv/lictor/default/tasks/{uuid.uuid4()}"
        consul.put(f"{key}/order", order)

        def answer():
            try:
                return base64.b64decode(consul.get(f"{key}/answer")[0]["Value"]).decode()
            except ConsulError:
                return None
        assert re.match(f"-.*{words[what]}", until(answer)), what
        consul.delete(f"{key}/?recurse")
    assert zone(primary, "show")["frozen"] is None


def test_freeze_and_history_outlive_a_takeover(pair, file):
    """Last: the primary of the module dies."""
    primary, standby, consul = pair
    raised(file, f"kept.{ZONE}. 60 IN TXT kept\n")
    made = zone(standby, "import", file)
    zone(primary, "freeze")
    until(lambda: serial(standby) == made["serial"])

    # Nobody to do it: that is said after 2 s; what is known here is told all the same.
    standby.command("pause", check=True)
    primary.kill()
    until(lambda: standby.role_status()["primary"] is None, timeout=30)
    since = time.monotonic()
    assert "no primary holds the lock" in refused(standby, "thaw")
    assert 1.9 < time.monotonic() - since < 8
    assert zone(standby, "show")["serial"] == made["serial"]

    standby.command("resume", check=True)
    until(standby.is_primary, timeout=30)
    raised(file)
    assert "frozen" in refused(standby, "import", file)
    commit = zone(standby, "history", "-v")["commits"][-1]
    assert commit["serial"] == made["serial"] and any("kept" in line for line in commit["records"]["added"])
    zone(standby, "thaw")
    until(lambda: zone(standby, "show")["frozen"] is None)
    assert zone(standby, "import", file)["serial"] > made["serial"]
    assert zone(standby, "rollback", "--to", made["serial"])["serial"] > made["serial"] + 1
