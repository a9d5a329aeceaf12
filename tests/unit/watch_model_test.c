/* Whatever happens in Consul, in whatever order and however late its replies come, the view becomes what
 * Consul has: the real watch and the real catalog against a model of Consul, on a virtual clock, from a seed.
 * Every kind of event moves exactly the indexes that it moves in Consul, so what the watch misses shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model_world.h"

#include "lictor/watch.h"
#include "lictor/zone.h"

#define SEEDS 40 /* LICTOR_MODEL_SEEDS: more; LICTOR_MODEL_SEED: only this one */

static struct config config;
static struct zone_state view_state;
static struct catalog *catalog;
static struct watch *watch;

/* --- the truth and the view as text ----------------------------------------------------------------- */

static enum status worst(const struct state *state, const struct minstance *instance)
{
    enum status worst = PASSING;
    for (unsigned c = 0; c < 2; c++)
        if (instance->checks[c].status != ABSENT && instance->checks[c].status > worst)
            worst = instance->checks[c].status;
    for (unsigned c = 0; c < NODE_CHECKS; c++)
        if (state->nodes[instance->node].checks[c].status != ABSENT &&
            state->nodes[instance->node].checks[c].status > worst)
            worst = state->nodes[instance->node].checks[c].status;
    return worst;
}

static char *truth(void)
{
    const struct state *state = present(&world.model);
    struct buf out = {0};
    unsigned nodes = 0;
    for (unsigned n = 0; n < NODES; n++)
        nodes += state->nodes[n].there;
    buf_printf(&out, "%u nodes\n", nodes);
    for (unsigned s = 0; s < SERVICES; s++)
        for (unsigned n = 0; n < NODES; n++)
            for (unsigned i = 0; i < INSTANCES; i++) {
                const struct minstance *instance = &state->instances[s][i];
                if (!instance->there || instance->node != n)
                    continue;
                buf_printf(&out, "s%u: n%u s%u-%u ", s, n, s, i);
                if (instance->address)
                    buf_printf(&out, "10.1.%u.%u", s, instance->address);
                else
                    buf_printf(&out, "10.0.%u.%u", n, state->nodes[n].address);
                buf_printf(&out, ":%u t%u %s\n", instance->port, instance->tags,
                           status_names[worst(state, instance)]);
            }
    return buf_steal(&out);
}

static char *seen(void)
{
    struct buf out = {0};
    buf_printf(&out, "%zu nodes\n", catalog_node_count(catalog, NULL));
    for (unsigned s = 0; s < SERVICES; s++) {
        char name[16];
        snprintf(name, sizeof(name), "s%u", s);
        json_t *service = catalog_services_json(catalog, NULL, name);
        size_t i;
        json_t *item;
        json_array_foreach(json_object_get(service, "instances"), i, item)
        {
            buf_printf(&out, "%s: %s %s %s:%d %s %s\n", name,
                       json_string_value(json_object_get(item, "node")),
                       json_string_value(json_object_get(item, "id")),
                       json_string_value(json_object_get(item, "address")),
                       (int)json_integer_value(json_object_get(item, "port")),
                       json_string_value(json_array_get(json_object_get(item, "tags"), 0)),
                       json_string_value(json_object_get(item, "status")));
        }
        json_decref(service);
    }
    return buf_steal(&out);
}

/* --- a run -------------------------------------------------------------------------------------------- */

static void on_changed(void *arg)
{
    (void)arg;
    struct zone *zones[CATALOG_ZONES_MAX];
    size_t count = catalog_take_zones(catalog, zones);
    for (size_t i = 0; i < count; i++)
        zone_unref(zones[i]);
}

static void begin(uint64_t seed, unsigned pool)
{
    memset(&world, 0, sizeof(world));
    TAILQ_INIT(&world.queue);
    all_watches = NULL;
    world.model.now = 1000 * NS_PER_S;
    world.model.rng = (struct rng){.s = {seed * 0x9e3779b97f4a7c15U + 1, ~seed}};
    model_start(&world.model);

    memset(&config, 0, sizeof(config));
    memset(&view_state, 0, sizeof(view_state));
    config.services.enabled = true;
    name_from_text("consul", NULL, config.services.domain, NULL);
    config.services.answers = 40;
    config.consul.datacenter = (char *)"dc1";
    config.consul.stale_for = 3600 * NS_PER_S;
    atomic_store(&view_state.held, true);
    catalog = catalog_new(&config.services, "dc1", &view_state);
    watch = watch_new(&(struct watch_config){
        .base = (struct event_base *)&world,
        .builder = (struct builder *)&world,
        .client = (struct consul_client *)&world,
        .catalog = catalog,
        .state = &view_state,
        .config = &config,
        .changed = on_changed,
    });
    watch_reserve(watch, WATCH_CONNECTIONS - 12 - pool); /* 4 sentinels, 8 reads */
}

static void end(void)
{
    watch_free(watch);
    run_until(world.model.now + 10 * NS_PER_S); /* jobs that were with the builder */
    assert_true(TAILQ_EMPTY(&world.queue));
    assert_null(all_watches);
    catalog_free(catalog);
}

static void happens(unsigned kind)
{
    event(&world.model, kind);
    trace("event", "kind %u, now at %" PRIu64, kind, present(&world.model)->raft);
    wake_watches();
}

/* Until the view is the truth, or for so long; then it must be. */
static void converges(uint64_t seed, nstime within)
{
    nstime deadline = world.model.now + within;
    char *want = truth(), *have = seen();
    while (strcmp(want, have) != 0 && world.model.now < deadline) {
        free(have);
        run_until(world.model.now + 100 * NS_PER_MS);
        have = seen();
    }
    /* And it stays. */
    run_until(world.model.now + 2 * NS_PER_S);
    free(have);
    have = seen();
    if (strcmp(want, have) != 0) {
        json_t *status = watch_status(watch);
        char *text = json_dumps(status, JSON_COMPACT);
        print_error("seed %llu: Consul has\n%sand the view\n%s%s\n", (unsigned long long)seed, want, have,
                    text);
        fail();
    }
    free(want);
    free(have);
}

