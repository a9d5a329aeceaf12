/* What an UPDATE does to a zone (RFC 2136 sections 3.2 and 3.4). */
#include "update_message.h"

#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

#define WKS 11 /* RFC 1035: one record for each address and protocol */

static enum dns_rcode refuse(struct err *err, enum dns_rcode rcode, const struct update_record *record,
                             const char *what)
{
    char name[NAME_MAX_TEXT], type[16];
    if (record->type == DNS_ANY)
        err_set(err, "%.200s %s", name_to_text(record->owner, name), what);
    else
        err_set(err, "%.200s %s %s", name_to_text(record->owner, name), dns_type_text(record->type, type),
                what);
    return rcode;
}

/* --- prerequisites ---------------------------------------------------------------------------------- */

/* It owns a record: an empty non-terminal is not in use (section 2.4.4), and wildcards do not count. */
static bool in_use(const struct zone *zone, const uint8_t *owner)
{
    struct zone_found found;
    zone_search(zone, owner, name_len(owner), &found);
    return found.exact && zone_owner_count(found.exact) > 0;
}

static int compare_records(const void *a, const void *b)
{
    const struct update_record *x = a, *y = b;
    int order = name_compare(x->owner, y->owner);
    if (!order)
        order = x->type - y->type;
    if (!order)
        order = memcmp(x->folded, y->folded, x->len < y->len ? x->len : y->len);
    return order ? order : x->len - y->len;
}

/* Records of one RRset, sorted and each once: are they the zone's? (section 2.4.2) TTLs do not count. */
static bool same_rrset(const struct piece *piece, const struct update_record *records, size_t count)
{
    if (!piece || piece_count(piece) != count)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct rdata rdata = piece_rdata(piece, i);
        uint8_t *folded = xmalloc(rdata.len + 1u);
        memcpy(folded, rdata.data, rdata.len);
        dns_rdata_fold(records->type, folded, rdata.len);
        struct update_record wanted = {
            .owner = records->owner, .type = records->type, .len = rdata.len, .folded = folded};
        bool found = bsearch(&wanted, records, count, sizeof *records, compare_records) != NULL;
        free(folded);
        if (!found)
            return false;
    }
    return true;
}

static enum dns_rcode judge_values(const struct update *update, const struct zone *current, struct err *err)
{
    struct update_record *records = xcalloc(update->prerequisite_count + 1, sizeof *records);
    size_t all = 0, count = 0;
    enum dns_rcode rcode = DNS_NOERROR;
    for (size_t i = 0; i < update->prerequisite_count; i++)
        if (update->prerequisites[i].class == DNS_IN)
            records[all++] = update->prerequisites[i];
    qsort(records, all, sizeof *records, compare_records);
    for (size_t i = 0; i < all; i++)
        if (i == 0 || compare_records(&records[count - 1], &records[i]))
            records[count++] = records[i];
    for (size_t from = 0, to; from < count && !rcode; from = to) {
        to = from + 1;
        while (to < count && records[to].type == records[from].type &&
               name_equal(records[to].owner, records[from].owner))
            to++;
        const struct piece *piece = zone_get(current, records[from].owner, records[from].type);
        if (!same_rrset(piece, &records[from], to - from))
            rcode = refuse(err, DNS_NXRRSET, &records[from], "is not as the prerequisite has it");
    }
    free(records);
    return rcode;
}

enum dns_rcode update_judge(const struct update *update, const struct zone *current, struct err *err)
{
    for (size_t i = 0; i < update->prerequisite_count; i++) {
        const struct update_record *r = &update->prerequisites[i];
        bool wanted = r->class == DNS_CLASS_ANY;
        if (r->class == DNS_IN)
            continue;
        if (r->type == DNS_ANY && in_use(current, r->owner) != wanted)
            return refuse(err, wanted ? DNS_NXDOMAIN : DNS_YXDOMAIN, r,
                          wanted ? "is not in use" : "is in use");
        if (r->type != DNS_ANY && (zone_get(current, r->owner, r->type) != NULL) != wanted)
            return refuse(err, wanted ? DNS_NXRRSET : DNS_YXRRSET, r, wanted ? "does not exist" : "exists");
    }
    return judge_values(update, current, err);
}

