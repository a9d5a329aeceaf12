"""Every intended difference between Consul's DNS and Lictor's, as rules that turn Consul's whole answer into the one that Lictor has
to give. The README's table is made from them, so neither can say what the other does not.

A rule gets the question, the reply so far, and the context (`context.expected(name, type)`: what Lictor has to say to another
question); it returns another reply, or the same object if it has nothing to say. Rules apply in the order of this file. With
`compat = "consul"` only the rules whose `compat` says what remains do."""

import re
from collections import Counter
from dataclasses import replace
from typing import Callable, NamedTuple

from .reply import Record

AS_CONSUL = "as Consul"


class Difference(NamedTuple):
    id: str
    what: str
    consul: str
    lictor: str
    compat: str
    why: str
    apply: Callable = None  # None: checked by the tests of limits and of odd messages, by its ID

    def active(self, compat):
        return not compat or self.compat != AS_CONSUL


TABLE = []


def difference(what, consul, lictor, why, compat="as by default"):
    """Puts the function below it into the table; its name is the row's ID."""
    def take(function):
        TABLE.append(Difference(function.__name__, what, consul, lictor, compat, why, function))
        return function
    return take


def elsewhere(id, what, consul, lictor, why, compat="as by default"):
    TABLE.append(Difference(id, what, consul, lictor, compat, why))


def zone_of(question):
    name = question.name.lower()
    for zone in ("consul", "alt.example"):
        if name == zone or name.endswith("." + zone):
            return zone
    return None


def is_apex(question):
    return question.name.lower() == zone_of(question)


def without(section, *types):
    return Counter({record: count for record, count in section.items() if record.type not in types})


def only(section, *types):
    return Counter({record: count for record, count in section.items() if record.type in types})


def each(section, change):
    changed = Counter()
    for record, count in section.items():
        changed[change(record)] += count
    return changed


def same_or(reply, **changes):
    """The reply itself when nothing changes: that is how a rule says that it did not match."""
    return reply if all(getattr(reply, name) == value for name, value in changes.items()) else reply.with_(**changes)


def negative(reply, context, question, rcode):
    return reply.with_(rcode=rcode, answer=Counter(), authority=context.soa(zone_of(question)), additional=Counter())


# --- the zone itself

@difference("name servers of the zone", "`ns.consul` in the SOA, which does not resolve; NS are Consul's servers", "`<node>.ns.<domain>` of "
            "each Lictor, with addresses", "whoever is delegated to must be found (hashicorp/consul 3439, 15739)")
def name_servers(question, reply, context):
    zone = zone_of(question)
    if not zone:
        return reply
    authority = context.soa(zone) if "SOA" in reply.types("authority") else reply.authority
    if not is_apex(question):
        return same_or(reply, authority=authority)
    answer, additional = reply.answer, reply.additional
    if question.type == "SOA":
        answer = context.soa(zone, owner=reply.asked)
    elif question.type == "NS":
        answer, additional = context.ns(zone, reply.asked), context.glue(zone)
    return same_or(reply, answer=answer, authority=authority, additional=additional)


@difference("SOA at the apex", "brings NS and addresses along", "the SOA alone", "nobody asked for them")
def soa_alone(question, reply, context):
    if question.type == "SOA" and is_apex(question):
        return same_or(reply, authority=Counter(), additional=Counter())
    return reply


@difference("SOA and NS below the apex", "answered at every name, even a missing one, as if it were the apex",
            "NODATA or NXDOMAIN, with the SOA in authority", "breaks delegation from BIND (3439, 15739, 1301)")
def below_apex(question, reply, context):
    if question.type not in ("SOA", "NS") or is_apex(question) or not zone_of(question):
        return reply
    other = context.expected(question.name, "MX")
    return same_or(reply, rcode=other.rcode, answer=other.answer, authority=other.authority, additional=other.additional)


