/* Following the head: entry by entry, or, where those do not connect, the base and the whole log anew. */
#include "store/core_body.h"

#include "lictor/xalloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Entries asked for at once: each has up to 256 KiB, a third more as base64. */
#define AT_ONCE 16

/* A mirror that is behind by no more goes on entry by entry. To begin anew at 17 would never end under steady
 * changes: while the base and its log are read, more than that are committed. */
#define FOLLOW_MAX 4096

static void get_entry(struct core *core, struct kv_request *request, uint64_t seq)
{
    core_op(request, KV_GET, core_seq_key(core, "log", seq));
}

/* --- entry by entry --------------------------------------------------------------------------------- */

/* Applies one that continues the mirror. Takes over the entry if it does. */
static int follow_entry(struct core *core, struct store_entry *entry, const struct buf *octets,
                        struct err *err)
{
    if (entry->prev != core->at.seq || !zone_hash_equal(entry->before, core->at.hash))
        return err_set(err, "entry %016" PRIx64 " does not continue this mirror", entry->at.seq);
    struct zone *zone = core_apply(core, core->zone, entry->difference, err);
    if (!zone)
        return -1;
    if (!zone_hash_equal(zone_hash_after(core->at.hash, entry->difference), entry->at.hash)) {
        zone_unref(zone);
        return err_set(err, "entry %016" PRIx64 " leads to another hash than it says", entry->at.seq);
    }
    core_continue(core->zone, zone, entry->difference);
    core_adopt(core, zone, &entry->at);
    core->counters.entries_read++;
    core_log_add(core, entry);
    core_save(core, entry, octets);
    mend_forget_covered(core);
    core_publish(core);
    return 0;
}

static void follow_entries(struct core *core, const struct kv_reply *reply)
{
    struct err err;
    for (size_t i = 0; i < reply->count; i++) {
        const struct consul_kv *kv = &reply->entries[i];
        struct store_entry *entry = store_entry_parse(kv->value.data, kv->value.len, &err);
        if (entry && !follow_entry(core, entry, &kv->value, &err))
            continue;
        store_entry_free(entry);
        core_note(core, LOG_LEVEL_INFO, "%s: reading it anew", err.text);
        reload_start(core);
        return;
    }
    core_works(core);
}

/* --- reload ----------------------------------------------------------------------------------------- */

void reload_start(struct core *core)
{
    reload_end(core);
    core->reload.active = true;
    core->reload.target = core->head;
}

void reload_end(struct core *core)
{
    struct reload *reload = &core->reload;
    store_entry_free(reload->base);
    for (size_t i = 0; i < reload->entry_count; i++)
        store_entry_free(reload->entries[i]);
    free(reload->entries);
    free(reload->seqs);
    *reload = (struct reload){0};
}

