#include "lictor/history.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* Octets of a record in memory, about: enough to compare a history with its zone. */
#define RECORD_SIZE  64
#define HISTORY_SIZE (1024 * 1024)

struct history {
    _Atomic uint32_t refs;
    size_t count;
    struct difference *items[]; /* oldest first */
};

size_t history_size_for(size_t records)
{
    size_t half = records * RECORD_SIZE / 2;
    return half > HISTORY_SIZE ? half : HISTORY_SIZE;
}

struct history *history_add(const struct history *before, struct difference *difference, size_t max_size)
{
    size_t count = before ? before->count : 0, kept = 0, size = difference_size(difference);
    if (count && difference_to(before->items[count - 1]) != difference_from(difference))
        count = 0; /* a gap: nobody gets across it */
    while (kept < count && kept + 1 < HISTORY_DIFFERENCES_MAX) {
        size += difference_size(before->items[count - kept - 1]);
        if (size > max_size)
            break;
        kept++;
    }
    struct history *history = xmalloc(sizeof *history + (kept + 1) * sizeof *history->items);
    atomic_init(&history->refs, 1);
    for (size_t i = 0; i < kept; i++)
        history->items[i] = difference_ref(before->items[count - kept + i]);
    history->items[kept] = difference_ref(difference);
    history->count = kept + 1;
    return history;
}

int history_continue(const struct zone *before, struct zone *next)
{
    struct history *history = (struct history *)(uintptr_t)zone_history(before); /* only its count changes */
    if (!zone_soa(before) || !zone_soa(next))
        return 0;
    struct difference *difference = difference_between(before, next);
    bool empty = difference_empty(difference), rose = serial_is_later(zone_serial(next), zone_serial(before));
    if (rose)
        zone_set_history(next, history_add(history, difference, history_size_for(zone_records(next))));
    else if (empty && history)
        zone_set_history(next, history_ref(history));
    difference_unref(difference);
    return rose || empty ? 0 : -1;
}

struct history *history_ref(struct history *history)
{
    uint32_t before = atomic_fetch_add_explicit(&history->refs, 1, memory_order_relaxed);
    assert(before > 0);
    return history;
}

void history_unref(struct history *history)
{
    if (!history || atomic_fetch_sub_explicit(&history->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < history->count; i++)
        difference_unref(history->items[i]);
    free(history);
}

size_t history_count(const struct history *history)
{
    return history->count;
}

const struct difference *history_difference(const struct history *history, size_t i)
{
    return history->items[i];
}

size_t history_find(const struct history *history, uint32_t serial)
{
    /* The newest that begins there: the shortest way, should a serial ever have come twice. */
    for (size_t i = history->count; i-- > 0;)
        if (difference_from(history->items[i]) == serial)
            return i;
    return history->count;
}
