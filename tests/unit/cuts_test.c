/* Transfer versions: what answers show and what secondaries get, under changes, cuts and takeovers; and the
 * blocks of serials they are made with. */
#include "lictor/cuts.h"
#include "lictor/history.h"
#include "lictor/wire.h"
#include "xfr/block.h"
#include "zone_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* --- blocks ------------------------------------------------------------------------------------------- */

#define NOW (1800000000 * NS_PER_S)

static void blocks_only_rise(void **unused)
{
    static const struct block none;
    (void)unused;
    struct block first = block_next(&none, &none, NOW);
    assert_int_equal(first.start, 1800000000);
    assert_int_equal(first.end, 1800000000 + BLOCK_SIZE - 1);
    /* A takeover in the same second. */
    struct block second = block_next(&first, &none, NOW);
    assert_int_equal(second.start, first.end + 1);
    /* Consul was restored from an old snapshot, but this instance remembers. */
    struct block third = block_next(&first, &second, NOW);
    assert_int_equal(third.start, second.end + 1);
    /* The clock was set back by a year. */
    assert_int_equal(block_next(&third, &none, NOW - 365 * 86400 * NS_PER_S).start, third.end + 1);
    /* The same reign: its beginning stays what others show. */
    struct block longer = block_longer(&third);
    assert_int_equal(longer.start, third.start);
    assert_int_equal(longer.end, third.end + BLOCK_SIZE);
}

static void serials_wrap(void **unused)
{
    (void)unused;
    assert_true(serial_is_later(5, UINT32_MAX - 5));
    assert_false(serial_is_later(UINT32_MAX - 5, 5));
    assert_false(serial_is_later(7, 7));
    assert_int_equal(serial_latest(5, UINT32_MAX), 5);
    struct block last = {UINT32_MAX - 10, UINT32_MAX - 1, true}, none = {0};
    /* 2106: the time is about to wrap too. */
    assert_int_equal(block_next(&last, &none, -100 * NS_PER_S).start, UINT32_MAX);
    last.end = UINT32_MAX;
    assert_int_equal(block_next(&last, &none, -100 * NS_PER_S).start, 1); /* not 0 */
}

static void blocks_as_text(void **unused)
{
    static const char *const wrong[] = {"",
                                        "{",
                                        "[]",
                                        "{\"start\":1}",
                                        "{\"start\":-1,\"end\":5}",
                                        "{\"start\":9,\"end\":5}",
                                        "{\"start\":1,\"end\":4294967296}",
                                        "{\"start\":\"1\",\"end\":2}",
                                        "null",
                                        "{\"start\":1.5,\"end\":2}"};
    struct buf text = {0};
    struct block block = {4294967290, 5, true}, back;
    struct err err;
    (void)unused;
    block_encode(&block, &text);
    assert_int_equal(block_decode(text.data, text.len, &back, &err), 0);
    assert_int_equal(back.start, block.start);
    assert_int_equal(back.end, block.end);
    assert_true(back.known);
    buf_free(&text);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(block_decode(wrong[i], strlen(wrong[i]), &back, &err), -1);
}

/* --- cuts ----------------------------------------------------------------------------------------------- */

static struct zone_state state = {.stale_from = NS_NEVER, .dead_from = NS_NEVER};

/* What is served: the last zone published. */
struct world {
    struct cuts *cuts;
    struct zone *raw, *served;
    uint32_t raw_serial;
    unsigned published;
};

static void publish(void *arg, struct zone *zone)
{
    struct world *w = arg;
    if (w->served)
        zone_unref(w->served);
    w->served = zone;
    w->published++;
}

/* The catalog's next state: its own serial goes up by one. line NULL: only the order of answers changed. */
static void change(struct world *w, const char *name, uint8_t last)
{
    uint8_t owner[NAME_MAX_WIRE], soa[] = "\2ns\1c\0\1h\1c\0"
                                          "\0\0\0\0\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5";
    struct zone_edit *edit = zone_edit_begin(w->raw);
    uint8_t address[4] = {10, 0, 0, last};
    if (name) {
        w->raw_serial++;
        put32(soa + 11, w->raw_serial);
        struct rdata rdata[] = {{address, 4, 0}, {soa, sizeof soa - 1, 0}};
        struct piece *a =
            piece_new(&(struct piece_spec){.type = DNS_A, .rdata = &rdata[0], .count = 1}, NULL);
        struct piece *s =
            piece_new(&(struct piece_spec){.type = DNS_SOA, .rdata = &rdata[1], .count = 1}, NULL);
        name_of(name, owner);
        if (last)
            zone_edit_put(edit, owner, a, NULL);
        else
            zone_edit_remove(edit, owner, DNS_A);
        name_of("c.", owner);
        zone_edit_put(edit, owner, s, NULL);
        piece_unref(a);
        piece_unref(s);
    }
    zone_unref(w->raw);
    w->raw = zone_edit_commit(edit);
    publish(w, cuts_dress(w->cuts, zone_ref(w->raw)));
}

