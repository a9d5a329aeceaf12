/* One worker thread, as its parts see it: the loop (worker.c), UDP (udp.c) and TCP (tcp.c). Everything
 * here belongs to the worker's own thread but `stats` (read by any) and `stop` (set by the main thread). */
#pragma once

#include "lictor/rcu.h"
#include "lictor/serve.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

/* UDP replies of this size need no fragments on any sane path: 1280, the least MTU of IPv6, less the headers
 * of IPv6 and UDP (RFC 9715). */
#define SERVER_UDP_SAFE 1232

struct worker;
struct parked_table;
struct handed;

/* Something the loop waits for. First member of what it stands for. */
struct source {
    void (*ready)(struct worker *worker, struct source *source, uint32_t events);
    int fd; /* -1: closed */
};

enum transport { TRANSPORT_UDP4, TRANSPORT_UDP6, TRANSPORT_TCP4, TRANSPORT_TCP6 };

struct worker {
    _Alignas(64) _Atomic uint64_t stats[SERVER_STATS]; /* own cache lines: written at every query */
    const struct server_config *config;
    unsigned index;
    pthread_t thread;
    bool started;
    _Atomic bool stop;
    int epoll;
    struct source wake; /* an eventfd: look at `stop` */
    struct rcu_reader *rcu;
    struct rng rng;
    struct udp *udp;
    struct tcp *tcp;
    struct parked_table *parked;   /* NULL: no desk */
    struct handed *handed;         /* NULL: no inbox */
    struct ask_question *question; /* where answer() puts the one to be asked; NULL likewise */
};

/* Adds to a counter. A plain load and store: no other thread writes it. */
static inline void stat_add(struct worker *worker, enum server_stat stat, uint64_t n)
{
    atomic_store_explicit(&worker->stats[stat],
                          atomic_load_explicit(&worker->stats[stat], memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* The surroundings of a batch of queries; the caller sets inspect for each. Takes the time. */
void worker_env(struct worker *worker, bool tcp, struct answer_env *env);
/* May the client at address read `lictor.`? */
bool worker_may_inspect(const struct worker *worker, const struct sockaddr_storage *address);
/* Has the right to send gated answers, which there was when they were made, gone? */
bool worker_right_gone(const struct worker *worker, nstime now);
/* answer(), and what it leaves to others. client: NULL if it does not matter any more: no transfer. */
struct answer_result worker_answer(struct worker *worker, const struct answer_env *env,
                                   const struct sockaddr_storage *client, const uint8_t *query, size_t len,
                                   uint8_t *out, size_t out_max);
/* Counts queries and what became of them. */
void worker_count(struct worker *worker, enum transport transport, const struct answer_result *results,
                  size_t count);
/* What became of a query that was counted as ANSWER_ASK before. */
void worker_count_outcome(struct worker *worker, const struct answer_result *result);

/* Has the query log anything to do? Looked at once a batch. */
bool worker_logs(const struct worker *worker);
/* Gives a query and what became of it to the query log. */
void worker_log(struct worker *worker, enum transport transport, const struct sockaddr_storage *client,
                const uint8_t *query, size_t len, const uint8_t *reply, const struct answer_result *result);

/* Creates the worker's loop around the sockets of index. -1 with err: nothing to clean but worker_close. */
int worker_open(struct worker *worker, const struct server_config *config, unsigned index, struct err *err);
/* The thread's body. */
void *worker_run(void *worker);
/* Closes what worker_open made. Not while the thread runs. */
void worker_close(struct worker *worker);
int worker_watch(struct worker *worker, struct source *source, uint32_t events);
/* Closes one of the server's sockets early; both places forget it. */
static inline void worker_close_listen(int *fd, int *slot)
{
    close(*fd);
    *fd = *slot = -1;
}

/* udp.c */
struct udp *udp_new(struct worker *worker, struct err *err);
void udp_free(struct udp *udp); /* NULL is allowed */
/* Answers what has arrived and closes the sockets. */
void udp_stop(struct worker *worker);

/* tcp.c */
struct tcp *tcp_new(struct worker *worker, struct err *err);
void tcp_free(struct worker *worker);
/* Closes what has waited too long and frees what is closed. Returns how many ns from now it has to be called
 * again at the latest; NS_NEVER: no need. */
nstime tcp_tidy(struct worker *worker);
/* Stops listening and closes connections that have nothing more to send. Returns how many are left. */
size_t tcp_stop(struct worker *worker);
