/* Zone versions: the index against a plain model, older versions, empty non-terminals, order, checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "zone_text.h"

#include "lictor/rng.h"

#include <cmocka.h>

/* --- a model: a sorted array of (owner, type) ------------------------------------------------------- */

#define MODEL_MAX    2000
#define PRIVATE_TYPE 65280

struct model {
    struct entry {
        uint8_t owner[NAME_MAX_WIRE];
        uint16_t type;
        uint8_t value;
    } entries[MODEL_MAX];
    size_t count;
};

static struct entry *model_find(struct model *model, const uint8_t *owner, uint16_t type)
{
    for (size_t i = 0; i < model->count; i++)
        if (model->entries[i].type == type && name_equal(model->entries[i].owner, owner))
            return &model->entries[i];
    return NULL;
}

static void model_put(struct model *model, const uint8_t *owner, uint16_t type, uint8_t value)
{
    struct entry *entry = model_find(model, owner, type);
    if (!entry) {
        assert_true(model->count < MODEL_MAX);
        entry = &model->entries[model->count++];
        name_lower(owner, entry->owner);
        entry->type = type;
    }
    entry->value = value;
}

static bool model_remove(struct model *model, const uint8_t *owner, uint16_t type)
{
    bool removed = false;
    for (size_t i = model->count; i-- > 0;)
        if (name_equal(model->entries[i].owner, owner) &&
            (type == DNS_ANY || model->entries[i].type == type)) {
            model->entries[i] = model->entries[--model->count];
            removed = true;
        }
    return removed;
}

static int entry_order(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = name_compare(x->owner, y->owner);
    return order ? order : (int)x->type - (int)y->type;
}

static const struct entry *next_expected;

static int check_visit(void *arg, const uint8_t *owner, const struct piece *piece)
{
    (void)arg;
    if (!name_equal(owner, next_expected->owner) || piece_type(piece) != next_expected->type) {
        char a[NAME_MAX_TEXT], b[NAME_MAX_TEXT];
        fail_msg("walk: %s %u instead of %s %u", name_to_text(owner, a), piece_type(piece),
                 name_to_text(next_expected->owner, b), next_expected->type);
    }
    assert_int_equal(piece_rdata(piece, 0).data[0], next_expected->value);
    next_expected++;
    return 0;
}

/* What RFC 1034 says of a name, the slow way. */
static void check_search(struct model *model, const struct zone *zone, const uint8_t *name)
{
    bool exact = false, exists = name_equal(name, zone_apex(zone));
    unsigned encloser = name_labels(zone_apex(zone)), cut = 999;
    bool cut_is_ns = false;
    for (size_t i = 0; i < model->count; i++) {
        const uint8_t *owner = model->entries[i].owner;
        exact |= name_equal(owner, name);
        exists |= name_is_under(owner, name);
        unsigned labels = name_labels(name);
        for (const uint8_t *at = name; labels > encloser; at += 1 + *at, labels--)
            if (name_is_under(owner, at)) {
                encloser = labels;
                break;
            }
        bool ns = model->entries[i].type == DNS_NS && !name_equal(owner, zone_apex(zone));
        bool dname = model->entries[i].type == DNS_DNAME && !name_equal(owner, name);
        if ((ns || dname) && name_is_under(name, owner)) {
            unsigned at = name_labels(owner);
            if (at < cut) {
                cut = at;
                cut_is_ns = ns;
            } else if (at == cut) {
                cut_is_ns |= ns;
            }
        }
    }
    uint8_t wildcard[NAME_MAX_WIRE + 2];
    const uint8_t *at = name;
    for (unsigned labels = name_labels(name); labels > encloser; labels--)
        at += 1 + *at;
    bool wild = !exists && cut == 999 && name_prepend((const uint8_t *)"*", 1, at, wildcard) > 0;
    bool wild_there = false, wild_exists = false;
    for (size_t i = 0; wild && i < model->count; i++) {
        wild_there |= name_equal(model->entries[i].owner, wildcard);
        wild_exists |= name_is_under(model->entries[i].owner, wildcard);
    }

    struct zone_found found;
    char text[NAME_MAX_TEXT];
    zone_search(zone, name, name_len(name), &found);
    name_to_text(name, text);
    if ((found.exact != NULL) != exact || found.exists != exists)
        fail_msg("%s: exact %d, exists %d instead of %d, %d", text, found.exact != NULL, found.exists, exact,
                 exists);
    if ((found.cut != NULL) != (cut != 999) ||
        (found.cut && (found.cut_labels != cut || found.cut_is_dname != !cut_is_ns)))
        fail_msg("%s: cut at %u (dname %d) instead of %u", text, found.cut ? found.cut_labels : 999,
                 found.cut_is_dname, cut);
    if ((found.wildcard != NULL) != wild_there || found.wildcard_exists != wild_exists)
        fail_msg("%s: wildcard %d, exists %d instead of %d, %d", text, found.wildcard != NULL,
                 found.wildcard_exists, wild_there, wild_exists);
}

