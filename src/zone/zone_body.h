/* A zone version in memory. */
#pragma once

#include "lictor/zone.h"
#include "trie.h"

struct zone {
    struct trie trie;
    struct trie nsec3; /* the owners of NSEC3 once more, in the order of their hashes; see zone_denial.c */
    const uint8_t *nsec3param; /* RDATA, in a piece: the chain that is complete; NULL: none */
    bool is_signed;
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

static inline const struct owner *owner_of(const struct zone_owner *owner)
{
    return (const struct owner *)owner;
}

/* Is it a hashed name, which has NSEC3 and nothing else? No question reaches it (RFC 5155 section 7.2.8). */
static inline bool is_hashed(const struct zone *zone, const struct owner *owner)
{
    return zone->nsec3.root.ptr && owner_is_hashed(owner);
}

/* Puts an owner that has, or had, NSEC3 in or out of that index. */
void nsec3_index(struct zone *zone, const struct trie_key *key, const struct owner *old, struct owner *next);
/* What signing says about the whole zone, once its owners are as they will be. */
void note_signing(struct zone *zone);

static inline bool has_asterisk(const uint8_t *name)
{
    for (; *name; name += 1 + *name)
        if (name[0] == 1 && name[1] == '*')
            return true;
    return false;
}
