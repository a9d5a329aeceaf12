#include "rrset.h"

#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

static struct record *item(const struct records *records, size_t i)
{
    return (struct record *)records->items.data + i;
}

static size_t count_of(const struct records *records)
{
    return records->items.len / sizeof(struct record);
}

void records_add(struct records *records, const void *data, size_t len, uint16_t weight,
                 const struct address *extra)
{
    struct record record = {.offset = (uint32_t)records->bytes.len,
                            .rank = (uint32_t)count_of(records),
                            .len = (uint16_t)len,
                            .weight = weight};
    if (extra && extra->kind != ADDRESS_HOST)
        record.extra = *extra;
    buf_append(&records->bytes, data, len);
    buf_append(&records->items, &record, sizeof(record));
}

void records_clear(struct records *records)
{
    records->bytes.len = records->items.len = 0;
}

void records_drop(struct records *records)
{
    buf_free(&records->bytes);
    buf_free(&records->items);
}

struct order {
    const uint8_t *bytes;
    size_t skip; /* octets at the front that do not make a record another one: SRV's priority and weight */
};

static int compare_identity(const struct order *order, const struct record *a, const struct record *b)
{
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    return memcmp(order->bytes + a->offset + order->skip, order->bytes + b->offset + order->skip,
                  a->len - order->skip);
}

/* The one that stays comes first: the highest weight, for SRV within the lowest (best) priority. */
static int compare_merit(const struct order *order, const struct record *a, const struct record *b)
{
    const uint8_t *x = order->bytes + a->offset, *y = order->bytes + b->offset;
    int priority = order->skip ? memcmp(x, y, 2) : 0, weight = order->skip ? memcmp(y + 2, x + 2, 2) : 0;
    return priority ? priority : weight ? weight : (a->weight < b->weight) - (a->weight > b->weight);
}

static int compare_records(const void *a, const void *b, void *arg)
{
    const struct order *order = arg;
    const struct record *x = a, *y = b;
    int identity = compare_identity(order, x, y), merit = identity ? identity : compare_merit(order, x, y);
    return merit ? merit : (x->rank > y->rank) - (x->rank < y->rank);
}

static int compare_ranks(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

/* Of equal records one stays: two processes at one address are one address to who asks for A, and a plain
 * service stays a plain one. It stands where the first of them stood. */
static void fold(struct records *records, const struct piece_spec *spec)
{
    size_t count = count_of(records), kept = 0;
    struct order order = {.bytes = records->bytes.data, .skip = spec->type == DNS_SRV ? 4 : 0};
    if (count > 1)
        qsort_r(item(records, 0), count, sizeof(struct record), compare_records, &order);
    for (size_t i = 0; i < count; i++) {
        struct record *last = item(records, kept - (kept > 0)), *next = item(records, i);
        if (kept == 0 || compare_identity(&order, last, next) != 0)
            *item(records, kept++) = *next;
        else if (next->rank < last->rank)
            last->rank = next->rank;
    }
    records->items.len = kept * sizeof(struct record);
    if (spec->keep_order && kept > 1)
        qsort(item(records, 0), kept, sizeof(struct record), compare_ranks);
}

static void digest(const struct records *records, const struct piece_spec *spec, uint8_t out[DIGEST_LEN])
{
    struct buf input = {0};
    uint32_t head[5] = {spec->type, spec->ttl, spec->answers, spec->origin, spec->keep_order};
    buf_append(&input, head, sizeof(head));
    for (size_t i = 0; i < count_of(records); i++) {
        const struct record *record = item(records, i);
        uint16_t fields[3] = {record->len, record->weight, record->extra.kind};
        buf_append(&input, fields, sizeof(fields));
        buf_append(&input, record->extra.ip, sizeof(record->extra.ip));
        buf_append(&input, records->bytes.data + record->offset, record->len);
    }
    uint8_t hash[SHA256_DIGEST_LENGTH];
    SHA256(input.data, input.len, hash);
    memcpy(out, hash, DIGEST_LEN);
    buf_free(&input);
}

static struct piece *compile(const struct records *records, struct piece_spec *spec, uint32_t extra_ttl)
{
    size_t count = count_of(records);
    struct rdata *rdata = xcalloc(count, sizeof(*rdata));
    struct piece_extra *extra = xcalloc(count, sizeof(*extra));
    spec->extra_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct record *record = item(records, i);
        rdata[i] = (struct rdata){
            .data = records->bytes.data + record->offset,
            .len = record->len,
            .weight = record->weight,
        };
        if (record->extra.kind == ADDRESS_NONE)
            continue;
        bool v4 = record->extra.kind == ADDRESS_IPV4;
        extra[spec->extra_count++] = (struct piece_extra){
            .record = (uint32_t)i,
            .type = v4 ? DNS_A : DNS_AAAA,
            .ttl = extra_ttl,
            .rdata = {.data = record->extra.ip, .len = v4 ? 4 : 16},
        };
    }
    spec->rdata = rdata;
    spec->count = (uint32_t)count;
    spec->extra = extra;
    struct err err;
    struct piece *piece = piece_new(spec, &err);
    if (!piece)
        log_warn("catalog: an RRset of %zu records: %s", count, err.text);
    free(rdata);
    free(extra);
    return piece;
}

void rrset_make(struct records *records, struct piece_spec *spec, uint32_t extra_ttl, struct strmap *known,
                struct rrset *out)
{
    memset(out, 0, sizeof(*out));
    if (count_of(records) == 0)
        return;
    fold(records, spec);
    digest(records, spec, out->digest);
    out->piece = strmap_get(known, out->digest, DIGEST_LEN);
    if (out->piece) {
        piece_ref(out->piece);
        return;
    }
    out->piece = compile(records, spec, extra_ttl);
    if (out->piece)
        strmap_put(known, out->digest, DIGEST_LEN, out->piece);
}
