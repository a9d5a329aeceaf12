#include "lictor/action.h"

#include "action/event.h"
#include "action/trigger.h"
#include "lictor/log.h"
#include "lictor/strmap.h"
#include "lictor/utf8.h"
#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* How a run ended, as metrics and `lictor actions` name it. */
enum result { OK, FAILED, UNABLE, TIMEOUT, DEADLINE, REFUSED, RESULTS };
static const char *const result_names[RESULTS] = {"ok", "failed", "unable", "timeout", "deadline", "refused"};

struct last_result {
    char *event_id; /* NULL: none yet */
    char *text;     /* "ok", or what went wrong */
    bool ok;
    nstime at; /* CLOCK_REALTIME */
    nstime took;
};

struct entry {
    char *name; /* NULL: handed over to the next configuration's entry */
    char *service, *program;
    enum config_when when;
    enum config_status status;
    char *running;                /* event ID of what the runner has; NULL: nothing */
    struct action_event *waiting; /* NULL: nothing */
    uint64_t results[RESULTS];    /* by enum result */
    uint64_t superseded;
    struct last_result last;
};

struct action_engine {
    char *node;
    struct runner *runner;
    const struct gate *gate;
    struct trigger *trigger;
    struct strmap *watched; /* services that an action is about; values are entries */
    struct entry *entries;
    size_t count;
};

static void free_entry(struct entry *entry)
{
    free(entry->name);
    free(entry->service);
    free(entry->program);
    free(entry->running);
    event_drop(entry->waiting);
    free(entry->last.event_id);
    free(entry->last.text);
}

static struct entry *find(const struct action_engine *engine, const char *name)
{
    for (size_t i = 0; i < engine->count; i++)
        if (engine->entries[i].name && strcmp(engine->entries[i].name, name) == 0)
            return &engine->entries[i];
    return NULL;
}

/* Takes over from old what belongs to the name: counters, and the run under way. */
static struct entry make_entry(const struct config_action *action, struct entry *old)
{
    struct entry entry = {0};
    if (old) {
        entry = *old;
        bool same = entry.when == action->when && entry.status == action->status &&
                    strcmp(entry.service ? entry.service : "", action->service ? action->service : "") == 0;
        if (entry.waiting && !same) {
            event_drop(entry.waiting);
            entry.waiting = NULL;
        }
        free(entry.name);
        free(entry.service);
        free(entry.program);
        *old = (struct entry){0};
    }
    entry.name = xstrdup(action->name);
    entry.service = xstrdup_null(action->when == WHEN_SERVICE ? action->service : NULL);
    entry.program = utf8_clean(xstrdup(action->run[0])); /* only shown */
    entry.when = action->when;
    entry.status = action->status;
    return entry;
}

static void set_actions(struct action_engine *engine, const struct config *config)
{
    struct entry *entries = xcalloc(config->action_count + 1, sizeof(*entries));
    for (size_t i = 0; i < config->action_count; i++)
        entries[i] = make_entry(&config->actions[i], find(engine, config->actions[i].name));
    for (size_t i = 0; i < engine->count; i++)
        free_entry(&engine->entries[i]);
    free(engine->entries);
    engine->entries = entries;
    engine->count = config->action_count;
    strmap_free(engine->watched, NULL);
    engine->watched = strmap_new();
    for (size_t i = 0; i < engine->count; i++)
        if (entries[i].service)
            strmap_puts(engine->watched, entries[i].service, &entries[i]);
}

struct action_engine *action_new(const struct config *config, struct runner *runner, const struct gate *gate)
{
    struct action_engine *engine = xcalloc(1, sizeof(*engine));
    engine->node = xstrdup(config->node);
    engine->runner = runner;
    engine->gate = gate;
    engine->trigger = trigger_new(config->node);
    set_actions(engine, config);
    return engine;
}

void action_free(struct action_engine *engine)
{
    if (!engine)
        return;
    for (size_t i = 0; i < engine->count; i++)
        free_entry(&engine->entries[i]);
    free(engine->entries);
    strmap_free(engine->watched, NULL);
    trigger_free(engine->trigger);
    free(engine->node);
    free(engine);
}

/* ---- running ---- */

static void note(struct entry *entry, const char *event_id, bool ok, const char *text, nstime took)
{
    free(entry->last.event_id);
    free(entry->last.text);
    entry->last = (struct last_result){.event_id = xstrdup(event_id),
                                       .text = utf8_clean(xstrdup(text)),
                                       .ok = ok,
                                       .at = clock_real(),
                                       .took = took};
}

static void start(struct action_engine *engine, struct entry *entry)
{
    struct action_event *event = entry->waiting;
    entry->waiting = NULL;
    struct err err;
    char **env = event_env(event, engine->node, entry->name);
    char *json = event_json(event, engine->node, entry->name);
    int sent = engine->runner ? runner_run(engine->runner, entry->name, event->id, env, json,
                                           entry->when != WHEN_DEMOTED, &err)
                              : 0;
    if (sent < 0) {
        log_error("action %s (%s): not handed to the runner: %s", entry->name, event->id, err.text);
        entry->results[REFUSED]++;
        note(entry, event->id, false, err.text, 0);
    } else {
        log_info("action %s: runs for %s: %s", entry->name, event->id, event->reason);
        entry->running = xstrdup(event->id);
    }
    event_env_free(env);
    free(json);
    event_drop(event);
}

