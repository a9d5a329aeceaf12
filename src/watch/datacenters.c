#include "internal.h"

#include "lictor/datacenters.h"
#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define POLL_EVERY (30 * NS_PER_S)
/* The name of the local one is not known yet: it would be taken for another. */
#define POLL_SOON (NS_PER_S)
#define IDLE_MAX  (3600 * NS_PER_S)
/* Asked so lately that it does not make room for another. */
#define BUSY (60 * NS_PER_S)
/* More names than this are no list of datacenters: the catalog has places for fewer. */
#define LISTED_MAX (4 * ZONE_ORIGINS_MAX)
/* Who asks is told by then. */
#define PATIENCE (5 * NS_PER_S)

struct waiter {
    struct waiter *next;
    datacenters_told_fn *told;
    void *arg;
};

struct remote {
    TAILQ_ENTRY(remote) link;
    struct datacenters *datacenters;
    char *name;               /* lower case */
    struct zone_state *state; /* in the catalog */
    struct watch *watch;      /* NULL: its view is not kept */
    struct event *patience;
    struct waiter *waiters;
    bool listed, configured;
    nstime asked_at;
};
TAILQ_HEAD(remotes, remote);

struct datacenters {
    struct datacenters_config config;
    _Atomic unsigned refs; /* main's and one for each job */
    bool stopped;
    struct remotes remotes; /* by name */
    unsigned watched;
    struct consul_request *request;
    struct event *poll;
    unsigned failures;
};

static void poll_after(struct datacenters *datacenters, nstime delay)
{
    struct timeval after = clock_timeval(delay);
    event_add(datacenters->poll, &after);
}

static void release(struct datacenters *datacenters)
{
    if (atomic_fetch_sub(&datacenters->refs, 1) == 1)
        free(datacenters);
}

/* --- who waits ----------------------------------------------------------------------------------- */

static void tell(struct remote *remote, enum datacenters_answer answer)
{
    struct waiter *waiter = remote->waiters;
    remote->waiters = NULL;
    while (waiter) {
        struct waiter *next = waiter->next;
        waiter->told(waiter->arg, answer);
        free(waiter);
        waiter = next;
    }
    if (remote->patience)
        event_del(remote->patience);
}

static void patience_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    tell(arg, DATACENTER_LOST);
}

static void wait_for(struct remote *remote, datacenters_told_fn *told, void *arg)
{
    struct waiter *waiter = xmalloc(sizeof(*waiter));
    *waiter = (struct waiter){remote->waiters, told, arg};
    remote->waiters = waiter;
    if (!remote->patience)
        remote->patience = evtimer_new(remote->datacenters->config.base, patience_over, remote);
    struct timeval after = clock_timeval(PATIENCE);
    if (!evtimer_pending(remote->patience, NULL))
        event_add(remote->patience, &after);
}

/* --- one datacenter ------------------------------------------------------------------------------ */

static struct remote *find(const struct datacenters *datacenters, const char *name)
{
    struct remote *remote;
    TAILQ_FOREACH(remote, &datacenters->remotes, link)
    if (strcasecmp(remote->name, name) == 0)
        return remote;
    return NULL;
}

static struct remote *add(struct datacenters *datacenters, const char *name, struct zone_state *state)
{
    struct remote *remote = xcalloc(1, sizeof(*remote)), *after;
    remote->datacenters = datacenters;
    remote->name = xstrdup(name);
    remote->state = state;
    TAILQ_FOREACH(after, &datacenters->remotes, link)
    if (strcmp(after->name, name) > 0)
        break;
    if (after)
        TAILQ_INSERT_BEFORE(after, remote, link);
    else
        TAILQ_INSERT_TAIL(&datacenters->remotes, remote, link);
    return remote;
}

static void reserve(struct datacenters *datacenters)
{
    static_assert(CONFIG_DATACENTERS_MAX * WATCH_REMOTE_CONNECTIONS + SENTINELS + READS_MAX <
                      WATCH_CONNECTIONS,
                  "the local watch goes on when all the others are there");
    watch_reserve(datacenters->config.local, datacenters->watched * WATCH_REMOTE_CONNECTIONS);
}

