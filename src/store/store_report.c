/* What people and the election are told of the store. */
#include "store/store_body.h"

#include "lictor/json.h"
#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A commit makes every standby lag for some milliseconds: that is no reason not to stand, since the successor
 * follows the head before it commits. */
#define LAG_ALLOWED NS_PER_S

void store_show(struct zone_entry *entry)
{
    struct store *store = entry->store;
    const struct store_head *head = core_head(entry->core);
    const struct zone *zone = core_zone(entry->core);
    const char *fault = entry->mirror ? mirror_fault(entry->mirror) : NULL;
    struct shown shown = {.kv = entry->mirror != NULL,
                          .content = zone != NULL,
                          .state = core_state(entry->core),
                          .at = *core_position(entry->core),
                          .records = zone ? zone_records(zone) : 0,
                          .has_head = head != NULL};
    shown.broken_since = core_broken_since(entry->core);
    shown.ready = core_ready(entry->core, clock_boot(), &shown.unready_since);
    if (head)
        shown.head = *head;
    snprintf(shown.error, sizeof shown.error, "%s", core_error(entry->core));
    snprintf(shown.mirror, sizeof shown.mirror, "%s", fault ? fault : "");
    struct store_counters *counters = core_counters(entry->core);
    pthread_mutex_lock(&store->lock);
    store->sequence += shown.at.seq - entry->shown.at.seq;
    if (shown.at.epoch > store->top_epoch)
        store->top_epoch = shown.at.epoch;
    entry->shown = shown;
    store->counters.commits += counters->commits;
    store->counters.changes += counters->changes;
    store->counters.conflicts += counters->conflicts;
    store->counters.unknown += counters->unknown;
    store->counters.rewinds += counters->rewinds;
    store->counters.recovered += counters->recovered;
    store->counters.entries_read += counters->entries_read;
    store->counters.bases_read += counters->bases_read;
    pthread_mutex_unlock(&store->lock);
    *counters = (struct store_counters){0};
}

void store_note(struct store *store, int level, const char *zone, const char *text)
{
    log_write(level, "zone %s: %s", zone, text);
    if (level > LOG_LEVEL_WARN)
        return;
    pthread_mutex_lock(&store->lock);
    struct decision *decision = &store->decisions[store->decision_count++ % STORE_DECISIONS];
    decision->at = clock_real();
    snprintf(decision->what, sizeof decision->what, "zone %s: %s", zone, text);
    pthread_mutex_unlock(&store->lock);
}

bool store_ready(struct store *store, char reason[256])
{
    nstime now = clock_boot();
    bool ready = true;
    pthread_mutex_lock(&store->lock);
    for (const struct zone_entry *entry = store->first; entry && ready; entry = entry->next) {
        const struct shown *shown = &entry->shown;
        if (entry->forgotten || shown->ready)
            continue;
        if (shown->state == CORE_UNKNOWN) {
            snprintf(reason, 256, "zone %.200s: its head was not read yet", core_name(entry->core));
            ready = false;
        } else if (now - shown->unready_since > LAG_ALLOWED) {
            snprintf(reason, 256, "zone %.160s: this mirror is at %" PRIx64 ", the head at %" PRIx64,
                     core_name(entry->core), shown->at.seq, shown->head.at.seq);
            ready = false;
        }
    }
    pthread_mutex_unlock(&store->lock);
    return ready;
}

void store_progress(struct store *store, uint64_t *epoch, uint64_t *sequence)
{
    pthread_mutex_lock(&store->lock);
    *sequence = store->sequence < INT64_MAX ? store->sequence : INT64_MAX - 1;
    *epoch = store->top_epoch < INT64_MAX ? store->top_epoch : INT64_MAX - 1;
    pthread_mutex_unlock(&store->lock);
}

void store_broken(struct store *store, char *out, size_t size)
{
    nstime now = clock_boot();
    size_t len = 0;
    out[0] = '\0';
    pthread_mutex_lock(&store->lock);
    for (const struct zone_entry *entry = store->first; entry; entry = entry->next) {
        const char *name = core_name(entry->core);
        bool broken = entry->shown.broken_since && now >= entry->shown.broken_since + CORE_BROKEN_AFTER;
        if (broken && !entry->forgotten && len + strlen(name) + 2 <= size)
            len += (size_t)snprintf(out + len, size - len, "%s ", name);
    }
    pthread_mutex_unlock(&store->lock);
}

