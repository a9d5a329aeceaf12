/* The start: processes, privileges, threads, modules, in the order that each rests on the ones before it. */
#include "daemon.h"

#include "limits.h"

#include "lictor/doctor.h"
#include "lictor/log.h"
#include "lictor/privileges.h"
#include "lictor/sockets.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Beside the watch's own. An agent allows 200 a client address (limits.http_max_conns_per_client), and others
 * on this host want some, too. */
#define ELECTION_CONNECTIONS 14 /* 5 of them blocked queries; no beat of the check may wait for the rest */
#define STORE_CONNECTIONS    10 /* 5 */
#define CONNECTIONS_MAX      100
/* How often what changed is saved, and what could not be saved is tried again. */
#define SAVE_INTERVAL (10 * NS_PER_S)
/* How often the watch hears who was asked for. */
#define NOTE_INTERVAL (2 * NS_PER_S)
/* EDNS sizes that `compat = "consul"` honours, fragments or not, as Consul does. */
#define UDP_MAX_CONSUL 4096

/* --- signals and time --------------------------------------------------------------------------------- */

/* Once a second: ages in texts, and the saved view's confirmation. */
static void on_second(evutil_socket_t fd, short what, void *arg)
{
    struct daemon *daemon = arg;
    (void)fd;
    (void)what;
    daemon_confirm_view(daemon);
    daemon_arm_triggers(daemon);
    daemon_mind_records(daemon);
    daemon_refresh_texts(daemon);
    daemon_notify("WATCHDOG=1");
}

static void on_stop_signal(evutil_socket_t number, short what, void *arg)
{
    struct daemon *daemon = arg;
    (void)what;
    if (daemon->stopping) {
        log_warn("signal %d again: ending at once", (int)number);
        event_base_loopbreak(daemon->base);
        return;
    }
    daemon_stop(daemon, daemon->exit_code, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

static void on_reload_signal(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    daemon_reload_signal(arg);
}

static void watch_signals(struct daemon *daemon)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        daemon->signals[i] = evsignal_new(daemon->base, numbers[i],
                                          numbers[i] == SIGHUP ? on_reload_signal : on_stop_signal, daemon);
        event_add(daemon->signals[i], NULL);
    }
}

/* --- modules ------------------------------------------------------------------------------------------ */

static int start_clients(struct daemon *daemon, struct err *err)
{
    static_assert(WATCH_CONNECTIONS + ONDEMAND_CONNECTIONS + ELECTION_CONNECTIONS + STORE_CONNECTIONS +
                          DOCTOR_CONNECTIONS <=
                      CONNECTIONS_MAX,
                  "all of them together");
    const struct config *config = daemon->config;
    if (config->services.enabled) {
        daemon->watch_client =
            consul_client_new(daemon->base, "watch", &config->consul, WATCH_CONNECTIONS, err);
        daemon->ondemand_client =
            consul_client_new(daemon->base, "ondemand", &config->consul, ONDEMAND_CONNECTIONS, err);
        if (!daemon->watch_client || !daemon->ondemand_client)
            return -1;
    }
    if (config->election.enabled) {
        daemon->election_client =
            consul_client_new(daemon->base, "election", &config->consul, ELECTION_CONNECTIONS, err);
        daemon->store_client =
            consul_client_new(daemon->base, "store", &config->consul, STORE_CONNECTIONS, err);
        if (!daemon->election_client || !daemon->store_client)
            return -1;
    }
    return 0;
}

/* Until Consul is known the zone stands in the snapshot, held: its names get SERVFAIL, not REFUSED. */
static void publish_placeholder(struct daemon *daemon, const uint8_t *apex)
{
    struct zone_edit *edit = zone_edit_new(apex, ZONE_CATALOG, &daemon->services_state, NULL, NULL);
    publisher_put(&daemon->publisher, zone_edit_commit(edit));
}

