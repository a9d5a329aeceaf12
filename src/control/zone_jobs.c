#include "control/zone_jobs.h"

#include "control/zone_json.h"

#include "lictor/builder.h"
#include "lictor/xalloc.h"
#include "lictor/zonefile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    struct zone_place place;
    struct zone_request request;
    char who[256], author[128];
    struct buf octets;
    struct zone *file;
    struct store_preview preview;
    uint64_t seq;
    json_t *about;
    char *text; /* the result */
    struct err err;
    task_done_fn *done;
    void *arg;
};

static struct job *job_new(const struct zone_place *place, const struct zone_request *request,
                           task_done_fn *done, void *arg)
{
    struct job *job = xcalloc(1, sizeof *job);
    *job = (struct job){.place = *place, .request = *request, .done = done, .arg = arg};
    return job;
}

static void finish(void *arg)
{
    struct job *job = arg;
    char *text = job->text;
    job->done(job->arg, text, text ? NULL : job->err.text);
    json_decref(job->about);
    difference_unref(job->preview.merge);
    difference_unref(job->preview.replace);
    buf_free(&job->octets);
    free(job);
}

static void fail(struct job *job, const char *error)
{
    err_set(&job->err, "%s", error ? error : "it was not done");
    finish(job);
}

static void set_result(struct job *job, json_t *object)
{
    job->text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (!job->text)
        abort(); /* out of memory: the texts are UTF-8 */
}

static json_t *named(const struct job *job)
{
    char name[NAME_MAX_TEXT];
    json_t *object = json_object();
    name_to_text(job->request.apex, name);
    if (name[1])
        name[strlen(name) - 1] = 0;
    json_object_set_new(object, "zone", json_string(name));
    return object;
}

/* --- reading (builder) ---------------------------------------------------------------------------------- */

/* The version that is answered; the builder alone publishes, so it stays for this job. */
static const struct zone *answered(const struct job *job)
{
    const struct snapshot *snapshot = atomic_load(&job->place.slot->current);
    return snapshot ? snapshot_get(snapshot, job->request.apex) : NULL;
}

/* What is committed and what transfers give; without a store, the file's. */
static const struct zone *committed(const struct job *job)
{
    const struct zone *zone = job->place.store ? store_current(job->place.store, job->request.apex) : NULL;
    const struct zone *shown = answered(job);
    return zone ? zone : shown ? zone_transfer(shown) : NULL;
}

static void run_export(void *arg)
{
    struct job *job = arg;
    const struct zone *zone = job->request.committed ? committed(job) : answered(job);
    struct buf text = {0};
    if (!zone || !zone_soa(zone)) {
        err_set(&job->err, "the zone has no content here yet; `lictor zones` says why");
        return;
    }
    zonefile_print(zone, &text);
    json_t *object = named(job);
    json_object_set_new(object, "serial", json_integer(zone_serial(zone)));
    json_object_set_new(object, "records", json_integer((json_int_t)zone_records(zone)));
    json_object_set_new(object, "text", json_stringn((const char *)text.data, text.len));
    buf_free(&text);
    set_result(job, object);
}

static void run_show(void *arg)
{
    struct job *job = arg;
    const struct zone *now = answered(job), *base = committed(job);
    json_t *object = json_incref(job->about), *live = json_null();
    if (now && base && zone_soa(now) && zone_soa(base)) {
        struct difference *difference = difference_between(base, now);
        live = json_object();
        zone_json_difference(live, difference, true);
        difference_unref(difference);
    }
    json_object_set_new(object, "answers", live);
    set_result(job, object);
}

struct history {
    json_t *list;
    bool records;
};

static int add_change(void *arg, const struct store_change *change)
{
    struct history *history = arg;
    json_array_append_new(history->list, zone_json_change(change, history->records));
    return 0;
}

static void run_history(void *arg)
{
    struct job *job = arg;
    struct history history = {json_array(), job->request.records};
    if (job->place.store)
        store_history(job->place.store, job->request.apex, add_change, &history);
    json_t *object = named(job);
    json_object_set_new(object, "commits", history.list);
    set_result(job, object);
}

