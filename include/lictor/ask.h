/* Names that need Consul first: whether `db.query.consul.` exists, or `web.service.dc2.consul.` of a
 * datacenter that nobody has asked for yet, is known only once Consul has been asked.
 *
 * The way of such a question:
 *
 *   1. The zone's miss hook returns ZONE_ASK with a kind and the name to ask for (zone.h). What the name was
 *      found to be may be in the zone then, or in the overlay (overlay.h); else answer() makes no reply but
 *      ANSWER_ASK and the question.
 *   2. The worker parks the message in a bounded table of its own, posts the question to the desk, and goes
 *      on (src/serve/parked.c).
 *   3. The desk, on main, lets each question be asked once, however many wait for it, and gives it to the
 *      handler of its kind. Too many at once, or too many in a second, are refused.
 *   4. The handler asks Consul, has the builder publish what it learned, and then calls ask_done.
 *   5. The desk tells the workers, which run answer() again on the parked message.
 *
 * The client waits at most ASK_PATIENCE, by the worker's own clock, whatever main does; then it gets SERVFAIL
 * with EDE 14, never NXDOMAIN. Questions go on being asked then, for the client's next try.
 *
 * Everything here is bounded: a flood of random names costs messages, never memory or Consul's time. */
#pragma once

#include "lictor/clock.h"
#include "lictor/err.h"
#include "lictor/name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct event_base;
struct desk;
struct asking; /* a question in the hands of a handler */

#define ASK_PATIENCE  (500 * NS_PER_MS)
#define ASKS_AT_ONCE  32   /* with handlers */
#define ASKS_A_SECOND 100  /* in the long run, and as many at once at first */
#define ASKS_KNOWN    1024 /* outcomes other than "published" that are remembered */

/* What kind of thing is asked for: who is the handler. */
enum ask_kind {
    ASK_QUERY,      /* a prepared query */
    ASK_CONNECT,    /* the proxies of a service */
    ASK_INGRESS,    /* the gateways of a service */
    ASK_VIRTUAL,    /* a service's virtual address */
    ASK_DATACENTER, /* another datacenter's view */
    ASK_SERVICE,    /* one service, where only those are watched that were asked for */
    ASK_TAGS,       /* a name with several tags, of which there are too many to have them all */
    ASK_KINDS,
};

/* The client's address, or the part of it that its resolver tells (RFC 7871). Bits beyond prefix are 0. */
struct ask_address {
    uint8_t family; /* as in RFC 7871: 1 IPv4, 2 IPv6; 0: none, it does not matter */
    uint8_t prefix; /* bits */
    uint8_t ip[16];
};

struct ask_question {
    uint8_t kind; /* enum ask_kind */
    uint8_t name_len;
    struct ask_address from;     /* only where the overlay says that answers depend on it */
    uint8_t name[NAME_MAX_WIRE]; /* lower case; what the miss hook gave: not always the name in the message */
};

/* As a key: its octets up to the end of the name. There is no padding among them. */
static inline size_t ask_question_len(const struct ask_question *question)
{
    return offsetof(struct ask_question, name) + question->name_len;
}
_Static_assert(sizeof(struct ask_address) == 18 && offsetof(struct ask_question, name) == 20, "padding");

static inline bool ask_question_equal(const struct ask_question *a, const struct ask_question *b)
{
    return a->name_len == b->name_len && !memcmp(a, b, ask_question_len(a));
}

enum ask_outcome {
    ASK_PUBLISHED, /* what Consul said is in the published snapshot or overlay: look again */
    ASK_ABSENT,    /* Consul said that there is no such thing: NXDOMAIN */
    ASK_FAILED,    /* Consul could not be asked, or gave no usable answer: SERVFAIL, EDE 14 */
    ASK_LATE,      /* not by handlers: ASK_PATIENCE is over. SERVFAIL, EDE 14 */
    ASK_REFUSED,   /* not by handlers: too many questions. SERVFAIL, EDE 14 */
};

/* --- for handlers (main thread) --------------------------------------------------------------------- */

/* Somebody waits for this. Must not block. Calls ask_done exactly once for each ask, from within or later,
 * and within some seconds whatever Consul does: the ask takes one of ASKS_AT_ONCE places until then. Never
 * called a second time for an equal question before that. */
typedef void ask_handler_fn(void *arg, struct asking *ask);

/* Valid until ask_done. */
const struct ask_question *ask_question(const struct asking *ask);

/* The end of an ask. ASK_PUBLISHED: only after snapshot_publish (or overlay_publish) has returned, such as in
 * the `done` of a builder job; answer() must not come to the same question again, else the client gets
 * SERVFAIL. good_for: how long ASK_ABSENT or ASK_FAILED is the answer to equal questions, before the handler
 * is called again; 0: only to those that wait. (How long something published is good is told by what was
 * published.) Not after desk_free. */
void ask_done(struct asking *ask, enum ask_outcome outcome, nstime good_for);

/* --- main ------------------------------------------------------------------------------------------- */

/* workers: how many there will be. NULL with err. */
struct desk *desk_new(struct event_base *base, unsigned workers, struct err *err);
/* After the workers have ended and the handlers are gone: what is not done is dropped. NULL is allowed. */
void desk_free(struct desk *desk);
/* Kinds without a handler fail at once. */
void desk_handle(struct desk *desk, enum ask_kind kind, ask_handler_fn *handler, void *arg);
/* Forgets remembered outcomes (after a reload, or when Consul is back). */
void desk_forget(struct desk *desk);

struct desk_stats {
    uint64_t asked;     /* given to handlers */
    uint64_t published; /* and what they said */
    uint64_t absent;
    uint64_t failed;
    uint64_t joined;     /* questions that were being asked already */
    uint64_t remembered; /* answered by an outcome of before */
    uint64_t refused;    /* too many at once, or in a second, or in the queue */
    unsigned asking;     /* now */
};
void desk_stats(struct desk *desk, struct desk_stats *out);

/* --- workers (each its own number) -------------------------------------------------------------------- */

/* False: too many questions wait for main. */
bool desk_post(struct desk *desk, unsigned worker, const struct ask_question *question);

struct ask_answer {
    enum ask_outcome outcome;
    struct ask_question question;
};
/* Becomes readable when there is something to take: hear, then take until there is nothing (queue.h). */
int desk_fd(const struct desk *desk, unsigned worker);
void desk_hear(struct desk *desk, unsigned worker);
bool desk_take(struct desk *desk, unsigned worker, struct ask_answer *out);
