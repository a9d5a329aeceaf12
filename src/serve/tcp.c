/* TCP connections (RFC 7766): any number of queries in flight, answered as they come; half-closed clients get
 * their answers; nobody holds a place for nothing. */
#include "handed.h"
#include "parked.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A connection that has not sent one whole query by then was not opened to ask. */
#define FIRST_QUERY_TIME (3 * NS_PER_S)

/* When the table is full even quiet connections may live this share of the idle time. */
#define IDLE_FLOOR_SHARE 20

/* After accept failed for want of descriptors or memory: level-triggered, it would spin. */
#define ACCEPT_PAUSE (100 * NS_PER_MS)

#define ACCEPTS_A_TURN 64

/* --- the table ------------------------------------------------------------------------------------ */

static void touch(struct tcp *tcp, struct connection *c, nstime now)
{
    TAILQ_REMOVE(c->list, c, link);
    c->list = &tcp->asked;
    c->active_at = now;
    TAILQ_INSERT_TAIL(c->list, c, link);
}

void tcp_progress(struct worker *worker, struct connection *c)
{
    touch(worker->tcp, c, clock_boot());
}

void tcp_close(struct worker *worker, struct connection *c, enum server_stat reason)
{
    struct tcp *tcp = worker->tcp;
    if (c->source.fd < 0)
        return;
    parked_forget(worker, c);
    handed_forget(worker, c);
    tcp_end_stream(worker, c, false);
    close(c->source.fd); /* epoll forgets it by itself */
    c->source.fd = -1;
    TAILQ_REMOVE(c->list, c, link);
    TAILQ_INSERT_TAIL(&tcp->closed, c, link); /* events of this turn may still point to it */
    tcp->unsent -= tcp_unsent(c);
    tcp->open--;
    stat_add(worker, SERVER_TCP_OPEN, (uint64_t)-1);
    stat_add(worker, reason, 1);
}

void tcp_end_stream(struct worker *worker, struct connection *c, bool whole)
{
    if (c->stream)
        worker->config->special.end(c->stream, whole);
    c->stream = NULL;
}

static struct connection *longest_idle(struct tcp *tcp)
{
    struct connection *a = TAILQ_FIRST(&tcp->fresh), *b = TAILQ_FIRST(&tcp->asked);
    return !a || (b && b->active_at < a->active_at) ? b : a;
}

/* RFC 7766 section 6.2.3: the full time while less than half of the places are taken, then less and less. */
static nstime idle_time(const struct worker *worker)
{
    nstime full = worker->config->tcp_idle;
    size_t places = worker->config->tcp_clients, left = places - worker->tcp->open;
    nstime time = full / (nstime)places * (nstime)(2 * left);
    return time > full ? full : time < full / IDLE_FLOOR_SHARE ? full / IDLE_FLOOR_SHARE : time;
}

static void expire(struct worker *worker, struct connection_list *list, nstime before)
{
    struct connection *c;
    while ((c = TAILQ_FIRST(list)) && c->active_at <= before)
        tcp_close(worker, c, tcp_unsent(c) || c->stream ? SERVER_TCP_CLOSED_SLOW : SERVER_TCP_CLOSED_IDLE);
}

static nstime earliest(const struct connection_list *list, nstime life, nstime next)
{
    const struct connection *c = TAILQ_FIRST(list);
    return c && c->active_at + life < next ? c->active_at + life : next;
}

static void free_closed(struct tcp *tcp)
{
    struct connection *c;
    while ((c = TAILQ_FIRST(&tcp->closed))) {
        TAILQ_REMOVE(&tcp->closed, c, link);
        free(c->in);
        buf_free(&c->out);
        free(c);
    }
}

/* --- accepting ------------------------------------------------------------------------------------ */

static void listen_all(struct worker *worker, uint32_t events)
{
    struct tcp *tcp = worker->tcp;
    for (size_t i = 0; i < tcp->listener_count; i++)
        if (tcp->listeners[i].source.fd >= 0)
            epoll_ctl(worker->epoll, EPOLL_CTL_MOD, tcp->listeners[i].source.fd,
                      &(struct epoll_event){.events = events, .data.ptr = &tcp->listeners[i].source});
}

static void accept_failed(struct worker *worker)
{
    stat_add(worker, SERVER_TCP_ACCEPT_ERRORS, 1);
    worker->tcp->paused_until = clock_boot() + ACCEPT_PAUSE;
    listen_all(worker, 0);
}

