/* Snapshots: which zone answers for a name, replacing zones, publishing under readers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "zone_text.h"

#include "lictor/rcu.h"
#include "lictor/snapshot.h"

#include <pthread.h>

#include <cmocka.h>

static const struct snapshot_text texts = {"ns1", NULL, NULL};

static struct zone *empty(const char *apex, const char *serial)
{
    char lines[512];
    snprintf(lines, sizeof lines, "%s 60 SOA ns. admin. %s 1 1 1 1\n", apex, serial);
    return zone_text(apex, ZONE_CATALOG, NULL, lines);
}

static const char *zone_for(const struct snapshot *snapshot, const char *qname)
{
    static char text[NAME_MAX_TEXT];
    uint8_t name[NAME_MAX_WIRE];
    name_of(qname, name);
    const struct zone *zone = snapshot_find(snapshot, name);
    return zone ? name_to_text(zone_apex(zone), text) : "none";
}

static void longest_suffix(void **state)
{
    (void)state;
    static const char *const apexes[] = {"example.com.", "sub.example.com.", "consul.", "10.in-addr.arpa.",
                                         "a.b.c.d.e.f.g.h.example.net."};
    static const struct {
        const char *qname, *apex;
    } rows[] = {
        {"example.com.", "example.com."},
        {"www.example.com.", "example.com."},
        {"sub.example.com.", "sub.example.com."},
        {"x.y.sub.example.com.", "sub.example.com."},
        {"xsub.example.com.", "example.com."},
        {"com.", "none"},
        {"example.org.", "none"},
        {"xexample.com.", "none"},
        {"1.2.3.10.in-addr.arpa.", "10.in-addr.arpa."},
        {"in-addr.arpa.", "none"},
        {"x.a.b.c.d.e.f.g.h.example.net.", "a.b.c.d.e.f.g.h.example.net."},
        {"b.c.d.e.f.g.h.example.net.", "none"},
        {".", "none"},
        {"consul.", "consul."},
    };
    struct zone *zones[5];
    for (size_t i = 0; i < 5; i++)
        zones[i] = empty(apexes[i], "1");
    struct snapshot *snapshot = snapshot_new(zones, 5, &texts);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(zone_for(snapshot, rows[i].qname), rows[i].apex);

    struct zone *root = empty(".", "1");
    struct snapshot *with_root = snapshot_with_zone(snapshot, root);
    assert_string_equal(zone_for(with_root, "example.org."), ".");
    assert_string_equal(zone_for(with_root, "."), ".");
    assert_string_equal(zone_for(with_root, "a.consul."), "consul.");
    struct snapshot *without = snapshot_without_zone(with_root, zone_apex(zones[1]));
    assert_int_equal(snapshot_zone_count(without), 5);
    assert_string_equal(zone_for(without, "x.sub.example.com."), "example.com.");

    /* Two of one apex: the later; the place stays. */
    struct zone *newer = empty("EXAMPLE.com.", "2");
    struct snapshot *replaced = snapshot_with_zone(snapshot, newer);
    assert_int_equal(snapshot_zone_count(replaced), 5);
    assert_int_equal(zone_serial(snapshot_get(replaced, zone_apex(newer))), 2);
    assert_int_equal(zone_serial(snapshot_get(snapshot, zone_apex(newer))), 1);
    assert_null(snapshot_get(replaced, (const uint8_t *)"\3com"));
    struct zone *twice[] = {zones[0], newer};
    struct snapshot *both = snapshot_new(twice, 2, &texts);
    assert_int_equal(snapshot_zone_count(both), 1);
    assert_int_equal(zone_serial(snapshot_zone(both, 0)), 2);

    struct snapshot *named = snapshot_with_text(both, &(struct snapshot_text){"ns9", "v", "p"});
    assert_string_equal(snapshot_text(named)->node, "ns9");
    assert_string_equal(snapshot_text(named)->primary, "p");
    assert_null(snapshot_text(both)->primary);

    struct snapshot *all[] = {snapshot, with_root, without, replaced, both, named};
    for (size_t i = 0; i < 6; i++)
        snapshot_free(all[i]);
    for (size_t i = 0; i < 5; i++)
        zone_unref(zones[i]);
    zone_unref(root);
    zone_unref(newer);
    zone_reap();
}