static void check_same(struct model *model, const struct zone *zone)
{
    qsort(model->entries, model->count, sizeof *model->entries, entry_order);
    next_expected = model->entries;
    assert_int_equal(zone_walk(zone, check_visit, NULL), 0);
    assert_int_equal(next_expected - model->entries, model->count);
    assert_int_equal(zone_records(zone), model->count);
    size_t names = 0;
    for (size_t i = 0; i < model->count; i++) {
        names += !i || !name_equal(model->entries[i].owner, model->entries[i - 1].owner);
        assert_non_null(zone_get(zone, model->entries[i].owner, model->entries[i].type));
    }
    assert_int_equal(zone_names(zone), names);
}

/* Names of few, short and nasty labels, so that they collide and nest. */
static void random_name(struct rng *rng, uint8_t out[NAME_MAX_WIRE])
{
    static const char *const labels[] = {
        "a",     "b",      "aa",     "ab",   "a-b",   "*",      "_tcp",  "a0",          "z",       "\\000",
        "\\255", "a\\000", "a.b\\.", "\\*a", "A\\.B", "\\167x", "\\168", "\\212\\213y", "+,/:@[`{"};
    char text[256] = "";
    for (unsigned left = rng_below(rng, 5); left; left--) {
        strcat(text, labels[rng_below(rng, sizeof labels / sizeof *labels)]);
        strcat(text, ".");
    }
    strcat(text, "Test.");
    struct err err;
    if (name_from_text(text, NULL, out, &err) < 0)
        fail_msg("%s: %s", text, err.text);
}

static struct piece *random_piece(struct rng *rng, uint8_t *value)
{
    static const uint16_t types[] = {DNS_A, PRIVATE_TYPE, DNS_NS, DNS_DNAME, PRIVATE_TYPE + 1};
    uint16_t type = types[rng_below(rng, 5)];
    if ((type == DNS_NS || type == DNS_DNAME) && rng_below(rng, 4))
        type = DNS_A;
    uint8_t data[4] = {(uint8_t)rng_next(rng), 1, 2, 3};
    struct rdata rdata = {data, 4, 0};
    if (type == DNS_NS || type == DNS_DNAME) {
        data[0] = 1;
        data[2] = 0;
        rdata.len = 3;
    }
    *value = data[0];
    struct piece_spec spec = {.type = type, .ttl = 1, .rdata = &rdata, .count = 1};
    struct err err;
    struct piece *piece = piece_new(&spec, &err);
    if (!piece)
        fail_msg("%s", err.text);
    return piece;
}

static void random_edits(void **state)
{
    (void)state;
    enum { VERSIONS = 12, STEPS = 120 };
    static struct model models[VERSIONS];
    struct zone *zones[VERSIONS];
    uint8_t apex[NAME_MAX_WIRE], name[NAME_MAX_WIRE];
    struct rng rng = {{42, 4711}};
    name_of("test.", apex);
    for (unsigned v = 0; v < VERSIONS; v++) {
        /* Each version comes from one picked at random, so that parts are shared in a tree. */
        unsigned base = v ? rng_below(&rng, v) : 0;
        struct zone_edit *edit =
            v ? zone_edit_begin(zones[base]) : zone_edit_new(apex, ZONE_CATALOG, NULL, NULL, NULL);
        if (v)
            models[v] = models[base];
        for (unsigned s = 0; s < STEPS; s++) {
            random_name(&rng, name);
            if (rng_below(&rng, 3)) {
                uint8_t value;
                struct piece *piece = random_piece(&rng, &value);
                assert_int_equal(zone_edit_put(edit, name, piece, NULL), 0);
                model_put(&models[v], name, piece_type(piece), value);
                piece_unref(piece);
            } else {
                uint16_t type = rng_below(&rng, 2) ? DNS_ANY : DNS_A;
                assert_int_equal(zone_edit_remove(edit, name, type), model_remove(&models[v], name, type));
            }
        }
        zones[v] = zone_edit_commit(edit);
        for (unsigned old = 0; old <= v; old++)
            check_same(&models[old], zones[old]);
        for (unsigned i = 0; i < 300; i++) {
            random_name(&rng, name);
            name_lower(name, name);
            check_search(&models[v], zones[v], name);
        }
    }
    /* Freed in any order, the others stay whole. */
    for (unsigned v = 0; v < VERSIONS; v += 2)
        zone_unref(zones[v]);
    zone_reap();
    for (unsigned v = 1; v < VERSIONS; v += 2) {
        check_same(&models[v], zones[v]);
        zone_unref(zones[v]);
        zone_reap();
    }
}

