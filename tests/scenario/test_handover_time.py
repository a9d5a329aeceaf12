"""What a hand-over costs: the time in which nobody may act, and queries that nobody answers."""

import math
import re
import threading
import time

import dns.message
import dns.query
import dns.rcode

from lib.lictord import BUILD, primary_of
from lib.wait import until
from test_election import ZONE_NAME, Referee, refused

ROUNDS = 20
# The number to reach is 50 ms; seen with sanitizers on two idle cores: p50 18 ms, p95 31 ms. Beside other tests it is the machine that is measured.
P95 = 0.050 if BUILD.name == "release" else 0.250
GATE = re.compile(r"gate: changed between (\d+) and (\d+): epoch \d+, act until (\d+)")


def gates(daemon, since):
    """(before, after, may act from then on) of each change of the gate, in seconds of CLOCK_BOOTTIME."""
    for match in GATE.finditer(daemon.process.text()[since:]):
        before, after, act_until = (int(group) for group in match.groups())
        yield before / 1e9, after / 1e9, act_until > after


class Resolver:
    """Asks all the time, as a resolver does: who is refused by one server asks the other at once, and then the first one again."""

    def __init__(self, *daemons):
        self.servers = [daemon.dns for daemon in daemons]
        self.asked = self.refused_once = 0
        self.unanswered = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _ask(self, server):
        query = dns.message.make_query(ZONE_NAME, "A")
        try:
            reply = dns.query.udp(query, server[0], port=server[1], timeout=0.5)
        except (dns.exception.Timeout, OSError):
            self.said.append("silence")
            return False
        self.said.append(dns.rcode.to_text(reply.rcode()))
        return reply.rcode() == dns.rcode.NOERROR and len(reply.answer) == 1

    def _run(self):
        while not self._stop.is_set():
            self.asked += 1
            self.said = []
            first = self.asked % 2
            if not self._ask(self.servers[first]):
                self.refused_once += 1
                if not self._ask(self.servers[1 - first]) and not self._ask(self.servers[first]):
                    self.unanswered.append((time.monotonic(), self.said))
            time.sleep(0.001)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(10)


def test_twenty_hand_overs(pair):
    daemons = list(pair())
    primary, (standby,) = primary_of(daemons)
    until(lambda: refused(standby))
    time.sleep(2.1)  # a clean marker counts for who has followed the key for a lease
    gaps, marks = [], []
    with Resolver(*daemons) as resolver, Referee(*daemons):
        for number in range(ROUNDS):
            primary, (standby,) = primary_of(daemons)
            since = [len(daemon.process.text()) for daemon in (primary, standby)]
            marks.append(time.monotonic())
            (primary, standby)[number % 2].command("handover", standby.node, check=True)
            until(standby.is_primary, timeout=10, every=0.005)
            closed = next(before for before, _, may in gates(primary, since[0]) if not may)
            opened = next(after for _, after, may in gates(standby, since[1]) if may)
            assert opened > closed, "the gate of one opened before that of the other was closed"
            gaps.append(opened - closed)
            time.sleep(0.5)
    gaps.sort()
    p50, p95, worst = (gaps[math.ceil(ROUNDS * part) - 1] for part in (0.5, 0.95, 1))  # nearest rank
    print(f"{ROUNDS} hand-overs: without the right to act p50 {p50 * 1000:.1f} ms, p95 {p95 * 1000:.1f} ms, max {worst * 1000:.1f} ms")
    print(f"{resolver.asked} queries, {resolver.refused_once} refused by the server asked first, {len(resolver.unanswered)} answered by nobody")
    assert p95 < P95, f"p95 {p95:.4f} s of {[round(gap, 4) for gap in gaps]}"
    late = [(min((at - mark for mark in marks if at >= mark), default=None), said) for at, said in resolver.unanswered]
    # One query in thousands, where other tests take the cores between the giver's last answer and the taker's first one.
    assert len(resolver.unanswered) <= (0 if BUILD.name == "release" else 1), f"unanswered, in seconds after a hand-over was asked for: {late}"
