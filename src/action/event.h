/* An event that waits for its action, and how a program is told of it. */
#pragma once

#include "action/trigger.h"
#include "lictor/clock.h"

struct action_event {
    enum config_when when;
    char *id, *service, *reason; /* printable ASCII; service: NULL unless WHEN_SERVICE */
    uint64_t epoch;
    enum config_status status, previous;
    bool has_previous;
    nstime at; /* CLOCK_REALTIME */
};

struct action_event *event_keep(const struct trigger_event *event);
void event_drop(struct action_event *event); /* NULL is allowed */

/* "NAME=value" pairs, NULL-terminated, to be freed by event_env_free. */
char **event_env(const struct action_event *event, const char *node, const char *action);
void event_env_free(char **env);
/* {"event","event_id","epoch","node","action","service","status","previous","reason","time"}: the same
 * members for every event, null where they do not apply. free() it. */
char *event_json(const struct action_event *event, const char *node, const char *action);
