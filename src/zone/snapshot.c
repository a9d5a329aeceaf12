/* What workers answer from: zone versions, found by apex through a small hash table. */
#include "lictor/snapshot.h"

#include "lictor/rcu.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

struct slot {
    uint32_t hash;
    uint32_t zone; /* number + 1; 0: free */
};

struct snapshot {
    struct snapshot_text text;
    size_t count;
    struct zone **zones;
    struct slot *slots; /* open addressing, at most half full */
    uint32_t mask;
    /* How many labels apexes have: only suffixes of so many need be looked up. */
    uint64_t label_counts[2];
};

/* FNV-1a over words: names are short and trusted (they are our own apexes, or compared afterwards). */
static uint32_t hash_name(const uint8_t *name, size_t len)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; len >= 8; len -= 8, name += 8) {
        uint64_t word;
        memcpy(&word, name, 8);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    for (; len; len--, name++)
        hash = (hash ^ *name) * UINT64_C(0x100000001b3);
    return (uint32_t)(hash ^ hash >> 32);
}

static const struct zone *lookup(const struct snapshot *snapshot, const uint8_t *apex, size_t len)
{
    uint32_t hash = hash_name(apex, len);
    for (uint32_t at = hash & snapshot->mask; snapshot->slots[at].zone; at = (at + 1) & snapshot->mask) {
        if (snapshot->slots[at].hash != hash)
            continue;
        const struct zone *zone = snapshot->zones[snapshot->slots[at].zone - 1];
        if (!memcmp(zone_apex(zone), apex, len)) /* a name ends where its root label is: no need of lengths */
            return zone;
    }
    return NULL;
}

/* Adds zone, or puts it in the place of one with the same apex. Takes a reference. */
static void add_zone(struct snapshot *snapshot, struct zone *zone)
{
    const uint8_t *apex = zone_apex(zone);
    unsigned labels = name_labels(apex);
    uint32_t hash = hash_name(apex, name_len(apex)), at = hash & snapshot->mask;
    for (; snapshot->slots[at].zone; at = (at + 1) & snapshot->mask) {
        struct zone **there = &snapshot->zones[snapshot->slots[at].zone - 1];
        if (snapshot->slots[at].hash != hash || !name_equal(zone_apex(*there), apex))
            continue;
        zone_ref(zone);
        zone_unref(*there);
        *there = zone;
        return;
    }
    snapshot->zones[snapshot->count++] = zone_ref(zone);
    snapshot->slots[at] = (struct slot){hash, (uint32_t)snapshot->count};
    snapshot->label_counts[labels / 64] |= UINT64_C(1) << labels % 64;
}

struct snapshot *snapshot_new(struct zone *const *zones, size_t count, const struct snapshot_text *text)
{
    struct snapshot *snapshot = xcalloc(1, sizeof *snapshot);
    snapshot->text.node = xstrdup_null(text->node);
    snapshot->text.version = xstrdup_null(text->version);
    snapshot->text.primary = xstrdup_null(text->primary);
    snapshot->zones = xmalloc((count + 1) * sizeof *snapshot->zones);
    uint32_t size = 4;
    while (size < 2 * count)
        size *= 2;
    snapshot->mask = size - 1;
    snapshot->slots = xcalloc(size, sizeof *snapshot->slots);
    for (size_t i = 0; i < count; i++)
        add_zone(snapshot, zones[i]);
    return snapshot;
}

/* base's zones without the one of this apex, and with zone if there is one. */
static struct snapshot *derive(const struct snapshot *base, const uint8_t *apex, struct zone *zone,
                               const struct snapshot_text *text)
{
    struct zone **zones = xmalloc((base->count + 1) * sizeof *zones);
    size_t count = 0;
    for (size_t i = 0; i < base->count; i++)
        if (!apex || !name_equal(zone_apex(base->zones[i]), apex))
            zones[count++] = base->zones[i];
    if (zone)
        zones[count++] = zone;
    struct snapshot *snapshot = snapshot_new(zones, count, text);
    free(zones);
    return snapshot;
}

struct snapshot *snapshot_with_zone(const struct snapshot *base, struct zone *zone)
{
    return derive(base, zone_apex(zone), zone, &base->text);
}

struct snapshot *snapshot_without_zone(const struct snapshot *base, const uint8_t *apex)
{
    return derive(base, apex, NULL, &base->text);
}

struct snapshot *snapshot_with_text(const struct snapshot *base, const struct snapshot_text *text)
{
    return derive(base, NULL, NULL, text);
}

static void text_free(const char *text)
{
    free((void *)(uintptr_t)text);
}

void snapshot_free(struct snapshot *snapshot)
{
    if (!snapshot)
        return;
    for (size_t i = 0; i < snapshot->count; i++)
        zone_unref(snapshot->zones[i]);
    text_free(snapshot->text.node);
    text_free(snapshot->text.version);
    text_free(snapshot->text.primary);
    free(snapshot->zones);
    free(snapshot->slots);
    free(snapshot);
    zone_reap();
}

static void free_later(void *arg)
{
    snapshot_free(arg);
}

void snapshot_publish(struct snapshot_slot *slot, struct snapshot *snapshot)
{
    struct snapshot *old = atomic_exchange_explicit(&slot->current, snapshot, memory_order_acq_rel);
    if (old)
        rcu_defer(free_later, old);
    zone_reap();
}

const struct zone *snapshot_find(const struct snapshot *snapshot, const uint8_t *lower_qname)
{
    unsigned labels = name_labels(lower_qname);
    size_t len = name_len(lower_qname);
    for (;; labels--) {
        if (snapshot->label_counts[labels / 64] >> labels % 64 & 1) {
            const struct zone *zone = lookup(snapshot, lower_qname, len);
            if (zone)
                return zone;
        }
        if (!labels)
            return NULL;
        len -= 1 + (size_t)*lower_qname;
        lower_qname += 1 + *lower_qname;
    }
}

const struct zone *snapshot_get(const struct snapshot *snapshot, const uint8_t *lower_apex)
{
    return lookup(snapshot, lower_apex, name_len(lower_apex));
}

size_t snapshot_zone_count(const struct snapshot *snapshot)
{
    return snapshot->count;
}

const struct zone *snapshot_zone(const struct snapshot *snapshot, size_t i)
{
    return snapshot->zones[i];
}

const struct snapshot_text *snapshot_text(const struct snapshot *snapshot)
{
    return &snapshot->text;
}
