"""The faults. Each is a function of (cluster, primary, seconds, rng) that breaks something, waits, and mends it.

FAULTS says of each for how long it lasts when nothing else is said, and the bounds, in seconds, that the checker holds
it to: `gap`, how long nobody may answer for a zone; `act`, how long nobody may act (None: unbounded, since Consul itself
is away); `recovery`, how long after its end all must be in order.
"""

import threading
import time
from dataclasses import dataclass
from typing import Callable, Optional

import net
from cluster import LEADER, LEASE
from lib.consul import ConsulError

WAIT_OUT = LEASE * 1.01 + 0.05
SEEN = 1.0        # a process that is gone is seen: check 0.5 s, and reading, within 1 s
SYNC = 0.5        # and so much later where an agent has to tell the servers of a lapsed check: up to 1 s was seen
WIDENED = 1.5     # by so much later when three elections in five minutes widened its check to 2 s
# serfHealth of a host that is gone, by Consul's gossip (LAN defaults, six members): each of the five others probes it once in
# five rounds of 1 s, a probe fails after 1 s, and three of them must suspect it before the suspicion's 4 s count: 5 + 1 + 4 s
# at worst; 5.4 s is usual, 8.8 s was seen.
HOST_LOST = 10.0
LATE = 2.2        # longer than a lease
CALM = 3.0        # after a fault of a server Consul is slow for a while: what counts times waits for so long
TTL_EXPIRY = 22.0 # twice the session's TTL, and the leader's timer


@dataclass
class Fault:
    run: Callable
    seconds: tuple            # the range that a random run draws from
    short: float              # in the short run
    gap: float
    act: Optional[float]
    recovery: float = 15.0
    watch: float = 1.0        # how long all must have been in order to count as recovered: a blow may show late
    before: float = 0.2       # and as long before it
    server: bool = False      # needs 3 voters before it, and takes some away
    notices_process: bool = False
    needs_iptables: bool = False


FAULTS = {}


def fault(name, seconds=(0, 0), short=0.0, **bounds):
    def note(function):
        FAULTS[name] = Fault(function, seconds, short, **bounds)
        return function
    return note


def injected(cluster):
    """The instant from which times are counted: just before the blow."""
    cluster.events.mark("injected")


# -- the process
@fault("kill", gap=SEEN, act=SEEN + WAIT_OUT, notices_process=True)
def kill(cluster, primary, seconds, rng):
    injected(cluster)
    cluster.hosts[primary].kill()
    cluster.wait_other(primary, 15)
    cluster.events.mark("healed")
    cluster.start_lictord(primary)


@fault("stop", seconds=(1, 30), short=5.0, gap=SEEN + SYNC, act=SEEN + SYNC + WAIT_OUT, notices_process=True)
def stop(cluster, primary, seconds, rng):
    injected(cluster)
    cluster.hosts[primary].pause()
    cluster.events.mark("stopped", node=primary)
    time.sleep(seconds)
    cluster.events.mark("cont", node=primary)
    cluster.hosts[primary].resume()
    cluster.events.mark("healed")


@fault("stop-short", seconds=(0.3, 2.5), short=1.5, gap=SEEN + SYNC, act=SEEN + SYNC + WAIT_OUT, notices_process=True)
def stop_short(cluster, primary, seconds, rng):
    stop(cluster, primary, seconds, rng)


@fault("stop-standby", seconds=(1, 10), short=3.0, gap=0, act=0)
def stop_standby(cluster, primary, seconds, rng):
    stop(cluster, rng.choice([node for node in cluster.hosts if node != primary]), seconds, rng)


# The clean marker spares the wait-out to a standby that has followed the lock for a lease.
@fault("terminate", gap=0, act=0.3, before=LEASE + 0.5)
def terminate(cluster, primary, seconds, rng):
    injected(cluster)
    cluster.hosts[primary].process.signal(15)
    cluster.wait_other(primary, 10)
    cluster.hosts[primary].process.wait(30)
    cluster.events.mark("healed")
    cluster.start_lictord(primary)


@fault("handover", gap=0, act=0.3, before=LEASE + 0.5)
def handover(cluster, primary, seconds, rng):
    target = rng.choice([node for node in cluster.hosts if node != primary])
    asked = rng.choice(list(cluster.hosts))
    injected(cluster)
    done = cluster.hosts[asked].command("handover", target)
    if done.returncode != 0:
        cluster.events.mark("refused", by=asked, text=done.stderr.strip()[-300:])
    cluster.wait(lambda: cluster.primary() == target, 5)
    cluster.events.mark("healed")


