/* answer(): from a query's octets to a reply's. Most rows read "question -> reply as text". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "zone_text.h"

#include <cmocka.h>

#define SOA(apex) apex " 3600 SOA ns." apex " admin." apex " 7 3600 600 86400 60\n"

/* RFC 4592 section 2.2.1, with absolute names. */
static const char wild_zone[] = SOA("example.") "example. 3600 NS ns.example.com.\n"
                                                "example. 3600 NS ns.example.net.\n"
                                                "*.example. 3600 TXT \"this is a wildcard\"\n"
                                                "*.example. 3600 MX 10 host1.example.\n"
                                                "sub.*.example. 3600 TXT \"this is not a wildcard\"\n"
                                                "host1.example. 3600 A 192.0.2.1\n"
                                                "_ssh._tcp.host1.example. 3600 SRV 0 0 22 host1.example.\n"
                                                "_ssh._tcp.host2.example. 3600 SRV 0 0 22 host2.example.\n"
                                                "subdel.example. 3600 NS ns.example.com.\n"
                                                "subdel.example. 3600 NS ns.example.net.\n";

static const char main_zone[] =
    SOA("test.") "test. 300 NS ns1.test.\n"
                 "test. 300 NS ns.del.test.\n"
                 "test. 300 MX 10 mail.test.\n"
                 "ns1.test. 300 A 192.0.2.53\n"
                 "ns1.test. 300 AAAA 2001:db8::53\n"
                 "mail.test. 300 A 192.0.2.25\n"
                 "www.test. 300 A 192.0.2.80\n"
                 "alias.test. 300 CNAME www.test.\n"
                 "twice.test. 300 CNAME alias.test.\n"
                 "out.test. 300 CNAME www.elsewhere.\n"
                 "other.test. 300 CNAME a.host1.example.\n"
                 "wildother.test. 300 CNAME nothere.example.\n"
                 "gone.test. 300 CNAME missing.test.\n"
                 "nodata.test. 300 CNAME ns1.test.\n"
                 "loop1.test. 300 CNAME loop2.test.\n"
                 "loop2.test. 300 CNAME loop1.test.\n"
                 "self.test. 300 CNAME self.test.\n"
                 "todel.test. 300 CNAME x.del.test.\n"
                 "tocatalog.test. 300 CNAME web.service.consul.\n"
                 "a.b.ent.test. 300 A 192.0.2.1\n"
                 "del.test. 300 NS ns.del.test.\n"
                 "del.test. 300 NS ns.sib.test.\n"
                 "del.test. 300 NS ns.away.\n"
                 "del.test. 300 DS 1 8 2 00112233\n"
                 "ns.del.test. 300 A 192.0.2.100\n"
                 "ns.sib.test. 300 A 192.0.2.101\n"
                 "sib.test. 300 NS ns.sib.test.\n"
                 "child.test. 300 NS ns.child.test.\n"
                 "child.test. 300 DS 2 8 2 00112233\n"
                 "ns.child.test. 300 A 192.0.2.102\n"
                 "dname.test. 300 DNAME target.test.\n"
                 "x.target.test. 300 A 192.0.2.7\n"
                 "dloop.test. 300 DNAME dloop.test.\n"
                 "long.test. 300 DNAME "
                 "a23456789012345678901234567890123456789012345678901234567890123."
                 "b23456789012345678901234567890123456789012345678901234567890123."
                 "c23456789012345678901234567890123456789012345678901234567890123."
                 "test.\n"
                 "_s._tcp.test. 300 SRV 0 0 80 www.test.\n"
                 "_s._tcp.test. 300 SRV 0 0 81 www.test.\n"
                 "*.w.test. 300 A 192.0.2.9\n"
                 "*.wc.test. 300 CNAME www.test.\n"
                 "sub.*.we.test. 300 A 192.0.2.9\n"
                 "tow.test. 300 MX 1 a.w.test.\n"
                 "tow.test. 300 MX 2 b.w.test.\n"
                 "many.test. 300 TXT \"x\"\n"
                 "many.test. 300 A 192.0.2.1\n"
                 "many.test. 300 AAAA 2001:db8::1\n"
                 "new.test. 300 TYPE65280 \\# 3 010203\n";

static const char child_zone[] = SOA("child.test.") "child.test. 300 NS ns.child.test.\n"
                                                    "ns.child.test. 300 A 192.0.2.102\n"
                                                    "www.child.test. 300 A 192.0.2.103\n";
static const char consul_zone[] = SOA("consul.") "consul. 0 NS ns.consul.\n"
                                                 "web.service.consul. 10 A 10.0.0.1\n";
static const char lictor_zone[] = "status.lictor. 0 TXT \"fine\"\n";

static struct {
    struct zone_state states[5];
    struct snapshot *snapshot;
    struct gate gate;
    struct rng rng;
    struct answer_env env;
    uint8_t out[ANSWER_TCP_MAX];
    struct answer_result result;
} t;

static int computed(const void *arg, const uint8_t *name, struct zone_computed *out)
{
    (void)arg;
    if (name[0] != 8 || memcmp(name + 9, "\4addr\6consul", 13))
        return 0;
    *out = (struct zone_computed){.type = DNS_A, .ttl = 0, .len = 4, .data = {10, 0, 0, 1}};
    return 1;
}

static void publish(struct zone *const *zones, size_t count, const char *primary)
{
    struct snapshot_text text = {"ns1", "lictor 1", primary};
    t.snapshot = snapshot_new(zones, count, &text);
    t.env = (struct answer_env){
        .snapshot = t.snapshot, .gate = &t.gate, .rng = &t.rng, .now = 1000 * NS_PER_S, .udp_max = 1232};
}

