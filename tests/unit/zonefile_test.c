/* Zone files: what they mean, and every fault with its file and line. */
#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/zonefile.h"
#include "zone/zonefile_generate.h"
#include "zone/zonefile_rdata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define APEX "\7example\3com"
#define HEAD "$TTL 1h\n@ SOA ns1 h 1 1h 15m 1w 5m\n NS ns1\n"
/* What zonefile_print makes of HEAD. */
#define HEAD_PRINTED \
    "example.com. 3600 IN SOA ns1.example.com. h.example.com. 1 3600 900 604800 300\n" \
    "example.com. 3600 IN NS ns1.example.com.\n"

static struct zone_state zone_state_of_all;
static char folder[] = "/tmp/lictor-zone-XXXXXX";

static struct zone *parse(const char *text, size_t len, struct err *err)
{
    return zonefile_parse("z", text, len, (const uint8_t *)APEX, ZONE_AUTHORITATIVE, &zone_state_of_all, err);
}

/* Parses and prints; a second round over what was printed must give the same. */
static char *normal(const char *text)
{
    struct err err;
    struct buf once = {0}, twice = {0};
    struct zone *zone = parse(text, strlen(text), &err);
    if (!zone)
        fail_msg("%s for:\n%s", err.text, text);
    zonefile_print(zone, &once);
    zone_unref(zone);
    zone = parse((char *)once.data, once.len, &err);
    if (!zone)
        fail_msg("not read back: %s\n%s", err.text, buf_str(&once));
    zonefile_print(zone, &twice);
    zone_unref(zone);
    assert_string_equal(buf_str(&once), buf_str(&twice));
    buf_free(&twice);
    return buf_steal(&once);
}

static void check_normal(const char *text, const char *wanted)
{
    char *got = normal(text);
    if (strcmp(got, wanted))
        fail_msg("wanted:\n%s\ngot:\n%s\nfor:\n%s", wanted, got, text);
    free(got);
}

/* text follows HEAD; wanted are the records besides HEAD's. */
static void check_records(const char *text, const char *wanted)
{
    struct buf full = {0}, all = {0};
    buf_printf(&full, "%s%s", HEAD, text);
    buf_printf(&all, "%s%s", HEAD_PRINTED, wanted);
    check_normal(buf_str(&full), buf_str(&all));
    buf_free(&full);
    buf_free(&all);
}

