/* Messages of a worker that are with main, and their replies. */
#include "handed.h"

#include "lictor/dns.h"
#include "lictor/reply.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct handed {
    struct source source; /* replies from main */
    TAILQ_HEAD(, inbox_message) waiting;
};

/* Refused without a look at the signature: its digest is not worth a flood. */
static void refuse(const struct answer_env *env, const uint8_t *msg, size_t len, uint8_t *out, size_t out_max,
                   struct answer_result *result)
{
    struct answer_env inner = *env;
    struct outcome outcome;
    outcome_set(&outcome, DNS_SERVFAIL, ANSWER_UPDATE_FULL, DNS_EDE_OTHER,
                "too many updates wait; try again");
    inner.known = &outcome;
    inner.defer = false;
    *result = answer(&inner, msg, len, out, out_max);
}

static void give(struct worker *worker, struct inbox_message *message, struct answer_result *result)
{
    message->worker = worker->index;
    TAILQ_INSERT_TAIL(&worker->handed->waiting, message, link);
    inbox_put(worker->config->inbox, message);
    *result = (struct answer_result){.reason = ANSWER_MAIN, .ede = DNS_EDE_NONE};
}

bool handed_udp(struct worker *worker, const struct answer_env *env, const struct msghdr *header, int fd,
                enum transport transport, const uint8_t *msg, size_t len, uint8_t *out, size_t out_max,
                struct answer_result *result)
{
    if (!worker->handed || !inbox_is_for(msg, len))
        return false;
    struct inbox_message *message = inbox_message_new(worker->config->inbox, msg, len);
    if (message && return_path_set(&message->path, fd, header)) {
        message->client = message->path.address;
        message->transport = transport;
        give(worker, message, result);
        return true;
    }
    if (message)
        inbox_message_free(message);
    refuse(env, msg, len, out, out_max, result);
    return true;
}

bool handed_tcp(struct worker *worker, const struct answer_env *env, struct connection *c, const uint8_t *msg,
                size_t len, uint8_t *out, struct answer_result *result)
{
    if (!worker->handed || !inbox_is_for(msg, len))
        return false;
    struct inbox_message *message = inbox_message_new(worker->config->inbox, msg, len);
    if (!message) {
        refuse(env, msg, len, out, ANSWER_TCP_MAX, result);
        return true;
    }
    message->client = c->client;
    message->tcp = true;
    message->transport = c->transport;
    message->connection = c;
    c->handed++;
    give(worker, message, result);
    return true;
}

void handed_forget(struct worker *worker, const struct connection *c)
{
    struct inbox_message *message;
    if (c->handed == 0)
        return;
    TAILQ_FOREACH(message, &worker->handed->waiting, link)
    {
        if (message->connection == c)
            message->connection = NULL;
    }
}

/* --- replies -------------------------------------------------------------------------------------------- */

static void send_reply(struct worker *worker, struct inbox_message *message)
{
    struct connection *c = message->connection;
    if (!message->tcp) {
        if (message->reply_len > 0 &&
            return_path_send(&message->path, message->reply, message->reply_len) != 0)
            stat_add(worker, SERVER_SEND_OTHER, 1);
    } else if (c) {
        c->handed--;
        memcpy(worker->tcp->gather + 2, message->reply, message->reply_len);
        tcp_reply(worker, c, message->reply_len, false);
    }
}

static void replied(struct worker *worker, struct source *source, uint32_t events)
{
    struct inbox *inbox = worker->config->inbox;
    struct inbox_message *message;
    (void)source, (void)events;
    inbox_hear(inbox, worker->index);
    while ((message = inbox_take(inbox, worker->index))) {
        struct answer_result result = {.len = message->reply_len,
                                       .rcode = message->rcode,
                                       .qtype = DNS_SOA,
                                       .reason = ANSWER_UPDATE,
                                       .ede = message->ede};
        TAILQ_REMOVE(&worker->handed->waiting, message, link);
        worker_count_outcome(worker, &result);
        if (worker_logs(worker))
            worker_log(worker, (enum transport)message->transport, &message->client, message->msg,
                       message->len, message->reply, &result);
        send_reply(worker, message);
        inbox_message_free(message);
        rcu_quiescent(worker->rcu);
    }
}

struct handed *handed_new(struct worker *worker, struct err *err)
{
    struct handed *handed = xcalloc(1, sizeof *handed);
    handed->source = (struct source){replied, inbox_fd(worker->config->inbox, worker->index)};
    TAILQ_INIT(&handed->waiting);
    if (worker_watch(worker, &handed->source, EPOLLIN) == 0)
        return handed;
    err_set(err, "cannot watch the queue of main's replies: %s", strerror(errno));
    free(handed);
    return NULL;
}

void handed_free(struct handed *handed)
{
    free(handed);
}
