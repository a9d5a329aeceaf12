/* The state machine: events, what comes next, heads. */
#include "store/core_body.h"

#include "lictor/dns.h"
#include "lictor/history.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- requests --------------------------------------------------------------------------------------- */

struct kv_request *core_request(enum kv_kind kind, char *prefix)
{
    struct kv_request *request = xcalloc(1, sizeof *request);
    request->kind = kind;
    request->prefix = prefix;
    return request;
}

void kv_request_free(struct kv_request *request)
{
    if (!request)
        return;
    for (size_t i = 0; i < request->count; i++) {
        free(request->ops[i].key);
        buf_free(&request->ops[i].value);
    }
    free(request->ops);
    free(request->prefix);
    free(request);
}

struct kv_op *core_op(struct kv_request *request, enum kv_verb verb, char *key)
{
    request->ops = xrealloc(request->ops, (request->count + 1) * sizeof *request->ops);
    struct kv_op *op = &request->ops[request->count++];
    *op = (struct kv_op){.verb = verb, .key = key};
    return op;
}

struct kv_op *core_check_session(struct kv_request *request)
{
    return core_op(request, KV_CHECK_SESSION, xstrdup("leader"));
}

char *core_head_key(const struct core *core)
{
    return xasprintf("heads/%s", core->name);
}

void core_check_head(const struct core *core, struct kv_request *request)
{
    struct kv_op *op =
        core_op(request, core->head_index ? KV_CHECK_INDEX : KV_CHECK_NOT_EXISTS, core_head_key(core));
    op->index = core->head_index;
}

char *core_seq_key(const struct core *core, const char *kind, uint64_t seq)
{
    return xasprintf("zones/%s/%s/%016" PRIx64, core->name, kind, seq);
}

void core_send(struct core *core, enum doing doing, struct kv_request *request)
{
    assert(core->doing == IDLE);
    core->doing = doing;
    core->hooks.send(core->hooks.arg, core, request);
}

void core_chunk(struct chunks *chunks, char *prefix, const struct buf *octets)
{
    unsigned n = 0;
    for (size_t at = 0; at < octets->len; at += STORE_CHUNK, n++) {
        size_t len = octets->len - at < STORE_CHUNK ? octets->len - at : STORE_CHUNK;
        chunks->items = xrealloc(chunks->items, (chunks->count + 1) * sizeof *chunks->items);
        struct chunk *chunk = &chunks->items[chunks->count++];
        *chunk = (struct chunk){.key = xasprintf("%s/%04u", prefix, n)};
        buf_append(&chunk->value, octets->data + at, len);
    }
    free(prefix);
}

void core_chunks_free(struct chunks *chunks)
{
    for (size_t i = 0; i < chunks->count; i++) {
        free(chunks->items[i].key);
        buf_free(&chunks->items[i].value);
    }
    free(chunks->items);
    *chunks = (struct chunks){0};
}

int core_join(const struct consul_kv *entries, size_t count, struct buf *out, struct err *err)
{
    for (size_t i = 0; i < count; i++) { /* Consul lists keys in order */
        uint64_t seq;
        unsigned chunk;
        if (store_key_numbers(entries[i].key, true, &seq, &chunk) || chunk != i)
            return err_set(err, "%s: not the chunk that should come here", entries[i].key);
        buf_append(out, entries[i].value.data, entries[i].value.len);
    }
    return 0;
}

struct store_entry *core_join_entry(const struct consul_kv *entries, size_t count, struct err *err)
{
    struct buf octets = {0};
    struct store_entry *entry =
        core_join(entries, count, &octets, err) ? NULL : store_entry_parse(octets.data, octets.len, err);
    buf_free(&octets);
    return entry;
}

/* --- telling ---------------------------------------------------------------------------------------- */

void core_note(struct core *core, int level, const char *fmt, ...)
{
    char text[700];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    core->hooks.note(core->hooks.arg, core, level, text);
}

void core_back_off(struct core *core, const struct kv_reply *reply, const char *what)
{
    core->not_before = core->now + consul_backoff(core->failures, reply->status);
    snprintf(core->error, sizeof core->error, "%s: %.400s", what,
             reply->error ? reply->error : "no answer that can be used");
    if (!core->failures++)
        core_note(core, LOG_LEVEL_WARN, "%s", core->error);
}

void core_works(struct core *core)
{
    core->failures = 0;
    core->not_before = 0;
    core->error[0] = 0;
}

/* --- content ---------------------------------------------------------------------------------------- */

