#include "examination.h"
#include "names.h"

#include "lictor/xalloc.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_TIME (3 * NS_PER_S)

/* ---- what the configuration and the other modules say ---- */

static json_t *array_or_empty(json_t *list)
{
    return list ? list : json_array();
}

/* Loopback's addresses are the kernel's to vouch for. */
static bool admits_addresses(const struct config_zone *zone)
{
    for (size_t i = 0; i < zone->update.count; i++) {
        const char *entry = zone->update.items[i];
        if (strncmp(entry, "key:", 4) && strncmp(entry, "127.", 4) && strcmp(entry, "::1"))
            return true;
    }
    return false;
}

static void take_updates(struct facts *facts, const struct config *config)
{
    facts->peer_key = config->election.peer_key != NULL;
    for (size_t i = 0; i < config->zone_count; i++) {
        const struct config_zone *zone = &config->zones[i];
        facts->updated += zone->update.count > 0;
        if (admits_addresses(zone) && facts->updated_unsigned++ == 0)
            facts_name(zone->apex, facts->unsigned_zone);
    }
}

static void take_config(struct facts *facts, const struct config *config, const struct config_consul *consul)
{
    facts->services = config->services.enabled;
    facts->election = config->election.enabled;
    facts->consul = facts->services || facts->election;
    facts->consul_addresses = consul->addresses.count;
    facts->lease = config->election.lease;
    take_updates(facts, config);
    snprintf(facts->cluster, sizeof(facts->cluster), "%s",
             config->election.cluster ? config->election.cluster : "");
    snprintf(facts->state_dir, sizeof(facts->state_dir), "%s", config->state_dir);
    snprintf(facts->control, sizeof(facts->control), "%s", config->control);
    for (size_t i = 0; i < config->listen_count && i < LISTENS_MAX; i++)
        sockaddr_format(&config->listen[i], facts->drops[facts->drops_count++].listen);
}

static void add_zone(struct facts *facts, const uint8_t *apex, bool catalog, int64_t serial)
{
    if (facts->zone_count == ZONES_PROBED) {
        facts->zones_left_out++;
        return;
    }
    struct zone_fact *zone = &facts->zone[facts->zone_count++];
    zone->catalog = catalog;
    zone->serial = serial;
    facts_name(apex, zone->text);
    memcpy(zone->apex, apex, name_len(apex));
}

static void take_zones(struct facts *facts, const struct config *config)
{
    uint8_t apex[NAME_MAX_WIRE];
    const json_t *zone;
    size_t i;
    if (facts->services)
        add_zone(facts, config->services.domain, true, 0);
    json_array_foreach(facts->zones, i, zone)
    {
        const char *name = json_string_value(json_object_get(zone, "zone"));
        const char *source = json_string_value(json_object_get(zone, "source"));
        if (source && !strcmp(source, "consul")) /* the one above, and what is made like it */
            continue;
        if (name && name_from_text(name, NULL, apex, NULL) >= 0)
            add_zone(facts, apex, false, json_integer_value(json_object_get(zone, "serial")));
    }
}

/* ---- DNS ---- */

static struct probe *add_probe(struct facts *facts, const struct sockaddr_storage *to, size_t zone,
                               const char *node)
{
    if (facts->probe_count == PROBES_MAX) {
        facts->probes_left_out = true;
        return NULL;
    }
    struct probe *probe = &facts->probe[facts->probe_count++];
    probe->to = *to;
    probe->zone = zone;
    probe->type = DNS_SOA;
    memcpy(probe->name, facts->zone[zone].apex, NAME_MAX_WIRE);
    snprintf(probe->node, sizeof(probe->node), "%s", node);
    return probe;
}

/* A wildcard is asked on the loopback address. */
static struct sockaddr_storage reachable(const struct sockaddr_storage *listen)
{
    struct sockaddr_storage to = *listen;
    if (sockaddr_is_wildcard(&to) && to.ss_family == AF_INET)
        ((struct sockaddr_in *)&to)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else if (sockaddr_is_wildcard(&to))
        ((struct sockaddr_in6 *)&to)->sin6_addr = in6addr_loopback;
    return to;
}

static void add_own_probes(struct facts *facts, const struct config *config)
{
    for (size_t i = 0; i < config->listen_count; i++) {
        struct sockaddr_storage to = reachable(&config->listen[i]);
        for (size_t zone = 0; zone < facts->zone_count; zone++)
            for (int tcp = 0; tcp < 2; tcp++) {
                struct probe *probe = add_probe(facts, &to, zone, "");
                if (probe)
                    probe->tcp = tcp;
            }
    }
}

/* <zone>.zone.lictor.: a standby refuses the SOA, but may tell the serial there. */
static bool text_name(const uint8_t *apex, uint8_t out[NAME_MAX_WIRE])
{
    static const uint8_t suffix[] = "\4zone\6lictor"; /* its NUL is the root */
    size_t len = name_len(apex) - 1;
    if (len + sizeof(suffix) > NAME_MAX_WIRE)
        return false;
    memcpy(out, apex, len);
    memcpy(out + len, suffix, sizeof(suffix));
    return true;
}

