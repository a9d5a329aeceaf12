"""Random changes of the catalog, and after each burst the question: does lictord answer what Consul answers?

Whoever answers A, AAAA or SRV for some name otherwise than Consul's own DNS (the rules of its servers before 1.19) is wrong,
but for the differences that include/lictor/catalog.h says. More services than the pool of blocked queries holds, so that the
others are covered too. LICTOR_TEST_LONG=1 runs for three minutes; LICTOR_TEST_SEED repeats a run."""

import os
import random
import time

import dns.rdatatype
import pytest

from lib.consul import Consul, version
from lib.dnsq import ask
from lib.lictord import Lictord
from lib.wait import until

SECONDS = 180 if os.environ.get("LICTOR_TEST_LONG") else 15
QUIET = 20  # the longest that a burst may take to be in the answers: two sweeps of the services without a blocked query

SERVICES = [f"svc{number}" for number in range(80)] + ["Upper", "a-b", "under_score", "x", "service", "node", "addr", "tcp"]
TAGS = ["v1", "V2", "blue", "tcp", "udp", "v1.2.3", "_odd"]
HOSTS = ["one.example.com", "two.example.com"]
STATUSES = ["passing", "passing", "warning", "critical"]


def node_name(number):
    """Some with capitals; never two that differ in case only, which are one node."""
    return f"Node-{number}" if number % 3 == 0 else f"node-{number}"


class Catalog:
    """What was registered, as far as the next change needs to know, and the changes."""

    def __init__(self, consul, rng):
        self.consul, self.rng = consul, rng
        self.nodes = {}      # name -> address
        self.instances = {}  # (node, id) -> service
        self.checks = {}     # (node, check id) -> service id or ""
        for number in range(14):
            self.set_node(node_name(number))
        for service in SERVICES:
            for _ in range(rng.randint(1, 3)):
                self.register(service)

    def put(self, what, body):
        self.consul.put(f"/v1/catalog/{what}", body)

    def address(self, hosts=True):
        rng = self.rng
        return rng.choice([f"10.{rng.randint(0, 3)}.0.{rng.randint(1, 9)}", f"10.9.{rng.randint(0, 255)}.{rng.randint(0, 255)}",
                           f"2001:db8::{rng.randint(1, 40):x}", f"::ffff:10.8.0.{rng.randint(1, 9)}"]
                          + (HOSTS if hosts and rng.random() < 0.3 else []))

    def set_node(self, name=None):
        """A new node, another address, or only another meta."""
        name = name or self.rng.choice(sorted(self.nodes) + [node_name(self.rng.randint(0, 13))])
        if name not in self.nodes or self.rng.random() < 0.7:
            self.nodes[name] = self.address(hosts=False)
        self.put("register", {"Node": name, "Address": self.nodes[name], "NodeMeta": {"k": str(self.rng.random())}})

    def register(self, service=None):
        rng = self.rng
        node, service = rng.choice(sorted(self.nodes)), service or rng.choice(SERVICES)
        id = f"{service}-{rng.randint(1, 3)}"
        body = {"Service": service, "ID": id, "Address": rng.choice(["", self.address()]), "Port": rng.choice([0, 80, 443, 65535]),
                "Tags": rng.sample(TAGS, rng.choice([0, 0, 1, 2]))}
        if rng.random() < 0.3:
            body["Weights"] = {"Passing": rng.randint(1, 9), "Warning": rng.randint(1, 9)}
        self.put("register", {"Node": node, "Address": self.nodes[node], "SkipNodeUpdate": True, "Service": body})
        self.instances[node, id] = service

    def deregister(self):
        node, id = self.rng.choice(sorted(self.instances))
        self.put("deregister", {"Node": node, "ServiceID": id})
        self.forget(node, id)

    def forget(self, node, id=None):
        for key in [key for key in self.instances if key[0] == node and id in (None, key[1])]:
            del self.instances[key]
        for key in [key for key, owner in self.checks.items() if key[0] == node and id in (None, owner)]:
            del self.checks[key]

    def deregister_node(self):
        node = self.rng.choice(sorted(self.nodes))
        self.put("deregister", {"Node": node})
        self.forget(node)
        del self.nodes[node]

    def set_check(self, node, check, service_id, status):
        self.put("register", {"Node": node, "Address": self.nodes[node], "SkipNodeUpdate": True, "Check": {
            "Node": node, "CheckID": check, "Name": check, "ServiceID": service_id, "Status": status, "Output": str(self.rng.random())}})
        self.checks[node, check] = service_id

    def check_service(self):
        node, id = self.rng.choice(sorted(self.instances))
        self.set_check(node, f"service:{id}:{self.rng.randint(1, 2)}", id, self.rng.choice(STATUSES))

    def check_node(self):
        self.set_check(self.rng.choice(sorted(self.nodes)), f"disk{self.rng.randint(1, 2)}", "", self.rng.choice(STATUSES))

    def maintain(self):
        """Maintenance of a node or an instance: a critical check with a name of its own."""
        node, id = self.rng.choice(sorted(self.instances))
        check, owner = self.rng.choice([("_node_maintenance", ""), (f"_service_maintenance:{id}", id)])
        if (node, check) in self.checks:
            self.drop_check(node, check)
        else:
            self.set_check(node, check, owner, "critical")

    def drop_check(self, node=None, check=None):
        if not node:
            node, check = self.rng.choice(sorted(self.checks) or [(None, None)])
        if node:
            self.put("deregister", {"Node": node, "CheckID": check})
            del self.checks[node, check]

    def burst(self):
        changes = [self.register] * 8 + [self.deregister] * 6 + [self.check_service] * 10 + [self.drop_check] * 5 + \
            [self.check_node, self.maintain, self.set_node, self.set_node]
        for _ in range(self.rng.choice([1, 5, 40])):
            if self.instances:
                self.rng.choice(changes)()
        if len(self.nodes) > 10 and self.rng.random() < 0.3:
            self.deregister_node()
        if len(self.instances) < 150:
            for _ in range(10):
                self.register()


