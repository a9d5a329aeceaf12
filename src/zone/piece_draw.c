/* Weighted orders: sampling without replacement, each draw by the weights of what is left. */
#include "piece_body.h"

#include "lictor/xalloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Weights as a tree of partial sums (Fenwick): drawing and removing one is O(log n), and exact. */
struct urn {
    uint64_t *sum;       /* 1-based */
    uint32_t count, top; /* top: the highest power of two not above count */
    uint64_t total;
};

static void urn_fill(struct urn *urn, const uint16_t *weights)
{
    urn->total = 0;
    memset(urn->sum, 0, (urn->count + 1) * sizeof *urn->sum);
    for (uint32_t i = 1; i <= urn->count; i++) {
        urn->sum[i] += weights[i - 1];
        urn->total += weights[i - 1];
        uint32_t parent = i + (i & -i);
        if (parent <= urn->count)
            urn->sum[parent] += urn->sum[i];
    }
}

/* Takes one out; total > 0. Returns its number. */
static uint32_t urn_draw(struct urn *urn, const uint16_t *weights, struct rng *rng)
{
    uint64_t ticket = rng_next(rng) % urn->total; /* total is far below 2^48: the bias is below 2^-16 */
    uint32_t at = 0;
    for (uint32_t step = urn->top; step; step >>= 1)
        if (at + step <= urn->count && urn->sum[at + step] <= ticket) {
            at += step;
            ticket -= urn->sum[at];
        }
    assert(at < urn->count);
    for (uint32_t i = at + 1; i <= urn->count; i += i & -i)
        urn->sum[i] -= weights[at];
    urn->total -= weights[at];
    return at;
}

/* The records of weight 0, in random order, behind all others. */
static void draw_zeros(const uint16_t *weights, uint32_t count, uint32_t *zeros, uint32_t *order,
                       uint32_t room, struct rng *rng)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!weights[i])
            zeros[left++] = i;
    for (uint32_t i = 0; i < room; i++) {
        uint32_t pick = rng_below(rng, left);
        order[i] = zeros[pick];
        zeros[pick] = zeros[--left];
    }
}

void piece_draw(struct piece *piece, struct rng *rng)
{
    const uint16_t *weights = piece_at(piece, piece->weights);
    uint32_t *order = piece_part(piece, piece->orders), length = piece->order_len;
    struct urn urn = {.count = piece->count, .top = 1};
    while (urn.top <= urn.count / 2)
        urn.top *= 2;
    urn.sum = xmalloc((urn.count + 1) * sizeof *urn.sum);
    uint32_t *zeros = xmalloc(urn.count * sizeof *zeros);
    for (unsigned i = 0; i < PIECE_ORDERS; i++, order += length) {
        uint32_t drawn = 0;
        urn_fill(&urn, weights);
        while (drawn < length && urn.total)
            order[drawn++] = urn_draw(&urn, weights, rng);
        if (drawn < length)
            draw_zeros(weights, piece->count, zeros, order + drawn, length - drawn, rng);
    }
    free(zeros);
    free(urn.sum);
}
