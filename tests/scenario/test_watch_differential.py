"""Whatever changes in a real Consul, the view becomes what `health/service/X` shows when it is read whole.

Every kind of change that Consul's indexes tell apart, at random, on services with and without a blocked query. A seed is
printed; LICTOR_TEST_SEED repeats it. With LICTOR_TEST_LONG the run takes ten minutes (`tests/run --long`)."""

import json
import os
import random
import time

from lib.lictord import Lictord
from lib.wait import until

SERVICES, NODES = 80, 4  # more services than the pool of blocked queries has places
LONG = bool(os.environ.get("LICTOR_TEST_LONG"))


class Changes:
    """Random changes of a catalog, by way of /v1/catalog: nothing puts them back."""

    def __init__(self, consul, seed):
        self.consul = consul
        self.random = random.Random(seed)
        self.instances = {}  # (service, number) -> node
        self.kinds = [self.service_check, self.service_check, self.service_check, self.service_check_gone, self.same_again,
                      self.node_check, self.node_check_gone, self.node_moves, self.instance, self.instance, self.instance_gone,
                      self.node_gone, self.last_instance]

    def put(self, **body):
        self.consul.put("/v1/catalog/register", body)

    def node_name(self, number):
        return f"Host-{number}"  # upper case: Consul folds it

    def pick(self):
        return self.random.choice(sorted(self.instances))

    def status(self):
        return self.random.choice(["passing", "warning", "critical"])

    def id(self, service, number):
        return f"s{service}-{number}"

    def register(self, service, number, node):
        self.instances[service, number] = node
        self.put(Node=self.node_name(node), Address=f"10.9.0.{node + 1}", SkipNodeUpdate=True,
                 Service={"Service": f"s{service}", "ID": self.id(service, number), "Port": self.random.choice([0, 80, 8080]),
                          "Tags": self.random.sample(["a", "b", "C.d"], self.random.randrange(3)),
                          "Address": self.random.choice(["", f"10.8.{service}.{number + 1}"])})

    # -- one row of the table each
    def service_check(self):
        service, number = self.pick()
        self.put(Node=self.node_name(self.instances[service, number]), SkipNodeUpdate=True, Address="10.9.0.1",
                 Check={"CheckID": f"c{self.random.randrange(2)}:{self.id(service, number)}", "Name": "alive", "Status": self.status(),
                        "ServiceID": self.id(service, number), "Output": f"at {self.random.randrange(9)}"})

    def deregister(self, **body):
        self.consul.put("/v1/catalog/deregister", body)

    def service_check_gone(self):
        service, number = self.pick()
        self.deregister(Node=self.node_name(self.instances[service, number]), CheckID=f"c{self.random.randrange(2)}:{self.id(service, number)}")

    def same_again(self):
        node = self.random.randrange(NODES)
        checks = self.consul.get(f"/v1/health/node/{self.node_name(node)}")
        if checks:
            self.put(Node=self.node_name(node), SkipNodeUpdate=True, Address="10.9.0.1", Check=self.random.choice(checks))

    def node_check(self):
        node = self.random.choice(sorted(self.instances.values()))
        self.put(Node=self.node_name(node), SkipNodeUpdate=True, Address="10.9.0.1",
                 Check={"CheckID": "disk", "Name": "disk", "Status": self.status(), "Output": f"full {self.random.randrange(9)}"})

    def node_check_gone(self):
        self.deregister(Node=self.node_name(self.random.randrange(NODES)), CheckID="disk")

    def node_moves(self):
        node = self.random.choice(sorted(self.instances.values()))
        self.put(Node=self.node_name(node), Address=f"10.9.{self.random.randrange(1, 200)}.{node + 1}")

    def instance(self):
        service, number = self.random.randrange(SERVICES), self.random.randrange(4)
        self.register(service, number, self.instances.get((service, number), self.random.randrange(NODES)))

    def instance_gone(self):
        service, number = self.pick()
        self.deregister(Node=self.node_name(self.instances.pop((service, number))), ServiceID=self.id(service, number))

    def last_instance(self):
        service = self.pick()[0]
        for of, number in [pair for pair in self.instances if pair[0] == service]:
            self.deregister(Node=self.node_name(self.instances.pop((of, number))), ServiceID=self.id(of, number))

    def node_gone(self):
        if self.random.randrange(12) == 0:
            node = self.random.randrange(NODES)
            self.deregister(Node=self.node_name(node))
            self.instances = {pair: on for pair, on in self.instances.items() if on != node}

    def some(self, count, pause):
        for _ in range(count):
            self.random.choice(self.kinds)() if self.instances else self.instance()
            time.sleep(self.random.random() * pause)


