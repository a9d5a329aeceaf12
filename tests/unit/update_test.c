/* UPDATE (RFC 2136): what a message does to a zone, and which ones are not well-formed. */
#include "update_text.h"

#include "xfr/update_message.h"

#include "lictor/difference.h"
#include "lictor/zonefile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct zone_state state = {.stale_from = NS_NEVER, .dead_from = NS_NEVER};

static const char zone_lines[] = "t. 300 SOA ns.t. h.t. 7 2 3 4 5\n"
                                 "t. 300 NS ns.t.\n"
                                 "t. 300 TXT \"apex\"\n"
                                 "ns.t. 300 A 192.0.2.1\n"
                                 "two.t. 300 A 192.0.2.2\n"
                                 "two.t. 300 A 192.0.2.3\n"
                                 "two.t. 300 TXT \"x\"\n"
                                 "alias.t. 300 CNAME two.t.\n"
                                 "mx.t. 300 MX 10 Two.t.\n"
                                 "deep.ent.t. 300 A 192.0.2.9\n"
                                 "*.wild.t. 300 A 192.0.2.8\n"
                                 "dn.t. 300 DNAME two.t.\n";

/* expected: "-" before what goes, "+" before what comes, in canonical order; "" if nothing changes. */
static const struct {
    const char *name, *lines;
    enum dns_rcode rcode;
    const char *expected;
} cases[] = {
    /* prerequisites, section 3.2 */
    {"in use", "used two.t.\nadd n.t. 60 A 192.0.2.7", DNS_NOERROR, "+n.t. 60 A 192.0.2.7\n"},
    {"in use: case", "used TWO.t.\nadd N.t. 60 A 192.0.2.7", DNS_NOERROR, "+n.t. 60 A 192.0.2.7\n"},
    {"not in use", "used none.t.\nadd n.t. 60 A 192.0.2.7", DNS_NXDOMAIN, ""},
    {"an empty non-terminal is not in use", "used ent.t.", DNS_NXDOMAIN, ""},
    {"a wildcard does not count", "used a.wild.t.", DNS_NXDOMAIN, ""},
    {"unused", "unused none.t.\nadd n.t. 60 A 192.0.2.7", DNS_NOERROR, "+n.t. 60 A 192.0.2.7\n"},
    {"unused: it is used", "unused two.t.\nadd n.t. 60 A 192.0.2.7", DNS_YXDOMAIN, ""},
    {"unused: empty non-terminal", "unused ent.t.", DNS_NOERROR, ""},
    {"has", "has two.t. A", DNS_NOERROR, ""},
    {"has: other type", "has two.t. AAAA", DNS_NXRRSET, ""},
    {"has: no name", "has none.t. A", DNS_NXRRSET, ""},
    {"has not", "hasnot two.t. AAAA", DNS_NOERROR, ""},
    {"has not, but it has", "hasnot two.t. A", DNS_YXRRSET, ""},
    {"is", "is two.t. A 192.0.2.3\nis two.t. A 192.0.2.2", DNS_NOERROR, ""},
    {"is: said twice", "is two.t. A 192.0.2.3\nis two.t. A 192.0.2.2\nis two.t. A 192.0.2.3", DNS_NOERROR,
     ""},
    {"is: less", "is two.t. A 192.0.2.3", DNS_NXRRSET, ""},
    {"is: more", "is two.t. A 192.0.2.2\nis two.t. A 192.0.2.3\nis two.t. A 192.0.2.4", DNS_NXRRSET, ""},
    {"is: other", "is two.t. A 192.0.2.2\nis two.t. A 192.0.2.4", DNS_NXRRSET, ""},
    {"is: names in RDATA by RFC 1035 2.3.3", "is mx.t. MX 10 tWO.T.", DNS_NOERROR, ""},
    {"the first that fails", "hasnot two.t. A\nused none.t.", DNS_YXRRSET, ""},
    {"values are judged last", "is two.t. A 192.0.2.3\nunused two.t.", DNS_YXDOMAIN, ""},
    {"judged before any change", "used n.t.\nadd n.t. 60 A 192.0.2.7", DNS_NXDOMAIN, ""},
    {"an alias is a name in use", "used alias.t.\nhasnot alias.t. A", DNS_NOERROR, ""},

    /* adding, section 3.4.2.2 */
    {"beside others", "add two.t. 300 A 192.0.2.4", DNS_NOERROR, "+two.t. 300 A 192.0.2.4\n"},
    {"the same again", "add two.t. 300 A 192.0.2.2", DNS_NOERROR, ""},
    {"the last TTL is that of all", "add two.t. 60 A 192.0.2.2", DNS_NOERROR,
     "-two.t. 300 A 192.0.2.2\n-two.t. 300 A 192.0.2.3\n+two.t. 60 A 192.0.2.2\n+two.t. 60 A 192.0.2.3\n"},
    {"TTLs of one message", "add n.t. 60 A 192.0.2.2\nadd n.t. 90 A 192.0.2.3", DNS_NOERROR,
     "+n.t. 90 A 192.0.2.2\n+n.t. 90 A 192.0.2.3\n"},
    {"a TTL above 2^31-1 is 0", "add n.t. 2147483648 A 192.0.2.2", DNS_NOERROR, "+n.t. 0 A 192.0.2.2\n"},
    {"CNAME beside data is ignored", "add two.t. 300 CNAME t.\nadd n.t. 60 A 192.0.2.7", DNS_NOERROR,
     "+n.t. 60 A 192.0.2.7\n"},
    {"data beside CNAME is ignored", "add alias.t. 300 A 192.0.2.7\nadd n.t. 60 A 192.0.2.7", DNS_NOERROR,
     "+n.t. 60 A 192.0.2.7\n"},
    {"the same within one message", "add n.t. 60 A 192.0.2.7\nadd n.t. 60 CNAME t.", DNS_NOERROR,
     "+n.t. 60 A 192.0.2.7\n"},
    {"and the other way round", "add n.t. 60 CNAME t.\nadd n.t. 60 A 192.0.2.7", DNS_NOERROR,
     "+n.t. 60 CNAME t.\n"},
    {"a CNAME replaces one", "add alias.t. 300 CNAME ns.t.", DNS_NOERROR,
     "-alias.t. 300 CNAME two.t.\n+alias.t. 300 CNAME ns.t.\n"},
    {"a CNAME once the data is gone", "del two.t.\nadd two.t. 60 CNAME t.", DNS_NOERROR,
     "-two.t. 300 A 192.0.2.2\n-two.t. 300 A 192.0.2.3\n-two.t. 300 TXT \"x\"\n+two.t. 60 CNAME t.\n"},
    {"a DNAME replaces one", "add dn.t. 300 DNAME ns.t.", DNS_NOERROR,
     "-dn.t. 300 DNAME two.t.\n+dn.t. 300 DNAME ns.t.\n"},
    {"SOA: newer", "add t. 300 SOA ns.t. h.t. 9 2 3 4 5", DNS_NOERROR,
     "-t. 300 SOA ns.t. h.t. 7 2 3 4 5\n+t. 300 SOA ns.t. h.t. 9 2 3 4 5\n"},
    {"SOA: the same serial", "add t. 300 SOA other.t. h.t. 7 2 3 4 5", DNS_NOERROR, ""},
    {"SOA: older", "add t. 300 SOA other.t. h.t. 6 2 3 4 5", DNS_NOERROR, ""},
    {"SOA: older by RFC 1982", "add t. 300 SOA other.t. h.t. 2147483700 2 3 4 5", DNS_NOERROR, ""},
    {"SOA: not at the apex", "add n.t. 300 SOA ns.t. h.t. 9 2 3 4 5", DNS_NOERROR, ""},
    {"RDATA that differs in case alone is replaced", "add mx.t. 300 MX 10 two.t.", DNS_NOERROR,
     "-mx.t. 300 MX 10 Two.t.\n+mx.t. 300 MX 10 two.t.\n"},
    {"a wildcard is a name", "add *.n.t. 60 A 192.0.2.7", DNS_NOERROR, "+*.n.t. 60 A 192.0.2.7\n"},

    /* removing, sections 3.4.2.3 and 3.4.2.4 */
    {"an RRset", "del two.t. A", DNS_NOERROR, "-two.t. 300 A 192.0.2.2\n-two.t. 300 A 192.0.2.3\n"},
    {"all of a name", "del two.t.", DNS_NOERROR,
     "-two.t. 300 A 192.0.2.2\n-two.t. 300 A 192.0.2.3\n-two.t. 300 TXT \"x\"\n"},
    {"one record", "del two.t. A 192.0.2.2", DNS_NOERROR, "-two.t. 300 A 192.0.2.2\n"},
    {"one record after the other", "del two.t. A 192.0.2.2\ndel two.t. A 192.0.2.3", DNS_NOERROR,
     "-two.t. 300 A 192.0.2.2\n-two.t. 300 A 192.0.2.3\n"},
    {"one that is not there", "del two.t. A 192.0.2.99", DNS_NOERROR, ""},
    {"one in other letters", "del mx.t. MX 10 TWO.T.", DNS_NOERROR, "-mx.t. 300 MX 10 Two.t.\n"},
    {"nothing", "del none.t.\ndel none.t. A\ndel none.t. A 192.0.2.1", DNS_NOERROR, ""},
    {"names below stay", "del ent.t.", DNS_NOERROR, ""},
    {"the apex keeps SOA and NS", "del t.", DNS_NOERROR, "-t. 300 TXT \"apex\"\n"},
    {"also what the message added there goes", "add t. 60 A 192.0.2.7\ndel t.", DNS_NOERROR,
     "-t. 300 TXT \"apex\"\n"},
    {"the apex keeps its SOA", "del t. SOA\ndel t. SOA ns.t. h.t. 7 2 3 4 5", DNS_NOERROR, ""},
    {"the apex keeps its NS", "del t. NS", DNS_NOERROR, ""},
    {"the last NS stays", "del t. NS ns.t.", DNS_NOERROR, ""},
    {"not the last one", "add t. 300 NS two.t.\ndel t. NS ns.t.", DNS_NOERROR,
     "-t. 300 NS ns.t.\n+t. 300 NS two.t.\n"},
    {"delegations may go", "add d.t. 300 NS ns.t.\ndel d.t. NS ns.t.", DNS_NOERROR, ""},

    /* order */
    {"in the order of the message", "add n.t. 60 A 192.0.2.7\ndel n.t. A\nadd n.t. 60 A 192.0.2.8",
     DNS_NOERROR, "+n.t. 60 A 192.0.2.8\n"},
    {"and came and went", "add n.t. 60 A 192.0.2.7\ndel n.t. A 192.0.2.7", DNS_NOERROR, ""},
    {"challenge", "del _acme-challenge.t. TXT\nadd _acme-challenge.t. 60 TXT \"token\"", DNS_NOERROR,
     "+_acme-challenge.t. 60 TXT \"token\"\n"},
    {"two of one RRset with another between",
     "add n.t. 60 A 192.0.2.7\nadd m.t. 60 A 192.0.2.7\nadd n.t. 60 A 192.0.2.8", DNS_NOERROR,
     "+m.t. 60 A 192.0.2.7\n+n.t. 60 A 192.0.2.7\n+n.t. 60 A 192.0.2.8\n"},
};

