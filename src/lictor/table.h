/* Text for people: aligned columns, colour on a terminal only, nothing from outside that a terminal obeys. */
#pragma once

#include "lictor/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum tone { PLAIN, BOLD, DIM, GOOD, WARN, BAD };

#define TABLE_COLUMNS  8
#define COLUMNS(heads) (sizeof(heads) / sizeof(heads[0]))
struct table {
    struct table_cell *cells;
    size_t count, columns;
    bool colour;
};

/* heads: the first row, one a column; NULL: none. */
void table_begin(struct table *table, const char *const *heads, size_t columns, bool colour);
/* Appends the rows, each with `indent` spaces before it; a row's last filled cell is not padded. Frees. */
void table_end(struct table *table, int indent, struct buf *out);
/* The next cell, row by row; text is copied. NULL is an empty cell. */
void table_put(struct table *table, enum tone tone, const char *text);
void table_printf(struct table *table, enum tone tone, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
