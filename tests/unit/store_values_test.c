/* What the zone store writes into KV, by tables; imports of files into zones, by tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "zone_text.h"

#include "lictor/log.h"
#include "lictor/rng.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"
#include "lictor/zonefile.h"
#include "store/core.h"
#include "store/merge.h"

#include <cmocka.h>

#define SOA(serial) "example.com. 60 IN SOA ns.example.com. h.example.com. " #serial " 1 2 1000 4\n"
#define NS          "example.com. 60 IN NS ns.example.com.\n"

/* --- values ----------------------------------------------------------------------------------------- */

static void test_heads(void **state)
{
    (void)state;
    struct store_head head = {.at = {UINT64_MAX, UINT64_MAX, UINT32_MAX, {UINT64_MAX, UINT64_MAX}},
                              .base = UINT64_MAX,
                              .base_chunks = STORE_CHUNKS,
                              .file = UINT64_MAX,
                              .file_chunks = STORE_CHUNKS,
                              .file_serial = UINT32_MAX,
                              .file_hash = {UINT64_MAX, 1}};
    struct store_head got;
    struct buf text = {0};
    struct err err;
    store_head_encode(&head, &text);
    assert_true(text.len <= 200); /* a head has to stay small: each commit and each mirror reads it */
    assert_int_equal(store_head_parse(text.data, text.len, &got, &err), 0);
    struct buf again = {0};
    store_head_encode(&got, &again);
    assert_string_equal(buf_str(&again), buf_str(&text));
    buf_free(&again);
    for (size_t i = 0; i < text.len; i++) {
        assert_int_equal(store_head_parse(text.data, i, &got, &err), -1);
        uint8_t old = text.data[i];
        for (unsigned c = 0; c < 256; c++) { /* nothing crashes, and what is read is in bounds */
            text.data[i] = (uint8_t)c;
            if (!store_head_parse(text.data, text.len, &got, &err))
                assert_true(got.base <= got.at.seq && got.base_chunks <= STORE_CHUNKS);
        }
        text.data[i] = old;
    }
    buf_free(&text);
    static const char *const bad[] = {
        "",
        "2 0",
        "x",
        "1 0000000000000000 1 1 00000000000000000000000000000000 0000000000000000/0 0000000000000000/0 0 "
        "00000000000000000000000000000000\n", /* no seq */
        "1 0000000000000001 1 1 00000000000000000000000000000000 0000000000000002/1 0000000000000000/0 0 "
        "00000000000000000000000000000000\n", /* a base after it */
        "1 0000000000000001 1 1 00000000000000000000000000000000 0000000000000001/0 0000000000000000/0 0 "
        "00000000000000000000000000000000\n", /* a base without chunks */
        "1 0000000000000001 4294967296 1 00000000000000000000000000000000 0000000000000001/1 "
        "0000000000000000/0 0 00000000000000000000000000000000\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(store_head_parse(bad[i], strlen(bad[i]), &got, &err), -1);
}

static struct zone_state zone_state_;

static struct zone *zone_of(const char *lines)
{
    return zone_text("example.com.", ZONE_AUTHORITATIVE, &zone_state_, lines);
}

static void test_entries(void **state)
{
    (void)state;
    struct zone *zone = zone_of(SOA(7) NS);
    struct store_position covers[2] = {{.seq = 3, .hash = {1, 2}}, {.seq = 4, .hash = {3, 4}}};
    struct store_entry entry = {.at = {9, 8, 7, zone_hash(zone)},
                                .prev = 5,
                                .before = {5, 6},
                                .time = 1234567890,
                                .author = "key acme.example.",
                                .covers = covers,
                                .cover_count = 2,
                                .difference = difference_between(NULL, zone)};
    struct buf octets = {0};
    struct err err;
    store_entry_encode(&entry, &octets);
    struct store_entry *got = store_entry_parse(octets.data, octets.len, &err);
    assert_non_null(got);
    assert_true(store_position_equal(&got->at, &entry.at) && got->at.serial == 7 && got->at.epoch == 8);
    assert_true(zone_hash_equal(got->before, entry.before));
    assert_true(got->prev == 5 && got->time == 1234567890 && got->cover_count == 2);
    assert_true(store_position_equal(&got->covers[1], &covers[1]));
    assert_string_equal(got->author, entry.author);
    assert_int_equal(got->size, octets.len);
    store_entry_free(got);
    for (size_t i = 0; i < octets.len; i++) {
        assert_null(store_entry_parse(octets.data, i, &err));
        octets.data[i] ^= 0x10;
        assert_null(store_entry_parse(octets.data, octets.len, &err));
        octets.data[i] ^= 0x10;
    }
    buf_free(&octets);
    difference_unref(entry.difference);
    zone_unref(zone);
    zone_reap();
}

static void test_keys_and_serials(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        bool chunked;
        int result;
        uint64_t seq;
        unsigned chunk;
    } keys[] = {
        {"zones/a/log/00000000000000ff", false, 0, 255, 0},
        {"zones/a/base/00000000000000ff/0012", true, 0, 255, 12},
        {"zones/a/log/00000000000000fF", false, -1, 0, 0},
        {"zones/a/log/0ff", false, -1, 0, 0},
        {"00000000000000ff", false, -1, 0, 0},
        {"zones/a/base/00000000000000ff/012", true, -1, 0, 0},
        {"zones/a/base/00000000000000ff/-012", true, -1, 0, 0},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        uint64_t seq = 0;
        unsigned chunk = 0;
        assert_int_equal(store_key_numbers(keys[i].key, keys[i].chunked, &seq, &chunk), keys[i].result);
        if (!keys[i].result)
            assert_true(seq == keys[i].seq && chunk == keys[i].chunk);
    }
    static const struct {
        uint32_t current, wanted, floor, next;
    } serials[] = {
        {1, 1, 1, 2},
        {1, 7, 1, 7},
        {7, 1, 7, 8},
        {7, 1, 20, 21},
        {UINT32_MAX, 1, UINT32_MAX, 1}, /* RFC 1982: 1 is above */
        {UINT32_MAX, UINT32_MAX, UINT32_MAX, 1},
        {5, 0x80000004, 5, 0x80000004},
        {5, 0x80000005, 5, 6}, /* opposite: undefined, so not above */
        {3000000000u, 3000000000u, 3000000000u, 3000000001u},
    };
    for (size_t i = 0; i < sizeof serials / sizeof *serials; i++)
        assert_int_equal(store_serial_next(serials[i].current, serials[i].wanted, serials[i].floor),
                         serials[i].next);
    static const struct {
        const char *name, *text;
    } names[] = {{"Example.COM.", "example.com"},
                 {".", "."},
                 {"0/25.2.0.192.in-addr.arpa.", "0%2f25.2.0.192.in-addr.arpa"},
                 {"a%2f.b.", "a%252f.b"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint8_t apex[NAME_MAX_WIRE];
        name_of(names[i].name, apex);
        char *text = name_to_key(apex);
        assert_string_equal(text, names[i].text);
        free(text);
    }
}

/* --- merging --------------------------------------------------------------------------------------- */

#define R(name, octet) name ".example.com. 5 IN A 192.0.2." octet "\n"

static void test_imports(void **state)
{
    (void)state;
    static const struct {
        const char *last, *file, *current;
        enum store_import_mode mode;
        const char *result, *error; /* of which RRs are there, by name; or why not */
    } table[] = {
        /* what came by UPDATE survives, what the file removes goes */
        {R("a", "1") R("b", "2"), R("a", "1") R("c", "3"), R("a", "1") R("b", "2") R("u", "9"),
         STORE_IMPORT_MERGE, R("a", "1") R("c", "3") R("u", "9"), NULL},
        /* both changed it to the same */
        {R("a", "1"), R("a", "2"), R("a", "2"), STORE_IMPORT_MERGE, R("a", "2"), NULL},
        /* changed differently */
        {R("a", "1"), R("a", "2"), R("a", "3"), STORE_IMPORT_MERGE, NULL, "a.example.com. A"},
        {R("a", "1"), R("a", "2"), R("a", "3"), STORE_IMPORT_OURS, R("a", "3"), NULL},
        {R("a", "1"), R("a", "2"), R("a", "3") R("u", "9"), STORE_IMPORT_REPLACE, R("a", "2"), NULL},
        /* removed by UPDATE, changed in the file; and the other way round */
        {R("a", "1"), R("a", "2"), "", STORE_IMPORT_MERGE, NULL, "a.example.com. A"},
        {R("a", "1"), "", R("a", "3"), STORE_IMPORT_MERGE, NULL, "a.example.com. A"},
        /* untouched in the file, changed by UPDATE */
        {R("a", "1"), R("a", "1"), R("a", "3"), STORE_IMPORT_MERGE, R("a", "3"), NULL},
        /* removed by both */
        {R("a", "1"), "", "", STORE_IMPORT_MERGE, "", NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[4][512];
        const char *lines[] = {table[i].last, table[i].file, table[i].current, table[i].result};
        struct zone *zones[4];
        for (unsigned k = 0; k < 4; k++) { /* the result has the file's SOA */
            snprintf(text[k], sizeof text[k], "%s" NS "%s", k == 1 || k == 3 ? SOA(20) : SOA(10),
                     lines[k] ? lines[k] : "");
            zones[k] = zone_of(text[k]);
        }
        struct err err = {""};
        struct zone_edit *edit = zone_edit_begin(zones[2]);
        int result = merge_file(edit, zones[2], zones[0], zones[1], table[i].mode, &err);
        struct zone *got = zone_edit_commit(edit);
        assert_int_equal(result, table[i].error ? -1 : 0);
        if (table[i].error)
            assert_non_null(strstr(err.text, table[i].error));
        else
            assert_true(zone_hash_equal(zone_hash(got), zone_hash(zones[3])));
        zone_unref(got);
        for (unsigned k = 0; k < 4; k++)
            zone_unref(zones[k]);
    }
    zone_reap();
}

/* The way back: what came meanwhile stays, unless it is about the same; what follows health is left alone. */
static void test_going_back(void **state)
{
    (void)state;
    static const struct {
        const char *began, *target, *current, *health, *result, *error;
    } table[] = {
        {R("a", "2") R("b", "1"), R("a", "1"), R("a", "2") R("b", "1"), NULL, R("a", "1"), NULL},
        {R("a", "2"), R("a", "1"), R("a", "2") R("u", "9"), NULL, R("a", "1") R("u", "9"), NULL},
        {R("a", "2"), R("a", "1"), R("a", "3"), NULL, NULL,
         "1 RRset was changed again meanwhile: a.example.com. A"},
        {R("a", "2"), "", "", NULL, "", NULL},
        {R("a", "2") R("w", "8"), R("a", "1") R("w", "7"), R("a", "2") R("w", "8"), R("w", "8"),
         R("a", "1") R("w", "8"), NULL},
        {R("a", "2") R("w", "8"), R("a", "1") R("w", "7"), R("a", "2") R("w", "9"), R("w", "8"),
         R("a", "1") R("w", "9"), NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *lines[] = {table[i].began, table[i].target, table[i].current, table[i].result,
                               table[i].health};
        struct zone *zones[5];
        for (unsigned k = 0; k < 5; k++) { /* the result has the target's SOA */
            char text[512];
            snprintf(text, sizeof text, "%s" NS "%s", k == 1 || k == 3 ? SOA(10) : SOA(20),
                     lines[k] ? lines[k] : "");
            zones[k] = zone_of(text);
        }
        struct strmap *apart = strmap_new();
        struct difference *health = difference_between(NULL, zones[4]);
        merge_set_apart(apart, health);
        struct err err = {""};
        struct zone_edit *edit = zone_edit_begin(zones[2]);
        int result = merge_back(edit, zones[2], zones[0], zones[1], apart, &err);
        struct zone *got = zone_edit_commit(edit);
        assert_int_equal(result, table[i].error ? -1 : 0);
        if (table[i].error)
            assert_non_null(strstr(err.text, table[i].error));
        else
            assert_true(zone_hash_equal(zone_hash(got), zone_hash(zones[3])));
        difference_unref(health);
        strmap_free(apart, NULL);
        zone_unref(got);
        for (unsigned k = 0; k < 5; k++)
            zone_unref(zones[k]);
    }
    zone_reap();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_keys_and_serials),
        cmocka_unit_test(test_imports),
        cmocka_unit_test(test_going_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
