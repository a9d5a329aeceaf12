/* Commits: many changes into one transaction; what becomes of it when Consul's answer is lost. */
#include "store/core_body.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANGES_AT_ONCE 1000

/* --- telling those who asked -------------------------------------------------------------------------- */

/* The configuration's file is not forgotten because it could not be imported now. */
static void keep_file(struct core *core, const struct submission *submission)
{
    bool configured = submission->file && !submission->done && !submission->previewed;
    if (!configured || core->file)
        return;
    core->file = zone_ref(submission->file);
    core->file_hash = zone_hash(core->file);
}

static void decide(struct core *core, struct submission *submission, enum store_outcome outcome,
                   const char *error)
{
    submission->result.outcome = outcome;
    submission->result.serial = core->at.serial;
    submission->result.seq = core->at.seq;
    bool later = outcome == STORE_NOT_PRIMARY || outcome == STORE_UNKNOWN || outcome == STORE_FAILED;
    if (later)
        keep_file(core, submission); /* judged again in the next reign */
    if (error && error != submission->error.text)
        snprintf(submission->error.text, sizeof submission->error.text, "%s", error);
    submission->result.error = submission->error.text[0] ? submission->error.text : NULL;
    core->hooks.done(core->hooks.arg, core, submission);
}

/* What was refused or changed nothing keeps its outcome, whatever became of the others: but it was judged on
 * their results, so only when they are known. */
static void decide_all(struct core *core, struct submission *list, enum store_outcome outcome,
                       const char *error)
{
    for (struct submission *next; list; list = next) {
        next = list->next;
        bool judged = list->result.outcome == STORE_REFUSED || list->result.outcome == STORE_UNCHANGED;
        bool stands = judged && (outcome == STORE_COMMITTED || outcome == STORE_UNCHANGED);
        if (stands)
            decide(core, list, list->result.outcome, list->result.error);
        else
            decide(core, list, outcome, error);
    }
}

static void requeue(struct core *core, struct submission *list)
{
    if (!list)
        return;
    struct submission *last = list;
    for (struct submission *s = list; s; s = s->next) {
        s->result = (struct store_result){0};
        s->error.text[0] = 0;
        last = s;
    }
    last->next = core->queue;
    if (!core->queue)
        core->queue_end = &last->next;
    core->queue = list;
}

/* --- frozen zones --------------------------------------------------------------------------------------- */

static bool goes_on(const struct submission *submission)
{
    return submission->health || submission->previewed;
}

/* Refuses what a frozen zone does not take; the rest of the list, in order, goes (back) into the queue. */
static void refuse_frozen(struct core *core, struct submission *list)
{
    struct submission *rest = NULL, **end = &rest;
    for (struct submission *next; list; list = next) {
        next = list->next;
        list->next = NULL;
        if (goes_on(list)) {
            *end = list;
            end = &list->next;
        } else {
            keep_file(core, list); /* until it is thawed */
            decide(core, list, STORE_REFUSED, core->frozen);
        }
    }
    requeue(core, rest);
}

/* --- the end of a commit ------------------------------------------------------------------------------ */

static void pending_clear(struct core *core)
{
    struct pending *pending = &core->pending;
    if (pending->zone)
        zone_unref(pending->zone);
    store_entry_free(pending->entry);
    buf_free(&pending->octets);
    core_chunks_free(&pending->chunks);
    *pending = (struct pending){0};
}

/* Chunks of what will never be valid. */
static void abandon_chunks(struct core *core)
{
    for (size_t i = 0; i < core->pending.chunks.count; i++)
        keep_garbage(core, xstrdup(core->pending.chunks.items[i].key));
}

