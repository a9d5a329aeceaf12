#include "lictor/cuts.h"

#include "targets.h"

#include "lictor/dns.h"
#include "lictor/history.h"
#include "lictor/log.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* Before anything is known of what was shown earlier. RFC 1982 puts it below every time until 2038, which is
 * what serials begin with. */
#define SERIAL_UNKNOWN 1

struct series {
    struct series *next;
    uint8_t apex[NAME_MAX_WIRE];
    struct zone *raw;        /* the latest state, with the catalog's own serial */
    struct zone *version;    /* cut last; NULL: none yet */
    struct zone *cut_raw;    /* the state that it was cut from */
    struct targets *targets; /* what the version holds besides */
    uint32_t shown;          /* in the SOA of answers */
};

struct cuts {
    struct series *first;
    uint32_t floor;
};

struct cuts *cuts_new(void)
{
    struct cuts *cuts = xcalloc(1, sizeof *cuts);
    cuts->floor = SERIAL_UNKNOWN;
    return cuts;
}

static void free_series(struct series *series)
{
    zone_unref(series->raw);
    if (series->version) {
        zone_unref(series->version);
        zone_unref(series->cut_raw);
    }
    targets_free(series->targets);
    free(series);
}

void cuts_free(struct cuts *cuts)
{
    if (!cuts)
        return;
    for (struct series *s = cuts->first, *next; s; s = next) {
        next = s->next;
        free_series(s);
    }
    free(cuts);
    zone_reap();
}

/* --- one zone ------------------------------------------------------------------------------------- */

/* Puts in the SOA of this zone, with another serial. It ends in five numbers, the serial first. */
static void put_soa(struct zone_edit *edit, const struct zone *zone, uint32_t serial)
{
    const struct piece *old = zone_soa(zone);
    struct rdata rdata = piece_rdata(old, 0);
    uint8_t *octets = xmemdup(rdata.data, rdata.len);
    put32(octets + rdata.len - 20, serial);
    rdata.data = octets;
    struct err err;
    struct piece *piece = piece_new(
        &(struct piece_spec){.type = DNS_SOA, .ttl = piece_ttl(old), .rdata = &rdata, .count = 1}, &err);
    if (!piece || zone_edit_put(edit, zone_apex(zone), piece, &err))
        log_error("transfer version: %s", err.text);
    if (piece)
        piece_unref(piece);
    free(octets);
}

static struct zone *dressed(const struct series *series)
{
    struct zone_edit *edit = zone_edit_begin(series->raw);
    put_soa(edit, series->raw, series->shown);
    struct zone *zone = zone_edit_commit(edit);
    if (series->version)
        zone_set_transfer(zone, zone_ref(series->version));
    return zone;
}

static struct series **find(struct cuts *cuts, const uint8_t *apex)
{
    struct series **at = &cuts->first;
    while (*at && !name_equal((*at)->apex, apex))
        at = &(*at)->next;
    return at;
}

struct zone *cuts_dress(struct cuts *cuts, struct zone *zone)
{
    if (!zone_soa(zone))
        return zone; /* a place holder */
    struct series **at = find(cuts, zone_apex(zone));
    if (!*at) {
        *at = xcalloc(1, sizeof **at);
        memcpy((*at)->apex, zone_apex(zone), name_len(zone_apex(zone)));
        (*at)->shown = cuts->floor;
    } else {
        zone_unref((*at)->raw);
    }
    (*at)->raw = zone;
    return dressed(*at);
}

void cuts_remove(struct cuts *cuts, const uint8_t *apex)
{
    struct series **at = find(cuts, apex), *gone = *at;
    if (!gone)
        return;
    *at = gone->next;
    free_series(gone);
}

/* --- all of them ------------------------------------------------------------------------------------ */

void cuts_floor(struct cuts *cuts, uint32_t serial, cuts_publish_fn *publish, void *arg)
{
    if (serial_is_later(serial, cuts->floor))
        cuts->floor = serial;
    for (struct series *s = cuts->first; s; s = s->next)
        if (serial_is_later(cuts->floor, s->shown)) {
            s->shown = cuts->floor;
            publish(arg, dressed(s));
        }
}

static bool is_pending(const struct series *series)
{
    return !series->version || zone_serial(series->cut_raw) != zone_serial(series->raw) ||
           zone_serial(series->version) != series->shown;
}

bool cuts_pending(const struct cuts *cuts)
{
    for (const struct series *s = cuts->first; s; s = s->next)
        if (is_pending(s))
            return true;
    return false;
}

/* Is the SOA all that changed? */
static bool is_trivial(const struct difference *difference)
{
    return difference_count(difference, DIFFERENCE_REMOVED) == 1 &&
           difference_count(difference, DIFFERENCE_ADDED) == 1;
}

/* Gives the version its history; false if it is not worth being one. */
static bool follows(const struct series *series, struct zone *version)
{
    if (!series->version)
        return true;
    struct difference *difference = difference_between(series->version, version);
    bool worth = !is_trivial(difference) || zone_serial(series->version) != series->shown;
    const struct history *before = zone_history(series->version);
    if (worth)
        zone_set_history(version, history_add(before, difference, history_size_for(zone_records(version))));
    difference_unref(difference);
    return worth;
}

/* From the version before and what changed in the catalog since. NULL: there is none, or it cannot be
 * followed. */
static struct zone_edit *edit_version(struct series *series)
{
    if (!series->version)
        return NULL;
    struct zone_edit *edit = zone_edit_begin(series->version);
    struct difference *difference = difference_between(series->cut_raw, series->raw);
    struct err err;
    put_soa(edit, series->cut_raw, zone_serial(series->cut_raw)); /* what the difference begins with */
    if (difference_apply(difference, edit, &err)) {
        log_error("transfer version: made anew: %s", err.text);
        zone_edit_abort(edit);
        edit = NULL;
    } else {
        targets_follow(series->targets, series->raw, difference, edit);
    }
    difference_unref(difference);
    return edit;
}

static struct zone *make_version(struct series *series, uint32_t serial)
{
    struct zone_edit *edit = edit_version(series);
    if (!edit) {
        edit = zone_edit_begin(series->raw);
        targets_free(series->targets);
        series->targets = targets_new();
        targets_fill(series->targets, series->raw, edit);
    }
    put_soa(edit, series->raw, serial);
    return zone_edit_commit(edit);
}

static bool cut(struct series *series, uint32_t serial)
{
    struct zone *version = make_version(series, serial);
    bool worth = follows(series, version);
    if (worth) {
        if (series->version)
            zone_unref(series->version);
        series->version = version;
        series->shown = serial;
    } else {
        zone_unref(version);
    }
    if (series->cut_raw)
        zone_unref(series->cut_raw);
    series->cut_raw = zone_ref(series->raw);
    return worth;
}

size_t cuts_cut(struct cuts *cuts, uint32_t serial, cuts_publish_fn *publish, void *arg)
{
    size_t count = 0;
    if (serial_is_later(serial, cuts->floor))
        cuts->floor = serial;
    for (struct series *s = cuts->first; s; s = s->next)
        if (is_pending(s) && cut(s, serial)) {
            publish(arg, dressed(s));
            count++;
        }
    return count;
}
