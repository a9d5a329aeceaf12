#include "zones.h"

#include "lictor/history.h"
#include "lictor/log.h"
#include "lictor/statefile.h"
#include "lictor/strmap.h"
#include "lictor/utf8.h"
#include "lictor/xalloc.h"
#include "lictor/zonefile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KIND    "zone"
#define VERSION 1

enum source { SOURCE_NONE, SOURCE_FILE, SOURCE_SAVED };

/* One configured zone, as main knows it. */
struct hosted {
    struct hosted *next;
    struct zone_state state; /* published with the zone: lives as long as the process */
    uint8_t apex[NAME_MAX_WIRE];
    char *text;  /* the apex, without the trailing dot; the root is "." */
    char *file;  /* its zone file */
    char *saved; /* its state file */
    bool configured;
    bool wanted;           /* by the configuration that is being read */
    bool kv;               /* its content is the store's, `file` is what the primary imports */
    struct saving *saving; /* the builder's, as the next; NULL: none is due */
    struct zone_hash saved_hash;
    bool saved_known; /* saved_hash is of what `saved` holds */
    enum source source;
    uint32_t serial;
    size_t records;
    nstime loaded; /* CLOCK_REALTIME */
    char *error;   /* of the last load; NULL: none */
};

struct hosted_zones {
    struct builder *builder;
    struct publisher *publisher;
    struct records *records;
    struct store *store; /* NULL: no election */
    char *folder;
    struct hosted *first, **end;
    struct strmap *by_apex;        /* of the same */
    struct saving *due, **due_end; /* the builder's; one job at a time is there for all */
};

/* One zone of a load. */
struct entry {
    struct hosted *zone;
    const struct config_zone *config;
    char *file;
    struct zone *loaded;
    bool kv;
    enum source source;
    uint32_t serial;
    size_t records;
    struct err err; /* empty: none */
};

struct hosted_load {
    struct hosted_zones *zones;
    const struct config *config;
    bool use_saved;
    hosted_zones_read_fn *read;
    void (*done)(void *arg);
    void *arg;
    struct entry *entries;
    size_t count;
    struct hosted **removed; /* not configured any more */
    size_t removed_count;
};

struct hosted_zones *hosted_zones_new(struct builder *builder, struct publisher *publisher,
                                      struct records *records, const char *state_dir)
{
    struct hosted_zones *zones = xcalloc(1, sizeof *zones);
    *zones = (struct hosted_zones){.builder = builder,
                                   .publisher = publisher,
                                   .records = records,
                                   .folder = xasprintf("%s/zones", state_dir),
                                   .end = &zones->first,
                                   .by_apex = strmap_new(),
                                   .due_end = &zones->due};
    return zones;
}

void hosted_zones_use_store(struct hosted_zones *zones, struct store *store)
{
    zones->store = store;
}

void hosted_zones_free(struct hosted_zones *zones)
{
    if (!zones)
        return;
    for (struct hosted *z = zones->first, *next; z; z = next) {
        next = z->next;
        free(z->text);
        free(z->file);
        free(z->saved);
        free(z->error);
        free(z);
    }
    strmap_free(zones->by_apex, NULL);
    free(zones->folder);
    free(zones);
}

/* --- on the builder --------------------------------------------------------------------------- */

/* A version to be saved for the next start. Behind the publishing, and one to a job: the disk takes
 * milliseconds for each, and a change of health waits for one of them, not for thousands. */
struct saving {
    struct saving *next;
    struct hosted *zone; /* outlives the builder */
    struct zone *version;
};

static void save(const struct hosted_zones *zones, struct hosted *zone, const struct zone *version)
{
    struct buf text = {0};
    struct err err;
    zonefile_print(version, &text);
    zone->saved_known = !((mkdir(zones->folder, 0750) && errno != EEXIST &&
                           err_set(&err, "%s: %s", zones->folder, strerror(errno))) ||
                          statefile_write(zone->saved, KIND, VERSION, text.data, text.len, &err));
    if (!zone->saved_known)
        log_error("zone %s: not saved for the next start: %s", zone->text, err.text);
    buf_free(&text);
}

static void run_save(void *arg)
{
    struct hosted_zones *zones = arg;
    struct saving *saving = zones->due;
    if (!(zones->due = saving->next))
        zones->due_end = &zones->due;
    saving->zone->saving = NULL;
    save(zones, saving->zone, saving->version);
    zone_unref(saving->version);
    zone_reap();
    free(saving);
    if (zones->due)
        builder_post(zones->builder, run_save, NULL, zones);
}