/* Joins the commits between two serials, whichever is the newer one. */
struct span {
    uint32_t low, high;
    bool begun, done, gap;
    struct difference *joined;
};

static int add_to_span(void *arg, const struct store_change *change)
{
    struct span *span = arg;
    if (!span->begun && difference_from(change->difference) != span->low)
        return 0;
    if (span->begun && difference_from(change->difference) != difference_to(span->joined)) {
        span->gap = true;
        return 1;
    }
    struct difference *joined = span->begun
                                    ? difference_join(span->joined, change->difference)
                                    : difference_ref((struct difference *)(uintptr_t)change->difference);
    difference_unref(span->joined);
    span->joined = joined;
    span->begun = true;
    span->done = change->serial == span->high;
    return span->done;
}

static bool join_span(const struct job *job, struct span *span)
{
    store_history(job->place.store, job->request.apex, add_to_span, span);
    if (!span->done) {
        difference_unref(span->joined);
        span->joined = NULL;
    }
    return span->done;
}

static int last_change(void *arg, const struct store_change *change)
{
    struct zone_request *request = arg;
    if (!request->has_to || change->serial == request->to)
        request->from = difference_from(change->difference);
    return 0;
}

/* Without serials: the last commit; without `from`: that which led to `to`. */
static void run_diff(void *arg)
{
    struct job *job = arg;
    struct zone_request *request = &job->request;
    const struct zone *zone = committed(job);
    if (!job->place.store || !zone) {
        err_set(&job->err, "the zone has no commits to compare; its content is its file's");
        return;
    }
    if (!request->has_from) {
        request->from = zone_serial(zone);
        store_history(job->place.store, request->apex, last_change, request);
    }
    if (!request->has_to)
        request->to = zone_serial(zone);
    struct span forth = {.low = request->from, .high = request->to};
    struct span back = {.low = request->to, .high = request->from};
    struct difference *difference = NULL;
    if (join_span(job, &forth)) {
        difference = forth.joined;
    } else if (join_span(job, &back)) {
        difference = difference_reverse(back.joined);
        difference_unref(back.joined);
    } else {
        err_set(&job->err,
                "the history does not lead from serial %" PRIu32 " to %" PRIu32 "%s; `lictor zone history` "
                "lists the serials that it has",
                request->from, request->to, forth.gap || back.gap ? ": there is a gap" : "");
        return;
    }
    json_t *object = named(job);
    json_object_set_new(object, "from", json_integer(request->from));
    json_object_set_new(object, "to", json_integer(request->to));
    zone_json_difference(object, difference, true);
    difference_unref(difference);
    set_result(job, object);
}

void zone_jobs_read(const struct zone_place *place, const struct zone_request *request, json_t *about,
                    task_done_fn *done, void *arg)
{
    struct job *job = job_new(place, request, done, arg);
    job->about = about;
    builder_post(place->builder,
                 request->verb == ZONE_EXPORT    ? run_export
                 : request->verb == ZONE_SHOW    ? run_show
                 : request->verb == ZONE_HISTORY ? run_history
                                                 : run_diff,
                 finish, job);
}

/* --- changes: what became of one --------------------------------------------------------------------------
 */

static int find_change(void *arg, const struct store_change *change)
{
    struct job *job = arg;
    if (change->seq != job->seq)
        return 0;
    json_t *object = named(job);
    json_object_set_new(object, "outcome", json_string("committed"));
    json_object_update_missing_new(object, zone_json_change(change, false));
    set_result(job, object);
    return 1;
}

static void run_committed(void *arg)
{
    struct job *job = arg;
    if (store_history(job->place.store, job->request.apex, find_change, job))
        return;
    /* The zone's first version has no commit before it. */
    const struct zone *zone = committed(job);
    json_t *object = named(job);
    json_object_set_new(object, "outcome", json_string("committed"));
    json_object_set_new(object, "seq", json_integer((json_int_t)job->seq));
    json_object_set_new(object, "serial_from", json_null());
    json_object_set_new(object, "serial", json_integer(zone ? zone_serial(zone) : 0));
    json_object_set_new(object, "removed", json_integer(0));
    json_object_set_new(object, "added", json_integer(zone ? (json_int_t)zone_records(zone) : 0));
    set_result(job, object);
}

