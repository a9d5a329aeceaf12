/* Keeps the catalog current from Consul with few connections, and decides what to believe: an empty or denied
 * list does not empty the view. Requests and timers on main; bodies are parsed on the
 * builder.
 *
 * Health: blocked queries on health/state/critical and health/state/warning. A check that enters is applied
 * from the list; one that leaves has its service, or its node's checks, read. Registrations: a blocked query
 * on health/service/X for up to 56 services (the pool: those asked lately); for the others catalog/services
 * and catalog/nodes tell that something moved, and a sweep of probes finds what. Every few minutes all are
 * read whole. The client should allow WATCH_CONNECTIONS. The watch of a
 * remote datacenter has no pool, so that several fit: WATCH_REMOTE_CONNECTIONS each. */
#pragma once

#include "lictor/builder.h"
#include "lictor/catalog.h"
#include "lictor/consul.h"

#define WATCH_CONNECTIONS        68
#define WATCH_REMOTE_CONNECTIONS 6

struct watch;

/* Called on the builder after jobs changed the catalog: commit and publish (the daemon's publisher). Until
 * the first complete view is in it is called only if an older one is being served (state->held is false at
 * watch_new); watch_live is true before the call for the first complete one. */
typedef void watch_changed_fn(void *arg);

struct watch_config {
    struct event_base *base;
    struct builder *builder;
    struct consul_client *client;
    struct catalog *catalog; /* touched on the builder only */
    const char *datacenter;  /* a remote one (copied); NULL: the local one */
    /* Written from main: stale_from and dead_from (not before the view is live: those of a restored view are
     * the caller's), and held, which is cleared once the first complete view is published. */
    struct zone_state *state;
    const struct config *config; /* read in watch_new only, but for stale_for: watch_configure */
    watch_changed_fn *changed;
    void *changed_arg;
    void (*complete)(void *arg); /* main: the first complete view is published. NULL: nobody asks */
    void *complete_arg;
};
struct watch *watch_new(const struct watch_config *config);
/* After a reload. Main. */
void watch_configure(struct watch *watch, const struct config *config);
/* Main. Cancels all requests. Jobs that are with the builder still run (catalog and `changed` must live until
 * builder_free). NULL is allowed. */
void watch_free(struct watch *watch);

/* Leaves so many of WATCH_CONNECTIONS to others, such as the watches of other datacenters: the pool of
 * blocked queries gives way. Main. */
void watch_reserve(struct watch *watch, unsigned connections);

/* True once a complete view came from Consul in this process (`live`), as opposed to one restored from disk.
 * It stays true through outages: those show in the state's stale_from. Main. */
bool watch_live(const struct watch *watch);
/* Somebody asked for this service: it gets a blocked query, in place of the one not asked for longest, or a
 * look at whether it moved. Cheap enough for every second. Main. */
void watch_ask(struct watch *watch, const char *service);
/* With `watch = "asked"`: this service (folded) is watched from now on. told is called once, within or later:
 * when what Consul says of it is published, or when it is clear that it cannot be read, at the latest after
 * some seconds; not after watch_free. Main. */
enum watch_answer { WATCH_READ, WATCH_LOST };
typedef void watch_told_fn(void *arg, enum watch_answer answer);
void watch_want(struct watch *watch, const char *service, watch_told_fn *told, void *arg);
/* Instant of the last successful contact; 0: never. Main. */
nstime watch_last_contact(const struct watch *watch);

struct watch_stats {
    uint64_t reads;       /* whole services, and checks of nodes, besides the blocked ones */
    uint64_t probes;      /* looks at whether a service moved */
    uint64_t moved;       /* of those: it had */
    uint64_t sweeps;      /* over all that have no blocked query, or over all */
    uint64_t full_sweeps; /* of those: of whole reads */
    uint64_t missed;      /* answers that a whole read changed although nothing had moved: should stay 0 */
    uint64_t older;       /* bodies dropped because the view knew something newer */
    uint64_t rewinds;     /* times Consul's indexes went back: restored, or another one */
    uint64_t evictions;   /* from the pool, for one that was asked */
    uint64_t failures;    /* replies other than 200 */
    uint64_t losses;      /* times contact was lost */
    uint64_t held;        /* times a list was held back */
    uint64_t faults;      /* bodies that are not what Consul sends */
};
void watch_stats(const struct watch *watch, struct watch_stats *out); /* Main. */

/* {"live":true, "contact":true, "age_ms":12, "services":70, "pooled":64, "syncing":0,
 *  "held_count":1, "held":[{"service":"web","reason":"..."}], "denied":false, "last_error":"...",
 * counters...}; age_ms is null before the first contact; "held" names the first 100, one without "service" is
 * the list of nodes. Main. */
json_t *watch_status(const struct watch *watch);
