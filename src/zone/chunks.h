/* Small things of many sizes, in large pieces of memory, known by numbers of 32 bits; given back in about the
 * order in which they came, so that what is made of them can have their memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CHUNK_SIZE (UINT32_C(1) << 17) /* octets; the longest thing, a record, is half of it */

struct chunk {
    uint32_t live; /* things in it that were not given back */
    uint32_t used; /* octets */
    uint32_t data[CHUNK_SIZE / 4 - 2];
};

struct chunks {
    struct chunk **list; /* NULL: all of it was given back */
    uint32_t count, cap;
};

/* Room for len octets, aligned for uint32_t. Its number is never UINT32_MAX. */
uint32_t chunks_add(struct chunks *chunks, size_t len);
void chunks_give_back(struct chunks *chunks, uint32_t number);
void chunks_free(struct chunks *chunks);

static inline void *chunks_at(const struct chunks *chunks, uint32_t number)
{
    return chunks->list[number / (CHUNK_SIZE / 4)]->data + number % (CHUNK_SIZE / 4);
}
