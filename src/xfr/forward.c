/* The connection to the primary over which UPDATEs are forwarded: one, kept while there is something to send.
 * TCP, so that nothing is lost in silence and a message of any size goes. When it breaks, what waits is sent
 * again to the same primary in the same reign, which recognises what it has done already (updates.c); to
 * another one only what never left. */
#include "forward.h"

#include "lictor/log.h"
#include "lictor/sockets.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define SLOTS     (2 * INBOX_MAX) /* of two, one is free */
#define TICK_MS   100
#define IDLE_TIME (3 * NS_PER_S) /* less than the server's own, so that it is not it who closes */

struct forwarded {
    TAILQ_ENTRY(forwarded) link;
    uint16_t id;
    bool sent; /* it may have arrived */
    nstime until;
    uint64_t epoch; /* of the reign that it was sent to */
    char instance[37];
    struct tsig_mac mac;
    struct buf octets; /* with the length before them */
    void *what;
};

struct forward {
    struct event_base *base;
    struct forward_frame frame;
    void (*primary)(void *arg, struct update_primary *out);
    void *primary_arg;
    forward_done_fn *done;
    void *arg;
    struct bufferevent *connection; /* NULL: none */
    bool connected;
    char instance[37]; /* whom it leads to */
    nstime used;
    struct event *tick; /* while there is a connection or something waits */
    uint16_t next_id;
    TAILQ_HEAD(, forwarded) waiting; /* oldest first */
    struct forwarded *slots[SLOTS];
};

static void finish(struct forward *forward, struct forwarded *f, const uint8_t *reply, size_t len,
                   const char *why)
{
    TAILQ_REMOVE(&forward->waiting, f, link);
    forward->slots[f->id % SLOTS] = NULL;
    forward->done(forward->arg, f->what, reply, len, f->sent, why);
    buf_free(&f->octets);
    free(f);
}

/* --- the connection ------------------------------------------------------------------------------------- */

static void hang_up(struct forward *forward)
{
    if (forward->connection)
        bufferevent_free(forward->connection);
    forward->connection = NULL;
    forward->connected = false;
}

static void take_reply(struct forward *forward, const uint8_t *msg, size_t len)
{
    struct forwarded *f = forward->slots[get16(msg) % SLOTS];
    size_t at, end;
    struct err err;
    if (!f || f->id != get16(msg))
        return; /* given up already */
    forward->used = clock_boot();
    if (forward_unwrap_reply(&forward->frame, msg, len, &f->mac, &at, &end, &err) == 0)
        finish(forward, f, msg + at, end - at, NULL);
    else
        finish(forward, f, NULL, 0, err.text);
}

static void on_readable(struct bufferevent *connection, void *arg)
{
    struct forward *forward = arg;
    struct evbuffer *in = bufferevent_get_input(connection);
    while (evbuffer_get_length(in) >= 2) {
        uint8_t prefix[2];
        evbuffer_copyout(in, prefix, 2);
        size_t len = get16(prefix);
        if (len < DNS_HEADER_LEN) {
            hang_up(forward);
            return;
        }
        if (evbuffer_get_length(in) < 2 + len)
            return;
        take_reply(forward, evbuffer_pullup(in, (ev_ssize_t)(2 + len)) + 2, len);
        evbuffer_drain(in, 2 + len);
    }
}

static void on_event(struct bufferevent *connection, short what, void *arg)
{
    struct forward *forward = arg;
    struct forwarded *f;
    (void)connection;
    if (!(what & BEV_EVENT_CONNECTED)) {
        hang_up(forward); /* the tick decides about what waits */
        return;
    }
    forward->connected = true;
    TAILQ_FOREACH(f, &forward->waiting, link)
    {
        f->sent |= !strcmp(f->instance, forward->instance);
    }
}

