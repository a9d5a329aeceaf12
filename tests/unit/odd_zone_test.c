/* What zone files, UPDATE and transfers may contain and servers have fallen over: malformed and extreme
 * records of odd types, broken chains of NSEC3, aliases without end. Each is refused with its line, or served
 * and printed without harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "lictor/buf.h"
#include "lictor/denial.h"
#include "lictor/log.h"
#include "lictor/wire.h"
#include "lictor/zonefile.h"
#include "zone_text.h"

#include <cmocka.h>

#define HEAD "$TTL 60\n@ SOA ns admin 1 3600 600 86400 60\n@ NS ns\n"

static struct zone_state state = {.stale_from = NS_NEVER, .dead_from = NS_NEVER};
static struct gate gate = {.act_until = NS_NEVER};
static uint8_t out[ANSWER_TCP_MAX];

static struct zone *parse(const char *apex, const char *text, struct err *err)
{
    uint8_t name[NAME_MAX_WIRE];
    name_of(apex, name);
    *err = (struct err){.text = ""};
    return zonefile_parse("odd", text, strlen(text), name, ZONE_AUTHORITATIVE, &state, err);
}

/* Asks with DO; the reply must be a message, and is given as text. */
static const char *ask(struct zone *zone, const char *qname, uint16_t type, bool tcp)
{
    static char text[1 << 20];
    uint8_t query[600];
    struct rng rng;
    rng_seed(&rng);
    struct snapshot_text about = {"ns1", "lictor", NULL};
    struct snapshot *snapshot = snapshot_new(&zone, 1, &about);
    struct answer_env env = {
        .snapshot = snapshot, .gate = &gate, .rng = &rng, .now = NS_PER_S, .udp_max = 1232, .tcp = tcp};
    size_t len = query_make(query, qname, type, DNS_IN, 4096, true);
    struct answer_result result = answer(&env, query, len, out, sizeof out);
    assert_true(result.len >= 12 && result.len <= (tcp ? ANSWER_TCP_MAX : 1232));
    snapshot_free(snapshot);
    return reply_text(out, result.len, text, sizeof text);
}

/* RDATA in RFC 3597's form. good: it is served, and printed so that it is read back. */
static const struct {
    uint16_t type;
    const char *hex;
    bool good;
} records[] = {
    {DNS_A, "c00002", false},
    {DNS_A, "c000020101", false},
    {DNS_SOA, "00000000000100000002", false}, /* cut off */
    {DNS_SOA, "0000000000010000000200000003000000040000", false},
    {DNS_SOA, "00000000000100000002000000030000000400000005ff", false},
    {DNS_NS, "c00c", false}, /* a pointer */
    {DNS_NS, "3f61", false}, /* a label that goes on behind the end */
    {DNS_NS, "0161", false}, /* no root label */
    {DNS_MX, "00", false},
    {DNS_TXT, "", false},
    {DNS_TXT, "0561", false},
    {DNS_SVCB, "0001", false},          /* no target */
    {DNS_SVCB, "0001000001ffff", true}, /* a parameter longer than the record: opaque to us */
    {DNS_SVCB, "0001000001fffe0000", true},
    {DNS_HTTPS, "00010000030000", true},
    {42, "00010820", true}, /* APL: 32 octets of address announced, none there */
    {42, "0001207f0a000001", true},
    {42, "0001ff84ffffffff", true}, /* a prefix of 255 */
    {55, "ff0200030102", true},     /* HIP: a HIT of 255 octets, in 6 */
    {55, "0002ffff0102", true},     /* ... a key of 65,535 */
    {30, "0161", true},             /* NXT: a name without its end */
    {30, "00", true},
    {DNS_NSEC, "", false},
    {DNS_NSEC, "00ff", true}, /* a bitmap of nothing */
    {DNS_NSEC, "0000ff", true},
    {DNS_NSEC3, "0100", false},
    {DNS_NSEC3, "0100000008aa", false}, /* a salt that goes on behind the end */
    {DNS_NSEC3, "01000000", false},
    {DNS_NSEC3PARAM, "010000", false},
    {DNS_NSEC3PARAM, "01000000ff", false},
    {DNS_RRSIG, "00010d01", false},
    {DNS_RRSIG, "00010d01000000003c0000003c000000000000", false},
    {DNS_DNSKEY, "0100030d", false},
    {DNS_DS, "3039", false},
    {DNS_CAA, "00ff61", false}, /* a tag that goes on behind the end */
    {29, "00", true},           /* LOC */
    {37, "0001", true},         /* CERT */
    {45, "0a0102", true},       /* IPSECKEY: IPv4, without it */
    {65534, "", true},
};

