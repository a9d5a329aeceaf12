#include "show_zone.h"

#include "field.h"
#include "table.h"

#include <string.h>

/* --- records that went and came ---------------------------------------------------------------------------
 */

static void put_records(const json_t *list, char sign, enum tone tone, bool colour, struct buf *out)
{
    struct table table;
    const json_t *line;
    size_t i;
    table_begin(&table, NULL, 1, colour);
    json_array_foreach(list, i, line)
    {
        struct buf text = {0};
        buf_printf(&text, "%c %s", sign, json_string_value(line) ? json_string_value(line) : "");
        table_put(&table, tone, buf_str(&text));
        buf_free(&text);
    }
    table_end(&table, 0, out);
}

static void put_difference(const json_t *difference, bool colour, struct buf *out)
{
    const json_t *records = json_object_get(difference, "records");
    put_records(json_object_get(records, "removed"), '-', BAD, colour, out);
    put_records(json_object_get(records, "added"), '+', GOOD, colour, out);
    if (field_number(difference, "left_out"))
        buf_printf(out, "... and %lld more\n", field_number(difference, "left_out"));
}

/* --- show ---------------------------------------------------------------------------------------------- */

static void put_pair(struct table *table, const char *head, enum tone tone, const char *value)
{
    if (!value[0])
        return;
    table_put(table, DIM, head);
    table_put(table, tone, value);
}

static void put_list(struct table *table, const char *head, const json_t *list)
{
    const json_t *entry;
    size_t i;
    json_array_foreach(list, i, entry)
    {
        table_put(table, DIM, i == 0 ? head : "");
        table_put(table, PLAIN, json_string_value(entry));
    }
}

static void put_secondaries(struct table *table, const json_t *list)
{
    const json_t *secondary;
    size_t i;
    json_array_foreach(list, i, secondary)
    {
        table_put(table, DIM, i == 0 ? "secondaries" : "");
        table_printf(table, PLAIN, "%s %s, serial %lld", field_text(secondary, "address"),
                     field_text(secondary, "state"), field_number(secondary, "acknowledged"));
    }
}

static void put_store(struct table *table, const json_t *zone)
{
    const json_t *head = json_object_get(zone, "head");
    const char *state = field_text(zone, "state");
    put_pair(table, "store", PLAIN, field_text(zone, "store"));
    put_pair(table, "state", strcmp(state, "current") ? WARN : GOOD, state);
    if (json_is_object(head)) {
        table_put(table, DIM, "head");
        table_printf(table, PLAIN, "serial %lld, seq %lld; here seq %lld, epoch %lld",
                     field_number(head, "serial"), field_number(head, "seq"), field_number(zone, "seq"),
                     field_number(zone, "epoch"));
    }
    if (json_is_integer(json_object_get(zone, "imported"))) {
        table_put(table, DIM, "imported");
        table_printf(table, PLAIN, "file with serial %lld", field_number(zone, "imported"));
    }
    put_pair(table, "mirror", strcmp(field_text(zone, "mirror"), "saved") ? BAD : PLAIN,
             field_text(zone, "mirror"));
}

static void put_frozen(struct table *table, const json_t *frozen)
{
    if (!json_is_object(frozen))
        return;
    table_put(table, DIM, "frozen");
    table_printf(table, WARN, "on %s at %s%s%s", field_text(frozen, "who"), field_text(frozen, "at"),
                 field_text(frozen, "why")[0] ? ": " : "", field_text(frozen, "why"));
}

void show_zone_about(const json_t *result, bool colour, struct buf *out)
{
    struct table table;
    const json_t *answers = json_object_get(result, "answers");
    table_begin(&table, NULL, 2, colour);
    table_put(&table, BOLD, field_text(result, "zone"));
    table_printf(&table, PLAIN, "serial %lld, %lld records", field_number(result, "serial"),
                 field_number(result, "records"));
    put_store(&table, result);
    put_frozen(&table, json_object_get(result, "frozen"));
    put_pair(&table, "file", PLAIN, field_text(result, "file"));
    put_pair(&table, "loaded", PLAIN, field_text(result, "loaded"));
    put_pair(&table, "error", BAD, field_text(result, "error"));
    put_list(&table, "transfer", json_object_get(result, "transfer"));
    put_list(&table, "update", json_object_get(result, "update"));
    put_secondaries(&table, json_object_get(result, "secondaries"));
    table_put(&table, DIM, "answers");
    if (!json_is_object(answers))
        table_put(&table, WARN, "none: no content yet");
    else if (!field_number(answers, "removed") && !field_number(answers, "added"))
        table_put(&table, PLAIN, "as committed");
    else
        table_printf(&table, WARN, "%lld records are answered that are not committed, %lld are not answered:",
                     field_number(answers, "added"), field_number(answers, "removed"));
    table_end(&table, 0, out);
    put_difference(answers, colour, out);
    json_t *one = json_pack("[O]", result);
    show_records(one, colour, out);
    json_decref(one);
}

