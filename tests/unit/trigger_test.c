/* Which events fire which actions, and in what order they run. */
#include "action/event.h"
#include "action/trigger.h"
#include "lictor/action.h"
#include "lictor/xalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the trigger alone ---- */

struct seen {
    unsigned count;
    struct trigger_event last;
    char service[64];
};

static void on_event(void *arg, const struct trigger_event *event)
{
    struct seen *seen = arg;
    seen->count++;
    seen->last = *event;
    snprintf(seen->service, sizeof(seen->service), "%s", event->service ? event->service : "");
}

enum step { PROMOTE, DEMOTE, SEE, SEE_CLOSED };

static void only_changes_of_a_primary_fire(void **state)
{
    (void)state;
    static const struct {
        enum step step;
        enum config_status status;
        unsigned fired; /* events of services after this step */
        const char *why;
    } table[] = {
        {SEE, STATUS_PASSING, 0, "a standby only watches"},
        {SEE, STATUS_CRITICAL, 0, "a standby only watches"},
        {PROMOTE, 0, 0, "what is seen at first is the ground"},
        {SEE, STATUS_CRITICAL, 0, "no change"},
        {SEE, STATUS_PASSING, 1, "a change"},
        {SEE, STATUS_PASSING, 1, "no change"},
        {SEE, STATUS_WARNING, 2, "a change"},
        {SEE_CLOSED, STATUS_CRITICAL, 2, "no right to act at this moment"},
        {SEE, STATUS_CRITICAL, 3, "acted on once the right is back"},
        {DEMOTE, 0, 3, ""},
        {SEE, STATUS_PASSING, 3, "a standby only watches"},
        {PROMOTE, 0, 4, "differs from what was acted on last"},
        {DEMOTE, 0, 4, ""},
        {SEE, STATUS_ABSENT, 4, ""},
        {SEE, STATUS_PASSING, 4, ""},
        {PROMOTE, 0, 4, "back to what was acted on last"},
        {SEE, STATUS_ABSENT, 5, "a change"},
    };
    struct trigger *trigger = trigger_new("ns1");
    struct seen seen = {0}, roles = {0};
    uint64_t epoch = 10;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        unsigned before = seen.count;
        switch (table[i].step) {
        case PROMOTE:
            trigger_role(trigger, true, ++epoch, "acquired", on_event, &seen);
            seen.count--; /* the role's own event came first */
            break;
        case DEMOTE:
            trigger_role(trigger, false, epoch, "lost", on_event, &roles);
            break;
        default:
            trigger_service(trigger, "web", table[i].status, table[i].step == SEE, on_event, &seen);
        }
        if (seen.count != table[i].fired)
            fail_msg("step %zu: %u events, not %u: %s", i, seen.count, table[i].fired, table[i].why);
        if (seen.count > before) {
            assert_string_equal(seen.service, "web");
            assert_int_equal(seen.last.epoch, epoch);
            assert_true(seen.last.has_previous);
            assert_int_not_equal(seen.last.status, seen.last.previous);
        }
    }
    assert_int_equal(roles.count, 2);
    assert_int_equal(roles.last.when, WHEN_DEMOTED);
    trigger_free(trigger);
}

static void ids_name_epoch_type_and_subject(void **state)
{
    (void)state;
    struct trigger *trigger = trigger_new("ns1");
    struct seen seen = {0};
    trigger_role(trigger, true, 7, "acquired", on_event, &seen);
    assert_string_equal(seen.last.id, "7/promoted/ns1/1");
    assert_string_equal(seen.last.reason, "acquired");
    trigger_service(trigger, "web", STATUS_PASSING, true, on_event, &seen);
    trigger_service(trigger, "web", STATUS_CRITICAL, true, on_event, &seen);
    assert_string_equal(seen.last.id, "7/service/web/2");
    assert_string_equal(seen.last.reason, "web went from passing to critical");
    trigger_service(trigger, "web", STATUS_PASSING, true, on_event, &seen);
    assert_string_equal(seen.last.id, "7/service/web/3");
    trigger_role(trigger, false, 7, NULL, on_event, &seen);
    assert_string_equal(seen.last.id, "7/demoted/ns1/4");
    trigger_free(trigger);
}