struct zone *core_apply(const struct core *core, const struct zone *base, const struct difference *difference,
                        struct err *err)
{
    struct zone_edit *edit =
        base ? zone_edit_begin(base) : zone_edit_new(core->apex, ZONE_AUTHORITATIVE, core->state, NULL, NULL);
    if (difference_apply(difference, edit, err)) {
        zone_edit_abort(edit);
        return NULL;
    }
    return zone_edit_commit(edit);
}

void core_continue(const struct zone *before, struct zone *next, struct difference *difference)
{
    if (before && serial_is_later(difference_to(difference), difference_from(difference)))
        zone_set_history(next,
                         history_add(zone_history(before), difference, history_size_for(zone_records(next))));
}

void core_adopt(struct core *core, struct zone *zone, const struct store_position *at)
{
    core->broken_since = 0;
    if (core->zone)
        zone_unref(core->zone);
    core->zone = zone;
    core->at = *at;
}

void core_log_add(struct core *core, struct store_entry *entry)
{
    core->log = xrealloc(core->log, (core->log_count + 1) * sizeof(*core->log));
    core->log[core->log_count++] = entry;
    core->log_size += entry->size;
}

/* A serial that was shown is never followed by a lower one: what lies behind a rewound head is read, but
 * shown only once the primary has raised the serial above it. */
void core_publish(struct core *core)
{
    if (!core->zone || (core->published && serial_is_later(core->published_serial, core->at.serial)))
        return;
    core->published = true;
    core->published_serial = core->at.serial;
    if (core->kv)
        atomic_store(&core->state->held, false);
    core->hooks.publish(core->hooks.arg, core, zone_ref(core->zone));
}

void core_save(struct core *core, const struct store_entry *entry, const struct buf *octets)
{
    /* What may not be shown is not saved either: after a restart it would be. */
    if (core->published && serial_is_later(core->published_serial, core->at.serial))
        return;
    struct store_position before = {.seq = entry ? entry->prev : 0};
    if (entry)
        before.hash = entry->before;
    if (entry && store_position_equal(&before, &core->saved))
        core->hooks.mirror_add(core->hooks.arg, core, entry, octets);
    else
        core->hooks.mirror_all(core->hooks.arg, core);
    core->saved = core->at;
}

/* --- heads ------------------------------------------------------------------------------------------ */

void core_set_head(struct core *core, const struct store_head *head, uint64_t index)
{
    if (core->head_index != index)
        core->broken_since = 0; /* that was another one */
    core->head_known = true;
    core->head_doubted = false;
    core->head_exists = head != NULL;
    core->head = head ? *head : (struct store_head){0};
    core->head_index = index;
    core->head_broken = false;
}

/* Is a `file` zone's copy as new as the newest? */
static void mind_file_zone(struct core *core)
{
    bool held = !core->zone;
    if (core->head_exists && !core->head_broken && core->zone)
        held = serial_is_later(core->head.at.serial, core->at.serial);
    if (held == atomic_load(&core->state->held))
        return;
    atomic_store(&core->state->held, held);
    if (held)
        core_note(core, LOG_LEVEL_ERROR,
                  "its file has serial %" PRIu32 ", below %" PRIu32
                  " that the cluster has served: held (SERVFAIL) until the newer file is here",
                  core->at.serial, core->head.at.serial);
    else
        core_note(core, LOG_LEVEL_INFO, "serving its file, serial %" PRIu32, core->at.serial);
}

/* What a read showed, direct or from the watch. */
static void take_head(struct core *core, const struct consul_kv *kv, nstime started)
{
    struct store_head head;
    struct err err;
    core->head_at = core->head_after = started;
    if (core->rewound && !core->pending.active && core->head_index != (kv ? kv->modify_index : 0)) {
        mend_end(core); /* once more, or another primary: what was read is of before */
        core->mend_at = core->now + CORE_MEND_AFTER;
    }
    if (!kv) {
        core_set_head(core, NULL, 0);
    } else if (store_head_parse(kv->value.data, kv->value.len, &head, &err)) {
        if (!core->head_broken || core->head_index != kv->modify_index)
            core_note(core, LOG_LEVEL_ERROR, "its head in Consul's KV cannot be read: %s", err.text);
        snprintf(core->error, sizeof core->error, "the head: %.400s", err.text);
        core_set_head(core, NULL, kv->modify_index);
        core->head_exists = core->head_broken = true;
        if (!core->broken_since)
            core->broken_since = core->now;
    } else {
        core_set_head(core, &head, kv->modify_index);
    }
    if (!core->kv)
        mind_file_zone(core);
}