@difference("other types at the apex", "NXDOMAIN", "NODATA with the SOA; ANY: the NS", "NXDOMAIN denies every name below it (RFC 8020)")
def apex_exists(question, reply, context):
    if not is_apex(question) or reply.rcode != "NXDOMAIN":
        return reply
    if question.type == "ANY":
        zone = zone_of(question)
        return reply.with_(rcode="NOERROR", answer=context.ns(zone, reply.asked), authority=Counter(), additional=context.glue(zone))
    return reply.with_(rcode="NOERROR")


@difference("a node that does not exist", "NXDOMAIN for A, AAAA, TXT and ANY, NOERROR for other types", "NXDOMAIN",
            "a cache that learned one contradicts the other")
def missing_node(question, reply, context):
    if question.form in ("node", "datacenter", "bare", "alt") and ".node." in question.name.lower() and reply.negative and \
            reply.rcode == "NOERROR" and question.type not in ("A", "SOA", "NS") and context.consul(question.name, "A").rcode == "NXDOMAIN":
        return negative(reply, context, question, "NXDOMAIN")
    return reply


@difference("other types at `_name._tcp.<domain>`", "NXDOMAIN", "NODATA; ANY: the SRV records", "the name has SRV records")
def srv_name_exists(question, reply, context):
    srv = context.consul(question.name, "SRV")
    if reply.rcode == "NXDOMAIN" and not reply.answer and srv and srv.answer:
        if question.type != "ANY":
            return reply.with_(rcode="NOERROR")
        srv = context.expected(question.name, "SRV")
        return reply.with_(rcode="NOERROR", answer=srv.answer, authority=srv.authority, additional=srv.additional)
    return reply


@difference("`_name._tcp.query`", "NXDOMAIN", "the prepared query", "later versions of Consul do so")
def srv_of_query(question, reply, context):
    name = question.name.lower()
    if question.form != "query" or not name.startswith("_") or reply.rcode != "NXDOMAIN":
        return reply
    plain = context.expected(name[1:].replace("._tcp.", "."), question.type)
    return plain.with_(asked=reply.asked, answer=each(plain.answer, lambda record: replace(record, owner=reply.asked)))


@difference("services with dots in their name", "NXDOMAIN: the dots are taken for a tag's", "answered: the longest name that is registered, then a tag",
            "3117, 3089, 21584")
def dotted_services(question, reply, context):
    if question.name not in ("dot.ted.service.consul", "sub.dot.ted.service.consul") or reply.rcode != "NXDOMAIN":
        return reply
    found = {"A": "10.2.4.4", "ANY": "10.2.4.4", "SRV": "1 1 80 0a020404.addr.dc1.consul."}.get(question.type)
    if not found:
        return negative(reply, context, question, "NOERROR")
    ttl, type = context.service_ttl, "A" if question.type == "ANY" else question.type
    beside = Record("0a020404.addr.dc1.consul.", "A", context.node_ttl, "10.2.4.4")
    return reply.with_(rcode="NOERROR", answer=Counter([Record(reply.asked, type, ttl, found)]), authority=Counter(),
                       additional=Counter([beside] if type == "SRV" else []))


@difference("empty non-terminals (`service.consul`, `dc1.consul`)", "NXDOMAIN", "NODATA with the SOA",
            "RFC 8020; QNAME minimisation fails otherwise (6579)", AS_CONSUL)
def empty_non_terminal(question, reply, context):
    if reply.rcode == "NXDOMAIN" and context.is_parent(question.name):
        return reply.with_(rcode="NOERROR")
    return reply


@difference("`name.service.dc1.dc`, with `dc` for what kind of label stands before it", "NXDOMAIN in 1.8", "as `name.service.dc1`",
            "later versions have it; the pairs of Enterprise (`ns`, `ap`, `sg`) and `peer` are NXDOMAIN")
def labelled_datacenter(question, reply, context):
    if reply.rcode != "NXDOMAIN" or question.name != "web.service.dc1.dc.consul":
        return reply
    other = context.expected("web.service.dc1.consul", question.type)
    return reply.with_(rcode=other.rcode, answer=each(other.answer, lambda record: record.at(reply.asked)), authority=other.authority,
                       additional=other.additional)