static int set_up(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    rng_seed(&t.rng);
    for (size_t i = 0; i < 5; i++) {
        t.states[i].stale_from = NS_NEVER;
        t.states[i].dead_from = NS_NEVER;
    }
    t.gate.act_until = NS_NEVER;
    uint8_t apex[NAME_MAX_WIRE];
    name_of("consul.", apex);
    struct zone_edit *edit = zone_edit_new(apex, ZONE_CATALOG, &t.states[3], computed, NULL);
    zone_text_add_lines(edit, consul_zone);
    struct zone *zones[] = {
        zone_text("example.", ZONE_AUTHORITATIVE, &t.states[0], wild_zone),
        zone_text("test.", ZONE_AUTHORITATIVE, &t.states[1], main_zone),
        zone_text("child.test.", ZONE_AUTHORITATIVE, &t.states[2], child_zone),
        zone_edit_commit(edit),
        zone_text("lictor.", ZONE_INSPECT, &t.states[4], lictor_zone),
    };
    publish(zones, 5, "primary is ns2");
    for (size_t i = 0; i < 5; i++)
        zone_unref(zones[i]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    snapshot_free(t.snapshot);
    zone_reap();
    return 0;
}

static const char *ask_full(const char *qname, uint16_t qtype, uint16_t qclass, unsigned udp_size,
                            bool dnssec_ok)
{
    static char text[1 << 20];
    uint8_t query[600];
    size_t len = query_make(query, qname, qtype, qclass, udp_size, dnssec_ok);
    t.result = answer(&t.env, query, len, t.out, sizeof t.out);
    assert_true(t.result.len >= 12);
    return reply_text(t.out, t.result.len, text, sizeof text);
}

static const char *ask(const char *qname, uint16_t qtype)
{
    return ask_full(qname, qtype, DNS_IN, 0, false);
}

#define EXAMPLE_SOA "example. 60 SOA ns.example. admin.example. 7 3600 600 86400 60"
#define TEST_SOA    "test. 60 SOA ns.test. admin.test. 7 3600 600 86400 60"
#define CHILD_SOA   "child.test. 60 SOA ns.child.test. admin.child.test. 7 3600 600 86400 60"
#define CONSUL_SOA  "consul. 60 SOA ns.consul. admin.consul. 7 3600 600 86400 60"
#define WWW         "www.test. 300 A 192.0.2.80"

static void questions(void **state)
{
    (void)state;
    static const struct {
        const char *qname;
        uint16_t qtype;
        const char *reply;
    } rows[] = {
        /* RFC 4592 section 2.2.1: synthesized from the wildcard ... */
        {"host3.example.", DNS_MX,
         "NOERROR aa | host3.example. 3600 MX 10 host1.example. |  | host1.example. 3600 A 192.0.2.1"},
        {"host3.example.", DNS_A, "NOERROR aa |  | " EXAMPLE_SOA " | "},
        {"foo.bar.example.", DNS_TXT, "NOERROR aa | foo.bar.example. 3600 TXT \"this is a wildcard\" |  | "},
        /* ... and not */
        {"host1.example.", DNS_MX, "NOERROR aa |  | " EXAMPLE_SOA " | "},
        {"sub.*.example.", DNS_MX, "NOERROR aa |  | " EXAMPLE_SOA " | "},
        {"_telnet._tcp.host1.example.", DNS_SRV, "NXDOMAIN aa |  | " EXAMPLE_SOA " | "},
        {"host.subdel.example.", DNS_A,
         "NOERROR |  | subdel.example. 3600 NS ns.example.com.; subdel.example. 3600 NS ns.example.net. | "},
        {"ghost.*.example.", DNS_MX, "NXDOMAIN aa |  | " EXAMPLE_SOA " | "},
        {"*.example.", DNS_TXT, "NOERROR aa | *.example. 3600 TXT \"this is a wildcard\" |  | "},
        {"_tcp.host1.example.", DNS_A, "NOERROR aa |  | " EXAMPLE_SOA " | "}, /* empty non-terminal */
        {"host2.example.", DNS_TXT, "NOERROR aa |  | " EXAMPLE_SOA " | "},    /* it too: no wildcard */
        {"_tcp.host2.example.", DNS_TXT, "NOERROR aa |  | " EXAMPLE_SOA " | "},
        {"x.host2.example.", DNS_TXT, "NXDOMAIN aa |  | " EXAMPLE_SOA " | "},
        /* a wildcard that is an empty non-terminal: it matches, and has no data (section 3.3.1) */
        {"q.we.test.", DNS_A, "NOERROR aa |  | " TEST_SOA " | "},
        {"q.r.we.test.", DNS_TXT, "NOERROR aa |  | " TEST_SOA " | "},
        {"x.*.we.test.", DNS_A, "NXDOMAIN aa |  | " TEST_SOA " | "},
        /* targets that a wildcard answers for, each under its own name */
        {"tow.test.", DNS_MX,
         "NOERROR aa | tow.test. 300 MX 1 a.w.test.; tow.test. 300 MX 2 b.w.test. |  | "
         "a.w.test. 300 A 192.0.2.9; b.w.test. 300 A 192.0.2.9"},
        /* plain */
        {"www.test.", DNS_A, "NOERROR aa | " WWW " |  | "},
        {"WwW.TeSt.", DNS_A, "NOERROR aa | WwW.TeSt. 300 A 192.0.2.80 |  | "},
        {"www.test.", DNS_AAAA, "NOERROR aa |  | " TEST_SOA " | "},
        {"new.test.", 65280, "NOERROR aa | new.test. 300 TYPE65280 \\# 3 010203 |  | "},
        {"www.test.", 65281, "NOERROR aa |  | " TEST_SOA " | "},
        {"missing.test.", DNS_A, "NXDOMAIN aa |  | " TEST_SOA " | "},
        {"a.www.test.", DNS_A, "NXDOMAIN aa |  | " TEST_SOA " | "},
        {"b.ent.test.", DNS_A, "NOERROR aa |  | " TEST_SOA " | "},
        {"ent.test.", DNS_ANY, "NOERROR aa |  | " TEST_SOA " | "},
        {"c.b.ent.test.", DNS_A, "NXDOMAIN aa |  | " TEST_SOA " | "},
        {"test.", DNS_SOA, "NOERROR aa | test. 3600 SOA ns.test. admin.test. 7 3600 600 86400 60 |  | "},
        {"test.", DNS_NS,
         "NOERROR aa | test. 300 NS ns.del.test.; test. 300 NS ns1.test. |  | "
         "ns.del.test. 300 A 192.0.2.100; ns1.test. 300 A 192.0.2.53; ns1.test. 300 AAAA 2001:db8::53"},
        {"test.", DNS_MX, "NOERROR aa | test. 300 MX 10 mail.test. |  | mail.test. 300 A 192.0.2.25"},
        {"_s._tcp.test.", DNS_SRV,
         "NOERROR aa | _s._tcp.test. 300 SRV 0 0 80 www.test.; _s._tcp.test. 300 SRV 0 0 81 www.test. |  "
         "| " WWW},
        {"many.test.", DNS_ANY, "NOERROR aa | many.test. 300 A 192.0.2.1 |  | "},
        {"nowhere.", DNS_A, "REFUSED |  |  | "},
        {".", DNS_NS, "REFUSED |  |  | "},
        /* aliases */
        {"alias.test.", DNS_A, "NOERROR aa | alias.test. 300 CNAME www.test.; " WWW " |  | "},
        {"alias.test.", DNS_CNAME, "NOERROR aa | alias.test. 300 CNAME www.test. |  | "},
        {"alias.test.", DNS_ANY, "NOERROR aa | alias.test. 300 CNAME www.test. |  | "},
        {"twice.test.", DNS_A,
         "NOERROR aa | alias.test. 300 CNAME www.test.; twice.test. 300 CNAME alias.test.; " WWW " |  | "},
        {"nodata.test.", DNS_TXT, "NOERROR aa | nodata.test. 300 CNAME ns1.test. | " TEST_SOA " | "},
        {"gone.test.", DNS_A, "NXDOMAIN aa | gone.test. 300 CNAME missing.test. | " TEST_SOA " | "},
        {"out.test.", DNS_A, "NOERROR aa | out.test. 300 CNAME www.elsewhere. |  | "},
        {"other.test.", DNS_A, "NXDOMAIN aa | other.test. 300 CNAME a.host1.example. | " EXAMPLE_SOA " | "},
        {"wildother.test.", DNS_TXT,
         "NOERROR aa | nothere.example. 3600 TXT \"this is a wildcard\"; wildother.test. 300 CNAME "
         "nothere.example. |  | "},
        {"loop1.test.", DNS_A,
         "NOERROR aa | loop1.test. 300 CNAME loop2.test.; loop2.test. 300 CNAME loop1.test. |  | "},
        {"self.test.", DNS_A, "NOERROR aa | self.test. 300 CNAME self.test. |  | "},
        {"tocatalog.test.", DNS_A,
         "NOERROR aa | tocatalog.test. 300 CNAME web.service.consul.; web.service.consul. 10 A 10.0.0.1 |  "
         "| "},
        {"q.wc.test.", DNS_A, "NOERROR aa | q.wc.test. 300 CNAME www.test.; " WWW " |  | "},
        {"q.r.w.test.", DNS_A, "NOERROR aa | q.r.w.test. 300 A 192.0.2.9 |  | "},
        {"w.test.", DNS_A, "NOERROR aa |  | " TEST_SOA " | "},
        /* delegations */
        {"x.y.del.test.", DNS_A,
         "NOERROR |  | del.test. 300 NS ns.away.; del.test. 300 NS ns.del.test.; del.test. 300 NS "
         "ns.sib.test. | "
         "ns.del.test. 300 A 192.0.2.100; ns.sib.test. 300 A 192.0.2.101"},
        {"ns.del.test.", DNS_A,
         "NOERROR |  | del.test. 300 NS ns.away.; del.test. 300 NS ns.del.test.; del.test. 300 NS "
         "ns.sib.test. | "
         "ns.del.test. 300 A 192.0.2.100; ns.sib.test. 300 A 192.0.2.101"},
        {"sib.test.", DNS_NS, "NOERROR |  | sib.test. 300 NS ns.sib.test. | ns.sib.test. 300 A 192.0.2.101"},
        {"del.test.", DNS_DS, "NOERROR aa | del.test. 300 DS 1 8 2 00112233 |  | "},
        {"sib.test.", DNS_DS, "NOERROR aa |  | " TEST_SOA " | "},
        {"x.sib.test.", DNS_DS,
         "NOERROR |  | sib.test. 300 NS ns.sib.test. | ns.sib.test. 300 A 192.0.2.101"},
        {"todel.test.", DNS_A,
         "NOERROR aa | todel.test. 300 CNAME x.del.test. | "
         "del.test. 300 NS ns.away.; del.test. 300 NS ns.del.test.; del.test. 300 NS ns.sib.test. | "
         "ns.del.test. 300 A 192.0.2.100; ns.sib.test. 300 A 192.0.2.101"},
        /* parent and child both here */
        {"www.child.test.", DNS_A, "NOERROR aa | www.child.test. 300 A 192.0.2.103 |  | "},
        {"child.test.", DNS_DS, "NOERROR aa | child.test. 300 DS 2 8 2 00112233 |  | "},
        {"child.test.", DNS_A, "NOERROR aa |  | " CHILD_SOA " | "},
        {"test.", DNS_DS, "NOERROR aa |  | " TEST_SOA " | "},
        /* DNAME */
        {"x.dname.test.", DNS_A,
         "NOERROR aa | dname.test. 300 DNAME target.test.; x.dname.test. 300 CNAME x.target.test.; "
         "x.target.test. 300 A 192.0.2.7 |  | "},
        {"y.dname.test.", DNS_A,
         "NXDOMAIN aa | dname.test. 300 DNAME target.test.; y.dname.test. 300 CNAME y.target.test. "
         "| " TEST_SOA " | "},
        {"x.dname.test.", DNS_CNAME,
         "NOERROR aa | dname.test. 300 DNAME target.test.; x.dname.test. 300 CNAME x.target.test. |  | "},
        {"dname.test.", DNS_A, "NOERROR aa |  | " TEST_SOA " | "},
        {"dname.test.", DNS_DNAME, "NOERROR aa | dname.test. 300 DNAME target.test. |  | "},
        {"a.dloop.test.", DNS_A,
         "NOERROR aa | a.dloop.test. 300 CNAME a.dloop.test.; dloop.test. 300 DNAME dloop.test. |  | "},
        /* computed */
        {"0a000001.addr.consul.", DNS_A, "NOERROR aa | 0a000001.addr.consul. 0 A 10.0.0.1 |  | "},
        {"0A000001.addr.consul.", DNS_TXT, "NOERROR aa |  | " CONSUL_SOA " | "},
        {"0a0001.addr.consul.", DNS_A, "NXDOMAIN aa |  | " CONSUL_SOA " | "},
        /* not here */
        {"test.", DNS_AXFR, "REFUSED |  |  | "},
        {"test.", DNS_IXFR, "REFUSED |  |  | "},
        {"status.lictor.", DNS_TXT, "REFUSED |  |  | "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = ask(rows[i].qname, rows[i].qtype);
        if (strcmp(got, rows[i].reply))
            fail_msg("%s type %u\n is     %s\n should %s", rows[i].qname, rows[i].qtype, got, rows[i].reply);
    }
}

static void dname_overflow(void **state)
{
    (void)state;
    ask("a2345678901234567890123456789012345678901234567890123456789.long.test.", DNS_A);
    assert_int_equal(t.result.rcode, DNS_YXDOMAIN);
    assert_int_equal(t.out[7], 1); /* the DNAME */
    ask("a.long.test.", DNS_A);
    assert_int_equal(t.result.rcode, DNS_NXDOMAIN);
}

/* The octets of a query and of what comes back, header flags and counts only. */
static void malformed(void **state)
{
    (void)state;
#define Q                           "\3www\4test\0\0\1\0\1"
#define OPT0                        "\0\0\51\4\320\0\0\0\0\0\0"
#define HEAD(flags, qd, an, ns, ar) "\x12\x34" flags "\0" qd "\0" an "\0" ns "\0" ar
#define ROW(bytes, rcode, counts, reason) \
    { \
        bytes, sizeof bytes - 1, rcode, counts, reason \
    }
    static const struct {
        const char *msg;
        size_t len;
        int rcode;          /* -1: nothing is sent */
        const char *counts; /* qd, ar */
        enum answer_reason reason;
    } rows[] = {
        ROW("", -1, "", ANSWER_DROPPED_SHORT),
        ROW("\x12\x34\0\0\0\1\0\0\0\0\0", -1, "", ANSWER_DROPPED_SHORT),
        ROW(HEAD("\x80\0", "\1", "\0", "\0", "\0") Q, -1, "", ANSWER_DROPPED_RESPONSE),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\0") Q, 0, "\1\0", ANSWER_OK),
        ROW(HEAD("\1\x30", "\1", "\0", "\0", "\0") Q, 0, "\1\0", ANSWER_OK), /* AD, CD */
        ROW(HEAD("\x20\0", "\1", "\0", "\0", "\0") Q, 4, "\0\0", ANSWER_NOTIMP),
        ROW(HEAD("\x28\0", "\0", "\0", "\0", "\0"), 4, "\0\0", ANSWER_NOTIMP),
        ROW(HEAD("\x78\0", "\1", "\0", "\0", "\0"), 4, "\0\0", ANSWER_NOTIMP),
        ROW(HEAD("\0\0", "\0", "\0", "\0", "\0"), 1, "\0\0", ANSWER_FORMERR),
        ROW(HEAD("\0\0", "\2", "\0", "\0", "\0") Q Q, 1, "\0\0", ANSWER_FORMERR),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\0"), 1, "\0\0", ANSWER_FORMERR),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\0") "\3ww", 1, "\0\0", ANSWER_FORMERR),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\0") "\3www\4test\0\0\1\0", 1, "\0\0", ANSWER_FORMERR),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\0") "\300\0\0\1\0\1", 1, "\0\0", ANSWER_FORMERR),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\0") "\300\14\0\1\0\1", 1, "\0\0", ANSWER_FORMERR),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\0") Q "x", 1, "\1\0", ANSWER_FORMERR),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\1") Q, 1, "\1\0", ANSWER_FORMERR),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\1") Q OPT0, 0, "\1\1", ANSWER_OK),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\1") Q OPT0 "x", 1, "\1\1", ANSWER_FORMERR),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\2") Q OPT0 OPT0, 1, "\1\1", ANSWER_FORMERR),
        ROW(HEAD("\0\0", "\1", "\1", "\0", "\0") Q OPT0, 1, "\1\0", ANSWER_FORMERR),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\1") Q "\1a" OPT0, 1, "\1\0", ANSWER_FORMERR),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\1") Q "\0\0\51\4\320\0\0\0\0\0\4\0\3\0\1", 1, "\1\1",
            ANSWER_FORMERR),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\1") Q "\0\0\51\4\320\0\0\0\0\0\4\xff\xf0\0\0", 0, "\1\1",
            ANSWER_OK),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\1") Q "\0\0\51\4\320\0\0\0\0\0\5\0\3\0\0", 1, "\1\0",
            ANSWER_FORMERR),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\1") Q "\0\0\51\4\320\0\1\0\0\0\0", 16, "\1\1", ANSWER_BADVERS),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\1") Q "\0\0\51\4\320\377\0\377\377\0\0", 0, "\1\1", ANSWER_OK),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\0") "\3www\4test\0\0\1\0\377", 5, "\1\0", ANSWER_NOT_OURS),
        ROW(HEAD("\0\0", "\1", "\0", "\0", "\0") "\3www\4test\0\0\51\0\1", 1, "\1\0", ANSWER_FORMERR),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t *copy = malloc(rows[i].len + 1); /* so that ASan sees a read behind the end */
        copy = realloc(copy, rows[i].len ? rows[i].len : 1);
        memcpy(copy, rows[i].msg, rows[i].len);
        struct answer_result result = answer(&t.env, copy, rows[i].len, t.out, sizeof t.out);
        free(copy);
        if (result.reason != rows[i].reason || (rows[i].rcode >= 0 && result.rcode != rows[i].rcode))
            fail_msg("row %zu: reason %d, rcode %u", i, result.reason, result.rcode);
        if (rows[i].rcode < 0) {
            assert_int_equal(result.len, 0);
            continue;
        }
        assert_true(result.len >= 12);
        assert_int_equal(t.out[0] << 8 | t.out[1], 0x1234);
        assert_int_equal(t.out[2] & 0x80, 0x80);
        assert_int_equal(t.out[2] & 0x79, rows[i].msg[2] & 0x79); /* opcode, RD */
        assert_int_equal(t.out[3], rows[i].rcode & 15);           /* RA, Z, AD and CD clear */
        if (t.out[5] != rows[i].counts[0] || t.out[11] != rows[i].counts[1])
            fail_msg("row %zu: %u questions, %u additional", i, t.out[5], t.out[11]);
    }
}

