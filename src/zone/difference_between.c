/* The difference of two versions of a zone. */
#include "difference_body.h"
#include "piece_body.h"
#include "trie_compare.h"
#include "zone_body.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <stdlib.h>

struct between {
    struct difference *out;
    size_t apex_len;
    struct rdata *rdata[2]; /* room for sorting */
    uint32_t cap[2];
};

static int by_octets(const void *a, const void *b)
{
    return rdata_compare(a, b);
}

static uint32_t sorted(struct between *between, unsigned which, const struct piece *piece)
{
    uint32_t count = piece ? piece_count(piece) : 0;
    if (count > between->cap[which]) {
        between->cap[which] = count;
        between->rdata[which] = xrealloc(between->rdata[which], count * sizeof(struct rdata));
    }
    for (uint32_t i = 0; i < count; i++) {
        between->rdata[which][i] = piece_rdata(piece, i);
        between->rdata[which][i].weight = 0;
    }
    if (count > 1)
        qsort(between->rdata[which], count, sizeof(struct rdata), by_octets);
    return count;
}

/* The records of one RRset that only one side has; all of both when the TTL changed. */
static void compare_pieces(struct between *between, const uint8_t *owner, const struct piece *from,
                           const struct piece *to)
{
    if (from == to)
        return;
    uint32_t count[2] = {sorted(between, 0, from), sorted(between, 1, to)}, i = 0, j = 0;
    bool retimed =
        from && to && piece_ttl(from) != piece_ttl(to) && piece_type(from) != DNS_RRSIG; /* their own */
    while (i < count[0] || j < count[1]) {
        int order = i == count[0]   ? 1
                    : j == count[1] ? -1
                                    : by_octets(&between->rdata[0][i], &between->rdata[1][j]);
        struct difference_record record = {.owner = owner};
        if (order <= 0 && (order || retimed)) {
            record.type = piece_type(from);
            record.rdata = between->rdata[0][i];
            record.ttl = rdata_ttl(record.type, piece_ttl(from), &record.rdata);
            difference_add(between->out, DIFFERENCE_REMOVED, &record);
        }
        if (order >= 0 && (order || retimed)) {
            record.type = piece_type(to);
            record.rdata = between->rdata[1][j];
            record.ttl = rdata_ttl(record.type, piece_ttl(to), &record.rdata);
            difference_add(between->out, DIFFERENCE_ADDED, &record);
        }
        i += order <= 0;
        j += order >= 0;
    }
}

static const struct piece *piece_of(const struct owner *owner, unsigned i, uint16_t type)
{
    return owner && i < owner->count && owner_types(owner)[i] == type ? owner->pieces[i] : NULL;
}

static void compare_owners(void *arg, const struct owner *from, const struct owner *to)
{
    struct between *between = arg;
    const uint8_t *name = owner_name(from ? from : to);
    bool apex = (from ? from : to)->name_len == between->apex_len;
    if (apex) /* first on both sides, before the types below it */
        compare_pieces(between, name, from ? owner_get(from, DNS_SOA) : NULL,
                       to ? owner_get(to, DNS_SOA) : NULL);
    unsigned from_count = from ? from->count : 0, to_count = to ? to->count : 0;
    for (unsigned i = 0, j = 0; i < from_count || j < to_count;) {
        unsigned type = i < from_count ? owner_types(from)[i] : 0x10000u;
        if (j < to_count && owner_types(to)[j] < type)
            type = owner_types(to)[j];
        const struct piece *old = piece_of(from, i, (uint16_t)type), *new = piece_of(to, j, (uint16_t)type);
        if (!apex || type != DNS_SOA)
            compare_pieces(between, name, old, new);
        i += old != NULL;
        j += new != NULL;
    }
}

struct difference *difference_between(const struct zone *from, const struct zone *to)
{
    static const struct trie nothing;
    assert(!from || name_equal(from->apex, to->apex));
    struct between between = {.out = difference_new(from ? zone_serial(from) : 0, zone_serial(to)),
                              .apex_len = to->apex_len};
    trie_compare(from ? &from->trie : &nothing, &to->trie, compare_owners, &between);
    free(between.rdata[0]);
    free(between.rdata[1]);
    difference_trim(between.out);
    return between.out;
}
