#include "table.h"

#include "lictor/xalloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct table_cell {
    char *text;
    size_t width;
    enum tone tone;
};

void table_begin(struct table *table, const char *const *heads, size_t columns, bool colour)
{
    *table = (struct table){.columns = columns, .colour = colour};
    for (size_t i = 0; heads && i < columns; i++)
        table_put(table, DIM, heads[i]);
}

/* Columns on the screen: octets that begin a UTF-8 sequence. Wide characters are rare enough here. */
static size_t width(const char *text)
{
    size_t columns = 0;
    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

void table_put(struct table *table, enum tone tone, const char *text)
{
    if ((table->count & (table->count + 1)) == 0) /* 0, 1, 3, 7...: room for as many again and one more */
        table->cells = xrealloc(table->cells, (2 * table->count + 1) * sizeof(*table->cells));
    char *copy = xstrdup(text ? text : "");
    for (char *at = copy; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    table->cells[table->count++] = (struct table_cell){.text = copy, .width = width(copy), .tone = tone};
}

void table_printf(struct table *table, enum tone tone, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    table_put(table, tone, text);
}

static const char *begin(enum tone tone)
{
    static const char *const codes[] = {"", "\033[1m", "\033[2m", "\033[32m", "\033[33m", "\033[31m"};
    return codes[tone];
}

static void print_row(const struct table *table, size_t row, const size_t *widths, int indent,
                      struct buf *out)
{
    size_t last = 0;
    for (size_t i = 0; i < table->columns && row + i < table->count; i++)
        if (table->cells[row + i].text[0])
            last = i;
    buf_printf(out, "%*s", indent, "");
    for (size_t i = 0; i <= last && row + i < table->count; i++) {
        const struct table_cell *cell = &table->cells[row + i];
        bool coloured = table->colour && cell->tone != PLAIN && cell->text[0];
        buf_puts(out, coloured ? begin(cell->tone) : "");
        buf_puts(out, cell->text);
        buf_puts(out, coloured ? "\033[0m" : "");
        if (i < last)
            buf_printf(out, "%*s", (int)(widths[i] - cell->width + 2), "");
    }
    buf_puts(out, "\n");
}

void table_end(struct table *table, int indent, struct buf *out)
{
    size_t widths[TABLE_COLUMNS] = {0};
    for (size_t i = 0; i < table->count; i++)
        if (table->cells[i].width > widths[i % table->columns])
            widths[i % table->columns] = table->cells[i].width;
    for (size_t row = 0; row < table->count; row += table->columns)
        print_row(table, row, widths, indent, out);
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i].text);
    free(table->cells);
    *table = (struct table){0};
}
