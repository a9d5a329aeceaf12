/* UPDATE on main: from the message to the store, or to the primary, and back. */
#include "forward.h"
#include "update_policy.h"

#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/query.h"
#include "lictor/reply.h"
#include "lictor/strmap.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REMEMBER_FOR (30 * NS_PER_S)
#define UDP_SIZE     1232
#define REPLY_MAX    4096 /* a header, the zone, EDNS with a text, a signature: half of it */
#define AUTHOR       127

/* A message that waits for its answer. */
struct asker {
    TAILQ_ENTRY(asker) link;
    struct updates *updates;
    struct inbox_message *message;
    struct sockaddr_storage client;
    bool tcp;           /* the client's */
    const uint8_t *msg; /* the client's message, within `message` */
    size_t len;
    bool forwarded;     /* by another instance: the reply goes to it, in a message signed for it */
    struct tsig origin; /* of that one */
    bool is_signed;
    struct tsig tsig;           /* the client's */
    const struct tsig_key *key; /* its own copy, which a reload does not touch; NULL: not known */
    struct tsig_key key_copy;
    enum tsig_error signature;
    nstime until;
};

struct verdict {
    enum dns_rcode rcode;
    int ede;
    char text[256];
};

/* What is being decided, or was lately. Also the argument of the edit: the builder reads update. */
struct decision {
    TAILQ_ENTRY(decision) link;
    struct updates *updates;
    char *identity; /* in the map */
    size_t identity_len;
    struct update update;
    bool decided;
    nstime forget_at;
    struct verdict verdict;
    TAILQ_HEAD(, asker) askers;
};

enum { FORWARDED, FORWARD_FAILED, REPEATED, COUNTS };
#define RCODES 11

struct updates {
    struct event_base *base;
    struct store *store;
    struct update_policy *policy;
    void (*primary)(void *arg, struct update_primary *out);
    void *arg;
    struct forward_frame frame;
    bool has_frame;
    struct forward *forward;  /* NULL: no `peer-key` */
    struct strmap *decisions; /* by identity */
    TAILQ_HEAD(, decision) deciding;
    TAILQ_HEAD(, decision) decided; /* oldest first */
    unsigned decided_count;
    struct event *tick;
    bool stopping;
    uint64_t by_rcode[RCODES], counts[COUNTS];
};

/* --- the reply ------------------------------------------------------------------------------------------ */

/* Section 3.8: the ID, opcode and zone section of the message. Signed as it was. */
static size_t make_reply(const struct asker *asker, const struct verdict *verdict, uint8_t out[REPLY_MAX])
{
    struct query query = {0};
    struct reply_note note;
    struct reply reply = {.out = out, .pos = DNS_HEADER_LEN};
    size_t tsig = asker->key ? tsig_size(asker->key) : asker->is_signed ? 2 * NAME_MAX_WIRE + 64 : 0;
    query_parse(&query, asker->msg, asker->len);
    reply.max = asker->tcp ? REPLY_MAX : query.udp_size < UDP_SIZE ? query.udp_size : UDP_SIZE;
    /* A signature with a very long name may take a reply above what the client said. */
    reply.max = reply.max > tsig + 300 ? reply.max - tsig : 300;
    memset(out, 0, DNS_HEADER_LEN);
    memcpy(out, asker->msg, 2);
    put16(out + 2, 0x8000u | DNS_UPDATE << 11 | (verdict->rcode & 15));
    if (query.has_question) {
        put16(out + 4, 1);
        memcpy(out + reply.pos, asker->msg + DNS_HEADER_LEN, query.question_len);
        reply.pos += query.question_len;
    }
    reply_note(&note, verdict->ede, verdict->text);
    reply_set_aside(&reply, &query, &note, NULL);
    reply_opt(&reply, &query, (uint16_t)verdict->rcode, &note, NULL, UDP_SIZE);
    put16(out + 10, reply.additional);
    size_t len = reply.pos;
    int failed = 0;
    /* Who has proved nothing may stand for somebody else, and gets no long answer. */
    bool proved = asker->signature == TSIG_BADTIME || asker->signature == TSIG_BADTRUNC;
    size_t most = asker->tcp || proved ? REPLY_MAX : DNS_UDP_MIN;
    if (asker->signature != TSIG_OK)
        failed = tsig_refuse(out, &len, most, asker->key, &asker->tsig, asker->signature, clock_real());
    else if (asker->key)
        failed =
            tsig_sign(out, &len, REPLY_MAX, asker->key, &asker->tsig.mac, TSIG_WHOLE, clock_real(), NULL);
    return failed ? 0 : len;
}

