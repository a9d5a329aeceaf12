/* Frozen zones: `control/freeze/<zone>`, which every instance follows, the primary writes, and each commit
 * finds absent (core_commit.c). */
#include "store/store_body.h"

#include "lictor/json.h"
#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT    (10 * NS_PER_S)
#define TIMEOUT (5 * NS_PER_S)
#define FOLDER  "control/freeze/"

/* --- following ------------------------------------------------------------------------------------------ */

struct report {
    struct store *store;
    struct buf body;
};

static void free_report(void *arg)
{
    struct report *report = arg;
    buf_free(&report->body);
    free(report);
}

/* A value that cannot be read freezes all the same: somebody put it there. */
static void read_value(const struct consul_kv *kv, struct frozen *out)
{
    json_t *root = json_loadb((const char *)kv->value.data, kv->value.len, JSON_REJECT_DUPLICATES, NULL);
    const char *who = json_string_value(json_object_get(root, "who"));
    const char *why = json_string_value(json_object_get(root, "why"));
    json_int_t at = json_integer_value(json_object_get(root, "at"));
    *out = (struct frozen){.is = true, .at = at >= 0 && at < INT64_C(1) << 33 ? at : 0};
    snprintf(out->who, sizeof out->who, "%s", who ? who : "?");
    snprintf(out->why, sizeof out->why, "%s", why ? why : "");
    json_decref(root);
}

static void set(struct zone_entry *entry, const struct frozen *frozen)
{
    struct store *store = entry->store;
    char why[STORE_FROZEN] = "";
    if (frozen->is)
        snprintf(why, sizeof why, "the zone was frozen on %s%s%s; `lictor zone thaw` ends that", frozen->who,
                 frozen->why[0] ? ": " : "", frozen->why);
    bool changed = frozen->is != entry->frozen.is;
    pthread_mutex_lock(&store->lock);
    entry->frozen = *frozen;
    pthread_mutex_unlock(&store->lock);
    if (changed)
        store_note(store, LOG_LEVEL_WARN, core_name(entry->core), frozen->is ? why : "thawed");
    core_freeze(entry->core, why, clock_boot());
    store_show(entry);
}

static void run_report(void *arg)
{
    struct report *report = arg;
    struct store *store = report->store;
    struct kv_reply reply = {0};
    struct err err;
    if (store->dead ||
        (report->body.len && courier_parse(store->prefix, KV_TREE, &report->body, &reply, &err)))
        return;
    for (struct zone_entry *entry = store->first; entry; entry = entry->next) {
        struct frozen frozen = {0};
        for (size_t i = 0; i < reply.count; i++)
            if (!strncmp(reply.entries[i].key, FOLDER, strlen(FOLDER)) &&
                !strcmp(reply.entries[i].key + strlen(FOLDER), core_name(entry->core)))
                read_value(&reply.entries[i], &frozen);
        set(entry, &frozen);
    }
    consul_kv_free(reply.entries, reply.count);
}

static void on_report(void *arg, struct consul_response *response, bool changed)
{
    struct store *store = arg;
    (void)changed; /* a commit may have taken a zone for frozen that is thawed again */
    if (response->status != 200 && !(response->status == 404 && response->known_leader))
        return;
    struct report *report = xcalloc(1, sizeof *report);
    report->store = store;
    if (response->status == 200) {
        report->body = *response->body;
        *response->body = (struct buf){0};
    }
    builder_post(store->config.builder, run_report, free_report, report);
}

void freeze_start(struct store *store)
{
    char *path = xasprintf("/v1/kv/%s" FOLDER "?recurse", store->prefix);
    store->freezes = consul_watch_new(
        store->config.client,
        &(struct consul_watch_options){.path = path, .consistency = "consistent", .wait = WAIT}, on_report,
        store);
    free(path);
}

/* --- freezing ---------------------------------------------------------------------------------------------
 */

