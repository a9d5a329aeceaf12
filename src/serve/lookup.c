/* From a question to the records of its reply. */
#include "chain.h"
#include "lictor/denial.h"
#include "lookup_more.h"
#include "proof.h"

#include <assert.h>
#include <netinet/in.h>
#include <string.h>

const struct zone *lookup_zone(const struct snapshot *snapshot, const uint8_t *lower_name, uint16_t type)
{
    const struct zone *zone = snapshot_find(snapshot, lower_name);
    if (type == DNS_DS && zone && *lower_name && name_len(zone_apex(zone)) == name_len(lower_name)) {
        const struct zone *parent = snapshot_find(snapshot, lower_name + 1 + *lower_name);
        if (parent)
            return parent;
    }
    return zone;
}

static bool need_consul(struct chain *chain, const struct zone_computed *missed, enum dns_rcode *rcode);

static void need_datacenter(struct chain *chain, const struct zone_origin *origin, enum dns_rcode *rcode)
{
    struct zone_computed ask = {.ask = ASK_DATACENTER, .len = (uint16_t)(origin->label[0] + 2)};
    memcpy(ask.data, origin->label, ask.len - 1u); /* the rest is the root label */
    (void)need_consul(chain, &ask, rcode);
}

/* Whose data is it? A datacenter that is lost has stale answers; one that was never read is asked for.
 * Returns whether to go on; else what is in the reply is the answer, or *rcode if that is nothing. */
static bool may_use(struct chain *chain, uint8_t number, enum dns_rcode *rcode)
{
    struct zone_origin *origin = zone_origin(chain->zone, number);
    struct reply *reply = chain->reply;
    struct permit permit = *chain->permit;
    if (!origin)
        return true;
    if (permit_origin(&permit, chain->env, origin)) {
        if (permit.stale && !chain->permit->stale) {
            *chain->permit = permit;
            reply->cap_ttl = true;
            reply_set_aside(reply, chain->query, &permit.note, snapshot_text(chain->env->snapshot)->node);
        }
        return true;
    }
    if (permit.reason == ANSWER_NOT_READY) {
        need_datacenter(chain, origin, rcode);
        return false;
    }
    if (reply->answers) /* an alias led here, and stands */
        return false;
    *chain->permit = permit;
    *rcode = permit.rcode;
    reply->authoritative = false;
    return false;
}

/* --- negative answers (RFC 2308) -------------------------------------------------------------------- */

/* found: what a signed zone proves it with; NULL: nothing, since what is unsigned says so. */
static enum dns_rcode negative(struct chain *chain, enum dns_rcode rcode, const struct zone_found *found)
{
    struct reply *reply = chain->reply;
    const struct piece *soa = zone_soa(chain->zone);
    if (!soa)
        return rcode;
    struct piece_window window;
    size_t from = reply->pos;
    size_t owner = suffix_at(chain, name_labels(zone_apex(chain->zone)));
    if (!reply_rrset(reply, &reply->authority, soa, chain->env->rng, owner, 1, &window)) {
        reply->truncated = true;
        return rcode;
    }
    /* Section 3: the lesser of the SOA's TTL and MINIMUM, its last field. */
    reply_lower_ttl(reply, from, get32(reply->out + reply->pos - 4));
    if (reply->signatures && found) {
        uint32_t ttl = get32(reply->out + from + 6);
        const struct zone_owner *apex = zone_apex_owner(chain->zone);
        reply->truncated |= !reply_signatures(reply, &reply->authority, apex, DNS_SOA, ttl, owner);
        prove_negative(chain, found);
    }
    return rcode;
}

/* --- aliases ---------------------------------------------------------------------------------------- */

static void enter(struct chain *chain, const struct zone *zone)
{
    chain->zone = zone;
    chain->reply->signatures = chain->query->dnssec_ok && zone_is_signed(zone);
    chain->most = !chain->env->tcp && chain->reply->max <= DNS_UDP_MIN ? zone_manner(zone)->small_answers : 0;
}

/* Goes on with the name that stands at out[at]. False: it has been passed, the chain is long enough, or the
 * name is not ours to answer; what has been written is the answer (RFC 1034 section 4.3.2 step 3a). */
