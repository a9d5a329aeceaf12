"""Consul's DNS and Lictor's side by side over a catalog with everything in it: whatever differs is in the table of intended differences,
and whatever is in the table differs. The table is the README's, too."""

import pytest

from differential import batch
from differential.catalog import Rich
from differential.compare import TRANSPORTS, Context, ask_all, compare
from differential.differences import TABLE, markdown
from differential.questions import questions
from differential.reply import parse
from lib.consul import Consul, version
from lib.lictord import Lictord
from lib.process import ROOT

NODE_TTL, SERVICE_TTL, NEGATIVE_TTL = 7, 5, 3
SHOWN = 8  # of the names that differ, in full

# Not served yet: a form of names, or one type at a form. Each must still differ, so that none outlives its reason.
PENDING = {"query": None, "connect": None, "ingress": None, "node": ["TXT"]}
PENDING_NAMES = {"addr.consul", "query.consul", "connect.consul", "ingress.consul", "alpha.node.alt.example",
                 "cname-node.service.consul", "cname-node.service.dc1.consul"}


def pending(question):
    types = PENDING.get(question.form, [])
    return types is None or question.type in types or question.name in PENDING_NAMES


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(Consul, lictord, Consul's replies by transport)"""
    if version() >= (1, 19):
        pytest.skip("Consul's own DNS was rewritten: other rules")
    base = tmp_path_factory.mktemp("differences")
    consul = Consul(base, config={
        "log_level": "WARN", "connect": {"enabled": True}, "alt_domain": "alt.example", "dns_config": {
            "node_ttl": f"{NODE_TTL}s", "service_ttl": {"web": "11s", "cname-*": "13s", "*": f"{SERVICE_TTL}s"}, "soa": {"min_ttl": NEGATIVE_TTL}}})
    Rich(consul)
    asked = questions()
    server = ("127.0.0.1", consul.ports["dns"])
    return base, consul, asked, {transport: ask_all(server, asked, transport) for transport in TRANSPORTS}


def lictord(base, consul, node, **services):
    return Lictord(base, consul, node=node, log="info", services={
        "alt-domain": "alt.example", "node-ttl": f"{NODE_TTL}s", "negative-ttl": f"{NEGATIVE_TTL}s",
        "service-ttl": ["web=11s", "cname-*=13s", f"*={SERVICE_TTL}s"], **services})


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


def test_every_difference_is_intended(world):
    base, consul, asked, theirs = world
    daemon = lictord(base, consul, "ns1")
    daemon.wait_addresses("one.service.consul", ["10.2.1.1"])  # the view is complete
    ours = {transport: ask_all(daemon.dns, asked, transport) for transport in TRANSPORTS}
    context = Context(theirs["tcp"], "ns1", NODE_TTL, SERVICE_TTL, NEGATIVE_TTL, compat=False)
    wrong = compare(theirs["tcp"], theirs, ours, context)
    unexplained = [found for found in wrong if not pending(found[0])]
    assert not unexplained, f"{len(unexplained)} unexplained differences:\n{told(unexplained)}"
    idle = {name for name in [*PENDING, *PENDING_NAMES]} - {part for found in wrong for part in (found[0].form, found[0].name)}
    assert not idle, f"pending, but no different: {idle}"
    unused = [row.id for row in TABLE if row.id not in context.matched | ODD]
    assert not unused, f"rows of the table that nothing matches: {unused}"
    daemon.stop()


def test_readme_has_the_table():
    there = markdown() in (ROOT / "README.md").read_text()
    assert there, "README.md: make its table anew with `cd tests && python3 -m differential.differences`"


ODD = set()
