/* Random histories of three instances with failsafe: a toy of Consul's lock that each of them reaches or not,
 * links between them that lose, delay and repeat messages, deaths and restarts that forget every promise.
 * Nobody may act or hold while another acts or holds; and holding must happen, or nothing was tried.
 * Mutations of the rules must be caught. */
#include "lictor/failsafe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MS        NS_PER_MS
#define LEASE     (1000 * MS)
#define INSTANCES 3
#define PLACES    512
#define HISTORY   (60 * NS_PER_S)
#define SEEDS     200
#define MUTANTS   3000

enum mutation {
    NONE,
    CONSENTS_TO_ANYBODY, /* whatever it saw, whatever it holds */
    HOLDS_TOO_LONG,      /* four leases for one round */
    SILENCE_IS_CONSENT,  /* of one member */
    OLD_ANSWERS_COUNT,   /* of earlier rounds */
    STRANGERS_STAND,     /* who was not named stands too */
    MUTATIONS,
};

static const char *const mutation_names[MUTATIONS] = {"none",
                                                      "consents to anybody",
                                                      "holds four leases for one round",
                                                      "silence is consent",
                                                      "old answers count",
                                                      "strangers stand"};

enum kind { FREE, TO_LOCK, TO_INSTANCE, QUESTION, ANSWER, NEXT_READ };

struct message {
    enum kind kind;
    nstime at;
    unsigned from, to; /* instances */
    unsigned life;     /* of the instance that it is for, or that asked the lock */
    bool follow;
    nstime started, give_up;
    char session[ELECTION_ID_SIZE];
    unsigned named; /* a bit an instance, in a WRITE and in what was read */
    struct election_order order;
    struct election_event event;
    struct failsafe_request request;
    enum failsafe_verdict verdict;
};

struct instance {
    struct election e;
    struct failsafe f;
    nstime act_until, hold_until, timer, failsafe_timer;
    unsigned life;
    bool dead, cut;       /* cut: Consul is out of reach */
    nstime session_until; /* Consul ends it when nobody beat since */
    char session[ELECTION_ID_SIZE];
    /* what role/ keeps */
    unsigned read_named, written_named;
    struct election_value read_value;
    bool read_free, sure, ready;
    uint32_t serial;
};

struct world {
    struct rng rng;
    nstime now;
    uint64_t raft, sessions;
    struct {
        bool exists;
        char session[ELECTION_ID_SIZE];
        uint64_t create, modify, epoch;
        struct election_value value;
        unsigned named;
    } lock;
    struct instance in[INSTANCES];
    bool link_down[INSTANCES][INSTANCES];
    struct message places[PLACES];
    enum mutation mutation;
    bool overlapped, epoch_fell;
    uint64_t highest; /* epoch that was acted in */
    bool down;        /* Consul as a whole: its sessions stand still */
    unsigned promotions, holds, resumed;
};

static const char names[INSTANCES][ELECTION_ID_SIZE] = {"instance-0", "instance-1", "instance-2"};

static bool chance(struct world *w, uint32_t per_thousand)
{
    return rng_below(&w->rng, 1000) < per_thousand;
}

static nstime within(struct world *w, nstime most)
{
    return 1 + (nstime)(rng_next(&w->rng) % (uint64_t)most);
}

static nstime latency(struct world *w)
{
    return chance(w, 30) ? within(w, 3 * LEASE) : within(w, 4 * MS);
}

static struct message *post(struct world *w, enum kind kind, unsigned to, nstime at)
{
    for (size_t i = 0; i < PLACES; i++)
        if (w->places[i].kind == FREE) {
            w->places[i] = (struct message){.kind = kind, .at = at, .to = to, .life = w->in[to].life};
            return &w->places[i];
        }
    fail_msg("too many messages");
    return NULL;
}

static bool same(const char *a, const char *b)
{
    return a[0] != '\0' && strcmp(a, b) == 0;
}

/* ---- the toy lock ---- */

static unsigned living(const struct world *w)
{
    unsigned bits = 0;
    for (unsigned i = 0; i < INSTANCES; i++)
        bits |= w->in[i].session[0] != '\0' ? 1u << i : 0;
    return bits;
}