static bool follow(struct chain *chain, size_t at)
{
    const uint8_t *target = chain->reply->out + at;
    if (chain->aliases == ALIASES_MAX || at + NAME_MAX_WIRE > 0x3fff) /* no pointer leads beyond */
        return false;
    for (unsigned i = 0; i <= chain->aliases; i++)
        if (name_equal(chain->reply->out + chain->seen[i], target))
            return false;
    chain->len = name_lower(target, chain->name);
    chain->dropped = 0;
    chain->seen[++chain->aliases] = at;
    const struct zone *zone = lookup_zone(chain->env->snapshot, chain->name, chain->query->type);
    if (!zone)
        return false;
    if (zone == chain->zone)
        return true;
    struct permit permit;
    permit_check(&permit, chain->env, zone);
    if (permit.rcode)
        return false;
    if (permit.stale && !chain->permit->stale) {
        chain->permit->stale = true;
        chain->permit->reason = permit.reason;
        chain->permit->note = permit.note;
    }
    chain->permit->gated |= permit.gated;
    chain->reply->cap_ttl = permit.stale;
    enter(chain, zone);
    return true;
}

static bool follow_cname(struct chain *chain, const struct zone_owner *owner, const struct piece *cname)
{
    struct reply *reply = chain->reply;
    struct piece_window window;
    size_t at = reply->pos + 12;
    if (reply_rrset(reply, &reply->answers, cname, chain->env->rng, name_at(chain), 1, &window) &&
        reply_signatures(reply, &reply->answers, owner, DNS_CNAME, piece_ttl(cname), name_at(chain)))
        return follow(chain, at);
    reply->truncated = true;
    return false;
}

/* RFC 6672 section 3.1: the DNAME itself, and a CNAME made of it with its TTL. */
static bool follow_dname(struct chain *chain, const struct zone_found *found, enum dns_rcode *rcode)
{
    struct reply *reply = chain->reply;
    const struct piece *dname = zone_owner_get(found->cut, DNS_DNAME);
    size_t owner = suffix_at(chain, found->cut_labels);
    struct piece_window window;
    if (!reply_rrset(reply, &reply->answers, dname, chain->env->rng, owner, 1, &window) ||
        !reply_signatures(reply, &reply->answers, found->cut, DNS_DNAME, piece_ttl(dname), owner)) {
        reply->truncated = true;
        return false;
    }
    struct rdata target = piece_rdata(dname, 0);
    size_t kept = owner - name_at(chain); /* octets of the name that stand before the DNAME's owner */
    if (kept + target.len > NAME_MAX_WIRE) {
        *rcode = DNS_YXDOMAIN;
        return false;
    }
    uint8_t made[NAME_MAX_WIRE];
    memcpy(made, reply->out + name_at(chain), kept);
    memcpy(made + kept, target.data, target.len);
    size_t at = reply->pos + 12;
    if (!reply_record(reply, &reply->answers, name_at(chain), DNS_CNAME, DNS_IN, piece_ttl(dname), made,
                      kept + target.len)) {
        reply->truncated = true;
        return false;
    }
    return chain->query->type != DNS_CNAME && follow(chain, at);
}

/* --- positive answers ------------------------------------------------------------------------------- */

/* How many records of a type a reply takes at most; 0: as many as fit. */
static uint32_t most_of(const struct chain *chain, uint16_t type)
{
    if (type == DNS_RRSIG) /* RFC 8482 section 7: all would amplify like ANY */
        return 1;
    return type == DNS_A || type == DNS_AAAA || type == DNS_SRV ? chain->most : 0;
}

/* Returns where the records end, or 0 if not all of them fitted. */
static size_t positive(struct chain *chain, const struct zone_owner *owner, const struct piece *piece)
{
    struct reply *reply = chain->reply;
    struct piece_window window;
    size_t at = reply->pos;
    uint32_t most = most_of(chain, piece_type(piece));
    if (!reply_rrset(reply, &reply->answers, piece, chain->env->rng, name_at(chain), most, &window)) {
        reply->truncated = true;
        return 0;
    }
    size_t records_end = reply->pos;
    if (reply->signatures) {
        reply->truncated |= !reply_signatures(reply, &reply->answers, owner, piece_type(piece),
                                              piece_ttl(piece), name_at(chain));
        prove_expansions(chain);
    }
    reply->truncated |= window.limited && chain->most;
    size_t end = reply->pos;
    if (piece_has_extra(piece)) {
        size_t from = reply->pos;
        reply->pos = piece_copy_extra(piece, &window, reply->out, at, from, reply->limit, &reply->additional);
        if (reply->cap_ttl)
            reply_lower_ttl(reply, from, REPLY_STALE_TTL);
    } else if (dns_rdata_target(piece_type(piece)) >= 0) {
        more_addresses(reply, chain->env->rng, chain->zone, piece_type(piece), at, records_end);
    }
    return end;
}

/* Consul's ANY: the addresses of the name, and its texts. An alias, and what has none of these, is as usual.
 */