static bool has(const char *text)
{
    return memmem(t.out, t.result.len, text, strlen(text));
}

static unsigned ede(void)
{
    /* The OPT is last, EDE its last option; look for its code from behind. */
    for (size_t at = t.result.len; at-- > 12;)
        if (at + 6 <= t.result.len && !t.out[at] && t.out[at + 1] == 15 && !t.out[at + 4] &&
            at + 4 + (size_t)t.out[at + 3] == t.result.len)
            return t.out[at + 5];
    return 999;
}

static void rights(void **state)
{
    (void)state;
    ask_full("www.test.", DNS_A, DNS_IN, 1232, false);
    assert_true(t.result.gated);
    assert_int_equal(t.result.reason, ANSWER_OK);
    assert_int_equal(ede(), 999);

    t.gate.act_until = 0;
    t.gate.ready_from = NS_NEVER;
    ask_full("www.test.", DNS_A, DNS_IN, 1232, false);
    assert_int_equal(t.result.rcode, DNS_SERVFAIL);
    assert_int_equal(t.result.reason, ANSWER_NOT_READY);
    assert_int_equal(ede(), DNS_EDE_NOT_READY);
    assert_int_equal(t.out[2] & 4, 0); /* no AA */
    ask_full("web.service.consul.", DNS_A, DNS_IN, 1232, false);
    assert_int_equal(t.result.rcode, DNS_NOERROR);
    assert_false(t.result.gated);

    t.gate.ready_from = 0;
    t.gate.mode = GATE_REFUSE;
    t.gate.refuse_until = t.env.now + 1;
    ask_full("www.test.", DNS_A, DNS_IN, 1232, false);
    assert_int_equal(t.result.rcode, DNS_REFUSED);
    assert_int_equal(t.result.reason, ANSWER_NOT_PRIMARY);
    assert_int_equal(ede(), DNS_EDE_NOT_AUTHORITATIVE);
    assert_true(has("primary is ns2"));
    assert_int_equal(t.result.qtype, DNS_A);
    assert_non_null(t.result.zone);
    /* No OPT in the query: none in the reply. */
    assert_string_equal(ask("www.test.", DNS_A), "REFUSED |  |  | ");
    /* An alias from a zone that may be answered into one that may not is given bare. */
    t.gate.refuse_until = t.env.now;
    ask_full("www.test.", DNS_A, DNS_IN, 1232, false);
    assert_int_equal(t.result.rcode, DNS_NOERROR);
}

