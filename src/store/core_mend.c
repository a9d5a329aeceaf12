/* Rewinds: what mirrors have and KV has lost goes to recover/, and the primary puts it back as one new
 * commit, as a base that covers the positions that it contains. */
#include "store/core_body.h"

#include "lictor/xalloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITE_AGAIN (60 * NS_PER_S)

void mend_notice(struct core *core, const char *why)
{
    if (core->rewound)
        return;
    core->rewound = true;
    core->mend_at = core->now + CORE_MEND_AFTER;
    core->counters.rewinds++;
    core_note(core, LOG_LEVEL_WARN, "rewind: %s%s", why,
              core->primary ? "; no commits until it is mended, in 5 s" : "");
}

void mend_end(struct core *core)
{
    for (size_t i = 0; i < core->found_count; i++)
        store_entry_free(core->found[i]);
    free(core->found);
    core->found = NULL;
    core->found_count = 0;
    for (size_t i = 0; i < core->lost_key_count; i++)
        free(core->lost_keys[i]);
    free(core->lost_keys);
    core->lost_keys = NULL;
    core->lost_key_count = 0;
    core->lost_read = false;
}

/* --- writing what is lost ----------------------------------------------------------------------------- */

/* Where in the log the entries after this seq begin; log_count if they do not reach back to it. */
static size_t first_after(const struct core *core, uint64_t seq)
{
    size_t first = core->log_count;
    while (first && core->log[first - 1]->at.seq > seq)
        first--;
    bool connected = first < core->log_count && seq && core->log[first]->prev <= seq;
    return connected ? first : core->log_count;
}

/* The whole zone, where single commits are not known. */
static struct store_entry *whole(const struct core *core)
{
    struct store_entry *base = core_base(core);
    snprintf(base->author, sizeof base->author, "mirror");
    return base;
}

static void collect_lost(struct core *core, bool beyond)
{
    struct buf set = {0};
    core_chunks_free(&core->lost);
    store_set_begin(&set);
    for (size_t i = 0; i < core->aside_count; i++)
        store_set_add(&set, core->aside[i]);
    size_t first = beyond ? first_after(core, core->head.at.seq) : core->log_count;
    for (size_t i = first; i < core->log_count; i++)
        store_set_add(&set, core->log[i]);
    if (beyond && first == core->log_count) {
        struct store_entry *base = whole(core);
        store_set_add(&set, base);
        store_entry_free(base);
    }
    core_chunk(&core->lost, xasprintf("recover/%s/%s/%016" PRIx64, core->name, core->instance, core->at.seq),
               &set);
    buf_free(&set);
}

/* Once more when the head has changed, and each minute: another restore may have taken them away again. */
bool mend_write_lost(struct core *core)
{
    bool beyond = core_relation(core) == CORE_REWOUND;
    if (!beyond && !core->aside_count)
        return false;
    uint64_t after = beyond ? core->head.at.seq : UINT64_MAX;
    bool same = store_position_equal(&core->lost_written.at, &core->at) &&
                core->lost_written.after == after && core->lost_written.head_index == core->head_index &&
                core->lost_written.aside_count == core->aside_count && core->now < core->lost_written.again;
    if (!same) {
        collect_lost(core, beyond);
        core->lost_written.at = core->at;
        core->lost_written.after = after;
        core->lost_written.head_index = core->head_index;
        core->lost_written.aside_count = core->aside_count;
        core->lost_written.again = core->now + WRITE_AGAIN;
    }
    if (core->lost.next >= core->lost.count)
        return false;
    /* One chunk may fill a transaction: 256 KiB are 342 KiB as base64, of 512. */
    struct kv_request *request = core_request(KV_TXN, NULL);
    struct chunk *chunk = &core->lost.items[core->lost.next];
    struct kv_op *op = core_op(request, KV_SET, xstrdup(chunk->key));
    buf_append(&op->value, chunk->value.data, chunk->value.len);
    core_send(core, WRITING_LOST, request);
    return true;
}

static void put_aside(struct core *core, struct store_entry *entry)
{
    core->aside = xrealloc(core->aside, (core->aside_count + 1) * sizeof(*core->aside));
    core->aside[core->aside_count++] = entry;
}

void mend_set_aside(struct core *core, uint64_t common)
{
    size_t first = first_after(core, common);
    if (first == core->log_count)
        put_aside(core, whole(core));
    for (size_t i = first; i < core->log_count; i++) {
        core->log_size -= core->log[i]->size;
        put_aside(core, core->log[i]);
    }
    core->log_count = first;
}

