/* Names and the tables of the protocol. */
#include "lictor/dns.h"
#include "lictor/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t *wire(const char *text)
{
    static uint8_t ring[8][NAME_MAX_WIRE];
    static unsigned next;
    struct err err;
    uint8_t *out = ring[next++ % 8];
    if (name_from_text(text, NULL, out, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return out;
}

static void text_round_trip(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
        int len;
    } rows[] = {
        {".", ".", 1},
        {"a", "a.", 3},
        {"WWW.Example.com.", "WWW.Example.com.", 17},
        {"a\\.b.c", "a\\.b.c.", 7},
        {"\\065.x", "A.x.", 5},
        {"\\000\\255.x", "\\000\\255.x.", 6},
        {"sp\\ ace", "sp\\032ace.", 8},
        {"\\\\", "\\\\.", 3},
        {"*.x", "*.x.", 5},
        {"_tcp.x", "_tcp.x.", 8},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t name[NAME_MAX_WIRE];
        char text[NAME_MAX_TEXT];
        struct err err;
        assert_int_equal(name_from_text(rows[i].in, NULL, name, &err), rows[i].len);
        assert_int_equal(name_len(name), rows[i].len);
        assert_string_equal(name_to_text(name, text), rows[i].out);
    }
}

static void text_relative(void **state)
{
    (void)state;
    uint8_t name[NAME_MAX_WIRE];
    char text[NAME_MAX_TEXT];
    struct err err;
    assert_int_equal(name_from_text("www", wire("example.com"), name, &err), 17);
    assert_string_equal(name_to_text(name, text), "www.example.com.");
    assert_int_equal(name_from_text("@", wire("example.com"), name, &err), 13);
    assert_int_equal(name_from_text("www.", wire("example.com"), name, &err), 5);
    /* An escaped dot at the end does not make it absolute. */
    assert_true(name_from_text("www\\.", wire("example.com"), name, &err) > 0);
    assert_string_equal(name_to_text(name, text), "www\\..example.com.");
}

static void text_faults(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",       "..",
        ".a",     "a..b",
        "a\\",    "a\\1",
        "a\\12",  "a\\256",
        "a\\1x3", "0123456789012345678901234567890123456789012345678901234567890123", /* 64 */
    };
    uint8_t name[NAME_MAX_WIRE];
    struct err err;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        err.text[0] = 0;
        assert_int_equal(name_from_text(rows[i], NULL, name, &err), -1);
        assert_true(err.text[0]);
    }
    /* 127 labels of one octet make 255 octets; one more does not fit. */
    char text[300];
    for (unsigned i = 0; i < 128; i++)
        memcpy(text + 2 * i, "a.", 3);
    assert_int_equal(name_from_text(text, NULL, name, &err), -1);
    text[254] = 0;
    assert_int_equal(name_from_text(text, NULL, name, &err), 255);
    assert_int_equal(name_labels(name), 127);
    assert_int_equal(name_from_text("x", name, (uint8_t[NAME_MAX_WIRE]){0}, &err), -1);
}

static void from_wire(void **state)
{
    (void)state;
#define ROW(bytes, at, want, end) \
    { \
        bytes, sizeof bytes - 1, at, want, end \
    }
    static const struct {
        const char *msg;
        size_t len, at;
        int want;
        size_t end;
    } rows[] = {
        ROW("\1a\0", 0, 3, 3),
        ROW("\0", 0, 1, 1),
        ROW("\1a\0\1b\300\0", 3, 5, 7),
        ROW("\1a\0\300\0\1c\300\3", 5, 5, 9), /* a pointer to a pointer */
        ROW("\1a\300\0", 0, -1, 0),           /* to itself */
        ROW("\300\0", 0, -1, 0),              /* to itself, at once */
        ROW("\1a\300\2", 0, -1, 0),           /* to the pointer */
        ROW("\300\2\0", 0, -1, 0),            /* forward */
        ROW("\1b\300\4\1a\300\0", 4, -1, 0),  /* a pair of pointers at each other */
        ROW("\2a", 0, -1, 0),                 /* cut off in a label */
        ROW("\1a", 0, -1, 0),                 /* no root */
        ROW("\1a\300", 0, -1, 0),             /* half a pointer */
        ROW("\100a\0", 0, -1, 0),             /* label type 01 */
        ROW("\200a\0", 0, -1, 0),             /* label type 10 */
        ROW("", 0, -1, 0),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t name[NAME_MAX_WIRE];
        size_t pos = rows[i].at;
        int got = name_from_wire((const uint8_t *)rows[i].msg, rows[i].len, &pos, name);
        if (got != rows[i].want)
            fail_msg("row %zu: %d instead of %d", i, got, rows[i].want);
        if (got > 0)
            assert_int_equal(pos, rows[i].end);
    }
    /* 256 octets. */
    uint8_t msg[300] = {0}, name[NAME_MAX_WIRE];
    for (unsigned i = 0; i < 4; i++)
        msg[64 * i] = 63;
    size_t pos = 0;
    assert_int_equal(name_from_wire(msg, sizeof msg, &pos, name), -1);
    msg[192] = 61;
    pos = 0;
    assert_int_equal(name_from_wire(msg, sizeof msg, &pos, name), 255);
}

