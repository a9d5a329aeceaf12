/* What changed between two versions of a zone: the records that went and those that came, as IXFR sends them
 * (RFC 1995 section 4). The zone store commits differences, the history of a zone is a row of them, and a
 * base is the difference from nothing.
 *
 * A difference is immutable and counted atomically: made by the builder, read by any thread that holds a
 * reference (a transfer on a worker), freed by whoever drops the last. */
#pragma once

#include "lictor/buf.h"
#include "lictor/err.h"
#include "lictor/piece.h"
#include "lictor/zone.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct difference;

enum difference_side { DIFFERENCE_REMOVED, DIFFERENCE_ADDED };

struct difference_record {
    const uint8_t *owner; /* lower case, wire form; valid as long as the difference */
    uint16_t type;
    uint32_t ttl;
    struct rdata rdata; /* its weight is 0 */
};

/* Any thread. */
struct difference *difference_ref(struct difference *difference);
void difference_unref(struct difference *difference); /* NULL is allowed */

/* The SOA serials before and after; 0 where that version has none. */
uint32_t difference_from(const struct difference *difference);
uint32_t difference_to(const struct difference *difference);
/* Each side is in order: the apex's SOA first, if it changed; then owners in canonical order, the types of
 * one ascending, the RDATA of one RRset as octets (RFC 4034 section 6). When an RRset's TTL changed, all of
 * it is on both sides. A difference that a secondary may follow has a SOA on both. Any thread. */
size_t difference_count(const struct difference *difference, enum difference_side side);
struct difference_record difference_record(const struct difference *difference, enum difference_side side,
                                           size_t i);
bool difference_empty(const struct difference *difference);
/* Octets that it takes in memory, about. */
size_t difference_size(const struct difference *difference);

/* --- making (builder) ------------------------------------------------------------------------------- */

/* from NULL: everything in `to` is added. Both have the same apex. If they share history (one is an edit of
 * the other, directly or not), it costs what changed, else one walk of both. Never NULL. */
struct difference *difference_between(const struct zone *from, const struct zone *to);
/* The one that leads from where a begins to where b ends, without what came and went between: a record that a
 * added and b removed is in neither side. a ends where b begins (else the result is of no use). Any thread.
 */
struct difference *difference_join(const struct difference *a, const struct difference *b);
/* The way back. Any thread. */
struct difference *difference_reverse(const struct difference *difference);

/* Changes an edit by it, strictly: each removed record is there with that TTL, no added one is, and the
 * RRsets that come out have one TTL each. Returns 0; or -1 with err, which names the record: the edit is then
 * half changed and must be aborted. Whether the result is a zone is zone_check's. */
int difference_apply(const struct difference *difference, struct zone_edit *edit, struct err *err);

/* --- as octets ---------------------------------------------------------------------------------------- */

/* Appends a versioned, checksummed, deflated form (zlib: names and types repeat, so it shrinks to about a
 * fifth; level 1 keeps a million records under a second). Any thread. */
void difference_encode(const struct difference *difference, struct buf *out);
/* Whatever the octets are, nothing happens but an error: every name, type and RDATA is checked, and the
 * order; memory is bounded by the input (deflate's best is 1:1032) and DIFFERENCE_MAX. Records outside of the
 * zone show in difference_apply. Returns one reference, or NULL with err. Any thread. */
struct difference *difference_decode(const void *data, size_t len, struct err *err);
#define DIFFERENCE_MAX (1u << 30) /* octets, decoded */

/* --- the hash of a zone ------------------------------------------------------------------------------- */

/* The sum, modulo 2^128, of a hash of each record (owner, type, TTL, RDATA): it does not depend on order, and
 * a commit moves it by its difference alone. Each record's hash is two SipHash-2-4 under two fixed keys,
 * little endian everywhere. It finds what was corrupted, lost, or applied to another version; with 128 bits
 * that never passes by accident. It is no signature: whoever may write the zone's keys in Consul may write
 * the hash too, so a cryptographic hash at three times the cost would keep nobody out. */
struct zone_hash {
    uint64_t high, low;
};

#define ZONE_HASH_TEXT 33 /* 32 hex digits and NUL */

struct zone_hash zone_hash(const struct zone *zone); /* builder, or a reader that holds it */
/* Of the zone after a difference, from that before. Any thread. */
struct zone_hash zone_hash_after(struct zone_hash before, const struct difference *difference);
bool zone_hash_equal(struct zone_hash a, struct zone_hash b);
const char *zone_hash_text(struct zone_hash hash, char out[ZONE_HASH_TEXT]); /* lower-case hex; returns out */
/* Exactly 32 lower-case hex digits at text; returns 0, or -1. */
int zone_hash_parse(const char *text, struct zone_hash *out);
