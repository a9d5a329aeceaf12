#include "body.h"

#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/statefile.h"
#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void apply_forces(const struct records *records, struct entry *entry);

/* --- which there are ------------------------------------------------------------------------------ */

static struct zone_entry *find(const struct records *records, const uint8_t *apex)
{
    for (struct zone_entry *zone = records->first; zone; zone = zone->next)
        if (name_equal(zone->apex, apex))
            return zone;
    return NULL;
}

static void free_record(struct entry *entry)
{
    record_machine_free(entry->machine);
    record_set_free(&entry->answers);
    record_set_free(&entry->committed);
    config_record_free(&entry->config);
}

static void drop_orphan(struct zone_entry *zone, size_t i)
{
    config_record_free(&zone->orphans[i].config);
    record_set_free(&zone->orphans[i].committed);
    zone->orphans[i] = zone->orphans[--zone->orphan_count];
}

/* From now on it is to be removed from the store's zone, if it is still what the record put there. */
static void make_orphan(struct zone_entry *zone, struct entry *entry)
{
    zone->orphans = xrealloc(zone->orphans, (zone->orphan_count + 1) * sizeof(*zone->orphans));
    struct orphan *orphan = &zone->orphans[zone->orphan_count++];
    *orphan = (struct orphan){entry->config, entry->committed};
    entry->config = (struct config_record){0};
    entry->committed = (struct record_set){0};
}

static bool is_left_over(const struct orphan *orphan, const struct zone *zone)
{
    return orphan->committed.count && render_is_in(&orphan->config, &orphan->committed, zone);
}

static void remove_orphans(const struct zone_entry *zone, const struct zone *from, struct zone_edit *edit)
{
    for (size_t i = 0; i < zone->orphan_count; i++)
        if (is_left_over(&zone->orphans[i], from))
            render_apply(&zone->orphans[i].config, &(struct record_set){0}, edit);
}

static void drop(struct zone **zone)
{
    if (*zone)
        zone_unref(*zone);
    *zone = NULL;
}

static void free_zone(struct zone_entry *zone)
{
    for (size_t i = 0; i < zone->count; i++)
        free_record(&zone->records[i]);
    free(zone->records);
    while (zone->orphan_count)
        drop_orphan(zone, 0);
    free(zone->orphans);
    drop(&zone->base);
    drop(&zone->file);
    free(zone->saved);
    free(zone->status);
    free(zone->text);
    free(zone);
}

struct records *records_new(const struct records_config *config)
{
    struct records *records = xcalloc(1, sizeof(*records));
    records->config = *config;
    records->folder = xasprintf("%s/zones", config->state_dir);
    records->queries = strmap_new();
    records->woken_for = NS_NEVER;
    pthread_mutex_init(&records->lock, NULL);
    return records;
}

static void free_names(struct records *records)
{
    for (size_t i = 0; i < records->remote_count; i++)
        free(records->remote[i]);
    free(records->remote);
}

void records_free(struct records *records)
{
    if (!records)
        return;
    for (struct zone_entry *zone = records->first, *next; zone; zone = next) {
        next = zone->next;
        free_zone(zone);
    }
    free_names(records);
    free(records->forces);
    strmap_free(records->queries, query_view_free);
    pthread_mutex_destroy(&records->lock);
    free(records->folder);
    free(records);
}

static struct zone_entry *add_zone(struct records *records, const uint8_t *apex)
{
    char text[NAME_MAX_TEXT];
    struct zone_entry *zone = xcalloc(1, sizeof(*zone));
    name_lower(apex, zone->apex);
    name_to_text(apex, text);
    if (text[1])
        text[strlen(text) - 1] = '\0';
    zone->text = xstrdup(text);
    zone->saved = statefile_path(records->folder, text, ".records");
    pthread_mutex_lock(&records->lock);
    zone->next = records->first;
    records->first = zone;
    pthread_mutex_unlock(&records->lock);
    return zone;
}

/* A record of before goes on with what it has learnt, if it has its name and type still. */
static void take_over(struct entry *now, struct entry *old, size_t old_count)
{
    for (size_t i = 0; i < old_count; i++)
        if (old[i].machine && name_equal(old[i].config.owner, now->config.owner) &&
            old[i].config.srv == now->config.srv) {
            struct config_record config = now->config, before = old[i].config;
            *now = old[i];
            now->config = config;
            record_machine_configure(now->machine, &now->config);
            old[i] = (struct entry){.config = before};
        }
    if (!now->machine)
        now->machine = record_machine_new(&now->config);
    now->dirty = true;
}

