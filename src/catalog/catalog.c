/* The view: what is known of services and nodes, and the way in for Consul's bodies. */
#include "internal.h"

#include "names.h"

#include "lictor/json.h"
#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- life ---------------------------------------------------------------------------------------- */

struct catalog *catalog_new(const struct config_services *config, const char *datacenter,
                            struct zone_state *state)
{
    struct catalog *catalog = xcalloc(1, sizeof(*catalog));
    config_services_copy(&catalog->config, config);
    catalog->state = state;
    catalog->known.only_asked = config->watch_asked;
    datacenter_list_new(catalog);
    if (datacenter)
        catalog_set_datacenter(catalog, datacenter);
    return catalog;
}

void service_free(void *arg)
{
    struct service *service = arg;
    render_forget(service);
    combinations_free(service);
    view_free(service->view);
    free(service->name);
    free(service);
}

void catalog_free(struct catalog *catalog)
{
    if (!catalog)
        return;
    output_stop(catalog);
    for (size_t i = 0; i < catalog->ns_count; i++)
        free(catalog->ns[i].node);
    free(catalog->ns);
    computed_free_all(catalog);
    config_services_free(&catalog->config);
    known_free(&catalog->known);
    datacenter_list_free(catalog);
    strmap_free(catalog->distances, NULL);
    free(catalog);
}

static void forget_datacenter(struct datacenter *datacenter)
{
    const void *key;
    void *value;
    for (size_t i = 0; strmap_next(datacenter->services, &i, &key, NULL, &value);)
        render_forget(value);
}

static void render_datacenter(struct catalog *catalog, struct datacenter *datacenter)
{
    const void *key;
    void *value;
    for (size_t i = 0; strmap_next(datacenter->services, &i, &key, NULL, &value);) {
        struct service *service = value;
        render_service(catalog, service);
        reverse_service(catalog, service, NULL, service->view);
    }
    for (size_t i = 0; strmap_next(datacenter->nodes, &i, &key, NULL, &value);) {
        node_forget(value);
        render_node(catalog, value);
    }
}

/* One service's names depend on others' (owners.c, fallback.c): all is forgotten, and every datacenter has
 * its place, before anything is put. */
static void render_all(struct catalog *catalog)
{
    struct datacenter *datacenter;
    output_start(catalog);
    for (size_t i = 0; (datacenter = datacenter_next(catalog, &i));) {
        datacenter_place(catalog, datacenter);
        forget_datacenter(datacenter);
    }
    for (size_t i = 0; (datacenter = datacenter_next(catalog, &i));)
        render_datacenter(catalog, datacenter);
}

void catalog_hide_datacenter(struct catalog *catalog, const char *name)
{
    struct datacenter *datacenter = datacenter_find(catalog, name);
    /* What has been shown stays: it is a view, if an old one. */
    if (datacenter && datacenter->origin > 0 && strmap_count(datacenter->services) == 0 &&
        strmap_count(datacenter->nodes) == 0)
        datacenter->hidden = true;
}

void catalog_show_datacenter(struct catalog *catalog, const char *name)
{
    struct datacenter *datacenter = datacenter_find(catalog, name);
    const void *key;
    void *value;
    if (!datacenter || !datacenter->hidden)
        return;
    datacenter->hidden = false;
    render_datacenter(catalog, datacenter);
    for (size_t i = 0; strmap_next(datacenter->services, &i, &key, NULL, &value);)
        fallback_changed(catalog, datacenter, key);
}

void catalog_configure(struct catalog *catalog, const struct config_services *config)
{
    config_services_free(&catalog->config);
    config_services_copy(&catalog->config, config);
    const void *key;
    void *value;
    struct datacenter *datacenter;
    for (size_t i = 0; (datacenter = datacenter_next(catalog, &i));)
        for (size_t k = 0; strmap_next(datacenter->services, &k, &key, NULL, &value);) {
            struct service *service = value;
            service->policy = config_service(&catalog->config, service->name);
        }
    if (local_datacenter(catalog)->name)
        render_all(catalog);
    fallback_reconcile(catalog);
}