static void committed(struct core *core, uint64_t index)
{
    struct pending *pending = &core->pending;
    struct store_head old = core->head;
    core_set_head(core, &pending->head, index);
    core->head_at = core->head_after = core->now;
    core->counters.commits++;
    if (old.base && old.base != pending->head.base)
        keep_garbage_chunks(core, "base", old.base, old.base_chunks);
    if (old.file && old.file != pending->head.file)
        keep_garbage_chunks(core, "file", old.file, old.file_chunks);
    if (pending->zone) {
        /* Secondaries and the history go on across a base that is taken over whole. */
        struct store_entry *entry = pending->entry;
        if (!pending->octets.len && entry && core->zone) {
            difference_unref(entry->difference);
            entry->difference = difference_between(core->zone, pending->zone);
            entry->prev = core->at.seq;
            entry->before = core->at.hash;
        }
        bool first = !core->zone;
        core_continue(core->zone, pending->zone, entry->difference);
        core_adopt(core, pending->zone, &pending->head.at);
        pending->zone = NULL;
        if (!first)
            core_log_add(core, entry);
        else
            store_entry_free(entry);
        pending->entry = NULL;
        core_save(core, pending->octets.len && !first ? entry : NULL, &pending->octets);
        core_publish(core);
    } else if (!core->kv) {
        core->at = pending->head.at;
    }
    struct submission *asked = pending->asked;
    bool mends = pending->mends;
    for (struct submission *s = asked; s; s = s->next)
        core->counters.changes++;
    pending_clear(core);
    if (mends) {
        core_note(core, LOG_LEVEL_WARN, "rewind: mended with serial %" PRIu32, core->at.serial);
        mend_done(core);
    }
    decide_all(core, asked, STORE_COMMITTED, NULL);
}

static void failed(struct core *core, enum store_outcome outcome, const char *error)
{
    struct submission *asked = core->pending.asked;
    if (outcome != STORE_UNKNOWN)
        abandon_chunks(core);
    else
        core->counters.unknown++;
    if (core->pending.mends)
        mend_end(core);
    pending_clear(core);
    decide_all(core, asked, outcome, error);
}

/* Somebody froze the zone, and Consul knew before this instance did: it holds until the next report. */
static void frozen_meanwhile(struct core *core)
{
    struct submission *asked = core->pending.asked;
    if (core->pending.unknown) {
        failed(core, STORE_UNKNOWN, "Consul's answer was lost, and the zone is frozen now");
        return;
    }
    if (!core->frozen[0])
        snprintf(core->frozen, sizeof core->frozen, "the zone is frozen; `lictor zone thaw` ends that");
    abandon_chunks(core);
    pending_clear(core);
    refuse_frozen(core, asked);
}

void commit_role_lost(struct core *core)
{
    struct submission *queue = core->queue;
    core->queue = NULL;
    core->queue_end = &core->queue;
    decide_all(core, queue, core->kv ? STORE_NOT_PRIMARY : STORE_FAILED,
               core->kv ? "this instance is not the primary" : "the zone's store is its file");
    /* What is on its way is waited for: it may be done. What is not, is not begun again. */
    if (core->pending.active && core->doing != WRITING_CHUNKS && core->doing != COMMITTING)
        failed(core, core->pending.unknown ? STORE_UNKNOWN : STORE_NOT_PRIMARY,
               "this instance lost the role");
}

void core_abandon(struct core *core)
{
    bool sent = core->pending.active && (core->pending.unknown || core->doing == COMMITTING);
    core->primary = false;
    if (core->pending.active)
        failed(core, sent ? STORE_UNKNOWN : STORE_NOT_PRIMARY, "lictord is stopping");
    commit_role_lost(core);
}

/* --- a commit's steps --------------------------------------------------------------------------------- */

/* A restore may take away chunks between their writing and the commit, and another primary write over them.
 * Each write checks the one before it: a state that has that one has all. The commit checks all that a
 * transaction has room for, else the last. */
#define CHECKS_MAX 58 /* of 64 operations */

static void check_chunks(const struct core *core, struct kv_request *request, size_t from)
{
    const struct chunks *chunks = &core->pending.chunks;
    for (size_t i = from; i < chunks->next; i++) {
        struct kv_op *op = core_op(request, KV_CHECK_INDEX, xstrdup(chunks->items[i].key));
        op->index = chunks->items[i].index;
    }
}

