/* Reload: the file is read and checked, the runner reads it too, the zones are loaded, and only then anything
 * changes. */
#include "daemon.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdlib.h>

struct reload {
    struct daemon *daemon;
    struct config *wanted;
    void (*done)(void *arg, const char *error);
    void *done_arg;
};

static void end(struct reload *reload, const char *error)
{
    if (error)
        log_error("reload: refused, everything stays as it was: %s", error);
    if (reload->done)
        reload->done(reload->done_arg, error);
    config_free(reload->wanted); /* not taken over: NULL if it was */
    free(reload);
}

static void reconfigure_catalog(void *arg)
{
    struct daemon *daemon = arg;
    if (!daemon->catalog)
        return;
    catalog_configure(daemon->catalog, &daemon->config->services);
    daemon_view_changed(daemon);
}

static void free_old(void *arg)
{
    config_free(arg);
}

static void nothing(void *arg)
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
    action_reconfigure(daemon->actions, daemon->config);
    if (daemon->control)
        control_set_config(daemon->control, daemon->config);
    if (daemon->watch)
        watch_set_config(daemon->watch, daemon->config);
    role_set_config(daemon->role, daemon->config);
    builder_post(daemon->builder, reconfigure_catalog, NULL, daemon);
    /* Jobs that were queued before may still read the old one: it goes when they are through. */
    builder_post(daemon->builder, nothing, free_old, old);
    daemon_refresh_texts(daemon);
    log_info("reload: %s is in force", daemon->config->path);
}

static void on_zones(void *arg, const char *faults)
{
    struct reload *reload = arg;
    if (!faults)
        apply(reload);
    end(reload, faults);
}

static void on_runner(void *arg, const char *error)
{
    struct reload *reload = arg;
    if (error)
        end(reload, error);
    else
        hosted_zones_reload(reload->daemon->zones, reload->wanted, on_zones, reload);
}

void daemon_reload(void *arg, void (*done)(void *done_arg, const char *error), void *done_arg)
{
    struct daemon *daemon = arg;
    struct reload *reload = xmalloc(sizeof *reload);
    struct buf faults = {0};
    *reload = (struct reload){daemon, NULL, done, done_arg};

    if (daemon->stopping) {
        end(reload, "lictord is stopping");
        return;
    }
    reload->wanted = config_load(daemon->config->path, &faults);
    if (!reload->wanted) {
        end(reload, buf_str(&faults));
        buf_free(&faults);
        return;
    }
    buf_free(&faults);
    const char *key = config_needs_restart(daemon->config, reload->wanted);
    if (key) {
        char *error = xasprintf("%s: `%s` cannot change while lictord runs; restart it for that",
                                daemon->config->path, key);
        end(reload, error);
        free(error);
        return;
    }
    runner_reload(daemon->runner, reload->wanted->hash, on_runner, reload);
}