# -- the agent: sessions that hang on a check die with its restart, and P sees it by its blocking read
@fault("agent-kill", gap=0, act=SEEN + WAIT_OUT + 1, watch=LATE)
def agent_kill(cluster, primary, seconds, rng):
    injected(cluster)
    cluster.agents[primary].kill()
    cluster.agents[primary].start()
    cluster.events.mark("healed")


@fault("agent-restart", gap=0, act=SEEN + WAIT_OUT + 1, watch=LATE)
def agent_restart(cluster, primary, seconds, rng):
    injected(cluster)
    cluster.agents[primary].process.terminate(20)
    cluster.agents[primary].start()
    cluster.events.mark("healed")


@fault("agent-leave", gap=0, act=SEEN + WAIT_OUT + 1, recovery=20.0, watch=LATE)
def agent_leave(cluster, primary, seconds, rng):
    injected(cluster)
    cluster.agents[primary].put("/v1/agent/leave")
    cluster.agents[primary].process.wait(20)
    cluster.agents[primary].start()
    cluster.events.mark("healed")


@fault("agent-lost", seconds=(2, 12), short=7.0, gap=0, act=HOST_LOST + WAIT_OUT, recovery=35.0, watch=LATE)
def agent_lost(cluster, primary, seconds, rng):
    """kill -9 and stays down: to the others the host is lost."""
    injected(cluster)
    cluster.agents[primary].kill()
    time.sleep(seconds)
    cluster.agents[primary].start()
    cluster.events.mark("healed")


# -- partitions
@fault("cut-agent", seconds=(1, 10), short=4.5, gap=0, act=SEEN + SYNC + WAIT_OUT, notices_process=True, needs_iptables=True)
def cut_agent(cluster, primary, seconds, rng):
    """The primary does not reach its agent: its check lapses long before its lease does, so only the wait-out keeps two apart."""
    injected(cluster)
    cluster.net.cut_loopback(primary, 8500)
    time.sleep(seconds)
    cluster.net.heal(primary)
    cluster.events.mark("healed")


@fault("cut-consul", seconds=(2, 30), short=3.0, gap=0, act=TTL_EXPIRY + WAIT_OUT, recovery=25.0, watch=LATE)
def cut_consul(cluster, primary, seconds, rng):
    """From the servers alone: peers still vouch for the host, so the session lives until its TTL."""
    injected(cluster)
    cluster.net.cut(primary, net.SERVERS.values())
    time.sleep(seconds)
    cluster.net.heal(primary)
    cluster.events.mark("healed")


@fault("cut-peers", seconds=(1, 15), short=3.0, gap=0, act=0)
def cut_peers(cluster, primary, seconds, rng):
    injected(cluster)
    cluster.net.cut(primary, [address for node, address in net.HOSTS.items() if node != primary])
    time.sleep(seconds)
    cluster.net.heal(primary)
    cluster.events.mark("healed")


@fault("cut-all", seconds=(2, 20), short=9.0, gap=HOST_LOST, act=HOST_LOST + WAIT_OUT, recovery=35.0)
def cut_all(cluster, primary, seconds, rng):
    injected(cluster)
    cluster.net.cut_all(primary)
    time.sleep(seconds)
    cluster.net.heal(primary)
    cluster.events.mark("healed")


@fault("loss", seconds=(3, 15), short=3.0, gap=SEEN, act=TTL_EXPIRY + WAIT_OUT, recovery=20.0, needs_iptables=True, watch=LATE)
def loss(cluster, primary, seconds, rng):
    """A quarter of the packets of the primary's host get lost, each way."""
    injected(cluster)
    cluster.net.lose(primary, 0.25)
    time.sleep(seconds)
    cluster.net.heal(primary)
    cluster.events.mark("healed")


# -- Consul: nobody can confirm, so nobody acts past the lease; the zones go on
@fault("consul-leader-kill", gap=0, act=None, recovery=25.0, server=True, watch=LATE)
def consul_leader_kill(cluster, primary, seconds, rng):
    leader = cluster.consul_leader()
    injected(cluster)
    cluster.servers[leader].kill()
    cluster.wait(cluster.consul_leader, 30)
    cluster.servers[leader].start()
    cluster.events.mark("healed")


@fault("consul-leader-pause", seconds=(1, 12), short=4.0, gap=0, act=None, recovery=25.0, server=True, watch=LATE)
def consul_leader_pause(cluster, primary, seconds, rng):
    leader = cluster.consul_leader()
    injected(cluster)
    cluster.servers[leader].pause()
    time.sleep(seconds)
    cluster.servers[leader].resume()
    cluster.events.mark("healed")


