/* Random histories of three instances against a toy of Consul's lock: requests take time, get lost, or are
 * carried out long after their sender gave up; processes stop for seconds; sessions die; the lock is released
 * or deleted from outside and handed around. Acting intervals must never overlap, and epochs only rise.
 * Mutations of the rules must be caught, or this would prove nothing. */
#include "lictor/election.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MS         NS_PER_MS
#define LEASE      (1000 * MS)
#define INSTANCES  3
#define DELIVERIES 256
#define HISTORY    (100 * NS_PER_S)
#define SEEDS      300
#define MUTANTS    5000 /* seeds until a mutation must have been caught */

enum mutation {
    NONE,
    NO_WAIT_OUT,         /* acts as soon as it holds the lock */
    LEASE_FROM_RESPONSE, /* counts from when the answer came */
    MARKER_IN_WAIT_OUT,  /* a holder that may not act yet leaves one too */
    REOPENS_ON_A_READ,   /* after a hand-over of unknown fate, which may still come */
    MUTATIONS,
};

static const char *const mutation_names[MUTATIONS] = {
    "none", "no wait-out", "lease counted from the response", "marker left in the wait-out",
    "reopened while the hand-over may still come"};

struct lock {
    bool exists;
    char session[ELECTION_ID_SIZE];
    uint64_t create, modify, epoch;
    struct election_value value;
};

/* Something that reaches the lock (asker's order) or an instance (event) at an instant. */
struct delivery {
    nstime at; /* 0: this place is free */
    unsigned instance;
    bool to_lock, follow, answered;
    nstime answer_at, started;
    char session[ELECTION_ID_SIZE]; /* the asker's, when it asked */
    struct election_order order;
    struct election_event event;
};

struct instance {
    struct election e;
    struct election_output out;
    nstime stopped_until;
    char session[ELECTION_ID_SIZE]; /* "": dead */
};

struct world {
    struct rng rng;
    nstime now;
    uint64_t raft, sessions, highest_epoch;
    unsigned highest_by, promotions;
    struct lock lock;
    struct instance in[INSTANCES];
    struct delivery queue[DELIVERIES];
    enum mutation mutation;
    bool overlapped, epoch_fell;
};

static bool chance(struct world *w, uint32_t per_thousand)
{
    return rng_below(&w->rng, 1000) < per_thousand;
}

static nstime within(struct world *w, nstime most)
{
    return 1 + (nstime)(rng_next(&w->rng) % (uint64_t)most);
}

/* Mostly fast, sometimes slower than a lease. */
static nstime latency(struct world *w)
{
    return chance(w, 20) ? within(w, 3 * LEASE) : within(w, 4 * MS);
}

static struct delivery *enqueue(struct world *w, unsigned instance, nstime at)
{
    for (size_t i = 0; i < DELIVERIES; i++)
        if (w->queue[i].at == 0) {
            w->queue[i] = (struct delivery){.at = at, .instance = instance};
            return &w->queue[i];
        }
    fail_msg("the queue is full");
    return NULL;
}

/* ---- the toy lock ---- */

static void touch(struct world *w)
{
    if (!w->lock.exists)
        w->lock.create = w->raft + 1;
    w->lock.exists = true;
    w->lock.modify = ++w->raft;
}

static bool lives(const struct world *w, const char *session)
{
    for (unsigned i = 0; i < INSTANCES; i++)
        if (session[0] != '\0' && strcmp(w->in[i].session, session) == 0)
            return true;
    return false;
}

static bool held_by(const struct world *w, const char *session)
{
    return w->lock.exists && session[0] != '\0' && strcmp(w->lock.session, session) == 0;
}

static void put_value(struct world *w, const char *instance, const struct election_order *o, uint64_t epoch)
{
    w->lock.value = (struct election_value){.readable = true, .epoch = epoch, .lease = o->lease};
    strcpy(w->lock.value.instance, instance);
}

static bool acquire(struct world *w, const struct delivery *d)
{
    bool index_ok =
        d->order.index == 0 ? !w->lock.exists : w->lock.exists && w->lock.modify == d->order.index;
    if (!index_ok || !lives(w, d->session) || (w->lock.exists && w->lock.session[0] != '\0'))
        return false;
    touch(w);
    strcpy(w->lock.session, d->session);
    put_value(w, w->in[d->instance].e.config.instance, &d->order, 0);
    return true;
}

