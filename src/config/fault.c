#include "config/fault.h"

#include "lictor/xalloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAULT_MAX       100 /* of a file that is no configuration at all, the first hundred say enough */
#define FAULT_TEXT_SIZE 400

/* The text goes to a terminal or a journal: nothing in the file may steer either. */
static char *printable(const char *text)
{
    struct buf out = {0};
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7f)
            buf_printf(&out, "\\x%02x", *c);
        else
            buf_append(&out, c, 1);
    }
    return buf_steal(&out);
}

void fault_add(struct faults *faults, int line, const char *fmt, ...)
{
    if (faults->count >= FAULT_MAX)
        return;
    char raw[FAULT_TEXT_SIZE];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(raw, sizeof(raw), fmt, ap);
    va_end(ap);

    char *text = printable(raw);
    for (size_t i = 0; i < faults->count; i++) {
        if (faults->items[i].line == line && !strcmp(faults->items[i].text, text)) {
            free(text);
            return;
        }
    }
    faults->items = xrealloc(faults->items, (faults->count + 1) * sizeof(*faults->items));
    faults->items[faults->count++] = (struct fault){.line = line, .text = text};
}

/* Insertion keeps faults of one line in the order they were found, which qsort would not promise. */
static void sort_by_line(struct faults *faults)
{
    for (size_t i = 1; i < faults->count; i++) {
        struct fault moving = faults->items[i];
        size_t at = i;
        for (; at > 0 && faults->items[at - 1].line > moving.line; at--)
            faults->items[at] = faults->items[at - 1];
        faults->items[at] = moving;
    }
}

void faults_write(struct faults *faults, const char *path, struct buf *out)
{
    sort_by_line(faults);
    for (size_t i = 0; i < faults->count; i++) {
        const struct fault *fault = &faults->items[i];
        if (fault->line == LINE_NONE)
            buf_printf(out, "%s: %s\n", path, fault->text);
        else
            buf_printf(out, "%s:%d: %s\n", path, fault->line, fault->text);
        free(fault->text);
    }
    free(faults->items);
    *faults = (struct faults){0};
}
