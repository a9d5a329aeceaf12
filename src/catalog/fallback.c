/* Services that answer from other datacenters while nothing of theirs is healthy here: `datacenters` in their
 * policy. One that is not registered here at all is in the local map nevertheless, without instances, as long
 * as one of those datacenters has it. */
#include "service.h"

#include <string.h>

const struct service *fallback_service(const struct catalog *catalog, const struct service *service, size_t i)
{
    const struct datacenter *datacenter = datacenter_find(catalog, service->policy.datacenters.items[i]);
    if (!datacenter || datacenter->origin == 0 || datacenter->hidden)
        return NULL;
    return strmap_gets(datacenter->services, service->name);
}

static bool names(const struct config_service *policy, const struct datacenter *datacenter)
{
    for (size_t i = 0; i < policy->datacenters.count; i++)
        if (datacenter->name && strcmp(policy->datacenters.items[i], datacenter->name) == 0)
            return true;
    return false;
}

static bool is_elsewhere(const struct catalog *catalog, const struct service *service)
{
    for (size_t i = 0; i < service->policy.datacenters.count; i++)
        if (fallback_service(catalog, service, i))
            return true;
    return false;
}

static bool is_only_elsewhere(const struct service *service)
{
    return service->view->instance_count == 0;
}

static void drop(struct catalog *catalog, struct service *service)
{
    struct datacenter *local = service->datacenter;
    unrender_service(catalog, service);
    strmap_removes(local->services, service->name);
    service_free(service);
}

void fallback_changed(struct catalog *catalog, const struct datacenter *datacenter, const char *folded)
{
    struct datacenter *local = local_datacenter(catalog);
    if (datacenter == local || catalog->config.service_count == 0)
        return;
    struct config_service policy = config_service(&catalog->config, folded);
    struct service *service = strmap_gets(local->services, folded);
    if (!names(&policy, datacenter))
        return;
    strmap_puts(local->changed, folded, catalog);
    if (!service)
        service = service_new(catalog, local, folded);
    if (is_only_elsewhere(service) && !is_elsewhere(catalog, service))
        drop(catalog, service);
    else
        render_service(catalog, service);
}

void fallback_reconcile(struct catalog *catalog)
{
    struct datacenter *local = local_datacenter(catalog), *datacenter;
    const void *key;
    void *value;
    for (size_t i = 0; strmap_next(local->services, &i, &key, NULL, &value);)
        if (is_only_elsewhere(value))
            drop(catalog, value);
    for (size_t i = 1; (datacenter = datacenter_next(catalog, &i));)
        for (size_t k = 0; strmap_next(datacenter->services, &k, &key, NULL, &value);)
            fallback_changed(catalog, datacenter, key);
}

bool fallback_keeps(const struct catalog *catalog, const struct service *service)
{
    return service->datacenter->origin == 0 && is_elsewhere(catalog, service);
}
