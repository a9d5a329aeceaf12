/* UDP: whole batches in, answered in place, whole batches out. System calls are what an answer costs, so
 * their number is what matters here: two a batch under load. */
#include "handed.h"
#include "parked.h"

#include "lictor/xalloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Beyond a few dozen only latency grows: the two system calls are already spread thin. */
#define BATCH 32

/* Batches before other sources get their turn, so that a flood on one socket starves nobody. */
#define BATCHES_A_TURN 16

/* A longer query is cut here and answered with FORMERR. */
#define QUERY_MAX 4096
#define REPLY_MAX 4096

/* Strides that are no multiple of 4 KiB: else the same octets of all buffers would compete for one set of
 * the first-level cache. */
#define STRIDE(size) ((size) + 192)

union control {
    struct cmsghdr header; /* for its alignment */
    uint8_t space[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

struct udp_socket {
    struct source source;
    enum transport transport;
    bool pktinfo; /* bound to a wildcard: replies say where they leave from */
};

struct udp {
    struct mmsghdr in[BATCH], out[BATCH];
    struct iovec query_at[BATCH], reply_at[BATCH];
    struct sockaddr_storage peer[BATCH];
    union control control[BATCH];
    struct answer_result result[BATCH];
    uint8_t query[BATCH][STRIDE(QUERY_MAX)];
    uint8_t reply[BATCH][STRIDE(REPLY_MAX)];
    size_t socket_count;
    struct udp_socket sockets[];
};

/* The reply leaves from the address that was asked, and by the route to the client, not by the interface the
 * query came in on (only link-local addresses mean nothing without it). The control message that was
 * received becomes the one that is sent. */
static void turn_around(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            /* ipi_spec_dst is the source to use: for a broadcast the interface's own address. */
            ((struct in_pktinfo *)CMSG_DATA(c))->ipi_ifindex = 0;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo *info = (struct in6_pktinfo *)CMSG_DATA(c);
            if (IN6_IS_ADDR_MULTICAST(&info->ipi6_addr))
                message->msg_controllen = 0;
            else if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
                info->ipi6_ifindex = 0;
        }
    }
}

/* Messages between instances are main's: it replies, by this socket. */
static void pass_on(struct worker *worker, int fd, size_t i)
{
    struct udp *udp = worker->udp;
    bool taken = peer_take(worker->config->peer, fd, &udp->in[i].msg_hdr, udp->query[i], udp->in[i].msg_len);
    udp->result[i] = (struct answer_result){.reason = taken ? ANSWER_PEER : ANSWER_PEER_FULL};
}

/* UPDATE is main's, too, but its replies come back to us. */
static bool hand_over(struct worker *worker, struct answer_env *env, const struct udp_socket *socket,
                      size_t i)
{
    struct udp *udp = worker->udp;
    return handed_udp(worker, env, &udp->in[i].msg_hdr, socket->source.fd, socket->transport, udp->query[i],
                      udp->in[i].msg_len, udp->reply[i], REPLY_MAX, &udp->result[i]);
}

static void answer_one(struct worker *worker, struct answer_env *env, size_t i)
{
    struct udp *udp = worker->udp;
    env->inspect = worker_may_inspect(worker, &udp->peer[i]);
    env->client = &udp->peer[i];
    udp->result[i] = worker_answer(worker, env, &udp->peer[i], udp->query[i], udp->in[i].msg_len,
                                   udp->reply[i], REPLY_MAX);
}

/* The message waits; or, if too many do, that is the answer. */
static void park(struct worker *worker, const struct udp_socket *socket, struct answer_env *env, size_t i)
{
    struct udp *udp = worker->udp;
    struct ask_answer asked;
    if (parked_udp(worker, &udp->in[i].msg_hdr, socket->source.fd, socket->transport, udp->query[i],
                   udp->in[i].msg_len, &asked))
        return;
    env->asked = &asked;
    env->asked_last = true;
    answer_one(worker, env, i);
    env->asked = NULL;
    env->asked_last = false;
}

/* Answers made by a right that went before they could be sent are made again without it. */
static void recall_gated(struct worker *worker, struct answer_env *env, size_t count)
{
    struct udp *udp = worker->udp;
    size_t i = 0;
    while (i < count && !udp->result[i].gated)
        i++;
    if (i == count)
        return;
    env->now = clock_boot();
    if (!worker_right_gone(worker, env->now))
        return;
    for (; i < count; i++) {
        if (!udp->result[i].gated)
            continue;
        stat_add(worker, SERVER_GATE_RECALLED, 1);
        answer_one(worker, env, i);
        /* The right came back in this very moment: as if the query had been lost. */
        if (udp->result[i].gated)
            udp->result[i].len = 0;
    }
}

/* sendmmsg stops at the first message that fails; an error is only told when it is the very next one. That
 * one is given up: UDP may lose messages, and asking again would keep everybody else waiting. */
static void send_all(struct worker *worker, int fd, struct mmsghdr *out, unsigned count)
{
    while (count > 0) {
        int sent = sendmmsg(fd, out, count, MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)) {
            stat_add(worker, SERVER_SEND_FULL, count);
            return;
        }
        if (sent <= 0) { /* ECONNREFUSED, EHOSTUNREACH, EPERM, EINVAL: the trouble of one client */
            stat_add(worker, SERVER_SEND_OTHER, 1);
            sent = 1;
        }
        out += sent;
        count -= (unsigned)sent;
    }
}

