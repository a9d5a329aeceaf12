#include "store/merge.h"

#include "lictor/dns.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

#define NAMED_MAX 5 /* conflicts that an error names */

/* --- RRsets of a difference ------------------------------------------------------------------------- */

/* Steps through the RRsets that a difference touches, in order. */
struct rrsets {
    const struct difference *difference;
    size_t next[2], end[2]; /* per side: the records of the current one are from next up to end */
    const uint8_t *owner;
    uint16_t type;
};

static bool same_rrset(const struct difference_record *a, const struct difference_record *b)
{
    return a->type == b->type && name_equal(a->owner, b->owner);
}

static int rrset_order(const struct difference_record *a, const struct difference_record *b)
{
    bool soa = a->type == DNS_SOA;
    if (soa != (b->type == DNS_SOA))
        return soa ? -1 : 1;
    int order = name_compare(a->owner, b->owner);
    return order ? order : (int)a->type - (int)b->type;
}

static bool next_rrset(struct rrsets *at)
{
    struct difference_record first[2];
    bool has[2];
    for (unsigned side = 0; side < 2; side++) {
        at->next[side] = at->end[side];
        has[side] = at->next[side] < difference_count(at->difference, side);
        if (has[side])
            first[side] = difference_record(at->difference, side, at->next[side]);
    }
    if (!has[0] && !has[1])
        return false;
    unsigned least = !has[0] || (has[1] && rrset_order(&first[1], &first[0]) < 0);
    at->owner = first[least].owner;
    at->type = first[least].type;
    for (unsigned side = 0; side < 2; side++)
        while (at->end[side] < difference_count(at->difference, side)) {
            struct difference_record record = difference_record(at->difference, side, at->end[side]);
            if (!same_rrset(&record, &first[least]))
                break;
            at->end[side]++;
        }
    return true;
}

static bool pieces_equal(const struct piece *a, const struct piece *b)
{
    return a == b || (a && b && piece_equal(a, b));
}

/* Counts belong to the builder, and so does the caller. */
static struct piece *own(const struct piece *piece)
{
    return (struct piece *)(uintptr_t)piece;
}

static int set(struct zone_edit *edit, const uint8_t *owner, uint16_t type, const struct piece *piece,
               struct err *err)
{
    if (piece)
        return zone_edit_put(edit, owner, own(piece), err);
    zone_edit_remove(edit, owner, type);
    return 0;
}

/* --- files ---------------------------------------------------------------------------------------- */

static int replace(struct zone_edit *edit, const struct zone *current, const struct zone *file,
                   struct err *err)
{
    struct difference *difference = difference_between(current, file);
    int result = difference_apply(difference, edit, err);
    difference_unref(difference);
    return result;
}

static void name_conflict(struct buf *named, unsigned conflicts, const struct rrsets *at)
{
    char name[NAME_MAX_TEXT], type[16];
    if (conflicts > NAMED_MAX)
        return;
    buf_printf(named, "%s%.100s %s", named->len ? ", " : "", name_to_text(at->owner, name),
               dns_type_text(at->type, type));
}

/* --- RRsets that are left alone ----------------------------------------------------------------------- */

static size_t apart_key(const uint8_t *owner, uint16_t type, uint8_t key[NAME_MAX_WIRE + 2])
{
    size_t len = name_lower(owner, key);
    put16(key + len, type);
    return len + 2;
}

void merge_set_apart(struct strmap *apart, const struct difference *difference)
{
    uint8_t key[NAME_MAX_WIRE + 2];
    for (unsigned side = 0; side < 2; side++)
        for (size_t i = 0; i < difference_count(difference, side); i++) {
            struct difference_record record = difference_record(difference, side, i);
            if (record.type != DNS_SOA)
                strmap_put(apart, key, apart_key(record.owner, record.type, key), apart);
        }
}

static bool is_apart(const struct strmap *apart, const uint8_t *owner, uint16_t type)
{
    uint8_t key[NAME_MAX_WIRE + 2];
    return strmap_get(apart, key, apart_key(owner, type, key)) != NULL;
}

/* --- three ways ----------------------------------------------------------------------------------------- */

/* Applies what is different between was and wanted where `current` is still as `was` had it. What is not, and
 * not as wanted either, is a conflict: named, unless it is to stay. Returns how many are named, or -1 with
 * err. */
static int three_way(struct zone_edit *edit, const struct zone *current, const struct zone *before,
                     const struct zone *after, bool stay, const struct strmap *apart, struct buf *named,
                     struct err *err)
{
    struct difference *difference = difference_between(before, after);
    struct rrsets at = {.difference = difference};
    int conflicts = 0, result = 0;
    while (!result && next_rrset(&at)) {
        if (apart && is_apart(apart, at.owner, at.type))
            continue;
        const struct piece *wanted = zone_get(after, at.owner, at.type);
        const struct piece *was = zone_get(before, at.owner, at.type);
        const struct piece *is = zone_get(current, at.owner, at.type);
        /* Every commit has raised the serial, so both sides always have changed the SOA. */
        if (at.type == DNS_SOA || pieces_equal(is, was))
            result = set(edit, at.owner, at.type, wanted, err);
        else if (!pieces_equal(is, wanted) && !stay)
            name_conflict(named, (unsigned)++conflicts, &at);
    }
    difference_unref(difference);
    if (conflicts > NAMED_MAX)
        buf_puts(named, " and others");
    return result ? -1 : conflicts;
}

