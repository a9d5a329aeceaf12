/* Whom to tell of a new serial, and who knows it. */
#include "lictor/notify.h"

#include "notify_message.h"
#include "notify_socket.h"

#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/rng.h"
#include "lictor/sockets.h"
#include "lictor/strmap.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_RETRY NS_PER_S /* also the least time between two messages to one target */
#define LAST_RETRY  (60 * NS_PER_S)
/* A new primary of thousands of zones has as many messages to send: main has other things to do too. */
#define SENDS_A_TURN 100
#define TURN_PAUSE   (5 * NS_PER_MS)
/* Silence that is worth a line of the log. */
#define TRIES_TOLD 5

struct target {
    struct target *next; /* in notify->by_id, once it was sent to */
    struct zone_targets *zone;
    struct sockaddr_storage address;
    struct tsig_key *key; /* NULL: not signed */
    char *key_name;       /* as configured; NULL: none */
    nstime due;           /* of the next message; NS_NEVER: none */
    nstime sent_at;       /* of the last one; 0: none yet */
    unsigned tries;       /* for the serial served now */
    uint16_t id;
    struct tsig_mac mac;
    bool known; /* acknowledged holds something */
    uint32_t acknowledged;
    char error[128]; /* of the last attempt; empty: none */
};

struct zone_targets {
    struct notify_soa soa;
    bool served; /* soa holds something */
    bool wanted; /* by the configuration that is being read */
    struct target *targets;
    size_t count;
};

#define ID_CHAINS \
    4096 /* answers to thousands of zones come back at once: none is looked for in all of them */

struct notify {
    const struct gate *gate;
    struct notify_sockets *sockets;
    struct event *timer;
    struct strmap *zones; /* by apex, lower case: struct zone_targets */
    struct notify_counters counters;
    struct target *by_id[ID_CHAINS];
};

static struct target **chain_of(struct notify *notify, uint16_t id)
{
    return &notify->by_id[id % ID_CHAINS];
}

static void unlink_id(struct notify *notify, struct target *target)
{
    struct target **at = chain_of(notify, target->id);
    while (*at && *at != target)
        at = &(*at)->next;
    if (*at)
        *at = target->next;
}

static void link_id(struct notify *notify, struct target *target)
{
    struct target **chain = chain_of(notify, target->id);
    target->next = *chain;
    *chain = target;
}

/* --- sending ---------------------------------------------------------------------------------------- */

static void arm(struct notify *notify, nstime at)
{
    struct timeval left = clock_timeval(at - clock_boot());
    event_add(notify->timer, &left);
}

static nstime retry_after(unsigned tries)
{
    nstime wait = tries < 7 ? FIRST_RETRY << (tries - 1) : LAST_RETRY;
    return wait < LAST_RETRY ? wait : LAST_RETRY;
}

/* Who waits for an answer with this ID from there? */
static struct target *find_waiting(struct notify *notify, uint16_t id, const struct sockaddr_storage *from)
{
    struct target *target = *chain_of(notify, id);
    while (target && (target->due == NS_NEVER || !target->tries || target->id != id ||
                      !sockaddr_equal(from, &target->address)))
        target = target->next;
    return target;
}

/* Nobody can guess it, and of the thousand zones of one secondary no other has it. */
static uint16_t new_id(struct notify *notify, const struct target *target)
{
    uint16_t id;
    int tries = 0;
    do
        rng_secure(&id, sizeof id);
    while (find_waiting(notify, id, &target->address) && ++tries < 16);
    return id;
}