static void configure_zone(struct records *records, struct zone_entry *zone, const struct config_zone *config)
{
    struct entry *old = zone->records;
    size_t old_count = zone->count;
    zone->count = config ? config->record_count : 0;
    zone->records = xcalloc(zone->count + 1, sizeof(*zone->records));
    for (size_t i = 0; i < zone->count; i++) {
        config_record_copy(&zone->records[i].config, &config->records[i]);
        take_over(&zone->records[i], old, old_count);
        apply_forces(records, &zone->records[i]);
    }
    for (size_t i = 0; i < old_count; i++) {
        zone->changed = zone->changed || old[i].machine;
        if (old[i].machine && config && zone->stored)
            make_orphan(zone, &old[i]);
        free_record(&old[i]);
    }
    free(old);
    for (size_t i = 0; i < zone->count; i++) /* configured again */
        for (size_t k = zone->orphan_count; k-- > 0;)
            if (name_equal(zone->orphans[k].config.owner, zone->records[i].config.owner) &&
                zone->orphans[k].config.srv == zone->records[i].config.srv)
                drop_orphan(zone, k);
}

void records_see_file(struct records *records, const struct zone *file)
{
    struct zone_entry *zone = find(records, zone_apex(file));
    for (size_t k = zone ? zone->orphan_count : 0; k-- > 0;)
        if (render_has(&zone->orphans[k].config, file))
            drop_orphan(zone, k);
}

/* config NULL: none. Other threads look at it. */
static void set_kind(struct records *records, struct zone_entry *zone, const struct config_zone *config)
{
    pthread_mutex_lock(&records->lock);
    zone->configured = config != NULL;
    zone->stored = config && config->store_kv;
    pthread_mutex_unlock(&records->lock);
}

void records_configure(struct records *records, const struct config *config)
{
    for (struct zone_entry *zone = records->first; zone; zone = zone->next)
        set_kind(records, zone, NULL);
    for (size_t i = 0; i < config->zone_count; i++) {
        struct zone_entry *zone = find(records, config->zones[i].apex);
        if (!zone && !config->zones[i].record_count)
            continue;
        if (!zone)
            zone = add_zone(records, config->zones[i].apex);
        set_kind(records, zone, &config->zones[i]);
        configure_zone(records, zone, &config->zones[i]);
    }
    for (struct zone_entry *zone = records->first; zone; zone = zone->next)
        if (!zone->configured) {
            configure_zone(records, zone, NULL);
            drop(&zone->base);
            drop(&zone->file);
        }
}

void records_each_query(const struct records *records, void (*visit)(void *arg, const char *name), void *arg)
{
    for (const struct zone_entry *zone = records->first; zone; zone = zone->next)
        for (size_t i = 0; i < zone->count; i++)
            for (size_t k = 0; k < zone->records[i].config.candidate_count; k++)
                if (zone->records[i].config.candidates[k].kind == CANDIDATE_QUERY)
                    visit(arg, zone->records[i].config.candidates[k].name);
}

/* --- publishing ----------------------------------------------------------------------------------- */

/* The committed version with what is seen now. */
static struct zone *overlay(const struct zone_entry *zone)
{
    bool any = zone->orphan_count > 0;
    for (size_t i = 0; i < zone->count; i++)
        any = any || zone->records[i].answering;
    if (!any || !zone_soa(zone->base))
        return zone_ref(zone->base);
    struct zone_edit *edit = zone_edit_begin(zone->base);
    zone_edit_set_origins(edit, record_origins());
    remove_orphans(zone, zone->base, edit);
    for (size_t i = 0; i < zone->count; i++)
        if (zone->records[i].answering)
            render_apply(&zone->records[i].config, &zone->records[i].answers, edit);
    struct zone *next = zone_edit_commit(edit);
    zone_set_transfer(next, zone_ref(zone->base));
    return next;
}

static void publish(struct records *records, struct zone_entry *zone)
{
    if (zone->base)
        records->config.publish(records->config.arg, overlay(zone));
}

/* A name of which nothing is known, neither from the view nor in the committed zone, fails: that it does not
 * exist would be remembered. */
static void answer_unknown(struct zone_entry *zone, struct entry *entry)
{
    bool fails = entry->answer == RECORD_COMMITTED && zone->base && !render_has(&entry->config, zone->base);
    if (entry->answer != RECORD_COMMITTED || (entry->answering == fails && entry->looked))
        return;
    record_set_free(&entry->answers);
    entry->answering = fails;
    if (fails)
        render_text(&entry->config, "its health is not known yet", 0, RECORD_ORIGIN_UNKNOWN, &entry->answers);
}

