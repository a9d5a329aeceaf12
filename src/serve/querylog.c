/* The query log: rings from the workers, one thread that empties them. */
#include "querylog.h"

#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/query.h"
#include "lictor/rcu.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RING 256 /* entries a worker: a tenth of a second at 2,500 lines */
#define TICK (100 * NS_PER_MS)

/* How long the reader of a pipe may let us wait before a line is left out. */
#define WRITE_PATIENCE 100 /* ms */

/* One writer (its worker), one reader (our thread). */
struct ring {
    _Alignas(64) _Atomic uint32_t head; /* entries written so far */
    _Alignas(64) _Atomic uint32_t tail; /* entries read so far */
    struct query_entry entries[RING];
};

struct query_log {
    _Atomic uint32_t sample; /* of a million; 0: off */
    _Atomic bool negative;
    _Atomic int64_t allowed; /* lines that the rate still allows */
    struct snapshot_slot *slot;
    struct ring *rings;
    unsigned workers;

    pthread_mutex_t lock; /* what follows; never held while anything may block */
    pthread_cond_t wake;
    bool stop, changed, on;
    unsigned rate;
    char *file;
    bool started;
    pthread_t thread;

    /* the thread's own */
    int fd;
    char *open_file; /* for messages */
    bool stuck;      /* the last line was not taken in time: no more waiting until one is */
    uint64_t failed;
    nstime complained;
    uint8_t reply[ANSWER_TCP_MAX];
};

/* --- workers ----------------------------------------------------------------------------------------- */

bool query_log_on(const struct query_log *log)
{
    return log && atomic_load_explicit(&log->sample, memory_order_relaxed) != 0;
}

static void fill(struct query_entry *entry, const struct sockaddr_storage *client, bool tcp,
                 const uint8_t *query, size_t query_len, const uint8_t *reply,
                 const struct answer_result *result)
{
    struct query parsed = {0};
    entry->at = clock_real();
    entry->client = *client;
    entry->tcp = tcp;
    entry->reason = result->reason;
    entry->size = result->len;
    entry->rcode = result->rcode;
    entry->ede = result->ede;
    entry->truncated = result->truncated;
    entry->answers = result->len >= DNS_HEADER_LEN ? get16(reply + 6) : 0;
    entry->name[0] = 0;
    entry->type = 0;
    if (query_len >= DNS_HEADER_LEN && result->qtype) {
        query_parse(&parsed, query, query_len);
        memcpy(entry->name, parsed.name, sizeof(entry->name));
        entry->type = parsed.type;
    }
    entry->has_zone = result->zone != NULL;
    if (result->zone)
        memcpy(entry->zone, zone_apex(result->zone), name_len(zone_apex(result->zone)));
}

int query_log_take(struct query_log *log, unsigned worker, struct rng *rng,
                   const struct sockaddr_storage *client, bool tcp, const uint8_t *query, size_t query_len,
                   const uint8_t *reply, const struct answer_result *result)
{
    uint32_t sample = atomic_load_explicit(&log->sample, memory_order_relaxed);
    bool negative = result->rcode != DNS_NOERROR || result->len < DNS_HEADER_LEN || !get16(reply + 6);
    if (atomic_load_explicit(&log->negative, memory_order_relaxed) && !negative)
        return 0;
    if (sample < QUERY_LOG_ALL && rng_below(rng, QUERY_LOG_ALL) >= sample)
        return 0;
    struct ring *ring = &log->rings[worker];
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (head - atomic_load_explicit(&ring->tail, memory_order_acquire) == RING ||
        atomic_fetch_sub_explicit(&log->allowed, 1, memory_order_relaxed) <= 0)
        return -1;
    fill(&ring->entries[head % RING], client, tcp, query, query_len, reply, result);
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return 1;
}

/* --- the reason: asked of ourselves ------------------------------------------------------------------- */

struct asking {
    struct query_log *log;
    const struct snapshot *snapshot;
    struct rng *rng;
};

