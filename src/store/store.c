/* The store: zones' state machines on the builder, watches and requests on main. */
#include "store/store_body.h"

#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK  (50 * NS_PER_MS)
#define RETRY (10 * NS_PER_S)
/* A `snapshot restore` wakes nobody: the indexes that it brings back are lower than the one waited for. */
#define HEADS_WAIT   (5 * NS_PER_S)
#define WAKES_MAX    20 /* a second */
#define RECOVER_WAIT (60 * NS_PER_S)

/* --- what a zone's state machine asks for (builder) ------------------------------------------------------
 */

static void on_send(void *arg, struct core *core, struct kv_request *request)
{
    struct zone_entry *entry = arg;
    if (entry->store->dead)
        kv_request_free(request);
    else
        courier_send(entry->store->courier, core, request, entry->store->session);
}

static void on_publish(void *arg, struct core *core, struct zone *zone)
{
    struct zone_entry *entry = arg;
    (void)core;
    if (entry->forgotten)
        zone_unref(zone);
    else
        entry->store->config.publish(entry->store->config.publish_arg, zone);
}

static void on_mirror_add(void *arg, struct core *core, const struct store_entry *log_entry,
                          const struct buf *octets)
{
    struct zone_entry *entry = arg;
    (void)log_entry;
    if (entry->mirror)
        mirror_add(entry->mirror, core, octets);
}

static void on_mirror_all(void *arg, struct core *core)
{
    struct zone_entry *entry = arg;
    if (entry->mirror)
        mirror_all(entry->mirror, core);
}

/* On main. */
static void run_done(void *arg)
{
    struct submission *submission = arg;
    if (submission->previewed)
        submission->previewed(submission->arg, &(struct store_preview){.serial = submission->result.serial,
                                                                       .merge = submission->merge,
                                                                       .replace = submission->replace,
                                                                       .error = submission->result.error});
    else
        submission->done(submission->arg, &submission->result);
    free(submission);
}

static void finish(struct store *store, struct submission *submission)
{
    if (submission->file)
        zone_unref(submission->file);
    submission->file = NULL;
    if (submission->done || submission->previewed)
        builder_to_main(store->config.builder, run_done, submission);
    else
        free(submission);
}

static void on_done(void *arg, struct core *core, struct submission *submission)
{
    struct zone_entry *entry = arg;
    (void)core;
    finish(entry->store, submission);
}

static void on_note(void *arg, struct core *core, int level, const char *text)
{
    struct zone_entry *entry = arg;
    if (!entry->forgotten)
        store_note(entry->store, level, core_name(core), text);
}

static void on_health(void *arg, struct core *core, struct zone_edit *edit)
{
    struct zone_entry *entry = arg;
    const struct store_config *config = &entry->store->config;
    (void)core;
    if (config->health)
        config->health(config->health_arg, entry->apex, edit);
}

/* --- zones (builder) ---------------------------------------------------------------------------------------
 */

struct zone_entry *store_find(const struct store *store, const uint8_t *apex)
{
    uint8_t lower[NAME_MAX_WIRE];
    size_t len = (size_t)name_lower(apex, lower);
    return strmap_get(store->by_apex, lower, len);
}

/* A zone without content still stands in the snapshot, so that its names get SERVFAIL, not REFUSED. */
static void publish_held(struct zone_entry *entry)
{
    struct zone_edit *edit = zone_edit_new(entry->apex, ZONE_AUTHORITATIVE, entry->state, NULL, NULL);
    atomic_store(&entry->state->held, true);
    entry->store->config.publish(entry->store->config.publish_arg, zone_edit_commit(edit));
}

static struct zone_entry *entry_new(struct store *store, const uint8_t *apex, struct zone_state *state,
                                    bool kv)
{
    struct zone_entry *entry = xcalloc(1, sizeof *entry);
    struct core_hooks hooks = {on_send, on_publish, on_mirror_add, on_mirror_all,
                               on_done, on_note,    entry,         on_health};
    entry->store = store;
    entry->state = state;
    size_t len = (size_t)name_lower(apex, entry->apex);
    entry->core = core_new(&(struct core_config){entry->apex, state, kv, store->instance, &hooks});
    if (kv)
        entry->mirror = mirror_new(store->folder, core_name(entry->core));
    pthread_mutex_lock(&store->lock);
    entry->next = store->first;
    store->first = entry;
    strmap_put(store->by_apex, entry->apex, len, entry);
    strmap_puts(store->by_name, core_name(entry->core), entry);
    pthread_mutex_unlock(&store->lock);
    return entry;
}