static void free_asker(struct asker *asker)
{
    explicit_bzero(&asker->key_copy, sizeof asker->key_copy);
    free(asker);
}

/* Gives a reply to the client, or to who forwarded its message. */
static void send_reply(struct asker *asker, const uint8_t *reply, size_t len)
{
    struct inbox_message *message = asker->message;
    struct buf out = {0};
    if (asker->forwarded)
        forward_wrap_reply(&asker->updates->frame, message->msg, &asker->origin, TSIG_OK,
                           len ? DNS_NOERROR : DNS_SERVFAIL, reply, len, &out);
    else
        buf_append(&out, reply, len);
    message->reply_len = out.len;
    message->reply = out.data;
    inbox_reply(message);
    free_asker(asker);
}

static const char *client_text(const struct asker *asker, char out[SOCKADDR_TEXT])
{
    return sockaddr_format(&asker->client, out);
}

static void answer_asker(struct asker *asker, const struct verdict *verdict)
{
    uint8_t reply[REPLY_MAX];
    char client[SOCKADDR_TEXT], key[NAME_MAX_TEXT], rcode[16];
    asker->message->rcode = (uint16_t)verdict->rcode;
    asker->message->ede = verdict->ede;
    if (verdict->rcode < RCODES)
        asker->updates->by_rcode[verdict->rcode]++;
    log_debug("update: %s, key %s: %s%s%s", client_text(asker, client),
              asker->is_signed ? name_to_text(asker->tsig.key, key) : "none",
              dns_rcode_text((uint16_t)verdict->rcode, rcode), verdict->text[0] ? ": " : "", verdict->text);
    size_t len = make_reply(asker, verdict, reply);
    send_reply(asker, reply, len);
}

static struct verdict verdict_of(enum dns_rcode rcode, int ede, const char *text)
{
    struct verdict verdict = {.rcode = rcode, .ede = ede};
    snprintf(verdict.text, sizeof verdict.text, "%s", text ? text : "");
    return verdict;
}

static void refuse(struct asker *asker, enum dns_rcode rcode, int ede, const char *text)
{
    struct verdict verdict = verdict_of(rcode, ede, text);
    answer_asker(asker, &verdict);
}

/* --- what is being decided ------------------------------------------------------------------------------ */

static void forget(struct decision *decision)
{
    struct updates *updates = decision->updates;
    strmap_remove(updates->decisions, decision->identity, decision->identity_len);
    if (decision->decided) {
        TAILQ_REMOVE(&updates->decided, decision, link);
        updates->decided_count--;
    } else {
        TAILQ_REMOVE(&updates->deciding, decision, link);
    }
    update_free(&decision->update);
    free(decision->identity);
    free(decision);
}

static void answer_all(struct decision *decision, const struct verdict *verdict)
{
    struct asker *asker;
    while ((asker = TAILQ_FIRST(&decision->askers))) {
        TAILQ_REMOVE(&decision->askers, asker, link);
        answer_asker(asker, verdict);
    }
}

/* Before anything that waits for it is answered: a repetition must find it. SERVFAIL is not remembered, since
 * the client is to try again. */
static void decide(struct decision *decision, const struct verdict *verdict)
{
    struct updates *updates = decision->updates;
    TAILQ_REMOVE(&updates->deciding, decision, link);
    TAILQ_INSERT_TAIL(&updates->decided, decision, link);
    updates->decided_count++;
    decision->decided = true;
    decision->verdict = *verdict;
    decision->forget_at = clock_boot() + REMEMBER_FOR;
    update_free(&decision->update);
    answer_all(decision, verdict);
    if (verdict->rcode == DNS_SERVFAIL)
        forget(decision);
    else if (updates->decided_count > UPDATE_REMEMBERED)
        forget(TAILQ_FIRST(&updates->decided));
}

