/* `NODE.node[.DC].DOMAIN`: never filtered by health, as in Consul. */
#include "internal.h"

#include "names.h"

#include "lictor/dns.h"
#include "lictor/log.h"

#include <stdlib.h>

static uint16_t type_of(const struct address *address)
{
    static const uint16_t types[] = {
        [ADDRESS_IPV4] = DNS_A, [ADDRESS_IPV6] = DNS_AAAA, [ADDRESS_HOST] = DNS_CNAME};
    return types[address->kind];
}

static struct piece *make_piece(const struct catalog *catalog, const struct node *node)
{
    uint8_t target[NAME_MAX_WIRE];
    struct rdata rdata = {.data = node->address.ip, .len = node->address.kind == ADDRESS_IPV4 ? 4 : 16};
    if (node->address.kind == ADDRESS_NONE)
        return NULL;
    if (node->address.kind == ADDRESS_HOST) {
        int len = name_from_text(node->host, NULL, target, NULL);
        if (len < 0)
            return NULL;
        rdata = (struct rdata){.data = target, .len = (uint16_t)len};
    }
    struct err err;
    struct piece *piece = piece_new(&(struct piece_spec){.type = type_of(&node->address),
                                                         .ttl = ttl_seconds(catalog->config.node_ttl),
                                                         .rdata = &rdata,
                                                         .count = 1,
                                                         .origin = node->datacenter->origin},
                                    &err);
    if (!piece)
        log_warn("catalog: node %s: %s", node->name, err.text);
    return piece;
}

static void put_names(struct catalog *catalog, const struct node *node, struct piece *piece)
{
    uint8_t owner[NAME_MAX_WIRE];
    for (size_t i = 0; i < catalog->zone_count; i++) {
        struct zone_out *out = &catalog->zones[i];
        const struct place *place = &node->datacenter->places[i];
        for (unsigned form = 0; form < place->forms; form++) {
            if (name_under(node->name, true, place->node[form], owner) > 0)
                output_put(catalog, out, owner, type_of(&node->address), piece);
            else if (piece)
                catalog->stats.bad_names++;
        }
    }
}

void render_node(struct catalog *catalog, struct node *node)
{
    if (catalog->zone_count == 0)
        return;
    node->piece = make_piece(catalog, node);
    if (node->piece)
        put_names(catalog, node, node->piece);
}

void unrender_node(struct catalog *catalog, struct node *node)
{
    if (!node->piece)
        return;
    put_names(catalog, node, NULL);
    piece_unref(node->piece);
    node->piece = NULL;
}

void node_free(void *arg)
{
    struct node *node = arg;
    if (node->piece)
        piece_unref(node->piece);
    free(node->name);
    free(node->host);
    free(node);
}
