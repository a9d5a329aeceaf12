/* What is believed when things are gone, as sequences of replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "watch/belief.h"

#include <string.h>

struct step {
    int at; /* seconds */
    struct belief_facts facts;
    enum belief_verdict verdict;
    enum belief_reason reason;
    int again; /* seconds */
    bool alarm;
};

static void run(struct belief *belief, struct belief_hold *hold, const struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct belief_result result =
            belief_judge(belief, hold, &steps[i].facts, (1000 + steps[i].at) * NS_PER_S);
        if (result.verdict != steps[i].verdict || result.reason != steps[i].reason ||
            result.alarm != steps[i].alarm ||
            (result.verdict == BELIEF_KEEP && result.again != (1000 + steps[i].again) * NS_PER_S))
            fail_msg("step %zu: verdict %d, reason %d (%s), again %+lld s, alarm %d", i, (int)result.verdict,
                     (int)result.reason, belief_reason_text(result.reason),
                     (long long)(result.again / NS_PER_S - 1000), (int)result.alarm);
    }
}
#define RUN(belief, hold, ...) \
    run(belief, hold, (struct step[]){__VA_ARGS__}, \
        sizeof((struct step[]){__VA_ARGS__}) / sizeof(struct step))

#define APPLIES     BELIEF_APPLY, BELIEF_NO_REASON, 0, false
#define CONFIRMS    BELIEF_CONFIRM, BELIEF_NO_REASON, 0, false
#define ASKS_CANARY BELIEF_CANARY, BELIEF_NO_REASON, 0, false

#define STALE(had_, has_, view_) \
    { \
        .had = had_, .has = has_, .view = view_, .known_leader = true \
    }
#define LEADERLESS(had_, has_) \
    { \
        .had = had_, .has = has_, .view = 9 \
    }
#define CONSISTENT(had_, has_, view_) \
    { \
        .had = had_, .has = has_, .view = view_, .known_leader = true, .consistent = true \
    }
#define WITH_CANARY(had_, has_, view_, canary_) \
    { \
        .had = had_, .has = has_, .view = view_, .known_leader = true, .consistent = true, .canary = canary_ \
    }

static void growth_and_small_losses(void **arg)
{
    (void)arg;
    struct belief belief = {0};
    struct belief_hold hold = {0};
    RUN(&belief, &hold, {0, STALE(0, 0, 0), APPLIES}, {0, STALE(0, 40, 0), APPLIES},
        {1, STALE(40, 39, 40), APPLIES}, {2, LEADERLESS(39, 40), APPLIES}, {3, STALE(40, 25, 40), APPLIES},
        {20, STALE(25, 13, 25), APPLIES},
        /* below 20 half of them are nothing unusual */
        {40, STALE(13, 1, 13), APPLIES});
}

static void emptied(void **arg)
{
    (void)arg;
    struct belief belief = {.canary_seen = true};
    struct belief_hold hold = {0};
    RUN(&belief, &hold, {0, STALE(3, 0, 9), CONFIRMS}, {0, CONSISTENT(3, 0, 9), ASKS_CANARY},
        {0, WITH_CANARY(3, 0, 9, CANARY_THERE), APPLIES});
    /* back before it was confirmed */
    RUN(&belief, &hold, {1, STALE(3, 0, 9), CONFIRMS}, {1, CONSISTENT(3, 3, 9), APPLIES});
    /* emptied a second time after it was believed: nothing to lose */
    RUN(&belief, &hold, {2, STALE(0, 0, 9), APPLIES});
}

static void emptied_without_a_leader(void **arg)
{
    (void)arg;
    struct belief belief = {.canary_seen = true};
    struct belief_hold hold = {0};
    RUN(&belief, &hold, {0, LEADERLESS(3, 0), BELIEF_KEEP, BELIEF_LEADERLESS, 5, true},
        {5, LEADERLESS(3, 0), BELIEF_KEEP, BELIEF_LEADERLESS, 10, false},
        {60, LEADERLESS(3, 0), BELIEF_KEEP, BELIEF_LEADERLESS, 65, false}, {61, STALE(3, 3, 9), APPLIES});
}

