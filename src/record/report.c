/* Records for people: made on the builder, read by any thread. */
#include "body.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESSES_MAX 20 /* of an answer, that are listed */

static void list_addresses(void *arg, const uint8_t *owner, const struct piece *piece)
{
    json_t *list = arg;
    (void)owner;
    int family = piece_type(piece) == DNS_A ? AF_INET : AF_INET6;
    if (piece_type(piece) != DNS_A && piece_type(piece) != DNS_AAAA)
        return;
    for (uint32_t i = 0; i < piece_count(piece) && json_array_size(list) < ADDRESSES_MAX; i++) {
        char text[INET6_ADDRSTRLEN];
        if (inet_ntop(family, piece_rdata(piece, i).data, text, sizeof(text)))
            json_array_append_new(list, json_string(text));
    }
}

static json_t *addresses_of(const struct record_set *set)
{
    json_t *list = json_array();
    for (size_t i = 0; i < set->count; i++)
        list_addresses(list, NULL, set->items[i].piece);
    return list;
}

static json_t *committed_in(const struct entry *entry, const struct zone *base)
{
    json_t *list = json_array();
    if (base)
        render_each(&entry->config, base, list_addresses, list);
    return list;
}

static json_t *candidates_of(const struct entry *entry)
{
    json_t *list = json_array();
    for (size_t i = 0; i < entry->config.candidate_count; i++) {
        struct record_count count = record_machine_count(entry->machine, i);
        json_array_append_new(list, json_pack("{s:s, s:b, s:i, s:i}", "name",
                                              entry->config.candidates[i].text, "live", (int)count.live,
                                              "healthy", (int)count.healthy, "total", (int)count.total));
    }
    return list;
}

static json_t *record_json(const struct zone_entry *zone, const struct entry *entry)
{
    static const char *const answers[] = {"committed", "targets", "nodata", "servfail"};
    static const char *const policies[] = {"all", "last", "none", "servfail", "address"};
    char owner[NAME_MAX_TEXT], since[TIME_TEXT];
    bool forced = entry->force != RECORD_FORCE_NONE;
    json_t *committed = committed_in(entry, zone->base);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s?, s:s, s:s, s:i, s:i, s:s?, s:s?, s:I, s:s, s:b, s:o, s:o, s:o}", "record",
        entry->config.name, "owner", name_to_text(entry->config.owner, owner), "type",
        entry->config.srv ? "SRV" : "A/AAAA", "state", record_state_name(entry->state), "target",
        entry->candidate >= 0 ? entry->config.candidates[entry->candidate].text : NULL, "answer",
        answers[entry->answer], "when_all_down", policies[entry->config.all_down], "min_healthy",
        (int)entry->config.min_healthy, "ttl", (int)entry->ttl, "forced",
        forced ? (entry->force == RECORD_FORCE_UP ? "up" : "down") : NULL, "forced_by",
        forced && entry->forced_by[0] ? entry->forced_by : NULL, "flips", (json_int_t)entry->flips, "since",
        time_format(entry->since, since), "in_committed",
        (int)(!entry->committing ||
              (zone->base && render_is_in(&entry->config, &entry->committed, zone->base))),
        "candidates", candidates_of(entry), "answers",
        entry->answer == RECORD_COMMITTED && !entry->answering ? json_incref(committed)
                                                               : addresses_of(&entry->answers),
        "committed", committed);
}

void report_zone(struct records *records, struct zone_entry *zone)
{
    char *text = NULL;
    if (zone->count) {
        json_t *list = json_array();
        for (size_t i = 0; i < zone->count; i++)
            json_array_append_new(list, record_json(zone, &zone->records[i]));
        text = json_dumps(list, JSON_COMPACT);
        json_decref(list);
    }
    pthread_mutex_lock(&records->lock);
    char *old = zone->status;
    zone->status = text;
    pthread_mutex_unlock(&records->lock);
    free(old);
}

static const struct zone_entry *find(const struct records *records, const char *name)
{
    for (const struct zone_entry *zone = records->first; zone; zone = zone->next)
        if (!strcmp(zone->text, name))
            return zone;
    return NULL;
}

