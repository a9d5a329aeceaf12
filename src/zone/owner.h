/* An owner name with its RRsets: the leaf of the index. Immutable once shared; counted, by the builder only.
 */
#pragma once

#include "lictor/dns.h"
#include "lictor/piece.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One allocation: the pieces by ascending type, their types (so that looking for one touches no other piece),
 * then the name. */
struct owner {
    uint32_t refs;
    uint16_t count;
    uint8_t name_len;
    uint8_t origin; /* of a piece that has one; 0: all are the zone's own */
    struct piece *pieces[];
};

static inline const uint16_t *owner_types(const struct owner *owner)
{
    return (const uint16_t *)(owner->pieces + owner->count);
}

/* Lower case, wire form. */
static inline const uint8_t *owner_name(const struct owner *owner)
{
    return (const uint8_t *)(owner_types(owner) + owner->count);
}

static inline const struct piece *owner_get(const struct owner *owner, uint16_t type)
{
    const uint16_t *types = owner_types(owner);
    for (unsigned i = 0; i < owner->count; i++)
        if (types[i] == type)
            return owner->pieces[i];
    return NULL;
}

/* Nothing but NSEC3 and its signatures. */
static inline bool owner_is_hashed(const struct owner *owner)
{
    const uint16_t *types = owner_types(owner);
    return owner->count && types[owner->count - 1] == DNS_NSEC3 &&
           (owner->count == 1 || (owner->count == 2 && types[0] == DNS_RRSIG));
}

static inline struct owner *owner_ref(struct owner *owner)
{
    owner->refs++;
    return owner;
}
void owner_unref(struct owner *owner);

/* A new owner like old (NULL: none, of that name) with piece set. */
struct owner *owner_with(const struct owner *old, const uint8_t *lower_name, size_t name_len,
                         struct piece *piece);
/* ... without that type; NULL if nothing would be left. */
struct owner *owner_without(const struct owner *old, uint16_t type);
