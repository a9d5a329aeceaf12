#include "action/event.h"

#include "lictor/action.h"
#include "lictor/xalloc.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Reasons quote errors from outside; the runner refuses control characters, and JSON all that is not UTF-8.
 */
static char *printable(const char *text)
{
    char *copy = xstrdup(text);
    for (char *at = copy; *at; at++)
        if (*at < 0x20 || *at > 0x7e)
            *at = '?';
    return copy;
}

struct action_event *event_keep(const struct trigger_event *event)
{
    struct action_event *kept = xcalloc(1, sizeof(*kept));
    *kept = (struct action_event){.when = event->when,
                                  .id = printable(event->id),
                                  .service = event->service ? printable(event->service) : NULL,
                                  .reason = printable(event->reason),
                                  .epoch = event->epoch,
                                  .status = event->status,
                                  .previous = event->previous,
                                  .has_previous = event->has_previous,
                                  .at = clock_real()};
    return kept;
}

void event_drop(struct action_event *event)
{
    if (!event)
        return;
    free(event->id);
    free(event->service);
    free(event->reason);
    free(event);
}

static const char *event_name(const struct action_event *event)
{
    switch (event->when) {
    case WHEN_PROMOTED:
        return "promoted";
    case WHEN_DEMOTED:
        return "demoted";
    default:
        return "service";
    }
}

char **event_env(const struct action_event *event, const char *node, const char *action)
{
    char **env = xcalloc(12, sizeof(*env)), time_text[TIME_TEXT], *plain_node = printable(node);
    size_t count = 0;
    env[count++] = xasprintf("LICTOR_EVENT=%s", event_name(event));
    env[count++] = xasprintf("LICTOR_EVENT_ID=%s", event->id);
    env[count++] = xasprintf("LICTOR_EPOCH=%" PRIu64, event->epoch);
    env[count++] = xasprintf("LICTOR_NODE=%s", plain_node);
    env[count++] = xasprintf("LICTOR_ACTION=%s", action);
    env[count++] = xasprintf("LICTOR_REASON=%s", event->reason);
    env[count++] = xasprintf("LICTOR_TIME=%s", time_format_ms(event->at, time_text));
    if (event->service) {
        env[count++] = xasprintf("LICTOR_SERVICE=%s", event->service);
        env[count++] = xasprintf("LICTOR_STATUS=%s", config_status_name(event->status));
    }
    if (event->has_previous)
        env[count++] = xasprintf("LICTOR_PREVIOUS=%s", config_status_name(event->previous));
    free(plain_node);
    return env;
}

void event_env_free(char **env)
{
    for (char **at = env; *at; at++)
        free(*at);
    free(env);
}

char *event_json(const struct action_event *event, const char *node, const char *action)
{
    char time_text[TIME_TEXT], *plain_node = printable(node);
    json_t *document = json_pack("{s:s, s:s, s:I, s:s, s:s, s:s?, s:s?, s:s?, s:s, s:s}", "event",
                                 event_name(event), "event_id", event->id, "epoch", (json_int_t)event->epoch,
                                 "node", plain_node, "action", action, "service", event->service, "status",
                                 event->service ? config_status_name(event->status) : NULL, "previous",
                                 event->has_previous ? config_status_name(event->previous) : NULL, "reason",
                                 event->reason, "time", time_format_ms(event->at, time_text));
    char *text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    free(plain_node);
    if (!text)
        abort(); /* out of memory: every string is ASCII */
    return text;
}
