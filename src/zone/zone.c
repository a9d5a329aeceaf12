/* Zone versions: lifetime and reading. */
#include "zone_body.h"

#include "lictor/dns.h"
#include "lictor/history.h"
#include "lictor/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Versions whose last reference is gone. Any thread pushes; the builder takes all of it at once, so that
 * there is no ABA to fear. Freeing walks counts that belong to the builder. */
static _Atomic(struct zone *) dead;

struct zone *zone_ref(struct zone *zone)
{
    uint32_t before = atomic_fetch_add_explicit(&zone->refs, 1, memory_order_relaxed);
    assert(before > 0);
    return zone;
}

void zone_unref(struct zone *zone)
{
    uint32_t before = atomic_fetch_sub_explicit(&zone->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1)
        return;
    struct zone *head = atomic_load_explicit(&dead, memory_order_relaxed);
    do
        zone->next_dead = head;
    while (!atomic_compare_exchange_weak_explicit(&dead, &head, zone, memory_order_release,
                                                  memory_order_relaxed));
}

void zone_reap(void)
{
    while (atomic_load_explicit(&dead, memory_order_relaxed)) { /* one may hold the last of another */
        struct zone *zone = atomic_exchange_explicit(&dead, NULL, memory_order_acquire);
        while (zone) {
            struct zone *next = zone->next_dead;
            trie_drop(&zone->trie);
            trie_drop(&zone->nsec3);
            if (zone->transfer)
                zone_unref(zone->transfer);
            history_unref(zone->history);
            free(zone);
            zone = next;
        }
    }
}

const uint8_t *zone_apex(const struct zone *zone)
{
    return zone->apex;
}

enum zone_kind zone_kind(const struct zone *zone)
{
    return zone->kind;
}

struct zone_state *zone_state(const struct zone *zone)
{
    return zone->state;
}

struct zone_origin *zone_origin(const struct zone *zone, uint8_t number)
{
    if (number == 0 || !zone->origins ||
        number >= atomic_load_explicit(&zone->origins->count, memory_order_acquire))
        return NULL;
    return &zone->origins->at[number];
}

const struct zone_manner *zone_manner(const struct zone *zone)
{
    return &zone->manner;
}

const struct zone *zone_transfer(const struct zone *zone)
{
    return zone->transfer || zone->kind == ZONE_CATALOG ? zone->transfer : zone;
}

const struct history *zone_history(const struct zone *zone)
{
    return zone->history;
}

void zone_set_transfer(struct zone *zone, struct zone *version)
{
    if (zone->transfer)
        zone_unref(zone->transfer);
    zone->transfer = version;
}

void zone_set_history(struct zone *zone, struct history *history)
{
    history_unref(zone->history);
    zone->history = history;
}

const struct piece *zone_soa(const struct zone *zone)
{
    return zone->soa;
}

/* SOA RDATA ends in five numbers: serial, refresh, retry, expire, minimum. */
static uint32_t soa_number(const struct zone *zone, unsigned which)
{
    if (!zone->soa)
        return 0;
    struct rdata rdata = piece_rdata(zone->soa, 0);
    const uint8_t *at = rdata.data + rdata.len - 20 + 4 * (size_t)which;
    return get32(at);
}

uint32_t zone_serial(const struct zone *zone)
{
    return soa_number(zone, 0);
}

uint32_t zone_soa_expire(const struct zone *zone)
{
    return soa_number(zone, 3);
}

size_t zone_names(const struct zone *zone)
{
    return zone->names;
}

size_t zone_records(const struct zone *zone)
{
    return zone->records;
}

const struct piece *zone_get(const struct zone *zone, const uint8_t *owner, uint16_t type)
{
    if (!name_is_under(owner, zone->apex))
        return NULL;
    struct trie_key key;
    size_t len = name_len(owner);
    trie_key(owner, len, zone->apex_len, &key);
    const struct owner *found = trie_get(&zone->trie, &key, owner, len);
    return found ? owner_get(found, type) : NULL;
}

struct walk {
    const struct zone *zone;
    zone_visit_fn *visit;
    void *arg;
};

static int visit_owner(void *arg, const struct owner *owner)
{
    const struct walk *walk = arg;
    /* Transfers and zone files begin with the SOA (RFC 5936 section 2.2). */
    const struct piece *first = owner->name_len == walk->zone->apex_len ? owner_get(owner, DNS_SOA) : NULL;
    int result = first ? walk->visit(walk->arg, owner_name(owner), first) : 0;
    for (unsigned i = 0; !result && i < owner->count; i++)
        if (owner->pieces[i] != first)
            result = walk->visit(walk->arg, owner_name(owner), owner->pieces[i]);
    return result;
}

int zone_walk(const struct zone *zone, zone_visit_fn *visit, void *arg)
{
    struct walk walk = {zone, visit, arg};
    return trie_walk(&zone->trie, visit_owner, &walk);
}
