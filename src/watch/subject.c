/* Services and the list of nodes: the pool of blocked queries, the queue of reads. */
#include "internal.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* An error of this one alone, this many times in a row: the view goes live without it. */
#define FAILURES_UNREADABLE 5

/* --- life ---------------------------------------------------------------------------------------- */

struct subject *subject_find(struct watch *watch, const char *key)
{
    return strmap_gets(watch->services, key);
}

static void timer_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct subject *subject = arg;
    subject_read(subject, subject->mode, true);
}

void subject_read_later(struct subject *subject, nstime delay, enum read_mode mode)
{
    if (mode > subject->mode)
        subject->mode = mode;
    if (!subject->timer)
        subject->timer = evtimer_new(subject->watch->config.base, timer_due, subject);
    struct timeval after = clock_timeval(delay);
    event_add(subject->timer, &after);
}

/* Actions must not wait for a sweep. */
static bool is_configured(const struct config *config, const char *key)
{
    for (size_t i = 0; i < config->action_count; i++)
        if (config->actions[i].when == WHEN_SERVICE && strcmp(config->actions[i].service, key) == 0)
            return true;
    return false;
}

struct subject *subject_new(struct watch *watch, const char *key, const char *name)
{
    struct subject *subject = xcalloc(1, sizeof(*subject));
    subject->watch = watch;
    subject->key = xstrdup(key);
    char *escaped = consul_escape(name);
    subject->path = xasprintf("/v1/health/service/%s", escaped);
    free(escaped);
    subject->pinned = is_configured(watch->config.config, key);
    strmap_puts(watch->services, key, subject);
    watch->unseen++;
    return subject;
}

void subject_free(struct subject *subject)
{
    free(subject->key);
    free(subject->path);
    free(subject);
}

void subject_set_seen(struct subject *subject)
{
    if (subject->seen)
        return;
    subject->seen = true;
    if (subject->key)
        subject->watch->unseen--;
    asking_seen(subject);
    watch_check_complete(subject->watch);
}

static void unqueue(struct subject *subject)
{
    if (subject->queue)
        TAILQ_REMOVE(subject->queue, subject, reads);
    subject->queue = NULL;
}

/* Also what leaves the pool. */
static void unblock(struct subject *subject)
{
    if (subject->blocked && subject->key) {
        subject->watch->pooled--;
        TAILQ_REMOVE(&subject->watch->pool, subject, pooled);
    }
    consul_watch_free(subject->blocked);
    subject->blocked = NULL;
}

void subject_stop(struct subject *subject)
{
    struct watch *watch = subject->watch;
    if (!watch)
        return;
    unblock(subject);
    sweep_done(subject);
    if (subject->request)
        watch->reading--;
    consul_cancel(subject->request);
    subject->request = NULL;
    if (subject->timer)
        event_free(subject->timer);
    subject->timer = NULL;
    unqueue(subject);
    canary_forget(subject);
}

/* Else places are kept for those that are asked for: a blocked query that is given up costs the agent a
 * connection for a while. */
static bool all_fit(const struct watch *watch)
{
    return strmap_count(watch->services) <= watch->pool_max;
}

/* A place in the pool became free. */
static void refill_pool(struct watch *watch)
{
    if (!all_fit(watch))
        return; /* those that are asked for take the places */
    const void *key;
    void *value;
    for (size_t i = 0;
         watch->pooled < watch->pool_max && strmap_next(watch->services, &i, &key, NULL, &value);) {
        struct subject *subject = value;
        if (!subject->blocked && subject->listed)
            subject_watch(subject);
    }
}

void subject_remove(struct subject *subject)
{
    struct watch *watch = subject->watch;
    bool pooled = subject->blocked != NULL;
    subject_stop(subject);
    subject_set_seen(subject);
    strmap_removes(watch->services, subject->key);
    subject->removed = true;
    if (subject->jobs == 0)
        subject_free(subject);
    if (pooled)
        refill_pool(watch);
}

void subjects_fit_pool(struct watch *watch)
{
    while (watch->pooled > watch->pool_max) {
        struct subject *subject = TAILQ_LAST(&watch->pool, subjects);
        unblock(subject);
        subject_read(subject, READ_DEFAULT, false); /* what changes from here on is the sweeps' to find */
    }
    refill_pool(watch);
}

/* --- blocked queries ----------------------------------------------------------------------------- */

