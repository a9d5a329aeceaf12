/* What passes over one TCP connection: queries with a length before each (RFC 1035 section 4.2.2), in any
 * portions, and their replies. Functions return false once the connection is closed. */
#include "handed.h"
#include "parked.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t length_at(const uint8_t *at)
{
    return (size_t)at[0] << 8 | at[1];
}

static bool may_take_more(const struct worker *worker, const struct connection *c)
{
    size_t most = worker->tcp->unsent > TCP_UNSENT_ALL_MAX ? 0 : TCP_UNSENT_MAX;
    return !c->stream && c->parked < PARKED_A_CONNECTION && c->handed < INBOX_A_CONNECTION &&
           tcp_unsent(c) <= most;
}

/* --- writing -------------------------------------------------------------------------------------- */

/* Returns how many octets the socket took, or -1 if the connection had to be closed. */
static ssize_t write_some(struct worker *worker, struct connection *c, const uint8_t *data, size_t len)
{
    for (;;) {
        ssize_t sent = send(c->source.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0)
            return sent;
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
            return 0;
        tcp_close(worker, c, SERVER_TCP_CLOSED_ERROR);
        return -1;
    }
}

/* Writes what waits. Replies of a right that has gone since are not sent: the client asks again. */
static bool flush(struct worker *worker, struct connection *c)
{
    size_t len = tcp_unsent(c);
    if (len == 0)
        return true;
    if (c->gated && worker_right_gone(worker, clock_boot())) {
        tcp_close(worker, c, SERVER_TCP_CLOSED_GATE);
        return false;
    }
    ssize_t sent = write_some(worker, c, c->out.data + c->out_sent, len);
    if (sent < 0)
        return false;
    worker->tcp->unsent -= (size_t)sent;
    c->out_sent += (size_t)sent;
    c->progress += (size_t)sent;
    /* An octet now and then is not enough: that would hold the place and the memory for ever. */
    if (tcp_unsent(c) == 0 || c->progress >= TCP_PROGRESS) {
        c->progress = 0;
        tcp_progress(worker, c);
    }
    if (tcp_unsent(c) == 0) {
        buf_free(&c->out);
        c->out_sent = 0;
        c->gated = false;
    }
    return true;
}

static void keep_unsent(struct worker *worker, struct connection *c, const uint8_t *data, size_t len)
{
    if (c->out_sent > 0) {
        memmove(c->out.data, c->out.data + c->out_sent, tcp_unsent(c));
        c->out.len -= c->out_sent;
        c->out_sent = 0;
    }
    buf_append(&c->out, data, len);
    worker->tcp->unsent += len;
}

/* Writes gathered replies, or puts them behind those that wait already. */
static bool push(struct worker *worker, struct connection *c, size_t len, bool gated)
{
    size_t sent = 0;
    if (len == 0)
        return true;
    if (gated && worker_right_gone(worker, clock_boot())) {
        tcp_close(worker, c, SERVER_TCP_CLOSED_GATE);
        return false;
    }
    if (tcp_unsent(c) == 0) {
        ssize_t n = write_some(worker, c, worker->tcp->gather, len);
        if (n < 0)
            return false;
        sent = (size_t)n;
    }
    if (sent < len) {
        keep_unsent(worker, c, worker->tcp->gather + sent, len - sent);
        c->gated |= gated;
    }
    return true;
}

/* --- long replies --------------------------------------------------------------------------------- */

/* answer(), and the beginning of a long reply. */
static struct answer_result answer_one(struct worker *worker, struct connection *c,
                                       const struct answer_env *env, const uint8_t *query, size_t len,
                                       uint8_t *out)
{
    struct answer_result result;
    if (handed_tcp(worker, env, c, query, len, out, &result))
        return result;
    result = answer(env, query, len, out, ANSWER_TCP_MAX);
    if (result.reason != ANSWER_DEFERRED)
        return result;
    const struct server_special *special = &worker->config->special;
    result = special->answer(special->arg, env, &c->client, query, len, out, ANSWER_TCP_MAX, &c->stream);
    c->stream_gated = result.gated;
    return result;
}