static void start_view(struct daemon *daemon)
{
    const struct config *config = daemon->config;
    if (!config->services.enabled)
        return;
    atomic_store(&daemon->services_state.held, true); /* until the first complete view, or a restored one */
    daemon->catalog = catalog_new(&config->services, config->consul.datacenter, &daemon->services_state);
    daemon->view_path = xasprintf("%s/view", config->state_dir);
    daemon->versions = daemon_wants_versions(config);
    if (daemon->versions)
        daemon->cuts = cuts_new();
    daemon_restore_view(daemon);

    publish_placeholder(daemon, config->services.domain);
    if (config->services.has_alt_domain)
        publish_placeholder(daemon, config->services.alt_domain);
    for (size_t i = 0; i < config->services.reverse_count; i++)
        publish_placeholder(daemon, config->services.reverse[i]);
}

static void start_watch(struct daemon *daemon)
{
    if (!daemon->catalog)
        return;
    struct watch_config config = {
        .base = daemon->base,
        .builder = daemon->builder,
        .client = daemon->watch_client,
        .catalog = daemon->catalog,
        .state = &daemon->services_state,
        .config = daemon->config,
        .changed = daemon_view_changed,
        .changed_arg = daemon,
    };
    if (daemon->versions)
        daemon_start_serials(daemon, 0);
    builder_post(daemon->builder, daemon_view_changed, NULL, daemon); /* the restored view, if there is one */
    builder_every(daemon->builder, SAVE_INTERVAL, daemon_save_view, daemon);
    builder_every(daemon->builder, NS_PER_S, daemon_redraw_orders, daemon);
    builder_every(daemon->builder, NOTE_INTERVAL, daemon_note_asked, daemon);
    daemon->watch = watch_new(&config);
    daemon->ondemand = ondemand_new(&(struct ondemand_config){.base = daemon->base,
                                                              .builder = daemon->builder,
                                                              .client = daemon->ondemand_client,
                                                              .desk = daemon->desk,
                                                              .catalog = daemon->catalog,
                                                              .slot = &daemon->overlay,
                                                              .config = daemon->config});
    daemon->datacenters = datacenters_new(&(struct datacenters_config){
        .base = daemon->base,
        .builder = daemon->builder,
        .client = daemon->watch_client,
        .catalog = daemon->catalog,
        .state = &daemon->services_state,
        .local = daemon->watch,
        .config = daemon->config,
        .changed = daemon_view_changed,
        .changed_arg = daemon,
    });
    daemon_answer_asks(daemon);
}

void daemon_set_query_log(struct daemon *daemon)
{
    const struct config_query_log *wanted = &daemon->config->query_log;
    struct query_log_settings settings = {
        .file = wanted->file, .sample = wanted->sample, .rate = wanted->rate, .negative = wanted->negative};
    query_log_set(daemon->query_log, wanted->enabled ? &settings : NULL);
}

static int start_server(struct daemon *daemon, struct server_listen *listens, struct acl *inspect_from,
                        struct err *err)
{
    if (daemon->config->services.enabled &&
        !(daemon->desk = desk_new(daemon->base, daemon->config->workers, err)))
        return -1;
    daemon->query_log = query_log_new(daemon->config->workers, &daemon->slot);
    daemon_set_query_log(daemon);
    struct server_config config = {
        .workers = daemon->config->workers,
        .listens = listens,
        .listen_count = daemon->config->listen_count,
        .slot = &daemon->slot,
        .gate = &daemon->gate,
        .tcp_clients = limits_tcp_clients(daemon->config),
        .tcp_idle = 10 * NS_PER_S,
        .inspect_from = inspect_from,
        .query_log = daemon->query_log,
        .overlay = &daemon->overlay,
        .desk = daemon->desk,
        .peer = role_peer(daemon->role),
        .udp_max = daemon->config->services.compat_consul ? UDP_MAX_CONSUL : 0,
        .inbox = daemon->inbox,
        .special = transfers_special(daemon->transfers),
    };
    daemon->server = server_new(&config, err);
    return daemon->server ? server_start(daemon->server, err) : -1;
}

/* Keys and who may transfer what. The secrets are read with the rights that a reload will have, too. */
static int start_transfers(struct daemon *daemon, struct err *err)
{
    daemon->transfers = transfers_new();
    struct transfer_policy *policy = transfer_policy_new(daemon->config, err);
    if (!policy)
        return -1;
    transfers_set_policy(daemon->transfers, policy);
    return 0;
}