void store_zone(struct store *store, const uint8_t *apex, struct zone_state *state, bool kv)
{
    struct zone_entry *entry = store_find(store, apex);
    bool known = entry != NULL;
    if (known && !entry->forgotten && (entry->mirror != NULL) == kv)
        return;
    if (known && (entry->mirror != NULL) != kv) { /* config_needs_restart keeps a reload from it */
        store_note(store, 0, core_name(entry->core), "its `store` changes with a restart only");
        return;
    }
    if (!known)
        entry = entry_new(store, apex, state, kv);
    entry->forgotten = false;
    bool content = !known && entry->mirror && mirror_load(entry->mirror, entry->core);
    if (content)
        store_sync_restore(entry);
    if (known && core_zone(entry->core)) {
        store->config.publish(store->config.publish_arg, zone_ref(core_zone(entry->core)));
        content = true;
    }
    if (!content && kv)
        publish_held(entry);
    if (!known)
        core_role(entry->core, store->primary, store->epoch, clock_boot());
    store_show(entry);
}

void store_forget(struct store *store, const uint8_t *apex)
{
    struct zone_entry *entry = store_find(store, apex);
    if (!entry)
        return;
    pthread_mutex_lock(&store->lock);
    entry->forgotten = true;
    pthread_mutex_unlock(&store->lock);
}

void store_file(struct store *store, struct zone *file)
{
    struct zone_entry *entry = store_find(store, zone_apex(file));
    if (!entry) {
        zone_unref(file);
        return;
    }
    if (entry->store->dead)
        zone_unref(file);
    else
        core_file(entry->core, file, clock_boot());
    store_show(entry);
}

bool store_has_content(struct store *store, const uint8_t *apex)
{
    pthread_mutex_lock(&store->lock);
    const struct zone_entry *entry = store_find(store, apex);
    bool content = entry && entry->shown.content;
    pthread_mutex_unlock(&store->lock);
    return content;
}

const struct zone *store_current(const struct store *store, const uint8_t *apex)
{
    const struct zone_entry *entry = store_find(store, apex);
    return entry && !entry->forgotten ? core_zone(entry->core) : NULL;
}

int store_history(const struct store *store, const uint8_t *apex,
                  int (*visit)(void *arg, const struct store_change *change), void *arg)
{
    const struct zone_entry *entry = store_find(store, apex);
    struct store_entry *const *log;
    size_t count = entry ? core_log(entry->core, &log) : 0;
    for (size_t i = 0; i < count; i++) {
        struct store_change change = {log[i]->at.seq, log[i]->at.serial, log[i]->at.epoch,
                                      log[i]->time,   log[i]->author,    log[i]->difference};
        int result = visit(arg, &change);
        if (result)
            return result;
    }
    return 0;
}

static void on_reply(void *arg, struct core *core, const struct kv_reply *reply)
{
    struct store *store = arg;
    if (store->dead)
        return;
    core_reply(core, reply, clock_boot());
    store_show(strmap_gets(store->by_name, core_name(core)));
}

static void on_tick(void *arg)
{
    struct store *store = arg;
    nstime now = clock_boot();
    if (store->dead)
        return;
    bool retry = now >= store->retry_at;
    if (retry)
        store->retry_at = now + RETRY;
    for (struct zone_entry *entry = store->first; entry; entry = entry->next) {
        if (retry && entry->mirror)
            mirror_retry(entry->mirror, entry->core);
        if (core_due(entry->core) <= now) {
            core_timer(entry->core, now);
            store_show(entry);
        }
    }
    if (retry)
        store_sync_save(store);
}

/* --- watches: from main to the builder
 * ---------------------------------------------------------------------- */

struct report {
    struct store *store;
    struct buf body; /* empty: there are none */
    nstime started;
};

static struct report *report_new(struct store *store, struct consul_response *response)
{
    struct report *report = xcalloc(1, sizeof *report);
    report->store = store;
    report->started = response->started;
    if (response->status == 200) {
        report->body = *response->body;
        *response->body = (struct buf){0};
    }
    return report;
}

static void free_report(void *arg)
{
    struct report *report = arg;
    buf_free(&report->body);
    free(report);
}

