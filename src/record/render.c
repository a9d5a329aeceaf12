#include "render.h"

#include "lictor/buf.h"
#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How our own TXT records begin, so that nobody else's are taken for them. */
#define TEXT_PREFIX "lictor: "

struct zone_origins *record_origins(void)
{
    static struct zone_origins origins;
    if (!atomic_load(&origins.count)) { /* the builder alone calls this */
        for (unsigned i = RECORD_ORIGIN_DOWN; i <= RECORD_ORIGIN_UNKNOWN; i++) {
            atomic_init(&origins.at[i].state.stale_from, NS_NEVER);
            atomic_init(&origins.at[i].state.dead_from, 0);
            atomic_init(&origins.at[i].state.held, i == RECORD_ORIGIN_UNKNOWN);
            atomic_init(&origins.at[i].known, true);
        }
        atomic_store_explicit(&origins.count, RECORD_ORIGIN_UNKNOWN + 1, memory_order_release);
    }
    return &origins;
}

/* --- making --------------------------------------------------------------------------------------- */

struct collected {
    struct buf octets, items; /* items: struct rdata, its data an offset until it is made */
};

static void collect(struct collected *to, const void *data, size_t len, uint16_t weight)
{
    struct rdata rdata = {
        .data = (const uint8_t *)(uintptr_t)to->octets.len, .len = (uint16_t)len, .weight = weight};
    buf_append(&to->octets, data, len);
    buf_append(&to->items, &rdata, sizeof(rdata));
}

static void add(struct record_set *set, const uint8_t *owner, struct piece *piece)
{
    set->items = xrealloc(set->items, (set->count + 1) * sizeof(*set->items));
    memcpy(set->items[set->count].owner, owner, name_len(owner));
    set->items[set->count++].piece = piece;
}

static void make(struct record_set *set, const struct config_record *config, const uint8_t *owner,
                 uint16_t type, uint32_t ttl, uint8_t origin, struct collected *from)
{
    struct err err;
    struct rdata *rdata = (struct rdata *)(void *)from->items.data;
    size_t count = from->items.len / sizeof(*rdata);
    bool address = type == DNS_A || type == DNS_AAAA;
    for (size_t i = 0; i < count; i++)
        rdata[i].data = from->octets.data + (uintptr_t)rdata[i].data;
    struct piece_spec spec = {.type = type,
                              .ttl = ttl,
                              .rdata = rdata,
                              .count = (uint32_t)count,
                              .answers = (uint16_t)(address ? config->answers : 0),
                              .origin = origin};
    struct piece *piece = count ? piece_new(&spec, &err) : NULL;
    if (piece)
        add(set, owner, piece);
    else if (count)
        log_error("record %s: %zu records are no RRset: %s", config->name, count, err.text);
    buf_free(&from->octets);
    buf_free(&from->items);
}

static void render_addresses(const struct config_record *config, const struct record_target *targets,
                             size_t count, uint32_t ttl, struct record_set *out)
{
    struct collected a = {0}, aaaa = {0};
    for (size_t i = 0; i < count; i++) {
        uint16_t weight = config->weights ? targets[i].weight : 1;
        if (targets[i].has_ipv4)
            collect(&a, targets[i].ipv4, 4, weight);
        if (targets[i].has_ipv6)
            collect(&aaaa, targets[i].ipv6, 16, weight);
    }
    make(out, config, config->owner, DNS_A, ttl, 0, &a);
    make(out, config, config->owner, DNS_AAAA, ttl, 0, &aaaa);
}

/* The target's name: the address in hexadecimal below the record's own name, so that the zone's secondaries
 * can resolve it, whoever asks. Returns its length, or -1. */
static int target_name(const struct config_record *config, const struct record_target *target,
                       uint8_t name[NAME_MAX_WIRE])
{
    char hex[33];
    const uint8_t *ip = target->has_ipv4 ? target->ipv4 : target->ipv6;
    size_t octets = target->has_ipv4 ? 4 : 16;
    if (!target->has_ipv4 && !target->has_ipv6)
        return target->host ? name_from_text(target->host, NULL, name, NULL) : -1;
    for (size_t i = 0; i < octets; i++)
        snprintf(hex + 2 * i, 3, "%02x", ip[i]);
    return name_prepend((const uint8_t *)hex, 2 * octets, config->owner, name);
}

static bool has_owner(const struct record_set *set, const uint8_t *owner)
{
    for (size_t i = 0; i < set->count; i++)
        if (name_equal(set->items[i].owner, owner))
            return true;
    return false;
}

