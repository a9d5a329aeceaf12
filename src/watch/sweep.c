/* Going over the services. Something came, went or moved that the lists do not name: a sweep of probes finds
 * out what, one sweep at a time, and rests nine times as long as it took, so that it takes at most a tenth of
 * Consul's time. Every few minutes one goes over all, asked for or not: that nothing is missed is shown, not
 * assumed. And each hour, and after Consul was away, all are read whole. */
#include "internal.h"

#include "lictor/xalloc.h"

#include <stdlib.h>

static void schedule(struct event *timer, nstime delay)
{
    struct timeval after = clock_timeval(delay);
    event_add(timer, &after);
}

static void schedule_next(struct watch *watch)
{
    if (watch->sweep != SWEEP_NONE || watch->sweep_wanted == SWEEP_NONE || watch->stopped)
        return;
    nstime due = watch->sweep_wanted == SWEEP_WHOLE || watch->sweep_ended == 0
                     ? 0
                     : watch->sweep_ended + SWEEP_REST * watch->probes_took;
    if (watch->sweep_wanted == SWEEP_MOVED && watch->sweep_confirms && due < watch->moved_at + SERVERS_LAG)
        due = watch->moved_at + SERVERS_LAG;
    schedule(watch->sweep_timer, due - clock_boot());
}

static void want(struct watch *watch, enum sweep sweep)
{
    if (sweep <= watch->sweep_wanted)
        return;
    watch->sweep_wanted = sweep;
    schedule_next(watch);
}

static void finish(struct watch *watch)
{
    nstime now = clock_boot();
    if (watch->sweep == SWEEP_MOVED) /* the others are rare: what moved meanwhile need not wait for a rest */
        watch->sweep_ended = now;
    if (watch->sweep != SWEEP_WHOLE) /* whole reads say nothing about how long probes take */
        watch->probes_took = now - watch->sweep_started;
    watch->sweep = SWEEP_NONE;
    /* Probes may have met a server that did not know yet what made us look. */
    if (watch->sweep_followers && watch->sweep_wanted == SWEEP_NONE &&
        watch->sweep_started < watch->moved_at + SERVERS_LAG) {
        watch->sweep_wanted = SWEEP_MOVED;
        watch->sweep_confirms = true;
    }
    schedule_next(watch);
}

/* What was asked for lately, or moved lately, comes first: it is more likely to have moved again, or to be
 * missed.
 */
static nstime interest(const struct subject *subject)
{
    return subject->asked > subject->moved ? subject->asked : subject->moved;
}

static int compare_interest(const void *a, const void *b)
{
    nstime x = interest(*(struct subject *const *)a), y = interest(*(struct subject *const *)b);
    return (x < y) - (x > y);
}

static void begin(struct watch *watch)
{
    enum sweep sweep = watch->sweep_wanted;
    watch->sweep = sweep;
    watch->sweep_wanted = SWEEP_NONE;
    watch->sweep_confirms = watch->sweep_followers = false;
    watch->sweep_started = clock_boot();
    watch->sweep_left = 1; /* ours, until all are queued */
    watch->stats.sweeps++;
    watch->stats.full_sweeps += sweep == SWEEP_WHOLE;
    watch->sweep_index = watch_sentinel_sum(watch);
    struct subject **subjects = xcalloc(strmap_count(watch->services) + 1, sizeof(struct subject *));
    size_t count = 0;
    const void *key;
    void *value;
    for (size_t i = 0; strmap_next(watch->services, &i, &key, NULL, &value);) {
        struct subject *subject = value;
        if (!subject->blocked || sweep != SWEEP_MOVED)
            subjects[count++] = subject;
    }
    qsort(subjects, count, sizeof(struct subject *), compare_interest);
    for (size_t i = 0; i < count; i++) {
        subjects[i]->in_sweep = true;
        watch->sweep_left++;
        subject_read(subjects[i], sweep == SWEEP_WHOLE ? READ_DEFAULT : READ_PROBE, false);
    }
    free(subjects);
    if (--watch->sweep_left == 0)
        finish(watch);
}

static void timer_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct watch *watch = arg;
    if (watch->sweep == SWEEP_NONE && watch->sweep_wanted != SWEEP_NONE)
        begin(watch);
}

static void reconcile_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct watch *watch = arg;
    schedule(watch->reconcile_timer, RECONCILE_EVERY);
    want(watch, ++watch->reconciled % WHOLE_EVERY == 0 ? SWEEP_WHOLE : SWEEP_RECONCILE);
}

void sweep_start(struct watch *watch)
{
    watch->sweep_timer = evtimer_new(watch->config.base, timer_due, watch);
    watch->reconcile_timer = evtimer_new(watch->config.base, reconcile_due, watch);
    schedule(watch->reconcile_timer, RECONCILE_EVERY);
}

void sweep_stop(struct watch *watch)
{
    event_free(watch->sweep_timer);
    event_free(watch->reconcile_timer);
    watch->sweep_timer = watch->reconcile_timer = NULL;
}

void sweep_request(struct watch *watch)
{
    if (strmap_count(watch->services) == watch->pooled)
        return; /* all have their own blocked query */
    watch->moved_at = clock_boot();
    if (watch->sweep_confirms && watch->sweep_wanted == SWEEP_MOVED)
        watch->sweep_wanted = SWEEP_NONE; /* sooner */
    watch->sweep_confirms = false;
    want(watch, SWEEP_MOVED);
}

void sweep_whole(struct watch *watch)
{
    want(watch, SWEEP_WHOLE);
}

void sweep_done(struct subject *subject)
{
    struct watch *watch = subject->watch;
    if (!subject->in_sweep)
        return;
    subject->in_sweep = false;
    if (--watch->sweep_left == 0 && !watch->stopped)
        finish(watch);
}
