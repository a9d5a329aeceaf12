/* BIND's $GENERATE: a range of numbers and a template for one record each. Pure. */
#pragma once

#include "lictor/buf.h"
#include "lictor/err.h"

#include <stdint.h>

#define GENERATE_MAX 65536 /* records a line */

struct range {
    uint32_t start, stop, step;
};

/* "1-254" or "0-100/10". Returns 0, or -1 with err. */
int range_parse(const char *text, struct range *out, struct err *err);
/* Appends template with each `$` and `${offset[,width[,base]]}` replaced; `$$` and `\$` stay a `$`. base: d,
 * o, x, X, n or N (nibbles with dots, as ip6.arpa has them). Returns 0, or -1 with err. */
int generate_expand(const char *template, uint32_t number, struct buf *out, struct err *err);