static void send_to(struct notify *notify, const struct zone_targets *zone, struct target *target, nstime now)
{
    uint8_t msg[NOTIFY_MESSAGE];
    char address[SOCKADDR_TEXT], apex[NAME_MAX_TEXT];
    unlink_id(notify, target);
    target->id = new_id(notify, target);
    link_id(notify, target);
    size_t len = notify_encode(target->id, &zone->soa, target->key, clock_real(), &target->mac, msg);
    int error = notify_sockets_send(notify->sockets, &target->address, msg, len);
    notify->counters.sent++;
    target->tries++;
    target->sent_at = now;
    target->due = now + retry_after(target->tries);
    if (error)
        snprintf(target->error, sizeof target->error, "cannot be sent: %s", strerror(error));
    else if (target->tries > 1 && !target->error[0])
        snprintf(target->error, sizeof target->error, "no answer");
    if (target->tries == TRIES_TOLD)
        log_warn("notify: %s does not acknowledge serial %u of %s (%s): trying on",
                 sockaddr_format(&target->address, address), notify_soa_serial(&zone->soa),
                 name_to_text(zone->soa.apex, apex), target->error);
}

/* Sends what is due and sets the timer for what is next. */
static void run(struct notify *notify)
{
    nstime now = clock_boot(), next = NS_NEVER;
    unsigned sent = 0;
    void *value;
    bool may_act = gate_may_act(notify->gate, now);
    for (size_t i = 0; strmap_next(notify->zones, &i, NULL, NULL, &value);) {
        struct zone_targets *zone = value;
        for (size_t t = 0; zone->served && t < zone->count; t++) {
            struct target *target = &zone->targets[t];
            if (target->due <= now && may_act && sent < SENDS_A_TURN) {
                send_to(notify, zone, target, now);
                sent++;
            }
            if (target->due < next)
                next = target->due;
        }
    }
    if (next != NS_NEVER && !may_act) /* a lease that has run out may come back */
        arm(notify, now + NS_PER_S);
    else if (next != NS_NEVER)
        arm(notify, sent == SENDS_A_TURN && next < now + TURN_PAUSE ? now + TURN_PAUSE : next);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    run(arg);
}

/* From now on the target is to be told of the present serial. */
static void want(struct target *target, nstime now)
{
    nstime least = target->sent_at ? target->sent_at + FIRST_RETRY : now;
    target->due = least > now ? least : now;
    target->tries = 0;
    target->error[0] = 0;
}

/* --- answers ---------------------------------------------------------------------------------------- */

static void on_rcode(struct notify *notify, const struct zone_targets *zone, struct target *target, int rcode)
{
    char text[16];
    if (rcode == DNS_NOERROR) {
        notify->counters.acknowledged++;
        target->known = true;
        target->acknowledged = notify_soa_serial(&zone->soa);
        target->error[0] = 0;
        target->due = NS_NEVER;
        return;
    }
    notify->counters.refused++;
    snprintf(target->error, sizeof target->error, "answers %s", dns_rcode_text((uint16_t)rcode, text));
    if (rcode == DNS_NOTIMP) /* RFC 1996 section 3.12: it knows no NOTIFY, and goes by the SOA's times */
        target->due = NS_NEVER;
}

static void on_answer(void *arg, const struct sockaddr_storage *from, const uint8_t *msg, size_t len)
{
    struct notify *notify = arg;
    const char *why;
    struct target *target = len < 2 ? NULL : find_waiting(notify, get16(msg), from);
    if (!target)
        return;
    int rcode = notify_decode(msg, len, target->id, &target->zone->soa, target->key, &target->mac,
                              clock_real(), &why);
    if (rcode >= 0) {
        on_rcode(notify, target->zone, target, rcode);
    } else {
        notify->counters.bad_answers++;
        snprintf(target->error, sizeof target->error, "its answer is of no use: %s", why);
    }
}

/* --- what there is to tell ---------------------------------------------------------------------------- */

static void tell_all(struct zone_targets *zone, nstime now)
{
    for (size_t i = 0; i < zone->count; i++)
        want(&zone->targets[i], now);
}

