#include "show.h"

#include "field.h"
#include "lictor/clock.h"
#include "table.h"

#include <stdio.h>
#include <string.h>

static const char *milliseconds(long long ms, char out[32])
{
    return duration_format(ms > 60000 ? ms / 1000 * NS_PER_S : ms * NS_PER_MS, out);
}

/* ---- status ---- */

static void put_role(struct table *table, const json_t *role)
{
    const char *name = field_text(role, "role"), *reason = field_text(role, "reason");
    bool primary = strcmp(name, "primary") == 0;
    char left[32], line[256];
    int len = snprintf(line, sizeof(line), "%s", name);
    if (field_number(role, "epoch") > 0)
        len += snprintf(line + len, sizeof(line) - (size_t)len, ", epoch %lld", field_number(role, "epoch"));
    if (primary && json_is_integer(json_object_get(role, "lease_left_ms")) && (size_t)len < sizeof(line))
        snprintf(line + len, sizeof(line) - (size_t)len, ", lease %s left",
                 milliseconds(field_number(role, "lease_left_ms"), left));
    table_put(table, DIM, "role");
    table_put(table, primary ? GOOD : PLAIN, line);
    if (reason[0]) {
        table_put(table, DIM, "because");
        table_put(table, PLAIN, reason);
    }
}

static void put_primary(struct table *table, const json_t *role)
{
    const json_t *primary = json_object_get(role, "primary");
    const char *node = field_text(primary, "node"), *address = field_text(primary, "address");
    table_put(table, DIM, "primary");
    if (!node[0])
        table_put(table, WARN, "none known");
    else
        table_printf(table, PLAIN, "%s%s%s%s", node, address[0] ? " (" : "", address, address[0] ? ")" : "");
}

static void put_pause(struct table *table, const json_t *role)
{
    const json_t *pause = json_object_get(role, "paused");
    const char *until = field_text(pause, "until"), *why = field_text(pause, "why");
    if (!json_is_object(pause))
        return;
    table_put(table, DIM, "paused");
    table_printf(table, WARN, "by %s at %s, until %s%s%s", field_text(pause, "who"), field_text(pause, "at"),
                 until[0] ? until : "`lictor resume`", why[0] ? ": " : "", why);
}

static void put_members(struct table *table, const json_t *role)
{
    const json_t *member;
    size_t i;
    json_array_foreach(json_object_get(role, "members"), i, member)
    {
        const char *address = field_text(member, "address");
        bool ready = field_flag(member, "ready");
        const char *reason = field_text(member, "reason");
        table_put(table, DIM, i == 0 ? "members" : "");
        table_printf(table, ready ? PLAIN : WARN, "%s%s%s%s  %s%s%s%s", field_text(member, "node"),
                     address[0] ? " (" : "", address, address[0] ? ")" : "",
                     field_flag(member, "primary") ? "primary" : "standby", ready ? "" : ", not ready",
                     !ready && reason[0] ? ": " : "", ready ? "" : reason);
    }
}

static void put_failsafe(struct table *table, const json_t *failsafe)
{
    const json_t *member;
    char left[32];
    size_t i;
    if (!json_is_object(failsafe))
        return;
    table_put(table, DIM, "failsafe");
    if (field_flag(failsafe, "holding"))
        table_printf(table, WARN, "holding by consent, %s left",
                     milliseconds(field_number(failsafe, "hold_left_ms"), left));
    else if (field_text(failsafe, "promised_to")[0])
        table_printf(table, WARN, "consents that %s holds on, for %s", field_text(failsafe, "promised_to"),
                     milliseconds(field_number(failsafe, "promise_left_ms"), left));
    else
        table_put(table, PLAIN, "on");
    json_array_foreach(json_object_get(failsafe, "members"), i, member)
    {
        table_put(table, DIM, "");
        table_printf(table, PLAIN, "%s %s", field_text(member, "node"), field_text(member, "answer"));
    }
}

/* Remote ones that are watched. */
static void put_datacenters(struct table *table, const json_t *datacenters)
{
    char age[32];
    size_t i;
    const json_t *datacenter;
    json_array_foreach(datacenters, i, datacenter)
    {
        const json_t *watch = json_object_get(datacenter, "watch");
        if (!json_is_object(watch))
            continue;
        bool contact = field_flag(watch, "contact");
        table_put(table, DIM, "");
        table_printf(table, contact ? PLAIN : WARN, "%s: %s, %lld services, %s old",
                     field_text(datacenter, "datacenter"),
                     !field_flag(watch, "live") ? "not live"
                     : contact                  ? "live"
                                                : "lost",
                     field_number(watch, "services"), milliseconds(field_number(watch, "age_ms"), age));
    }
}

