/* Names of addresses, in the configured ranges: an address of nodes has their names; one that only services
 * have has the services' (Consul's order). Neither health nor datacenters elsewhere count, as in Consul. Who
 * has an address is kept by address, so a change costs the addresses that it touches. */
#include "internal.h"

#include "names.h"

#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct holder {
    char *name;
    uint32_t count; /* instances of the service there */
};

struct holders {
    struct holder *items; /* by name */
    uint32_t count;
};

/* One address. */
struct entry {
    struct entry *next_dirty;
    struct zone_out *zone;
    struct address address;
    struct holders nodes, services;
    bool dirty;
};

struct range {
    uint8_t kind; /* enum address_kind */
    uint8_t bits;
    uint8_t ip[16];
};

struct reverse {
    struct zone_out *zones;
    struct range *ranges; /* of the same number */
    size_t count;
    struct strmap *entries; /* struct address, octet by octet -> struct entry */
    struct entry *dirty;
};

/* --- ranges -------------------------------------------------------------------------------------- */

/* The configuration has checked that the labels are what an address has. */
static struct range range_of(const uint8_t *apex)
{
    const uint8_t *labels[NAME_MAX_LABELS];
    unsigned count = 0;
    for (; *apex; apex += 1 + *apex)
        labels[count++] = apex;
    bool v4 = memcmp(labels[count - 2], "\7in-addr", 8) == 0;
    struct range range = {.kind = v4 ? ADDRESS_IPV4 : ADDRESS_IPV6};
    unsigned parts = count - 2;
    for (unsigned i = 0; i < parts; i++) {
        char text[4] = {0};
        const uint8_t *label = labels[parts - 1 - i];
        memcpy(text, label + 1, *label < 4 ? *label : 3);
        unsigned value = (unsigned)strtoul(text, NULL, v4 ? 10 : 16);
        range.ip[v4 ? i : i / 2] |= (uint8_t)(v4 || i % 2 ? value : value << 4);
    }
    range.bits = (uint8_t)(parts * (v4 ? 8 : 4));
    return range;
}

static bool is_in(const struct range *range, const struct address *address)
{
    size_t octets = range->bits / 8;
    return range->kind == address->kind && memcmp(range->ip, address->ip, octets) == 0 &&
           (range->bits % 8 == 0 || range->ip[octets] >> 4 == address->ip[octets] >> 4);
}

/* The most exact zone, as a question would find it. */
static struct zone_out *zone_for(const struct reverse *reverse, const struct address *address)
{
    const struct range *best = NULL;
    for (size_t i = 0; i < reverse->count; i++) {
        const struct range *range = &reverse->ranges[i];
        if (is_in(range, address) && (!best || range->bits > best->bits))
            best = range;
    }
    return best ? &reverse->zones[best - reverse->ranges] : NULL;
}

/* --- life ---------------------------------------------------------------------------------------- */

static void free_holders(struct holders *holders)
{
    for (uint32_t i = 0; i < holders->count; i++)
        free(holders->items[i].name);
    free(holders->items);
}

static void free_entry(void *arg)
{
    struct entry *entry = arg;
    free_holders(&entry->nodes);
    free_holders(&entry->services);
    free(entry);
}

void reverse_start(struct catalog *catalog)
{
    const struct config_services *config = &catalog->config;
    if (config->reverse_count == 0)
        return;
    struct reverse *reverse = catalog->reverse = xcalloc(1, sizeof(*reverse));
    reverse->count = config->reverse_count;
    reverse->zones = xcalloc(reverse->count, sizeof(*reverse->zones));
    reverse->ranges = xcalloc(reverse->count, sizeof(*reverse->ranges));
    reverse->entries = strmap_new();
    for (size_t i = 0; i < reverse->count; i++) {
        reverse->ranges[i] = range_of(config->reverse[i]);
        output_start_zone(catalog, &reverse->zones[i], config->reverse[i], NULL);
        /* They go on from the domain's, which moves with them: it rises over restarts. */
        reverse->zones[i].serial = catalog->zones[0].serial;
        reverse->zones[i].domain = catalog->zones[0].apex;
    }
}

