#include "store/sync.h"

#include "lictor/xalloc.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sync_now(struct sync_now *out)
{
    clock_boot_id(out->boot_id);
    out->boot = clock_boot();
    out->real = clock_real();
}

void sync_begin(struct buf *out, const struct sync_now *now)
{
    buf_printf(out, "%s\n", now->boot_id);
}

void sync_add(struct buf *out, const struct sync_now *now, const char *zone, nstime synced)
{
    buf_printf(out, "%s %" PRId64 " %" PRId64 "\n", zone, synced, now->real - (now->boot - synced));
}

/* The zone and its two times; false: not such a line. A name in its key has no blank: it is escaped. */
static bool read_line(char *line, char **zone, nstime *boot, nstime *real)
{
    char *end, *blank = strchr(line, ' ');
    if (!blank || blank == line)
        return false;
    *blank = 0;
    *zone = line;
    *boot = strtoll(blank + 1, &end, 10);
    if (end == blank + 1 || *end != ' ')
        return false;
    char *last = end + 1;
    *real = strtoll(last, &end, 10);
    return end != last && !*end && *real >= 0;
}

int sync_parse(const struct buf *data, const struct sync_now *now, struct strmap *out, struct err *err)
{
    char *text = xmalloc(data->len + 1), *line = text, *rest;
    memcpy(text, data->data, data->len);
    text[data->len] = 0;
    bool same_boot = false;
    int result = 0;
    for (unsigned number = 1; !result && (rest = strchr(line, '\n')); line = rest + 1, number++) {
        char *zone;
        nstime boot, real;
        *rest = 0;
        if (number == 1) {
            same_boot = *line && !strcmp(line, now->boot_id);
        } else if (read_line(line, &zone, &boot, &real)) {
            nstime *synced = xmalloc(sizeof *synced);
            *synced = same_boot ? boot : real > now->real ? now->boot : now->boot - (now->real - real);
            if (*synced > now->boot)
                *synced = now->boot;
            free(strmap_puts(out, zone, synced));
        } else {
            result = err_set(err, "line %u is none of a zone and its times", number);
        }
    }
    free(text);
    return result;
}
