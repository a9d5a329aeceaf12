/* Taking a window of a piece: what happens for every answer. */
#include "piece_body.h"

#include "lictor/dns.h"

#include <string.h>

#define RECORD_A    (PIECE_RDATA + 4)
#define RECORD_AAAA (PIECE_RDATA + 16)

/* How many whole records from `from` up to `to` fit into room. */
static uint32_t fitting(const struct piece *piece, uint32_t from, uint32_t to, size_t room)
{
    if (piece->stride) {
        uint32_t fit = (uint32_t)(room / piece->stride);
        return fit < to - from ? fit : to - from;
    }
    const uint32_t *offset = piece_at(piece, piece->offsets);
    uint32_t low = 0, high = to - from;
    if (offset[to] - offset[from] <= room)
        return high;
    while (low < high) {
        uint32_t middle = (low + high + 1) / 2;
        if (offset[from + middle] - offset[from] <= room)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static size_t copy_run(const struct piece *piece, uint32_t from, uint32_t count, uint8_t *out)
{
    size_t len = piece_offset(piece, from + count) - piece_offset(piece, from);
    memcpy(out, piece_record(piece, from), len);
    return len;
}

/* Equal weights: a random start in an order that is random already gives every record the same share. */
static void copy_rotated(const struct piece *piece, struct rng *rng, uint8_t *out, size_t room,
                         struct piece_window *window)
{
    uint32_t start = piece->keep_order ? 0 : rng_below(rng, piece->count);
    uint32_t behind = piece->count - start, first = window->want < behind ? window->want : behind;
    window->start = start;
    window->count = fitting(piece, start, start + first, room);
    window->len = copy_run(piece, start, window->count, out);
    if (window->count == first && first < window->want) {
        uint32_t more = fitting(piece, 0, window->want - first, room - window->len);
        window->len += copy_run(piece, 0, more, out + window->len);
        window->count += more;
    }
}

/* Unequal weights: the head of an order, since a random start would cancel the weights. */
static void copy_ordered(const struct piece *piece, struct rng *rng, uint8_t *out, size_t room,
                         struct piece_window *window)
{
    const uint32_t *order = piece_at(piece, piece->orders);
    order += (size_t)rng_below(rng, PIECE_ORDERS) * piece->order_len;
    uint32_t most = window->want < piece->order_len ? window->want : piece->order_len;
    uint32_t fit = (uint32_t)(room / piece->stride);
    window->count = fit < most ? fit : most;
    window->start = 0;
    const uint8_t *wire = piece_at(piece, piece->wire);
    if (piece->type == DNS_A) /* constant sizes: a few instructions a record */
        for (uint32_t i = 0; i < window->count; i++)
            memcpy(out + (size_t)i * RECORD_A, wire + (size_t)order[i] * RECORD_A, RECORD_A);
    else
        for (uint32_t i = 0; i < window->count; i++)
            memcpy(out + (size_t)i * RECORD_AAAA, wire + (size_t)order[i] * RECORD_AAAA, RECORD_AAAA);
    window->len = (size_t)window->count * piece->stride;
    /* Workers share this line: write it once a redraw, not once a query. */
    if (!atomic_load_explicit(&piece->asked, memory_order_relaxed))
        atomic_store_explicit((_Atomic bool *)&piece->asked, true, memory_order_relaxed);
}

void piece_copy(const struct piece *piece, struct rng *rng, uint32_t most, uint8_t *out, size_t room,
                struct piece_window *window)
{
    if (!atomic_load_explicit(&piece->used, memory_order_relaxed)) /* read first: the line stays shared */
        atomic_store_explicit((_Atomic bool *)&piece->used, true, memory_order_relaxed);
    window->limited = most && most < piece->take;
    window->want = window->limited ? most : piece->take;
    if (piece->count == 1) {
        bool fits = piece->stride <= room;
        window->start = 0;
        window->count = fits;
        window->len = fits ? piece->stride : 0;
        memcpy(out, piece_record(piece, 0), window->len);
    } else if (piece->orders) {
        copy_ordered(piece, rng, out, room, window);
    } else {
        copy_rotated(piece, rng, out, room, window);
    }
}