static void odd_records(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        char text[512];
        struct err err;
        snprintf(text, sizeof text, HEAD "odd TYPE%u \\# %zu %s\n", records[i].type,
                 strlen(records[i].hex) / 2, records[i].hex);
        struct zone *zone = parse("test.", text, &err);
        if (!zone) {
            if (strncmp(err.text, "odd:4: ", 7) && strncmp(err.text, "odd:1: ", 7))
                fail_msg("TYPE%u %s: no line in: %s", records[i].type, records[i].hex, err.text);
            continue; /* ldns knows more types than our table does, and may refuse them */
        }
        if (!records[i].good)
            fail_msg("TYPE%u %s was taken", records[i].type, records[i].hex);
        struct buf once = {0};
        zonefile_print(zone, &once);
        struct zone *again = parse("test.", buf_str(&once), &err);
        if (!again)
            fail_msg("TYPE%u %s is not read back: %s", records[i].type, records[i].hex, err.text);
        buf_free(&once);
        zone_unref(again);
        zone_unref(zone);
        zone_reap();
    }
}

/* What a message cannot carry is refused; what only TCP can carry is truncated. */
static void sizes(void **unused)
{
    (void)unused;
    static const struct {
        size_t len;
        bool taken, fits;
    } rows[] = {{1000, true, true}, {60000, true, false}, {65000, true, false}, {65001, false, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf text = {0};
        struct err err;
        buf_printf(&text, HEAD "big TYPE65534 \\# %zu ", rows[i].len);
        for (size_t k = 0; k < rows[i].len; k++)
            buf_puts(&text, "61");
        buf_puts(&text, "\n");
        struct zone *zone = parse("test.", buf_str(&text), &err);
        assert_int_equal(zone != NULL, rows[i].taken);
        buf_free(&text);
        if (!zone) {
            assert_non_null(strstr(err.text, "odd:4: "));
            continue;
        }
        assert_int_equal(!strstr(ask(zone, "big.test.", 65534, false), " tc"), rows[i].fits);
        assert_null(strstr(ask(zone, "big.test.", 65534, true), " tc"));
        zone_unref(zone);
        zone_reap();
    }
}

static void outside(void **unused)
{
    (void)unused;
    static const char *const lines[] = {"www.test.example. A 192.0.2.1\n",
                                        "www.tes. A 192.0.2.1\n",
                                        ". A 192.0.2.1\n",
                                        "xtest. A 192.0.2.1\n",
                                        "a CH TXT \"x\"\n",
                                        "a CLASS3 TXT \"x\"\n",
                                        "a TYPE251 \\# 0\n",
                                        "a OPT \\# 0\n",
                                        "a TSIG \\# 0\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char text[256];
        struct err err;
        snprintf(text, sizeof text, HEAD "%s", lines[i]);
        assert_null(parse("test.", text, &err));
        if (strncmp(err.text, "odd:4: ", 7))
            fail_msg("%s: %s", lines[i], err.text);
    }
}

/* 1,000 aliases one behind the other, and 1,000 redirections: the answer ends after as many as a reply
 * follows. */
static void endless_aliases(void **unused)
{
    (void)unused;
    struct buf text = {0};
    struct err err;
    buf_puts(&text, HEAD);
    for (unsigned i = 0; i < 1000; i++)
        buf_printf(&text, "a%u CNAME a%u\nd%u DNAME d%u\n*.w%u CNAME x.w%u\n", i, i + 1, i, i + 1, i, i + 1);
    struct zone *zone = parse("test.", buf_str(&text), &err);
    assert_non_null(zone);
    static const char *const names[] = {"a0.test.", "x.d0.test.", "x.w0.test."};
    for (size_t i = 0; i < 3; i++) {
        assert_memory_equal(ask(zone, names[i], DNS_A, true), "NOERROR aa", 10);
        assert_in_range(get16(out + 6), 10, 40);
        ask(zone, names[i], DNS_A, false);
    }
    buf_free(&text);
    zone_unref(zone);
    zone_reap();
}

/* Chains of NSEC3 that are none: owners that are no hashes, hashes of another length, one record alone, none
 * at all. */
static void broken_chains(void **unused)
{
    (void)unused;
    static const char *const lines[] = {
        "", /* NSEC3PARAM without any NSEC3 */
        "not-base32hex NSEC3 1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A\n",
        "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz NSEC3 1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A\n",
        "\\000\\255 NSEC3 1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A\n",
        "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.deeper NSEC3 1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A\n",
        "@ NSEC3 1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A\n",
        "* NSEC3 1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A\n",
        "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 0 0 - 00 A\n",
        "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 0 9 aabb 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A\n",
        "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom TYPE50 \\# 6 010000000000\n",
        "@ NSEC3PARAM 1 0 100 aabb\n@ NSEC3PARAM 200 0 0 -\n",
        "cut NS ns.cut\nns.cut A 192.0.2.1\n0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.cut NSEC3 1 0 0 - 00 A\n",
    };
    static const char *const names[] = {"test.",
                                        "www.test.",
                                        "x.y.test.",
                                        "q.wild.test.",
                                        "a.cut.test.",
                                        "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.test.",
                                        "x.not-base32hex.test."};
    static const uint16_t types[] = {DNS_A, DNS_DS, DNS_NSEC3, DNS_ANY};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char text[2048];
        struct err err;
        snprintf(text, sizeof text,
                 HEAD "@ NSEC3PARAM 1 0 0 -\n@ RRSIG SOA 13 1 60 20380101000000 20200101000000 1 test. AAAA\n"
                      "*.wild A 192.0.2.1\n%s",
                 lines[i]);
        struct zone *zone = parse("test.", text, &err);
        if (!zone)
            continue;
        assert_true(zone_is_signed(zone));
        for (size_t n = 0; n < sizeof names / sizeof *names; n++)
            for (size_t k = 0; k < sizeof types / sizeof *types; k++)
                ask(zone, names[n], types[k], false);
        zone_unref(zone);
        zone_reap();
    }
}

