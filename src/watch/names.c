/* catalog/services: which names there are, and their tags. It moves when an instance came, went or changed,
 * but does not say whose: a new name or tag is read at once, the rest is found by a sweep. */
#include "sentinel.h"

#include "lictor/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- builder ------------------------------------------------------------------------------------- */

static void find_gone(struct list_job *job, const struct strmap *now)
{
    const void *key;
    void *value;
    for (size_t i = 0; strmap_next(job->watch->names, &i, &key, NULL, &value);)
        if (!strmap_gets(now, key))
            names_add(&job->gone, key);
}

struct unlisted {
    struct list_job *job;
    const struct strmap *now;
};

static void find_unlisted(void *arg, const char *service, const struct catalog_health *health)
{
    struct unlisted *unlisted = arg;
    (void)health;
    if (!strmap_gets(unlisted->now, service))
        names_add(&unlisted->job->gone, service);
}

static void find_new(struct list_job *job, const struct strmap *now)
{
    const void *key;
    void *value;
    for (size_t i = 0; strmap_next(now, &i, &key, NULL, &value);) {
        const struct listed *listed = value, *old = strmap_gets(job->watch->names, key);
        if (!old) {
            names_add(&job->came, key);
            names_add(&job->came_as, listed->name);
        } else if (old->digest != listed->digest) {
            names_add(&job->touched, key);
        }
    }
}

/* A list that cannot be trusted about what it lacks still adds what it has. */
static void merge(struct strmap *into, struct strmap *from)
{
    const void *key;
    size_t len;
    void *value;
    for (size_t i = 0; strmap_next(from, &i, &key, &len, &value);) {
        struct listed *old = strmap_put(into, key, len, value);
        if (old) {
            free(old->name);
            free(old);
        }
    }
    strmap_free(from, NULL);
}

/* That most of the names are gone at once shows here before any of the services is read: none may go then. */
static bool is_believed(struct list_job *job, const struct strmap *now, bool canary)
{
    struct watch *watch = job->watch;
    if (job->denied || !job->known_leader)
        return false;
    job->facts = (struct belief_facts){
        .had = (unsigned)strmap_count(watch->names),
        .has = (unsigned)strmap_count(now),
        .known_leader = true,
        .consistent = true,
        .canary = canary ? CANARY_THERE : CANARY_NOT_THERE,
    };
    job->result = belief_judge(&watch->belief, &watch->names_hold, &job->facts, clock_boot());
    if (job->result.verdict != BELIEF_KEEP)
        return true;
    watch->belief.mass_until = job->result.again;
    return false;
}

struct restored {
    struct list_job *job;
    const struct strmap *now;
};

static void find_restored(void *arg, const char *service, const struct catalog_health *health)
{
    struct restored *restored = arg;
    (void)health;
    if (strmap_gets(restored->now, service)) {
        names_add(&restored->job->came, service);
        names_add(&restored->job->came_as, service);
    }
}

/* Where only those are watched that are asked for, the first list brings those of a saved view. */
static void keep_restored(struct list_job *job, const struct strmap *now)
{
    names_free(&job->came);
    names_free(&job->came_as);
    job->came = job->came_as = (struct names){0};
    catalog_each_service(job->watch->config.catalog, NULL, find_restored, &(struct restored){job, now});
}

void names_run(struct list_job *job)
{
    struct watch *watch = job->watch;
    struct strmap *now = services_list_parse((const char *)job->body.data, job->body.len, &job->err);
    if (!now) {
        job->faulty = true;
        return;
    }
    bool canary = strmap_gets(now, "consul") != NULL;
    watch->belief.canary_seen |= canary;
    job->denied = watch->belief.canary_seen && !canary;
    find_new(job, now);
    bool first = strmap_count(watch->names) == 0, moved = job->came.count > 0;
    if (watch->only_asked && first)
        keep_restored(job, now);
    if (!is_believed(job, now, canary)) {
        merge(watch->names, now);
        if (watch->only_asked && moved)
            catalog_put_names(watch->config.catalog, watch->names);
        return;
    }
    find_gone(job, now);
    if (watch->only_asked && (moved || job->gone.count > 0 || first))
        catalog_put_names(watch->config.catalog, now);
    if (first) /* what a restored view has beyond it */
        catalog_each_service(watch->config.catalog, watch->config.datacenter, find_unlisted,
                             &(struct unlisted){job, now});
    services_list_free(watch->names);
    watch->names = now;
}

/* --- main ---------------------------------------------------------------------------------------- */

static void set_denied(struct watch *watch, bool denied)
{
    watch->denied = denied;
    if (denied) {
        snprintf(watch->error, sizeof(watch->error),
                 "catalog/services does not show service `consul` any more: the token lost its rights?");
        log_error("watch: %s", watch->error);
    }
    contact_update(watch);
}

static void ask_for_list(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct watch *watch = arg;
    consul_watch_restart(watch->lists[SENTINEL_SERVICES]);
}

static void ask_for_list_later(struct watch *watch, nstime delay)
{
    if (!watch->list_timer)
        watch->list_timer = evtimer_new(watch->config.base, ask_for_list, watch);
    struct timeval after = clock_timeval(delay);
    event_add(watch->list_timer, &after);
}

static void hold_list(struct watch *watch, const struct list_job *job)
{
    if (job->result.alarm) {
        watch->stats.held++;
        log_error("watch: catalog/services went from %u names to %u; not believed yet: %s", job->facts.had,
                  job->facts.has, belief_reason_text(job->result.reason));
    }
    ask_for_list_later(watch, job->result.again - clock_boot());
}

void names_apply(struct list_job *job)
{
    struct watch *watch = job->watch;
    bool first = !watch->listed[SENTINEL_SERVICES];
    for (size_t i = 0; i < job->came.count; i++) {
        struct subject *subject = subject_find(watch, job->came.items[i]);
        if (!subject && watch->asking && !first)
            continue;
        if (!subject)
            subject = subject_new(watch, job->came.items[i], job->came_as.items[i]);
        subject->listed = true;
        if (watch->asking)
            subject->asked = clock_boot();
    }
    for (size_t i = 0; i < job->came.count; i++) { /* now that it is known how many there are */
        struct subject *subject = subject_find(watch, job->came.items[i]);
        if (subject && subject->listed)
            subject_watch(subject);
    }
    for (size_t i = 0; i < job->gone.count; i++) {
        struct subject *subject = subject_find(watch, job->gone.items[i]);
        if (!subject && watch->asking && !first)
            continue;
        if (!subject)
            subject = subject_new(watch, job->gone.items[i], job->gone.items[i]);
        subject->listed = false;
        subject_read(subject, READ_CONSISTENT, true); /* goes with an empty list that is believed */
    }
    if (job->denied != watch->denied)
        set_denied(watch, job->denied);
    if (job->denied)
        ask_for_list_later(watch, DENIED_RETRY);
    else if (job->result.verdict == BELIEF_KEEP)
        hold_list(watch, job);
    if (first && watch->asking)
        asking_pin(watch);
    if (!first)
        sweep_request(watch); /* an instance came or went, and the list does not say whose */
}

void names_stop(struct watch *watch)
{
    if (watch->list_timer)
        event_free(watch->list_timer);
    watch->list_timer = NULL;
}