static void held_dead_stale(void **state)
{
    (void)state;
    struct zone_state *zone = &t.states[1];
    zone->held = true;
    ask_full("www.test.", DNS_A, DNS_IN, 1232, false);
    assert_int_equal(t.result.rcode, DNS_SERVFAIL);
    assert_int_equal(ede(), DNS_EDE_NOT_READY);
    zone->held = false;

    zone->stale_from = t.env.now - 37 * NS_PER_S;
    zone->dead_from = t.env.now + 1;
    const char *text = ask_full("www.test.", DNS_A, DNS_IN, 1232, false);
    assert_string_equal(text, "NOERROR aa | www.test. 5 A 192.0.2.80 |  | ");
    assert_int_equal(t.result.reason, ANSWER_STALE);
    assert_int_equal(ede(), DNS_EDE_STALE_ANSWER);
    assert_true(has("stale for 37 s"));
    assert_string_equal(ask("www.test.", DNS_AAAA),
                        "NOERROR aa |  | test. 5 SOA ns.test. admin.test. 7 3600 600 86400 60 | ");
    assert_string_equal(ask("test.", DNS_MX),
                        "NOERROR aa | test. 5 MX 10 mail.test. |  | mail.test. 5 A 192.0.2.25");

    zone->dead_from = t.env.now;
    ask_full("www.test.", DNS_A, DNS_IN, 1232, false);
    assert_int_equal(t.result.rcode, DNS_SERVFAIL);
    assert_int_equal(t.result.reason, ANSWER_EXPIRED);
    assert_int_equal(ede(), DNS_EDE_NO_REACHABLE_AUTHORITY);
    assert_true(has("data expired 0 s ago"));

    /* A stale catalog behind an alias of a live zone: its records only are capped, and it is said. */
    zone->stale_from = zone->dead_from = NS_NEVER;
    t.states[3].stale_from = 0;
    text = ask_full("tocatalog.test.", DNS_A, DNS_IN, 1232, false);
    assert_string_equal(text, "NOERROR aa | tocatalog.test. 300 CNAME web.service.consul.; "
                              "web.service.consul. 5 A 10.0.0.1 |  | ");
    assert_int_equal(ede(), DNS_EDE_STALE_ANSWER);
    t.states[3].held = true;
    assert_string_equal(ask("tocatalog.test.", DNS_A),
                        "NOERROR aa | tocatalog.test. 300 CNAME web.service.consul. |  | ");
}