/* An apex so long that no hashed name fits below it, by one octet and more; and one where it just fits. */
static void long_apexes(void **unused)
{
    (void)unused;
    for (unsigned more = 0; more < 36; more++) {
        char apex[256], text[2048], qname[300];
        struct err err;
        /* 3 * 64 + 1 + more + 1 octets: the label that is to come takes 33. */
        snprintf(apex, sizeof apex, "%063d.%063d.%063d.%0*d.", 1, 2, 3, (int)more + 20, 4);
        snprintf(text, sizeof text,
                 HEAD "@ NSEC3PARAM 1 0 0 -\n@ RRSIG SOA 13 1 60 20380101000000 20200101000000 1 . AAAA\n%s",
                 more + 214 + 33 <= 255
                     ? "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A\n"
                     : "");
        struct zone *zone = parse(apex, text, &err);
        if (!zone)
            fail_msg("apex of %u octets: %s", more + 214, err.text);
        snprintf(qname, sizeof qname, "x.%s", apex);
        if (more + 214 + 2 <= 255)
            assert_memory_equal(ask(zone, qname, DNS_A, false), "NXDOMAIN aa", 11);
        ask(zone, apex, DNS_TXT, false);
        zone_unref(zone);
        zone_reap();
    }
}

/* NSEC without an end: gaps, an apex without one, glue all around. No search takes more than a few steps, and
 * none finds what is not there. */
static void gaps_in_nsec(void **unused)
{
    (void)unused;
    struct buf text = {0};
    struct err err;
    buf_puts(&text, HEAD "@ RRSIG SOA 13 1 60 20380101000000 20200101000000 1 test. AAAA\ncut NS ns.cut\n");
    for (unsigned i = 0; i < 2000; i++)
        buf_printf(&text, "g%04u.cut A 192.0.2.1\n", i);
    struct zone *zone = parse("test.", buf_str(&text), &err);
    assert_non_null(zone);
    assert_memory_equal(ask(zone, "d.test.", DNS_A, false), "NXDOMAIN aa", 11);
    assert_memory_equal(ask(zone, "x.g1000.cut.test.", DNS_DS, false), "NOERROR |", 9);
    assert_memory_equal(ask(zone, "0.test.", DNS_A, false), "NXDOMAIN aa", 11);
    buf_free(&text);
    zone_unref(zone);
    zone_reap();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_records),     cmocka_unit_test(sizes),         cmocka_unit_test(outside),
        cmocka_unit_test(endless_aliases), cmocka_unit_test(broken_chains), cmocka_unit_test(long_apexes),
        cmocka_unit_test(gaps_in_nsec),
    };
    log_init("odd_zone_test", LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
