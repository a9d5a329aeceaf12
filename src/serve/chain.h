/* A question on its way through aliases: what lookup.c and proof.c share. */
#pragma once

#include "lookup.h"

/* A chain of aliases ends here at the latest; longer ones are mistakes, and cost work. */
#define ALIASES_MAX 16
/* RRsets that one reply proves things with: a wildcard takes one, what is not there three. */
#define PROOFS_MAX (ALIASES_MAX + 4)

/* A name of the chain that a wildcard answered for, which signed zones must prove (RFC 4035 section 3.1.3.3).
 */
struct expansion {
    const struct zone *zone;
    size_t at;                /* where the name stands in the reply */
    unsigned encloser_labels; /* of the name right above the asterisk */
};

struct chain {
    const struct answer_env *env;
    const struct query *query;
    const struct zone *zone;
    struct permit *permit;
    struct reply *reply;
    size_t seen[ALIASES_MAX + 1]; /* where in the reply the names passed so far stand, the present one last */
    unsigned aliases;
    unsigned expansions; /* not proven yet */
    unsigned proofs;     /* written */
    uint32_t most;       /* records of one RRset, by the zone's manner; 0: no limit */
    size_t dropped; /* octets that the name in the reply has more, right before the apex (ZONE_RENAMED) */
    size_t len;     /* of name */
    uint8_t name[NAME_MAX_WIRE]; /* lower case */
    struct expansion expansion[ALIASES_MAX + 1];
    const struct zone_owner *proof[PROOFS_MAX];
};

static inline size_t name_at(const struct chain *chain)
{
    return chain->seen[chain->aliases];
}

/* The last `labels` labels of a name. */
static inline const uint8_t *name_suffix(const uint8_t *name, unsigned labels)
{
    for (unsigned all = name_labels(name); all > labels; all--)
        name += 1 + *name;
    return name;
}

/* Where in the reply the last `labels` labels of the present name begin. */
static inline size_t suffix_at(const struct chain *chain, unsigned labels)
{
    return name_at(chain) + (size_t)(name_suffix(chain->name, labels) - chain->name) + chain->dropped;
}