static void chaos_and_inspection(void **state)
{
    (void)state;
    ask_full("id.server.", DNS_TXT, DNS_CH, 1232, false);
    assert_int_equal(t.result.rcode, DNS_REFUSED);
    assert_int_equal(ede(), DNS_EDE_PROHIBITED);
    ask_full("status.lictor.", DNS_TXT, DNS_IN, 1232, false);
    assert_int_equal(t.result.reason, ANSWER_PROHIBITED);
    t.env.inspect = true;
    assert_string_equal(ask("status.lictor.", DNS_TXT), "NOERROR aa | status.lictor. 0 TXT \"fine\" |  | ");
    static const struct {
        const char *qname;
        uint16_t qtype;
        const char *reply;
    } rows[] = {
        {"id.server.", DNS_TXT, "NOERROR aa | id.server. 0 CH TXT \"ns1\" |  | "},
        {"HostName.bind.", DNS_TXT, "NOERROR aa | HostName.bind. 0 CH TXT \"ns1\" |  | "},
        {"version.bind.", DNS_TXT, "NOERROR aa | version.bind. 0 CH TXT \"lictor 1\" |  | "},
        {"version.server.", DNS_ANY, "NOERROR aa | version.server. 0 CH TXT \"lictor 1\" |  | "},
        {"version.server.", DNS_A, "NOERROR aa |  |  | "},
        {"www.test.", DNS_A, "REFUSED |  |  | "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(ask_full(rows[i].qname, rows[i].qtype, DNS_CH, 0, false), rows[i].reply);
}

static void nsid_and_do(void **state)
{
    (void)state;
    uint8_t query[600];
    size_t len = query_make(query, "www.test.", DNS_A, DNS_IN, 1232, true);
    static const uint8_t option[4] = {0, 3, 0, 0};
    memcpy(query + len, option, 4);
    query[len - 1] = 4;
    t.result = answer(&t.env, query, len + 4, t.out, sizeof t.out);
    static const uint8_t opt[] = {0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 7, 0, 3, 0, 3, 'n', 's', '1'};
    assert_memory_equal(t.out + t.result.len - sizeof opt, opt, sizeof opt);
}

/* --- sizes ------------------------------------------------------------------------------------------ */

/* A zone of RRsets too large for most messages: `count` of each. */
static struct zone *large_zone(unsigned count, uint16_t answers)
{
    uint8_t apex[NAME_MAX_WIRE], owner[NAME_MAX_WIRE];
    name_of("large.", apex);
    struct zone_edit *edit = zone_edit_new(apex, ZONE_CATALOG, NULL, NULL, NULL);
    zone_text_add_lines(edit, SOA("large.") "large. NS ns.large.\n");
    static uint8_t data[6000][64];
    static struct rdata rdata[6000];
    static struct piece_extra extra[6000];
    static const struct {
        const char *owner;
        uint16_t type;
    } sets[] = {{"a.large.", DNS_A},        {"aaaa.large.", DNS_AAAA}, {"txt.large.", DNS_TXT},
                {"srv.large.", DNS_SRV},    {"plain.large.", DNS_SRV}, {"cut.large.", DNS_NS},
                {"glueless.large.", DNS_NS}};
    assert_true(count <= 6000);
    for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
        struct piece_spec spec = {
            .type = sets[s].type, .ttl = 60, .rdata = rdata, .count = count, .answers = answers};
        for (unsigned i = 0; i < count; i++) {
            uint8_t *at = data[i];
            char target[64];
            memset(at, 0, sizeof *data);
            rdata[i] = (struct rdata){at, 0, 0};
            switch (sets[s].type) {
            case DNS_A:
            case DNS_AAAA:
                at[0] = 10;
                at[2] = (uint8_t)(i >> 8);
                at[3] = (uint8_t)i;
                rdata[i].len = sets[s].type == DNS_A ? 4 : 16;
                break;
            case DNS_TXT:
                at[0] = (uint8_t)(2 + i % 13);
                at[1] = (uint8_t)(i >> 8);
                at[2] = (uint8_t)i;
                rdata[i].len = 1 + at[0];
                break;
            default: {
                size_t skip = (size_t)dns_rdata_target(sets[s].type);
                bool away = sets[s].type == DNS_NS && s == 6;
                snprintf(target, sizeof target, "h%u.%s", i, away ? "away." : "cut.large.");
                name_of(target, at + skip);
                rdata[i].len = (uint16_t)(skip + name_len(at + skip));
                extra[i] = (struct piece_extra){i, DNS_A, 60, {(const uint8_t *)"\12\1\2\3", 4, 0}};
            }
            }
        }
        if (s == 3) {
            spec.extra = extra;
            spec.extra_count = count;
        }
        struct piece *piece = piece_new(&spec, NULL);
        name_of(sets[s].owner, owner);
        assert_int_equal(zone_edit_put(edit, owner, piece, NULL), 0);
        piece_unref(piece);
    }
    for (unsigned i = 0; i < count && i < 300; i++) {
        char line[80];
        snprintf(line, sizeof line, "h%u.cut.large. 60 A 10.0.%u.%u", i, i >> 8, i & 255);
        zone_text_add(edit, line);
    }
    return zone_edit_commit(edit);
}

static void publish_large(unsigned count, uint16_t answers)
{
    snapshot_free(t.snapshot);
    struct zone *zone = large_zone(count, answers);
    publish(&zone, 1, NULL);
    zone_unref(zone);
}

/* What must hold for any reply. */
static void check_reply(size_t limit, bool edns, const char *what)
{
    ldns_pkt *pkt = NULL;
    if (ldns_wire2pkt(&pkt, t.out, t.result.len) != LDNS_STATUS_OK)
        fail_msg("%s at %zu: ldns cannot read it", what, limit);
    if (t.result.len > limit)
        fail_msg("%s at %zu: %zu octets", what, limit, t.result.len);
    assert_int_equal(ldns_pkt_tc(pkt), t.result.truncated);
    assert_int_equal(ldns_pkt_edns(pkt), edns);
    ldns_pkt_free(pkt);
}

static unsigned count_at(unsigned at)
{
    return (unsigned)t.out[at] << 8 | t.out[at + 1];
}

static void every_size(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    static const struct {
        const char *qname;
        uint16_t qtype;
        unsigned section; /* where its count stands */
        size_t record;    /* octets of one, if all are alike */
    } rows[] = {
        {"a.large.", DNS_A, 6, 16},         {"aaaa.large.", DNS_AAAA, 6, 28}, {"txt.large.", DNS_TXT, 6, 0},
        {"srv.large.", DNS_SRV, 6, 0},      {"plain.large.", DNS_SRV, 6, 0},  {"x.cut.large.", DNS_A, 8, 0},
        {"x.glueless.large.", DNS_A, 8, 0},
    };
    publish_large(COUNT, 0);
    t.env.udp_max = 4096;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        unsigned whole = 0;
        for (unsigned size = 500; size <= 4096; size += size < 1500 ? 1 : 3) {
            uint8_t query[600];
            size_t len = query_make(query, rows[r].qname, rows[r].qtype, DNS_IN, size, false);
            t.result = answer(&t.env, query, len, t.out, sizeof t.out);
            size_t limit = size < 512 ? 512 : size;
            check_reply(limit, true, rows[r].qname);
            unsigned got = count_at(rows[r].section);
            if (!t.result.truncated) {
                assert_int_equal(got, COUNT);
                whole++;
            }
            if (rows[r].record) { /* as many as fit, and no fewer */
                size_t fit = (limit - len) / rows[r].record;
                assert_int_equal(got, fit < COUNT ? fit : COUNT);
                assert_int_equal(t.result.truncated, fit < COUNT);
            }
            /* Glue that the child cannot do without: all of it, or TC (RFC 9471). */
            if (r == 5 && !t.result.truncated)
                assert_int_equal(count_at(10), COUNT + 1);
            /* Additional addresses never cause TC. */
            if ((r == 3 || r == 4) && got == COUNT)
                assert_false(t.result.truncated);
        }
        assert_true(whole > 0);
    }
}

