/* The query engine's front: what may be asked, who may ask, and the frame of the reply. */
#include "lictor/answer.h"

#include "lookup.h"

#include <string.h>

#define FLAG_QR 0x8000
#define FLAG_AA 0x0400
#define FLAG_TC 0x0200
#define FLAG_RD 0x0100
#define OPCODE  0x7800

#define OPCODE_NOTIFY (DNS_NOTIFY << 11)

/* Header, the longest question, a bare OPT: what every reply has room for. */
#define RESERVED_MIN (DNS_HEADER_LEN + NAME_MAX_WIRE + 4 + 11)

/* --- names of the server itself (RFC 4892) ------------------------------------------------------------ */

static const char *chaos_text(const struct snapshot_text *text, const struct query *query)
{
    static const struct {
        uint8_t name[17];
        bool version;
    } names[] = {
        {"\2id\6server", false},
        {"\10hostname\4bind", false},
        {"\7version\4bind", true},
        {"\7version\6server", true},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (name_equal(query->name, names[i].name))
            return names[i].version ? text->version : text->node;
    return NULL;
}

static void answer_chaos(const struct answer_env *env, const struct query *query, struct reply *reply,
                         struct outcome *outcome)
{
    const char *text = chaos_text(snapshot_text(env->snapshot), query);
    if (!text) {
        outcome_set(outcome, DNS_REFUSED, ANSWER_NOT_OURS, DNS_EDE_NOT_AUTHORITATIVE,
                    "in class CH only id.server and version.bind");
        return;
    }
    if (!env->inspect) {
        outcome_set(outcome, DNS_REFUSED, ANSWER_PROHIBITED, DNS_EDE_PROHIBITED,
                    "answered to loopback and inspect-from only");
        return;
    }
    outcome_set(outcome, DNS_NOERROR, ANSWER_OK, DNS_EDE_NONE, "");
    reply->authoritative = true;
    if (query->type != DNS_TXT && query->type != DNS_ANY)
        return;
    uint8_t rdata[256];
    size_t len = strlen(text);
    if (len > 255)
        len = 255;
    rdata[0] = (uint8_t)len;
    memcpy(rdata + 1, text, len);
    if (!reply_record(reply, &reply->answers, DNS_HEADER_LEN, DNS_TXT, DNS_CH, 0, rdata, 1 + len))
        reply->truncated = true;
}

/* --- zones ------------------------------------------------------------------------------------------ */

/* For how long a copy of the zone is good: the SOA's EXPIRE, and on an instance that has itself not heard of
 * the zone for a while what is left of that (RFC 7314 section 2). */
static void tell_expire(const struct answer_env *env, const struct query *query, const struct zone *zone,
                        struct reply *reply)
{
    bool asked = query->type == DNS_SOA || query->type == DNS_AXFR || query->type == DNS_IXFR;
    if (!query->expire || !asked || !reply->answers || query->name_len != name_len(zone_apex(zone)))
        return;
    nstime dead = zone_state(zone) ? atomic_load_explicit(&zone_state(zone)->dead_from, memory_order_relaxed)
                                   : NS_NEVER;
    uint32_t seconds = zone_soa_expire(zone);
    if (dead != NS_NEVER && (dead - env->now) / NS_PER_S < seconds)
        seconds = (uint32_t)((dead - env->now) / NS_PER_S);
    reply->expire = true;
    reply->expire_seconds = seconds;
}

static void copy_permit(struct outcome *outcome, const struct permit *permit)
{
    outcome->rcode = (uint16_t)permit->rcode;
    outcome->reason = permit->reason;
    outcome->note.ede = permit->note.ede;
    outcome->note.text_len = permit->note.text_len;
    memcpy(outcome->note.text, permit->note.text, permit->note.text_len);
}

static bool is_transfer(const struct query *query)
{
    return query->type == DNS_AXFR || query->type == DNS_IXFR;
}

static void transfer_zone(const struct answer_env *env, const struct query *query, const struct zone *zone,
                          struct reply *reply, struct outcome *outcome, struct answer_result *result)
{
    struct permit permit = {.rcode = DNS_NOERROR};
    if (!env->transfer) {
        outcome_set(outcome, DNS_REFUSED, ANSWER_PROHIBITED, DNS_EDE_PROHIBITED,
                    "zone transfer is not allowed");
        return;
    }
    if (zone) {
        permit_check(&permit, env, zone);
        copy_permit(outcome, &permit);
        result->gated = permit.gated;
    }
    if (!permit.rcode)
        env->transfer->begin(env->transfer->arg, env, query, zone, reply, outcome);
    if (!outcome->rcode)
        tell_expire(env, query, zone, reply);
}

static void answer_zone(const struct answer_env *env, const struct query *query, struct reply *reply,
                        struct outcome *outcome, struct answer_result *result)
{
    const struct zone *zone = lookup_zone(env->snapshot, query->name, query->type);
    result->zone = zone;
    if (is_transfer(query)) {
        transfer_zone(env, query, zone, reply, outcome, result);
        return;
    }
    if (!zone) {
        outcome_set(outcome, DNS_REFUSED, ANSWER_NOT_OURS, DNS_EDE_NOT_AUTHORITATIVE,
                    "no zone of this server");
        return;
    }
    struct permit permit;
    permit_check(&permit, env, zone);
    if (!permit.rcode) {
        reply_set_aside(reply, query, &permit.note, snapshot_text(env->snapshot)->node);
        permit.rcode = lookup(env, query, zone, &permit, reply);
        /* Without any record it would look like NODATA. */
        if (reply->answers && zone_manner(zone)->no_tc)
            reply->truncated = false;
        result->gated = permit.gated;
        tell_expire(env, query, zone, reply);
    }
    copy_permit(outcome, &permit);
}

/* --- the frame -------------------------------------------------------------------------------------- */

static size_t size_limit(const struct answer_env *env, const struct query *query, size_t out_max)
{
    size_t limit = ANSWER_TCP_MAX;
    if (!env->tcp) {
        limit = env->udp_max < query->udp_size ? env->udp_max : query->udp_size;
        if (limit < DNS_UDP_MIN || !query->edns)
            limit = DNS_UDP_MIN;
    }
    if (limit > out_max)
        limit = out_max;
    /* A signature with a very long key name may then take a reply above 512 octets. */
    return limit - env->reserve > RESERVED_MIN ? limit - env->reserve : RESERVED_MIN;
}

static void write_header(struct reply *reply, const uint8_t *query, uint16_t flags, unsigned rcode,
                         bool question)
{
    flags = FLAG_QR | (flags & (OPCODE | FLAG_RD)) | (reply->authoritative ? FLAG_AA : 0) |
            (reply->truncated ? FLAG_TC : 0) | (rcode & 15);
    memcpy(reply->out, query, 2);
    put16(reply->out + 2, flags);
    put16(reply->out + 4, question);
    put16(reply->out + 6, reply->answers);
    put16(reply->out + 8, reply->authority);
    put16(reply->out + 10, reply->additional);
}

/* Fills in all but the header. */
static void respond(const struct answer_env *env, const struct query *query, enum dns_rcode parsed,
                    struct reply *reply, struct outcome *outcome, struct answer_result *result)
{
    outcome->note.ede = DNS_EDE_NONE;
    outcome->note.text_len = 0;
    reply_set_aside(reply, query, &outcome->note, snapshot_text(env->snapshot)->node);
    if (parsed)
        outcome_set(outcome, DNS_FORMERR, ANSWER_FORMERR, DNS_EDE_NONE, "");
    else if (query->edns_version > 0)
        outcome_set(outcome, DNS_BADVERS, ANSWER_BADVERS, DNS_EDE_NONE, "");
    else if (env->known)
        *outcome = *env->known;
    else if (query->class == DNS_CH)
        answer_chaos(env, query, reply, outcome);
    else if (query->class != DNS_IN)
        outcome_set(outcome, DNS_REFUSED, ANSWER_NOT_OURS, DNS_EDE_NOT_AUTHORITATIVE,
                    "only classes IN and CH");
    else
        answer_zone(env, query, reply, outcome, result);
    reply_opt(reply, query, outcome->rcode, &outcome->note, snapshot_text(env->snapshot)->node, env->udp_max);
}

struct answer_result answer(const struct answer_env *env, const uint8_t *msg, size_t len, uint8_t *out,
                            size_t out_max)
{
    struct answer_result result = {.ede = DNS_EDE_NONE};
    struct reply reply = {.out = out, .pos = DNS_HEADER_LEN};
    if (len < DNS_HEADER_LEN || out_max < DNS_UDP_MIN) {
        result.reason = ANSWER_DROPPED_SHORT;
        return result;
    }
    uint16_t flags = get16(msg + 2);
    if (flags & FLAG_QR) { /* answering answers would let two servers talk for ever */
        result.reason = ANSWER_DROPPED_RESPONSE;
        return result;
    }
    if (env->defer && (flags & OPCODE) == OPCODE_NOTIFY) {
        result.reason = ANSWER_DEFERRED;
        return result;
    }
    if (flags & OPCODE && !env->known) { /* RFC 8906 section 3.1.4: the header alone, whatever follows may not
                                            be what it seems */
        write_header(&reply, msg, flags, DNS_NOTIMP, false);
        result.len = DNS_HEADER_LEN;
        result.rcode = DNS_NOTIMP;
        result.reason = ANSWER_NOTIMP;
        return result;
    }
    struct query query;
    struct outcome outcome;
    enum dns_rcode parsed = query_parse(&query, msg, len);
    if (env->defer && !parsed && (query.is_signed || is_transfer(&query))) {
        result.reason = ANSWER_DEFERRED;
        return result;
    }
    reply.max = size_limit(env, &query, out_max);
    if (query.has_question) { /* byte for byte: its case is the resolver's own (0x20) */
        memcpy(out + reply.pos, msg + DNS_HEADER_LEN, query.question_len);
        reply.pos += query.question_len;
        result.qtype = query.type;
    }
    respond(env, &query, parsed, &reply, &outcome, &result);
    if (outcome.reason == ANSWER_ASK) {
        result.reason = ANSWER_ASK;
        result.gated = false;
        return result;
    }
    write_header(&reply, msg, flags, outcome.rcode, query.has_question);
    result.len = reply.pos;
    result.rcode = outcome.rcode;
    result.reason = outcome.reason;
    result.ede = outcome.note.ede;
    result.truncated = reply.truncated;
    return result;
}
