/* Signed zones: digests, neighbours in the index, and whose names are hashed. That replies prove what they
 * say is compared with NSD, Knot and a validator in tests/scenario/test_zone_differential.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "lictor/denial.h"
#include "lictor/sha1.h"
#include "lictor/wire.h"
#include "zone_text.h"

#include <cmocka.h>

static struct zone_state state = {.stale_from = NS_NEVER, .dead_from = NS_NEVER};

static void assert_digest(const char *text, const char *more, const char *hex)
{
    uint8_t digest[SHA1_LEN];
    char got[2 * SHA1_LEN + 1];
    sha1((const uint8_t *)text, strlen(text), (const uint8_t *)more, strlen(more), digest);
    for (unsigned i = 0; i < SHA1_LEN; i++)
        snprintf(got + 2 * (size_t)i, 3, "%02x", digest[i]);
    assert_string_equal(got, hex);
}

static void digests(void **unused)
{
    (void)unused;
    char long_text[201];
    memset(long_text, 'a', 200);
    long_text[200] = '\0';
    assert_digest("", "", "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    assert_digest("abc", "", "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_digest("a", "bc", "a9993e364706816aba3e25717850c26c9cd0d89d");
    /* Lengths around the end of a block: RFC 3174 section 7.3, and what coreutils say. */
    assert_digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "",
                  "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    assert_digest(long_text, "", "e61cfffe0d9195a525fc6cf06ca2d77119c24a40");
}

/* Any label of at most three characters out of few, so that neighbours are close. */
static size_t random_label(struct rng *rng, char *out)
{
    size_t len = 1 + rng_below(rng, 3);
    for (size_t i = 0; i < len; i++)
        out[i] = "ab-0_*z"[rng_below(rng, 7)];
    return len;
}

static void random_name(struct rng *rng, char *out, size_t size)
{
    char label[4];
    size_t at = 0;
    for (unsigned labels = rng_below(rng, 4); labels > 0; labels--)
        at += (size_t)snprintf(out + at, size - at, "%.*s.", (int)random_label(rng, label), label);
    snprintf(out + at, size - at, "test.");
}

/* The neighbour that the index finds is the one that a look at all names finds. */
static void neighbours(void **unused)
{
    (void)unused;
    struct rng rng;
    rng_seed(&rng);
    for (unsigned round = 0; round < 60; round++) {
        enum { OWNERS = 40 };
        uint8_t owners[OWNERS][NAME_MAX_WIRE], name[NAME_MAX_WIRE];
        char text[64], line[128];
        name_of("test.", name);
        struct zone_edit *edit = zone_edit_new(name, ZONE_AUTHORITATIVE, &state, NULL, NULL);
        for (unsigned i = 0; i < OWNERS; i++) {
            if (i)
                random_name(&rng, text, sizeof text);
            else
                snprintf(text, sizeof text, "test.");
            name_of(text, owners[i]);
            snprintf(line, sizeof line, "%s 60 NSEC test. NSEC", text);
            if (!zone_edit_get(edit, owners[i], DNS_NSEC))
                zone_text_add(edit, line);
        }
        struct zone *zone = zone_edit_commit(edit);
        for (unsigned i = 0; i < 200; i++) {
            const uint8_t *best = owners[0];
            random_name(&rng, text, sizeof text);
            name_of(text, name);
            for (unsigned k = 1; k < OWNERS; k++)
                if (name_compare(owners[k], name) <= 0 && name_compare(owners[k], best) > 0)
                    best = owners[k];
            const struct zone_owner *found = zone_nsec(zone, name, name_len(name));
            assert_non_null(found);
            if (!name_equal(zone_owner_name(found), best))
                fail_msg("another neighbour of %s", text);
        }
        zone_unref(zone);
        zone_reap();
    }
}

static struct zone *hashed_zone(const char *more)
{
    char lines[4096];
    snprintf(lines, sizeof lines,
             "example. 60 SOA ns.example. admin.example. 1 2 3 4 5\n"
             "example. 60 NS ns.example.\n"
             "example. 60 NSEC3PARAM 1 0 12 aabbccdd\n"
             "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. 60 NSEC3 1 1 12 aabbccdd "
             "35mthgpgcu1qg68fab165klnsnk3dpvl NS\n"
             "35mthgpgcu1qg68fab165klnsnk3dpvl.example. 60 NSEC3 1 1 12 aabbccdd "
             "b4um86eghhds6nea196smvmlo4ors995 NS\n"
             "b4um86eghhds6nea196smvmlo4ors995.example. 60 NSEC3 1 1 12 aabbccdd "
             "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom MX\n"
             "%s",
             more);
    return zone_text("example.", ZONE_AUTHORITATIVE, &state, lines);
}

