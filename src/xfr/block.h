/* Blocks of serials: which a reign may use. Pure. */
#pragma once

#include "lictor/buf.h"
#include "lictor/clock.h"
#include "lictor/err.h"

#include <stdbool.h>
#include <stdint.h>

/* At one cut a second, some 34 minutes until the next half is reserved. A takeover jumps over at most so
 * many. */
#define BLOCK_SIZE 4096

/* What is reserved: `start` is where the reign that reserved it began, `end` the last serial it may use. */
struct block {
    uint32_t start, end;
    bool known;
};

/* The later of both, in that order. */
uint32_t serial_latest(uint32_t a, uint32_t b);

/* Another reign's block: above everything that was ever reserved (what Consul or the disk says, and what this
 * instance has seen), and no earlier than the time, so that it rises even if both were lost. */
struct block block_next(const struct block *stored, const struct block *seen, nstime now_real);
/* The same reign goes on. */
struct block block_longer(const struct block *own);

/* {"start":..,"end":..}, as it stands in Consul and in state-dir. */
void block_encode(const struct block *block, struct buf *out);
/* Returns 0, or -1 with err. */
int block_decode(const void *data, size_t len, struct block *out, struct err *err);
