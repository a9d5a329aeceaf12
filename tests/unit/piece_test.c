/* Pieces: what is folded and refused, windows and their shares, extras, equality. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "lictor/dns.h"
#include "lictor/name.h"
#include "lictor/piece.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct rng rng = {{1, 2}};

/* n addresses 10.x.y.z of these weights (NULL: 1 each). */
static struct piece *addresses(uint32_t count, uint16_t answers, const uint16_t *weights)
{
    struct rdata *rdata = calloc(count, sizeof *rdata);
    uint8_t(*data)[4] = calloc(count, 4);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(data[i], (uint8_t[]){10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}, 4);
        rdata[i] = (struct rdata){data[i], 4, weights ? weights[i] : 1};
    }
    struct err err;
    struct piece *piece = piece_new(
        &(struct piece_spec){.type = DNS_A, .ttl = 5, .rdata = rdata, .count = count, .answers = answers},
        &err);
    if (!piece)
        fail_msg("%s", err.text);
    free(rdata);
    free(data);
    return piece;
}

static uint32_t number_at(const uint8_t *record)
{
    return (uint32_t)record[13] << 16 | (uint32_t)record[14] << 8 | record[15];
}

/* Takes windows and counts how often each record is in one, and first in one. */
static void take(const struct piece *piece, unsigned windows, size_t room, uint32_t expect, unsigned *hits,
                 unsigned *firsts)
{
    static uint8_t out[65536];
    for (unsigned w = 0; w < windows; w++) {
        struct piece_window window;
        memset(out, 0xee, room + 1);
        piece_copy(piece, &rng, 0, out, room, &window);
        assert_int_equal(window.count, expect);
        assert_int_equal(window.len, expect * 16);
        assert_int_equal(out[window.len], 0xee);
        static uint8_t seen[8192];
        memset(seen, 0, sizeof seen);
        for (uint32_t i = 0; i < expect; i++) {
            assert_memory_equal(out + 16 * i, "\300\14\0\1\0\1\0\0\0\5\0\4\12", 13);
            uint32_t number = number_at(out + 16 * i);
            assert_false(seen[number]); /* none twice */
            seen[number] = 1;
            hits[number]++;
        }
        firsts[number_at(out)]++;
    }
}

static void equal_windows(void **state)
{
    (void)state;
    static const struct {
        uint32_t count;
        uint16_t answers;
        size_t room;
        uint32_t expect, want;
    } rows[] = {
        {1, 0, 100, 1, 1},     {3, 40, 1000, 3, 3},    {10, 3, 1000, 3, 3},     {10, 9, 1000, 9, 9},
        {10, 0, 1000, 10, 10}, {10, 0, 100, 6, 10},    {10, 0, 159, 9, 10},     {10, 0, 160, 10, 10},
        {10, 0, 15, 0, 10},    {10, 10, 1000, 10, 10}, {500, 40, 1000, 40, 40}, {500, 40, 639, 39, 40},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        struct piece *piece = addresses(rows[r].count, rows[r].answers, NULL);
        unsigned hits[512] = {0}, firsts[512] = {0}, windows = 20000;
        uint8_t out[8192];
        struct piece_window window;
        piece_copy(piece, &rng, 0, out, rows[r].room, &window);
        assert_int_equal(window.want, rows[r].want);
        if (rows[r].expect) {
            take(piece, windows, rows[r].room, rows[r].expect, hits, firsts);
            /* Each record has the same share; 5 standard deviations. */
            double share = (double)rows[r].expect / rows[r].count, first = 1.0 / rows[r].count;
            for (uint32_t i = 0; i < rows[r].count; i++) {
                double spread = 5 * sqrt(windows * share * (1 - share)) + 1e-9;
                if (fabs(hits[i] - windows * share) > spread)
                    fail_msg("row %zu: record %u %u times instead of %.0f", r, i, hits[i], windows * share);
                spread = 5 * sqrt(windows * first * (1 - first)) + 1e-9;
                assert_true(fabs(firsts[i] - windows * first) <= spread);
            }
        }
        piece_unref(piece);
    }
}

/* The chance that sampling without replacement, by weight, draws record `which` among the first k: by
 * recursion. */
static double chance(const uint16_t *weights, uint32_t count, unsigned used, uint32_t which, unsigned k)
{
    double total = 0, sum = 0;
    if (!k)
        return 0;
    for (uint32_t i = 0; i < count; i++)
        total += used >> i & 1 ? 0 : weights[i];
    if (total == 0)
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        if (used >> i & 1 || !weights[i])
            continue;
        double p = weights[i] / total;
        sum += i == which ? p : p * chance(weights, count, used | 1u << i, which, k - 1);
    }
    return sum;
}