struct freezing {
    struct freezing *next, **link;
    struct store *store;
    uint8_t apex[NAME_MAX_WIRE];
    struct frozen frozen; /* as it is to be */
    struct consul_request *request;
    store_freeze_fn *done;
    void *arg;
};

static void unlink_freezing(struct freezing *freezing)
{
    *freezing->link = freezing->next;
    if (freezing->next)
        freezing->next->link = freezing->link;
}

static void end(struct freezing *freezing, const char *error)
{
    freezing->done(freezing->arg, error);
    free(freezing);
}

static void run_set(void *arg)
{
    const struct freezing *freezing = arg;
    struct zone_entry *entry = store_find(freezing->store, freezing->apex);
    if (entry && !freezing->store->dead)
        set(entry, &freezing->frozen);
}

static void set_done(void *arg)
{
    end(arg, NULL);
}

/* Whoever is told that it is done finds it so, here at least, before the next report of the keys. */
static void on_answer(void *arg, struct consul_response *response)
{
    struct freezing *freezing = arg;
    char error[512];
    unlink_freezing(freezing);
    if (response->status == 200) {
        builder_post(freezing->store->config.builder, run_set, set_done, freezing);
        return;
    }
    snprintf(error, sizeof error, "%s%s", response->error,
             response->status == 0 ? "; it may have been done or not" : "");
    end(freezing, error);
}

static void write_key(struct store *store, const uint8_t *apex, const struct frozen *frozen,
                      const char *value, store_freeze_fn *done, void *arg)
{
    if (store->stopped || !store->role_session[0] || !gate_may_act(store->config.gate, clock_boot())) {
        done(arg, "this instance is not the primary");
        return;
    }
    struct freezing *freezing = xcalloc(1, sizeof *freezing);
    *freezing = (struct freezing){.next = store->freezing,
                                  .link = &store->freezing,
                                  .store = store,
                                  .frozen = *frozen,
                                  .done = done,
                                  .arg = arg};
    if (freezing->next)
        freezing->next->link = &freezing->next;
    store->freezing = freezing;
    uint8_t lower[NAME_MAX_WIRE];
    name_lower(apex, lower);
    char *name = name_to_key(lower), *key = xasprintf("%s" FOLDER "%s", store->prefix, name);
    char *leader = xasprintf("%sleader", store->prefix);
    json_t *ops = json_array();
    json_array_append_new(ops, consul_txn_op("check-session", leader, NULL, 0, store->role_session, 0));
    json_array_append_new(
        ops, consul_txn_op(frozen->is ? "set" : "delete", key, value, value ? strlen(value) : 0, NULL, 0));
    freezing->request = consul_txn(store->config.client, ops, TIMEOUT, on_answer, freezing);
    free(name);
    free(key);
    free(leader);
}

void store_freeze(struct store *store, const uint8_t *apex, const char *who, const char *why,
                  store_freeze_fn *done, void *arg)
{
    json_t *root = json_object();
    struct frozen frozen = {.is = true, .at = clock_real() / NS_PER_S};
    snprintf(frozen.who, sizeof frozen.who, "%s", who);
    snprintf(frozen.why, sizeof frozen.why, "%s", why);
    json_object_set_new(root, "who", json_clean(who));
    json_object_set_new(root, "why", json_clean(why));
    json_object_set_new(root, "at", json_integer(frozen.at));
    char *value = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    write_key(store, apex, &frozen, value, done, arg);
    free(value);
}

void store_thaw(struct store *store, const uint8_t *apex, store_freeze_fn *done, void *arg)
{
    write_key(store, apex, &(struct frozen){0}, NULL, done, arg);
}

void freeze_stop(struct store *store)
{
    consul_watch_free(store->freezes);
    store->freezes = NULL;
    while (store->freezing) {
        struct freezing *freezing = store->freezing;
        consul_cancel(freezing->request);
        unlink_freezing(freezing);
        end(freezing, "lictord is stopping: it may have been done or not");
    }
}
