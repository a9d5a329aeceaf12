#include "control/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a sample function may look at: the documents are made once a scrape. */
struct scrape {
    const struct control *control;
    const struct control_view *view;
    const char *name; /* of the metric being written */
    struct role_counters role;
    struct role_failsafe failsafe;
    bool failsafe_on;
    json_t *members, *zones, *actions;
    struct {
        const char *name;
        const struct consul_client *client; /* NULL: not there */
        struct consul_stats stats;
    } clients[4];
    struct buf *out;
};

/* key NULL: no label. Values are escaped as the text format wants (backslash, quote, newline). */
static void label(struct buf *out, const char *key, const char *value, char before)
{
    buf_printf(out, "%c%s=\"", before, key);
    for (const char *at = value; *at; at++) {
        if (*at == '\\' || *at == '"')
            buf_printf(out, "\\%c", *at);
        else if (*at == '\n')
            buf_puts(out, "\\n");
        else
            buf_append(out, at, 1);
    }
    buf_puts(out, "\"");
}

static void put2(struct scrape *scrape, const char *key, const char *value, const char *key2,
                 const char *value2, double number)
{
    buf_printf(scrape->out, "lictor_%s", scrape->name);
    if (key) {
        label(scrape->out, key, value, '{');
        if (key2)
            label(scrape->out, key2, value2, ',');
        buf_puts(scrape->out, "}");
    }
    buf_printf(scrape->out, " %.15g\n", number);
}

static void put1(struct scrape *scrape, const char *key, const char *value, double number)
{
    put2(scrape, key, value, NULL, NULL, number);
}

static void put(struct scrape *scrape, double number)
{
    put2(scrape, NULL, NULL, NULL, NULL, number);
}

static double seconds(nstime duration)
{
    return (double)duration / (double)NS_PER_S;
}

/* ---- process ---- */

static void sample_build_info(struct scrape *s)
{
    put1(s, "version", LICTOR_VERSION, 1);
}

static void sample_uptime_seconds(struct scrape *s)
{
    put(s, seconds(clock_boot() - s->view->started));
}

static void sample_ready(struct scrape *s)
{
    json_t *reasons = s->view->not_ready(s->view->arg);
    put(s, json_array_size(reasons) == 0);
    json_decref(reasons);
}

static void sample_loop_longest_turn_seconds(struct scrape *s)
{
    put(s, seconds(s->view->longest_turn(s->view->arg)));
}

static void sample_loop_worst_lateness_seconds(struct scrape *s)
{
    put(s, seconds(s->view->worst_lateness(s->view->arg)));
}

static void sample_builder_busy_seconds(struct scrape *s)
{
    put(s, seconds(builder_busy_for(s->view->builder)));
}

static void sample_builder_queued(struct scrape *s)
{
    put(s, builder_queued(s->view->builder));
}

/* ---- role ---- */

static void sample_primary(struct scrape *s)
{
    put(s, role_is_primary(s->view->role));
}

static void sample_epoch(struct scrape *s)
{
    put(s, (double)atomic_load(&s->view->gate->epoch));
}

static void sample_lease_left_seconds(struct scrape *s)
{
    if (!s->view->config->election.enabled) /* there is no lease, the right never ends */
        return;
    nstime left = atomic_load(&s->view->gate->act_until) - clock_boot();
    put(s, left > 0 ? seconds(left) : 0);
}

static void sample_members(struct scrape *s)
{
    unsigned counts[2] = {0};
    json_t *member;
    size_t i;
    json_array_foreach(s->members, i, member) counts[json_is_true(json_object_get(member, "ready"))]++;
    put1(s, "ready", "true", counts[1]);
    put1(s, "ready", "false", counts[0]);
}

static void sample_members_ready(struct scrape *s)
{
    unsigned ready = 0;
    json_t *member;
    size_t i;
    json_array_foreach(s->members, i, member) ready += json_is_true(json_object_get(member, "ready"));
    put(s, ready);
}

