"""Questions and what is in the answers, over dnspython."""

import time

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype

EDE_STALE, EDE_NOT_READY, EDE_PROHIBITED, EDE_NOT_AUTHORITATIVE, EDE_NO_AUTHORITY = 3, 14, 18, 20, 22


class Reply:
    """A reply with its parts ready for asserts; `message` is dnspython's."""

    def __init__(self, message, took):
        self.message = message
        self.took = took  # seconds
        self.rcode = dns.rcode.to_text(message.rcode())
        self.aa = bool(message.flags & dns.flags.AA)
        self.tc = bool(message.flags & dns.flags.TC)
        self.ra = bool(message.flags & dns.flags.RA)

    def records(self, type, section="answer"):
        """Sorted texts of the rdata of this type."""
        type = dns.rdatatype.from_text(type)
        return sorted(rdata.to_text() for rrset in getattr(self.message, section) if rrset.rdtype == type for rdata in rrset)

    def addresses(self):
        return self.records("A") + self.records("AAAA")

    def texts(self):
        """TXT strings, unquoted, joined a record."""
        return [b"".join(rdata.strings).decode() for rrset in self.message.answer if rrset.rdtype == dns.rdatatype.TXT for rdata in rrset]

    def ttl(self, section="answer"):
        return min(rrset.ttl for rrset in getattr(self.message, section))

    def ede(self):
        """(code, text) of each extended DNS error (RFC 8914)."""
        found = []
        for option in self.message.options:
            if int(option.otype) == 15:
                code = getattr(option, "code", None)
                text = getattr(option, "text", None)
                if code is None:
                    code, text = int.from_bytes(option.data[:2], "big"), option.data[2:].decode()
                found.append((int(code), text or ""))
        return found

    def ede_codes(self):
        return [code for code, _ in self.ede()]

    def subnet(self):
        """(address, source, scope) of a client subnet that was told back, or None."""
        for option in self.message.options:
            if int(option.otype) == 8:
                return option.address, option.srclen, option.scopelen
        return None

    def nsid(self):
        for option in self.message.options:
            if int(option.otype) == 3:
                return getattr(option, "data", getattr(option, "nsid", b""))
        return None

    def __repr__(self):
        return f"{self.rcode} aa={self.aa} tc={self.tc} ede={self.ede()}\n{self.message}"


def ask(server, name, type="A", tcp=False, edns=True, payload=1232, timeout=2.0, nsid=False, rd=False, klass="IN", tries=1, subnet=None):
    """server: (host, port). One question, one reply; no retry unless told: a lost reply is news. subnet: "10.1.2.0/24" (RFC 7871)."""
    options = [dns.edns.GenericOption(3, b"")] if nsid else []
    if subnet:
        address, bits = subnet.split("/")
        options.append(dns.edns.ECSOption(address, int(bits)))
    query = dns.message.make_query(name, type, rdclass=klass, use_edns=0 if edns else -1, payload=payload if edns else None, options=options)
    if not rd:
        query.flags &= ~dns.flags.RD
    host, port = server
    for left in range(tries - 1, -1, -1):
        started = time.monotonic()
        try:
            send = dns.query.tcp if tcp else dns.query.udp
            return Reply(send(query, host, port=port, timeout=timeout), time.monotonic() - started)
        except dns.exception.Timeout:
            if not left:
                raise OSError(f"no reply from {host}:{port} to {name} {type} within {timeout} s") from None
