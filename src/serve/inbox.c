/* Messages on their way from workers to main and back. */
#include "lictor/inbox.h"

#include "lictor/clock.h"
#include "lictor/queue.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <event2/event.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Of a turn of main, whose limit is 20 ms. Most messages take some 20 microseconds; but anybody may send one
 * of 64 KiB that takes a hundred times as much to be refused. */
#define TURN (2 * NS_PER_MS)
#define PAUSE \
    (1 * NS_PER_MS) /* then, so that a flood takes no more than its share of main and of its CPU \
                     */

struct inbox {
    struct queue *in; /* of pointers; as many as there may be fit */
    struct event *ready;
    struct event *again; /* there was more than a turn takes */
    inbox_take_fn *take;
    void *arg;
    _Atomic unsigned count;
    _Atomic size_t octets;
    unsigned workers;
    struct queue *out[];
};

static void on_messages(evutil_socket_t fd, short what, void *arg)
{
    struct inbox *inbox = arg;
    struct inbox_message *message;
    nstime until = clock_boot() + TURN;
    (void)fd, (void)what;
    queue_hear(inbox->in);
    while (queue_get(inbox->in, &message)) {
        inbox->take(inbox->arg, message);
        if (clock_boot() < until)
            continue;
        /* After the others' turn: a timer, since what is made active now comes in this one. */
        event_add(inbox->again, &(struct timeval){.tv_usec = PAUSE / NS_PER_US});
        return;
    }
}

struct inbox *inbox_new(struct event_base *base, unsigned workers, inbox_take_fn *take, void *arg,
                        struct err *err)
{
    struct inbox *inbox = xcalloc(1, sizeof *inbox + workers * sizeof(struct queue *));
    inbox->workers = workers;
    inbox->take = take;
    inbox->arg = arg;
    inbox->in = queue_new(sizeof(struct inbox_message *), INBOX_MAX, err);
    bool whole = inbox->in != NULL;
    for (unsigned i = 0; i < workers && whole; i++)
        whole = (inbox->out[i] = queue_new(sizeof(struct inbox_message *), INBOX_MAX, err)) != NULL;
    if (!whole) {
        inbox_free(inbox);
        return NULL;
    }
    inbox->ready = event_new(base, queue_fd(inbox->in), EV_READ | EV_PERSIST, on_messages, inbox);
    event_add(inbox->ready, NULL);
    inbox->again = evtimer_new(base, on_messages, inbox);
    return inbox;
}

static void drain(struct queue *queue)
{
    struct inbox_message *message;
    while (queue && queue_get(queue, &message))
        inbox_message_free(message);
}

void inbox_free(struct inbox *inbox)
{
    if (!inbox)
        return;
    if (inbox->ready)
        event_free(inbox->ready);
    if (inbox->again)
        event_free(inbox->again);
    drain(inbox->in);
    queue_free(inbox->in);
    for (unsigned i = 0; i < inbox->workers; i++) {
        drain(inbox->out[i]);
        queue_free(inbox->out[i]);
    }
    assert(atomic_load(&inbox->count) == 0);
    free(inbox);
}

void inbox_reply(struct inbox_message *message)
{
    bool put = queue_put(message->inbox->out[message->worker], &message);
    assert(put); /* there is room for all that there may be */
}

unsigned inbox_count(const struct inbox *inbox)
{
    return atomic_load_explicit(&inbox->count, memory_order_relaxed);
}

void inbox_print(const struct inbox *inbox, struct buf *out)
{
    buf_printf(out,
               "# HELP lictor_updates_waiting UPDATE messages that are being decided.\n"
               "# TYPE lictor_updates_waiting gauge\nlictor_updates_waiting %u\n",
               inbox_count(inbox));
}

/* --- workers ------------------------------------------------------------------------------------------ */

struct inbox_message *inbox_message_new(struct inbox *inbox, const uint8_t *msg, size_t len)
{
    unsigned count = atomic_fetch_add_explicit(&inbox->count, 1, memory_order_relaxed);
    size_t octets = atomic_fetch_add_explicit(&inbox->octets, len, memory_order_relaxed);
    if (count >= INBOX_MAX || octets + len > INBOX_OCTETS) {
        atomic_fetch_sub_explicit(&inbox->count, 1, memory_order_relaxed);
        atomic_fetch_sub_explicit(&inbox->octets, len, memory_order_relaxed);
        return NULL;
    }
    struct inbox_message *message = xcalloc(1, sizeof *message + len);
    message->inbox = inbox;
    message->len = len;
    memcpy(message->msg, msg, len);
    return message;
}

void inbox_put(struct inbox *inbox, struct inbox_message *message)
{
    bool put = queue_put(inbox->in, &message);
    assert(put);
}

int inbox_fd(const struct inbox *inbox, unsigned worker)
{
    return queue_fd(inbox->out[worker]);
}

void inbox_hear(struct inbox *inbox, unsigned worker)
{
    queue_hear(inbox->out[worker]);
}

struct inbox_message *inbox_take(struct inbox *inbox, unsigned worker)
{
    struct inbox_message *message;
    return queue_get(inbox->out[worker], &message) ? message : NULL;
}

void inbox_message_free(struct inbox_message *message)
{
    atomic_fetch_sub_explicit(&message->inbox->count, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&message->inbox->octets, message->len, memory_order_relaxed);
    free(message->reply);
    free(message);
}
