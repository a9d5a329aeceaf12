/* Edits: the next version of a zone, and whether it may be served. */
#include "zone_body.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct zone_edit {
    struct zone *next; /* not shared yet; its trie shares with the base */
};

static struct zone_edit *edit_of(struct zone *next)
{
    struct zone_edit *edit = xmalloc(sizeof *edit);
    edit->next = next;
    atomic_init(&next->refs, 1);
    return edit;
}

struct zone_edit *zone_edit_new(const uint8_t *apex, enum zone_kind kind, struct zone_state *state,
                                zone_miss_fn *miss, const void *miss_arg)
{
    struct zone *zone = xcalloc(1, sizeof *zone);
    zone->kind = kind;
    zone->state = state;
    zone->miss = miss;
    zone->miss_arg = miss_arg;
    zone->apex_len = (uint8_t)name_lower(apex, zone->apex);
    zone->apex_labels = (uint8_t)name_labels(apex);
    return edit_of(zone);
}

void zone_edit_set_origins(struct zone_edit *edit, struct zone_origins *origins)
{
    edit->next->origins = origins;
}

void zone_edit_set_manner(struct zone_edit *edit, const struct zone_manner *manner)
{
    edit->next->manner = *manner;
}

struct zone_edit *zone_edit_begin(const struct zone *base)
{
    zone_reap();
    struct zone *zone = xcalloc(1, sizeof *zone);
    /* Counts in the shared parts are the builder's, whatever const the caller has. */
    zone->trie = trie_share((struct trie *)(uintptr_t)&base->trie);
    zone->nsec3 = trie_share((struct trie *)(uintptr_t)&base->nsec3);
    zone->kind = base->kind;
    zone->state = base->state;
    zone->manner = base->manner;
    zone->origins = base->origins;
    zone->miss = base->miss;
    zone->miss_arg = base->miss_arg;
    zone->names = base->names;
    zone->records = base->records;
    zone->wildcards = base->wildcards;
    zone->soa = base->soa;
    zone->apex_len = base->apex_len;
    zone->apex_labels = base->apex_labels;
    memcpy(zone->apex, base->apex, base->apex_len);
    return edit_of(zone);
}

/* The lower-case name of an owner and its key; false if it lies outside. */
struct place {
    uint8_t name[NAME_MAX_WIRE];
    size_t len;
    struct trie_key key;
};

static bool place_find(const struct zone *zone, const uint8_t *owner, struct place *place)
{
    if (!name_is_under(owner, zone->apex))
        return false;
    place->len = name_lower(owner, place->name);
    trie_key(place->name, place->len, zone->apex_len, &place->key);
    return true;
}

static unsigned flags_of(const struct zone *zone, const struct owner *owner)
{
    unsigned flags = owner_get(owner, DNS_DNAME) ? TRIE_DNAME : 0;
    if (owner->name_len != zone->apex_len && owner_get(owner, DNS_NS))
        flags |= TRIE_CUT;
    return flags;
}

static void note_soa(struct zone *zone, const struct place *place, uint16_t type, const struct piece *piece)
{
    if (place->len == zone->apex_len && (type == DNS_SOA || type == DNS_ANY))
        zone->soa = piece;
}

int zone_edit_put(struct zone_edit *edit, const uint8_t *owner, struct piece *piece, struct err *err)
{
    struct zone *zone = edit->next;
    struct place place;
    if (!place_find(zone, owner, &place)) {
        char text[NAME_MAX_TEXT], apex[NAME_MAX_TEXT];
        return err_set(err, "%.200s lies outside of the zone %.200s", name_to_text(owner, text),
                       name_to_text(zone->apex, apex));
    }
    struct owner *old = trie_get(&zone->trie, &place.key, place.name, place.len);
    const struct piece *replaced = old ? owner_get(old, piece_type(piece)) : NULL;
    zone->records += piece_count(piece);
    zone->records -= replaced ? piece_count(replaced) : 0;
    if (!old) {
        zone->names++;
        zone->wildcards += has_asterisk(place.name);
    }
    struct owner *next = owner_with(old, place.name, place.len, piece);
    nsec3_index(zone, &place.key, old, next);
    trie_put(&zone->trie, &place.key, next, flags_of(zone, next), zone->apex_len);
    note_soa(zone, &place, piece_type(piece), piece);
    return 0;
}

bool zone_edit_remove(struct zone_edit *edit, const uint8_t *owner, uint16_t type)
{
    struct zone *zone = edit->next;
    struct place place;
    if (!place_find(zone, owner, &place))
        return false;
    struct owner *old = trie_get(&zone->trie, &place.key, place.name, place.len);
    if (!old || (type != DNS_ANY && !owner_get(old, type)))
        return false;
    for (unsigned i = 0; i < old->count; i++)
        if (type == DNS_ANY || owner_types(old)[i] == type)
            zone->records -= piece_count(old->pieces[i]);
    struct owner *next = type == DNS_ANY ? NULL : owner_without(old, type);
    nsec3_index(zone, &place.key, old, next);
    if (next) {
        trie_put(&zone->trie, &place.key, next, flags_of(zone, next), zone->apex_len);
    } else {
        zone->names--;
        zone->wildcards -= has_asterisk(place.name);
        trie_remove(&zone->trie, &place.key, place.name, place.len);
    }
    note_soa(zone, &place, type, NULL);
    return true;
}

const struct piece *zone_edit_get(const struct zone_edit *edit, const uint8_t *owner, uint16_t type)
{
    struct place place;
    if (!place_find(edit->next, owner, &place))
        return NULL;
    const struct owner *found = trie_get(&edit->next->trie, &place.key, place.name, place.len);
    return found ? owner_get(found, type) : NULL;
}

bool zone_edit_has_other(const struct zone_edit *edit, const uint8_t *owner, uint16_t type)
{
    struct place place;
    if (!place_find(edit->next, owner, &place))
        return false;
    const struct owner *found = trie_get(&edit->next->trie, &place.key, place.name, place.len);
    for (unsigned i = 0; found && i < found->count; i++) {
        uint16_t other = owner_types(found)[i];
        if (other != type && other != DNS_RRSIG && other != DNS_NSEC)
            return true;
    }
    return false;
}

struct zone *zone_edit_commit(struct zone_edit *edit)
{
    struct zone *zone = edit->next;
    free(edit);
    note_signing(zone);
    zone_reap();
    return zone;
}

void zone_edit_abort(struct zone_edit *edit)
{
    zone_unref(zone_edit_commit(edit));
    zone_reap();
}