enum core_state core_relation(const struct core *core)
{
    if (!core->head_known)
        return CORE_UNKNOWN;
    if (core->head_broken)
        return CORE_BROKEN;
    if (!core->kv)
        return !core->zone                                                                   ? CORE_EMPTY
               : core->head_exists && serial_is_later(core->head.at.serial, core->at.serial) ? CORE_BEHIND
                                                                                             : CORE_CURRENT;
    if (!core->head_exists)
        return core->at.seq ? CORE_REWOUND : CORE_EMPTY;
    if (store_position_equal(&core->at, &core->head.at))
        return CORE_CURRENT;
    /* A head that this mirror has passed. One of a lower seq that it never was at was committed by an
     * instance that had not seen ours: there is something to be read. */
    bool passed = core->head.at.seq <= core->at.seq && mend_has(core, &core->head.at);
    return passed ? CORE_REWOUND : CORE_BEHIND;
}

/* The watch's report may be older than what this instance has read or written since, and after a restore its
 * index may be the higher one all the same: what would go back, or overlaps, is looked at again by a direct
 * read, which is never in flight together with a commit. */
void core_heads(struct core *core, const struct consul_kv *kv, nstime started, nstime now)
{
    core->now = now;
    if (core->head_known && !core->head_doubted) {
        bool same = kv ? core->head_index == kv->modify_index : !core->head_exists;
        bool newer = kv && kv->modify_index > core->head_index;
        if (same)
            core->head_at = started > core->head_at ? started : core->head_at;
        else if (!newer || started < core->head_after || core->doing != IDLE || core->pending.active)
            core->head_doubted = true;
        else
            take_head(core, kv, started);
    } else if (core->doing == IDLE && !core->head_known) {
        take_head(core, kv, started);
    }
    core_step(core);
}

static void head_reply(struct core *core, const struct kv_reply *reply)
{
    if (reply->status == 200 && reply->count == 1) {
        core_works(core);
        take_head(core, &reply->entries[0], reply->started);
    } else if (reply->status == 404) {
        core_works(core);
        take_head(core, NULL, reply->started);
    } else {
        core_back_off(core, reply, "reading the head");
        return;
    }
    core->head_after = core->now;
    commit_head_seen(core);
}

/* --- what comes next -------------------------------------------------------------------------------- */

/* Answers go on for the SOA's EXPIRE since the last sync. The primary's own commits prove it too. */
static void set_expiry(struct core *core)
{
    uint32_t expire = core->zone ? zone_soa_expire(core->zone) : 0;
    if (expire && core->kv)
        atomic_store(&core->state->dead_from, core->synced + (nstime)expire * NS_PER_S);
}

static void mind_sync(struct core *core, enum core_state state)
{
    if (state != CORE_CURRENT && state != CORE_REWOUND)
        return;
    core->synced = core->head_at;
    set_expiry(core);
}

void core_restore_sync(struct core *core, nstime synced)
{
    core->synced = synced;
    set_expiry(core);
}

nstime core_synced(const struct core *core)
{
    return core->synced;
}

/* DESIGN 5: nobody can read it, for a while now, so the furthest good mirror will have to do. */
static bool given_up(const struct core *core)
{
    return core->kv && core->zone && core->others_broken && core->broken_since &&
           core->now >= core->broken_since + CORE_BROKEN_AFTER;
}

void core_step(struct core *core)
{
    if (core->doing != IDLE || core->now < core->not_before)
        return;
    if (!core->head_known || core->head_doubted) {
        core_send(core, READING_HEAD, core_request(KV_ONE, core_head_key(core)));
        return;
    }
    enum core_state state = core_relation(core);
    mind_sync(core, state);
    if (state != CORE_BEHIND)
        core->behind_since = 0;
    else if (!core->behind_since)
        core->behind_since = core->now;
    if (state == CORE_CURRENT || state == CORE_EMPTY) {
        core->broken_since = 0;
        core->rewound &= core->primary; /* a standby's part in it is done */
        keep_trim(core);
    }
    if (core->pending.active) {
        commit_step(core);
        return;
    }
    if (core->kv && core->reload.active) {
        follow_step(core);
        return;
    }
    if (core->kv && state == CORE_REWOUND) {
        mend_notice(core, core->head_exists ? "its head in Consul's KV is below this mirror"
                                            : "its head in Consul's KV is gone");
    }
    if (core->kv && mend_write_lost(core))
        return;
    bool broken = given_up(core);
    if (core->primary && broken)
        mend_notice(core, "no living instance can read it from Consul's KV: this mirror takes its place");
    if (core->kv && state == CORE_BEHIND && !(core->primary && broken)) {
        follow_step(core);
        return;
    }
    if (!core->primary)
        return;
    if (core->rewound) {
        mend_step(core);
        return;
    }
    if (state != CORE_CURRENT && state != CORE_EMPTY)
        return;
    if (!commit_step(core))
        keep_step(core);
}