static bool answer_all(struct chain *chain, const struct zone_owner *owner)
{
    static const uint16_t types[] = {DNS_A, DNS_AAAA, DNS_TXT};
    bool any = false;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const struct piece *piece = zone_owner_get(owner, types[i]);
        if (piece)
            positive(chain, owner, piece);
        any |= piece != NULL;
    }
    return any;
}

/* Metadata beside the addresses it belongs to: what is left of the room, since addresses come first. */
static void add_texts(struct chain *chain, const struct zone_owner *owner, uint16_t type, size_t from,
                      size_t end)
{
    if (type == DNS_A || type == DNS_AAAA)
        more_text(chain->reply, chain->env->rng, owner, name_at(chain));
    else if (type == DNS_SRV)
        more_target_texts(chain->reply, chain->env->rng, chain->zone, from, end);
}

static void answer_piece(struct chain *chain, const struct zone_owner *owner, const struct piece *piece)
{
    size_t from = chain->reply->pos, end = positive(chain, owner, piece);
    if (zone_manner(chain->zone)->texts && end)
        add_texts(chain, owner, piece_type(piece), from, end);
}

/* One RRset stands for ANY (RFC 8482 section 4.1): an alias if the name is one; signatures only if nothing
 * else is there. */
static const struct piece *any_of(const struct zone_owner *owner)
{
    const struct piece *any = zone_owner_get(owner, DNS_CNAME);
    for (unsigned i = 0; !any && i < zone_owner_count(owner); i++) {
        const struct piece *piece = zone_owner_piece(owner, i);
        if (piece_type(piece) != DNS_RRSIG && piece_type(piece) != DNS_NSEC)
            any = piece;
    }
    return any ? any : zone_owner_piece(owner, 0);
}

/* Answers from the RRsets of a name. found: how it was found, NULL outside of the zone. Returns whether an
 * alias leads on. */
static bool answer_owner(struct chain *chain, const struct zone_owner *owner, const struct zone_found *found)
{
    uint16_t type = chain->query->type;
    const struct zone_manner *manner = zone_manner(chain->zone);
    if (type == DNS_ANY) {
        if (!manner->whole_any || !answer_all(chain, owner))
            answer_piece(chain, owner, any_of(owner));
        return false;
    }
    const struct piece *piece = zone_owner_get(owner, type);
    if (piece) {
        answer_piece(chain, owner, piece);
        return false;
    }
    piece = zone_owner_get(owner, DNS_CNAME);
    if (piece)
        return follow_cname(chain, owner, piece);
    negative(chain, DNS_NOERROR, found);
    return false;
}

/* A name that is there without any records: NODATA (RFC 8020), or what Consul says. */
static enum dns_rcode empty_name(struct chain *chain, const struct zone_found *found)
{
    return negative(chain, zone_manner(chain->zone)->no_empty_names ? DNS_NXDOMAIN : DNS_NOERROR, found);
}

/* A name that the zone computes. Returns whether an alias leads on; else *rcode is the reply's. */
static bool answer_computed(struct chain *chain, const struct zone_computed *computed, enum dns_rcode *rcode)
{
    struct reply *reply = chain->reply;
    uint16_t type = chain->query->type;
    if (!computed->type) {
        *rcode = empty_name(chain, NULL);
        return false;
    }
    bool alias = computed->type == DNS_CNAME && type != DNS_CNAME && type != DNS_ANY;
    if (computed->type != type && type != DNS_ANY && !alias) {
        negative(chain, DNS_NOERROR, NULL);
        return false;
    }
    size_t at = reply->pos + 12;
    if (!reply_record(reply, &reply->answers, name_at(chain), computed->type, DNS_IN, computed->ttl,
                      computed->data, computed->len)) {
        reply->truncated = true;
        return false;
    }
    return alias && follow(chain, at);
}

/* --- names that need Consul first (ask.h) ------------------------------------------------------------- */

/* Not even the part of the answer that is known is given: a resolver would take it for the whole. */
static enum dns_rcode not_known(struct chain *chain, enum ask_outcome outcome)
{
    struct permit *permit = chain->permit;
    struct reply *reply = chain->reply;
    reply->pos = DNS_HEADER_LEN + chain->query->question_len;
    reply->answers = reply->authority = reply->additional = 0;
    reply->authoritative = reply->truncated = false;
    permit->gated = false;
    permit->reason = outcome == ASK_LATE      ? ANSWER_ASK_LATE
                     : outcome == ASK_REFUSED ? ANSWER_ASK_REFUSED
                                              : ANSWER_ASK_FAILED;
    reply_note(&permit->note, DNS_EDE_NOT_READY,
               outcome == ASK_LATE      ? "Consul did not answer in time"
               : outcome == ASK_REFUSED ? "too many questions wait for Consul"
                                        : "Consul could not be asked");
    return DNS_SERVFAIL;
}

