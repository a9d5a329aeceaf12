/* What workers answer from: an immutable list of zone versions and the few texts that replies carry. Made and
 * published by the builder, read under RCU. */
#pragma once

#include "lictor/zone.h"

#include <stdatomic.h>

struct snapshot;

/* The place where the current snapshot is published. One per process (more in tests). */
struct snapshot_slot {
    _Atomic(struct snapshot *) current;
};

struct snapshot_text {
    const char *node;    /* NSID (RFC 5001) and id.server. CH TXT; at most 255 octets */
    const char *version; /* version.bind. CH TXT; NULL: REFUSED */
    const char *primary; /* the text of EDE 20: "primary is ns1 (192.0.2.1:53), epoch 7"; NULL: none known */
};

/* Takes references of its own; copies texts. Two zones of one apex: the later wins. Builder thread. */
struct snapshot *snapshot_new(struct zone *const *zones, size_t count, const struct snapshot_text *text);
/* A copy of base with the zone of the same apex replaced by (or, if new, with the addition of) zone. Builder
 * thread. */
struct snapshot *snapshot_with_zone(const struct snapshot *base, struct zone *zone);
struct snapshot *snapshot_without_zone(const struct snapshot *base, const uint8_t *apex);
struct snapshot *snapshot_with_text(const struct snapshot *base, const struct snapshot_text *text);

/* Swaps it in and frees the old one after a grace period (rcu_defer). Builder thread. */
void snapshot_publish(struct snapshot_slot *slot, struct snapshot *snapshot);
void snapshot_free(struct snapshot *snapshot); /* one that was never published */

/* The zone whose apex is the longest suffix of lower_qname, or NULL. For DS the caller asks for the parent's
 * side. Workers. */
const struct zone *snapshot_find(const struct snapshot *snapshot, const uint8_t *lower_qname);
const struct zone *snapshot_get(const struct snapshot *snapshot,
                                const uint8_t *lower_apex); /* exactly this apex */
size_t snapshot_zone_count(const struct snapshot *snapshot);
const struct zone *snapshot_zone(const struct snapshot *snapshot, size_t i);
const struct snapshot_text *snapshot_text(const struct snapshot *snapshot);
