#include "probes.h"

#include "lictor/rng.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define UDP_TRIES 3
#define FRAME_MAX (2 + 4096) /* of TCP; no SOA or TXT of ours is near it */

struct probing {
    struct probes *probes;
    struct probe *probe;
    struct event *ready;
    int fd;
    unsigned tries;
    uint16_t id;
    bool sent; /* TCP */
    uint8_t frame[FRAME_MAX];
    size_t frame_len;
};

struct probes {
    struct probing *list;
    size_t count, pending;
    nstime try_for;
    struct event *ended; /* done() never comes from within probes_start */
    void (*done)(void *arg);
    void *arg;
};

static void finish(struct probing *probing, int error)
{
    struct probes *probes = probing->probes;
    if (error && probing->probe->state == PROBE_PENDING) {
        probing->probe->state = PROBE_SILENT;
        if (error != ETIMEDOUT)
            snprintf(probing->probe->error, sizeof(probing->probe->error), "%s", strerror(error));
    }
    if (probing->ready)
        event_free(probing->ready);
    probing->ready = NULL;
    if (probing->fd >= 0)
        close(probing->fd);
    probing->fd = -1;
    if (--probes->pending == 0)
        event_active(probes->ended, EV_TIMEOUT, 0);
}

static void await(struct probing *probing, short what)
{
    nstime wait = probing->probe->tcp ? probing->probes->try_for * UDP_TRIES : probing->probes->try_for;
    struct timeval timeout = clock_timeval(wait);
    event_del(probing->ready);
    event_assign(probing->ready, event_get_base(probing->ready), probing->fd, what,
                 event_get_callback(probing->ready), probing);
    event_add(probing->ready, &timeout);
}

static size_t query(const struct probing *probing, uint8_t *out)
{
    return message_query(probing->id, probing->probe->name, probing->probe->type, out);
}

static bool take(struct probing *probing, const uint8_t *data, size_t len)
{
    struct probe *probe = probing->probe;
    if (message_parse(data, len, probing->id, probe->name, probe->type, &probe->reply) < 0)
        return false;
    probe->state = PROBE_ANSWERED;
    return true;
}

static void send_udp(struct probing *probing)
{
    uint8_t data[MESSAGE_QUERY_MAX];
    size_t len = query(probing, data);
    probing->tries++;
    if (send(probing->fd, data, len, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        finish(probing, errno);
    else
        await(probing, EV_READ);
}

static void on_udp(struct probing *probing, short what)
{
    uint8_t data[4096];
    if (what & EV_TIMEOUT) {
        if (probing->tries < UDP_TRIES)
            send_udp(probing);
        else
            finish(probing, ETIMEDOUT);
        return;
    }
    ssize_t len = recv(probing->fd, data, sizeof(data), 0);
    if (len < 0 && errno != EAGAIN && errno != EINTR)
        finish(probing, errno); /* ICMP: nobody listens */
    else if (len >= 0 && take(probing, data, (size_t)len))
        finish(probing, 0);
    else
        await(probing, EV_READ); /* not the answer to this query */
}

/* RFC 7766 section 8: two octets of length before each message. */
static void send_tcp(struct probing *probing)
{
    uint8_t data[2 + MESSAGE_QUERY_MAX];
    size_t len = query(probing, data + 2);
    put16(data, (unsigned)len);
    if (send(probing->fd, data, len + 2, MSG_NOSIGNAL) != (ssize_t)len + 2) {
        finish(probing, errno);
        return;
    }
    probing->sent = true;
    await(probing, EV_READ);
}

static void on_tcp(struct probing *probing, short what)
{
    if (what & EV_TIMEOUT) {
        finish(probing, ETIMEDOUT);
        return;
    }
    if (!probing->sent) {
        int error = 0;
        socklen_t size = sizeof(error);
        getsockopt(probing->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error)
            finish(probing, error);
        else
            send_tcp(probing);
        return;
    }
    ssize_t len = recv(probing->fd, probing->frame + probing->frame_len, FRAME_MAX - probing->frame_len, 0);
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        await(probing, EV_READ);
        return;
    }
    if (len <= 0) {
        finish(probing, len < 0 ? errno : ECONNRESET);
        return;
    }
    probing->frame_len += (size_t)len;
    size_t want = probing->frame_len >= 2 ? 2u + get16(probing->frame) : FRAME_MAX;
    if (want > FRAME_MAX)
        finish(probing, EMSGSIZE);
    else if (probing->frame_len < want)
        await(probing, EV_READ);
    else
        finish(probing, take(probing, probing->frame + 2, want - 2) ? 0 : EBADMSG);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    struct probing *probing = arg;
    if (probing->probe->tcp)
        on_tcp(probing, what);
    else
        on_udp(probing, what);
}

static void start(struct probing *probing, struct event_base *base)
{
    const struct probe *probe = probing->probe;
    const struct sockaddr *to = (const struct sockaddr *)&probe->to;
    rng_secure(&probing->id, sizeof(probing->id));
    probing->fd = socket(probe->to.ss_family,
                         (probe->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probing->fd < 0 || (connect(probing->fd, to, sockaddr_len(&probe->to)) < 0 && errno != EINPROGRESS)) {
        finish(probing, errno);
        return;
    }
    probing->ready = event_new(base, probing->fd, EV_READ, on_ready, probing);
    if (!probing->ready)
        abort(); /* out of memory */
    if (probe->tcp)
        await(probing, EV_WRITE);
    else
        send_udp(probing);
}

static void on_ended(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct probes *probes = arg;
    probes->done(probes->arg);
}

struct probes *probes_start(struct event_base *base, struct probe *list, size_t count, nstime limit,
                            void (*done)(void *arg), void *arg)
{
    struct probes *probes = xcalloc(1, sizeof(*probes));
    *probes = (struct probes){.list = xcalloc(count + 1, sizeof(*probes->list)),
                              .count = count,
                              .pending = count + 1,
                              .try_for = limit / UDP_TRIES,
                              .done = done,
                              .arg = arg};
    probes->ended = event_new(base, -1, 0, on_ended, probes);
    if (!probes->ended)
        abort(); /* out of memory */
    for (size_t i = 0; i < count; i++) {
        probes->list[i] = (struct probing){.probes = probes, .probe = &list[i], .fd = -1};
        start(&probes->list[i], base);
    }
    if (--probes->pending == 0)
        event_active(probes->ended, EV_TIMEOUT, 0);
    return probes;
}

void probes_free(struct probes *probes)
{
    if (!probes)
        return;
    for (size_t i = 0; i < probes->count; i++) {
        if (probes->list[i].ready)
            event_free(probes->list[i].ready);
        if (probes->list[i].fd >= 0)
            close(probes->list[i].fd);
    }
    event_free(probes->ended);
    free(probes->list);
    free(probes);
}
