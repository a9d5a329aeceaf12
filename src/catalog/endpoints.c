/* The instances of a service, for records that follow them under names of their own. */
#include "service.h"

#include "lictor/strmap.h"

#include <string.h>
#include <strings.h>

/* The service that the text ends in, and where its tag ends (NULL: no tag). The longer name wins, as it does
 * for names in `consul.` */
static const struct service *find(const struct catalog *catalog, const char *datacenter, const char *text,
                                  const char **tag_end)
{
    const struct service *service = catalog_find(catalog, datacenter, text);
    *tag_end = NULL;
    for (const char *dot = strchr(text, '.'); !service && dot; dot = strchr(dot + 1, '.')) {
        service = catalog_find(catalog, datacenter, dot + 1);
        *tag_end = dot;
    }
    return service;
}

static bool has_tag(const struct view *view, const struct view_instance *instance, const char *tag,
                    size_t len)
{
    for (uint32_t i = 0; i < instance->tag_count; i++) {
        const char *has = view_text(view, view->tags[instance->first_tag + i]);
        if (strlen(has) == len && !strncasecmp(has, tag, len))
            return true;
    }
    return false;
}

static void add_address(struct catalog_endpoint *out, const struct address *address)
{
    if (address->kind == ADDRESS_IPV4)
        out->ipv4 = address->ip;
    else if (address->kind == ADDRESS_IPV6)
        out->ipv6 = address->ip;
}

static struct catalog_endpoint describe(const struct catalog *catalog, const struct service *service,
                                        const struct view_instance *instance)
{
    const struct view *view = service->view;
    struct endpoint end = endpoint_of(catalog, service, instance);
    struct catalog_endpoint out = {
        .node = view_text(view, instance->node),
        .id = view_text(view, instance->id),
        .host = end.address->kind == ADDRESS_HOST ? end.host : NULL,
        .port = instance->port,
        .weight = instance_weight(instance),
        .priority = instance_priority(&service->policy, view, instance),
        .healthy = instance_is_healthy(&service->policy, view, instance),
        .service = service,
        .instance = instance,
    };
    add_address(&out, end.address);
    add_address(&out, end.second);
    return out;
}

size_t catalog_each_endpoint(const struct catalog *catalog, const char *datacenter, const char *text,
                             void (*visit)(void *arg, const struct catalog_endpoint *endpoint), void *arg)
{
    const char *tag_end;
    const struct service *service = find(catalog, datacenter, text, &tag_end);
    size_t count = 0;
    if (!service)
        return 0;
    const struct view *view = service->view;
    for (uint32_t i = 0; i < view->instance_count; i++) {
        const struct view_instance *instance = &view->instances[i];
        if (tag_end && !has_tag(view, instance, text, (size_t)(tag_end - text)))
            continue;
        struct catalog_endpoint out = describe(catalog, service, instance);
        visit(arg, &out);
        count++;
    }
    return count;
}

int catalog_each_query_endpoint(const struct catalog *catalog, const char *body, size_t len,
                                void (*visit)(void *arg, const struct catalog_endpoint *endpoint), void *arg,
                                struct err *err)
{
    json_error_t error;
    struct view_faults faults = {0};
    json_t *document = json_loadb(body, len, 0, &error), *nodes = NULL;
    struct view *view = NULL;
    if (!json_is_object(document))
        err_set(err, "the body is not an object");
    else if (json_member(document, "Nodes", JSON_ARRAY, "query", &nodes, err) == 0)
        view = view_from_json(nodes ? nodes : json_null(), false, &faults, err);
    int count = view ? (int)view->instance_count : -1;
    struct service service = {.name = (char *)(uintptr_t) "", .view = view};
    service.datacenter = local_datacenter(catalog);
    service.policy = config_service(&catalog->config, "");
    for (int i = 0; i < count; i++) {
        struct catalog_endpoint out = describe(catalog, &service, &view->instances[i]);
        out.healthy = true;
        visit(arg, &out);
    }
    view_free(view);
    json_decref(document);
    return count;
}

void catalog_endpoint_reason(const struct catalog_endpoint *endpoint, char out[512])
{
    out[0] = '\0';
    if (!endpoint->healthy)
        instance_reason(endpoint->service, endpoint->instance, out);
}

bool catalog_endpoint_means(const char *text, const char *service)
{
    size_t len = strlen(text), end = strlen(service);
    return end <= len && !strcmp(text + len - end, service) && (end == len || text[len - end - 1] == '.');
}