static void run_heads(void *arg)
{
    struct report *report = arg;
    struct store *store = report->store;
    struct kv_reply reply = {0};
    struct err err;
    if (store->dead)
        return;
    if (report->body.len && courier_parse(store->prefix, KV_TREE, &report->body, &reply, &err)) {
        store_note(store, 1, "heads", err.text);
        consul_kv_free(reply.entries, reply.count);
        return;
    }
    struct strmap *heads = strmap_new();
    for (size_t i = 0; i < reply.count; i++)
        if (!strncmp(reply.entries[i].key, "heads/", 6))
            strmap_puts(heads, reply.entries[i].key + 6, &reply.entries[i]);
    for (struct zone_entry *entry = store->first; entry; entry = entry->next) {
        core_heads(entry->core, strmap_gets(heads, core_name(entry->core)), report->started, clock_boot());
        store_show(entry);
    }
    strmap_free(heads, NULL);
    consul_kv_free(reply.entries, reply.count);
}

static void on_heads(void *arg, struct consul_response *response, bool changed)
{
    struct store *store = arg;
    (void)changed; /* unchanged ones prove that the mirrors are current still */
    if (response->status == 200 || (response->status == 404 && response->known_leader))
        builder_post(store->config.builder, run_heads, free_report, report_new(store, response));
}

/* `recover/<zone>/...`: whose changes are to be put back? */
static void run_recover(void *arg)
{
    struct report *report = arg;
    struct store *store = report->store;
    struct kv_reply reply = {0};
    struct err err;
    if (!store->dead && !courier_parse(store->prefix, KV_KEYS, &report->body, &reply, &err))
        for (size_t i = 0; i < reply.count; i++) {
            char *name = reply.entries[i].key + strlen("recover/"), *slash;
            if (strncmp(reply.entries[i].key, "recover/", 8) || !(slash = strchr(name, '/')))
                continue;
            *slash = 0;
            struct zone_entry *entry = strmap_gets(store->by_name, name);
            if (entry)
                core_recover_seen(entry->core, clock_boot());
        }
    consul_kv_free(reply.entries, reply.count);
}

static void on_recover(void *arg, struct consul_response *response, bool changed)
{
    struct store *store = arg;
    (void)changed; /* what came while one was mended is there still */
    if (response->status == 200)
        builder_post(store->config.builder, run_recover, free_report, report_new(store, response));
}

/* --- the role
 * ------------------------------------------------------------------------------------------------ */

struct role_job {
    struct store *store;
    bool primary;
    uint64_t epoch;
    char session[64];
};

static void run_role(void *arg)
{
    struct role_job *job = arg;
    struct store *store = job->store;
    store->primary = job->primary;
    store->epoch = job->epoch;
    snprintf(store->session, sizeof store->session, "%s", job->session);
    for (struct zone_entry *entry = store->first; entry; entry = entry->next) {
        core_role(entry->core, job->primary, job->epoch, clock_boot());
        store_show(entry);
    }
}

void store_role(struct store *store, bool primary, const char *session, uint64_t epoch)
{
    struct role_job *job = xcalloc(1, sizeof *job);
    *job = (struct role_job){.store = store, .primary = primary, .epoch = epoch};
    snprintf(job->session, sizeof job->session, "%s", session);
    builder_post(store->config.builder, run_role, free, job);
    snprintf(store->role_session, sizeof store->role_session, "%s", session);
    if (store->stopped)
        return;
    consul_watch_free(store->recover);
    store->recover = NULL;
    if (!primary)
        return;
    char *path = xasprintf("/v1/kv/%srecover/?keys", store->prefix);
    store->recover = consul_watch_new(
        store->config.client, &(struct consul_watch_options){.path = path, .wait = RECOVER_WAIT, .rate = 1},
        on_recover, store);
    free(path);
}

/* --- what nobody can read
 * -------------------------------------------------------------------------------------- */

struct broken_job {
    struct store *store;
    char *zones;
};

static void free_broken(void *arg)
{
    struct broken_job *job = arg;
    free(job->zones);
    free(job);
}

static void run_broken(void *arg)
{
    struct broken_job *job = arg;
    if (job->store->dead)
        return;
    for (struct zone_entry *entry = job->store->first; entry; entry = entry->next) {
        char *one = xasprintf(" %s ", core_name(entry->core));
        core_others_broken(entry->core, strstr(job->zones, one) != NULL, clock_boot());
        free(one);
        store_show(entry);
    }
}

void store_others_broken(struct store *store, const char *zones)
{
    if (store->stopped || !strcmp(store->others_broken ? store->others_broken : "", zones))
        return;
    free(store->others_broken);
    store->others_broken = xstrdup(zones);
    struct broken_job *job = xcalloc(1, sizeof *job);
    *job = (struct broken_job){store, xasprintf(" %s", zones)};
    builder_post(store->config.builder, run_broken, free_broken, job);
}

