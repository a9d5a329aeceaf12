/* Records into a message. Owners are compressed against the one before, which in canonical order leaves
 * little to gain elsewhere; RDATA stands as it is. */
#pragma once

#include "lictor/name.h"
#include "lictor/piece.h"

struct record {
    const uint8_t *owner;
    uint16_t type;
    uint32_t ttl;
    struct rdata rdata;
};

struct writer {
    uint8_t *out;
    size_t pos, limit;
    unsigned records;
    /* The owner written last, and where in the message its last n labels stand; 0: out of a pointer's reach.
     */
    unsigned labels;
    uint16_t suffix_at[NAME_MAX_LABELS + 1];
    uint8_t name[NAME_MAX_WIRE];
};

/* Goes on at out[pos], up to out[limit]. question_at: where in out the question's name stands, uncompressed;
 * 0: none. */
void writer_begin(struct writer *writer, uint8_t *out, size_t pos, size_t limit, size_t question_at);
/* Returns whether it fitted; if not, nothing is written. */
bool writer_put(struct writer *writer, const struct record *record);
