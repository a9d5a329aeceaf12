/* The view on disk: one JSON document a line (a header, the nodes, then each service in the shape of Consul's
 * own body), so that neither writing nor reading ever holds the whole as a tree. */
#include "internal.h"

#include "names.h"

#include "lictor/xalloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1

static void write_nodes(const struct catalog *catalog, struct buf *out)
{
    const void *key;
    void *value;
    buf_puts(out, "[");
    bool first = true;
    for (size_t i = 0; strmap_next(catalog->nodes, &i, &key, NULL, &value);) {
        const struct node *node = value;
        char address[256];
        buf_puts(out, first ? "{\"Node\":" : ",{\"Node\":");
        json_write_text(out, node->name);
        buf_puts(out, ",\"Address\":");
        json_write_text(out, address_text(&node->address, node->host, address));
        buf_puts(out, "}");
        first = false;
    }
    buf_puts(out, "]\n");
}

void catalog_save(const struct catalog *catalog, nstime as_of, struct buf *out)
{
    buf_printf(out, "{\"version\":%d,\"as_of\":%" PRId64 ",\"serials\":[%u,%u],\"datacenter\":", VERSION,
               as_of, catalog->zones[0].serial, catalog->zones[1].serial);
    json_write_text(out, catalog->datacenter ? catalog->datacenter : "");
    buf_puts(out, "}\n");
    write_nodes(catalog, out);
    const void *key;
    void *value;
    for (size_t i = 0; strmap_next(catalog->services, &i, &key, NULL, &value);) {
        const struct service *service = value;
        buf_puts(out, "{\"service\":");
        json_write_text(out, service->name);
        buf_puts(out, ",\"instances\":");
        view_write(service->view, service->name, out);
        buf_puts(out, "}\n");
    }
}

/* --- reading ------------------------------------------------------------------------------------- */

/* What was read, before any of it counts. */
struct saved {
    char *datacenter;
    nstime as_of;
    uint32_t serials[CATALOG_ZONES_MAX];
    struct strmap *nodes; /* folded name -> struct node */
    struct strmap *views; /* folded name -> struct view */
};

static json_t *next_line(const char **at, const char *end, struct err *err)
{
    const char *line = *at, *newline = memchr(line, '\n', (size_t)(end - line));
    json_error_t fault;
    if (!newline) {
        err_set(err, "saved view: the last line is cut off");
        return NULL;
    }
    *at = newline + 1;
    json_t *json = json_loadb(line, (size_t)(newline - line), 0, &fault);
    if (!json)
        err_set(err, "saved view: not JSON: %s", fault.text);
    return json;
}

static int read_header(struct saved *saved, const json_t *header, const struct catalog *catalog,
                       struct err *err)
{
    json_int_t version = json_integer_value(json_object_get(header, "version"));
    const char *datacenter = json_string_value(json_object_get(header, "datacenter"));
    if (version != VERSION || !datacenter)
        return err_set(err, "saved view: version %d is not %d", (int)version, VERSION);
    if (datacenter[0] && catalog->datacenter && strcmp(datacenter, catalog->datacenter) != 0)
        return err_set(err, "saved view: it is of datacenter %s, not of %s", datacenter, catalog->datacenter);
    saved->datacenter = xstrdup(datacenter);
    saved->as_of = json_integer_value(json_object_get(header, "as_of"));
    const json_t *serials = json_object_get(header, "serials");
    for (size_t i = 0; i < CATALOG_ZONES_MAX; i++)
        saved->serials[i] = (uint32_t)json_integer_value(json_array_get(serials, i));
    return 0;
}

static int read_service(struct saved *saved, const json_t *line, struct err *err)
{
    struct view_faults faults = {0}; /* counted when they came from Consul */
    const char *name = json_string_value(json_object_get(line, "service"));
    if (!name)
        return err_set(err, "saved view: a service without its name");
    struct view *view = view_from_json(json_object_get(line, "instances"), &faults, err);
    if (!view)
        return err_prefix(err, "saved view: service %s", name);
    char *folded = fold_case(name);
    view_free(strmap_puts(saved->views, folded, view));
    free(folded);
    return 0;
}

static int read_all(struct saved *saved, const struct catalog *catalog, const char *data, size_t len,
                    struct err *err)
{
    const char *at = data, *end = data + len;
    json_t *line = next_line(&at, end, err);
    int result = line ? read_header(saved, line, catalog, err) : -1;
    json_decref(line);
    if (result < 0 || !(line = next_line(&at, end, err)))
        return -1;
    char *datacenter = NULL; /* the header has it */
    saved->nodes = catalog_read_nodes(line, &datacenter, err);
    json_decref(line);
    free(datacenter);
    if (!saved->nodes)
        return -1;
    while (at < end && result == 0) {
        line = next_line(&at, end, err);
        result = line ? read_service(saved, line, err) : -1;
        json_decref(line);
    }
    return result;
}

static void free_view(void *view)
{
    view_free(view);
}

/* After the present time, or after the saved serial if that is ahead of it (RFC 1982). */
static uint32_t restored_serial(uint32_t saved)
{
    uint32_t now = (uint32_t)(clock_real() / NS_PER_S);
    return saved != 0 && (int32_t)(saved - now) > 0 ? saved : now;
}

int catalog_restore(struct catalog *catalog, const char *data, size_t len, nstime *as_of, struct err *err)
{
    struct saved saved = {.views = strmap_new()};
    int result = read_all(&saved, catalog, data, len, err);
    if (result == 0) {
        const void *key;
        void *view;
        for (size_t i = 0; i < CATALOG_ZONES_MAX; i++)
            catalog->zones[i].serial = restored_serial(saved.serials[i]);
        if (saved.datacenter[0])
            catalog_set_datacenter(catalog, saved.datacenter);
        for (size_t i = 0; strmap_next(saved.views, &i, &key, NULL, &view);)
            catalog_set_view(catalog, key, view);
        strmap_free(saved.views, NULL);
        catalog_set_nodes(catalog, saved.nodes);
        saved.views = saved.nodes = NULL;
        *as_of = saved.as_of;
    }
    strmap_free(saved.views, free_view);
    strmap_free(saved.nodes, node_free);
    free(saved.datacenter);
    return result;
}