static void render_srv(const struct config_record *config, const struct record_target *targets, size_t count,
                       uint32_t ttl, struct record_set *out)
{
    struct collected srv = {0};
    for (size_t i = 0; i < count; i++) {
        uint8_t rdata[6 + NAME_MAX_WIRE];
        int len = targets[i].port ? target_name(config, &targets[i], rdata + 6) : -1;
        if (len < 0)
            continue;
        put16(rdata, targets[i].priority);
        put16(rdata + 2, config->weights ? targets[i].weight : 1);
        put16(rdata + 4, targets[i].port);
        collect(&srv, rdata, 6 + (size_t)len, 0);
        if ((!targets[i].has_ipv4 && !targets[i].has_ipv6) || has_owner(out, rdata + 6))
            continue; /* two ports of one host have one name */
        struct collected a = {0}, aaaa = {0};
        if (targets[i].has_ipv4)
            collect(&a, targets[i].ipv4, 4, 0);
        if (targets[i].has_ipv6)
            collect(&aaaa, targets[i].ipv6, 16, 0);
        make(out, config, rdata + 6, DNS_A, ttl, 0, &a);
        make(out, config, rdata + 6, DNS_AAAA, ttl, 0, &aaaa);
    }
    make(out, config, config->owner, DNS_SRV, ttl, 0, &srv);
}

void render_targets(const struct config_record *config, const struct record_target *targets, size_t count,
                    uint32_t ttl, struct record_set *out)
{
    *out = (struct record_set){0};
    if (config->srv)
        render_srv(config, targets, count, ttl, out);
    else
        render_addresses(config, targets, count, ttl, out);
}

void render_text(const struct config_record *config, const char *text, uint32_t ttl, uint8_t origin,
                 struct record_set *out)
{
    uint8_t rdata[256];
    struct collected txt = {0};
    *out = (struct record_set){0};
    int len = snprintf((char *)rdata + 1, sizeof(rdata) - 1, TEXT_PREFIX "%s", text);
    rdata[0] = (uint8_t)(len < 254 ? len : 254);
    collect(&txt, rdata, 1 + (size_t)rdata[0], 0);
    make(out, config, config->owner, DNS_TXT, ttl, origin, &txt);
}

void record_set_free(struct record_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        piece_unref(set->items[i].piece);
    free(set->items);
    *set = (struct record_set){0};
}

bool record_set_equal(const struct record_set *a, const struct record_set *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!name_equal(a->items[i].owner, b->items[i].owner) ||
            piece_origin(a->items[i].piece) != piece_origin(b->items[i].piece) ||
            !piece_equal(a->items[i].piece, b->items[i].piece))
            return false;
    return true;
}

/* --- in a zone ------------------------------------------------------------------------------------ */

static bool is_our_text(const struct piece *piece)
{
    struct rdata rdata = piece_rdata(piece, 0);
    return piece_count(piece) == 1 && rdata.len > sizeof(TEXT_PREFIX) &&
           !memcmp(rdata.data + 1, TEXT_PREFIX, sizeof(TEXT_PREFIX) - 1);
}

/* Where the RRsets are looked for: a version, or an edit. */
typedef const struct piece *get_fn(const void *from, const uint8_t *owner, uint16_t type);

static const struct piece *from_zone(const void *from, const uint8_t *owner, uint16_t type)
{
    return zone_get(from, owner, type);
}

static const struct piece *from_edit(const void *from, const uint8_t *owner, uint16_t type)
{
    return zone_edit_get(from, owner, type);
}

typedef void visit_fn(void *arg, const uint8_t *owner, const struct piece *piece);

static void visit_if(const void *from, get_fn *get, const uint8_t *owner, uint16_t type, visit_fn *visit,
                     void *arg)
{
    const struct piece *piece = get(from, owner, type);
    if (piece && (type != DNS_TXT || is_our_text(piece)))
        visit(arg, owner, piece);
}

/* Which names below an SRV record are its own is told by its targets. */
static void visit_all(const struct config_record *config, const void *from, get_fn *get, visit_fn *visit,
                      void *arg)
{
    const struct piece *srv = config->srv ? get(from, config->owner, DNS_SRV) : NULL;
    for (uint32_t i = 0; srv && i < piece_count(srv); i++) {
        uint8_t target[NAME_MAX_WIRE];
        struct rdata rdata = piece_rdata(srv, i);
        name_lower(rdata.data + 6, target);
        if (name_is_under(target, config->owner) && !name_equal(target, config->owner)) {
            visit_if(from, get, target, DNS_A, visit, arg);
            visit_if(from, get, target, DNS_AAAA, visit, arg);
        }
    }
    if (config->srv) {
        visit_if(from, get, config->owner, DNS_SRV, visit, arg);
    } else {
        visit_if(from, get, config->owner, DNS_A, visit, arg);
        visit_if(from, get, config->owner, DNS_AAAA, visit, arg);
    }
    visit_if(from, get, config->owner, DNS_TXT, visit, arg);
}