static void print_side(const struct difference *difference, enum difference_side side, struct buf *out)
{
    for (size_t i = 0; i < difference_count(difference, side); i++) {
        struct difference_record r = difference_record(difference, side, i);
        struct err err;
        struct piece *piece = piece_new(
            &(struct piece_spec){.type = r.type, .ttl = r.ttl, .rdata = &r.rdata, .count = 1}, &err);
        struct buf line = {0};
        assert_non_null(piece);
        zonefile_print_rrset(r.owner, piece, &line);
        piece_unref(piece);
        buf_puts(out, side == DIFFERENCE_ADDED ? "+" : "-");
        char *class = strstr(buf_str(&line), " IN ");
        assert_non_null(class);
        memmove(class, class + 3, strlen(class + 3) + 1);
        buf_puts(out, (char *)line.data);
        buf_free(&line);
    }
}

static enum dns_rcode run(const struct zone *zone, const struct update *update, struct buf *out)
{
    struct err err = {"?"};
    enum dns_rcode rcode = update_judge(update, zone, &err);
    if (rcode) {
        assert_string_not_equal(err.text, "?");
        return rcode;
    }
    struct zone_edit *edit = zone_edit_begin(zone);
    rcode = update_apply(update, edit, zone, &err);
    assert_int_equal(rcode, DNS_NOERROR);
    struct zone *after = zone_edit_commit(edit);
    struct difference *difference = difference_between(zone, after);
    print_side(difference, DIFFERENCE_REMOVED, out);
    print_side(difference, DIFFERENCE_ADDED, out);
    difference_unref(difference);
    zone_unref(after);
    return rcode;
}