static void put_view(struct table *table, const json_t *view)
{
    char age[32];
    const char *error = field_text(view, "last_error");
    bool live = field_flag(view, "live");
    table_put(table, DIM, "view");
    table_printf(table, live ? PLAIN : WARN, "%s, %lld services, %s old",
                 live ? "live" : "not live (no complete view from Consul yet)",
                 field_number(view, "services"), milliseconds(field_number(view, "age_ms"), age));
    if (error[0]) {
        table_put(table, DIM, "");
        table_put(table, BAD, error);
    }
    if (field_text(view, "rights_missing")[0]) {
        table_put(table, DIM, "rights");
        table_put(table, BAD, field_text(view, "rights_missing"));
    }
    put_datacenters(table, json_object_get(view, "datacenters"));
}

static void put_zone(struct table *table, const json_t *zone, const char *head)
{
    const char *error = field_text(zone, "error");
    bool frozen = json_is_object(json_object_get(zone, "frozen"));
    table_put(table, DIM, head);
    if (error[0])
        table_printf(table, BAD, "%s serial %lld (%s): %s", field_text(zone, "zone"),
                     field_number(zone, "serial"), field_text(zone, "source"), error);
    else
        table_printf(table, frozen ? WARN : PLAIN, "%s serial %lld, %lld records%s", field_text(zone, "zone"),
                     field_number(zone, "serial"), field_number(zone, "records"), frozen ? ", frozen" : "");
    const json_t *record;
    size_t i;
    json_array_foreach(json_object_get(zone, "health"), i, record)
    {
        const char *state = field_text(record, "state"), *forced = field_text(record, "forced");
        if (!forced[0] && strcmp(state, "healthy") == 0)
            continue; /* status is short: what is as it should be is in `lictor zones` */
        table_put(table, DIM, "");
        table_printf(table, strcmp(state, "all-down") == 0 ? BAD : WARN, "%s in %s: %s%s%s%s%s",
                     field_text(record, "record"), field_text(zone, "zone"), state,
                     forced[0] ? ", forced " : "", forced, forced[0] ? " by " : "",
                     field_text(record, "forced_by"));
    }
}

static const char *action_state(const json_t *action, enum tone *tone)
{
    const json_t *last = json_object_get(action, "last");
    *tone = PLAIN;
    if (json_is_string(json_object_get(action, "running")))
        return "running";
    if (!json_is_object(last))
        return "never ran";
    *tone = field_flag(last, "ok") ? GOOD : BAD;
    return field_text(last, "result");
}

static void put_actions(struct table *table, const json_t *actions)
{
    const json_t *action;
    size_t i;
    json_array_foreach(actions, i, action)
    {
        enum tone tone;
        const char *state = action_state(action, &tone);
        table_put(table, DIM, i == 0 ? "actions" : "");
        table_printf(table, tone, "%s (%s): %s", field_text(action, "name"), field_text(action, "when"),
                     state);
    }
}

static void put_ready(struct table *table, const json_t *reasons)
{
    const json_t *reason;
    size_t i;
    if (json_array_size(reasons) == 0) {
        table_put(table, DIM, "ready");
        table_put(table, GOOD, "yes");
    }
    json_array_foreach(reasons, i, reason)
    {
        table_put(table, DIM, i == 0 ? "ready" : "");
        table_printf(table, BAD, "%s%s", i == 0 ? "no: " : "", json_string_value(reason));
    }
}

void show_status(const json_t *result, bool colour, struct buf *out)
{
    struct table table;
    char up[32];
    const json_t *role = json_object_get(result, "role"), *view = json_object_get(result, "view"), *zone;
    size_t i;
    table_begin(&table, NULL, 2, colour);
    table_put(&table, BOLD, field_text(result, "node"));
    table_printf(&table, PLAIN, "lictord %s, up %s", field_text(result, "version"),
                 milliseconds(field_number(result, "uptime_ms"), up));
    put_ready(&table, json_object_get(result, "not_ready"));
    put_role(&table, role);
    put_primary(&table, role);
    put_pause(&table, role);
    put_members(&table, role);
    put_failsafe(&table, json_object_get(role, "failsafe"));
    if (json_is_object(view))
        put_view(&table, view);
    json_array_foreach(json_object_get(result, "zones"), i, zone)
        put_zone(&table, zone, i == 0 ? "zones" : "");
    put_actions(&table, json_object_get(result, "actions"));
    table_end(&table, 0, out);
}

/* ---- why ---- */

void show_why(const json_t *result, bool colour, struct buf *out)
{
    struct table table;
    const json_t *role = json_object_get(result, "role"), *view = json_object_get(result, "view"), *entry;
    const json_t *history = json_object_get(result, "history");
    size_t i;
    table_begin(&table, NULL, 2, colour);
    put_role(&table, role);
    put_primary(&table, role);
    put_pause(&table, role);
    put_ready(&table, json_object_get(result, "not_ready"));
    if (json_is_object(view) && (!field_flag(view, "live") || field_text(view, "last_error")[0]))
        put_view(&table, view);
    json_array_foreach(json_object_get(result, "zones"), i, entry)
        put_zone(&table, entry, i == 0 ? "zones" : "");
    put_actions(&table, json_object_get(result, "actions"));
    table_end(&table, 0, out);

    if (json_array_size(history) == 0)
        return;
    buf_puts(out, "\nwhat happened, newest last:\n");
    table_begin(&table, NULL, 2, colour);
    json_array_foreach(history, i, entry)
    {
        table_put(&table, DIM, field_text(entry, "at"));
        table_put(&table, PLAIN, field_text(entry, "what"));
    }
    table_end(&table, 2, out);
}

