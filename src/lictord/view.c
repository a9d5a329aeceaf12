/* The health view: published when it changes, saved for the next start, told to the triggers and to
 * `lictor.`. Builder thread, but for the restoring at start. */
#include "daemon.h"

#include "lictor/log.h"
#include "lictor/statefile.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

#define KIND    "view"
#define VERSION 1
/* Octets of the saved view that are written at once: what changes meanwhile waits for a millisecond, not for
 * the half second of all of it. */
#define SAVE_PART (128 * 1024)

/* --- what follows a change ------------------------------------------------------------------------ */

static void append_line(void *arg, const char *text)
{
    struct buf *lines = arg;
    buf_printf(lines, "%s%s", lines->len ? "\n" : "", text);
}

/* What a service is, for triggers: the worst that still answers counts, and `critical` only when nothing
 * does. */
static enum config_status service_status(const struct catalog *catalog, const char *service)
{
    struct catalog_health health;
    if (!catalog_service_health(catalog, NULL, service, &health) || !health.instances)
        return STATUS_ABSENT;
    if (health.critical == health.instances)
        return STATUS_CRITICAL;
    return health.warning || health.critical ? STATUS_WARNING : STATUS_PASSING;
}

struct observed {
    struct observed *next;
    enum config_status status;
    char service[];
};

struct changes {
    struct daemon *daemon;
    struct observed *observed;
};

static void observe(struct changes *changes, const char *service)
{
    struct observed *o = xmalloc(sizeof *o + strlen(service) + 1);
    o->next = changes->observed;
    o->status = service_status(changes->daemon->catalog, service);
    strcpy(o->service, service);
    changes->observed = o;
}

static void on_changed_service(void *arg, const char *datacenter, const char *service)
{
    struct changes *changes = arg;
    struct daemon *daemon = changes->daemon;
    struct buf lines = {0};
    records_changed(daemon->records, datacenter, service);
    char *name =
        datacenter ? xasprintf("%s.%s.health", service, datacenter) : xasprintf("%s.health", service);
    catalog_health_text(daemon->catalog, datacenter, service, append_line, &lines);
    inspection_put(daemon->inspection, name, buf_str(&lines));
    buf_free(&lines);
    free(name);
    if (!datacenter) /* triggers follow the local one */
        observe(changes, service);
}

/* Main: a view that is not live and complete triggers nothing (it may be a saved one, or half of one). */
static void tell_triggers(void *arg)
{
    struct changes *changes = arg;
    struct daemon *daemon = changes->daemon;
    for (struct observed *o = changes->observed, *next; o; o = next) {
        next = o->next;
        if (daemon->watch && watch_live(daemon->watch) && !daemon->stopping)
            action_service(daemon->actions, o->service, o->status,
                           atomic_load_explicit(&daemon->gate.epoch, memory_order_relaxed));
        free(o);
    }
    free(changes);
}

static void on_any_service(void *arg, const char *service, const struct catalog_health *health)
{
    (void)health;
    observe(arg, service);
}

static void observe_all(void *arg)
{
    struct daemon *daemon = arg;
    struct changes *changes = xmalloc(sizeof *changes);
    *changes = (struct changes){daemon, NULL};
    catalog_each_service(daemon->catalog, NULL, on_any_service, changes);
    builder_to_main(daemon->builder, tell_triggers, changes);
}

void daemon_arm_triggers(struct daemon *daemon)
{
    if (daemon->triggers_armed || !daemon->watch || !watch_live(daemon->watch))
        return;
    daemon->triggers_armed = true;
    builder_post(daemon->builder, observe_all, NULL, daemon);
}

void daemon_view_changed(void *arg)
{
    struct daemon *daemon = arg;
    daemon_publish_catalog(daemon);
    daemon->view_dirty = true;

    struct changes *changes = xmalloc(sizeof *changes);
    *changes = (struct changes){daemon, NULL};
    catalog_take_changed(daemon->catalog, on_changed_service, changes);
    records_look(daemon->records, clock_boot());
    inspection_publish(daemon->inspection);
    builder_to_main(daemon->builder, tell_triggers, changes);
}

void daemon_redraw_orders(void *arg)
{
    static struct rng rng; /* the builder's own */
    struct daemon *daemon = arg;
    if (!rng.s[0] && !rng.s[1])
        rng_seed(&rng);
    catalog_redraw(daemon->catalog, &rng);
    daemon_publish_catalog(daemon);
    records_redraw(daemon->records, &rng);
}

/* --- to and from the disk ------------------------------------------------------------------------- */