/* The texts are records of the zone `lictor.`: the engine finds them, as it does for anybody. */
static void ask(void *arg, const uint8_t *name, const char *part, char out[256])
{
    struct asking *asking = arg;
    static const uint8_t head[DNS_HEADER_LEN] = {0, 0, 0, 0, 0, 1};
    uint8_t query[DNS_HEADER_LEN + NAME_MAX_WIRE + 4], *reply = asking->log->reply;
    size_t len = name_len(name);
    struct gate gate = {0}; /* `lictor.` hangs on no right */
    memcpy(query, head, sizeof(head));
    memcpy(query + sizeof(head), name, len);
    put16(query + sizeof(head) + len, DNS_TXT);
    put16(query + sizeof(head) + len + 2, DNS_IN);
    struct answer_env env = {.snapshot = asking->snapshot,
                             .gate = &gate,
                             .rng = asking->rng,
                             .now = clock_boot(),
                             .tcp = true,
                             .inspect = true};
    struct answer_result result = answer(&env, query, sizeof(head) + len + 4, reply, ANSWER_TCP_MAX);
    size_t pos = sizeof(head) + len + 4;
    out[0] = '\0';
    if (result.rcode != DNS_NOERROR)
        return;
    for (unsigned left = get16(reply + 6); left > 0 && pos + 12 < result.len; left--) {
        const uint8_t *text = reply + pos + 12; /* owner pointer, type, class, TTL, length */
        size_t size = *text;
        if (pos + 13 + size > result.len)
            return;
        memcpy(out, text + 1, size);
        out[size] = '\0';
        if (strstr(out, part))
            return;
        out[0] = '\0';
        pos += 12 + get16(reply + pos + 10);
    }
}

/* --- the thread --------------------------------------------------------------------------------------- */

static void complain(struct query_log *log, const char *what, int error)
{
    nstime now = clock_boot();
    log->failed++;
    if (log->complained && now - log->complained < 60 * NS_PER_S)
        return;
    log->complained = now;
    log_warn("query log: %s: %s: %s; %llu lines are lost so far",
             log->open_file ? log->open_file : "standard error", what, strerror(error),
             (unsigned long long)log->failed);
}

/* A pipe that is not read must not hold up the end of the process. */
static void write_line(struct query_log *log, const char *line, size_t len)
{
    struct pollfd ready = {.fd = log->fd, .events = POLLOUT};
    if (log->fd < 0)
        return;
    log->stuck = poll(&ready, 1, log->stuck ? 0 : WRITE_PATIENCE) == 0;
    if (log->stuck) {
        complain(log, "nobody reads", EAGAIN);
        return;
    }
    ssize_t written = write(log->fd, line, len);
    if (written < 0 || (size_t)written < len)
        complain(log, "cannot be written", written < 0 ? errno : ENOSPC);
}

static void empty(struct query_log *log, struct rcu_reader *reader, struct rng *rng)
{
    char line[QUERY_LINE_MAX], why[600];
    for (unsigned i = 0; i < log->workers; i++) {
        struct ring *ring = &log->rings[i];
        uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        for (; tail != atomic_load_explicit(&ring->head, memory_order_acquire); tail++) {
            const struct query_entry *entry = &ring->entries[tail % RING];
            rcu_online(reader);
            struct asking asking = {log, atomic_load_explicit(&log->slot->current, memory_order_acquire),
                                    rng};
            query_reason(entry, ask, &asking, why);
            rcu_offline(reader);
            size_t len = query_line(entry, why, line);
            write_line(log, line, len);
            atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
        }
    }
}

/* Owns file. */
static void open_output(struct query_log *log, bool on, char *file)
{
    if (log->fd > STDERR_FILENO)
        close(log->fd);
    free(log->open_file);
    log->open_file = file;
    log->fd = -1;
    log->complained = 0;
    if (!on)
        return;
    log->fd = file ? open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640)
                   : STDERR_FILENO;
    if (log->fd < 0)
        complain(log, "cannot be opened", errno);
}