/* Returns whether there is a connection to this primary, or one that begins. */
static bool connect_to(struct forward *forward, const struct update_primary *primary)
{
    struct sockaddr_storage address;
    if (forward->connection && !strcmp(forward->instance, primary->instance))
        return true;
    hang_up(forward);
    if (sockaddr_parse(primary->address, &address, NULL))
        return false;
    snprintf(forward->instance, sizeof forward->instance, "%s", primary->instance);
    forward->connection = bufferevent_socket_new(forward->base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (!forward->connection)
        return false;
    bufferevent_setcb(forward->connection, on_readable, NULL, on_event, forward);
    bufferevent_enable(forward->connection, EV_READ | EV_WRITE);
    if (bufferevent_socket_connect(forward->connection, (struct sockaddr *)&address,
                                   (int)sockaddr_len(&address)) == 0)
        return forward->connection != NULL; /* it may have failed within */
    hang_up(forward);
    return false;
}

static void send_one(struct forward *forward, struct forwarded *f, const struct update_primary *primary)
{
    snprintf(f->instance, sizeof f->instance, "%s", primary->instance);
    f->epoch = primary->epoch;
    if (!connect_to(forward, primary))
        return;
    forward->used = clock_boot();
    f->sent |= forward->connected;
    bufferevent_write(forward->connection, f->octets.data, f->octets.len);
}

/* The connection broke: who may be sent again is, the others know no more. */
static void send_again(struct forward *forward)
{
    struct update_primary primary = {0};
    forward->primary(forward->primary_arg, &primary);
    bool other = primary.known && !primary.self;
    for (struct forwarded *f = TAILQ_FIRST(&forward->waiting), *next; f; f = next) {
        next = TAILQ_NEXT(f, link);
        bool same = other && !strcmp(f->instance, primary.instance) && f->epoch == primary.epoch;
        if (f->sent && !same && (other || primary.self))
            finish(forward, f, NULL, 0, "the primary was lost before it answered");
        else if (other)
            send_one(forward, f, &primary);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct forward *forward = arg;
    struct forwarded *f;
    nstime now = clock_boot();
    (void)fd, (void)what;
    while ((f = TAILQ_FIRST(&forward->waiting)) && f->until <= now)
        finish(forward, f, NULL, 0, "the primary did not answer in 5 s");
    if (!forward->connection && !TAILQ_EMPTY(&forward->waiting))
        send_again(forward);
    if (forward->connection && TAILQ_EMPTY(&forward->waiting) && now - forward->used > IDLE_TIME)
        hang_up(forward);
    if (!forward->connection && TAILQ_EMPTY(&forward->waiting))
        event_del(forward->tick);
}

void forward_send(struct forward *forward, const struct update_primary *primary,
                  const struct sockaddr_storage *client, bool tcp, const uint8_t *msg, size_t len, void *what)
{
    struct forwarded *f = xcalloc(1, sizeof *f);
    while (forward->slots[forward->next_id % SLOTS])
        forward->next_id++;
    f->id = forward->next_id++;
    f->until = clock_boot() + UPDATE_PATIENCE;
    f->what = what;
    buf_append(&f->octets, "\0\0", 2);
    struct buf message = {0};
    bool fits = forward_wrap(&forward->frame, f->id, client, tcp, msg, len, &message, &f->mac);
    put16(f->octets.data, (unsigned)message.len);
    buf_append(&f->octets, message.data, message.len);
    buf_free(&message);
    TAILQ_INSERT_TAIL(&forward->waiting, f, link);
    forward->slots[f->id % SLOTS] = f;
    if (!fits) {
        finish(forward, f, NULL, 0, "the message is too long to be forwarded: send it to the primary");
        return;
    }
    if (!event_pending(forward->tick, EV_TIMEOUT, NULL)) /* it would begin anew */
        event_add(forward->tick, &(struct timeval){.tv_usec = TICK_MS * 1000});
    send_one(forward, f, primary);
}

/* --- life ----------------------------------------------------------------------------------------------- */

struct forward *forward_new(struct event_base *base, const struct forward_frame *frame,
                            void (*primary)(void *arg, struct update_primary *out), void *primary_arg,
                            forward_done_fn *done, void *arg)
{
    struct forward *forward = xcalloc(1, sizeof *forward);
    forward->base = base;
    forward->frame = *frame;
    forward->primary = primary;
    forward->primary_arg = primary_arg;
    forward->done = done;
    forward->arg = arg;
    TAILQ_INIT(&forward->waiting);
    forward->tick = event_new(base, -1, EV_PERSIST, on_tick, forward);
    return forward;
}

void forward_free(struct forward *forward)
{
    struct forwarded *f;
    if (!forward)
        return;
    hang_up(forward);
    while ((f = TAILQ_FIRST(&forward->waiting)))
        finish(forward, f, NULL, 0, "lictord is stopping");
    event_free(forward->tick);
    explicit_bzero(&forward->frame, sizeof forward->frame);
    free(forward);
}
