/* Addresses that go to the additional section with a piece's records: compiled, and copied into replies. */
#include "piece_build.h"

#include "lictor/dns.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <stdlib.h>

static int extra_order(const void *a, const void *b)
{
    const struct sorted_extra *x = a, *y = b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    if (x->extra->type != y->extra->type)
        return (int)x->extra->type - (int)y->extra->type;
    return rdata_compare(&x->extra->rdata, &y->extra->rdata);
}

uint32_t extras_sort(const struct piece_spec *spec, const struct plan *plan, struct sorted_extra *sorted)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < spec->extra_count; i++)
        sorted[i] = (struct sorted_extra){plan->place[spec->extra[i].record], &spec->extra[i]};
    qsort(sorted, spec->extra_count, sizeof *sorted, extra_order);
    for (uint32_t i = 0; i < spec->extra_count; i++)
        if (!kept || extra_order(&sorted[i], &sorted[kept - 1]))
            sorted[kept++] = sorted[i];
    return kept;
}

size_t extras_size(const struct sorted_extra *sorted, uint32_t count)
{
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        size += EXTRA_RDATA + (size_t)sorted[i].extra->rdata.len;
    return size;
}

static int by_target(const void *a, const void *b, void *arg)
{
    struct piece *piece = arg;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    size_t at = PIECE_RDATA + (size_t)dns_rdata_target(piece->type);
    struct rdata p = {.data = piece_record(piece, x) + at}, q = {.data = piece_record(piece, y) + at};
    p.len = (uint16_t)(piece_offset(piece, x + 1) - piece_offset(piece, x) - at);
    q.len = (uint16_t)(piece_offset(piece, y + 1) - piece_offset(piece, y) - at);
    int order = rdata_compare(&p, &q);
    return order ? order : (x > y) - (x < y);
}

/* Marks records whose target stands in an earlier one: its addresses need to be sent once only. */
static void extras_mark_repeated(struct piece *piece)
{
    uint32_t *table = piece_part(piece, piece->extra_table);
    uint32_t *sorted = xmalloc(piece->count * sizeof *sorted);
    size_t at = PIECE_RDATA + (size_t)dns_rdata_target(piece->type);
    for (uint32_t i = 0; i < piece->count; i++)
        sorted[i] = i;
    qsort_r(sorted, piece->count, sizeof *sorted, by_target, piece);
    for (uint32_t i = 1; i < piece->count; i++) {
        const uint8_t *a = piece_record(piece, sorted[i]), *b = piece_record(piece, sorted[i - 1]);
        size_t len = piece_offset(piece, sorted[i] + 1) - piece_offset(piece, sorted[i]);
        size_t other = piece_offset(piece, sorted[i - 1] + 1) - piece_offset(piece, sorted[i - 1]);
        if (len == other && !memcmp(a + at, b + at, len - at))
            table[sorted[i]] |= EXTRA_REPEATED;
    }
    free(sorted);
}

void extras_write(struct piece *piece, const struct sorted_extra *sorted, uint32_t count)
{
    uint32_t *table = piece_part(piece, piece->extra_table), at = 0, next = 0;
    uint8_t *wire = piece_part(piece, piece->extra_wire);
    for (uint32_t i = 0; i < piece->count; i++) {
        table[i] = at;
        for (; next < count && sorted[next].place == i; next++) {
            const struct piece_extra *extra = sorted[next].extra;
            put16(wire + at, extra->type);
            put16(wire + at + 2, DNS_IN);
            put32(wire + at + 4, extra->ttl);
            put16(wire + at + 8, extra->rdata.len);
            memcpy(wire + at + EXTRA_RDATA, extra->rdata.data, extra->rdata.len);
            at += EXTRA_RDATA + (uint32_t)extra->rdata.len;
        }
    }
    table[piece->count] = at;
    extras_mark_repeated(piece);
}

/* --- answering ------------------------------------------------------------------------------------ */

bool piece_has_extra(const struct piece *piece)
{
    return piece->extra_table != 0;
}

size_t piece_copy_extra(const struct piece *piece, const struct piece_window *window, uint8_t *msg,
                        size_t answer_at, size_t pos, size_t limit, unsigned *records)
{
    const uint32_t *table = piece_at(piece, piece->extra_table);
    const uint8_t *wire = piece_at(piece, piece->extra_wire);
    size_t name_at = PIECE_RDATA + (size_t)dns_rdata_target(piece->type);
    for (uint32_t i = 0, record = window->start; i < window->count; i++, record++) {
        if (record == piece->count)
            record = 0;
        size_t owner = answer_at + name_at;
        answer_at += piece_offset(piece, record + 1) - piece_offset(piece, record);
        if (owner > 0x3fff) /* no pointer reaches it (RFC 1035 section 4.1.4) */
            break;
        if (table[record] & EXTRA_REPEATED)
            continue;
        uint32_t at = table[record], end = table[record + 1] & ~EXTRA_REPEATED;
        size_t start = pos;
        unsigned written = 0;
        for (; at < end; written++) {
            size_t len = EXTRA_RDATA + get16(wire + at + 8);
            if (pos + 2 + len > limit)
                break;
            put16(msg + pos, 0xc000u | (unsigned)owner);
            memcpy(msg + pos + 2, wire + at, len);
            pos += 2 + len;
            at += (uint32_t)len;
        }
        if (at < end) /* half of a target's addresses would mislead */
            pos = start;
        else
            *records += written;
    }
    return pos;
}