static void weighted_windows(void **state)
{
    (void)state;
    static const uint16_t weights[] = {1, 2, 4, 8, 16, 1};
    enum { COUNT = 6, TAKE = 3, DRAWS = 3000, EACH = 16 };
    unsigned hits[COUNT] = {0}, firsts[COUNT] = {0};
    struct piece *piece = addresses(COUNT, TAKE, weights);
    assert_false(piece_wants_redraw(piece)); /* not asked yet */
    for (unsigned d = 0; d < DRAWS; d++) {
        take(piece, EACH, 1000, TAKE, hits, firsts);
        assert_true(piece_wants_redraw(piece));
        assert_false(piece_wants_redraw(piece));
        struct piece *next = piece_redraw(piece, &rng);
        assert_true(piece_equal(piece, next));
        piece_unref(piece);
        piece = next;
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        double first = weights[i] / 32.0, among = chance(weights, COUNT, 0, i, TAKE), all = DRAWS * EACH;
        /* Windows of one draw share its 16 orders: fewer than `all` independent samples; 3 % absolute is > 5
         * sigma. */
        if (fabs(firsts[i] / all - first) > 0.03 || fabs(hits[i] / all - among) > 0.03)
            fail_msg("record %u: first %.3f (%.3f), among %.3f (%.3f)", i, firsts[i] / all, first,
                     hits[i] / all, among);
    }
    piece_unref(piece);
}

static void weight_zero(void **state)
{
    (void)state;
    static const uint16_t weights[] = {0, 5, 0, 7, 0};
    unsigned hits[5] = {0}, firsts[5] = {0};
    struct piece *piece = addresses(5, 2, weights);
    take(piece, 1000, 1000, 2, hits, firsts);
    assert_true(hits[1] == 1000 && hits[3] == 1000); /* the others are never needed */
    piece_unref(piece);
    piece = addresses(5, 3, weights); /* one of them is, and only last */
    memset(hits, 0, sizeof hits);
    memset(firsts, 0, sizeof firsts);
    take(piece, 1000, 1000, 3, hits, firsts);
    assert_true(hits[1] == 1000 && hits[3] == 1000);
    assert_int_equal(hits[0] + hits[2] + hits[4], 1000);
    assert_int_equal(firsts[0] + firsts[2] + firsts[4], 0);
    piece_unref(piece);
    static const uint16_t zeros[] = {0, 0, 0, 0}; /* all alike: as if equal */
    memset(hits, 0, sizeof hits);
    piece = addresses(4, 1, zeros);
    take(piece, 4000, 1000, 1, hits, firsts);
    assert_false(piece_wants_redraw(piece));
    for (unsigned i = 0; i < 4; i++)
        assert_in_range(hits[i], 800, 1200);
    piece_unref(piece);
}

/* More records than any message holds, weighted: orders are cut, nothing else. */
static void huge(void **state)
{
    (void)state;
    enum { COUNT = 6000 };
    static uint16_t weights[COUNT];
    static uint8_t out[65536];
    for (unsigned i = 0; i < COUNT; i++)
        weights[i] = (uint16_t)(i % 3);
    struct piece *piece = addresses(COUNT, 0, weights);
    struct piece_window window;
    piece_copy(piece, &rng, 0, out, 65000, &window);
    assert_int_equal(window.want, COUNT);
    assert_int_equal(window.count, 65000 / 16);
    piece_unref(piece);
}

static void keep_order_and_most(void **state)
{
    (void)state;
    static const uint8_t data[] = "\12\0\0\0\12\0\0\1\12\0\0\2";
    struct rdata rdata[] = {{data, 4, 9}, {data + 4, 4, 0}, {data + 8, 4, 1}};
    struct piece_spec spec = {.type = DNS_A, .rdata = rdata, .count = 3, .answers = 2, .keep_order = true};
    struct piece *piece = piece_new(&spec, NULL);
    struct piece_window window;
    uint8_t out[100];
    for (unsigned i = 0; i < 20; i++) {
        piece_copy(piece, &rng, 0, out, sizeof out, &window);
        assert_int_equal(window.count, 2);
        assert_int_equal(number_at(out), 0);
        assert_int_equal(number_at(out + 16), 1);
        piece_copy(piece, &rng, 1, out, sizeof out, &window);
        assert_true(window.want == 1 && window.count == 1);
    }
    piece_unref(piece);
}

