/* SOA and NS. Unlike Consul's, the name servers' names resolve, so the zone can be delegated to. */
#include "internal.h"

#include "names.h"

#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

static void put_piece(struct catalog *catalog, struct zone_out *out, const uint8_t *owner,
                      const struct piece_spec *spec)
{
    struct err err;
    struct piece *piece = piece_new(spec, &err);
    if (!piece) {
        log_error("catalog: %s", err.text);
        return;
    }
    output_put(catalog, out, owner, spec->type, piece);
    piece_unref(piece);
}

/* The name of server i. Returns its length, or -1 if it cannot be a name. */
static int server_name(const struct catalog *catalog, const struct zone_out *out, size_t i,
                       uint8_t name[NAME_MAX_WIRE])
{
    if (catalog->config.ns.count > 0)
        return name_from_text(catalog->config.ns.items[i], NULL, name, NULL);
    uint8_t ns[NAME_MAX_WIRE];
    if (name_under("ns", false, out->domain, ns) < 0)
        return -1;
    if (catalog->ns_count == 0) {
        memcpy(name, ns, name_len(ns));
        return (int)name_len(ns);
    }
    return name_under(catalog->ns[i].node, true, ns, name);
}

static size_t server_count(const struct catalog *catalog)
{
    if (catalog->config.ns.count > 0)
        return catalog->config.ns.count;
    return catalog->ns_count > 0 ? catalog->ns_count : 1;
}

static void append_u32(struct buf *out, uint32_t value)
{
    uint8_t octets[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                         (uint8_t)value};
    buf_append(out, octets, 4);
}

void apex_put_soa(struct catalog *catalog, struct zone_out *out)
{
    uint8_t name[NAME_MAX_WIRE];
    struct buf soa = {0};
    int len = -1;
    for (size_t i = 0; i < server_count(catalog) && len < 0; i++)
        len = server_name(catalog, out, i, name);
    if (len < 0) /* no usable server name at all: the zone itself, as RFC 2308 examples do */
        len = (int)name_len(memcpy(name, out->apex, NAME_MAX_WIRE));
    buf_append(&soa, name, (size_t)len);
    len = name_under("hostmaster", false, out->domain, name);
    buf_append(&soa, name, (size_t)len);
    uint32_t negative = ttl_seconds(catalog->config.negative_ttl);
    append_u32(&soa, out->serial);
    append_u32(&soa, catalog->config.soa_refresh);
    append_u32(&soa, catalog->config.soa_retry);
    append_u32(&soa, catalog->config.soa_expire);
    append_u32(&soa, negative);
    struct rdata rdata = {.data = soa.data, .len = (uint16_t)soa.len};
    /* RFC 2308 section 3: the TTL of a negative answer is the lesser of the SOA's TTL and MINIMUM. */
    put_piece(catalog, out, out->apex,
              &(struct piece_spec){.type = DNS_SOA, .ttl = negative, .rdata = &rdata, .count = 1});
    buf_free(&soa);
}

/* The addresses of the server at ns[first] (equal nodes stand together), by family. */
static void put_addresses(struct catalog *catalog, struct zone_out *out, const uint8_t *owner, size_t first)
{
    struct rdata *rdata = xcalloc(catalog->ns_count, sizeof(*rdata));
    for (int family = ADDRESS_IPV4; family <= ADDRESS_IPV6; family++) {
        uint32_t count = 0;
        for (size_t i = first; i < catalog->ns_count; i++) {
            const struct nameserver *server = &catalog->ns[i];
            if (strcmp(server->node, catalog->ns[first].node) != 0)
                break;
            if (server->address.kind == family)
                rdata[count++] =
                    (struct rdata){.data = server->address.ip, .len = family == ADDRESS_IPV4 ? 4 : 16};
        }
        if (count > 0)
            put_piece(catalog, out, owner,
                      &(struct piece_spec){.type = family == ADDRESS_IPV4 ? DNS_A : DNS_AAAA,
                                           .ttl = ttl_seconds(catalog->config.node_ttl),
                                           .rdata = rdata,
                                           .count = count});
    }
    free(rdata);
}

void apex_put_ns(struct catalog *catalog, struct zone_out *out)
{
    size_t servers = server_count(catalog), count = 0;
    uint8_t(*names)[NAME_MAX_WIRE] = xcalloc(servers, sizeof(*names));
    struct rdata *rdata = xcalloc(servers, sizeof(*rdata));
    bool own = catalog->config.ns.count == 0 && catalog->ns_count > 0;
    for (size_t i = 0; i < servers; i++) {
        if (own && i > 0 && strcmp(catalog->ns[i].node, catalog->ns[i - 1].node) == 0)
            continue;
        int len = server_name(catalog, out, i, names[count]);
        if (len < 0) {
            catalog->stats.bad_names++;
            continue;
        }
        rdata[count] = (struct rdata){.data = names[count], .len = (uint16_t)len};
        if (own && out->domain == out->apex)
            put_addresses(catalog, out, names[count], i);
        count++;
    }
    if (count == 0) /* a zone without NS is none (RFC 1034 section 4.2.1) */
        rdata[count++] = (struct rdata){.data = out->apex, .len = (uint16_t)name_len(out->apex)};
    put_piece(catalog, out, out->apex,
              &(struct piece_spec){.type = DNS_NS,
                                   .ttl = ttl_seconds(catalog->config.node_ttl),
                                   .rdata = rdata,
                                   .count = (uint32_t)count});
    free(rdata);
    free(names);
}

void apex_remove_ns(struct catalog *catalog, struct zone_out *out)
{
    uint8_t name[NAME_MAX_WIRE];
    if (catalog->config.ns.count > 0)
        return; /* names of the operator's: nothing of them is in the zone */
    for (size_t i = 0; i < catalog->ns_count; i++)
        if (server_name(catalog, out, i, name) > 0) {
            output_put(catalog, out, name, DNS_A, NULL);
            output_put(catalog, out, name, DNS_AAAA, NULL);
        }
}

/* --- the list ------------------------------------------------------------------------------------ */

static int compare_servers(const void *a, const void *b)
{
    const struct nameserver *x = a, *y = b;
    int order = strcmp(x->node, y->node);
    return order ? order : memcmp(&x->address, &y->address, sizeof(x->address));
}

static void free_servers(struct nameserver *servers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(servers[i].node);
    free(servers);
}

int catalog_put_ns(struct catalog *catalog, const struct catalog_ns *ns, size_t count)
{
    struct nameserver *servers = xcalloc(count + 1, sizeof(*servers));
    for (size_t i = 0; i < count; i++) {
        servers[i].node = fold_case(ns[i].node);
        address_parse(ns[i].address ? ns[i].address : "", &servers[i].address);
        if (servers[i].address.kind == ADDRESS_HOST)
            servers[i].address.kind = ADDRESS_NONE;
    }
    qsort(servers, count, sizeof(*servers), compare_servers);
    bool same = count == catalog->ns_count;
    for (size_t i = 0; same && i < count; i++)
        same = compare_servers(&servers[i], &catalog->ns[i]) == 0;
    if (same) {
        free_servers(servers, count);
        return 0;
    }
    struct zone_out *out;
    for (size_t i = 0; i < catalog->zone_count; i++)
        apex_remove_ns(catalog, &catalog->zones[i]);
    free_servers(catalog->ns, catalog->ns_count);
    catalog->ns = servers;
    catalog->ns_count = count;
    for (size_t i = 0; (out = output_next(catalog, &i));)
        apex_put_ns(catalog, out);
    return 1;
}
