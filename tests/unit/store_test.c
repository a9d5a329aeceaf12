/* The zone store without I/O: three instances of the state machine against a model of Consul's KV, with
 * refused transactions, lost replies, late requests, stale reports, takeovers, crashes and `snapshot restore`
 * between any two steps, from a seed. Asserted: what was acknowledged is there in the end, once and
 * everywhere; what was refused is not; no instance ever shows a lower serial. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "zone_text.h"

#include "lictor/log.h"
#include "lictor/rng.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"
#include "lictor/zonefile.h"
#include "store/core.h"
#include "store_kv.h"

#include <cmocka.h>

#define SOA(serial) "example.com. 60 IN SOA ns.example.com. h.example.com. " #serial " 1 2 1000 4\n"
#define NS          "example.com. 60 IN NS ns.example.com.\n"

static struct zone_state zone_state_;

static struct zone *zone_of(const char *lines)
{
    return zone_text("example.com.", ZONE_AUTHORITATIVE, &zone_state_, lines);
}

/* --- instances ---------------------------------------------------------------------------------------- */

#define INSTANCES 3
#define LATE_MAX  64

struct change {
    unsigned number, runs;
    bool decided;
    enum store_outcome outcome;
};

struct instance {
    struct world *world;
    struct core *core;
    struct zone_state state;
    char name[64], session[64];
    unsigned life;
    bool believes; /* that it is the primary */
    struct kv_request *request;
    char request_session[64];
    struct buf disk, aside; /* base and log; lost entries: octets, each behind its length */
    bool shown;
    uint32_t serial;
    struct pair stale; /* a report of the head that was taken a while ago */
    bool has_stale;
    nstime stale_at;
};

struct world {
    struct rng rng;
    struct kv kv, saved;
    bool has_saved;
    nstime now;
    uint64_t epoch;
    struct instance instances[INSTANCES];
    struct {
        struct kv_request *request;
        char session[64];
    } late[LATE_MAX];
    size_t late_count;
    struct change *changes[4096];
    unsigned change_count;
    uint32_t file_serial;
    unsigned restores, acknowledged;
    struct store_counters totals;
};

static bool chance(struct world *world, unsigned percent)
{
    return rng_below(&world->rng, 100) < percent;
}

static void on_send(void *arg, struct core *core, struct kv_request *request)
{
    struct instance *instance = arg;
    (void)core;
    assert_null(instance->request);
    instance->request = request;
    snprintf(instance->request_session, sizeof instance->request_session, "%s", instance->session);
}

static void on_publish(void *arg, struct core *core, struct zone *zone)
{
    struct instance *instance = arg;
    struct err err;
    (void)core;
    if (zone_check(zone, &err))
        fail_msg("%s: what is published is no zone: %s", instance->name, err.text);
    if (instance->shown && serial_is_later(instance->serial, zone_serial(zone)))
        fail_msg("%s: serial %u after %u", instance->name, zone_serial(zone), instance->serial);
    instance->shown = true;
    instance->serial = zone_serial(zone);
    zone_unref(zone);
}

static void disk_append(struct buf *disk, const struct buf *octets)
{
    uint8_t len[4];
    put32(len, (uint32_t)octets->len);
    buf_append(disk, len, 4);
    buf_append(disk, octets->data, octets->len);
}

static void on_mirror_add(void *arg, struct core *core, const struct store_entry *entry,
                          const struct buf *octets)
{
    (void)core;
    (void)entry;
    struct instance *instance = arg;
    disk_append(&instance->disk, octets);
}

static void on_mirror_all(void *arg, struct core *core)
{
    struct instance *instance = arg;
    struct store_entry *const *log;
    size_t count = core_log(core, &log);
    struct buf octets = {0};
    struct store_entry *const *aside;
    size_t aside_count = core_aside(core, &aside);
    struct store_entry *base = core_base(core);
    instance->aside.len = 0;
    for (size_t i = 0; i < aside_count; i++) {
        octets.len = 0;
        store_entry_encode(aside[i], &octets);
        disk_append(&instance->aside, &octets);
    }
    octets.len = 0;
    instance->disk.len = 0;
    store_entry_encode(base, &octets);
    disk_append(&instance->disk, &octets);
    for (size_t i = 0; i < count; i++) {
        octets.len = 0;
        store_entry_encode(log[i], &octets);
        disk_append(&instance->disk, &octets);
    }
    store_entry_free(base);
    buf_free(&octets);
}

