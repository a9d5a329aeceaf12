/* Zone files (RFC 1035 section 5, RFC 2308 $TTL, $INCLUDE, BIND's $GENERATE) into zone contents, record by
 * record through ldns. Builder thread, or before threads run. */
#pragma once

#include "lictor/buf.h"
#include "lictor/err.h"
#include "lictor/zone.h"

/* Reads path into a new version of the zone and checks it with zone_check. Errors read `file:line: what is
 * wrong, and what would be right`. $INCLUDE is relative to the including file, at most 8 deep, no loops;
 * $GENERATE at most 65,536 records a line. Records above the apex are faults. Returns NULL with err. */
struct zone *zonefile_load(const char *path, const uint8_t *apex, enum zone_kind kind,
                           struct zone_state *state, struct err *err);

/* The same from memory (`name` stands in errors). $INCLUDE is a fault here. */
struct zone *zonefile_parse(const char *name, const char *text, size_t len, const uint8_t *apex,
                            enum zone_kind kind, struct zone_state *state, struct err *err);

/* Appends the whole zone in presentation form, SOA first, canonical order, absolute names: what
 * zonefile_parse reads back. */
void zonefile_print(const struct zone *zone, struct buf *out);
/* One RRset in presentation form, one line a record. */
void zonefile_print_rrset(const uint8_t *owner, const struct piece *piece, struct buf *out);
