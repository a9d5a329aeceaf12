/* Pieces: RRsets compiled into what a reply needs, so that a query copies a window and computes nothing.
 *
 * A piece is immutable, reference-counted and does not know its owner: its records begin with a pointer to
 * the question's name, so one piece serves `web.service.consul.`, `web.service.dc1.consul.` and
 * `_web._tcp.service.consul.` Records stand in a shuffled order, A and AAAA at a fixed stride, others with a
 * table of offsets. */
#pragma once

#include "lictor/err.h"
#include "lictor/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct piece;

/* RDATA in uncompressed wire form; borrowed. */
struct rdata {
    const uint8_t *data;
    uint16_t len;
    uint16_t weight; /* share of the answers, for windows only; all equal (also all 0): plain random order */
};

/* Addresses known when the piece is made that go to the additional section with one record of it (an SRV's,
 * MX's or NS's target's A and AAAA). Their owner is that record's target name. Records of one target (two
 * ports of one host) may each name its addresses: a reply has them once. */
struct piece_extra {
    uint32_t record; /* index into rdata[] */
    uint16_t type;   /* DNS_A or DNS_AAAA */
    uint32_t ttl;
    struct rdata rdata;
};

struct piece_spec {
    uint16_t type;
    uint32_t ttl; /* seconds; of no account for RRSIG: rdata_ttl */
    const struct rdata *rdata;
    uint32_t
        count; /* at least 1; equal RDATA is folded into one (RFC 2181 section 5), with the highest weight */
    uint16_t answers; /* how many records an answer takes; 0: all. Only A and AAAA use it */
    bool keep_order;  /* no shuffle, always from the start */
    uint8_t origin;   /* whose data it is, if not the zone's own: zone.h, struct zone_origin */
    const struct piece_extra *extra;
    uint32_t extra_count;
};

/* Compiles. Returns a piece with one reference, or NULL with err if a record is malformed for its type or
 * the RRset is too large to be sent at all (a single record above 65,000 octets). Builder thread. */
struct piece *piece_new(const struct piece_spec *spec, struct err *err);
/* Not atomic: the builder thread only. Readers are protected by RCU through the zone. */
struct piece *piece_ref(struct piece *piece);
void piece_unref(struct piece *piece);

uint16_t piece_type(const struct piece *piece);
/* Of signatures the lowest; each has its own: rdata_ttl. */
uint32_t piece_ttl(const struct piece *piece);
/* The TTL of one record of an RRset whose TTL is given: the same, but a signature has that of the RRset it
 * covers, which its RDATA repeats (RFC 4034 sections 3 and 3.1.4). */
uint32_t rdata_ttl(uint16_t type, uint32_t ttl, const struct rdata *rdata);
uint32_t piece_count(const struct piece *piece);
uint8_t piece_origin(const struct piece *piece);
/* Record i's RDATA, whole and uncompressed, in the piece's order. For transfers, comparison and printing. */
struct rdata piece_rdata(const struct piece *piece, uint32_t i);
/* Would clients see the same: type, TTL, set of records (order apart), weights, number of answers, extras? */
bool piece_equal(const struct piece *a, const struct piece *b);

/* Unequal weights: new orders are drawn by the builder for pieces that were asked since the last time. True
 * if the piece has unequal weights and was asked; the flag is cleared. Builder thread. */
bool piece_wants_redraw(struct piece *piece);
/* Was it given in an answer since the last call? Builder thread. */
bool piece_take_used(struct piece *piece);
/* A copy with freshly drawn orders. Builder thread. */
struct piece *piece_redraw(const struct piece *piece, struct rng *rng);

/* --- answering (any thread that may read the piece; allocates nothing) ------------------------------ */

/* What a reply took of a piece. */
struct piece_window {
    uint32_t want;  /* records of a full answer; count < want: it did not fit, TC */
    uint32_t count; /* records copied */
    uint32_t start; /* the first one's number */
    bool limited;   /* `most` made it less than an answer takes */
    size_t len;     /* octets copied */
};

/* Copies one window of whole records, as many as fit into room octets. Each begins with the two octets C0 0C:
 * a pointer to the question's name, which the caller replaces where that is not the owner. most: no more than
 * so many records (0: no limit), which is not truncation. */
void piece_copy(const struct piece *piece, struct rng *rng, uint32_t most, uint8_t *out, size_t room,
                struct piece_window *window);

/* Does it have addresses for the additional section? */
bool piece_has_extra(const struct piece *piece);
/* Appends them at msg[pos] for a window whose records begin at msg[answer_at]: each target's addresses whole
 * or not at all, at most up to msg[limit]. Returns the new pos; adds the number of records to *records. */
size_t piece_copy_extra(const struct piece *piece, const struct piece_window *window, uint8_t *msg,
                        size_t answer_at, size_t pos, size_t limit, unsigned *records);
