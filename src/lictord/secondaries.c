/* What secondaries are told: a new serial on the builder becomes a NOTIFY on main. */
#include "daemon.h"

#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* A SOA on its way from the builder to main. */
struct served {
    struct daemon *daemon;
    uint8_t apex[NAME_MAX_WIRE];
    uint32_t ttl;
    size_t len; /* 0: the zone is gone */
    uint8_t rdata[];
};

static void tell(void *arg)
{
    struct served *served = arg;
    struct notify *notify = served->daemon->notify;
    if (notify && served->len)
        notify_served(notify, served->apex, served->ttl, served->rdata, served->len);
    else if (notify)
        notify_gone(notify, served->apex);
    free(served);
}

static void on_served(void *arg, const uint8_t *apex, const struct zone *version)
{
    struct daemon *daemon = arg;
    struct rdata soa = version ? piece_rdata(zone_soa(version), 0) : (struct rdata){0};
    struct served *served = xmalloc(sizeof *served + soa.len);
    served->daemon = daemon;
    served->ttl = version ? piece_ttl(zone_soa(version)) : 0;
    served->len = soa.len;
    memcpy(served->apex, apex, name_len(apex));
    if (soa.len)
        memcpy(served->rdata, soa.data, soa.len);
    builder_to_main(daemon->builder, tell, served);
}

void daemon_start_notify(struct daemon *daemon)
{
    daemon->notify = notify_new(daemon->base, &daemon->gate);
    notify_configure(daemon->notify, daemon->config);
    daemon->publisher.served = on_served;
    daemon->publisher.served_arg = daemon;
}

void daemon_add_secondaries(const struct daemon *daemon, json_t *zones)
{
    size_t i;
    json_t *zone;
    json_array_foreach(zones, i, zone)
    {
        const char *text = json_string_value(json_object_get(zone, "zone"));
        uint8_t apex[NAME_MAX_WIRE];
        if (!text || name_from_text(text, NULL, apex, NULL) < 0)
            continue;
        name_lower(apex, apex);
        json_t *secondaries = notify_status(daemon->notify, apex);
        if (secondaries)
            json_object_set_new(zone, "secondaries", secondaries);
    }
}
