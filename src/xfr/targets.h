/* Names that SRV records point at and that the catalog only computes (`0a000001.addr.dc1.consul.`): a
 * secondary cannot compute them, so a transfer version holds those that it uses. */
#pragma once

#include "lictor/difference.h"
#include "lictor/zone.h"

struct targets;

struct targets *targets_new(void);
void targets_free(struct targets *targets); /* NULL is allowed */

/* Adds the addresses of all that the zone's records point at to an edit of it. targets was new. */
void targets_fill(struct targets *targets, const struct zone *zone, struct zone_edit *edit);
/* The same for what changed in zone since the version that edit began with. */
void targets_follow(struct targets *targets, const struct zone *zone, const struct difference *difference,
                    struct zone_edit *edit);
