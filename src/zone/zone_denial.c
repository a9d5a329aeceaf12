/* Records that prove that something is not there: the neighbours of names, and of hashed names. */
#include "lictor/denial.h"

#include "lictor/dns.h"
#include "lictor/sha1.h"
#include "lictor/wire.h"
#include "zone_body.h"

#include <string.h>

#define NSEC3_HASH_SHA1 1
#define HASH_LABEL      32 /* 160 bits, 5 a character */

/* Chains of other parameters may be in the zone while one replaces another (RFC 5155 section 10.4); hashes
 * being evenly spread, so many neighbours in a row that are all of another chain mean that ours is not there.
 */
#define OTHER_CHAIN_MAX 32

bool zone_is_signed(const struct zone *zone)
{
    return zone->is_signed;
}

bool zone_has_nsec3(const struct zone *zone)
{
    return zone->nsec3param && zone->nsec3.root.ptr;
}

const struct zone_owner *zone_apex_owner(const struct zone *zone)
{
    struct trie_key key;
    trie_key(zone->apex, zone->apex_len, zone->apex_len, &key);
    return zone_owner_of(trie_get(&zone->trie, &key, zone->apex, zone->apex_len));
}

const uint8_t *zone_owner_name(const struct zone_owner *owner)
{
    return owner_name(owner_of(owner));
}

/* --- NSEC ------------------------------------------------------------------------------------------- */

const struct zone_owner *zone_nsec(const struct zone *zone, const uint8_t *name, size_t len)
{
    struct trie_key key;
    struct zone_found found;
    trie_key(name, len, zone->apex_len, &key);
    const struct owner *owner = trie_before(&zone->trie, &key, zone->apex_len, false);
    if (!owner || owner_get(owner, DNS_NSEC))
        return zone_owner_of(owner);
    /* Glue has none: the cut above it does. */
    zone_search(zone, owner_name(owner), owner->name_len, &found);
    return found.cut && zone_owner_get(found.cut, DNS_NSEC) ? found.cut : NULL;
}

/* --- NSEC3 ------------------------------------------------------------------------------------------ */

/* Hash algorithm 1, flags 1, iterations 2, salt with its length: the same in NSEC3PARAM and NSEC3, but for
 * the flags (RFC 5155 sections 3.2 and 4.2). */
static bool same_chain(const uint8_t *a, const uint8_t *b)
{
    return a[0] == b[0] && !memcmp(a + 2, b + 2, 3 + (size_t)a[4]);
}

static void base32hex(const uint8_t digest[SHA1_LEN], uint8_t out[HASH_LABEL])
{
    for (unsigned i = 0; i < HASH_LABEL; i++) {
        unsigned bit = 5 * i,
                 pair = digest[bit / 8] << 8 | (bit / 8 + 1 < SHA1_LEN ? digest[bit / 8 + 1] : 0);
        out[i] = (uint8_t) "0123456789abcdefghijklmnopqrstuv"[pair >> (11 - bit % 8) & 31];
    }
}

/* Section 5: the owner name of the NSEC3 that name would have. */
static size_t hashed_name(const struct zone *zone, const uint8_t *name, size_t len,
                          uint8_t out[NAME_MAX_WIRE])
{
    const uint8_t *param = zone->nsec3param;
    uint8_t digest[SHA1_LEN];
    sha1(name, len, param + 5, param[4], digest);
    for (unsigned i = get16(param + 2); i > 0; i--)
        sha1(digest, SHA1_LEN, param + 5, param[4], digest);
    out[0] = HASH_LABEL;
    base32hex(digest, out + 1);
    memcpy(out + 1 + HASH_LABEL, zone->apex, zone->apex_len);
    return 1 + HASH_LABEL + (size_t)zone->apex_len;
}

const struct zone_owner *zone_nsec3(const struct zone *zone, const uint8_t *name, size_t len, bool *matches)
{
    uint8_t hashed[NAME_MAX_WIRE];
    struct trie_key key;
    *matches = false;
    if (!zone_has_nsec3(zone) || 1 + HASH_LABEL + zone->apex_len > NAME_MAX_WIRE)
        return NULL;
    size_t hashed_len = hashed_name(zone, name, len, hashed);
    const uint8_t *param = zone->nsec3param;
    trie_key(hashed, hashed_len, zone->apex_len, &key);
    const struct owner *owner = trie_before(&zone->nsec3, &key, zone->apex_len, false);
    for (unsigned i = 0; i < OTHER_CHAIN_MAX; i++) {
        if (!owner) /* before the first comes the last: the chain is a ring */
            owner = trie_last(&zone->nsec3);
        if (same_chain(param, piece_rdata(owner_get(owner, DNS_NSEC3), 0).data)) {
            *matches = owner->name_len == hashed_len && !memcmp(owner_name(owner), hashed, hashed_len);
            return zone_owner_of(owner);
        }
        trie_key(owner_name(owner), owner->name_len, zone->apex_len, &key);
        owner = trie_before(&zone->nsec3, &key, zone->apex_len, true);
    }
    return NULL;
}

/* --- edits ------------------------------------------------------------------------------------------ */

void nsec3_index(struct zone *zone, const struct trie_key *key, const struct owner *old, struct owner *next)
{
    if (next && owner_get(next, DNS_NSEC3))
        trie_put(&zone->nsec3, key, owner_ref(next), 0, zone->apex_len);
    else if (old && owner_get(old, DNS_NSEC3))
        trie_remove(&zone->nsec3, key, owner_name(old), old->name_len);
}

/* Section 4.1.2: a chain with flags, or of another algorithm, is not for use. Of several any will do. */
static const uint8_t *usable_param(const struct piece *params)
{
    const uint8_t *best = NULL;
    for (uint32_t i = 0; params && i < piece_count(params); i++) {
        struct rdata rdata = piece_rdata(params, i);
        if (rdata.data[0] == NSEC3_HASH_SHA1 && rdata.data[1] == 0 &&
            (!best || memcmp(rdata.data, best, 5) < 0))
            best = rdata.data;
    }
    return best;
}

void note_signing(struct zone *zone)
{
    const struct owner *apex = owner_of(zone_apex_owner(zone));
    zone->is_signed = apex && owner_get(apex, DNS_RRSIG);
    zone->nsec3param = apex ? usable_param(owner_get(apex, DNS_NSEC3PARAM)) : NULL;
}
