/* What the query engine leaves to others: signatures, transfers, NOTIFY. */
#include "internal.h"

#include "lictor/dns.h"
#include "lictor/rcu.h"
#include "lictor/tsig.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- one query -------------------------------------------------------------------------------------- */

static bool is_notify(const uint8_t *msg)
{
    return (msg[2] >> 3 & 15) == DNS_NOTIFY;
}

/* The engine writes the frame of every reply; signing it is the last step. */
static struct answer_result respond(const struct answer_env *env, struct exchange *exchange, uint8_t *out,
                                    size_t out_max)
{
    struct answer_transfer transfer = {transfer_begin, exchange};
    struct answer_env inner = *env;
    struct outcome refused;
    inner.defer = false;
    inner.transfer = &transfer;
    inner.reserve = exchange->key ? (uint16_t)tsig_size(exchange->key) : 0;
    if (is_notify(exchange->msg)) { /* RFC 1996 section 3.10 speaks of secondaries, which this is not */
        outcome_set(&refused, DNS_REFUSED, ANSWER_PROHIBITED, DNS_EDE_PROHIBITED,
                    "this server is no secondary: it takes no NOTIFY");
        inner.known = &refused;
    }
    return answer(&inner, exchange->msg, exchange->len, out, out_max);
}

/* A query whose signature is not right (RFC 8945 section 5.2), or not well-formed. */
static struct answer_result refuse(const struct answer_env *env, struct exchange *exchange,
                                   const struct tsig_key *key, const struct tsig *tsig, enum tsig_error error,
                                   uint8_t *out, size_t out_max)
{
    struct answer_env inner = *env;
    struct outcome outcome;
    outcome_set(&outcome, tsig ? DNS_NOTAUTH : DNS_FORMERR, tsig ? ANSWER_BAD_TSIG : ANSWER_FORMERR,
                DNS_EDE_NONE, "");
    inner.defer = false;
    inner.known = &outcome;
    struct answer_result result = answer(&inner, exchange->msg, exchange->len, out, out_max);
    /* Whose address it is, nobody has proved: with the longest of names the answer would be several times as
     * long as the query. */
    bool proved = error == TSIG_BADTIME || error == TSIG_BADTRUNC;
    size_t most = env->tcp || proved || out_max < DNS_UDP_MIN ? out_max : DNS_UDP_MIN;
    if (tsig && result.len && tsig_refuse(out, &result.len, most, key, tsig, error, clock_real()))
        result.len = 0;
    return result;
}

static struct answer_result special_answer(void *arg, const struct answer_env *env,
                                           const struct sockaddr_storage *client, const uint8_t *msg,
                                           size_t len, uint8_t *out, size_t out_max,
                                           struct server_stream **stream)
{
    struct transfers *transfers = arg;
    struct exchange exchange = {
        .transfers = transfers,
        .policy = atomic_load_explicit(&transfers->policy, memory_order_acquire),
        .client = client,
        .msg = msg,
        .len = len,
    };
    struct tsig tsig;
    struct tsig_mac mac;
    enum tsig_found found = tsig_find(msg, len, &tsig);
    if (found == TSIG_MALFORMED)
        return refuse(env, &exchange, NULL, NULL, TSIG_OK, out, out_max);
    if (found == TSIG_FOUND) {
        const struct tsig_key *key = policy_key(exchange.policy, tsig.key);
        enum tsig_error error =
            key ? tsig_verify(key, msg, &tsig, NULL, TSIG_WHOLE, clock_real()) : TSIG_BADKEY;
        if (error != TSIG_OK)
            return refuse(env, &exchange, key, &tsig, error, out, out_max);
        exchange.key = key;
    }
    struct answer_result result = respond(env, &exchange, out, out_max);
    bool failed =
        exchange.key && result.len &&
        tsig_sign(out, &result.len, out_max, exchange.key, &tsig.mac, TSIG_WHOLE, clock_real(), &mac);
    if (failed)
        result.len = 0;
    if (exchange.stream && !failed && stream) {
        stream_set_frame(exchange.stream, out, exchange.key, &mac);
        *stream = exchange.stream;
    } else if (exchange.stream) {
        stream_end(exchange.stream, false);
    }
    return result;
}

/* --- all of them ------------------------------------------------------------------------------------ */

struct transfers *transfers_new(void)
{
    return xcalloc(1, sizeof(struct transfers));
}

void transfers_free(struct transfers *transfers)
{
    if (!transfers)
        return;
    transfer_policy_free(atomic_load(&transfers->policy));
    free(transfers);
}

static void free_policy(void *arg)
{
    transfer_policy_free(arg);
}

void transfers_set_policy(struct transfers *transfers, struct transfer_policy *policy)
{
    struct transfer_policy *old = atomic_exchange_explicit(&transfers->policy, policy, memory_order_acq_rel);
    if (old)
        rcu_defer(free_policy, old);
}

struct server_special transfers_special(struct transfers *transfers)
{
    return (struct server_special){special_answer, stream_next, stream_end, transfers};
}

/* --- counters ---------------------------------------------------------------------------------------- */

void transfer_count(struct transfers *transfers, enum transfer_kind kind, enum transfer_result result)
{
    atomic_fetch_add_explicit(&transfers->counts[kind][result], 1, memory_order_relaxed);
}

void transfers_counters(const struct transfers *transfers, struct transfer_counters *out)
{
    for (int kind = 0; kind < TRANSFER_KINDS; kind++)
        for (int result = 0; result < TRANSFER_RESULTS; result++)
            out->value[kind][result] =
                atomic_load_explicit(&transfers->counts[kind][result], memory_order_relaxed);
    out->running = atomic_load_explicit(&transfers->running, memory_order_relaxed);
}

void transfers_print(const struct transfers *transfers, struct buf *out)
{
    static const char *const kinds[TRANSFER_KINDS] = {
        [TRANSFER_AXFR] = "axfr",
        [TRANSFER_IXFR] = "ixfr",
        [TRANSFER_IXFR_WHOLE] = "ixfr_whole_zone",
        [TRANSFER_IXFR_CURRENT] = "ixfr_up_to_date",
        [TRANSFER_IXFR_TCP] = "ixfr_too_big_for_udp",
    };
    static const char *const results[TRANSFER_RESULTS] = {
        [TRANSFER_SENT] = "sent",
        [TRANSFER_ABORTED] = "aborted",
        [TRANSFER_REFUSED] = "refused",
        [TRANSFER_BUSY] = "busy",
    };
    struct transfer_counters counters;
    transfers_counters(transfers, &counters);
    buf_puts(out, "# HELP lictor_transfers_total Zone transfers out, by what they were and how they ended.\n"
                  "# TYPE lictor_transfers_total counter\n");
    for (int kind = 0; kind < TRANSFER_KINDS; kind++)
        for (int result = 0; result < TRANSFER_RESULTS; result++)
            buf_printf(out, "lictor_transfers_total{type=\"%s\",result=\"%s\"} %" PRIu64 "\n", kinds[kind],
                       results[result], counters.value[kind][result]);
    buf_printf(out,
               "# HELP lictor_transfers_running Zone transfers under way.\n"
               "# TYPE lictor_transfers_running gauge\nlictor_transfers_running %u\n",
               counters.running);
}
