/* What proves that what a reply of a signed zone says is so. */
#include "proof.h"

#include "lictor/denial.h"

#include <string.h>

/* The name that something is proven of. It stands in the reply, too, so that owners can point to parts of it.
 */
struct subject {
    const struct zone *zone;
    const uint8_t *name; /* lower case */
    size_t at;
};

/* --- one RRset --------------------------------------------------------------------------------------- */

/* Writes an owner name: its own labels, then a pointer to what it shares with the subject's, at least the
 * apex. Returns its length; 0: no room. */
static size_t put_owner(struct reply *reply, const struct subject *subject, const uint8_t *owner)
{
    uint8_t *out = reply->out + reply->pos;
    unsigned common = name_common_labels(owner, subject->name);
    size_t len = (size_t)(name_suffix(owner, common) - owner);
    if (reply->pos + len + 2 > reply->limit)
        return 0;
    memcpy(out, owner, len);
    if (!common) { /* of the root zone */
        out[len] = 0;
        return len + 1;
    }
    put16(out + len,
          0xc000u | (unsigned)(subject->at + (size_t)(name_suffix(subject->name, common) - subject->name)));
    return len + 2;
}

static bool put_record(struct reply *reply, const struct subject *subject, const uint8_t *owner,
                       uint16_t type, uint32_t ttl, struct rdata rdata)
{
    size_t len = put_owner(reply, subject, owner);
    if (!len || reply->pos + len + 10 + rdata.len > reply->limit)
        return false;
    uint8_t *at = reply->out + reply->pos + len;
    put16(at, type);
    put16(at + 2, DNS_IN);
    put32(at + 4, reply->cap_ttl && ttl > REPLY_STALE_TTL ? REPLY_STALE_TTL : ttl);
    put16(at + 8, rdata.len);
    memcpy(at + 10, rdata.data, rdata.len);
    reply->pos += len + 10 + rdata.len;
    reply->authority++;
    return true;
}

/* The NSEC or NSEC3 of owner with its signatures. */
static void put_proof(struct chain *chain, const struct subject *subject, const struct zone_owner *owner,
                      uint16_t type)
{
    struct reply *reply = chain->reply;
    const struct piece *piece = owner ? zone_owner_get(owner, type) : NULL;
    const struct piece *signatures = piece ? zone_owner_get(owner, DNS_RRSIG) : NULL;
    if (!piece || reply->truncated)
        return;
    for (unsigned i = 0; i < chain->proofs; i++)
        if (chain->proof[i] == owner)
            return;
    if (chain->proofs < PROOFS_MAX)
        chain->proof[chain->proofs++] = owner;
    const uint8_t *name = zone_owner_name(owner);
    bool fits = true;
    for (uint32_t i = 0; fits && i < piece_count(piece); i++)
        fits = put_record(reply, subject, name, type, piece_ttl(piece), piece_rdata(piece, i));
    for (uint32_t i = 0; fits && signatures && i < piece_count(signatures); i++) {
        struct rdata rdata = piece_rdata(signatures, i);
        if (get16(rdata.data) == type)
            fits = put_record(reply, subject, name, DNS_RRSIG, piece_ttl(piece), rdata);
    }
    reply->truncated |= !fits;
}

/* --- NSEC, NSEC3 ------------------------------------------------------------------------------------- */

/* That which matches the name, or covers it. */
static void prove_nsec(struct chain *chain, const struct subject *subject, const uint8_t *name)
{
    put_proof(chain, subject, zone_nsec(subject->zone, name, name_len(name)), DNS_NSEC);
}

static void prove_nsec3(struct chain *chain, const struct subject *subject, const uint8_t *name)
{
    bool matches;
    put_proof(chain, subject, zone_nsec3(subject->zone, name, name_len(name), &matches), DNS_NSEC3);
}

/* The closest encloser of the subject that can be proven, from a name of so many labels upwards: where others
 * opted out, names that exist have no hash (RFC 5155 section 7.2.1). Unless it is the subject itself, what
 * covers the next closer name goes with it. Returns its labels. */
static unsigned prove_encloser(struct chain *chain, const struct subject *subject, unsigned labels)
{
    unsigned all = name_labels(subject->name), least = name_labels(zone_apex(subject->zone));
    for (; labels >= least; labels--) {
        const uint8_t *name = name_suffix(subject->name, labels);
        bool matches;
        const struct zone_owner *owner = zone_nsec3(subject->zone, name, name_len(name), &matches);
        if (matches) {
            put_proof(chain, subject, owner, DNS_NSEC3);
            break;
        }
        if (labels == least) /* no chain deserves the name that does not begin here */
            return labels;
    }
    if (labels < all)
        prove_nsec3(chain, subject, name_suffix(subject->name, labels + 1));
    return labels;
}

/* A name that exists, perhaps with nothing but names below it, has no such records. */
static void prove_no_data(struct chain *chain, const struct subject *subject)
{
    if (zone_has_nsec3(subject->zone))
        prove_encloser(chain, subject, name_labels(subject->name));
    else
        prove_nsec(chain, subject, subject->name);
}

/* A name does not exist, nor does the wildcard that would answer for it, or not with such records. */
static void prove_absence(struct chain *chain, const struct subject *subject, unsigned encloser_labels)
{
    uint8_t wildcard[2 + NAME_MAX_WIRE] = {1, '*'};
    bool nsec3 = zone_has_nsec3(subject->zone);
    if (nsec3)
        encloser_labels = prove_encloser(chain, subject, encloser_labels);
    else
        prove_nsec(chain, subject, subject->name);
    const uint8_t *encloser = name_suffix(subject->name, encloser_labels);
    memcpy(wildcard + 2, encloser, name_len(encloser));
    if (nsec3)
        prove_nsec3(chain, subject, wildcard);
    else
        prove_nsec(chain, subject, wildcard);
}

/* --- what replies say --------------------------------------------------------------------------------- */

static struct subject present(const struct chain *chain, unsigned labels)
{
    return (struct subject){chain->zone, name_suffix(chain->name, labels), suffix_at(chain, labels)};
}

void prove_negative(struct chain *chain, const struct zone_found *found)
{
    struct subject subject = present(chain, name_labels(chain->name));
    if (!chain->reply->signatures)
        return;
    if (found->exists)
        prove_no_data(chain, &subject);
    else
        prove_absence(chain, &subject, found->encloser_labels);
}

void prove_expansions(struct chain *chain)
{
    for (unsigned i = 0; i < chain->expansions; i++) {
        const struct expansion *expansion = &chain->expansion[i];
        uint8_t name[NAME_MAX_WIRE];
        struct subject subject = {expansion->zone, name, expansion->at};
        name_lower(chain->reply->out + expansion->at, name);
        if (zone_has_nsec3(expansion->zone))
            prove_nsec3(chain, &subject, name_suffix(name, expansion->encloser_labels + 1));
        else
            prove_nsec(chain, &subject, name);
    }
    chain->expansions = 0;
}

void prove_delegation(struct chain *chain, const struct zone_found *found)
{
    struct reply *reply = chain->reply;
    struct subject subject = present(chain, found->cut_labels);
    const struct piece *ds = zone_owner_get(found->cut, DNS_DS);
    struct piece_window window;
    if (!reply->signatures)
        return;
    if (ds) {
        reply->truncated |=
            !reply_rrset(reply, &reply->authority, ds, chain->env->rng, subject.at, 0, &window) ||
            !reply_signatures(reply, &reply->authority, found->cut, DNS_DS, piece_ttl(ds), subject.at);
    } else {
        prove_no_data(chain, &subject);
    }
}