void core_reply(struct core *core, const struct kv_reply *reply, nstime now)
{
    enum doing doing = core->doing;
    assert(doing != IDLE);
    core->now = now;
    core->doing = IDLE;
    switch (doing) {
    case READING_HEAD:
        head_reply(core, reply);
        break;
    case FOLLOWING:
    case LISTING:
    case READING_BASE:
    case READING_LOG:
        core->doing = doing; /* for the reader, which clears it */
        follow_reply(core, reply);
        break;
    case WRITING_LOST:
    case READING_LOST:
        core->doing = doing;
        mend_reply(core, reply);
        break;
    case READING_FILE:
        commit_file_reply(core, reply);
        break;
    case WRITING_CHUNKS:
    case COMMITTING:
        core->doing = doing;
        commit_reply(core, reply);
        break;
    case LISTING_ALL:
    case DELETING:
        core->doing = doing;
        keep_reply(core, reply);
        break;
    case IDLE:
        break;
    }
    core_step(core);
}

void core_role(struct core *core, bool primary, uint64_t epoch, nstime now)
{
    core->now = now;
    bool lost = core->primary && (!primary || epoch != core->epoch);
    core->primary = primary;
    core->epoch = epoch;
    if (lost) {
        commit_role_lost(core);
        mend_end(core);
        core->rewound = false;
    }
    core->swept = false;
    core->looked = false;
    if (primary) {
        core->head_doubted = core->head_known; /* the first thing a primary does is to look */
        core->not_before = 0;
    }
    core_step(core);
}

void core_file(struct core *core, struct zone *file, nstime now)
{
    core->now = now;
    if (core->file)
        zone_unref(core->file);
    core->file = file;
    core->file_hash = zone_hash(file);
    core->file_error[0] = 0;
    if (!core->kv) {
        struct store_position at = {.serial = zone_serial(file), .hash = core->file_hash};
        core_adopt(core, zone_ref(file), &at); /* published by who has read it */
        mind_file_zone(core);
    }
    core_step(core);
}

void core_submit(struct core *core, struct submission *submission, nstime now)
{
    core->now = now;
    submission->next = NULL;
    *core->queue_end = submission;
    core->queue_end = &submission->next;
    if (!core->primary || !core->kv)
        commit_role_lost(core);
    core_step(core);
}

void core_freeze(struct core *core, const char *why, nstime now)
{
    core->now = now;
    snprintf(core->frozen, sizeof core->frozen, "%s", why);
    core_step(core);
}

void core_recover_seen(struct core *core, nstime now)
{
    core->now = now;
    if (core->primary && core->kv)
        mend_notice(core, "an instance has changes that Consul's KV has lost");
    core_step(core);
}

void core_others_broken(struct core *core, bool all, nstime now)
{
    core->now = now;
    core->others_broken = all;
    core_step(core);
}

nstime core_broken_since(const struct core *core)
{
    return core->kv ? core->broken_since : 0;
}

void core_timer(struct core *core, nstime now)
{
    core->now = now;
    core_step(core);
}

nstime core_due(const struct core *core)
{
    if (core->doing != IDLE)
        return NS_NEVER;
    if (core->now < core->not_before)
        return core->not_before;
    nstime due = NS_NEVER;
    if (core->aside_count || core_relation(core) == CORE_REWOUND)
        due = core->lost_written.again;
    if (core->primary && core->rewound && core->mend_at > core->now && core->mend_at < due)
        due = core->mend_at;
    if (core->primary && core->broken_since && core->broken_since + CORE_BROKEN_AFTER > core->now &&
        core->broken_since + CORE_BROKEN_AFTER < due)
        due = core->broken_since + CORE_BROKEN_AFTER;
    if (core->primary && core->trim_at > core->now && core->trim_at < due)
        due = core->trim_at;
    return due;
}

/* --- life ------------------------------------------------------------------------------------------- */

struct core *core_new(const struct core_config *config)
{
    struct core *core = xcalloc(1, sizeof *core);
    core->hooks = *config->hooks;
    core->name = name_to_key(config->apex);
    name_lower(config->apex, core->apex);
    core->state = config->state;
    core->kv = config->kv;
    snprintf(core->instance, sizeof core->instance, "%s", config->instance);
    core->queue_end = &core->queue;
    return core;
}

