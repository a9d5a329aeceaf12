"""Times of each kind of fault: when it was noticed, when zones were answered, when somebody acted, when all was in order."""

from bisect import bisect_left, bisect_right
from collections import defaultdict

import checker

COLUMNS = ("detection", "first answer", "first act", "unanswered", "nobody acted", "recovery")


class Times:
    def __init__(self, history):
        self.history = history
        self.reigns = checker.acting(history)
        self.busy = checker.merged((begin, end) for begin, end, _, _ in self.reigns)
        self.answered = defaultdict(list)
        for probe in history.probes:
            if checker.good(probe):
                self.answered[probe["zone"]].append(probe["at"])
        for times in self.answered.values():
            times.sort()

    def of_fault(self, fault):
        """Seconds by column, or None where there is nothing to see.

        From the blow count detection (the first read of another instance that shows the lock free), first answer and first
        act, all of another instance than the struck one, and only if its reign ended. From the mending counts recovery.
        Unanswered and nobody acted: the longest time without an answer from anybody, and without anybody's right to act."""
        begin, end = fault["injected"], fault["steady"] or checker.FOREVER
        times = dict.fromkeys(COLUMNS)
        old = [reign for reign in self.reigns if reign[0] <= begin]
        new = [reign for reign in self.reigns if begin < reign[0] <= end and (not old or reign[3] > old[-1][3])]
        if new and old:
            struck = old[-1][2]
            times["first act"] = new[0][0] - begin
            free = [gate["to"] for gate in self.history.gates
                    if begin < gate["to"] <= new[0][0] and gate["node"] != struck and gate["refuse_until"] == 0 and gate["act_until"] == 0]
            times["detection"] = free[0] - begin if free else None
            answered = [probe["at"] for probe in self.history.probes
                        if begin < probe["asked"] and checker.good(probe) and probe["at"] <= end and probe["node"] != struck]
            times["first answer"] = min(answered) - begin if answered else None
        times["unanswered"] = max((self._gap(answers, begin, end) for answers in self.answered.values()), default=None)
        times["nobody acted"] = max((b - a for (_, a), (b, _) in zip(self.busy, self.busy[1:]) if a <= end and b >= begin), default=0)
        if fault["healed"] and fault["steady"]:
            times["recovery"] = fault["steady"] - fault["healed"]
        return {key: None if value is None else value / 1e9 for key, value in times.items()}

    @staticmethod
    def _gap(answers, begin, end):
        window = answers[max(0, bisect_left(answers, begin) - 1):bisect_right(answers, end) + 1]
        return max((b - a for a, b in zip(window, window[1:])), default=0)


def quantile(values, q):
    """The nearest rank; with few values the high ones are simply the highest."""
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def table(history):
    """Lines of text."""
    times = Times(history)
    kinds = defaultdict(lambda: defaultdict(list))
    count = defaultdict(int)
    for fault in history.faults():
        count[fault["kind"]] += 1
        for key, value in times.of_fault(fault).items():
            if value is not None:
                kinds[fault["kind"]][key].append(value)
    lines = [f"seconds, p50/p99/max{'':<4} n" + "".join(f"{column:>21}" for column in COLUMNS)]
    for kind in sorted(count):
        cells = []
        for column in COLUMNS:
            values = kinds[kind][column]
            cells.append("/".join(f"{value:.3f}" for value in (quantile(values, .5), quantile(values, .99), max(values))) if values else "-")
        lines.append(f"{kind:<20} {count[kind]:>5}" + "".join(f"{cell:>21}" for cell in cells))
    return lines
