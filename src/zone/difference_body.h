/* A difference in memory, and how its parts make one. */
#pragma once

#include "lictor/difference.h"

#include "lictor/wire.h"

#include <stdatomic.h>

/* One side: records one behind the other, as they are encoded too. */
struct difference_list {
    struct buf octets; /* owner, type 2, TTL 4, RDLENGTH 2, RDATA */
    uint32_t *at;      /* where each begins */
    size_t count, cap;
};

#define DIFFERENCE_FIXED 8 /* octets of a record besides its owner and RDATA */

struct difference {
    _Atomic uint32_t refs;
    uint32_t from, to;
    struct difference_list side[2]; /* by enum difference_side */
};

struct difference *difference_new(uint32_t from, uint32_t to); /* empty */
void difference_add(struct difference *difference, enum difference_side side,
                    const struct difference_record *record);
/* Drops the spare room. */
void difference_trim(struct difference *difference);

/* The order of one side. Two SOAs compare as such only at one apex, which every difference has one of. */
int difference_order(const struct difference_record *a, const struct difference_record *b);
/* The same with the TTL as the last word: equal means the same record. */
int difference_order_ttl(const struct difference_record *a, const struct difference_record *b);