static void folding_and_equality(void **state)
{
    (void)state;
    static const uint8_t data[] = "\12\0\0\0\12\0\0\1\12\0\0\0";
    struct rdata rdata[] = {{data, 4, 1}, {data + 4, 4, 1}, {data + 8, 4, 1}};
    struct piece_spec spec = {.type = DNS_A, .ttl = 5, .rdata = rdata, .count = 3};
    struct piece *a = piece_new(&spec, NULL), *same = addresses(2, 0, NULL);
    assert_int_equal(piece_count(a), 2);
    assert_true(piece_equal(a, same) && piece_equal(same, a));
    static const uint16_t uneven[] = {1, 2};
    struct piece *others[] = {addresses(3, 0, NULL), addresses(1, 0, NULL), addresses(2, 1, NULL),
                              addresses(2, 0, uneven)};
    for (size_t i = 0; i < 4; i++) {
        assert_false(piece_equal(a, others[i]));
        piece_unref(others[i]);
    }
    spec.ttl = 6;
    struct piece *ttl = piece_new(&spec, NULL);
    assert_false(piece_equal(a, ttl));
    piece_unref(ttl);
    piece_unref(a);
    piece_unref(same);
}

/* Records of unequal lengths: a table of offsets. */
static void uneven_lengths(void **state)
{
    (void)state;
    static const char *const texts[] = {"\1a", "\2bb", "\3ccc", "\12dddddddddd", "\5eeeee"};
    struct rdata rdata[5];
    size_t total = 0;
    for (size_t i = 0; i < 5; i++) {
        rdata[i] = (struct rdata){(const uint8_t *)texts[i], (uint16_t)strlen(texts[i]), 0};
        total += 12 + rdata[i].len;
    }
    struct piece *piece = piece_new(&(struct piece_spec){.type = DNS_TXT, .rdata = rdata, .count = 5}, NULL);
    uint8_t out[200];
    for (size_t room = 0; room <= total + 1; room++)
        for (unsigned turn = 0; turn < 20; turn++) {
            struct piece_window window;
            piece_copy(piece, &rng, 0, out, room, &window);
            assert_true(window.len <= room);
            assert_int_equal(window.want, 5);
            assert_int_equal(window.count == 5, room >= total);
            size_t at = 0;
            for (uint32_t i = 0; i < window.count; i++)
                at += 12 + (size_t)out[at + 11];
            assert_int_equal(at, window.len);
        }
    for (uint32_t i = 0; i < 5; i++) {
        struct rdata got = piece_rdata(piece, i);
        assert_int_equal(got.len, 1 + got.data[0]);
    }
    piece_unref(piece);
}

static void faults(void **state)
{
    (void)state;
#define ROW(type, bytes) \
    { \
        type, bytes, sizeof bytes - 1 \
    }
    static const struct {
        uint16_t type;
        const char *data;
        size_t len;
    } bad[] =
        {
            ROW(DNS_A, "\1\2\3"),
            ROW(DNS_A, "\1\2\3\4\5"),
            ROW(DNS_AAAA, "\1\2\3\4"),
            ROW(DNS_NS, ""),
            ROW(DNS_NS, "\1a"),
            ROW(DNS_NS, "\1a\0x"),
            ROW(DNS_CNAME, "\300\14"),
            ROW(DNS_MX, "\0"),
            ROW(DNS_MX, "\0\1"),
            ROW(DNS_TXT, ""),
            ROW(DNS_TXT, "\5abc"),
            ROW(DNS_SRV, "\0\0\0\0\0\0"),
            ROW(DNS_SOA, "\0\0"),
            ROW(DNS_SOA, "\0\0\0\0\0\0"),
            ROW(DNS_DS, "\0\1\2\3"),
            ROW(DNS_HINFO, "\1a"),
            ROW(DNS_NAPTR, "\0\0\0\0\0\0\0"),
        },
      good[] = {
          ROW(DNS_NS, "\0"),
          ROW(DNS_MX, "\0\1\0"),
          ROW(DNS_TXT, "\0"),
          ROW(DNS_TXT, "\1a\0\1b"),
          ROW(65280, ""),
          ROW(10, "anything"),
          ROW(DNS_SRV, "\0\0\0\0\0\0\0"),
          ROW(DNS_CAA, "\0\5issueca"),
          ROW(DNS_SOA, "\1a\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1"),
      };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rdata rdata = {(const uint8_t *)bad[i].data, (uint16_t)bad[i].len, 0};
        struct err err = {""};
        if (piece_new(&(struct piece_spec){.type = bad[i].type, .rdata = &rdata, .count = 1}, &err))
            fail_msg("bad row %zu was taken", i);
        assert_true(err.text[0]);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct rdata rdata = {(const uint8_t *)good[i].data, (uint16_t)good[i].len, 0};
        struct err err = {""};
        struct piece *piece =
            piece_new(&(struct piece_spec){.type = good[i].type, .rdata = &rdata, .count = 1}, &err);
        if (!piece)
            fail_msg("good row %zu: %s", i, err.text);
        piece_unref(piece);
    }
    static uint8_t large[65535];
    struct rdata rdata = {large, 65001, 0};
    struct err err;
    assert_null(piece_new(&(struct piece_spec){.type = 65280, .rdata = &rdata, .count = 1}, &err));
    assert_null(piece_new(&(struct piece_spec){.type = 65280, .rdata = &rdata, .count = 0}, &err));
    rdata.len = 4;
    struct piece_extra extra = {.record = 0, .type = DNS_A, .rdata = rdata};
    struct piece_spec spec = {.type = DNS_A, .rdata = &rdata, .count = 1, .extra = &extra, .extra_count = 1};
    assert_null(piece_new(&spec, &err)); /* an A has no target */
    struct rdata ns = {(const uint8_t *)"\1a", 3, 0};
    spec.type = DNS_NS;
    spec.rdata = &ns;
    extra.record = 1;
    assert_null(piece_new(&spec, &err)); /* no such record */
    extra = (struct piece_extra){.record = 0, .type = DNS_TXT, .rdata = rdata};
    assert_null(piece_new(&spec, &err));
    extra = (struct piece_extra){.record = 0, .type = DNS_AAAA, .rdata = rdata};
    assert_null(piece_new(&spec, &err));
}