static void on_done(void *arg, struct core *core, struct submission *submission)
{
    struct instance *instance = arg;
    struct change *change = submission->arg;
    (void)core;
    if (change) {
        assert_false(change->decided);
        change->decided = true;
        change->outcome = submission->result.outcome;
        if (change->outcome == STORE_COMMITTED)
            instance->world->acknowledged++;
        if (noisy)
            printf("%lld %s: change %u: %d at seq %llx\n", (long long)(instance->world->now / NS_PER_MS),
                   instance->name, change->number, (int)change->outcome,
                   (unsigned long long)core_position(core)->seq);
    }
    if (submission->file)
        zone_unref(submission->file);
    free(submission);
}

static void on_note(void *arg, struct core *core, int level, const char *text)
{
    struct instance *instance = arg;
    (void)core;
    (void)level;
    if (noisy)
        printf("%lld %s: %s\n", (long long)(instance->world->now / NS_PER_MS), instance->name, text);
}

static size_t disk_read(const struct buf *disk, struct store_entry **entries)
{
    size_t count = 0;
    struct err err;
    for (size_t at = 0; at < disk->len;) {
        uint32_t len = get32(disk->data + at);
        entries[count] = store_entry_parse(disk->data + at + 4, len, &err);
        assert_non_null(entries[count++]);
        at += 4 + len;
    }
    return count;
}

static void start_instance(struct instance *instance)
{
    uint8_t apex[NAME_MAX_WIRE];
    name_of("example.com.", apex);
    struct core_hooks hooks = {on_send, on_publish, on_mirror_add, on_mirror_all,
                               on_done, on_note,    instance,      NULL};
    instance->core = core_new(&(struct core_config){apex, &instance->state, true, instance->name, &hooks});
    instance->life++;
    snprintf(instance->session, sizeof instance->session, "%s-%u", instance->name, instance->life);
    struct store_entry *entries[4096], *aside[4096];
    size_t count = disk_read(&instance->disk, entries), aside_count = disk_read(&instance->aside, aside);
    if (count)
        core_restore(instance->core, entries[0], entries + 1, count - 1, aside, aside_count);
}

static void make_late(struct world *world, struct kv_request *request, const char *session)
{
    if (world->late_count == LATE_MAX) {
        kv_request_free(request);
        return;
    }
    world->late[world->late_count].request = request;
    snprintf(world->late[world->late_count++].session, 64, "%s", session);
}

static void add_counters(struct world *world, struct core *core)
{
    const struct store_counters *c = core_counters(core);
    world->totals.commits += c->commits;
    world->totals.conflicts += c->conflicts;
    world->totals.unknown += c->unknown;
    world->totals.rewinds += c->rewinds;
    world->totals.recovered += c->recovered;
    world->totals.bases_read += c->bases_read;
    world->totals.entries_read += c->entries_read;
}

static void end_instance(struct instance *instance)
{
    instance->believes = false;
    if (instance->request)
        make_late(instance->world, instance->request, instance->request_session);
    instance->request = NULL;
    core_abandon(instance->core);
    add_counters(instance->world, instance->core);
    core_free(instance->core);
    instance->core = NULL;
}

/* Reply to what an instance has asked, in one of the ways that replies come. */
static void deliver(struct world *world, struct instance *instance, bool faults)
{
    struct kv_request *request = instance->request;
    if (!request)
        return;
    instance->request = NULL;
    struct kv_reply reply = {.error = "no answer", .failed_op = -1};
    unsigned fate = faults ? rng_below(&world->rng, 100) : 100;
    nstime started = world->now;
    if (fate >= 4 || fate == 0)
        kv_execute(&world->kv, request, instance->request_session, &reply);
    if (fate == 0) { /* done, but the answer is lost */
        reply_clear(&reply);
        reply.error = "no answer";
    }
    if (fate == 1 || fate == 2) /* it may come yet */
        make_late(world, request, instance->request_session);
    else
        kv_request_free(request);
    reply.started = started;
    struct kv_reply copy = reply;
    core_reply(instance->core, &copy, world->now);
    if (reply.status)
        consul_kv_free(reply.entries, reply.count);
}

