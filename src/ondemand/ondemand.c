/* Results of names that were asked for: kept, refreshed while somebody asks, given up when nobody does. */
#include "internal.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <event2/event.h>
#include <stdlib.h>

#define TICK (100 * NS_PER_MS)

/* How long a result is good: its TTL within these. Below a second nobody would notice, and Consul would be
 * busy with refreshing; above ten a change would take too long to be seen. */
#define GOOD_MIN NS_PER_S
#define GOOD_MAX (10 * NS_PER_S)
/* And beyond, for the refresh to come. */
#define GOOD_SLACK NS_PER_S

/* When Consul fails: how long the last result, or the failure, stands before it is tried again. */
#define RETRY NS_PER_S

/* An instance may come at any time; a query that is not there is seldom made just now. */
#define IDLE_MAX (600 * NS_PER_S)

#define REFRESHES_AT_ONCE 32
#define REFRESHES_A_TICK  20

#define COMPLAIN_EVERY (10 * NS_PER_S)

static bool is_busy(const struct result *result)
{
    return result->request || result->building;
}

/* --- coming and going ----------------------------------------------------------------------------------- */

static nstime asked_at(const struct result *result)
{
    return atomic_load_explicit(&result->state->asked_at, memory_order_relaxed);
}

static void drop(struct result *result)
{
    struct ondemand *ondemand = result->ondemand;
    if (result->published)
        read_remove(ondemand, &result->question);
    strmap_remove(ondemand->results, &result->question, ask_question_len(&result->question));
    TAILQ_REMOVE(&ondemand->list, result, link);
    overlay_state_unref(result->state);
    free(result);
}

/* Makes room for one more. False: all are being read. */
static bool make_room(struct ondemand *ondemand)
{
    if (strmap_count(ondemand->results) < ONDEMAND_NAMES)
        return true;
    struct result *result, *idlest = NULL;
    TAILQ_FOREACH(result, &ondemand->list, link)
    if (!is_busy(result) && (!idlest || asked_at(result) < asked_at(idlest)))
        idlest = result;
    if (idlest)
        drop(idlest);
    return idlest;
}

static struct result *result_new(struct ondemand *ondemand, const struct ask_question *question,
                                 const struct target *target)
{
    struct result *result = xcalloc(1, sizeof *result);
    result->ondemand = ondemand;
    result->question = *question;
    result->target = *target;
    result->state = overlay_state_new();
    strmap_put(ondemand->results, question, ask_question_len(question), result);
    TAILQ_INSERT_TAIL(&ondemand->list, result, link);
    return result;
}

/* ask_handler_fn */
static void on_asked(void *arg, struct asking *asking)
{
    struct ondemand *ondemand = arg;
    const struct ask_question *question = ask_question(asking);
    struct result *result = strmap_get(ondemand->results, question, ask_question_len(question));
    struct target target;
    if (!result && !target_parse(question, &ondemand->config.config->services, &target)) {
        ask_done(asking, ASK_ABSENT, IDLE_MAX);
        return;
    }
    if (!result && !make_room(ondemand)) {
        ask_done(asking, ASK_FAILED, 0);
        return;
    }
    if (!result)
        result = result_new(ondemand, question, &target);
    result->asking = asking;
    atomic_store_explicit(&result->state->asked_at, clock_boot(), memory_order_relaxed);
    if (!is_busy(result)) {
        result->refreshing = false;
        read_begin(result);
    }
}

/* --- the end of a read ---------------------------------------------------------------------------------- */

static void settle(struct result *result, enum ask_outcome outcome, nstime good_for)
{
    struct asking *asking = result->asking;
    result->asking = NULL;
    if (asking)
        ask_done(asking, outcome, good_for);
}

static void count_read(struct ondemand *ondemand, const struct result *result)
{
    ondemand->stats.reads++;
    ondemand->stats.refreshes += result->refreshing;
}

void result_published(struct result *result, uint32_t ttl)
{
    nstime now = clock_boot(), good = ttl * NS_PER_S;
    good = good < GOOD_MIN ? GOOD_MIN : good > GOOD_MAX ? GOOD_MAX : good;
    count_read(result->ondemand, result);
    result->published = true;
    result->good = result->started;
    result->due = now + good;
    struct overlay_state *state = result->state;
    atomic_store_explicit(&state->dead_from, result->good + result->ondemand->config.config->consul.stale_for,
                          memory_order_relaxed);
    atomic_store_explicit(&state->stale_from, NS_NEVER, memory_order_relaxed);
    atomic_store_explicit(&state->good_until, result->due + GOOD_SLACK, memory_order_relaxed);
    settle(result, ASK_PUBLISHED, 0);
}