bool catalog_set_datacenter(struct catalog *catalog, const char *datacenter)
{
    struct datacenter *local = local_datacenter(catalog);
    char *folded = fold_case(datacenter);
    bool same = local->name && strcmp(local->name, folded) == 0;
    bool fits = datacenter_fits(catalog, folded);
    if (!fits)
        log_error("catalog: datacenter \"%s\" cannot be a label of a name below the domain: no zone",
                  datacenter);
    if (same || !fits) {
        free(folded);
        return false;
    }
    catalog_remove_datacenter(catalog, folded); /* what was said to be remote is ours */
    free(local->name);
    local->name = folded;
    render_all(catalog);
    return true;
}

const char *catalog_datacenter(const struct catalog *catalog)
{
    return local_datacenter(catalog)->name;
}

/* --- services ------------------------------------------------------------------------------------ */

struct service *catalog_find(const struct catalog *catalog, const char *datacenter, const char *name)
{
    const struct datacenter *in = datacenter_find(catalog, datacenter);
    if (!in)
        return NULL;
    char *folded = fold_case(name);
    struct service *service = strmap_gets(in->services, folded);
    free(folded);
    return service;
}

struct service *service_new(struct catalog *catalog, struct datacenter *datacenter, const char *folded)
{
    struct service *service = xcalloc(1, sizeof(*service));
    service->name = xstrdup(folded);
    service->datacenter = datacenter;
    service->view = view_from_json(json_null(), false, NULL, NULL);
    service->policy = config_service(&catalog->config, folded);
    catalog->dotted |= strchr(folded, '.') != NULL;
    strmap_puts(datacenter->services, folded, service);
    return service;
}

int catalog_set_view(struct catalog *catalog, struct datacenter *datacenter, const char *folded,
                     struct view *view)
{
    struct service *service = strmap_gets(datacenter->services, folded);
    bool gone = view->instance_count == 0;
    if (service ? view_equal(service->view, view) : gone) {
        if (service) { /* its indexes are newer */
            struct view *old = service->view;
            service->view = view;
            view = old;
        }
        view_free(view);
        return 0;
    }
    strmap_puts(datacenter->changed, folded, catalog);
    if (!service)
        service = service_new(catalog, datacenter, folded);
    datacenter->instance_count += view->instance_count;
    datacenter->instance_count -= service->view->instance_count;
    reverse_service(catalog, service, service->view, view);
    view_free(service->view);
    service->view = view;
    if (gone && !fallback_keeps(catalog, service)) {
        unrender_service(catalog, service);
        strmap_removes(datacenter->services, folded);
        service_free(service);
    } else {
        render_service(catalog, service);
    }
    fallback_changed(catalog, datacenter, folded);
    return 1;
}

/* --- bodies -------------------------------------------------------------------------------------- */

struct catalog_update {
    struct catalog *catalog;
    struct datacenter *of;
    char *service; /* folded; NULL: the nodes */
    struct view *view;
    struct strmap *nodes;
    char *datacenter; /* as the nodes say */
};

static void parse_node_list(struct catalog_update *update, const char *body, size_t len, struct err *err)
{
    json_t *list = json_load_bounded(body, len, "list of nodes", err);
    if (list)
        update->nodes = catalog_read_nodes(list, datacenter_is_translated(update->catalog, update->of),
                                           &update->datacenter, err);
    json_decref(list);
}

