"""A reply as something that can be compared, changed and printed."""

from collections import Counter
from dataclasses import dataclass, field, replace

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype


@dataclass(frozen=True)
class Record:
    owner: str  # as on the wire: capitals matter to 0x20 and to people
    type: str
    ttl: int
    data: str

    def __str__(self):
        return f"{self.owner} {self.ttl} {self.type} {self.data}"

    def with_ttl(self, ttl):
        return self if ttl is None else replace(self, ttl=ttl)

    def at(self, owner):
        return replace(self, owner=owner)


@dataclass(frozen=True)
class Reply:
    rcode: str
    aa: bool
    tc: bool
    ra: bool
    edns: bool
    asked: str                                  # the question's name as echoed
    answer: Counter = field(default_factory=Counter)
    authority: Counter = field(default_factory=Counter)
    additional: Counter = field(default_factory=Counter)
    size: int = 0

    def with_(self, **changes):
        return replace(self, **changes)

    def types(self, section="answer"):
        return {record.type for record in getattr(self, section)}

    @property
    def negative(self):
        return not self.answer

    def __str__(self):
        flags = " ".join(name for name in ("aa", "tc", "ra", "edns") if getattr(self, name))
        lines = [f"{self.rcode} {flags} asked {self.asked} ({self.size} octets)"]
        for section in ("answer", "authority", "additional"):
            records = sorted(map(str, getattr(self, section).elements()))
            lines += [f"  {section}: {record}" for record in records[:4]]
            if len(records) > 4:
                lines.append(f"  {section}: ... {len(records)} in all")
        return "\n".join(lines)


def data_of(rdata):
    text = rdata.to_text()
    if rdata.rdtype == dns.rdatatype.SOA:  # the serial is the time (Consul) or a count
        fields = text.split()
        text = " ".join(fields[:2] + ["SERIAL"] + fields[3:])
    return text


def section_of(rrsets):
    return Counter(Record(rrset.name.to_text(), dns.rdatatype.to_text(rrset.rdtype), rrset.ttl, data_of(rdata))
                   for rrset in rrsets for rdata in rrset)


_seen = {}


def parse(wire):
    """Capitals of the SOA's owner are those of the question where it is compressed: nobody looks at them. Equal octets but for the ID are parsed once: most answers do not depend on the transport."""
    key = wire[2:]
    if key not in _seen:
        # one_rr_per_rrset: duplicates are to be seen
        message = dns.message.from_wire(wire, one_rr_per_rrset=True)
        flags = message.flags
        _seen[key] = Reply(dns.rcode.to_text(message.rcode()), bool(flags & dns.flags.AA), bool(flags & dns.flags.TC),
                           bool(flags & dns.flags.RA), message.edns >= 0,
                           message.question[0].name.to_text() if message.question else "", section_of(message.answer),
                           Counter(record.at(record.owner.lower()) for record in section_of(message.authority).elements()), section_of(message.additional), len(wire))
    return _seen[key]