/* The same octets are the same message, whichever way they came; unsigned ones from the same place only. */
static char *identity_of(const struct asker *asker, size_t *len)
{
    struct buf out = {0};
    if (asker->key) {
        buf_append(&out, asker->msg, 2);
        buf_append(&out, asker->tsig.key, name_len(asker->tsig.key));
        buf_append(&out, asker->tsig.mac.octets, asker->tsig.mac.len);
    } else {
        char client[SOCKADDR_TEXT];
        buf_puts(&out, client_text(asker, client));
        buf_append(&out, asker->msg, asker->len);
    }
    *len = out.len;
    return buf_steal(&out);
}

/* --- the store ------------------------------------------------------------------------------------------ */

static bool is_signed_zone(const struct zone *zone)
{
    const uint8_t *apex = zone_apex(zone);
    return zone_get(zone, apex, DNS_DNSKEY) || zone_get(zone, apex, DNS_RRSIG) ||
           zone_get(zone, apex, DNS_NSEC) || zone_get(zone, apex, DNS_NSEC3PARAM);
}

/* store_edit_fn. Builder. */
static int edit_zone(void *arg, struct zone_edit *edit, const struct zone *current, struct err *err)
{
    const struct decision *decision = arg;
    if (is_signed_zone(current)) {
        err_set(err, "the zone is signed, and UPDATE does not sign");
        return DNS_REFUSED;
    }
    enum dns_rcode rcode = update_judge(&decision->update, current, err);
    if (!rcode)
        rcode = update_apply(&decision->update, edit, current, err);
    return (int)rcode;
}

static void forward_or_fail(struct asker *asker);

static void on_committed(void *arg, const struct store_result *result)
{
    struct decision *decision = arg;
    struct verdict verdict = verdict_of(DNS_NOERROR, DNS_EDE_NONE, "");
    switch (result->outcome) {
    case STORE_COMMITTED:
    case STORE_UNCHANGED:
        break;
    case STORE_REFUSED: /* code 0: what would come out is no zone */
        verdict = verdict_of(result->code ? (enum dns_rcode)result->code : DNS_REFUSED,
                             result->code && result->code != DNS_REFUSED ? DNS_EDE_OTHER : DNS_EDE_PROHIBITED,
                             result->error);
        break;
    case STORE_NOT_PRIMARY: {
        struct asker *asker;
        while ((asker = TAILQ_FIRST(&decision->askers))) {
            TAILQ_REMOVE(&decision->askers, asker, link);
            forward_or_fail(asker);
        }
        forget(decision);
        return;
    }
    case STORE_UNKNOWN:
        verdict = verdict_of(DNS_SERVFAIL, DNS_EDE_OTHER, "it may have been done, or not: ");
        snprintf(verdict.text + strlen(verdict.text), sizeof verdict.text - strlen(verdict.text), "%s",
                 result->error ? result->error : "Consul's answer was lost");
        break;
    case STORE_FAILED:
        verdict = verdict_of(DNS_SERVFAIL, DNS_EDE_OTHER, result->error);
        break;
    }
    decide(decision, &verdict);
}

static void watch_time(struct updates *updates)
{
    if (event_pending(updates->tick, EV_TIMEOUT, NULL)) /* it would begin anew */
        return;
    event_add(updates->tick, &(struct timeval){.tv_usec = 250000});
}