/* Records that are made while answering (a chain of DNAMEs with their CNAMEs) end within every size, too. */
static void made_records(void **state)
{
    (void)state;
#define LONG "a23456789012345678901234567890123456789012345678901234567890"
    uint8_t apex[NAME_MAX_WIRE];
    name_of("chain.", apex);
    struct zone_edit *edit = zone_edit_new(apex, ZONE_CATALOG, NULL, NULL, NULL);
    for (unsigned i = 0; i < 9; i++) {
        char line[200];
        snprintf(line, sizeof line, "d%u.chain. 60 DNAME " LONG ".d%u.chain.", i, i + 1);
        if (i >= 2) /* names must not outgrow 255 octets */
            snprintf(line, sizeof line, "%s.d%u.chain. 60 DNAME d%u.chain.", LONG, i, i + 1);
        zone_text_add(edit, line);
    }
    struct zone *zone = zone_edit_commit(edit);
    snapshot_free(t.snapshot);
    publish(&zone, 1, NULL);
    zone_unref(zone);
    unsigned most = 0, truncated = 0;
    for (size_t size = 512; size < 1400; size++) {
        uint8_t query[600];
        size_t len = query_make(query, LONG "." LONG ".d0.chain.", DNS_A, DNS_IN, 0, false);
        t.env.tcp = true; /* the buffer is the limit, to the octet */
        uint8_t *out = malloc(size);
        t.result = answer(&t.env, query, len, out, size);
        assert_true(t.result.len <= size);
        memcpy(t.out, out, t.result.len);
        free(out);
        check_reply(size, false, "chain");
        truncated += t.result.truncated;
        if (count_at(6) > most)
            most = count_at(6);
    }
    assert_true(truncated > 0 && most >= 6);
}

