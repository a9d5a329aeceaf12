/* One instance of a service: whether it answers, and with what. */
#include "names.h"
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A service registered at its own name would be a CNAME to itself; Consul then takes the node's address. */
static bool is_own_name(const struct catalog *catalog, const struct service *service, const char *host)
{
    uint8_t name[NAME_MAX_WIRE], own[NAME_MAX_WIRE];
    if (name_from_text(host, NULL, name, NULL) < 0)
        return false;
    for (size_t i = 0; i < catalog->zone_count; i++) {
        const struct place *place = &service->datacenter->places[i];
        for (unsigned form = 0; form < place->forms; form++)
            if (name_under(service->name, true, place->service[form], own) > 0 && name_equal(name, own))
                return true;
    }
    return false;
}

struct endpoint endpoint_of(const struct catalog *catalog, const struct service *service,
                            const struct view_instance *instance)
{
    const struct view *view = service->view;
    bool own = instance->address.kind != ADDRESS_NONE;
    struct endpoint end = {.own = own || instance->node_other, .second = &instance->second};
    end.address = view_address(view, instance, &end.host);
    if (own && end.address->kind == ADDRESS_HOST && is_own_name(catalog, service, end.host)) {
        end.own = instance->node_other;
        end.address = &instance->node_address;
        end.host = view_text(view, instance->node_host);
    }
    return end;
}

bool instance_has_address(const struct view *view, const struct view_instance *instance)
{
    const char *host;
    return view_address(view, instance, &host)->kind != ADDRESS_NONE;
}

bool instance_is_healthy(const struct config_service *policy, const struct view *view,
                         const struct view_instance *instance)
{
    return instance->state != CHECK_CRITICAL && (!policy->only_passing || instance->state == CHECK_PASSING) &&
           instance_has_address(view, instance);
}

uint16_t instance_weight(const struct view_instance *instance)
{
    return instance->state == CHECK_WARNING ? instance->weight_warning : instance->weight_passing;
}

/* --- metadata ------------------------------------------------------------------------------------ */

uint16_t instance_priority(const struct config_service *policy, const struct view *view,
                           const struct view_instance *instance)
{
    const char *text = policy->metadata ? view_metadata(view, instance, METADATA_PRIORITY) : NULL;
    size_t digits = text ? strspn(text, "0123456789") : 0;
    if (digits == 0 || digits > 5 || text[digits] != '\0' || atoi(text) > UINT16_MAX)
        return 1;
    return (uint16_t)atoi(text);
}

/* Seconds, or a duration as in the configuration; what is below a second is cut off. */
static bool parse_ttl(const char *text, uint32_t *ttl)
{
    size_t digits = strspn(text, "0123456789");
    nstime duration;
    if (digits > 0 && digits <= 10 && text[digits] == '\0')
        duration = (nstime)atoll(text) * NS_PER_S;
    else if (duration_parse(text, &duration) < 0)
        return false;
    *ttl = ttl_seconds(duration);
    return true;
}

bool instance_ttl(const struct config_service *policy, const struct view *view,
                  const struct view_instance *instance, bool first, uint32_t *ttl)
{
    uint32_t own;
    const char *text = policy->metadata ? view_metadata(view, instance, METADATA_TTL) : NULL;
    if (!text || !parse_ttl(text, &own))
        return false;
    if (first || own < *ttl)
        *ttl = own;
    return true;
}

/* --- SRV targets --------------------------------------------------------------------------------- */

static int addr_name(const struct address *address, const struct place *place, uint8_t name[NAME_MAX_WIRE])
{
    char hex[33];
    size_t octets = address->kind == ADDRESS_IPV4 ? 4 : 16;
    for (size_t i = 0; i < octets; i++)
        snprintf(hex + 2 * i, 3, "%02x", address->ip[i]);
    return name_under(hex, false, place->addr, name);
}

int instance_target(const struct service *service, size_t zone, const struct view_instance *instance,
                    const struct endpoint *end, uint8_t name[NAME_MAX_WIRE])
{
    const struct place *place = &service->datacenter->places[zone];
    if (!end->own && place->forms > 0) {
        int len =
            name_under(view_text(service->view, instance->node), false, place->node[place->forms - 1], name);
        if (len > 0)
            return len;
    }
    if (end->address->kind == ADDRESS_HOST)
        return name_from_text(end->host, NULL, name, NULL);
    return addr_name(end->address, place, name);
}