static int open_connection(struct worker *worker, int fd, const struct sockaddr_storage *peer,
                           enum transport transport)
{
    struct tcp *tcp = worker->tcp;
    struct connection *c = xcalloc(1, sizeof(*c));
    c->source = (struct source){tcp_ready, fd};
    c->transport = transport;
    c->client = *peer;
    c->inspect = worker_may_inspect(worker, peer);
    c->interest = EPOLLIN;
    if (worker_watch(worker, &c->source, c->interest) != 0) {
        free(c);
        return -1;
    }
    /* Replies are written whole: waiting for more (Nagle) would only delay them. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    c->list = &tcp->fresh;
    c->active_at = clock_boot();
    TAILQ_INSERT_TAIL(c->list, c, link);
    tcp->open++;
    stat_add(worker, SERVER_TCP_OPEN, 1);
    stat_add(worker, SERVER_TCP_ACCEPTED, 1);
    return 0;
}

/* Errors of a connection that died in the queue (accept(2)) are not ours. */
static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void accept_ready(struct worker *worker, struct source *source, uint32_t events)
{
    struct listener *listener = (struct listener *)source;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);
        int fd = accept4(source->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && is_shortage(errno))
            accept_failed(worker);
        if (fd < 0)
            return;
        if (worker->tcp->open >= worker->config->tcp_clients)
            tcp_close(worker, longest_idle(worker->tcp), SERVER_TCP_CLOSED_PRESSURE);
        if (open_connection(worker, fd, &peer, listener->transport) != 0) {
            close(fd);
            accept_failed(worker);
            return;
        }
    }
}

/* --- its life --------------------------------------------------------------------------------------- */

struct tcp *tcp_new(struct worker *worker, struct err *err)
{
    const struct server_config *config = worker->config;
    struct tcp *tcp = xcalloc(1, sizeof(*tcp) + config->listen_count * sizeof(tcp->listeners[0]));
    TAILQ_INIT(&tcp->fresh);
    TAILQ_INIT(&tcp->asked);
    TAILQ_INIT(&tcp->closed);
    for (; tcp->listener_count < config->listen_count; tcp->listener_count++) {
        const struct server_listen *listen = &config->listens[tcp->listener_count];
        struct listener *listener = &tcp->listeners[tcp->listener_count];
        *listener = (struct listener){
            .source = {accept_ready, listen->tcp[worker->index]},
            .transport = listen->address.ss_family == AF_INET ? TRANSPORT_TCP4 : TRANSPORT_TCP6,
        };
        if (worker_watch(worker, &listener->source, EPOLLIN) != 0) {
            err_set(err, "cannot watch a TCP socket: %s", strerror(errno));
            free(tcp);
            return NULL;
        }
    }
    return tcp;
}

nstime tcp_tidy(struct worker *worker)
{
    struct tcp *tcp = worker->tcp;
    nstime next = NS_NEVER, now;
    free_closed(tcp);
    if (tcp->open == 0 && !tcp->paused_until)
        return NS_NEVER; /* the usual case costs no look at the clock */
    now = clock_boot();
    if (tcp->paused_until && now >= tcp->paused_until) {
        tcp->paused_until = 0;
        listen_all(worker, EPOLLIN);
    }
    if (tcp->paused_until)
        next = tcp->paused_until;
    nstime idle = idle_time(worker), first = idle < FIRST_QUERY_TIME ? idle : FIRST_QUERY_TIME;
    expire(worker, &tcp->fresh, now - first);
    expire(worker, &tcp->asked, now - idle);
    free_closed(tcp);
    next = earliest(&tcp->fresh, first, next);
    next = earliest(&tcp->asked, idle, next);
    return next == NS_NEVER ? NS_NEVER : next - now;
}

static void close_satisfied(struct worker *worker, struct connection_list *list)
{
    struct connection *c, *following;
    for (c = TAILQ_FIRST(list); c; c = following) {
        following = TAILQ_NEXT(c, link);
        if (tcp_unsent(c) == 0 && c->parked == 0 && !c->stream)
            tcp_close(worker, c, SERVER_TCP_CLOSED_SHUTDOWN);
    }
}

size_t tcp_stop(struct worker *worker)
{
    struct tcp *tcp = worker->tcp;
    for (size_t i = 0; i < tcp->listener_count; i++)
        if (tcp->listeners[i].source.fd >= 0)
            worker_close_listen(&tcp->listeners[i].source.fd, &worker->config->listens[i].tcp[worker->index]);
    close_satisfied(worker, &tcp->fresh);
    close_satisfied(worker, &tcp->asked);
    return tcp->open;
}

void tcp_free(struct worker *worker)
{
    struct tcp *tcp = worker->tcp;
    struct connection *c;
    while ((c = longest_idle(tcp)))
        tcp_close(worker, c, SERVER_TCP_CLOSED_SHUTDOWN);
    free_closed(tcp);
    free(tcp);
}
