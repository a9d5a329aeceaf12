/* The view on disk: one JSON document a line (a header, the nodes, then each service in the shape of Consul's
 * own body; the same for each remote datacenter behind a line with its name and state), so that neither
 * writing nor reading ever holds the whole as a tree. restore.c reads it.
 *
 * 100,000 instances are 40 MB of text and half a second of work: it is written in steps, between which the
 * view may change. Each service is as it was when its turn came, which is as consistent as Consul's own lists
 * are; one that comes meanwhile is in the next file. */
#include "internal.h"

#include "names.h"

#include "lictor/xalloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void write_metadata(const struct node *node, struct buf *out)
{
    if (node->metadata_len == 0)
        return;
    const char *at = node->metadata, *end = at + node->metadata_len;
    buf_puts(out, ",\"Meta\":{");
    while (at < end) {
        json_write_text(out, at);
        buf_puts(out, ":");
        at += strlen(at) + 1;
        json_write_text(out, at);
        at += strlen(at) + 1;
        buf_puts(out, at < end ? "," : "}");
    }
}

static void write_nodes(const struct datacenter *datacenter, struct buf *out)
{
    const void *key;
    void *value;
    buf_puts(out, "[");
    bool first = true;
    for (size_t i = 0; strmap_next(datacenter->nodes, &i, &key, NULL, &value);) {
        const struct node *node = value;
        char address[256];
        buf_puts(out, first ? "{\"Node\":" : ",{\"Node\":");
        json_write_text(out, node->name);
        buf_puts(out, ",\"Address\":");
        bool two = node->second.kind != ADDRESS_NONE;
        json_write_text(out, address_text(two ? &node->second : &node->address, node->host, address));
        if (two) /* read back as they are: the second one as the plain address, the first one by its tag */
            buf_printf(out, ",\"TaggedAddresses\":{\"lan_ipv%d\":\"%s\"}",
                       node->address.kind == ADDRESS_IPV4 ? 4 : 6, address_text(&node->address, "", address));
        write_metadata(node, out);
        buf_puts(out, "}");
        first = false;
    }
    buf_puts(out, "]\n");
}

/* --- in steps ------------------------------------------------------------------------------------- */

struct catalog_saving {
    const struct catalog *catalog;
    nstime as_of;
    size_t next;      /* for datacenter_next */
    char *name;       /* of the datacenter under way; NULL: the local one */
    struct buf names; /* of its services, each with its NUL */
    size_t at;        /* in names */
};

/* Its services by name: they may come and go between two steps. */
static void begin_view(struct catalog_saving *saving, const struct datacenter *datacenter, struct buf *out)
{
    const void *key;
    void *value;
    write_nodes(datacenter, out);
    saving->at = saving->names.len = 0;
    for (size_t i = 0; strmap_next(datacenter->services, &i, &key, NULL, &value);)
        buf_append(&saving->names, key, strlen(key) + 1);
}

/* Was it ever read whole? */
static bool is_whole(const struct catalog *catalog, const struct datacenter *datacenter)
{
    return !datacenter->hidden && !atomic_load(&catalog->origins->at[datacenter->origin].state.held);
}

/* Returns whether there is another one. */
static bool next_view(struct catalog_saving *saving, struct buf *out)
{
    const struct catalog *catalog = saving->catalog;
    for (const struct datacenter *datacenter; (datacenter = datacenter_next(catalog, &saving->next));) {
        if (!is_whole(catalog, datacenter))
            continue;
        const struct zone_state *state = &catalog->origins->at[datacenter->origin].state;
        nstime stale_from = atomic_load(&state->stale_from);
        free(saving->name);
        saving->name = xstrdup(datacenter->name);
        buf_puts(out, "{\"datacenter\":");
        json_write_text(out, datacenter->name);
        buf_printf(out, ",\"as_of\":%" PRId64 "}\n",
                   stale_from == NS_NEVER ? saving->as_of : clock_real() - (clock_boot() - stale_from));
        begin_view(saving, datacenter, out);
        return true;
    }
    return false;
}

static void write_service(const struct service *service, struct buf *out)
{
    buf_puts(out, "{\"service\":");
    json_write_text(out, service->name);
    buf_puts(out, ",\"instances\":");
    view_write(service->view, service->name, out);
    buf_puts(out, "}\n");
}

struct catalog_saving *catalog_save_begin(const struct catalog *catalog, nstime as_of, struct buf *out)
{
    struct catalog_saving *saving = xcalloc(1, sizeof(*saving));
    const struct datacenter *local = local_datacenter(catalog);
    *saving = (struct catalog_saving){.catalog = catalog, .as_of = as_of, .next = 1};
    buf_printf(out,
               "{\"version\":%d,\"as_of\":%" PRId64 ",\"serials\":[%u,%u],\"datacenter\":", SAVED_VERSION,
               as_of, catalog->zones[0].serial, catalog->zones[1].serial);
    json_write_text(out, local->name ? local->name : "");
    buf_puts(out, "}\n");
    begin_view(saving, local, out);
    return saving;
}

enum catalog_saved catalog_save_some(struct catalog_saving *saving, size_t octets, struct buf *out)
{
    size_t enough = out->len + octets;
    do {
        const struct datacenter *datacenter = datacenter_find(saving->catalog, saving->name);
        if (!datacenter || (saving->name && !is_whole(saving->catalog, datacenter)))
            return CATALOG_SAVE_LOST;
        while (saving->at < saving->names.len && out->len < enough) {
            const char *name = (const char *)saving->names.data + saving->at;
            saving->at += strlen(name) + 1;
            const struct service *service = strmap_gets(datacenter->services, name);
            if (service)
                write_service(service, out);
        }
        if (out->len >= enough)
            return CATALOG_SAVE_MORE;
    } while (next_view(saving, out));
    return CATALOG_SAVED;
}

void catalog_save_end(struct catalog_saving *saving)
{
    if (!saving)
        return;
    free(saving->name);
    buf_free(&saving->names);
    free(saving);
}

void catalog_save(const struct catalog *catalog, nstime as_of, struct buf *out)
{
    struct catalog_saving *saving = catalog_save_begin(catalog, as_of, out);
    catalog_save_some(saving, SIZE_MAX - out->len, out);
    catalog_save_end(saving);
}
