/* Addresses for the additional section, and referrals. */
#pragma once

#include "lictor/reply.h"

/* Adds the addresses, from this zone, of the targets of the NS, MX or SRV records at out[from..end). What
 * does not fit is left out. */
void more_addresses(struct reply *reply, struct rng *rng, const struct zone *zone, uint16_t type, size_t from,
                    size_t end);

/* Adds the TXT RRset of a name (a node's, not a service's) that stands at out[name_at], whole or not at all.
 */
void more_text(struct reply *reply, struct rng *rng, const struct zone_owner *owner, size_t name_at);
/* The same for the targets of the SRV records at out[from..end). */
void more_target_texts(struct reply *reply, struct rng *rng, const struct zone *zone, size_t from,
                       size_t end);

/* Adds the NS of a zone cut, whose name stands at out[cut_at], to the authority section. Returns whether all
 * of them fitted; else the reply is truncated. */
bool more_name_servers(struct reply *reply, struct rng *rng, const struct zone_owner *cut, size_t cut_at);
/* Adds glue for those, which stand at out[from..end). */
void more_glue(struct reply *reply, struct rng *rng, const struct zone *zone, size_t cut_at, size_t from,
               size_t end);