static unsigned collect(struct udp *udp, size_t count)
{
    unsigned replies = 0;
    for (size_t i = 0; i < count; i++) {
        struct msghdr *from = &udp->in[i].msg_hdr;
        if (udp->result[i].len > 0) {
            struct msghdr *to = &udp->out[replies].msg_hdr;
            udp->reply_at[replies] = (struct iovec){udp->reply[i], udp->result[i].len};
            to->msg_name = from->msg_name;
            to->msg_namelen = from->msg_namelen;
            to->msg_control = from->msg_control;
            to->msg_controllen = from->msg_controllen;
            replies++;
        }
    }
    return replies;
}

/* IPv4's DF keeps fragments away and spares the kernel an identification for each reply. ICMP "too big" is
 * not believed (PROBE): forged, it would cut replies to nothing. Above the safe size fragments must be
 * possible. */
static void forbid_fragments(int fd, const struct server_config *config, int family)
{
    bool safe = config->udp_max <= SERVER_UDP_SAFE;
    if (family == AF_INET)
        setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &(int){safe ? IP_PMTUDISC_PROBE : IP_PMTUDISC_OMIT},
                   sizeof(int));
    else
        setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
                   &(int){safe ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_OMIT}, sizeof(int));
}

/* Returns how many queries there were. */
static size_t batch(struct worker *worker, struct udp_socket *socket)
{
    struct udp *udp = worker->udp;
    int received = recvmmsg(socket->source.fd, udp->in, BATCH, MSG_DONTWAIT, NULL);
    if (received <= 0) {
        /* An ICMP error is told once and was about an older reply: nothing to do, the loop comes back. */
        if (received < 0 && errno != EAGAIN && errno != EINTR)
            stat_add(worker, SERVER_RECEIVE_ERRORS, 1);
        return 0;
    }
    size_t count = (size_t)received;
    struct answer_env env;
    worker_env(worker, false, &env);
    for (size_t i = 0; i < count; i++) {
        if (socket->pktinfo)
            turn_around(&udp->in[i].msg_hdr);
        if (worker->config->peer && peer_is_for(udp->query[i], udp->in[i].msg_len))
            pass_on(worker, socket->source.fd, i);
        else if (!hand_over(worker, &env, socket, i))
            answer_one(worker, &env, i);
        if (udp->result[i].reason == ANSWER_ASK)
            park(worker, socket, &env, i);
    }
    recall_gated(worker, &env, count);
    unsigned replies = collect(udp, count);
    send_all(worker, socket->source.fd, udp->out, replies);
    worker_count(worker, socket->transport, udp->result, count);
    if (worker_logs(worker))
        for (size_t i = 0; i < count; i++)
            worker_log(worker, socket->transport, &udp->peer[i], udp->query[i], udp->in[i].msg_len,
                       udp->reply[i], &udp->result[i]);
    stat_add(worker, SERVER_UDP_BATCHES, 1);
    for (size_t i = 0; i < count; i++) {
        udp->in[i].msg_hdr.msg_namelen = sizeof(udp->peer[i]);
        udp->in[i].msg_hdr.msg_controllen = sizeof(udp->control[i]);
    }
    rcu_quiescent(worker->rcu);
    return count;
}

static void ready(struct worker *worker, struct source *source, uint32_t events)
{
    struct udp_socket *socket = (struct udp_socket *)source;
    (void)events;
    /* A short batch means that nothing is left, most likely; asking would cost a call more than it tells. */
    for (int i = 0; i < BATCHES_A_TURN; i++)
        if (batch(worker, socket) < BATCH)
            return;
}

struct udp *udp_new(struct worker *worker, struct err *err)
{
    const struct server_config *config = worker->config;
    struct udp *udp = xcalloc(1, sizeof(*udp) + config->listen_count * sizeof(udp->sockets[0]));
    for (size_t i = 0; i < BATCH; i++) {
        udp->query_at[i] = (struct iovec){udp->query[i], QUERY_MAX};
        udp->in[i].msg_hdr = (struct msghdr){
            .msg_name = &udp->peer[i],
            .msg_namelen = sizeof(udp->peer[i]),
            .msg_iov = &udp->query_at[i],
            .msg_iovlen = 1,
            .msg_control = &udp->control[i],
            .msg_controllen = sizeof(udp->control[i]),
        };
        udp->out[i].msg_hdr = (struct msghdr){.msg_iov = &udp->reply_at[i], .msg_iovlen = 1};
    }
    for (; udp->socket_count < config->listen_count; udp->socket_count++) {
        const struct server_listen *listen = &config->listens[udp->socket_count];
        struct udp_socket *socket = &udp->sockets[udp->socket_count];
        *socket = (struct udp_socket){
            .source = {ready, listen->udp[worker->index]},
            .transport = listen->address.ss_family == AF_INET ? TRANSPORT_UDP4 : TRANSPORT_UDP6,
            .pktinfo = sockaddr_is_wildcard(&listen->address),
        };
        forbid_fragments(socket->source.fd, config, listen->address.ss_family);
        if (worker_watch(worker, &socket->source, EPOLLIN) != 0) {
            err_set(err, "cannot watch a UDP socket: %s", strerror(errno));
            free(udp);
            return NULL;
        }
    }
    return udp;
}

void udp_free(struct udp *udp)
{
    free(udp);
}

void udp_stop(struct worker *worker)
{
    struct udp *udp = worker->udp;
    for (size_t i = 0; i < udp->socket_count; i++) {
        ready(worker, &udp->sockets[i].source, EPOLLIN);
        parked_stop(worker);
        worker_close_listen(&udp->sockets[i].source.fd, &worker->config->listens[i].udp[worker->index]);
    }
}