static void denied(void **arg)
{
    (void)arg;
    struct belief belief = {0};
    struct belief_hold hold = {0}, other = {0};
    /* seen once, by any reading of it */
    RUN(&belief, &other, {0, WITH_CANARY(1, 0, 9, CANARY_THERE), APPLIES});
    assert_true(belief.canary_seen);
    RUN(&belief, &hold, {0, CONSISTENT(3, 0, 9), ASKS_CANARY},
        {0, WITH_CANARY(3, 0, 9, CANARY_NOT_THERE), BELIEF_KEEP, BELIEF_CANARY_GONE, 30, true},
        {30, WITH_CANARY(3, 0, 9, CANARY_NOT_THERE), BELIEF_KEEP, BELIEF_CANARY_GONE, 60, false},
        /* for as long as it lasts */
        {9000, WITH_CANARY(3, 0, 9, CANARY_NOT_THERE), BELIEF_KEEP, BELIEF_CANARY_GONE, 9030, false},
        {9030, WITH_CANARY(3, 0, 9, CANARY_THERE), APPLIES});
}

static void canary_never_seen(void **arg)
{
    (void)arg;
    struct belief belief = {0};
    struct belief_hold hold = {0};
    RUN(&belief, &hold, {0, STALE(3, 0, 9), CONFIRMS}, {0, CONSISTENT(3, 0, 9), ASKS_CANARY},
        {0, WITH_CANARY(3, 0, 9, CANARY_NOT_THERE), BELIEF_KEEP, BELIEF_CANARY_UNKNOWN, 30, true},
        {10, WITH_CANARY(3, 0, 9, CANARY_NOT_THERE), BELIEF_KEEP, BELIEF_CANARY_UNKNOWN, 30, false},
        {30, CONSISTENT(3, 0, 9), ASKS_CANARY}, {30, WITH_CANARY(3, 0, 9, CANARY_NOT_THERE), APPLIES});
    /* the next one is held anew; one that comes back in between begins anew too */
    RUN(&belief, &hold,
        {40, WITH_CANARY(3, 0, 9, CANARY_NOT_THERE), BELIEF_KEEP, BELIEF_CANARY_UNKNOWN, 70, true},
        {50, STALE(3, 1, 9), APPLIES},
        {75, WITH_CANARY(1, 0, 9, CANARY_NOT_THERE), BELIEF_KEEP, BELIEF_CANARY_UNKNOWN, 105, true});
}