static void report(struct world *world, struct instance *instance, bool stale)
{
    struct consul_kv entry = {.key = (char *)(uintptr_t) "heads/example.com"};
    struct pair *pair = kv_find(&world->kv, entry.key);
    nstime started = world->now;
    if (stale && instance->has_stale) {
        pair = &instance->stale;
        started = instance->stale_at;
    }
    if (pair) {
        entry.value = pair->value;
        entry.modify_index = pair->index;
    }
    core_heads(instance->core, pair ? &entry : NULL, started, world->now);
    if (!stale)
        core_freeze(instance->core, kv_find(&world->kv, FREEZE) ? "frozen" : "", world->now);
}

static void keep_stale(struct world *world, struct instance *instance)
{
    struct pair *pair = kv_find(&world->kv, "heads/example.com");
    if (!pair)
        return;
    instance->has_stale = true;
    instance->stale_at = world->now;
    instance->stale.index = pair->index;
    instance->stale.value.len = 0;
    buf_append(&instance->stale.value, pair->value.data, pair->value.len);
}

/* --- what is asked of them ----------------------------------------------------------------------------- */

static int add_name(void *arg, struct zone_edit *edit, const struct zone *current, struct err *err)
{
    struct change *change = arg;
    (void)current;
    change->runs++;
    if (change->number % 9 == 4)
        return err_set(err, "no");
    char line[128];
    snprintf(line, sizeof line, "u%u.example.com. 60 IN TXT \"%u\"\n", change->number, change->number);
    uint8_t owner[NAME_MAX_WIRE], rdata[16];
    snprintf(line, sizeof line, "u%u.example.com.", change->number);
    name_of(line, owner);
    if (zone_edit_get(edit, owner, DNS_TXT))
        return 7; /* present exactly once: it was run again though it was done */
    int len = snprintf((char *)rdata + 1, sizeof rdata - 1, "%u", change->number);
    rdata[0] = (uint8_t)len;
    struct rdata one = {rdata, (uint16_t)(len + 1), 0};
    struct piece *piece =
        piece_new(&(struct piece_spec){.type = DNS_TXT, .ttl = 60, .rdata = &one, .count = 1}, err);
    int result = zone_edit_put(edit, owner, piece, err);
    piece_unref(piece);
    return result;
}

static void submit(struct world *world, struct instance *instance)
{
    if (world->change_count == 4096)
        return;
    struct change *change = xcalloc(1, sizeof *change);
    change->number = world->change_count;
    world->changes[world->change_count++] = change;
    struct submission *submission = xcalloc(1, sizeof *submission);
    submission->edit = add_name;
    submission->arg = change;
    submission->health = chance(world, 30);
    snprintf(submission->author, sizeof submission->author, submission->health ? "health" : "update");
    core_submit(instance->core, submission, world->now);
}

static void give_file(struct world *world, struct instance *instance, bool newer)
{
    struct buf lines = {0};
    if (newer)
        world->file_serial += 1 + rng_below(&world->rng, 50);
    buf_printf(&lines, "example.com. 60 IN SOA ns.example.com. h.example.com. %u 1 2 1000 4\n" NS,
               world->file_serial);
    buf_printf(&lines, "file.example.com. 60 IN TXT \"%u\"\n", world->file_serial);
    core_file(instance->core, zone_of(buf_str(&lines)), world->now);
    buf_free(&lines);
}

static void elect(struct world *world, struct instance *instance)
{
    snprintf(world->kv.holder, sizeof world->kv.holder, "%s", instance->session);
    instance->believes = true;
    core_role(instance->core, true, ++world->epoch, world->now);
}

static void restart(struct world *world, struct instance *instance)
{
    if (noisy)
        printf("%lld restart of %s\n", (long long)(world->now / NS_PER_MS), instance->name);
    end_instance(instance);
    start_instance(instance);
    if (chance(world, 50))
        give_file(world, instance, false);
}

static void recover_watch(struct world *world)
{
    for (size_t i = 0; i < world->kv.count; i++)
        if (!strncmp(world->kv.pairs[i].key, "recover/example.com/", 20)) {
            for (unsigned n = 0; n < INSTANCES; n++)
                if (world->instances[n].believes)
                    core_recover_seen(world->instances[n].core, world->now);
            return;
        }
}