/* Without a word to the catalog. */
static void unwatch(struct remote *remote)
{
    if (!remote->watch)
        return;
    watch_free(remote->watch);
    remote->watch = NULL;
    remote->datacenters->watched--;
}

static void drop(struct remote *remote)
{
    unwatch(remote);
    tell(remote, remote->datacenters->stopped ? DATACENTER_LOST : DATACENTER_UNKNOWN);
    TAILQ_REMOVE(&remote->datacenters->remotes, remote, link);
    if (remote->patience)
        event_free(remote->patience);
    free(remote->name);
    free(remote);
}

/* --- the view of one that is not watched any more ------------------------------------------------ */

struct forget_job {
    struct datacenters *datacenters;
    bool known; /* its names may exist all the same */
    char name[];
};

/* Builder. */
static void run_forget(void *arg)
{
    struct forget_job *job = arg;
    const struct datacenters_config *config = &job->datacenters->config;
    bool changed = catalog_remove_datacenter(config->catalog, job->name);
    if (job->known) {
        catalog_add_datacenter(config->catalog, job->name);
        catalog_hide_datacenter(config->catalog, job->name);
    }
    if (changed)
        config->changed(config->changed_arg);
}

static void forgotten(void *arg)
{
    struct forget_job *job = arg;
    release(job->datacenters);
    free(job);
}

/* What it says would be older every day: the next who asks has it read anew. */
static void forget(struct datacenters *datacenters, const char *name, bool known)
{
    struct forget_job *job = xmalloc(sizeof(*job) + strlen(name) + 1);
    job->datacenters = datacenters;
    job->known = known;
    strcpy(job->name, name);
    atomic_fetch_add(&datacenters->refs, 1);
    builder_post(datacenters->config.builder, run_forget, forgotten, job);
}

static void stop_idle(struct remote *remote)
{
    log_info("watch: datacenter %s: not asked for lately, and not kept current any more", remote->name);
    unwatch(remote);
    forget(remote->datacenters, remote->name, remote->listed);
    reserve(remote->datacenters);
}

/* --- watching ------------------------------------------------------------------------------------ */

static void completed(void *arg)
{
    tell(arg, DATACENTER_READ);
}

static nstime last_asked(struct remote *remote)
{
    if (atomic_exchange(&remote->state->asked, false))
        remote->asked_at = clock_boot();
    return remote->asked_at;
}

static struct remote *idlest(const struct datacenters *datacenters)
{
    struct remote *remote, *found = NULL;
    nstime latest = clock_boot() - BUSY;
    TAILQ_FOREACH(remote, &datacenters->remotes, link)
    if (remote->watch && !remote->configured && last_asked(remote) < latest) {
        found = remote;
        latest = remote->asked_at;
    }
    return found;
}

/* Returns whether its view is kept. */
static bool start(struct remote *remote)
{
    struct datacenters *datacenters = remote->datacenters;
    const struct datacenters_config *config = &datacenters->config;
    if (remote->watch)
        return true;
    if (datacenters->watched == CONFIG_DATACENTERS_MAX) {
        struct remote *idle = idlest(datacenters);
        if (!idle) {
            log_warn("watch: datacenter %s: not watched: %d others are", remote->name,
                     CONFIG_DATACENTERS_MAX);
            return false;
        }
        stop_idle(idle);
    }
    datacenters->watched++;
    reserve(datacenters);
    struct watch_config watch = {
        .base = config->base,
        .builder = config->builder,
        .client = config->client,
        .catalog = config->catalog,
        .datacenter = remote->name,
        .state = remote->state,
        .config = config->config,
        .changed = config->changed,
        .changed_arg = config->changed_arg,
        .complete = completed,
        .complete_arg = remote,
    };
    remote->watch = watch_new(&watch);
    log_info("watch: datacenter %s: being read, %s", remote->name,
             remote->configured ? "as configured" : "since its names are asked for");
    return true;
}

void datacenters_ask(struct datacenters *datacenters, const char *name, datacenters_told_fn *told, void *arg)
{
    struct remote *remote = find(datacenters, name);
    if (!remote) {
        told(arg, DATACENTER_UNKNOWN);
        return;
    }
    remote->asked_at = clock_boot();
    if (!start(remote))
        told(arg, DATACENTER_LOST);
    else if (!atomic_load(&remote->state->held))
        told(arg, DATACENTER_READ);
    else
        wait_for(remote, told, arg);
}