# --- types

@difference("TXT at a name of a service", "A and AAAA records", "NODATA", "an answer has the type that was asked (4215, 1931)")
def txt_is_txt(question, reply, context):
    if question.type == "TXT" and reply.answer and question.form not in ("node", "addr", "reverse") and reply.types() <= {"A", "AAAA"}:
        return negative(reply, context, question, "NOERROR")
    return reply


@difference("`.addr` asked for another type", "the address all the same", "NODATA", "an answer has the type that was asked")
def addr_of_type(question, reply, context):
    if question.form == "addr" and reply.types() & {"A", "AAAA"} and question.type not in (*reply.types(), "ANY"):
        return negative(reply, context, question, "NOERROR")
    return reply


@difference("`.addr` below an unknown datacenter, or of another length than 8 or 32 digits", "answered: any label stands there", "NXDOMAIN",
            "only names of a datacenter that is there exist")
def addr_of_datacenter(question, reply, context):
    if question.form == "addr" and not re.search(rf"\.addr\.(dc1|{context.remote})\.consul$|^([0-9a-f]{{8}}|[0-9a-f]{{32}})\.addr\.consul$", question.name.lower()) and \
            reply.rcode == "NOERROR":
        return negative(reply, context, question, "NXDOMAIN")
    return reply


@difference("`.addr` in capitals", "the answer's owner in lower case", "as it was asked", "resolvers that check the case (0x20) drop the other")
def addr_owner(question, reply, context):
    if question.form == "addr":
        return same_or(reply, answer=each(reply.answer, lambda record: record.at(reply.asked)))
    return reply


@difference("negative answers", "no SOA at a node's name", "the SOA, always", "without it nothing is cached: asked again for ever (RFC 2308; 4713)")
def soa_always(question, reply, context):
    if zone_of(question) and not reply.answer and not reply.authority and reply.rcode in ("NOERROR", "NXDOMAIN"):
        return reply.with_(authority=context.soa(zone_of(question)))
    return reply


@difference("ANY", "every A and AAAA, and a node's TXT", "one RRset of the name", "RFC 8482", AS_CONSUL)
def any_is_one(question, reply, context):
    if question.type != "ANY" or "CNAME" in reply.types() or len(reply.types()) < 2:
        return reply
    return reply.with_(answer=only(reply.answer, "A" if "A" in reply.types() else "AAAA"))


# --- addresses that are host names

def links(question, reply):
    """The CNAME records at the name itself."""
    return [record for record in reply.answer if record.type == "CNAME" and record.owner.lower() == question.name.lower() + "."]


@difference("a service whose address is its own name", "the node's address at that very name, a CNAME to it elsewhere", "the node's address at all its names",
            "one service answers the same at all its names")
def own_name(question, reply, context):
    alias = context.consul(question.name, "A")
    found = links(question, alias) if alias and reply.answer else []
    if not found or question.type in ("SOA", "NS"):
        return reply
    own = found[0].data.rstrip(".").lower()
    if own.split(".")[0] not in question.name.lower().replace("_", "").split("."):
        return reply
    other = context.expected(own, question.type)
    return reply.with_(rcode=other.rcode, answer=each(other.answer, lambda record: record.at(reply.asked)), authority=other.authority,
                       additional=other.additional)


@difference("host names beside addresses in one service", "a CNAME for the family that has no address", "NODATA: only addresses are answered",
            "nothing may stand beside a CNAME (RFC 1034 section 3.6.2)")
def alias_beside_addresses(question, reply, context):
    if links(question, reply) and any(context.consul(question.name, type) and not links(question, context.consul(question.name, type)) and
                                      context.consul(question.name, type).types() & {"A", "AAAA"} for type in ("A", "AAAA")):
        return negative(reply, context, question, "NOERROR")
    return reply


@difference("a service whose addresses are host names, at `_name._tag`", "a CNAME for any type but SRV", "SRV records alone",
            "nothing may stand beside a CNAME, and there the ports are asked for")
