"""What Lictor answers from zone files, against NSD and Knot; and every intended difference, as a row with its reason.

Where all three differ there is no oracle: such a row says what the RFC says. Rows that nothing matches any more are faults, too."""

from collections import Counter
from typing import Callable, NamedTuple

from . import batch
from .reply import parse

WAYS = {"plain": (None, 0), "do": (1232, 0x8000), "512": (512, 0x8000)}  # EDNS size and flags
ASPECTS = ("rcode", "aa", "tc", "answer", "authority", "additional")


class Case(NamedTuple):
    question: object
    way: str
    ours: object
    theirs: object
    who: str


class Row(NamedTuple):
    id: str
    who: tuple        # whom we differ from
    aspects: tuple    # in what
    why: str
    match: Callable


TABLE = []


def row(who, aspects, why):
    def take(function):
        TABLE.append(Row(function.__name__, who.split(), tuple(aspects.split()), why, function))
        return function
    return take


def types(section):
    return {record.type for record in section}


def unsigned(section):
    return Counter({record: count for record, count in section.items() if record.type != "RRSIG"})


SIGNING = ("NSEC", "NSEC3", "RRSIG")


@row("nsd knot", "rcode answer authority additional", "a truncated reply has what fits, for who cannot come again by TCP, and nothing is looked "
     "for behind it; theirs have less, or nothing")
def truncated_has_some(case):
    return case.ours.tc and case.theirs.tc


@row("nsd knot", "tc authority additional", "names within RDATA are not compressed: pieces are copied as they are, and RFC 3597 section 4 "
     "allows it for old types alone; so a reply close to the limit is truncated, or has fewer addresses, where theirs is not")
def uncompressed(case):
    limit = WAYS[case.way][0] or 512
    if not case.ours.tc:  # addresses that are not needed are left out first, which may leave room for a signature
        return case.ours.size > limit * 0.8 and types(case.ours.additional - case.theirs.additional) <= {"RRSIG"}
    return not case.theirs.tc and case.theirs.size > limit * 0.8


@row("nsd", "tc authority additional", "glue that is needed and does not fit makes the reply truncated (RFC 9471 section 3.1), which NSD 4.6 does not know")
def glue_or_tc(case):
    return case.ours.tc and not case.theirs.tc and not case.ours.aa and not case.ours.answer and "A" in types(case.theirs.additional)


@row("nsd knot", "answer", "RRSIG as a question's type: one signature, by chance (RFC 8482 section 7); Knot has the first, NSD all")
def one_signature(case):
    return case.question.type == "RRSIG" and types(case.ours.answer) == {"RRSIG"} and case.ours.answer.total() == 1


@row("nsd", "additional authority tc", "RRSIG as a question's type: not all of them")
def all_signatures(case):
    return case.question.type == "RRSIG" and types(case.ours.answer) == {"RRSIG"} and (case.theirs.answer.total() > 1 or case.theirs.tc)


@row("nsd knot", "rcode tc answer authority additional", "an alias is followed whatever type is asked that is not there; NSD stops for NSEC3, "
     "Knot for NSEC and RRSIG")
def alias_and_signing(case):
    return case.question.type in SIGNING and "CNAME" in types(case.ours.answer) and "CNAME" not in types(case.theirs.answer)


@row("nsd knot", "answer additional authority", "ANY: another RRset of the name (RFC 8482 section 4.1 leaves the choice)")
def any_another(case):
    return case.question.type == "ANY" and case.ours.answer and case.theirs.answer


@row("nsd", "additional", "minimal-responses leaves out addresses of targets")
def targets(case):
    return case.ours.aa and not case.theirs.additional - case.ours.additional


@row("nsd", "additional", "both addresses of a target first, then of their signatures those that fit; NSD sends signatures and leaves out addresses")
def signatures_that_fit(case):
    more = case.ours.additional - case.theirs.additional
    return not unsigned(case.theirs.additional - case.ours.additional) and types(more) <= {"A", "AAAA", "RRSIG"} and \
        case.ours.size > 0.6 * (WAYS[case.way][0] or 512)