/* --- which there are ----------------------------------------------------------------------------- */

struct known {
    char *name;
    struct zone_state *state; /* NULL: it cannot have names */
    bool listed, configured;
};

struct names_job {
    struct datacenters *datacenters;
    struct known *items;
    size_t count, cap;
    bool local_known, changed;
};

static struct known *job_name(struct names_job *job, const char *name)
{
    for (size_t i = 0; i < job->count; i++)
        if (strcasecmp(job->items[i].name, name) == 0)
            return &job->items[i];
    if (job->count == job->cap) {
        job->cap = job->cap ? 2 * job->cap : 8;
        job->items = xrealloc(job->items, job->cap * sizeof(*job->items));
    }
    struct known *known = &job->items[job->count++];
    *known = (struct known){.name = xstrdup(name)};
    for (char *c = known->name; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
    return known;
}

static void add_restored(void *arg, const char *name)
{
    job_name(arg, name);
}

/* Builder. */
static void run_names(void *arg)
{
    struct names_job *job = arg;
    struct catalog *catalog = job->datacenters->config.catalog;
    job->local_known = catalog_datacenter(catalog) != NULL;
    if (!job->local_known)
        return;
    catalog_each_datacenter(catalog, add_restored, job);
    for (size_t i = 0; i < job->count; i++) {
        struct known *known = &job->items[i];
        known->state = catalog_add_datacenter(catalog, known->name);
        if (known->state && known->state != job->datacenters->config.state &&
            atomic_load(&known->state->held))
            catalog_hide_datacenter(catalog, known->name);
    }
}

/* A view from disk ends when it is too old, as the local one does; its watch sets the time from the first
 * contact on. */
static void limit_restored(const struct remote *remote)
{
    nstime stale_from = atomic_load(&remote->state->stale_from);
    nstime stale_for = remote->datacenters->config.config->consul.stale_for;
    if (!atomic_load(&remote->state->held) && stale_from < NS_NEVER - stale_for)
        atomic_store(&remote->state->dead_from, stale_from + stale_for);
}

static void merge(struct datacenters *datacenters, const struct known *known)
{
    if (!known->state || known->state == datacenters->config.state)
        return;
    struct remote *remote = find(datacenters, known->name);
    if (!remote) {
        remote = add(datacenters, known->name, known->state);
        if (!atomic_load(&known->state->held)) { /* of before the restart, when it was asked for */
            remote->asked_at = clock_boot();
            limit_restored(remote);
        }
    }
    remote->listed = known->listed;
    remote->configured = known->configured;
    if (remote->configured || (remote->asked_at && !remote->watch && !atomic_load(&remote->state->held)))
        start(remote);
}

/* Of those that are watched, or were restored and not listed yet, the view is worth keeping while it may be
 * answered from. */
static void tidy(struct datacenters *datacenters)
{
    nstime now = clock_boot();
    for (struct remote *remote = TAILQ_FIRST(&datacenters->remotes), *next; remote; remote = next) {
        next = TAILQ_NEXT(remote, link);
        bool idle = !remote->configured && now - last_asked(remote) > IDLE_MAX;
        bool dead = now >= atomic_load(&remote->state->dead_from);
        if (remote->watch && idle)
            stop_idle(remote);
        if (!remote->listed && !remote->configured && (!remote->watch || dead)) {
            log_info("watch: datacenter %s: Consul does not list it any more", remote->name);
            forget(datacenters, remote->name, false);
            drop(remote);
            reserve(datacenters);
        }
    }
}

static void names_done(void *arg)
{
    struct names_job *job = arg;
    struct datacenters *datacenters = job->datacenters;
    if (!datacenters->stopped && job->local_known) {
        for (size_t i = 0; i < job->count; i++)
            merge(datacenters, &job->items[i]);
        tidy(datacenters);
    }
    if (!datacenters->stopped)
        poll_after(datacenters, job->local_known ? POLL_EVERY : POLL_SOON);
    for (size_t i = 0; i < job->count; i++)
        free(job->items[i].name);
    free(job->items);
    free(job);
    release(datacenters);
}

static void add_configured(struct names_job *job, const struct config_strings *names)
{
    for (size_t i = 0; i < names->count; i++)
        job_name(job, names->items[i])->configured = true;
}

static void post_names(struct datacenters *datacenters, const json_t *list)
{
    const struct config_services *services = &datacenters->config.config->services;
    struct names_job *job = xcalloc(1, sizeof(*job));
    job->datacenters = datacenters;
    for (size_t i = 0; i < json_array_size(list) && job->count < LISTED_MAX; i++)
        if (json_is_string(json_array_get(list, i)))
            job_name(job, json_string_value(json_array_get(list, i)))->listed = true;
    add_configured(job, &services->datacenters);
    for (size_t i = 0; i < services->service_count; i++)
        add_configured(job, &services->service[i].datacenters);
    atomic_fetch_add(&datacenters->refs, 1);
    builder_post(datacenters->config.builder, run_names, names_done, job);
}

static void answered(void *arg, struct consul_response *response)
{
    struct datacenters *datacenters = arg;
    struct err err = {"its list is not one"};
    datacenters->request = NULL;
    json_t *list = response->status == 200 ? consul_json(response->body, &err) : NULL;
    if (json_is_array(list)) {
        datacenters->failures = 0;
        post_names(datacenters, list);
    } else {
        if (response->status == 200)
            log_error("watch: /v1/catalog/datacenters: %s", err.text);
        poll_after(datacenters, consul_backoff(datacenters->failures++, response->status));
    }
    json_decref(list);
}

static void poll_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct datacenters *datacenters = arg;
    if (!datacenters->request)
        datacenters->request = consul_send(datacenters->config.client,
                                           &(struct consul_options){.method = "GET",
                                                                    .path = "/v1/catalog/datacenters",
                                                                    .timeout = READ_TIMEOUT,
                                                                    .max_body = 65536,
                                                                    .no_dc = true},
                                           answered, datacenters);
}