/* Writes on while the socket takes it: what it does not take is one message at most. */
static bool stream_on(struct worker *worker, struct connection *c)
{
    uint8_t *message = worker->tcp->gather;
    struct answer_env env;
    bool more = true;
    worker_env(worker, true, &env);
    for (size_t written = 0; more && tcp_unsent(c) == 0 && written < TCP_STREAM_A_TURN;) {
        size_t len = worker->config->special.next(c->stream, &env, message + 2, &more);
        if (len == 0) {
            tcp_close(worker, c, SERVER_TCP_CLOSED_STREAM);
            return false;
        }
        message[0] = (uint8_t)(len >> 8);
        message[1] = (uint8_t)len;
        if (!push(worker, c, 2 + len, c->stream_gated))
            return false;
        written += 2 + len;
        if (tcp_unsent(c) == 0)
            tcp_progress(worker, c);
    }
    if (!more)
        tcp_end_stream(worker, c, true);
    return true;
}

/* --- answering ------------------------------------------------------------------------------------ */

/* Answers the whole queries in data, as long as there is room for replies. *consumed says how far it came. */
static bool answer_all(struct worker *worker, struct connection *c, const uint8_t *data, size_t len,
                       size_t *consumed)
{
    uint8_t *gather = worker->tcp->gather;
    size_t pos = 0, gathered = 0, queries = 0;
    bool gated = false, garbage = false;
    struct answer_env env;
    worker_env(worker, true, &env);
    env.inspect = c->inspect;
    env.client = &c->client;
    while (len - pos >= 2 && may_take_more(worker, c)) {
        size_t query_len = length_at(data + pos);
        if (query_len < DNS_HEADER_LEN) { /* not DNS: where the next message begins cannot be known */
            garbage = true;
            break;
        }
        if (len - pos - 2 < query_len)
            break;
        uint8_t *reply = gather + gathered;
        struct answer_result result = answer_one(worker, c, &env, data + pos + 2, query_len, reply + 2);
        struct ask_answer asked;
        if (result.reason == ANSWER_ASK && !parked_tcp(worker, c, data + pos + 2, query_len, &asked)) {
            env.asked = &asked;
            env.asked_last = true;
            result = answer_one(worker, c, &env, data + pos + 2, query_len, reply + 2);
            env.asked = NULL;
            env.asked_last = false;
        }
        worker_count(worker, c->transport, &result, 1);
        if (worker_logs(worker))
            worker_log(worker, c->transport, &c->client, data + pos + 2, query_len, reply + 2, &result);
        pos += 2 + query_len;
        queries++;
        if (result.len > 0) {
            reply[0] = (uint8_t)(result.len >> 8);
            reply[1] = (uint8_t)result.len;
            gathered += 2 + result.len;
            gated |= result.gated;
        }
        if (gathered > TCP_GATHER - (2 + ANSWER_TCP_MAX)) {
            if (!push(worker, c, gathered, gated))
                return false;
            gathered = 0;
            gated = false;
        }
    }
    *consumed = pos;
    if (!push(worker, c, gathered, gated))
        return false;
    /* While replies wait, only reading them is progress (flush). */
    if (queries > 0 && tcp_unsent(c) == 0)
        tcp_progress(worker, c);
    if (garbage)
        tcp_close(worker, c, SERVER_TCP_CLOSED_GARBAGE);
    return !garbage;
}

/* Keeps what was not consumed, with room for the whole query that it begins. data lies in c->in, or there
 * is none yet. */