/* The last word on a freeze is Consul's: this instance may not have heard of it yet. */
static void check_frozen(struct core *core, struct kv_request *request)
{
    core->pending.frozen_op = (int)request->count;
    if (core->pending.guarded)
        core_op(request, KV_CHECK_NOT_EXISTS, xasprintf("control/freeze/%s", core->name));
}

static void send_chunk(struct core *core)
{
    struct chunk *chunk = &core->pending.chunks.items[core->pending.chunks.next];
    struct kv_request *request = core_request(KV_TXN, NULL);
    core_check_session(request);
    core_check_head(core, request); /* one that arrives late finds another head */
    size_t next = core->pending.chunks.next;
    check_chunks(core, request, next ? next - 1 : 0);
    struct kv_op *op = core_op(request, KV_SET, xstrdup(chunk->key));
    buf_append(&op->value, chunk->value.data, chunk->value.len);
    core_send(core, WRITING_CHUNKS, request);
}

/* The same each time that it is sent: of two that arrive, the second fails. */
static void send_commit(struct core *core)
{
    struct pending *pending = &core->pending;
    struct kv_request *request = core_request(KV_TXN, NULL);
    core_check_session(request);
    core_check_head(core, request);
    check_chunks(core, request, pending->chunks.count > CHECKS_MAX ? pending->chunks.count - 1 : 0);
    if (pending->octets.len) {
        struct kv_op *op = core_op(request, KV_SET, core_seq_key(core, "log", pending->head.at.seq));
        buf_append(&op->value, pending->octets.data, pending->octets.len);
    }
    struct kv_op *op = core_op(request, KV_SET, core_head_key(core));
    store_head_encode(&pending->head, &op->value);
    check_frozen(core, request); /* last: the head's conflict comes first in a 409 */
    core_send(core, COMMITTING, request);
}

static uint64_t index_of(const struct kv_reply *reply, const char *key)
{
    uint64_t index = 0;
    for (size_t i = 0; i < reply->count; i++)
        if (!strcmp(reply->entries[i].key, key))
            index = reply->entries[i].modify_index;
    return index;
}

void commit_reply(struct core *core, const struct kv_reply *reply)
{
    struct pending *pending = &core->pending;
    bool final = core->doing == COMMITTING;
    core->doing = IDLE;
    if (reply->status == 200 && !final) {
        core_works(core);
        pending->chunks.items[pending->chunks.next].index =
            index_of(reply, pending->chunks.items[pending->chunks.next].key);
        pending->chunks.next++;
        if (!core->primary)
            failed(core, STORE_NOT_PRIMARY, "this instance lost the role");
    } else if (reply->status == 200) {
        core_works(core);
        char *key = core_head_key(core);
        uint64_t index = index_of(reply, key);
        free(key);
        committed(core, index);
    } else if (reply->status == 409 && !final && reply->failed_op == 0) {
        core_back_off(core, reply, "committing");
        failed(core, STORE_NOT_PRIMARY, "this instance lost the role");
        core->head_doubted = true;
    } else if (reply->status == 409 && final && pending->guarded && reply->failed_op == pending->frozen_op) {
        core_works(core);
        frozen_meanwhile(core);
    } else if (reply->status == 409) {
        core->counters.conflicts++;
        core->head_doubted = true;                        /* commit_head_seen decides */
        if (reply->failed_op == 0 && !pending->unknown) { /* nothing happened, and not ours to try again */
            core_back_off(core, reply, "committing");
            failed(core, STORE_NOT_PRIMARY, "this instance lost the role");
        }
    } else if (reply->status == 400 || reply->status == 403 || reply->status == 413) {
        if (pending->unknown)
            failed(core, STORE_UNKNOWN, reply->error);
        else
            failed(core, STORE_FAILED, reply->error);
        core_back_off(core, reply, "committing");
    } else {
        pending->unknown |= final;
        core_back_off(core, reply, "committing");
        if (!core->primary)
            failed(core, final ? STORE_UNKNOWN : STORE_NOT_PRIMARY, "this instance lost the role");
    }
}