/* Builder. */
static void publish_stored(void *arg, struct zone *zone)
{
    records_put(arg, zone);
}

static void follow_health(void *arg, const uint8_t *apex, struct zone_edit *edit)
{
    records_edit(arg, apex, edit);
}

static int start_store(struct daemon *daemon)
{
    if (!daemon->config->election.enabled)
        return 0;
    daemon->store = store_new(&(struct store_config){.base = daemon->base,
                                                     .builder = daemon->builder,
                                                     .client = daemon->store_client,
                                                     .gate = &daemon->gate,
                                                     .cluster = daemon->config->election.cluster,
                                                     .instance = daemon->instance.id,
                                                     .state_dir = daemon->config->state_dir,
                                                     .publish = publish_stored,
                                                     .publish_arg = daemon->records,
                                                     .health = follow_health,
                                                     .health_arg = daemon->records});
    hosted_zones_use_store(daemon->zones, daemon->store);
    return 0;
}

static int start_role(struct daemon *daemon, struct err *err)
{
    struct role_config config = {
        .base = daemon->base,
        .client = daemon->election_client,
        .config = daemon->config,
        .gate = &daemon->gate,
        .instance = daemon->instance.id,
        .epoch_seen = daemon->instance.epoch_seen,
        .hooks = daemon_role_hooks(daemon),
    };
    atomic_store(&daemon->epoch_seen, daemon->instance.epoch_seen);
    atomic_store(&daemon->gate.ready_from, NS_NEVER);
    atomic_store(&daemon->gate.mode, (int)daemon->config->election.standby);
    daemon->role = role_new(&config, err);
    return daemon->role ? 0 : -1;
}

static int start_control(struct daemon *daemon, struct err *err)
{
    struct control_view view = {
        .base = daemon->base,
        .builder = daemon->builder,
        .config = daemon->config,
        .server = daemon->server,
        .gate = &daemon->gate,
        .slot = &daemon->slot,
        .role = daemon->role,
        .watch = daemon->watch,
        .datacenters = daemon->datacenters,
        .catalog = daemon->catalog,
        .actions = daemon->actions,
        .desk = daemon->desk,
        .ondemand = daemon->ondemand,
        .store = daemon->store,
        .tasks = daemon->tasks,
        .watch_client = daemon->watch_client,
        .ondemand_client = daemon->ondemand_client,
        .election_client = daemon->election_client,
        .store_client = daemon->store_client,
        .connections = (daemon->watch_client ? WATCH_CONNECTIONS + ONDEMAND_CONNECTIONS : 0) +
                       (daemon->election_client ? ELECTION_CONNECTIONS + STORE_CONNECTIONS : 0),
        .started = daemon->started,
    };
    daemon_control_hooks(daemon, &view);
    daemon->control = control_new(&view, err);
    return daemon->control ? 0 : -1;
}

static void on_zones_applied(void *arg)
{
    struct daemon *daemon = arg;
    daemon->zones_loaded = true;
    if (daemon->stopping) /* the load outlived the order to stop, and perhaps the role */
        return;
    if (daemon->store)
        store_start(daemon->store);
    role_start(daemon->role);
    daemon_configure_records(daemon);
    daemon_refresh_texts(daemon);
    daemon_notify("READY=1");
    log_info("ready: node %s, instance %s", daemon->config->node, daemon->instance.id);
}

/* At start a broken zone does not keep the others from being served. */
static void on_zones_read(void *arg, struct hosted_load *load, const char *faults)
{
    (void)faults;
    hosted_zones_apply(load, on_zones_applied, arg);
}

/* Before privileges go: a folder that lictord writes to is made, and belongs to who will write. */
static int prepare_folder(const char *path, const char *key, const char *user, struct err *err)
{
    struct identity owner;
    bool made = !mkdir(path, 0750);
    if (!made && errno != EEXIST)
        return err_set(err, "%s: cannot be created: %s; make it, or set `%s`", path, strerror(errno), key);
    if (!made || !user || geteuid())
        return 0;
    if (identity_lookup(user, &owner, err))
        return -1;
    if (chown(path, owner.uid, owner.gid))
        return err_set(err, "%s: cannot be given to %s: %s", path, user, strerror(errno));
    return 0;
}

