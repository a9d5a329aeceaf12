/* Sockets and workers. Each worker thread has its own UDP socket for each listen address (SO_REUSEPORT), its
 * own TCP connections on its own event base, and reads nothing but published snapshots and the gate. */
#pragma once

#include "lictor/answer.h"
#include "lictor/err.h"

#include <sys/socket.h>

struct server;

/* One listen address: the sockets bound for it (by the runner), `workers` UDP ones and `workers` TCP ones. */
struct server_listen {
    struct sockaddr_storage address;
    int *udp; /* server_config.workers of them; the server owns and closes them */
    int *tcp; /* listening; likewise */
};

struct server_config {
    unsigned workers; /* at least 1 */
    struct server_listen *listens;
    size_t listen_count;
    struct snapshot_slot *slot;
    struct gate *gate;
    unsigned
        tcp_clients; /* most TCP connections a worker (default 1000): above, the longest idle one is closed */
    nstime tcp_idle; /* 10 s when few, less as the table fills (RFC 7766 section 6.2.3) */
    const struct acl *inspect_from; /* besides loopback; may be NULL */
};

/* Counters, summed over workers. One table (stats.def-style X-macro) generates struct, HELP and docs. */
struct server_stats;

struct server *server_new(const struct server_config *config, struct err *err);
int server_start(struct server *server,
                 struct err *err); /* main thread; all signals are blocked in workers */
/* Stops taking queries, finishes what is in hand (at most 1 s), joins, frees. Main thread. */
void server_free(struct server *server);
/* Returns when every worker has passed a batch since the call (rcu_synchronize): after closing the gate
 * nobody answers by the old right. Returns 0, or -1 after timeout ns. */
int server_barrier(struct server *server, nstime timeout);
/* Main thread. Adds up the workers' counters (single writer each, read relaxed). */
void server_stats_sum(const struct server *server, struct server_stats *out);