/* After a 409: did an earlier sending of ours come through? */
void commit_head_seen(struct core *core)
{
    struct pending *pending = &core->pending;
    if (!pending->active)
        return;
    if (core->head_exists && !core->head_broken && store_position_equal(&core->head.at, &pending->head.at) &&
        core->head.base == pending->head.base && core->head.file == pending->head.file) {
        committed(core, core->head_index);
        return;
    }
    if (pending->unknown) { /* it may have been done and overwritten since */
        failed(core, STORE_UNKNOWN, "Consul's answer was lost, and its head is another one now");
        return;
    }
    if (pending->mends)
        mend_end(core);
    struct submission *asked = pending->asked;
    abandon_chunks(core);
    pending_clear(core);
    requeue(core, asked);
    if (!core->primary)
        commit_role_lost(core);
}

/* --- beginning one ------------------------------------------------------------------------------------ */

static void file_chunks(struct core *core, const struct zone *file, uint64_t seq)
{
    struct pending *pending = &core->pending;
    struct store_entry *entry = store_entry_new();
    struct buf octets = {0};
    size_t before = pending->chunks.count;
    entry->at = (struct store_position){seq, core->epoch, zone_serial(file), zone_hash(file)};
    entry->difference = difference_between(NULL, file);
    store_entry_encode(entry, &octets);
    pending->head.file = seq;
    pending->head.file_serial = entry->at.serial;
    pending->head.file_hash = entry->at.hash;
    core_chunk(&pending->chunks, core_seq_key(core, "file", seq), &octets);
    pending->head.file_chunks = (unsigned)(pending->chunks.count - before);
    store_entry_free(entry);
    buf_free(&octets);
}

int commit_start(struct core *core, struct zone *zone, struct store_entry *entry, bool as_base,
                 const struct zone *file, struct err *err)
{
    struct pending *pending = &core->pending;
    struct buf octets = {0};
    *pending = (struct pending){.active = true, .zone = zone, .entry = entry, .head = core->head};
    pending->head.at = entry->at;
    if (!as_base) {
        store_entry_encode(entry, &octets);
        entry->size = octets.len;
        as_base = octets.len > STORE_CHUNK;
    }
    if (as_base) {
        octets.len = 0;
        struct store_entry whole = *entry;
        whole.prev = 0;
        whole.before = entry->prev ? (struct zone_hash){0, 0} : entry->before;
        whole.difference = difference_between(NULL, zone);
        store_entry_encode(&whole, &octets);
        if (!entry->difference)
            entry->difference = difference_ref(whole.difference);
        difference_unref(whole.difference);
        entry->size = core->base_size = octets.len;
        pending->head.base = entry->at.seq;
        core_chunk(&pending->chunks, core_seq_key(core, "base", entry->at.seq), &octets);
        pending->head.base_chunks = (unsigned)pending->chunks.count;
        buf_free(&octets);
    }
    pending->octets = octets;
    if (file)
        file_chunks(core, file, entry->at.seq);
    size_t size = (size_t)pending->chunks.count * STORE_CHUNK;
    if (pending->chunks.count)
        core->burned = entry->at.seq;
    if (size <= 2 * CORE_ZONE_MAX)
        return 0;
    pending_clear(core);
    return err_set(err,
                   "the zone is larger than Consul's KV should hold (16 MiB compressed): give it `store = "
                   "\"file\"`");
}

void commit_move_base(struct core *core)
{
    struct pending *pending = &core->pending;
    struct store_entry *base = core_base(core);
    struct buf octets = {0};
    store_entry_encode(base, &octets);
    *pending = (struct pending){.active = true, .head = core->head};
    pending->head.base = core->at.seq;
    core_chunk(&pending->chunks, core_seq_key(core, "base", core->at.seq), &octets);
    pending->head.base_chunks = (unsigned)pending->chunks.count;
    core->base_size = octets.len;
    buf_free(&octets);
    store_entry_free(base);
}