static void free_lock(struct world *w)
{
    w->lock.session[0] = '\0';
    w->lock.modify = ++w->raft;
}

static bool session_lives(const struct world *w, const char *session)
{
    for (unsigned i = 0; i < INSTANCES; i++)
        if (same(session, w->in[i].session))
            return true;
    return false;
}

static bool put_value(struct world *w, const struct message *m, uint64_t epoch)
{
    if (!w->lock.exists)
        w->lock.create = w->raft + 1;
    w->lock.exists = true;
    w->lock.modify = ++w->raft;
    w->lock.value = (struct election_value){.readable = true, .epoch = epoch, .lease = m->order.lease};
    strcpy(w->lock.value.instance, names[m->to]);
    w->lock.named = m->named;
    return true;
}

static bool carry_out(struct world *w, const struct message *m)
{
    bool index = m->order.index == 0 ? !w->lock.exists : w->lock.exists && w->lock.modify == m->order.index;
    if (!index || !session_lives(w, m->session))
        return false;
    if (m->order.kind == ELECTION_ACQUIRE) {
        if (w->lock.session[0] != '\0')
            return false;
        strcpy(w->lock.session, m->session);
        return put_value(w, m, 0);
    }
    if (!same(m->session, w->lock.session))
        return false;
    w->lock.epoch = m->order.epoch;
    return put_value(w, m, m->order.epoch);
}

static void reach_lock(struct world *w, const struct message *m)
{
    struct message reply = *m;
    struct election_read *read = &reply.event.read;
    struct election_result *result = &reply.event.result;
    memset(&reply.event, 0, sizeof reply.event);
    if (m->order.kind == ELECTION_ACQUIRE || m->order.kind == ELECTION_WRITE) {
        bool behind = m->order.first && w->lock.epoch >= m->order.epoch;
        bool done = !behind && carry_out(w, m);
        reply.event.kind = m->order.kind == ELECTION_ACQUIRE ? ELECTION_ACQUIRED : ELECTION_WRITTEN;
        *result = (struct election_result){.outcome = behind ? ELECTION_BEHIND
                                                      : done ? ELECTION_DONE
                                                             : ELECTION_CONFLICT,
                                           .serial = m->order.serial,
                                           .started = m->started,
                                           .create_index = w->lock.create,
                                           .modify_index = w->lock.modify,
                                           .kv_epoch = w->lock.epoch};
    } else {
        reply.event.kind = ELECTION_READ;
        read->confirm = !m->follow;
        read->started = m->started;
        read->exists = w->lock.exists;
        if (w->lock.exists) {
            strcpy(read->session, w->lock.session);
            read->create_index = w->lock.create;
            read->modify_index = w->lock.modify;
            read->value = w->lock.value;
            reply.named = w->lock.named;
        }
    }
    reply.kind = TO_INSTANCE;
    reply.at = w->now + latency(w);
    if (reply.at > m->give_up)
        return;                           /* its sender has heard of the timeout by then */
    for (size_t i = 0; i < PLACES; i++) { /* instead of that timeout */
        struct message *t = &w->places[i];
        if (t->kind == TO_INSTANCE && t->at == m->give_up && t->to == m->to && t->started == m->started &&
            t->order.serial == m->order.serial && t->order.kind == m->order.kind && t->follow == m->follow) {
            *t = reply;
            return;
        }
    }
}

/* ---- instances ---- */

static void step(struct world *w, unsigned i, struct election_event *event);