static void on_change(void *arg, struct consul_response *response, bool changed)
{
    struct subject *subject = arg;
    contact_note(subject->watch, subject->key ? NO_SENTINEL : SENTINEL_NODES, response);
    if (response->status == 200) {
        if (!subject->key && rewind_seen(subject->watch, SENTINEL_NODES, response))
            return;
        subject->failures = 0;
        if (changed)
            judge_response(subject, response, READ_STALE);
    } else if (response->status > 0 && ++subject->failures >= FAILURES_UNREADABLE && subject->key) {
        subject_set_seen(subject);
    }
}

static void block(struct subject *subject)
{
    struct consul_watch_options options = {
        .path = subject->path,
        .consistency = "stale",
        .dc = subject->watch->config.datacenter,
        .wait = subject->key ? POOL_WAIT : LIST_WAIT,
        .burst = POOL_BURST,
        .octets = POOL_OCTETS,
    };
    subject->blocked = consul_watch_new(subject->watch->config.client, &options, on_change, subject);
}

void subject_start_nodes(struct watch *watch)
{
    watch->nodes.watch = watch;
    watch->nodes.path = xstrdup("/v1/catalog/nodes");
    block(&watch->nodes);
}

/* The blocked query's first answer is the first read. */
static void enter_pool(struct subject *subject, bool asked)
{
    struct watch *watch = subject->watch;
    watch->pooled++;
    if (asked)
        TAILQ_INSERT_HEAD(&watch->pool, subject, pooled);
    else
        TAILQ_INSERT_TAIL(&watch->pool, subject, pooled);
    block(subject);
}

/* The one that was not asked for longest makes room, if that is long enough. */
static bool make_room(struct watch *watch, nstime now)
{
    if (watch->pooled < watch->pool_max)
        return true;
    struct subject *last = TAILQ_LAST(&watch->pool, subjects);
    while (last && last->pinned)
        last = TAILQ_PREV(last, subjects, pooled);
    if (!last || (last->asked > 0 && now - last->asked < POOL_ASKED) ||
        (watch->evicted > 0 && now - watch->evicted < EVICT_EVERY))
        return false;
    watch->evicted = now;
    watch->stats.evictions++;
    unblock(last);
    return true;
}

void subject_watch(struct subject *subject)
{
    struct watch *watch = subject->watch;
    if (subject->blocked)
        return;
    bool wanted = subject->pinned || subject->asked > 0;
    if ((wanted && make_room(watch, clock_boot())) || (all_fit(watch) && watch->pooled < watch->pool_max))
        enter_pool(subject, wanted);
    else
        subject_read(subject, subject->seen ? READ_DEFAULT : READ_STALE, watch->live);
}

void subject_asked(struct subject *subject)
{
    struct watch *watch = subject->watch;
    nstime now = clock_boot();
    subject->asked = now;
    if (subject->blocked) {
        TAILQ_REMOVE(&watch->pool, subject, pooled);
        TAILQ_INSERT_HEAD(&watch->pool, subject, pooled);
    } else if (watch->live && make_room(watch, now)) {
        enter_pool(subject, true);
    } else if (watch->live && (subject->probed == 0 || now - subject->probed >= ASKED_PROBE)) {
        subject->probed = now;
        subject_read(subject, READ_PROBE, true);
    }
}

/* --- reads --------------------------------------------------------------------------------------- */

void subject_read(struct subject *subject, enum read_mode mode, bool urgent)
{
    struct watch *watch = subject->watch;
    if (mode > subject->mode)
        subject->mode = mode;
    if (subject->request) {
        subject->again = true;
        return;
    }
    if (!subject->queue || (urgent && subject->queue != &watch->urgent)) {
        unqueue(subject);
        subject->queue = urgent ? &watch->urgent : &watch->queue;
        TAILQ_INSERT_TAIL(subject->queue, subject, reads);
    }
    reads_pump(watch);
}

static void pause_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    reads_pump(arg);
}

/* Thousands of subjects, each with its own backoff, would still be a storm on an agent that refuses them. */
static void note_failed_read(struct watch *watch)
{
    if (++watch->read_failures < READS_MAX)
        return;
    if (!watch->pause)
        watch->pause = evtimer_new(watch->config.base, pause_over, watch);
    struct timeval after = clock_timeval(consul_backoff(watch->read_failures / READS_MAX, 0));
    event_add(watch->pause, &after);
}

/* A probe asks for a tag that nothing has: two octets, and the true index. Consul then looks at neither nodes
 * nor checks, so it costs a third of what a filter does. */