RANK = ["passing", "warning", "critical"]


# Passing checks change no answer: no list tells of a new one, so that reports show it with the next sweep only.
def truth(consul):
    """From every service read whole, by the leader."""
    view = {}
    for name in consul.get("/v1/catalog/services"):
        for entry in consul.get(f"/v1/health/service/{name}"):
            service, node, checks = entry["Service"], entry["Node"], entry["Checks"]
            view[name, node["Node"].lower(), service["ID"]] = (
                service["Address"] or node["Address"], service["Port"], tuple(service["Tags"] or []),
                max([check["Status"] for check in checks], key=RANK.index, default="passing"),
                tuple(sorted((check["Name"], check["Status"], check["Output"]) for check in checks if check["Status"] != "passing")))
    return view


def seen(daemon):
    view = {}
    for name in [service["service"] for service in json.loads(daemon.http("/v1/services")[1])]:
        status, text = daemon.http(f"/v1/services/{name}")
        for entry in json.loads(text)["instances"] if status == 200 else []:
            view[name, entry["node"].lower(), entry["id"]] = (
                entry["address"], entry["port"], tuple(entry["tags"]), entry["status"],
                tuple(sorted((check["name"], check["status"], check["output"]) for check in entry["checks"] if check["status"] != "passing")))
    return view


def difference(consul, daemon):
    want, have = truth(consul), seen(daemon)
    return [(key, want.get(key), have.get(key)) for key in sorted(want.keys() | have.keys()) if want.get(key) != have.get(key)]


def test_view_becomes_what_consul_has(consul, tmp_path):
    seed = int(os.environ.get("LICTOR_TEST_SEED", time.time()))
    print(f"seed {seed}")
    changes = Changes(consul, seed)
    for node in range(NODES):
        consul.register_external(changes.node_name(node), f"10.9.0.{node + 1}")
    for service in range(SERVICES):
        for number in range(2):
            changes.register(service, number, (service + number) % NODES)
    daemon = Lictord(tmp_path, consul, services={}, log="info")
    until(lambda: not difference(consul, daemon), timeout=30, every=0.5, what=lambda: f"the first view: {difference(consul, daemon)[:5]}")
    started, rounds, slowest = time.monotonic(), 0, 0
    for service in range(0, SERVICES, 3):  # these get a blocked query
        daemon.addresses(f"s{service}.service.consul")
    until(lambda: json.loads(daemon.http("/v1/status")[1])["view"]["pooled"] > 20, timeout=20, what="blocked queries for what is asked for")
    while rounds < 2 or (LONG and time.monotonic() - started < 600):
        rounds += 1
        changes.some(80, changes.random.choice([0, 0.02, 0.1]))
        quiet = time.monotonic()
        # A last instance may be held for 30 s, and mass losses are, when several go at once.
        until(lambda: not difference(consul, daemon), timeout=90, every=0.2,
              what=lambda: f"the view to be Consul's (seed {seed}, round {rounds}): {difference(consul, daemon)[:5]}")
        slowest = max(slowest, time.monotonic() - quiet)
    status = json.loads(daemon.http("/v1/status")[1])["view"]
    print(f"{rounds} rounds, {len(truth(consul))} instances, {slowest:.1f} s at most until equal; "
          f"{status['sweeps']} sweeps, {status['probes']} probes, {status['moved']} moved, {status['reads']} reads, {status['older']} older")
    assert daemon.metrics()["lictor_watch_missed_total"] == 0, "nothing changes that no list tells"
    assert daemon.metrics().total("lictor_consul_connections", client="watch") <= 68