/* --- changes ---------------------------------------------------------------------------------------- */

struct item {
    uint8_t *rdata, *folded; /* one allocation */
    uint16_t len;
};

/* The RRset that is being changed: many records of a message are of the same one, which is compiled once. */
struct work {
    struct zone_edit *edit;
    const struct zone *current;
    const uint8_t *apex;
    uint8_t owner[NAME_MAX_WIRE];
    uint16_t type; /* 0: none */
    uint32_t ttl;
    bool changed;
    struct item *items;
    size_t count, room;
};

static void drop_items(struct work *work)
{
    for (size_t i = 0; i < work->count; i++)
        free(work->items[i].rdata);
    work->count = 0;
}

/* rdata: len octets, and len more of the same folded, or NULL: to be folded here. */
static void add_item(struct work *work, const uint8_t *rdata, const uint8_t *folded, uint16_t len)
{
    if (work->count == work->room)
        work->items = xrealloc(work->items, (work->room = work->room * 2 + 8) * sizeof *work->items);
    struct item *item = &work->items[work->count++];
    item->rdata = xmalloc(2u * len + 1);
    item->folded = item->rdata + len;
    item->len = len;
    memcpy(item->rdata, rdata, len);
    memcpy(item->folded, folded ? folded : rdata, len);
    if (!folded)
        dns_rdata_fold(work->type, item->folded, len);
}

/* Puts what was changed into the edit. */
static int flush(struct work *work, struct err *err)
{
    int result = 0;
    if (work->changed && work->count == 0) {
        zone_edit_remove(work->edit, work->owner, work->type);
    } else if (work->changed) {
        struct rdata *rdata = xcalloc(work->count, sizeof *rdata);
        for (size_t i = 0; i < work->count; i++)
            rdata[i] = (struct rdata){.data = work->items[i].rdata, .len = work->items[i].len};
        struct piece *piece = piece_new(
            &(struct piece_spec){
                .type = work->type, .ttl = work->ttl, .rdata = rdata, .count = (uint32_t)work->count},
            err);
        result = piece ? zone_edit_put(work->edit, work->owner, piece, err) : -1;
        if (piece)
            piece_unref(piece);
        free(rdata);
    }
    drop_items(work);
    work->type = 0;
    work->changed = false;
    return result;
}

static int turn_to(struct work *work, const uint8_t *owner, uint16_t type, struct err *err)
{
    if (work->type == type && name_equal(work->owner, owner))
        return 0;
    if (flush(work, err))
        return -1;
    name_lower(owner, work->owner);
    work->type = type;
    const struct piece *piece = zone_edit_get(work->edit, owner, type);
    work->ttl = piece ? piece_ttl(piece) : 0;
    for (uint32_t i = 0; piece && i < piece_count(piece); i++) {
        struct rdata rdata = piece_rdata(piece, i);
        add_item(work, rdata.data, NULL, rdata.len);
    }
    return 0;
}

static struct item *find(const struct work *work, const struct update_record *r)
{
    for (size_t i = 0; i < work->count; i++) {
        struct item *item = &work->items[i];
        if (r->type == WKS && item->len >= 5 && r->len >= 5 && !memcmp(item->folded, r->folded, 5))
            return item;
        if (item->len == r->len && !memcmp(item->folded, r->folded, r->len))
            return item;
    }
    return NULL;
}

static bool is_single(uint16_t type)
{
    return type == DNS_CNAME || type == DNS_DNAME || type == DNS_SOA;
}

static uint32_t soa_serial(const uint8_t *rdata, uint16_t len)
{
    return get32(rdata + len - 20);
}

