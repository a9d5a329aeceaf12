/* Messages that wait until Consul has been asked. */
#include "parked.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Questions that one message may lead to: an alias of an alias, an answer that depends on the address. */
#define ROUNDS_MAX 4

#define REPLY_MAX 4096

TAILQ_HEAD(parked_list, parked);

struct parked {
    TAILQ_ENTRY(parked) link;
    nstime until;
    struct connection *connection; /* NULL: UDP */
    struct return_path path;       /* UDP */
    enum transport transport;
    bool inspect;
    uint8_t rounds;
    uint16_t len;
    struct ask_question question;
    uint8_t message[PARKED_MESSAGE];
};

struct parked_table {
    struct source source;       /* outcomes from the desk */
    struct parked_list waiting; /* longest first */
    struct parked_list free;
    struct ask_question question; /* what answer() found last */
    uint8_t reply[REPLY_MAX];
    struct parked places[PARKED_MAX];
};

/* --- coming --------------------------------------------------------------------------------------------- */

static bool refuse(struct parked_table *table, struct ask_answer *asked)
{
    asked->outcome = ASK_REFUSED;
    asked->question = table->question;
    return false;
}

static struct parked *find(const struct parked_table *table, const struct ask_question *question)
{
    struct parked *p = TAILQ_FIRST(&table->waiting);
    while (p && !ask_question_equal(&p->question, question))
        p = TAILQ_NEXT(p, link);
    return p;
}

/* Posts the question unless an equal one is on its way: then its outcome serves both. */
static bool post(struct worker *worker, const struct ask_question *question)
{
    return find(worker->parked, question) || desk_post(worker->config->desk, worker->index, question);
}

static struct parked *take_place(struct worker *worker, const uint8_t *message, size_t len)
{
    struct parked_table *table = worker->parked;
    struct parked *p = TAILQ_FIRST(&table->free);
    if (!p || len > PARKED_MESSAGE || !post(worker, &table->question))
        return NULL;
    p->until = clock_boot() + ASK_PATIENCE;
    p->rounds = 1;
    p->len = (uint16_t)len;
    p->question = table->question;
    memcpy(p->message, message, len);
    TAILQ_REMOVE(&table->free, p, link);
    TAILQ_INSERT_TAIL(&table->waiting, p, link);
    stat_add(worker, SERVER_PARKED, 1);
    return p;
}

static void leave_place(struct worker *worker, struct parked *p)
{
    TAILQ_REMOVE(&worker->parked->waiting, p, link);
    TAILQ_INSERT_HEAD(&worker->parked->free, p, link);
    if (p->connection)
        p->connection->parked--;
    stat_add(worker, SERVER_PARKED, (uint64_t)-1);
}

bool parked_udp(struct worker *worker, const struct msghdr *header, int fd, enum transport transport,
                const uint8_t *message, size_t len, struct ask_answer *asked)
{
    struct parked *p = take_place(worker, message, len);
    if (!p)
        return refuse(worker->parked, asked);
    p->connection = NULL;
    p->transport = transport;
    if (return_path_set(&p->path, fd, header)) {
        p->inspect = worker_may_inspect(worker, &p->path.address);
        return true;
    }
    leave_place(worker, p);
    return refuse(worker->parked, asked);
}

bool parked_tcp(struct worker *worker, struct connection *c, const uint8_t *message, size_t len,
                struct ask_answer *asked)
{
    struct parked *p = c->parked < PARKED_A_CONNECTION ? take_place(worker, message, len) : NULL;
    if (!p)
        return refuse(worker->parked, asked);
    p->connection = c;
    p->transport = c->transport;
    p->inspect = c->inspect;
    c->parked++;
    return true;
}

/* --- going ---------------------------------------------------------------------------------------------- */

/* Answers the message, knowing what became of its question. False: it led to another question, which is now
 * waited for. */
