/* Names that were asked for, beside the zones. */
#include "lictor/overlay.h"

#include "owner.h"

#include "lictor/rcu.h"
#include "lictor/rng.h"
#include "lictor/strmap.h"
#include "lictor/xalloc.h"

#include "base/siphash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct overlay_entry {
    unsigned refs; /* of the store and of tables; the builder's */
    bool by_address, scoped;
    uint64_t hash;
    struct ask_question question;
    struct overlay_state *state;
    struct owner *owner; /* NULL: no data */
};

struct overlay {
    uint64_t key[2];
    uint32_t mask;
    struct overlay_entry *slots[]; /* open addressing, at most half full */
};

struct overlay_store {
    struct overlay_slot *slot;
    struct strmap *entries; /* question -> struct overlay_entry */
    uint64_t key[2];        /* of the hash: names come from outside */
    bool changed;
};

/* --- states ----------------------------------------------------------------------------------------- */

struct overlay_state *overlay_state_new(void)
{
    struct overlay_state *state = xcalloc(1, sizeof *state);
    atomic_init(&state->stale_from, NS_NEVER);
    atomic_init(&state->dead_from, NS_NEVER);
    atomic_init(&state->refs, 1);
    return state;
}

struct overlay_state *overlay_state_ref(struct overlay_state *state)
{
    atomic_fetch_add_explicit(&state->refs, 1, memory_order_relaxed);
    return state;
}

void overlay_state_unref(struct overlay_state *state)
{
    if (state && atomic_fetch_sub_explicit(&state->refs, 1, memory_order_acq_rel) == 1)
        free(state);
}

/* --- entries ---------------------------------------------------------------------------------------- */

static uint64_t hash_question(const struct ask_question *question, const uint64_t key[2])
{
    return siphash(question, ask_question_len(question), key);
}

static struct overlay_entry *entry_new(const struct overlay_spec *spec, const uint64_t key[2])
{
    struct overlay_entry *entry = xcalloc(1, sizeof *entry);
    entry->refs = 1;
    entry->by_address = spec->by_address;
    entry->scoped = spec->scoped;
    entry->question = spec->question;
    entry->hash = hash_question(&spec->question, key);
    entry->state = overlay_state_ref(spec->state);
    for (size_t i = 0; i < spec->count; i++) {
        struct owner *next =
            owner_with(entry->owner, spec->question.name, spec->question.name_len, spec->pieces[i]);
        if (entry->owner)
            owner_unref(entry->owner);
        entry->owner = next;
    }
    return entry;
}

static void entry_unref(void *arg)
{
    struct overlay_entry *entry = arg;
    if (--entry->refs)
        return;
    if (entry->owner)
        owner_unref(entry->owner);
    overlay_state_unref(entry->state);
    free(entry);
}

/* --- the store -------------------------------------------------------------------------------------- */

struct overlay_store *overlay_store_new(struct overlay_slot *slot)
{
    struct overlay_store *store = xcalloc(1, sizeof *store);
    store->slot = slot;
    store->entries = strmap_new();
    rng_secure(store->key, sizeof store->key);
    return store;
}

void overlay_put(struct overlay_store *store, const struct overlay_spec *spec)
{
    const struct ask_question *question = &spec->question;
    struct overlay_entry *old =
        strmap_put(store->entries, question, ask_question_len(question), entry_new(spec, store->key));
    if (old)
        entry_unref(old);
    store->changed = true;
}

void overlay_remove(struct overlay_store *store, const struct ask_question *question)
{
    struct overlay_entry *old = strmap_remove(store->entries, question, ask_question_len(question));
    if (!old)
        return;
    entry_unref(old);
    store->changed = true;
}

size_t overlay_count(const struct overlay_store *store)
{
    return strmap_count(store->entries);
}

static struct overlay *table_new(const struct overlay_store *store)
{
    uint32_t size = 4;
    while (size < 2 * strmap_count(store->entries))
        size *= 2;
    struct overlay *table = xcalloc(1, sizeof *table + size * sizeof *table->slots);
    table->mask = size - 1;
    memcpy(table->key, store->key, sizeof table->key);
    void *value;
    for (size_t i = 0; strmap_next(store->entries, &i, &(const void *){NULL}, NULL, &value);) {
        struct overlay_entry *entry = value;
        uint32_t at = (uint32_t)entry->hash & table->mask;
        while (table->slots[at])
            at = (at + 1) & table->mask;
        table->slots[at] = entry;
        entry->refs++;
    }
    return table;
}

static void table_free(void *arg)
{
    struct overlay *table = arg;
    for (uint32_t i = 0; i <= table->mask; i++)
        if (table->slots[i])
            entry_unref(table->slots[i]);
    free(table);
}

void overlay_publish(struct overlay_store *store)
{
    if (!store->changed)
        return;
    store->changed = false;
    struct overlay *old =
        atomic_exchange_explicit(&store->slot->current, table_new(store), memory_order_acq_rel);
    if (old)
        rcu_defer(table_free, old);
    rcu_poll();
}

void overlay_store_free(struct overlay_store *store)
{
    if (!store)
        return;
    struct overlay *old = atomic_exchange_explicit(&store->slot->current, NULL, memory_order_acq_rel);
    if (old)
        rcu_defer(table_free, old);
    rcu_barrier();
    strmap_free(store->entries, entry_unref);
    free(store);
}

/* --- looking up ------------------------------------------------------------------------------------- */

const struct overlay_entry *overlay_find(const struct overlay *overlay, const struct ask_question *question)
{
    if (!overlay)
        return NULL;
    uint64_t hash = hash_question(question, overlay->key);
    for (uint32_t at = (uint32_t)hash & overlay->mask; overlay->slots[at]; at = (at + 1) & overlay->mask)
        if (overlay->slots[at]->hash == hash && ask_question_equal(&overlay->slots[at]->question, question))
            return overlay->slots[at];
    return NULL;
}

const struct zone_owner *overlay_owner(const struct overlay_entry *entry)
{
    return (const struct zone_owner *)entry->owner;
}

struct overlay_state *overlay_state(const struct overlay_entry *entry)
{
    return entry->state;
}

bool overlay_by_address(const struct overlay_entry *entry)
{
    return entry->by_address;
}

bool overlay_scoped(const struct overlay_entry *entry)
{
    return entry->scoped;
}
