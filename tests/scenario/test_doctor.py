"""`lictor doctor` beside a real Consul: what it finds, what it does not, and that it never hangs."""

import json
import re
import subprocess
import time

import pytest

from lib.consul import Consul
from lib.lictord import BUILD, Lictord, primary_of
from lib.process import ROOT
from lib.wait import free_port, until

POLICY = (ROOT / "contrib/consul/policy.hcl").read_text()
LEVELS = {"ok", "note", "warn", "fault"}


def examine(daemon):
    """(findings, exit status), after a look at what every result must have."""
    done = daemon.command("doctor", "--json")
    result = json.loads(done.stdout)
    findings = result["findings"]
    for finding in findings:
        assert finding["level"] in LEVELS and finding["check"] and finding["what"], finding
        if finding["level"] in ("warn", "fault"):
            assert finding["why"] and finding["do"], finding
    assert result["faults"] == sum(f["level"] == "fault" for f in findings)
    assert done.returncode == (1 if result["faults"] else 0), "the exit status tells of faults"
    return findings, done.returncode


def said(findings, check=None, level=None, pattern=""):
    return [f["what"] for f in findings if (not check or f["check"] == check) and (not level or f["level"] == level)
            and re.search(pattern, f["what"])]


def levels(findings, check):
    return {f["level"] for f in findings if f["check"] == check}


def client_agent(tmp_path, server, **config):
    """A client agent beside a server of its own."""
    agent = Consul(tmp_path, node="client1", expect=0, join=[server],
                   config={"server": False, "bootstrap_expect": 0, "retry_interval": "200ms", **config})
    until(lambda: agent.get("/v1/status/leader"), what="the client agent finds its server")
    until(lambda: any(c["CheckID"] == "serfHealth" for c in agent.get("/v1/health/node/client1")), what="serfHealth of the client")
    return agent


def test_server_agent_as_host_warns(consul, tmp_path, zone_file):
    daemon = Lictord(tmp_path, consul, services={}, election={}, zones={"example.org": zone_file})
    primary_of([daemon])
    findings, status = examine(daemon)
    assert status == 0, [f for f in findings if f["level"] == "fault"]
    assert said(findings, "agent", "warn", "Consul server")
    assert not said(findings, "agent", "warn", "raft_multiplier"), "1 is what is advised"
    assert not said(findings, "agent", "warn", "leave_on_terminate")
    assert said(findings, "token", "ok", "ACLs are off")
    assert said(findings, "lease", "ok", r"leaves 3 confirmations.*10 consistent reads")
    assert said(findings, "members", "note", "only member")
    assert said(findings, "answers", "ok", r"all zones \(2\)")
    assert levels(findings, "consul") == levels(findings, "view") == {"ok"}
    # Nothing was written or created while looking.
    assert [s["Name"] for s in consul.get("/v1/session/list")] == [s["Name"] for s in consul.get("/v1/session/list") if "lictor" in s["Name"]]
    assert not [key for key in consul.get("/v1/kv/lictor/?keys") if "doctor" in key]


def test_agent_settings(tmp_path):
    server = Consul(tmp_path, config={"performance": {"raft_multiplier": 5}, "leave_on_terminate": True,
                                      "limits": {"http_max_conns_per_client": 60}})
    daemon = Lictord(tmp_path, server, services={}, election={})
    findings, _ = examine(daemon)
    assert said(findings, "agent", "warn", "raft_multiplier is 5")
    assert said(findings, "agent", "warn", "leave_on_terminate is on")
    assert said(findings, "agent", "warn", "http_max_conns_per_client is 60; this instance may need 100")


def test_client_agent_does_not_warn(consul, tmp_path):
    agent = client_agent(tmp_path, consul)
    daemon = Lictord(tmp_path, agent, services={}, election={})
    primary_of([daemon])
    findings, status = examine(daemon)
    assert status == 0 and levels(findings, "agent") == {"ok"}, findings
    assert said(findings, "agent", "ok", "client1 .client")


def test_unreachable_consul_is_a_finding_and_no_hang(consul, tmp_path, zone_file):
    daemon = Lictord(tmp_path, consul, services={}, election={}, zones={"example.org": zone_file})
    primary_of([daemon])
    consul.kill()
    started = time.monotonic()
    findings, status = examine(daemon)
    assert time.monotonic() - started < 6
    assert status == 1
    assert said(findings, "consul", "fault", "no answer")
    assert not said(findings, "rights"), "nothing is known of rights then"


def test_stopped_consul_is_a_finding_and_no_hang(consul, tmp_path, zone_file):
    daemon = Lictord(tmp_path, consul, services={}, zones={"example.org": zone_file})
    consul.pause()
    try:
        started = time.monotonic()
        findings, status = examine(daemon)
        assert time.monotonic() - started < 6
    finally:
        consul.resume()
    assert status == 1 and said(findings, "consul", "fault", "no answer")


def test_next_address_is_asked(consul, tmp_path):
    nobody = f"http://127.0.0.1:{free_port()}"
    daemon = Lictord(tmp_path, consul, services={}, consul_settings={"address": [nobody, consul.url]})
    findings, status = examine(daemon)
    assert status == 0, findings
    assert said(findings, "consul", "ok", re.escape(consul.url))