/* The client: its subnet, if its resolver tells that, else its address. */
static struct ask_address client_address(const struct chain *chain)
{
    struct ask_address from = {0};
    const struct sockaddr_storage *client = chain->env->client;
    if (chain->query->subnet.family) {
        from = chain->query->subnet;
    } else if (client && client->ss_family == AF_INET) {
        from.family = 1;
        from.prefix = 32;
        memcpy(from.ip, &((const struct sockaddr_in *)client)->sin_addr, 4);
    } else if (client && client->ss_family == AF_INET6) {
        from.family = 2;
        from.prefix = 128;
        memcpy(from.ip, &((const struct sockaddr_in6 *)client)->sin6_addr, 16);
    }
    return from;
}

/* What was learned about the name, NULL if nothing that is of use even in need. Completes the question. */
static const struct overlay_entry *learned(const struct chain *chain, struct ask_question *question)
{
    const struct answer_env *env = chain->env;
    const struct overlay *overlay =
        env->overlay ? atomic_load_explicit(&env->overlay->current, memory_order_acquire) : NULL;
    const struct overlay_entry *entry = overlay_find(overlay, question);
    for (int i = 0; entry && i < 2; i++) {
        struct overlay_state *state = overlay_state(entry);
        /* A shared line: written now and then, not at each question. */
        if (env->now - atomic_load_explicit(&state->asked_at, memory_order_relaxed) >= OVERLAY_ASKED_STEP)
            atomic_store_explicit(&state->asked_at, env->now, memory_order_relaxed);
        if (env->now >= atomic_load_explicit(&state->dead_from, memory_order_relaxed))
            return NULL;
        if (!overlay_by_address(entry) || i == 1 ||
            env->now >= atomic_load_explicit(&state->good_until, memory_order_relaxed))
            return entry;
        question->from = client_address(chain);
        entry = overlay_find(overlay, question);
    }
    return entry;
}

/* Answers with what was learned. aged: it is older than it should be, for want of anything newer. Returns
 * whether an alias leads on. */
static bool answer_learned(struct chain *chain, const struct overlay_entry *entry, bool aged)
{
    const struct answer_env *env = chain->env;
    nstime stale = atomic_load_explicit(&overlay_state(entry)->stale_from, memory_order_relaxed);
    nstime good = atomic_load_explicit(&overlay_state(entry)->good_until, memory_order_relaxed);
    if (aged && stale > good)
        stale = good;
    if (env->now >= stale && !chain->permit->stale) {
        chain->permit->stale = true;
        chain->permit->reason = ANSWER_STALE;
        reply_note_seconds(&chain->permit->note, DNS_EDE_STALE_ANSWER, "stale for ",
                           (uint64_t)(env->now - stale) / NS_PER_S, "");
        chain->reply->cap_ttl = true;
        reply_set_aside(chain->reply, chain->query, &chain->permit->note, snapshot_text(env->snapshot)->node);
    }
    chain->reply->scoped |= overlay_scoped(entry);
    if (overlay_owner(entry))
        return answer_owner(chain, overlay_owner(entry), NULL);
    negative(chain, DNS_NOERROR, NULL);
    return false;
}

/* Returns whether an alias leads on. */
static bool need_consul(struct chain *chain, const struct zone_computed *missed, enum dns_rcode *rcode)
{
    const struct answer_env *env = chain->env;
    struct ask_question question = {.kind = missed->ask, .name_len = (uint8_t)missed->len};
    memcpy(question.name, missed->data, missed->len);
    const struct overlay_entry *entry = learned(chain, &question);
    /* Under the question without an address stands only that an address is needed. */
    const struct overlay_entry *answer = entry && !overlay_by_address(entry) ? entry : NULL;
    bool settled = env->asked && (env->asked_last || ask_question_equal(&env->asked->question, &question));
    if (answer && env->now < atomic_load_explicit(&overlay_state(answer)->good_until, memory_order_relaxed))
        return answer_learned(chain, answer, false);
    if (settled && env->asked->outcome == ASK_ABSENT)
        *rcode = negative(chain, DNS_NXDOMAIN, NULL);
    else if (settled && answer)
        return answer_learned(chain, answer, env->asked->outcome != ASK_PUBLISHED);
    else if (settled)
        *rcode = not_known(chain, env->asked->outcome);
    else if (!env->question)
        *rcode = not_known(chain, ASK_FAILED);
    else {
        *env->question = question;
        chain->permit->reason = ANSWER_ASK;
    }
    return false;
}

