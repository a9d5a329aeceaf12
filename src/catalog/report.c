/* The view for people: JSON for `lictor services`, text for `<service>.health.lictor.` */
#include "internal.h"
#include "service.h"

#include "lictor/xalloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const state_names[] = {"passing", "warning", "critical"};

/* Writes the checks that are as bad as the instance, and what the first of them said: "check "a" is critical,
 * the node's check "b" is critical: no memory". Returns how many they are. */
static unsigned worst_checks(const struct view *view, const struct view_instance *instance, char out[512])
{
    const struct view_check *first = NULL;
    unsigned count = 0;
    int len = 0;
    for (uint32_t i = 0; i < instance->check_count; i++) {
        const struct view_check *check = &view->checks[instance->first_check + i];
        if (check->status != instance->state || len >= 512)
            continue;
        len += snprintf(out + len, 512 - (size_t)len, "%s%scheck \"%s\" is %s", count++ ? ", " : "",
                        check->node_level ? "the node's " : "", view_text(view, check->name),
                        state_names[check->status]);
        first = first ? first : check;
    }
    if (first && first->output && len < 512)
        snprintf(out + len, 512 - (size_t)len, ": %s", view_text(view, first->output));
    return count;
}

void instance_reason(const struct service *service, const struct view_instance *instance, char out[512])
{
    const struct view *view = service->view;
    out[0] = '\0';
    if (instance_answers(service, instance))
        return;
    bool by_check = instance->state == CHECK_CRITICAL ||
                    (service->policy.only_passing && instance->state != CHECK_PASSING);
    if (!by_check || !worst_checks(view, instance, out))
        snprintf(out, 512, "its address is neither an IP nor a host name");
}

/* --- JSON ---------------------------------------------------------------------------------------- */

static json_t *instance_json(const struct service *service, const struct view_instance *instance)
{
    const struct view *view = service->view;
    char address[256], reason[512];
    const char *host;
    const struct address *where = view_address(view, instance, &host);
    json_t *tags = json_array(), *checks = json_array();
    for (uint32_t i = 0; i < instance->tag_count; i++)
        json_array_append_new(tags, json_string(view_text(view, view->tags[instance->first_tag + i])));
    for (uint32_t i = 0; i < instance->check_count; i++) {
        const struct view_check *check = &view->checks[instance->first_check + i];
        json_array_append_new(checks,
                              json_pack("{s:s, s:s, s:b, s:s}", "name", view_text(view, check->name),
                                        "status", state_names[check->status], "node", (int)check->node_level,
                                        "output", view_text(view, check->output)));
    }
    instance_reason(service, instance, reason);
    return json_pack("{s:s, s:s, s:s, s:i, s:s, s:i, s:o, s:o, s:s}", "node", view_text(view, instance->node),
                     "id", view_text(view, instance->id), "address", address_text(where, host, address),
                     "port", (int)instance->port, "status", state_names[instance->state], "weight",
                     (int)instance_weight(instance), "tags", tags, "checks", checks, "dns",
                     reason[0]              ? reason
                     : service->last_resort ? "in answers, as the last resort"
                                            : "in answers");
}

static json_t *service_json(const struct service *service)
{
    static const char *const orders[] = {"weighted", "random", "nearest", "fixed"};
    struct catalog_health health;
    count_health(service, &health);
    json_t *instances = json_array();
    for (uint32_t i = 0; i < service->view->instance_count; i++)
        json_array_append_new(instances, instance_json(service, &service->view->instances[i]));
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:s, s:b, s:s?, s:o}", "service", service->name, "passing",
                     (int)health.passing, "warning", (int)health.warning, "critical", (int)health.critical,
                     "answering", (int)health.answering, "order", orders[service->policy.order],
                     "last_resort", (int)service->last_resort, "fallback", service->fallback, "instances",
                     instances);
}

json_t *catalog_services_json(const struct catalog *catalog, const char *datacenter, const char *name)
{
    if (name) {
        const struct service *service = catalog_find(catalog, datacenter, name);
        return service ? service_json(service) : NULL;
    }
    const struct datacenter *in = datacenter_find(catalog, datacenter);
    json_t *list = json_array();
    const void *key;
    void *value;
    for (size_t i = 0; in && strmap_next(in->services, &i, &key, NULL, &value);)
        json_array_append_new(list, service_json(value));
    return list;
}

/* --- text ---------------------------------------------------------------------------------------- */

struct lines {
    void (*line)(void *arg, const char *text);
    void *arg;
};

static void say(const struct lines *lines, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* One character-string of a TXT record (RFC 1035 section 3.3.14): 255 octets, and nothing that a terminal
 * obeys. */
static void say(const struct lines *lines, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    lines->line(lines->arg, text);
}

void catalog_health_text(const struct catalog *catalog, const char *datacenter, const char *name,
                         void (*line)(void *arg, const char *text), void *arg)
{
    const struct service *service = catalog_find(catalog, datacenter, name);
    if (!service)
        return;
    const struct view *view = service->view;
    const struct lines lines = {.line = line, .arg = arg};
    struct catalog_health health;
    count_health(service, &health);
    say(&lines, "%s: %u instances, %u passing, %u warning, %u critical, %u in answers%s%s", service->name,
        health.instances, health.passing, health.warning, health.critical, health.answering,
        service->fallback      ? "; answered by datacenter "
        : service->last_resort ? "; none is healthy: all of them, as the last resort"
                               : "",
        service->fallback ? service->fallback : "");
    for (uint32_t i = 0; i < view->instance_count; i++) {
        const struct view_instance *instance = &view->instances[i];
        char address[256], reason[512];
        const char *host;
        const struct address *where = view_address(view, instance, &host);
        address_text(where, host, address);
        instance_reason(service, instance, reason);
        bool v6 = where->kind == ADDRESS_IPV6;
        say(&lines, "%s%s%s:%d weight %d %s on %s %s%s%s", v6 ? "[" : "", address[0] ? address : "?",
            v6 ? "]" : "", (int)instance->port, (int)instance_weight(instance), view_text(view, instance->id),
            view_text(view, instance->node), state_names[instance->state], reason[0] ? ", out: " : "",
            reason);
    }
}