static void step(struct world *world)
{
    struct instance *instance = &world->instances[rng_below(&world->rng, INSTANCES)];
    unsigned what = rng_below(&world->rng, 1000);
    if (what < 500) {
        deliver(world, instance, true);
    } else if (what < 620) {
        submit(world, instance);
    } else if (what < 720) {
        report(world, instance, chance(world, 20));
    } else if (what < 850) {
        world->now += rng_below(&world->rng, 1500) * NS_PER_MS;
        for (unsigned i = 0; i < INSTANCES; i++)
            core_timer(world->instances[i].core, world->now);
    } else if (what < 880) {
        keep_stale(world, instance);
    } else if (what < 905) {
        elect(world, instance);
    } else if (what < 935) { /* one that lost the lock learns of it */
        if (instance->believes && strcmp(world->kv.holder, instance->session)) {
            instance->believes = false;
            core_role(instance->core, false, 0, world->now);
        }
    } else if (what < 950) {
        recover_watch(world);
    } else if (what < 965) {
        restart(world, instance);
    } else if (what < 975) {
        give_file(world, instance, chance(world, 70));
    } else if (what < 985 && world->late_count) {
        struct kv_reply reply;
        size_t i = rng_below(&world->rng, (uint32_t)world->late_count);
        kv_execute(&world->kv, world->late[i].request, world->late[i].session, &reply);
        consul_kv_free(reply.entries, reply.count);
        kv_request_free(world->late[i].request);
        world->late[i] = world->late[--world->late_count];
    } else if (what < 993) {
        kv_copy(&world->saved, &world->kv);
        world->has_saved = true;
    } else if (what < 996 && world->has_saved) {
        kv_copy(&world->kv, &world->saved);
        if (noisy)
            printf("%lld restore\n", (long long)(world->now / NS_PER_MS));
        world->kv.index += 10; /* the raft index goes on, those of the entries are old ones */
        world->restores++;
    } else if (what >= 996) {
        struct buf value = {0};
        world->kv.index++;
        if (kv_find(&world->kv, FREEZE))
            kv_delete(&world->kv, FREEZE);
        else
            kv_set(&world->kv, FREEZE, &value, world->kv.index);
    }
}

static char *text_of(const struct zone *zone)
{
    struct buf buf = {0};
    zonefile_print(zone, &buf);
    return buf_steal(&buf);
}

static bool has_change(const struct zone *zone, unsigned number)
{
    char text[64];
    uint8_t owner[NAME_MAX_WIRE];
    snprintf(text, sizeof text, "u%u.example.com.", number);
    name_of(text, owner);
    return zone_get(zone, owner, DNS_TXT) != NULL;
}

static void heal(struct world *world)
{
    while (world->late_count) {
        struct kv_reply reply;
        world->late_count--;
        kv_execute(&world->kv, world->late[world->late_count].request, world->late[world->late_count].session,
                   &reply);
        consul_kv_free(reply.entries, reply.count);
        kv_request_free(world->late[world->late_count].request);
    }
    kv_delete(&world->kv, FREEZE);
    for (unsigned i = 0; i < INSTANCES; i++) {
        world->instances[i].believes = false;
        core_role(world->instances[i].core, false, 0, world->now);
        give_file(world, &world->instances[i], false);
    }
    elect(world, &world->instances[rng_below(&world->rng, INSTANCES)]);
    for (unsigned round = 0; round < 200; round++) {
        world->now += NS_PER_S;
        recover_watch(world);
        for (unsigned i = 0; i < INSTANCES; i++) {
            report(world, &world->instances[i], false);
            core_timer(world->instances[i].core, world->now);
            for (unsigned n = 0; n < 40; n++)
                deliver(world, &world->instances[i], false);
        }
    }
}

static void check_world(struct world *world, uint64_t seed)
{
    char *first = NULL;
    for (unsigned i = 0; i < INSTANCES; i++) {
        struct core *core = world->instances[i].core;
        if (core_state(core) != CORE_CURRENT || !core_idle(core))
            fail_msg("seed %llu: %s is %s: %s", (unsigned long long)seed, world->instances[i].name,
                     core_state_text(core_state(core)), core_error(core));
        char *text = text_of(core_zone(core));
        if (first)
            assert_string_equal(text, first);
        else
            first = xstrdup(text);
        free(text);
        assert_true(zone_hash_equal(zone_hash(core_zone(core)), core_position(core)->hash));
        assert_int_equal(world->instances[i].serial, core_position(core)->serial);
    }
    free(first);
    const struct zone *zone = core_zone(world->instances[0].core);
    for (unsigned i = 0; i < world->change_count; i++) {
        const struct change *change = world->changes[i];
        if (!change->decided)
            fail_msg("seed %llu: change %u was never decided", (unsigned long long)seed, i);
        bool there = has_change(zone, i);
        if (change->outcome == STORE_COMMITTED && !there)
            fail_msg("seed %llu: change %u was acknowledged and is lost", (unsigned long long)seed, i);
        if (change->outcome != STORE_COMMITTED && change->outcome != STORE_UNKNOWN && there)
            fail_msg("seed %llu: change %u was refused (%d) and is there", (unsigned long long)seed, i,
                     (int)change->outcome);
    }
    for (size_t i = 0; i < world->kv.count; i++) /* nothing is left over */
        if (!strncmp(world->kv.pairs[i].key, "recover/", 8))
            fail_msg("seed %llu: %s is left", (unsigned long long)seed, world->kv.pairs[i].key);
}

