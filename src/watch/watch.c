#include "internal.h"

#include "lists.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* How many held lists the status names; `held_count` has them all. */
#define HELD_MAX 100

/* --- life ---------------------------------------------------------------------------------------- */

uint64_t watch_sentinel_sum(const struct watch *watch)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < SENTINELS; i++)
        sum += watch->list_index[i];
    return sum;
}

struct watch *watch_new(const struct watch_config *config)
{
    struct watch *watch = xcalloc(1, sizeof(*watch));
    watch->config = *config;
    atomic_init(&watch->refs, 1);
    atomic_init(&watch->publish, !atomic_load(&config->state->held));
    watch->datacenter_known = config->datacenter || config->config->consul.datacenter;
    watch->config.datacenter = xstrdup_null(config->datacenter);
    watch->name =
        config->datacenter ? xasprintf("watch: datacenter %s", config->datacenter) : xstrdup("watch");
    watch->pool_max = config->datacenter ? 0 : POOL_MAX;
    watch->connections = (config->datacenter ? WATCH_REMOTE_CONNECTIONS : WATCH_CONNECTIONS - 1);
    watch->services = strmap_new();
    watch->names = strmap_new();
    watch->node_reads = strmap_new();
    TAILQ_INIT(&watch->node_queue);
    TAILQ_INIT(&watch->pool);
    watch->only_asked = config->config->services.watch_asked && !config->datacenter;
    TAILQ_INIT(&watch->urgent);
    TAILQ_INIT(&watch->queue);
    TAILQ_INIT(&watch->waiting);
    asking_start(watch);
    sentinels_start(watch);
    subject_start_nodes(watch);
    sweep_start(watch);
    datacenter_ask(watch);
    if (!config->datacenter)
        watch->rights = rights_start(watch);
    coordinates_configure(watch);
    return watch;
}

void watch_configure(struct watch *watch, const struct config *config)
{
    watch->config.config = config;
    contact_update(watch);
    coordinates_configure(watch);
}

void watch_reserve(struct watch *watch, unsigned connections)
{
    watch->pool_max = connections < POOL_MAX ? POOL_MAX - connections : 0;
    watch->connections = WATCH_CONNECTIONS - 1 - connections;
    subjects_fit_pool(watch);
}

struct watch *watch_hold(struct watch *watch)
{
    atomic_fetch_add(&watch->refs, 1);
    return watch;
}

static void free_subject(void *subject)
{
    subject_free(subject);
}

/* Always on main: jobs release in their `done`. */
void watch_release(struct watch *watch)
{
    if (atomic_fetch_sub(&watch->refs, 1) != 1)
        return;
    strmap_free(watch->services, free_subject);
    strmap_free(watch->node_reads, NULL);
    free(watch->nodes.path);
    free(watch->name);
    free((char *)(uintptr_t)watch->config.datacenter);
    services_list_free(watch->names);
    for (size_t i = 0; i < SENTINELS; i++)
        checks_list_free(watch->checks[i]);
    free(watch);
}

void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    watch->stopped = true;
    asking_stop(watch);
    sentinels_stop(watch);
    sweep_stop(watch);
    datacenter_stop(watch);
    rights_stop(watch->rights);
    watch->rights = NULL;
    coordinates_stop(watch);
    canary_stop(watch);
    node_checks_forget(watch);
    reads_stop(watch);
    const void *key;
    void *subject;
    for (size_t i = 0; strmap_next(watch->services, &i, &key, NULL, &subject);)
        subject_stop(subject);
    subject_stop(&watch->nodes);
    watch_release(watch);
}

/* --- the first complete view --------------------------------------------------------------------- */

static void run_first(void *arg)
{
    struct watch *watch = arg;
    if (watch->config.datacenter)
        catalog_show_datacenter(watch->config.catalog, watch->config.datacenter);
    watch->config.changed(watch->config.changed_arg);
}

static void first_published(void *arg)
{
    struct watch *watch = arg;
    if (!watch->stopped)
        atomic_store(&watch->config.state->held, false);
    if (!watch->stopped && watch->config.complete)
        watch->config.complete(watch->config.complete_arg);
    watch_release(watch);
}

void watch_check_complete(struct watch *watch)
{
    if (watch->live || watch->stopped || watch->unseen > 0 || !watch->nodes.seen || !watch->datacenter_known)
        return;
    for (size_t i = 0; i < SENTINELS; i++)
        if (!watch->listed[i] && i != SENTINEL_NODES)
            return;
    watch->live = true;
    atomic_store(&watch->publish, true);
    log_info("%s: the view of Consul is complete: %zu services, %zu of them on blocked queries", watch->name,
             strmap_count(watch->services), watch->pooled);
    contact_update(watch);
    builder_post(watch->config.builder, run_first, first_published, watch_hold(watch));
}

/* --- for others ---------------------------------------------------------------------------------- */

bool watch_live(const struct watch *watch)
{
    return watch->live;
}

void watch_ask(struct watch *watch, const char *service)
{
    char *folded = list_fold(service);
    struct subject *subject = subject_find(watch, folded);
    free(folded);
    if (subject && !watch->stopped)
        subject_asked(subject);
}

nstime watch_last_contact(const struct watch *watch)
{
    return watch->last_contact;
}

void watch_stats(const struct watch *watch, struct watch_stats *out)
{
    *out = watch->stats;
}

static void append_held(json_t *list, const struct subject *subject)
{
    if (subject->held == BELIEF_NO_REASON || json_array_size(list) >= HELD_MAX)
        return;
    json_t *item = json_pack("{s:s}", "reason", belief_reason_text(subject->held));
    if (subject->key)
        json_object_set_new(item, "service", json_string(subject->key));
    json_array_append_new(list, item);
}

json_t *watch_status(const struct watch *watch)
{
    json_t *held = json_array();
    append_held(held, &watch->nodes);
    const void *key;
    void *subject;
    for (size_t i = 0; strmap_next(watch->services, &i, &key, NULL, &subject);)
        append_held(held, subject);
    const struct watch_stats *stats = &watch->stats;
    nstime age = clock_boot() - watch->last_contact;
    return json_pack(
        "{s:b, s:b, s:o, s:I, s:I, s:I, s:I, s:o, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
        "s:I, s:I, s:I, s:I, s:s?}",
        "live", (int)watch->live, "contact", (int)(watch->last_contact > 0 && !watch->lost), "age_ms",
        watch->last_contact > 0 ? json_integer(age / NS_PER_MS) : json_null(), "services",
        (json_int_t)strmap_count(watch->services), "pooled", (json_int_t)watch->pooled, "syncing",
        (json_int_t)watch->unseen, "held_count", (json_int_t)watch->held, "held", held, "denied",
        (int)watch->denied, "last_error", watch->error, "reads", (json_int_t)stats->reads, "sweeps",
        (json_int_t)stats->sweeps, "failures", (json_int_t)stats->failures, "losses",
        (json_int_t)stats->losses, "held_total", (json_int_t)stats->held, "faults", (json_int_t)stats->faults,
        "probes", (json_int_t)stats->probes, "moved", (json_int_t)stats->moved, "full_sweeps",
        (json_int_t)stats->full_sweeps, "missed", (json_int_t)stats->missed, "older",
        (json_int_t)stats->older, "rewinds", (json_int_t)stats->rewinds, "evictions",
        (json_int_t)stats->evictions, "rights_missing", rights_missing(watch->rights));
}