static void send_order(struct world *w, unsigned i, const struct election_order *o, bool follow)
{
    struct instance *in = &w->in[i];
    nstime timeout = follow ? LEASE / 2 : o->timeout;
    struct message *failure =
        post(w, TO_INSTANCE, i, in->cut && chance(w, 500) ? w->now + 1 * MS : w->now + timeout);
    failure->started = w->now;
    failure->follow = follow;
    failure->order = *o;
    if (o->kind == ELECTION_CONFIRM) {
        failure->event.kind = ELECTION_READ_FAILED;
        failure->event.read.confirm = !follow;
    } else {
        failure->event.kind = o->kind == ELECTION_ACQUIRE ? ELECTION_ACQUIRED : ELECTION_WRITTEN;
        failure->event.result = (struct election_result){.outcome = ELECTION_UNKNOWN, .serial = o->serial};
    }
    if (o->kind == ELECTION_WRITE) {
        /* The members as some read of late showed them: not always the present ones. */
        in->written_named = in->e.state == ELECTION_PRIMARY ? living(w) | 1u << i : 0;
        if ((in->written_named & (in->written_named - 1)) == 0)
            in->written_named = 0; /* alone */
        in->serial = o->serial;
        in->sure = false;
    }
    nstime give_up = failure->at;
    if (in->cut || chance(w, 20))
        return;
    struct message *m = post(w, TO_LOCK, i, w->now + latency(w));
    m->order = *o;
    m->follow = follow;
    m->started = w->now;
    m->give_up = give_up;
    m->named = o->kind == ELECTION_WRITE ? in->written_named : 0;
    strcpy(m->session, in->e.session);
}

static void check(struct world *w)
{
    unsigned holders = 0;
    for (unsigned i = 0; i < INSTANCES; i++) {
        const struct instance *in = &w->in[i];
        if (!in->dead && (w->now < in->act_until || w->now < in->hold_until))
            holders++;
        if (!in->dead && w->now < in->act_until) {
            w->epoch_fell = w->epoch_fell || in->e.epoch < w->highest;
            w->highest = in->e.epoch > w->highest ? in->e.epoch : w->highest;
        }
    }
    if (holders > 1)
        w->overlapped = true;
}

static enum failsafe_verdict failsafe(struct world *w, unsigned i, const struct failsafe_event *event)
{
    struct instance *in = &w->in[i];
    struct failsafe_output out;
    nstime before = in->f.hold_from;
    failsafe_step(&in->f, &in->e, event, w->now, &out);
    if (w->mutation == HOLDS_TOO_LONG && in->f.hold_from != before && in->f.hold_until != 0)
        in->f.hold_until = out.hold_until = in->f.hold_from + 4 * LEASE;
    in->hold_until = out.hold_until;
    in->failsafe_timer = out.timer;
    w->holds += out.note == FAILSAFE_NOTE_HOLDING;
    w->resumed += out.note == FAILSAFE_NOTE_CONFIRMED;
    for (unsigned n = 0; n < in->f.count; n++) {
        if ((out.ask >> n & 1) == 0)
            continue;
        unsigned to = 0;
        while (strcmp(names[to], in->f.members[n]) != 0)
            to++;
        if (w->mutation == SILENCE_IS_CONSENT && w->link_down[i][to]) {
            struct message *m = post(w, ANSWER, i, w->now + MS);
            m->from = to;
            m->request.nonce = in->f.nonce;
            m->verdict = FAILSAFE_YES;
        }
        for (int copies = chance(w, 50) ? 2 : 1; copies > 0; copies--) {
            if (w->link_down[i][to] || chance(w, 20))
                continue;
            struct message *m = post(w, QUESTION, to, w->now + latency(w));
            m->from = i;
            m->request =
                (struct failsafe_request){.epoch = in->f.epoch, .nonce = in->f.nonce, .lease = LEASE};
            strcpy(m->request.instance, names[i]);
        }
    }
    check(w);
    return out.verdict;
}

static void tell_list(struct world *w, unsigned i)
{
    struct instance *in = &w->in[i];
    char list[INSTANCES][ELECTION_ID_SIZE];
    size_t count = 0;
    for (unsigned n = 0; n < INSTANCES; n++)
        if (in->sure && (in->written_named >> n & 1) != 0)
            strcpy(list[count++], names[n]);
    struct failsafe_event event = {.kind = FAILSAFE_LIST,
                                   .list = {count, (const char(*)[ELECTION_ID_SIZE])list}};
    failsafe(w, i, &event);
}