@pytest.fixture
def guarded(tmp_path):
    """Consul with ACLs, and set(rules) for the rights of the one token that the daemon has."""
    consul = Consul(tmp_path, acl=True)
    policy = consul.policy("lictor", POLICY)
    consul.accessor, secret = consul.make_token("lictor")
    consul.token_file = tmp_path / "token"
    consul.token_file.write_text(secret)
    consul.set_rules = lambda rules: consul.put(f"/v1/acl/policy/{policy}", {"ID": policy, "Name": "lictor", "Rules": rules})
    return consul


def without(rule):
    """policy.hcl without the block that begins with this text."""
    rules, count = re.subn(re.escape(rule) + r" \{[^}]*\}\n", "", POLICY)
    assert count == 1, f"contrib/consul/policy.hcl has no {rule}"
    return rules


RIGHTS = {
    'service_prefix ""': "warn",  # answers are kept, but an emptied list cannot be believed
    'node_prefix ""': "fault",
    'service "lictor"': "fault",
    'session_prefix ""': "fault",
    'key_prefix "lictor/default/"': "fault",
    'agent_prefix ""': "fault",
}


def test_missing_rights_are_named_one_by_one(guarded, tmp_path):
    daemon = Lictord(tmp_path, guarded, services={}, election={}, consul_settings={"token_file": str(guarded.token_file)})
    primary_of([daemon])
    findings, _ = examine(daemon)
    assert levels(findings, "rights") == {"ok"}, said(findings, "rights")
    assert said(findings, "token", "ok", "policies: lictor")
    for rule, level in RIGHTS.items():
        guarded.set_rules(without(rule))
        findings, status = examine(daemon)
        named = said(findings, "rights")
        assert len(named) == 1 and f"lacks the right {rule} " in named[0], (rule, named)
        assert levels(findings, "rights") == {level}
        assert status == 1 or level == "warn"
    guarded.set_rules("")
    findings, _ = examine(daemon)
    for rule in RIGHTS:
        assert said(findings, "rights", None, re.escape(f"lacks the right {rule} ")), rule
    guarded.delete(f"/v1/acl/token/{guarded.accessor}")
    findings, status = examine(daemon)
    assert status == 1 and said(findings, "token", "fault", "does not know the token") and not said(findings, "rights")


def test_a_pair_with_different_copies(consul, tmp_path, zone_file):
    newer = tmp_path / "newer.zone"
    newer.write_text(zone_file.read_text().replace("2026010101", "2026010102"))
    daemons = [Lictord(tmp_path, consul, node=node, services={}, election={}, zones={"example.org": {"file": str(file), "store": "file"}})
               for node, file in (("ns1", zone_file), ("ns2", newer))]
    primary_of(daemons)
    for daemon in daemons:
        until(lambda: len(daemon.role_status()["members"]) == 2 and all(m["ready"] for m in daemon.role_status()["members"]))
        findings, _ = examine(daemon)
        own, other = ("2026010101", "2026010102") if daemon.node == "ns1" else ("2026010102", "2026010101")
        peer = "ns2" if daemon.node == "ns1" else "ns1"
        assert said(findings, "serials", "warn", f"example.org differ: this instance has {own}, {peer} has {other}"), findings
        assert said(findings, "members", "ok", "2 members, all ready")
        assert said(findings, "name servers", "note", "ns1.example.org .192.0.2.1., which is no member")
    newer.write_text(zone_file.read_text())
    daemons[1].command("reload", check=True)
    findings, _ = examine(daemons[0])
    assert levels(findings, "serials") == {"ok"}, said(findings, "serials")


def test_large_catalog(guarded, tmp_path):
    """Lists above 64 KiB are read by the builder; the findings are the same."""
    for number in range(600):
        guarded.register_external(f"host-{number}.example", "10.9.0.1")
    assert len(json.dumps(guarded.get("/v1/catalog/nodes"))) > 65536
    daemon = Lictord(tmp_path, guarded, services={}, consul_settings={"token_file": str(guarded.token_file)})
    findings, status = examine(daemon)
    assert status == 0 and levels(findings, "rights") == {"ok"}, said(findings, "rights")
    assert daemon.status()["loop"]["longest_turn_ms"] < 20


def test_stop_during_examinations(consul, tmp_path):
    """Several at once share one examination; a stop ends it, and everybody is told. The sanitizer looks for what is left."""
    daemon = Lictord(tmp_path, consul, services={})  # without an election the stop does not wait for Consul
    consul.pause()
    try:
        asking = [subprocess.Popen([BUILD / "lictor", "--control", daemon.control, "doctor", "--json"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True) for _ in range(3)]
        time.sleep(0.3)
        daemon.stop()
    finally:
        consul.resume()
    for child in asking:
        out, error = child.communicate(timeout=10)
        assert child.returncode == 1 and re.search("stopping|closed the connection", out + error), (out, error)


def test_for_people(consul, tmp_path):
    daemon = Lictord(tmp_path, consul, services={}, election={})
    primary_of([daemon])
    done = daemon.command("doctor")
    assert done.returncode == 0, done.stdout
    assert re.search(r"^warn  +agent  +the agent of this host is a Consul server$", done.stdout, re.M), done.stdout
    assert re.search(r"^ +why: .+\n +do: ", done.stdout, re.M)
    assert re.search(r"^0 faults, \d+ warnings, \d+ notes$", done.stdout, re.M)
    assert "\033" not in done.stdout, "colour is for terminals"
