/* Pieces: lifetime, reading, comparing, redrawing. */
#include "piece_body.h"

#include "lictor/dns.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <stdlib.h>

/* Type covered 2, algorithm 1, labels 1 (RFC 4034 section 3.1). */
#define RRSIG_ORIGINAL_TTL 4

struct piece *piece_ref(struct piece *piece)
{
    assert(piece->refs > 0);
    piece->refs++;
    return piece;
}

void piece_unref(struct piece *piece)
{
    assert(piece->refs > 0);
    if (!--piece->refs)
        free(piece);
}

uint16_t piece_type(const struct piece *piece)
{
    return piece->type;
}

uint32_t piece_ttl(const struct piece *piece)
{
    return piece->ttl;
}

uint32_t rdata_ttl(uint16_t type, uint32_t ttl, const struct rdata *rdata)
{
    if (type != DNS_RRSIG || rdata->len < RRSIG_ORIGINAL_TTL + 4)
        return ttl;
    uint32_t original = get32(rdata->data + RRSIG_ORIGINAL_TTL);
    return original > INT32_MAX ? 0 : original; /* RFC 2181 section 8 */
}

uint32_t piece_count(const struct piece *piece)
{
    return piece->count;
}

uint8_t piece_origin(const struct piece *piece)
{
    return piece->origin;
}

struct rdata piece_rdata(const struct piece *piece, uint32_t i)
{
    assert(i < piece->count);
    const uint8_t *record = piece_record(piece, i);
    return (struct rdata){.data = record + PIECE_RDATA,
                          .len = get16(record + 10),
                          .weight =
                              piece->weights ? ((const uint16_t *)piece_at(piece, piece->weights))[i] : 0};
}
/* --- comparison and redrawing ------------------------------------------------------------------------- */

static int by_record(const void *a, const void *b, void *arg)
{
    const struct piece *piece = arg;
    struct rdata x = piece_rdata(piece, *(const uint32_t *)a), y = piece_rdata(piece, *(const uint32_t *)b);
    return rdata_compare(&x, &y);
}

static uint32_t *sorted_records(const struct piece *piece)
{
    uint32_t *sorted = xmalloc(piece->count * sizeof *sorted);
    for (uint32_t i = 0; i < piece->count; i++)
        sorted[i] = i;
    qsort_r(sorted, piece->count, sizeof *sorted, by_record, (void *)(uintptr_t)piece);
    return sorted;
}

static const uint8_t *extras_of(const struct piece *piece, uint32_t record, size_t *len)
{
    const uint32_t *table = piece_at(piece, piece->extra_table);
    uint32_t at = table[record] & ~EXTRA_REPEATED;
    *len = (table[record + 1] & ~EXTRA_REPEATED) - at;
    return (const uint8_t *)piece_at(piece, piece->extra_wire) + at;
}

static bool record_equal(const struct piece *a, uint32_t i, const struct piece *b, uint32_t j)
{
    struct rdata x = piece_rdata(a, i), y = piece_rdata(b, j);
    if (rdata_compare(&x, &y) || x.weight != y.weight)
        return false;
    if (!a->extra_table)
        return true;
    size_t len, other;
    const uint8_t *in_a = extras_of(a, i, &len), *in_b = extras_of(b, j, &other);
    return len == other && !memcmp(in_a, in_b, len);
}

bool piece_equal(const struct piece *a, const struct piece *b)
{
    if (a == b)
        return true;
    if (a->type != b->type || a->ttl != b->ttl || a->count != b->count || a->take != b->take ||
        a->keep_order != b->keep_order || !a->weights != !b->weights || !a->extra_table != !b->extra_table)
        return false;
    if (a->count == 1)
        return record_equal(a, 0, b, 0);
    for (uint32_t i = 0; a->keep_order && i < a->count; i++)
        if (!record_equal(a, i, b, i))
            return false;
    uint32_t *in_a = sorted_records(a), *in_b = sorted_records(b);
    bool equal = true;
    for (uint32_t i = 0; equal && i < a->count; i++)
        equal = record_equal(a, in_a[i], b, in_b[i]);
    free(in_a);
    free(in_b);
    return equal;
}

bool piece_wants_redraw(struct piece *piece)
{
    return piece->orders && atomic_exchange_explicit(&piece->asked, false, memory_order_relaxed);
}

bool piece_take_used(struct piece *piece)
{
    return atomic_load_explicit(&piece->used, memory_order_relaxed) &&
           atomic_exchange_explicit(&piece->used, false, memory_order_relaxed);
}

struct piece *piece_redraw(const struct piece *piece, struct rng *rng)
{
    struct piece *copy = xmalloc(piece->size);
    /* All but `asked` and `used`, which workers may be writing. */
    memcpy(copy, piece, offsetof(struct piece, asked));
    memcpy(copy + 1, piece + 1, piece->size - sizeof *piece);
    copy->refs = 1;
    atomic_init(&copy->asked, false);
    atomic_init(&copy->used, atomic_load_explicit(&piece->used, memory_order_relaxed));
    if (copy->orders)
        piece_draw(copy, rng);
    return copy;
}