static void test_cases(void **unused)
{
    (void)unused;
    struct zone *zone = zone_text("t.", ZONE_AUTHORITATIVE, &state, zone_lines);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf message = {0}, got = {0};
        struct update update;
        struct err err = {""};
        update_text(&message, "t.", cases[i].lines);
        enum dns_rcode rcode = update_parse(&update, message.data, message.len, &err);
        if (!rcode)
            rcode = run(zone, &update, &got);
        if (rcode != cases[i].rcode || strcmp(buf_str(&got), cases[i].expected))
            fail_msg("%s: rcode %d (%s), changes:\n%s", cases[i].name, rcode, err.text, buf_str(&got));
        update_free(&update);
        buf_free(&message);
        buf_free(&got);
    }
    zone_unref(zone);
    zone_reap();
}

/* --- messages that are not well-formed --------------------------------------------------------------- */

/* One record: owner, type, class, TTL, RDATA length as given. */
static const struct {
    const char *name;
    bool change;
    const char *owner;
    uint16_t type, class;
    uint32_t ttl;
    uint16_t len;
    enum dns_rcode rcode;
} records[] = {
    {"prerequisite with a TTL", false, "n.t.", DNS_A, DNS_CLASS_ANY, 1, 0, DNS_FORMERR},
    {"of class NONE with a TTL", false, "n.t.", DNS_A, DNS_CLASS_NONE, 1, 0, DNS_FORMERR},
    {"of the zone's class with a TTL", false, "n.t.", DNS_A, DNS_IN, 1, 4, DNS_FORMERR},
    {"of class ANY with RDATA", false, "n.t.", DNS_A, DNS_CLASS_ANY, 0, 4, DNS_FORMERR},
    {"of class NONE with RDATA", false, "n.t.", DNS_A, DNS_CLASS_NONE, 0, 4, DNS_FORMERR},
    {"of another class", false, "n.t.", DNS_A, DNS_CH, 0, 4, DNS_FORMERR},
    {"type ANY of the zone's class", false, "n.t.", DNS_ANY, DNS_IN, 0, 0, DNS_FORMERR},
    {"outside", false, "n.u.", DNS_A, DNS_CLASS_ANY, 0, 0, DNS_NOTZONE},
    {"above", false, ".", DNS_A, DNS_CLASS_ANY, 0, 0, DNS_NOTZONE},
    {"well", false, "n.t.", DNS_A, DNS_IN, 0, 4, DNS_NOERROR},
    {"change outside", true, "n.u.", DNS_A, DNS_IN, 1, 4, DNS_NOTZONE},
    {"only looks as if below", true, "nt.", DNS_A, DNS_IN, 1, 4, DNS_NOTZONE},
    {"of class ANY with a TTL", true, "n.t.", DNS_A, DNS_CLASS_ANY, 1, 0, DNS_FORMERR},
    {"of class ANY with RDATA", true, "n.t.", DNS_A, DNS_CLASS_ANY, 0, 4, DNS_FORMERR},
    {"of class NONE with a TTL", true, "n.t.", DNS_A, DNS_CLASS_NONE, 1, 4, DNS_FORMERR},
    {"of another class", true, "n.t.", DNS_A, DNS_CH, 1, 4, DNS_FORMERR},
    {"adding ANY", true, "n.t.", DNS_ANY, DNS_IN, 1, 0, DNS_FORMERR},
    {"adding AXFR", true, "n.t.", DNS_AXFR, DNS_IN, 1, 0, DNS_FORMERR},
    {"adding TSIG", true, "n.t.", DNS_TSIG, DNS_IN, 1, 0, DNS_FORMERR},
    {"adding OPT", true, "n.t.", DNS_OPT, DNS_IN, 1, 0, DNS_FORMERR},
    {"adding type 0", true, "n.t.", 0, DNS_IN, 1, 0, DNS_FORMERR},
    {"removing MAILB", true, "n.t.", DNS_MAILB, DNS_CLASS_ANY, 0, 0, DNS_FORMERR},
    {"removing one of type ANY", true, "n.t.", DNS_ANY, DNS_CLASS_NONE, 0, 0, DNS_FORMERR},
    {"an address of 3 octets", true, "n.t.", DNS_A, DNS_IN, 1, 3, DNS_FORMERR},
    {"an address of 5 octets", true, "n.t.", DNS_A, DNS_IN, 1, 5, DNS_FORMERR},
    {"removing an address of 3 octets", true, "n.t.", DNS_A, DNS_CLASS_NONE, 0, 3, DNS_FORMERR},
    {"a type that nobody knows", true, "n.t.", 65280, DNS_IN, 1, 3, DNS_NOERROR},
    {"well", true, "n.t.", DNS_A, DNS_IN, 1, 4, DNS_NOERROR},
};