static void mind_ready(struct world *w, unsigned i)
{
    struct instance *in = &w->in[i];
    char list[INSTANCES][ELECTION_ID_SIZE];
    size_t count = 0;
    for (unsigned n = 0; n < INSTANCES; n++)
        if ((in->read_named >> n & 1) != 0)
            strcpy(list[count++], names[n]);
    bool barred = in->read_free && failsafe_barred(names[i], in->read_value.instance,
                                                   (const char(*)[ELECTION_ID_SIZE])list, count, false);
    bool ready = !barred || w->mutation == STRANGERS_STAND;
    if (ready == in->ready)
        return;
    in->ready = ready;
    struct election_event event = {.kind = ELECTION_READY, .flag = ready};
    step(w, i, &event);
}

static void step(struct world *w, unsigned i, struct election_event *event)
{
    struct instance *in = &w->in[i];
    struct election_output out;
    election_step(&in->e, event, w->now, &out);
    in->act_until = out.act_until;
    in->timer = out.timer;
    struct failsafe_event look = {.kind = FAILSAFE_LOOK};
    failsafe(w, i, &look);
    for (size_t n = 0; n < out.count; n++) {
        const struct election_order *o = &out.orders[n];
        if (o->kind == ELECTION_ACQUIRE || o->kind == ELECTION_CONFIRM || o->kind == ELECTION_WRITE) {
            send_order(w, i, o, false);
            if (o->kind == ELECTION_WRITE)
                tell_list(w, i);
        } else if (o->kind == ELECTION_CHECK_SESSION && !in->cut) {
            struct message *m = post(w, TO_INSTANCE, i, w->now + latency(w));
            m->event.kind = same(in->session, in->e.session) ? ELECTION_SESSION_ALIVE : ELECTION_SESSION_LOST;
        }
        w->promotions += o->kind == ELECTION_PROMOTED;
    }
    if (in->e.state == ELECTION_PRIMARY && !in->e.writing && !in->cut) {
        unsigned wanted = living(w) | 1u << i;
        wanted = (wanted & (wanted - 1)) == 0 ? 0 : wanted;
        if (wanted != in->written_named) {
            election_rewrite(&in->e, w->now);
            in->timer = w->now;
        }
    }
}

static const struct election_order read_order = {.kind = ELECTION_CONFIRM};

static void come_to_life(struct world *w, unsigned i)
{
    struct instance *in = &w->in[i];
    unsigned life = in->life + 1;
    bool cut = in->cut;
    char session[ELECTION_ID_SIZE];
    strcpy(session, in->session);
    memset(in, 0, sizeof *in);
    in->life = life;
    in->cut = cut;
    strcpy(in->session, session); /* of the earlier life, until it lapses */
    in->session_until = w->now + LEASE / 2;
    in->timer = in->failsafe_timer = NS_NEVER;
    in->ready = true;
    struct election_config config = {
        .lease = LEASE, .candidate = true, .priority = 100, .seed = rng_next(&w->rng)};
    struct failsafe_config failsafe_config = {.enabled = true, .seed = rng_next(&w->rng)};
    strcpy(config.instance, names[i]);
    strcpy(failsafe_config.instance, names[i]);
    election_init(&in->e, &config, w->now);
    failsafe_init(&in->f, &failsafe_config);
    struct election_event ready = {.kind = ELECTION_READY, .flag = true};
    step(w, i, &ready);
    send_order(w, i, &read_order, true);
}