void records_put(struct records *records, struct zone *committed)
{
    struct zone_entry *zone = find(records, zone_apex(committed));
    if (!zone || (!zone->count && !zone->orphan_count)) {
        if (zone) { /* its records are gone with the reload, or the zone is not ours to change */
            drop(&zone->base);
            zone->base = zone_ref(committed);
        }
        records->config.publish(records->config.arg, committed);
        return;
    }
    drop(&zone->base);
    zone->base = committed;
    for (size_t k = zone->orphan_count; k-- > 0;)
        if (zone_soa(committed) && !is_left_over(&zone->orphans[k], committed))
            drop_orphan(zone, k);
    for (size_t i = 0; i < zone->count; i++)
        answer_unknown(zone, &zone->records[i]);
    publish(records, zone);
    report_zone(records, zone);
}

void records_forget(struct records *records, const uint8_t *apex)
{
    struct zone_entry *zone = find(records, apex);
    if (!zone)
        return;
    configure_zone(records, zone, NULL);
    drop(&zone->base);
    drop(&zone->file);
    report_zone(records, zone);
}

/* --- looking -------------------------------------------------------------------------------------- */

static void log_flip(const struct records *records, const struct entry *entry,
                     const struct record_outcome *outcome, const struct record_set *answers)
{
    static const char *const instead[] = {
        [RECORD_COMMITTED] = "answers as the committed zone does",
        [RECORD_TARGETS] = "answers",
        [RECORD_NODATA] = "answers with no record (when-all-down = none)",
        [RECORD_SERVFAIL] = "fails (when-all-down = servfail)",
    };
    static const char *const policies[] = {
        [ALL_DOWN_ALL] = "all is down: answers with all that is registered (when-all-down = all)",
        [ALL_DOWN_LAST] = "all is down: answers with what was healthy last (when-all-down = last)",
        [ALL_DOWN_ADDRESS] = "all is down: answers with the fixed address (when-all-down)",
    };
    char owner[NAME_MAX_TEXT], why[800];
    const struct config_record *config = &entry->config;
    name_to_text(config->owner, owner);
    gather_reason(records, entry, why, sizeof(why));
    size_t count = 0;
    for (size_t i = 0; i < answers->count; i++)
        if (name_equal(answers->items[i].owner, config->owner))
            count += piece_count(answers->items[i].piece);
    if (outcome->state == RECORD_HEALTHY || outcome->state == RECORD_FALLBACK)
        log_write(outcome->state == RECORD_HEALTHY ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
                  "%s: %s: %s %s, %zu record%s", owner, why,
                  outcome->state == RECORD_FALLBACK ? "falls back to" : "answers with",
                  config->candidates[outcome->candidate].text, count, count == 1 ? "" : "s");
    else if (outcome->state == RECORD_ALL_DOWN && outcome->answer == RECORD_TARGETS)
        log_warn("%s: %s: %s, %zu record%s", owner, why, policies[config->all_down], count,
                 count == 1 ? "" : "s");
    else
        log_warn("%s: %s: %s", owner, why, instead[outcome->answer]);
}

/* What the committed zone should have. With SERVFAIL, which cannot be committed, that is what it should have
 * had before; while nothing is known it stays as it is. */
static void set_committed(struct entry *entry, const struct record_outcome *outcome)
{
    uint32_t ttl = (uint32_t)(entry->config.ttl / NS_PER_S);
    if (outcome->answer == RECORD_SERVFAIL)
        return;
    if (outcome->answer == RECORD_COMMITTED) {
        entry->committing = false;
        return;
    }
    record_set_free(&entry->committed);
    entry->committing = true;
    if (outcome->answer == RECORD_TARGETS)
        render_targets(&entry->config, outcome->targets, outcome->count, ttl, &entry->committed);
    else
        render_text(&entry->config, "nothing that it follows is healthy", ttl, 0, &entry->committed);
}

/* Returns whether the answer is another one. */
static bool set_answer(struct zone_entry *zone, struct entry *entry, const struct record_outcome *outcome,
                       struct record_set *now)
{
    bool answering = outcome->answer != RECORD_COMMITTED;
    bool same = entry->looked && entry->answering == answering && record_set_equal(&entry->answers, now);
    entry->answer = outcome->answer;
    if (!answering) {
        bool before = entry->answering;
        record_set_free(now);
        answer_unknown(zone, entry);
        return !entry->looked || before != entry->answering;
    }
    if (same) {
        record_set_free(now);
        return false;
    }
    record_set_free(&entry->answers);
    entry->answers = *now;
    entry->answering = true;
    return true;
}