json_t *records_status(struct records *records, const char *name)
{
    pthread_mutex_lock(&records->lock);
    const struct zone_entry *zone = find(records, name);
    json_t *list = zone && zone->status ? json_loads(zone->status, 0, NULL) : NULL;
    pthread_mutex_unlock(&records->lock);
    return list;
}

uint32_t records_serial(struct records *records, const char *name)
{
    pthread_mutex_lock(&records->lock);
    const struct zone_entry *zone = find(records, name);
    uint32_t serial = zone && zone->configured && !zone->stored ? zone->serial : 0;
    pthread_mutex_unlock(&records->lock);
    return serial;
}

static const char *text_of(const json_t *record, const char *member)
{
    const char *text = json_string_value(json_object_get(record, member));
    return text ? text : "";
}

void records_lines(struct records *records, const char *name, struct buf *out)
{
    json_t *list = records_status(records, name), *record;
    size_t i;
    json_array_foreach(list, i, record)
    {
        const char *target = text_of(record, "target"), *forced = text_of(record, "forced");
        buf_printf(out, "\nrecord=%s type=%s state=%s answer=%s", text_of(record, "record"),
                   text_of(record, "type"), text_of(record, "state"), text_of(record, "answer"));
        if (target[0])
            buf_printf(out, " target=%s", target);
        if (!strcmp(text_of(record, "state"), record_state_name(RECORD_ALL_DOWN)))
            buf_printf(out, " when-all-down=%s", text_of(record, "when_all_down"));
        if (forced[0])
            buf_printf(out, " forced=%s by=%s", forced, text_of(record, "forced_by"));
        if (!json_is_true(json_object_get(record, "in_committed")))
            buf_puts(out, " committed=no");
    }
    json_decref(list);
}

/* --- metrics -------------------------------------------------------------------------------------- */

static void label(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            buf_puts(out, "\\");
        buf_append(out, text, 1);
    }
}

static void sample(struct buf *out, const char *metric, const char *zone, const json_t *record,
                   const char *state, json_int_t value)
{
    buf_printf(out, "lictor_record_%s{zone=\"", metric);
    label(out, zone);
    buf_puts(out, "\",record=\"");
    label(out, text_of(record, "record"));
    buf_printf(out, "\",type=\"%s\"", text_of(record, "type"));
    if (state)
        buf_printf(out, ",state=\"%s\"", state);
    buf_printf(out, "} %" JSON_INTEGER_FORMAT "\n", value);
}

static void print_family(struct records *records, const char *metric, const char *type, const char *help,
                         struct buf *out)
{
    size_t i;
    json_t *record;
    buf_printf(out, "# HELP lictor_record_%s %s\n# TYPE lictor_record_%s %s\n", metric, help, metric, type);
    pthread_mutex_lock(&records->lock);
    for (const struct zone_entry *zone = records->first; zone; zone = zone->next) {
        json_t *list = zone->status ? json_loads(zone->status, 0, NULL) : NULL;
        json_array_foreach(list, i, record)
        {
            if (!strcmp(metric, "flips_total"))
                sample(out, metric, zone->text, record, NULL,
                       json_integer_value(json_object_get(record, "flips")));
            else if (!strcmp(metric, "forced"))
                sample(out, metric, zone->text, record, NULL,
                       json_is_string(json_object_get(record, "forced")));
            else
                for (int s = RECORD_UNKNOWN; s <= RECORD_ALL_DOWN; s++)
                    sample(out, metric, zone->text, record, record_state_name(s),
                           !strcmp(text_of(record, "state"), record_state_name(s)));
        }
        json_decref(list);
    }
    pthread_mutex_unlock(&records->lock);
}

void records_print(struct records *records, struct buf *out)
{
    print_family(records, "state", "gauge", "1 for the state that a health-driven record is in.", out);
    print_family(records, "flips_total", "counter", "Changes of what a health-driven record answers with.",
                 out);
    print_family(records, "forced", "gauge", "1 while an operator forces a health-driven record.", out);
}
