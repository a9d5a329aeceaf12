/* `lictor zones`: all of them, their secondaries, and the records that follow health. */
#include "show_zone.h"

#include "field.h"
#include "table.h"

#include <string.h>

/* Whom NOTIFY goes to, and what they know. */
static void put_secondaries(struct table *table, const json_t *zone)
{
    const json_t *list = json_object_get(zone, "secondaries"), *secondary;
    size_t i;
    json_array_foreach(list, i, secondary)
    {
        bool current = strcmp(field_text(secondary, "state"), "acknowledged") == 0;
        table_put(table, PLAIN, field_text(zone, "zone"));
        table_put(table, PLAIN, field_text(secondary, "address"));
        table_put(table, current ? GOOD : PLAIN, field_text(secondary, "state"));
        if (json_is_integer(json_object_get(secondary, "acknowledged")))
            table_printf(table, PLAIN, "%lld", field_number(secondary, "acknowledged"));
        else
            table_put(table, DIM, "nothing yet");
        table_put(table, BAD, field_text(secondary, "error"));
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
    table_begin(&table, names, COLUMNS(names), colour);
    json_array_foreach(zones, i, zone) put_secondaries(&table, zone);
    table_end(&table, 0, out);
}

static void put_record(struct table *table, const json_t *zone, const json_t *record)
{
    const char *state = field_text(record, "state"), *forced = field_text(record, "forced");
    bool down = strcmp(state, "all-down") == 0, healthy = strcmp(state, "healthy") == 0;
    const json_t *candidate, *candidates = json_object_get(record, "candidates");
    size_t i;
    table_put(table, PLAIN, field_text(zone, "zone"));
    table_put(table, PLAIN, field_text(record, "record"));
    if (forced[0])
        table_printf(table, WARN, "%s, forced %s by %s", state, forced, field_text(record, "forced_by"));
    else
        table_put(table, healthy ? GOOD : down ? BAD : WARN, state);
    if (field_text(record, "target")[0] && !down)
        table_put(table, PLAIN, field_text(record, "target"));
    else
        table_printf(table, PLAIN, "%s%s", down ? "when-all-down = " : "as committed",
                     down ? field_text(record, "when_all_down") : "");
    table_printf(table, PLAIN, "%zu%s", json_array_size(json_object_get(record, "answers")),
                 field_flag(record, "in_committed") ? "" : " (not committed)");
    struct buf health = {0};
    json_array_foreach(candidates, i, candidate)
    {
        buf_printf(&health, "%s%s ", i ? ", " : "", field_text(candidate, "name"));
        if (field_flag(candidate, "live"))
            buf_printf(&health, "%lld of %lld", field_number(candidate, "healthy"),
                       field_number(candidate, "total"));
        else
            buf_puts(&health, "not live");
    }
    table_put(table, PLAIN, buf_str(&health));
    buf_free(&health);
}

void show_records(const json_t *zones, bool colour, struct buf *out)
{
    static const char *const names[] = {"zone", "record", "state", "answers with", "addresses", "healthy"};
    struct table table;
    const json_t *zone, *record;
    size_t i, k, some = 0;
    json_array_foreach(zones, i, zone) some += json_array_size(json_object_get(zone, "health"));
    if (!some)
        return;
    buf_puts(out, "\n");
    table_begin(&table, names, COLUMNS(names), colour);
    json_array_foreach(zones, i, zone)
    {
        json_array_foreach(json_object_get(zone, "health"), k, record) put_record(&table, zone, record);
    }
    table_end(&table, 0, out);
}

void show_zones(const json_t *result, bool colour, struct buf *out)
{
    static const char *const names[] = {"zone", "serial", "records", "source", "loaded", "file"};
    struct table table;
    const json_t *zone;
    size_t i;
    table_begin(&table, names, COLUMNS(names), colour);
    json_array_foreach(result, i, zone)
    {
        table_put(&table, PLAIN, field_text(zone, "zone"));
        table_printf(&table, PLAIN, "%lld", field_number(zone, "serial"));
        table_printf(&table, PLAIN, "%lld", field_number(zone, "records"));
        table_put(&table,
                  strcmp(field_text(zone, "source"), "saved") && strcmp(field_text(zone, "source"), "none")
                      ? PLAIN
                      : WARN,
                  field_text(zone, "source"));
        table_put(&table, PLAIN, field_text(zone, "loaded"));
        table_put(&table, PLAIN, field_text(zone, "file"));
    }
    table_end(&table, 0, out);
    table_begin(&table, NULL, 1, colour);
    json_array_foreach(result, i, zone)
    {
        const json_t *frozen = json_object_get(zone, "frozen");
        if (json_is_object(frozen))
            table_printf(&table, WARN, "%s is frozen since %s, on %s%s%s", field_text(zone, "zone"),
                         field_text(frozen, "at"), field_text(frozen, "who"),
                         field_text(frozen, "why")[0] ? ": " : "", field_text(frozen, "why"));
        if (field_text(zone, "error")[0])
            table_put(&table, BAD, field_text(zone, "error"));
    }
    table_end(&table, 0, out);
    show_secondaries(result, colour, out);
    show_records(result, colour, out);
}
