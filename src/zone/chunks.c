/* Memory in large pieces. */
#include "zone/chunks.h"

#include "lictor/xalloc.h"

#include <assert.h>
#include <stdlib.h>

uint32_t chunks_add(struct chunks *chunks, size_t len)
{
    struct chunk *last = chunks->count ? chunks->list[chunks->count - 1] : NULL;
    assert(len <= sizeof last->data);
    len = (len + 3) & ~(size_t)3;
    if (!last || last->used + len > sizeof last->data) {
        assert(chunks->count < UINT32_MAX / (CHUNK_SIZE / 4));
        if (last && !last->live) {
            free(last);
            chunks->list[chunks->count - 1] = NULL;
        }
        if (chunks->count == chunks->cap) {
            chunks->cap = chunks->cap ? 2 * chunks->cap : 16;
            chunks->list = xrealloc(chunks->list, chunks->cap * sizeof(struct chunk *));
        }
        last = chunks->list[chunks->count++] = xmalloc(sizeof *last);
        last->live = last->used = 0;
    }
    uint32_t number = (chunks->count - 1) * (CHUNK_SIZE / 4) + last->used / 4;
    last->used += (uint32_t)len;
    last->live++;
    return number;
}

void chunks_give_back(struct chunks *chunks, uint32_t number)
{
    struct chunk **chunk = &chunks->list[number / (CHUNK_SIZE / 4)];
    assert((*chunk)->live > 0);
    if (--(*chunk)->live || chunk == &chunks->list[chunks->count - 1])
        return;
    free(*chunk);
    *chunk = NULL;
}

void chunks_free(struct chunks *chunks)
{
    for (uint32_t i = 0; i < chunks->count; i++)
        free(chunks->list[i]);
    free(chunks->list);
}