def alias_at_srv_name(question, reply, context):
    if question.name.startswith("_") and links(question, reply) and question.type != "SRV":
        if question.type == "ANY":
            other = context.expected(question.name, "SRV")
            return reply.with_(answer=other.answer, additional=other.additional)
        return negative(reply, context, question, "NOERROR")
    return reply


@difference("a service whose addresses are host names, SRV at its plain name", "SRV records", "its CNAME, and what SRV records stand at the target",
            "nothing may stand beside a CNAME; ask `_name._tcp`")
def alias_alone(question, reply, context):
    if question.type != "SRV" or question.name.startswith("_") or question.form == "node":
        return reply
    alias = context.consul(question.name, "A")
    if not alias or not links(question, alias) or any(record.data.endswith((".dc1.consul.", ".dc2.consul.")) for record in reply.answer):
        return reply
    return context.follow(question, Counter(links(question, alias)), reply.with_(additional=Counter()))


@difference("host names as addresses", "one ANY lookup of the target, the outer TTL on all of it, three deep; loops are repeated",
            "the chain is followed for the type that was asked, all of it with the lowest TTL in it, and ends where it meets itself",
            "321, 1228, 4907, 10551, 14703")
def chains(question, reply, context):
    found = links(question, reply)
    if not found or question.type in ("SRV", "SOA", "NS"):
        return reply
    if question.type in ("CNAME", "ANY"):
        return same_or(reply, answer=Counter(found), additional=Counter())
    return context.follow(question, Counter(found), reply)


@difference("a node whose address is a host name", "NODATA for types but A, AAAA, ANY and TXT", "its CNAME", "it is an alias for every type")
def alias_node(question, reply, context):
    alias = context.consul(question.name, "A")
    if question.form != "node" or reply.answer or not alias or not links(question, alias):
        return reply
    found = Counter(links(question, alias))
    if question.type == "CNAME":
        return reply.with_(answer=found, authority=Counter())
    return context.follow(question, found, reply)


# --- SRV and its additional section

@difference("TTL of addresses beside SRV", "the service's", "the one they have at their own name (`node-ttl`)",
            "an RRset has one TTL, wherever it is seen (RFC 2181 section 5.2)")
def additional_ttl(question, reply, context):
    if question.type != "SRV":
        return reply
    return same_or(reply, additional=each(reply.additional, lambda record: record.with_ttl(
        context.ttl_at(record.owner)) if record.type in ("A", "AAAA", "TXT") else record))


@difference("SRV to an alias", "the chain in the additional section", "nothing there", "SRV targets are to be no aliases (RFC 2782); resolvers ask")
def no_chain_beside(question, reply, context):
    if question.type == "SRV" and "CNAME" in reply.types("additional"):
        aliases = {record.owner for record in reply.additional if record.type == "CNAME"}
        targets = {record.data.split()[3] for record in reply.answer if record.type == "SRV"} - aliases
        return reply.with_(additional=Counter({record: count for record, count in reply.additional.items() if record.owner in targets}))
    return reply


@difference("metadata TXT beside SRV records whose target is no node", "of the node that the instance is on", "none: TXT stands beside its own name only",
            "who asks for it asks for the node")
def txt_of_target(question, reply, context):
    targets = {record.data.split()[3] for record in reply.answer if record.type == "SRV"}
    if question.type not in ("SRV", "ANY") or not targets or reply.types("additional") <= {"A", "AAAA"}:
        return reply
    return same_or(reply, additional=Counter({record: count for record, count in reply.additional.items()
                                              if record.type != "TXT" or record.owner in targets}))


@difference("metadata TXT of a node", "beside SRV under the node's name, whatever the target; beside an empty answer, too",
            "beside addresses, and SRV to them, of that very name", "the additional section is about names in the answer")
