/* The documents that people and programs read: `lictor`, /v1/... */
#include "control/internal.h"

#include "lictor/strmap.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ZONES_IN_STATUS 100 /* more are told by number; `zones` has them all */

char *document_text(json_t *document)
{
    char *text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    if (!text)
        abort(); /* out of memory */
    return text;
}

static json_t *empty_if_null(json_t *list)
{
    return list ? list : json_array();
}

json_t *document_zones(const struct control *control)
{
    return empty_if_null(control->view.zones ? control->view.zones(control->view.arg) : NULL);
}

json_t *document_actions(const struct control *control)
{
    return empty_if_null(control->view.actions ? action_status(control->view.actions) : NULL);
}

static json_t *not_ready(const struct control *control)
{
    return empty_if_null(control->view.not_ready ? control->view.not_ready(control->view.arg) : NULL);
}

static json_t *role_or_null(const struct control *control)
{
    return control->view.role ? role_status(control->view.role) : json_null();
}

static json_t *view_or_null(const struct control *control)
{
    if (!control->view.watch)
        return json_null();
    json_t *view = watch_status(control->view.watch);
    if (control->view.datacenters)
        json_object_set_new(view, "datacenters", datacenters_status(control->view.datacenters));
    return view;
}

static json_t *client_json(const struct consul_client *client)
{
    struct consul_stats stats;
    if (!client)
        return json_null();
    consul_client_stats(client, &stats);
    return json_pack("{s:I, s:I, s:I, s:i, s:i}", "requests", (json_int_t)stats.requests, "errors",
                     (json_int_t)stats.errors, "bytes_in", (json_int_t)stats.bytes_in, "in_flight",
                     (int)stats.in_flight, "connections", (int)stats.connections);
}

static json_t *zones_in_status(const struct control *control)
{
    json_t *zones = document_zones(control);
    while (json_array_size(zones) > ZONES_IN_STATUS)
        json_array_remove(zones, json_array_size(zones) - 1);
    return zones;
}

json_t *document_status(const struct control *control)
{
    const struct control_view *view = &control->view;
    nstime up = clock_boot() - view->started;
    char started[TIME_TEXT];
    json_t *reasons = not_ready(control);
    return json_pack("{s:s, s:s, s:i, s:s, s:I, s:b, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o, s:o}, "
                     "s:{s:I, s:i}, s:{s:f, s:f}}",
                     "node", view->config->node, "version", LICTOR_VERSION, "pid", (int)getpid(), "started",
                     time_format(clock_real() - up, started), "uptime_ms", (json_int_t)(up / NS_PER_MS),
                     "ready", json_array_size(reasons) == 0, "not_ready", reasons, "role",
                     role_or_null(control), "view", view_or_null(control), "zones", zones_in_status(control),
                     "actions", document_actions(control), "consul", "watch", client_json(view->watch_client),
                     "ondemand", client_json(view->ondemand_client), "election",
                     client_json(view->election_client), "store", client_json(view->store_client), "builder",
                     "busy_ms", (json_int_t)(builder_busy_for(view->builder) / NS_PER_MS), "queued",
                     (int)builder_queued(view->builder), "loop", "longest_turn_ms",
                     (double)view->longest_turn(view->arg) / NS_PER_MS, "worst_lateness_ms",
                     (double)view->worst_lateness(view->arg) / NS_PER_MS);
}

/* Zones and actions that something is wrong with. */
static json_t *faulty(json_t *list, bool (*is_faulty)(const json_t *entry))
{
    json_t *kept = json_array(), *entry;
    size_t i;
    json_array_foreach(list, i, entry) if (is_faulty(entry)) json_array_append(kept, entry);
    json_decref(list);
    return kept;
}

static bool zone_faulty(const json_t *zone)
{
    return json_is_string(json_object_get(zone, "error"));
}

static bool action_faulty(const json_t *action)
{
    return json_is_false(json_object_get(json_object_get(action, "last"), "ok"));
}