struct catalog_update *catalog_update_parse(struct catalog *catalog, const char *datacenter,
                                            const char *service, const char *body, size_t len,
                                            struct err *err)
{
    struct datacenter *of = datacenter_get(catalog, datacenter);
    if (!of) {
        err_set(err, "datacenter \"%.100s\" cannot have names: not one label, or there are too many",
                datacenter);
        return NULL;
    }
    struct catalog_update *update = xcalloc(1, sizeof(*update));
    update->catalog = catalog;
    update->of = of;
    if (service) {
        update->service = fold_case(service);
        update->view = view_parse(body, len, datacenter_is_translated(catalog, of), &catalog->faults, err);
    } else {
        parse_node_list(update, body, len, err);
    }
    if (update->view || update->nodes)
        return update;
    catalog_update_free(update);
    return NULL;
}

void catalog_update_index(struct catalog_update *update, uint64_t index)
{
    if (update->view)
        update->view->index = index;
    /* Whatever the header says, it is as new as the newest check in it. */
    if (update->view && index > 0)
        update->view->index = view_newest(update->view, update->view);
}

bool catalog_update_is_older(const struct catalog_update *update, uint64_t *known)
{
    const struct service *service = update->view ? strmap_gets(update->of->services, update->service) : NULL;
    *known = service ? view_newest(service->view, update->view) : 0;
    return update->view && update->view->index > 0 && update->view->index < *known;
}

static void keep_nodes(struct catalog_update *update)
{
    const void *key;
    size_t len;
    void *value;
    for (size_t i = 0; strmap_next(update->of->nodes, &i, &key, &len, &value);)
        if (!strmap_get(update->nodes, key, len))
            strmap_put(update->nodes, key, len, node_copy(value));
}

void catalog_update_keep(struct catalog_update *update)
{
    if (!update->view) {
        keep_nodes(update);
        return;
    }
    const struct service *service = strmap_gets(update->of->services, update->service);
    if (service)
        update->view = view_keep(update->view, service->view);
}

void catalog_update_check(struct catalog_update *update, const struct catalog_check *check)
{
    if (update->view)
        view_apply_check(update->view, check);
}

void catalog_update_nodes(const struct catalog_update *update, void (*visit)(void *arg, const char *node),
                          void *arg)
{
    char *last = NULL; /* a copy: the visitor may merge checks, which moves the texts */
    for (uint32_t i = 0; update->view && i < update->view->instance_count; i++) {
        const char *node = view_text(update->view, update->view->instances[i].node);
        if (last && strcasecmp(last, node) == 0)
            continue; /* they are sorted by node */
        free(last);
        last = xstrdup(node);
        visit(arg, last);
    }
    free(last);
}

void catalog_update_facts(const struct catalog_update *update, struct catalog_facts *out)
{
    const struct datacenter *of = update->of;
    *out = (struct catalog_facts){.view = (unsigned)of->instance_count};
    if (!update->service) {
        out->had = (unsigned)strmap_count(of->nodes);
        out->has = (unsigned)strmap_count(update->nodes);
        return;
    }
    const struct service *service = strmap_gets(of->services, update->service);
    out->had = service ? service->view->instance_count : 0;
    out->has = update->view->instance_count;
}

int catalog_update_apply(struct catalog_update *update)
{
    struct catalog *catalog = update->catalog;
    int changed;
    if (update->service) {
        changed = catalog_set_view(catalog, update->of, update->service, update->view);
        update->view = NULL;
    } else {
        changed = catalog_set_nodes(catalog, update->of, update->nodes);
        update->nodes = NULL;
        if (update->of == local_datacenter(catalog) && !update->of->name && update->datacenter)
            changed |= catalog_set_datacenter(catalog, update->datacenter);
    }
    catalog_update_free(update);
    return changed;
}

void catalog_update_free(struct catalog_update *update)
{
    if (!update)
        return;
    view_free(update->view);
    strmap_free(update->nodes, node_free);
    free(update->service);
    free(update->datacenter);
    free(update);
}

int catalog_put_service(struct catalog *catalog, const char *datacenter, const char *service,
                        const char *body, size_t len, struct err *err)
{
    struct catalog_update *update = catalog_update_parse(catalog, datacenter, service, body, len, err);
    return update ? catalog_update_apply(update) : -1;
}

