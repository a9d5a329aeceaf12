/* A worker's TCP connections: the table of them (tcp.c) and what passes over one (tcp_stream.c). */
#pragma once

#include "worker.h"

#include <sys/queue.h>

/* Read at once: some hundred pipelined queries. */
#define TCP_READ (32 * 1024)

/* Replies are gathered up to here before they are written. Room for two of the longest. */
#define TCP_GATHER (2 * (2 + ANSWER_TCP_MAX))

/* Unsent replies of one connection above which no more of its queries are read. */
#define TCP_UNSENT_MAX (256 * 1024)

/* Of a worker together: above it only connections that read their answers are heard. */
#define TCP_UNSENT_ALL_MAX (16 * 1024 * 1024)

/* Of a long reply, written before other sources come to their right. */
#define TCP_STREAM_A_TURN (128 * 1024)

/* Output that has to leave in an idle time for a connection to count as alive. */
#define TCP_PROGRESS (16 * 1024)

TAILQ_HEAD(connection_list, connection);

struct connection {
    struct source source;
    TAILQ_ENTRY(connection) link;
    struct connection_list *list; /* the one it is in */
    nstime active_at;             /* opened, last whole query, or last progress in reading its replies */
    enum transport transport;
    struct sockaddr_storage client;
    unsigned parked; /* its messages that wait (parked.h) */
    unsigned handed; /* those that are with main (handed.h) */
    bool inspect;
    bool ended;        /* the client has sent all it wanted to */
    bool gated;        /* out may hold replies that need the right to answer */
    bool stream_gated; /* so do the messages of `stream` */
    uint32_t interest; /* of epoll */
    uint8_t *in;       /* octets that are not a whole query yet, or wait for room in out */
    size_t in_len, in_size;
    struct buf out; /* what the socket did not take */
    size_t out_sent;
    size_t progress;              /* octets sent since active_at was set */
    struct server_stream *stream; /* a reply of which more is to come: until then no query is answered */
};

struct listener {
    struct source source;
    enum transport transport;
};

struct tcp {
    struct connection_list fresh; /* no whole query yet; longest idle first, like the next */
    struct connection_list asked;
    struct connection_list closed; /* to be freed after the turn */
    size_t open;
    size_t unsent;       /* of all connections, octets */
    nstime paused_until; /* accepting; 0: not paused */
    uint8_t read[TCP_READ];
    uint8_t gather[TCP_GATHER];
    size_t listener_count;
    struct listener listeners[];
};

static inline size_t tcp_unsent(const struct connection *c)
{
    return c->out.len - c->out_sent;
}

/* tcp.c: the connection did something useful. */
void tcp_progress(struct worker *worker, struct connection *c);
/* tcp.c: closes and counts; the memory lives until the end of the turn. */
void tcp_close(struct worker *worker, struct connection *c, enum server_stat reason);
/* tcp_stream.c: the reply to a message that waited stands at gather + 2. len 0: there is none. */
void tcp_reply(struct worker *worker, struct connection *c, size_t len, bool gated);
/* tcp.c: ends the connection's stream, if there is one. */
void tcp_end_stream(struct worker *worker, struct connection *c, bool whole);
/* tcp_stream.c: the socket can be read or written. */
void tcp_ready(struct worker *worker, struct source *source, uint32_t events);
