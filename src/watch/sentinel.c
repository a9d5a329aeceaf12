/* The lists that tell where to look: catalog/services (names and tags), and the checks that are critical or
 * warning: the difference of two replies names the services whose health changed, and the instances that were
 * removed with a check in that state. */
#include "internal.h"

#include "lists.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct names {
    char **items;
    size_t count, cap;
};

struct list_job {
    struct watch *watch;
    enum sentinel which;
    struct buf body;
    bool known_leader;
    /* What the builder found: pairs of folded and registered name for those that came. */
    struct names came, came_as, touched, gone;
    bool denied, faulty;
    struct belief_facts facts; /* of the names */
    struct belief_result result;
    struct err err;
};

static void add_name(struct names *names, const char *name)
{
    if (names->count == names->cap) {
        names->cap = names->cap ? 2 * names->cap : 16;
        names->items = xrealloc(names->items, names->cap * sizeof(*names->items));
    }
    names->items[names->count++] = xstrdup(name);
}

static void free_names(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

/* --- catalog/services, builder ------------------------------------------------------------------- */

static void find_gone(struct list_job *job, const struct strmap *now)
{
    const void *key;
    void *value;
    for (size_t i = 0; strmap_next(job->watch->names, &i, &key, NULL, &value);)
        if (!strmap_gets(now, key))
            add_name(&job->gone, key);
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
        add_name(&unlisted->job->gone, service);
}

static void find_new(struct list_job *job, const struct strmap *now)
{
    const void *key;
    void *value;
    for (size_t i = 0; strmap_next(now, &i, &key, NULL, &value);) {
        const struct listed *listed = value, *old = strmap_gets(job->watch->names, key);
        if (!old) {
            add_name(&job->came, key);
            add_name(&job->came_as, listed->name);
        } else if (old->digest != listed->digest) {
            add_name(&job->touched, key);
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

static void run_services(void *arg)
{
    struct list_job *job = arg;
    struct watch *watch = job->watch;
    struct strmap *now = services_list_parse((const char *)job->body.data, job->body.len, &job->err);
    buf_free(&job->body);
    if (!now) {
        job->faulty = true;
        return;
    }
    bool canary = strmap_gets(now, "consul") != NULL;
    watch->belief.canary_seen |= canary;
    job->denied = watch->belief.canary_seen && !canary;
    find_new(job, now);
    if (!is_believed(job, now, canary)) {
        merge(watch->names, now);
        return;
    }
    find_gone(job, now);
    if (strmap_count(watch->names) == 0) /* the first one: what a restored view has beyond it */
        catalog_each_service(watch->config.catalog, watch->config.datacenter, find_unlisted,
                             &(struct unlisted){job, now});
    services_list_free(watch->names);
    watch->names = now;
}

/* --- catalog/services, main ---------------------------------------------------------------------- */

static void read_touched(struct list_job *job)
{
    for (size_t i = 0; i < job->touched.count; i++) {
        struct subject *subject = subject_find(job->watch, job->touched.items[i]);
        if (subject && !subject->blocked)
            subject_read(subject, READ_DEFAULT, true);
    }
}

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
    struct timeval after = watch_timeval(delay);
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

static void apply_services(struct list_job *job)
{
    struct watch *watch = job->watch;
    for (size_t i = 0; i < job->came.count; i++) {
        struct subject *subject = subject_find(watch, job->came.items[i]);
        if (!subject)
            subject = subject_new(watch, job->came.items[i], job->came_as.items[i]);
        subject->listed = true;
        subject_watch(subject);
    }
    for (size_t i = 0; i < job->gone.count; i++) {
        struct subject *subject = subject_find(watch, job->gone.items[i]);
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
    if (watch->listed[SENTINEL_SERVICES])
        sweep_request(watch); /* an instance came or went, and the list does not say whose */
}

/* --- health/state, builder ----------------------------------------------------------------------- */

static void add_service(void *arg, const char *service)
{
    add_name(&((struct list_job *)arg)->touched, service);
}

/* A check of the node counts for all its services. */
static void add_flagged(void *arg, const struct flagged *entry)
{
    struct list_job *job = arg;
    if (entry->is_node)
        catalog_services_on_node(job->watch->config.catalog, job->watch->config.datacenter, entry->name,
                                 add_service, job);
    else
        add_name(&job->touched, entry->name);
}

static void run_checks(void *arg)
{
    struct list_job *job = arg;
    struct strmap **last = &job->watch->checks[job->which];
    struct strmap *now = checks_list_parse((const char *)job->body.data, job->body.len, &job->err);
    buf_free(&job->body);
    if (!now) {
        job->faulty = true;
        return;
    }
    if (*last) /* the first one is what the first reads build on */
        checks_list_diff(*last, now, add_flagged, job);
    checks_list_free(*last);
    *last = now;
}

/* --- both ---------------------------------------------------------------------------------------- */

static void ask_again(evutil_socket_t fd, short what, void *arg)
{
    struct watch *watch = arg;
    (void)fd, (void)what;
    for (int i = 0; i < SENTINELS; i++)
        if (watch->list_doubted[i]) {
            watch->list_doubted[i] = false;
            consul_watch_restart(watch->lists[i]);
        }
}

/* The blocked query that follows a faulty body waits for the next change, and this one would be missed. */
static void retry_later(struct watch *watch, enum sentinel which)
{
    watch->list_doubted[which] = true;
    if (!watch->doubt_timer)
        watch->doubt_timer = evtimer_new(watch->config.base, ask_again, watch);
    struct timeval after = watch_timeval(FAULT_RETRY);
    if (!event_pending(watch->doubt_timer, EV_TIMEOUT, NULL))
        event_add(watch->doubt_timer, &after);
}

static void done(void *arg)
{
    struct list_job *job = arg;
    struct watch *watch = job->watch;
    if (watch->stopped) {
        /* nothing to do for what is being freed */
    } else if (job->faulty) {
        watch->stats.faults++;
        log_error("watch: %s; what was known before is kept", job->err.text);
        retry_later(watch, job->which);
    } else {
        if (job->which == SENTINEL_SERVICES)
            apply_services(job);
        if (job->denied) /* rights that return wake no blocked query, and a pending one keeps the old ones */
            retry_later(watch, job->which);
        read_touched(job);
        watch->listed[job->which] = true;
        reads_pump(watch);
        watch_check_complete(watch);
    }
    free_names(&job->came);
    free_names(&job->came_as);
    free_names(&job->touched);
    free_names(&job->gone);
    free(job);
    watch_release(watch);
}

static void on_list(struct watch *watch, enum sentinel which, struct consul_response *response, bool changed)
{
    contact_note(watch, which, response);
    if (response->status != 200)
        return;
    /* A token whose rules change moves no index: what it may see does. */
    if (!changed && response->body->len == watch->list_len[which])
        return;
    watch->list_len[which] = response->body->len;
    struct list_job *job = xcalloc(1, sizeof(*job));
    job->watch = watch_hold(watch);
    job->which = which;
    job->known_leader = response->known_leader;
    job->body = *response->body;
    *response->body = (struct buf){0};
    builder_post(watch->config.builder, which == SENTINEL_SERVICES ? run_services : run_checks, done, job);
}

static void on_services(void *arg, struct consul_response *response, bool changed)
{
    on_list(arg, SENTINEL_SERVICES, response, changed);
}

static void on_critical(void *arg, struct consul_response *response, bool changed)
{
    on_list(arg, SENTINEL_CRITICAL, response, changed);
}

static void on_warning(void *arg, struct consul_response *response, bool changed)
{
    on_list(arg, SENTINEL_WARNING, response, changed);
}

void sentinels_start(struct watch *watch)
{
    static const struct {
        const char *path;
        consul_watch_fn *callback;
        nstime wait;
        double rate, octets;
        unsigned burst;
    } table[SENTINELS] = {
        [SENTINEL_SERVICES] = {"/v1/catalog/services", on_services, CANARY_WAIT, 0, 0, 0},
        /* Mostly empty, so it is the cheapest to ask often. */
        [SENTINEL_CRITICAL] = {"/v1/health/state/critical", on_critical, HEARTBEAT_WAIT, CHECKS_RATE,
                               CHECKS_OCTETS, CHECKS_BURST},
        [SENTINEL_WARNING] = {"/v1/health/state/warning", on_warning, 0, CHECKS_RATE, CHECKS_OCTETS,
                              CHECKS_BURST},
    };
    for (size_t i = 0; i < SENTINELS; i++)
        if (table[i].path)
            watch->lists[i] = consul_watch_new(watch->config.client,
                                               &(struct consul_watch_options){
                                                   .path = table[i].path,
                                                   .consistency = "stale",
                                                   .dc = watch->config.datacenter,
                                                   .wait = table[i].wait,
                                                   .rate = table[i].rate,
                                                   .burst = table[i].burst,
                                                   .octets = table[i].octets,
                                               },
                                               table[i].callback, watch);
}

void sentinels_stop(struct watch *watch)
{
    if (watch->list_timer)
        event_free(watch->list_timer);
    watch->list_timer = NULL;
    if (watch->doubt_timer)
        event_free(watch->doubt_timer);
    watch->doubt_timer = NULL;
    for (size_t i = 0; i < SENTINELS; i++) {
        consul_watch_free(watch->lists[i]);
        watch->lists[i] = NULL;
    }
}