static void add_member_probes(struct facts *facts)
{
    const json_t *member;
    size_t i;
    json_array_foreach(facts->role ? json_object_get(facts->role, "members") : NULL, i, member)
    {
        const char *node = json_string_value(json_object_get(member, "node"));
        const char *address = json_string_value(json_object_get(member, "address"));
        struct sockaddr_storage to;
        if (json_is_true(json_object_get(member, "self")) || !node || !node[0] || !address ||
            sockaddr_parse(address, &to, NULL) < 0)
            continue;
        for (size_t zone = 0; zone < facts->zone_count; zone++) {
            if (facts->zone[zone].catalog || facts->probe_count + 2 > PROBES_MAX)
                continue;
            add_probe(facts, &to, zone, node);
            struct probe *text = add_probe(facts, &to, zone, node);
            if (text_name(facts->zone[zone].apex, text->name))
                text->type = DNS_TXT;
        }
    }
}

static void on_probes(void *arg)
{
    struct examination *e = arg;
    probes_free(e->probes);
    e->probes = NULL;
    examination_part_ended(e);
}

/* ---- name servers: on the builder ---- */

struct naming {
    struct examination *examination;
    struct snapshot_slot *slot;
    size_t zone_count, ns_count;
    struct zone_fact zone[ZONES_PROBED];
    struct ns_fact ns[NS_MAX];
};

static void look_up(void *arg)
{
    struct naming *naming = arg;
    const struct snapshot *snapshot = atomic_load(&naming->slot->current);
    if (snapshot)
        naming->ns_count = names_look_up(snapshot, naming->zone, naming->zone_count, naming->ns, NS_MAX);
}

static void looked_up(void *arg)
{
    struct naming *naming = arg;
    struct examination *e = naming->examination;
    if (!e->over) {
        e->facts->ns_known = true;
        e->facts->ns_count = naming->ns_count;
        memcpy(e->facts->ns, naming->ns, sizeof(naming->ns));
        examination_part_ended(e);
    }
    examination_unref(e);
    free(naming);
}

static void start_naming(struct examination *e)
{
    struct naming *naming = xcalloc(1, sizeof(*naming));
    naming->examination = e;
    naming->slot = e->view.slot;
    naming->zone_count = e->facts->zone_count;
    memcpy(naming->zone, e->facts->zone, sizeof(naming->zone));
    examination_ref(e);
    builder_post(e->view.builder, look_up, looked_up, naming);
}

/* ---- life ---- */

void examination_ref(struct examination *e)
{
    e->refs++;
}

static void release_facts(void *arg)
{
    facts_free(arg); /* a large catalog takes its time: not main's */
}

void examination_unref(struct examination *e)
{
    if (--e->refs)
        return;
    builder_post(e->view.builder, release_facts, NULL, e->facts);
    free(e);
}

/* The last facts are those of the moment. */
static void conclude(struct examination *e)
{
    struct facts *facts = e->facts;
    facts_system(facts);
    facts->longest_turn = e->view.longest_turn(e->view.arg);
    facts->builder_busy = builder_busy_for(e->view.builder);
    facts->builder_queued = builder_queued(e->view.builder);
    e->over = true;
    e->done(e->arg, e);
}

void examination_part_ended(struct examination *e)
{
    if (--e->parts == 0)
        event_active(e->timer, EV_TIMEOUT, 0);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    conclude(arg);
}

struct examination *examination_new(const struct doctor_view *view, const struct config *config,
                                    void (*done)(void *arg, struct examination *examination), void *arg)
{
    struct examination *e = xcalloc(1, sizeof(*e));
    struct facts *facts = xcalloc(1, sizeof(*facts));
    struct timeval limit = clock_timeval(EXAMINATION_TIME);
    *e = (struct examination){.view = *view,
                              .facts = facts,
                              .deadline = clock_boot() + EXAMINATION_TIME,
                              .refs = 1,
                              .parts = 1,
                              .done = done,
                              .arg = arg};
    e->timer = evtimer_new(view->base, on_timer, e);
    if (!e->timer)
        abort(); /* out of memory */
    evtimer_add(e->timer, &limit);

    take_config(facts, config, view->consul);
    facts->connections = view->connections;
    facts->role = view->role ? role_status(view->role) : NULL;
    facts->watch = view->watch ? watch_status(view->watch) : NULL;
    facts->zones = array_or_empty(view->zones(view->arg));
    facts->not_ready = array_or_empty(view->not_ready(view->arg));
    take_zones(facts, config);
    add_own_probes(facts, config);
    add_member_probes(facts);

    e->parts += 2;
    e->probes = probes_start(view->base, facts->probe, facts->probe_count, PROBE_TIME, on_probes, e);
    start_naming(e);
    if (facts->consul) {
        e->parts++;
        consult_start(e);
    }
    examination_part_ended(e);
    return e;
}

void examination_end(struct examination *e)
{
    e->over = true;
    consul_client_free(e->client);
    e->client = NULL;
    probes_free(e->probes);
    e->probes = NULL;
    event_free(e->timer);
    examination_unref(e);
}