static const char *hashed(const struct zone *zone, const char *text, bool *matches)
{
    static char owner[NAME_MAX_TEXT];
    uint8_t name[NAME_MAX_WIRE];
    name_of(text, name);
    const struct zone_owner *found = zone_nsec3(zone, name, name_len(name), matches);
    return found ? name_to_text(zone_owner_name(found), owner) : "none";
}

/* RFC 5155 appendix A and B.1: hashes with a salt and 12 iterations. */
static void hashes(void **unused)
{
    (void)unused;
    bool matches;
    struct zone *zone = hashed_zone("");
    assert_true(zone_has_nsec3(zone));
    assert_string_equal(hashed(zone, "example.", &matches), "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.");
    assert_true(matches);
    assert_string_equal(hashed(zone, "a.example.", &matches), "35mthgpgcu1qg68fab165klnsnk3dpvl.example.");
    assert_true(matches);
    assert_string_equal(hashed(zone, "x.w.example.", &matches), "b4um86eghhds6nea196smvmlo4ors995.example.");
    assert_true(matches);
    /* c.x.w.example. has 0va5bpr2ou0vk0lbqeeljri88laipsfh, *.x.w.example. 92pqneegtaue7pjatc3l3qnk738c6v5m */
    assert_string_equal(hashed(zone, "c.x.w.example.", &matches),
                        "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.");
    assert_false(matches);
    assert_string_equal(hashed(zone, "*.x.w.example.", &matches),
                        "35mthgpgcu1qg68fab165klnsnk3dpvl.example.");
    assert_false(matches);
    /* ns1.example. has 2t7b4g4vsa5smi47k61mv5bv1a22bojr; xx.example. t644ebqk9bibcna874givr6joj62mlhv, behind
     * the last of all */
    assert_string_equal(hashed(zone, "xx.example.", &matches), "b4um86eghhds6nea196smvmlo4ors995.example.");
    assert_false(matches);
    zone_unref(zone);
    zone_reap();
}

/* Of two chains the one that NSEC3PARAM names counts. */
static void another_chain(void **unused)
{
    (void)unused;
    bool matches;
    struct zone *zone = hashed_zone(
        "0r9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. 60 NSEC3 1 0 3 ff 90pqneegtaue7pjatc3l3qnk738c6v5m A\n"
        "90pqneegtaue7pjatc3l3qnk738c6v5m.example. 60 NSEC3 1 0 3 ff 0r9mhaveqvm6t7vbl5lop2u3t2rp3tom A\n");
    assert_string_equal(hashed(zone, "c.x.w.example.", &matches),
                        "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.");
    assert_string_equal(hashed(zone, "*.x.w.example.", &matches),
                        "35mthgpgcu1qg68fab165klnsnk3dpvl.example.");
    zone_unref(zone);
    zone_reap();
}

/* Hashed names do not exist, for questions (RFC 5155 section 7.2.8), nor do names below them; unless they own
 * something else. */
