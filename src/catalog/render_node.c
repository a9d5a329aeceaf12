/* `NODE.node[.DC].DOMAIN`: an address, never filtered by health, as in Consul, and metadata. */
#include "internal.h"

#include "names.h"

#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static uint16_t type_of(const struct address *address)
{
    static const uint16_t types[] = {
        [ADDRESS_IPV4] = DNS_A, [ADDRESS_IPV6] = DNS_AAAA, [ADDRESS_HOST] = DNS_CNAME};
    return types[address->kind];
}

static struct piece *make_piece(const struct catalog *catalog, const struct node *node, uint16_t type,
                                const struct rdata *rdata, uint32_t count)
{
    struct err err;
    struct piece *piece = piece_new(&(struct piece_spec){.type = type,
                                                         .ttl = ttl_seconds(catalog->config.node_ttl),
                                                         .rdata = rdata,
                                                         .count = count,
                                                         .origin = node->datacenter->origin},
                                    &err);
    if (!piece)
        log_warn("catalog: node %s: %s", node->name, err.text);
    return piece;
}

static struct piece *make_address(const struct catalog *catalog, const struct node *node,
                                  const struct address *address)
{
    uint8_t target[NAME_MAX_WIRE];
    struct rdata rdata = {.data = address->ip, .len = address->kind == ADDRESS_IPV4 ? 4 : 16};
    if (address->kind == ADDRESS_NONE)
        return NULL;
    if (address->kind == ADDRESS_HOST) {
        int len = name_from_text(node->host, NULL, target, NULL);
        if (len < 0)
            return NULL;
        rdata = (struct rdata){.data = target, .len = (uint16_t)len};
    }
    return make_piece(catalog, node, type_of(address), &rdata, 1);
}

/* --- metadata ------------------------------------------------------------------------------------ */

/* `key=value` as Consul writes it, after RFC 1464: a backquote before `=` and before spaces at the ends of
 * the key, and doubled. Backslashes stay as they are (Consul's DNS takes them for escapes, and eats them). */
static void append_rfc1464(const char *key, const char *value, struct buf *out)
{
    size_t len = strlen(key), lead = strspn(key, " "), tail = len;
    while (tail > lead && key[tail - 1] == ' ')
        tail--;
    for (size_t i = 0; i < len; i++) {
        if (key[i] == '`' || key[i] == '=' || i < lead || i >= tail)
            buf_append(out, "`", 1);
        buf_append(out, key + i, 1);
    }
    buf_append(out, "=", 1);
    for (; *value; value++)
        buf_append(out, *value == '`' ? "``" : value, *value == '`' ? 2 : 1);
}

/* As many character strings as it takes (RFC 1035 section 3.3.14). */
static void append_txt(const struct buf *text, struct buf *out)
{
    size_t at = 0;
    do {
        uint8_t len = (uint8_t)(text->len - at > 255 ? 255 : text->len - at);
        buf_append(out, &len, 1);
        buf_append(out, text->data + at, len);
        at += len;
    } while (at < text->len);
}

static struct piece *make_txt(const struct catalog *catalog, const struct node *node)
{
    const char *at = node->metadata, *end = at + node->metadata_len;
    struct buf wire = {0}, starts = {0}, text = {0};
    while (at < end) {
        const char *key = at, *value = key + strlen(key) + 1;
        at = value + strlen(value) + 1;
        text.len = 0;
        if (strncasecmp(key, "rfc1035-", 8) == 0)
            buf_append(&text, value, strlen(value));
        else
            append_rfc1464(key, value, &text);
        buf_append(&starts, &wire.len, sizeof(wire.len));
        append_txt(&text, &wire);
    }
    size_t count = starts.len / sizeof(size_t);
    const size_t *start = (const size_t *)(const void *)starts.data;
    struct rdata *rdata = xcalloc(count + 1, sizeof(*rdata));
    for (size_t i = 0; i < count; i++)
        rdata[i] = (struct rdata){.data = wire.data + start[i],
                                  .len = (uint16_t)((i + 1 < count ? start[i + 1] : wire.len) - start[i])};
    struct piece *piece = make_piece(catalog, node, DNS_TXT, rdata, (uint32_t)count);
    free(rdata);
    buf_free(&wire);
    buf_free(&starts);
    buf_free(&text);
    return piece;
}

/* --- names --------------------------------------------------------------------------------------- */

static void put_names(struct catalog *catalog, const struct node *node, uint16_t type, struct piece *piece)
{
    uint8_t owner[NAME_MAX_WIRE];
    for (size_t i = 0; i < catalog->zone_count; i++) {
        struct zone_out *out = &catalog->zones[i];
        const struct place *place = &node->datacenter->places[i];
        for (unsigned form = 0; form < place->forms; form++) {
            if (name_under(node->name, true, place->node[form], owner) > 0)
                output_put(catalog, out, owner, type, piece);
            else if (piece)
                catalog->stats.bad_names++;
        }
    }
}

void render_node(struct catalog *catalog, struct node *node)
{
    if (catalog->zone_count == 0 || node->datacenter->hidden)
        return;
    reverse_node(catalog, node, true);
    node->pieces[0] = make_address(catalog, node, &node->address);
    node->pieces[1] = make_address(catalog, node, &node->second);
    for (size_t i = 0; i < 2; i++)
        if (node->pieces[i])
            put_names(catalog, node, piece_type(node->pieces[i]), node->pieces[i]);
    /* Beside a CNAME nothing may stand (RFC 1034 section 3.6.2). */
    if (node->metadata_len > 0 && node->address.kind != ADDRESS_HOST)
        node->txt = make_txt(catalog, node);
    if (node->txt)
        put_names(catalog, node, DNS_TXT, node->txt);
}

void node_forget(struct node *node)
{
    struct piece **pieces[] = {&node->pieces[0], &node->pieces[1], &node->txt};
    for (size_t i = 0; i < 3; i++) {
        if (*pieces[i])
            piece_unref(*pieces[i]);
        *pieces[i] = NULL;
    }
}

void unrender_node(struct catalog *catalog, struct node *node)
{
    reverse_node(catalog, node, false);
    for (size_t i = 0; i < 2; i++)
        if (node->pieces[i])
            put_names(catalog, node, piece_type(node->pieces[i]), NULL);
    if (node->txt)
        put_names(catalog, node, DNS_TXT, NULL);
    node_forget(node);
}

void node_free(void *arg)
{
    struct node *node = arg;
    node_forget(node);
    free(node->name);
    free(node->host);
    free(node->metadata);
    free(node);
}
