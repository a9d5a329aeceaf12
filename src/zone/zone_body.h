/* A zone version in memory. */
#pragma once

#include "lictor/zone.h"
#include "trie.h"

struct zone {
    struct trie trie;
    _Atomic uint32_t refs;
    enum zone_kind kind;
    struct zone_state *state;
    struct zone_manner manner;
    struct zone_origins *origins;
    zone_miss_fn *miss;
    const void *miss_arg;
    struct zone *transfer; /* NULL: none of its own */
    struct history *history;
    struct zone *next_dead; /* in the list of versions to be freed */
    size_t names;
    size_t records;
    size_t
        wildcards; /* owners with an asterisk label anywhere: without one nobody need look for a wildcard */
    const struct piece *soa;
    uint8_t apex_len;
    uint8_t apex_labels;
    uint8_t apex[NAME_MAX_WIRE];
};

/* Public names of the leaf type. */
static inline const struct zone_owner *zone_owner_of(const struct owner *owner)
{
    return (const struct zone_owner *)owner;
}

static inline bool has_asterisk(const uint8_t *name)
{
    for (; *name; name += 1 + *name)
        if (name[0] == 1 && name[1] == '*')
            return true;
    return false;
}