static void unreachable(void **unused)
{
    (void)unused;
    struct zone_found found;
    uint8_t name[NAME_MAX_WIRE];
    struct zone *zone = hashed_zone("b4um86eghhds6nea196smvmlo4ors995.example. 60 A 192.0.2.1\n");
    static const struct {
        const char *name;
        bool exists;
        unsigned encloser;
    } rows[] = {{"0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.", false, 1},
                {"x.0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.", false, 1},
                {"b4um86eghhds6nea196smvmlo4ors995.example.", true, 0},
                {"x.b4um86eghhds6nea196smvmlo4ors995.example.", false, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        name_of(rows[i].name, name);
        zone_search(zone, name, name_len(name), &found);
        assert_int_equal(found.exists, rows[i].exists);
        if (!found.exists)
            assert_int_equal(found.encloser_labels, rows[i].encloser);
    }
    zone_unref(zone);
    zone_reap();
}

/* The second index follows edits, and the version before keeps its own. */
static void edits(void **unused)
{
    (void)unused;
    bool matches;
    uint8_t name[NAME_MAX_WIRE];
    struct zone *before = hashed_zone("");
    struct zone_edit *edit = zone_edit_begin(before);
    name_of("35mthgpgcu1qg68fab165klnsnk3dpvl.example.", name);
    assert_true(zone_edit_remove(edit, name, DNS_NSEC3));
    struct zone *after = zone_edit_commit(edit);
    assert_string_equal(hashed(before, "a.example.", &matches), "35mthgpgcu1qg68fab165klnsnk3dpvl.example.");
    assert_string_equal(hashed(after, "a.example.", &matches), "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.");
    edit = zone_edit_begin(after);
    name_of("example.", name);
    assert_true(zone_edit_remove(edit, name, DNS_NSEC3PARAM));
    struct zone *last = zone_edit_commit(edit);
    assert_false(zone_has_nsec3(last));
    assert_string_equal(hashed(last, "a.example.", &matches), "none");
    zone_unref(before);
    zone_unref(after);
    zone_unref(last);
    zone_reap();
}

static void too_many_iterations(void **unused)
{
    (void)unused;
    struct err err;
    static const char *const lines[] = {"test. 60 NSEC3PARAM 1 0 150 -\n", "test. 60 NSEC3PARAM 1 0 151 -\n",
                                        "test. 60 NSEC3PARAM 1 1 65535 -\n"};
    for (unsigned i = 0; i < 3; i++) {
        char text[512];
        snprintf(text, sizeof text, "test. 60 SOA ns.test. admin.test. 1 2 3 4 5\ntest. 60 NS ns.test.\n%s",
                 lines[i]);
        struct zone *zone = zone_text("test.", ZONE_AUTHORITATIVE, &state, text);
        assert_int_equal(zone_check(zone, &err), i == 1 ? -1 : 0);
        if (i == 1)
            assert_non_null(strstr(err.text, "151 iterations"));
        zone_unref(zone);
        zone_reap();
    }
}

/* An RRSIG has the TTL of what it covers, not that of its fellows (RFC 4034 section 3). */
static void signature_ttls(void **unused)
{
    (void)unused;
    uint8_t name[NAME_MAX_WIRE];
    struct zone *zone = zone_text("test.", ZONE_AUTHORITATIVE, &state,
                                  "test. 99 RRSIG SOA 13 1 3600 20380101000000 20200101000000 1 test. AAAA\n"
                                  "test. 99 RRSIG NSEC 13 1 60 20380101000000 20200101000000 1 test. AAAA\n");
    name_of("test.", name);
    const struct piece *piece = zone_get(zone, name, DNS_RRSIG);
    assert_int_equal(piece_ttl(piece), 60);
    for (uint32_t i = 0; i < 2; i++) {
        struct rdata rdata = piece_rdata(piece, i);
        assert_int_equal(rdata_ttl(DNS_RRSIG, piece_ttl(piece), &rdata),
                         get16(rdata.data) == DNS_SOA ? 3600 : 60);
    }
    zone_unref(zone);
    zone_reap();
}

/* Seconds around 2026-01-01T00:00:00Z. */
static void expiry(void **unused)
{
    (void)unused;
    static const struct {
        const char *from, *to, *complaint;
    } rows[] = {{"20250101000000", "20270101000000", ""},
                {"20250101000000", "20251231000000",
                 "1 of 2 signatures have expired, the first, at a.test., on 2025-12-31T00:00:00Z"},
                {"20250101000000", "20260101120000", "signatures expire from 2026-01-01T12:00:00Z on"},
                {"20260201000000", "20270101000000", "1 of 2 signatures are not valid yet"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[512], complaint[256];
        snprintf(text, sizeof text,
                 "test. 60 RRSIG SOA 13 1 60 20300101000000 20200101000000 1 test. AAAA\n"
                 "a.test. 60 RRSIG A 13 2 60 %s %s 1 test. AAAA\n",
                 rows[i].to, rows[i].from);
        struct zone *zone = zone_text("test.", ZONE_AUTHORITATIVE, &state, text);
        zone_signing_complaint(zone, 1767225600, complaint);
        assert_int_equal(strncmp(complaint, rows[i].complaint, strlen(rows[i].complaint)), 0);
        assert_int_equal(!*complaint, !*rows[i].complaint);
        zone_unref(zone);
        zone_reap();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests),
        cmocka_unit_test(neighbours),
        cmocka_unit_test(hashes),
        cmocka_unit_test(another_chain),
        cmocka_unit_test(unreachable),
        cmocka_unit_test(edits),
        cmocka_unit_test(too_many_iterations),
        cmocka_unit_test(signature_ttls),
        cmocka_unit_test(expiry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