/* A CNAME beside other data, and other data beside a CNAME, are ignored (section 3.4.2.2). */
static bool conflicts(const struct work *work, const struct update_record *r)
{
    if (r->type == DNS_CNAME)
        return zone_edit_has_other(work->edit, r->owner, DNS_CNAME);
    return zone_edit_get(work->edit, r->owner, DNS_CNAME) != NULL;
}

static int add(struct work *work, const struct update_record *r, struct err *err)
{
    bool at_it = work->type == r->type && name_equal(work->owner, r->owner) && work->count > 0;
    if (!at_it && flush(work, err)) /* what follows asks the edit */
        return -1;
    if (!at_it && conflicts(work, r))
        return 0;
    if (turn_to(work, r->owner, r->type, err))
        return -1;
    if (r->type == DNS_SOA &&
        (work->count == 0 || !serial_is_later(soa_serial(r->rdata, r->len),
                                              soa_serial(work->items[0].rdata, work->items[0].len))))
        return 0;
    struct item *old = find(work, r);
    if (old && work->ttl == r->ttl && old->len == r->len && !memcmp(old->rdata, r->rdata, r->len))
        return 0;
    if (is_single(r->type)) {
        drop_items(work);
    } else if (old) { /* in the new one's letters */
        free(old->rdata);
        *old = work->items[--work->count];
    }
    add_item(work, r->rdata, r->folded, r->len);
    work->ttl = r->ttl;
    work->changed = true;
    return 0;
}

/* Class NONE (section 3.4.2.4). */
static int remove_record(struct work *work, const struct update_record *r, struct err *err)
{
    bool last_ns;
    if (r->type == DNS_SOA)
        return 0;
    if (turn_to(work, r->owner, r->type, err))
        return -1;
    struct item *item = find(work, r);
    last_ns = r->type == DNS_NS && work->count == 1 && name_equal(r->owner, work->apex);
    if (!item || last_ns)
        return 0;
    free(item->rdata);
    *item = work->items[--work->count];
    work->changed = true;
    return 0;
}

static bool is_guarded(const struct work *work, const uint8_t *owner, uint16_t type)
{
    return (type == DNS_SOA || type == DNS_NS) && name_equal(owner, work->apex);
}

static void remove_rrset(struct work *work, const uint8_t *owner, uint16_t type)
{
    if (!is_guarded(work, owner, type))
        zone_edit_remove(work->edit, owner, type);
}

/* Class ANY (section 3.4.2.3). What the name owns is what it owned before and what the message added. */
static void remove_all(struct work *work, const struct update *update, const struct update_record *r)
{
    struct zone_found found;
    if (!name_equal(r->owner, work->apex)) {
        zone_edit_remove(work->edit, r->owner, DNS_ANY);
        return;
    }
    zone_search(work->current, r->owner, name_len(r->owner), &found);
    for (unsigned i = 0; found.exact && i < zone_owner_count(found.exact); i++)
        remove_rrset(work, r->owner, piece_type(zone_owner_piece(found.exact, i)));
    for (size_t i = 0; i < update->change_count; i++)
        if (update->changes[i].type != DNS_ANY && name_equal(update->changes[i].owner, r->owner))
            remove_rrset(work, r->owner, update->changes[i].type);
}

static int change(struct work *work, const struct update *update, const struct update_record *r,
                  struct err *err)
{
    if (r->class == DNS_IN)
        return add(work, r, err);
    if (r->class == DNS_CLASS_NONE)
        return remove_record(work, r, err);
    if (flush(work, err))
        return -1;
    if (r->type == DNS_ANY)
        remove_all(work, update, r);
    else
        remove_rrset(work, r->owner, r->type);
    return 0;
}

enum dns_rcode update_apply(const struct update *update, struct zone_edit *edit, const struct zone *current,
                            struct err *err)
{
    struct work work = {.edit = edit, .current = current, .apex = update->zone};
    int result = 0;
    for (size_t i = 0; i < update->change_count && !result; i++)
        result = change(&work, update, &update->changes[i], err);
    if (!result)
        result = flush(&work, err);
    drop_items(&work);
    free(work.items);
    return result ? DNS_REFUSED : DNS_NOERROR;
}