struct view_saving {
    struct catalog_saving *catalog;
    struct statefile *file;
    struct buf part;
    nstime contact;
};

static bool is_due(const struct daemon *daemon, nstime contact)
{
    return contact && (daemon->view_dirty || contact >= daemon->view_saved + VIEW_CONFIRM_INTERVAL);
}

static void end_saving(struct daemon *daemon, bool saved)
{
    struct view_saving *saving = daemon->view_saving;
    if (saved)
        daemon->view_saved = saving->contact;
    else
        daemon->view_dirty = true;
    catalog_save_end(saving->catalog);
    buf_free(&saving->part);
    free(saving);
    daemon->view_saving = NULL;
}

static void end_failed(struct daemon *daemon, const struct err *err)
{
    daemon_told_saved(&daemon->view_failing, "view", err);
    end_saving(daemon, false);
}

static void begin_saving(struct daemon *daemon, nstime contact)
{
    struct err err;
    struct view_saving *saving = daemon->view_saving = xcalloc(1, sizeof *saving);
    saving->contact = contact;
    saving->file = statefile_begin(daemon->view_path, KIND, VERSION, &err);
    if (!saving->file) {
        end_failed(daemon, &err);
        return;
    }
    daemon->view_dirty = false; /* what changes from here on may have been written already */
    saving->catalog = catalog_save_begin(daemon->catalog, contact, &saving->part);
}

/* Writes the next part. */
static void go_on_saving(struct daemon *daemon)
{
    struct view_saving *saving = daemon->view_saving;
    struct err err;
    enum catalog_saved state = catalog_save_some(saving->catalog, SAVE_PART, &saving->part);
    if (state == CATALOG_SAVE_LOST) { /* all of it soon, without that datacenter */
        statefile_abandon(saving->file);
        end_saving(daemon, false);
    } else if (statefile_append(saving->file, saving->part.data, saving->part.len, &err)) {
        statefile_abandon(saving->file);
        end_failed(daemon, &err);
    } else if (state == CATALOG_SAVE_MORE) {
        saving->part.len = 0;
    } else if (statefile_commit(saving->file, &err)) {
        end_failed(daemon, &err);
    } else {
        daemon_told_saved(&daemon->view_failing, "view", NULL);
        end_saving(daemon, true);
    }
}

static void save_part(void *arg)
{
    struct daemon *daemon = arg;
    go_on_saving(daemon);
    if (daemon->view_saving)
        builder_post(daemon->builder, save_part, NULL, daemon);
}

void daemon_save_view(void *arg)
{
    struct daemon *daemon = arg;
    nstime contact = atomic_load(&daemon->view_confirmed);
    if (daemon->view_saving || !is_due(daemon, contact))
        return;
    begin_saving(daemon, contact);
    if (daemon->view_saving)
        builder_post(daemon->builder, save_part, NULL, daemon);
}

void daemon_save_view_now(struct daemon *daemon)
{
    nstime contact = atomic_load(&daemon->view_confirmed);
    if (!is_due(daemon, contact))
        return;
    begin_saving(daemon, contact);
    while (daemon->view_saving)
        go_on_saving(daemon);
}

void daemon_limit_restored_view(struct daemon *daemon)
{
    if (!daemon->view_restored || (daemon->watch && watch_live(daemon->watch)))
        return;
    nstime stale_from = atomic_load(&daemon->services_state.stale_from);
    atomic_store(&daemon->services_state.dead_from, stale_from + daemon->config->consul.stale_for);
}

/* Marks the restored view stale as of its last contact with Consul. A time in the future counts as now. */
static void set_age(struct daemon *daemon, nstime as_of)
{
    nstime age = clock_real() - as_of;
    if (age < 0)
        age = 0;
    nstime stale_from = clock_boot() - age;
    atomic_store(&daemon->services_state.stale_from, stale_from);
    daemon_limit_restored_view(daemon);

    char text[32];
    log_info("view: restored from disk, %s old; its answers carry EDE 3 until Consul has been read",
             duration_format(age, text));
}

void daemon_restore_view(struct daemon *daemon)
{
    struct buf text = {0};
    struct err err;
    nstime as_of;
    int result = statefile_read(daemon->view_path, KIND, VERSION, &text, &err);
    if (result == 0)
        result = catalog_restore(daemon->catalog, (const char *)text.data, text.len, &as_of, &err);
    if (result < 0)
        log_error("view: the saved one is of no use: %s", err.text);
    if (result == 0) {
        daemon->view_restored = true;
        atomic_store(&daemon->services_state.held, false);
        set_age(daemon, as_of);
    }
    buf_free(&text);
}