static bool write_value(struct world *w, const struct delivery *d)
{
    if (!held_by(w, d->session) || w->lock.modify != d->order.index)
        return false;
    touch(w);
    put_value(w, w->in[d->instance].e.config.instance, &d->order, d->order.epoch);
    w->lock.epoch = d->order.epoch;
    return true;
}

static bool hand_over(struct world *w, const struct delivery *d)
{
    bool to_nobody = d->order.session[0] == '\0';
    if (!held_by(w, d->session) || w->lock.modify != d->order.index ||
        (!to_nobody && !lives(w, d->order.session)))
        return false;
    touch(w);
    put_value(w, w->in[d->instance].e.config.instance, &d->order, 0);
    for (unsigned i = 0; i < INSTANCES; i++)
        if (!to_nobody && strcmp(w->in[i].session, d->order.session) == 0)
            strcpy(w->lock.value.instance, w->in[i].e.config.instance);
    strcpy(w->lock.session, d->order.session);
    w->lock.value.marker = d->order.marker;
    if (d->order.marker) {
        strcpy(w->lock.value.marker_session, d->session);
        w->lock.value.marker_epoch = d->order.epoch;
    }
    return true;
}

static void kill_session(struct world *w, unsigned i)
{
    if (held_by(w, w->in[i].session)) {
        touch(w);
        w->lock.session[0] = '\0';
    }
    w->in[i].session[0] = '\0';
    enqueue(w, i, w->now + latency(w))->event.kind = ELECTION_SESSION_LOST;
}

static void new_session(struct world *w, unsigned i)
{
    snprintf(w->in[i].session, ELECTION_ID_SIZE, "session-%llu", (unsigned long long)++w->sessions);
    struct delivery *d = enqueue(w, i, w->now + latency(w));
    d->event.kind = ELECTION_SESSION;
    strcpy(d->event.session, w->in[i].session);
}

/* ---- requests ---- */

static enum election_event_kind answer_kind(const struct delivery *d)
{
    switch (d->order.kind) {
    case ELECTION_ACQUIRE:
        return ELECTION_ACQUIRED;
    case ELECTION_WRITE:
        return ELECTION_WRITTEN;
    case ELECTION_RELEASE:
        return ELECTION_RELEASED;
    default:
        return ELECTION_READ;
    }
}

static void reach_lock(struct world *w, const struct delivery *d)
{
    struct delivery reply = {.at = d->answer_at, .instance = d->instance, .follow = d->follow};
    struct election_result *result = &reply.event.result;
    struct election_read *read = &reply.event.read;
    reply.event.kind = answer_kind(d);
    if (reply.event.kind == ELECTION_READ) {
        read->confirm = !d->follow;
        read->started = d->started;
        read->exists = w->lock.exists;
        if (w->lock.exists) {
            read->create_index = w->lock.create;
            read->modify_index = w->lock.modify;
            strcpy(read->session, w->lock.session);
            read->value = w->lock.value;
        }
    } else {
        bool behind = d->order.kind == ELECTION_WRITE && d->order.first && w->lock.epoch >= d->order.epoch;
        bool done = behind                              ? false
                    : d->order.kind == ELECTION_ACQUIRE ? acquire(w, d)
                    : d->order.kind == ELECTION_WRITE   ? write_value(w, d)
                                                        : hand_over(w, d);
        result->outcome = behind ? ELECTION_BEHIND : done ? ELECTION_DONE : ELECTION_CONFLICT;
        result->serial = d->order.serial;
        result->started = d->started;
        result->kv_epoch = w->lock.epoch;
        result->create_index = w->lock.create;
        result->modify_index = w->lock.modify;
    }
    if (d->answered)
        *enqueue(w, d->instance, d->answer_at) = reply;
}

static const struct election_order follow_order = {.kind = ELECTION_CONFIRM};

/* Sends it; the sender gives up after the timeout, whatever becomes of the request. */
static void ask(struct world *w, unsigned i, const struct election_order *o, bool follow)
{
    struct delivery d = {.instance = i, .to_lock = true, .follow = follow, .started = w->now, .order = *o};
    nstime timeout = follow ? LEASE : o->timeout;
    bool lost = chance(w, 20);
    d.at = w->now + latency(w);
    d.answer_at = d.at + latency(w);
    d.answered = !lost && d.answer_at <= w->now + timeout;
    strcpy(d.session, w->in[i].e.session);
    if (!lost)
        *enqueue(w, i, d.at) = d;
    if (d.answered)
        return;
    struct delivery *failure = enqueue(w, i, w->now + timeout);
    failure->follow = follow;
    failure->event.kind = answer_kind(&d);
    if (failure->event.kind == ELECTION_READ) {
        failure->event.kind = ELECTION_READ_FAILED;
        failure->event.read.confirm = !follow;
    } else {
        failure->event.result = (struct election_result){.outcome = ELECTION_UNKNOWN, .serial = o->serial};
    }
}