int merge_file(struct zone_edit *edit, const struct zone *current, const struct zone *last,
               const struct zone *file, enum store_import_mode mode, struct err *err)
{
    if (!last || mode == STORE_IMPORT_REPLACE)
        return replace(edit, current, file, err);
    struct buf named = {0};
    int conflicts = three_way(edit, current, last, file, mode == STORE_IMPORT_OURS, NULL, &named, err);
    if (conflicts > 0)
        err_set(err,
                "%d RRset%s changed both in the file and in the zone since the last import: %s; --ours keeps "
                "the zone's, --replace takes the whole file",
                conflicts, conflicts == 1 ? " was" : "s were", buf_str(&named));
    buf_free(&named);
    return conflicts ? -1 : 0;
}

int merge_back(struct zone_edit *edit, const struct zone *current, const struct zone *began,
               const struct zone *target, const struct strmap *apart, struct err *err)
{
    struct buf named = {0};
    int conflicts = three_way(edit, current, began, target, false, apart, &named, err);
    if (conflicts > 0)
        err_set(err, "%d RRset%s changed again meanwhile: %s; nothing was done, try again", conflicts,
                conflicts == 1 ? " was" : "s were", buf_str(&named));
    buf_free(&named);
    return conflicts ? -1 : 0;
}

/* --- differences ------------------------------------------------------------------------------------ */

static bool rdata_is(const struct rdata *a, const struct rdata *b)
{
    return a->len == b->len && !memcmp(a->data, b->data, a->len);
}

static bool among(const struct rrsets *at, enum difference_side side, const struct rdata *rdata)
{
    for (size_t i = at->next[side]; i < at->end[side]; i++) {
        struct difference_record record = difference_record(at->difference, side, i);
        if (rdata_is(&record.rdata, rdata))
            return true;
    }
    return false;
}

static struct piece *changed(const struct rrsets *at, const struct piece *is, struct err *err)
{
    uint32_t had = is ? piece_count(is) : 0, count = 0, ttl = is ? piece_ttl(is) : 0;
    size_t added = at->end[DIFFERENCE_ADDED] - at->next[DIFFERENCE_ADDED];
    struct rdata *rdata = xmalloc((had + added + 1) * sizeof *rdata);
    for (uint32_t i = 0; i < had; i++) {
        struct rdata one = piece_rdata(is, i);
        if (!among(at, DIFFERENCE_REMOVED, &one) && !among(at, DIFFERENCE_ADDED, &one))
            rdata[count++] = one;
    }
    for (size_t i = at->next[DIFFERENCE_ADDED]; i < at->end[DIFFERENCE_ADDED]; i++) {
        struct difference_record record = difference_record(at->difference, DIFFERENCE_ADDED, i);
        rdata[count++] = record.rdata;
        ttl = record.ttl;
    }
    bool single = at->type == DNS_CNAME || at->type == DNS_DNAME;
    struct piece *piece = NULL;
    if (single && count > 1) { /* the one that came last */
        rdata[0] = rdata[count - 1];
        count = 1;
    }
    if (count)
        piece = piece_new(&(struct piece_spec){.type = at->type, .ttl = ttl, .rdata = rdata, .count = count},
                          err);
    free(rdata);
    return piece;
}

/* Of the types that exclude others, as far as one name tells. */
static bool excluded(const struct zone_edit *edit, const struct rrsets *at)
{
    if (at->type == DNS_RRSIG || at->type == DNS_NSEC)
        return false;
    if (at->type != DNS_CNAME)
        return zone_edit_get(edit, at->owner, DNS_CNAME) != NULL;
    return zone_edit_has_other(edit, at->owner, DNS_CNAME);
}

size_t merge_leniently(struct zone_edit *edit, const struct difference *difference, struct err *err)
{
    size_t left_out = 0;
    struct rrsets at = {.difference = difference};
    /* Twice: what is removed first may make room for what is added elsewhere at the name. */
    for (unsigned pass = 0; pass < 2; pass++) {
        at = (struct rrsets){.difference = difference};
        while (next_rrset(&at)) {
            bool adds = at.end[DIFFERENCE_ADDED] > at.next[DIFFERENCE_ADDED];
            if (at.type == DNS_SOA || adds != (pass == 1))
                continue;
            struct err why;
            const struct piece *is = zone_edit_get(edit, at.owner, at.type);
            bool refused = adds && excluded(edit, &at);
            struct piece *piece = refused ? NULL : changed(&at, is, &why);
            if (!refused && (piece || !adds) && !set(edit, at.owner, at.type, piece, &why)) {
                if (piece)
                    piece_unref(piece);
                continue;
            }
            if (piece)
                piece_unref(piece);
            if (!left_out++) {
                char name[NAME_MAX_TEXT], type[16];
                err_set(err, "%.200s %s", name_to_text(at.owner, name), dns_type_text(at.type, type));
            }
        }
    }
    return left_out;
}

void merge_set_serial(struct zone_edit *edit, const uint8_t *apex, uint32_t serial)
{
    const struct piece *old = zone_edit_get(edit, apex, DNS_SOA);
    struct rdata rdata = piece_rdata(old, 0);
    uint8_t octets[2 * NAME_MAX_WIRE + 20];
    memcpy(octets, rdata.data, rdata.len);
    put32(octets + rdata.len - 20, serial);
    rdata.data = octets;
    struct piece *piece = piece_new(
        &(struct piece_spec){.type = DNS_SOA, .ttl = piece_ttl(old), .rdata = &rdata, .count = 1}, NULL);
    zone_edit_put(edit, apex, piece, NULL);
    piece_unref(piece);
}
