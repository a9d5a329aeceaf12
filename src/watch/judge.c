/* A body goes to the builder, is parsed and compared there, and believed or not; main does what the verdict
 * asks for. */
#include "internal.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* A thousand services at once are one event: so many are named in the log, the status has more. */
#define LOGGED_HOLDS 10

struct judgement {
    struct subject *subject;
    struct buf body;
    uint64_t index;
    enum read_mode mode;
    bool known_leader;
    bool unmoved; /* its index is that of the body before */
    enum belief_canary canary;
    /* What the builder found. */
    struct belief_result result;
    struct belief_facts facts;
    bool faulty, older, changed, edited, datacenter_known;
    uint64_t known; /* older: the index that the view has */
    struct err err;
};

/* --- builder ------------------------------------------------------------------------------------- */

static void run_flush(void *arg)
{
    struct watch *watch = arg;
    watch->flush_pending = false;
    if (atomic_load(&watch->publish))
        watch->config.changed(watch->config.changed_arg);
}

static void flushed(void *arg)
{
    watch_release(arg);
}

/* Behind what is queued already: a burst of changes is published once. */
void judge_flush(struct watch *watch)
{
    if (watch->flush_pending)
        return;
    watch->flush_pending = true;
    builder_post(watch->config.builder, run_flush, flushed, watch_hold(watch));
}

static void run(void *arg)
{
    struct judgement *job = arg;
    struct subject *subject = job->subject;
    struct watch *watch = subject->watch;
    struct catalog *catalog = watch->config.catalog;
    struct catalog_update *update =
        catalog_update_parse(catalog, watch->config.datacenter, subject->key, (const char *)job->body.data,
                             job->body.len, &job->err);
    buf_free(&job->body);
    if (!update) {
        job->faulty = true;
        return;
    }
    catalog_update_index(update, job->index);
    job->older = catalog_update_is_older(update, &job->known);
    if (job->older) {
        catalog_update_free(update);
        return;
    }
    if (subject->key)
        checks_merge(watch, subject->key, update);
    struct catalog_facts found;
    catalog_update_facts(update, &found);
    job->facts = (struct belief_facts){
        .had = found.had,
        .has = found.has,
        .view = subject->key ? found.view : 0,
        .known_leader = job->known_leader,
        .consistent = job->mode == READ_CONSISTENT,
        .canary = job->canary,
    };
    if (subject->key && strcmp(subject->key, "consul") == 0 && found.has > 0)
        watch->belief.canary_seen = true;
    job->result = belief_judge(&watch->belief, &subject->hold, &job->facts, clock_boot());
    if (job->result.verdict != BELIEF_APPLY && found.has == 0) {
        catalog_update_free(update);
        return;
    }
    if (job->result.verdict != BELIEF_APPLY)
        catalog_update_keep(update); /* what is there is true, whatever is missing */
    struct catalog_stats before, after;
    catalog_stats(catalog, &before);
    job->changed = catalog_update_apply(update) == 1;
    catalog_stats(catalog, &after);
    job->edited = after.edits != before.edits;
    job->datacenter_known = catalog_datacenter(catalog) != NULL;
    if (job->changed)
        judge_flush(watch);
}

/* --- main ---------------------------------------------------------------------------------------- */

static const char *name_of(const struct subject *subject)
{
    return subject->key ? subject->key : "the list of nodes";
}

static void set_held(struct subject *subject, enum belief_reason reason)
{
    struct watch *watch = subject->watch;
    watch->held += (reason != BELIEF_NO_REASON) - (subject->held != BELIEF_NO_REASON);
    if (reason == BELIEF_NO_REASON && subject->held != BELIEF_NO_REASON && watch->held < LOGGED_HOLDS)
        log_info("watch: %s: not held any more", name_of(subject));
    subject->held = reason;
}

static void hold(struct subject *subject, const struct belief_result *result,
                 const struct belief_facts *facts)
{
    if (result->alarm) {
        subject->watch->stats.held++;
        if (subject->watch->held < LOGGED_HOLDS)
            log_error("watch: %s went from %u entries to %u; not believed yet: %s", name_of(subject),
                      facts->had, facts->has, belief_reason_text(result->reason));
    }
    set_held(subject, result->reason);
    subject_read_later(subject, result->again - clock_boot(), READ_CONSISTENT);
}