static void what_files_mean(void **state)
{
    (void)state;
    static const struct {
        const char *text, *records;
    } table[] = {
        {"", ""},
        {"ns1 A 192.0.2.1\n", "ns1.example.com. 3600 IN A 192.0.2.1\n"},
        {"ns1 A 192.0.2.1", "ns1.example.com. 3600 IN A 192.0.2.1\n"}, /* no final newline */
        {"ns1 A 192.0.2.1\r\n A 192.0.2.2\r\n",
         "ns1.example.com. 3600 IN A 192.0.2.1\nns1.example.com. 3600 IN A 192.0.2.2\n"},
        {"; comment\n\n  ; another\n\t\nns1 A 192.0.2.1 ; third (\n",
         "ns1.example.com. 3600 IN A 192.0.2.1\n"},
        {"a 60 IN A 192.0.2.1\nb IN 1m A 192.0.2.1\nc in A 192.0.2.1\nd CLASS1 61 A 192.0.2.1\n",
         "a.example.com. 60 IN A 192.0.2.1\nb.example.com. 60 IN A 192.0.2.1\nc.example.com. 3600 IN A "
         "192.0.2.1\n"
         "d.example.com. 61 IN A 192.0.2.1\n"},
        {"a 1W2d3H4m5s A 192.0.2.1\nb 0 A 192.0.2.1\n",
         "a.example.com. 788645 IN A 192.0.2.1\nb.example.com. 0 IN A 192.0.2.1\n"},
        {"B.EXAMPLE.com. A 192.0.2.1\nb 3600 A 192.0.2.1\n",
         "b.example.com. 3600 IN A 192.0.2.1\n"}, /* folded */
        {"a 9 A 192.0.2.1\na 7 A 192.0.2.2\na 8 A 192.0.2.3\n",
         "a.example.com. 7 IN A 192.0.2.1\na.example.com. 7 IN A 192.0.2.2\na.example.com. 7 IN A "
         "192.0.2.3\n"},
        {"a A 192.0.2.1\nb A 192.0.2.2\na A 192.0.2.3\n",
         "a.example.com. 3600 IN A 192.0.2.1\na.example.com. 3600 IN A 192.0.2.3\nb.example.com. 3600 IN A "
         "192.0.2.2\n"},
        {"a TXT ( \"one\" ; c\n  two\n\n) \n", "a.example.com. 3600 IN TXT \"one\" \"two\"\n"},
        {"a (\nA\n192.0.2.1)\n AAAA ::1\n",
         "a.example.com. 3600 IN A 192.0.2.1\na.example.com. 3600 IN AAAA ::1\n"},
        {"a TXT \"q;(\\\"\\\\\" \\;\\( \"\" \\065\n",
         "a.example.com. 3600 IN TXT \"q;(\\\"\\\\\" \";(\" \"\" \"A\"\n"},
        {"*.w TXT x\n", "*.w.example.com. 3600 IN TXT \"x\"\n"},
        {"a\\.b\\032c A 192.0.2.1\n", "a\\.b\\032c.example.com. 3600 IN A 192.0.2.1\n"},
        {"\\$x A 192.0.2.1\n\\@ A 192.0.2.2\n",
         "\\$x.example.com. 3600 IN A 192.0.2.1\n\\@.example.com. 3600 IN A 192.0.2.2\n"},
        {"in IN A 192.0.2.1\na 5 a 192.0.2.1\n",
         "a.example.com. 5 IN A 192.0.2.1\nin.example.com. 3600 IN A 192.0.2.1\n"},
        /* RFC 3597, for unknown and for known types */
        {"a TYPE65534 \\# 3 010203\n TYPE65534 \\# 0\n TYPE1 \\# 4 C0000201\n A \\# 4 (c000 0202)\n",
         "a.example.com. 3600 IN A 192.0.2.1\na.example.com. 3600 IN A 192.0.2.2\n"
         "a.example.com. 3600 IN TYPE65534 \\# 0\na.example.com. 3600 IN TYPE65534 \\# 3 010203\n"},
        {"a SRV 1 2 65535 .\n CAA 0 issue \"ca.example.net\"\n HTTPS 1 . alpn=h2\n LOC 52 22 23 N 4 53 32 E "
         "-2m\n",
         "a.example.com. 3600 IN LOC 52 22 23.000 N 04 53 32.000 E -2m 1m 10000m 10m\n"
         "a.example.com. 3600 IN SRV 1 2 65535 .\na.example.com. 3600 IN HTTPS 1 . alpn=h2\n"
         "a.example.com. 3600 IN CAA 0 issue \"ca.example.net\"\n"},
        {"$ORIGIN sub\na MX 10 @\n$ORIGIN example.com.\nb MX 5 mail\n",
         "b.example.com. 3600 IN MX 5 mail.example.com.\na.sub.example.com. 3600 IN MX 10 "
         "sub.example.com.\n"},
        {"$ttl 5\na A 192.0.2.1\n$TTL 6m ; c\nb A 192.0.2.1\n",
         "a.example.com. 5 IN A 192.0.2.1\nb.example.com. 360 IN A 192.0.2.1\n"},
        {"$GENERATE 1-3 h$ A 192.0.2.$\n",
         "h1.example.com. 3600 IN A 192.0.2.1\nh2.example.com. 3600 IN A 192.0.2.2\n"
         "h3.example.com. 3600 IN A 192.0.2.3\n"},
        {"$GENERATE 0-4/2 ${1,3} 60 IN CNAME ${-0,2,x}.\\$$$.net.\n",
         "001.example.com. 60 IN CNAME 00.$$.net.\n003.example.com. 60 IN CNAME 02.$$.net.\n"
         "005.example.com. 60 IN CNAME 04.$$.net.\n"},
        {"$GENERATE 1-1 h MX \"$ mail$\"\n$GENERATE 2-2 h MX $ mail$\n$GENERATE 3-3 h TXT \"a $\"\n",
         "h.example.com. 3600 IN MX 1 mail1.example.com.\nh.example.com. 3600 IN MX 2 mail2.example.com.\n"
         "h.example.com. 3600 IN TXT \"a 3\"\n"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        check_records(table[i].text, table[i].records);
}

/* RFC 1035 section 5.1 and RFC 2308 section 4: explicit, $TTL, the last one stated, the SOA's MINIMUM. */
static void where_a_ttl_comes_from(void **state)
{
    (void)state;
    check_normal("@ SOA ns1 h 1 2 3 4 77\n NS ns1\na 5 A 192.0.2.1\nb A 192.0.2.2\n",
                 "example.com. 77 IN SOA ns1.example.com. h.example.com. 1 2 3 4 77\n"
                 "example.com. 77 IN NS ns1.example.com.\na.example.com. 5 IN A 192.0.2.1\n"
                 "b.example.com. 5 IN A 192.0.2.2\n");
    check_normal("@ 9 SOA ns1 h 1 2 3 4 77\n NS ns1\n$TTL 8\na A 192.0.2.1\n",
                 "example.com. 9 IN SOA ns1.example.com. h.example.com. 1 2 3 4 77\n"
                 "example.com. 9 IN NS ns1.example.com.\na.example.com. 8 IN A 192.0.2.1\n");
}

static void nibbles_of_generate(void **state)
{
    (void)state;
    static const struct {
        const char *template, *text;
        uint32_t number;
    } table[] = {
        {"$", "7", 7},
        {"a$b$c", "a7b7c", 7},
        {"${0}", "7", 7},
        {"${0,4}", "0007", 7},
        {"${-7,2}", "00", 7},
        {"${+3}x", "10x", 7},
        {"${0,0,x}", "ff", 255},
        {"${0,4,X}", "00FF", 255},
        {"${0,0,o}", "17", 15},
        {"${0,0,n}", "f.1", 0x1f},
        {"${0,3,n}", "f.1", 31},
        {"${0,4,n}", "f.1.", 31},
        {"${0,7,N}", "F.1.0.0", 31},
        {"$$", "$", 7},
        {"\\$", "\\$", 7},
        {"\\\\$", "\\\\7", 7},
        {"${1,2,d}$", "087", 7},
        {"", "", 7},
        {"${0,0,n}", "0", 0},
        {"${2147483647}", "2147483654", 7},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct buf out = {0};
        struct err err;
        assert_int_equal(generate_expand(table[i].template, table[i].number, &out, &err), 0);
        assert_string_equal(buf_str(&out), table[i].text);
        buf_free(&out);
    }
    static const char *const wrong[] = {"${",      "${}",      "${x}",           "${1,}",
                                        "${1,2,}", "${1,2,z}", "${1,256}",       "${1,2,d",
                                        "${1 }",   "${-8}",    "${99999999999}", "${1,2,d,4}"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct buf out = {0};
        struct err err = {.text = ""};
        assert_int_equal(generate_expand(wrong[i], 7, &out, &err), -1);
        assert_string_not_equal(err.text, "");
        buf_free(&out);
    }
}

struct fault {
    const char *text, *fault;
};

static const struct fault whole_files[] = {
    {"", "z: example.com.: the zone has no SOA"},
    {"\n; nothing\n", "z: example.com.: the zone has no SOA"},
    {"@ 5 NS ns1\n", "z: example.com.: the zone has no SOA"},
    {"@ 5 SOA ns1 h 1 1 1 1 1\n", "z: example.com.: the zone has no NS"},
    {"@ NS ns1\n", "z:1: no TTL: neither here, nor in $TTL, nor before; put `$TTL 1h`"},
    {"\n  A 192.0.2.1\n", "z:2: the line begins with a blank, but there is no record before"},
};

/* Behind HEAD, whose lines are 1 to 3. */
static const struct fault fourth_lines[] = {
    {"a A 192.0.2\n", "z:4: `192.0.2` is no data of type A ("},
    {"\na AAAA 192.0.2.1\n", "z:5: `192.0.2.1` is no data of type AAAA"},
    {"a A 192.0.2.1 192.0.2.2\n",
     "z:4: `192.0.2.1 192.0.2.2` is more than a record of type A takes; write it like"},
    {"a A\n", "z:4: the record has no data behind its type A; write it like: A 192.0.2.1"},
    {"a TYPE655\n",
     "z:4: the record has no data behind its type TYPE655; write it like: TYPE123 \\# 3 010203"},
    {"a\n", "z:4: the record ends before its type"},
    {"a IN 300\n", "z:4: the record ends before its type"},
    {"a IN 300 400 A 192.0.2.1\n", "z:4: `400` is no type of record"},
    {"a IN IN A 192.0.2.1\n", "z:4: `IN` is no type of record"},
    {"a CH TXT x\n", "z:4: class CH; a zone here has class IN only"},
    {"a CLASS3 TXT x\n", "z:4: class CLASS3; a zone here has class IN only"},
    {"a BOGUS x\n", "z:4: `BOGUS` is no type of record; write owner, TTL, class, type and data"},
    {"a ANY x\n", "z:4: type ANY is for messages, not for zones; remove the record"},
    {"a TYPE251 \\# 0\n", "z:4: type TYPE251 is for messages"},
    {"a TYPE0 \\# 0\n", "z:4: "},
    {"a OPT \\# 0\n", "z:4: type OPT is for messages"},
    {"a TYPE99999 \\# 0\n", "z:4: "},
    {"a TYPE65534 010203\n", "z:4: `010203` is no data of type TYPE65534"},
    {"a TYPE65534 \\# 3 0102\n",
     "z:4: `\\# 3 0102` is not a length and so many octets in hex; write it like"},
    {"a TYPE65534 \\# 1 0g\n", "z:4: `\\# 1 0g` is not a length"},
    {"a TYPE65534 \\# 1 0\n", "z:4: `\\# 1 0` is not a length"},
    {"a TYPE65534 \\# x\n", "z:4: `\\# x` is not a length"},
    {"a TYPE65534 \\# 65536 00\n", "z:4: `\\# 65536 00` is not a length"},
    {"a MX \\# 4 000A00FF\n", "z:4: `\\# 4 000A00FF` is no data of type MX; write it like: MX 10"},
    {"a A \\# 3 010203\n", "z:4: "},
    {"a A \\# 5 0102030405\n", "z:4: "},
    {"a MX 70000 mail\n",
     "z:4: `70000` is no number from 0 to 65535, which field 1 must be; write it like: MX 10"},
    {"a MX -1 mail\n", "z:4: `-1` is no number from 0 to 65535"},
    {"a MX mail\n", "z:4: `mail` is no number"},
    {"a SRV 1 2 x t\n", "z:4: `x` is no number from 0 to 65535, which field 3 must be"},
    {"a CAA 256 issue x\n", "z:4: `256` is no number from 0 to 255"},
    {"a NS a..b\n", "z:4: `a..b` is no data of type NS"},
    {"a MX 10 \"mail\"\n", "z:4: `\"mail\"` is a name in quotes; write it without, like: MX 10"},
    {"a TXT \"x\n", "z:4: the quote that begins here is not closed; end it with \""},
    {"a TXT (\n  \"x\n  y\" )\n", "z:5: the quote that begins here is not closed"},
    {"\na TXT ( x\n y\n", "z:5: the `(` of this line is not closed; add `)`"},
    {"a TXT ( ( x )\n", "z:4: the `(` of this line is not closed"},
    {"a TXT x )\n", "z:4: `)` without `(`; remove it"},
    {"a TXT x\\\n", "z:4: a line ends in a backslash"},
    {"a TXT \001\n", "z:4: a control character (octet 0x01); write it as \\001"},
    {"a TXT \"\x7f\"\n", "z:4: a control character (octet 0x7f); write it as \\127"},
    {"a\rb A 192.0.2.1\n", "z:4: a control character (octet 0x0d)"},
    {"a 2147483648 A 192.0.2.1\n", "z:4: `2147483648` is no TTL; write seconds up to 2147483647, or units"},
    {"a 3551w A 192.0.2.1\n", "z:4: `3551w` is no TTL"},
    {"a 1h30 A 192.0.2.1\n", "z:4: `1h30` is no TTL"},
    {"a 1y A 192.0.2.1\n", "z:4: `1y` is no TTL"},
    {"www.example.org. A 192.0.2.1\n",
     "z:4: www.example.org. is outside of the zone example.com.; remove it, or check"},
    {"com. A 192.0.2.1\n", "z:4: com. is outside of the zone"},
    {"a..b A 192.0.2.1\n", "z:4: name \"a..b\" has an empty label"},
    {"a\\256 A 192.0.2.1\n", "z:4: name \"a\\256\": \\256 is above 255"},
    {"@ SOA ns1 h 2 1 1 1 1\n", "z:4: a second SOA at example.com.; keep this or line 2"},
    {"sub SOA ns1 h 2 1 1 1 1\n", "z:4: a SOA at sub.example.com., which is not the zone's apex; remove it"},
    {"@ SOA ns1 h 2 1 1 1\n", "z:4: "},
    {"@ SOA ns1 h 4294967296 1 1 1 1\n",
     "z:4: `4294967296` is no number from 0 to 4294967295, which field 3"},
    {"@ SOA ns1 h 1 1x 1 1 1\n", "z:4: `1x` is no number of seconds"},
    {"a CNAME b\na CNAME c\n", "z:5: a second CNAME at a.example.com.; keep this or line 4"},
    {"a CNAME b\na A 192.0.2.1\n", "z:5: a.example.com.: a CNAME cannot stand beside other records"},
    {"a DNAME b\nb.a A 192.0.2.1\n", "z:5: b.a.example.com.: lies below a DNAME"},

    {"$ORIGIN\n", "z:4: $ORIGIN takes one name; write $ORIGIN example.com."},
    {"$ORIGIN a b\n", "z:4: $ORIGIN takes one name"},
    {"$ORIGIN a..b\n", "z:4: name \"a..b\" has an empty label"},
    {"$TTL\n", "z:4: $TTL takes one TTL"},
    {"$TTL x\n", "z:4: $TTL takes one TTL"},
    {"$TTL 1 2\n", "z:4: $TTL takes one TTL"},
    {"$BOGUS 1\n", "z:4: `$BOGUS` is no directive; there are $ORIGIN, $TTL, $INCLUDE and $GENERATE"},
    {"$INCLUDE x\n", "z:4: $INCLUDE in text that is no file"},
    {"$INCLUDE\n", "z:4: `$INCLUDE` is no directive"},
    {"$GENERATE 1-3 h$ A\n", "z:4: $GENERATE takes a range, an owner, a type and data"},
    {"$GENERATE 3-1 h$ A 192.0.2.$\n", "z:4: `3-1` is no range for $GENERATE; write start-stop"},
    {"$GENERATE 1-3/0 h$ A 192.0.2.$\n", "z:4: `1-3/0` is no range"},
    {"$GENERATE 1 h$ A 192.0.2.$\n", "z:4: `1` is no range"},
    {"$GENERATE -1-3 h$ A 192.0.2.$\n", "z:4: `-1-3` is no range"},
    {"$GENERATE 0-65536 h$ A 192.0.2.1\n", "z:4: $GENERATE 0-65536 makes more than 65536 records"},
    {"$GENERATE 0-4294967296 h$ A 192.0.2.1\n", "z:4: `0-4294967296` is no range"},
    {"$GENERATE 250-260 h$ A 192.0.2.$\n", "z:4: `192.0.2.256` is no data of type A"},
    {"$GENERATE 1-2 ${1,2,z} A 192.0.2.1\n", "z:4: `${1,2,z}` is no modifier of $GENERATE"},
    {"$GENERATE 1-2 ${-2} A 192.0.2.1\n",
     "z:4: the offset of $GENERATE makes 1 negative; begin the range at 2"},
};

static void check_faults(const char *head, const struct fault *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct buf text = {0};
        struct err err = {.text = ""};
        buf_printf(&text, "%s%s", head, table[i].text);
        struct zone *zone = parse(buf_str(&text), text.len, &err);
        if (zone)
            fail_msg("accepted:\n%s", table[i].text);
        if (strncmp(err.text, table[i].fault, strlen(table[i].fault)))
            fail_msg("wanted `%s`, got `%s` for:\n%s", table[i].fault, err.text, table[i].text);
        buf_free(&text);
    }
}

static void every_fault_has_its_line(void **state)
{
    (void)state;
    check_faults("", whole_files, sizeof(whole_files) / sizeof(whole_files[0]));
    check_faults(HEAD, fourth_lines, sizeof(fourth_lines) / sizeof(fourth_lines[0]));
}

static void octets_that_are_no_text(void **state)
{
    (void)state;
    struct err err;
    const char nul[] = HEAD "a TXT \"x\0y\"\n", outside[] = HEAD "a\0 TXT x\n";
    assert_null(parse(nul, sizeof(nul) - 1, &err));
    assert_string_equal(err.text, "z:4: a NUL; is this a text file? (octet 0x00); write it as \\000");
    assert_null(parse(outside, sizeof(outside) - 1, &err));
    assert_non_null(strstr(err.text, "z:4: a NUL"));

    size_t size = 2 << 20;
    char *text = malloc(size);
    memset(text, 'a', size);
    assert_null(parse(text, size, &err));
    assert_non_null(strstr(err.text, "z:1: the record that begins here is longer than any record can be"));
    memset(text, '(', size);
    assert_null(parse(text, size, &err));
    assert_non_null(strstr(err.text, "z:1: the `(` of this line is not closed"));
    free(text);
}

static void large_rdata(void **state)
{
    (void)state;
    struct buf text = {0};
    struct err err;
    buf_printf(&text, "%sa TXT", HEAD);
    for (int i = 0; i < 250; i++) {
        buf_puts(&text, " \"");
        for (int k = 0; k < 250; k++)
            buf_puts(&text, "x");
        buf_puts(&text, "\"");
    }
    size_t fits = text.len;
    struct zone *zone = parse(buf_str(&text), text.len, &err);
    assert_non_null(zone);
    const struct piece *piece = zone_get(zone, (const uint8_t *)"\1a" APEX, DNS_TXT);
    assert_int_equal(piece_rdata(piece, 0).len, 250 * 251);
    zone_unref(zone);

    text.len = fits;
    for (int i = 0; i < 20; i++)
        buf_printf(&text, " \"%0250d\"", i);
    assert_null(parse(buf_str(&text), text.len, &err));
    assert_non_null(strstr(err.text, "z:4: "));
    buf_free(&text);
}

/* Whatever wire form a record has, its text is read back to the same octets. */
static void every_type_is_read_back(void **state)
{
    (void)state;
    uint32_t seed = 1;
    struct rdata_reader reader = {0};
    for (unsigned round = 0; round < 30000; round++) {
        uint8_t rdata[48];
        seed = seed * 1664525 + 1013904223;
        uint16_t type = round % 3 ? (uint16_t)(round % 270) : (uint16_t)(seed >> 8);
        uint16_t len = (uint16_t)(seed >> 24) % sizeof(rdata);
        for (unsigned i = 0; i < len; i++) {
            seed = seed * 1664525 + 1013904223;
            rdata[i] = (uint8_t)(seed >> 24);
            if (round & 1)
                rdata[i] &= 7; /* more like lengths and small numbers */
        }
        if (!rdata_type_is_data(type))
            continue;
        struct buf text = {0}, again = {0};
        struct err err;
        rdata_print(&reader, type, rdata, len, &text);
        char *space = strchr(buf_str(&text), ' ');
        assert_non_null(space);
        *space = '\0';
        assert_int_equal(rdata_type((char *)text.data), type);
        if (!rdata_read(&reader, type, space + 1, &again, &err)) {
            assert_int_equal(again.len, len);
            assert_memory_equal(again.data, rdata, len);
        } else {
            /* Only RDATA that is malformed for its type may be refused, and that only in the generic form. */
            assert_non_null(strstr(space + 1, "\\#"));
        }
        buf_free(&text);
        buf_free(&again);
    }
    rdata_reader_free(&reader);
}

/* --- files ---------------------------------------------------------------------------------------- */

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static struct zone *load(const char *name, struct err *err)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return zonefile_load(path, (const uint8_t *)APEX, ZONE_AUTHORITATIVE, &zone_state_of_all, err);
}

