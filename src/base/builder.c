#include "lictor/builder.h"

#include "lictor/rcu.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define TICKS_MAX 8
/* While readers still hold something that was replaced, come back this soon to free it. */
#define RECLAIM_INTERVAL (5 * NS_PER_MS)
/* Of a turn of main, whose limit is 20 ms; one callback may take some of those. */
#define DELIVERY (5 * NS_PER_MS)

struct job {
    struct job *next;
    job_fn *run, *done;
    void *arg;
};

struct queue {
    struct job *first, **end;
};

struct tick {
    nstime interval, due;
    job_fn *fn;
    void *arg;
};

struct builder {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* CLOCK_MONOTONIC: only for sleeping */
    struct queue jobs;   /* under lock, as is all down to ticks */
    struct queue finished;
    struct tick ticks[TICKS_MAX];
    unsigned tick_count;
    bool stopping;
    bool started; /* main's */
    _Atomic unsigned queued;
    _Atomic nstime job_started; /* 0: idle */
    int finished_fd;            /* eventfd: something is in `finished` */
    struct event *finished_event;
};

static void queue_init(struct queue *queue)
{
    queue->first = NULL;
    queue->end = &queue->first;
}

static void queue_add(struct queue *queue, struct job *job)
{
    job->next = NULL;
    *queue->end = job;
    queue->end = &job->next;
}

static struct job *queue_take(struct queue *queue)
{
    struct job *job = queue->first;
    if (job && !(queue->first = job->next))
        queue->end = &queue->first;
    return job;
}

static void wake_main(struct builder *builder)
{
    uint64_t one = 1;
    if (write(builder->finished_fd, &one, sizeof one) < 0)
        assert(errno == EAGAIN); /* the counter is full: main will look anyway */
}

static void finish(struct builder *builder, struct job *job)
{
    if (!job->done) {
        free(job);
        return;
    }
    pthread_mutex_lock(&builder->lock);
    queue_add(&builder->finished, job);
    pthread_mutex_unlock(&builder->lock);
    wake_main(builder);
}

static void run_job(struct builder *builder, struct job *job)
{
    atomic_store_explicit(&builder->job_started, clock_boot(), memory_order_relaxed);
    job->run(job->arg);
    rcu_poll();
    atomic_store_explicit(&builder->job_started, 0, memory_order_relaxed);
    atomic_fetch_sub_explicit(&builder->queued, 1, memory_order_relaxed);
    finish(builder, job);
}

/* Runs what is due and returns when the next is. Called without the lock: ticks are only added. */
static nstime run_ticks(struct builder *builder, unsigned count)
{
    nstime next = NS_NEVER;
    for (unsigned i = 0; i < count; i++) {
        struct tick *tick = &builder->ticks[i];
        if (clock_boot() >= tick->due) {
            tick->fn(tick->arg);
            tick->due = clock_boot() + tick->interval;
        }
        if (tick->due < next)
            next = tick->due;
    }
    return next;
}

/* Sleeps, with the lock held, until a job comes or `until`. */
static void sleep_until(struct builder *builder, nstime until)
{
    nstime left = until - clock_boot();
    struct timespec ts;
    if (left <= 0)
        return;
    if (left > 3600 * NS_PER_S)
        left = 3600 * NS_PER_S;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    left += (nstime)ts.tv_sec * NS_PER_S + ts.tv_nsec;
    ts = (struct timespec){left / NS_PER_S, left % NS_PER_S};
    pthread_cond_timedwait(&builder->wake, &builder->lock, &ts);
}

static void *builder_main(void *arg)
{
    struct builder *builder = arg;
    pthread_mutex_lock(&builder->lock);
    for (;;) {
        struct job *job = queue_take(&builder->jobs);
        unsigned ticks = builder->tick_count;
        bool stopping = builder->stopping;
        if (!job && stopping)
            break;
        pthread_mutex_unlock(&builder->lock);
        if (job)
            run_job(builder, job);
        nstime next = run_ticks(builder, ticks);
        if (rcu_poll())
            next = next < clock_boot() + RECLAIM_INTERVAL ? next : clock_boot() + RECLAIM_INTERVAL;
        pthread_mutex_lock(&builder->lock);
        if (!builder->jobs.first && !builder->stopping && builder->tick_count == ticks)
            sleep_until(builder, next);
    }
    pthread_mutex_unlock(&builder->lock);
    rcu_barrier();
    return NULL;
}