def texts_of_others(question, reply, context):
    if reply.types() & {"A", "AAAA"}:
        return reply
    targets = {record.data.split()[3] for record in reply.answer if record.type == "SRV"}
    additional = Counter({record: count for record, count in reply.additional.items() if record.type != "TXT" or record.owner in targets})
    for target in targets:
        if context.consul(target.rstrip("."), "TXT"):
            additional |= only(context.expected(target.rstrip("."), "TXT").answer, "TXT")
    return same_or(reply, additional=additional)


@difference("metadata TXT in the additional section", "beside A, AAAA and SRV, unless switched off", "only when asked for as TXT",
            "it fills packets and breaks clients (1931, 3937, 4354, 4215)", AS_CONSUL)
def no_txt_beside(question, reply, context):
    return same_or(reply, additional=without(reply.additional, "TXT"))


@difference("the same record twice", "the same port at the same address on two nodes is two SRV records; an address stands there once for each",
            "once", "an RRset has no duplicates (RFC 2181 section 5)")
def no_duplicates(question, reply, context):
    return same_or(reply, answer=Counter(set(reply.answer)), additional=Counter(set(reply.additional)))


@difference("the alternative domain", "SOA, NS and SRV targets are in `domain`", "all in the domain that was asked",
            "who forwards only one of them can follow; Consul does so since 1.19")
def alt_domain(question, reply, context):
    if zone_of(question) != "alt.example":
        return reply

    def moved(record):
        move = [text[:-len("consul.")] + "alt.example." if text.endswith("dc1.consul.") else text for text in (record.owner, record.data)]
        return Record(move[0], record.type, record.ttl, move[1])
    return same_or(reply, answer=each(reply.answer, moved), additional=each(reply.additional, moved))


# --- reverse

def reverse_zone(question):
    return next((zone for zone in ("10.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa") if f".{question.name}".endswith(f".{zone}")), None)


def reverse_soa(question, context):
    return Counter([Record(f"{reverse_zone(question)}.", "SOA", context.negative_ttl,
                           f"{context.node}.ns.consul. hostmaster.consul. SERIAL 3600 600 86400 {context.negative_ttl}")])


@difference("reverse names elsewhere", "all of `arpa.` is taken over", "only the zones in `reverse`; REFUSED below others",
            "questions for foreign ranges belong to others (6462, 1124, 475)")
def reverse_elsewhere(question, reply, context):
    if question.form == "reverse" and not reverse_zone(question):
        return reply.with_(rcode="REFUSED", aa=False, ra=False, answer=Counter(), authority=Counter(), additional=Counter())
    return reply


@difference("reverse names of no node and no service", "SERVFAIL", "NXDOMAIN with the SOA; NODATA at names with others below",
            "SERVFAIL is asked again at every other server; Consul does so since 1.19 (20679)")
def reverse_missing(question, reply, context):
    if question.form != "reverse" or reply.rcode != "SERVFAIL" or question.name == reverse_zone(question):
        return reply
    return reply.with_(rcode="NOERROR" if context.is_parent(question.name) else "NXDOMAIN", aa=True, ra=False, authority=reverse_soa(question, context))


@difference("the apex of a reverse zone", "none", "SOA and NS, as in `consul.`", "it is a zone of its own")
def reverse_apex(question, reply, context):
    zone = reverse_zone(question)
    if question.form != "reverse" or question.name != zone:
        return reply
    soa, ns = reverse_soa(question, context), Counter([Record(reply.asked, "NS", context.node_ttl, f"{context.node}.ns.consul.")])
    answer = {"SOA": soa, "NS": ns, "ANY": ns}.get(question.type, Counter())
    return reply.with_(rcode="NOERROR", aa=True, ra=False, answer=answer, authority=Counter() if answer else soa, additional=Counter())


@difference("reverse names asked for another type than PTR", "the PTR all the same", "NODATA; ANY: the PTR", "an answer has the type that was asked")
def reverse_of_type(question, reply, context):
    if question.form == "reverse" and "PTR" in reply.types() and question.type not in ("PTR", "ANY"):
        return reply.with_(answer=Counter(), authority=reverse_soa(question, context), additional=Counter())
    return reply