static size_t one_record(uint8_t *msg, size_t i)
{
    struct buf out = {0};
    uint8_t rdata[16] = {0}, fixed[10], name[NAME_MAX_WIRE];
    update_text(&out, "t.", "");
    put16(out.data + (records[i].change ? 8 : 6), 1);
    name_of(records[i].owner, name);
    buf_append(&out, name, name_len(name));
    put16(fixed, records[i].type);
    put16(fixed + 2, records[i].class);
    put32(fixed + 4, records[i].ttl);
    put16(fixed + 8, records[i].len);
    buf_append(&out, fixed, sizeof fixed);
    buf_append(&out, rdata, records[i].len);
    size_t len = out.len;
    memcpy(msg, out.data, len);
    buf_free(&out);
    return len;
}

static enum dns_rcode parse(const uint8_t *msg, size_t len)
{
    struct update update;
    struct err err;
    uint8_t *exact = malloc(len ? len : 1); /* ASan sees what reads beyond */
    memcpy(exact, msg, len);
    enum dns_rcode rcode = update_parse(&update, exact, len, &err);
    update_free(&update);
    free(exact);
    return rcode;
}

static void test_records(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        uint8_t msg[512];
        size_t len = one_record(msg, i);
        if (parse(msg, len) != records[i].rcode)
            fail_msg("%s: %d", records[i].name, parse(msg, len));
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(parse(msg, cut), DNS_FORMERR);
        if (records[i].rcode == DNS_NOERROR) {
            msg[len] = 0;
            assert_int_equal(parse(msg, len + 1), DNS_FORMERR);
        }
    }
}

