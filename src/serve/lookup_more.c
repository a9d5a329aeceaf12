/* Addresses for the additional section, and referrals. */
#include "lookup_more.h"

/* Targets of one RRset that are remembered so that none is added twice. Sets from zone files are small;
 * behind so many a repetition does no harm. */
#define TARGETS_MAX 32

enum added { ADDED, NOTHING_KNOWN, NO_ROOM };

/* Two RRsets of a name (either may be NULL), whole or not at all. */
static enum added add_whole(struct reply *reply, struct rng *rng, const struct piece *first,
                            const struct piece *second, size_t name_at)
{
    const struct piece *pieces[2] = {first, second};
    size_t start = reply->pos;
    unsigned count = reply->additional;
    if (!first && !second)
        return NOTHING_KNOWN;
    for (unsigned i = 0; i < 2; i++) {
        struct piece_window window;
        if (!pieces[i] || reply_rrset(reply, &reply->additional, pieces[i], rng, name_at, 0, &window))
            continue;
        reply->pos = start;
        reply->additional = count;
        return NO_ROOM;
    }
    return ADDED;
}

static enum added add_target(struct reply *reply, struct rng *rng, const struct zone_owner *owner,
                             size_t name_at)
{
    static const uint16_t types[] = {DNS_A, DNS_AAAA};
    const struct piece *pieces[] = {zone_owner_get(owner, DNS_A), zone_owner_get(owner, DNS_AAAA)};
    enum added added = add_whole(reply, rng, pieces[0], pieces[1], name_at);
    /* Without room for all of its signatures an RRset goes without any (RFC 4035 section 3.1.1). */
    for (unsigned i = 0; added == ADDED && reply->signatures && i < 2; i++) {
        size_t start = reply->pos;
        unsigned count = reply->additional;
        if (pieces[i] &&
            !reply_signatures(reply, &reply->additional, owner, types[i], piece_ttl(pieces[i]), name_at)) {
            reply->pos = start;
            reply->additional = count;
        }
    }
    return added;
}

void more_text(struct reply *reply, struct rng *rng, const struct zone_owner *owner, size_t name_at)
{
    /* What has SRV records is a service: its texts are for who asks for them. */
    if (name_at <= 0x3fff && !zone_owner_get(owner, DNS_SRV))
        add_whole(reply, rng, zone_owner_get(owner, DNS_TXT), NULL, name_at);
}

/* What answers for a name in this zone, or NULL. glue: also what lies below a cut. */
static const struct zone_owner *find_target(const struct zone *zone, const uint8_t *name, bool glue)
{
    uint8_t lower[NAME_MAX_WIRE];
    struct zone_found found;
    size_t len = name_lower(name, lower);
    if (!name_is_under(lower, zone_apex(zone)))
        return NULL;
    zone_search(zone, lower, len, &found);
    if (found.cut && !glue)
        return NULL;
    return found.exact ? found.exact : found.wildcard;
}

typedef void add_fn(struct reply *reply, struct rng *rng, const struct zone_owner *owner, size_t name_at);

/* Calls add once for each target, known to this zone, of the records at out[from..end). */
static void each_target(struct reply *reply, struct rng *rng, const struct zone *zone, uint16_t type,
                        size_t from, size_t end, add_fn *add)
{
    size_t known[TARGETS_MAX]; /* where their names stand */
    unsigned count = 0;
    size_t name_at = 12 + (size_t)dns_rdata_target(type);
    for (; from < end && from + name_at <= 0x3fff; from += 12 + (size_t)get16(reply->out + from + 10)) {
        const uint8_t *target = reply->out + from + name_at;
        bool again = false;
        for (unsigned i = 0; i < count && !again; i++)
            again = name_equal(reply->out + known[i], target);
        /* The apex may be served by names below a cut; their glue is all there is. */
        const struct zone_owner *owner = again ? NULL : find_target(zone, target, type == DNS_NS);
        if (!owner)
            continue;
        if (count < TARGETS_MAX)
            known[count++] = from + name_at;
        add(reply, rng, owner, from + name_at);
    }
}

static void add_addresses(struct reply *reply, struct rng *rng, const struct zone_owner *owner,
                          size_t name_at)
{
    add_target(reply, rng, owner, name_at);
}

void more_addresses(struct reply *reply, struct rng *rng, const struct zone *zone, uint16_t type, size_t from,
                    size_t end)
{
    each_target(reply, rng, zone, type, from, end, add_addresses);
}

void more_target_texts(struct reply *reply, struct rng *rng, const struct zone *zone, size_t from, size_t end)
{
    each_target(reply, rng, zone, DNS_SRV, from, end, more_text);
}

/* Glue for the name servers at out[from..end): in_domain: those below the cut itself, without which it cannot
 * be reached (RFC 9471 section 2.1 and 3.1: must be sent, or TC); else the other ones we know. */
static void add_glue(struct reply *reply, struct rng *rng, const struct zone *zone, const uint8_t *cut,
                     bool in_domain, size_t from, size_t end)
{
    for (; from < end && from + 12 <= 0x3fff; from += 12 + (size_t)get16(reply->out + from + 10)) {
        const uint8_t *name = reply->out + from + 12;
        if (name_is_under(name, cut) != in_domain)
            continue;
        const struct zone_owner *owner = find_target(zone, name, true);
        if (owner && add_target(reply, rng, owner, from + 12) == NO_ROOM && in_domain)
            reply->truncated = true;
    }
}

bool more_name_servers(struct reply *reply, struct rng *rng, const struct zone_owner *cut, size_t cut_at)
{
    struct piece_window window;
    if (reply_rrset(reply, &reply->authority, zone_owner_get(cut, DNS_NS), rng, cut_at, 0, &window))
        return true;
    reply->truncated = true;
    return false;
}

void more_glue(struct reply *reply, struct rng *rng, const struct zone *zone, size_t cut_at, size_t from,
               size_t end)
{
    add_glue(reply, rng, zone, reply->out + cut_at, true, from, end);
    if (!reply->truncated)
        add_glue(reply, rng, zone, reply->out + cut_at, false, from, end);
}
