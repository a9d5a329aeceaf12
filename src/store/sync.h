/* When mirrors were last known to be at their heads, over restarts: the zone's SOA EXPIRE counts from then.
 * Pure.
 *
 * One file for all zones: the boot ID, then `<zone> <CLOCK_BOOTTIME> <CLOCK_REALTIME>` in ns, a line each. */
#pragma once

#include "lictor/buf.h"
#include "lictor/clock.h"
#include "lictor/err.h"
#include "lictor/strmap.h"

struct sync_now {
    char boot_id[37];
    nstime boot, real;
};
void sync_now(struct sync_now *out);

/* Appends the file's beginning, and one zone, known by its name_to_key. */
void sync_begin(struct buf *out, const struct sync_now *now);
void sync_add(struct buf *out, const struct sync_now *now, const char *zone, nstime synced);

/* Reads it into out: by zone a CLOCK_BOOTTIME of now (malloc; negative after a reboot). In another boot
 * REALTIME tells how long ago it was; a time in the future counts as now. Returns 0, or -1 with err and what
 * could be read. */
int sync_parse(const struct buf *data, const struct sync_now *now, struct strmap *out, struct err *err);