/* Takes over identity and update. */
static void commit(struct asker *asker, char *identity, size_t identity_len, struct update *update)
{
    struct updates *updates = asker->updates;
    struct decision *decision = xcalloc(1, sizeof *decision);
    char author[AUTHOR + 1], client[SOCKADDR_TEXT], key[NAME_MAX_TEXT];
    decision->updates = updates;
    decision->identity = identity;
    decision->identity_len = identity_len;
    decision->update = *update;
    TAILQ_INIT(&decision->askers);
    TAILQ_INSERT_TAIL(&decision->askers, asker, link);
    TAILQ_INSERT_TAIL(&updates->deciding, decision, link);
    strmap_put(updates->decisions, decision->identity, identity_len, decision);
    client_text(asker, client);
    char *port = strrchr(client, ':'); /* many of one client share a commit, and it says nothing later */
    if (port)
        *port = '\0';
    if (asker->key)
        snprintf(author, sizeof author, "update %.60s key %.40s", client,
                 name_to_text(asker->key->name, key));
    else
        snprintf(author, sizeof author, "update %.60s", client);
    watch_time(updates);
    store_commit(updates->store, decision->update.zone, author, edit_zone, on_committed, decision);
}

/* --- the primary ---------------------------------------------------------------------------------------- */

static void forward_or_fail(struct asker *asker)
{
    struct updates *updates = asker->updates;
    struct update_primary primary = {0};
    char text[256];
    if (updates->stopping) { /* who tells the primary may be gone */
        refuse(asker, DNS_SERVFAIL, DNS_EDE_NOT_READY, "lictord is stopping");
        return;
    }
    updates->primary(updates->arg, &primary);
    if (asker->forwarded) { /* one hop */
        refuse(asker, DNS_SERVFAIL, DNS_EDE_NO_REACHABLE_AUTHORITY,
               "this instance is not primary any more; try again");
    } else if (!primary.known || primary.self) {
        refuse(asker, DNS_SERVFAIL, DNS_EDE_NO_REACHABLE_AUTHORITY,
               "there is no primary now that could change the zone; try again");
    } else if (!updates->forward) {
        snprintf(text, sizeof text,
                 "without `peer-key` nothing is forwarded: send it to the primary, %.64s at %s", primary.node,
                 primary.address);
        refuse(asker, DNS_SERVFAIL, DNS_EDE_NO_REACHABLE_AUTHORITY, text);
    } else if (!primary.address[0]) {
        snprintf(text, sizeof text, "the primary, %.64s, has no `advertise`: send it there", primary.node);
        refuse(asker, DNS_SERVFAIL, DNS_EDE_NO_REACHABLE_AUTHORITY, text);
    } else {
        forward_send(updates->forward, &primary, &asker->client, asker->tcp, asker->msg, asker->len, asker);
    }
}

static void on_forwarded(void *arg, void *what, const uint8_t *reply, size_t len, bool maybe, const char *why)
{
    struct updates *updates = arg;
    struct asker *asker = what;
    char text[256];
    updates->counts[reply ? FORWARDED : FORWARD_FAILED]++;
    if (!reply) {
        snprintf(text, sizeof text, "%s%.200s", maybe ? "it may have been done, or not: " : "", why);
        refuse(asker, DNS_SERVFAIL, DNS_EDE_NO_REACHABLE_AUTHORITY, text);
        return;
    }
    asker->message->rcode = reply[3] & 15;
    asker->message->ede = DNS_EDE_NONE;
    if (asker->message->rcode < RCODES)
        updates->by_rcode[asker->message->rcode]++;
    send_reply(asker, reply, len);
}

/* --- coming --------------------------------------------------------------------------------------------- */

/* A signature that is there is right, and known; or the message is answered. */
static bool check_signature(struct asker *asker)
{
    enum tsig_found found = tsig_find(asker->msg, asker->len, &asker->tsig);
    if (found == TSIG_MALFORMED) {
        refuse(asker, DNS_FORMERR, DNS_EDE_NONE, "");
        return false;
    }
    if (found == TSIG_NONE)
        return true;
    asker->is_signed = true;
    const struct tsig_key *key = update_policy_key(asker->updates->policy, asker->tsig.key);
    if (key) {
        asker->key_copy = *key;
        asker->key = &asker->key_copy;
    }
    asker->signature = asker->key
                           ? tsig_verify(asker->key, asker->msg, &asker->tsig, NULL, TSIG_WHOLE, clock_real())
                           : TSIG_BADKEY;
    if (asker->signature == TSIG_OK)
        return true;
    refuse(asker, DNS_NOTAUTH, DNS_EDE_NONE, "");
    return false;
}