static bool look_at(struct records *records, struct zone_entry *zone, struct entry *entry, nstime now)
{
    struct gathered seen;
    struct record_outcome outcome;
    struct record_set answers = {0};
    gather(records, entry, now, &seen);
    record_machine_look(entry->machine, seen.views, now, entry->force, &outcome);
    if (outcome.answer == RECORD_TARGETS)
        render_targets(&entry->config, outcome.targets, outcome.count, outcome.ttl, &answers);
    else if (outcome.answer == RECORD_NODATA)
        render_text(&entry->config, "nothing that it follows is healthy", outcome.ttl, 0, &answers);
    else if (outcome.answer == RECORD_SERVFAIL)
        render_text(&entry->config, "nothing that it follows is healthy", 0, RECORD_ORIGIN_DOWN, &answers);

    bool flipped = !entry->looked || outcome.state != entry->state || outcome.candidate != entry->candidate ||
                   outcome.answer != entry->answer;
    if (flipped) {
        entry->flips += entry->looked && entry->state != RECORD_UNKNOWN; /* finding out is none */
        entry->since = clock_real();
        if (entry->looked || outcome.state != RECORD_UNKNOWN)
            log_flip(records, entry, &outcome, &answers);
    }
    set_committed(entry, &outcome);
    bool changed = set_answer(zone, entry, &outcome, &answers);
    entry->looked = true;
    entry->dirty = false;
    entry->next = outcome.next;
    entry->state = outcome.state;
    entry->candidate = outcome.candidate;
    entry->ttl = outcome.ttl;
    gather_free(&seen);
    return changed;
}

/* Is what should be committed not there yet? */
static bool is_behind(const struct zone_entry *zone)
{
    for (size_t i = 0; zone->base && zone_soa(zone->base) && i < zone->count; i++)
        if (zone->records[i].committing &&
            !render_is_in(&zone->records[i].config, &zone->records[i].committed, zone->base))
            return true;
    for (size_t i = 0; zone->base && i < zone->orphan_count; i++)
        if (is_left_over(&zone->orphans[i], zone->base))
            return true;
    return false;
}

static nstime look_at_zone(struct records *records, struct zone_entry *zone, nstime now)
{
    nstime next = NS_NEVER;
    bool changed = zone->changed, looked = changed;
    zone->changed = false;
    for (size_t i = 0; i < zone->count; i++) {
        struct entry *entry = &zone->records[i];
        if (entry->dirty || now >= entry->next) {
            changed = look_at(records, zone, entry, now) || changed;
            looked = true;
        }
        next = entry->next < next ? entry->next : next;
    }
    if (changed)
        publish(records, zone);
    if (looked)
        report_zone(records, zone);
    if (!is_behind(zone))
        return next;
    if (zone->stored) {
        if (looked)
            records->config.commit(records->config.arg, zone->apex);
        return next;
    }
    nstime again = local_commit(records, zone, now);
    return again < next ? again : next;
}

void records_look(struct records *records, nstime now)
{
    nstime next = NS_NEVER;
    for (struct zone_entry *zone = records->first; zone; zone = zone->next) {
        nstime at = zone->configured ? look_at_zone(records, zone, now) : NS_NEVER;
        next = at < next ? at : next;
    }
    if (next == records->woken_for)
        return;
    records->woken_for = next;
    records->config.wake(records->config.arg, next);
}

void records_redraw(struct records *records, struct rng *rng)
{
    for (struct zone_entry *zone = records->first; zone; zone = zone->next) {
        bool any = false;
        for (size_t i = 0; i < zone->count; i++) {
            struct record_set *set = &zone->records[i].answers;
            for (size_t k = 0; k < set->count; k++) {
                struct piece *old = set->items[k].piece;
                if (!piece_wants_redraw(old))
                    continue;
                set->items[k].piece = piece_redraw(old, rng);
                piece_unref(old);
                any = true;
            }
        }
        if (any)
            publish(records, zone);
    }
}

void records_want(struct records *records)
{
    for (struct zone_entry *zone = records->first; zone; zone = zone->next)
        if (zone->stored && is_behind(zone))
            records->config.commit(records->config.arg, zone->apex);
}

bool records_edit(struct records *records, const uint8_t *apex, struct zone_edit *edit)
{
    const struct zone_entry *zone = find(records, apex);
    bool any = zone && zone->orphan_count;
    if (any && zone->base)
        remove_orphans(zone, zone->base, edit);
    for (size_t i = 0; zone && i < zone->count; i++)
        if (zone->records[i].committing) {
            render_apply(&zone->records[i].config, &zone->records[i].committed, edit);
            any = true;
        }
    return any;
}