void notify_served(struct notify *notify, const uint8_t *apex, uint32_t ttl, const uint8_t *rdata, size_t len)
{
    struct zone_targets *zone = strmap_get(notify->zones, apex, name_len(apex));
    if (!zone) {
        zone = xcalloc(1, sizeof *zone);
        name_lower(apex, zone->soa.apex);
        strmap_put(notify->zones, zone->soa.apex, name_len(zone->soa.apex), zone);
    }
    if (len < 20 || len > sizeof zone->soa.rdata)
        return;
    zone->served = true;
    zone->soa.ttl = ttl;
    zone->soa.len = (uint16_t)len;
    memcpy(zone->soa.rdata, rdata, len);
    tell_all(zone, clock_boot());
    arm(notify, clock_boot()); /* once, for all zones that come in this turn */
}

void notify_gone(struct notify *notify, const uint8_t *apex)
{
    struct zone_targets *zone = strmap_get(notify->zones, apex, name_len(apex));
    if (zone)
        zone->served = false;
}

void notify_promoted(struct notify *notify)
{
    nstime now = clock_boot();
    void *value;
    for (size_t i = 0; strmap_next(notify->zones, &i, NULL, NULL, &value);)
        tell_all(value, now);
    run(notify);
}

/* --- the configuration -------------------------------------------------------------------------------- */

static void free_targets(struct notify *notify, struct zone_targets *zone)
{
    for (size_t i = 0; i < zone->count; i++) {
        unlink_id(notify, &zone->targets[i]);
        if (zone->targets[i].key)
            explicit_bzero(zone->targets[i].key, sizeof *zone->targets[i].key);
        free(zone->targets[i].key);
        free(zone->targets[i].key_name);
    }
    free(zone->targets);
}

static const struct target *find_target(const struct zone_targets *zone, const struct config_notify *like)
{
    for (size_t i = 0; i < zone->count; i++)
        if (sockaddr_equal(&zone->targets[i].address, &like->address))
            return &zone->targets[i];
    return NULL;
}

static struct target make_target(const struct config *config, const struct zone_targets *zone,
                                 const struct config_notify *from)
{
    const struct target *before = find_target(zone, from);
    struct target target = {.due = zone->served ? 0 : NS_NEVER};
    struct err err;
    if (before)
        target = *before;
    target.address = from->address;
    target.key = NULL;
    target.key_name = from->key ? xstrdup(from->key) : NULL;
    if (!from->key)
        return target;
    target.key = xmalloc(sizeof *target.key);
    if (config_key_read(config_key(config, from->key), target.key, &err)) {
        log_error("notify: %s", err.text); /* unsigned then, and refused: that shows */
        free(target.key);
        target.key = NULL;
    }
    return target;
}

static void configure_zone(struct notify *notify, const struct config *config, const uint8_t *apex,
                           const struct config_notifies *notifies)
{
    struct zone_targets *zone = strmap_get(notify->zones, apex, name_len(apex));
    if (!zone && !notifies->count)
        return;
    if (!zone) {
        zone = xcalloc(1, sizeof *zone);
        name_lower(apex, zone->soa.apex);
        strmap_put(notify->zones, zone->soa.apex, name_len(zone->soa.apex), zone);
    }
    struct target *targets = xcalloc(notifies->count + 1, sizeof *targets);
    for (size_t i = 0; i < notifies->count; i++)
        targets[i] = make_target(config, zone, &notifies->items[i]);
    free_targets(notify, zone);
    zone->targets = targets;
    zone->count = notifies->count;
    for (size_t i = 0; i < zone->count; i++) {
        targets[i].zone = zone;
        if (targets[i].tries)
            link_id(notify, &targets[i]);
    }
    zone->wanted = true;
}

static void configure_services(struct notify *notify, const struct config *config)
{
    const struct config_services *services = &config->services;
    if (!services->enabled)
        return;
    configure_zone(notify, config, services->domain, &services->notify);
    if (services->has_alt_domain)
        configure_zone(notify, config, services->alt_domain, &services->notify);
    for (size_t i = 0; i < services->reverse_count; i++)
        configure_zone(notify, config, services->reverse[i], &services->notify);
}

