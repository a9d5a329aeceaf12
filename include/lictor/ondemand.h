/* Names of `consul.` that are in no list to be watched, and so are asked for when somebody asks (ask.h):
 *
 *   NAME.query[.DC]     a prepared query, executed by Consul; _NAME._tcp.query for SRV
 *   NAME.connect[.DC]   the proxies of a service and its native instances
 *   NAME.ingress[.DC]   the ingress gateways that expose it
 *   NAME.virtual        its virtual address (Consul 1.11 and later)
 *
 * A result is published in the overlay and is good for its TTL (a second at least, ten at most). While
 * somebody asks, it is read again before that is over, so that nobody waits; when nobody does, the next
 * question waits for a new one. When Consul fails, the last result is served with EDE 3, for `stale-for` at
 * most. Results are kept for ONDEMAND_NAMES names, those that were asked lately.
 *
 * Requests and timers on main; bodies are parsed and rendered on the builder. */
#pragma once

#include "lictor/ask.h"
#include "lictor/builder.h"
#include "lictor/catalog.h"
#include "lictor/config.h"
#include "lictor/consul.h"
#include "lictor/overlay.h"

#define ONDEMAND_NAMES 1024
/* What the client should allow: answers take a millisecond, and blocked queries hold the rest of what one
 * process may open to an agent. */
#define ONDEMAND_CONNECTIONS 4

struct ondemand;

struct ondemand_config {
    struct event_base *base;
    struct builder *builder;
    struct consul_client *client; /* its own: nothing here waits behind blocked queries */
    struct desk *desk;
    struct catalog *catalog;     /* touched on the builder only */
    struct overlay_slot *slot;   /* written on the builder */
    const struct config *config; /* in force; ondemand_configure tells of another */
};
/* Becomes the desk's handler of the four kinds. Main. */
struct ondemand *ondemand_new(const struct ondemand_config *config);
/* After a reload: results are read again. Main. */
void ondemand_configure(struct ondemand *ondemand, const struct config *config);
/* Cancels requests and stops timers; before the desk and the client go. Main. NULL is allowed. */
void ondemand_stop(struct ondemand *ondemand);
/* When the builder has ended and no reader is left. NULL is allowed. */
void ondemand_free(struct ondemand *ondemand);

struct ondemand_stats {
    uint64_t reads;     /* results read, refreshes included */
    uint64_t refreshes; /* of them before anybody had to wait */
    uint64_t failures;  /* reads that gave nothing */
    unsigned names;     /* results kept now */
};
void ondemand_stats(const struct ondemand *ondemand, struct ondemand_stats *out); /* Main. */
