/* A worker's loop, and what UDP and TCP share: the surroundings of a query and its counters. */
#include "handed.h"
#include "parked.h"

#include "lictor/dns.h"
#include "lictor/log.h"
#include "querylog.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_A_TURN 64

/* How long connections may take to read their last replies when the server ends. */
#define DRAIN_TIME NS_PER_S

void worker_env(struct worker *worker, bool tcp, struct answer_env *env)
{
    *env = (struct answer_env){
        .snapshot = atomic_load_explicit(&worker->config->slot->current, memory_order_acquire),
        .gate = worker->config->gate,
        .rng = &worker->rng,
        .now = clock_boot(),
        .tcp = tcp,
        .udp_max = worker->config->udp_max,
        .question = worker->question,
        .overlay = worker->config->overlay,
        .defer = worker->config->special.answer != NULL,
    };
}

bool worker_may_inspect(const struct worker *worker, const struct sockaddr_storage *address)
{
    return sockaddr_is_loopback(address) || acl_match(worker->config->inspect_from, address);
}

bool worker_right_gone(const struct worker *worker, nstime now)
{
    return gate_verdict(worker->config->gate, now) != GATE_ANSWER;
}

static enum server_stat type_stat(uint16_t type)
{
    switch (type) {
    case DNS_A:
        return SERVER_TYPE_A;
    case DNS_AAAA:
        return SERVER_TYPE_AAAA;
    case DNS_SRV:
        return SERVER_TYPE_SRV;
    case DNS_NS:
        return SERVER_TYPE_NS;
    case DNS_SOA:
        return SERVER_TYPE_SOA;
    case DNS_TXT:
        return SERVER_TYPE_TXT;
    case DNS_PTR:
        return SERVER_TYPE_PTR;
    case DNS_CNAME:
        return SERVER_TYPE_CNAME;
    case DNS_MX:
        return SERVER_TYPE_MX;
    case DNS_ANY:
        return SERVER_TYPE_ANY;
    case DNS_DS:
        return SERVER_TYPE_DS;
    case DNS_HTTPS:
        return SERVER_TYPE_HTTPS;
    default:
        return SERVER_TYPE_OTHER;
    }
}

static enum server_stat rcode_stat(uint16_t rcode)
{
    static_assert(SERVER_RCODE_REFUSED - SERVER_RCODE_NOERROR == DNS_REFUSED, "rcodes stand in their order");
    if (rcode <= DNS_REFUSED)
        return (enum server_stat)(SERVER_RCODE_NOERROR + rcode);
    return rcode == DNS_BADVERS ? SERVER_RCODE_BADVERS : SERVER_RCODE_OTHER;
}

static enum server_stat reason_stat(enum answer_reason reason)
{
    static const enum server_stat stats[ANSWER_REASONS] = {
        [ANSWER_OK] = SERVER_ANSWERS_CURRENT,
        [ANSWER_DROPPED_SHORT] = SERVER_DROPS_SHORT,
        [ANSWER_DROPPED_RESPONSE] = SERVER_DROPS_RESPONSE,
        [ANSWER_FORMERR] = SERVER_MALFORMED_FORMERR,
        [ANSWER_NOTIMP] = SERVER_MALFORMED_NOTIMP,
        [ANSWER_BADVERS] = SERVER_MALFORMED_BADVERS,
        [ANSWER_NOT_OURS] = SERVER_REFUSED_NOT_OURS,
        [ANSWER_NOT_PRIMARY] = SERVER_REFUSED_NOT_PRIMARY,
        [ANSWER_NOT_READY] = SERVER_REFUSED_NOT_READY,
        [ANSWER_EXPIRED] = SERVER_REFUSED_EXPIRED,
        [ANSWER_PROHIBITED] = SERVER_REFUSED_PROHIBITED,
        [ANSWER_STALE] = SERVER_ANSWERS_STALE,
        [ANSWER_ASK] = SERVER_PARKED_ALL,
        [ANSWER_ASK_FAILED] = SERVER_REFUSED_ASK_FAILED,
        [ANSWER_ASK_LATE] = SERVER_REFUSED_ASK_LATE,
        [ANSWER_ASK_REFUSED] = SERVER_REFUSED_ASK_REFUSED,
        [ANSWER_PEER] = SERVER_PEER_MESSAGES,
        [ANSWER_PEER_FULL] = SERVER_DROPS_PEER,
        [ANSWER_DEFERRED] = SERVER_MALFORMED_NOTIMP, /* never what a reply is */
        [ANSWER_BAD_TSIG] = SERVER_REFUSED_TSIG,
        [ANSWER_BUSY] = SERVER_REFUSED_BUSY,
        [ANSWER_MAIN] = SERVER_UPDATES_TAKEN,
        [ANSWER_UPDATE] = SERVER_UPDATES_ANSWERED,
        [ANSWER_UPDATE_FULL] = SERVER_REFUSED_UPDATE_FULL,
    };
    static_assert(ANSWER_REASONS == ANSWER_UPDATE_FULL + 1, "a new reason wants its counter here");
    return stats[reason];
}

struct answer_result worker_answer(struct worker *worker, const struct answer_env *env,
                                   const struct sockaddr_storage *client, const uint8_t *query, size_t len,
                                   uint8_t *out, size_t out_max)
{
    static const struct sockaddr_storage nobody;
    const struct server_special *special = &worker->config->special;
    struct answer_result result = answer(env, query, len, out, out_max);
    if (result.reason != ANSWER_DEFERRED)
        return result;
    return special->answer(special->arg, env, client ? client : &nobody, query, len, out, out_max, NULL);
}

