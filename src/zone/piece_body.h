/* A piece in memory: one allocation, the parts at offsets from its start so that a piece of one record stays
 * small (a million of them must). */
#pragma once

#include "lictor/piece.h"

#include <stdatomic.h>
#include <string.h>

/* owner pointer 2, type 2, class 2, TTL 4, RDLENGTH 2 */
#define PIECE_RDATA 12
/* An extra stands without its owner. */
#define EXTRA_RDATA 10

/* Pre-drawn orders for unequal weights, one of which a query takes at random. */
#define PIECE_ORDERS 16
/* 65,535 octets hold fewer A records than this, so no order need be longer. */
#define PIECE_ORDER_MAX 4096

/* In the table of extras: another record before this one has the same target. */
#define EXTRA_REPEATED UINT32_C(0x80000000)

struct piece {
    uint32_t refs;
    uint32_t size; /* of all */
    uint32_t ttl;
    uint32_t count;
    uint32_t take; /* records of a full answer */
    uint16_t type;
    uint16_t stride;  /* octets a record if all have the same; else 0 */
    uint32_t wire;    /* the records */
    uint32_t offsets; /* uint32_t[count + 1]: where each begins within wire; 0: fixed stride */
    uint32_t weights; /* uint16_t[count]; 0: all equal */
    uint32_t orders;  /* uint32_t[PIECE_ORDERS][order_len]: numbers of records; 0: all equal */
    uint32_t order_len;
    uint32_t
        extra_table; /* uint32_t[count + 1]: where each record's extras begin within extra_wire; 0: none */
    uint32_t extra_wire;
    bool keep_order;
    uint8_t origin;
    _Atomic bool asked; /* since the last redraw; set by workers */
    _Atomic bool used;  /* since the last piece_take_used; likewise */
};

static inline const void *piece_at(const struct piece *piece, uint32_t offset)
{
    return (const uint8_t *)piece + offset;
}

static inline void *piece_part(struct piece *piece, uint32_t offset)
{
    return (uint8_t *)piece + offset;
}

static inline uint32_t piece_offset(const struct piece *piece, uint32_t record)
{
    return piece->offsets ? ((const uint32_t *)piece_at(piece, piece->offsets))[record]
                          : record * piece->stride;
}

static inline const uint8_t *piece_record(const struct piece *piece, uint32_t record)
{
    return (const uint8_t *)piece_at(piece, piece->wire) + piece_offset(piece, record);
}

/* The order of RDATA as octets (RFC 4034 section 6.3). */
static inline int rdata_compare(const struct rdata *a, const struct rdata *b)
{
    int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
    return order ? order : (int)a->len - (int)b->len;
}

/* Draws every order anew. */
void piece_draw(struct piece *piece, struct rng *rng);