static void test_zone_section(void **unused)
{
    (void)unused;
    struct buf message = {0};
    update_text(&message, "t.", "");
    assert_int_equal(parse(message.data, message.len), DNS_NOERROR);
    uint8_t *type = message.data + message.len - 3, *class = message.data + message.len - 1;
    *type = DNS_A;
    assert_int_equal(parse(message.data, message.len), DNS_FORMERR);
    *type = DNS_SOA;
    *class = DNS_CH;
    assert_int_equal(parse(message.data, message.len), DNS_NOTAUTH);
    *class = DNS_CLASS_ANY;
    assert_int_equal(parse(message.data, message.len), DNS_FORMERR);
    *class = DNS_IN;
    put16(message.data + 4, 0);
    assert_int_equal(parse(message.data, message.len), DNS_FORMERR);
    put16(message.data + 4, 2);
    assert_int_equal(parse(message.data, message.len), DNS_FORMERR);
    put16(message.data + 4, 1);
    put16(message.data + 8, 65535);
    assert_int_equal(parse(message.data, message.len), DNS_FORMERR);
    buf_free(&message);
}

/* Names in RDATA may point into the message where the type allows it (RFC 3597 section 4). */
static void test_compression(void **unused)
{
    (void)unused;
    static const uint8_t pointed[] = {1, 'n', 0xc0, 12, 0, DNS_MX, 0, DNS_IN, 0,    0,
                                      0, 60,  0,    6,  0, 10,     1, 'x',    0xc0, 12};
    struct buf message = {0};
    struct update update;
    struct err err;
    update_text(&message, "t.", "");
    put16(message.data + 8, 1);
    size_t at = message.len;
    buf_append(&message, pointed, sizeof pointed);
    assert_int_equal(update_parse(&update, message.data, message.len, &err), DNS_NOERROR);
    assert_int_equal(update.changes[0].len, 7);
    assert_memory_equal(update.changes[0].rdata, "\0\12\1x\1t", 7);
    update_free(&update);
    message.data[at + 5] = DNS_SSHFP; /* opaque: octets are octets */
    assert_int_equal(update_parse(&update, message.data, message.len, &err), DNS_NOERROR);
    assert_int_equal(update.changes[0].len, 6);
    update_free(&update);
    buf_free(&message);
}

/* Thousands of records of one RRset are compiled once, not at each. */
static void test_many(void **unused)
{
    (void)unused;
    struct zone *zone = zone_text("t.", ZONE_AUTHORITATIVE, &state, zone_lines);
    struct buf message = {0}, lines = {0}, got = {0};
    struct update update;
    struct err err;
    for (int i = 0; i < 2500; i++)
        buf_printf(&lines, "add n.t. 60 A 10.0.%d.%d\n", i / 250, i % 250);
    update_text(&message, "t.", buf_str(&lines));
    assert_int_equal(update_parse(&update, message.data, message.len, &err), DNS_NOERROR);
    nstime before = clock_boot();
    assert_int_equal(run(zone, &update, &got), DNS_NOERROR);
    assert_true(clock_boot() - before < 5 * NS_PER_S); /* sanitizers, a busy machine: 100 ms elsewhere */
    update_free(&update);
    buf_free(&message);
    buf_free(&lines);
    buf_free(&got);
    zone_unref(zone);
    zone_reap();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),        cmocka_unit_test(test_records),
        cmocka_unit_test(test_zone_section), cmocka_unit_test(test_compression),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