uint64_t commit_next_seq(const struct core *core, uint64_t above)
{
    uint64_t seqs[] = {core->at.seq, core->head.at.seq, core->burned};
    for (size_t i = 0; i < 3; i++)
        if (seqs[i] > above)
            above = seqs[i];
    return above + 1;
}

static struct store_entry *entry_for(const struct core *core, struct zone *zone, const char *author)
{
    struct store_entry *entry = store_entry_new();
    entry->prev = core->at.seq;
    entry->before = core->at.hash;
    entry->time = clock_real() / NS_PER_S;
    entry->difference = difference_between(core->zone, zone);
    entry->at.seq = commit_next_seq(core, 0);
    entry->at.epoch = core->epoch;
    entry->at.serial = zone_serial(zone);
    entry->at.hash = zone_hash_after(core->at.hash, entry->difference);
    snprintf(entry->author, sizeof entry->author, "%s", author);
    return entry;
}

static uint32_t floor_of(const struct core *core)
{
    return core->published && serial_is_later(core->published_serial, core->at.serial)
               ? core->published_serial
               : core->at.serial;
}

/* One change on top of version; NULL: it refused or changed nothing, and its result says which. */
static struct zone *change(struct core *core, const struct zone *version, struct submission *submission)
{
    struct zone_edit *edit = zone_edit_begin(version);
    submission->error.text[0] = 0;
    int code = submission->edit(submission->arg, edit, version, &submission->error);
    if (code) {
        zone_edit_abort(edit);
        submission->result = (struct store_result){.outcome = STORE_REFUSED, .code = code};
        return NULL;
    }
    if (!zone_edit_get(edit, core->apex, DNS_SOA)) {
        zone_edit_abort(edit);
        err_set(&submission->error, "the zone would have no SOA");
        submission->result = (struct store_result){.outcome = STORE_REFUSED};
        return NULL;
    }
    struct zone *next = zone_edit_commit(edit);
    struct difference *difference = difference_between(version, next);
    bool empty = difference_empty(difference);
    bool bad = !empty && zone_check_change(next, difference, &submission->error);
    difference_unref(difference);
    if (!empty && !bad) {
        submission->result = (struct store_result){.outcome = STORE_COMMITTED};
        return next;
    }
    zone_unref(next);
    submission->result = (struct store_result){.outcome = bad ? STORE_REFUSED : STORE_UNCHANGED};
    return NULL;
}

static struct submission *take(struct core *core)
{
    struct submission *first = core->queue;
    core->queue = first->next;
    if (!core->queue)
        core->queue_end = &core->queue;
    first->next = NULL;
    return first;
}

/* What follows health has commits of its own: a freeze does not refuse them, a rollback does not undo them.
 */
static void commit_queue(struct core *core)
{
    struct submission *asked = NULL, **end = &asked;
    struct zone *version = zone_ref(core->zone);
    const char *author = NULL;
    unsigned count = 0;
    bool health = core->queue->health;
    while (core->queue && core->queue->edit && core->queue->health == health && count++ < CHANGES_AT_ONCE) {
        struct submission *submission = take(core);
        *end = submission;
        end = &submission->next;
        struct zone *next = change(core, version, submission);
        if (!next)
            continue;
        author = author && strcmp(author, submission->author) ? "several" : submission->author;
        zone_unref(version);
        version = next;
    }
    if (version == core->zone) { /* nothing to commit */
        zone_unref(version);
        decide_all(core, asked, STORE_UNCHANGED, NULL);
        return;
    }
    struct zone_edit *edit = zone_edit_begin(version);
    merge_set_serial(edit, core->apex,
                     store_serial_next(core->at.serial, zone_serial(version), floor_of(core)));
    zone_unref(version);
    version = zone_edit_commit(edit);
    struct err err;
    if (commit_start(core, version, entry_for(core, version, author), false, NULL, &err))
        decide_all(core, asked, STORE_FAILED, err.text);
    else
        core->pending.asked = asked;
    core->pending.guarded = !health && core->pending.active;
}