/* ---- the instances ---- */

static void check(struct world *w, unsigned i)
{
    for (unsigned j = 0; j < INSTANCES; j++)
        if (j != i && w->in[i].out.act_until > w->now && w->in[j].out.act_until > w->now)
            w->overlapped = true;
}

static void promoted(struct world *w, unsigned i, uint64_t epoch)
{
    w->promotions++;
    if (epoch < w->highest_epoch || (epoch == w->highest_epoch && w->highest_by != i))
        w->epoch_fell = true;
    w->highest_epoch = epoch;
    w->highest_by = i;
}

static void obey(struct world *w, unsigned i)
{
    for (size_t n = 0; n < w->in[i].out.count; n++) {
        const struct election_order *o = &w->in[i].out.orders[n];
        struct delivery *d;
        switch (o->kind) {
        case ELECTION_ACQUIRE:
        case ELECTION_CONFIRM:
        case ELECTION_WRITE:
        case ELECTION_RELEASE:
            ask(w, i, o, false);
            break;
        case ELECTION_QUIESCE:
            d = enqueue(w, i, w->now + within(w, 20 * MS));
            d->event.kind = ELECTION_QUIESCED;
            d->event.flag = chance(w, 900);
            break;
        case ELECTION_CHECK_SESSION:
            if (strcmp(w->in[i].session, w->in[i].e.session) == 0)
                enqueue(w, i, w->now + latency(w))->event.kind = ELECTION_SESSION_ALIVE;
            break;
        case ELECTION_PROMOTED:
            promoted(w, i, o->epoch);
            break;
        default:
            break;
        }
    }
}

static void step(struct world *w, unsigned i, struct election_event *event)
{
    struct election *e = &w->in[i].e;
    bool mine =
        event->kind == ELECTION_READ && e->session[0] != '\0' && strcmp(event->read.session, e->session) == 0;
    if (event->kind == ELECTION_READ)
        event->read.finished = w->now;
    else if (event->kind == ELECTION_ACQUIRED || event->kind == ELECTION_WRITTEN ||
             event->kind == ELECTION_RELEASED)
        event->result.finished = w->now;
    if (w->mutation == LEASE_FROM_RESPONSE && mine)
        event->read.started = w->now;
    if (w->mutation == MARKER_IN_WAIT_OUT && event->kind == ELECTION_HANDOVER &&
        e->state == ELECTION_WAITING_OUT)
        e->state = ELECTION_PRIMARY;
    election_step(e, event, w->now, &w->in[i].out);
    if (w->mutation == NO_WAIT_OUT && e->state == ELECTION_WAITING_OUT)
        e->wait_until = w->now;
    if (w->mutation == REOPENS_ON_A_READ && e->state == ELECTION_RESOLVING)
        e->state = ELECTION_PAUSED;
    check(w, i);
    obey(w, i);
}

static void deliver(struct world *w, struct delivery *place)
{
    struct delivery d = *place;
    if (!d.to_lock && w->in[d.instance].stopped_until > w->now) {
        place->at = w->in[d.instance].stopped_until;
        return;
    }
    place->at = 0;
    if (d.to_lock) {
        if (d.follow && d.event.kind == ELECTION_TIMER) /* the time of the next blocking query */
            ask(w, d.instance, &follow_order, true);
        else
            reach_lock(w, &d);
        return;
    }
    step(w, d.instance, &d.event);
    if (d.event.kind == ELECTION_SESSION_LOST)
        new_session(w, d.instance);
    if (d.follow) {
        struct delivery *next = enqueue(w, d.instance, w->now + within(w, LEASE / 4));
        next->to_lock = next->follow = true;
        next->event.kind = ELECTION_TIMER;
    }
}