/* --- what changes --------------------------------------------------------------------------------- */

static bool follows(const struct records *records, const struct entry *entry, const char *datacenter,
                    const char *service)
{
    const char *local = catalog_datacenter(records->config.catalog);
    for (size_t i = 0; i < entry->config.candidate_count; i++) {
        const struct config_candidate *candidate = &entry->config.candidates[i];
        const char *where = candidate->datacenter;
        if (where && local && !strcmp(where, local))
            where = NULL;
        if (candidate->kind == CANDIDATE_SERVICE && !where == !datacenter &&
            (!where || !strcmp(where, datacenter)) && catalog_endpoint_means(candidate->name, service))
            return true;
    }
    return false;
}

void records_changed(struct records *records, const char *datacenter, const char *service)
{
    for (struct zone_entry *zone = records->first; zone; zone = zone->next)
        for (size_t i = 0; i < zone->count; i++)
            if (!zone->records[i].dirty && follows(records, &zone->records[i], datacenter, service))
                zone->records[i].dirty = true;
}

void records_live(struct records *records, bool local, const char *const *remote)
{
    free_names(records);
    records->local_live = local;
    records->remote = NULL;
    records->remote_count = 0;
    for (; remote && remote[records->remote_count]; records->remote_count++) {
        records->remote = xrealloc(records->remote, (records->remote_count + 1) * sizeof(*records->remote));
        records->remote[records->remote_count] = xstrdup(remote[records->remote_count]);
    }
    for (struct zone_entry *zone = records->first; zone; zone = zone->next)
        for (size_t i = 0; i < zone->count; i++)
            zone->records[i].dirty = true;
}

/* Also for records that a reload brings later. */
static void apply_forces(const struct records *records, struct entry *entry)
{
    const struct record_forcing *found = NULL;
    for (size_t i = 0; i < records->force_count; i++)
        if (name_equal(records->forces[i].owner, entry->config.owner))
            found = &records->forces[i];
    enum record_force force = found ? found->force : RECORD_FORCE_NONE;
    const char *by = found ? found->by : "";
    if (entry->force == force && !strcmp(entry->forced_by, by))
        return;
    entry->force = force;
    snprintf(entry->forced_by, sizeof(entry->forced_by), "%s", by);
    entry->dirty = true;
}

void records_set_forces(struct records *records, const struct record_forcing *list, size_t count)
{
    free(records->forces);
    records->forces = xcalloc(count + 1, sizeof(*records->forces));
    records->force_count = count;
    if (count)
        memcpy(records->forces, list, count * sizeof(*list));
    for (struct zone_entry *zone = records->first; zone; zone = zone->next)
        for (size_t i = 0; i < zone->count; i++)
            apply_forces(records, &zone->records[i]);
}

/* --- whether a zone may have them ----------------------------------------------------------------- */

int records_check(const struct config_zone *config, const struct zone *zone, struct err *err)
{
    for (size_t i = 0; i < config->record_count; i++) {
        const struct config_record *record = &config->records[i];
        struct zone_found found;
        char owner[NAME_MAX_TEXT];
        name_to_text(record->owner, owner);
        if (zone_get(zone, config->apex, DNS_DNSKEY) || zone_get(zone, config->apex, DNS_RRSIG))
            return err_set(err,
                           "%s: the zone is signed, and the record `%s` (line %d) would have no signature; "
                           "remove the record, or serve an unsigned zone",
                           config->file, record->name, record->line);
        const uint16_t taken[] = {DNS_CNAME, record->srv ? DNS_SRV : DNS_A, record->srv ? DNS_SRV : DNS_AAAA};
        static const char *const names[] = {"CNAME", "A", "AAAA"};
        for (size_t t = 0; t < sizeof(taken) / sizeof(taken[0]); t++)
            if (zone_get(zone, record->owner, taken[t]))
                return err_set(err,
                               "%s: it has %s for %s, which the record `%s` (line %d) is for; remove one of "
                               "the two",
                               config->file, t && record->srv ? "SRV" : names[t], owner, record->name,
                               record->line);
        zone_search(zone, record->owner, name_len(record->owner), &found);
        if (found.cut)
            return err_set(err,
                           "%s: %s lies %s, so that the record `%s` (line %d) would never be answered; "
                           "rename it or remove one of them",
                           config->file, owner,
                           found.cut_is_dname ? "below a DNAME" : "at or below a delegation", record->name,
                           record->line);
    }
    return 0;
}
