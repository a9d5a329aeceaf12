/* NOTIFY out (RFC 1996): telling secondaries that a zone has a new serial. Main thread.
 *
 * It is acting: sent only while the gate allows that. Each target of a zone is told again, 1 s after the
 * first time, then after twice as long up to a minute, until it acknowledges the serial that is served; never
 * more than once a second. A new primary tells all, since nobody knows what the one before still managed to
 * say. */
#pragma once

#include "lictor/config.h"
#include "lictor/gate.h"

#include <jansson.h>

struct event_base;
struct notify;

/* gate outlives it. */
struct notify *notify_new(struct event_base *base, const struct gate *gate);
void notify_free(struct notify *notify); /* NULL is allowed */

/* Targets, their keys, and the addresses to send from, of a configuration (also after a reload); what is
 * known about targets that stay is kept. Secrets are copied; nothing is kept of config. */
void notify_configure(struct notify *notify, const struct config *config);
/* The zone is served with this SOA from now on. rdata: the SOA's, of len octets. */
void notify_served(struct notify *notify, const uint8_t *apex, uint32_t ttl, const uint8_t *rdata,
                   size_t len);
/* The zone is not served any more. */
void notify_gone(struct notify *notify, const uint8_t *apex);
/* This instance may act from now on: everybody is told. */
void notify_promoted(struct notify *notify);

/* The zone's targets: [{"address", "acknowledged": serial or null, "state": "idle|trying|acknowledged",
 * "error": text or null}]. New reference; NULL if it has none. */
json_t *notify_status(const struct notify *notify, const uint8_t *apex);

struct notify_counters {
    uint64_t sent, acknowledged, refused, bad_answers;
    unsigned waiting; /* targets that have not acknowledged yet */
};
void notify_counters(const struct notify *notify, struct notify_counters *out);
/* Appends them in the Prometheus text format. */
void notify_print(const struct notify *notify, struct buf *out);
