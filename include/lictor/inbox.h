/* Messages that main answers, such as UPDATE: a worker copies one out of its buffers, gives it to main, and
 * goes on; main gives it back with a reply, which the worker sends, counts and logs. A message has one owner
 * at a time, and there are so many at most; more are refused at once (SERVFAIL). */
#pragma once

#include "lictor/answer.h"
#include "lictor/buf.h"
#include "lictor/sockets.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define INBOX_MAX    4096               /* messages that are with main */
#define INBOX_OCTETS (16 * 1024 * 1024) /* and of them together */
/* Of one TCP connection: no more of its messages are read until there is a reply. */
#define INBOX_A_CONNECTION 512

struct connection;
struct event_base;
struct inbox;

struct inbox_message {
    struct inbox *inbox;
    struct sockaddr_storage client;
    bool tcp;
    size_t len;

    /* The answer: main's to fill in. */
    uint16_t rcode;
    int ede;
    size_t reply_len; /* 0: none */
    uint8_t *reply;   /* malloc */

    /* The worker's own, not to be touched by others. */
    unsigned worker;
    int transport;
    struct connection *connection; /* NULL: UDP, or it has been closed */
    struct return_path path;
    TAILQ_ENTRY(inbox_message) link;

    uint8_t msg[]; /* len octets: a whole header, QR clear, opcode UPDATE */
};

typedef void inbox_take_fn(void *arg, struct inbox_message *message);

/* take runs on main for each message, which is its own until inbox_reply. NULL with err. Main. */
struct inbox *inbox_new(struct event_base *base, unsigned workers, inbox_take_fn *take, void *arg,
                        struct err *err);
/* After the workers have ended and take's side has replied to all that it had. NULL is allowed. */
void inbox_free(struct inbox *inbox);
/* Back to the worker, with the reply that is filled in. Any thread; main, usually. */
void inbox_reply(struct inbox_message *message);

/* How many are with main now; the same in the Prometheus text format. Any thread. */
unsigned inbox_count(const struct inbox *inbox);
void inbox_print(const struct inbox *inbox, struct buf *out);

/* Is this a message for main? One comparison, on the way of every query. */
static inline bool inbox_is_for(const uint8_t *msg, size_t len)
{
    return len >= 12 && (msg[2] & 0xf8) == 5 << 3;
}

/* --- workers (each its own number) -------------------------------------------------------------------- */

/* A message with its octets copied, to be filled in and put; NULL: as many as may be are with main. */
struct inbox_message *inbox_message_new(struct inbox *inbox, const uint8_t *msg, size_t len);
void inbox_put(struct inbox *inbox, struct inbox_message *message);
/* Becomes readable when there is something to take: hear, then take until NULL (queue.h). What was taken is
 * the worker's: inbox_message_free. */
int inbox_fd(const struct inbox *inbox, unsigned worker);
void inbox_hear(struct inbox *inbox, unsigned worker);
struct inbox_message *inbox_take(struct inbox *inbox, unsigned worker);
void inbox_message_free(struct inbox_message *message);