void reverse_stop(struct catalog *catalog)
{
    struct reverse *reverse = catalog->reverse;
    if (!reverse)
        return;
    for (size_t i = 0; i < reverse->count; i++)
        output_stop_zone(&reverse->zones[i]);
    strmap_free(reverse->entries, free_entry);
    free(reverse->zones);
    free(reverse->ranges);
    free(reverse);
    catalog->reverse = NULL;
}

size_t reverse_count(const struct catalog *catalog)
{
    return catalog->reverse ? catalog->reverse->count : 0;
}

struct zone_out *reverse_zone(const struct catalog *catalog, size_t i)
{
    return &catalog->reverse->zones[i];
}

/* --- who has an address -------------------------------------------------------------------------- */

/* Where the name is, or would be. */
static uint32_t holder_at(const struct holders *holders, const char *name)
{
    uint32_t low = 0, high = holders->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (strcmp(holders->items[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Returns whether the list is another one now. */
static bool holders_add(struct holders *holders, const char *name)
{
    uint32_t at = holder_at(holders, name);
    if (at < holders->count && strcmp(holders->items[at].name, name) == 0) {
        holders->items[at].count++;
        return false;
    }
    holders->items = xrealloc(holders->items, (holders->count + 1) * sizeof(*holders->items));
    memmove(&holders->items[at + 1], &holders->items[at], (holders->count - at) * sizeof(*holders->items));
    holders->items[at] = (struct holder){.name = xstrdup(name), .count = 1};
    holders->count++;
    return true;
}

static bool holders_remove(struct holders *holders, const char *name)
{
    uint32_t at = holder_at(holders, name);
    if (at == holders->count || strcmp(holders->items[at].name, name) != 0 || --holders->items[at].count > 0)
        return false;
    free(holders->items[at].name);
    holders->count--;
    memmove(&holders->items[at], &holders->items[at + 1], (holders->count - at) * sizeof(*holders->items));
    return true;
}

static struct entry *entry_of(struct reverse *reverse, const struct address *address)
{
    struct entry *entry = strmap_get(reverse->entries, address, sizeof(*address));
    if (entry)
        return entry;
    struct zone_out *zone = zone_for(reverse, address);
    if (!zone)
        return NULL;
    entry = xcalloc(1, sizeof(*entry));
    entry->zone = zone;
    entry->address = *address;
    strmap_put(reverse->entries, address, sizeof(*address), entry);
    return entry;
}

static void hold(struct reverse *reverse, const struct address *address, const char *name, bool node,
                 bool comes)
{
    struct entry *entry = entry_of(reverse, address);
    if (!entry)
        return;
    struct holders *holders = node ? &entry->nodes : &entry->services;
    bool changed = comes ? holders_add(holders, name) : holders_remove(holders, name);
    if (changed && !entry->dirty) {
        entry->dirty = true;
        entry->next_dirty = reverse->dirty;
        reverse->dirty = entry;
    }
}

void reverse_node(struct catalog *catalog, const struct node *node, bool comes)
{
    if (catalog->reverse && node->datacenter->origin == 0) {
        hold(catalog->reverse, &node->address, node->name, true, comes);
        hold(catalog->reverse, &node->second, node->name, true, comes);
    }
}

/* A change of health touches no address. */
static bool same_addresses(const struct view *a, const struct view *b)
{
    if (a->instance_count != b->instance_count)
        return false;
    for (uint32_t i = 0; i < a->instance_count; i++)
        if (memcmp(&a->instances[i].address, &b->instances[i].address, sizeof(struct address)) != 0)
            return false;
    return true;
}

static void hold_all(struct reverse *reverse, const char *service, const struct view *view, bool comes)
{
    for (uint32_t i = 0; view && i < view->instance_count; i++)
        hold(reverse, &view->instances[i].address, service, false, comes);
}

void reverse_service(struct catalog *catalog, const struct service *service, const struct view *before,
                     const struct view *now)
{
    if (!catalog->reverse || service->datacenter->origin != 0 ||
        (before && now && same_addresses(before, now)))
        return;
    hold_all(catalog->reverse, service->name, now, true);
    hold_all(catalog->reverse, service->name, before, false);
}

/* --- records ------------------------------------------------------------------------------------- */

/* RFC 1035 section 3.5, RFC 3596 section 2.5. */
static void owner_of(const struct address *address, uint8_t out[NAME_MAX_WIRE])
{
    static const char hex[] = "0123456789abcdef";
    uint8_t *at = out;
    if (address->kind == ADDRESS_IPV4) {
        for (int i = 3; i >= 0; i--) {
            char text[4];
            *at = (uint8_t)snprintf(text, sizeof(text), "%u", address->ip[i]);
            memcpy(at + 1, text, *at);
            at += 1 + *at;
        }
        memcpy(at, "\7in-addr\4arpa", sizeof("\7in-addr\4arpa"));
        return;
    }
    for (int i = 15; i >= 0; i--) {
        *at++ = 1;
        *at++ = (uint8_t)hex[address->ip[i] & 15];
        *at++ = 1;
        *at++ = (uint8_t)hex[address->ip[i] >> 4];
    }
    memcpy(at, "\3ip6\4arpa", sizeof("\3ip6\4arpa"));
}

static struct piece *make_piece(const struct catalog *catalog, const struct holders *holders,
                                const uint8_t *below)
{
    uint8_t(*names)[NAME_MAX_WIRE] = xcalloc((size_t)holders->count + 1, sizeof(*names));
    struct rdata *rdata = xcalloc((size_t)holders->count + 1, sizeof(*rdata));
    uint32_t count = 0;
    for (uint32_t i = 0; i < holders->count; i++) {
        /* Nodes in the case they were registered in, as Consul has them. */
        int len = name_under(holders->items[i].name, false, below, names[count]);
        if (len > 0)
            rdata[count] = (struct rdata){.data = names[count], .len = (uint16_t)len}, count++;
        if (count == 1 && catalog->config.compat_consul)
            break;
    }
    struct piece *piece = NULL;
    struct err err;
    if (count > 0 && !(piece = piece_new(&(struct piece_spec){.type = DNS_PTR,
                                                              .ttl = ttl_seconds(catalog->config.reverse_ttl),
                                                              .rdata = rdata,
                                                              .count = count,
                                                              .keep_order = true},
                                         &err)))
        log_warn("catalog: names of an address: %s", err.text);
    free(rdata);
    free(names);
    return piece;
}

static void flush_entry(struct catalog *catalog, struct entry *entry)
{
    const struct place *place = &local_datacenter(catalog)->places[0];
    unsigned form = place->forms - 1; /* with the datacenter's label, if it can have one */
    uint8_t owner[NAME_MAX_WIRE];
    owner_of(&entry->address, owner);
    struct piece *piece = make_piece(catalog, &entry->nodes, place->node[form]);
    if (!piece)
        piece = make_piece(catalog, &entry->services, place->service[form]);
    const struct piece *old = entry->zone->edit ? zone_edit_get(entry->zone->edit, owner, DNS_PTR)
                                                : zone_get(entry->zone->zone, owner, DNS_PTR);
    if (piece ? !old || !piece_equal(old, piece) : old != NULL)
        output_put(catalog, entry->zone, owner, DNS_PTR, piece);
    if (piece)
        piece_unref(piece);
}

void reverse_flush(struct catalog *catalog)
{
    struct reverse *reverse = catalog->reverse;
    while (reverse && reverse->dirty) {
        struct entry *entry = reverse->dirty;
        reverse->dirty = entry->next_dirty;
        entry->dirty = false;
        flush_entry(catalog, entry);
        if (entry->nodes.count == 0 && entry->services.count == 0) {
            strmap_remove(reverse->entries, &entry->address, sizeof(entry->address));
            free_entry(entry);
        }
    }
}