void render_each(const struct config_record *config, const struct zone *zone, visit_fn *visit, void *arg)
{
    visit_all(config, zone, from_zone, visit, arg);
}

static void count_one(void *arg, const uint8_t *owner, const struct piece *piece)
{
    (void)owner;
    (void)piece;
    ++*(size_t *)arg;
}

bool render_has(const struct config_record *config, const struct zone *zone)
{
    size_t count = 0;
    render_each(config, zone, count_one, &count);
    return count > 0;
}

/* --- applying ------------------------------------------------------------------------------------- */

static void remember(void *arg, const uint8_t *owner, const struct piece *piece)
{
    struct buf *found = arg;
    struct {
        uint8_t owner[NAME_MAX_WIRE];
        uint16_t type;
    } one = {.type = piece_type(piece)};
    memcpy(one.owner, owner, name_len(owner));
    buf_append(found, &one, sizeof(one));
}

static void remove_old(const struct config_record *config, struct zone_edit *edit)
{
    struct buf found = {0};
    struct {
        uint8_t owner[NAME_MAX_WIRE];
        uint16_t type;
    } one;
    visit_all(config, edit, from_edit, remember, &found);
    for (size_t at = 0; at < found.len; at += sizeof(one)) {
        memcpy(&one, found.data + at, sizeof(one));
        zone_edit_remove(edit, one.owner, one.type);
    }
    buf_free(&found);
    /* By UPDATE, or in a copy of before the record was configured: nothing may stand beside it. */
    zone_edit_remove(edit, config->owner, DNS_CNAME);
}

void render_apply(const struct config_record *config, const struct record_set *set, struct zone_edit *edit)
{
    remove_old(config, edit);
    for (size_t i = 0; i < set->count; i++) {
        uint16_t type = piece_type(set->items[i].piece);
        if (type == DNS_TXT && zone_edit_has_other(edit, config->owner, DNS_ANY))
            continue; /* the name exists without it */
        zone_edit_put(edit, set->items[i].owner, set->items[i].piece, NULL);
    }
}

static int compare_rdata(const void *a, const void *b)
{
    const struct rdata *x = a, *y = b;
    return x->len != y->len ? (x->len > y->len) - (x->len < y->len) : memcmp(x->data, y->data, x->len);
}

static struct rdata *sorted(const struct piece *piece)
{
    uint32_t count = piece_count(piece);
    struct rdata *all = xcalloc(count, sizeof(*all));
    for (uint32_t i = 0; i < count; i++)
        all[i] = piece_rdata(piece, i);
    qsort(all, count, sizeof(*all), compare_rdata);
    return all;
}

static bool same_records(const struct piece *a, const struct piece *b)
{
    uint32_t count = piece_count(a);
    if (a == b)
        return true;
    if (piece_ttl(a) != piece_ttl(b) || count != piece_count(b))
        return false;
    struct rdata *x = sorted(a), *y = sorted(b);
    bool same = true;
    for (uint32_t i = 0; i < count && same; i++)
        same = compare_rdata(&x[i], &y[i]) == 0;
    free(x);
    free(y);
    return same;
}

/* Does the name own anything? */
static bool owns(const struct zone *zone, const uint8_t *owner)
{
    struct zone_found found;
    zone_search(zone, owner, name_len(owner), &found);
    return found.exact && zone_owner_count(found.exact) > 0;
}

bool render_is_in(const struct config_record *config, const struct record_set *set, const struct zone *zone)
{
    size_t there = 0;
    render_each(config, zone, count_one, &there);
    for (size_t i = 0; i < set->count; i++) {
        const struct piece *piece = zone_get(zone, set->items[i].owner, piece_type(set->items[i].piece));
        if (!piece || !same_records(piece, set->items[i].piece))
            /* a text that had no place, since the name has other data, is not missed */
            return piece_type(set->items[i].piece) == DNS_TXT && there == 0 && owns(zone, config->owner);
    }
    return there == set->count;
}