static void sample_cannot_stand(struct scrape *s)
{
    unsigned obstacles = role_obstacles(s->view->role);
    put1(s, "reason", "not_candidate", (obstacles & ROLE_NO_CANDIDATE) != 0);
    put1(s, "reason", "not_ready", (obstacles & ROLE_NOT_READY) != 0);
    put1(s, "reason", "paused", (obstacles & ROLE_HELD_BY_PAUSE) != 0);
    put1(s, "reason", "no_session", (obstacles & ROLE_NO_SESSION) != 0);
}

static void sample_no_primary_seconds(struct scrape *s)
{
    put(s, seconds(role_vacancy(s->view->role)));
}

static void sample_deaths_proven_total(struct scrape *s)
{
    put(s, (double)s->role.deaths_proven);
}

static void sample_paused(struct scrape *s)
{
    put(s, role_paused(s->view->role));
}

static void sample_lock_tampered_total(struct scrape *s)
{
    put(s, (double)s->role.tampered);
}

static void sample_promotions_total(struct scrape *s)
{
    put(s, (double)s->role.promotions);
}

static void sample_demotions_total(struct scrape *s)
{
    put(s, (double)s->role.demotions);
}

static void sample_elections_total(struct scrape *s)
{
    put(s, (double)s->role.elections);
}

static void sample_lease_confirms_total(struct scrape *s)
{
    put1(s, "result", "ok", (double)s->role.confirms);
    put1(s, "result", "failed", (double)s->role.confirm_failures);
}

/* ---- failsafe: no samples while it is off ---- */

static void sample_failsafe_holding(struct scrape *s)
{
    if (s->failsafe_on)
        put(s, s->failsafe.holding);
}

static void sample_failsafe_hold_left_seconds(struct scrape *s)
{
    if (s->failsafe_on)
        put(s, s->failsafe.hold_left > 0 ? seconds(s->failsafe.hold_left) : 0);
}

static void sample_failsafe_holds_total(struct scrape *s)
{
    if (s->failsafe_on)
        put(s, (double)s->failsafe.holds);
}

static void sample_failsafe_rounds_total(struct scrape *s)
{
    if (!s->failsafe_on)
        return;
    put1(s, "result", "whole", (double)s->failsafe.rounds_whole);
    put1(s, "result", "broken", (double)s->failsafe.rounds_broken);
}

static void sample_failsafe_answers_total(struct scrape *s)
{
    if (!s->failsafe_on)
        return;
    put1(s, "answer", "yes", (double)s->failsafe.consents);
    put1(s, "answer", "no", (double)s->failsafe.refusals);
}

static void sample_failsafe_bad_signatures_total(struct scrape *s)
{
    if (s->failsafe_on)
        put(s, (double)s->failsafe.bad_signatures);
}

/* ---- view ---- */

static void sample_view_live(struct scrape *s)
{
    if (s->view->watch)
        put(s, watch_live(s->view->watch));
}

static void put_remote_age(void *arg, const char *name, bool live, nstime contact)
{
    (void)live;
    if (contact)
        put1(arg, "datacenter", name, seconds(clock_boot() - contact));
}

static void sample_view_age_seconds(struct scrape *s)
{
    nstime contact = s->view->watch ? watch_last_contact(s->view->watch) : 0;
    if (contact)
        put1(s, "datacenter", s->control->counts.datacenter, seconds(clock_boot() - contact));
    if (s->view->datacenters)
        datacenters_each(s->view->datacenters, put_remote_age, s);
}

static void sample_view_services(struct scrape *s)
{
    put(s, (double)s->control->counts.services);
}

static void sample_view_instances(struct scrape *s)
{
    put(s, (double)s->control->counts.instances);
}

static void sample_view_nodes(struct scrape *s)
{
    put(s, (double)s->control->counts.nodes);
}

static void sample_view_edits_total(struct scrape *s)
{
    put(s, (double)s->control->counts.stats.edits);
}

static struct watch_stats watch_counts(const struct scrape *s)
{
    struct watch_stats stats = {0};
    if (s->view->watch)
        watch_stats(s->view->watch, &stats);
    return stats;
}

