/* Zone files (RFC 1035 section 5, RFC 2308 $TTL, $INCLUDE, BIND's $GENERATE) into zone contents, record by
 * record through ldns. Builder thread, or before threads run. */
#pragma once

#include "lictor/buf.h"
#include "lictor/err.h"
#include "lictor/zone.h"

/* Reads path into a new version of the zone and checks it with zone_check. Errors read `file:line: what is
 * wrong, and what would be right`; only what is missing altogether (a SOA, the file) has no line. err may be
 * NULL.
 *   - $INCLUDE is relative to the including file, at most 8 deep, without loops; $GENERATE makes at most
 * 65,536 records a line. Class IN only; records outside of the zone are faults.
 *   - A record without a TTL has that of $TTL, else the last one stated (RFC 1035 section 5.1), else the
 * SOA's MINIMUM. An RRset whose records differ in TTL gets the smallest (RFC 2181 section 5.2), with one
 * warning in the log; equal records are folded.
 *   - 1,000,000 records take about as long as Knot needs, and less memory: tests/bench/load.
 * Returns one reference, or NULL with err; zones that are there are not touched. */
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
