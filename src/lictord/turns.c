#include "turns.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <time.h>

#define LIMIT  (20 * NS_PER_MS)
#define SAMPLE (50 * NS_PER_MS)

struct turns {
    struct event_base *base;
    struct event *timer;
    nstime due;
    nstime longest, lateness;
};

static nstime thread_cpu(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (nstime)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void arm(struct turns *turns)
{
    struct timeval tv = {0, SAMPLE / NS_PER_US};
    turns->due = clock_boot() + SAMPLE;
    event_add(turns->timer, &tv);
}

static void on_sample(evutil_socket_t fd, short what, void *arg)
{
    struct turns *turns = arg;
    nstime late = clock_boot() - turns->due;
    (void)fd;
    (void)what;
    if (late > turns->lateness)
        turns->lateness = late;
    arm(turns);
}

struct turns *turns_new(struct event_base *base)
{
    struct turns *turns = xcalloc(1, sizeof *turns);
    turns->base = base;
    turns->timer = evtimer_new(base, on_sample, turns);
    assert(turns->timer);
    arm(turns);
    return turns;
}

void turns_free(struct turns *turns)
{
    if (!turns)
        return;
    event_free(turns->timer);
    free(turns);
}

void turns_run(struct turns *turns)
{
    while (!event_base_got_exit(turns->base) && !event_base_got_break(turns->base)) {
        nstime before = thread_cpu();
        if (event_base_loop(turns->base, EVLOOP_ONCE))
            break;
        nstime took = thread_cpu() - before;
        if (took <= turns->longest)
            continue;
        turns->longest = took;
        if (took > LIMIT) {
            char text[32];
            log_warn("main loop: one turn took %s of CPU time (limit 20ms): the election may suffer",
                     duration_format(took, text));
        }
    }
}

nstime turns_longest(const struct turns *turns)
{
    return turns->longest;
}

nstime turns_lateness(const struct turns *turns)
{
    return turns->lateness;
}