static void sample_watch_reads_total(struct scrape *s)
{
    struct watch_stats stats = watch_counts(s);
    put1(s, "kind", "probe", (double)stats.probes);
    put1(s, "kind", "moved", (double)stats.moved);
    put1(s, "kind", "whole", (double)stats.reads);
}

static void sample_watch_sweeps_total(struct scrape *s)
{
    struct watch_stats stats = watch_counts(s);
    put1(s, "kind", "probes", (double)(stats.sweeps - stats.full_sweeps));
    put1(s, "kind", "whole", (double)stats.full_sweeps);
}

static void sample_watch_missed_total(struct scrape *s)
{
    put(s, (double)watch_counts(s).missed);
}

static void sample_watch_older_total(struct scrape *s)
{
    put(s, (double)watch_counts(s).older);
}

static void sample_watch_rewinds_total(struct scrape *s)
{
    put(s, (double)watch_counts(s).rewinds);
}

static void sample_watch_held_total(struct scrape *s)
{
    put(s, (double)watch_counts(s).held);
}

static void sample_watch_evictions_total(struct scrape *s)
{
    put(s, (double)watch_counts(s).evictions);
}

static void sample_view_rejected_total(struct scrape *s)
{
    const struct catalog_stats *stats = &s->control->counts.stats;
    put1(s, "reason", "name", (double)stats->bad_names);
    put1(s, "reason", "address", (double)stats->bad_addresses);
    put1(s, "reason", "port", (double)stats->bad_ports);
    put1(s, "reason", "duplicate", (double)stats->duplicates);
}

/* ---- Consul ---- */

/* A sample for each client. */
#define PUT_CLIENTS(s, field) \
    do { \
        for (size_t i_ = 0; i_ < sizeof((s)->clients) / sizeof(*(s)->clients); i_++) \
            if ((s)->clients[i_].client) \
                put1(s, "client", (s)->clients[i_].name, (double)(s)->clients[i_].stats.field); \
    } while (0)

static void sample_consul_requests_total(struct scrape *s)
{
    PUT_CLIENTS(s, requests);
}

static void sample_consul_errors_total(struct scrape *s)
{
    PUT_CLIENTS(s, errors);
}

static void sample_consul_received_bytes_total(struct scrape *s)
{
    PUT_CLIENTS(s, bytes_in);
}

static void sample_consul_requests_in_flight(struct scrape *s)
{
    PUT_CLIENTS(s, in_flight);
}

static void sample_consul_connections(struct scrape *s)
{
    PUT_CLIENTS(s, connections);
}

/* ---- names that are asked for ---- */

static void sample_asks_total(struct scrape *s)
{
    struct desk_stats stats;
    if (!s->view->desk)
        return;
    desk_stats(s->view->desk, &stats);
    put1(s, "result", "published", (double)stats.published);
    put1(s, "result", "absent", (double)stats.absent);
    put1(s, "result", "failed", (double)stats.failed);
    put1(s, "result", "joined", (double)stats.joined);
    put1(s, "result", "remembered", (double)stats.remembered);
    put1(s, "result", "refused", (double)stats.refused);
}

static void sample_asks_in_flight(struct scrape *s)
{
    struct desk_stats stats;
    if (!s->view->desk)
        return;
    desk_stats(s->view->desk, &stats);
    put(s, stats.asking);
}

static void sample_asked_reads_total(struct scrape *s)
{
    struct ondemand_stats stats;
    if (!s->view->ondemand)
        return;
    ondemand_stats(s->view->ondemand, &stats);
    put1(s, "result", "first", (double)(stats.reads - stats.refreshes));
    put1(s, "result", "refresh", (double)stats.refreshes);
    put1(s, "result", "failed", (double)stats.failures);
}

static void sample_asked_names(struct scrape *s)
{
    struct ondemand_stats stats;
    if (!s->view->ondemand)
        return;
    ondemand_stats(s->view->ondemand, &stats);
    put(s, stats.names);
}