/* Many apexes: the table grows, collisions are followed. */
static void many(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    static struct zone *zones[COUNT];
    char text[64];
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(text, sizeof text, "z%u.example.", i);
        zones[i] = empty(text, "1");
    }
    struct snapshot *snapshot = snapshot_new(zones, COUNT, &texts);
    for (unsigned i = 0; i < COUNT; i++) {
        char apex[64];
        snprintf(apex, sizeof apex, "z%u.example.", i);
        snprintf(text, sizeof text, "x.z%u.example.", i);
        assert_string_equal(zone_for(snapshot, text), apex);
        zone_unref(zones[i]);
    }
    assert_string_equal(zone_for(snapshot, "z500.example."), "none");
    snapshot_free(snapshot);
}

/* --- readers while the builder publishes ------------------------------------------------------------ */

static struct snapshot_slot slot;
static _Atomic bool stop;

static void *reader(void *arg)
{
    struct gate gate = {.act_until = NS_NEVER};
    struct rng rng = {{7, (uint64_t)(uintptr_t)arg}};
    struct rcu_reader *rcu = rcu_register();
    uint8_t query[600], out[1232];
    size_t len = query_make(query, "web.consul.", DNS_A, DNS_IN, 1232, false), held = 0;
    struct zone *kept = NULL; /* a transfer holds a version across quiescent states */
    uint32_t serial = 0;
    rcu_online(rcu);
    while (!atomic_load(&stop)) {
        struct answer_env env = {.snapshot = atomic_load_explicit(&slot.current, memory_order_acquire),
                                 .gate = &gate,
                                 .rng = &rng,
                                 .udp_max = 1232};
        struct answer_result result = answer(&env, query, len, out, sizeof out);
        if (result.rcode || !result.zone)
            abort();
        if (!kept) {
            kept = zone_ref((struct zone *)(uintptr_t)result.zone);
            serial = zone_serial(kept);
        } else if (++held % 16 == 0) {
            if (zone_serial(kept) != serial || !zone_get(kept, (const uint8_t *)"\3web\6consul", DNS_A))
                abort();
            zone_unref(kept);
            kept = NULL;
        }
        rcu_quiescent(rcu);
    }
    if (kept)
        zone_unref(kept);
    rcu_offline(rcu);
    rcu_unregister(rcu);
    return NULL;
}

static void publishing(void **state)
{
    (void)state;
    pthread_t threads[2];
    struct zone *zone = empty("consul.", "1");
    uint8_t apex[NAME_MAX_WIRE], web[NAME_MAX_WIRE];
    name_of("consul.", apex);
    name_of("web.consul.", web);
    for (uint32_t i = 0; i < 1500; i++) {
        struct zone_edit *edit = zone_edit_begin(zone);
        uint8_t data[3][4] = {{10, 0, (uint8_t)(i >> 8), (uint8_t)i}, {10, 1, 0, 0}, {10, 2, 0, 0}};
        struct rdata rdata[3];
        for (unsigned r = 0; r < 3; r++)
            rdata[r] = (struct rdata){data[r], 4, (uint16_t)(r + i % 2 * 3)};
        struct piece *piece = piece_new(
            &(struct piece_spec){.type = DNS_A, .ttl = 1, .rdata = rdata, .count = 3, .answers = 2}, NULL);
        if (piece_wants_redraw(piece))
            abort();
        assert_int_equal(zone_edit_put(edit, web, piece, NULL), 0);
        piece_unref(piece);
        struct zone *next = zone_edit_commit(edit);
        zone_unref(zone);
        zone = next;
        struct snapshot *old = atomic_load(&slot.current);
        snapshot_publish(&slot, old ? snapshot_with_zone(old, zone) : snapshot_new(&zone, 1, &texts));
        rcu_poll();
        if (!i)
            for (size_t t = 0; t < 2; t++)
                assert_int_equal(pthread_create(&threads[t], NULL, reader, (void *)(t + 1)), 0);
        /* The builder redraws what was asked while workers set the mark. */
        struct piece *asked = (struct piece *)(uintptr_t)zone_get(zone, web, DNS_A);
        if (piece_wants_redraw(asked)) {
            struct rng rng = {{i, 1}};
            struct piece *redrawn = piece_redraw(asked, &rng);
            piece_unref(redrawn);
        }
    }
    atomic_store(&stop, true);
    for (size_t t = 0; t < 2; t++)
        pthread_join(threads[t], NULL);
    snapshot_free(atomic_exchange(&slot.current, NULL));
    rcu_barrier();
    zone_unref(zone);
    zone_reap();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(longest_suffix),
        cmocka_unit_test(many),
        cmocka_unit_test(publishing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