/* May this entry start beside what runs now? See action.h. */
static bool may_start(const struct action_engine *engine, const struct entry *entry)
{
    if (!entry->waiting || entry->running)
        return false;
    for (size_t i = 0; i < engine->count; i++) {
        const struct entry *other = &engine->entries[i];
        if (entry->when == WHEN_DEMOTED && other->when != WHEN_DEMOTED && other->running)
            return false;
        if (entry->when == WHEN_PROMOTED && other->when == WHEN_DEMOTED && (other->running || other->waiting))
            return false;
    }
    return true;
}

static void start_due(struct action_engine *engine)
{
    for (size_t i = 0; i < engine->count; i++)
        if (may_start(engine, &engine->entries[i]))
            start(engine, &engine->entries[i]);
}

static void supersede(struct entry *entry)
{
    if (!entry->waiting)
        return;
    log_info("action %s: %s came to nothing: overtaken by a newer event", entry->name, entry->waiting->id);
    event_drop(entry->waiting);
    entry->waiting = NULL;
    entry->superseded++;
}

/* ---- events ---- */

static bool fires(const struct entry *entry, const struct trigger_event *event)
{
    if (entry->when != event->when)
        return false;
    return event->when != WHEN_SERVICE ||
           (entry->status == event->status && strcmp(entry->service, event->service) == 0);
}

static bool overtakes(const struct trigger_event *event, const struct entry *entry)
{
    if (event->when == WHEN_DEMOTED)
        return entry->when != WHEN_DEMOTED;
    return event->when == WHEN_SERVICE && entry->when == WHEN_SERVICE &&
           strcmp(entry->service, event->service) == 0;
}

static void on_event(void *arg, const struct trigger_event *event)
{
    struct action_engine *engine = arg;
    for (size_t i = 0; i < engine->count; i++) {
        struct entry *entry = &engine->entries[i];
        bool fired = fires(entry, event);
        if (fired || overtakes(event, entry))
            supersede(entry);
        if (fired)
            entry->waiting = event_keep(event);
    }
    start_due(engine);
}

void action_reconfigure(struct action_engine *engine, const struct config *config)
{
    set_actions(engine, config);
    start_due(engine); /* what was waited for may be gone */
}

void action_role(struct action_engine *engine, bool promoted, uint64_t epoch, const char *reason)
{
    trigger_role(engine->trigger, promoted, epoch, reason, on_event, engine);
}

bool action_watches(const struct action_engine *engine, const char *service)
{
    return strmap_gets(engine->watched, service) != NULL;
}

void action_service(struct action_engine *engine, const char *service, enum config_status status,
                    uint64_t epoch)
{
    (void)epoch; /* the reign's own, from action_role, is what the event must carry */
    if (action_watches(engine, service))
        trigger_service(engine->trigger, service, status, gate_may_act(engine->gate, clock_boot()), on_event,
                        engine);
}

static enum result classify(const struct runner_result *result)
{
    switch (result->outcome) {
    case RUN_REFUSED:
        return REFUSED;
    case RUN_UNABLE:
        return UNABLE;
    case RUN_TIMEOUT:
        return TIMEOUT;
    case RUN_DEADLINE:
        return DEADLINE;
    default:
        return result->error ? FAILED : OK;
    }
}

void action_result(struct action_engine *engine, const struct runner_result *result)
{
    struct entry *entry = find(engine, result->action);
    if (!entry || !entry->running || strcmp(entry->running, result->event_id) != 0)
        return; /* a reload took the action away meanwhile */
    free(entry->running);
    entry->running = NULL;
    entry->results[classify(result)]++;
    note(entry, result->event_id, !result->error, result->error ? result->error : "ok", result->took);
    if (!result->error) /* failures are in the log by the runner, which outlives us */
        log_info("action %s (%s): done", entry->name, result->event_id);
    start_due(engine);
}

unsigned action_busy(const struct action_engine *engine)
{
    unsigned busy = 0;
    for (size_t i = 0; i < engine->count; i++)
        busy += (engine->entries[i].running != NULL) + (engine->entries[i].waiting != NULL);
    return busy;
}

/* ---- status ---- */

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *last_json(const struct last_result *last)
{
    if (!last->event_id)
        return json_null();
    char at[TIME_TEXT];
    return json_pack("{s:s, s:s, s:I, s:b, s:s}", "event_id", last->event_id, "at",
                     time_format_ms(last->at, at), "took_ms", (json_int_t)(last->took / NS_PER_MS), "ok",
                     (int)last->ok, "result", last->text);
}

json_t *action_status(const struct action_engine *engine)
{
    json_t *list = json_array();
    for (size_t i = 0; i < engine->count; i++) {
        const struct entry *entry = &engine->entries[i];
        char when[320];
        if (entry->when == WHEN_SERVICE)
            snprintf(when, sizeof(when), "service %.255s is %s", entry->service,
                     config_status_name(entry->status));
        else
            snprintf(when, sizeof(when), "%s", entry->when == WHEN_PROMOTED ? "promoted" : "demoted");
        json_t *results = json_object();
        for (int k = 0; k < RESULTS; k++)
            json_object_set_new(results, result_names[k], json_integer((json_int_t)entry->results[k]));
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:I, s:o}", "name", entry->name, "when", when,
                            "run", entry->program, "running", text_or_null(entry->running), "waiting",
                            text_or_null(entry->waiting ? entry->waiting->id : NULL), "results", results,
                            "superseded", (json_int_t)entry->superseded, "last", last_json(&entry->last)));
    }
    return list;
}