static void on_changed(void *arg, const struct store_result *result)
{
    struct job *job = arg;
    char error[640];
    switch (result->outcome) {
    case STORE_COMMITTED:
        job->seq = result->seq;
        builder_post(job->place.builder, run_committed, finish, job);
        return;
    case STORE_UNCHANGED:
        set_result(job,
                   json_pack("{s:s, s:I}", "outcome", "unchanged", "serial", (json_int_t)result->serial));
        finish(job);
        return;
    case STORE_UNKNOWN:
        snprintf(error, sizeof error, "it may have been done or not, see `lictor zone history`: %.500s",
                 result->error ? result->error : "Consul did not answer");
        fail(job, error);
        return;
    case STORE_REFUSED:
    case STORE_NOT_PRIMARY:
    case STORE_FAILED:
        fail(job, result->error);
        return;
    }
}

/* --- import, and what it would do --------------------------------------------------------------------------
 */

static void run_file(void *arg)
{
    struct job *job = arg;
    job->file = store_read(job->place.store, job->request.apex, &job->octets, &job->err);
    buf_free(&job->octets);
}

static void run_preview(void *arg)
{
    struct job *job = arg;
    const struct store_preview *preview = &job->preview;
    json_t *object = named(job), *merge = json_null(), *replace = json_object();
    if (preview->merge) {
        merge = json_object();
        json_object_set_new(merge, "to", json_integer(difference_to(preview->merge)));
        zone_json_difference(merge, preview->merge, true);
    }
    zone_json_difference(replace, preview->replace, true);
    json_object_set_new(object, "from", json_integer(preview->serial));
    json_object_set_new(object, "merge", merge);
    json_object_set_new(object, "refused", job->err.text[0] ? json_string(job->err.text) : json_null());
    json_object_set_new(object, "replace", replace);
    set_result(job, object);
    difference_unref(preview->merge); /* here, not on main: they may be of a whole zone */
    difference_unref(preview->replace);
    job->preview = (struct store_preview){0};
}

static void on_preview(void *arg, const struct store_preview *preview)
{
    struct job *job = arg;
    job->preview = *preview;
    if (!preview->replace) {
        difference_unref(preview->merge);
        job->preview.merge = NULL;
        fail(job, preview->error);
        return;
    }
    if (preview->error)
        err_set(&job->err, "%s", preview->error);
    builder_post(job->place.builder, run_preview, finish, job);
}

static void on_file(void *arg)
{
    struct job *job = arg;
    if (!job->file)
        finish(job);
    else if (job->request.verb == ZONE_IMPORT)
        store_import(job->place.store, job->file, job->request.mode, job->author, on_changed, job);
    else
        store_preview(job->place.store, job->file, on_preview, job);
}

/* --- freeze, thaw
 * -------------------------------------------------------------------------------------------
 */

static void on_frozen(void *arg, const char *error)
{
    struct job *job = arg;
    if (error) {
        fail(job, error);
        return;
    }
    json_t *object = named(job);
    json_object_set_new(object, "outcome",
                        json_string(job->request.verb == ZONE_FREEZE ? "frozen" : "thawed"));
    set_result(job, object);
    finish(job);
}

void zone_jobs_change(const struct zone_place *place, const struct zone_request *request, const char *who,
                      struct buf *octets, task_done_fn *done, void *arg)
{
    struct job *job = job_new(place, request, done, arg);
    job->octets = *octets;
    *octets = (struct buf){0};
    snprintf(job->who, sizeof job->who, "%s", who);
    snprintf(job->author, sizeof job->author, "zone %s on %.100s", zone_verb_text(request->verb), who);
    if (request->verb == ZONE_FREEZE)
        store_freeze(place->store, request->apex, who, request->reason, on_frozen, job);
    else if (request->verb == ZONE_THAW)
        store_thaw(place->store, request->apex, on_frozen, job);
    else if (request->verb == ZONE_ROLLBACK)
        store_rollback(place->store, request->apex, request->to, request->steps, job->author, on_changed,
                       job);
    else
        builder_post(place->builder, run_file, on_file, job);
}
