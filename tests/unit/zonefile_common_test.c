/* RDATA that is read and printed without ldns is the same as with it: the usual, the odd, and what chance
 * makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "lictor/rng.h"
#include "lictor/xalloc.h"
#include "zone/zonefile_common.h"
#include "zone_text.h"

#include <cmocka.h>

static uint8_t origin[NAME_MAX_WIRE];
static ldns_rdf *ldns_origin;

static int set_up(void **state)
{
    (void)state;
    name_of("sub.example.", origin);
    ldns_origin = ldns_dname_new_frm_data((uint16_t)name_len(origin), origin);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ldns_rdf_deep_free(ldns_origin);
    return 0;
}

/* What ldns makes of it; false: it refuses. */
static bool by_ldns(uint16_t type, const char *text, struct buf *out)
{
    struct buf line = {0};
    ldns_rr *rr = NULL;
    buf_printf(&line, ". 0 IN TYPE%u %s", type, text);
    bool good = ldns_rr_new_frm_str(&rr, buf_str(&line), 0, ldns_origin, NULL) == LDNS_STATUS_OK;
    for (size_t i = 0; good && i < ldns_rr_rd_count(rr); i++)
        buf_append(out, ldns_rdf_data(ldns_rr_rdf(rr, i)), ldns_rdf_size(ldns_rr_rdf(rr, i)));
    if (good)
        ldns_rr_free(rr);
    buf_free(&line);
    return good;
}

/* Returns whether it was read without ldns. */
static bool assert_read(uint16_t type, const char *text)
{
    struct buf ours = {0}, theirs = {0};
    bool taken = common_read(type, text, origin, &ours);
    if (!taken)
        assert_int_equal(ours.len, 0);
    else if (!by_ldns(type, text, &theirs))
        fail_msg("TYPE%u `%s` was read, but ldns refuses it", type, text);
    else if (ours.len != theirs.len || memcmp(ours.data, theirs.data, ours.len))
        fail_msg("TYPE%u `%s` was read as something else", type, text);
    buf_free(&ours);
    buf_free(&theirs);
    return taken;
}

/* Returns whether it was printed without ldns. */
static bool assert_printed(uint16_t type, const uint8_t *rdata, size_t len)
{
    struct buf text = {0}, again = {0};
    bool taken = common_print(type, rdata, len, &text);
    if (!taken) {
        assert_int_equal(text.len, 0);
    } else {
        const char *data = strchr(buf_str(&text), ' ') + 1;
        if (!by_ldns(type, data, &again) || again.len != len || memcmp(again.data, rdata, len))
            fail_msg("%s is not read back as it was", buf_str(&text));
    }
    buf_free(&text);
    buf_free(&again);
    return taken;
}

static const struct row {
    uint16_t type;
    const char *text;
    bool taken;
} rows[] = {
    {DNS_A, "192.0.2.1", true},
    {DNS_A, "0.0.0.0", true},
    {DNS_A, "255.255.255.255", true},
    {DNS_A, "256.0.0.1", false},
    {DNS_A, "1.2.3", false},
    {DNS_A, "1.2.3.4.5", false},
    {DNS_A, "01.2.3.4", false},
    {DNS_A, "1.2.3.4 5", false},
    {DNS_A, "1..2.3", false},
    {DNS_A, "", false},
    {DNS_A, "4294967297.1.1.1", false},
    {DNS_AAAA, "2001:db8::1", true},
    {DNS_AAAA, "::", true},
    {DNS_AAAA, "::ffff:192.0.2.1", false},
    {DNS_AAAA, "2001:db8::1::2", false},
    {DNS_AAAA, "2001:db8", false},
    {DNS_AAAA, "", false},
    {DNS_NS, "ns1", true},
    {DNS_NS, "ns1.example.net.", true},
    {DNS_NS, ".", true},
    {DNS_NS, "@", false},
    {DNS_NS, "a..b.", false},
    {DNS_NS, "a\\.b.example.", false},
    {DNS_NS, "a b", false},
    {DNS_NS, "\"a\"", false},
    {DNS_CNAME, "WWW.Example.", true},
    {DNS_CNAME, "a2345678901234567890123456789012345678901234567890123456789012345.example.", false},
    {DNS_PTR, "_x-y.example.", true},
    {DNS_DNAME, "target", true},
    {DNS_MX, "10 mail", true},
    {DNS_MX, "0 .", true},
    {DNS_MX, "65535 mail", true},
    {DNS_MX, "65536 mail", false},
    {DNS_MX, "010 mail", false},
    {DNS_MX, "10", false},
    {DNS_MX, "10 ", false},
    {DNS_MX, "mail", false},
    {DNS_SRV, "1 2 5060 sip.example.", true},
    {DNS_SRV, "1 2 sip.example.", false},
    {DNS_TXT, "\"text\"", true},
    {DNS_TXT, "\"\"", true},
    {DNS_TXT, "\"a b;c\" \"d\"", true},
    {DNS_TXT, "bare", false},
    {DNS_TXT, "\"a\"\"b\"", false},
    {DNS_TXT, "\"a\\\"b\"", false},
    {DNS_TXT, "\"open", false},
    {DNS_TXT, "", false},
    {DNS_SOA, "ns admin 1 2 3 4 5", false},
};

