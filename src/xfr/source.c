#include "source.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <stdlib.h>

/* What comes next. A transfer begins and ends with the SOA of the version that it leads to. */
enum step {
    STEP_FIRST_SOA,
    STEP_ZONE,
    STEP_REMOVED, /* of a difference: the old SOA, then what went */
    STEP_ADDED,   /* the new SOA, then what came */
    STEP_LAST_SOA,
    STEP_END,
};

struct source {
    struct zone *zone; /* a reference */
    enum step step, after_soa;
    struct record due;
    /* of a whole zone */
    struct zone_cursor *cursor;
    const struct piece *piece;
    const uint8_t *owner;
    uint32_t record;
    /* of differences: held by the zone's history */
    size_t difference, at;
};

static void advance(struct source *source);

static struct record record_of(const uint8_t *owner, const struct piece *piece, uint32_t i)
{
    uint16_t type = piece_type(piece);
    struct rdata rdata = piece_rdata(piece, i);
    return (struct record){owner, type, rdata_ttl(type, piece_ttl(piece), &rdata), rdata};
}

static struct source *source_new(struct zone *zone, enum step after_soa)
{
    struct source *source = xcalloc(1, sizeof *source);
    source->zone = zone_ref(zone);
    source->step = STEP_FIRST_SOA;
    source->after_soa = after_soa;
    source->due = record_of(zone_apex(zone), zone_soa(zone), 0);
    return source;
}

struct source *source_soa(struct zone *zone)
{
    return source_new(zone, STEP_END);
}

struct source *source_whole(struct zone *zone)
{
    struct source *source = source_new(zone, STEP_ZONE);
    source->cursor = zone_cursor_new(zone);
    return source;
}

struct source *source_differences(struct zone *zone, uint32_t serial)
{
    const struct history *history = zone_history(zone);
    size_t records = 0, first = history ? history_find(history, serial) : 0;
    if (!history || first == history_count(history))
        return NULL;
    for (size_t i = first; i < history_count(history); i++) {
        const struct difference *difference = history_difference(history, i);
        records +=
            difference_count(difference, DIFFERENCE_REMOVED) + difference_count(difference, DIFFERENCE_ADDED);
    }
    if (records > zone_records(zone)) /* RFC 1995 section 2: then the zone itself is the shorter way */
        return NULL;
    struct source *source = source_new(zone, STEP_REMOVED);
    source->difference = first;
    return source;
}

void source_free(struct source *source)
{
    if (!source)
        return;
    zone_cursor_free(source->cursor);
    zone_unref(source->zone);
    free(source);
}

static void last_soa(struct source *source)
{
    source->step = STEP_LAST_SOA;
    source->due = record_of(zone_apex(source->zone), zone_soa(source->zone), 0);
}

static void next_of_zone(struct source *source)
{
    for (;;) {
        if (source->piece && source->record < piece_count(source->piece)) {
            source->due = record_of(source->owner, source->piece, source->record++);
            return;
        }
        source->piece = zone_cursor_next(source->cursor, &source->owner);
        source->record = 0;
        if (!source->piece) {
            last_soa(source);
            return;
        }
        if (source->piece == zone_soa(source->zone))
            source->record = piece_count(source->piece); /* it stands at both ends, and nowhere else */
    }
}

static void next_of_difference(struct source *source)
{
    const struct history *history = zone_history(source->zone);
    for (;;) {
        if (source->difference == history_count(history)) {
            last_soa(source);
            return;
        }
        enum difference_side side = source->step == STEP_REMOVED ? DIFFERENCE_REMOVED : DIFFERENCE_ADDED;
        const struct difference *difference = history_difference(history, source->difference);
        if (source->at < difference_count(difference, side)) {
            struct difference_record record = difference_record(difference, side, source->at++);
            source->due = (struct record){record.owner, record.type, record.ttl, record.rdata};
            return;
        }
        source->at = 0;
        source->difference += side == DIFFERENCE_ADDED;
        source->step = side == DIFFERENCE_ADDED ? STEP_REMOVED : STEP_ADDED;
    }
}

static void advance(struct source *source)
{
    switch (source->step) {
    case STEP_FIRST_SOA:
        source->step = source->after_soa;
        if (source->step != STEP_END)
            advance(source);
        return;
    case STEP_ZONE:
        next_of_zone(source);
        return;
    case STEP_REMOVED:
    case STEP_ADDED:
        next_of_difference(source);
        return;
    default:
        source->step = STEP_END;
    }
}

const struct record *source_peek(const struct source *source)
{
    return source->step == STEP_END ? NULL : &source->due;
}

void source_advance(struct source *source)
{
    advance(source);
}
