"""Consul's DNS and Lictor's side by side over a catalog with everything in it: whatever differs is in the table of intended differences,
and whatever is in the table differs. The table is the README's, too."""

import pytest

from differential import odd
from differential.catalog import Here, Rich, There
from differential.compare import TRANSPORTS, Context, ask_all, compare
from differential.differences import TABLE, markdown
from differential.questions import questions, remote_names
from lib.consul import Consul, federation, version
from lib.lictord import Lictord
from lib.process import ROOT
from lib.wait import until

NODE_TTL, SERVICE_TTL, NEGATIVE_TTL = 7, 5, 3
ASKED = ("query", "connect", "ingress", "virtual")
ODD = {row for row, _, _ in odd.MESSAGES} | {"connection"}  # rows that test_odd_messages looks after
SHOWN = 8  # of the names that differ, in full

SETTINGS = {
    "log_level": "WARN", "connect": {"enabled": True}, "alt_domain": "alt.example", "dns_config": {
        "node_ttl": f"{NODE_TTL}s", "service_ttl": {"web": "11s", "cname-*": "13s", "*": f"{SERVICE_TTL}s"}, "soa": {"min_ttl": NEGATIVE_TTL}}}

pytestmark = pytest.mark.skipif(version() >= (1, 19), reason="Consul's own DNS was rewritten: other rules")


def settled(consul):
    """The agent has told the catalog about its own node, a moment after the start: nothing changes any more."""
    until(lambda: consul.get(f"/v1/catalog/node/{consul.node}")["Node"]["Meta"], what="the agent's own metadata in the catalog")


def all_of_consul(consul, asked):
    return {transport: ask_all(("127.0.0.1", consul.ports["dns"]), asked, transport) for transport in TRANSPORTS}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(folder, Consul, questions, Consul's replies by transport)"""
    base = tmp_path_factory.mktemp("differences")
    consul = Consul(base, config=SETTINGS)
    Rich(consul)
    settled(consul)
    asked = questions()
    return base, consul, asked, all_of_consul(consul, asked)


@pytest.fixture(scope="module")
def two_worlds(tmp_path_factory):
    """The same of dc1, which is joined with dc2."""
    base = tmp_path_factory.mktemp("federated")
    here, there = federation(base, config=SETTINGS)
    Here(here), There(there)
    settled(here), settled(there)
    asked = questions(remote_names)
    return base, here, asked, all_of_consul(here, asked)


def lictord(base, consul, node, **services):
    return Lictord(base, consul, node=node, log="info", services={
        "alt-domain": "alt.example", "node-ttl": f"{NODE_TTL}s", "negative-ttl": f"{NEGATIVE_TTL}s",
        "reverse": ["10.in-addr.arpa", "2001:db8::/32"],
        "service-ttl": ["web=11s", "cname-*=13s", f"*={SERVICE_TTL}s"], **services})


def all_of_lictor(daemon, asked):
    for question in asked:
        if question.type == "A" and question.form in ASKED:  # Consul is asked for these: one by one, hundreds at once would be refused
            daemon.ask(question.name, edns=False)
    return {transport: ask_all(daemon.dns, asked, transport) for transport in TRANSPORTS}


def told(wrong):
    """Each name and its types once, and the first difference of each of a few names in full."""
    names = {}
    for found in wrong:
        names.setdefault(found[0].name, []).append(found)
    lines = [f"{name} ({found[0][0].form}): {' '.join(dict.fromkeys(one[0].type for one in found))} over "
             f"{' '.join(dict.fromkeys(one[1] for one in found))}" for name, found in names.items()]
    for question, transport, what, theirs, whole, ours in [found[0] for found in names.values()][:SHOWN]:
        lines.append(f"\n{question} over {transport}: {what}\n--- Consul: {theirs}\n--- expected: {whole}\n--- lictord: {ours}")
    return "\n".join(lines)


@pytest.mark.parametrize("compat", [False, True], ids=["default", "compat"])
def test_every_difference_is_intended(world, compat):
    base, consul, asked, theirs = world
    node = "ns2" if compat else "ns1"
    daemon = lictord(base, consul, node, **({"compat": "consul"} if compat else {}))
    daemon.wait_addresses("one.service.consul", ["10.2.1.1"])  # the view is complete
    ours = all_of_lictor(daemon, asked)
    context = Context(theirs["tcp"], node, NODE_TTL, SERVICE_TTL, NEGATIVE_TTL, compat)
    wrong = compare(theirs["tcp"], theirs, ours, context)
    assert not wrong, f"{len(wrong)} unexplained differences:\n{told(wrong)}"
    unused = [row.id for row in TABLE if row.active(compat) and row.id not in context.matched | ODD]
    assert not unused, f"rows of the table that nothing matches: {unused}"
    daemon.stop()


def test_odd_messages(world):
    base, consul, _, _ = world
    daemon = lictord(base, consul, "ns1")
    daemon.wait_addresses("one.service.consul", ["10.2.1.1"])
    server = ("127.0.0.1", consul.ports["dns"])
    for row, what, message in odd.MESSAGES:
        theirs, ours = odd.said(server, message), odd.said(daemon.dns, message)
        assert (theirs != ours) == bool(row), f"{what}: Consul {theirs}, lictord {ours}"
    assert odd.on_one_connection(server, 200) == 128
    assert odd.on_one_connection(daemon.dns, 200) == 200
    daemon.stop()


@pytest.mark.parametrize("compat", [False, True], ids=["default", "compat"])
def test_remote_names(two_worlds, compat):
    base, consul, asked, theirs = two_worlds
    node = "ns2" if compat else "ns1"
    daemon = lictord(base, consul, node, datacenters=["dc2"], **({"compat": "consul"} if compat else {}))
    daemon.wait_addresses("web.service.consul", ["10.8.1.1"])
    daemon.wait_addresses("web.service.dc2.consul", ["10.9.1.1", "10.9.1.2"])
    context = Context(theirs["tcp"], node, NODE_TTL, SERVICE_TTL, NEGATIVE_TTL, compat)
    context.remote = "dc2"
    wrong = compare(theirs["tcp"], theirs, all_of_lictor(daemon, asked), context)
    assert not wrong, f"{len(wrong)} unexplained differences:\n{told(wrong)}"
    daemon.stop()


def test_readme_has_the_table():
    there = markdown() in (ROOT / "README.md").read_text()
    assert there, "README.md: make its table anew with `cd tests && python3 -m differential.differences`"
