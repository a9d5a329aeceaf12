"""A real Consul, started for one test: one agent, or a cluster of servers on loopback.

Nothing here imitates Consul. `contrib/consul/find` says which binary is used.
"""

import json
import subprocess
import urllib.error
import urllib.request
from functools import lru_cache
from pathlib import Path

from .process import Process, ROOT
from .wait import free_port, until


# Loopback never goes through a proxy of the environment.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@lru_cache(maxsize=None)
def binary():
    return subprocess.run([ROOT / "contrib/consul/find"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@lru_cache(maxsize=None)
def version():
    """(1, 8, 7)"""
    text = subprocess.run([binary(), "version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return tuple(int(part) for part in text.split()[1].lstrip("v").split("+")[0].split("-")[0].split("."))


class ConsulError(OSError):
    def __init__(self, status, body):
        super().__init__(f"Consul says {status}: {body}")
        self.status = status


STANDARD_PORTS = {"http": 8500, "dns": 8600, "server": 8300, "serf_lan": 8301, "serf_wan": 8302}


class Consul:
    """A server agent with its state on disk, so that a restart keeps it. ACLs: acl=True bootstraps them and sets `token`.

    netns and host: it runs in that network namespace at that address, with Consul's own ports, and answers there and on
    the namespace's loopback. server=False: a client agent. Neither waits for a leader."""

    def __init__(self, tmp_path, node="node1", datacenter="dc1", acl=False, expect=1, join=None, config=None, tls=None,
                 host="127.0.0.1", netns=None, server=True):
        self.dir = Path(tmp_path) / f"consul-{node}"
        self.dir.mkdir(parents=True)
        self.node = node
        self.datacenter = datacenter
        self.token = None
        self._statuses = {}  # of our TTL checks, by service ID
        self.host = host
        self._within = ["ip", "netns", "exec", netns] if netns else []
        self.ports = {name: port if netns else free_port() for name, port in STANDARD_PORTS.items()}
        if tls:
            self.ports["https"] = free_port()
        self._acl = acl
        settings = {
            "server": server, **({"bootstrap_expect": expect} if server else {}), "node_name": node, "datacenter": datacenter,
            "data_dir": str(self.dir / "data"), "bind_addr": host, "client_addr": f"127.0.0.1 {host}" if netns else host,
            "ports": {**self.ports, "grpc": -1, **({"grpc_tls": -1} if version() >= (1, 14) else {})},
            "performance": {"raft_multiplier": 1}, "disable_update_check": True, "ui": False,
            "leave_on_terminate": False, "connect": {"enabled": False},
            # The tests register, change and watch faster than a person: anti-entropy must not lag behind them.
            "log_level": "INFO",
        }
        if version() >= (1, 9):
            settings.pop("ui")
        if join:
            settings["retry_join"] = [f"{other.host}:{other.ports['serf_lan']}" for other in join]
            settings["retry_interval"] = "1s"
        if acl:
            settings["acl"] = {"enabled": True, "default_policy": "deny", "down_policy": "extend-cache", "token_ttl": "0s",
                               "policy_ttl": "0s", "role_ttl": "0s"}
        if tls:
            settings.update({"ca_file": str(tls.ca), "cert_file": str(tls.server_cert), "key_file": str(tls.server_key),
                             "verify_incoming": True})
        settings.update(config or {})
        (self.dir / "config.json").write_text(json.dumps(settings, indent=1))
        self.process = None
        self.start()
        if expect == 1 and not netns:
            self.wait_leader()
            if acl:
                self._bootstrap_acl()
            until(lambda: any(c["CheckID"] == "serfHealth" for c in self.get(f"/v1/health/node/{node}")), what="serfHealth")

    def forget(self):
        """As new for the next test: nothing is registered, stored or held. Indexes go on."""
        for query in self.get("/v1/query"):
            self.delete(f"/v1/query/{query['ID']}")
        for id in self.get("/v1/agent/services"):
            self.deregister(id)
        for entry in self.get("/v1/catalog/nodes"):
            if entry["Node"] != self.node:
                self.put("/v1/catalog/deregister", {"Node": entry["Node"]})
        for session in self.get("/v1/session/list"):
            self.put(f"/v1/session/destroy/{session['ID']}")
        self.delete("/v1/kv/?recurse")
        self._statuses = {}
        return self

    # -- the process
    def start(self):
        self.process = Process(f"consul {self.node}", [*self._within, binary(), "agent", "-config-file", self.dir / "config.json"],
                               self.dir / "log", under_test=False)
        return self

    def kill(self):
        self.process.kill()

    def pause(self):
        self.process.pause()

    def resume(self):
        self.process.resume()

    def restart(self):
        """Starts it again after kill(), with its state, and waits for a leader.

        An agent reloads its TTL checks as critical; who beats them sets them right again, as is done here.
        """
        self.start()
        self.wait_leader()
        for id, status in self._statuses.items():
            until(lambda: self.set_check(id, status) or True, what=f"check of {id} after the restart")

    def wait_leader(self, timeout=40):
        def leads():
            self.process.must_live()
            # A leader can write; /v1/status/leader alone may name one that is not ready yet.
            return self.get("/v1/status/leader") and (self._acl or self.put("/v1/kv/tests/leader", b"1"))
        until(leads, timeout=timeout, every=0.05, what=f"leader of {self.node}")

    @property
    def address(self):
        return f"{self.host}:{self.ports['http']}"

    @property
    def url(self):
        return f"http://{self.address}"

    # -- HTTP
    def request(self, method, path, body=None, token=None, timeout=10):
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=body, method=method)
        if token or self.token:
            request.add_header("X-Consul-Token", token or self.token)
        try:
            with DIRECT.open(request, timeout=timeout) as reply:
                text = reply.read()
        except urllib.error.HTTPError as error:
            raise ConsulError(error.code, error.read().decode(errors="replace")) from None
        try:
            return json.loads(text)
        except ValueError:
            return text

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def put(self, path, body=None, **options):
        return self.request("PUT", path, body if body is not None else b"", **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)

    # -- services
    def register(self, name, id=None, address="", port=0, tags=(), status="passing", **more):
        """A service with one TTL check `service:<id>` that nothing lets lapse."""
        id = id or name
        self.put("/v1/agent/service/register", {
            "Name": name, "ID": id, "Address": address, "Port": port, "Tags": list(tags),
            "Check": {"CheckID": f"service:{id}", "TTL": "24h", "Status": status}, **more})
        self._statuses[id] = status
        return id

    def set_check(self, id, status, note="by the test"):
        """passing, warning or critical, for the check of the service with this ID."""
        self.put(f"/v1/agent/check/update/service:{id}", {"Status": status, "Output": note})
        self._statuses[id] = status

    def deregister(self, id):
        self._statuses.pop(id, None)
        self.put(f"/v1/agent/service/deregister/{id}")

    def register_external(self, node, address, service=None, status="passing", port=80, tags=()):
        """An external node in the catalog, with at most one service."""
        body = {"Node": node, "Address": address}
        if service:
            body["Service"] = {"Service": service, "ID": f"{service}-{node}", "Port": port, "Tags": list(tags)}
            body["Check"] = {"Node": node, "CheckID": f"service:{service}", "Name": service, "ServiceID": f"{service}-{node}", "Status": status}
        self.put("/v1/catalog/register", body)

    def service_health(self, name, **query):
        return self.get(f"/v1/health/service/{name}")

    # -- KV
    def kv(self, key):
        """The decoded JSON (or octets) of a key, or None."""
        try:
            value = self.get(f"/v1/kv/{key}?raw")
        except ConsulError as error:
            if error.status == 404:
                return None
            raise
        return value

    # -- ACL
    def _bootstrap_acl(self):
        def bootstrap():
            try:
                self.token = self.put("/v1/acl/bootstrap")["SecretID"]
            except ConsulError as error:
                if "legacy" in str(error) or error.status >= 500:
                    return False  # the new ACL system comes up a moment after the leader
                raise
            return True
        until(bootstrap, timeout=30, every=0.1, what="ACL bootstrap")
        self.put("/v1/agent/token/agent", {"Token": self.token})
        self.put("/v1/kv/tests/leader", b"1")

    def policy(self, name, rules):
        return self.put("/v1/acl/policy", {"Name": name, "Rules": rules})["ID"]

    def make_token(self, *policies):
        """(accessor, secret) of a new token with these policy names."""
        token = self.put("/v1/acl/token", {"Policies": [{"Name": name} for name in policies]})
        return token["AccessorID"], token["SecretID"]


def cluster(tmp_path, size):
    """`size` servers that know each other, with a leader."""
    servers = []
    for number in range(1, size + 1):
        servers.append(Consul(tmp_path, node=f"node{number}", expect=size, join=servers))
    for server in servers:
        server.wait_leader()
    return servers


def federate(*servers, timeout=30):
    """Joins servers of several datacenters over their WAN pool; back once each can be asked about every other."""
    first = servers[0]
    for server in servers[1:]:
        server.put(f"/v1/agent/join/{first.host}:{first.ports['serf_wan']}?wan=1")
    for server in servers:
        for other in servers:
            until(lambda: server.get(f"/v1/catalog/nodes?dc={other.datacenter}"), timeout=timeout, every=0.05,
                  what=f"{server.datacenter} reaching {other.datacenter}")


def federation(tmp_path, *datacenters, **options):
    """One server for each datacenter (dc1 and dc2 if none is named), node1, node2..., joined over WAN."""
    servers = [Consul(tmp_path, node=f"node{number}", datacenter=name, **options)
               for number, name in enumerate(datacenters or ("dc1", "dc2"), 1)]
    federate(*servers)
    return servers