static struct world *world_new(uint64_t seed)
{
    struct world *world = xcalloc(1, sizeof *world);
    world->rng.s[0] = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    world->rng.s[1] = ~seed;
    world->now = NS_PER_S;
    world->file_serial = rng_below(&world->rng, 3) ? 100 : UINT32_MAX - 20; /* serials wrap too */
    world->kv.index = 10;
    for (unsigned i = 0; i < INSTANCES; i++) {
        struct instance *instance = &world->instances[i];
        instance->world = world;
        snprintf(instance->name, sizeof instance->name, "i%u", i);
        start_instance(instance);
        give_file(world, instance, false);
    }
    return world;
}

/* The instances' counters are in its totals then. */
static void world_end(struct world *world)
{
    for (unsigned i = 0; i < INSTANCES; i++) {
        struct instance *instance = &world->instances[i];
        end_instance(instance);
        buf_free(&instance->disk);
        buf_free(&instance->aside);
        buf_free(&instance->stale.value);
    }
    while (world->late_count)
        kv_request_free(world->late[--world->late_count].request);
    for (unsigned i = 0; i < world->change_count; i++)
        free(world->changes[i]);
    kv_clear(&world->kv);
    kv_clear(&world->saved);
}

static void run_world(uint64_t seed, unsigned steps, struct store_counters *totals, unsigned *acknowledged,
                      unsigned *restores)
{
    struct world *world = world_new(seed);
    for (unsigned i = 0; i < steps; i++)
        step(world);
    heal(world);
    check_world(world, seed);
    *acknowledged += world->acknowledged;
    *restores += world->restores;
    world_end(world);
    totals->commits += world->totals.commits;
    totals->conflicts += world->totals.conflicts;
    totals->unknown += world->totals.unknown;
    totals->rewinds += world->totals.rewinds;
    totals->recovered += world->totals.recovered;
    totals->bases_read += world->totals.bases_read;
    totals->entries_read += world->totals.entries_read;
    free(world);
    zone_reap();
}

/* STORE_TEST_SEED=n runs one, noisily; STORE_TEST_WORLDS=n so many from a random one on. */
static void test_worlds(void **state)
{
    (void)state;
    const char *one = getenv("STORE_TEST_SEED"), *many = getenv("STORE_TEST_WORLDS");
    uint64_t first = one ? strtoull(one, NULL, 10) : many ? (uint64_t)clock_boot() % 1000000000 : 1;
    unsigned worlds = one ? 1 : many ? (unsigned)atoi(many) : 60;
    struct store_counters totals = {0};
    unsigned acknowledged = 0, restores = 0;
    noisy = one != NULL;
    for (unsigned i = 0; i < worlds; i++)
        run_world(first + i, 800, &totals, &acknowledged, &restores);
    printf(
        "seeds %llu to %llu: %u acknowledged, %u restores, %llu commits, %llu conflicts, %llu unknown, %llu "
        "rewinds, %llu put back, %llu bases, %llu entries read\n",
        (unsigned long long)first, (unsigned long long)first + worlds - 1, acknowledged, restores,
        (unsigned long long)totals.commits, (unsigned long long)totals.conflicts,
        (unsigned long long)totals.unknown, (unsigned long long)totals.rewinds,
        (unsigned long long)totals.recovered, (unsigned long long)totals.bases_read,
        (unsigned long long)totals.entries_read);
    if (!one) /* the test tests something */
        assert_true(acknowledged > worlds && totals.conflicts && totals.unknown && totals.rewinds &&
                    totals.recovered && totals.bases_read && totals.entries_read);
}

/* --- one after the other -------------------------------------------------------------------------------- */

/* All replies of this instance come, and its reports, until it has nothing more to ask. */
static void settle(struct world *world, struct instance *instance)
{
    for (unsigned round = 0; round < 20; round++) {
        world->now += NS_PER_S;
        report(world, instance, false);
        core_timer(instance->core, world->now);
        for (unsigned n = 0; n < 20; n++)
            deliver(world, instance, false);
    }
}