/* What was there a moment ago is not, or is damaged: look at the head again, after a while. */
static void reload_failed(struct core *core, const struct kv_reply *reply, const char *why)
{
    struct kv_reply told = *reply;
    told.error = why;
    core_back_off(core, &told, "reading the zone from Consul's KV");
    reload_end(core);
    core->head_doubted = true;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void listed(struct core *core, const struct kv_reply *reply)
{
    struct reload *reload = &core->reload;
    reload->seqs = xcalloc(reply->count + 1, sizeof *reload->seqs);
    for (size_t i = 0; i < reply->count; i++) {
        uint64_t seq;
        unsigned chunk;
        if (!store_key_numbers(reply->entries[i].key, false, &seq, &chunk) && seq <= reload->target.at.seq)
            reload->seqs[reload->seq_count++] = seq;
    }
    qsort(reload->seqs, reload->seq_count, sizeof *reload->seqs, by_number);
    reload->entries = xcalloc(reload->seq_count + 1, sizeof(*reload->entries));
}

static bool entry_names(const struct store_entry *entry, const struct store_position *position)
{
    struct store_position before = {.seq = entry->prev, .hash = entry->before};
    if (store_position_equal(&entry->at, position) ||
        (entry->prev && store_position_equal(&before, position)))
        return true;
    for (size_t i = 0; i < entry->cover_count; i++)
        if (store_position_equal(&entry->covers[i], position))
            return true;
    return false;
}

/* Is this position in the past of the base or of an entry after it? */
static bool is_point(const struct reload *reload, const struct store_position *position)
{
    bool found = reload->base && entry_names(reload->base, position);
    for (size_t i = 0; i < reload->entry_count && !found; i++)
        found = entry_names(reload->entries[i], position);
    return found;
}

/* Drops entries that do not lead to the base: a base that was put in place of a head that nobody could read
 * leaves the log behind it as it was. */
static void keep_lineage(struct reload *reload)
{
    size_t kept = reload->entry_count;
    for (size_t i = reload->entry_count; i-- > 0;) {
        struct store_entry *entry = reload->entries[i];
        bool leads = entry->at.seq > reload->base->at.seq || entry_names(reload->base, &entry->at);
        for (size_t k = kept; k < reload->entry_count && !leads; k++)
            leads = entry_names(reload->entries[k], &entry->at);
        if (leads)
            reload->entries[--kept] = entry;
        else
            store_entry_free(entry);
    }
    reload->entry_count -= kept;
    memmove(reload->entries, reload->entries + kept, reload->entry_count * sizeof(*reload->entries));
}

/* The oldest seq that an entry says something of. */
static uint64_t oldest_of(const struct store_entry *entry)
{
    uint64_t oldest = entry->at.seq;
    for (size_t i = 0; i < entry->cover_count; i++)
        if (entry->covers[i].seq < oldest)
            oldest = entry->covers[i].seq;
    return oldest;
}

/* The seq after which this mirror's entries are not in KV's past: that of the newest that is, or, if none is
 * known, the oldest that KV still has (then what is older was compacted, not lost; unless its epoch is above
 * that of the oldest: along one past epochs never fall, so it is of another). */
static uint64_t common_seq(const struct core *core)
{
    const struct reload *reload = &core->reload;
    if (!core->at.seq || is_point(reload, &core->at))
        return UINT64_MAX;
    for (size_t i = core->log_count; i-- > 0;) {
        struct store_position before = {.seq = core->log[i]->prev, .hash = core->log[i]->before};
        if (is_point(reload, &core->log[i]->at))
            return core->log[i]->at.seq;
        if (is_point(reload, &before))
            return before.seq;
    }
    if (zone_hash_equal(reload->base->before, STORE_ROOT))
        return 0;
    uint64_t oldest = oldest_of(reload->base), epoch = reload->base->at.epoch;
    for (size_t i = 0; i < reload->entry_count; i++) { /* in ascending order */
        if (oldest_of(reload->entries[i]) < oldest)
            oldest = oldest_of(reload->entries[i]);
        if (!i && reload->entries[i]->at.epoch < epoch)
            epoch = reload->entries[i]->at.epoch;
    }
    return core->at.seq < oldest && core->at.epoch > epoch ? 0 : oldest - 1;
}

/* The zone at the target: the base and what of the log follows it. */
static struct zone *rebuild(const struct core *core, struct store_position *at, struct err *err)
{
    const struct reload *reload = &core->reload;
    struct zone *zone = core_apply(core, NULL, reload->base->difference, err);
    if (!zone)
        return NULL;
    *at = reload->base->at;
    bool good = zone_hash_equal(zone_hash(zone), at->hash);
    if (!good)
        err_set(err, "the base has another hash than it says");
    for (size_t i = 0; good && i < reload->entry_count; i++) {
        const struct store_entry *entry = reload->entries[i];
        if (entry->at.seq <= reload->base->at.seq)
            continue;
        good = entry->prev == at->seq && zone_hash_equal(entry->before, at->hash);
        if (!good) {
            err_set(err, "entry %016" PRIx64 " does not continue the one before", entry->at.seq);
            break;
        }
        struct zone *next = core_apply(core, zone, entry->difference, err);
        good = next && zone_hash_equal(zone_hash_after(at->hash, entry->difference), entry->at.hash);
        if (next && !good)
            err_set(err, "entry %016" PRIx64 " leads to another hash than it says", entry->at.seq);
        if (good)
            core_continue(zone, next, entry->difference);
        if (next) {
            zone_unref(zone);
            zone = next;
        }
        *at = entry->at;
    }
    if (good && !store_position_equal(at, &reload->target.at)) {
        err_set(err, "its log ends at %016" PRIx64 ", its head is %016" PRIx64, at->seq,
                reload->target.at.seq);
        good = false;
    }
    if (good)
        return zone;
    zone_unref(zone);
    return NULL;
}

/* A base that was committed whole has no entry that leads to it. For secondaries and the history this mirror
 * makes its own, from what it had. NULL: the log in KV tells more. */
static struct store_entry *jump_to(const struct core *core, struct zone *zone,
                                   const struct store_position *at)
{
    const struct store_entry *base = core->reload.base;
    if (!core->zone || base->at.seq != at->seq || !serial_is_later(at->serial, core->at.serial))
        return NULL;
    struct store_entry *entry = store_entry_new();
    *entry = *base;
    entry->prev = core->at.seq;
    entry->before = core->at.hash;
    entry->covers =
        base->cover_count ? xmemdup(base->covers, base->cover_count * sizeof *base->covers) : NULL;
    entry->difference = difference_between(core->zone, zone);
    entry->size = difference_size(entry->difference);
    return entry;
}

static void take_log(struct core *core)
{
    struct reload *reload = &core->reload;
    for (size_t i = 0; i < core->log_count; i++)
        store_entry_free(core->log[i]);
    core->log_count = core->log_size = 0;
    for (size_t i = 0; i < reload->entry_count; i++)
        core_log_add(core, reload->entries[i]);
    reload->entry_count = 0;
}

static bool is_known(const struct core *core, const struct store_position *position)
{
    return is_point(&core->reload, position);
}

static void reload_finish(struct core *core, const struct kv_reply *reply)
{
    struct reload *reload = &core->reload;
    struct err err;
    struct store_position at;
    keep_lineage(reload);
    struct zone *zone = rebuild(core, &at, &err);
    if (!zone) {
        if (!core->broken_since)
            core->broken_since = core->now;
        reload_failed(core, reply, err.text);
        return;
    }
    uint64_t common = common_seq(core);
    if (common != UINT64_MAX && core->at.seq > common) {
        mend_notice(core, "this mirror has changes that are not in Consul's KV");
        mend_set_aside(core, common);
    }
    core->counters.bases_read++;
    core->base_size = reload->base->size;
    mend_covered(core, is_known);
    /* Of a mirror that is not in KV's past the log would claim commits that this zone does not contain. */
    struct store_entry *jump = common == UINT64_MAX ? jump_to(core, zone, &at) : NULL;
    if (jump)
        core_continue(core->zone, zone, jump->difference);
    core_adopt(core, zone, &at);
    if (jump)
        core_log_add(core, jump);
    else
        take_log(core);
    reload_end(core);
    core_works(core);
    core_note(core, LOG_LEVEL_INFO, "read from Consul's KV: serial %" PRIu32 ", %zu records", at.serial,
              zone_records(core->zone));
    core_save(core, NULL, NULL);
    core_publish(core);
    core_step(core); /* it is current now */
}

/* --- steps ------------------------------------------------------------------------------------------ */

void follow_step(struct core *core)
{
    struct reload *reload = &core->reload;
    uint64_t gap = core->head.at.seq - core->at.seq; /* huge for a head that fell */
    if (!reload->active && core->at.seq && gap && gap <= FOLLOW_MAX) {
        struct kv_request *request = core_request(KV_TXN, NULL);
        uint64_t last = core->at.seq + (gap < AT_ONCE ? gap : AT_ONCE);
        for (uint64_t seq = core->at.seq + 1; seq <= last; seq++)
            get_entry(core, request, seq);
        core_send(core, FOLLOWING, request);
        return;
    }
    if (!reload->active)
        reload_start(core);
    if (!reload->seqs) {
        core_send(core, LISTING, core_request(KV_KEYS, xasprintf("zones/%s/log/", core->name)));
    } else if (!reload->base) {
        char *key = core_seq_key(core, "base", reload->target.base);
        core_send(core, READING_BASE, core_request(KV_TREE, xasprintf("%s/", key)));
        free(key);
    } else if (reload->next < reload->seq_count) {
        struct kv_request *request = core_request(KV_TXN, NULL);
        for (size_t i = reload->next; i < reload->seq_count && i < reload->next + AT_ONCE; i++)
            get_entry(core, request, reload->seqs[i]);
        core_send(core, READING_LOG, request);
    } else {
        reload_finish(core, &(struct kv_reply){.status = 200});
    }
}

static void log_read(struct core *core, const struct kv_reply *reply)
{
    struct reload *reload = &core->reload;
    struct err err;
    for (size_t i = 0; i < reply->count && reload->next < reload->seq_count; i++, reload->next++) {
        const struct buf *value = &reply->entries[i].value;
        struct store_entry *entry = store_entry_parse(value->data, value->len, &err);
        bool newer = reload->seqs[reload->next] > reload->base->at.seq;
        if (entry)
            reload->entries[reload->entry_count++] = entry;
        else if (newer) {
            if (!core->broken_since)
                core->broken_since = core->now;
            reload_failed(core, reply, err.text);
            return;
        } /* damage in what is history costs history */
    }
    if (reload->next == reload->seq_count)
        reload_finish(core, reply);
}

void follow_reply(struct core *core, const struct kv_reply *reply)
{
    enum doing doing = core->doing;
    struct err err;
    core->doing = IDLE;
    if (doing == FOLLOWING && reply->status == 409) { /* compacted, or its head lies beyond a jump */
        reload_start(core);
    } else if (doing == LISTING && reply->status == 404) {
        listed(core, &(struct kv_reply){.status = 404});
    } else if (reply->status == 409 || reply->status == 404) { /* compacted meanwhile */
        reload_failed(core, reply, "keys went away while they were read");
        if (reply->status == 404 && doing == READING_BASE && !core->broken_since)
            core->broken_since = core->now;
    } else if (reply->status != 200) {
        core_back_off(core, reply, "reading Consul's KV");
    } else if (doing == FOLLOWING) {
        follow_entries(core, reply);
    } else if (doing == LISTING) {
        listed(core, reply);
    } else if (doing == READING_BASE) {
        core->reload.base = core_join_entry(reply->entries, reply->count, &err);
        if (!core->reload.base) {
            if (!core->broken_since)
                core->broken_since = core->now;
            reload_failed(core, reply, err.text);
        }
    } else {
        log_read(core, reply);
    }
}
