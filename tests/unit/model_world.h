/* The watch without sockets, threads and clocks: libevent's timers, the builder and Consul's client as the
 * watch calls them, on a virtual clock, with delays drawn from a seed. These definitions take the place of
 * the libraries'. */
#pragma once

#include "model_consul.h"

#include "lictor/builder.h"
#include "lictor/consul.h"
#include "lictor/xalloc.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>

/* --- the clock and what happens ------------------------------------------------------------------- */

struct happening {
    TAILQ_ENTRY(happening) link;
    nstime at;
    void (*run)(void *arg);
    void *arg;
};
TAILQ_HEAD(happenings, happening);

static struct {
    struct model model;
    struct happenings queue;
    struct blocked *blocked; /* all loops */
    nstime builder_last;     /* when its last job runs: they run in order */
    unsigned failing;        /* of 1000 replies */
    nstime down_until;       /* no answer at all */
    unsigned requests;
    bool stale_is_old;
    int64_t silent_ms; /* the servers that answer stale reads have not heard from the leader so long */
} world;

nstime clock_boot(void)
{
    return world.model.now;
}

nstime clock_real(void)
{
    return world.model.now;
}

void clock_boot_id(char out[37])
{
    strcpy(out, "00000000-0000-4000-8000-000000000000");
}