/* --- commits
 * --------------------------------------------------------------------------------------------------- */

struct submit_job {
    struct store *store;
    uint8_t apex[NAME_MAX_WIRE];
    struct submission *submission;
};

static void run_submit(void *arg)
{
    struct submit_job *job = arg;
    struct zone_entry *entry = store_find(job->store, job->apex);
    if (entry && !job->store->dead) {
        core_submit(entry->core, job->submission, clock_boot());
        store_show(entry);
        return;
    }
    err_set(&job->submission->error, "%s",
            entry ? "lictord is stopping" : "the zone is not one of this instance's");
    job->submission->result =
        (struct store_result){.outcome = STORE_FAILED, .error = job->submission->error.text};
    finish(job->store, job->submission);
}

void store_submit(struct store *store, const uint8_t *apex, const char *author, struct submission *submission)
{
    struct submit_job *job = xcalloc(1, sizeof *job);
    job->store = store;
    job->submission = submission;
    name_lower(apex, job->apex);
    snprintf(submission->author, sizeof submission->author, "%s", author);
    builder_post(store->config.builder, run_submit, free, job);
}

void store_commit(struct store *store, const uint8_t *apex, const char *author, store_edit_fn *edit,
                  store_done_fn *done, void *arg)
{
    struct submission *submission = xcalloc(1, sizeof *submission);
    submission->edit = edit;
    submission->done = done;
    submission->arg = arg;
    store_submit(store, apex, author, submission);
}

void store_commit_health(struct store *store, const uint8_t *apex, store_edit_fn *edit, store_done_fn *done,
                         void *arg)
{
    struct submission *submission = xcalloc(1, sizeof *submission);
    submission->edit = edit;
    submission->health = true;
    submission->done = done;
    submission->arg = arg;
    store_submit(store, apex, STORE_HEALTH, submission);
}

void store_import(struct store *store, struct zone *file, enum store_import_mode mode, const char *author,
                  store_done_fn *done, void *arg)
{
    struct submission *submission = xcalloc(1, sizeof *submission);
    submission->file = file;
    submission->mode = mode;
    submission->done = done;
    submission->arg = arg;
    store_submit(store, zone_apex(file), author, submission);
}

/* --- life
 * ------------------------------------------------------------------------------------------------------- */

struct store *store_new(const struct store_config *config)
{
    struct store *store = xcalloc(1, sizeof *store);
    store->config = *config;
    store->instance = xstrdup(config->instance);
    store->folder = xasprintf("%s/mirror", config->state_dir);
    store->prefix = xasprintf("lictor/%s/", config->cluster);
    store->by_apex = strmap_new();
    store->by_name = strmap_new();
    pthread_mutex_init(&store->lock, NULL);
    store->courier =
        courier_new(config->builder, config->client, config->gate, store->prefix, on_reply, store);
    store_sync_load(store);
    builder_every(config->builder, TICK, on_tick, store);
    return store;
}

void store_start(struct store *store)
{
    if (store->stopped)
        return;
    char *path = xasprintf("/v1/kv/%sheads/?recurse", store->prefix);
    struct consul_watch_options options = {
        .path = path, .consistency = "consistent", .wait = HEADS_WAIT, .rate = WAKES_MAX, .burst = 4};
    store->heads = consul_watch_new(store->config.client, &options, on_heads, store);
    free(path);
    freeze_start(store);
}

static void run_stop(void *arg)
{
    struct store *store = arg;
    store_sync_save(store);
    store->dead = true;
    for (struct zone_entry *entry = store->first; entry; entry = entry->next)
        core_abandon(entry->core);
}

void store_stop(struct store *store)
{
    if (!store || store->stopped)
        return;
    consul_watch_free(store->heads);
    consul_watch_free(store->recover);
    freeze_stop(store);
    store->heads = store->recover = NULL;
    store->stopped = true;
    courier_stop(store->courier);
    builder_post(store->config.builder, run_stop, NULL, store);
}

void store_free(struct store *store)
{
    if (!store)
        return;
    for (struct zone_entry *entry = store->first, *next; entry; entry = next) {
        next = entry->next;
        core_free(entry->core);
        mirror_free(entry->mirror);
        free(entry);
    }
    strmap_free(store->by_apex, NULL);
    strmap_free(store->by_name, NULL);
    courier_free(store->courier);
    pthread_mutex_destroy(&store->lock);
    store_sync_free(store);
    free(store->others_broken);
    free(store->instance);
    free(store->folder);
    free(store->prefix);
    free(store);
}