static void disturb(struct world *w)
{
    unsigned i = rng_below(&w->rng, INSTANCES), j = rng_below(&w->rng, INSTANCES);
    struct delivery *d;
    switch (rng_below(&w->rng, 8)) {
    case 0:
        w->in[i].stopped_until = w->now + within(w, 4 * LEASE);
        break;
    case 1:
        if (chance(w, 500)) /* it does not hear of it */
            w->in[i].stopped_until = w->now + within(w, 4 * LEASE);
        if (w->in[i].session[0] != '\0')
            kill_session(w, i);
        break;
    case 2: /* released from outside, or deleted */
        if (w->lock.exists && w->lock.session[0] != '\0') {
            touch(w);
            w->lock.session[0] = '\0';
        }
        break;
    case 3:
        w->raft += w->lock.exists;
        memset(&w->lock, 0, offsetof(struct lock, epoch));
        memset(&w->lock.value, 0, sizeof w->lock.value);
        break;
    default:
        d = enqueue(w, i, w->now);
        d->event.kind = ELECTION_HANDOVER;
        if (chance(w, 800))
            strcpy(d->event.session, i != j ? w->in[j].session : "");
    }
}

static void begin(struct world *w, uint64_t seed, enum mutation mutation)
{
    memset(w, 0, sizeof *w);
    w->rng = (struct rng){{seed * 0x9e3779b97f4a7c15u + 1, ~seed}};
    w->now = NS_PER_S;
    w->mutation = mutation;
    for (int warm = 0; warm < 20; warm++)
        rng_next(&w->rng);
    for (unsigned i = 0; i < INSTANCES; i++) {
        struct election_config config = {
            .lease = LEASE, .candidate = true, .priority = 100, .seed = rng_next(&w->rng)};
        snprintf(config.instance, sizeof config.instance, "instance-%u", i);
        election_init(&w->in[i].e, &config, w->now);
        w->in[i].out.timer = NS_NEVER;
        struct election_event ready = {.kind = ELECTION_READY, .flag = true};
        step(w, i, &ready);
        new_session(w, i);
        ask(w, i, &follow_order, true);
    }
}

static void run(struct world *w, uint64_t seed, enum mutation mutation)
{
    begin(w, seed, mutation);
    nstime disturbance = w->now + within(w, 4 * LEASE);
    while (w->now < HISTORY && !w->overlapped && !w->epoch_fell) {
        struct delivery *next = NULL;
        int timer = -1;
        nstime at = disturbance;
        for (size_t i = 0; i < DELIVERIES; i++)
            if (w->queue[i].at != 0 && w->queue[i].at < at) {
                next = &w->queue[i];
                at = next->at;
            }
        for (unsigned i = 0; i < INSTANCES; i++) {
            nstime due = w->in[i].out.timer;
            due = due != NS_NEVER && due < w->in[i].stopped_until ? w->in[i].stopped_until : due;
            if (due < at) {
                at = due;
                timer = (int)i;
            }
        }
        w->now = at > w->now ? at : w->now;
        if (timer >= 0) {
            struct election_event event = {.kind = ELECTION_TIMER};
            step(w, (unsigned)timer, &event);
        } else if (next != NULL) {
            deliver(w, next);
        } else {
            disturb(w);
            /* Trouble comes in company. */
            disturbance = w->now + within(w, chance(w, 500) ? LEASE / 4 : 6 * LEASE);
        }
    }
}

static void acting_never_overlaps_and_epochs_rise(void **state)
{
    (void)state;
    static struct world w;
    unsigned promotions = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(&w, seed, NONE);
        if (w.overlapped || w.epoch_fell)
            fail_msg("seed %llu: %s", (unsigned long long)seed,
                     w.overlapped ? "two acted at once" : "an epoch fell");
        promotions += w.promotions;
    }
    print_message("%u promotions\n", promotions);
    assert_true(promotions > SEEDS * 10); /* or nothing was tried */
}

static void every_mutation_is_caught(void **state)
{
    (void)state;
    static struct world w;
    for (int mutation = NONE + 1; mutation < MUTATIONS; mutation++) {
        bool caught = false;
        uint64_t at = 0;
        for (uint64_t seed = 1; seed <= MUTANTS && !caught; seed++) {
            at = seed;
            run(&w, seed, (enum mutation)mutation);
            caught = w.overlapped;
        }
        if (caught)
            print_message("caught by seed %llu: %s\n", (unsigned long long)at, mutation_names[mutation]);
        else
            fail_msg("not caught: %s", mutation_names[mutation]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acting_never_overlaps_and_epochs_rise),
        cmocka_unit_test(every_mutation_is_caught),
    };
    return cmocka_run_group_tests_name("election histories", tests, NULL, NULL);
}