void core_free(struct core *core)
{
    if (!core)
        return;
    reload_end(core);
    mend_end(core);
    core_chunks_free(&core->lost);
    for (size_t i = 0; i < core->log_count; i++)
        store_entry_free(core->log[i]);
    free(core->log);
    for (size_t i = 0; i < core->aside_count; i++)
        store_entry_free(core->aside[i]);
    free(core->aside);
    for (size_t i = 0; i < core->garbage_count; i++)
        free(core->garbage[i]);
    free(core->garbage);
    struct zone *zones[] = {core->zone, core->file, core->last_file};
    for (size_t i = 0; i < 3; i++)
        if (zones[i])
            zone_unref(zones[i]);
    free(core->name);
    free(core);
}

bool core_restore(struct core *core, struct store_entry *base, struct store_entry **log, size_t count,
                  struct store_entry **aside, size_t aside_count)
{
    core->aside = aside_count ? xmemdup(aside, aside_count * sizeof(*aside)) : NULL;
    core->aside_count = aside_count;
    struct err err = {""};
    struct zone *zone = base ? core_apply(core, NULL, base->difference, &err) : NULL;
    struct store_position at = base ? base->at : (struct store_position){0};
    if (zone && !zone_hash_equal(zone_hash(zone), at.hash)) {
        zone_unref(zone);
        zone = NULL;
    }
    core->base_size = base ? base->size : 0;
    if (zone) {
        struct history *history = NULL;
        for (size_t i = 0; i < count && log[i]->at.seq <= at.seq; i++) {
            struct history *longer =
                history_add(history, log[i]->difference, history_size_for(zone_records(zone)));
            history_unref(history);
            history = longer;
        }
        zone_set_history(zone, history);
    }
    for (size_t i = 0; i < count; i++) {
        struct store_entry *entry = log[i];
        bool next = zone && entry->prev == at.seq && zone_hash_equal(entry->before, at.hash);
        if (next) {
            struct zone *later = core_apply(core, zone, entry->difference, &err);
            if (later) {
                core_continue(zone, later, entry->difference);
                zone_unref(zone);
                zone = later;
                at = entry->at;
            } else {
                next = false;
            }
        }
        if (zone && (next || entry->at.seq <= base->at.seq))
            core_log_add(core, entry);
        else
            store_entry_free(entry);
    }
    store_entry_free(base);
    if (zone) {
        core_adopt(core, zone, &at);
        core->saved = at;
        core_publish(core);
    }
    return zone != NULL;
}

/* --- looking ---------------------------------------------------------------------------------------- */

enum core_state core_state(const struct core *core)
{
    enum core_state state = core_relation(core);
    return state == CORE_CURRENT && (core->rewound || core->aside_count) ? CORE_REWOUND
           : core->broken_since                                          ? CORE_BROKEN
                                                                         : state;
}

const char *core_state_text(enum core_state state)
{
    static const char *const texts[] = {
        [CORE_UNKNOWN] = "unknown", [CORE_EMPTY] = "empty",     [CORE_CURRENT] = "current",
        [CORE_BEHIND] = "behind",   [CORE_REWOUND] = "rewound", [CORE_BROKEN] = "broken"};
    return texts[state];
}

/* At head with its hash, or beyond; no head, and a head that cannot be read, gate nobody. */
bool core_ready(const struct core *core, nstime now, nstime *since)
{
    *since = now;
    if (!core->head_known)
        return false;
    if (!core->kv || core_relation(core) != CORE_BEHIND)
        return true;
    if (given_up(core) && now >= core->broken_since)
        return true;
    *since = core->behind_since ? core->behind_since : now;
    return false;
}

const char *core_name(const struct core *core)
{
    return core->name;
}

struct zone *core_zone(const struct core *core)
{
    return core->zone;
}

const struct store_position *core_position(const struct core *core)
{
    return &core->at;
}

const struct store_head *core_head(const struct core *core)
{
    return core->head_known && core->head_exists && !core->head_broken ? &core->head : NULL;
}

size_t core_aside(const struct core *core, struct store_entry *const **aside)
{
    *aside = core->aside;
    return core->aside_count;
}

size_t core_log(const struct core *core, struct store_entry *const **log)
{
    *log = core->log;
    return core->log_count;
}

struct store_entry *core_base(const struct core *core)
{
    struct store_entry *base = store_entry_new();
    base->at = core->at;
    base->difference = difference_between(NULL, core->zone);
    return base;
}

const char *core_error(const struct core *core)
{
    return core->error[0] ? core->error : core->file_error;
}

bool core_idle(const struct core *core)
{
    return core->doing == IDLE && !core->pending.active && !core->queue;
}

struct store_counters *core_counters(struct core *core)
{
    return &core->counters;
}
