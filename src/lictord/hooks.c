/* What the modules tell the daemon and ask of it. */
#include "daemon.h"

#include "lictor/log.h"

#include <event2/event.h>
#include <stdlib.h>

void daemon_told_saved(bool *failing, const char *what, const struct err *err)
{
    if (err && !*failing)
        log_error("%s: not saved, will be tried again: %s", what, err->text);
    else if (!err && *failing)
        log_info("%s: saved again", what);
    *failing = err != NULL;
}

void daemon_save_epoch(void *arg)
{
    struct daemon *daemon = arg;
    struct err err;
    /* The gate holds our own epochs, the role the highest of all: what is saved must never be below either.
     */
    bool failed = instance_save_epoch(&daemon->instance, atomic_load(&daemon->epoch_seen), &err);
    daemon_told_saved(&daemon->epoch_failing, "epoch", failed ? &err : NULL);
}

static void on_role_event(void *arg, const struct role_event *event)
{
    struct daemon *daemon = arg;
    if (event->kind == ROLE_PROMOTED) {
        action_role(daemon->actions, true, event->epoch, event->reason);
        notify_promoted(daemon->notify);
        if (daemon->serials)
            serials_promoted(daemon->serials);
        if (daemon->store)
            store_role(daemon->store, true, role_session(daemon->role), event->epoch);
        tasks_role(daemon->tasks, true, event->epoch);
        daemon_mind_records(daemon);
    } else if (event->kind == ROLE_DEMOTED) {
        action_role(daemon->actions, false, event->epoch, event->reason);
        if (daemon->serials)
            serials_demoted(daemon->serials);
        if (daemon->store)
            store_role(daemon->store, false, "", event->epoch);
        tasks_role(daemon->tasks, false, event->epoch);
    }
    if (!daemon->role)
        return; /* an event from within role_new */
    uint64_t epoch = role_epoch_seen(daemon->role);
    if (epoch > atomic_load(&daemon->epoch_seen)) {
        atomic_store(&daemon->epoch_seen, epoch);
        builder_post(daemon->builder, daemon_save_epoch, NULL, daemon);
    }
    daemon_refresh_texts(daemon);
}

/* Hand-over, step 2: no worker answers by the old right any more, and no effect runs. */
static void on_quiesce(void *arg, void (*done)(void *done_arg, bool clean), void *done_arg)
{
    struct daemon *daemon = arg;
    if (daemon->server && server_barrier(daemon->server, 15 * NS_PER_MS)) {
        log_warn("hand-over: a worker did not pass a batch in 15ms: no clean marker");
        done(done_arg, false);
        return;
    }
    runner_quiesce(daemon->runner, done, done_arg);
}

/* A zone without content does not gate the role: that zone alone is held, or a file that is broken on all
 * hosts would leave nobody to act for the others. Nor does the view. */
static bool on_ready(void *arg, char reason[256])
{
    const struct daemon *daemon = arg;
    if (daemon->zones_loaded && !daemon->stopping)
        return !daemon->store || store_ready(daemon->store, reason);
    snprintf(reason, 256, "%s", daemon->stopping ? "lictord is stopping" : "the zones are being loaded");
    return false;
}

/* Zones that this instance cannot read from Consul: can any other living member? (DESIGN 5, Ready to stand)
 */
static void mind_broken(struct daemon *daemon, const char *broken)
{
    struct role_member members[ROLE_MEMBERS];
    char all[ROLE_BROKEN] = "";
    size_t count = broken[0] && daemon->role ? role_members(daemon->role, members, ROLE_MEMBERS) : 0;
    for (const char *at = broken, *end; (end = strchr(at, ' ')); at = end + 1) {
        char zone[ROLE_BROKEN];
        snprintf(zone, sizeof zone, " %.*s ", (int)(end - at), at);
        bool others = true;
        for (size_t i = 0; i < count; i++) {
            char theirs[ROLE_BROKEN + 2];
            snprintf(theirs, sizeof theirs, " %s", members[i].mirror.broken);
            others &= members[i].self || strstr(theirs, zone);
        }
        if (others)
            strncat(all, zone + 1, sizeof all - strlen(all) - 1);
    }
    store_others_broken(daemon->store, all);
}

static void on_mirror(void *arg, struct role_mirror *out)
{
    struct daemon *daemon = arg;
    if (!daemon->store)
        return;
    store_progress(daemon->store, &out->epoch, &out->sequence);
    store_broken(daemon->store, out->broken, sizeof out->broken);
    mind_broken(daemon, out->broken);
}