/* Only a look that nothing asked for can find what the lists should have told. */
static bool is_missed(const struct subject *subject, const struct judgement *job)
{
    const struct watch *watch = subject->watch;
    if (!job->edited || !subject->in_sweep || subject->held != BELIEF_NO_REASON ||
        job->mode == READ_CONSISTENT) /* the second look at what the first one did not believe */
        return false;
    return (watch->sweep == SWEEP_WHOLE && job->unmoved) ||
           (watch->sweep == SWEEP_RECONCILE && watch->sweep_index == watch_sentinel_sum(watch));
}

/* Returns whether the subject is still there. */
static bool applied(struct subject *subject, const struct judgement *job)
{
    struct watch *watch = subject->watch;
    if (is_missed(subject, job)) {
        watch->stats.missed++;
        log_error("watch: %s had changed, and no list told so: found by a sweep", name_of(subject));
    }
    set_held(subject, BELIEF_NO_REASON);
    if (!subject->key) {
        watch->datacenter_known |= job->datacenter_known;
        if (job->changed && subject->seen)
            sweep_request(watch); /* a node's address is in every instance without one of its own */
    }
    bool gone = subject->key && !subject->listed && job->facts.has == 0;
    if (gone)
        subject_remove(subject);
    else
        subject_set_seen(subject);
    /* The datacenter may be all that was missing, and the list seen, but faulty. */
    watch_check_complete(watch);
    return !gone;
}

/* The view knows something newer than this body: a server that lags behind, or a reply that others overtook.
 * Or Consul itself went back: a read that begins now cannot be older, so it tells. */
static void older(struct subject *subject, uint64_t known)
{
    subject->watch->stats.older++;
    subject->floor = known;
    if (subject->olds++ == 0) {
        subject_read(subject, READ_DEFAULT, true);
        return;
    }
    subject_read_later(subject, consul_backoff(subject->olds - 2, 0), READ_DEFAULT);
    sweep_done(subject);
}

static void faulty(struct subject *subject, const struct judgement *job)
{
    subject->watch->stats.faults++;
    subject->index = 0; /* it was not applied */
    log_error("watch: %s: %s; what was known before is kept", name_of(subject), job->err.text);
    subject_read_later(subject, FAULT_RETRY, READ_DEFAULT);
    subject_set_seen(subject);
}

static void judged(void *arg)
{
    struct judgement *job = arg;
    struct subject *subject = job->subject;
    struct watch *watch = subject->watch;
    bool there = !subject->removed && !watch->stopped;
    subject->jobs--;
    watch->judging--;
    if (subject->removed) {
        if (subject->jobs == 0)
            subject_free(subject);
    } else if (watch->stopped) {
        /* nothing to do for what is being freed */
    } else if (job->faulty) {
        faulty(subject, job);
    } else if (job->older) {
        subject->index = 0; /* it was not applied */
        older(subject, job->known);
    } else if (job->result.verdict == BELIEF_APPLY) {
        subject->olds = 0;
        there = applied(subject, job);
    } else {
        if (job->result.verdict == BELIEF_CONFIRM)
            subject_read(subject, READ_CONSISTENT, true);
        else if (job->result.verdict == BELIEF_KEEP)
            hold(subject, &job->result, &job->facts);
        else if (subject->jobs == 0) /* else a newer body is with the builder */
            canary_await(subject);
        subject_set_seen(subject); /* the view has it, as it was */
    }
    if (there && !subject->request && !subject->queue)
        sweep_done(subject);
    reads_pump(watch);
    free(job);
    watch_release(watch);
}

static struct judgement *new_job(struct subject *subject)
{
    struct judgement *job = xcalloc(1, sizeof(*job));
    job->subject = subject;
    subject->jobs++;
    subject->watch->judging++;
    watch_hold(subject->watch);
    return job;
}

void judge_response(struct subject *subject, struct consul_response *response, enum read_mode mode)
{
    uint64_t known = subject->index > subject->floor ? subject->index : subject->floor;
    if (response->index > 0 && response->index < known) {
        older(subject, known);
        return;
    }
    struct judgement *job = new_job(subject);
    canary_forget(subject);
    job->unmoved = subject->seen && response->index == subject->index;
    subject->index = job->index = response->index;
    job->mode = mode;
    job->body = *response->body; /* swapped out, not copied */
    *response->body = (struct buf){0};
    job->known_leader = response->known_leader;
    builder_post(subject->watch->config.builder, run, judged, job);
}

void judge_emptied(struct subject *subject, bool known_leader, bool canary)
{
    struct judgement *job = new_job(subject);
    buf_puts(&job->body, "[]");
    job->known_leader = known_leader;
    job->mode = READ_CONSISTENT;
    job->index = subject->index;
    job->canary = canary ? CANARY_THERE : CANARY_NOT_THERE;
    builder_post(subject->watch->config.builder, run, judged, job);
}