static struct world begin(void)
{
    struct world w = {.cuts = cuts_new(), .raw_serial = 500};
    w.raw = zone_text("c.", ZONE_CATALOG, &state,
                      "c. SOA ns.c. h.c. 500 2 3 4 5\nc. NS ns.c.\nns.c. A 192.0.2.1\n");
    publish(&w, cuts_dress(w.cuts, zone_ref(w.raw)));
    return w;
}

static void end(struct world *w)
{
    zone_unref(w->served);
    zone_unref(w->raw);
    cuts_free(w->cuts);
    zone_reap();
}

static uint32_t version(const struct world *w)
{
    const struct zone *zone = zone_transfer(w->served);
    return zone ? zone_serial(zone) : 0;
}

static bool has(const struct zone *zone, const char *name)
{
    uint8_t owner[NAME_MAX_WIRE];
    name_of(name, owner);
    return zone_get(zone, owner, DNS_A) != NULL;
}

static void answers_at_once_and_versions_by_cuts(void **unused)
{
    struct world w = begin();
    (void)unused;
    assert_null(zone_transfer(w.served));
    assert_true(cuts_pending(w.cuts));
    cuts_floor(w.cuts, 1000, publish, &w);
    assert_int_equal(zone_serial(w.served), 1000);
    assert_int_equal(cuts_cut(w.cuts, 1000, publish, &w), 1);
    assert_int_equal(version(&w), 1000);
    assert_false(cuts_pending(w.cuts));

    change(&w, "a.c.", 1);
    change(&w, "b.c.", 1);
    assert_true(has(w.served, "a.c.") && has(w.served, "b.c."));
    assert_int_equal(zone_serial(w.served), 1000); /* the SOA is the version's */
    assert_false(has(zone_transfer(w.served), "a.c."));
    assert_true(cuts_pending(w.cuts));
    assert_int_equal(cuts_cut(w.cuts, 1001, publish, &w), 1);
    assert_int_equal(zone_serial(w.served), 1001);
    assert_int_equal(version(&w), 1001);
    assert_true(has(zone_transfer(w.served), "a.c.") && has(zone_transfer(w.served), "b.c."));

    const struct history *history = zone_history(zone_transfer(w.served));
    assert_int_equal(history_count(history), 1);
    assert_int_equal(history_find(history, 1000), 0);
    assert_int_equal(difference_count(history_difference(history, 0), DIFFERENCE_ADDED), 3);
    end(&w);
}

static void nothing_to_cut(void **unused)
{
    struct world w = begin();
    (void)unused;
    cuts_floor(w.cuts, 1000, publish, &w);
    cuts_cut(w.cuts, 1000, publish, &w);
    change(&w, NULL, 0); /* another order of answers */
    assert_false(cuts_pending(w.cuts));
    change(&w, "a.c.", 1); /* it came and went */
    change(&w, "a.c.", 0);
    assert_true(cuts_pending(w.cuts));
    assert_int_equal(cuts_cut(w.cuts, 1001, publish, &w), 0);
    assert_int_equal(version(&w), 1000);
    assert_int_equal(zone_serial(w.served), 1000);
    assert_false(cuts_pending(w.cuts));
    end(&w);
}

/* Demoted: the other's beginning shows. Promoted again: a version above it, although nothing changed. */
static void through_reigns(void **unused)
{
    struct world w = begin();
    (void)unused;
    cuts_floor(w.cuts, 1000, publish, &w);
    cuts_cut(w.cuts, 1000, publish, &w);
    cuts_floor(w.cuts, 5000, publish, &w);
    assert_int_equal(zone_serial(w.served), 5000);
    assert_int_equal(version(&w), 1000);
    cuts_floor(w.cuts, 4000, publish, &w); /* late news of an earlier reign */
    assert_int_equal(zone_serial(w.served), 5000);
    cuts_floor(w.cuts, 9000, publish, &w);
    assert_true(cuts_pending(w.cuts));
    assert_int_equal(cuts_cut(w.cuts, 9000, publish, &w), 1);
    assert_int_equal(version(&w), 9000);
    assert_int_equal(zone_serial(w.served), 9000);
    end(&w);
}

