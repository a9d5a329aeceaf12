/* The builder thread and RCU together: jobs in order, results on the loop, and readers that never see freed
 * memory. Also built with ThreadSanitizer. */
#include "lictor/builder.h"
#include "lictor/rcu.h"
#include "lictor/xalloc.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { JOBS = 200, SWAPS = 3000, READERS = 3 };

struct order {
    struct event_base *base;
    int ran, finished, ticks;
};

static void run_one(void *arg)
{
    ((struct order *)arg)->ran++;
}

static void one_done(void *arg)
{
    struct order *order = arg;
    if (++order->finished == JOBS)
        event_base_loopbreak(order->base);
}

static void jobs_run_and_report(void **state)
{
    (void)state;
    struct order order = {.base = event_base_new()};
    struct builder *builder = builder_new(order.base);
    builder_start(builder);
    for (int i = 0; i < JOBS; i++)
        builder_post(builder, run_one, one_done, &order);
    event_base_dispatch(order.base);
    assert_int_equal(order.ran, JOBS);
    assert_int_equal(builder_queued(builder), 0);
    assert_int_equal(builder_busy_for(builder), 0);
    builder_post(builder, run_one, one_done, &order);
    builder_free(builder); /* what is queued still runs, and what is finished is still delivered */
    assert_int_equal(order.finished, JOBS + 1);
    event_base_free(order.base);
}

/* Many results at once do not keep main from everything else. */
struct crowd {
    struct event_base *base;
    int done, done_at_timer;
};

static void crowd_done(void *arg)
{
    struct crowd *crowd = arg;
    for (nstime end = clock_boot() + NS_PER_MS; clock_boot() < end;)
        ;
    if (++crowd->done == JOBS)
        event_base_loopbreak(crowd->base);
}

static void crowd_timer(evutil_socket_t fd, short what, void *arg)
{
    struct crowd *crowd = arg;
    (void)fd, (void)what;
    crowd->done_at_timer = crowd->done;
}

static void results_come_in_portions(void **state)
{
    (void)state;
    struct crowd crowd = {.base = event_base_new(), .done_at_timer = -1};
    struct builder *builder = builder_new(crowd.base);
    for (int i = 0; i < JOBS; i++)
        builder_to_main(builder, crowd_done, &crowd);
    event_base_once(crowd.base, -1, EV_TIMEOUT, crowd_timer, &crowd, &(struct timeval){.tv_usec = 1000});
    event_base_dispatch(crowd.base);
    assert_int_equal(crowd.done, JOBS);
    assert_in_range(crowd.done_at_timer, 0, JOBS / 4);
    builder_free(builder);
    event_base_free(crowd.base);
}

struct tick {
    struct event_base *base;
    struct builder *builder;
    int count;
};

static void stop_loop(void *arg)
{
    event_base_loopbreak(((struct tick *)arg)->base);
}

static void on_tick(void *arg)
{
    struct tick *tick = arg;
    if (++tick->count == 3)
        builder_to_main(tick->builder, stop_loop, tick);
}

static void ticks_come_while_idle(void **state)
{
    (void)state;
    struct tick tick = {.base = event_base_new()};
    tick.builder = builder_new(tick.base);
    builder_start(tick.builder);
    nstime start = clock_boot();
    builder_every(tick.builder, 20 * NS_PER_MS, on_tick, &tick);
    event_base_dispatch(tick.base);
    assert_true(clock_boot() - start >= 60 * NS_PER_MS);
    builder_free(tick.builder);
    assert_true(tick.count >= 3);
    event_base_free(tick.base);
}

struct value {
    uint64_t a, b; /* equal while it is alive */
};

static _Atomic(struct value *) published;
static _Atomic int stop_readers;
static _Atomic int freed;

static void free_value(void *arg)
{
    struct value *value = arg;
    value->a = 1;
    value->b = 2;
    free(value);
    atomic_fetch_add(&freed, 1);
}

static struct value *new_value(uint64_t n)
{
    struct value *value = xmalloc(sizeof *value);
    value->a = value->b = n;
    return value;
}

static void *reader(void *arg)
{
    struct rcu_reader *rcu = rcu_register();
    uintptr_t rounds = 0;
    (void)arg;
    while (!atomic_load(&stop_readers)) {
        rcu_online(rcu);
        for (int batch = 0; batch < 16; batch++) {
            struct value *value = atomic_load_explicit(&published, memory_order_acquire);
            for (int i = 0; i < 32; i++)
                if (value->a != value->b)
                    abort();
            rcu_quiescent(rcu);
            rounds++;
        }
        rcu_offline(rcu);
    }
    rcu_unregister(rcu);
    return (void *)rounds;
}

static void swap_job(void *arg)
{
    struct value *old = atomic_exchange_explicit(&published, new_value((uintptr_t)arg), memory_order_acq_rel);
    rcu_defer(free_value, old);
}

static void readers_see_only_live_values(void **state)
{
    (void)state;
    pthread_t threads[READERS];
    struct event_base *base = event_base_new();
    struct builder *builder = builder_new(base);
    builder_start(builder);
    atomic_store(&published, new_value(0));
    for (int i = 0; i < READERS; i++)
        pthread_create(&threads[i], NULL, reader, NULL);
    for (uintptr_t i = 1; i <= SWAPS; i++)
        builder_post(builder, swap_job, NULL, (void *)i);
    assert_int_equal(rcu_synchronize(10 * NS_PER_S), 0);
    builder_free(builder);
    assert_int_equal(atomic_load(&freed), SWAPS);
    atomic_store(&stop_readers, 1);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    free_value(atomic_load(&published));
    event_base_free(base);
}

/* A reader that stays online without a quiescent state holds up a grace period; one that sleeps does not. */
static void a_grace_period_waits(void **state)
{
    (void)state;
    struct rcu_reader *rcu = rcu_register();
    assert_int_equal(rcu_synchronize(NS_PER_S), 0);
    rcu_online(rcu);
    assert_int_equal(rcu_synchronize(5 * NS_PER_MS), -1);
    rcu_quiescent(rcu);
    assert_int_equal(rcu_synchronize(5 * NS_PER_MS), -1); /* a new grace period, a new quiescent state */
    rcu_offline(rcu);
    assert_int_equal(rcu_synchronize(NS_PER_S), 0);
    rcu_unregister(rcu);
}

int main(void)
{
    evthread_use_pthreads();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_run_and_report),   cmocka_unit_test(results_come_in_portions),
        cmocka_unit_test(ticks_come_while_idle), cmocka_unit_test(readers_see_only_live_values),
        cmocka_unit_test(a_grace_period_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