static int prepare_folders(const struct config *config, struct err *err)
{
    char *socket = xstrdup(config->control);
    int result = prepare_folder(config->state_dir, "state-dir", config->user, err);
    if (!result)
        result = prepare_folder(dirname(socket), "control", config->user, err);
    free(socket);
    return result;
}

static int start_process(struct daemon *daemon, struct server_listen *listens, struct err *err)
{
    const struct config *config = daemon->config;
    daemon->runner = runner_start(config, err);
    if (!daemon->runner || runner_bind(daemon->runner, config, listens, err))
        return -1;
    if (prepare_folders(config, err) || privileges_drop(config->user, err))
        return -1;
    if (!geteuid())
        log_warn("running as root: there is no user `lictor` and none is configured; set `user`");
    if (access(config->path, R_OK))
        log_warn("%s: not readable any more for user %s: reloads will be refused; let its group read it",
                 config->path, config->user ? config->user : "lictor");
    return instance_open(&daemon->instance, config->state_dir, err);
}

static struct acl *inspect_acl(const struct config *config)
{
    struct acl *acl = acl_new();
    for (size_t i = 0; i < config->inspect_from.count; i++)
        acl_add(acl, config->inspect_from.items[i], NULL); /* checked with the configuration */
    return acl;
}

static void start_loop(struct daemon *daemon)
{
    evthread_use_pthreads();
    struct event_config *precise = event_config_new(); /* libevent's coarse clock is off by up to 4 ms */
    event_config_set_flag(precise, EVENT_BASE_FLAG_PRECISE_TIMER);
    daemon->base = event_base_new_with_config(precise);
    event_config_free(precise);
    daemon->turns = turns_new(daemon->base);
    watch_signals(daemon);
    daemon->second = event_new(daemon->base, -1, EV_PERSIST, on_second, daemon);
    event_add(daemon->second, &(struct timeval){.tv_sec = 1});
}

int daemon_start(struct daemon *daemon, struct config *config, struct err *err)
{
    *daemon = (struct daemon){
        .config = config, .started_with = config, .instance = {.lock_fd = -1}, .started = clock_boot()};
    atomic_init(&daemon->services_state.stale_from, NS_NEVER);
    atomic_init(&daemon->services_state.dead_from, NS_NEVER);

    struct server_listen *listens = xcalloc(config->listen_count, sizeof *listens);
    int result = start_process(daemon, listens, err);
    if (!result) {
        start_loop(daemon);
        daemon->builder = builder_new(daemon->base);
        publisher_init(&daemon->publisher, &daemon->slot,
                       &(struct snapshot_text){config->node, LICTOR_VERSION, NULL});
        daemon_start_notify(daemon);
        daemon->inspection = inspection_new(&daemon->publisher, config->node);
        daemon->inspect_from = inspect_acl(config);
        daemon->actions = action_new(config, daemon->runner, &daemon->gate);
        struct runner_hooks hooks = daemon_runner_hooks(daemon);
        runner_attach(daemon->runner, daemon->base, &hooks);
        start_view(daemon);
        daemon_new_records(daemon);
        daemon->zones =
            hosted_zones_new(daemon->builder, &daemon->publisher, daemon->records, config->state_dir);
        builder_start(daemon->builder);
        if (start_transfers(daemon, err) || start_clients(daemon, err) || start_role(daemon, err) ||
            start_store(daemon) || daemon_start_updates(daemon, err) ||
            start_server(daemon, listens, daemon->inspect_from, err))
            result = -1;
    }
    for (size_t i = 0; i < config->listen_count; i++) {
        free(listens[i].udp);
        free(listens[i].tcp);
    }
    free(listens);
    if (result)
        return -1;
    builder_every(daemon->builder, SAVE_INTERVAL, daemon_save_epoch,
                  daemon); /* if the disk was full before */
    start_watch(daemon);
    daemon_start_tasks(daemon);
    daemon_start_records(daemon);
    if (start_control(daemon, err))
        return -1;
    hosted_zones_read(daemon->zones, config, true, on_zones_read, daemon);
    return 0;
}