/* LICTOR_MODEL_TRACE=1: what happens, one line each. */
static __attribute__((format(printf, 2, 3))) void trace(const char *what, const char *fmt, ...)
{
    va_list args;
    if (!getenv("LICTOR_MODEL_TRACE"))
        return;
    fprintf(stderr, "%.6f %s: ", (double)world.model.now / (double)NS_PER_S, what);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

static nstime random_delay(nstime most)
{
    return (nstime)rng_below(&world.model.rng, (uint32_t)(most / NS_PER_US) + 1) * NS_PER_US;
}

static struct happening *happen(nstime at, void (*run)(void *arg), void *arg)
{
    struct happening *item = xcalloc(1, sizeof(*item)), *other;
    *item = (struct happening){.at = at, .run = run, .arg = arg};
    TAILQ_FOREACH_REVERSE(other, &world.queue, happenings, link)
    if (other->at <= at)
        break;
    if (other)
        TAILQ_INSERT_AFTER(&world.queue, other, item, link);
    else
        TAILQ_INSERT_HEAD(&world.queue, item, link);
    return item;
}

static void unhappen(struct happening *item)
{
    if (!item)
        return;
    TAILQ_REMOVE(&world.queue, item, link);
    free(item);
}

static void run_until(nstime end)
{
    struct happening *next;
    while ((next = TAILQ_FIRST(&world.queue)) && next->at <= end) {
        TAILQ_REMOVE(&world.queue, next, link);
        if (next->at > world.model.now)
            world.model.now = next->at;
        void (*run)(void *arg) = next->run;
        void *arg = next->arg;
        free(next);
        run(arg);
    }
    world.model.now = end;
}

/* --- libevent's timers ---------------------------------------------------------------------------- */

struct event {
    event_callback_fn callback;
    void *arg;
    struct happening *pending;
};

struct event *event_new(struct event_base *base, evutil_socket_t fd, short what, event_callback_fn callback,
                        void *arg)
{
    (void)base, (void)fd, (void)what;
    struct event *event = xcalloc(1, sizeof(*event));
    event->callback = callback;
    event->arg = arg;
    return event;
}

int event_del(struct event *event)
{
    unhappen(event->pending);
    event->pending = NULL;
    return 0;
}

void event_free(struct event *event)
{
    event_del(event);
    free(event);
}

static void event_due(void *arg)
{
    struct event *event = arg;
    event->pending = NULL;
    event->callback(-1, EV_TIMEOUT, event->arg);
}

int event_add(struct event *event, const struct timeval *after)
{
    event_del(event);
    event->pending =
        happen(world.model.now + after->tv_sec * NS_PER_S + after->tv_usec * NS_PER_US, event_due, event);
    return 0;
}

int event_pending(const struct event *event, short what, struct timeval *at)
{
    (void)what, (void)at;
    return event->pending != NULL;
}

/* --- the builder: in order, some time later -------------------------------------------------------- */

struct job {
    job_fn *run, *done;
    void *arg;
};

static void job_done(void *arg)
{
    struct job *job = arg;
    if (job->done)
        job->done(job->arg);
    free(job);
}

static void job_run(void *arg)
{
    struct job *job = arg;
    job->run(job->arg);
    /* `done` comes later than what main does meanwhile. */
    happen(world.model.now + random_delay(2 * NS_PER_MS), job_done, job);
}

void builder_post(struct builder *builder, job_fn *run, job_fn *done, void *arg)
{
    (void)builder;
    struct job *job = xcalloc(1, sizeof(*job));
    *job = (struct job){run, done, arg};
    if (world.builder_last < world.model.now)
        world.builder_last = world.model.now;
    world.builder_last += random_delay(3 * NS_PER_MS);
    happen(world.builder_last, job_run, job);
}

/* --- Consul ---------------------------------------------------------------------------------------- */

struct consul_request {
    char *path; /* behind "/v1/" */
    consul_response_fn *callback;
    void *arg;
    struct happening *pending;
    int status;
    struct buf body;
    uint64_t index, above; /* above: of a blocked query */
    nstime sent;
};

/* What a server shows: the present state, or, with `stale`, one of up to 300 ms ago. */
static const struct state *shown(const char *path, uint64_t above)
{
    bool stale = strstr(path, "stale") != NULL;
    struct model *model = &world.model;
    nstime lag = stale && world.stale_is_old ? random_delay(300 * NS_PER_MS) : 0;
    size_t at = model->last;
    while (at > 0 && model->last - at < STATES - 2 && model->states[at % STATES].since > model->now - lag)
        at--;
    while (above > 0 && at < model->last && index_of(&model->states[at % STATES], path) <= above)
        at++; /* a blocked query is answered once its server has got beyond */
    return &model->states[at % STATES];
}

static void request_free(struct consul_request *request)
{
    free(request->path);
    buf_free(&request->body);
    free(request);
}

static void request_deliver(void *arg)
{
    struct consul_request *request = arg;
    request->pending = NULL;
    struct consul_response response = {
        .status = request->status,
        .error = request->status == 200 ? NULL : "no answer",
        .index = request->status == 200 ? request->index : 0,
        .known_leader = true,
        .last_contact_ms = !strstr(request->path, "stale") ? 0
                           : world.silent_ms               ? world.silent_ms
                                                           : (world.stale_is_old ? 30 : 0),
        .body = &request->body,
        .started = request->sent,
        .finished = world.model.now,
        .address = "model",
    };
    trace("reply", "%s: %d, index %" PRIu64 ", %zu octets", request->path, response.status, response.index,
          request->body.len);
    request->callback(request->arg, &response);
    request_free(request);
}

/* The server answers now; the reply is some time on its way, sometimes long. */
static void request_answer(void *arg)
{
    struct consul_request *request = arg;
    struct model *model = &world.model;
    if (model->now < world.down_until)
        request->status = 0;
    else if (rng_below(&model->rng, 1000) < world.failing)
        request->status = 500;
    else if (strncmp(request->path, "health/", 7) != 0 && strncmp(request->path, "catalog/", 8) != 0)
        request->status = 403; /* rights, coordinates: none of the catalog */
    else
        request->status = 200;
    if (request->status == 200) {
        const struct state *state = shown(request->path, request->above);
        request->index = index_of(state, request->path);
        body_of(&request->body, state, request->path);
    }
    nstime way = rng_below(&model->rng, 20) ? random_delay(5 * NS_PER_MS) : random_delay(900 * NS_PER_MS);
    request->pending = happen(model->now + way, request_deliver, request);
}

nstime consul_backoff(unsigned failures, int status)
{
    (void)status;
    nstime most = failures < 7 ? (nstime)(100 << failures) * NS_PER_MS : 10 * NS_PER_S;
    return most / 2 + random_delay(most);
}

struct consul_request *consul_send(struct consul_client *client, const struct consul_options *options,
                                   consul_response_fn *callback, void *arg)
{
    (void)client;
    struct consul_request *request = xcalloc(1, sizeof(*request));
    assert(strncmp(options->path, "/v1/", 4) == 0);
    request->path = xstrdup(options->path + 4);
    request->callback = callback;
    request->arg = arg;
    request->sent = world.model.now;
    world.requests++;
    request->pending = happen(world.model.now + random_delay(4 * NS_PER_MS), request_answer, request);
    return request;
}

void consul_cancel(struct consul_request *request)
{
    if (!request)
        return;
    if (!request->pending)
        return; /* from within its own callback */
    unhappen(request->pending);
    request_free(request);
}

/* --- blocking queries, by the rules of src/consul/blocking.c ---------------------------------------- */

struct consul_watch {
    char *path;
    bool stale;
    nstime wait;
    consul_watch_fn *callback;
    void *arg;
    uint64_t index, seen;
    struct consul_request *request;
    struct happening *pending; /* the wait, or the pause before the next round */
    bool waiting;              /* with the server */
    bool *freed;
    struct consul_watch *next;
    unsigned failures;
};

static struct consul_watch *all_watches;

static void watch_ask_round(void *arg);

static void watch_answered(void *arg, struct consul_response *response)
{
    struct consul_watch *watch = arg;
    watch->request = NULL;
    bool changed = false;
    if (response->status == 200) {
        changed = response->index != watch->seen;
        watch->index = response->index < watch->index ? 0 : response->index;
        watch->seen = response->index;
        watch->failures = 0;
    }
    bool freed = false;
    watch->freed = &freed;
    watch->callback(watch->arg, response, changed);
    if (freed)
        return;
    watch->freed = NULL;
    if (watch->request || watch->pending)
        return;
    nstime pause = 10 * NS_PER_MS;
    if (response->status != 200) {
        watch->index = watch->seen = 0;
        pause = consul_backoff(watch->failures++, response->status);
    }
    watch->pending = happen(world.model.now + pause, watch_ask_round, watch);
}

static void watch_send(struct consul_watch *watch)
{
    char *path = xasprintf("/v1/%s%s", watch->path, watch->stale ? "?stale" : "");
    watch->request =
        consul_send(NULL, &(struct consul_options){.method = "GET", .path = path}, watch_answered, watch);
    watch->request->above = watch->index;
    free(path);
}

static void watch_wait_over(void *arg)
{
    struct consul_watch *watch = arg;
    watch->pending = NULL;
    watch->waiting = false;
    watch_send(watch);
}

static void watch_ask_round(void *arg)
{
    struct consul_watch *watch = arg;
    watch->pending = NULL;
    if (watch->index == 0 || index_of(present(&world.model), watch->path) > watch->index) {
        watch_send(watch);
        return;
    }
    watch->waiting = true;
    watch->pending = happen(world.model.now + watch->wait, watch_wait_over, watch);
}

/* The state changed: those that wait for it wake, each when its server has got there. */
static void wake_watches(void)
{
    for (struct consul_watch *watch = all_watches; watch; watch = watch->next)
        if (watch->waiting && index_of(present(&world.model), watch->path) > watch->index) {
            unhappen(watch->pending);
            watch->waiting = false;
            nstime lag = world.stale_is_old ? random_delay(300 * NS_PER_MS) : random_delay(NS_PER_MS);
            watch->pending = happen(world.model.now + lag, watch_ask_round, watch);
        }
}

struct consul_watch *consul_watch_new(struct consul_client *client,
                                      const struct consul_watch_options *options, consul_watch_fn *callback,
                                      void *arg)
{
    (void)client;
    struct consul_watch *watch = xcalloc(1, sizeof(*watch));
    watch->path = xstrdup(options->path + 4);
    watch->stale = options->consistency && strcmp(options->consistency, "stale") == 0;
    watch->wait = options->wait > 0 ? options->wait : 300 * NS_PER_S;
    watch->callback = callback;
    watch->arg = arg;
    watch->next = all_watches;
    all_watches = watch;
    watch->pending = happen(world.model.now, watch_ask_round, watch);
    return watch;
}

static void watch_stop_round(struct consul_watch *watch)
{
    consul_cancel(watch->request);
    watch->request = NULL;
    unhappen(watch->pending);
    watch->pending = NULL;
    watch->waiting = false;
}

void consul_watch_restart(struct consul_watch *watch)
{
    watch->index = watch->seen = 0;
    watch_stop_round(watch);
    watch->pending = happen(world.model.now + 10 * NS_PER_MS, watch_ask_round, watch);
}

void consul_watch_free(struct consul_watch *watch)
{
    if (!watch)
        return;
    watch_stop_round(watch);
    if (watch->freed)
        *watch->freed = true;
    for (struct consul_watch **at = &all_watches; *at; at = &(*at)->next)
        if (*at == watch) {
            *at = watch->next;
            break;
        }
    free(watch->path);
    free(watch);
}