static void deliver(struct world *w, struct message *place)
{
    struct message m = *place;
    struct instance *in = &w->in[m.to];
    place->kind = FREE;
    if (m.kind == TO_LOCK) {
        if (!in->cut || chance(w, 300)) /* the request may have passed before the cut, its answer not */
            reach_lock(w, &m);
        return;
    }
    if (in->dead || in->life != m.life)
        return;
    if (m.kind == QUESTION) {
        struct failsafe_event event = {.kind = FAILSAFE_ASKED, .request = m.request};
        enum failsafe_verdict verdict = failsafe(w, m.to, &event);
        if (w->mutation == CONSENTS_TO_ANYBODY)
            verdict = FAILSAFE_YES;
        if (w->link_down[m.to][m.from] || chance(w, 20))
            return;
        struct message *reply = post(w, ANSWER, m.from, w->now + latency(w));
        reply->from = m.to;
        reply->request = m.request;
        reply->verdict = verdict;
    } else if (m.kind == ANSWER) {
        struct failsafe_event event = {.kind = FAILSAFE_ANSWERED,
                                       .answer = {.nonce = m.request.nonce, .verdict = m.verdict}};
        if (w->mutation == OLD_ANSWERS_COUNT)
            event.answer.nonce = in->f.nonce;
        strcpy(event.answer.instance, names[m.from]);
        failsafe(w, m.to, &event);
    } else if (m.kind == NEXT_READ) {
        send_order(w, m.to, &read_order, true);
    } else {
        if (m.event.kind == ELECTION_READ) {
            m.event.read.finished = w->now;
            /* as role/ does: the list belongs to the newest read, or counts as none that allows anything */
            if (m.event.read.started >= in->e.seen.started ||
                m.event.read.modify_index > in->e.seen.modify_index) {
                in->read_named = m.named;
                in->read_value = m.event.read.value;
                in->read_free = m.event.read.exists && m.event.read.session[0] == '\0';
                mind_ready(w, m.to);
            }
        } else if (m.event.kind == ELECTION_READ_FAILED) {
            struct failsafe_event missed = {.kind = FAILSAFE_MISSED};
            failsafe(w, m.to, &missed);
        } else if (m.event.kind == ELECTION_ACQUIRED || m.event.kind == ELECTION_WRITTEN) {
            m.event.result.finished = w->now;
            if (m.event.kind == ELECTION_WRITTEN && m.event.result.outcome == ELECTION_DONE &&
                m.event.result.serial == in->serial && !in->sure) {
                in->sure = true;
                tell_list(w, m.to);
            }
        }
        step(w, m.to, &m.event);
        if (m.follow)
            post(w, NEXT_READ, m.to, w->now + within(w, LEASE / 4));
    }
}

/* Beats: Consul ends the session of who cannot reach it, and makes a new one for who can. */
static void mind_sessions(struct world *w)
{
    for (unsigned i = 0; i < INSTANCES && !w->down; i++) {
        struct instance *in = &w->in[i];
        bool beats = !in->dead && !in->cut && in->session[0] != '\0' && same(in->session, in->e.session);
        if (beats) {
            in->session_until = w->now + LEASE / 2;
        } else if (in->session[0] != '\0' && w->now >= in->session_until) {
            if (same(w->lock.session, in->session))
                free_lock(w);
            in->session[0] = '\0';
        } else if (in->session[0] == '\0' && !in->dead && !in->cut) {
            if (in->e.session[0] != '\0') {
                struct election_event lost = {.kind = ELECTION_SESSION_LOST};
                step(w, i, &lost);
            }
            snprintf(in->session, sizeof in->session, "session-%llu", (unsigned long long)++w->sessions);
            in->session_until = w->now + LEASE / 2;
            struct election_event made = {.kind = ELECTION_SESSION};
            strcpy(made.session, in->session);
            step(w, i, &made);
        }
    }
}

static void disturb(struct world *w)
{
    unsigned i = rng_below(&w->rng, INSTANCES), j = rng_below(&w->rng, INSTANCES);
    struct instance *in = &w->in[i];
    switch (rng_below(&w->rng, 10)) {
    case 0: /* all are cut off; or Consul is down */
    case 1:
        w->down = w->down || chance(w, 500);
        for (unsigned n = 0; n < INSTANCES; n++)
            w->in[n].cut = true;
        break;
    case 2:
    case 3:
        for (unsigned n = 0; n < INSTANCES; n++) {
            w->in[n].cut = false;
            w->in[n].session_until = w->now + LEASE;
        }
        w->down = false;
        break;
    case 4:
    case 5: /* heals, or breaks, on one side */
        in->cut = w->down || !in->cut;
        break;
    case 6:
        w->link_down[i][j] = !w->link_down[i][j];
        break;
    case 7:
        memset(w->link_down, 0, sizeof w->link_down);
        break;
    case 8:
        if (in->dead) {
            in->dead = false;
            come_to_life(w, i);
        } else {
            in->dead = true;
            in->act_until = in->hold_until = 0; /* what it held went with its process */
            in->timer = in->failsafe_timer = NS_NEVER;
        }
        break;
    default: /* released from outside */
        if (!w->down && w->lock.exists && w->lock.session[0] != '\0')
            free_lock(w);
    }
}