def answer(server, name, type, tcp=False):
    reply = ask(server, name, type, payload=4096, tcp=tcp, timeout=5, tries=2)
    return answer(server, name, type, tcp=True) if reply.tc else reply


def addresses_of(reply, section):
    return {(str(rrset.name).lower(), rdata.to_text()) for rrset in getattr(reply.message, section) for rdata in rrset
            if rrset.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)}


def services_of(reply):
    """port and target of each SRV record -> the highest weight (the same port and target twice are one record with us)."""
    found = {}
    for rdata in (rdata for rrset in reply.message.answer if rrset.rdtype == dns.rdatatype.SRV for rdata in rrset):
        key = (rdata.priority, rdata.port, rdata.target.to_text().lower())
        found[key] = max(found.get(key, 0), rdata.weight)
    return found


def difference(consul, daemon, name, type):
    """What is different, or None."""
    theirs, ours = answer(("127.0.0.1", consul.ports["dns"]), name, type), answer(daemon.dns, name, type)
    cnames, our_cnames = theirs.records("CNAME"), ours.records("CNAME")
    if type != "SRV" and cnames:
        # One of several host names; none beside addresses of the other family or SRV records (RFC 1034 section 3.6.2).
        beside = daemon.addresses(name, "AAAA" if type == "A" else "A") or daemon.ask(name, "SRV").records("SRV")
        if [host.rstrip(".") for host in our_cnames] in [[host] for host in HOSTS] or (not our_cnames and beside):
            return None
    elif type == "SRV" and our_cnames:
        return None  # a CNAME stands alone: SRV is at _name._tcp only
    elif theirs.rcode == ours.rcode and theirs.addresses() == ours.addresses() and services_of(theirs) == services_of(ours) and \
            addresses_of(theirs, "additional") == addresses_of(ours, "additional"):
        return None
    return f"{name} {type}\n--- Consul:\n{theirs}\n--- lictord:\n{ours}"


def questions(nodes, rng):
    names = []
    for service in SERVICES:
        names += [f"{service}.service.consul", f"_{service}._{rng.choice(['tcp', 'udp', 'v1'])}.service.dc1.consul",
                  f"{rng.choice(TAGS)}.{service}.service.dc1.consul"]
    for name in names:
        for type in ("A", "AAAA", "SRV"):
            yield name, type
    for node in nodes:
        for type in ("A", "AAAA"):
            yield f"{node}.node.consul", type
            yield f"{node}.node.dc1.consul", type


@pytest.mark.skipif(version() >= (1, 19), reason="Consul's own DNS was rewritten: other rules")
def test_answers_are_consuls(tmp_path):
    seed = int(os.environ.get("LICTOR_TEST_SEED", random.randrange(1 << 32)))
    print("LICTOR_TEST_SEED", seed)
    rng = random.Random(seed)
    consul = Consul(tmp_path, config={"dns_config": {"enable_truncate": True}, "limits": {"http_max_conns_per_client": 400}})
    catalog = Catalog(consul, rng)
    daemon = Lictord(tmp_path, consul, services={"answers": 0}, log="info")
    ends, bursts = time.monotonic() + SECONDS, 0
    every_node = set(catalog.nodes)
    while time.monotonic() < ends or bursts < 3:
        bursts += 1
        catalog.burst()
        every_node |= set(catalog.nodes)
        left = [(*question, None) for question in questions(sorted(every_node), rng)]

        def same():
            left[:] = [(name, type, found) for name, type, _ in left if (found := difference(consul, daemon, name, type))]
            return not left
        until(same, timeout=QUIET, every=0.3, what=lambda: f"the same answers (seed {seed}, burst {bursts}), {len(left)} differ:\n" +
              "\n\n".join(found or "" for _, _, found in left[:3]))
    print(f"{bursts} bursts, {daemon.metrics().total('lictor_view_held_total'):.0f} held")
    daemon.stop()