/* ---- services ---- */

static enum tone tone_of(const char *status)
{
    return strcmp(status, "passing") == 0 ? GOOD : strcmp(status, "warning") == 0 ? WARN : BAD;
}

static void show_all_services(const json_t *list, bool colour, struct buf *out)
{
    static const char *const names[] = {"service", "instances", "passing",
                                        "warning", "critical",  "in answers"};
    struct table table;
    const json_t *service;
    size_t i;
    table_begin(&table, names, COLUMNS(names), colour);
    json_array_foreach(list, i, service)
    {
        table_put(&table, PLAIN, field_text(service, "service"));
        table_printf(&table, PLAIN, "%lld", field_number(service, "instances"));
        table_printf(&table, PLAIN, "%lld", field_number(service, "passing"));
        table_printf(&table, field_number(service, "warning") ? WARN : PLAIN, "%lld",
                     field_number(service, "warning"));
        table_printf(&table, field_number(service, "critical") ? BAD : PLAIN, "%lld",
                     field_number(service, "critical"));
        table_printf(&table, field_number(service, "answering") ? PLAIN : BAD, "%lld",
                     field_number(service, "answering"));
    }
    table_end(&table, 0, out);
}

static void put_tags(struct table *table, const json_t *tags)
{
    char line[256] = "";
    const json_t *tag;
    size_t i, len = 0;
    json_array_foreach(tags, i, tag)
    {
        if (len + 1 < sizeof(line))
            len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%s", i ? "," : "",
                                    json_string_value(tag));
    }
    table_put(table, PLAIN, line);
}

static void show_service(const json_t *service, bool colour, struct buf *out)
{
    static const char *const names[] = {"node",   "id",     "address", "port",
                                        "status", "weight", "tags",    "in DNS"};
    struct table table;
    const json_t *instance;
    size_t i;
    buf_printf(out, "%s: %lld passing, %lld warning, %lld critical, %lld in answers\n",
               field_text(service, "service"), field_number(service, "passing"),
               field_number(service, "warning"), field_number(service, "critical"),
               field_number(service, "answering"));
    table_begin(&table, names, COLUMNS(names), colour);
    json_array_foreach(json_object_get(service, "instances"), i, instance)
    {
        table_put(&table, PLAIN, field_text(instance, "node"));
        table_put(&table, PLAIN, field_text(instance, "id"));
        table_put(&table, PLAIN, field_text(instance, "address"));
        table_printf(&table, PLAIN, "%lld", field_number(instance, "port"));
        table_put(&table, tone_of(field_text(instance, "status")), field_text(instance, "status"));
        table_printf(&table, PLAIN, "%lld", field_number(instance, "weight"));
        put_tags(&table, json_object_get(instance, "tags"));
        table_put(&table, PLAIN, field_text(instance, "dns"));
    }
    table_end(&table, 0, out);
}

void show_services(const json_t *result, bool colour, struct buf *out)
{
    if (json_is_array(result))
        show_all_services(result, colour, out);
    else
        show_service(result, colour, out);
}

/* ---- actions ---- */

void show_actions(const json_t *result, bool colour, struct buf *out)
{
    static const char *const names[] = {"action", "when", "ok", "not ok", "last run", "took", "result"};
    struct table table;
    const json_t *action, *count;
    const char *name;
    size_t i;
    table_begin(&table, names, COLUMNS(names), colour);
    json_array_foreach(result, i, action)
    {
        const json_t *last = json_object_get(action, "last");
        enum tone tone;
        const char *state = action_state(action, &tone);
        long long not_ok = 0;
        char took[32];
        json_object_foreach(json_object_get(action, "results"), name, count)
        {
            if (strcmp(name, "ok") != 0)
                not_ok += json_integer_value(count);
        }
        table_put(&table, PLAIN, field_text(action, "name"));
        table_put(&table, PLAIN, field_text(action, "when"));
        table_printf(&table, PLAIN, "%lld", field_number(json_object_get(action, "results"), "ok"));
        table_printf(&table, not_ok ? BAD : PLAIN, "%lld", not_ok);
        table_put(&table, PLAIN, json_is_object(last) ? field_text(last, "at") : "-");
        table_put(&table, PLAIN,
                  json_is_object(last) ? milliseconds(field_number(last, "took_ms"), took) : "-");
        table_put(&table, tone, state);
    }
    table_end(&table, 0, out);
}

void show_done(const json_t *result, bool colour, struct buf *out)
{
    (void)result;
    (void)colour;
    buf_puts(out, "done\n");
}