/* A pointer to a pointer to a pointer: reading a name costs no more than so many steps. */
static void pointers_without_end(void **state)
{
    uint8_t msg[16384] = "\1a", name[NAME_MAX_WIRE];
    size_t len = 3, last = 0;
    (void)state;
    for (unsigned count = 1; len + 2 <= sizeof msg; count++, len += 2) {
        msg[len] = (uint8_t)(0xc0 | last >> 8);
        msg[len + 1] = (uint8_t)last;
        last = len;
        size_t pos = last;
        assert_int_equal(name_from_wire(msg, sizeof msg, &pos, name), count <= NAME_MAX_LABELS ? 3 : -1);
    }
}

static void order(void **state)
{
    (void)state;
    /* RFC 4034 section 6.1. */
    static const char *const rows[] = {
        "example.",   "a.example.",       "yljkjljk.a.example.", "Z.a.example.",     "zABC.a.EXAMPLE.",
        "z.example.", "\\001.z.example.", "*.z.example.",        "\\200.z.example.",
    };
    size_t n = sizeof rows / sizeof *rows;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            uint8_t a[NAME_MAX_WIRE], b[NAME_MAX_WIRE];
            memcpy(a, wire(rows[i]), NAME_MAX_WIRE);
            memcpy(b, wire(rows[j]), NAME_MAX_WIRE);
            int c = name_compare(a, b);
            assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
            assert_int_equal(name_equal(a, b), i == j);
        }
    assert_int_equal(name_compare(wire("eXample"), wire("ExamplE")), 0);
    assert_true(name_compare(wire("."), wire("a")) < 0);
    assert_true(name_compare(wire("a"), wire("aa")) < 0);
}

static void relations(void **state)
{
    (void)state;
    assert_true(name_is_under(wire("a.B.c"), wire("b.C")));
    assert_true(name_is_under(wire("b.c"), wire("b.C")));
    assert_true(name_is_under(wire("b.c"), wire(".")));
    assert_false(name_is_under(wire("c"), wire("b.c")));
    assert_false(name_is_under(wire("ab.c"), wire("b.c")));
    assert_false(name_is_under(wire("x\\.b.c"), wire("b.c"))); /* the dot is in the label */
    uint8_t out[NAME_MAX_WIRE];
    assert_int_equal(name_lower(wire("AbC.[Z"), out), 8);
    assert_memory_equal(out, "\3abc\2[z", 8);
    assert_int_equal(name_prepend((const uint8_t *)"x", 1, wire("a"), out), 5);
    assert_memory_equal(out, "\1x\1a", 5);
    assert_int_equal(name_prepend((const uint8_t *)"x", 0, wire("a"), out), -1);
}

static void tables(void **state)
{
    (void)state;
    char text[16];
    assert_string_equal(dns_type_text(DNS_AAAA, text), "AAAA");
    assert_string_equal(dns_type_text(65280, text), "TYPE65280");
    assert_string_equal(dns_rcode_text(DNS_BADVERS, text), "BADVERS");
    assert_string_equal(dns_rcode_text(4095, text), "RCODE4095");
    for (unsigned type = 0; type < 65536; type++)
        assert_int_equal(dns_type_parse(dns_type_text((uint16_t)type, text)), type);
    assert_int_equal(dns_type_parse("aaaa"), DNS_AAAA);
    assert_int_equal(dns_type_parse("type1"), DNS_A);
    static const char *const faults[] = {"", "TYPE", "TYPE65536", "TYPE-1", "TYPE1x", "TYPE000001", "nope"};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        assert_int_equal(dns_type_parse(faults[i]), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_round_trip),
        cmocka_unit_test(text_relative),
        cmocka_unit_test(text_faults),
        cmocka_unit_test(from_wire),
        cmocka_unit_test(pointers_without_end),
        cmocka_unit_test(order),
        cmocka_unit_test(relations),
        cmocka_unit_test(tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
