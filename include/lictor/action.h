/* Triggers: which configured actions an event fires (pure), and the queue that hands them to the runner, in
 * order for one action. Main thread. */
#pragma once

#include "lictor/config.h"
#include "lictor/runner.h"

struct action_engine;

/* runner may be NULL in tests (then fired actions only count). */
struct action_engine *action_new(const struct config *config, struct runner *runner, const struct gate *gate);
void action_free(struct action_engine *engine);
void action_reconfigure(struct action_engine *engine, const struct config *config);

void action_role(struct action_engine *engine, bool promoted, uint64_t epoch, const char *reason);
/* The status of a service as this instance's own live view has it; fires on a change, on the primary only,
 * never for the first observation of a reign unless it differs from the last one acted on. */
void action_service(struct action_engine *engine, const char *service, enum config_status status,
                    uint64_t epoch);
void action_result(struct action_engine *engine, const struct runner_result *result);
json_t *action_status(
    const struct action_engine *engine); /* per action: runs, failures, last result and when, running */