static int by_time(const void *a, const void *b)
{
    const char *x = json_string_value(json_object_get(*(json_t *const *)a, "at"));
    const char *y = json_string_value(json_object_get(*(json_t *const *)b, "at"));
    return strcmp(x ? x : "", y ? y : "");
}

/* The role's decisions and the others', oldest first. */
static json_t *decisions(const struct control *control)
{
    json_t *all = empty_if_null(control->view.role ? role_why(control->view.role) : NULL);
    json_t *more = control->view.decisions ? control->view.decisions(control->view.arg) : NULL;
    if (!more || !json_array_size(more)) {
        json_decref(more);
        return all;
    }
    json_array_extend(all, more);
    json_decref(more);
    size_t count = json_array_size(all);
    json_t **entries = xcalloc(count, sizeof(*entries)), *sorted = json_array();
    for (size_t i = 0; i < count; i++)
        entries[i] = json_array_get(all, i);
    qsort(entries, count, sizeof(*entries), by_time);
    for (size_t i = 0; i < count; i++)
        json_array_append(sorted, entries[i]);
    free(entries);
    json_decref(all);
    return sorted;
}

json_t *document_why(const struct control *control)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "node", control->view.config->node, "role",
                     role_or_null(control), "history", decisions(control), "not_ready", not_ready(control),
                     "view", view_or_null(control), "zones", faulty(document_zones(control), zone_faulty),
                     "actions", faulty(document_actions(control), action_faulty));
}

/* ---- services: on the builder ---- */

struct services_job {
    const struct catalog *catalog; /* lives until the builder has ended; NULL: not configured */
    char *name;                    /* NULL: all */
    char *json;
    services_done *done;
    void *arg;
};

struct summary {
    const char *name;
    struct catalog_health health;
};
struct summaries {
    struct summary *items;
    size_t count;
};

static void summarize(void *arg, const char *service, const struct catalog_health *health)
{
    struct summaries *all = arg;
    all->items[all->count++] = (struct summary){.name = service, .health = *health};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct summary *)a)->name, ((const struct summary *)b)->name);
}

static json_t *all_services(const struct catalog *catalog)
{
    struct summaries all = {.items = xcalloc(catalog_service_count(catalog, NULL) + 1, sizeof(*all.items))};
    json_t *list = json_array();
    catalog_each_service(catalog, NULL, summarize, &all);
    qsort(all.items, all.count, sizeof(*all.items), by_name);
    for (size_t i = 0; i < all.count; i++) {
        const struct catalog_health *health = &all.items[i].health;
        json_array_append_new(list,
                              json_pack("{s:s, s:i, s:i, s:i, s:i, s:i}", "service", all.items[i].name,
                                        "instances", (int)health->instances, "passing", (int)health->passing,
                                        "warning", (int)health->warning, "critical", (int)health->critical,
                                        "answering", (int)health->answering));
    }
    free(all.items);
    return list;
}

static void services_run(void *arg)
{
    struct services_job *job = arg;
    if (!job->catalog)
        return;
    json_t *document =
        job->name ? catalog_services_json(job->catalog, NULL, job->name) : all_services(job->catalog);
    if (document)
        job->json = document_text(document);
}

static void services_finish(void *arg)
{
    struct services_job *job = arg;
    char *error = NULL;
    if (!job->catalog)
        error = xstrdup("no services: the configuration has no `services` block");
    else if (!job->json)
        error = xasprintf("no service \"%s\" in the view; `lictor services` lists those there are",
                          job->name ? job->name : "");
    job->done(job->arg, job->json, error);
    free(error);
    free(job->name);
    free(job);
}

void document_services(const struct control *control, const char *name, services_done *done, void *arg)
{
    struct services_job *job = xcalloc(1, sizeof(*job));
    *job = (struct services_job){.catalog = control->view.catalog, .done = done, .arg = arg};
    job->name = xstrdup_null(name);
    builder_post(control->view.builder, services_run, services_finish, job);
}