/* A zone that comes later shows no less than the others. */
static void a_place_holder_and_a_late_zone(void **unused)
{
    struct world w = begin();
    uint8_t apex[NAME_MAX_WIRE];
    (void)unused;
    name_of("d.", apex);
    struct zone *empty = zone_edit_commit(zone_edit_new(apex, ZONE_CATALOG, &state, NULL, NULL));
    assert_ptr_equal(cuts_dress(w.cuts, empty), empty);
    zone_unref(empty);
    cuts_floor(w.cuts, 1000, publish, &w);
    struct zone *late = cuts_dress(
        w.cuts, zone_text("d.", ZONE_CATALOG, &state, "d. SOA ns.d. h.d. 7 2 3 4 5\nd. NS ns.d.\n"));
    assert_int_equal(zone_serial(late), 1000);
    zone_unref(late);
    end(&w);
}

/* --- computed targets -------------------------------------------------------------------------------------
 */

/* `xNN.c.` has the address 10.0.0.NN. */
static int computed(const void *arg, const uint8_t *name, struct zone_computed *out)
{
    (void)arg;
    if (name[0] != 3 || name[1] != 'x')
        return 0;
    *out = (struct zone_computed){.type = DNS_A, .ttl = 7, .len = 4, .data = {10, 0, 0, 0}};
    out->data[3] = (uint8_t)((name[2] - '0') * 10 + name[3] - '0');
    return 1;
}

/* The state of the catalog: these SRV targets at two names each. */
static void point_at(struct world *w, const char *targets)
{
    uint8_t apex[NAME_MAX_WIRE];
    char line[128];
    name_of("c.", apex);
    w->raw_serial++;
    struct zone_edit *edit = zone_edit_new(apex, ZONE_CATALOG, &state, computed, NULL);
    snprintf(line, sizeof line, "c. SOA ns.c. h.c. %u 2 3 4 5\nc. NS ns.c.\nns.c. A 192.0.2.1\n",
             w->raw_serial);
    zone_text_add_lines(edit, line);
    for (const char *at = targets; *at; at++)
        for (int i = 0; i < 2; i++) {
            snprintf(line, sizeof line,
                     *at == 'n' ? "s%d.c. SRV 1 1 80 ns.c.\n" : "s%d.c. SRV 1 1 80 x0%c.c.\n", i, *at);
            zone_text_add_lines(edit, line);
        }
    if (w->raw)
        zone_unref(w->raw);
    w->raw = zone_edit_commit(edit);
    publish(w, cuts_dress(w->cuts, zone_ref(w->raw)));
}

/* Which of the computed names the version holds. */
static const char *held(const struct world *w, char out[16])
{
    size_t len = 0;
    for (char c = '1'; c <= '9'; c++) {
        char name[8];
        snprintf(name, sizeof name, "x0%c.c.", c);
        if (has(zone_transfer(w->served), name))
            out[len++] = c;
    }
    out[len] = 0;
    return out;
}

static void targets_that_only_lictord_can_compute(void **unused)
{
    static const char *const rows[] = {"12", "123", "23", "n", "n4", "", "1234567", "19"};
    struct world w = {.cuts = cuts_new(), .raw_serial = 500};
    char text[16];
    (void)unused;
    point_at(&w, "1");
    cuts_floor(w.cuts, 1000, publish, &w);
    cuts_cut(w.cuts, 1000, publish, &w);
    assert_string_equal(held(&w, text), "1");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        point_at(&w, rows[i]);
        cuts_cut(w.cuts, 1001 + (uint32_t)i, publish, &w);
        assert_string_equal(held(&w, text), rows[i] + (*rows[i] == 'n'));
        assert_false(has(w.served, "x01.c.")); /* answers go on computing them */
    }
    /* The differences carry them too: those of "1" to "12" are both SOAs, two SRV and an address. */
    const struct history *history = zone_history(zone_transfer(w.served));
    assert_int_equal(history_count(history), sizeof rows / sizeof *rows);
    assert_int_equal(difference_count(history_difference(history, 0), DIFFERENCE_ADDED), 4);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_only_rise),
        cmocka_unit_test(serials_wrap),
        cmocka_unit_test(blocks_as_text),
        cmocka_unit_test(answers_at_once_and_versions_by_cuts),
        cmocka_unit_test(nothing_to_cut),
        cmocka_unit_test(through_reigns),
        cmocka_unit_test(a_place_holder_and_a_late_zone),
        cmocka_unit_test(targets_that_only_lictord_can_compute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