static void tables(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (assert_read(rows[i].type, rows[i].text) != rows[i].taken)
            fail_msg("TYPE%u `%s` was%s read", rows[i].type, rows[i].text, rows[i].taken ? " not" : "");
    char text[600];
    for (unsigned len = 250; len < 260; len++) {
        snprintf(text, sizeof text, "\"%0*d\"", (int)len, 0);
        assert_int_equal(assert_read(DNS_TXT, text), len < 256);
    }
}

/* Rows with some of their characters changed. */
static void chance(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng);
    unsigned taken = 0;
    for (unsigned i = 0; i < 40000; i++) {
        const struct row *row = &rows[rng_below(&rng, sizeof rows / sizeof *rows)];
        char text[128];
        snprintf(text, sizeof text, "%s", row->text);
        size_t len = strlen(text);
        for (unsigned changes = rng_below(&rng, 3); len && changes > 0; changes--)
            text[rng_below(&rng, (uint32_t)len)] = "0192a-f.:_\"Z* "[rng_below(&rng, 14)];
        /* The scanner gives no text with blanks around it, or two in a row. */
        if (*text && (text[0] == ' ' || text[len - 1] == ' ' || strstr(text, "  ")))
            continue;
        taken += assert_read(row->type, text);
    }
    assert_true(taken > 5000);
}

static void printing(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng);
    unsigned taken = 0;
    for (unsigned i = 0; i < 40000; i++) {
        static const uint16_t types[] = {DNS_A, DNS_AAAA, DNS_NS, DNS_MX, DNS_SRV, DNS_TXT, DNS_SOA};
        uint16_t type = types[rng_below(&rng, 7)];
        size_t len = type == DNS_A ? 4 : type == DNS_AAAA ? 16 : rng_below(&rng, 24);
        uint8_t *rdata = xmalloc(len + 1);
        for (size_t k = 0; k < len; k++)
            rdata[k] = rng_below(&rng, 4) ? (uint8_t)("abz09-_ \"\\.\t"[rng_below(&rng, 12)])
                                          : (uint8_t)rng_below(&rng, 12);
        taken += assert_printed(type, rdata, len);
        free(rdata);
    }
    assert_true(taken > 5000);
    static const uint8_t name[] = "\3www\7example", mx[] = "\0\12\4mail", text[] = "\2a \0\3b\"c",
                         space[] = "\3a b";
    assert_true(assert_printed(DNS_NS, name, sizeof name));
    assert_true(assert_printed(DNS_MX, mx, sizeof mx));
    assert_true(assert_printed(DNS_TXT, text, 4));
    assert_false(assert_printed(DNS_TXT, text, 8)); /* a quote */
    assert_false(assert_printed(DNS_NS, space, sizeof space));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tables), cmocka_unit_test(chance),
                                       cmocka_unit_test(printing)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
