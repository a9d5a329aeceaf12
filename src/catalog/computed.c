/* Names that are not stored: `0a000001.addr.dc1.consul.`, and the empty non-terminals that a catalog without
 * entries would lack (NXDOMAIN at `service.consul.` breaks QNAME minimisation, RFC 9156 section 2.3: a
 * resolver stops there). Worker threads: data that never changes, no allocation. */
#include "internal.h"

#include "names.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

struct computed {
    struct computed *next;
    const struct zone_origins *origins; /* remote datacenters */
    const struct known *known;
    uint8_t apex_len, apex[NAME_MAX_WIRE];
    uint8_t local[64]; /* label of the local datacenter, lower case */
    uint32_t ttl;
};

const struct computed *computed_new(struct catalog *catalog, const struct zone_out *out)
{
    struct computed *computed = xcalloc(1, sizeof(*computed));
    const char *datacenter = local_datacenter(catalog)->name;
    computed->origins = catalog->origins;
    computed->known = &catalog->known;
    computed->apex_len = (uint8_t)name_len(out->apex);
    memcpy(computed->apex, out->apex, computed->apex_len);
    computed->local[0] = (uint8_t)strlen(datacenter);
    memcpy(computed->local + 1, datacenter, computed->local[0]);
    computed->ttl = ttl_seconds(catalog->config.node_ttl);
    computed->next = catalog->computed;
    catalog->computed = computed;
    return computed;
}