static void udp_limits(void **state)
{
    (void)state;
    publish_large(100, 0);
    static const struct {
        unsigned edns;
        uint16_t ours;
        size_t out_max, limit;
    } rows[] = {
        {0, 1232, 65535, 512},   {100, 1232, 65535, 512},   {512, 1232, 65535, 512},
        {900, 1232, 65535, 900}, {4096, 1232, 65535, 1232}, {65535, 1400, 65535, 1400},
        {4096, 4096, 800, 800},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t query[600];
        size_t len = query_make(query, "a.large.", DNS_A, DNS_IN, rows[i].edns, false);
        t.env.udp_max = rows[i].ours;
        t.result = answer(&t.env, query, len, t.out, rows[i].out_max);
        assert_true(t.result.truncated);
        check_reply(rows[i].limit, rows[i].edns != 0, "a.large.");
        assert_true(t.result.len > rows[i].limit - 16);
    }
}

/* 40 of 5,000 are an answer: no TC. All of 5,000 do not even fit into TCP: TC, and a message that can be
 * read. */
static void large_services(void **state)
{
    (void)state;
    publish_large(5000, 40);
    ask_full("a.large.", DNS_A, DNS_IN, 1232, false);
    assert_false(t.result.truncated);
    assert_int_equal(count_at(6), 40);
    ask_full("a.large.", DNS_A, DNS_IN, 0, false);
    assert_true(t.result.truncated);
    publish_large(5000, 0);
    t.env.tcp = true;
    static const char *const names[] = {"a.large.", "aaaa.large.", "srv.large.", "plain.large.",
                                        "x.cut.large."};
    static const uint16_t types[] = {DNS_A, DNS_AAAA, DNS_SRV, DNS_SRV, DNS_A};
    for (size_t i = 0; i < 5; i++) {
        uint8_t query[600];
        size_t len = query_make(query, names[i], types[i], DNS_IN, 1232, false);
        t.result = answer(&t.env, query, len, t.out, sizeof t.out);
        check_reply(65535, true, names[i]);
        assert_true(t.result.truncated);
        assert_true(t.result.len > 65535 - 64);
    }
    publish_large(1500,
                  0); /* SRV with addresses: the answer fits, not all addresses do, nor do pointers reach */
    t.env.tcp = true;
    uint8_t query[600];
    size_t len = query_make(query, "srv.large.", DNS_SRV, DNS_IN, 1232, false);
    t.result = answer(&t.env, query, len, t.out, sizeof t.out);
    check_reply(65535, true, "srv.large.");
    assert_false(t.result.truncated);
    assert_int_equal(count_at(6), 1500);
    assert_in_range(count_at(10), 300, 1500);
}

