/* What stats.def says, in the forms that people and Prometheus read. */
#include "lictor/serve.h"

#include <inttypes.h>
#include <string.h>

/* A family's row is followed by the rows of its series. */
struct row {
    const char *name, *type, *help; /* of a family; name is NULL for a series */
    const char *labels;
    int stat;
};

static const struct row rows[] = {
#define FAMILY(name, type, help) {name, type, help, NULL, -1},
#define STAT(id, labels)         {NULL, "", "", labels, SERVER_##id},
#include "lictor/stats.def"
#undef FAMILY
#undef STAT
};
#define ROWS (sizeof(rows) / sizeof(*rows))

void server_stats_print(const struct server_stats *stats, struct buf *out)
{
    const char *family = NULL;
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *row = &rows[i];
        if (row->name) {
            family = row->name;
            buf_printf(out, "# HELP lictor_%s %s\n# TYPE lictor_%s %s\n", family, row->help, family,
                       row->type);
        } else {
            int labelled = *row->labels != 0;
            buf_printf(out, "lictor_%s%s%s%s %" PRIu64 "\n", family, labelled ? "{" : "", row->labels,
                       labelled ? "}" : "", stats->value[row->stat]);
        }
    }
}

void server_stats_describe(struct buf *out)
{
    buf_puts(out, "| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < ROWS; i++) {
        if (!rows[i].name)
            continue;
        buf_printf(out, "| `lictor_%s` | %s |", rows[i].name, rows[i].type);
        for (size_t k = i + 1; k < ROWS && !rows[k].name; k++)
            if (*rows[k].labels)
                buf_printf(out, "%s`%s`", k == i + 1 ? " " : ", ", rows[k].labels);
        buf_printf(out, " | %s |\n", rows[i].help);
    }
}
