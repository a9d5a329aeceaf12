/* What the views say of a record's candidates. */
#include "body.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* FNV-1a: instances of one service, whose names nobody chooses to collide but at their own cost. */
static uint64_t mix(uint64_t hash, const char *text)
{
    do
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    while (*text++);
    return hash;
}

struct collecting {
    bool srv;
    struct record_endpoint *items;
    size_t count, room;
};

/* An instance that the record cannot name is none: neither healthy nor in any count. */
static bool usable(const struct collecting *to, const struct catalog_endpoint *endpoint)
{
    if (to->srv)
        return endpoint->port > 0 && (endpoint->ipv4 || endpoint->ipv6 || endpoint->host);
    return endpoint->ipv4 || endpoint->ipv6;
}

static void collect(void *arg, const struct catalog_endpoint *endpoint)
{
    struct collecting *to = arg;
    if (!usable(to, endpoint))
        return;
    if (to->count == to->room) {
        to->room = to->room ? 2 * to->room : 8;
        to->items = xrealloc(to->items, to->room * sizeof(*to->items));
    }
    struct record_endpoint *out = &to->items[to->count++];
    *out = (struct record_endpoint){.healthy = endpoint->healthy};
    out->id = mix(mix(UINT64_C(0xcbf29ce484222325), endpoint->node), endpoint->id);
    out->target = (struct record_target){.has_ipv4 = endpoint->ipv4 != NULL,
                                         .has_ipv6 = endpoint->ipv6 != NULL,
                                         .port = (uint16_t)(endpoint->port > 0 ? endpoint->port : 0),
                                         .priority = endpoint->priority,
                                         .weight = endpoint->weight};
    if (endpoint->ipv4)
        memcpy(out->target.ipv4, endpoint->ipv4, 4);
    if (endpoint->ipv6)
        memcpy(out->target.ipv6, endpoint->ipv6, 16);
    if (!endpoint->ipv4 && !endpoint->ipv6)
        out->target.host = endpoint->host;
}

/* Live: seen complete in this process, and not older than `stale-for`. */
static bool is_live(const struct records *records, const char *datacenter, nstime now)
{
    const char *local = records->config.catalog ? catalog_datacenter(records->config.catalog) : NULL;
    if (!datacenter || (local && !strcasecmp(local, datacenter)))
        return records->local_live && now < atomic_load(&records->config.local->dead_from);
    for (size_t i = 0; i < records->remote_count; i++)
        if (!strcmp(records->remote[i], datacenter))
            return true;
    return false;
}

static void gather_service(const struct records *records, const struct entry *entry,
                           const struct config_candidate *candidate, nstime now, struct record_view *view,
                           struct record_endpoint **owned)
{
    struct collecting to = {.srv = entry->config.srv};
    view->live = is_live(records, candidate->datacenter, now);
    if (!view->live)
        return;
    catalog_each_endpoint(records->config.catalog, candidate->datacenter, candidate->name, collect, &to);
    view->items = *owned = to.items;
    view->count = to.count;
}

static void gather_query(const struct records *records, const struct config_candidate *candidate,
                         struct record_view *view)
{
    const struct query_view *query = strmap_gets(records->queries, candidate->name);
    if (!query)
        return;
    view->live = query->live;
    view->items = query->items;
    view->count = query->count;
}

void gather(const struct records *records, const struct entry *entry, nstime now, struct gathered *out)
{
    const struct config_record *config = &entry->config;
    out->count = config->candidate_count;
    out->views = xcalloc(out->count + 1, sizeof(*out->views));
    out->owned = xcalloc(out->count + 1, sizeof(*out->owned));
    for (size_t i = 0; i < out->count; i++) {
        const struct config_candidate *candidate = &config->candidates[i];
        struct record_view *view = &out->views[i];
        if (candidate->kind == CANDIDATE_SERVICE) {
            gather_service(records, entry, candidate, now, view, &out->owned[i]);
        } else if (candidate->kind == CANDIDATE_QUERY) {
            gather_query(records, candidate, view);
        } else {
            out->owned[i] = xcalloc(1, sizeof(**out->owned));
            out->owned[i]->healthy = true;
            out->owned[i]->target = record_target_of(&candidate->address);
            *view = (struct record_view){.live = true, .fixed = true, .items = out->owned[i], .count = 1};
        }
    }
}

void gather_free(struct gathered *gathered)
{
    for (size_t i = 0; i < gathered->count; i++)
        free(gathered->owned[i]);
    free(gathered->owned);
    free(gathered->views);
}

/* --- prepared queries ----------------------------------------------------------------------------- */

void query_view_free(void *pointer)
{
    struct query_view *view = pointer;
    if (view)
        free(view->items);
    free(view);
}

static bool follows_query(const struct entry *entry, const char *name)
{
    for (size_t i = 0; i < entry->config.candidate_count; i++)
        if (entry->config.candidates[i].kind == CANDIDATE_QUERY &&
            !strcmp(entry->config.candidates[i].name, name))
            return true;
    return false;
}

int records_query(struct records *records, const char *name, const char *body, size_t len, struct err *err)
{
    struct query_view *view = xcalloc(1, sizeof(*view));
    struct collecting to = {.srv = false}; /* those with an address: what both kinds of records can name */
    if (body && catalog_each_query_endpoint(records->config.catalog, body, len, collect, &to, err) < 0) {
        free(to.items);
        free(view);
        return -1;
    }
    view->items = to.items;
    view->count = to.count;
    view->live = body != NULL;
    query_view_free(strmap_puts(records->queries, name, view));
    for (struct zone_entry *zone = records->first; zone; zone = zone->next)
        for (size_t i = 0; i < zone->count; i++)
            if (follows_query(&zone->records[i], name))
                zone->records[i].dirty = true;
    return 0;
}

/* --- reasons -------------------------------------------------------------------------------------- */

struct reasoning {
    char text[600];
};

static void reason(void *arg, const struct catalog_endpoint *endpoint)
{
    struct reasoning *r = arg;
    char why[512];
    if (r->text[0])
        return;
    catalog_endpoint_reason(endpoint, why);
    if (why[0])
        snprintf(r->text, sizeof(r->text), " (%.60s: %.400s)", endpoint->node, why);
}

void gather_reason(const struct records *records, const struct entry *entry, char *out, size_t size)
{
    const struct config_candidate *first = &entry->config.candidates[0];
    struct record_count count = record_machine_count(entry->machine, 0);
    struct reasoning r = {""};
    if (entry->force != RECORD_FORCE_NONE) {
        snprintf(out, size, "forced %s%s%s", entry->force == RECORD_FORCE_UP ? "up" : "down",
                 entry->forced_by[0] ? " by " : "", entry->forced_by);
        return;
    }
    if (!count.live) {
        snprintf(out, size, "the view of %s is not live", first->text);
        return;
    }
    if (first->kind == CANDIDATE_SERVICE)
        catalog_each_endpoint(records->config.catalog, first->datacenter, first->name, reason, &r);
    snprintf(out, size, "%s has %u of %u healthy%s", first->text, count.healthy, count.total, r.text);
}