static void refill(struct query_log *log, unsigned rate, nstime *filled)
{
    nstime now = clock_boot(), passed = now - *filled;
    int64_t allowed = atomic_load_explicit(&log->allowed, memory_order_relaxed);
    int64_t more = passed >= NS_PER_S ? rate : (int64_t)rate * passed / NS_PER_S;
    if (more == 0)
        return;
    *filled = now;
    allowed = (allowed < 0 ? 0 : allowed) + more;
    atomic_store_explicit(&log->allowed, allowed > rate ? rate : allowed, memory_order_relaxed);
}

static void wait_tick(struct query_log *log)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK;
    until.tv_sec += until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    if (log->on)
        pthread_cond_timedwait(&log->wake, &log->lock, &until);
    else
        pthread_cond_wait(&log->wake, &log->lock);
}

static void *run(void *arg)
{
    struct query_log *log = arg;
    struct rcu_reader *reader = rcu_register();
    struct rng rng;
    nstime filled = clock_boot();
    rng_seed(&rng);
    pthread_mutex_lock(&log->lock);
    for (bool stop = false; !stop;) {
        if (!log->stop && !log->changed)
            wait_tick(log);
        stop = log->stop;
        bool changed = log->changed, on = log->on;
        unsigned rate = log->rate;
        char *file = NULL;
        if (changed && log->file)
            file = xstrdup(log->file);
        log->changed = false;
        pthread_mutex_unlock(&log->lock);
        if (changed)
            open_output(log, on, file);
        empty(log, reader, &rng);
        refill(log, rate, &filled);
        pthread_mutex_lock(&log->lock);
    }
    pthread_mutex_unlock(&log->lock);
    open_output(log, false, NULL);
    rcu_unregister(reader);
    return NULL;
}

/* --- life --------------------------------------------------------------------------------------------- */

struct query_log *query_log_new(unsigned workers, struct snapshot_slot *slot)
{
    struct query_log *log = xcalloc(1, sizeof(*log));
    pthread_condattr_t monotonic;
    log->workers = workers;
    log->slot = slot;
    log->fd = -1;
    log->rings =
        aligned_alloc(64, workers * sizeof(*log->rings)); /* pages that nobody touches cost nothing */
    if (!log->rings)
        abort();
    for (unsigned i = 0; i < workers; i++) {
        atomic_init(&log->rings[i].head, 0);
        atomic_init(&log->rings[i].tail, 0);
    }
    pthread_mutex_init(&log->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&log->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return log;
}

static void start(struct query_log *log)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&log->thread, NULL, run, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    log->started = error == 0;
    if (error)
        log_error("query log: its thread cannot be started: %s; it stays off", strerror(error));
    else
        pthread_setname_np(log->thread, "query-log");
}

void query_log_set(struct query_log *log, const struct query_log_settings *settings)
{
    if (settings && !log->started)
        start(log);
    if (!log->started)
        return;
    pthread_mutex_lock(&log->lock);
    free(log->file);
    log->file = settings && settings->file ? xstrdup(settings->file) : NULL;
    log->on = settings != NULL;
    log->rate = settings ? settings->rate : 0;
    log->changed = true;
    pthread_cond_signal(&log->wake);
    pthread_mutex_unlock(&log->lock);
    atomic_store_explicit(&log->negative, settings && settings->negative, memory_order_relaxed);
    atomic_store_explicit(&log->allowed, settings ? settings->rate : 0, memory_order_relaxed);
    atomic_store_explicit(&log->sample, settings ? settings->sample : 0, memory_order_relaxed);
}

void query_log_free(struct query_log *log)
{
    if (!log)
        return;
    if (log->started) {
        pthread_mutex_lock(&log->lock);
        log->stop = true;
        pthread_cond_signal(&log->wake);
        pthread_mutex_unlock(&log->lock);
        pthread_join(log->thread, NULL);
    }
    pthread_cond_destroy(&log->wake);
    pthread_mutex_destroy(&log->lock);
    free(log->file);
    free(log->rings);
    free(log);
}