/* ---- zones and actions: a sample an entry of a document ---- */

static const char *text(const json_t *entry, const char *member)
{
    const char *value = json_string_value(json_object_get(entry, member));
    return value ? value : "";
}

static void put_each(struct scrape *s, const json_t *list, const char *key, const char *id,
                     const char *member)
{
    const json_t *entry;
    size_t i;
    json_array_foreach(list, i, entry)
        put1(s, key, text(entry, id), json_number_value(json_object_get(entry, member)));
}

static void sample_zone_serial(struct scrape *s)
{
    put_each(s, s->zones, "zone", "zone", "serial");
}

static void sample_zone_records(struct scrape *s)
{
    put_each(s, s->zones, "zone", "zone", "records");
}

static void sample_zone_frozen(struct scrape *s)
{
    const json_t *zone;
    size_t i;
    json_array_foreach(s->zones, i, zone)
    {
        if (json_object_get(zone, "frozen"))
            put1(s, "zone", text(zone, "zone"), json_is_object(json_object_get(zone, "frozen")));
    }
}

static void sample_zone_error(struct scrape *s)
{
    const json_t *zone;
    size_t i;
    json_array_foreach(s->zones, i, zone)
        put1(s, "zone", text(zone, "zone"), json_is_string(json_object_get(zone, "error")));
}

static void sample_actions_total(struct scrape *s)
{
    json_t *action, *count;
    const char *result;
    size_t i;
    json_array_foreach(s->actions, i, action)
    {
        json_object_foreach(json_object_get(action, "results"), result, count)
            put2(s, "action", text(action, "name"), "result", result, json_number_value(count));
    }
}

static void sample_actions_superseded_total(struct scrape *s)
{
    put_each(s, s->actions, "action", "name", "superseded");
}

static void sample_actions_running(struct scrape *s)
{
    const json_t *action;
    size_t i;
    json_array_foreach(s->actions, i, action)
        put1(s, "action", text(action, "name"), json_is_string(json_object_get(action, "running")));
}

/* ---- the table ---- */

static const struct {
    const char *name, *type, *help;
    void (*sample)(struct scrape *scrape);
} metrics[] = {
#define METRIC(name, type, help) {#name, type, help, sample_##name},
#include "control/metrics.def"
#undef METRIC
};

void metrics_print(const struct control *control, struct buf *out)
{
    struct scrape scrape = {.control = control,
                            .view = &control->view,
                            .out = out,
                            .clients = {{.name = "watch", .client = control->view.watch_client},
                                        {.name = "ondemand", .client = control->view.ondemand_client},
                                        {.name = "election", .client = control->view.election_client},
                                        {.name = "store", .client = control->view.store_client}}};
    json_t *role = role_status(control->view.role);
    role_counters(control->view.role, &scrape.role);
    scrape.failsafe_on = role_failsafe(control->view.role, &scrape.failsafe);
    scrape.members = json_object_get(role, "members");
    scrape.zones = document_zones(control);
    scrape.actions = document_actions(control);
    for (size_t i = 0; i < sizeof(scrape.clients) / sizeof(*scrape.clients); i++)
        if (scrape.clients[i].client)
            consul_client_stats(scrape.clients[i].client, &scrape.clients[i].stats);
    for (size_t i = 0; i < sizeof(metrics) / sizeof(*metrics); i++) {
        scrape.name = metrics[i].name;
        buf_printf(out, "# HELP lictor_%s %s\n# TYPE lictor_%s %s\n", metrics[i].name, metrics[i].help,
                   metrics[i].name, metrics[i].type);
        metrics[i].sample(&scrape);
    }
    json_decref(role);
    json_decref(scrape.zones);
    json_decref(scrape.actions);
    if (control->view.server) {
        struct server_stats stats;
        server_stats_sum(control->view.server, &stats);
        server_stats_print(&stats, out);
    }
    if (control->view.transfer_metrics)
        control->view.transfer_metrics(control->view.arg, out);
}