static void save_later(struct hosted_zones *zones, const struct entry *entry)
{
    struct hosted *zone = entry->zone;
    struct zone_hash hash = zone_hash(entry->loaded);
    if (zone->saved_known && zone_hash_equal(zone->saved_hash, hash))
        return; /* of thousands of zones a reload changes a few */
    zone->saved_hash = hash;
    zone->saved_known = true; /* or will be, unless it fails */
    if (zone->saving) {
        zone_unref(zone->saving->version);
        zone->saving->version = zone_ref(entry->loaded);
        return;
    }
    struct saving *saving = xmalloc(sizeof *saving);
    *saving = (struct saving){.zone = zone, .version = zone_ref(entry->loaded)};
    zone->saving = saving;
    if (!zones->due)
        builder_post(zones->builder, run_save, NULL, zones);
    *zones->due_end = saving;
    zones->due_end = &saving->next;
}

static void load_saved(struct entry *entry)
{
    struct buf text = {0};
    struct err err;
    int result = statefile_read(entry->zone->saved, KIND, VERSION, &text, &err);
    if (result == 0) {
        entry->loaded = zonefile_parse(entry->zone->saved, (const char *)text.data, text.len,
                                       entry->zone->apex, ZONE_AUTHORITATIVE, &entry->zone->state, &err);
        if (!entry->loaded)
            result = -1;
    }
    if (result == 0)
        entry->source = SOURCE_SAVED;
    else if (result < 0)
        log_error("zone %s: saved content is no help either: %s", entry->zone->text, err.text);
    buf_free(&text);
}

static void run_read(void *arg)
{
    struct hosted_load *load = arg;
    for (size_t i = 0; i < load->count; i++) {
        struct entry *entry = &load->entries[i];
        entry->loaded = zonefile_load(entry->file, entry->zone->apex, ZONE_AUTHORITATIVE, &entry->zone->state,
                                      &entry->err);
        if (entry->loaded && records_check(entry->config, entry->loaded, &entry->err)) {
            zone_unref(entry->loaded);
            entry->loaded = NULL;
        }
        if (entry->loaded) {
            entry->source = SOURCE_FILE;
            entry->err.text[0] = 0;
        } else if (load->use_saved && !entry->kv) {
            load_saved(entry);
        }
    }
}

/* A zone without content still stands in the snapshot, so that its names get SERVFAIL, not REFUSED. */
static void publish_held(struct records *records, struct hosted *zone)
{
    struct zone_edit *edit = zone_edit_new(zone->apex, ZONE_AUTHORITATIVE, &zone->state, NULL, NULL);
    atomic_store(&zone->state.held, true);
    records_put(records, zone_edit_commit(edit));
}

/* What is read of a zone in the store is offered to it; what is published of it comes from there. */
static void offer(struct store *store, struct entry *entry)
{
    store_zone(store, entry->zone->apex, &entry->zone->state, true);
    if (!entry->loaded)
        return;
    entry->serial = zone_serial(entry->loaded);
    entry->records = zone_records(entry->loaded);
    store_file(store, entry->loaded);
    entry->loaded = NULL;
}

static void publish_entry(struct hosted_load *load, struct entry *entry)
{
    struct store *store = load->zones->store;
    if (entry->kv) {
        if (entry->loaded)
            records_see_file(load->zones->records, entry->loaded);
        offer(store, entry);
        return;
    }
    if (store)
        store_zone(store, entry->zone->apex, &entry->zone->state, false);
    if (!entry->loaded) {
        publish_held(load->zones->records, entry->zone);
        return;
    }
    entry->serial = zone_serial(entry->loaded);
    entry->records = zone_records(entry->loaded);
    if (entry->source == SOURCE_FILE)
        save_later(load->zones, entry);
    if (store)
        store_file(store, zone_ref(entry->loaded)); /* held, if others have served a newer one */
    else
        atomic_store(&entry->zone->state.held, false);
    entry->loaded = records_dress(load->zones->records, entry->loaded);
    const struct zone *published = snapshot_get(load->zones->publisher->current, entry->zone->apex);
    const struct zone *before = published ? zone_transfer(published) : NULL;
    if (before && history_continue(before, entry->loaded))
        log_warn(
            "zone %s: its content changed, but its serial did not rise from %u (RFC 1982): secondaries do "
            "not notice; raise it",
            entry->zone->text, zone_serial(before));
    records_put(load->zones->records, entry->loaded);
    entry->loaded = NULL;
}

static void run_apply(void *arg)
{
    struct hosted_load *load = arg;
    records_configure(load->zones->records, load->config);
    for (size_t i = 0; i < load->count; i++)
        publish_entry(load, &load->entries[i]);
    records_look(load->zones->records, clock_boot());
    for (size_t i = 0; i < load->removed_count; i++) {
        if (load->zones->store)
            store_forget(load->zones->store, load->removed[i]->apex);
        records_forget(load->zones->records, load->removed[i]->apex);
        publisher_remove(load->zones->publisher, load->removed[i]->apex);
    }
}