void notify_configure(struct notify *notify, const struct config *config)
{
    static const struct config_notifies none;
    void *value;
    for (size_t i = 0; strmap_next(notify->zones, &i, NULL, NULL, &value);)
        ((struct zone_targets *)value)->wanted = false;
    notify_sockets_listen(notify->sockets, config->listen, config->listen_count);
    for (size_t i = 0; i < config->zone_count; i++)
        configure_zone(notify, config, config->zones[i].apex, &config->zones[i].notify);
    configure_services(notify, config);
    for (size_t i = 0; strmap_next(notify->zones, &i, NULL, NULL, &value);) {
        struct zone_targets *zone = value;
        if (!zone->wanted && zone->count)
            configure_zone(notify, config, zone->soa.apex, &none);
    }
    run(notify);
}

struct notify *notify_new(struct event_base *base, const struct gate *gate)
{
    struct notify *notify = xcalloc(1, sizeof *notify);
    notify->gate = gate;
    notify->zones = strmap_new();
    notify->sockets = notify_sockets_new(base, on_answer, notify);
    notify->timer = event_new(base, -1, 0, on_timer, notify);
    return notify;
}

void notify_free(struct notify *notify)
{
    if (!notify)
        return;
    void *value;
    notify_sockets_free(notify->sockets);
    event_free(notify->timer);
    for (size_t i = 0; strmap_next(notify->zones, &i, NULL, NULL, &value);)
        free_targets(notify, value);
    strmap_free(notify->zones, free);
    free(notify);
}

/* --- for the operator --------------------------------------------------------------------------------- */

static bool is_current(const struct zone_targets *zone, const struct target *target)
{
    return zone->served && target->known && target->acknowledged == notify_soa_serial(&zone->soa);
}

json_t *notify_status(const struct notify *notify, const uint8_t *apex)
{
    const struct zone_targets *zone = strmap_get(notify->zones, apex, name_len(apex));
    if (!zone || !zone->count)
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < zone->count; i++) {
        const struct target *target = &zone->targets[i];
        char address[SOCKADDR_TEXT];
        bool trying = target->due != NS_NEVER && target->tries && gate_may_act(notify->gate, clock_boot());
        json_array_append_new(
            list, json_pack("{s:s, s:o, s:s, s:s?}", "address", sockaddr_format(&target->address, address),
                            "acknowledged", target->known ? json_integer(target->acknowledged) : json_null(),
                            "state",
                            is_current(zone, target) ? "acknowledged"
                            : trying                 ? "trying"
                                                     : "idle",
                            "error", target->error[0] ? target->error : NULL));
    }
    return list;
}

void notify_counters(const struct notify *notify, struct notify_counters *out)
{
    void *value;
    *out = notify->counters;
    out->waiting = 0;
    if (!gate_may_act(notify->gate, clock_boot())) /* somebody else's to tell */
        return;
    for (size_t i = 0; strmap_next(notify->zones, &i, NULL, NULL, &value);) {
        const struct zone_targets *zone = value;
        for (size_t t = 0; t < zone->count; t++)
            out->waiting += zone->served && zone->targets[t].due != NS_NEVER;
    }
}

void notify_print(const struct notify *notify, struct buf *out)
{
    struct notify_counters counters;
    notify_counters(notify, &counters);
    buf_printf(out,
               "# HELP lictor_notify_total NOTIFY messages sent, and the answers to them.\n"
               "# TYPE lictor_notify_total counter\n"
               "lictor_notify_total{event=\"sent\"} %" PRIu64 "\n"
               "lictor_notify_total{event=\"acknowledged\"} %" PRIu64 "\n"
               "lictor_notify_total{event=\"refused\"} %" PRIu64 "\n"
               "lictor_notify_total{event=\"bad_answer\"} %" PRIu64 "\n",
               counters.sent, counters.acknowledged, counters.refused, counters.bad_answers);
    buf_printf(out,
               "# HELP lictor_notify_waiting Secondaries that have not acknowledged a zone's serial yet.\n"
               "# TYPE lictor_notify_waiting gauge\nlictor_notify_waiting %u\n",
               counters.waiting);
}
