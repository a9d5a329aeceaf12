#include "show.h"

#include "lictor/clock.h"
#include "table.h"

#include <stdio.h>
#include <string.h>

/* ---- reading documents: what is missing is empty, never a crash ---- */

static const char *text(const json_t *object, const char *member)
{
    const char *value = json_string_value(json_object_get(object, member));
    return value ? value : "";
}

static long long number(const json_t *object, const char *member)
{
    return json_integer_value(json_object_get(object, member));
}

static bool flag(const json_t *object, const char *member)
{
    return json_is_true(json_object_get(object, member));
}

static const char *milliseconds(long long ms, char out[32])
{
    return duration_format(ms > 60000 ? ms / 1000 * NS_PER_S : ms * NS_PER_MS, out);
}

/* ---- the two shapes: labels and values, or a line of heads and a row a thing ---- */

#define COLUMNS(names) (sizeof(names) / sizeof(names[0]))

static void begin(struct table *table, const char *const *heads, size_t columns, bool colour)
{
    table_init(table, columns, colour);
    for (size_t i = 0; heads && i < columns; i++)
        table_put(table, DIM, heads[i]);
}

static void end(struct table *table, int indent, struct buf *out)
{
    table_print(table, indent, out);
    table_free(table);
}

/* ---- status ---- */

static void put_role(struct table *table, const json_t *role)
{
    const char *name = text(role, "role"), *reason = text(role, "reason");
    bool primary = strcmp(name, "primary") == 0;
    char left[32], line[256];
    int len = snprintf(line, sizeof(line), "%s", name);
    if (number(role, "epoch") > 0)
        len += snprintf(line + len, sizeof(line) - (size_t)len, ", epoch %lld", number(role, "epoch"));
    if (primary && json_is_integer(json_object_get(role, "lease_left_ms")) && (size_t)len < sizeof(line))
        snprintf(line + len, sizeof(line) - (size_t)len, ", lease %s left",
                 milliseconds(number(role, "lease_left_ms"), left));
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
    const char *node = text(primary, "node"), *address = text(primary, "address");
    table_put(table, DIM, "primary");
    if (!node[0])
        table_put(table, WARN, "none known");
    else
        table_printf(table, PLAIN, "%s%s%s%s", node, address[0] ? " (" : "", address, address[0] ? ")" : "");
}

static void put_pause(struct table *table, const json_t *role)
{
    const json_t *pause = json_object_get(role, "paused");
    const char *until = text(pause, "until"), *why = text(pause, "why");
    if (!json_is_object(pause))
        return;
    table_put(table, DIM, "paused");
    table_printf(table, WARN, "by %s at %s, until %s%s%s", text(pause, "who"), text(pause, "at"),
                 until[0] ? until : "`lictor resume`", why[0] ? ": " : "", why);
}

