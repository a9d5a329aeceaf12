/* Single checks, as lists of them tell: applied to the services of their node, or to one. */
#include "internal.h"

#include "lictor/xalloc.h"

/* The view was changed in place. */
static void show(struct catalog *catalog, struct service *service)
{
    strmap_puts(service->datacenter->changed, service->name, catalog);
    render_service(catalog, service);
    fallback_changed(catalog, service->datacenter, service->name);
}

static int put_into(struct catalog *catalog, struct service *service, const struct catalog_check *check)
{
    int changed = view_apply_check(service->view, check);
    if (changed > 0)
        show(catalog, service);
    return changed;
}

int catalog_put_check(struct catalog *catalog, const char *datacenter, const struct catalog_check *check)
{
    if (check->service_id[0]) {
        struct service *service = catalog_find(catalog, datacenter, check->service);
        return service ? put_into(catalog, service, check) : -1;
    }
    struct datacenter *in = datacenter_find(catalog, datacenter);
    int result = -1;
    const void *key;
    void *value;
    for (size_t i = 0; in && strmap_next(in->services, &i, &key, NULL, &value);) {
        int changed = put_into(catalog, value, check);
        if (changed > result)
            result = changed;
    }
    return result;
}

int catalog_put_node_checks(struct catalog *catalog, const char *datacenter, const char *node,
                            const struct catalog_check *checks, size_t count, uint64_t index,
                            void (*visit)(void *arg, const char *service), void *arg)
{
    struct datacenter *in = datacenter_find(catalog, datacenter);
    int result = 0;
    const void *key;
    void *value;
    for (size_t i = 0; in && strmap_next(in->services, &i, &key, NULL, &value);) {
        struct service *service = value;
        bool unclear;
        if (view_apply_node(service->view, node, checks, count, index, &unclear)) {
            show(catalog, service);
            result = 1;
        }
        if (unclear)
            visit(arg, service->name);
    }
    return result;
}

bool catalog_is_behind(const struct catalog *catalog, const char *datacenter,
                       const struct catalog_check *left)
{
    if (left->service_id[0]) {
        const struct service *service = catalog_find(catalog, datacenter, left->service);
        return service && view_is_behind(service->view, left);
    }
    const struct datacenter *in = datacenter_find(catalog, datacenter);
    const void *key;
    void *value;
    for (size_t i = 0; in && strmap_next(in->services, &i, &key, NULL, &value);) {
        const struct service *service = value;
        if (view_is_behind(service->view, left))
            return true;
    }
    return false;
}

void catalog_forget_indexes(struct catalog *catalog, const char *datacenter)
{
    const struct datacenter *in = datacenter_find(catalog, datacenter);
    const void *key;
    void *value;
    for (size_t i = 0; in && strmap_next(in->services, &i, &key, NULL, &value);) {
        struct service *service = value;
        view_forget_indexes(service->view);
    }
}