static void programs_are_told_all(void **state)
{
    (void)state;
    struct trigger_event source = {.when = WHEN_SERVICE,
                                   .id = "7/service/web/2",
                                   .epoch = 7,
                                   .service = "web",
                                   .status = STATUS_CRITICAL,
                                   .previous = STATUS_PASSING,
                                   .has_previous = true,
                                   .reason = "two\nlines \xff \"quoted\""};
    struct action_event *event = event_keep(&source);
    char *text = event_json(event, "ns1", "page");
    json_t *document = json_loads(text, 0, NULL);
    assert_non_null(document);
    assert_string_equal(json_string_value(json_object_get(document, "event")), "service");
    assert_int_equal(json_integer_value(json_object_get(document, "epoch")), 7);
    assert_string_equal(json_string_value(json_object_get(document, "status")), "critical");
    assert_string_equal(json_string_value(json_object_get(document, "previous")), "passing");
    assert_string_equal(json_string_value(json_object_get(document, "reason")), "two?lines ? \"quoted\"");
    json_decref(document);
    free(text);
    char **env = event_env(event, "ns1", "page"), joined[1024] = "\n";
    for (char **at = env; *at; at++) {
        strcat(joined, *at);
        strcat(joined, "\n");
    }
    static const char *const wanted[] = {"LICTOR_EVENT=service", "LICTOR_EVENT_ID=7/service/web/2",
                                         "LICTOR_EPOCH=7",       "LICTOR_NODE=ns1",
                                         "LICTOR_SERVICE=web",   "LICTOR_STATUS=critical",
                                         "LICTOR_ACTION=page",   "LICTOR_PREVIOUS=passing"};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        char line[64];
        snprintf(line, sizeof(line), "\n%s\n", wanted[i]);
        if (!strstr(joined, line))
            fail_msg("%s is missing", wanted[i]);
    }
    event_env_free(env);
    event_drop(event);

    source = (struct trigger_event){.when = WHEN_PROMOTED, .id = "7/promoted/ns1/1", .epoch = 7};
    event = event_keep(&source);
    text = event_json(event, "ns1", "page");
    document = json_loads(text, 0, NULL);
    assert_true(json_is_null(json_object_get(document, "service")));
    assert_true(json_is_null(json_object_get(document, "previous")));
    json_decref(document);
    free(text);
    event_drop(event);
}

/* ---- the queue ---- */

static char *true_argv[] = {"/bin/true", NULL};
static struct config_action actions[] = {
    {.name = "up", .when = WHEN_PROMOTED, .run = true_argv},
    {.name = "down", .when = WHEN_DEMOTED, .run = true_argv},
    {.name = "page", .when = WHEN_SERVICE, .service = "web", .status = STATUS_CRITICAL, .run = true_argv},
    {.name = "calm", .when = WHEN_SERVICE, .service = "web", .status = STATUS_PASSING, .run = true_argv},
};
static struct config config = {.node = "ns1", .actions = actions, .action_count = 4};
static struct gate gate;

static json_t *status_of(const struct action_engine *engine, const char *name, json_t **list)
{
    size_t i;
    json_t *entry;
    *list = action_status(engine);
    json_array_foreach(*list, i, entry)
    {
        if (strcmp(json_string_value(json_object_get(entry, "name")), name) == 0)
            return entry;
    }
    return NULL;
}

/* Compares one member of one action's status; text NULL stands for null. */
static void expect_text(const struct action_engine *engine, const char *name, const char *member,
                        const char *text)
{
    json_t *list, *entry = status_of(engine, name, &list);
    const char *value = json_string_value(json_object_get(entry, member));
    if (text ? !value || strcmp(text, value) != 0 : value != NULL)
        fail_msg("%s: %s is %s, not %s", name, member, value, text);
    json_decref(list);
}

static long long number(const struct action_engine *engine, const char *name, const char *member)
{
    json_t *list, *entry = status_of(engine, name, &list);
    json_t *found = json_object_get(entry, member);
    long long value =
        json_integer_value(found ? found : json_object_get(json_object_get(entry, "results"), member));
    json_decref(list);
    return value;
}

static void finish(struct action_engine *engine, const char *action, enum runner_outcome outcome,
                   const char *error)
{
    json_t *list, *entry = status_of(engine, action, &list);
    const char *id = json_string_value(json_object_get(entry, "running"));
    assert_non_null(id);
    struct runner_result result = {.action = action, .event_id = id, .outcome = outcome, .error = error};
    action_result(engine, &result);
    json_decref(list);
}

static int setup(void **state)
{
    memset(&gate, 0, sizeof(gate));
    atomic_store(&gate.act_until, NS_NEVER);
    *state = action_new(&config, NULL, &gate);
    return 0;
}

static int teardown(void **state)
{
    action_free(*state);
    return 0;
}

static void role_actions_never_overlap(void **state)
{
    struct action_engine *engine = *state;
    action_role(engine, true, 1, "acquired");
    expect_text(engine, "up", "running", "1/promoted/ns1/1");
    action_role(engine, false, 1, "handed over");
    expect_text(engine, "down", "running", NULL); /* `up` is still ending */
    expect_text(engine, "down", "waiting", "1/demoted/ns1/2");
    action_role(engine, true, 2, "acquired");
    expect_text(engine, "up", "waiting", "2/promoted/ns1/3");
    finish(engine, "up", RUN_DEADLINE, "the right to act ended");
    expect_text(engine, "down", "running", "1/demoted/ns1/2");
    expect_text(engine, "up", "running", NULL);
    finish(engine, "down", RUN_EXITED, NULL);
    expect_text(engine, "up", "running", "2/promoted/ns1/3");
    finish(engine, "up", RUN_EXITED, NULL);
    assert_int_equal(number(engine, "up", "ok"), 1);
    assert_int_equal(number(engine, "up", "deadline"), 1);
    assert_int_equal(action_busy(engine), 0);
}

