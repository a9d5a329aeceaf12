/* Keeps the catalog current from Consul with few connections, and decides what to believe: an empty or denied
 * list does not empty the view (DESIGN 6, last row). Requests and timers on main; bodies are parsed on the
 * builder. */
#pragma once

#include "lictor/builder.h"
#include "lictor/catalog.h"
#include "lictor/consul.h"

struct watch;

/* Called on the builder after a job changed the catalog: commit and publish (the daemon's publisher). */
typedef void watch_changed_fn(void *arg);

struct watch_config {
    struct event_base *base;
    struct builder *builder;
    struct consul_client *client;
    struct catalog *catalog;  /* touched on the builder only */
    struct zone_state *state; /* stale_from and dead_from are written here, from main */
    const struct config *config;
    watch_changed_fn *changed;
    void *changed_arg;
};
struct watch *watch_new(const struct watch_config *config);
void watch_free(struct watch *watch); /* main; the builder must have no job of ours left: free it after
                                         builder jobs drained */

/* True once a complete view came from Consul in this process (`live`), as opposed to one restored from disk.
 * Main. */
bool watch_live(const struct watch *watch);
/* Instant of the last successful contact; 0: never. Main. */
nstime watch_last_contact(const struct watch *watch);
/* {"live":..,"age_ms":..,"services":..,"held":[..],"last_error":"..."} Main. */
json_t *watch_status(const struct watch *watch);