/* --- life ---------------------------------------------------------------------------------------- */

struct datacenters *datacenters_new(const struct datacenters_config *config)
{
    struct datacenters *datacenters = xcalloc(1, sizeof(*datacenters));
    datacenters->config = *config;
    atomic_init(&datacenters->refs, 1);
    TAILQ_INIT(&datacenters->remotes);
    datacenters->poll = evtimer_new(config->base, poll_due, datacenters);
    poll_after(datacenters, 0);
    return datacenters;
}

void datacenters_configure(struct datacenters *datacenters, const struct config *config)
{
    struct remote *remote;
    datacenters->config.config = config;
    TAILQ_FOREACH(remote, &datacenters->remotes, link)
    if (remote->watch)
        watch_configure(remote->watch, config);
    poll_after(datacenters, 0);
}

void datacenters_free(struct datacenters *datacenters)
{
    if (!datacenters)
        return;
    datacenters->stopped = true;
    consul_cancel(datacenters->request);
    event_free(datacenters->poll);
    while (!TAILQ_EMPTY(&datacenters->remotes))
        drop(TAILQ_FIRST(&datacenters->remotes));
    release(datacenters);
}

/* --- for others ---------------------------------------------------------------------------------- */

void datacenters_each(const struct datacenters *datacenters,
                      void (*visit)(void *arg, const char *name, bool live, nstime contact), void *arg)
{
    const struct remote *remote;
    TAILQ_FOREACH(remote, &datacenters->remotes, link)
    if (remote->watch)
        visit(arg, remote->name, watch_live(remote->watch), watch_last_contact(remote->watch));
}

json_t *datacenters_status(const struct datacenters *datacenters)
{
    const struct remote *remote;
    json_t *list = json_array();
    TAILQ_FOREACH(remote, &datacenters->remotes, link)
    json_array_append_new(list, json_pack("{s:s, s:b, s:b, s:o}", "datacenter", remote->name, "listed",
                                          (int)remote->listed, "configured", (int)remote->configured, "watch",
                                          remote->watch ? watch_status(remote->watch) : json_null()));
    return list;
}
