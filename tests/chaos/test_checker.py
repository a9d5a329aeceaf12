"""The checker judges histories made by hand: a good one, and for each rule one that breaks it and must be found out."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

import checker  # noqa: E402
import times  # noqa: E402
from history import History, gate_lines, read_lines  # noqa: E402

S = 1_000_000_000
MS = 1_000_000
NEVER = (1 << 63) - 1


class Story:
    """Two instances; ns1 acts from 1 s on, ns2 follows. Instants in seconds."""

    def __init__(self):
        self.events = [{"at": 0, "event": "mode", "standby": "refuse"}]
        self.gates, self.probes, self.effects, self.updates, self.contents = [], [], [], [], []
        for node in ("ns1", "ns2"):
            self.event(0, "start", node=node)

    def event(self, at, event, **more):
        self.events.append({"at": int(at * S), "event": event, **more})

    def gate(self, node, at, epoch=0, act=0.0, refuse=0.0, run=1, took=0.00001):
        self.gates.append({"node": node, "run": run, "from": int(at * S), "to": int((at + took) * S), "epoch": epoch, "act_until": int(act * S),
                           "refuse_until": int(refuse * S), "ready_from": 0})

    def reign(self, node, begin, end, epoch, run=1):
        """Confirms each half second, and closes at the end."""
        at = begin
        while at < end:
            self.gate(node, at, epoch=epoch, act=at + 2, run=run)
            at += 0.5
        self.gate(node, end, epoch=epoch, run=run)

    def follow(self, node, begin, end, epoch=0):
        at = begin
        while at < end:
            self.gate(node, at, epoch=epoch, refuse=at + 2)
            at += 0.5

    def answer(self, node, asked, took=0.001, serial=7, zone="example.org", **more):
        self.probes.append({"asked": int(asked * S), "at": int((asked + took) * S), "node": node, "zone": zone, "rcode": 0, "aa": True,
                            "serial": serial, "nsid": node, **more})

    def answers(self, node, begin, end, every=0.1, **more):
        count = int(round((end - begin) / every))
        for number in range(count):
            self.answer(node, begin + number * every, **more)

    def effect(self, at, node, epoch, event="promoted", phase="begin"):
        self.effects.append({"at": int(at * S), "node": node, "epoch": epoch, "event": event, "phase": phase})

    def fault(self, at, healed, steady, kind="kill", node="ns1", gap=1.0, act=3.0, recovery=5.0):
        self.event(at, "fault", kind=kind, node=node, gap=gap, act=act, recovery=recovery)
        if healed is not None:
            self.event(healed, "healed")
        if steady is not None:
            self.event(steady, "steady")

    def history(self):
        return History(self.events, self.probes, self.effects, self.gates, self.updates, self.contents)

    def update(self, at, name, rcode, node="ns1"):
        self.updates.append({"asked": int(at * S), "at": int((at + 0.01) * S) if rcode is not None else None, "node": node, "name": name, "rcode": rcode})

    def content(self, node, *names, serial=9):
        self.contents.append({"node": node, "serial": serial, "names": {name: [name] for name in names}, "lines": sorted(names)})

    def rules(self):
        return sorted({finding["rule"] for finding in checker.check(self.history()).list})


def takeover(second_begins=13.1, second_epoch=6):
    """ns1 acts in epoch 5 until it is killed at 10 s; its right ends at 11.5 s at most. ns2 sees the lock free at 10.5 s."""
    story = Story()
    story.reign("ns1", 1, 9.9, 5)
    story.gates.pop()  # killed: nothing closes its gate
    story.follow("ns2", 1, 10)
    story.gate("ns2", 10.5)
    story.reign("ns2", second_begins, 20, second_epoch)
    story.answers("ns1", 1.1, 10)
    story.answers("ns2", 10.6, 20)
    story.effect(1.01, "ns1", 5)
    story.effect(second_begins + 0.01, "ns2", second_epoch)
    story.fault(10, 14, 14.1)
    story.event(20, "end")
    return story


def test_a_good_history():
    story = takeover()
    findings = checker.check(story.history())
    assert findings.list == []
    assert findings.counts["reigns"] == 2 and findings.counts["effects"] == 2 and findings.counts["forgiven answers"] == 0


def test_no_wait_out():
    """The successor acts while the right of the killed one runs: only the lease of a dead process, and still a fault."""
    assert takeover(second_begins=10.6).rules() == ["acting"]


def test_acting_overlaps_by_a_nanosecond():
    story = takeover()
    last = max(gate["act_until"] for gate in story.gates if gate["node"] == "ns1")
    story.gates.append({"node": "ns2", "run": 1, "from": last - 1, "to": last, "epoch": 6, "act_until": last + S, "refuse_until": 0, "ready_from": 0})
    assert "acting" in story.rules()
    story.gates[-1]["from"] = last
    assert "acting" not in story.rules()


def test_a_gate_that_closes_in_time_ends_the_interval():
    """Hand-over: ns1 closes at 9.9 s, though its lease would run until 11.4 s; ns2 acts at once."""
    story = takeover(second_begins=9.95)
    story.gate("ns1", 9.9, epoch=5)
    assert "acting" not in story.rules()
    story.gates[-1]["to"] += 60 * MS  # it was stopped while it closed the gate: until then it may have acted
    assert "acting" in story.rules()


def test_same_node_in_two_reigns_at_once():
    story = takeover()
    story.event(10.2, "start", node="ns1")
    story.reign("ns1", 13.2, 14, 7, run=2)
    assert "acting" in story.rules()


@pytest.mark.parametrize("epoch", [4, 5])
def test_epoch_does_not_grow(epoch):
    assert "epochs" in takeover(second_epoch=epoch).rules()


def test_resumed_in_the_same_epoch():
    story = Story()
    story.follow("ns2", 1, 20)
    story.reign("ns1", 1, 8, 5)
    story.reign("ns1", 9, 20, 5)
    story.answers("ns1", 1.1, 20)
    story.fault(7.9, 8.5, 9.1)
    story.event(20, "end")
    assert story.rules() == []
    story.fault(20, None, None)
    assert story.rules() == ["recovery"]


def test_effect_of_an_old_epoch():
    story = takeover()
    story.effect(13.3, "ns1", 5)
    assert story.rules() == ["effects"]


def test_effect_of_an_old_epoch_after_the_newer_reign_began_and_before_its_effect():
    story = takeover()
    story.effect(13.105, "ns1", 5, "service pulse is passing")
    assert story.rules() == ["effects"]


def test_effect_that_runs_on():
    story = takeover()
    story.effect(9.5, "ns1", 5, "service pulse is passing")
    story.effect(9.62, "ns1", 5, "service pulse is passing", phase="end")
    assert story.rules() == []
    story.effects[-1]["at"] = int(13.105 * S)
    findings = checker.check(story.history())
    assert [finding["rule"] for finding in findings.list] == ["effects"] and "ran on" in findings.list[0]["text"]
    assert findings.counts["effects"] == 3


def test_demoted_may_be_late():
    story = takeover()
    story.effect(13.3, "ns1", 5, "demoted")
    assert story.rules() == []


def test_effect_without_a_reign():
    story = takeover()
    story.effect(12, "ns2", 9)
    assert story.rules() == ["effects"]


def test_effect_before_its_reign():
    story = takeover()
    story.effect(13.05, "ns2", 6)
    assert story.rules() == ["effects"]


def test_answer_of_a_standby_that_knows_the_primary():
    story = takeover()
    story.answer("ns2", 5)
    assert story.rules() == ["answers"]


def test_answer_of_a_standby_that_knows_nothing_any_more():
    story = takeover()
    story.gates = [gate for gate in story.gates if not (gate["node"] == "ns2" and gate["from"] < 9 * S)]
    story.gate("ns2", 1, refuse=3)
    story.answer("ns2", 5)
    assert story.rules() == []
    story.events[0]["standby"] = "strict"
    assert story.rules() == ["answers"]


def strict_pause(reply):
    """ns1 is stopped from 5 s to 12 s under `strict`; a question of 4.999 s is answered at `reply`."""
    story = Story()
    story.events[0]["standby"] = "strict"
    story.reign("ns1", 1, 4.9, 5)
    story.gates.pop()
    story.event(5, "stopped", node="ns1")
    story.event(12, "cont", node="ns1")
    story.gate("ns1", 12.02, epoch=5)
    story.reign("ns2", 8, 20, 6)
    story.answers("ns1", 1.1, 5)
    story.answers("ns2", 8, 20)
    story.answer("ns1", 4.999, took=reply - 4.999)
    story.fault(5, 12, 12.1, gap=4, act=4)
    story.event(20, "end")
    return story


def test_one_batch_after_sigcont_is_forgiven_and_counted():
    findings = checker.check(strict_pause(12.009).history())
    assert findings.list == [] and findings.counts["forgiven answers"] == 1


def test_a_later_batch_is_not():
    assert strict_pause(12.011).rules() == ["answers"]


def test_a_question_after_sigcont_is_not_forgiven():
    story = strict_pause(12.005)
    story.probes.pop()
    story.answer("ns1", 12.001)
    assert story.rules() == ["answers"]


def test_an_answer_before_the_pause_needs_no_forgiveness():
    findings = checker.check(strict_pause(4.9995).history())
    assert findings.list == [] and findings.counts["forgiven answers"] == 0


def test_wrong_name():
    story = takeover()
    story.answer("ns1", 5, nsid="ns2")
    assert story.rules() == ["identity"]


def test_serial_goes_back():
    story = takeover()
    story.answer("ns1", 5.05, serial=6)
    assert story.rules() == ["serials"]


def test_serial_wraps():
    story = takeover()
    for probe in story.probes:
        probe["serial"] = 0xFFFFFFFF if probe["at"] < 5 * S else 3
    assert story.rules() == []


def test_replies_that_overtake_each_other():
    """Both questions were on their way: which reply was made first, nobody knows."""
    story = takeover()
    for probe in story.probes:
        if probe["at"] > 5.02 * S:
            probe["serial"] = 8
    story.answer("ns1", 5.0, took=0.2, serial=7)
    assert story.rules() == []


def updated():
    story = takeover()
    for number, rcode in enumerate((0, 0, 3, 2, None, 2)):
        story.update(5 + number, f"u{number}", rcode)
    for node in ("ns1", "ns2", "secondary"):
        story.content(node, "u0", "u1", "u3")  # u3: SERVFAIL, and done nevertheless
    return story


def test_updates():
    findings = checker.check(updated().history())
    assert findings.list == []
    assert (findings.counts["acknowledged updates"], findings.counts["refused updates"], findings.counts["updates without a word"]) == (2, 1, 3)


def test_an_acknowledged_update_is_lost():
    story = updated()
    for content in story.contents:
        del content["names"]["u1"]
        content["lines"].remove("u1")
    assert story.rules() == ["updates"]


def test_an_acknowledged_update_is_there_twice():
    story = updated()
    for content in story.contents:
        content["names"]["u1"] = ["u1", "u1"]
    assert story.rules() == ["updates"]


def test_a_refused_update_was_done():
    story = updated()
    for content in story.contents:
        content["names"]["u2"] = ["u2"]
    assert story.rules() == ["updates"]


def test_one_copy_lacks_an_update():
    story = updated()
    del story.contents[1]["names"]["u0"]
    story.contents[1]["lines"].remove("u0")
    assert story.rules() == ["copies", "updates"]


def test_a_copy_has_another_serial():
    story = updated()
    story.contents[2]["serial"] = 8
    assert story.rules() == ["copies"]


def test_updates_that_nobody_looked_at():
    story = updated()
    story.contents = []
    assert story.rules() == ["updates"]


def test_no_update_was_acknowledged():
    story = updated()
    story.updates = story.updates[2:]
    assert story.rules() == ["updates"]


def test_nobody_answers():
    story = takeover()
    story.probes = [probe for probe in story.probes if not 10 * S < probe["asked"] < 12 * S]
    story.probes += [{"asked": int((10 + n / 10) * S), "at": None, "node": "ns1", "zone": "example.org"} for n in range(1, 20)]
    assert story.rules() == ["availability"]


def test_nobody_asks():
    """What the prober did not ask in a pause of its own, nobody failed to answer."""
    story = takeover()
    story.probes = [probe for probe in story.probes if not 16 * S < probe["asked"] < 18 * S]
    findings = checker.check(story.history())
    assert findings.list == [] and findings.counts["stalls of the prober"] == 1


def test_nobody_answers_outside_of_faults():
    story = takeover()
    for probe in story.probes:
        if 16 * S < probe["asked"] < 16.7 * S:
            probe["rcode"], probe["aa"] = 5, False
    assert story.rules() == ["availability"]


def test_a_zone_never_answered():
    story = takeover()
    story.probes.append({"asked": 5 * S, "at": None, "node": "ns1", "zone": "example.net"})
    assert story.rules() == ["availability"]


def test_nobody_acts():
    story = takeover(second_begins=16)
    story.events = [event for event in story.events if event["event"] != "steady"]
    story.event(16.1, "steady")
    assert story.rules() == ["acting again"]


def test_nobody_acts_at_the_end():
    story = takeover()
    story.events = [event for event in story.events if event["event"] != "end"]
    story.event(25, "end")
    assert story.rules() == ["acting again"]


def test_slow_recovery():
    story = takeover()
    for event in story.events:
        if event["event"] == "steady":
            event["at"] = int(19.6 * S)
    assert story.rules() == ["recovery"]


def test_an_empty_history_proves_nothing():
    assert [finding["rule"] for finding in checker.check(History()).list] == ["history"]
    story = takeover()
    story.gates = [{**gate, "act_until": 0} for gate in story.gates]
    assert "acting again" in story.rules()


def test_gate_lines(tmp_path):
    log = tmp_path / "log"
    log.write_text("2026-01-01T00:00:00.000Z lictord debug: gate: changed between 100 and 105: epoch 0, act until 0, refuse until 0, "
                   f"ready from {NEVER}\nanything else\n"
                   "2026-01-01T00:00:01.000Z lictord debug: gate: changed between 210 and 211: epoch 3, act until 900, refuse until 0, ready from 0\n")
    first, second = gate_lines("ns1", log, [90, 200])
    assert (first["run"], second["run"]) == (1, 2)
    assert first["ready_from"] == NEVER and second["act_until"] == 900 and second["from"] == 210 and second["to"] == 211


def test_cut_off_lines(tmp_path):
    path = tmp_path / "lines"
    path.write_text('{"at": 1}\n{"at": ')
    assert read_lines(path) == [{"at": 1}]
    path.write_text('{"at": \n{"at": 2}\n')
    with pytest.raises(ValueError, match="lines:1"):
        read_lines(path)


def test_times():
    history = takeover().history()
    fault, = history.faults()
    found = times.Times(history).of_fault(fault)
    assert found["detection"] == pytest.approx(0.5, abs=0.001)
    assert found["first answer"] == pytest.approx(0.601, abs=0.001)
    assert found["first act"] == pytest.approx(3.1, abs=0.001)
    assert found["recovery"] == pytest.approx(0.1, abs=0.001)
    assert found["unanswered"] == pytest.approx(0.7, abs=0.001)
    assert found["nobody acted"] == pytest.approx(13.1 - 11.5, abs=0.001)
    assert any("kill" in line and "3.100" in line for line in times.table(history))
