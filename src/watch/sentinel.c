/* The blocked queries that tell where to look: catalog/services (names.c), and the checks that are critical
 * or warning (checks.c). */
#include "sentinel.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdlib.h>

void names_add(struct names *names, const char *name)
{
    if (names->count == names->cap) {
        names->cap = names->cap ? 2 * names->cap : 16;
        names->items = xrealloc(names->items, names->cap * sizeof(*names->items));
    }
    names->items[names->count++] = xstrdup(name);
}

void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

/* --- lists that cannot be used ------------------------------------------------------------------- */

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
    struct timeval after = clock_timeval(FAULT_RETRY);
    if (!event_pending(watch->doubt_timer, EV_TIMEOUT, NULL))
        event_add(watch->doubt_timer, &after);
}

/* --- a list came --------------------------------------------------------------------------------- */

static void run(void *arg)
{
    struct list_job *job = arg;
    if (job->which == SENTINEL_SERVICES)
        names_run(job);
    else
        checks_run(job);
    buf_free(&job->body);
}

static void apply(struct list_job *job)
{
    struct watch *watch = job->watch;
    if (job->which == SENTINEL_SERVICES)
        names_apply(job);
    if (job->denied) /* rights that return wake no blocked query, and a pending one keeps the old ones */
        retry_later(watch, job->which);
    for (size_t i = 0; i < job->touched.count; i++) {
        struct subject *subject = subject_find(watch, job->touched.items[i]);
        if (subject && !subject->blocked) /* else that query says what it is now */
            subject_read(subject, READ_DEFAULT, true);
    }
    for (size_t i = 0; i < job->nodes.count; i++)
        node_checks_read(watch, job->nodes.items[i]);
    watch->listed[job->which] = true;
    reads_pump(watch);
    watch_check_complete(watch);
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
        apply(job);
    }
    names_free(&job->came);
    names_free(&job->came_as);
    names_free(&job->gone);
    names_free(&job->touched);
    names_free(&job->nodes);
    free(job);
    watch_release(watch);
}

static void on_list(struct watch *watch, enum sentinel which, struct consul_response *response, bool changed)
{
    contact_note(watch, which, response);
    if (response->status != 200)
        return;
    if (rewind_seen(watch, which, response))
        return; /* all is asked anew, this list too */
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
    builder_post(watch->config.builder, run, done, job);
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
        [SENTINEL_WARNING] = {"/v1/health/state/warning", on_warning, LIST_WAIT, CHECKS_RATE, CHECKS_OCTETS,
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
    names_stop(watch);
    if (watch->doubt_timer)
        event_free(watch->doubt_timer);
    watch->doubt_timer = NULL;
    for (size_t i = 0; i < SENTINELS; i++) {
        consul_watch_free(watch->lists[i]);
        watch->lists[i] = NULL;
    }
}
