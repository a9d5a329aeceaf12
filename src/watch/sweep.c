/* Reading all services without a blocked query again: when something came, went or moved that the lists do
 * not name, and every few minutes. It takes Consul seconds for thousands of services, so the next one waits
 * at least three times as long as the last one took. */
#include "internal.h"

static void begin(struct watch *watch)
{
    watch->sweep_again = false;
    watch->sweeping = true;
    watch->sweep_started = clock_boot();
    watch->stats.sweeps++;
    const void *key;
    void *value;
    for (size_t i = 0; strmap_next(watch->services, &i, &key, NULL, &value);) {
        struct subject *subject = value;
        if (!subject->blocked)
            subject_read(subject, READ_DEFAULT, false);
    }
    reads_pump(watch); /* nothing to read: the end of it */
}

static void schedule(struct watch *watch, nstime delay)
{
    struct timeval after = watch_timeval(delay);
    event_add(watch->sweep_timer, &after);
}

static void timer_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    begin(arg);
}

void sweep_start(struct watch *watch)
{
    watch->sweep_timer = evtimer_new(watch->config.base, timer_due, watch);
    schedule(watch, SWEEP_EVERY);
}

void sweep_stop(struct watch *watch)
{
    event_free(watch->sweep_timer);
    watch->sweep_timer = NULL;
}

static void schedule_soon(struct watch *watch)
{
    nstime pause = 3 * watch->sweep_took > SWEEP_MIN ? 3 * watch->sweep_took : SWEEP_MIN;
    nstime due = watch->sweep_started > 0 ? watch->sweep_started + watch->sweep_took + pause : 0;
    schedule(watch, due - clock_boot());
}

void sweep_request(struct watch *watch)
{
    if (watch->sweep_again || watch->stopped)
        return;
    if (strmap_count(watch->services) == watch->pooled)
        return; /* all have their own blocked query */
    watch->sweep_again = true;
    if (!watch->sweeping)
        schedule_soon(watch);
}

void sweep_queue_empty(struct watch *watch)
{
    if (!watch->sweeping)
        return;
    watch->sweeping = false;
    watch->sweep_took = clock_boot() - watch->sweep_started;
    if (watch->sweep_again)
        schedule_soon(watch);
    else
        schedule(watch, SWEEP_EVERY);
}
