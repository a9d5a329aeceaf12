"""Asks both servers everything, and names each difference that no rule of differences.py explains."""

from collections import Counter

from . import batch
from .differences import TABLE
from .questions import Question, questions
from .reply import Record, parse

TRANSPORTS = {"tcp": 65535, "plain": 512, "512": 512, "600": 600, "1232": 1232, "4096": 4096}
UDP_MAX = 1232  # Lictor's own limit
ANSWERS = 40    # its default
SMALL_ANSWERS = 3  # Consul's udp_answer_limit
POINTER_MAX = 0x4000


def ask_all(server, asked, transport):
    if transport == "tcp":
        wires = batch.over_tcp(server, asked)
    else:
        wires = batch.over_udp(server, asked, None if transport == "plain" else TRANSPORTS[transport])
    return dict(zip(asked, map(parse, wires)))


def one_of_two(reply):
    """Of several host names each server gives one, by chance."""
    return reply.with_(answer=Counter(Record(record.owner, "CNAME", record.ttl, "one-or-two.example.com.") if record.type == "CNAME" and
                                      record.data in ("one.example.com.", "two.example.com.") else record
                                      for record in reply.answer.elements()))


class Context:
    """What the rules may know: Consul's whole answers (TCP), and what Lictor is called."""

    remote = None  # a second datacenter

    def __init__(self, truth, node, node_ttl, service_ttl, negative_ttl, compat):
        self.node, self.node_ttl, self.service_ttl, self.negative_ttl = node, node_ttl, service_ttl, negative_ttl
        self.compat = compat
        self.truth = {(question.name, question.type): (question, one_of_two(reply)) for question, reply in truth.items()}
        self.matched = set()
        self.done = {}
        self.parents = set()
        for question, reply in truth.items():
            if question.form != "addr" and (question.type == "SRV" and reply.answer or question.type == "A" and reply.rcode == "NOERROR"):
                labels = question.name.lower().split(".")
                self.parents |= {".".join(labels[i:]) for i in range(1, len(labels))}
        self.parents |= {"addr.consul", "addr.dc1.consul", "1.10.in-addr.arpa", "ns.consul", "ns.alt.example", "ted.service.consul", "virtual.consul"}

    def consul(self, name, type):
        found = self.truth.get((name, type))
        return found[1] if found else None

    def is_parent(self, name):
        return name.lower() in self.parents

    def soa(self, zone, owner=None):
        return Counter([Record(owner or f"{zone}.", "SOA", self.negative_ttl,
                               f"{self.node}.ns.{zone}. hostmaster.{zone}. SERIAL 3600 600 86400 {self.negative_ttl}")])

    def ns(self, zone, owner):
        return Counter([Record(owner, "NS", self.node_ttl, f"{self.node}.ns.{zone}.")])

    def glue(self, zone):
        return Counter([Record(f"{self.node}.ns.{zone}.", "A", self.node_ttl, "127.0.0.1")])

    def follow(self, question, links, reply):
        """The reply with the whole chain from these CNAME records on, for the type of the question."""
        answer, end = Counter(links), reply.with_(rcode="NOERROR", answer=Counter(), authority=Counter(), additional=Counter())
        seen, target = {question.name.lower()}, next(iter(links)).data.rstrip(".").lower()
        while target.endswith(".consul") and target not in seen:
            seen.add(target)
            then = self.consul(target, "A")
            further = [record for record in then.answer if record.type == "CNAME" and record.owner.lower() == target + "."]
            if not further:
                end = self.expected(target, question.type)
                break
            answer += Counter(further)
            target = further[0].data.rstrip(".").lower()
        answer += end.answer
        lowest = min(record.ttl for record in answer)
        answer = Counter({record.with_ttl(lowest): count for record, count in answer.items()})
        if (answer, end.authority, end.additional, end.rcode) == (reply.answer, reply.authority, reply.additional, reply.rcode):
            return reply
        return reply.with_(answer=answer, rcode=end.rcode, authority=end.authority, additional=end.additional)

    def ttl_at(self, owner):
        """The TTL of the addresses at the name itself; None: unknown."""
        if ".node." in owner or ".addr." in owner:
            return self.node_ttl
        replies = [self.consul(owner.rstrip("."), type) for type in ("A", "AAAA")]
        return max((record.ttl for reply in replies if reply for record in reply.answer), default=None)

    def expected(self, name, type):
        key = (name, type)
        if key not in self.done:
            question, reply = self.truth[key]
            for rule in TABLE:
                if rule.apply and rule.active(self.compat):
                    changed = rule.apply(question, reply, self)
                    if changed is not reply:
                        self.matched.add(rule.id)
                        reply = changed
            self.done[key] = reply
        return self.done[key]


