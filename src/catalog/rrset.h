/* Records of one RRset while they are collected: sorted and folded, so that the same instances give the same
 * digest in whatever order they came. Private to catalog/. */
#pragma once

#include "internal.h"

struct record {
    uint32_t offset; /* into bytes */
    uint32_t rank;   /* the how manieth it was: the order of an RRset that keeps its order */
    uint16_t len, weight;
    struct address extra; /* the target's address for the additional section; ADDRESS_NONE: none */
};

struct records {
    struct buf bytes, items; /* items: struct record */
};

/* In the order in which they shall stand, if spec->keep_order. */
void records_add(struct records *records, const void *data, size_t len, uint16_t weight,
                 const struct address *extra);
void records_clear(struct records *records);
void records_drop(struct records *records);

/* Fills slot->digest and returns the piece: one that `known` (digest -> piece) has, with a new reference, or
 * a new one, which is then known too. Without records: NULL and a digest of zeros. */
void rrset_make(struct records *records, struct piece_spec *spec, uint32_t extra_ttl, struct strmap *known,
                struct rrset *out);