void computed_free_all(struct catalog *catalog)
{
    while (catalog->computed) {
        struct computed *next = catalog->computed->next;
        free(catalog->computed);
        catalog->computed = next;
    }
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool same_label(const uint8_t *a, const uint8_t *b)
{
    return *a == *b && memcmp(a + 1, b + 1, *a) == 0;
}

/* --- names that Consul has to be asked for (ask.h, ondemand.h) ------------------------------------------ */

/* Which kind a label stands for; -1: none. */
static int asked_kind(const uint8_t *label)
{
    static const struct {
        uint8_t label[9];
        int kind;
    } kinds[] = {
        {"\5query", ASK_QUERY},
        {"\7connect", ASK_CONNECT},
        {"\7ingress", ASK_INGRESS},
        {"\7virtual", ASK_VIRTUAL},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (same_label(label, kinds[i].label))
            return kinds[i].kind;
    return -1;
}

/* The name to ask for: the subject before the label of its kind, then the datacenter if it is not the local
 * one. The names of prepared queries may have dots; of services Consul takes the label next to the kind, and
 * ignores what is before. */
static int ask_for(const struct computed *computed, int kind, const uint8_t *name, const uint8_t *subject,
                   const uint8_t *label, const uint8_t *datacenter, struct zone_computed *out)
{
    const uint8_t *from = kind == ASK_QUERY ? name : subject;
    size_t len = (size_t)(label + 1 + *label - from);
    memcpy(out->data, from, len);
    if (datacenter && !same_label(datacenter, computed->local)) {
        memcpy(out->data + len, datacenter, 1u + *datacenter);
        len += 1u + *datacenter;
    }
    memcpy(out->data + len, computed->apex, computed->apex_len);
    out->len = (uint16_t)(len + computed->apex_len);
    out->ask = (uint8_t)kind;
    return ZONE_ASK;
}

/* The names that a datacenter always has, entries or not. */
static bool is_category(const uint8_t *label)
{
    return same_label(label, (const uint8_t *)"\7service") || same_label(label, (const uint8_t *)"\4node") ||
           asked_kind(label) >= 0 || same_label(label, (const uint8_t *)"\4addr");
}

/* Which datacenter a label is; -1: none that is known. */
static int origin_of(const struct computed *computed, const uint8_t *label)
{
    if (same_label(label, computed->local))
        return 0;
    unsigned count = atomic_load_explicit(&computed->origins->count, memory_order_acquire);
    for (unsigned i = 1; i < count; i++) {
        const struct zone_origin *origin = &computed->origins->at[i];
        if (same_label(label, origin->label) && atomic_load_explicit(&origin->known, memory_order_relaxed))
            return (int)i;
    }
    return -1;
}

/* `HEX` of `HEX.addr[.DC]`. */
static int decode_address(const uint8_t *label, struct zone_computed *out)
{
    size_t digits = label[0];
    if (digits != 8 && digits != 32)
        return 0;
    for (size_t i = 0; i < digits; i += 2) {
        int high = hex_value(label[1 + i]), low = hex_value(label[2 + i]);
        if (high < 0 || low < 0)
            return 0;
        out->data[i / 2] = (uint8_t)(high << 4 | low);
    }
    out->type = digits == 8 ? DNS_A : DNS_AAAA;
    out->len = (uint16_t)(digits / 2);
    return 1;
}

/* Several tags in one name: to be asked for, or the part of such a name that a resolver asks for first (RFC
 * 9156), where NXDOMAIN would end its way. 0: neither. */
static int join_tags(const uint8_t *lower_qname, const uint8_t *service_label, int origin,
                     struct zone_computed *out)
{
    enum combination found = combination_in(lower_qname, service_label);
    if (found != COMBINATION)
        return found == COMBINATION_PART;
    out->ask = ASK_TAGS;
    out->origin = (uint8_t)origin;
    out->len = (uint16_t)name_len(lower_qname);
    memcpy(out->data, lower_qname, out->len);
    return ZONE_ASK;
}

/* Has a service to be asked for? Of the local datacenter: NAME.service, with that datacenter's label or
 * without, and the short form. */
static int ask_service(const struct computed *computed, const uint8_t *name, const uint8_t *const labels[3],
                       struct zone_computed *out)
{
    const uint8_t *end = labels[0] + 1 + labels[0][0];
    unsigned at = same_label(labels[0], computed->local) ? 1 : 0;
    if (at > 0)
        end = labels[0];
    bool service = labels[at] && same_label(labels[at], (const uint8_t *)"\7service");
    if (service)
        end = labels[at];
    return name < end ? known_miss(computed->known, name, end, service, out) : 0;
}

/* Later versions of Consul have `web.service.dc1.dc.consul.`, where `dc` says what kind of label stands
 * before it: it is `web.service.dc1.consul.` Those of Enterprise (`ns`, `ap`, `peer`, `sg`) are no names
 * here. */
static const uint8_t pair[] = "\2dc";

static int without_label(const uint8_t *name, const uint8_t *label, struct zone_computed *out)
{
    size_t before = (size_t)(label - name), rest = name_len(label + 1 + *label);
    memcpy(out->data, name, before);
    memcpy(out->data + before, label + 1 + *label, rest);
    out->len = (uint16_t)(before + rest);
    return ZONE_RENAMED;
}

int computed_miss(const void *arg, const uint8_t *lower_qname, struct zone_computed *out)
{
    const struct computed *computed = arg;
    /* The labels left of the apex, the rightmost first. */
    const uint8_t *labels[3] = {NULL, NULL, NULL};
    unsigned count = 0;
    for (const uint8_t *at = lower_qname, *apex = at + name_len(at) - computed->apex_len; at < apex;
         at += 1 + *at, count++) {
        labels[2] = labels[1];
        labels[1] = labels[0];
        labels[0] = at;
    }
    out->type = 0; /* exists, with no record of any type */
    out->len = 0;
    out->ttl = computed->ttl;
    if (count == 0)
        return 0;
    if (count == 1 && (is_category(labels[0]) || same_label(labels[0], pair)))
        return 1;
    int kind = asked_kind(labels[0]);
    if (kind >= 0)
        return ask_for(computed, kind, lower_qname, labels[1], labels[0], NULL, out);
    if (count >= 3 && (kind = asked_kind(labels[1])) >= 0)
        return ask_for(computed, kind, lower_qname, labels[2], labels[1], labels[0], out);
    if (count == 2 && same_label(labels[0], (const uint8_t *)"\4addr"))
        return decode_address(labels[1], out);
    if (count >= 2 && same_label(labels[0], pair) && !is_category(labels[1]) && !same_label(labels[1], pair))
        return without_label(lower_qname, labels[0], out);
    int origin = origin_of(computed, labels[0]);
    if (origin <= 0 && ask_service(computed, lower_qname, labels, out) == ZONE_ASK)
        return ZONE_ASK;
    if (same_label(labels[0], (const uint8_t *)"\7service") && count > 3)
        return join_tags(lower_qname, labels[0], 0, out);
    if (origin < 0)
        return 0;
    if (count == 1 || (count == 2 && is_category(labels[1])))
        return 1;
    if (count == 3 && same_label(labels[1], (const uint8_t *)"\4addr"))
        return decode_address(labels[2], out);
    out->origin = (uint8_t)origin; /* only its view knows that there is no such name */
    if (same_label(labels[1], (const uint8_t *)"\7service") && count > 4)
        return join_tags(lower_qname, labels[1], origin, out);
    return 0;
}