def record_space(reply):
    """About what one more record of the kind takes."""
    if "TXT" in reply.types("additional"):
        return 400  # a node's texts are there whole or not at all
    return 80 if "SRV" in reply.types() else 32


def as_consuls(whole, all_of_theirs, theirs, ours, transport, context):
    """The same with Consul's own limits."""
    n, many = ours.answer.total(), whole.answer.total()
    room = TRANSPORTS[transport] - ours.size
    if theirs.answer.total() == all_of_theirs.answer.total():
        if n != many or ours.tc:
            return f"{many} answers without TC expected"
        if ours.additional != whole.additional and room > record_space(whole):
            if ours.size < POINTER_MAX:
                return f"additional records left out, {room} octets left"
            context.matched.add("additional_16k")
        return None
    over = theirs.size > TRANSPORTS[transport]
    expected = min(theirs.answer.total() - over, many)
    if over:
        context.matched.add("oversize")
    if "CNAME" in whole.types() and n > expected:
        context.matched.add("chain_uncut")
    elif "SRV" in whole.types() and n > expected:
        context.matched.add("srv_trim")
        if n > SMALL_ANSWERS if TRANSPORTS[transport] == 512 else room > record_space(whole):
            return f"{n} answers, {room} octets left"
    elif n != expected:
        return f"{expected} answers expected"
    return None if ours.tc == theirs.tc else f"tc={theirs.tc} expected"


def limited(whole, all_of_theirs, theirs, ours, transport, context):
    """What is wrong with ours, given what it would be without limits; None if nothing is."""
    limit = min(TRANSPORTS[transport], TRANSPORTS["tcp"] if transport == "tcp" or context.compat else UDP_MAX)
    edns = transport not in ("tcp", "plain")
    if (ours.rcode, ours.aa, ours.ra, ours.asked) != (whole.rcode, whole.aa, whole.ra, whole.asked):
        return f"{whole.rcode} aa={whole.aa} ra={whole.ra} asked {whole.asked} expected"
    if ours.edns != edns:
        return f"OPT expected: {edns}"
    if theirs.edns != edns:
        context.matched.add("refused_edns")
    if ours.answer - whole.answer or ours.additional - whole.additional:
        return f"not in Consul's answer: {[*map(str, ours.answer - whole.answer), *map(str, ours.additional - whole.additional)][:3]}"
    if not ours.tc and ours.authority != whole.authority:
        return "another authority section"
    n, many, room = ours.answer.total(), whole.answer.total(), limit - ours.size
    if context.compat:
        return as_consuls(whole, all_of_theirs, theirs, ours, transport, context)
    capped = whole.types() <= {"A", "AAAA"} and many > ANSWERS
    if not ours.tc and n != (ANSWERS if capped else many):
        return f"{n} answers without TC"
    if ours.tc and (n >= (ANSWERS if capped else many) or room > record_space(whole)):
        return f"TC with {n} answers, {room} octets left"
    if not ours.tc and ours.additional != whole.additional and room > record_space(whole):
        if ours.size < POINTER_MAX:
            return f"additional records left out, {room} octets left"
        context.matched.add("additional_16k")
    if capped and not ours.tc:
        context.matched.add("answers")
    if theirs.size > TRANSPORTS[transport]:
        context.matched.add("oversize")
    if "SRV" in whole.types() and ours.tc and n > theirs.answer.total() > 3:
        context.matched.add("srv_trim")
    if "CNAME" in whole.types() and transport == "plain" and n > theirs.answer.total() == 3:
        context.matched.add("chain_uncut")
    if theirs.answer.total() < many and not theirs.tc and transport != "tcp":
        context.matched.add("plain_udp" if transport in ("plain", "512") else "trimmed")
    if transport == "4096" and ours.tc and theirs.answer.total() == many:
        context.matched.add("udp_max")
    return None


def compare(truth, theirs_of, ours_of, context):
    """[(question, transport, what, theirs, whole, ours)] of what is not explained."""
    wrong = []
    for transport, ours in ours_of.items():
        for question in truth:
            whole = context.expected(question.name, question.type)
            what = limited(whole, truth[question], theirs_of[transport][question], one_of_two(ours[question]), transport, context)
            if what:
                wrong.append((question, transport, what, theirs_of[transport][question], whole, ours[question]))
    return wrong