static void run_drop(void *arg)
{
    struct hosted_load *load = arg;
    for (size_t i = 0; i < load->count; i++)
        if (load->entries[i].loaded)
            zone_unref(load->entries[i].loaded);
}

/* --- on main ---------------------------------------------------------------------------------- */

static void take_over(struct entry *entry)
{
    struct hosted *zone = entry->zone;
    bool same = zone->configured && zone->source == entry->source && zone->serial == entry->serial &&
                zone->records == entry->records;
    zone->configured = true;
    zone->kv = entry->kv;
    zone->source = entry->source;
    zone->serial = entry->serial;
    zone->records = entry->records;
    zone->loaded = clock_real();
    free(zone->file);
    zone->file = xstrdup(entry->file);
    if (entry->kv && entry->source == SOURCE_NONE)
        log_warn("zone %s: its file is broken; the zone goes on as it is in Consul's KV", zone->text);
    else if (entry->kv)
        log_write(same ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
                  "zone %s: %s has serial %u; the zone itself is in Consul's KV", zone->text, zone->file,
                  zone->serial);
    else if (entry->source ==
             SOURCE_FILE) /* of thousands of zones, those that a reload changed are of interest */
        log_write(same ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "zone %s: serial %u, %zu records from %s",
                  zone->text, zone->serial, zone->records, zone->file);
    else if (entry->source == SOURCE_SAVED)
        log_warn("zone %s: its file is broken; serving the content saved last, serial %u", zone->text,
                 zone->serial);
    else
        log_error(
            "zone %s: its file is broken and nothing was saved: names in it get SERVFAIL until it is mended",
            zone->text);
}

static void set_error(struct hosted *zone, const char *error)
{
    free(zone->error);
    zone->error = error[0] ? xstrdup(error) : NULL;
}

static void finish_read(void *arg)
{
    struct hosted_load *load = arg;
    struct buf faults = {0};
    for (size_t i = 0; i < load->count; i++) {
        struct entry *entry = &load->entries[i];
        set_error(entry->zone, entry->err.text);
        if (!entry->err.text[0])
            continue;
        log_error("zone %s: %s", entry->zone->text, entry->err.text);
        buf_printf(&faults, "%s%s", faults.len ? "\n" : "", entry->err.text);
    }
    load->read(load->arg, load, faults.len ? buf_str(&faults) : NULL);
    buf_free(&faults);
}

static void free_load(void *arg)
{
    struct hosted_load *load = arg;
    for (size_t i = 0; i < load->count; i++)
        free(load->entries[i].file);
    free(load->entries);
    free(load->removed);
    free(load);
}

static void finish_apply(void *arg)
{
    struct hosted_load *load = arg;
    for (size_t i = 0; i < load->count; i++)
        take_over(&load->entries[i]);
    for (size_t i = 0; i < load->removed_count; i++)
        load->removed[i]->configured = false;
    load->done(load->arg);
    free_load(load);
}

static struct hosted *find_or_add(struct hosted_zones *zones, const uint8_t *apex)
{
    uint8_t lower[NAME_MAX_WIRE];
    size_t len = (size_t)name_lower(apex, lower);
    struct hosted *zone = strmap_get(zones->by_apex, lower, len);
    if (zone)
        return zone;
    char text[NAME_MAX_TEXT];
    zone = xcalloc(1, sizeof *zone);
    memcpy(zone->apex, lower, len);
    name_to_text(apex, text);
    if (text[1])
        text[strlen(text) - 1] = 0;
    zone->text = xstrdup(text);
    zone->saved = statefile_path(zones->folder, text, ".zone");
    atomic_init(&zone->state.stale_from, NS_NEVER);
    atomic_init(&zone->state.dead_from, NS_NEVER);
    strmap_put(zones->by_apex, lower, len, zone);
    *zones->end = zone;
    zones->end = &zone->next;
    return zone;
}

