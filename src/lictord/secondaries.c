/* What secondaries are told: a new serial on the builder becomes a NOTIFY on main. */
#include "daemon.h"

#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* A version of a zone of the catalog, for `lictor zones`. Main. */
struct cut_version {
    struct cut_version *next;
    uint8_t apex[NAME_MAX_WIRE];
    uint32_t serial;
    size_t records;
    nstime at; /* CLOCK_REALTIME */
};

/* A SOA on its way from the builder to main. */
struct served {
    struct daemon *daemon;
    uint8_t apex[NAME_MAX_WIRE];
    uint32_t ttl, serial;
    size_t records;
    bool catalog;
    size_t len; /* 0: the zone is gone */
    uint8_t rdata[];
};

static void note_version(struct daemon *daemon, const struct served *served)
{
    struct cut_version **at = &daemon->cut_versions;
    while (*at && !name_equal((*at)->apex, served->apex))
        at = &(*at)->next;
    if (!*at) {
        *at = xcalloc(1, sizeof **at);
        memcpy((*at)->apex, served->apex, name_len(served->apex));
    }
    (*at)->serial = served->serial;
    (*at)->records = served->records;
    (*at)->at = clock_real();
}

static void forget_version(struct daemon *daemon, const uint8_t *apex)
{
    struct cut_version **at = &daemon->cut_versions, *gone;
    while (*at && !name_equal((*at)->apex, apex))
        at = &(*at)->next;
    if ((gone = *at)) {
        *at = gone->next;
        free(gone);
    }
}

static void tell(void *arg)
{
    struct served *served = arg;
    struct notify *notify = served->daemon->notify;
    if (!served->len)
        forget_version(served->daemon, served->apex);
    else if (served->catalog)
        note_version(served->daemon, served);
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
    served->catalog = version && zone_kind(version) == ZONE_CATALOG;
    served->serial = version ? zone_serial(version) : 0;
    served->records = version ? zone_records(version) : 0;
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

void daemon_forget_versions(struct daemon *daemon)
{
    while (daemon->cut_versions)
        forget_version(daemon, daemon->cut_versions->apex);
}

static void add_versions(const struct daemon *daemon, json_t *zones)
{
    for (const struct cut_version *v = daemon->cut_versions; v; v = v->next) {
        char name[NAME_MAX_TEXT], when[TIME_TEXT];
        size_t len = strlen(name_to_text(v->apex, name));
        name[len - 1] = 0; /* the dot */
        time_format(v->at, when);
        json_array_append_new(zones,
                              json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:n}", "zone", name, "file", "",
                                        "serial", (json_int_t)v->serial, "records", (json_int_t)v->records,
                                        "source", "consul", "loaded", when, "error"));
    }
}

void daemon_add_secondaries(const struct daemon *daemon, json_t *zones)
{
    size_t i;
    json_t *zone;
    add_versions(daemon, zones);
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
