/* The name servers of our zones, as our own zones have them: asked of the engine itself, whatever the gate
 * says. Builder thread: it owns the snapshot. */
#pragma once

#include "facts.h"

#include "lictor/snapshot.h"

/* zones: count apexes in wire form. Returns how many were found. */
size_t names_look_up(const struct snapshot *snapshot, const struct zone_fact *zones, size_t count,
                     struct ns_fact *out, size_t max);