void mend_covered(struct core *core,
                  bool (*is_covered)(const struct core *core, const struct store_position *position))
{
    size_t kept = 0;
    for (size_t i = 0; i < core->aside_count; i++)
        if (is_covered(core, &core->aside[i]->at))
            store_entry_free(core->aside[i]);
        else
            core->aside[kept++] = core->aside[i];
    core->aside_count = kept;
}

/* --- putting it back ---------------------------------------------------------------------------------- */

static int by_age(const void *a, const void *b)
{
    const struct store_entry *x = *(struct store_entry *const *)a, *y = *(struct store_entry *const *)b;
    if (!x->prev != !y->prev) /* whole zones first: what only an empty instance is left to build on */
        return !x->prev ? -1 : 1;
    if (x->at.epoch != y->at.epoch)
        return x->at.epoch < y->at.epoch ? -1 : 1;
    return (x->at.seq > y->at.seq) - (x->at.seq < y->at.seq);
}

bool mend_has(const struct core *core, const struct store_position *position)
{
    if (store_position_equal(&core->at, position))
        return true;
    for (size_t i = 0; i < core->log_count; i++) {
        const struct store_entry *entry = core->log[i];
        if (store_position_equal(&entry->at, position))
            return true;
        for (size_t k = 0; k < entry->cover_count; k++)
            if (store_position_equal(&entry->covers[k], position))
                return true;
    }
    return false;
}

/* The chunks of one entry follow each other in the tree. */
static void gather(struct core *core, const struct kv_reply *reply)
{
    mend_end(core);
    core->lost_keys = xcalloc(reply->count + 1, sizeof(*core->lost_keys));
    for (size_t i = 0, end; i < reply->count; i = end) {
        const char *key = reply->entries[i].key, *slash = strrchr(key, '/');
        size_t prefix = slash ? (size_t)(slash - key) + 1 : strlen(key);
        struct err err;
        for (end = i; end < reply->count && !strncmp(reply->entries[end].key, key, prefix); end++)
            core->lost_keys[core->lost_key_count++] = xstrdup(reply->entries[end].key);
        struct buf set = {0};
        if (core_join(reply->entries + i, end - i, &set, &err) ||
            store_set_parse(&set, &core->found, &core->found_count, &err))
            core_note(core, LOG_LEVEL_WARN, "%s: cannot be put back yet: %s", key, err.text);
        buf_free(&set);
    }
    if (core->found_count)
        qsort(core->found, core->found_count, sizeof(*core->found), by_age);
    core->lost_read = true;
}

/* One of the lost commits on top of zone (NULL: none); NULL with err if it cannot be. A whole zone has no
 * known version in common with this one: then nothing is removed, so that a name that was deleted may come
 * back, but none is lost. */
static struct zone *put_back_one(struct core *core, const struct zone *zone, const struct store_entry *entry,
                                 struct err *err)
{
    if (!zone && entry->prev) {
        err_set(err, "there is no zone to apply it to");
        return NULL;
    }
    if (!zone)
        return core_apply(core, NULL, entry->difference, err);
    struct zone_edit *edit = zone_edit_begin(zone);
    if (merge_leniently(edit, entry->difference, err))
        core_note(core, LOG_LEVEL_ERROR, "of the lost commit %016" PRIx64 " this could not be put back: %s",
                  entry->at.seq, err->text);
    struct zone *next = zone_edit_commit(edit);
    if (!zone_check(next, err))
        return next;
    zone_unref(next);
    return NULL;
}

/* Says that what this commit contains includes that one: whoever has it need not keep it aside. */
static void cover(struct store_entry *commit, const struct store_position *position)
{
    if (commit->cover_count == STORE_COVERS || !position->seq)
        return;
    if (!commit->covers)
        commit->covers = xcalloc(STORE_COVERS, sizeof *commit->covers);
    commit->covers[commit->cover_count++] = *position;
}

/* All of this mirror's past, the newest first: the entries that lead there may be gone from KV, and a mirror
 * that has something else on top of one of them must find that point again. */
static void cover_past(const struct core *core, struct store_entry *commit)
{
    cover(commit, &core->at);
    for (size_t i = core->log_count; i-- > 0;) {
        const struct store_entry *entry = core->log[i];
        cover(commit, &entry->at);
        for (size_t k = 0; k < entry->cover_count; k++)
            cover(commit, &entry->covers[k]);
        cover(commit, &(struct store_position){.seq = entry->prev, .hash = entry->before});
    }
}

/* The zone with all that was found; raises what the new commit must lie above. Returns one reference, or
 * NULL. */