static bool answer_again(struct worker *worker, struct parked *p, enum ask_outcome outcome,
                         struct answer_env *env, uint8_t *out, size_t out_max, struct answer_result *result)
{
    struct parked_table *table = worker->parked;
    struct ask_answer asked = {.outcome = outcome, .question = p->question};
    env->inspect = p->inspect;
    env->client = p->connection ? &p->connection->client : &p->path.address;
    env->asked = &asked;
    *result = worker_answer(worker, env, NULL, p->message, p->len, out, out_max);
    if (result->reason != ANSWER_ASK)
        return true;
    if (outcome <= ASK_ABSENT && p->rounds < ROUNDS_MAX && env->now < p->until &&
        post(worker, &table->question)) {
        p->rounds++;
        p->question = table->question;
        return false;
    }
    asked.outcome = outcome <= ASK_ABSENT ? ASK_REFUSED : outcome;
    env->asked_last = true;
    *result = worker_answer(worker, env, NULL, p->message, p->len, out, out_max);
    return true;
}

static void finish(struct worker *worker, struct parked *p, enum ask_outcome outcome)
{
    struct answer_env env;
    struct answer_result result;
    struct connection *c = p->connection;
    uint8_t *out = c ? worker->tcp->gather + 2 : worker->parked->reply;
    worker_env(worker, c != NULL, &env);
    if (!answer_again(worker, p, outcome, &env, out, c ? ANSWER_TCP_MAX : REPLY_MAX, &result))
        return;
    leave_place(worker, p);
    worker_count_outcome(worker, &result);
    if (worker_logs(worker))
        worker_log(worker, p->transport, c ? &c->client : &p->path.address, p->message, p->len, out, &result);
    if (c)
        tcp_reply(worker, c, result.len, result.gated);
    else if (result.len > 0 && !(result.gated && worker_right_gone(worker, clock_boot())) &&
             return_path_send(&p->path, out, result.len) != 0)
        stat_add(worker, SERVER_SEND_OTHER, 1);
}

static void answered(struct worker *worker, struct source *source, uint32_t events)
{
    struct parked_table *table = worker->parked;
    struct ask_answer answer;
    (void)source, (void)events;
    desk_hear(worker->config->desk, worker->index);
    while (desk_take(worker->config->desk, worker->index, &answer)) {
        /* From the start each time: finishing one may close a connection, which takes others away. None is
         * found twice: it is gone, or waits for another question. */
        for (struct parked *p; (p = find(table, &answer.question));)
            finish(worker, p, answer.outcome);
        rcu_quiescent(worker->rcu);
    }
}

void parked_forget(struct worker *worker, const struct connection *c)
{
    struct parked *p, *next;
    if (c->parked == 0)
        return;
    for (p = TAILQ_FIRST(&worker->parked->waiting); p; p = next) {
        next = TAILQ_NEXT(p, link);
        if (p->connection == c)
            leave_place(worker, p);
    }
}

nstime parked_tidy(struct worker *worker)
{
    struct parked_table *table = worker->parked;
    struct parked *p = table ? TAILQ_FIRST(&table->waiting) : NULL;
    if (!p)
        return NS_NEVER;
    nstime now = clock_boot();
    if (p->until <= now) {
        rcu_online(worker->rcu);
        while ((p = TAILQ_FIRST(&table->waiting)) && p->until <= now)
            finish(worker, p, ASK_LATE);
        rcu_offline(worker->rcu);
    }
    return p ? p->until - now : NS_NEVER;
}

void parked_stop(struct worker *worker)
{
    struct parked_table *table = worker->parked;
    for (struct parked *p = table ? TAILQ_FIRST(&table->waiting) : NULL, *next; p; p = next) {
        next = TAILQ_NEXT(p, link);
        if (!p->connection)
            finish(worker, p, ASK_LATE);
    }
}

/* --- life ----------------------------------------------------------------------------------------------- */

struct ask_question *parked_question(struct parked_table *table)
{
    return table ? &table->question : NULL;
}

struct parked_table *parked_new(struct worker *worker, struct err *err)
{
    struct parked_table *table = xcalloc(1, sizeof *table); /* pages that are never used cost nothing */
    table->source = (struct source){answered, desk_fd(worker->config->desk, worker->index)};
    TAILQ_INIT(&table->waiting);
    TAILQ_INIT(&table->free);
    for (size_t i = 0; i < PARKED_MAX; i++)
        TAILQ_INSERT_TAIL(&table->free, &table->places[i], link);
    if (worker_watch(worker, &table->source, EPOLLIN) == 0)
        return table;
    err_set(err, "cannot watch the desk's queue: %s", strerror(errno));
    free(table);
    return NULL;
}

void parked_free(struct parked_table *table)
{
    free(table);
}
