"""The host's own Consul agent is restarted, leaves, or dies with its host: the lock moves in order, and nobody acts twice.

The primary's agent is a client; the server, which the standby asks, lives on.
"""

import signal
import time

import pytest

from lib.consul import Consul
from lib.lictord import Lictord
from lib.wait import until
from test_election import Referee, answers

LEASE = 2.0


@pytest.fixture
def hosts(consul, tmp_path, zone_file):
    """make(**consul settings of the primary) -> (agent, primary, standby)"""
    def make(primary_addresses=lambda agent: agent.url):
        agent = Consul(tmp_path, node="host1", join=[consul], server=False)
        primary = Lictord(tmp_path, agent, election={}, zones={"example.org": zone_file}, consul_settings={"address": primary_addresses(agent)})
        until(primary.is_primary, timeout=20)
        standby = Lictord(tmp_path, consul, node="ns2", election={}, zones={"example.org": zone_file})
        until(lambda: standby.role_status()["primary"]["node"] == "ns1", timeout=10)
        return agent, primary, standby
    return make


def moved(primary, standby, since, bound, what):
    until(lambda: primary.is_primary() or standby.is_primary(), timeout=30)  # at most one: the referee looks
    until(lambda: standby.is_primary() or (primary.is_primary() and primary.epoch() > moved.epoch), timeout=30, every=0.01,
          what=f"a new reign after {what}")
    took = time.monotonic() - since
    print(f"{what}: somebody acts in a new reign after {took:.3f} s")
    assert took < bound, f"{what}: {took:.3f} s, expected below {bound} s"


def test_agent_killed_and_restarted(hosts):
    agent, primary, standby = hosts()
    moved.epoch = primary.epoch()
    with Referee(primary, standby):
        since = time.monotonic()
        agent.kill()
        agent.start()
        agent.wait_leader()
        # The session lives if our beats come before the reloaded check is told to the servers; else it dies in 0.1 to 0.6 s. Either way
        # somebody acts, and both are members.
        until(lambda: (primary.is_primary() or standby.is_primary()) and len(primary.role_status()["members"]) == 2, timeout=30)
        took = time.monotonic() - since
        print(f"agent killed and restarted: in order after {took:.3f} s, epoch {moved.epoch} before")
        assert took < 15, f"in order only after {took:.3f} s"
        until(lambda: len(standby.role_status()["members"]) == 2, timeout=20, what="the restarted agent's instance is a member again")
    assert answers(primary) or answers(standby)


def test_agent_leaves(hosts):
    agent, primary, standby = hosts()
    moved.epoch = primary.epoch()
    with Referee(primary, standby):
        since = time.monotonic()
        agent.put("/v1/agent/leave")
        # Every session of the node dies in 0.4 to 0.6 s.
        moved(primary, standby, since, LEASE + 5, "graceful leave")
        assert standby.is_primary() and not primary.is_primary()
        until(lambda: primary.process.alive and answers(primary), timeout=LEASE + 3, what="without Consul the zone goes on")
        agent.process.wait(20)
        agent.start()
        until(lambda: len(standby.role_status()["members"]) == 2, timeout=30, what="back as a member")


def test_agent_dies_and_stays_down(hosts):
    """As a lost host: serfHealth tells after some 5 s. The primary stops acting at its lease, long before."""
    agent, primary, standby = hosts()
    moved.epoch = primary.epoch()
    with Referee(primary, standby):
        since = time.monotonic()
        agent.process.signal(signal.SIGKILL)
        until(lambda: not primary.is_primary(), timeout=10, every=0.01)
        ended = time.monotonic() - since
        assert ended < LEASE + 1, f"acting ended after {ended:.3f} s"
        moved(primary, standby, since, 25, "agent dead (acting ended after %.3f s)" % ended)
        assert standby.is_primary()


def test_several_addresses_with_the_local_agent_first(hosts, consul):
    """The local agent dies, a server is next in the list: the primary goes on confirming its lease there while its session lives."""
    agent, primary, standby = hosts(lambda agent: [agent.url, consul.url])
    moved.epoch = primary.epoch()
    with Referee(primary, standby):
        since = time.monotonic()
        agent.kill()
        moved(primary, standby, since, 30, "local agent dead, another address known")
        agent.start()
        until(lambda: len(standby.role_status()["members"]) == 2, timeout=40)