/* A commit that went through, whose answer was lost, and that another primary has committed upon since: the
 * author is told that nobody knows, and it is not run again. done: whether it went through. */
static void check_unknown(bool done)
{
    struct world *world = world_new(7);
    struct instance *one = &world->instances[0], *two = &world->instances[1];
    elect(world, one);
    settle(world, one);
    submit(world, one);
    assert_non_null(one->request);
    assert_int_equal(one->request->kind, KV_TXN);
    struct kv_reply reply = {.failed_op = -1};
    if (done) {
        kv_execute(&world->kv, one->request, one->request_session, &reply);
        assert_int_equal(reply.status, 200);
        reply_clear(&reply);
    }
    kv_request_free(one->request);
    one->request = NULL;
    reply.error = "no answer";
    core_reply(one->core, &reply, world->now);

    elect(world, two);
    settle(world, two);
    submit(world, two);
    settle(world, two);
    assert_int_equal(world->changes[1]->outcome, STORE_COMMITTED);
    /* The first has the lock again, and has not noticed that it was without. */
    two->believes = false;
    core_role(two->core, false, 0, world->now);
    snprintf(world->kv.holder, sizeof world->kv.holder, "%s", one->session);
    settle(world, one);
    settle(world, two);

    const struct change *change = world->changes[0];
    assert_true(change->decided);
    assert_int_equal(change->outcome, STORE_UNKNOWN);
    assert_int_equal(change->runs, 1);
    for (unsigned i = 0; i < 2; i++) {
        const struct zone *zone = core_zone(world->instances[i].core);
        assert_true(has_change(zone, 0) == done && has_change(zone, 1));
    }
    world_end(world);
    free(world);
    zone_reap();
}

static void test_unknown_is_not_run_again(void **state)
{
    (void)state;
    check_unknown(true);
    check_unknown(false);
}

/* The same answer lost, and nobody else has committed: sending it again finds it done. */
static void test_a_lost_answer_is_found_again(void **state)
{
    (void)state;
    struct world *world = world_new(7);
    struct instance *one = &world->instances[0];
    elect(world, one);
    settle(world, one);
    submit(world, one);
    struct kv_reply reply;
    kv_execute(&world->kv, one->request, one->request_session, &reply);
    reply_clear(&reply);
    kv_request_free(one->request);
    one->request = NULL;
    core_reply(one->core, &(struct kv_reply){.error = "no answer", .failed_op = -1}, world->now);
    settle(world, one);
    assert_int_equal(world->changes[0]->outcome, STORE_COMMITTED);
    assert_int_equal(world->changes[0]->runs, 1);
    assert_true(has_change(core_zone(one->core), 0));
    world_end(world);
    free(world);
    zone_reap();
}

/* Two restores of one snapshot, and a commit of another instance between them: both sides' are put back. */
static void test_a_commit_between_two_restores_is_put_back(void **state)
{
    (void)state;
    struct world *world = world_new(7);
    struct instance *one = &world->instances[0], *two = &world->instances[1];
    elect(world, one);
    settle(world, one);
    settle(world, two);
    kv_copy(&world->saved, &world->kv);
    for (unsigned i = 0; i < 3; i++) {
        submit(world, one);
        settle(world, one);
    }
    kv_copy(&world->kv, &world->saved);
    world->kv.index += 10;
    one->believes = false;
    core_role(one->core, false, 0, world->now);
    elect(world, two);
    submit(world, two);
    settle(world, two);
    assert_int_equal(world->changes[3]->outcome, STORE_COMMITTED);
    kv_copy(&world->kv, &world->saved);
    world->kv.index += 10;
    two->believes = false;
    core_role(two->core, false, 0, world->now);
    elect(world, one);
    settle(world, one); /* puts its own back */
    for (unsigned i = 0; i < 3; i++) {
        settle(world, two);
        recover_watch(world);
        settle(world, one);
    }
    for (unsigned i = 0; i < 4; i++)
        assert_true(has_change(core_zone(one->core), i) && has_change(core_zone(two->core), i));
    world_end(world);
    free(world);
    zone_reap();
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_is_not_run_again),
        cmocka_unit_test(test_a_lost_answer_is_found_again),
        cmocka_unit_test(test_a_commit_between_two_restores_is_put_back),
        cmocka_unit_test(test_worlds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
