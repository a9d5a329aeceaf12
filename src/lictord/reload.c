/* Reload: the file is read and checked, the zones are read, the runner reads the file too, and only then
 * anything changes. */
#include "daemon.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

struct reload {
    struct daemon *daemon;
    char *path;
    struct config *wanted;
    struct transfer_policy *policy; /* of wanted */
    struct update_policy *updates;  /* likewise */
    struct buf faults;              /* of the file; empty: none */
    struct hosted_load *load;
    void (*done)(void *arg, const char *error);
    void *done_arg;
};

/* One log line a fault: the log escapes line feeds. */
static void log_faults(const char *faults)
{
    log_error("reload: refused, everything stays as it was:");
    while (*faults) {
        int len = (int)strcspn(faults, "\n");
        log_error("reload: %.*s", len, faults);
        faults += len;
        faults += *faults == '\n';
    }
}

static void end(struct reload *reload, const char *error)
{
    if (error)
        log_faults(error);
    if (reload->done)
        reload->done(reload->done_arg, error);
    config_free(reload->wanted); /* not taken over: NULL if it was */
    transfer_policy_free(reload->policy);
    update_policy_free(reload->updates);
    struct daemon *daemon = reload->daemon;
    daemon->reloading = NULL;
    buf_free(&reload->faults);
    free(reload->path);
    free(reload);
    if (daemon->reload_again) {
        daemon->reload_again = false;
        daemon_reload(daemon, NULL, NULL);
    }
}

void daemon_reload_signal(struct daemon *daemon)
{
    if (daemon->reloading) /* it may have read the files before they were changed for this signal */
        daemon->reload_again = true;
    else
        daemon_reload(daemon, NULL, NULL);
}

struct catalog_job {
    struct daemon *daemon;
    const struct config *config;
};

static void configure_catalog(void *arg)
{
    struct catalog_job *job = arg;
    catalog_configure(job->daemon->catalog, &job->config->services);
    daemon_view_changed(job->daemon);
}

struct policy_job {
    struct daemon *daemon;
    struct transfer_policy *policy;
};

static void set_policy(void *arg)
{
    struct policy_job *job = arg;
    transfers_set_policy(job->daemon->transfers, job->policy);
}

static void free_old(void *arg)
{
    config_free(arg);
}

static void pass(void *arg)
{
    (void)arg;
}

static void apply(struct reload *reload)
{
    struct daemon *daemon = reload->daemon;
    struct config *old = daemon->config;
    daemon->config = reload->wanted;
    reload->wanted = NULL;
    log_set_level((enum log_level)daemon->config->log_level);
    daemon_set_query_log(daemon);
    action_reconfigure(daemon->actions, daemon->config);
    if (daemon->control)
        control_set_config(daemon->control, daemon->config);
    if (daemon->watch)
        watch_configure(daemon->watch, daemon->config);
    if (daemon->datacenters)
        datacenters_configure(daemon->datacenters, daemon->config);
    daemon_limit_restored_view(daemon);
    notify_configure(daemon->notify, daemon->config);
    struct policy_job *keys = xmalloc(sizeof *keys);
    *keys = (struct policy_job){daemon, reload->policy};
    reload->policy = NULL;
    builder_post(daemon->builder, set_policy, free, keys);
    updates_set_policy(daemon->updates, reload->updates);
    reload->updates = NULL;
    daemon_begin_versions(daemon);
    if (daemon->catalog) {
        struct catalog_job *job = xmalloc(sizeof *job);
        *job = (struct catalog_job){daemon, daemon->config};
        builder_post(daemon->builder, configure_catalog, free, job);
        desk_forget(daemon->desk);
        ondemand_configure(daemon->ondemand,
                           daemon->config); /* what it reads from now on is rendered after that */
    }
    daemon_configure_records(daemon);
    /* The first one stays: modules that were started with it read in it what cannot change. Jobs
     * that were queued before may still read a later one: it goes when they are through. */
    if (old != daemon->started_with)
        builder_post(daemon->builder, pass, free_old, old);
    daemon_refresh_texts(daemon);
    log_info("reload: %s is in force", daemon->config->path);
}

static void on_applied(void *arg)
{
    struct reload *reload = arg;
    bool stopping = reload->daemon->stopping; /* then what would be told may be gone already */
    if (!stopping)
        apply(reload);
    end(reload, stopping ? "lictord is stopping" : NULL);
}

static void on_runner(void *arg, const char *error)
{
    struct reload *reload = arg;
    if (!error) {
        hosted_zones_apply(reload->load, on_applied, reload);
        return;
    }
    hosted_zones_drop(reload->load);
    end(reload, error);
}

static void on_read(void *arg, struct hosted_load *load, const char *faults)
{
    struct reload *reload = arg;
    if (!faults && !reload->daemon->stopping) {
        reload->load = load;
        log_debug("reload: the zones are read; the runner reads the configuration");
        runner_reload(reload->daemon->runner, reload->wanted->hash, on_runner, reload);
        return;
    }
    hosted_zones_drop(load);
    end(reload, faults ? faults : "lictord is stopping");
}

/* Thousands of zones take a tenth of a second: builder. */
static void read_config(void *arg)
{
    struct reload *reload = arg;
    struct err err;
    reload->wanted = config_load(reload->path, &reload->faults);
    if (reload->wanted && (!(reload->policy = transfer_policy_new(reload->wanted, &err)) ||
                           !(reload->updates = update_policy_new(reload->wanted, &err)))) {
        buf_printf(&reload->faults, "%s: %s", reload->path, err.text);
        config_free(reload->wanted);
        reload->wanted = NULL;
    }
}

static void on_config(void *arg)
{
    struct reload *reload = arg;
    struct daemon *daemon = reload->daemon;
    if (!reload->wanted || daemon->stopping) {
        end(reload, reload->wanted ? "lictord is stopping" : buf_str(&reload->faults));
        return;
    }
    const char *key = config_needs_restart(daemon->config, reload->wanted);
    if (key) {
        char *error =
            xasprintf("%s: `%s` cannot change while lictord runs; restart it for that", reload->path, key);
        end(reload, error);
        free(error);
        return;
    }
    log_debug("reload: reading the zones");
    hosted_zones_read(daemon->zones, reload->wanted, false, on_read, reload);
}

void daemon_reload(void *arg, void (*done)(void *done_arg, const char *error), void *done_arg)
{
    struct daemon *daemon = arg;
    if (daemon->stopping || daemon->reloading) {
        const char *why = daemon->stopping ? "lictord is stopping" : "another reload is under way";
        log_warn("reload: refused: %s", why);
        if (done)
            done(done_arg, why);
        return;
    }
    struct reload *reload = xmalloc(sizeof *reload);
    *reload = (struct reload){
        .daemon = daemon, .path = xstrdup(daemon->config->path), .done = done, .done_arg = done_arg};
    daemon->reloading = reload;
    builder_post(daemon->builder, read_config, on_config, reload);
}