static void check_load_fault(const char *name, const char *fault)
{
    struct err err;
    assert_null(load(name, &err));
    struct buf wanted = {0};
    for (const char *c = fault; *c; c++) {
        if (*c == '%')
            buf_puts(&wanted, folder);
        else
            buf_append(&wanted, c, 1);
    }
    if (strncmp(err.text, buf_str(&wanted), wanted.len))
        fail_msg("wanted `%s`, got `%s`", buf_str(&wanted), err.text);
    buf_free(&wanted);
}

static void include(void **state)
{
    (void)state;
    struct err err;
    write_file("main", HEAD "first A 192.0.2.1\n$INCLUDE sub/one  inner ; c\n A 192.0.2.2\nlast A 192.0.2.3\n"
                            "$include \"sub/two words\"\n");
    write_file("sub/one", "@ A 192.0.2.4\n$ORIGIN deep\n$INCLUDE three\nx A 192.0.2.5\n");
    write_file("sub/three", "y A 192.0.2.6\n");
    write_file("sub/two words", "z A 192.0.2.7\n");
    struct zone *zone = load("main", &err);
    if (!zone)
        fail_msg("%s", err.text);
    struct buf out = {0};
    zonefile_print(zone, &out);
    /* The origin and the last owner are those from before the $INCLUDE. */
    assert_string_equal(buf_str(&out), HEAD_PRINTED "first.example.com. 3600 IN A 192.0.2.1\n"
                                                    "first.example.com. 3600 IN A 192.0.2.2\n"
                                                    "inner.example.com. 3600 IN A 192.0.2.4\n"
                                                    "x.deep.inner.example.com. 3600 IN A 192.0.2.5\n"
                                                    "y.deep.inner.example.com. 3600 IN A 192.0.2.6\n"
                                                    "last.example.com. 3600 IN A 192.0.2.3\n"
                                                    "z.example.com. 3600 IN A 192.0.2.7\n");
    buf_free(&out);
    zone_unref(zone);

    write_file("main", HEAD "$INCLUDE sub/one\n");
    write_file("sub/one", "\na A 192.0.2\n");
    check_load_fault("main", "%/sub/one:2: `192.0.2` is no data of type A");
    write_file("sub/one", "\n\n$INCLUDE ../main\n");
    check_load_fault("main", "%/sub/one:3: $INCLUDE of %/sub/../main, which is being read already: a loop");
    write_file("main", HEAD "$INCLUDE main\n");
    check_load_fault("main", "%/main:4: $INCLUDE of %/main, which is being read already: a loop");
    write_file("main", HEAD "$INCLUDE nope\n");
    check_load_fault("main", "%/main:4: %/nope cannot be read: No such file or directory");
    write_file("main", HEAD "$INCLUDE sub\n");
    check_load_fault("main", "%/main:4: %/sub is no regular file");
    write_file("main", HEAD "$INCLUDE /dev/zero\n");
    check_load_fault("main", "%/main:4: /dev/zero is no regular file");
    write_file("main", HEAD "$INCLUDE a b c\n");
    check_load_fault("main", "%/main:4: $INCLUDE takes a file name and perhaps an origin");
    write_file("main", HEAD "$INCLUDE sub/one b..c\n");
    check_load_fault("main", "%/main:4: name \"b..c\" has an empty label");
    check_load_fault("nope", "%/nope cannot be read: No such file");
    check_load_fault("sub", "%/sub is no regular file");
}