/* Every octet has a place of its own in the order, between any neighbours. */
static void every_octet(void **state)
{
    (void)state;
    uint8_t apex[NAME_MAX_WIRE];
    name_of("x.", apex);
    struct zone_edit *edit = zone_edit_new(apex, ZONE_CATALOG, NULL, NULL, NULL);
    struct rdata rdata = {(const uint8_t *)"\12\0\0\1", 4, 0};
    struct piece_spec spec = {.type = DNS_A, .rdata = &rdata, .count = 1};
    struct piece *piece = piece_new(&spec, NULL);
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b += 5) {
            uint8_t name[] = {2, (uint8_t)a, (uint8_t)b, 1, 'x', 0};
            assert_int_equal(zone_edit_put(edit, name, piece, NULL), 0);
        }
    piece_unref(piece);
    struct zone *zone = zone_edit_commit(edit);
    /* 26 letters fold in the first octet; of the second octets 65, 70, 75, 80, 85 and 90 become 97, 102, ...
     * which are no multiples of 5 and so are new names, not old ones. */
    assert_int_equal(zone_names(zone), (256 - 26) * 52);
    zone_unref(zone);
    zone_reap();
}

static bool exists(const struct zone *zone, const char *text)
{
    uint8_t name[NAME_MAX_WIRE];
    struct zone_found found;
    name_of(text, name);
    zone_search(zone, name, name_len(name), &found);
    return found.exists;
}

static struct zone *without(struct zone *zone, const char *owner)
{
    uint8_t name[NAME_MAX_WIRE];
    name_of(owner, name);
    struct zone_edit *edit = zone_edit_begin(zone);
    assert_true(zone_edit_remove(edit, name, DNS_ANY));
    assert_false(zone_edit_remove(edit, name, DNS_ANY));
    zone_unref(zone);
    return zone_edit_commit(edit);
}

static void empty_non_terminals(void **state)
{
    (void)state;
    struct zone *zone =
        zone_text("test.", ZONE_CATALOG, NULL, "a.b.c.test. A 192.0.2.1\nx.b.c.test. A 192.0.2.1\n");
    assert_true(exists(zone, "b.c.test.") && exists(zone, "c.test.") && exists(zone, "test."));
    assert_false(exists(zone, "d.c.test."));
    assert_false(exists(zone, "bb.c.test."));
    zone = without(zone, "a.b.c.test.");
    assert_true(exists(zone, "b.c.test.") && exists(zone, "c.test."));
    assert_false(exists(zone, "a.b.c.test."));
    zone = without(zone, "X.b.c.test."); /* the last child takes its empty ancestors along */
    assert_false(exists(zone, "b.c.test.") || exists(zone, "c.test."));
    assert_true(exists(zone, "test."));
    assert_int_equal(zone_names(zone), 0);
    zone_unref(zone);
    zone_reap();
}