void hosted_zones_read(struct hosted_zones *zones, const struct config *config, bool use_saved,
                       hosted_zones_read_fn *read, void *arg)
{
    struct hosted_load *load = xcalloc(1, sizeof *load);
    *load = (struct hosted_load){
        .zones = zones, .config = config, .use_saved = use_saved, .read = read, .arg = arg};
    load->entries = xcalloc(config->zone_count, sizeof *load->entries);
    load->count = config->zone_count;

    for (struct hosted *z = zones->first; z; z = z->next)
        z->wanted = false;
    for (size_t i = 0; i < config->zone_count; i++) {
        load->entries[i].zone = find_or_add(zones, config->zones[i].apex);
        load->entries[i].zone->wanted = true;
        load->entries[i].config = &config->zones[i];
        load->entries[i].file = xstrdup(config->zones[i].file);
        load->entries[i].kv = zones->store && config->zones[i].store_kv;
    }
    load->removed = xcalloc(strmap_count(zones->by_apex), sizeof *load->removed);
    for (struct hosted *z = zones->first; z; z = z->next)
        if (z->configured && !z->wanted)
            load->removed[load->removed_count++] = z;
    builder_post(zones->builder, run_read, finish_read, load);
}

void hosted_zones_apply(struct hosted_load *load, void (*done)(void *arg), void *arg)
{
    load->done = done;
    load->arg = arg;
    builder_post(load->zones->builder, run_apply, finish_apply, load);
}

void hosted_zones_drop(struct hosted_load *load)
{
    builder_post(load->zones->builder, run_drop, free_load, load);
}

static const char *const source_text[] = {
    [SOURCE_NONE] = "none",
    [SOURCE_FILE] = "file",
    [SOURCE_SAVED] = "saved",
};

/* What the store says, and of a kv zone its serial and records instead of the file's. What is wrong with the
 * file stays said while something is wrong with the store. */
static void add_stored(json_t *zone, json_t *stored, bool kv)
{
    const char *file_error = json_string_value(json_object_get(zone, "error"));
    const char *error = json_string_value(json_object_get(stored, "error"));
    if (!kv || !error)
        json_object_del(stored, "error");
    else if (file_error)
        json_object_set_new(stored, "error", json_sprintf("%s; %s", file_error, error));
    if (!kv) {
        json_object_del(stored, "serial");
        json_object_del(stored, "records");
    }
    json_object_update(zone, stored);
    json_decref(stored);
}

json_t *hosted_zones_status(const struct hosted_zones *zones)
{
    json_t *list = json_array();
    for (const struct hosted *z = zones->first; z; z = z->next) {
        char when[TIME_TEXT];
        if (!z->configured)
            continue;
        time_format(z->loaded, when);
        char *file = utf8_clean(xstrdup(z->file));
        json_t *stored = zones->store ? store_status(zones->store, z->apex) : NULL;
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:s?}", "zone", z->text, "file", file, "serial",
                            (json_int_t)z->serial, "records", (json_int_t)z->records, "source",
                            z->kv ? "kv" : source_text[z->source], "loaded", when, "error", z->error));
        if (stored)
            add_stored(json_array_get(list, json_array_size(list) - 1), stored, z->kv);
        free(file);
    }
    return list;
}

static void tell_stored(const struct hosted_zones *zones, const struct hosted *z,
                        void (*visit)(void *arg, const char *apex, const char *line), void *arg)
{
    json_t *stored = store_status(zones->store, z->apex);
    const char *error = json_string_value(json_object_get(stored, "error"));
    const json_t *frozen = json_object_get(stored, "frozen");
    char *line =
        xasprintf("serial=%lld records=%lld source=kv state=%s seq=%lld%s%s%s",
                  json_integer_value(json_object_get(stored, "serial")),
                  json_integer_value(json_object_get(stored, "records")),
                  json_string_value(json_object_get(stored, "state")),
                  json_integer_value(json_object_get(stored, "seq")),
                  json_is_object(frozen) ? " frozen=yes" : "", error ? " error=" : "", error ? error : "");
    visit(arg, z->text, line);
    free(line);
    json_decref(stored);
}

void hosted_zones_each(const struct hosted_zones *zones,
                       void (*visit)(void *arg, const char *apex, const char *line), void *arg)
{
    for (const struct hosted *z = zones->first; z; z = z->next) {
        char when[TIME_TEXT];
        if (!z->configured) {
            visit(arg, z->text, "");
            continue;
        }
        if (z->kv) {
            tell_stored(zones, z, visit, arg);
            continue;
        }
        time_format(z->loaded, when);
        char *line =
            xasprintf("serial=%u records=%zu source=%s loaded=%s%s%s", z->serial, z->records,
                      source_text[z->source], when, z->error ? " error=" : "", z->error ? z->error : "");
        visit(arg, z->text, line);
        free(line);
    }
}

const char *hosted_zones_missing(const struct hosted_zones *zones)
{
    for (const struct hosted *z = zones->first; z; z = z->next)
        if (z->configured && (z->kv ? !store_has_content(zones->store, z->apex) : z->source == SOURCE_NONE))
            return z->text;
    return NULL;
}