static void put_members(struct table *table, const json_t *role)
{
    const json_t *member;
    size_t i;
    json_array_foreach(json_object_get(role, "members"), i, member)
    {
        const char *address = text(member, "address");
        bool ready = flag(member, "ready");
        const char *reason = text(member, "reason");
        table_put(table, DIM, i == 0 ? "members" : "");
        table_printf(table, ready ? PLAIN : WARN, "%s%s%s%s  %s%s%s%s", text(member, "node"),
                     address[0] ? " (" : "", address, address[0] ? ")" : "",
                     flag(member, "primary") ? "primary" : "standby", ready ? "" : ", not ready",
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
    if (flag(failsafe, "holding"))
        table_printf(table, WARN, "holding by consent, %s left",
                     milliseconds(number(failsafe, "hold_left_ms"), left));
    else if (text(failsafe, "promised_to")[0])
        table_printf(table, WARN, "consents that %s holds on, for %s", text(failsafe, "promised_to"),
                     milliseconds(number(failsafe, "promise_left_ms"), left));
    else
        table_put(table, PLAIN, "on");
    json_array_foreach(json_object_get(failsafe, "members"), i, member)
    {
        table_put(table, DIM, "");
        table_printf(table, PLAIN, "%s %s", text(member, "node"), text(member, "answer"));
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
        bool contact = flag(watch, "contact");
        table_put(table, DIM, "");
        table_printf(table, contact ? PLAIN : WARN, "%s: %s, %lld services, %s old",
                     text(datacenter, "datacenter"),
                     !flag(watch, "live") ? "not live"
                     : contact            ? "live"
                                          : "lost",
                     number(watch, "services"), milliseconds(number(watch, "age_ms"), age));
    }
}

static void put_view(struct table *table, const json_t *view)
{
    char age[32];
    const char *error = text(view, "last_error");
    bool live = flag(view, "live");
    table_put(table, DIM, "view");
    table_printf(table, live ? PLAIN : WARN, "%s, %lld services, %s old",
                 live ? "live" : "not live (no complete view from Consul yet)", number(view, "services"),
                 milliseconds(number(view, "age_ms"), age));
    if (error[0]) {
        table_put(table, DIM, "");
        table_put(table, BAD, error);
    }
    if (text(view, "rights_missing")[0]) {
        table_put(table, DIM, "rights");
        table_put(table, BAD, text(view, "rights_missing"));
    }
    put_datacenters(table, json_object_get(view, "datacenters"));
}

static void put_zone(struct table *table, const json_t *zone, const char *head)
{
    const char *error = text(zone, "error");
    table_put(table, DIM, head);
    if (error[0])
        table_printf(table, BAD, "%s serial %lld (%s): %s", text(zone, "zone"), number(zone, "serial"),
                     text(zone, "source"), error);
    else
        table_printf(table, PLAIN, "%s serial %lld, %lld records", text(zone, "zone"), number(zone, "serial"),
                     number(zone, "records"));
}

static const char *action_state(const json_t *action, enum tone *tone)
{
    const json_t *last = json_object_get(action, "last");
    *tone = PLAIN;
    if (json_is_string(json_object_get(action, "running")))
        return "running";
    if (!json_is_object(last))
        return "never ran";
    *tone = flag(last, "ok") ? GOOD : BAD;
    return text(last, "result");
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
        table_printf(table, tone, "%s (%s): %s", text(action, "name"), text(action, "when"), state);
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
    begin(&table, NULL, 2, colour);
    table_put(&table, BOLD, text(result, "node"));
    table_printf(&table, PLAIN, "lictord %s, up %s", text(result, "version"),
                 milliseconds(number(result, "uptime_ms"), up));
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
    end(&table, 0, out);
}

/* ---- why ---- */

void show_why(const json_t *result, bool colour, struct buf *out)
{
    struct table table;
    const json_t *role = json_object_get(result, "role"), *view = json_object_get(result, "view"), *entry;
    const json_t *history = json_object_get(result, "history");
    size_t i;
    begin(&table, NULL, 2, colour);
    put_role(&table, role);
    put_primary(&table, role);
    put_pause(&table, role);
    put_ready(&table, json_object_get(result, "not_ready"));
    if (json_is_object(view) && (!flag(view, "live") || text(view, "last_error")[0]))
        put_view(&table, view);
    json_array_foreach(json_object_get(result, "zones"), i, entry)
        put_zone(&table, entry, i == 0 ? "zones" : "");
    put_actions(&table, json_object_get(result, "actions"));
    end(&table, 0, out);

    if (json_array_size(history) == 0)
        return;
    buf_puts(out, "\nwhat happened, newest last:\n");
    begin(&table, NULL, 2, colour);
    json_array_foreach(history, i, entry)
    {
        table_put(&table, DIM, text(entry, "at"));
        table_put(&table, PLAIN, text(entry, "what"));
    }
    end(&table, 2, out);
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
    begin(&table, names, COLUMNS(names), colour);
    json_array_foreach(list, i, service)
    {
        table_put(&table, PLAIN, text(service, "service"));
        table_printf(&table, PLAIN, "%lld", number(service, "instances"));
        table_printf(&table, PLAIN, "%lld", number(service, "passing"));
        table_printf(&table, number(service, "warning") ? WARN : PLAIN, "%lld", number(service, "warning"));
        table_printf(&table, number(service, "critical") ? BAD : PLAIN, "%lld", number(service, "critical"));
        table_printf(&table, number(service, "answering") ? PLAIN : BAD, "%lld",
                     number(service, "answering"));
    }
    end(&table, 0, out);
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
               text(service, "service"), number(service, "passing"), number(service, "warning"),
               number(service, "critical"), number(service, "answering"));
    begin(&table, names, COLUMNS(names), colour);
    json_array_foreach(json_object_get(service, "instances"), i, instance)
    {
        table_put(&table, PLAIN, text(instance, "node"));
        table_put(&table, PLAIN, text(instance, "id"));
        table_put(&table, PLAIN, text(instance, "address"));
        table_printf(&table, PLAIN, "%lld", number(instance, "port"));
        table_put(&table, tone_of(text(instance, "status")), text(instance, "status"));
        table_printf(&table, PLAIN, "%lld", number(instance, "weight"));
        put_tags(&table, json_object_get(instance, "tags"));
        table_put(&table, PLAIN, text(instance, "dns"));
    }
    end(&table, 0, out);
}

void show_services(const json_t *result, bool colour, struct buf *out)
{
    if (json_is_array(result))
        show_all_services(result, colour, out);
    else
        show_service(result, colour, out);
}

/* ---- zones, actions ---- */

/* Whom NOTIFY goes to, and what they know. */
static void put_secondaries(struct table *table, const json_t *zone)
{
    const json_t *list = json_object_get(zone, "secondaries"), *secondary;
    size_t i;
    json_array_foreach(list, i, secondary)
    {
        bool current = strcmp(text(secondary, "state"), "acknowledged") == 0;
        table_put(table, PLAIN, text(zone, "zone"));
        table_put(table, PLAIN, text(secondary, "address"));
        table_put(table, current ? GOOD : PLAIN, text(secondary, "state"));
        if (json_is_integer(json_object_get(secondary, "acknowledged")))
            table_printf(table, PLAIN, "%lld", number(secondary, "acknowledged"));
        else
            table_put(table, DIM, "nothing yet");
        table_put(table, BAD, text(secondary, "error"));
    }
}

static void show_secondaries(const json_t *zones, bool colour, struct buf *out)
{
    static const char *const names[] = {"zone", "secondary", "state", "acknowledged", "error"};
    struct table table;
    const json_t *zone;
    size_t i, some = 0;
    json_array_foreach(zones, i, zone) some += json_array_size(json_object_get(zone, "secondaries"));
    if (!some)
        return;
    buf_puts(out, "\n");
    begin(&table, names, COLUMNS(names), colour);
    json_array_foreach(zones, i, zone) put_secondaries(&table, zone);
    end(&table, 0, out);
}

void show_zones(const json_t *result, bool colour, struct buf *out)
{
    static const char *const names[] = {"zone", "serial", "records", "source", "loaded", "file"};
    struct table table;
    const json_t *zone;
    size_t i;
    begin(&table, names, COLUMNS(names), colour);
    json_array_foreach(result, i, zone)
    {
        table_put(&table, PLAIN, text(zone, "zone"));
        table_printf(&table, PLAIN, "%lld", number(zone, "serial"));
        table_printf(&table, PLAIN, "%lld", number(zone, "records"));
        table_put(&table,
                  strcmp(text(zone, "source"), "saved") && strcmp(text(zone, "source"), "none") ? PLAIN
                                                                                                : WARN,
                  text(zone, "source"));
        table_put(&table, PLAIN, text(zone, "loaded"));
        table_put(&table, PLAIN, text(zone, "file"));
    }
    end(&table, 0, out);
    begin(&table, NULL, 1, colour);
    json_array_foreach(result, i, zone)
    {
        if (text(zone, "error")[0])
            table_put(&table, BAD, text(zone, "error"));
    }
    end(&table, 0, out);
    show_secondaries(result, colour, out);
}

void show_actions(const json_t *result, bool colour, struct buf *out)
{
    static const char *const names[] = {"action", "when", "ok", "not ok", "last run", "took", "result"};
    struct table table;
    const json_t *action, *count;
    const char *name;
    size_t i;
    begin(&table, names, COLUMNS(names), colour);
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
        table_put(&table, PLAIN, text(action, "name"));
        table_put(&table, PLAIN, text(action, "when"));
        table_printf(&table, PLAIN, "%lld", number(json_object_get(action, "results"), "ok"));
        table_printf(&table, not_ok ? BAD : PLAIN, "%lld", not_ok);
        table_put(&table, PLAIN, json_is_object(last) ? text(last, "at") : "-");
        table_put(&table, PLAIN, json_is_object(last) ? milliseconds(number(last, "took_ms"), took) : "-");
        table_put(&table, tone, state);
    }
    end(&table, 0, out);
}

void show_done(const json_t *result, bool colour, struct buf *out)
{
    (void)result;
    (void)colour;
    buf_puts(out, "done\n");
}