/* Three SRV records, two of one target; the extras point at their targets, whole or not at all. */
static void extras(void **state)
{
    (void)state;
    struct rdata rdata[] = {
        {(const uint8_t *)"\0\1\0\1\0\120\1a\1x", 11, 0},
        {(const uint8_t *)"\0\1\0\1\0\121\1a\1x", 11, 0},
        {(const uint8_t *)"\0\1\0\1\0\122\2bb\1x", 12, 0},
    };
    struct rdata a1 = {(const uint8_t *)"\12\0\0\1", 4, 0}, a2 = {(const uint8_t *)"\12\0\0\2", 4, 0};
    struct rdata six = {(const uint8_t *)"0123456789abcdef", 16, 0};
    struct piece_extra list[] = {
        {0, DNS_A, 5, a1},     {0, DNS_AAAA, 5, six}, {1, DNS_A, 5, a1},
        {1, DNS_AAAA, 5, six}, {2, DNS_A, 7, a2},     {2, DNS_A, 7, a2},
    };
    struct piece_spec spec = {
        .type = DNS_SRV, .ttl = 5, .rdata = rdata, .count = 3, .extra = list, .extra_count = 6};
    struct piece *piece = piece_new(&spec, NULL), *again = piece_new(&spec, NULL);
    assert_true(piece_has_extra(piece));
    assert_true(piece_equal(piece, again));
    spec.extra_count = 4;
    struct piece *fewer = piece_new(&spec, NULL);
    assert_false(piece_equal(piece, fewer));
    uint8_t msg[1000];
    for (unsigned turn = 0; turn < 50; turn++)
        for (size_t room = 0; room < 130; room++) { /* enough for a repetition, if there were one */
            struct piece_window window;
            piece_copy(piece, &rng, 0, msg + 100, 500, &window);
            assert_int_equal(window.count, 3);
            unsigned records = 0;
            size_t pos = 100 + window.len,
                   end = piece_copy_extra(piece, &window, msg, 100, pos, pos + room, &records);
            size_t both = 16 + 28, one = 16;
            size_t want =
                (room >= both ? both : 0) + (room >= both + one || (room < both && room >= one) ? one : 0);
            if (room >= both && room < both + one && end - pos == one)
                want = one; /* bb came first, and then there was no room for a */
            assert_int_equal(end - pos, want);
            assert_int_equal(records, (want >= both ? 2 : 0) + (want % both == one));
            for (size_t at = pos; at < end; at += 12 + (size_t)msg[at + 11]) {
                size_t target = (size_t)(msg[at] & 0x3f) << 8 | msg[at + 1];
                bool bb = msg[at + 9] == 7;
                assert_memory_equal(msg + target, bb ? "\2bb\1x" : "\1a\1x", bb ? 6 : 5);
            }
        }
    piece_unref(piece);
    piece_unref(again);
    piece_unref(fewer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_windows),
        cmocka_unit_test(weighted_windows),
        cmocka_unit_test(weight_zero),
        cmocka_unit_test(huge),
        cmocka_unit_test(keep_order_and_most),
        cmocka_unit_test(folding_and_equality),
        cmocka_unit_test(uneven_lengths),
        cmocka_unit_test(faults),
        cmocka_unit_test(extras),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
