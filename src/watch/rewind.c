/* Consul's indexes only grow, unless it was restored from a snapshot, or is another one that lost its data.
 * What we hold then compares as newer than the truth, so all of it is forgotten and everything is asked. */
#include "sentinel.h"

#include "lictor/log.h"

/* Builder. */
static void run_forget(void *arg)
{
    struct watch *watch = arg;
    catalog_forget_indexes(watch->config.catalog, watch->config.datacenter);
    for (size_t i = 0; i < SENTINELS; i++) {
        checks_list_free(watch->checks[i]);
        watch->checks[i] = NULL;
    }
}

static void forgotten(void *arg)
{
    watch_release(arg);
}

bool rewind_all(struct watch *watch, const char *what)
{
    nstime now = clock_boot();
    if (watch->rewound > 0 && now - watch->rewound < REWIND_EVERY)
        return false;
    watch->rewound = now;
    watch->stats.rewinds++;
    log_warn("watch: the index of %s went back: Consul was restored, or lost its data, or one of its servers "
             "lags behind; reading everything anew",
             what);
    builder_post(watch->config.builder, run_forget, forgotten, watch_hold(watch));
    node_checks_forget(watch);
    for (size_t i = 0; i < SENTINELS; i++) {
        watch->list_index[i] = 0;
        watch->list_len[i] = 0;
        if (watch->lists[i])
            consul_watch_restart(watch->lists[i]);
    }
    subject_forget(&watch->nodes);
    const void *key;
    void *subject;
    for (size_t i = 0; strmap_next(watch->services, &i, &key, NULL, &subject);)
        subject_forget(subject);
    sweep_whole(watch);
    return true;
}

bool rewind_seen(struct watch *watch, enum sentinel which, const struct consul_response *response)
{
    static const char *const names[SENTINELS] = {
        [SENTINEL_SERVICES] = "catalog/services",
        [SENTINEL_NODES] = "catalog/nodes",
        [SENTINEL_CRITICAL] = "health/state/critical",
        [SENTINEL_WARNING] = "health/state/warning",
    };
    bool back = response->index < watch->list_index[which];
    watch->list_index[which] = response->index;
    return back && rewind_all(watch, names[which]);
}
