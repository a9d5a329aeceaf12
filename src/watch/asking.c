/* `watch = "asked"`: only services that are asked for are watched. The first question for one has it read,
 * and waits for that; one that was not asked for long leaves the view again. Which names there are the
 * catalog knows all the same, from catalog/services, so that others do not exist at once (catalog_put_names).
 */
#include "internal.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

#define WATCHED_MAX 4096
#define IDLE_MAX    (3600 * NS_PER_S)
#define IDLE_LOOK   (60 * NS_PER_S)
/* Asked so lately that it does not make room for another. */
#define BUSY (60 * NS_PER_S)
/* Who asks is told by then. */
#define PATIENCE (3 * NS_PER_S)

struct want {
    TAILQ_ENTRY(want) link;
    char *key;
    nstime until;
    watch_told_fn *told;
    void *arg;
};
TAILQ_HEAD(wants, want);

struct asking {
    struct wants wants; /* the one that waits longest is first */
    struct event *patience, *idle;
};

/* --- who waits ----------------------------------------------------------------------------------- */

static void tell(struct want *want, enum watch_answer answer)
{
    want->told(want->arg, answer);
    free(want->key);
    free(want);
}

static void set_patience(struct watch *watch)
{
    const struct want *first = TAILQ_FIRST(&watch->asking->wants);
    if (!first)
        return;
    struct timeval after = clock_timeval(first->until - clock_boot());
    event_add(watch->asking->patience, &after);
}

static void patience_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct watch *watch = arg;
    nstime now = clock_boot();
    for (struct want *want; (want = TAILQ_FIRST(&watch->asking->wants)) && want->until <= now;) {
        TAILQ_REMOVE(&watch->asking->wants, want, link);
        tell(want, WATCH_LOST);
    }
    set_patience(watch);
}

static void wait_for(struct watch *watch, const char *key, watch_told_fn *told, void *arg)
{
    struct want *want = xmalloc(sizeof(*want));
    *want = (struct want){.key = xstrdup(key), .until = clock_boot() + PATIENCE, .told = told, .arg = arg};
    TAILQ_INSERT_TAIL(&watch->asking->wants, want, link);
    set_patience(watch);
}

/* --- what the catalog is told, in order with the bodies ------------------------------------------ */

struct known_job {
    struct watch *watch;
    struct wants wants;
    bool watched;
    char key[];
};

/* Builder. Behind the job that publishes what was read. */
static void run_known(void *arg)
{
    struct known_job *job = arg;
    struct watch *watch = job->watch;
    catalog_set_watched(watch->config.catalog, job->key, job->watched);
    if (!job->watched && catalog_remove_service(watch->config.catalog, NULL, job->key) == 1)
        judge_flush(watch);
}

static void known_done(void *arg)
{
    struct known_job *job = arg;
    for (struct want *want; (want = TAILQ_FIRST(&job->wants));) {
        TAILQ_REMOVE(&job->wants, want, link);
        tell(want, WATCH_READ);
    }
    watch_release(job->watch);
    free(job);
}

static struct known_job *new_job(struct watch *watch, const char *key, bool watched)
{
    struct known_job *job = xmalloc(sizeof(*job) + strlen(key) + 1);
    job->watch = watch_hold(watch);
    TAILQ_INIT(&job->wants);
    job->watched = watched;
    strcpy(job->key, key);
    return job;
}

void asking_seen(struct subject *subject)
{
    struct watch *watch = subject->watch;
    if (!watch->asking || !subject->key || watch->stopped)
        return;
    bool read = subject->failures == 0;
    struct known_job *job = read ? new_job(watch, subject->key, true) : NULL;
    for (struct want *want = TAILQ_FIRST(&watch->asking->wants), *next; want; want = next) {
        next = TAILQ_NEXT(want, link);
        if (strcmp(want->key, subject->key) != 0)
            continue;
        TAILQ_REMOVE(&watch->asking->wants, want, link);
        if (read)
            TAILQ_INSERT_TAIL(&job->wants, want, link);
        else
            tell(want, WATCH_LOST);
    }
    if (read)
        builder_post(watch->config.builder, run_known, known_done, job);
}

