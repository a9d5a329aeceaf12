/* What `lictor zone` is answered: documents made on the builder, which alone may look at zones. Results are
 * JSON text; the callers are main's. The jobs hold nothing of control's, so they may outlive it. */
#pragma once

#include "control/zone_request.h"

#include "lictor/snapshot.h"
#include "lictor/tasks.h"

/* Where zones are found; all of it outlives the builder. */
struct zone_place {
    struct builder *builder;
    struct snapshot_slot *slot;
    struct store *store; /* NULL: no election */
};

/* export, show, diff of versions and history, from what this instance has. about: of `show`, what main knows
 * (a reference is taken over); else NULL. */
void zone_jobs_read(const struct zone_place *place, const struct zone_request *request, json_t *about,
                    task_done_fn *done, void *arg);
/* import, diff against a file, rollback, freeze and thaw: on the primary. octets: the zone file's content,
 * taken over. who: the node that was asked. */
void zone_jobs_change(const struct zone_place *place, const struct zone_request *request, const char *who,
                      struct buf *octets, task_done_fn *done, void *arg);
