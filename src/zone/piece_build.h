/* Between the parts that compile pieces. */
#pragma once

#include "piece_body.h"

#include <string.h>

/* The records of a specification that stay, in the piece's order. */
struct plan {
    struct rdata *rdata;
    uint32_t *from;  /* their numbers in the specification */
    uint32_t *place; /* specification number to place */
    uint32_t count;
    bool weighted;
};

/* The builder's own: shuffling and drawing at compile time. */
struct rng *piece_rng(void);

void plan_make(struct plan *plan, const struct piece_spec *spec);
void plan_free(struct plan *plan);

/* An extra and the place of its record. */
struct sorted_extra {
    uint32_t place;
    const struct piece_extra *extra;
};
/* Extras by place, then type, then RDATA, without repetitions. Returns how many. */
uint32_t extras_sort(const struct piece_spec *spec, const struct plan *plan, struct sorted_extra *sorted);
/* Octets of them in extra_wire. */
size_t extras_size(const struct sorted_extra *sorted, uint32_t count);
/* Fills extra_table and extra_wire; the records are there already. */
void extras_write(struct piece *piece, const struct sorted_extra *sorted, uint32_t count);