static void on_deadline(void *arg, nstime act_until)
{
    struct daemon *daemon = arg;
    if (daemon->runner)
        runner_deadline(daemon->runner, act_until);
}

static void on_fatal(void *arg, const char *reason)
{
    daemon_stop(arg, EXIT_FAILURE, reason);
}

static void on_action_result(void *arg, const struct runner_result *result)
{
    struct daemon *daemon = arg;
    action_result(daemon->actions, result);
}

static void on_runner_gone(void *arg)
{
    struct daemon *daemon = arg;
    bool again = daemon->stopping;
    log_error("the runner is gone: without it nothing stops actions at the lease's end; giving up the role "
              "and exiting");
    daemon->stopping = true;
    daemon->exit_code = EXIT_FAILURE;
    if (!again)
        role_abort(daemon->role, "the runner is gone", daemon_end_loop, daemon);
}

struct role_hooks daemon_role_hooks(struct daemon *daemon)
{
    return (struct role_hooks){.event = on_role_event,
                               .quiesce = on_quiesce,
                               .ready = on_ready,
                               .mirror = on_mirror,
                               .deadline = on_deadline,
                               .fatal = on_fatal,
                               .arg = daemon};
}

struct runner_hooks daemon_runner_hooks(struct daemon *daemon)
{
    return (struct runner_hooks){on_action_result, on_runner_gone, daemon};
}

static void on_task(void *arg, const json_t *task, const char *from, struct buf *body, task_done_fn *done,
                    void *done_arg)
{
    struct daemon *daemon = arg;
    if (daemon->control)
        control_task(daemon->control, task, from, body, done, done_arg);
    else
        done(done_arg, NULL, "lictord is starting or stopping");
}

void daemon_start_tasks(struct daemon *daemon)
{
    if (!daemon->store)
        return;
    daemon->tasks = tasks_new(&(struct tasks_config){.base = daemon->base,
                                                     .client = daemon->store_client,
                                                     .role = daemon->role,
                                                     .cluster = daemon->config->election.cluster,
                                                     .node = daemon->config->node,
                                                     .run = on_task,
                                                     .run_arg = daemon});
}

/* --- for control ------------------------------------------------------------------------------------ */

static nstime control_longest_turn(void *arg)
{
    return turns_longest(((struct daemon *)arg)->turns);
}

static nstime control_lateness(void *arg)
{
    return turns_lateness(((struct daemon *)arg)->turns);
}

static json_t *control_zones(void *arg)
{
    struct daemon *daemon = arg;
    json_t *zones = hosted_zones_status(daemon->zones);
    daemon_add_secondaries(daemon, zones);
    daemon_add_records(daemon, zones);
    return zones;
}

static json_t *control_decisions(void *arg)
{
    const struct daemon *daemon = arg;
    return daemon->store ? store_why(daemon->store) : NULL;
}

static void control_transfer_metrics(void *arg, struct buf *out)
{
    struct daemon *daemon = arg;
    transfers_print(daemon->transfers, out);
    updates_print(daemon->updates, out);
    inbox_print(daemon->inbox, out);
    notify_print(daemon->notify, out);
    if (daemon->store)
        store_print(daemon->store, out);
    records_print(daemon->records, out);
}

static json_t *control_not_ready(void *arg)
{
    struct daemon *daemon = arg;
    json_t *reasons = json_array();
    if (daemon->stopping)
        json_array_append_new(reasons, json_string("stopping"));
    if (!daemon->zones_loaded)
        json_array_append_new(reasons, json_string("zones are being loaded"));
    const char *missing = daemon->zones_loaded ? hosted_zones_missing(daemon->zones) : NULL;
    if (missing)
        json_array_append_new(reasons, json_sprintf("zone %s has no content", missing));
    bool held = atomic_load(&daemon->services_state.held); /* complete, but not published yet */
    if (daemon->watch && ((!watch_live(daemon->watch) && !daemon->view_restored) || held))
        json_array_append_new(reasons, json_string("no complete view of Consul yet"));
    if (builder_busy_for(daemon->builder) > 30 * NS_PER_S)
        json_array_append_new(reasons, json_string("the builder has been stuck for more than 30 s"));
    return reasons;
}

void daemon_control_hooks(struct daemon *daemon, struct control_view *view)
{
    view->longest_turn = control_longest_turn;
    view->worst_lateness = control_lateness;
    view->zones = control_zones;
    view->transfer_metrics = control_transfer_metrics;
    view->decisions = control_decisions;
    view->not_ready = control_not_ready;
    view->reload = daemon_reload;
    view->force = daemon_force_record;
    view->arg = daemon;
}