void store_counters(struct store *store, struct store_counters *out)
{
    pthread_mutex_lock(&store->lock);
    *out = store->counters;
    for (const struct zone_entry *entry = store->first; entry; entry = entry->next)
        out->mirror_failures += entry->shown.mirror[0] != '\0';
    pthread_mutex_unlock(&store->lock);
}

static json_t *frozen_json(const struct frozen *frozen)
{
    char at[TIME_TEXT];
    json_t *json = json_object();
    json_object_set_new(json, "who", json_clean(frozen->who));
    json_object_set_new(json, "at", json_string(time_format(frozen->at * NS_PER_S, at)));
    json_object_set_new(json, "why", json_clean(frozen->why));
    return json;
}

json_t *store_status(struct store *store, const uint8_t *apex)
{
    uint8_t lower[NAME_MAX_WIRE];
    size_t len = (size_t)name_lower(apex, lower);
    pthread_mutex_lock(&store->lock);
    const struct zone_entry *entry = strmap_get(store->by_apex, lower, len);
    struct shown shown = {0};
    struct frozen frozen = {0};
    if (entry) {
        shown = entry->shown;
        frozen = entry->frozen;
    }
    pthread_mutex_unlock(&store->lock);
    if (!entry)
        return NULL;
    json_t *json = json_object();
    json_object_set_new(json, "store", json_string(shown.kv ? "kv" : "file"));
    json_object_set_new(json, "state", json_string(core_state_text(shown.state)));
    json_object_set_new(json, "serial", json_integer(shown.at.serial));
    json_object_set_new(json, "seq", json_integer((json_int_t)shown.at.seq));
    json_object_set_new(json, "epoch", json_integer((json_int_t)shown.at.epoch));
    json_object_set_new(json, "records", json_integer((json_int_t)shown.records));
    json_object_set_new(json, "head",
                        shown.has_head ? json_pack("{s:I, s:I}", "seq", (json_int_t)shown.head.at.seq,
                                                   "serial", (json_int_t)shown.head.at.serial)
                                       : json_null());
    json_object_set_new(json, "imported",
                        shown.has_head && shown.head.file ? json_integer(shown.head.file_serial)
                                                          : json_null());
    if (shown.kv)
        json_object_set_new(json, "mirror",
                            shown.mirror[0] ? json_clean(shown.mirror) : json_string("saved"));
    json_object_set_new(json, "frozen", frozen.is ? frozen_json(&frozen) : json_null());
    json_object_set_new(json, "error", shown.error[0] ? json_clean(shown.error) : json_null());
    return json;
}

json_t *store_why(struct store *store)
{
    json_t *list = json_array();
    pthread_mutex_lock(&store->lock);
    size_t count = store->decision_count, first = count > STORE_DECISIONS ? count - STORE_DECISIONS : 0;
    for (size_t i = first; i < count; i++) {
        const struct decision *decision = &store->decisions[i % STORE_DECISIONS];
        char at[TIME_TEXT];
        json_t *one = json_object();
        json_object_set_new(one, "at", json_string(time_format(decision->at, at)));
        json_object_set_new(one, "what", json_clean(decision->what));
        json_array_append_new(list, one);
    }
    pthread_mutex_unlock(&store->lock);
    return list;
}

void store_print(struct store *store, struct buf *out)
{
    struct store_counters c;
    store_counters(store, &c);
    const struct {
        const char *name, *help, *type;
        uint64_t value;
    } rows[] = {
        {"commits_total", "Commits of zones that Consul took.", "counter", c.commits},
        {"changes_total", "Changes that were asked for and are in those commits.", "counter", c.changes},
        {"conflicts_total", "Commits that Consul refused since its state was another one.", "counter",
         c.conflicts},
        {"unknown_total", "Commits whose fate could not be found out.", "counter", c.unknown},
        {"rewinds_total", "Times that a zone in Consul's KV was found to have gone back.", "counter",
         c.rewinds},
        {"recovered_total", "Lost commits that were put back.", "counter", c.recovered},
        {"entries_read_total", "Commits that were read from Consul's KV.", "counter", c.entries_read},
        {"bases_read_total", "Zones that were read whole from Consul's KV.", "counter", c.bases_read},
        {"mirrors_unsaved", "Zones whose mirror on disk could not be written.", "gauge", c.mirror_failures},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        buf_printf(out, "# HELP lictor_store_%s %s\n# TYPE lictor_store_%s %s\nlictor_store_%s %" PRIu64 "\n",
                   rows[i].name, rows[i].help, rows[i].name, rows[i].type, rows[i].name, rows[i].value);
}