@fault("consul-down", seconds=(3, 30), short=3.0, gap=0, act=None, recovery=75.0, server=True, watch=LATE)
def consul_down(cluster, primary, seconds, rng):
    """A leader that does not know the hosts again when it begins reaps them with their sessions, and registers their
    serfHealth, without which there is no session, by its next reconciliation: each 60 s. Rare; usually 4 s."""
    injected(cluster)
    for server in cluster.servers.values():
        server.kill()
    time.sleep(seconds)
    for server in cluster.servers.values():
        server.start()
    cluster.events.mark("healed")


@fault("restore", gap=0, act=SEEN + WAIT_OUT + 1, recovery=20.0, watch=LATE)
def restore(cluster, primary, seconds, rng):
    """A snapshot of this reign comes back: the epoch may not."""
    snapshot = cluster.ask_server("GET", "/v1/snapshot", timeout=10)
    injected(cluster)
    cluster.ask_server("PUT", "/v1/snapshot", snapshot, timeout=20)
    cluster.events.mark("healed")


@fault("restore-old", gap=0, act=TTL_EXPIRY + WAIT_OUT + 1, recovery=40.0, watch=LATE)
def restore_old(cluster, primary, seconds, rng):
    """A snapshot of the reign before comes back, with its holder and its marker."""
    snapshot = cluster.ask_server("GET", "/v1/snapshot", timeout=10)
    cluster.hosts[primary].command("handover")
    cluster.wait_other(primary, 10)
    cluster.steady()
    injected(cluster)
    cluster.ask_server("PUT", "/v1/snapshot", snapshot, timeout=20)
    cluster.events.mark("healed")


# -- tampering
@fault("put", gap=0, act=SEEN + WAIT_OUT, watch=LATE)
def put(cluster, primary, seconds, rng):
    injected(cluster)
    cluster.ask_server("PUT", f"/v1/kv/{LEADER}", rng.choice([b"", b"somebody's note", b"{}", b'{"node": "ns9", "epoch": 1}']))
    cluster.events.mark("healed")


@fault("delete", gap=0, act=SEEN + WAIT_OUT, watch=LATE)
def delete(cluster, primary, seconds, rng):
    injected(cluster)
    cluster.ask_server("DELETE", f"/v1/kv/{LEADER}")
    cluster.events.mark("healed")


@fault("destroy", gap=0, act=SEEN + WAIT_OUT, watch=LATE)
def destroy(cluster, primary, seconds, rng):
    session = cluster.ask_server("GET", f"/v1/kv/{LEADER}")[0].get("Session")
    injected(cluster)
    if session:
        cluster.ask_server("PUT", f"/v1/session/destroy/{session}")
    cluster.events.mark("healed")


HOLD = 1.5


@fault("contender", gap=HOLD + SEEN, act=HOLD + 2 + SEEN + WAIT_OUT)
def contender(cluster, primary, seconds, rng):
    """The session is destroyed while a stranger hammers acquire, which jumps Consul's lock-delay; it keeps the lock for a while."""
    stranger = cluster.ask_server("PUT", "/v1/session/create", {"Name": "stranger", "NodeChecks": [], "TTL": "30s", "LockDelay": "0s"})["ID"]
    session = cluster.ask_server("GET", f"/v1/kv/{LEADER}")[0].get("Session")
    won, over = threading.Event(), threading.Event()

    def hammer(server):
        while not won.is_set() and not over.is_set():
            try:
                if server.put(f"/v1/kv/{LEADER}?acquire={stranger}", b"mine", timeout=2) is True:
                    won.set()
            except OSError:
                pass
    threads = [threading.Thread(target=hammer, args=(server,), daemon=True) for server in cluster.servers.values() for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    injected(cluster)
    try:
        if session:
            cluster.ask_server("PUT", f"/v1/session/destroy/{session}")
        if won.wait(2):
            time.sleep(HOLD)
    finally:
        over.set()
        for thread in threads:
            thread.join(5)
        cluster.events.mark("stranger", won=won.is_set())
        try:
            cluster.ask_server("PUT", f"/v1/session/destroy/{stranger}")
        except ConsulError:
            pass
        cluster.events.mark("healed")


def bounds(fault, widened, standby):
    late = WIDENED if widened and fault.notices_process else 0
    act = None if fault.act is None else fault.act + late
    # Under `strict` only who acts answers.
    return {"gap": act if standby == "strict" else fault.gap + late, "act": act, "recovery": fault.recovery}
