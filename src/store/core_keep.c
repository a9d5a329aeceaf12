/* Keeping KV and the log small: the base moves when the log behind it has grown; entries of the past stay for
 * a day, or as long as they are few; what no head leads to is removed. */
#include "store/core_body.h"

#include "lictor/xalloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TRIM_INTERVAL (60 * NS_PER_S)
#define AT_ONCE       62 /* deletions; a transaction has at most 64 operations */

size_t keep_limit(const struct core *core)
{
    return core->base_size / 2 > CORE_LOG_MIN ? core->base_size / 2 : CORE_LOG_MIN;
}

void keep_garbage(struct core *core, char *key)
{
    core->garbage = xrealloc(core->garbage, (core->garbage_count + 1) * sizeof *core->garbage);
    core->garbage[core->garbage_count++] = key;
}

void keep_garbage_chunks(struct core *core, const char *kind, uint64_t seq, unsigned count)
{
    char *prefix = core_seq_key(core, kind, seq);
    for (unsigned i = 0; i < count; i++)
        keep_garbage(core, xasprintf("%s/%04u", prefix, i));
    free(prefix);
}

/* Drops what need not be kept any more, from this mirror's log and (as the primary) from KV's. */
void keep_trim(struct core *core)
{
    if (core->now < core->trim_at)
        return;
    core->trim_at = core->now + TRIM_INTERVAL;
    int64_t now = clock_real() / NS_PER_S;
    size_t limit = keep_limit(core), drop = 0, size = core->log_size;
    for (; drop < core->log_count; drop++) {
        const struct store_entry *entry = core->log[drop];
        bool old = entry->time + CORE_KEEP / NS_PER_S < now;
        if (entry->at.seq > core->head.base || (!old && size <= limit))
            break;
        size -= entry->size;
        if (core->primary)
            keep_garbage(core, core_seq_key(core, "log", entry->at.seq));
    }
    for (size_t i = 0; i < drop; i++)
        store_entry_free(core->log[i]);
    if (drop)
        memmove(core->log, core->log + drop, (core->log_count - drop) * sizeof(*core->log));
    core->log_count -= drop;
    core->log_size = size;
}

static size_t behind_base(const struct core *core)
{
    size_t size = 0;
    for (size_t i = core->log_count; i-- > 0 && core->log[i]->at.seq > core->head.base;)
        size += core->log[i]->size;
    return size;
}

static bool in_log(const struct core *core, uint64_t seq)
{
    for (size_t i = 0; i < core->log_count; i++)
        if (core->log[i]->at.seq == seq)
            return true;
    return false;
}

/* Is this key of the zone one that nothing leads to? */
static bool left_over(const struct core *core, const char *key)
{
    uint64_t seq;
    unsigned chunk;
    const char *kind = key + strlen("zones/") + strlen(core->name) + 1;
    if (!strncmp(kind, "log/", 4))
        return !store_key_numbers(key, false, &seq, &chunk) && !in_log(core, seq) &&
               (seq <= core->head.base || seq > core->head.at.seq);
    if (store_key_numbers(key, true, &seq, &chunk))
        return false; /* not one of ours */
    if (!strncmp(kind, "base/", 5))
        return seq != core->head.base;
    return !strncmp(kind, "file/", 5) && seq != core->head.file;
}

/* What was noted may have become valid since: a commit that failed is tried again under the same seq. */
static void forget_valid(struct core *core)
{
    size_t kept = 0;
    for (size_t i = 0; i < core->garbage_count; i++)
        if (strncmp(core->garbage[i], "zones/", 6) || left_over(core, core->garbage[i]))
            core->garbage[kept++] = core->garbage[i];
        else
            free(core->garbage[i]);
    core->garbage_count = kept;
}

static void send_deletions(struct core *core)
{
    struct kv_request *request = core_request(KV_TXN, NULL);
    core_check_session(request);
    core_check_head(core, request); /* that they are left over was judged by this head */
    for (size_t i = 0; i < core->garbage_count && i < AT_ONCE; i++)
        core_op(request, KV_DELETE, xstrdup(core->garbage[i]));
    core_send(core, DELETING, request);
}

bool keep_step(struct core *core)
{
    if (!core->kv || !core->head_exists)
        return false;
    if (!core->swept) {
        core_send(core, LISTING_ALL, core_request(KV_KEYS, xasprintf("zones/%s/", core->name)));
        return true;
    }
    keep_trim(core);
    forget_valid(core);
    if (core->garbage_count) {
        send_deletions(core);
        return true;
    }
    if (core->zone && core->head.base != core->at.seq && behind_base(core) > keep_limit(core)) {
        commit_move_base(core);
        return commit_step(core);
    }
    return false;
}

static void drop_garbage(struct core *core, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(core->garbage[i]);
    if (count)
        memmove(core->garbage, core->garbage + count, (core->garbage_count - count) * sizeof *core->garbage);
    core->garbage_count -= count;
}

void keep_reply(struct core *core, const struct kv_reply *reply)
{
    enum doing doing = core->doing;
    core->doing = IDLE;
    if (doing == LISTING_ALL && (reply->status == 200 || reply->status == 404)) {
        core_works(core);
        core->swept = true;
        /* What is still noted from an earlier reign may have become valid since: this list is newer. */
        drop_garbage(core, core->garbage_count);
        for (size_t i = 0; reply->status == 200 && i < reply->count; i++)
            if (left_over(core, reply->entries[i].key))
                keep_garbage(core, xstrdup(reply->entries[i].key));
    } else if (doing == DELETING && reply->status == 200) {
        core_works(core);
        drop_garbage(core, core->garbage_count < AT_ONCE ? core->garbage_count : AT_ONCE);
    } else if (doing == DELETING && reply->status == 409) {
        core->head_doubted = true; /* not the primary any more, it seems */
        core_back_off(core, reply, "removing what is left over");
    } else {
        core_back_off(core, reply,
                      doing == LISTING_ALL ? "listing the zone's keys" : "removing what is left over");
    }
}