/* --- imports ------------------------------------------------------------------------------------------ */

/* Is there something to import in the configuration's file? What is refused is told once. */
static void judge_file(struct core *core)
{
    struct zone *file = core->file;
    uint32_t serial = zone_serial(file), last = core->head.file_serial;
    char ours[ZONE_HASH_TEXT], theirs[ZONE_HASH_TEXT];
    core->file = NULL;
    if (core->head.file && zone_hash_equal(core->file_hash, core->head.file_hash)) {
        zone_unref(file);
        return;
    }
    if (core->head.file && !serial_is_later(serial, last)) {
        const char *what = serial == last ? "has the serial of the last imported file but other content"
                                          : "is older than the last imported file";
        snprintf(core->file_error, sizeof core->file_error,
                 "its file %s: serial %" PRIu32 " (hash %.8s) against %" PRIu32
                 " (hash %.8s); it is not imported: raise its SOA serial above %" PRIu32,
                 what, serial, zone_hash_text(core->file_hash, ours), last,
                 zone_hash_text(core->head.file_hash, theirs), last);
        core_note(core, serial == last ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, "%s", core->file_error);
        zone_unref(file);
        return;
    }
    struct submission *submission = xcalloc(1, sizeof *submission);
    submission->file = file;
    snprintf(submission->author, sizeof submission->author, "file");
    submission->next = core->queue;
    if (!core->queue)
        core->queue_end = &submission->next;
    core->queue = submission;
}

/* The new content of the zone with this file; NULL with err. */
static struct zone *import(struct core *core, struct zone *file, enum store_import_mode mode, struct err *err)
{
    if (core->head.file && mode != STORE_IMPORT_REPLACE) {
        uint32_t last = core->head.file_serial, serial = zone_serial(file);
        if (!serial_is_later(serial, last)) {
            err_set(err,
                    "the file's serial %" PRIu32 " is not above %" PRIu32
                    ", that of the last import; raise it",
                    serial, last);
            return NULL;
        }
    }
    if (!core->zone)
        return zone_ref(file);
    if (!core->last_file && mode == STORE_IMPORT_MERGE) {
        err_set(err, "the content of the last imported file is not known any more, so the new one cannot be "
                     "merged: --ours keeps the zone as it is, --replace takes the file");
        return NULL;
    }
    struct zone_edit *edit = zone_edit_begin(core->zone);
    if ((core->last_file || mode == STORE_IMPORT_REPLACE) &&
        merge_file(edit, core->zone, core->last_file, file, mode, err)) {
        zone_edit_abort(edit);
        return NULL;
    }
    if (core->hooks.health)
        core->hooks.health(core->hooks.arg, core, edit);
    merge_set_serial(edit, core->apex, store_serial_next(core->at.serial, zone_serial(file), floor_of(core)));
    struct zone *zone = zone_edit_commit(edit);
    if (!zone_check(zone, err))
        return zone;
    zone_unref(zone);
    return NULL;
}

static void forget_last_file(struct core *core)
{
    if (core->last_file)
        zone_unref(core->last_file);
    core->last_file = NULL;
    core->last_file_read = false;
}

/* What it would do, and what it would if it replaced the zone. */
static void preview_import(struct core *core, struct submission *submission)
{
    struct err err;
    struct zone *merged = import(core, submission->file, STORE_IMPORT_MERGE, &submission->error);
    struct zone *replaced = import(core, submission->file, STORE_IMPORT_REPLACE, &err);
    if (merged)
        submission->merge = difference_between(core->zone, merged);
    if (replaced)
        submission->replace = difference_between(core->zone, replaced);
    forget_last_file(core);
    decide(core, submission, merged ? STORE_UNCHANGED : STORE_REFUSED,
           merged ? NULL : submission->error.text);
    if (merged)
        zone_unref(merged);
    if (replaced)
        zone_unref(replaced);
}