/* Well-formed and allowed; or it is answered, and there is nothing in update. */
static bool check_request(struct asker *asker, struct update *update)
{
    struct query query;
    struct err err = {""};
    int ede = DNS_EDE_OTHER;
    enum dns_rcode rcode = update_parse(update, asker->msg, asker->len, &err);
    if (!rcode && query_parse(&query, asker->msg, asker->len))
        rcode = DNS_FORMERR;
    else if (!rcode && query.edns_version > 0)
        rcode = DNS_BADVERS;
    if (!rcode)
        rcode = update_policy_admit(asker->updates->policy, &asker->client, asker->key, update, &ede, &err);
    if (!rcode)
        return true;
    update_free(update);
    refuse(asker, rcode, ede, err.text);
    return false;
}

static void process(struct asker *asker)
{
    struct updates *updates = asker->updates;
    struct update update;
    size_t len;
    if (!check_signature(asker) || !check_request(asker, &update))
        return;
    char *identity = identity_of(asker, &len);
    struct decision *known = strmap_get(updates->decisions, identity, len);
    struct update_primary primary = {0};
    updates->primary(updates->arg, &primary);
    asker->until = clock_boot() + UPDATE_PATIENCE;
    if (known || !primary.self || !updates->store) {
        update_free(&update);
        free(identity);
    }
    if (known) {
        updates->counts[REPEATED]++;
        if (known->decided)
            answer_asker(asker, &known->verdict);
        else
            TAILQ_INSERT_TAIL(&known->askers, asker, link);
    } else if (primary.self && updates->store) {
        commit(asker, identity, len, &update);
    } else {
        forward_or_fail(asker);
    }
}

/* A message of another instance: what is in it is processed as if its client had sent it here. */
static bool unwrap(struct asker *asker)
{
    struct updates *updates = asker->updates;
    struct inbox_message *message = asker->message;
    enum tsig_error error = TSIG_OK;
    size_t at, end;
    enum dns_rcode rcode = updates->has_frame
                               ? forward_unwrap(&updates->frame, message->msg, message->len, &asker->client,
                                                &asker->tcp, &at, &end, &asker->origin, &error)
                               : DNS_REFUSED;
    asker->forwarded = true;
    if (!rcode && inbox_is_for(message->msg + at, end - at)) {
        asker->msg = message->msg + at;
        asker->len = end - at;
        return true;
    }
    struct buf out = {0};
    bool is_signed = rcode == DNS_NOTAUTH || !rcode;
    if (updates->has_frame)
        forward_wrap_reply(&updates->frame, message->msg, is_signed ? &asker->origin : NULL, error,
                           rcode ? rcode : DNS_FORMERR, NULL, 0, &out);
    message->rcode = (uint16_t)(rcode ? rcode : DNS_FORMERR);
    message->reply = out.data;
    message->reply_len = out.len;
    inbox_reply(message);
    free_asker(asker);
    return false;
}

void updates_take(void *arg, struct inbox_message *message)
{
    struct updates *updates = arg;
    struct asker *asker = xcalloc(1, sizeof *asker);
    message->ede = DNS_EDE_NONE;
    asker->updates = updates;
    asker->message = message;
    asker->client = message->client;
    asker->tcp = message->tcp;
    asker->msg = message->msg;
    asker->len = message->len;
    if (!forward_is_ours(message->msg, message->len) || unwrap(asker))
        process(asker);
}

