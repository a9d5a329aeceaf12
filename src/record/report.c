/* Records for people: made on the builder, read by any thread. */
#include "body.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ADDRESSES_MAX 20 /* of an answer, that are listed */

static json_t *time_json(nstime at)
{
    char text[32];
    time_t seconds = (time_t)(at / NS_PER_S);
    struct tm tm;
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
    return json_string(text);
}

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
    char owner[NAME_MAX_TEXT];
    bool forced = entry->force != RECORD_FORCE_NONE;
    json_t *committed = committed_in(entry, zone->base);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s?, s:s, s:s, s:i, s:i, s:s?, s:s?, s:I, s:o, s:b, s:o, s:o, s:o}", "record",
        entry->config.name, "owner", name_to_text(entry->config.owner, owner), "type",
        entry->config.srv ? "SRV" : "A/AAAA", "state", record_state_name(entry->state), "target",
        entry->candidate >= 0 ? entry->config.candidates[entry->candidate].text : NULL, "answer",
        answers[entry->answer], "when_all_down", policies[entry->config.all_down], "min_healthy",
        (int)entry->config.min_healthy, "ttl", (int)entry->ttl, "forced",
        forced ? (entry->force == RECORD_FORCE_UP ? "up" : "down") : NULL, "forced_by",
        forced && entry->forced_by[0] ? entry->forced_by : NULL, "flips", (json_int_t)entry->flips, "since",
        time_json(entry->since), "in_committed",
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
