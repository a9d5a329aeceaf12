/* Whether a transfer may be, what it consists of, and its first message. */
#include "internal.h"

#include "lictor/dns.h"
#include "lictor/wire.h"

#include <string.h>

/* The serial that an IXFR client has: its SOA in the authority section (RFC 1995 section 3). at: behind the
 * question. False: it is not there, or not what it should be. */
static bool client_serial(const struct exchange *exchange, const struct query *query, uint32_t *serial)
{
    const uint8_t *msg = exchange->msg;
    size_t at = DNS_HEADER_LEN + query->question_len, len = exchange->len;
    uint8_t name[NAME_MAX_WIRE];
    if (name_from_wire(msg, len, &at, name) < 0 || !name_equal(name, query->name) || at + 10 > len ||
        get16(msg + at) != DNS_SOA || get16(msg + at + 2) != DNS_IN)
        return false;
    size_t end = at + 10 + get16(msg + at + 8);
    at += 10;
    /* Two names, which may be compressed, and five numbers; nothing behind them. */
    if (end > len || name_from_wire(msg, end, &at, name) < 0 || name_from_wire(msg, end, &at, name) < 0 ||
        at + 20 != end)
        return false;
    *serial = get32(msg + at);
    return true;
}

/* RFC 5936 section 2.1, RFC 1995 section 3. */
static bool well_formed(const struct answer_env *env, const struct exchange *exchange,
                        const struct query *query, uint32_t *serial)
{
    unsigned answers = get16(exchange->msg + 6), authority = get16(exchange->msg + 8);
    if (query->type == DNS_AXFR) /* section 4.2: there is none over UDP */
        return env->tcp && answers == 0 && authority == 0;
    return answers == 0 && authority == 1 && client_serial(exchange, query, serial);
}

/* May this client have the zone? If so, *version is what to give it. */
static bool permitted(const struct answer_env *env, const struct exchange *exchange,
                      const struct query *query, const struct zone *zone, const struct zone **version,
                      struct outcome *outcome)
{
    if (!zone || zone_kind(zone) == ZONE_INSPECT || query->name_len != name_len(zone_apex(zone))) {
        outcome_set(outcome, DNS_NOTAUTH, ANSWER_NOT_OURS, DNS_EDE_NOT_AUTHORITATIVE,
                    "no zone of this server begins at this name");
        return false;
    }
    if (!policy_allows(exchange->policy, zone_apex(zone), exchange->client, exchange->key)) {
        outcome_set(outcome, DNS_REFUSED, ANSWER_PROHIBITED, DNS_EDE_PROHIBITED,
                    exchange->key ? "neither your address nor your key is in this zone's `transfer`"
                                  : "your address is not in this zone's `transfer`");
        return false;
    }
    if (zone_kind(zone) == ZONE_CATALOG && !gate_may_act(env->gate, env->now)) {
        const char *primary = snapshot_text(env->snapshot)->primary;
        outcome_set(outcome, DNS_REFUSED, ANSWER_NOT_PRIMARY, DNS_EDE_NOT_AUTHORITATIVE,
                    primary ? primary : "this zone is transferred from the primary, which this is not");
        return false;
    }
    *version = zone_transfer(zone);
    if (!*version || !zone_soa(*version)) {
        outcome_set(outcome, DNS_SERVFAIL, ANSWER_NOT_READY, DNS_EDE_NOT_READY,
                    "there is no version of this zone to transfer yet");
        return false;
    }
    return true;
}

static struct source *choose(const struct query *query, struct zone *zone, uint32_t serial,
                             enum transfer_kind *kind)
{
    *kind = TRANSFER_AXFR;
    if (query->type == DNS_AXFR)
        return source_whole(zone);
    *kind = TRANSFER_IXFR_CURRENT;
    if (!serial_is_later(zone_serial(zone), serial))
        return source_soa(zone);
    struct source *source = source_differences(zone, serial);
    *kind = source ? TRANSFER_IXFR : TRANSFER_IXFR_WHOLE;
    return source ? source : source_whole(zone);
}

static enum transfer_kind kind_of(const struct query *query)
{
    return query->type == DNS_AXFR ? TRANSFER_AXFR : TRANSFER_IXFR;
}

/* Writes as many records as are to be in the first message. */
static void fill(struct source *source, struct reply *reply, size_t limit)
{
    struct writer writer;
    const struct record *record;
    writer_begin(&writer, reply->out, reply->pos, limit, DNS_HEADER_LEN);
    while ((record = source_peek(source)) && writer_put(&writer, record))
        source_advance(source);
    reply->pos = writer.pos;
    reply->answers = writer.records;
}

void transfer_begin(void *arg, const struct answer_env *env, const struct query *query,
                    const struct zone *zone, struct reply *reply, struct outcome *outcome)
{
    struct exchange *exchange = arg;
    const struct zone *found;
    uint32_t serial = 0;
    if (!well_formed(env, exchange, query, &serial)) {
        outcome_set(outcome, DNS_FORMERR, ANSWER_FORMERR, DNS_EDE_NONE, "");
        return;
    }
    if (!permitted(env, exchange, query, zone, &found, outcome)) {
        transfer_count(exchange->transfers, kind_of(query), TRANSFER_REFUSED);
        return;
    }
    struct zone *version = (struct zone *)(uintptr_t)found; /* only its count changes */
    enum transfer_kind kind;
    size_t start = reply->pos;
    struct source *source = choose(query, version, serial, &kind);
    reply->authoritative = true;
    fill(source, reply, env->tcp && reply->limit > TRANSFER_MESSAGE ? TRANSFER_MESSAGE : reply->limit);
    if (!source_peek(source)) {
        source_free(source);
        transfer_count(exchange->transfers, kind, TRANSFER_SENT);
        return;
    }
    if (!env->tcp) { /* RFC 1995 section 2: the SOA alone, which sends the client to TCP */
        source_free(source);
        source = source_soa(version);
        reply->pos = start;
        fill(source, reply, reply->limit);
        source_free(source);
        transfer_count(exchange->transfers, TRANSFER_IXFR_TCP, TRANSFER_SENT);
        return;
    }
    exchange->stream =
        stream_new(exchange->transfers, kind, source, zone_kind(zone) == ZONE_CATALOG, env->now);
    if (exchange->stream)
        return;
    reply->pos = start;
    reply->answers = 0;
    reply->authoritative = false;
    transfer_count(exchange->transfers, kind, TRANSFER_BUSY);
    outcome_set(outcome, DNS_SERVFAIL, ANSWER_BUSY, DNS_EDE_OTHER,
                "as many transfers as this server allows are under way; try again");
}