static void run(struct world *w, uint64_t seed, enum mutation mutation)
{
    memset(w, 0, sizeof *w);
    w->rng = (struct rng){{seed * 0x9e3779b97f4a7c15u + 1, ~seed}};
    w->now = NS_PER_S;
    w->mutation = mutation;
    for (int warm = 0; warm < 20; warm++)
        rng_next(&w->rng);
    for (unsigned i = 0; i < INSTANCES; i++)
        come_to_life(w, i);
    nstime beat = w->now, disturbance = w->now + within(w, 6 * LEASE);
    while (w->now < HISTORY && !w->overlapped) {
        nstime at = beat < disturbance ? beat : disturbance;
        struct message *next = NULL;
        int timer = -1;
        bool failsafe_timer = false;
        for (size_t n = 0; n < PLACES; n++)
            if (w->places[n].kind != FREE && w->places[n].at < at) {
                next = &w->places[n];
                at = next->at;
            }
        for (unsigned i = 0; i < INSTANCES; i++) {
            if (w->in[i].timer < at) {
                at = w->in[i].timer;
                timer = (int)i;
                failsafe_timer = false;
            }
            if (w->in[i].failsafe_timer < at) {
                at = w->in[i].failsafe_timer;
                timer = (int)i;
                failsafe_timer = true;
            }
        }
        w->now = at > w->now ? at : w->now;
        check(w);
        if (timer >= 0 && failsafe_timer) {
            struct failsafe_event event = {.kind = FAILSAFE_LOOK};
            failsafe(w, (unsigned)timer, &event);
        } else if (timer >= 0) {
            struct election_event event = {.kind = ELECTION_TIMER};
            step(w, (unsigned)timer, &event);
        } else if (next != NULL) {
            deliver(w, next);
        } else if (w->now >= disturbance) {
            disturb(w);
            disturbance = w->now + within(w, chance(w, 400) ? LEASE / 4 : 6 * LEASE);
        } else {
            mind_sessions(w);
            beat = w->now + LEASE / 8;
        }
    }
}

static void one_acts_or_holds_at_a_time(void **state)
{
    (void)state;
    static struct world w;
    unsigned promotions = 0, holds = 0, resumed = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(&w, seed, NONE);
        if (w.overlapped)
            fail_msg("seed %llu: two acted or held at once", (unsigned long long)seed);
        if (w.epoch_fell)
            fail_msg("seed %llu: an epoch fell", (unsigned long long)seed);
        promotions += w.promotions;
        holds += w.holds;
        resumed += w.resumed;
    }
    print_message("%u promotions, %u times held by consent, %u times confirmed after it\n", promotions, holds,
                  resumed);
    assert_true(promotions > SEEDS && holds > SEEDS && resumed > SEEDS / 20); /* or nothing was tried */
}

static void every_mutation_is_caught(void **state)
{
    (void)state;
    static struct world w;
    for (int mutation = NONE + 1; mutation < MUTATIONS; mutation++) {
        /* Where the rare ones were found: after a change of the model the search takes longer, no more. */
        static const uint64_t from[MUTATIONS] = {[SILENCE_IS_CONSENT] = 80, [OLD_ANSWERS_COUNT] = 1400};
        uint64_t seed = from[mutation] + 1, last = seed + MUTANTS;
        do
            run(&w, seed, (enum mutation)mutation);
        while (!w.overlapped && seed++ < last);
        if (!w.overlapped)
            fail_msg("not caught: %s", mutation_names[mutation]);
        print_message("caught by seed %llu: %s\n", (unsigned long long)seed, mutation_names[mutation]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_acts_or_holds_at_a_time),
        cmocka_unit_test(every_mutation_is_caught),
    };
    return cmocka_run_group_tests_name("failsafe histories", tests, NULL, NULL);
}