/* RFC 1034 section 4.3.2 step 3b, RFC 4035 section 3.1.4. */
static void refer(struct chain *chain, const struct zone_found *found)
{
    struct reply *reply = chain->reply;
    size_t cut_at = suffix_at(chain, found->cut_labels), from = reply->pos;
    if (!more_name_servers(reply, chain->env->rng, found->cut, cut_at))
        return;
    size_t end = reply->pos;
    if (reply->signatures)
        prove_delegation(chain, found);
    if (chain->expansions)
        prove_expansions(chain);
    if (!reply->truncated)
        more_glue(reply, chain->env->rng, chain->zone, cut_at, from, end);
}

/* One name of the chain. Returns whether an alias leads on; else *rcode is the reply's. */
static bool step(struct chain *chain, enum dns_rcode *rcode)
{
    struct zone_found found;
    zone_search(chain->zone, chain->name, chain->len, &found);
    if (found.cut && found.cut_is_dname)
        return follow_dname(chain, &found, rcode);
    /* DS belongs to the parent's side of a cut (RFC 4035 section 3.1.4.1). */
    if (found.cut && !(chain->query->type == DNS_DS && found.cut == found.exact)) {
        if (!chain->reply->answers)
            chain->reply->authoritative = false;
        refer(chain, &found);
        return false;
    }
    const struct zone_owner *owner = found.exact ? found.exact : found.wildcard;
    if (chain->reply->signatures && owner && !found.exact)
        chain->expansion[chain->expansions++] =
            (struct expansion){chain->zone, name_at(chain), found.encloser_labels};
    if (owner)
        return (!zone_owner_origin(owner) || may_use(chain, zone_owner_origin(owner), rcode)) &&
               answer_owner(chain, owner, &found);
    struct zone_computed computed;
    bool exists = found.exists || found.wildcard_exists;
    int missed = exists ? 0 : zone_miss(chain->zone, chain->name, &computed);
    if (missed == ZONE_ASK)
        return need_consul(chain, &computed, rcode);
    if (missed == ZONE_RENAMED) {
        assert(computed.len < chain->len);
        chain->dropped += chain->len - computed.len;
        chain->len = computed.len;
        memcpy(chain->name, computed.data, computed.len);
        return true;
    }
    if (missed)
        return answer_computed(chain, &computed, rcode);
    if (!exists && !may_use(chain, computed.origin, rcode))
        return false;
    /* An empty non-terminal exists (RFC 8020, RFC 4592 section 2.2.2), be it a wildcard. */
    *rcode = exists ? empty_name(chain, &found) : negative(chain, DNS_NXDOMAIN, &found);
    return false;
}

/* A service at a host name is as good as the shortest-lived record on the way to its address: of the
 * catalog's chains every record has the lowest TTL, so that none outlives the rest in a cache. */
static void level_ttls(struct chain *chain)
{
    struct reply *reply = chain->reply;
    size_t first = DNS_HEADER_LEN + chain->query->question_len, at = first;
    uint32_t lowest = UINT32_MAX;
    for (unsigned i = 0; i < reply->answers; i++, at += 12 + (size_t)get16(reply->out + at + 10))
        if (get32(reply->out + at + 6) < lowest)
            lowest = get32(reply->out + at + 6);
    at = first;
    for (unsigned i = 0; i < reply->answers; i++, at += 12 + (size_t)get16(reply->out + at + 10))
        put32(reply->out + at + 6, lowest);
}

enum dns_rcode lookup(const struct answer_env *env, const struct query *query, const struct zone *zone,
                      struct permit *permit, struct reply *reply)
{
    struct chain chain;
    enum dns_rcode rcode = DNS_NOERROR;
    chain.env = env;
    chain.query = query;
    chain.permit = permit;
    chain.reply = reply;
    enter(&chain, zone);
    chain.seen[0] = DNS_HEADER_LEN;
    chain.aliases = chain.expansions = chain.proofs = 0;
    chain.dropped = 0;
    chain.len = query->name_len;
    memcpy(chain.name, query->name, query->name_len);
    reply->authoritative = true;
    reply->cap_ttl = permit->stale;
    while (step(&chain, &rcode))
        ;
    if (chain.expansions)
        prove_expansions(&chain);
    if (chain.aliases > 0 && zone_kind(zone) == ZONE_CATALOG)
        level_ttls(&chain);
    return rcode;
}