static void keep_rest(struct connection *c, const uint8_t *data, size_t len)
{
    if (len == 0) {
        free(c->in);
        c->in = NULL;
        c->in_len = c->in_size = 0;
        return;
    }
    size_t want = len < 2 ? 2 : 2 + length_at(data);
    if (want < len)
        want = len;
    if (c->in)
        memmove(c->in, data, len);
    if (want > c->in_size) {
        bool first = !c->in;
        c->in = xrealloc(c->in, want);
        c->in_size = want;
        if (first)
            memcpy(c->in, data, len);
    }
    c->in_len = len;
}

static bool answer_kept(struct worker *worker, struct connection *c)
{
    size_t consumed = 0;
    if (!answer_all(worker, c, c->in, c->in_len, &consumed))
        return false;
    keep_rest(c, c->in + consumed, c->in_len - consumed);
    return true;
}

/* One read a turn: other sources come to their right as well. */
static bool read_some(struct worker *worker, struct connection *c)
{
    uint8_t *to = c->in ? c->in + c->in_len : worker->tcp->read;
    size_t room = c->in ? c->in_size - c->in_len : TCP_READ, consumed = 0;
    if (room == 0) /* queries wait for room in out */
        return true;
    ssize_t received = recv(c->source.fd, to, room, MSG_DONTWAIT);
    if (received < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (received < 0) {
        tcp_close(worker, c, SERVER_TCP_CLOSED_ERROR);
        return false;
    }
    if (received == 0) {
        c->ended = true;
        return true;
    }
    if (c->in) {
        c->in_len += (size_t)received;
        return answer_kept(worker, c);
    }
    if (!answer_all(worker, c, to, (size_t)received, &consumed))
        return false;
    keep_rest(c, to + consumed, (size_t)received - consumed);
    return true;
}

static void set_interest(struct worker *worker, struct connection *c)
{
    uint32_t interest =
        (!c->ended && may_take_more(worker, c) ? EPOLLIN : 0) | (tcp_unsent(c) || c->stream ? EPOLLOUT : 0);
    if (interest == c->interest)
        return;
    c->interest = interest;
    epoll_ctl(worker->epoll, EPOLL_CTL_MOD, c->source.fd,
              &(struct epoll_event){.events = interest, .data.ptr = &c->source});
}

static void go_on(struct worker *worker, struct connection *c)
{
    /* What is left in c->in then will never be a whole query. */
    if (c->ended && tcp_unsent(c) == 0 && c->parked == 0 && c->handed == 0 && !c->stream)
        tcp_close(worker, c, SERVER_TCP_CLOSED_CLIENT);
    else
        set_interest(worker, c);
}

void tcp_ready(struct worker *worker, struct source *source, uint32_t events)
{
    struct connection *c = (struct connection *)source;
    if (events & EPOLLERR || (events & EPOLLHUP && !(events & EPOLLIN))) {
        tcp_close(worker, c, SERVER_TCP_CLOSED_ERROR);
        return;
    }
    if (events & EPOLLOUT && !flush(worker, c))
        return;
    if (c->stream && !stream_on(worker, c))
        return;
    if (c->in && may_take_more(worker, c) && !answer_kept(worker, c))
        return;
    if (events & (EPOLLIN | EPOLLHUP) && !c->ended && !read_some(worker, c))
        return;
    rcu_quiescent(worker->rcu);
    go_on(worker, c);
}

/* Replies to messages that waited may come after those to later ones (RFC 7766 section 6.2.1.1). */
void tcp_reply(struct worker *worker, struct connection *c, size_t len, bool gated)
{
    uint8_t *prefix = worker->tcp->gather;
    prefix[0] = (uint8_t)(len >> 8);
    prefix[1] = (uint8_t)len;
    if (!push(worker, c, len > 0 ? 2 + len : 0, gated))
        return;
    if (tcp_unsent(c) == 0)
        tcp_progress(worker, c);
    if (c->in && may_take_more(worker, c) && !answer_kept(worker, c)) /* there is a place again */
        return;
    go_on(worker, c);
}
