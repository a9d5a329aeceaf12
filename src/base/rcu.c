#include "lictor/rcu.h"

#include "lictor/clock.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

/* The grace period number. A reader that has stored a value >= g (or 0: offline) has passed a quiescent state
 * since the number became g, and holds nothing that was unpublished before that. */
static _Atomic uint64_t grace = 1;

struct rcu_reader {
    _Alignas(64) _Atomic uint64_t seen; /* 0: offline; own cache line, written every batch */
    struct rcu_reader *next;
};

static pthread_mutex_t readers_lock = PTHREAD_MUTEX_INITIALIZER;
static struct rcu_reader *readers;

struct deferred {
    struct deferred *next;
    uint64_t after; /* runs once every reader has seen this number */
    void (*fn)(void *arg);
    void *arg;
};

static struct deferred *queue, **queue_end = &queue; /* builder thread only */
static unsigned queued;

struct rcu_reader *rcu_register(void)
{
    struct rcu_reader *reader = aligned_alloc(64, sizeof *reader);
    if (!reader)
        abort();
    atomic_init(&reader->seen, 0);
    pthread_mutex_lock(&readers_lock);
    reader->next = readers;
    readers = reader;
    pthread_mutex_unlock(&readers_lock);
    return reader;
}

void rcu_unregister(struct rcu_reader *reader)
{
    assert(!atomic_load_explicit(&reader->seen, memory_order_relaxed));
    pthread_mutex_lock(&readers_lock);
    struct rcu_reader **at = &readers;
    while (*at != reader)
        at = &(*at)->next;
    *at = reader->next;
    pthread_mutex_unlock(&readers_lock);
    free(reader);
}

/* Coming online must be visible before any pointer is read, or the writer could take us for offline while we
 * hold one: a full fence (store, then load). */
void rcu_online(struct rcu_reader *reader)
{
    uint64_t now = atomic_load_explicit(&grace, memory_order_acquire);
    atomic_exchange_explicit(&reader->seen, now, memory_order_seq_cst);
}

/* Release: what we read before is done with. Seeing the old number once more only delays a grace period. */
void rcu_quiescent(struct rcu_reader *reader)
{
    uint64_t now = atomic_load_explicit(&grace, memory_order_seq_cst);
    if (atomic_load_explicit(&reader->seen, memory_order_relaxed) != now)
        atomic_exchange_explicit(&reader->seen, now, memory_order_seq_cst);
}

void rcu_offline(struct rcu_reader *reader)
{
    atomic_store_explicit(&reader->seen, 0, memory_order_release);
}

/* The smallest number that an online reader has seen; UINT64_MAX if all are offline. */
static uint64_t oldest_seen(void)
{
    uint64_t oldest = UINT64_MAX;
    pthread_mutex_lock(&readers_lock);
    for (struct rcu_reader *r = readers; r; r = r->next) {
        uint64_t seen = atomic_load_explicit(&r->seen, memory_order_seq_cst);
        if (seen && seen < oldest)
            oldest = seen;
    }
    pthread_mutex_unlock(&readers_lock);
    return oldest;
}

/* Begins a grace period: it is over when every reader has seen the returned number. */
static uint64_t begin_grace(void)
{
    return atomic_fetch_add_explicit(&grace, 1, memory_order_seq_cst) + 1;
}

void rcu_defer(void (*fn)(void *arg), void *arg)
{
    struct deferred *d = xmalloc(sizeof *d);
    *d = (struct deferred){NULL, begin_grace(), fn, arg};
    *queue_end = d;
    queue_end = &d->next;
    queued++;
}

unsigned rcu_poll(void)
{
    if (!queue)
        return 0;
    uint64_t oldest = oldest_seen();
    while (queue && queue->after <= oldest) {
        struct deferred *d = queue;
        queue = d->next;
        if (!queue)
            queue_end = &queue;
        queued--;
        d->fn(d->arg); /* may defer more */
        free(d);
    }
    return queued;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200 * NS_PER_US}, NULL);
}

void rcu_barrier(void)
{
    while (rcu_poll())
        nap();
}

int rcu_synchronize(long long timeout)
{
    uint64_t after = begin_grace();
    nstime give_up = clock_boot() + timeout;
    while (oldest_seen() < after) {
        if (clock_boot() > give_up)
            return -1;
        nap();
    }
    return 0;
}