struct manner {
    const char *name;
    unsigned pool;    /* services with a blocked query; the others are found by lists and probes */
    bool stale;       /* servers lag behind by up to 300 ms */
    unsigned failing; /* of 1000 replies */
    bool outages;
    bool rewinds;
    nstime within;
};

static void one(const struct manner *manner, uint64_t seed)
{
    begin(seed, manner->pool);
    world.stale_is_old = manner->stale;
    world.failing = manner->failing;
    struct model *model = &world.model;
    for (unsigned round = 0; round < 3; round++) {
        unsigned events = 5 + below(model, 60);
        nstime pace = below(model, 2) ? 400 * NS_PER_MS : 20 * NS_PER_MS;
        for (unsigned i = 0; i < events; i++) {
            happens(below(model, EVENT_KINDS));
            run_until(model->now + random_delay(pace));
            if (manner->outages && below(model, 40) == 0)
                world.down_until = model->now + random_delay(4 * NS_PER_S);
            if (below(model, 10) == 0) {
                char name[16];
                snprintf(name, sizeof(name), "s%u", below(model, SERVICES));
                watch_ask(watch, name);
            }
        }
        if (manner->rewinds && model->last > 20) {
            /* A snapshot of an earlier time is restored. */
            size_t back = 1 + below(model, 15);
            struct state old = model->states[(model->last - back) % STATES];
            old.since = model->now;
            model->states[++model->last % STATES] = old;
            for (struct consul_watch *w = all_watches; w; w = w->next)
                if (w->waiting) { /* an abandoned store wakes them all */
                    unhappen(w->pending);
                    w->pending = NULL;
                    w->waiting = false;
                    watch_send(w);
                }
            run_until(model->now + NS_PER_S); /* replies of before it are in: the view may have been right */
        }
        world.failing = 0;
        converges(seed, manner->within);
        world.failing = manner->failing;
        if (manner->rewinds) /* a second one soon after would be taken for a lagging server for a while */
            run_until(model->now + 40 * NS_PER_S);
    }
    struct watch_stats stats;
    watch_stats(watch, &stats);
    if (stats.missed > 0)
        fail_msg("seed %llu: a sweep found what no list told", (unsigned long long)seed);
    end();
}

static void run_manner(const struct manner *manner)
{
    const char *only = getenv("LICTOR_MODEL_SEED"), *more = getenv("LICTOR_MODEL_SEEDS");
    if (only) {
        one(manner, strtoull(only, NULL, 10));
        return;
    }
    uint64_t seeds = more ? strtoull(more, NULL, 10) : SEEDS;
    for (uint64_t seed = 1; seed <= seeds; seed++)
        one(manner, seed);
}

/* Below 300 s, so that the reconciling sweep has no part in it. A last instance is held for up to 30 s. */
static void without_pool(void **state)
{
    (void)state;
    run_manner(&(struct manner){.pool = 0, .within = 60 * NS_PER_S});
}

static void with_pool(void **state)
{
    (void)state;
    run_manner(&(struct manner){.pool = 3, .within = 60 * NS_PER_S});
}

static void servers_that_lag(void **state)
{
    (void)state;
    run_manner(&(struct manner){.pool = 2, .stale = true, .within = 60 * NS_PER_S});
}

static void failing_reads(void **state)
{
    (void)state;
    run_manner(&(struct manner){.pool = 2, .stale = true, .failing = 50, .within = 80 * NS_PER_S});
}

static void outages(void **state)
{
    (void)state;
    run_manner(
        &(struct manner){.pool = 2, .stale = true, .failing = 10, .outages = true, .within = 80 * NS_PER_S});
}

static void restored_snapshots(void **state)
{
    (void)state;
    run_manner(&(struct manner){.pool = 2, .rewinds = true, .within = 90 * NS_PER_S});
}

static nstime age(void)
{
    return world.model.now - watch_last_contact(watch);
}

/* What a stale read shows is as old as its server's last word from the leader; a server that is cut off has
 * nothing current to say. */
static void servers_cut_off_from_the_leader(void **state)
{
    (void)state;
    begin(1, 2);
    run_until(world.model.now + 5 * NS_PER_S);
    assert_true(watch_live(watch));
    assert_true(atomic_load(&view_state.stale_from) == NS_NEVER);
    world.silent_ms = 3000;
    happens(8);
    run_until(world.model.now + 12 * NS_PER_S);
    assert_true(age() >= 3 * NS_PER_S && age() < 16 * NS_PER_S);
    assert_true(atomic_load(&view_state.stale_from) == NS_NEVER);
    world.silent_ms = 15000;
    run_until(world.model.now + 12 * NS_PER_S);
    assert_true(atomic_load(&view_state.stale_from) <= world.model.now);
    nstime before = age();
    run_until(world.model.now + 60 * NS_PER_S);
    assert_true(age() >= before + 55 * NS_PER_S);
    world.silent_ms = 0;
    happens(8);
    converges(1, 60 * NS_PER_S);
    assert_true(atomic_load(&view_state.stale_from) == NS_NEVER && age() < 15 * NS_PER_S);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_pool),
        cmocka_unit_test(with_pool),
        cmocka_unit_test(servers_that_lag),
        cmocka_unit_test(failing_reads),
        cmocka_unit_test(outages),
        cmocka_unit_test(restored_snapshots),
        cmocka_unit_test(servers_cut_off_from_the_leader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
