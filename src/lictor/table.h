/* Text for people: aligned columns, colour on a terminal only, nothing from outside that a terminal obeys. */
#pragma once

#include "lictor/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum tone { PLAIN, BOLD, DIM, GOOD, WARN, BAD };

#define TABLE_COLUMNS 8
struct table {
    struct table_cell *cells;
    size_t count, columns;
    bool colour;
};

void table_init(struct table *table, size_t columns, bool colour);
void table_free(struct table *table);
/* The next cell, row by row; text is copied. NULL is an empty cell. */
void table_put(struct table *table, enum tone tone, const char *text);
void table_printf(struct table *table, enum tone tone, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Appends the rows, each with `indent` spaces before it; a row's last filled cell is not padded. */
void table_print(const struct table *table, int indent, struct buf *out);
