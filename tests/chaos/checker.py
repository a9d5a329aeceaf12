"""Decides whether a history is one of a Lictor that keeps its promises. Pure: a History in, findings out.

The rules, and what they forgive:
  acting        intervals of acting never overlap, of two instances nor of two reigns of one. Forgives nothing: an interval
                begins before the gate was opened, and ends after it was closed or when the right ran out by itself.
  epochs        each reign has a higher epoch than all before it; only the newest may be resumed.
  effects       an effect belongs to a reign that has begun, and none starts, or still runs, once a newer reign has.
                `demoted` may be late.
  answers       an authoritative answer is sent only while the gate allows it. Forgives the batch that was checked before a
                SIGSTOP and sent within 10 ms of its SIGCONT, and counts it.
  identity      an answer names the instance that was asked (NSID) and carries the SOA.
  serials       the serial of a zone never goes back on an instance (RFC 1982).
  updates       an UPDATE that was acknowledged is in the zone exactly once, on every instance and in what a secondary put together
                from IXFR; one that was refused is not. Of SERVFAIL and of silence nothing is said: either may be.
  copies        all of them are the same in the end: the AXFR of each instance, and the secondary's.
  availability  each zone is answered by at least one instance; a fault may name a gap that it is documented to cause.
  acting again  somebody acts, but for the time that a fault is documented to cost.
  recovery      after the end of a fault everything is in order within its bound.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict

NS = 1_000_000_000
FORGIVEN = 10_000_000
FOREVER = 1 << 62


class Findings:
    def __init__(self):
        self.list = []
        self.counts = {"replies": 0, "answers": 0, "effects": 0, "reigns": 0, "forgiven answers": 0, "stalls of the prober": 0, "acknowledged updates": 0,
                       "refused updates": 0, "updates without a word": 0}

    def add(self, rule, at, text):
        self.list.append({"rule": rule, "at": at, "text": text})


def merged(intervals):
    """Sorted, disjoint (begin, end)."""
    result = []
    for begin, end in sorted(intervals):
        if result and begin <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        elif begin < end:
            result.append((begin, end))
    return result


def spans(history):
    """For each node its changes of the gate, each with the instant until which it certainly does not count any more: when
    the next one was made, or the next process began."""
    starts = defaultdict(list)
    for event in history.events:
        if event["event"] == "start":
            starts[event["node"]].append(event["at"])
    nodes = defaultdict(list)
    for gate in history.gates:
        nodes[gate["node"]].append(gate)
    result = {}
    for node, gates in nodes.items():
        ends = []
        for number, gate in enumerate(gates):
            following = gates[number + 1] if number + 1 < len(gates) else None
            if following and following["run"] == gate["run"]:
                ends.append(following["to"])
            else:
                at = bisect_right(starts[node], gate["from"])
                ends.append(starts[node][at] if at < len(starts[node]) else FOREVER)
        result[node] = list(zip(gates, ends))
    return result


def acting(history):
    """[(begin, end, node, epoch)], sorted: when each instance had the right to act."""
    pieces = defaultdict(list)
    for node, gates in spans(history).items():
        for gate, end in gates:
            if gate["act_until"] > gate["from"]:
                pieces[node, gate["run"], gate["epoch"]].append((gate["from"], min(gate["act_until"], end)))
    return sorted((begin, end, node, epoch) for (node, _, epoch), list in pieces.items() for begin, end in merged(list))


def answering(history):
    """{node: disjoint intervals in which its gate allowed answers for authoritative zones}."""
    modes = [(event["at"], event["standby"]) for event in history.events if event["event"] == "mode"]
    allowed = {}
    for node, gates in spans(history).items():
        pieces = []
        for gate, end in gates:
            mode = next((mode for at, mode in reversed(modes) if at <= gate["from"]), "refuse")
            pieces.append((gate["from"], min(gate["act_until"], end)))
            if mode != "strict":
                begin = max(gate["from"], gate["ready_from"], gate["refuse_until"] if mode == "refuse" else 0)
                pieces.append((begin, end))
        allowed[node] = merged(pieces)
    return allowed


def overlaps(intervals, begin, end):
    """Is an instant of [begin, end] in one of these disjoint intervals?"""
    at = bisect_right(intervals, (end, FOREVER)) - 1
    return at >= 0 and intervals[at][1] >= begin


def check_acting(history, findings):
    reigns = acting(history)
    highest = None  # the interval that ends last
    newest = (0, None)
    for begin, end, node, epoch in reigns:
        if highest and begin < highest[1]:
            findings.add("acting", begin, f"{node} acts in epoch {epoch}, and {highest[2]} in epoch {highest[3]} "
                         f"for {(min(end, highest[1]) - begin) / 1e6:.3f} ms yet")
        if not highest or end > highest[1]:
            highest = (begin, end, node, epoch)
        if (epoch, node) != newest:
            findings.counts["reigns"] += 1
            if epoch <= newest[0]:
                findings.add("epochs", begin, f"{node} acts in epoch {epoch}, after epoch {newest[0]} of {newest[1]}")
            newest = max(newest, (epoch, node), key=lambda pair: pair[0])
    return reigns


def check_effects(history, reigns, findings):
    first = {}
    for begin, _, node, epoch in reigns:
        first.setdefault((node, epoch), begin)
    by_epoch = sorted((epoch, begin) for (_, epoch), begin in first.items())
    newest = (0, None)
    for effect in history.effects:
        at, node, epoch, event = effect["at"], effect["node"], effect["epoch"], effect["event"]
        ended = effect.get("phase") == "end"
        findings.counts["effects"] += not ended
        begun = first.get((node, epoch))
        if begun is None or at < begun:
            findings.add("effects", at, f"{event} on {node} in epoch {epoch}, which had not begun")
            continue
        if event == "demoted":
            continue
        later = [other for other, begin in by_epoch if other > epoch and begin <= at]
        if later:
            findings.add("effects", at, f"{event} on {node} in epoch {epoch} {'ran on' if ended else 'began'} when epoch {later[-1]} had begun")
        elif epoch < newest[0] or (epoch == newest[0] and node != newest[1]):
            findings.add("effects", at, f"{event} on {node} in epoch {epoch} after one of epoch {newest[0]} on {newest[1]}")
        newest = max(newest, (epoch, node), key=lambda pair: pair[0])


def good(probe):
    return probe["at"] is not None and probe.get("rcode") == 0 and probe.get("aa")


def check_answers(history, findings):
    allowed = answering(history)
    continued = defaultdict(list)
    for event in history.events:
        if event["event"] == "cont":
            continued[event["node"]].append(event["at"])
    for probe in history.probes:
        if probe["at"] is not None:
            findings.counts["replies"] += 1
        if not good(probe):
            continue
        findings.counts["answers"] += 1
        node, begin, end = probe["node"], probe["asked"], probe["at"]
        if probe["nsid"] != node or probe["serial"] is None:
            findings.add("identity", end, f"{node} was asked for {probe['zone']}: NSID {probe['nsid']!r}, serial {probe['serial']}")
        resumed = bisect_right(continued[node], end) - 1
        resumed = continued[node][resumed] if resumed >= 0 else 0
        # What was allowed before a pause counts for nothing after it.
        if overlaps(allowed.get(node, []), max(begin, resumed), end):
            continue
        if begin < resumed <= end <= resumed + FORGIVEN:
            findings.counts["forgiven answers"] += 1
        else:
            findings.add("answers", end, f"{node} answers for {probe['zone']} without the right to"
                         + (f", {(end - resumed) / 1e6:.3f} ms after SIGCONT" if end - resumed < 10 * NS else ""))


def serial_less(a, b):
    """RFC 1982, 3.2"""
    return a != b and ((b - a) & 0xFFFFFFFF) < 0x80000000


def check_serials(history, findings):
    groups = defaultdict(list)
    for probe in history.probes:
        if good(probe) and probe["serial"] is not None:
            groups[probe["node"], probe["zone"]].append(probe)
    for (node, zone), probes in groups.items():
        probes.sort(key=lambda probe: probe["at"])
        arrived, highest = [], []
        for probe in probes:
            before = bisect_left(arrived, probe["asked"]) - 1  # a reply that came before this question was asked
            if before >= 0 and serial_less(probe["serial"], highest[before]):
                findings.add("serials", probe["at"], f"{zone} on {node}: serial {probe['serial']} after {highest[before]}")
            arrived.append(probe["at"])
            highest.append(probe["serial"] if not highest or serial_less(highest[-1], probe["serial"]) else highest[-1])


SERVFAIL = 2


def check_updates(history, findings):
    if not history.updates and not history.contents:
        return
    if not history.contents:
        findings.add("updates", history.updates[0]["asked"], "nobody knows what the zone was in the end")
        return
    for update in history.updates:
        rcode, name = update["rcode"], update["name"]
        if rcode is None or rcode == SERVFAIL:
            findings.counts["updates without a word"] += 1
            continue
        findings.counts["acknowledged updates" if rcode == 0 else "refused updates"] += 1
        for content in history.contents:
            there = len(content["names"].get(name, []))
            if there != (rcode == 0):
                findings.add("updates", update["at"], f"{name} was {'acknowledged' if rcode == 0 else 'refused'} by {update['node']}, "
                             f"and is {there} times in what {content['node']} has")
    if history.updates and not findings.counts["acknowledged updates"]:
        findings.add("updates", history.updates[0]["asked"], "none was ever acknowledged")
    first = history.contents[0]
    for other in history.contents[1:]:
        if other["serial"] != first["serial"] or other["lines"] != first["lines"]:
            differing = sorted(set(first["lines"]) ^ set(other["lines"]))[:3]
            findings.add("copies", history.events[-1]["at"] if history.events else 0, f"{other['node']} has serial {other['serial']}, "
                         f"{first['node']} {first['serial']}; they differ in {differing}")


def bound(faults, key, begin, end, slack):
    """The longest time that the faults in progress may cost, in seconds; None: no bound."""
    limits = [fault.get(key, 0) for fault in faults if fault["at"] <= end and (fault["steady"] or FOREVER) >= begin]
    return None if None in limits else max(limits, default=0) + slack


def check_availability(history, faults, slack, findings):
    asked = sorted(probe["asked"] for probe in history.probes)
    pauses = [event for event in history.events if event["event"] in ("probes from", "probes until")]
    planned = list(zip((p["at"] for p in pauses if p["event"] == "probes until"), (p["at"] for p in pauses if p["event"] == "probes from")))
    zones = defaultdict(list)
    for probe in history.probes:
        if good(probe):
            zones[probe["zone"]].append(probe["at"])
    for zone in {probe["zone"] for probe in history.probes} - set(zones):
        findings.add("availability", asked[0], f"{zone} was never answered")
    for zone, times in zones.items():
        times.sort()
        for begin, end in zip(times, times[1:] + [asked[-1]]):
            limit = bound(faults, "gap", begin, end, slack)
            if limit is None or end - begin <= limit * NS or any(a <= end and begin <= b for a, b in planned):
                continue
            # Nothing is unanswered that was not asked.
            inside = asked[bisect_left(asked, begin):bisect_right(asked, end)]
            silence = max((b - a for a, b in zip([begin, *inside], [*inside, end])), default=0)
            if silence > slack * NS / 2:
                findings.counts["stalls of the prober"] += 1
                if end - begin - silence <= limit * NS:
                    continue
            findings.add("availability", begin, f"nobody answers for {zone} during {(end - begin) / NS:.3f} s; {limit:.3f} s are allowed")


def check_acting_again(history, reigns, faults, slack, findings):
    ends = [event["at"] for event in history.events if event["event"] == "end"]
    planned = [event["at"] for event in history.events if event["event"] == "mode"]
    busy = merged((begin, end) for begin, end, _, _ in reigns)
    for (_, begin), (end, _) in zip(busy, busy[1:] + [(ends[0] if ends else busy[-1][1], 0)]):
        limit = bound(faults, "act", begin, end, slack)
        if limit is not None and end - begin > limit * NS and not any(begin <= at <= end for at in planned):
            findings.add("acting again", begin, f"nobody acts during {(end - begin) / NS:.3f} s; {limit:.3f} s are allowed")


def check_recovery(faults, slack, findings):
    for fault in faults:
        if fault["steady"] is None or fault["healed"] is None:
            findings.add("recovery", fault["at"], f"{fault['kind']} of {fault['node']}: not in order again")
        elif fault["steady"] - fault["healed"] > (fault["recovery"] + slack) * NS:
            findings.add("recovery", fault["at"], f"{fault['kind']} of {fault['node']}: in order after "
                         f"{(fault['steady'] - fault['healed']) / NS:.3f} s; {fault['recovery'] + slack:.3f} s are allowed")


def check(history, slack=0.5):
    """slack: seconds for a machine that runs a dozen daemons on few cores. It widens bounds of time, never rules of safety."""
    findings = Findings()
    if not history.gates or not history.probes:
        findings.add("history", 0, f"{len(history.gates)} changes of the gate and {len(history.probes)} questions: nothing to judge by")
        return findings
    faults = history.faults()
    reigns = check_acting(history, findings)
    if not reigns:
        findings.add("acting again", history.gates[0]["from"], "nobody ever acted")
        return findings
    check_effects(history, reigns, findings)
    check_answers(history, findings)
    check_serials(history, findings)
    check_updates(history, findings)
    check_availability(history, faults, slack, findings)
    check_acting_again(history, reigns, faults, slack, findings)
    check_recovery(faults, slack, findings)
    findings.list.sort(key=lambda finding: finding["at"])
    return findings
