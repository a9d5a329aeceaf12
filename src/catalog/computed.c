/* Names that are not stored: `0a000001.addr.dc1.consul.`, and the empty non-terminals that a catalog without
 * entries would lack (NXDOMAIN at `service.consul.` breaks QNAME minimisation, RFC 9156 section 2.3: a
 * resolver stops there). Worker threads: data that never changes, no allocation. */
#include "internal.h"

#include "names.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

#define EMPTY_NAMES 6

struct computed {
    struct computed *next;
    uint8_t addr[NAME_MAX_WIRE];
    uint8_t empty[EMPTY_NAMES][NAME_MAX_WIRE];
    uint8_t lens[EMPTY_NAMES];
    uint32_t ttl;
};

const struct computed *computed_new(struct catalog *catalog, const struct zone_out *out)
{
    struct computed *computed = xcalloc(1, sizeof(*computed));
    memcpy(computed->addr, out->addr, sizeof(computed->addr));
    memcpy(computed->empty[0], out->service[0], NAME_MAX_WIRE);
    memcpy(computed->empty[1], out->node[0], NAME_MAX_WIRE);
    memcpy(computed->empty[2], out->service[out->forms - 1], NAME_MAX_WIRE);
    memcpy(computed->empty[3], out->node[out->forms - 1], NAME_MAX_WIRE);
    memcpy(computed->empty[4], out->addr, NAME_MAX_WIRE);
    const uint8_t *datacenter = out->addr + 1 + out->addr[0];
    memcpy(computed->empty[5], datacenter, name_len(datacenter));
    for (size_t i = 0; i < EMPTY_NAMES; i++)
        computed->lens[i] = (uint8_t)name_len(computed->empty[i]);
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

int computed_miss(const void *arg, const uint8_t *lower_qname, struct zone_computed *out)
{
    const struct computed *computed = arg;
    size_t len = name_len(lower_qname), digits = lower_qname[0];
    out->type = 0; /* exists, with no record of any type */
    out->len = 0;
    out->ttl = computed->ttl;
    for (size_t i = 0; i < EMPTY_NAMES; i++)
        if (len == computed->lens[i] && memcmp(lower_qname, computed->empty[i], len) == 0)
            return 1;

    if ((digits != 8 && digits != 32) || len != digits + 1 + computed->lens[4] ||
        memcmp(lower_qname + 1 + digits, computed->addr, computed->lens[4]) != 0)
        return 0;
    for (size_t i = 0; i < digits; i += 2) {
        int high = hex_value(lower_qname[1 + i]), low = hex_value(lower_qname[2 + i]);
        if (high < 0 || low < 0)
            return 0;
        out->data[i / 2] = (uint8_t)(high << 4 | low);
    }
    out->type = digits == 8 ? DNS_A : DNS_AAAA;
    out->len = (uint16_t)(digits / 2);
    return 1;
}