/* --- export, history, diff ---------------------------------------------------------------------------------
 */

void show_zone_export(const json_t *result, bool colour, struct buf *out)
{
    const json_t *text = json_object_get(result, "text");
    (void)colour;
    buf_append(out, json_string_value(text), json_string_length(text));
}

static void show_commit(const json_t *commit, bool colour, struct buf *out)
{
    buf_printf(out, "seq %lld, serial %lld to %lld, %s, by %s: %lld records removed, %lld added\n",
               field_number(commit, "seq"), field_number(commit, "serial_from"),
               field_number(commit, "serial"), field_text(commit, "time"), field_text(commit, "author"),
               field_number(commit, "removed"), field_number(commit, "added"));
    put_difference(commit, colour, out);
}

static void put_commit(struct table *table, const json_t *commit)
{
    table_printf(table, PLAIN, "%lld", field_number(commit, "seq"));
    table_printf(table, PLAIN, "%lld", field_number(commit, "serial"));
    table_put(table, PLAIN, field_text(commit, "time"));
    table_printf(table, PLAIN, "%lld", field_number(commit, "removed"));
    table_printf(table, PLAIN, "%lld", field_number(commit, "added"));
    table_put(table, PLAIN, field_text(commit, "author"));
}

void show_zone_history(const json_t *result, bool colour, struct buf *out)
{
    static const char *const names[] = {"seq", "serial", "time", "removed", "added", "by"};
    const json_t *list = json_object_get(result, "commits"), *commit;
    bool records = json_object_get(json_array_get(list, 0), "records");
    struct table table;
    size_t i;
    if (json_array_size(list) == 0) {
        buf_puts(out, "no commits are known since the zone was first imported or read anew\n");
        return;
    }
    table_begin(&table, records ? NULL : names, COLUMNS(names), colour);
    json_array_foreach(list, i, commit)
    {
        if (records)
            show_commit(commit, colour, out);
        else
            put_commit(&table, commit);
    }
    table_end(&table, 0, out);
}

/* What only `--replace` would drop: the records that came by UPDATE. */
static void show_import(const json_t *result, bool colour, struct buf *out)
{
    const json_t *merge = json_object_get(result, "merge"), *replace = json_object_get(result, "replace");
    if (json_is_object(merge)) {
        buf_printf(out, "import: serial %lld to %lld, %lld records removed, %lld added\n",
                   field_number(result, "from"), field_number(merge, "to"), field_number(merge, "removed"),
                   field_number(merge, "added"));
        put_difference(merge, colour, out);
    } else {
        buf_printf(out, "import: would be refused: %s\n", field_text(result, "refused"));
    }
    if (json_is_object(merge) &&
        json_equal(json_object_get(merge, "records"), json_object_get(replace, "records")))
        return;
    buf_printf(out, "import --replace: %lld records removed, %lld added\n", field_number(replace, "removed"),
               field_number(replace, "added"));
    put_difference(replace, colour, out);
}

void show_zone_diff(const json_t *result, bool colour, struct buf *out)
{
    if (json_object_get(result, "replace")) {
        show_import(result, colour, out);
        return;
    }
    buf_printf(out, "serial %lld to %lld: %lld records removed, %lld added\n", field_number(result, "from"),
               field_number(result, "to"), field_number(result, "removed"), field_number(result, "added"));
    put_difference(result, colour, out);
}

/* --- import, rollback, freeze, thaw
 * -------------------------------------------------------------------------- */

void show_zone_change(const json_t *result, bool colour, struct buf *out)
{
    const char *outcome = field_text(result, "outcome");
    (void)colour;
    if (!json_is_integer(json_object_get(result, "added")))
        buf_printf(out, "%s\n", outcome);
    else if (json_is_integer(json_object_get(result, "serial_from")))
        buf_printf(out, "%s: serial %lld to %lld, %lld records removed, %lld added\n", outcome,
                   field_number(result, "serial_from"), field_number(result, "serial"),
                   field_number(result, "removed"), field_number(result, "added"));
    else
        buf_printf(out, "%s: serial %lld, %lld records\n", outcome, field_number(result, "serial"),
                   field_number(result, "added"));
}