/* --- time ----------------------------------------------------------------------------------------------- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct updates *updates = arg;
    struct decision *decision;
    nstime now = clock_boot();
    (void)fd, (void)what;
    struct verdict late = verdict_of(DNS_SERVFAIL, DNS_EDE_OTHER,
                                     "it may have been done, or not: Consul has not confirmed it in 5 s");
    TAILQ_FOREACH(decision, &updates->deciding, link)
    {
        for (struct asker *asker = TAILQ_FIRST(&decision->askers), *next; asker; asker = next) {
            next = TAILQ_NEXT(asker, link);
            if (asker->until > now)
                continue;
            TAILQ_REMOVE(&decision->askers, asker, link);
            answer_asker(asker, &late);
        }
    }
    while ((decision = TAILQ_FIRST(&updates->decided)) && decision->forget_at <= now)
        forget(decision);
    if (TAILQ_EMPTY(&updates->deciding) && TAILQ_EMPTY(&updates->decided))
        event_del(updates->tick);
}

/* --- life ----------------------------------------------------------------------------------------------- */

struct updates *updates_new(const struct updates_config *config, struct err *err)
{
    struct updates *updates = xcalloc(1, sizeof *updates);
    updates->base = config->base;
    updates->store = config->store;
    updates->policy = config->policy;
    updates->primary = config->primary;
    updates->arg = config->arg;
    updates->decisions = strmap_new();
    TAILQ_INIT(&updates->deciding);
    TAILQ_INIT(&updates->decided);
    updates->tick = event_new(config->base, -1, EV_PERSIST, on_tick, updates);
    updates->has_frame = config->config->election.enabled && config->config->election.peer_key;
    if (updates->has_frame && forward_frame_init(&updates->frame, config->config, err)) {
        updates_free(updates);
        return NULL;
    }
    if (updates->has_frame)
        updates->forward =
            forward_new(config->base, &updates->frame, config->primary, config->arg, on_forwarded, updates);
    return updates;
}

void updates_set_policy(struct updates *updates, struct update_policy *policy)
{
    struct update_policy *old = updates->policy;
    updates->policy = policy;
    update_policy_free(old);
}

void updates_stop(struct updates *updates)
{
    if (!updates)
        return;
    updates->stopping = true;
    struct forward *forward = updates->forward;
    updates->forward = NULL;
    forward_free(forward);
    event_del(updates->tick);
}

void updates_free(struct updates *updates)
{
    struct decision *decision;
    struct verdict stopped = verdict_of(DNS_SERVFAIL, DNS_EDE_NOT_READY, "lictord is stopping");
    if (!updates)
        return;
    updates_stop(updates);
    while ((decision = TAILQ_FIRST(&updates->deciding))) {
        answer_all(decision, &stopped);
        forget(decision);
    }
    while ((decision = TAILQ_FIRST(&updates->decided)))
        forget(decision);
    strmap_free(updates->decisions, NULL);
    event_free(updates->tick);
    update_policy_free(updates->policy);
    explicit_bzero(&updates->frame, sizeof updates->frame);
    free(updates);
}

void updates_print(const struct updates *updates, struct buf *out)
{
    static const char *const names[COUNTS] = {
        [FORWARDED] = "updates_forwarded_total",
        [FORWARD_FAILED] = "updates_forward_failures_total",
        [REPEATED] = "updates_repeated_total",
    };
    static const char *const help[COUNTS] = {
        [FORWARDED] = "UPDATEs that the primary answered for this instance.",
        [FORWARD_FAILED] = "UPDATEs that the primary did not answer for this instance.",
        [REPEATED] = "UPDATEs that came again and were not applied again.",
    };
    buf_puts(out, "# HELP lictor_updates_total UPDATEs answered, by response code.\n"
                  "# TYPE lictor_updates_total counter\n");
    for (unsigned i = 0; i < RCODES; i++) {
        char rcode[16];
        if (i != DNS_NOTIMP)
            buf_printf(out, "lictor_updates_total{rcode=\"%s\"} %" PRIu64 "\n",
                       dns_rcode_text((uint16_t)i, rcode), updates->by_rcode[i]);
    }
    for (int i = 0; i < COUNTS; i++)
        buf_printf(out, "# HELP lictor_%s %s\n# TYPE lictor_%s counter\nlictor_%s %" PRIu64 "\n", names[i],
                   help[i], names[i], names[i], updates->counts[i]);
}
