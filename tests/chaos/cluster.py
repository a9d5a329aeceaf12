"""What a run torments: 3 Consul servers, 3 hosts with a client agent and a lictord each, and a prober in the client's namespace."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import dns.query
import dns.zone

from lib import process
from lib.consul import Consul, ConsulError
from lib.lictord import Lictord
from lib.process import Process
from lib.wait import until

import net
from history import Events, collect_gates, now
from updater import texts

UPDATED = "upd.example"
ZONES = ("example.org", "2.0.192.in-addr.arpa", UPDATED)
KEYS = {"peers.": "cGVlcnNwZWVyc3BlZXJzcGVlcnNwZWVyc3BlZXJzMTI=", "client.": "Y2xpZW50Y2xpZW50Y2xpZW50Y2xpZW50Y2xpZW50MTI="}
LEADER = "lictor/default/leader"
PROBE_MILLISECONDS = 15
UPDATE_MILLISECONDS = 100
EFFECT_MILLISECONDS = 120
LEASE = 2.0

ZONE_TEXT = """\
$TTL 300
@       IN SOA ns1.example.org. hostmaster.example.org. {serial} 3600 600 604800 60
        IN NS  ns1.example.org.
{records}
"""
RECORDS = {"example.org": "ns1 IN A 192.0.2.1\nwww IN A 192.0.2.80", "2.0.192.in-addr.arpa": "80 IN PTR www.example.org.",
           UPDATED: "www IN A 192.0.2.80"}


KEY_TEXT = "\n".join(f'key "{name}" {{ secret = "{secret}" }}' for name, secret in KEYS.items())


class Cluster:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.events = Events(folder)
        self.net = net.Net()
        self.servers, self.agents, self.hosts = {}, {}, {}
        self.prober = self.updater = None
        self.disturbed = False  # was the last fault one of the servers?
        self.serial = 2026010101
        self._processes = process.mark()

    # -- life
    @property
    def standby(self):
        """The rule for standbys that is in force."""
        return next(iter(self.hosts.values())).election["standby"]

    def start(self, standby="refuse"):
        self.net.create()
        self.net.enter("client")
        state = self.folder / "state"
        state.mkdir()
        self._compile_effect()
        self.write_zones(start=True)
        for node, address in net.SERVERS.items():
            self.servers[node] = Consul(state, node=node, expect=len(net.SERVERS), join=list(self.servers.values()), host=address,
                                        netns=self.net.name(node))
        for server in self.servers.values():
            server.wait_leader()
        for node, address in net.HOSTS.items():
            # leave_on_terminate is a trap of its own (`consul leave` is the fault that springs it).
            self.agents[node] = Consul(state, node=node, server=False, join=self.servers.values(), host=address, netns=self.net.name(node))
        for node in net.HOSTS:
            until(lambda: self._agent_works(node), timeout=30, what=f"agent of {node}")
            self.wait_agent_tells(node)
        self.register_pulse()
        self.events.mark("mode", standby=standby)
        for node, address in net.HOSTS.items():
            effect = {"run": [str(self.folder / "effect"), node, str(self.folder / "effects.jsonl"), str(EFFECT_MILLISECONDS)]}
            actions = {when.split()[-1]: {"when": when, **effect}
                       for when in ("promoted", "demoted", "service pulse is passing", "service pulse is warning")}
            self.hosts[node] = Lictord(state, self.agents[node], node=node, host=address, netns=self.net.name(node), services={},
                                       election={"lease": f"{LEASE:g}s", "standby": standby, "peer_key": "peers."}, start=False, inspect_from=["10.77.0.0/24"],
                                       actions=actions, zones={zone: self.zone_settings(node, zone) for zone in ZONES}, extra=KEY_TEXT)
            self.start_lictord(node)
        # The agents' first synchronizations are over by then, too.
        self.steady(watch=LEASE + 0.5)
        self.start_prober()

    def start_prober(self):
        words = [f"{node}={address}" for node, address in net.HOSTS.items()]
        self.events.mark("probes from")
        self.prober = Process("prober", [sys.executable, Path(__file__).with_name("prober.py"), self.folder / "probes.jsonl",
                                         PROBE_MILLISECONDS, *ZONES, "--", *words], self.folder / "prober.log")

    def stop_prober(self):
        self.events.mark("probes until")
        self.prober.terminate()

    def end(self):
        """Ends everything, whatever state it is in; returns what was wrong with the ends."""
        for node, host in self.hosts.items():
            if host.process and host.process.alive:
                host.resume()
        wrong = process.reap(self._processes)
        self.net.destroy()
        collect_gates(self.folder, {node: host.log for node, host in self.hosts.items() if host.log.exists()})
        return wrong

    def _compile_effect(self):
        subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-o", self.folder / "effect", Path(__file__).with_name("effect.c")], check=True)

    def restart_as(self, standby):
        """All instances end and begin anew with this rule for standbys."""
        self.stop_prober()
        for host in self.hosts.values():
            host.stop()
        self.events.mark("mode", standby=standby)
        for node, host in self.hosts.items():
            host.election["standby"] = standby
            host.write_config()
            self.start_lictord(node)
        self.steady(watch=LEASE)
        self.start_prober()

    def start_lictord(self, node):
        self.events.mark("start", node=node)
        self.hosts[node].start(wait=False)

    def start_updater(self):
        words = [f"{node}={address}" for node, address in net.HOSTS.items()]
        self.updater = Process("updater", [sys.executable, Path(__file__).with_name("updater.py"), self.folder, UPDATED, "client.",
                                           KEYS["client."], UPDATE_MILLISECONDS, "--", *words], self.folder / "updater.log")

    def stop_updater(self):
        self.updater.terminate(30)

    def collect_contents(self):
        """The zone as each instance has it in the end, once all serve it."""
        self.restart_as("serve")
        serial = self.contents(self.primary())["serial"]
        until(lambda: all(self.contents(node)["serial"] == serial for node in self.hosts), timeout=30, what=f"serial {serial} everywhere")
        with open(self.folder / "contents.jsonl", "w") as out:
            for node in self.hosts:
                out.write(json.dumps({"node": node, **self.contents(node)}) + "\n")

    def contents(self, node):
        zone = dns.zone.from_xfr(dns.query.xfr(net.HOSTS[node], UPDATED, relativize=False, lifetime=10), relativize=False)
        return texts(zone)

    # -- zones
    def zone_settings(self, node, zone):
        rights = {"update": ["key:client."], "transfer": ["10.77.0.0/24"]} if zone == UPDATED else {}
        return {"file": str(self.zone_file(node, zone)), **rights}

    def zone_file(self, node, zone):
        return self.folder / "state" / f"{node}-{zone}.zone"

    def write_zones(self, start=False):
        """The next serial on all hosts; those that run load it."""
        self.serial += 1
        for node in net.HOSTS:
            for zone in ZONES:
                new = self.zone_file(node, zone).with_suffix(".new")
                new.write_text(ZONE_TEXT.format(serial=self.serial, records=RECORDS[zone]))
                new.rename(self.zone_file(node, zone))
            if not start and self.hosts[node].process.alive:
                self.hosts[node].reload()
        self.events.mark("serial", serial=self.serial)

    # -- Consul
    def _agent_works(self, node):
        return any(check["CheckID"] == "serfHealth" for check in self.agents[node].get(f"/v1/health/node/{node}", timeout=2))

    def wait_agent_tells(self, node):
        """Until the agent tells the servers by itself of a check that lapses.

        An agent that found no server when it began synchronizes for up to half a minute only what somebody asks it to: the
        check of a dead process would stay passing for so long."""
        agent = self.agents[node]

        def told():
            checks = agent.get("/v1/health/checks/probe?consistent", timeout=2)
            return any(check["Node"] == node and check["Status"] == "critical" for check in checks)

        def try_once():
            agent.put("/v1/agent/service/register", {"Name": "probe", "Check": {"TTL": "100ms", "Status": "passing"}}, timeout=2)
            return self.wait(told, 0.5)
        until(try_once, timeout=60, what=f"agent of {node} to tell of a lapsed check")
        agent.put("/v1/agent/service/deregister/probe")

    def ask_server(self, method, path, body=None, timeout=3):
        """Of the first server that answers."""
        for server in self.servers.values():
            if server.process.alive:
                try:
                    return server.request(method, path, body, timeout=timeout)
                except ConsulError as error:
                    if error.status < 500:
                        raise
                except OSError:
                    pass
        raise OSError("no Consul server answers")

    def register_pulse(self):
        """A service that has nothing to do with Lictor, and whose changes trigger effects. On the first server's agent."""
        self.pulse_passing = True
        first = self.servers["server1"]
        first.put("/v1/catalog/register", {"Node": "pulse", "Address": "10.77.0.200", "Service": {"Service": "pulse", "ID": "pulse"},
                                           "Check": {"Node": "pulse", "CheckID": "service:pulse", "Name": "pulse", "ServiceID": "pulse",
                                                     "Status": "passing"}})

    def pulse(self):
        """Turns its check to and fro. Consul being away is no failure of the run."""
        self.pulse_passing = not self.pulse_passing
        try:
            self.ask_server("PUT", "/v1/catalog/register", {
                "Node": "pulse", "Address": "10.77.0.200", "SkipNodeUpdate": True,
                "Check": {"Node": "pulse", "CheckID": "service:pulse", "Name": "pulse", "ServiceID": "pulse",
                          "Status": "passing" if self.pulse_passing else "warning"}}, timeout=1)
        except OSError:
            pass

    def consul_leader(self):
        leader = self.ask_server("GET", "/v1/status/leader")
        for node, server in self.servers.items():
            if leader.startswith(f"{server.host}:"):
                return node
        raise OSError("no Consul leader")

    def voters(self):
        configuration = self.ask_server("GET", "/v1/operator/raft/configuration")
        return sum(1 for server in configuration["Servers"] if server["Voter"])

    def wait_voters(self):
        """A server that came back is no voter for about 10 s: the next fault of a server would test a lost quorum."""
        until(lambda: self.voters() == len(self.servers) and self.consul_leader(), timeout=60, every=0.2, what="3 voters")

    # -- roles
    def status(self, node):
        try:
            host = self.hosts[node]
            return host.role_status() if host.process.alive else None
        except (OSError, ValueError, KeyError, AssertionError):
            return None

    def primary(self):
        """The name of the one that may act, or None."""
        acting = [node for node in self.hosts if (self.status(node) or {}).get("may_act")]
        return acting[0] if len(acting) == 1 else None

    def in_order(self):
        """One acts, the others follow it and are ready: (primary, its epoch), or None."""
        all = {node: self.status(node) for node in self.hosts}
        if any(status is None for status in all.values()):
            return None
        acting = [node for node, status in all.items() if status["may_act"]]
        if len(acting) != 1:
            return None
        for node in set(all) - set(acting):
            status = all[node]
            if not status["ready"] or not status["session"] or (status["primary"] or {}).get("node") != acting[0]:
                return None
            if status["primary"]["epoch"] != all[acting[0]]["epoch"]:
                return None
        return acting[0], all[acting[0]]["epoch"]

    def steady(self, watch=0.0, timeout=90):
        """Waits until all has been in order for `watch` seconds without a break, with the same primary in the same epoch;
        returns the instant from which it was, and the primary. A blow may take a while to show, so one look is not enough."""
        since, sight = None, None

        def lasting():
            nonlocal since, sight
            at, seen = now(), self.in_order()
            if not seen or seen != sight:
                since, sight = at, seen
            return bool(seen) and now() - since >= watch * 1e9
        until(lasting, timeout=timeout, every=0.05,
              what=lambda: f"one primary and two ready standbys: { {node: self.status(node) for node in self.hosts} }")
        return since, sight[0]

    def wait_other(self, node, timeout):
        """Until another instance acts; False if none does within the time. A fault need not move the role."""
        return self.wait(lambda: self.primary() not in (None, node), timeout)

    @staticmethod
    def wait(condition, timeout):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                if condition():
                    return True
            except OSError:
                pass
            time.sleep(0.02)
        return False

    def widened(self, node):
        """Is the check of this instance the slow one, that of many elections? By its own log."""
        text = self.hosts[node].process.text()
        return re.findall(r"the check is widened|the check is narrowed|ready: node ", text[-4_000_000:])[-1:] == ["the check is widened"]