/* --- leaving ------------------------------------------------------------------------------------- */

static void evict(struct subject *subject)
{
    struct watch *watch = subject->watch;
    struct known_job *job = new_job(watch, subject->key, false);
    watch->held -= subject->held != BELIEF_NO_REASON;
    subject_remove(subject);
    builder_post(watch->config.builder, run_known, known_done, job);
}

static struct subject *idlest(struct watch *watch, nstime latest)
{
    struct subject *found = NULL;
    const void *key;
    void *value;
    for (size_t i = 0; strmap_next(watch->services, &i, &key, NULL, &value);) {
        struct subject *subject = value;
        if (subject->pinned || !subject->seen || subject->asked > latest)
            continue;
        found = subject;
        latest = subject->asked;
    }
    return found;
}

static void idle_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct watch *watch = arg;
    nstime latest = clock_boot() - IDLE_MAX;
    const void *key;
    void *value;
    for (size_t i = 0; strmap_next(watch->services, &i, &key, NULL, &value);) {
        struct subject *subject = value;
        if (!subject->pinned && subject->seen && subject->asked < latest)
            evict(subject);
    }
    struct timeval after = clock_timeval(IDLE_LOOK);
    event_add(watch->asking->idle, &after);
}

/* --- coming -------------------------------------------------------------------------------------- */

static struct subject *begin(struct watch *watch, const char *key)
{
    if (strmap_count(watch->services) >= WATCHED_MAX) {
        struct subject *idle = idlest(watch, clock_boot() - BUSY);
        if (!idle) {
            log_warn("watch: service %.200s: not watched: %d others are asked for", key, WATCHED_MAX);
            return NULL;
        }
        evict(idle);
    }
    struct subject *subject = subject_new(watch, key, key); /* Consul takes any case */
    subject->listed = true;
    subject->asked = clock_boot();
    subject_watch(subject);
    return subject;
}

void watch_want(struct watch *watch, const char *service, watch_told_fn *told, void *arg)
{
    /* Before the list came in nobody knows whether there is such a service. */
    if (!watch->asking || watch->stopped || !watch->listed[SENTINEL_SERVICES]) {
        told(arg, WATCH_LOST);
        return;
    }
    struct subject *subject = subject_find(watch, service);
    bool there = subject != NULL;
    if (!subject && !(subject = begin(watch, service))) {
        told(arg, WATCH_LOST);
        return;
    }
    wait_for(watch, service, told, arg);
    if (there)
        subject_asked(subject);
    if (subject->seen)
        asking_seen(subject);
}

void asking_pin(struct watch *watch)
{
    const struct config *config = watch->config.config;
    for (size_t i = 0; i < config->action_count; i++)
        if (config->actions[i].when == WHEN_SERVICE && !subject_find(watch, config->actions[i].service))
            begin(watch, config->actions[i].service);
}

/* --- life ---------------------------------------------------------------------------------------- */

void asking_start(struct watch *watch)
{
    if (!watch->config.config->services.watch_asked || watch->config.datacenter)
        return;
    watch->asking = xcalloc(1, sizeof(*watch->asking));
    TAILQ_INIT(&watch->asking->wants);
    watch->asking->patience = evtimer_new(watch->config.base, patience_over, watch);
    watch->asking->idle = evtimer_new(watch->config.base, idle_due, watch);
    struct timeval after = clock_timeval(IDLE_LOOK);
    event_add(watch->asking->idle, &after);
}

void asking_stop(struct watch *watch)
{
    if (!watch->asking)
        return;
    for (struct want *want; (want = TAILQ_FIRST(&watch->asking->wants));) {
        TAILQ_REMOVE(&watch->asking->wants, want, link);
        tell(want, WATCH_LOST);
    }
    event_free(watch->asking->patience);
    event_free(watch->asking->idle);
    free(watch->asking);
    watch->asking = NULL;
}
