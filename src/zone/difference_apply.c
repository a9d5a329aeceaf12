/* Applying a difference to an edit, RRset by RRset: a piece cannot be changed, so each is made anew once. */
#include "difference_body.h"
#include "piece_body.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

struct cursor {
    const struct difference *difference;
    enum difference_side side;
    size_t next;
};

static bool peek(const struct cursor *cursor, struct difference_record *out)
{
    if (cursor->next == difference_count(cursor->difference, cursor->side))
        return false;
    *out = difference_record(cursor->difference, cursor->side, cursor->next);
    return true;
}

static bool same_rrset(const struct difference_record *a, const struct difference_record *b)
{
    return a->type == b->type && name_equal(a->owner, b->owner);
}

/* The order of RRsets: difference_order without the records. */
static int rrset_order(struct difference_record a, struct difference_record b)
{
    a.rdata.len = b.rdata.len = 0;
    return difference_order(&a, &b);
}

static bool rdata_is(const struct rdata *a, const struct rdata *b)
{
    return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

static int by_octets(const void *a, const void *b)
{
    return rdata_compare(a, b);
}

static int fault(struct err *err, const struct difference_record *record, const char *what)
{
    char name[NAME_MAX_TEXT], type[16];
    return err_set(err, "%.250s %s: %s", name_to_text(record->owner, name), dns_type_text(record->type, type),
                   what);
}

/* One RRset as it becomes. The removed and added of it stand in the order of octets, and so do the old ones
 * once sorted: one merge. */
static int change_rrset(struct zone_edit *edit, const struct difference_record *rrset, struct cursor *removed,
                        struct cursor *added, struct err *err)
{
    const struct piece *old = zone_edit_get(edit, rrset->owner, rrset->type);
    uint32_t old_count = old ? piece_count(old) : 0, count = 0;
    size_t end = added->next;
    struct difference_record record;
    while (end < difference_count(added->difference, added->side)) {
        record = difference_record(added->difference, added->side, end);
        if (!same_rrset(&record, rrset))
            break;
        end++;
    }
    struct rdata *before = xmalloc((old_count + 1) * sizeof *before);
    struct rdata *after = xmalloc((old_count + (end - added->next) + 1) * sizeof *after);
    for (uint32_t i = 0; i < old_count; i++)
        before[i] = piece_rdata(old, i);
    qsort(before, old_count, sizeof *before, by_octets);

    int result = 0;
    uint32_t ttl = old ? piece_ttl(old) : 0;
    for (uint32_t i = 0; !result && i < old_count; i++) {
        bool gone = peek(removed, &record) && same_rrset(&record, rrset);
        if (gone && rdata_is(&record.rdata, &before[i])) {
            if (record.ttl != rdata_ttl(rrset->type, ttl, &record.rdata))
                result = fault(err, &record, "a record to be removed has another TTL");
            removed->next++;
        } else {
            after[count++] = before[i];
        }
    }
    if (!result && peek(removed, &record) && same_rrset(&record, rrset))
        result = fault(err, &record, "a record to be removed is not there");
    if (!count && added->next < end)
        ttl = difference_record(added->difference, added->side, added->next).ttl;
    uint32_t kept = count, at = 0;
    for (; !result && added->next < end; added->next++) {
        record = difference_record(added->difference, added->side, added->next);
        while (at < kept && by_octets(&after[at], &record.rdata) < 0)
            at++;
        if (at < kept && rdata_is(&after[at], &record.rdata))
            result = fault(err, &record, "a record to be added is there already");
        else if (record.ttl != rdata_ttl(rrset->type, ttl, &record.rdata))
            result = fault(err, &record, "the records of one RRset differ in TTL (RFC 2181 section 5.2)");
        after[count++] = record.rdata;
    }
    if (!result && count) {
        struct piece *piece = piece_new(
            &(struct piece_spec){.type = rrset->type, .ttl = ttl, .rdata = after, .count = count}, err);
        result = piece ? zone_edit_put(edit, rrset->owner, piece, err) : -1;
        if (piece)
            piece_unref(piece);
    } else if (!result) {
        zone_edit_remove(edit, rrset->owner, rrset->type);
    }
    free(before);
    free(after);
    return result;
}

int difference_apply(const struct difference *difference, struct zone_edit *edit, struct err *err)
{
    struct cursor removed = {difference, DIFFERENCE_REMOVED, 0}, added = {difference, DIFFERENCE_ADDED, 0};
    for (;;) {
        struct difference_record a, b;
        bool has_a = peek(&removed, &a), has_b = peek(&added, &b);
        if (!has_a && !has_b)
            return 0;
        const struct difference_record *rrset = !has_a || (has_b && rrset_order(b, a) < 0) ? &b : &a;
        if (change_rrset(edit, rrset, &removed, &added, err))
            return -1;
    }
}
