/* Remote datacenters: which there are (/v1/catalog/datacenters, read every half minute, so that names of
 * others do not exist at once), and which of their views are kept current: those that are configured, and
 * those that somebody asked for, until nobody has for an hour. Each has a watch of its own (watch.h) through
 * the local agent, at most CONFIG_DATACENTERS_MAX at once, so that the connections to the agent stay few.
 * Main thread. */
#pragma once

#include "lictor/watch.h"

struct datacenters;

struct datacenters_config {
    struct event_base *base;
    struct builder *builder;
    struct consul_client *client; /* the one of `local` */
    struct catalog *catalog;      /* touched on the builder only */
    struct zone_state *state;     /* of the local datacenter */
    struct watch *local;          /* gives connections away; freed after this */
    const struct config *config;
    watch_changed_fn *changed;
    void *changed_arg;
};

struct datacenters *datacenters_new(const struct datacenters_config *config);
/* After a reload. */
void datacenters_configure(struct datacenters *datacenters, const struct config *config);
/* Cancels all requests; jobs that are with the builder still run. NULL is allowed. */
void datacenters_free(struct datacenters *datacenters);

enum datacenters_answer {
    DATACENTER_READ,    /* its view is there, live or stale */
    DATACENTER_UNKNOWN, /* Consul does not know it */
    DATACENTER_LOST,    /* it cannot be reached, or too many others are watched */
};
/* Somebody asks for a name in this datacenter (any case): its view is read from now on. told is called once,
 * within or later: when the view is complete, when it is clear that it cannot be, at the latest after some
 * seconds. Not after datacenters_free. */
typedef void datacenters_told_fn(void *arg, enum datacenters_answer answer);
void datacenters_ask(struct datacenters *datacenters, const char *name, datacenters_told_fn *told, void *arg);

/* Calls visit for each that is watched. contact: instant of the last one; 0: never. */
void datacenters_each(const struct datacenters *datacenters,
                      void (*visit)(void *arg, const char *name, bool live, nstime contact), void *arg);
/* [{"datacenter":"dc2", "listed":true, "configured":false, "watch":{...} or null}], by name. A new reference.
 */
json_t *datacenters_status(const struct datacenters *datacenters);