void result_absent(struct result *result, nstime good_for)
{
    count_read(result->ondemand, result);
    settle(result, ASK_ABSENT, good_for);
    drop(result);
}

static void complain(struct ondemand *ondemand, const struct result *result, const char *text)
{
    nstime now = clock_boot();
    if (ondemand->failure_logged && now - ondemand->failure_logged < COMPLAIN_EVERY)
        return;
    ondemand->failure_logged = now;
    char name[NAME_MAX_TEXT];
    log_warn("asked: %s: %s; %s", name_to_text(result->question.name, name), text,
             result->published ? "the last result is served" : "such names are SERVFAIL");
}

void result_failed(struct result *result, const char *text)
{
    struct ondemand *ondemand = result->ondemand;
    nstime now = clock_boot(), end = result->good + ondemand->config.config->consul.stale_for;
    ondemand->stats.failures++;
    complain(ondemand, result, text);
    if (!result->published || now >= end) {
        settle(result, ASK_FAILED, RETRY);
        drop(result);
        return;
    }
    struct overlay_state *state = result->state;
    result->due = now + RETRY;
    atomic_store_explicit(&state->dead_from, end, memory_order_relaxed);
    atomic_store_explicit(&state->stale_from, result->good, memory_order_relaxed);
    /* Nobody need wait for what will fail again. */
    atomic_store_explicit(&state->good_until, result->due + GOOD_SLACK + GOOD_MAX, memory_order_relaxed);
    settle(result, ASK_PUBLISHED, 0);
}

/* --- refreshing ----------------------------------------------------------------------------------------- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct ondemand *ondemand = arg;
    struct result *result, *next;
    nstime now = clock_boot();
    int begun = 0;
    (void)fd, (void)what;
    for (result = TAILQ_FIRST(&ondemand->list); result; result = next) {
        next = TAILQ_NEXT(result, link);
        if (is_busy(result) || now < result->due)
            continue;
        if (asked_at(result) > result->started) {
            if (ondemand->reading < REFRESHES_AT_ONCE && begun++ < REFRESHES_A_TICK) {
                result->refreshing = true;
                read_begin(result);
            }
        } else if (now - asked_at(result) > IDLE_MAX) {
            drop(result);
        }
    }
}

/* --- life ----------------------------------------------------------------------------------------------- */

struct ondemand *ondemand_new(const struct ondemand_config *config)
{
    struct ondemand *ondemand = xcalloc(1, sizeof *ondemand);
    ondemand->config = *config;
    ondemand->store = overlay_store_new(config->slot);
    ondemand->results = strmap_new();
    TAILQ_INIT(&ondemand->list);
    ondemand->tick = event_new(config->base, -1, EV_PERSIST, on_tick, ondemand);
    event_add(ondemand->tick, &(struct timeval){.tv_usec = TICK / NS_PER_US});
    static const enum ask_kind kinds[] = {ASK_QUERY, ASK_CONNECT, ASK_INGRESS, ASK_VIRTUAL};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        desk_handle(config->desk, kinds[i], on_asked, ondemand);
    return ondemand;
}

void ondemand_configure(struct ondemand *ondemand, const struct config *config)
{
    struct result *result;
    ondemand->config.config = config;
    TAILQ_FOREACH(result, &ondemand->list, link)
    {
        result->due = 0;
        result->explained = 0;
    }
}

void ondemand_stop(struct ondemand *ondemand)
{
    struct result *result;
    if (!ondemand)
        return;
    ondemand->stopped = true;
    event_free(ondemand->tick);
    TAILQ_FOREACH(result, &ondemand->list, link)
    {
        consul_cancel(result->request);
        result->request = NULL;
        result->asking = NULL;
    }
}

void ondemand_free(struct ondemand *ondemand)
{
    struct result *result;
    if (!ondemand)
        return;
    while ((result = TAILQ_FIRST(&ondemand->list))) {
        TAILQ_REMOVE(&ondemand->list, result, link);
        overlay_state_unref(result->state);
        free(result);
    }
    strmap_free(ondemand->results, NULL);
    overlay_store_free(ondemand->store);
    free(ondemand);
}

void ondemand_stats(const struct ondemand *ondemand, struct ondemand_stats *out)
{
    *out = ondemand->stats;
    out->names = (unsigned)strmap_count(ondemand->results);
}