@row("knot", "additional", "addresses below a cut are glue, which no answer but a referral has; they are not ours to vouch for")
def glue_in_answers(case):
    more = case.theirs.additional - case.ours.additional
    return case.ours.aa and not case.ours.additional - case.theirs.additional and types(more) <= {"A", "AAAA"} and \
        all(".sub." in record.owner for record in more)


@row("knot", "rcode authority tc", "a name too long to be made by a DNAME is YXDOMAIN (RFC 6672 section 2.2); no name of this zone was looked for, so no SOA")
def yxdomain(case):
    return case.ours.rcode == "YXDOMAIN" and case.theirs.rcode == "NXDOMAIN"


@row("knot", "answer", "a DNAME to itself makes a name once")
def once(case):
    return set(case.ours.answer) == set(case.theirs.answer)


@row("knot", "authority", "an NSEC that a wildcard answered with is proven by one in the authority section, too, as for any type (RFC 4035 section 3.1.3.3)")
def expanded_nsec(case):
    return case.question.type == "NSEC" and "NSEC" in types(case.ours.answer) and not case.theirs.authority


@row("nsd", "authority tc", "behind a DNAME NSD proves something about another name than the one that it led to; Knot and validators agree with us")
def behind_a_dname(case):
    return "DNAME" in types(case.ours.answer) and "NSEC" in types(case.theirs.authority)


@row("nsd", "authority tc", "of a wildcard without such data one NSEC often proves both; NSD sends another one beside it")
def one_proof_more(case):
    more = case.theirs.authority - case.ours.authority
    if case.theirs.tc and not case.ours.tc and not case.theirs.answer:
        return case.way == "512" and {"NSEC", "NSEC3"} & types(case.ours.authority)
    return not case.ours.answer - case.theirs.answer and not case.ours.authority - case.theirs.authority and types(more) <= {"NSEC", "NSEC3", "RRSIG"}


@row("nsd", "authority tc", "below an empty non-terminal that is there only for a delegation without DS, the closest encloser that can be proven "
     "lies above it (RFC 5155 section 7.2.1); Knot agrees, and validators do")
def opted_out_encloser(case):
    return ".insecure3." in case.question.name and "NSEC3" in types(case.ours.authority) and "NSEC3" in types(case.theirs.authority)


@row("nsd", "authority tc", "hashed names are not there (RFC 5155 section 7.2.8), so nothing is enclosed by one; Knot and validators agree")
def below_a_hash(case):
    return len(case.question.name.split(".")[1]) == 32 and case.ours.rcode == "NXDOMAIN"


def compare(ours, theirs):
    return [aspect for aspect in ASPECTS if getattr(ours, aspect) != getattr(theirs, aspect)]


def explain(case, used):
    """The aspects that differ and that no row explains."""
    left = []
    for aspect in compare(case.ours, case.theirs):
        found = [row for row in TABLE if case.who in row.who and aspect in row.aspects and row.match(case)]
        used.update(row.id for row in found[:1])
        if not found:
            left.append(aspect)
    return left


def differences(servers, asked, way, used):
    """servers: {"lictor": address, "nsd": ..., "knot": ...}. [(case, aspects)] of what no row explains."""
    payload, flags = WAYS[way]
    wires = {who: batch.over_udp(address, asked, payload, flags) for who, address in servers.items()}
    wrong = []
    for number, question in enumerate(asked):
        replies = {who: parse(wires[who][number]) for who in servers}
        for who in servers:
            if who == "lictor":
                continue
            case = Case(question, way, replies["lictor"], replies[who], who)
            left = explain(case, used)
            if left:
                wrong.append((case, left))
    return wrong


def show(wrong, most=10):
    """As text, for people."""
    lines = [f"{len(wrong)} differences that no row of tests/differential/authorities.py explains"]
    for case, left in wrong[:most]:
        lines.append(f"--- {case.question} ({case.way}): {' '.join(left)} differ from {case.who}")
        for who, reply in (("lictor", case.ours), (case.who, case.theirs)):
            flags = "".join(f" {flag}" for flag in ("aa", "tc") if getattr(reply, flag))
            lines.append(f"  {who}: {reply.rcode}{flags} {reply.size}")
            for section in ("answer", "authority", "additional"):
                lines += [f"    {section}: {str(record)[:110]}" for record in sorted(map(str, getattr(reply, section).elements()))[:9]]
    return "\n".join(lines)
