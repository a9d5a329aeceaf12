/* A zone's mirror in `state-dir`: NAME.base, the zone as of some commit (a state file); NAME.log, the commits
 * before and after it, one frame each; NAME.aside, commits that Consul's KV has lost (a state file, when
 * there are any).
 *
 * A crash at any instant leaves something that leads to a state that was current once: files are replaced
 * whole, base first, and entries are appended and synced; a frame that is cut off ends the log. Builder
 * thread: it fsyncs. */
#pragma once

#include "store/core.h"

struct mirror;

/* folder: made if it is not there. name: the zone's in keys. */
struct mirror *mirror_new(const char *folder, const char *name);
void mirror_free(struct mirror *mirror);

/* Gives the core what is there; what is damaged is logged and left alone. Returns whether there was content.
 */
bool mirror_load(struct mirror *mirror, struct core *core);
/* One more entry, whose octets these are. If it fails, mirror_retry will write all of it. */
void mirror_add(struct mirror *mirror, struct core *core, const struct buf *octets);
void mirror_all(struct mirror *mirror, struct core *core);
/* Writes what could not be written. Every 10 s. */
void mirror_retry(struct mirror *mirror, struct core *core);
/* Why the last write failed; NULL: it did not. */
const char *mirror_fault(const struct mirror *mirror);