static struct zone *put_back(struct core *core, struct store_entry *commit, uint32_t *floor, uint64_t *seq)
{
    struct zone *zone = core->zone ? zone_ref(core->zone) : NULL;
    for (size_t i = 0; i < core->found_count; i++) {
        const struct store_entry *entry = core->found[i];
        struct err err = {""};
        if (entry->at.seq > *seq)
            *seq = entry->at.seq;
        if (!*floor || serial_is_later(entry->at.serial, *floor))
            *floor = entry->at.serial;
        bool again = i && store_position_equal(&core->found[i - 1]->at, &entry->at);
        if (again)
            continue;
        if (mend_has(core, &entry->at)) {
            cover(commit, &entry->at);
            continue;
        }
        struct zone *next = put_back_one(core, zone, entry, &err);
        if (!next) {
            core_note(core, LOG_LEVEL_ERROR, "the lost commit %016" PRIx64 " cannot be put back: %s",
                      entry->at.seq, err.text);
            continue;
        }
        if (zone)
            zone_unref(zone);
        zone = next;
        cover(commit, &entry->at);
        core->counters.recovered++;
    }
    if (core_relation(core) != CORE_CURRENT) /* else it continues the log, which says so */
        cover_past(core, commit);
    return zone;
}

void mend_forget_covered(struct core *core)
{
    size_t before = core->aside_count;
    mend_covered(core, mend_has);
    if (core->aside_count < before)
        core_save(core, NULL, NULL);
}

void mend_done(struct core *core)
{
    for (size_t i = 0; i < core->lost_key_count; i++)
        keep_garbage(core, core->lost_keys[i]);
    core->lost_key_count = 0;
    mend_end(core);
    core->rewound = false;
    mend_forget_covered(core);
}

static void commit_mended(struct core *core)
{
    struct store_entry *commit = store_entry_new();
    uint32_t floor = core->published ? core->published_serial : core->zone ? core->at.serial : 0;
    uint64_t seq = 0;
    struct zone *zone = put_back(core, commit, &floor, &seq);
    bool current = core_relation(core) == CORE_CURRENT;
    /* What was found is covered by a commit even if all of it is here already: who has put it there waits for
     * that. */
    if (!zone || (current && !core->found_count)) {
        if (zone)
            zone_unref(zone);
        store_entry_free(commit);
        mend_done(core);
        return;
    }
    uint32_t serial = zone_serial(zone);
    struct zone_edit *edit = zone_edit_begin(zone);
    merge_set_serial(edit, core->apex, store_serial_next(serial, serial, floor ? floor : serial));
    zone_unref(zone);
    zone = zone_edit_commit(edit);
    snprintf(commit->author, sizeof commit->author, "rewind");
    commit->time = clock_real() / NS_PER_S;
    if (current) { /* it continues the log */
        commit->prev = core->at.seq;
        commit->before = core->at.hash;
        commit->difference = difference_between(core->zone, zone);
    }
    commit->at =
        (struct store_position){commit_next_seq(core, seq), core->epoch, zone_serial(zone), zone_hash(zone)};
    struct err err;
    if (commit_start(core, zone, commit, !current, NULL, &err)) {
        core_back_off(core, &(struct kv_reply){.error = err.text}, "putting back what was lost");
        mend_end(core);
        return;
    }
    core->pending.mends = true;
}

bool mend_step(struct core *core)
{
    if (core->now < core->mend_at)
        return true;
    if (!core->lost_read) {
        core_send(core, READING_LOST, core_request(KV_TREE, xasprintf("recover/%s/", core->name)));
        return true;
    }
    commit_mended(core);
    core_step(core);
    return true;
}

void mend_reply(struct core *core, const struct kv_reply *reply)
{
    enum doing doing = core->doing;
    core->doing = IDLE;
    if (doing == WRITING_LOST && reply->status == 200) {
        core_works(core);
        core->lost.next++;
        if (core->lost.next < core->lost.count)
            return;
        core_chunks_free(&core->lost);
        core_note(core, LOG_LEVEL_WARN, "rewind: what Consul's KV has lost is written to recover/");
    } else if (doing == READING_LOST && (reply->status == 200 || reply->status == 404)) {
        core_works(core);
        gather(core, reply->status == 200 ? reply : &(struct kv_reply){.status = 404});
        if (core->rewound)
            return;
        core->looked = true;
        if (core->found_count) {
            mend_notice(core, "Consul's KV has lost it, and others still have it");
            core->mend_at = core->now;
        } else {
            mend_end(core);
        }
    } else {
        core_back_off(core, reply, doing == WRITING_LOST ? "writing to recover/" : "reading recover/");
    }
}
