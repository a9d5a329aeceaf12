"""The history of a run: a folder of JSON lines, every instant in ns of CLOCK_BOOTTIME of the one kernel.

events.jsonl   what the run did: faults, signals, starts, what it saw of them
probes.jsonl   one line a question: {"asked", "at", "node", "zone", "rcode", "aa", "serial", "nsid"}; "at" null: no reply
effects.jsonl  one line an effect, by the program that the action runs: {"at", "node", "epoch", "event"}
gate.jsonl     the rights of each instance: {"node", "run", "from", "to", "epoch", "act_until", "refuse_until", "ready_from"}
               made of the lines "gate: changed" of the daemons' logs when the run ends
"""

import json
import re
import threading
import time
from pathlib import Path

GATE = re.compile(r"gate: changed between (\d+) and (\d+): epoch (\d+), act until (\d+), refuse until (\d+), ready from (\d+)")


def now():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Events:
    def __init__(self, folder):
        self._file = open(Path(folder) / "events.jsonl", "a", buffering=1)
        self._lock = threading.Lock()
        self.list = []

    def mark(self, event, at=None, **more):
        """Returns the instant, which is now unless told."""
        entry = {"at": at or now(), "event": event, **more}
        with self._lock:
            self._file.write(json.dumps(entry) + "\n")
            self.list.append(entry)
        return entry["at"]


    def last(self, event):
        """The instant of the last one of this kind."""
        with self._lock:
            return next(entry["at"] for entry in reversed(self.list) if entry["event"] == event)


def read_lines(path):
    """Every whole line; the last one may be cut off where a process was killed."""
    path = Path(path)
    entries = []
    lines = path.read_text().split("\n") if path.exists() else []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            entries.append(json.loads(line))
        except ValueError as error:
            if number < len(lines):
                raise ValueError(f"{path}:{number}: {error}") from None
    return entries


def gate_lines(node, log, starts):
    """The changes of the gate in a daemon's log. starts: instants at which its processes began; run: which of them it was."""
    changes = []
    for found in GATE.finditer(Path(log).read_text(errors="replace")):
        before, after, epoch, act, refuse, ready = map(int, found.groups())
        run = sum(1 for start in starts if start <= before)
        changes.append({"node": node, "run": run, "from": before, "to": after, "epoch": epoch, "act_until": act, "refuse_until": refuse,
                        "ready_from": ready})
    return changes


def collect_gates(folder, logs):
    """Writes gate.jsonl. logs: {node: path}."""
    events = read_lines(Path(folder) / "events.jsonl")
    changes = []
    for node, log in logs.items():
        starts = [event["at"] for event in events if event["event"] == "start" and event["node"] == node]
        changes += gate_lines(node, log, starts)
    changes.sort(key=lambda change: change["from"])
    with open(Path(folder) / "gate.jsonl", "w") as out:
        for change in changes:
            out.write(json.dumps(change) + "\n")


class History:
    """A folder, read."""

    def __init__(self, events=(), probes=(), effects=(), gates=(), updates=(), contents=(), followed=()):
        self.events = sorted(events, key=lambda entry: entry["at"])
        self.probes = sorted(probes, key=lambda entry: entry["asked"])
        self.effects = sorted(effects, key=lambda entry: entry["at"])
        self.gates = sorted(gates, key=lambda entry: entry["from"])
        self.updates = sorted(updates, key=lambda entry: entry["asked"])
        self.contents = [*contents, *followed]

    @classmethod
    def read(cls, folder):
        folder = Path(folder)
        return cls(*(read_lines(folder / f"{name}.jsonl") for name in ("events", "probes", "effects", "gate", "updates", "contents", "followed")))

    def faults(self):
        """Each fault as one dict: its entry, with the instants "injected", "healed" and "steady" (None where it never was)."""
        faults = []
        for entry in self.events:
            if entry["event"] == "fault":
                faults.append({**entry, "injected": entry["at"], "healed": None, "steady": None})
            elif entry["event"] in ("injected", "healed", "steady") and faults:
                faults[-1][entry["event"]] = entry["at"]
        return faults
