"""Times of each kind of fault: when it was noticed, when zones were answered, when somebody acted, when all was in order."""

from collections import defaultdict

import checker


def of_fault(fault, history, reigns):
    """{"detection", "first answer", "first act", "recovery"}: seconds, or None where there is nothing to see.

    Detection and what follows count from the blow, recovery from the mending. Detection: the first read of another
    instance that shows the lock free. First answer and first act are those of another instance than the struck one, and
    only if the reign ended."""
    begin, end = fault.get("injected", fault["at"]), fault["steady"] or checker.FOREVER
    old = [reign for reign in reigns if reign[0] <= begin]
    new = [reign for reign in reigns if begin < reign[0] <= end and (not old or reign[3] > old[-1][3])]
    times = dict.fromkeys(("detection", "first answer", "first act", "recovery"))
    if new and old:
        struck = old[-1][2]
        times["first act"] = new[0][0] - begin
        free = [gate["to"] for gate in history.gates
                if begin < gate["to"] <= new[0][0] and gate["node"] != struck and gate["refuse_until"] == 0 and gate["act_until"] == 0]
        times["detection"] = free[0] - begin if free else None
        answered = [probe["at"] for probe in history.probes
                    if begin < probe["asked"] and checker.good(probe) and probe["at"] <= end and probe["node"] != struck]
        times["first answer"] = min(answered) - begin if answered else None
    if fault["healed"] and fault["steady"]:
        times["recovery"] = fault["steady"] - fault["healed"]
    return {key: None if value is None else value / 1e9 for key, value in times.items()}


def quantile(values, q):
    """The nearest rank; with few values the high ones are simply the highest."""
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def table(history):
    """Lines of text."""
    reigns = checker.acting(history)
    kinds = defaultdict(lambda: defaultdict(list))
    count = defaultdict(int)
    for fault in history.faults():
        count[fault["kind"]] += 1
        for key, value in of_fault(fault, history, reigns).items():
            if value is not None:
                kinds[fault["kind"]][key].append(value)
    columns = ("detection", "first answer", "first act", "recovery")
    lines = [f"{'fault':<20} {'n':>4}  " + "  ".join(f"{column + ' (p50/p99/max s)':>30}" for column in columns)]
    for kind in sorted(count):
        cells = []
        for column in columns:
            values = kinds[kind][column]
            cells.append(f"{quantile(values, .5):.3f} / {quantile(values, .99):.3f} / {max(values):.3f}" if values else "-")
        lines.append(f"{kind:<20} {count[kind]:>4}  " + "  ".join(f"{cell:>30}" for cell in cells))
    return lines
