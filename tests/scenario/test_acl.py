"""Consul with ACLs and default_policy = deny."""

import re

import pytest

from lib.consul import Consul
from lib.lictord import Lictord, primary_of
from lib.process import ROOT
from lib.wait import stays, until

POLICY = (ROOT / "contrib/consul/policy.hcl").read_text()
BLIND = "\n".join(line for line in ['service "lictor" { policy = "write" }', 'session_prefix "" { policy = "write" }',
                                    'key_prefix "lictor/default/" { policy = "write" }', 'agent_prefix "" { policy = "read" }'])


@pytest.fixture
def consul(tmp_path):
    consul = Consul(tmp_path, acl=True)
    consul.register("web", address="10.0.0.1", port=80)
    consul.policy_id = consul.policy("lictor", POLICY)
    consul.accessor, consul.secret = consul.make_token("lictor")
    consul.token_file = tmp_path / "token"
    consul.token_file.write_text(consul.secret + "\n")
    return consul


def start(tmp_path, consul, node="ns1", **settings):
    return Lictord(tmp_path, consul, node=node, services={}, consul_settings={"token_file": str(consul.token_file)}, **settings)


def set_rules(consul, rules):
    consul.put(f"/v1/acl/policy/{consul.policy_id}", {"ID": consul.policy_id, "Name": "lictor", "Rules": rules})


def test_least_rights_suffice(consul, tmp_path, zone_file):
    daemons = [start(tmp_path, consul, node, election={}, zones={"example.org": zone_file}) for node in ("ns1", "ns2")]
    primary, (standby,) = primary_of(daemons)
    primary.wait_addresses("web.service.consul", ["10.0.0.1"])
    consul.set_check("web", "critical")
    primary.wait_addresses("web.service.consul", [])
    primary.stop()
    until(standby.is_primary)
    text = standby.process.text() + primary.process.text()
    assert "acl:" not in text and standby.status()["view"]["rights_missing"] is None
    assert not re.search(r"\b403\b|Permission denied", text), "a right is missing in contrib/consul/policy.hcl"


def test_lost_rights_do_not_empty_the_view(consul, tmp_path):
    daemon = start(tmp_path, consul)
    daemon.wait_addresses("web.service.consul", ["10.0.0.1"])
    set_rules(consul, BLIND)
    until(lambda: consul.get("/v1/catalog/services", token=consul.secret) in ({}, {"lictor": []}), what="Consul shows the token nothing")
    consul.put("/v1/kv/tests/wake", b"1")
    consul.register("other", address="10.0.0.9")  # wakes the watches: they see an empty catalog
    stays(lambda: daemon.addresses("web.service.consul") == ["10.0.0.1"], 6, what="the view is kept")
    daemon.wait_logged("lost its rights", timeout=80)  # an ACL change wakes no blocked query
    set_rules(consul, POLICY)
    daemon.wait_addresses("other.service.consul", ["10.0.0.9"], timeout=20)
    consul.set_check("web", "critical")
    daemon.wait_addresses("web.service.consul", [], timeout=30)


def test_deleted_token_does_not_empty_the_view(consul, tmp_path):
    daemon = start(tmp_path, consul)
    daemon.wait_addresses("web.service.consul", ["10.0.0.1"])
    consul.delete(f"/v1/acl/token/{consul.accessor}")
    consul.register("other", address="10.0.0.9")
    stays(lambda: daemon.addresses("web.service.consul") == ["10.0.0.1"], 5)
    daemon.wait_logged("403|ACL not found|ermission denied", timeout=40)
    _, secret = consul.make_token("lictor")
    consul.token_file.write_text(secret)  # re-read when it changes
    daemon.wait_addresses("other.service.consul", ["10.0.0.9"], timeout=60)


def test_no_right_to_the_lock(consul, tmp_path, zone_file):
    set_rules(consul, 'service_prefix "" { policy = "read" }\nnode_prefix "" { policy = "read" }\nagent_prefix "" { policy = "read" }')
    daemon = start(tmp_path, consul, election={}, zones={"example.org": {"file": str(zone_file), "store": "file"}})
    daemon.wait_addresses("web.service.consul", ["10.0.0.1"])
    daemon.wait_logged("403|ermission denied")
    assert not daemon.is_primary()
    until(lambda: daemon.addresses("www.example.org") == ["192.0.2.80"], what="nobody is known to be primary: the zone is answered")
    set_rules(consul, POLICY)
    until(daemon.is_primary, timeout=40)


def test_missing_token_file_is_said(consul, tmp_path):
    consul.token_file.unlink()
    daemon = start(tmp_path, consul, wait=False)
    daemon.wait_logged(str(consul.token_file))


READS = {"node_prefix": 'service_prefix "" { policy = "read" }\nagent_prefix "" { policy = "read" }',
         "service_prefix": 'node_prefix "" { policy = "read" }\nagent_prefix "" { policy = "read" }'}


def test_a_missing_right_is_named_at_the_start(consul, tmp_path):
    """One daemon for each right, with a token of its own: what comes back is looked for every ten seconds."""
    daemons, policies = {}, {}
    for lacking, rules in READS.items():
        policies[lacking] = consul.policy(lacking, rules)
        _, secret = consul.make_token(lacking)
        daemons[lacking] = Lictord(tmp_path, consul, node=lacking.replace("_", "-"), services={}, consul_settings={"token": secret}, wait=False)
    for lacking, daemon in daemons.items():
        daemon.wait_logged(f'acl: token cannot read {lacking} ""')
        assert f'token cannot read {lacking} ""' in daemon.status()["view"]["rights_missing"]
        assert f'token cannot read {lacking} ""' in daemon.command("status", check=True).stdout
    for lacking, policy in policies.items():
        consul.put(f"/v1/acl/policy/{policy}", {"ID": policy, "Name": lacking, "Rules": POLICY})
    for daemon in daemons.values():
        daemon.wait_addresses("web.service.consul", ["10.0.0.1"], timeout=40)
        daemon.wait_logged("acl: the token can read nodes and services now", timeout=30)
        assert daemon.status()["view"]["rights_missing"] is None


def test_an_unknown_token_is_named_at_the_start(consul, tmp_path):
    consul.token_file.write_text("6f6cd0a8-2b0e-4e2e-9b7c-111111111111")
    start(tmp_path, consul, wait=False).wait_logged("acl: Consul does not know the token")