@difference("an address of several nodes, or of several services", "the name of one of them", "the names of all nodes, else of all services, in order",
            "each of them is there", AS_CONSUL)
def reverse_all(question, reply, context):
    if question.name != "10.0.1.10.in-addr.arpa" or "PTR" not in reply.types():
        return reply
    return reply.with_(answer=Counter(Record(reply.asked, "PTR", 0, f"{node}.node.dc1.consul.") for node in ("twin-a", "twin-b")))


@difference("TTL of reverse names", "0", "`reverse-ttl`", "asked again for every line of a log (10577)", AS_CONSUL)
def reverse_ttl(question, reply, context):
    if question.form != "reverse":
        return reply
    return same_or(reply, answer=each(reply.answer, lambda record: record.with_ttl(context.node_ttl) if record.type == "PTR" else record))


# --- limits, checked apart

elsewhere("answers", "how many addresses", "all that fit", "`answers = 40` random ones (0: all)",
          "more than a client ever tries, and the answer stays in one datagram", AS_CONSUL)
elsewhere("plain_udp", "UDP without EDNS", "3 records, no TC", "what fits 512 octets; TC when that is less than asked for",
          "the client cannot know that there are more (575, 375, 144)", AS_CONSUL)
elsewhere("trimmed", "answers cut to the EDNS size", "no TC", "TC", "as above", AS_CONSUL)
elsewhere("udp_max", "EDNS sizes above 1232", "datagrams of up to the size offered", "1232 octets at most, then TC",
          "larger ones are fragmented, and lost (RFC 9715)", AS_CONSUL)
elsewhere("srv_trim", "SRV records cut to a size", "as many as fit with their addresses, without EDNS even uncompressed", "as many as fit; addresses in what room is left",
          "ports cannot be asked for otherwise, addresses can")
elsewhere("chain_uncut", "records without EDNS, for an alias", "the 3 of `udp_answer_limit` count CNAME records: a chain of three has no address",
          "CNAME records do not count", "3937, 10694")
elsewhere("oversize", "the largest answer that fits", "up to 8 octets above the size that the client gave", "never above it", "the client throws it away (9945)")
elsewhere("additional_16k", "addresses beside hundreds of SRV records", "all", "of those targets whose name stands in the first 16 KiB",
          "further on a name cannot be pointed to (RFC 1035 section 4.1.4); the additional section is a courtesy")
elsewhere("refused_edns", "EDNS in REFUSED answers", "no OPT record", "an OPT record, with the reason as EDE", "RFC 6891 section 6.1.1")


# --- messages that are no plain questions, in odd.py

elsewhere("class", "other classes than IN", "the answer of class IN", "REFUSED; in class CH `id.server` and `version.bind`", "an answer has the class that was asked")
elsewhere("badvers", "EDNS versions above 0", "answered as if it were 0", "BADVERS", "RFC 6891 section 6.1.3")
elsewhere("notify", "NOTIFY", "answered as a query", "REFUSED, with the reason as EDE: nothing here is a secondary", "RFC 1996")
elsewhere("transfer", "AXFR and IXFR", "NOTIMP; IXFR: NXDOMAIN", "answered to whom `transfer` allows, else REFUSED with EDE 18",
          "secondaries for `consul.`, and copies of it")
elsewhere("payload", "the EDNS size in answers", "the client's own", "what Lictor takes: 1232", "RFC 6891 section 6.2.3")
elsewhere("cd", "the CD bit", "copied", "cleared", "RFC 4035 section 3.1.6")
elsewhere("connection", "a TCP connection", "is reset after 128 answers, closed after 8 s without a question", "goes on; closed when idle for 10 s, or less when there are many",
          "RFC 7766; 1005")


def markdown():
    """The README's table."""
    lines = ["| what | Consul | Lictor | with `compat = \"consul\"` | why |", "|---|---|---|---|---|"]
    return "\n".join(lines + [f"| {row.what} | {row.consul} | {row.lictor} | {row.compat} | {row.why} |" for row in TABLE]) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