static void mass_loss_of_a_service(void **arg)
{
    (void)arg;
    struct belief belief = {.canary_seen = true};
    struct belief_hold hold = {0};
    RUN(&belief, &hold, {0, STALE(40, 19, 1000), BELIEF_KEEP, BELIEF_MASS_LOSS, 30, true},
        {5, STALE(40, 18, 1000), BELIEF_KEEP, BELIEF_MASS_LOSS, 30, false},
        {30, STALE(40, 18, 1000), CONFIRMS}, {30, CONSISTENT(40, 18, 1000), APPLIES});
    /* in small steps, within 10 s */
    hold = (struct belief_hold){0};
    RUN(&belief, &hold, {100, STALE(20, 15, 1000), APPLIES}, {103, STALE(15, 10, 1000), APPLIES},
        {106, STALE(10, 9, 1000), BELIEF_KEEP, BELIEF_MASS_LOSS, 136, true},
        /* it comes back */
        {110, STALE(10, 20, 1000), APPLIES}, {111, STALE(20, 19, 1000), APPLIES});
    /* it comes back one by one, as nodes register again: what is still missing goes on being held */
    hold = (struct belief_hold){0};
    RUN(&belief, &hold, {120, STALE(40, 5, 1000), BELIEF_KEEP, BELIEF_MASS_LOSS, 150, true},
        {125, STALE(40, 30, 1000), BELIEF_KEEP, BELIEF_MASS_LOSS, 150, false},
        {128, STALE(40, 40, 1000), APPLIES}, {129, STALE(40, 39, 1000), APPLIES});
    /* grown a moment before */
    hold = (struct belief_hold){0};
    RUN(&belief, &hold, {150, STALE(0, 30, 1000), APPLIES}, {151, STALE(30, 20, 1000), APPLIES},
        {152, STALE(20, 14, 1000), BELIEF_KEEP, BELIEF_MASS_LOSS, 182, true});
    /* as many came as went: a deployment, no loss */
    hold = (struct belief_hold){0};
    RUN(&belief, &hold, {200, STALE(40, 40, 1000), APPLIES}, {201, STALE(40, 30, 1000), APPLIES},
        {202, STALE(30, 40, 1000), APPLIES}, {203, STALE(40, 25, 1000), APPLIES});
    /* exactly half is not more than half; emptied and mass loss: both must pass, one hold is enough */
    hold = (struct belief_hold){0};
    RUN(&belief, &hold, {300, STALE(40, 20, 1000), APPLIES});
    hold = (struct belief_hold){0};
    RUN(&belief, &hold, {400, STALE(40, 0, 1000), CONFIRMS},
        {400, WITH_CANARY(40, 0, 1000, CANARY_THERE), BELIEF_KEEP, BELIEF_MASS_LOSS, 430, true},
        {430, CONSISTENT(40, 0, 1000), ASKS_CANARY}, {430, WITH_CANARY(40, 0, 1000, CANARY_THERE), APPLIES});
}

/* Many small services: Consul came back without its data. */
static void mass_loss_of_the_view(void **arg)
{
    (void)arg;
    struct belief belief = {.canary_seen = true};
    struct belief_hold holds[40];
    memset(holds, 0, sizeof(holds));
    unsigned view = 40, held = 0;
    for (int i = 0; i < 40; i++) {
        struct belief_facts facts = WITH_CANARY(1, 0, view, CANARY_THERE);
        struct belief_result result = belief_judge(&belief, &holds[i], &facts, (2000 + i / 10) * NS_PER_S);
        if (result.verdict == BELIEF_APPLY) {
            view--;
        } else {
            assert_int_equal(result.reason, BELIEF_MASS_LOSS);
            held++;
        }
    }
    assert_int_equal(held, 20);
    for (int i = 20; i < 40; i++) {
        struct belief_facts facts = WITH_CANARY(1, 0, view, CANARY_THERE);
        assert_int_equal(belief_judge(&belief, &holds[i], &facts, 2040 * NS_PER_S).verdict, BELIEF_APPLY);
        view--;
    }
    /* the list of names said so before any of the services did */
    struct belief_hold one = {0};
    belief = (struct belief){.canary_seen = true, .mass_until = 1030 * NS_PER_S};
    RUN(&belief, &one, {1, WITH_CANARY(1, 0, 40, CANARY_THERE), BELIEF_KEEP, BELIEF_MASS_LOSS, 30, true},
        {2, STALE(1, 2, 40), APPLIES}, {3, STALE(2, 1, 41), BELIEF_KEEP, BELIEF_MASS_LOSS, 30, true},
        {30, CONSISTENT(2, 1, 41), APPLIES});
    /* nodes are no instances: view 0 */
    struct belief_hold nodes = {0};
    struct belief_facts facts = STALE(5, 4, 0);
    belief =
        (struct belief){.canary_seen = true, .window = {.since = 3000 * NS_PER_S, .base = 40, .lost = 20}};
    assert_int_equal(belief_judge(&belief, &nodes, &facts, 3001 * NS_PER_S).verdict, BELIEF_APPLY);
    assert_int_equal(belief.window.lost, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(growth_and_small_losses),  cmocka_unit_test(emptied),
        cmocka_unit_test(emptied_without_a_leader), cmocka_unit_test(denied),
        cmocka_unit_test(canary_never_seen),        cmocka_unit_test(mass_loss_of_a_service),
        cmocka_unit_test(mass_loss_of_the_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
