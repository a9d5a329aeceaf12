/* The running daemon and its end. */
#include "daemon.h"

#include "lictor/log.h"
#include "lictor/sockets.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#ifdef LICTOR_HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

/* How long a clean stop waits for `demoted` actions: their default timeout. */
#define DEMOTED_ACTIONS_TIME (30 * NS_PER_S)

void daemon_notify(const char *state)
{
#ifdef LICTOR_HAVE_SYSTEMD
    sd_notify(0, state);
#else
    (void)state;
#endif
}

void daemon_end_loop(void *arg)
{
    struct daemon *daemon = arg;
    event_base_loopbreak(daemon->base);
}

void daemon_confirm_view(struct daemon *daemon)
{
    if (daemon->watch && watch_live(daemon->watch) &&
        atomic_load(&daemon->services_state.stale_from) == NS_NEVER)
        atomic_store(&daemon->view_confirmed, clock_real());
}

/* The role is gone; `demoted` actions undo things and get their time. DNS goes on meanwhile. */
static void await_actions(evutil_socket_t fd, short what, void *arg)
{
    struct daemon *daemon = arg;
    (void)fd;
    (void)what;
    if (action_busy(daemon->actions) && clock_boot() < daemon->stop_by)
        event_base_once(daemon->base, -1, EV_TIMEOUT, await_actions, daemon,
                        &(struct timeval){.tv_usec = 20000});
    else
        daemon_end_loop(daemon);
}

static void on_role_stopped(void *arg)
{
    struct daemon *daemon = arg;
    daemon->stop_by = clock_boot() + DEMOTED_ACTIONS_TIME;
    if (action_busy(daemon->actions))
        log_info("stopping: waiting for actions, at most 30s; a second signal ends it at once");
    await_actions(-1, 0, daemon);
}

void daemon_stop(struct daemon *daemon, int exit_code, const char *reason)
{
    if (daemon->stopping)
        return;
    daemon->stopping = true;
    daemon->exit_code = exit_code;
    daemon_notify("STOPPING=1");
    log_info("stopping: %s", reason);
    role_stop(daemon->role, on_role_stopped, daemon);
}

int daemon_run(struct daemon *daemon)
{
    turns_run(daemon->turns);
    log_info("stopped");
    return daemon->exit_code;
}

void daemon_free(struct daemon *daemon)
{
    daemon->stopping = true; /* what the builder still delivers must not reach for what goes first */
    /* Whatever the builder still waits for, one more TERM or INT ends us now. */
    for (size_t i = 0; i < sizeof daemon->signals / sizeof *daemon->signals; i++)
        if (daemon->signals[i])
            event_free(daemon->signals[i]);
    signal(SIGHUP, SIG_IGN);
    tasks_stop(daemon->tasks);
    control_free(daemon->control);
    daemon->control = NULL;
    daemon_confirm_view(daemon);
    datacenters_free(daemon->datacenters);
    watch_free(daemon->watch);
    ondemand_stop(daemon->ondemand);
    server_free(daemon->server); /* its workers hand messages to the role's peer */
    query_log_free(daemon->query_log);
    updates_stop(daemon->updates);
    desk_free(daemon->desk);
    role_free(daemon->role);
    serials_stop(daemon->serials);
    store_stop(daemon->store);
    daemon_stop_records(daemon);
    consul_client_free(daemon->store_client);
    consul_client_free(daemon->watch_client);
    consul_client_free(daemon->ondemand_client);
    consul_client_free(daemon->election_client);
    runner_stop(daemon->runner);   /* a reload that waits for it hands its zones back to the builder */
    builder_free(daemon->builder); /* from here on main is the only thread and stands in for the builder */
    if (daemon->catalog)
        daemon_save_view_now(daemon);
    if (daemon->publisher.slot)
        publisher_finish(&daemon->publisher);
    ondemand_free(daemon->ondemand);
    serials_free(daemon->serials);
    cuts_free(daemon->cuts);
    inspection_free(daemon->inspection);
    updates_free(daemon->updates);
    inbox_free(daemon->inbox);
    store_free(daemon->store);
    tasks_free(daemon->tasks);
    daemon_free_records(daemon);
    hosted_zones_free(daemon->zones);
    catalog_free(daemon->catalog);
    action_free(daemon->actions);
    daemon_forget_versions(daemon);
    notify_free(daemon->notify);
    transfers_free(daemon->transfers);
    acl_free(daemon->inspect_from);
    if (daemon->second)
        event_free(daemon->second);
    turns_free(daemon->turns);
    if (daemon->base)
        event_base_free(daemon->base);
    instance_close(&daemon->instance);
    free(daemon->view_path);
    if (daemon->config != daemon->started_with)
        config_free(daemon->started_with);
    config_free(daemon->config);
}
