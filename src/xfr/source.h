/* What a transfer consists of: its records, one after the other, with pauses as long as they like. */
#pragma once

#include "lictor/difference.h"
#include "lictor/history.h"
#include "lictor/zone.h"
#include "writer.h"

struct source;

/* The SOA alone (RFC 1995 section 4: the client is up to date, or is to ask over TCP). */
struct source *source_soa(struct zone *zone);
/* The whole zone between two copies of its SOA (RFC 5936 section 2.2). */
struct source *source_whole(struct zone *zone);
/* The differences from this serial to the zone's (RFC 1995 section 4), or NULL: the zone's history does not
 * begin there, or is longer than the zone itself. */
struct source *source_differences(struct zone *zone, uint32_t serial);
void source_free(struct source *source); /* NULL is allowed */

/* The record that is due, or NULL behind the last one. The same until source_advance. */
const struct record *source_peek(const struct source *source);
void source_advance(struct source *source);