static void probed(struct subject *subject, const struct consul_response *response)
{
    subject->watch->sweep_followers |= response->last_contact_ms > 0;
    if (response->index != subject->index || subject->index == 0) {
        subject->watch->stats.moved++;
        subject->moved = clock_boot();
        subject_read(subject, READ_DEFAULT, true); /* not behind the rest of the sweep */
    } else if (!subject->queue) {
        sweep_done(subject);
    }
}

/* Below what was known when it was sent, from the leader: the indexes began anew. */
static bool is_rewound(const struct subject *subject, const struct consul_response *response)
{
    return subject->sent >= READ_DEFAULT && response->index > 0 && response->index < subject->sent_floor;
}

static void read_done(void *arg, struct consul_response *response)
{
    struct subject *subject = arg;
    struct watch *watch = subject->watch;
    enum read_mode sent = subject->sent; /* the next one may be sent before this one is judged */
    subject->request = NULL;
    watch->reading--;
    bool again = subject->again;
    subject->again = false;
    contact_note(watch, NO_SENTINEL, response);
    if (response->status == 200) {
        watch->read_failures = 0;
        subject->failures = 0;
        if (is_rewound(subject, response) && rewind_all(watch, subject->path)) {
            subject_read(subject, READ_DEFAULT, true);
            return;
        }
        if (sent == READ_PROBE)
            probed(subject, response);
        else
            judge_response(subject, response, sent);
        if (again) /* what this one shows may be from before that */
            subject_read(subject, subject->mode, subject->mode > READ_PROBE);
    } else {
        if (response->status > 0 && subject->failures >= FAILURES_UNREADABLE)
            subject_set_seen(subject);
        note_failed_read(watch);
        subject_read_later(subject, consul_backoff(subject->failures++, response->status), sent);
        sweep_done(subject);
    }
    reads_pump(watch);
}

static void send_read(struct subject *subject)
{
    static const char *const queries[] = {[READ_PROBE] = "?stale&tag=%01",
                                          [READ_STALE] = "?stale",
                                          [READ_DEFAULT] = "",
                                          [READ_CONSISTENT] = "?consistent"};
    struct watch *watch = subject->watch;
    unqueue(subject);
    subject->sent = subject->mode;
    subject->mode = READ_PROBE;
    subject->again = false;
    char *path = xasprintf("%s%s", subject->path, queries[subject->sent]);
    watch->reading++;
    *(subject->sent == READ_PROBE ? &watch->stats.probes : &watch->stats.reads) += 1;
    subject->sent_floor = subject->floor;
    subject->request = consul_send(
        watch->config.client,
        &(struct consul_options){
            .method = "GET", .path = path, .timeout = READ_TIMEOUT, .dc = watch->config.datacenter},
        read_done, subject);
    free(path);
}

/* The lists of checks come first: a check that changes after them is in their next difference, so no service
 * may be read before. */
static bool may_read(const struct watch *watch)
{
    return watch->listed[SENTINEL_CRITICAL] && watch->listed[SENTINEL_WARNING];
}

void reads_resume(struct watch *watch)
{
    watch->read_failures = 0;
    if (watch->pause)
        event_del(watch->pause);
    reads_pump(watch);
}

void reads_stop(struct watch *watch)
{
    if (watch->pause)
        event_free(watch->pause);
    watch->pause = NULL;
}

/* What is known to have changed goes before the sweep, and first come first served: under steady change a
 * read that others overtake would never be sent. */
static struct subject *next_read(struct watch *watch)
{
    struct subject *urgent = TAILQ_FIRST(&watch->urgent);
    return urgent ? urgent : TAILQ_FIRST(&watch->queue);
}

void reads_pump(struct watch *watch)
{
    unsigned limit = watch->live ? READS_MAX : READS_INITIAL;
    unsigned left = watch->connections - SENTINELS - (unsigned)watch->pooled;
    if (limit > left)
        limit = left;
    if (watch->stopped || !may_read(watch) || contact_down(watch) ||
        (watch->pause && evtimer_pending(watch->pause, NULL)))
        return;
    struct subject *next;
    while (watch->reading < limit && watch->judging < BUILDER_BACKLOG)
        if (!node_checks_send(watch)) {
            if (!(next = next_read(watch)))
                break;
            send_read(next);
        }
}

void subject_forget(struct subject *subject)
{
    struct watch *watch = subject->watch;
    subject->index = subject->floor = 0;
    if (subject->blocked)
        consul_watch_restart(subject->blocked);
    if (!subject->request)
        return;
    watch->reading--;
    consul_cancel(subject->request);
    subject->request = NULL;
    subject->again = false;
    subject_read(subject, READ_DEFAULT, true);
}
