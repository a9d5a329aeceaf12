/* The desk: questions of all workers in, each asked once and not too many of them, outcomes out. */
#include "lictor/ask.h"

#include "lictor/queue.h"
#include "lictor/strmap.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>

/* Waiting for main: more than it answers in a turn, so that a flood is refused by count and not by delay. */
#define POSTED 256

/* For one worker. As many as it parks (src/serve/parked.h): what does not fit ends by the worker's clock. */
#define ANSWERS 512

#define QUESTIONS_A_TURN 64 /* a few microseconds each: far below main's 20 ms */

struct posted {
    unsigned worker;
    struct ask_question question;
};

struct asking {
    struct desk *desk;
    struct ask_question question;
    TAILQ_ENTRY(asking) link;
    bool waiting[]; /* by worker */
};

/* An outcome that is good for a while. */
struct known {
    TAILQ_ENTRY(known) link;
    enum ask_outcome outcome;
    nstime until;
    struct ask_question question;
};

struct desk {
    struct queue *posted;
    struct event *ready, *again;
    struct {
        ask_handler_fn *handler;
        void *arg;
    } handlers[ASK_KINDS];
    struct strmap *asking; /* question -> struct asking */
    TAILQ_HEAD(, asking) asks;
    struct strmap *known; /* question -> struct known */
    TAILQ_HEAD(, known) oldest_first;
    double tokens;
    nstime filled; /* when the tokens were counted last */
    struct desk_stats stats;
    unsigned workers;
    struct queue *answers[];
};

/* --- outcomes that are remembered ------------------------------------------------------------------- */

static void forget(struct desk *desk, struct known *known)
{
    strmap_remove(desk->known, &known->question, ask_question_len(&known->question));
    TAILQ_REMOVE(&desk->oldest_first, known, link);
    free(known);
}

void desk_forget(struct desk *desk)
{
    struct known *known;
    while ((known = TAILQ_FIRST(&desk->oldest_first)))
        forget(desk, known);
}

static void remember(struct desk *desk, const struct ask_question *question, enum ask_outcome outcome,
                     nstime until)
{
    struct known *known = strmap_get(desk->known, question, ask_question_len(question));
    if (known)
        forget(desk, known);
    if (strmap_count(desk->known) == ASKS_KNOWN)
        forget(desk, TAILQ_FIRST(&desk->oldest_first));
    known = xmalloc(sizeof *known);
    known->outcome = outcome;
    known->until = until;
    known->question = *question;
    strmap_put(desk->known, question, ask_question_len(question), known);
    TAILQ_INSERT_TAIL(&desk->oldest_first, known, link);
}

static const struct known *recall(struct desk *desk, const struct ask_question *question, nstime now)
{
    struct known *known = strmap_get(desk->known, question, ask_question_len(question));
    if (known && now >= known->until) {
        forget(desk, known);
        known = NULL;
    }
    return known;
}

/* --- asking ----------------------------------------------------------------------------------------- */

static void tell(struct desk *desk, unsigned worker, const struct ask_question *question,
                 enum ask_outcome outcome)
{
    struct ask_answer answer = {.outcome = outcome, .question = *question};
    queue_put(desk->answers[worker], &answer); /* full: the worker's own clock ends the wait */
}

static bool take_token(struct desk *desk, nstime now)
{
    desk->tokens += (double)(now - desk->filled) / NS_PER_S * ASKS_A_SECOND;
    desk->filled = now;
    if (desk->tokens > ASKS_A_SECOND)
        desk->tokens = ASKS_A_SECOND;
    if (desk->tokens < 1)
        return false;
    desk->tokens--;
    return true;
}

static void begin(struct desk *desk, const struct posted *posted)
{
    struct asking *ask = xcalloc(1, sizeof *ask + desk->workers * sizeof *ask->waiting);
    ask->desk = desk;
    ask->question = posted->question;
    ask->waiting[posted->worker] = true;
    strmap_put(desk->asking, &ask->question, ask_question_len(&ask->question), ask);
    TAILQ_INSERT_TAIL(&desk->asks, ask, link);
    desk->stats.asked++;
    unsigned kind = ask->question.kind;
    if (desk->handlers[kind].handler)
        desk->handlers[kind].handler(desk->handlers[kind].arg, ask);
    else
        ask_done(ask, ASK_FAILED, 0);
}