/* Until it is time for main to do something else; then main is woken for the rest. */
static void deliver(struct builder *builder, nstime until)
{
    for (;;) {
        pthread_mutex_lock(&builder->lock);
        struct job *job = queue_take(&builder->finished);
        pthread_mutex_unlock(&builder->lock);
        if (!job)
            return;
        job->done(job->arg);
        free(job);
        if (clock_boot() >= until) {
            wake_main(builder);
            return;
        }
    }
}

static void on_finished(evutil_socket_t fd, short what, void *arg)
{
    uint64_t count;
    (void)what;
    if (read(fd, &count, sizeof count) < 0)
        assert(errno == EAGAIN);
    deliver(arg, clock_boot() + DELIVERY);
}

struct builder *builder_new(struct event_base *main_base)
{
    struct builder *builder = xcalloc(1, sizeof *builder);
    pthread_condattr_t attr;

    pthread_mutex_init(&builder->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&builder->wake, &attr);
    pthread_condattr_destroy(&attr);
    queue_init(&builder->jobs);
    queue_init(&builder->finished);
    builder->finished_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert(builder->finished_fd >= 0);
    builder->finished_event =
        event_new(main_base, builder->finished_fd, EV_READ | EV_PERSIST, on_finished, builder);
    event_add(builder->finished_event, NULL);
    return builder;
}

void builder_start(struct builder *builder)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are main's */
    if (pthread_create(&builder->thread, NULL, builder_main, builder))
        abort();
    pthread_setname_np(builder->thread, "builder");
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    builder->started = true;
}

void builder_free(struct builder *builder)
{
    if (!builder)
        return;
    pthread_mutex_lock(&builder->lock);
    builder->stopping = true;
    pthread_cond_signal(&builder->wake);
    pthread_mutex_unlock(&builder->lock);
    if (builder->started)
        pthread_join(builder->thread, NULL);
    deliver(builder, NS_NEVER);
    /* What those callbacks posted: the caller is the only thread now and stands in for the builder. */
    for (struct job *job; (job = queue_take(&builder->jobs)); deliver(builder, NS_NEVER))
        run_job(builder, job);
    event_free(builder->finished_event);
    close(builder->finished_fd);
    pthread_cond_destroy(&builder->wake);
    pthread_mutex_destroy(&builder->lock);
    free(builder);
}

void builder_post(struct builder *builder, job_fn *run, job_fn *done, void *arg)
{
    struct job *job = xmalloc(sizeof *job);
    *job = (struct job){NULL, run, done, arg};
    atomic_fetch_add_explicit(&builder->queued, 1, memory_order_relaxed);
    pthread_mutex_lock(&builder->lock);
    queue_add(&builder->jobs, job);
    pthread_cond_signal(&builder->wake);
    pthread_mutex_unlock(&builder->lock);
}

void builder_to_main(struct builder *builder, job_fn *done, void *arg)
{
    struct job *job = xmalloc(sizeof *job);
    *job = (struct job){NULL, NULL, done, arg};
    finish(builder, job);
}

void builder_every(struct builder *builder, nstime interval, job_fn *tick, void *arg)
{
    pthread_mutex_lock(&builder->lock);
    assert(builder->tick_count < TICKS_MAX);
    builder->ticks[builder->tick_count] = (struct tick){interval, clock_boot() + interval, tick, arg};
    builder->tick_count++;
    pthread_cond_signal(&builder->wake);
    pthread_mutex_unlock(&builder->lock);
}

nstime builder_busy_for(const struct builder *builder)
{
    nstime started = atomic_load_explicit(&builder->job_started, memory_order_relaxed);
    return started ? clock_boot() - started : 0;
}

unsigned builder_queued(const struct builder *builder)
{
    return atomic_load_explicit(&builder->queued, memory_order_relaxed);
}
