/* The findings of `lictor doctor`. */
#include "show.h"

#include "field.h"
#include "table.h"

#include <string.h>

static enum tone tone_of(const char *level)
{
    static const struct {
        const char *level;
        enum tone tone;
    } tones[] = {{"ok", GOOD}, {"note", PLAIN}, {"warn", WARN}, {"fault", BAD}};
    for (size_t i = 0; i < sizeof(tones) / sizeof(*tones); i++)
        if (strcmp(level, tones[i].level) == 0)
            return tones[i].tone;
    return BAD;
}

static void put_advice(struct table *table, const char *head, const char *advice)
{
    if (!advice[0])
        return;
    table_put(table, PLAIN, "");
    table_put(table, PLAIN, "");
    table_printf(table, DIM, "%s: %s", head, advice);
}

void show_doctor(const json_t *result, bool colour, struct buf *out)
{
    struct table table;
    const json_t *finding;
    size_t i;
    table_begin(&table, NULL, 3, colour);
    json_array_foreach(json_object_get(result, "findings"), i, finding)
    {
        const char *level = field_text(finding, "level");
        table_put(&table, tone_of(level), level);
        table_put(&table, PLAIN, field_text(finding, "check"));
        table_put(&table, tone_of(level) == GOOD ? PLAIN : BOLD, field_text(finding, "what"));
        put_advice(&table, "why", field_text(finding, "why"));
        put_advice(&table, "do", field_text(finding, "do"));
    }
    table_end(&table, 0, out);
    buf_printf(out, "\n%lld faults, %lld warnings, %lld notes\n",
               (long long)json_integer_value(json_object_get(result, "faults")),
               (long long)json_integer_value(json_object_get(result, "warnings")),
               (long long)json_integer_value(json_object_get(result, "notes")));
}
