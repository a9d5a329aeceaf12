/* Differences: lifetime, reading, joining. */
#include "difference_body.h"
#include "piece_body.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <stdlib.h>

struct difference *difference_new(uint32_t from, uint32_t to)
{
    struct difference *difference = xcalloc(1, sizeof *difference);
    atomic_init(&difference->refs, 1);
    difference->from = from;
    difference->to = to;
    return difference;
}

struct difference *difference_ref(struct difference *difference)
{
    uint32_t before = atomic_fetch_add_explicit(&difference->refs, 1, memory_order_relaxed);
    assert(before > 0);
    return difference;
}

void difference_unref(struct difference *difference)
{
    if (!difference)
        return;
    uint32_t before = atomic_fetch_sub_explicit(&difference->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1)
        return;
    for (unsigned side = 0; side < 2; side++) {
        buf_free(&difference->side[side].octets);
        free(difference->side[side].at);
    }
    free(difference);
}

void difference_add(struct difference *difference, enum difference_side side,
                    const struct difference_record *record)
{
    struct difference_list *list = &difference->side[side];
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 8;
        list->at = xrealloc(list->at, list->cap * sizeof *list->at);
    }
    assert(list->octets.len <= UINT32_MAX);
    list->at[list->count++] = (uint32_t)list->octets.len;
    uint8_t fixed[DIFFERENCE_FIXED];
    put16(fixed, record->type);
    put32(fixed + 2, record->ttl);
    put16(fixed + 6, record->rdata.len);
    buf_append(&list->octets, record->owner, name_len(record->owner));
    buf_append(&list->octets, fixed, sizeof fixed);
    buf_append(&list->octets, record->rdata.data, record->rdata.len);
}

void difference_trim(struct difference *difference)
{
    for (unsigned side = 0; side < 2; side++) {
        struct difference_list *list = &difference->side[side];
        if (!list->count)
            continue;
        list->at = xrealloc(list->at, list->count * sizeof *list->at);
        list->cap = list->count;
        list->octets.data = xrealloc(list->octets.data, list->octets.len);
        list->octets.cap = list->octets.len;
    }
}

/* --- reading -------------------------------------------------------------------------------------- */

uint32_t difference_from(const struct difference *difference)
{
    return difference->from;
}

uint32_t difference_to(const struct difference *difference)
{
    return difference->to;
}

size_t difference_count(const struct difference *difference, enum difference_side side)
{
    return difference->side[side].count;
}

bool difference_empty(const struct difference *difference)
{
    return !difference->side[DIFFERENCE_REMOVED].count && !difference->side[DIFFERENCE_ADDED].count;
}

size_t difference_size(const struct difference *difference)
{
    size_t size = sizeof *difference;
    for (unsigned side = 0; side < 2; side++)
        size += difference->side[side].octets.cap + difference->side[side].cap * sizeof(uint32_t);
    return size;
}

struct difference_record difference_record(const struct difference *difference, enum difference_side side,
                                           size_t i)
{
    const struct difference_list *list = &difference->side[side];
    assert(i < list->count);
    struct difference_record record = {.owner = list->octets.data + list->at[i]};
    const uint8_t *at = record.owner + name_len(record.owner);
    record.type = get16(at);
    record.ttl = get32(at + 2);
    record.rdata = (struct rdata){.data = at + DIFFERENCE_FIXED, .len = get16(at + 6)};
    return record;
}

/* --- order ---------------------------------------------------------------------------------------- */

int difference_order(const struct difference_record *a, const struct difference_record *b)
{
    bool soa = a->type == DNS_SOA;
    if (soa != (b->type == DNS_SOA))
        return soa ? -1 : 1;
    int order = name_compare(a->owner, b->owner);
    if (!order)
        order = (int)a->type - (int)b->type;
    if (order)
        return order;
    return rdata_compare(&a->rdata, &b->rdata);
}

int difference_order_ttl(const struct difference_record *a, const struct difference_record *b)
{
    int order = difference_order(a, b);
    return order ? order : (a->ttl > b->ttl) - (a->ttl < b->ttl);
}

/* --- joining -------------------------------------------------------------------------------------- */

struct source {
    const struct difference *difference;
    enum difference_side side;
    int sign;
    size_t next;
};

static bool peek(const struct source *source, struct difference_record *out)
{
    if (source->next == difference_count(source->difference, source->side))
        return false;
    *out = difference_record(source->difference, source->side, source->next);
    return true;
}

struct difference *difference_join(const struct difference *a, const struct difference *b)
{
    struct difference *out = difference_new(a->from, b->to);
    struct source sources[] = {{a, DIFFERENCE_REMOVED, -1, 0},
                               {a, DIFFERENCE_ADDED, 1, 0},
                               {b, DIFFERENCE_REMOVED, -1, 0},
                               {b, DIFFERENCE_ADDED, 1, 0}};
    for (;;) { /* the least record of all, and how often it came more than it went */
        struct difference_record least = {0}, record;
        for (size_t i = 0; i < 4; i++)
            if (peek(&sources[i], &record) && (!least.owner || difference_order_ttl(&record, &least) < 0))
                least = record;
        if (!least.owner)
            break;
        int net = 0;
        for (size_t i = 0; i < 4; i++)
            if (peek(&sources[i], &record) && !difference_order_ttl(&record, &least)) {
                net += sources[i].sign;
                sources[i].next++;
            }
        if (net)
            difference_add(out, net < 0 ? DIFFERENCE_REMOVED : DIFFERENCE_ADDED, &least);
    }
    difference_trim(out);
    return out;
}

struct difference *difference_reverse(const struct difference *difference)
{
    struct difference *out = difference_new(difference->to, difference->from);
    for (unsigned side = 0; side < 2; side++)
        for (size_t i = 0; i < difference->side[side].count; i++) {
            struct difference_record record = difference_record(difference, side, i);
            difference_add(out, !side, &record);
        }
    difference_trim(out);
    return out;
}