static void count_zone(const struct zone *zone, uint64_t queries)
{
    if (zone)
        atomic_fetch_add_explicit(&zone_state(zone)->queries, queries, memory_order_relaxed);
}

void worker_count_outcome(struct worker *worker, const struct answer_result *result)
{
    stat_add(worker, reason_stat(result->reason), 1);
    if (result->len)
        stat_add(worker, rcode_stat(result->rcode), 1);
    if (result->truncated)
        stat_add(worker, SERVER_TRUNCATED, 1);
}

void worker_count(struct worker *worker, enum transport transport, const struct answer_result *results,
                  size_t count)
{
    const struct zone *zone = NULL;
    uint64_t of_zone = 0;
    stat_add(worker, (enum server_stat)(SERVER_QUERIES_UDP4 + transport), count);
    for (size_t i = 0; i < count; i++) {
        const struct answer_result *result = &results[i];
        worker_count_outcome(worker, result);
        if (result->qtype)
            stat_add(worker, type_stat(result->qtype), 1);
        /* A zone's counter is shared by all workers: a run of queries to one zone touches it once. */
        if (result->zone != zone) {
            count_zone(zone, of_zone);
            zone = result->zone;
            of_zone = 0;
        }
        of_zone++;
    }
    count_zone(zone, of_zone);
}

bool worker_logs(const struct worker *worker)
{
    return query_log_on(worker->config->query_log);
}

void worker_log(struct worker *worker, enum transport transport, const struct sockaddr_storage *client,
                const uint8_t *query, size_t len, const uint8_t *reply, const struct answer_result *result)
{
    if (result->reason == ANSWER_ASK || result->reason == ANSWER_MAIN || result->reason == ANSWER_PEER ||
        result->reason == ANSWER_PEER_FULL)
        return; /* it waits: logged once it is answered; and what instances tell each other is no query */
    int taken = query_log_take(worker->config->query_log, worker->index, &worker->rng, client,
                               transport >= TRANSPORT_TCP4, query, len, reply, result);
    if (taken)
        stat_add(worker, taken > 0 ? SERVER_QUERY_LOG_TAKEN : SERVER_QUERY_LOG_LOST, 1);
}

int worker_watch(struct worker *worker, struct source *source, uint32_t events)
{
    return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, source->fd,
                     &(struct epoll_event){.events = events, .data.ptr = source});
}

static void woken(struct worker *worker, struct source *source, uint32_t events)
{
    uint64_t ignored;
    (void)worker, (void)events;
    if (read(source->fd, &ignored, sizeof(ignored)) < 0)
        return; /* somebody else's wake-up; `stop` is looked at in any case */
}

int worker_open(struct worker *worker, const struct server_config *config, unsigned index, struct err *err)
{
    worker->config = config;
    worker->index = index;
    worker->wake.ready = woken;
    rng_seed(&worker->rng);
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    worker->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (worker->epoll < 0 || worker->wake.fd < 0 || worker_watch(worker, &worker->wake, EPOLLIN) != 0)
        return err_set(err, "cannot create a worker's event loop: %s", strerror(errno));
    worker->udp = udp_new(worker, err);
    worker->tcp = worker->udp ? tcp_new(worker, err) : NULL;
    if (!worker->tcp)
        return -1;
    if (config->desk && !(worker->parked = parked_new(worker, err)))
        return -1;
    worker->question = parked_question(worker->parked);
    if (config->inbox && !(worker->handed = handed_new(worker, err)))
        return -1;
    return 0;
}

void worker_close(struct worker *worker)
{
    if (worker->tcp)
        tcp_free(worker);
    udp_free(worker->udp);
    parked_free(worker->parked);
    handed_free(worker->handed);
    if (worker->wake.fd >= 0)
        close(worker->wake.fd);
    if (worker->epoll >= 0)
        close(worker->epoll);
}

static nstime tidy(struct worker *worker)
{
    nstime parked = parked_tidy(worker), tcp = tcp_tidy(worker);
    return parked < tcp ? parked : tcp;
}

/* Waits and handles what came. No pointer of the snapshot is held while it sleeps. */
static void turn(struct worker *worker, nstime longest)
{
    struct epoll_event events[EVENTS_A_TURN];
    nstime ms = longest / NS_PER_MS + 1;
    int timeout = longest == NS_NEVER ? -1 : ms > 60000 ? 60000 : (int)ms;
    int count = epoll_wait(worker->epoll, events, EVENTS_A_TURN, timeout);
    rcu_online(worker->rcu);
    for (int i = 0; i < count; i++) {
        struct source *source = events[i].data.ptr;
        if (source->fd >= 0) /* an earlier event of this turn may have closed it */
            source->ready(worker, source, events[i].events);
    }
    rcu_offline(worker->rcu);
}

void *worker_run(void *arg)
{
    struct worker *worker = arg;
    worker->rcu = rcu_register();
    while (!atomic_load_explicit(&worker->stop, memory_order_acquire))
        turn(worker, tidy(worker));

    nstime end = clock_boot() + DRAIN_TIME, now;
    rcu_online(worker->rcu);
    udp_stop(worker);
    rcu_offline(worker->rcu);
    while (tcp_stop(worker) > 0 && (now = clock_boot()) < end) {
        nstime next = tidy(worker);
        turn(worker, next < end - now ? next : end - now);
    }
    rcu_unregister(worker->rcu);
    return NULL;
}