static void losing_the_role_drops_what_needs_it(void **state)
{
    struct action_engine *engine = *state;
    action_role(engine, true, 1, "acquired");
    action_role(engine, false, 1, "lost");
    action_role(engine, true, 2, "acquired"); /* `up` waits for `down`, which waits for `up` */
    action_role(engine, false, 2, "lost");
    expect_text(engine, "up", "waiting", NULL);
    expect_text(engine, "down", "waiting", "2/demoted/ns1/4"); /* the newest, once */
    assert_int_equal(number(engine, "up", "superseded"), 1);
    assert_int_equal(number(engine, "down", "superseded"), 1);
    finish(engine, "up", RUN_DEADLINE, "the right to act ended");
    expect_text(engine, "down", "running", "2/demoted/ns1/4");
}

static void the_newest_status_wins(void **state)
{
    struct action_engine *engine = *state;
    action_role(engine, true, 1, "acquired");
    finish(engine, "up", RUN_EXITED, NULL);
    action_service(engine, "web", STATUS_PASSING, 1);
    assert_int_equal(action_busy(engine), 0);
    action_service(engine, "web", STATUS_CRITICAL, 1);
    expect_text(engine, "page", "running", "1/service/web/2");
    action_service(engine, "web", STATUS_PASSING, 1); /* runs beside it: another action */
    expect_text(engine, "calm", "running", "1/service/web/3");
    action_service(engine, "web", STATUS_CRITICAL, 1);
    expect_text(engine, "page", "waiting", "1/service/web/4");
    action_service(engine, "web", STATUS_PASSING, 1);
    expect_text(engine, "page", "waiting", NULL); /* no longer so */
    expect_text(engine, "calm", "waiting", "1/service/web/5");
    finish(engine, "page", RUN_TIMEOUT, "timed out");
    expect_text(engine, "page", "running", NULL);
    assert_int_equal(number(engine, "page", "timeout"), 1);
    finish(engine, "calm", RUN_EXITED, NULL);
    expect_text(engine, "calm", "running", "1/service/web/5");
    action_service(engine, "unwatched", STATUS_CRITICAL, 1);
    assert_false(action_watches(engine, "unwatched"));
    assert_true(action_watches(engine, "web"));
}

static void the_gate_has_the_last_word(void **state)
{
    struct action_engine *engine = *state;
    action_role(engine, true, 1, "acquired");
    action_service(engine, "web", STATUS_PASSING, 1);
    atomic_store(&gate.act_until, clock_boot() - 1);
    action_service(engine, "web", STATUS_CRITICAL, 1);
    expect_text(engine, "page", "running", NULL);
    atomic_store(&gate.act_until, NS_NEVER);
    action_service(engine, "web", STATUS_CRITICAL, 1);
    expect_text(engine, "page", "running", "1/service/web/2");
}

static void a_reload_keeps_what_stays(void **state)
{
    struct action_engine *engine = *state;
    action_role(engine, true, 1, "acquired");
    action_service(engine, "web", STATUS_PASSING, 1);
    action_service(engine, "web", STATUS_CRITICAL, 1);
    struct config_action fewer[] = {actions[2], actions[1]};
    struct config wanted = {.node = "ns1", .actions = fewer, .action_count = 2};
    action_reconfigure(engine, &wanted);
    expect_text(engine, "page", "running", "1/service/web/2");
    assert_int_equal(number(engine, "page", "superseded"), 0);
    struct runner_result late = {.action = "up", .event_id = "1/promoted/ns1/1"};
    action_result(engine, &late); /* of an action that is gone */
    finish(engine, "page", RUN_EXITED, NULL);
    json_t *list, *page = status_of(engine, "page", &list), *last = json_object_get(page, "last");
    assert_true(json_is_true(json_object_get(last, "ok")));
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_changes_of_a_primary_fire),
        cmocka_unit_test(ids_name_epoch_type_and_subject),
        cmocka_unit_test(programs_are_told_all),
        cmocka_unit_test_setup_teardown(role_actions_never_overlap, setup, teardown),
        cmocka_unit_test_setup_teardown(losing_the_role_drops_what_needs_it, setup, teardown),
        cmocka_unit_test_setup_teardown(the_newest_status_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(the_gate_has_the_last_word, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reload_keeps_what_stays, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
