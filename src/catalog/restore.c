/* Reads what save.c wrote. */
#include "internal.h"

#include "names.h"

#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* One datacenter's. */
struct saved_view {
    char *datacenter;
    nstime as_of;
    struct strmap *nodes; /* folded name -> struct node */
    struct strmap *views; /* folded name -> struct view */
};

/* What was read, before any of it counts. The local datacenter is the first. */
struct saved {
    uint32_t serials[CATALOG_DOMAINS_MAX];
    struct saved_view items[ZONE_ORIGINS_MAX];
    size_t count;
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

static struct saved_view *add_view(struct saved *saved, const char *datacenter, const json_t *line)
{
    struct saved_view *view = &saved->items[saved->count++];
    view->datacenter = xstrdup(datacenter);
    view->as_of = json_integer_value(json_object_get(line, "as_of"));
    view->views = strmap_new();
    return view;
}

static int read_header(struct saved *saved, const json_t *header, const struct catalog *catalog,
                       struct err *err)
{
    json_int_t version = json_integer_value(json_object_get(header, "version"));
    const char *datacenter = json_string_value(json_object_get(header, "datacenter"));
    const char *local = catalog_datacenter(catalog);
    if (version != SAVED_VERSION || !datacenter)
        return err_set(err, "saved view: version %d is not %d", (int)version, SAVED_VERSION);
    if (datacenter[0] && local && strcmp(datacenter, local) != 0)
        return err_set(err, "saved view: it is of datacenter %s, not of %s", datacenter, local);
    add_view(saved, datacenter, header);
    const json_t *serials = json_object_get(header, "serials");
    for (size_t i = 0; i < CATALOG_DOMAINS_MAX; i++)
        saved->serials[i] = (uint32_t)json_integer_value(json_array_get(serials, i));
    return 0;
}

static int read_service(struct saved_view *saved, const json_t *line, const char *name, struct err *err)
{
    struct view_faults faults = {0}; /* counted when they came from Consul */
    struct view *view = view_from_json(json_object_get(line, "instances"), false, &faults, err);
    if (!view)
        return err_prefix(err, "saved view: service %s", name);
    char *folded = fold_case(name);
    view_free(strmap_puts(saved->views, folded, view));
    free(folded);
    return 0;
}

static int read_nodes(struct saved_view *view, const char **at, const char *end, struct err *err)
{
    json_t *line = next_line(at, end, err);
    char *datacenter = NULL; /* the line before has it */
    view->nodes = line ? catalog_read_nodes(line, false, &datacenter, err) : NULL;
    json_decref(line);
    free(datacenter);
    return view->nodes ? 0 : -1;
}

/* A service of the datacenter that came last, or another datacenter. */
static int read_more(struct saved *saved, const char **at, const char *end, struct err *err)
{
    json_t *line = next_line(at, end, err);
    if (!line)
        return -1;
    const char *service = json_string_value(json_object_get(line, "service"));
    const char *datacenter = json_string_value(json_object_get(line, "datacenter"));
    int result;
    if (service)
        result = read_service(&saved->items[saved->count - 1], line, service, err);
    else if (!datacenter || !datacenter[0])
        result = err_set(err, "saved view: a service without its name");
    else if (saved->count == ZONE_ORIGINS_MAX)
        result = err_set(err, "saved view: more than %d datacenters", ZONE_ORIGINS_MAX);
    else
        result = read_nodes(add_view(saved, datacenter, line), at, end, err);
    json_decref(line);
    return result;
}

static int read_all(struct saved *saved, const struct catalog *catalog, const char *data, size_t len,
                    struct err *err)
{
    const char *at = data, *end = data + len;
    json_t *line = next_line(&at, end, err);
    int result = line ? read_header(saved, line, catalog, err) : -1;
    json_decref(line);
    if (result == 0)
        result = read_nodes(&saved->items[0], &at, end, err);
    while (at < end && result == 0)
        result = read_more(saved, &at, end, err);
    return result;
}

static void free_view(void *view)
{
    view_free(view);
}

static void free_saved(struct saved *saved)
{
    for (size_t i = 0; i < saved->count; i++) {
        strmap_free(saved->items[i].views, free_view);
        strmap_free(saved->items[i].nodes, node_free);
        free(saved->items[i].datacenter);
    }
    free(saved);
}

/* Takes views and nodes. */
static void put_view(struct catalog *catalog, struct datacenter *datacenter, struct saved_view *saved)
{
    const void *key;
    void *view;
    for (size_t i = 0; strmap_next(saved->views, &i, &key, NULL, &view);)
        catalog_set_view(catalog, datacenter, key, view);
    strmap_free(saved->views, NULL);
    catalog_set_nodes(catalog, datacenter, saved->nodes);
    saved->views = saved->nodes = NULL;
}

static nstime boot_of(nstime as_of)
{
    nstime age = clock_real() - as_of;
    return clock_boot() - (age < 0 ? 0 : age); /* a time in the future counts as now */
}

static void put_remote(struct catalog *catalog, struct saved_view *saved)
{
    struct datacenter *datacenter = datacenter_get(catalog, saved->datacenter);
    if (!datacenter || datacenter->origin == 0)
        return;
    struct zone_state *state = &catalog->origins->at[datacenter->origin].state;
    put_view(catalog, datacenter, saved);
    atomic_store(&state->stale_from, boot_of(saved->as_of));
    atomic_store(&state->held, false);
}

/* After the present time, or after the saved serial if that is ahead of it (RFC 1982). */
static uint32_t restored_serial(uint32_t saved)
{
    uint32_t now = (uint32_t)(clock_real() / NS_PER_S);
    return saved != 0 && serial_is_later(saved, now) ? saved : now;
}

int catalog_restore(struct catalog *catalog, const char *data, size_t len, nstime *as_of, struct err *err)
{
    struct saved *saved = xcalloc(1, sizeof(*saved));
    int result = read_all(saved, catalog, data, len, err);
    if (result == 0) {
        struct saved_view *local = &saved->items[0];
        for (size_t i = 0; i < CATALOG_DOMAINS_MAX; i++)
            catalog->zones[i].serial = restored_serial(saved->serials[i]);
        if (local->datacenter[0])
            catalog_set_datacenter(catalog, local->datacenter);
        put_view(catalog, local_datacenter(catalog), local);
        *as_of = local->as_of;
        for (size_t i = 1; i < saved->count; i++)
            put_remote(catalog, &saved->items[i]);
    }
    free_saved(saved);
    return result;
}