static void commit_import(struct core *core)
{
    struct submission *submission = core->queue;
    if (!core->zone && !core->looked) { /* is it new, or has KV lost it? mend_reply goes on */
        core_send(core, READING_LOST, core_request(KV_TREE, xasprintf("recover/%s/", core->name)));
        return;
    }
    if (core->head.file && !core->last_file_read && submission->mode != STORE_IMPORT_REPLACE) {
        char *key = core_seq_key(core, "file", core->head.file);
        core_send(core, READING_FILE, core_request(KV_TREE, xasprintf("%s/", key)));
        free(key);
        return;
    }
    take(core);
    if (submission->previewed) {
        preview_import(core, submission);
        return;
    }
    bool fresh = !core->zone;
    uint32_t serial = zone_serial(submission->file);
    struct zone *file = zone_ref(submission->file),
                *zone = import(core, file, submission->mode, &submission->error);
    forget_last_file(core);
    int result = -1;
    if (zone) {
        struct store_entry *entry = entry_for(core, zone, submission->author);
        if (fresh) {
            entry->at.hash = zone_hash(zone);
            entry->before = STORE_ROOT;
        }
        result = commit_start(core, zone, entry, fresh, file, &submission->error);
    }
    zone_unref(file);
    if (!result) {
        core->pending.asked = submission;
        core->pending.guarded = true;
        return;
    }
    if (submission->done) { /* who asked is told; the configuration's file is nobody's, so it is shown */
        decide(core, submission, STORE_REFUSED, submission->error.text);
        return;
    }
    snprintf(core->file_error, sizeof core->file_error,
             "its file, serial %" PRIu32 ", is not imported: %.400s", serial, submission->error.text);
    core_note(core, LOG_LEVEL_ERROR, "%s", core->file_error);
    decide(core, submission, STORE_REFUSED, submission->error.text);
}

void commit_file_reply(struct core *core, const struct kv_reply *reply)
{
    struct err err;
    if (reply->status != 200 && reply->status != 404) {
        core_back_off(core, reply, "reading the last imported file");
        return;
    }
    core_works(core);
    struct store_entry *entry =
        reply->status == 200 ? core_join_entry(reply->entries, reply->count, &err) : NULL;
    core->last_file = entry ? core_apply(core, NULL, entry->difference, &err) : NULL;
    core->last_file_read = true;
    store_entry_free(entry);
}

/* --- `file` zones: a head alone ----------------------------------------------------------------------- */

static bool commit_head_only(struct core *core)
{
    bool newer = core->zone && (!core->head_exists || serial_is_later(core->at.serial, core->head.at.serial));
    if (!newer)
        return false;
    core->pending = (struct pending){.active = true};
    core->pending.head.at = core->at;
    core->pending.head.at.seq = core->head.at.seq + 1;
    core->pending.head.at.epoch = core->epoch;
    return true;
}

/* Goes on with a commit, or begins one; false: there is nothing to do. */
bool commit_step(struct core *core)
{
    struct pending *pending = &core->pending;
    if (!pending->active && !core->kv && !commit_head_only(core))
        return false;
    if (!pending->active && core->kv) {
        if (core->frozen[0] && core->queue) {
            struct submission *queue = core->queue;
            core->queue = NULL;
            core->queue_end = &core->queue;
            refuse_frozen(core, queue);
        }
        if (core->file && !core->frozen[0])
            judge_file(core);
        while (core->queue && !core->pending.active && core->doing == IDLE) {
            if (!core->queue->edit)
                commit_import(core);
            else if (core->zone)
                commit_queue(core);
            else
                decide(core, take(core), STORE_FAILED, "the zone has no content yet");
        }
        if (core->doing != IDLE)
            return true;
        if (!pending->active)
            return false;
    }
    if (!core->primary) {
        failed(core, pending->unknown ? STORE_UNKNOWN : STORE_NOT_PRIMARY, "this instance lost the role");
        return false;
    }
    if (pending->chunks.next < pending->chunks.count)
        send_chunk(core);
    else
        send_commit(core);
    return true;
}
