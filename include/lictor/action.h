/* Triggers and the queue that hands actions to the runner. Main thread.
 *
 * Order: one run of an action at a time; at most one more waits, and the newest event wins, since each event
 * says how things are now. `promoted` and `demoted` never overlap: a `demoted` run starts when every run that
 * needed the right has ended, a `promoted` one when the `demoted` ones have. Losing the role drops what waits
 * and needs the right. */
#pragma once

#include "lictor/config.h"
#include "lictor/runner.h"

#include <jansson.h>

struct action_engine;

/* config: copied where needed. runner may be NULL in tests: then a fired action counts as running until
 * action_result says otherwise. */
struct action_engine *action_new(const struct config *config, struct runner *runner, const struct gate *gate);
void action_free(struct action_engine *engine);
/* After the runner accepted the same file. Counters of actions that stay by name are kept; what waits for an
 * action that is gone is dropped. */
void action_reconfigure(struct action_engine *engine, const struct config *config);

/* The role changed. demoted: to be called after the hand-over; epoch is that of the reign that ended. */
void action_role(struct action_engine *engine, bool promoted, uint64_t epoch, const char *reason);
/* The status of a service as this instance's own live view has it; fires on a change, on the primary only,
 * never for the first observation of a reign unless it differs from the last one acted on. Names in lower
 * case; services that no action is about cost nothing. */
void action_service(struct action_engine *engine, const char *service, enum config_status status,
                    uint64_t epoch);
/* From runner_hooks.result. */
void action_result(struct action_engine *engine, const struct runner_result *result);

/* How many run or wait: a daemon that stops may give `demoted` actions time. */
unsigned action_busy(const struct action_engine *engine);
/* Does an action watch this service (lower case)? */
bool action_watches(const struct action_engine *engine, const char *service);
/* [{"name","when","run","running":event ID or null,"waiting":event ID or null,"superseded",
 * "results":{"ok","failed","unable","timeout","deadline","refused"},
 * "last":{"event_id","at","took_ms","ok","result"} or null}] New reference. */
json_t *action_status(const struct action_engine *engine);

const char *config_status_name(enum config_status status); /* "passing", "warning", "critical", "absent" */