static void soa_and_case(void **state)
{
    (void)state;
    struct zone *zone = zone_text("TEST.", ZONE_AUTHORITATIVE, NULL,
                                  "test. SOA ns.test. admin.test. 77 3600 600 86401 60\nTest. NS ns.test.\n"
                                  "WWW.test. A 192.0.2.1\n");
    assert_int_equal(zone_serial(zone), 77);
    assert_int_equal(zone_soa_expire(zone), 86401);
    assert_memory_equal(zone_apex(zone), "\4test", 6);
    assert_non_null(zone_get(zone, (const uint8_t *)"\3www\4test", DNS_A));
    assert_null(zone_get(zone, (const uint8_t *)"\3www\4tesu", DNS_A));
    struct zone_edit *edit = zone_edit_begin(zone);
    struct err err;
    struct rdata rdata = {(const uint8_t *)"\12\0\0\1", 4, 0};
    struct piece *piece = piece_new(&(struct piece_spec){.type = DNS_A, .rdata = &rdata, .count = 1}, &err);
    assert_int_equal(zone_edit_put(edit, (const uint8_t *)"\3www\5other", piece, &err), -1);
    assert_string_equal(err.text, "www.other. lies outside of the zone test.");
    piece_unref(piece);
    assert_true(zone_edit_remove(edit, (const uint8_t *)"\4TEST", DNS_SOA));
    struct zone *next = zone_edit_commit(edit);
    assert_int_equal(zone_serial(next), 0);
    assert_int_equal(zone_serial(zone), 77);
    zone_edit_abort(zone_edit_begin(next));
    zone_unref(next);
    zone_unref(zone);
    zone_reap();
}

static void checks(void **state)
{
    (void)state;
#define GOOD "test. SOA ns.test. admin.test. 1 3600 600 86400 60\ntest. NS ns.test.\n"
    static const struct {
        const char *lines, *fault; /* NULL: good */
    } rows[] = {
        {GOOD "ns.test. A 192.0.2.1\n", NULL},
        {"test. NS ns.test.\n", "test.: the zone has no SOA at its apex"},
        {GOOD "test. SOA ns.test. admin.test. 2 3600 600 86400 60\n",
         "test.: the zone has 2 SOA records; it must have one"},
        {"test. SOA ns.test. admin.test. 1 3600 600 86400 60\n",
         "test.: the zone has no NS at its apex; it needs at least one"},
        {GOOD "a.test. CNAME b.test.\n", NULL},
        {GOOD "a.test. CNAME b.test.\na.test. A 192.0.2.1\n",
         "a.test.: a CNAME cannot stand beside other records"},
        {GOOD "a.test. CNAME b.test.\na.test. CNAME c.test.\n",
         "a.test.: more than one CNAME; one name has one target"},
        {GOOD "test. CNAME b.test.\n", "test.: a CNAME cannot stand beside other records"},
        {GOOD "d.test. DNAME x.\nd.test. A 192.0.2.1\n", NULL},
        {GOOD "d.test. DNAME x.\nd.test. DNAME y.\n",
         "d.test.: more than one DNAME; one name has one target"},
        {GOOD "d.test. DNAME x.\nd.test. NS y.\n",
         "d.test.: DNAME and NS exclude each other below the apex (RFC 6672 section 2.3)"},
        {GOOD "d.test. DNAME x.\na.b.d.test. A 192.0.2.1\n",
         "a.b.d.test.: lies below a DNAME, which hides it (RFC 6672 section 2.4)"},
        {GOOD "d.test. DNAME x.\ndd.test. A 192.0.2.1\n", NULL},
        {GOOD "s.test. SOA ns.test. admin.test. 1 3600 600 86400 60\n",
         "s.test.: a SOA below the apex; it belongs to a zone of its own"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct zone *zone = zone_text("test.", ZONE_AUTHORITATIVE, NULL, rows[i].lines);
        struct err err = {""};
        int result = zone_check(zone, &err);
        if (result != (rows[i].fault ? -1 : 0))
            fail_msg("row %zu: %d, %s", i, result, err.text);
        assert_string_equal(err.text, rows[i].fault ? rows[i].fault : "");
        zone_unref(zone);
    }
    zone_reap();
}

static int first_only(void *arg, const uint8_t *owner, const struct piece *piece)
{
    (void)owner;
    *(uint16_t *)arg = piece_type(piece);
    return 7;
}

static void walk_begins_with_soa(void **state)
{
    (void)state;
    uint16_t type = 0;
    struct zone *zone = zone_text("test.", ZONE_CATALOG, NULL, "test. A 192.0.2.1\n" GOOD);
    assert_int_equal(zone_walk(zone, first_only, &type), 7);
    assert_int_equal(type, DNS_SOA);
    zone_unref(zone);
    zone_reap();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_edits), cmocka_unit_test(every_octet), cmocka_unit_test(empty_non_terminals),
        cmocka_unit_test(soa_and_case), cmocka_unit_test(checks),      cmocka_unit_test(walk_begins_with_soa),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