static void decide(struct desk *desk, const struct posted *posted)
{
    const struct ask_question *question = &posted->question;
    nstime now = clock_boot();
    struct asking *ask = strmap_get(desk->asking, question, ask_question_len(question));
    const struct known *known = ask ? NULL : recall(desk, question, now);
    if (ask) {
        ask->waiting[posted->worker] = true;
        desk->stats.joined++;
    } else if (known) {
        tell(desk, posted->worker, question, known->outcome);
        desk->stats.remembered++;
    } else if (strmap_count(desk->asking) >= ASKS_AT_ONCE || !take_token(desk, now)) {
        tell(desk, posted->worker, question, ASK_REFUSED);
        desk->stats.refused++;
    } else {
        begin(desk, posted);
    }
}

void ask_done(struct asking *ask, enum ask_outcome outcome, nstime good_for)
{
    struct desk *desk = ask->desk;
    uint64_t *count = outcome == ASK_PUBLISHED ? &desk->stats.published
                      : outcome == ASK_ABSENT  ? &desk->stats.absent
                                               : &desk->stats.failed;
    assert(outcome <= ASK_FAILED);
    ++*count;
    if (outcome != ASK_PUBLISHED && good_for > 0)
        remember(desk, &ask->question, outcome, clock_boot() + good_for);
    for (unsigned i = 0; i < desk->workers; i++)
        if (ask->waiting[i])
            tell(desk, i, &ask->question, outcome);
    strmap_remove(desk->asking, &ask->question, ask_question_len(&ask->question));
    TAILQ_REMOVE(&desk->asks, ask, link);
    free(ask);
}

const struct ask_question *ask_question(const struct asking *ask)
{
    return &ask->question;
}

static void on_posted(evutil_socket_t fd, short what, void *arg)
{
    struct desk *desk = arg;
    struct posted posted;
    int handled = 0;
    (void)fd, (void)what;
    queue_hear(desk->posted);
    while (handled < QUESTIONS_A_TURN && queue_get(desk->posted, &posted)) {
        decide(desk, &posted);
        handled++;
    }
    /* More may be there. A timer, since what is made active now comes in this very turn. */
    if (handled == QUESTIONS_A_TURN)
        event_add(desk->again, &(struct timeval){0});
}

/* --- workers ---------------------------------------------------------------------------------------- */

bool desk_post(struct desk *desk, unsigned worker, const struct ask_question *question)
{
    struct posted posted = {.worker = worker, .question = *question};
    return queue_put(desk->posted, &posted);
}

int desk_fd(const struct desk *desk, unsigned worker)
{
    return queue_fd(desk->answers[worker]);
}

void desk_hear(struct desk *desk, unsigned worker)
{
    queue_hear(desk->answers[worker]);
}

bool desk_take(struct desk *desk, unsigned worker, struct ask_answer *out)
{
    return queue_get(desk->answers[worker], out);
}

/* --- life ------------------------------------------------------------------------------------------- */

struct desk *desk_new(struct event_base *base, unsigned workers, struct err *err)
{
    struct desk *desk = xcalloc(1, sizeof *desk + workers * sizeof(struct queue *));
    TAILQ_INIT(&desk->asks);
    TAILQ_INIT(&desk->oldest_first);
    desk->asking = strmap_new();
    desk->known = strmap_new();
    desk->tokens = ASKS_A_SECOND;
    desk->filled = clock_boot();
    desk->workers = workers;
    desk->posted = queue_new(sizeof(struct posted), POSTED, err);
    bool whole = desk->posted != NULL;
    for (unsigned i = 0; i < workers && whole; i++)
        whole = (desk->answers[i] = queue_new(sizeof(struct ask_answer), ANSWERS, err)) != NULL;
    if (!whole) {
        desk_free(desk);
        return NULL;
    }
    desk->ready = event_new(base, queue_fd(desk->posted), EV_READ | EV_PERSIST, on_posted, desk);
    event_add(desk->ready, NULL);
    desk->again = evtimer_new(base, on_posted, desk);
    return desk;
}

void desk_free(struct desk *desk)
{
    if (!desk)
        return;
    if (desk->ready)
        event_free(desk->ready);
    if (desk->again)
        event_free(desk->again);
    desk_forget(desk);
    for (struct asking *ask; (ask = TAILQ_FIRST(&desk->asks));) {
        TAILQ_REMOVE(&desk->asks, ask, link);
        free(ask);
    }
    strmap_free(desk->asking, NULL);
    strmap_free(desk->known, NULL);
    queue_free(desk->posted);
    for (unsigned i = 0; i < desk->workers; i++)
        queue_free(desk->answers[i]);
    free(desk);
}

void desk_handle(struct desk *desk, enum ask_kind kind, ask_handler_fn *handler, void *arg)
{
    desk->handlers[kind].handler = handler;
    desk->handlers[kind].arg = arg;
}

void desk_stats(struct desk *desk, struct desk_stats *out)
{
    *out = desk->stats;
    out->refused += queue_refused(desk->posted);
    out->asking = (unsigned)strmap_count(desk->asking);
}