int catalog_put_nodes(struct catalog *catalog, const char *datacenter, const char *body, size_t len,
                      struct err *err)
{
    return catalog_put_service(catalog, datacenter, NULL, body, len, err);
}

int catalog_remove_service(struct catalog *catalog, const char *datacenter, const char *service)
{
    return catalog_put_service(catalog, datacenter, service, "[]", 2, NULL);
}

/* --- numbers ------------------------------------------------------------------------------------- */

size_t catalog_service_count(const struct catalog *catalog, const char *datacenter)
{
    const struct datacenter *in = datacenter_find(catalog, datacenter);
    return in ? strmap_count(in->services) : 0;
}

size_t catalog_instance_count(const struct catalog *catalog, const char *datacenter)
{
    const struct datacenter *in = datacenter_find(catalog, datacenter);
    return in ? in->instance_count : 0;
}

size_t catalog_node_count(const struct catalog *catalog, const char *datacenter)
{
    const struct datacenter *in = datacenter_find(catalog, datacenter);
    return in ? strmap_count(in->nodes) : 0;
}

void catalog_stats(const struct catalog *catalog, struct catalog_stats *out)
{
    *out = catalog->stats;
    out->bad_addresses = catalog->faults.bad_addresses;
    out->bad_ports = catalog->faults.bad_ports;
    out->duplicates = catalog->faults.duplicates;
}

void count_health(const struct service *service, struct catalog_health *out)
{
    const struct view *view = service->view;
    *out = (struct catalog_health){.instances = view->instance_count};
    for (uint32_t i = 0; i < view->instance_count; i++) {
        const struct view_instance *instance = &view->instances[i];
        out->passing += instance->state == CHECK_PASSING;
        out->warning += instance->state == CHECK_WARNING;
        out->critical += instance->state == CHECK_CRITICAL;
        out->answering += instance_answers(service, instance);
    }
}

int catalog_service_health(const struct catalog *catalog, const char *datacenter, const char *name,
                           struct catalog_health *out)
{
    const struct service *service = catalog_find(catalog, datacenter, name);
    if (!service)
        return 0;
    count_health(service, out);
    return 1;
}

void catalog_each_service(const struct catalog *catalog, const char *datacenter,
                          void (*visit)(void *arg, const char *service, const struct catalog_health *health),
                          void *arg)
{
    const struct datacenter *in = datacenter_find(catalog, datacenter);
    const void *key;
    void *value;
    for (size_t i = 0; in && strmap_next(in->services, &i, &key, NULL, &value);) {
        const struct service *service = value;
        struct catalog_health health;
        count_health(service, &health);
        visit(arg, service->name, &health);
    }
}

void catalog_services_on_node(const struct catalog *catalog, const char *datacenter, const char *node,
                              void (*visit)(void *arg, const char *service), void *arg)
{
    const struct datacenter *in = datacenter_find(catalog, datacenter);
    const void *key;
    void *value;
    for (size_t i = 0; in && strmap_next(in->services, &i, &key, NULL, &value);) {
        const struct service *service = value;
        const struct view *view = service->view;
        for (uint32_t k = 0; k < view->instance_count; k++)
            if (strcasecmp(view_text(view, view->instances[k].node), node) == 0) {
                visit(arg, service->name);
                break;
            }
    }
}

void catalog_take_changed(struct catalog *catalog,
                          void (*visit)(void *arg, const char *datacenter, const char *service), void *arg)
{
    struct datacenter *datacenter;
    for (size_t i = 0; (datacenter = datacenter_next(catalog, &i));) {
        struct strmap *changed = datacenter->changed;
        const void *key;
        void *value;
        if (strmap_count(changed) == 0)
            continue;
        datacenter->changed = strmap_new();
        for (size_t k = 0; strmap_next(changed, &k, &key, NULL, &value);)
            visit(arg, datacenter->origin == 0 ? NULL : datacenter->name, key);
        strmap_free(changed, NULL);
    }
}
