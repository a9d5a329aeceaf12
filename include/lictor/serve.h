/* Sockets and workers. Each worker thread has its own UDP socket for each listen address (SO_REUSEPORT), its
 * own TCP connections on its own event loop, and reads nothing but published snapshots and the gate. */
#pragma once

#include "lictor/answer.h"
#include "lictor/buf.h"
#include "lictor/err.h"
#include "lictor/inbox.h"
#include "lictor/peer.h"
#include "lictor/querylog.h"
#include "lictor/sockets.h"

#include <sys/socket.h>

struct server;

/* One listen address: the sockets bound for it (by the runner), `workers` UDP ones and `workers` TCP ones. */
struct server_listen {
    struct sockaddr_storage address; /* as bound: tells its family and whether it is a wildcard */
    int *udp; /* server_config.workers of them; the server owns and closes the sockets, not the array */
    int *tcp; /* listening; likewise */
};

/* A reply of several messages, over TCP. */
struct server_stream;

/* What the query engine leaves to others (ANSWER_DEFERRED): signed queries, transfers, NOTIFY (xfr/). All is
 * called by workers, online as readers. */
struct server_special {
    /* As answer(). stream: where to put it if more messages follow; NULL over UDP. */
    struct answer_result (*answer)(void *arg, const struct answer_env *env,
                                   const struct sockaddr_storage *client, const uint8_t *query, size_t len,
                                   uint8_t *out, size_t out_max, struct server_stream **stream);
    /* Writes the next message, of at most ANSWER_TCP_MAX octets, and returns its length; *more: whether
     * others follow. 0: the stream cannot go on, and the connection is closed. */
    size_t (*next)(struct server_stream *stream, const struct answer_env *env, uint8_t *out, bool *more);
    /* whole: every message has left. Frees the stream. */
    void (*end)(struct server_stream *stream, bool whole);
    void *arg;
};

struct server_config {
    unsigned workers; /* at least 1 */
    struct server_listen *listens;
    size_t listen_count;
    struct snapshot_slot
        *slot; /* holds a snapshot by server_start; outlives the server, as do the two below */
    struct gate *gate;
    const struct acl *inspect_from; /* besides loopback; may be NULL */
    unsigned tcp_clients; /* most TCP connections a worker; above, the longest idle one is closed. 0: 1000 */
    nstime tcp_idle;      /* 10 s when few, less as the table fills (RFC 7766 section 6.2.3). 0: 10 s */
    const struct overlay_slot *overlay; /* what was learned by asking; outlives the server. May be NULL */
    struct desk *desk; /* for names that need Consul first (ask.h), made for as many workers; outlives the
                          server. NULL: SERVFAIL for them */
    struct peer *peer; /* gets messages between instances; outlives the server. NULL: they are queries */
    struct inbox
        *inbox; /* gets UPDATE messages; made for as many workers; outlives the server. NULL: NOTIMP */
    struct server_special special; /* outlives the server; answer NULL: such queries are the engine's */
    struct query_log *query_log;   /* made for as many workers; outlives the server. NULL: none */
    uint16_t udp_max;              /* our own limit for UDP replies, 512 to 4096. 0: 1232 */
};

/* Counters, summed over workers: value[SERVER_QUERIES_UDP4]... The table is stats.def. */
enum server_stat {
#define FAMILY(name, type, help)
#define STAT(id, labels) SERVER_##id,
#include "lictor/stats.def"
#undef FAMILY
#undef STAT
    SERVER_STATS,
};
struct server_stats {
    uint64_t value[SERVER_STATS];
};

/* Copies config; takes the sockets over on success only. Raises the soft limit of open files to what
 * tcp_clients need, or cuts tcp_clients to what it allows, with a warning. Returns NULL with err. Main
 * thread. */
struct server *server_new(const struct server_config *config, struct err *err);
/* Starts the workers; all signals are blocked in them. Returns 0, or -1 with err: then server_free is what
 * is left to do. Main thread. */
int server_start(struct server *server, struct err *err);
/* Stops taking queries, finishes what is in hand (at most 1 s), joins, closes, frees. NULL is allowed. Main
 * thread. */
void server_free(struct server *server);
/* Returns when every worker has passed a batch since the call (rcu_synchronize): after closing the gate
 * nobody answers by the old right. Returns 0, or -1 after timeout ns. Any thread but a worker. */
int server_barrier(struct server *server, nstime timeout);
/* Adds up the workers' counters (single writer each, read relaxed: a sum of slightly different moments). Any
 * thread. */
void server_stats_sum(const struct server *server, struct server_stats *out);
/* Appends the Prometheus text format (0.0.4), with HELP and TYPE. Any thread. */
void server_stats_print(const struct server_stats *stats, struct buf *out);
/* Appends the table of metrics as Markdown, for the documentation. Any thread. */
void server_stats_describe(struct buf *out);