static void include_is_eight_deep(void **state)
{
    (void)state;
    char name[8], text[64];
    struct err err;
    for (int depth = 1; depth <= 9; depth++) {
        snprintf(name, sizeof(name), "d%d", depth);
        snprintf(text, sizeof(text), "$INCLUDE d%d\n", depth + 1);
        write_file(name, depth == 8 ? HEAD : text);
    }
    struct zone *zone = load("d1", &err);
    if (!zone)
        fail_msg("%s", err.text);
    zone_unref(zone);
    write_file("d8", "$INCLUDE d9\n");
    check_load_fault("d1", "%/d8:1: $INCLUDE is nested more than 8 deep");
}

/* The zones that are shipped are in order. */
static void shipped_zones(void **state)
{
    (void)state;
    struct err err;
    struct zone *zone = zonefile_load("../../zones/example.com.zone", (const uint8_t *)APEX,
                                      ZONE_AUTHORITATIVE, &zone_state_of_all, &err);
    if (!zone)
        fail_msg("%s", err.text);
    assert_int_equal(zone_records(zone), 43);
    assert_non_null(zone_get(zone, (const uint8_t *)"\7host-20" APEX, DNS_A));
    zone_unref(zone);
    zone = zonefile_load("../../zones/2.0.192.in-addr.arpa.zone",
                         (const uint8_t *)"\1"
                                          "2\1"
                                          "0\3"
                                          "192\7in-addr\4arpa",
                         ZONE_AUTHORITATIVE, &zone_state_of_all, &err);
    if (!zone)
        fail_msg("%s", err.text);
    assert_int_equal(zone_records(zone), 28);
    zone_unref(zone);
}

static int set_up(void **state)
{
    (void)state;
    char path[256];
    log_init("zonefile_test", LOG_LEVEL_ERROR);
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/sub", folder);
    return mkdir(path, 0755);
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const files[] = {
        "main", "sub/one", "sub/three", "sub/two words", "d1", "d2", "d3", "d4", "d5", "d6",
        "d7",   "d8",      "d9"};
    char path[256];
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/sub", folder);
    rmdir(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_files_mean),         cmocka_unit_test(where_a_ttl_comes_from),
        cmocka_unit_test(nibbles_of_generate),     cmocka_unit_test(every_fault_has_its_line),
        cmocka_unit_test(octets_that_are_no_text), cmocka_unit_test(large_rdata),
        cmocka_unit_test(every_type_is_read_back), cmocka_unit_test(include),
        cmocka_unit_test(include_is_eight_deep),   cmocka_unit_test(shipped_zones),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