/* The longest question, the longest node name, and a refusal with a text: 512 octets must do. */
static void narrow(void **state)
{
    (void)state;
    snapshot_free(t.snapshot);
    char node[256], primary[600];
    memset(node, 'n', 255);
    memset(primary, 'p', 599);
    node[255] = primary[599] = 0;
    struct snapshot_text text = {node, NULL, primary};
    struct zone *zone = zone_text("test.", ZONE_AUTHORITATIVE, &t.states[1], main_zone);
    t.env.snapshot = t.snapshot = snapshot_new(&zone, 1, &text);
    zone_unref(zone);
    char qname[300] = "";
    for (unsigned i = 0; i < 124; i++)
        strcat(qname, "a.");
    strcat(qname, "test.");
    for (unsigned turn = 0; turn < 4; turn++) {
        t.gate.act_until = turn & 1 ? NS_NEVER : 0;
        t.gate.mode = GATE_STRICT;
        t.states[1].stale_from = turn & 2 ? 0 : NS_NEVER;
        uint8_t query[600];
        size_t len = query_make(query, qname, DNS_A, DNS_IN, 512, false);
        memcpy(query + len, "\0\3\0\0", 4);
        query[len - 1] = 4;
        t.result = answer(&t.env, query, len + 4, t.out, sizeof t.out);
        check_reply(512, true, qname);
        assert_int_equal(t.result.rcode, turn & 1 ? DNS_NXDOMAIN : DNS_REFUSED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(questions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dname_overflow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(held_dead_stale, set_up, tear_down),
        cmocka_unit_test_setup_teardown(chaos_and_inspection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nsid_and_do, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(made_records, set_up, tear_down),
        cmocka_unit_test_setup_teardown(udp_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_services, set_up, tear_down),
        cmocka_unit_test_setup_teardown(narrow, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
