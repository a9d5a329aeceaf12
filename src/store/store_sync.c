/* The file of syncs in `state-dir`. It may be some seconds older than the truth: then a mirror expires so
 * much earlier. */
#include "store/store_body.h"
#include "store/sync.h"

#include "lictor/log.h"
#include "lictor/statefile.h"
#include "lictor/xalloc.h"

#include <stdlib.h>

#define KIND    "zone-sync"
#define VERSION 1

void store_sync_load(struct store *store)
{
    struct buf data = {0};
    struct err err;
    struct sync_now now;
    sync_now(&now);
    store->synced = strmap_new();
    store->sync_path = xasprintf("%s/sync", store->folder);
    int result = statefile_read(store->sync_path, KIND, VERSION, &data, &err);
    if (result == 0)
        result = sync_parse(&data, &now, store->synced, &err);
    if (result < 0)
        log_error(
            "when the mirrors of zones were current last is not known, their EXPIRE counts from now: %s",
            err.text);
    buf_free(&data);
}

/* Not known (an older version wrote the mirror): now, so that it ends at all. */
void store_sync_restore(struct zone_entry *entry)
{
    const nstime *synced = strmap_gets(entry->store->synced, core_name(entry->core));
    core_restore_sync(entry->core, synced ? *synced : clock_boot());
}

void store_sync_save(struct store *store)
{
    struct buf out = {0};
    struct err err;
    struct sync_now now;
    size_t count = 0;
    bool moved = false;
    sync_now(&now);
    sync_begin(&out, &now);
    for (struct zone_entry *entry = store->first; entry; entry = entry->next) {
        nstime synced = core_synced(entry->core);
        /* What is not on disk is not what the next life has. */
        if (!entry->mirror || !core_zone(entry->core) || !synced || mirror_fault(entry->mirror))
            synced = entry->sync_saved;
        moved |= synced != entry->sync_saved;
        entry->sync_saved = synced;
        if (synced)
            sync_add(&out, &now, core_name(entry->core), synced);
        count += synced != 0;
    }
    if (moved && count) {
        bool failed = statefile_write(store->sync_path, KIND, VERSION, out.data, out.len, &err) != 0;
        if (failed && !store->sync_failing)
            log_error("when the mirrors of zones were current last is not saved, will be tried again: %s",
                      err.text);
        store->sync_failing = failed;
    }
    buf_free(&out);
}

void store_sync_free(struct store *store)
{
    strmap_free(store->synced, free);
    free(store->sync_path);
}
