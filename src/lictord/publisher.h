/* What is published: the builder's list of zones (the catalog's, the configured ones, `lictor.`) as one
 * snapshot. Builder thread, unless said otherwise. */
#pragma once

#include "lictor/snapshot.h"

struct publisher {
    struct snapshot_slot *slot;
    struct snapshot *current; /* the published one: ours to derive the next from */
    /* The version of this apex that transfers give has another serial than before; NULL: there is none any
     * more. Builder. May be NULL. */
    void (*served)(void *arg, const uint8_t *apex, const struct zone *version);
    void *served_arg;
};

/* Publishes an empty snapshot with these texts. Before the workers run. */
void publisher_init(struct publisher *publisher, struct snapshot_slot *slot,
                    const struct snapshot_text *text);
/* Publishes with this zone in place of the one of the same apex. Takes over the caller's reference. */
void publisher_put(struct publisher *publisher, struct zone *zone);
void publisher_remove(struct publisher *publisher, const uint8_t *apex);
void publisher_set_text(struct publisher *publisher, const struct snapshot_text *text);
/* When no reader is left. */
void publisher_finish(struct publisher *publisher);
