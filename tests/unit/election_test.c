/* The election's rules, one test each: events in, orders and rights out. Names of tests are the rules. */
#include "lictor/election.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MS    NS_PER_MS
#define LEASE (2000 * MS)
#define WAIT  (2020 * MS + 50 * MS) /* LEASE * 1.01 + 50 ms */

#define ME    "11111111-1111-1111-1111-111111111111"
#define MINE  "aaaaaaaa-1111-1111-1111-111111111111"
#define PEER  "22222222-2222-2222-2222-222222222222"
#define OTHER "bbbbbbbb-2222-2222-2222-222222222222"
#define THIRD "cccccccc-3333-3333-3333-333333333333"

struct bench {
    struct election e;
    struct election_output out;
    nstime now, offset;
};

static void step(struct bench *b, struct election_event *event)
{
    event->clock_offset = b->offset;
    election_step(&b->e, event, b->now, &b->out);
}

static void simple(struct bench *b, enum election_event_kind kind)
{
    struct election_event event = {.kind = kind};
    step(b, &event);
}

static void with_session(struct bench *b, enum election_event_kind kind, const char *session)
{
    struct election_event event = {.kind = kind};
    strcpy(event.session, session);
    step(b, &event);
}

static void with_flag(struct bench *b, enum election_event_kind kind, bool flag)
{
    struct election_event event = {.kind = kind, .flag = flag};
    step(b, &event);
}

static const struct election_order *find(const struct bench *b, enum election_order_kind kind)
{
    for (size_t i = 0; i < b->out.count; i++)
        if (b->out.orders[i].kind == kind)
            return &b->out.orders[i];
    return NULL;
}

#define ORDERED(b, kind) assert_non_null(find(b, kind))
#define SILENT(b, kind)  assert_null(find(b, kind))

/* A read of the lock's key that took 2 ms. */
static struct election_event seen(const struct bench *b, const char *session, const char *instance,
                                  uint64_t epoch, uint64_t index)
{
    struct election_event event = {.kind = ELECTION_READ};
    struct election_read *read = &event.read;
    read->started = b->now - 2 * MS;
    read->finished = b->now;
    read->exists = index != 0;
    read->create_index = index != 0 ? 5 : 0;
    read->modify_index = index;
    strcpy(read->session, session);
    if (instance != NULL) {
        read->value = (struct election_value){.readable = true, .epoch = epoch, .lease = LEASE};
        strcpy(read->value.instance, instance);
    }
    return event;
}

static void mark(struct election_event *event, const char *session, uint64_t epoch)
{
    event->read.value.marker = true;
    event->read.value.marker_epoch = epoch;
    strcpy(event->read.value.marker_session, session);
}

static void read_other(struct bench *b)
{
    struct election_event event = seen(b, OTHER, PEER, 7, 10);
    step(b, &event);
}

static void read_free(struct bench *b)
{
    struct election_event event = seen(b, "", NULL, 0, 0);
    step(b, &event);
}

/* Time passes; the timer rings when it is due. */
static void pass(struct bench *b, nstime duration)
{
    nstime end = b->now + duration;
    while (b->out.timer <= end) {
        b->now = b->out.timer > b->now ? b->out.timer : b->now;
        simple(b, ELECTION_TIMER);
    }
    b->now = end;
}

static void answer(struct bench *b, enum election_event_kind kind, enum election_outcome outcome,
                   uint32_t serial, uint64_t index)
{
    struct election_event event = {.kind = kind};
    event.result = (struct election_result){.outcome = outcome,
                                            .serial = serial,
                                            .started = b->now - 2 * MS,
                                            .finished = b->now,
                                            .create_index = 5,
                                            .modify_index = index};
    step(b, &event);
}

/* Every confirmation that was ordered answers: the lock is ours with the value that we wrote last. */
static void confirmed(struct bench *b)
{
    struct election_event event = seen(b, MINE, ME, b->e.epoch, b->e.modify_index);
    event.read.confirm = true;
    assert_true(b->e.confirms_in_flight > 0);
    step(b, &event);
}

static struct bench started(void)
{
    struct bench b = {.now = 1000 * NS_PER_S};
    struct election_config config = {.lease = LEASE, .candidate = true, .priority = 100, .seed = 42};
    strcpy(config.instance, ME);
    election_init(&b.e, &config, b.now);
    with_flag(&b, ELECTION_READY, true);
    return b;
}

/* When it will stand, seen from the read that showed a free lock. */
static nstime hour(bool behind, int priority, bool last_was_me)
{
    struct bench b = {.now = 1000 * NS_PER_S};
    struct election_config config = {.lease = LEASE, .candidate = true, .priority = priority, .seed = 42};
    strcpy(config.instance, ME);
    election_init(&b.e, &config, b.now);
    with_flag(&b, ELECTION_READY, true);
    with_flag(&b, ELECTION_FURTHER, behind);
    with_session(&b, ELECTION_SESSION, MINE);
    struct election_event event = seen(&b, "", last_was_me ? ME : PEER, 7, 9);
    step(&b, &event);
    return b.out.timer - b.now;
}

/* DESIGN 5: the furthest mirror stands first, then the priority and the last primary's head start decide,
 * then chance. */
static void a_further_mirror_goes_before_everything_else(void **state)
{
    (void)state;
    assert_true(hour(true, 200, true) > hour(false, 0, false));
    assert_true(hour(false, 200, false) > hour(false, 200, true));
    assert_true(hour(false, 0, true) > hour(false, 200, true));
    assert_true(hour(true, 0, false) < 400 * MS); /* a takeover stays one within the second */
}

/* The members' keys may be read a moment after the lock was seen free. */
static void an_hour_that_is_set_moves_with_the_news(void **state)
{
    (void)state;
    struct bench b = started();
    with_session(&b, ELECTION_SESSION, MINE);
    struct election_event event = seen(&b, "", PEER, 7, 9);
    step(&b, &event);
    nstime hour = b.out.timer;
    with_flag(&b, ELECTION_FURTHER, true);
    assert_true(b.out.timer == hour + 200 * MS);
    with_flag(&b, ELECTION_FURTHER, true);
    assert_true(b.out.timer == hour + 200 * MS);
    with_flag(&b, ELECTION_FURTHER, false);
    assert_true(b.out.timer == hour);
}

static struct bench following(void)
{
    struct bench b = started();
    with_session(&b, ELECTION_SESSION, MINE);
    assert_int_equal(b.e.state, ELECTION_FOLLOWING);
    return b;
}

/* Reads that show another holder, every half second, for a lease and more. */
static struct bench followed(void)
{
    struct bench b = following();
    for (int i = 0; i < 6; i++) {
        read_other(&b);
        pass(&b, 500 * MS);
    }
    return b;
}

static struct bench acquiring(struct bench b)
{
    struct election_event event = seen(&b, "", b.e.holder.session[0] ? PEER : NULL, 7, b.e.seen.modify_index);
    event.read.modify_index = b.e.seen.modify_index;
    step(&b, &event);
    assert_true(b.out.timer != NS_NEVER);
    b.now = b.out.timer;
    simple(&b, ELECTION_TIMER);
    assert_int_equal(b.e.state, ELECTION_ACQUIRING);
    return b;
}

static struct bench waiting(void)
{
    struct bench b = acquiring(following());
    b.now += 2 * MS;
    answer(&b, ELECTION_ACQUIRED, ELECTION_DONE, b.e.awaited, 20);
    assert_int_equal(b.e.state, ELECTION_WAITING_OUT);
    b.now += 2 * MS;
    answer(&b, ELECTION_WRITTEN, ELECTION_DONE, b.e.written_serial, 21);
    confirmed(&b);
    return b;
}

/* The timer rings and confirmations answer until `duration` has passed. */
static void live(struct bench *b, nstime duration)
{
    nstime end = b->now + duration;
    while (b->now < end) {
        pass(b, b->out.timer - b->now < end - b->now && b->out.timer > b->now ? b->out.timer - b->now
                                                                              : end - b->now);
        while (b->e.confirms_in_flight > 0)
            confirmed(b);
    }
}

/* The wait is over: it asks at once, and the answer opens. */
static void confirms_after_the_wait(struct bench *b)
{
    ORDERED(b, ELECTION_CONFIRM);
    b->now += 2 * MS;
    confirmed(b);
}

static struct bench primary(void)
{
    struct bench b = waiting();
    live(&b, b.e.wait_until - b.now - 1);
    pass(&b, 1);
    confirms_after_the_wait(&b);
    assert_int_equal(b.e.state, ELECTION_PRIMARY);
    return b;
}

/* ---- standing ---- */

static void stands_only_on_a_read_that_shows_nobody(void **state)
{
    (void)state;
    struct bench b = following();
    pass(&b, 10 * NS_PER_S);
    assert_int_equal(b.e.state, ELECTION_FOLLOWING);
    read_other(&b);
    assert_true(b.out.timer == NS_NEVER);
    b = acquiring(b);
    const struct election_order *o = find(&b, ELECTION_ACQUIRE);
    assert_non_null(o);
    assert_int_equal(o->index, 10); /* a queued acquire must fail after another reign */
}

static void does_not_stand_unready_unwanted_or_without_session(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct bench b = i == 3 ? started() : following();
        if (i == 0)
            with_flag(&b, ELECTION_READY, false);
        if (i == 1)
            with_flag(&b, ELECTION_PAUSE, true);
        if (i == 2)
            b.e.config.candidate = false;
        read_free(&b);
        assert_true(b.out.timer == NS_NEVER);
        if (i == 0)
            with_flag(&b, ELECTION_READY, true);
        if (i == 1)
            with_flag(&b, ELECTION_PAUSE, false);
        if (i == 3)
            with_session(&b, ELECTION_SESSION, MINE);
        assert_true((b.out.timer == NS_NEVER) == (i == 2));
    }
}

static void a_late_timer_waits_for_the_next_read(void **state)
{
    (void)state;
    struct bench b = following();
    read_free(&b);
    b.now += 3 * LEASE; /* SIGSTOP */
    simple(&b, ELECTION_TIMER);
    assert_int_equal(b.e.state, ELECTION_FOLLOWING);
    SILENT(&b, ELECTION_ACQUIRE);
}

static void the_last_primary_and_priority_stand_earlier(void **state)
{
    (void)state;
    struct bench last = following(), other = following(), high = following();
    struct election_event mine = seen(&last, "", ME, 3, 9), theirs = seen(&last, "", PEER, 3, 9);
    step(&last, &mine);
    step(&other, &theirs);
    high.e.config.priority = 200;
    step(&high, &mine);
    assert_true(other.out.timer - last.out.timer == 100 * MS); /* same seed: same jitter */
    assert_true(last.out.timer - high.out.timer == 25 * MS);
}

static void a_lost_race_and_a_lost_answer_read_again(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct bench b = acquiring(following());
        answer(&b, ELECTION_ACQUIRED, i ? ELECTION_UNKNOWN : ELECTION_CONFLICT, b.e.awaited, 0);
        assert_int_equal(b.e.state, ELECTION_FOLLOWING);
        ORDERED(&b, ELECTION_CONFIRM);
    }
}

static void an_answer_to_an_acquire_of_a_dead_session_is_ignored(void **state)
{
    (void)state;
    struct bench b = acquiring(following());
    uint32_t old = b.e.awaited;
    simple(&b, ELECTION_SESSION_LOST);
    assert_int_equal(b.e.state, ELECTION_STARTING);
    with_session(&b, ELECTION_SESSION, THIRD);
    b = acquiring(b);
    answer(&b, ELECTION_ACQUIRED, ELECTION_DONE, old, 20);
    assert_int_equal(b.e.state, ELECTION_ACQUIRING);
}

/* ---- the wait-out ---- */

static void acts_only_after_the_wait_counted_from_its_own_acquire(void **state)
{
    (void)state;
    struct bench b = acquiring(following());
    b.now += 700 * MS; /* a slow answer: the wait counts from it, not from the read before */
    answer(&b, ELECTION_ACQUIRED, ELECTION_DONE, b.e.awaited, 20);
    nstime acquired = b.now;
    answer(&b, ELECTION_WRITTEN, ELECTION_DONE, b.e.written_serial, 21);
    live(&b, WAIT - 1);
    assert_int_equal(b.e.state, ELECTION_WAITING_OUT);
    assert_int_equal(b.out.act_until, 0);
    pass(&b, 1);
    assert_int_equal(b.now, acquired + WAIT);
    assert_int_equal(b.e.state, ELECTION_WAITING_OUT);
    confirms_after_the_wait(&b);
    assert_int_equal(b.e.state, ELECTION_PRIMARY);
    assert_true(b.out.act_until > b.now);
}

static void waits_for_the_longest_lease_of_the_last_minute(void **state)
{
    (void)state;
    struct bench b = following();
    struct election_event event = seen(&b, OTHER, PEER, 7, 10);
    event.read.value.lease = 10 * NS_PER_S;
    step(&b, &event);
    assert_int_equal(election_wait_out(&b.e, b.now), 10100 * MS + 50 * MS);
    b.now += 59 * NS_PER_S;
    read_other(&b);
    assert_int_equal(election_wait_out(&b.e, b.now), 10100 * MS + 50 * MS);
    b.now += 2 * NS_PER_S;
    assert_int_equal(election_wait_out(&b.e, b.now), WAIT);
}

static void an_acquired_value_speaks_for_the_lease_waited_for(void **state)
{
    (void)state;
    struct bench b = following();
    struct election_event event = seen(&b, "", PEER, 7, 10);
    event.read.value.lease = 10 * NS_PER_S;
    step(&b, &event);
    b.now = b.out.timer;
    simple(&b, ELECTION_TIMER);
    assert_int_equal(find(&b, ELECTION_ACQUIRE)->lease, 10 * NS_PER_S);
    answer(&b, ELECTION_ACQUIRED, ELECTION_DONE, b.e.awaited, 20);
    assert_int_equal(find(&b, ELECTION_WRITE)->lease, 10 * NS_PER_S);
    answer(&b, ELECTION_WRITTEN, ELECTION_DONE, b.e.written_serial, 21);
    live(&b, 10150 * MS - 1);
    assert_int_equal(b.e.state, ELECTION_WAITING_OUT);
    pass(&b, 1);
    confirms_after_the_wait(&b);
    assert_int_equal(b.e.state, ELECTION_PRIMARY);
    assert_int_equal(find(&b, ELECTION_WRITE)->lease, LEASE); /* over: nobody need wait for it now */
}

static void opens_only_confirmed_and_with_its_own_value_written(void **state)
{
    (void)state;
    struct bench b = acquiring(following());
    answer(&b, ELECTION_ACQUIRED, ELECTION_DONE, b.e.awaited, 20);
    live(&b, WAIT + LEASE);
    assert_int_equal(b.e.state, ELECTION_WAITING_OUT); /* the old marker may still be in the key */
    answer(&b, ELECTION_WRITTEN, ELECTION_DONE, b.e.written_serial, 21);
    assert_int_equal(b.e.state, ELECTION_PRIMARY);

    b = acquiring(following());
    answer(&b, ELECTION_ACQUIRED, ELECTION_DONE, b.e.awaited, 20);
    answer(&b, ELECTION_WRITTEN, ELECTION_DONE, b.e.written_serial, 21);
    pass(&b, WAIT + LEASE);
    assert_int_equal(b.e.state, ELECTION_WAITING_OUT); /* no confirmation: no lease */
}

/* ---- the marker ---- */

/* The lock is free with a marker, or handed to us with one. */
static struct bench after_marker(struct bench b, bool handed, const char *session, uint64_t epoch)
{
    struct election_event event = seen(&b, handed ? MINE : "", handed ? ME : PEER, 0, 12);
    mark(&event, session, epoch);
    step(&b, &event);
    if (!handed) {
        b.now = b.out.timer;
        simple(&b, ELECTION_TIMER);
        answer(&b, ELECTION_ACQUIRED, ELECTION_DONE, b.e.awaited, 20);
    }
    assert_int_equal(b.e.state, ELECTION_WAITING_OUT);
    answer(&b, ELECTION_WRITTEN, ELECTION_DONE, b.e.written_serial, 21);
    confirmed(&b);
    return b;
}

static void a_valid_marker_spares_the_wait(void **state)
{
    (void)state;
    for (int handed = 0; handed < 2; handed++) {
        struct bench b = after_marker(followed(), handed, OTHER, 7);
        assert_int_equal(b.e.state, ELECTION_PRIMARY);
        assert_true(b.out.epoch > 7);
    }
}

static void a_marker_counts_only_for_who_followed_a_lease_and_saw_that_holder_last(void **state)
{
    (void)state;
    for (int handed = 0; handed < 2; handed++) {
        assert_int_equal(after_marker(followed(), handed, THIRD, 7).e.state, ELECTION_WAITING_OUT);
        assert_int_equal(after_marker(followed(), handed, OTHER, 6).e.state, ELECTION_WAITING_OUT);
        struct bench young = following();
        read_other(&young);
        pass(&young, 500 * MS);
        assert_int_equal(after_marker(young, handed, OTHER, 7).e.state, ELECTION_WAITING_OUT);
        struct bench gap = followed();
        pass(&gap, LEASE);
        assert_int_equal(after_marker(gap, handed, OTHER, 7).e.state, ELECTION_WAITING_OUT);
        struct bench blind = following();
        pass(&blind, 2 * LEASE);
        assert_int_equal(after_marker(blind, handed, OTHER, 7).e.state, ELECTION_WAITING_OUT);
        /* The holder changed within a lease, and not on purpose: it cannot have waited out the one before. */
        struct bench changed = followed();
        struct election_event third = seen(&changed, THIRD, PEER, 8, 11);
        step(&changed, &third);
        pass(&changed, 500 * MS);
        assert_int_equal(after_marker(changed, handed, THIRD, 8).e.state, ELECTION_WAITING_OUT);
        struct bench stepped = followed();
        stepped.offset += NS_PER_S;
        assert_int_equal(after_marker(stepped, handed, OTHER, 7).e.state, ELECTION_WAITING_OUT);
    }
}

static void handed_over_without_marker_waits_from_the_read(void **state)
{
    (void)state;
    struct bench b = followed();
    struct election_event event = seen(&b, MINE, ME, 0, 12);
    step(&b, &event);
    assert_int_equal(b.e.wait_until, b.now + WAIT);
}

static void in_its_own_wait_out_it_never_leaves_a_marker(void **state)
{
    (void)state;
    struct bench b = waiting();
    with_session(&b, ELECTION_HANDOVER, OTHER);
    SILENT(&b, ELECTION_RELEASE);
    assert_int_equal(find(&b, ELECTION_GIVEN_UP)->reason, ELECTION_WHY_NOT_PRIMARY);
    with_session(&b, ELECTION_STOP, OTHER);
    SILENT(&b, ELECTION_RELEASE);
    ORDERED(&b, ELECTION_ENDED);
}

/* ---- the lease ---- */

static void a_confirmation_counts_from_its_request_start(void **state)
{
    (void)state;
    struct bench b = primary();
    pass(&b, LEASE / 4);
    ORDERED(&b, ELECTION_CONFIRM);
    struct election_event event = seen(&b, MINE, ME, b.e.epoch, b.e.modify_index);
    event.read.confirm = true;
    event.read.started = b.now;
    b.now += 300 * MS;
    event.read.finished = b.now;
    step(&b, &event);
    assert_int_equal(b.out.act_until, b.now - 300 * MS + LEASE);
}

static void confirms_every_quarter_and_never_more_than_two_at_once(void **state)
{
    (void)state;
    struct bench b = primary();
    uint64_t before = b.e.counters.confirms;
    live(&b, 10 * LEASE);
    assert_in_range(b.e.counters.confirms - before, 39, 41);
    before = b.e.counters.confirms;
    pass(&b, 10 * LEASE); /* nobody answers */
    assert_int_equal(b.e.counters.confirms - before, 2);
}

/* A restored snapshot may show our hold as it was, while another one took over, acted, and does not know yet.
 */
static void after_more_than_a_lease_without_news_it_is_a_new_reign(void **state)
{
    (void)state;
    struct bench b = primary();
    uint64_t epoch = b.out.epoch;
    nstime deadline = b.out.act_until;
    pass(&b, deadline - b.now);
    assert_int_equal(b.e.state, ELECTION_PAUSED);
    assert_int_equal(find(&b, ELECTION_DEMOTED)->reason, ELECTION_WHY_LEASE_RAN_OUT);
    assert_int_equal(b.out.act_until, 0);
    pass(&b, 30 * NS_PER_S);
    /* An answer to a request from before proves nothing new. */
    struct election_event old = seen(&b, MINE, ME, epoch, b.e.modify_index);
    old.read.confirm = true;
    old.read.started = deadline - 1;
    step(&b, &old);
    assert_int_equal(b.e.state, ELECTION_PAUSED);
    pass(&b, MS);
    confirmed(&b);
    assert_int_equal(b.e.state, ELECTION_WAITING_OUT);
    assert_int_equal(b.e.wait_until, b.now + WAIT);
    assert_int_equal(b.out.act_until, 0);
    /* The index that was read may be a restored one; that of our write is above every epoch there was. */
    answer(&b, ELECTION_WRITTEN, ELECTION_DONE, b.e.written_serial, 5000);
    assert_int_equal(find(&b, ELECTION_WRITE)->epoch, 5001);
    answer(&b, ELECTION_WRITTEN, ELECTION_DONE, b.e.written_serial, 5001);
    while (b.e.confirms_in_flight > 0)
        confirmed(&b);
    live(&b, b.e.wait_until - b.now - 1);
    assert_int_equal(b.e.state, ELECTION_WAITING_OUT);
    pass(&b, 1);
    confirms_after_the_wait(&b);
    assert_int_equal(b.e.state, ELECTION_PRIMARY);
    assert_int_equal(find(&b, ELECTION_PROMOTED)->epoch, 5001);
    assert_true(b.out.epoch > epoch);
}

static void after_a_long_stop_the_first_event_closes(void **state)
{
    (void)state;
    struct bench b = primary();
    pass(&b, LEASE / 4);
    struct election_event queued = seen(&b, MINE, ME, b.e.epoch, b.e.modify_index);
    queued.read.confirm = true;
    b.now += 30 * NS_PER_S; /* SIGSTOP, SIGCONT: the queued answer comes first */
    queued.read.finished = b.now;
    step(&b, &queued);
    assert_int_equal(b.out.act_until, 0);
    ORDERED(&b, ELECTION_DEMOTED);
}

static void any_other_sight_steps_down_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *session;
        uint64_t index, create;
        enum election_reason why;
    } cases[] = {
        {OTHER, 30, 5, ELECTION_WHY_LOST_TO_OTHER},
        {"", 30, 5, ELECTION_WHY_LOST_FREE},
        {"", 0, 0, ELECTION_WHY_KEY_MISSING},
        {MINE, 30, 29, ELECTION_WHY_KEY_RECREATED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int alive = 0; alive < 2; alive++) {
            struct bench b = primary();
            b.now += 10 * MS;
            struct election_event event = seen(&b, cases[i].session, PEER, 9, cases[i].index);
            event.read.create_index = cases[i].create;
            step(&b, &event);
            assert_int_equal(b.out.act_until, 0);
            assert_int_equal(find(&b, ELECTION_DEMOTED)->reason, cases[i].why);
            ORDERED(&b, ELECTION_CHECK_SESSION);
            /* Tampering only if the session turns out to live. */
            simple(&b, alive ? ELECTION_SESSION_ALIVE : ELECTION_SESSION_LOST);
            assert_int_equal(b.e.counters.tampered, alive);
        }
}

static void a_lost_session_steps_down_at_once(void **state)
{
    (void)state;
    struct bench b = primary();
    simple(&b, ELECTION_SESSION_LOST);
    assert_int_equal(b.out.act_until, 0);
    assert_int_equal(find(&b, ELECTION_DEMOTED)->reason, ELECTION_WHY_SESSION_LOST);
    assert_int_equal(b.e.state, ELECTION_STARTING);
}

static void old_news_from_before_the_acquire_do_not_step_down(void **state)
{
    (void)state;
    struct bench b = acquiring(following());
    struct election_event old = seen(&b, "", NULL, 0, 0);
    b.now += 5 * MS;
    answer(&b, ELECTION_ACQUIRED, ELECTION_DONE, b.e.awaited, 20);
    b.now += 5 * MS;
    old.read.finished = b.now;
    step(&b, &old);
    assert_int_equal(b.e.state, ELECTION_WAITING_OUT);
}

static void an_overwritten_value_is_written_again(void **state)
{
    (void)state;
    struct bench b = primary();
    b.now += 10 * MS;
    struct election_event event = seen(&b, MINE, NULL, 0, 30); /* a plain PUT: the session stays */
    step(&b, &event);
    assert_int_equal(b.e.state, ELECTION_PRIMARY);
    assert_int_equal(find(&b, ELECTION_WRITE)->epoch, b.e.epoch);
    assert_int_equal(b.e.counters.tampered, 1);
}

static void lost_and_given_back_between_two_reads_is_a_new_reign(void **state)
{
    (void)state;
    struct bench b = primary();
    uint64_t epoch = b.e.epoch;
    b.now += 10 * MS;
    struct election_event event = seen(&b, MINE, ME, 0, 40);
    mark(&event, OTHER, epoch + 1);
    step(&b, &event);
    assert_int_equal(b.e.state, ELECTION_WAITING_OUT);
    assert_true(b.e.epoch > epoch + 1);
    ORDERED(&b, ELECTION_DEMOTED);
}

static void a_step_of_the_wall_clock_voids_the_lease(void **state)
{
    (void)state;
    struct bench b = primary();
    b.offset += LEASE / 4 + 1;
    pass(&b, MS);
    simple(&b, ELECTION_TIMER);
    assert_int_equal(b.out.act_until, 0);
    ORDERED(&b, ELECTION_CONFIRM);
    SILENT(&b, ELECTION_DEMOTED); /* setting the clock is no reason to run programs */
    b.now += 3 * MS;
    confirmed(&b);
    assert_true(b.out.act_until > b.now);

    b.offset -= LEASE;
    simple(&b, ELECTION_TIMER);
    assert_int_equal(b.out.act_until, 0);
    pass(&b, LEASE / 4);
    ORDERED(&b, ELECTION_DEMOTED);
    assert_int_equal(b.e.state, ELECTION_PAUSED);
}

static void slewing_the_clock_changes_nothing(void **state)
{
    (void)state;
    struct bench b = primary();
    for (int i = 0; i < 100; i++) {
        b.offset += MS;
        live(&b, 100 * MS);
        assert_true(b.out.act_until > b.now);
    }
}

/* ---- epochs ---- */

static void the_epoch_is_above_everything_ever_seen(void **state)
{
    (void)state;
    struct bench b = acquiring(following());
    answer(&b, ELECTION_ACQUIRED, ELECTION_DONE, b.e.awaited, 20);
    assert_int_equal(find(&b, ELECTION_WRITE)->epoch, 21); /* the ModifyIndex of the acquire */
    assert_true(find(&b, ELECTION_WRITE)->first);

    struct election_event behind = {.kind = ELECTION_WRITTEN}; /* KV knows a higher one */
    behind.result =
        (struct election_result){.outcome = ELECTION_BEHIND, .serial = b.e.written_serial, .kv_epoch = 500};
    step(&b, &behind);
    assert_int_equal(find(&b, ELECTION_WRITE)->epoch, 501);

    b = following();
    b.e.epoch_seen = 900; /* from state-dir */
    b = acquiring(b);
    answer(&b, ELECTION_ACQUIRED, ELECTION_DONE, b.e.awaited, 20);
    assert_int_equal(find(&b, ELECTION_WRITE)->epoch, 901);
}

/* ---- giving up ---- */

static struct bench releasing(bool clean, const char *target, enum election_event_kind kind)
{
    struct bench b = primary();
    with_session(&b, kind, target);
    assert_int_equal(b.out.act_until, 0); /* first the gate */
    ORDERED(&b, ELECTION_QUIESCE);
    SILENT(&b, ELECTION_RELEASE);
    b.now += 5 * MS;
    with_flag(&b, ELECTION_QUIESCED, clean); /* then the effects; only then the lock */
    ORDERED(&b, ELECTION_RELEASE);
    return b;
}

static void hands_over_in_order_gate_quiesce_transaction(void **state)
{
    (void)state;
    struct bench b = releasing(true, OTHER, ELECTION_HANDOVER);
    const struct election_order *o = find(&b, ELECTION_RELEASE);
    assert_true(o->marker);
    assert_string_equal(o->session, OTHER);
    assert_int_equal(o->epoch, b.e.epoch);
    assert_int_equal(o->index, b.e.modify_index);
    SILENT(&b, ELECTION_DEMOTED);
    answer(&b, ELECTION_RELEASED, ELECTION_DONE, b.e.awaited, 33);
    assert_int_equal(find(&b, ELECTION_GIVEN_UP)->reason, ELECTION_WHY_HANDED_OVER);
    ORDERED(&b, ELECTION_DEMOTED);
    assert_int_equal(b.e.state, ELECTION_FOLLOWING);
    /* A blocking query from before may still show us: that is no new reign. */
    struct election_event old = seen(&b, MINE, ME, b.e.epoch, 21);
    step(&b, &old);
    assert_int_equal(b.e.state, ELECTION_FOLLOWING);
}

/* Who resigned with nobody to take over lets others come first; who gave the lock to a standby that dies at
 * once does not make the zones wait. */
static void stands_again_at_once_only_when_it_gave_the_lock_to_somebody(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        bool stands;
    } table[] = {{OTHER, true}, {"", false}};
    for (size_t i = 0; i < 2; i++) {
        struct bench b = releasing(true, table[i].target, ELECTION_HANDOVER);
        answer(&b, ELECTION_RELEASED, ELECTION_DONE, b.e.awaited, 33);
        b.now += 100 * MS;
        struct election_event event = seen(&b, "", ME, 0, 34);
        step(&b, &event);
        nstime before = b.now;
        while (b.out.timer < before + LEASE / 2 && !find(&b, ELECTION_ACQUIRE)) {
            b.now = b.out.timer > b.now ? b.out.timer : b.now + MS;
            simple(&b, ELECTION_TIMER);
        }
        assert_int_equal(find(&b, ELECTION_ACQUIRE) != NULL, table[i].stands);
    }
}

static void what_did_not_end_leaves_no_marker(void **state)
{
    (void)state;
    struct bench b = releasing(false, OTHER, ELECTION_HANDOVER);
    assert_false(find(&b, ELECTION_RELEASE)->marker);
}

static void refused_nothing_happened_confirm_then_reopen(void **state)
{
    (void)state;
    struct bench b = releasing(true, OTHER, ELECTION_HANDOVER);
    uint64_t epoch = b.e.epoch;
    answer(&b, ELECTION_RELEASED, ELECTION_CONFLICT, b.e.awaited, 0);
    assert_int_equal(find(&b, ELECTION_GIVEN_UP)->reason, ELECTION_WHY_HANDOVER_REFUSED);
    assert_int_equal(b.out.act_until, 0);
    ORDERED(&b, ELECTION_CONFIRM);
    simple(&b, ELECTION_TIMER);
    assert_int_equal(b.out.act_until, 0); /* the old deadline does not reopen */
    b.now += 3 * MS;
    confirmed(&b);
    assert_true(b.out.act_until > b.now);
    assert_int_equal(b.out.epoch, epoch);
    SILENT(&b, ELECTION_PROMOTED); /* nobody was told that it closed */
}

static void unknown_stays_closed_until_the_transaction_can_never_happen(void **state)
{
    (void)state;
    struct bench b = releasing(true, OTHER, ELECTION_HANDOVER);
    answer(&b, ELECTION_RELEASED, ELECTION_UNKNOWN, b.e.awaited, 0);
    assert_int_equal(b.e.state, ELECTION_RESOLVING);
    b.now += 3 * MS;
    confirmed(&b); /* still ours; but the transaction may be on its way with its marker */
    assert_int_equal(b.out.act_until, 0);
    ORDERED(&b, ELECTION_WRITE); /* moves the ModifyIndex that it checks */
    b.now += 3 * MS;
    answer(&b, ELECTION_WRITTEN, ELECTION_DONE, b.e.written_serial, 40);
    assert_int_equal(b.out.act_until, 0);
    b.now += 3 * MS;
    confirmed(&b);
    assert_int_equal(b.e.state, ELECTION_PRIMARY);
    assert_true(b.out.act_until > b.now);

    b = releasing(true, OTHER, ELECTION_HANDOVER);
    answer(&b, ELECTION_RELEASED, ELECTION_UNKNOWN, b.e.awaited, 0);
    b.now += 3 * MS;
    struct election_event done = seen(&b, OTHER, PEER, 0, 33);
    done.read.confirm = true;
    mark(&done, MINE, b.e.epoch);
    step(&b, &done);
    assert_int_equal(find(&b, ELECTION_GIVEN_UP)->reason, ELECTION_WHY_HANDED_OVER);
    assert_int_equal(b.e.state, ELECTION_FOLLOWING);
}

static void unknown_but_given_back_is_a_new_reign(void **state)
{
    (void)state;
    struct bench b = releasing(true, OTHER, ELECTION_HANDOVER);
    uint64_t epoch = b.e.epoch;
    answer(&b, ELECTION_RELEASED, ELECTION_UNKNOWN, b.e.awaited, 0);
    b.now += 3 * MS;
    struct election_event event = seen(&b, MINE, ME, 0, 50);
    event.read.confirm = true;
    mark(&event, OTHER, epoch + 3);
    step(&b, &event);
    assert_int_equal(b.e.state, ELECTION_WAITING_OUT);
    assert_true(b.e.epoch > epoch + 3);
}

static void a_write_whose_answer_was_lost_is_seen_in_the_next_read(void **state)
{
    (void)state;
    struct bench b = acquiring(following());
    answer(&b, ELECTION_ACQUIRED, ELECTION_DONE, b.e.awaited, 20);
    assert_int_equal(find(&b, ELECTION_WRITE)->index, 20); /* a late one must not touch another reign */
    answer(&b, ELECTION_WRITTEN, ELECTION_UNKNOWN, b.e.written_serial, 0);
    b.now += 5 * MS;
    struct election_event event = seen(&b, MINE, ME, b.e.epoch, 21);
    event.read.confirm = true;
    step(&b, &event);
    assert_true(b.e.written);
    assert_int_equal(b.e.modify_index, 21);
}

static void lost_while_quiescing_sends_no_transaction(void **state)
{
    (void)state;
    struct bench b = primary();
    with_session(&b, ELECTION_HANDOVER, OTHER);
    b.now += 5 * MS;
    struct election_event event = seen(&b, THIRD, PEER, 9, 50);
    step(&b, &event);
    ORDERED(&b, ELECTION_GIVEN_UP);
    with_flag(&b, ELECTION_QUIESCED, true);
    SILENT(&b, ELECTION_RELEASE);
}

static void a_session_that_ends_under_a_release_ends_the_hand_over(void **state)
{
    (void)state;
    struct bench b = primary();
    with_session(&b, ELECTION_HANDOVER, OTHER);
    with_flag(&b, ELECTION_QUIESCED, true);
    uint32_t serial = find(&b, ELECTION_RELEASE)->serial;
    simple(&b, ELECTION_SESSION_LOST);
    assert_int_equal(find(&b, ELECTION_GIVEN_UP)->reason, ELECTION_WHY_SESSION_LOST);
    answer(&b, ELECTION_RELEASED, ELECTION_DONE, serial, 50);
    SILENT(&b, ELECTION_GIVEN_UP); /* once */
}

static void our_own_late_write_is_no_tampering(void **state)
{
    (void)state;
    struct bench b = primary();
    uint64_t old = b.e.epoch;
    b.now += 5 * LEASE; /* stopped: a new reign follows, and our last write of the old one comes in it */
    simple(&b, ELECTION_TIMER);
    b.now += 5 * MS;
    while (b.e.confirms_in_flight > 0)
        confirmed(&b);
    assert_true(b.e.epoch > old);
    struct election_event late = seen(&b, MINE, ME, old, 60);
    b.now += 5 * MS;
    late.read.started = b.now;
    step(&b, &late);
    assert_int_equal(b.e.counters.tampered, 0);
    assert_int_equal(b.e.modify_index, 60);
    assert_false(b.e.written);
}

static void stop_releases_with_marker_and_never_stands_again(void **state)
{
    (void)state;
    static const enum election_outcome outcomes[] = {ELECTION_DONE, ELECTION_CONFLICT, ELECTION_UNKNOWN};
    for (size_t i = 0; i < 3; i++) {
        struct bench b = releasing(true, "", ELECTION_STOP);
        assert_true(find(&b, ELECTION_RELEASE)->marker);
        answer(&b, ELECTION_RELEASED, outcomes[i], b.e.awaited, 33);
        ORDERED(&b, ELECTION_ENDED);
        read_free(&b);
        assert_true(b.out.timer == NS_NEVER);
    }
}

static void abort_closes_in_every_state_and_leaves_no_marker(void **state)
{
    (void)state;
    struct bench benches[] = {started(), following(), acquiring(following()),
                              waiting(), primary(),   releasing(true, OTHER, ELECTION_HANDOVER)};
    for (size_t i = 0; i < sizeof benches / sizeof *benches; i++) {
        simple(&benches[i], ELECTION_ABORT);
        assert_int_equal(benches[i].out.act_until, 0);
        ORDERED(&benches[i], ELECTION_ENDED);
        SILENT(&benches[i], ELECTION_RELEASE);
    }
}

static void an_instance_that_does_not_stand_gives_the_lock_back(void **state)
{
    (void)state;
    struct bench b = followed();
    b.e.config.candidate = false;
    struct election_event event = seen(&b, MINE, ME, 0, 12);
    step(&b, &event);
    assert_false(find(&b, ELECTION_RELEASE)->marker);
    assert_int_equal(b.out.act_until, 0);
}

/* ---- answering ---- */

static void authoritative_answers_wait_for_the_first_read_or_a_lease(void **state)
{
    (void)state;
    struct bench b = started();
    assert_int_equal(b.out.ready_from, b.now + LEASE);
    pass(&b, 100 * MS);
    read_other(&b);
    assert_true(b.out.ready_from <= b.now);
}

static void refuses_only_while_a_young_read_shows_another_holder(void **state)
{
    (void)state;
    struct bench b = following();
    read_other(&b);
    assert_int_equal(b.out.refuse_until, b.now - 2 * MS + LEASE); /* from the request's start */
    b.now += 10 * MS;
    struct election_event none = seen(&b, "", PEER, 7, 11);
    step(&b, &none);
    assert_int_equal(b.out.refuse_until, 0);
    b.now += 10 * MS;
    read_other(&b);
    b.now += 10 * MS;
    struct election_event mine = seen(&b, MINE, ME, 0, 12);
    step(&b, &mine);
    assert_int_equal(b.out.refuse_until, 0);
}

/* ---- flapping ---- */

static void three_elections_in_five_minutes_widen_the_check(void **state)
{
    (void)state;
    struct bench b = following();
    static const char *const holders[] = {OTHER, THIRD, OTHER, THIRD};
    for (uint64_t i = 0; i < 4; i++) {
        assert_int_equal(b.out.check_ttl, ELECTION_CHECK_TTL);
        b.now += 10 * NS_PER_S;
        struct election_event event = seen(&b, holders[i], PEER, 7 + i, 10 + i);
        step(&b, &event);
    }
    assert_int_equal(b.out.check_ttl, ELECTION_CHECK_WIDE);
    b.now += ELECTION_FLAP_WINDOW;
    simple(&b, ELECTION_TIMER);
    assert_int_equal(b.out.check_ttl, ELECTION_CHECK_TTL);

    b = following(); /* hand-overs on purpose are no elections */
    for (uint64_t i = 0; i < 4; i++) {
        b.now += 10 * NS_PER_S;
        struct election_event event = seen(&b, holders[i], PEER, 0, 10 + i);
        mark(&event, holders[(i + 1) % 2], 6 + i);
        step(&b, &event);
    }
    assert_int_equal(b.out.check_ttl, ELECTION_CHECK_TTL);
}

/* Every state takes every event without breaking, and only PRIMARY may act. */
static void every_state_takes_every_event(void **state)
{
    (void)state;
    for (int kind = 0; kind < ELECTION_EVENTS; kind++) {
        struct bench resolving = releasing(true, OTHER, ELECTION_HANDOVER);
        answer(&resolving, ELECTION_RELEASED, ELECTION_UNKNOWN, resolving.e.awaited, 0);
        struct bench stopped = primary(), quiescing = primary(), paused = primary();
        simple(&stopped, ELECTION_ABORT);
        with_session(&quiescing, ELECTION_HANDOVER, OTHER);
        pass(&paused, LEASE);
        struct bench benches[ELECTION_STATES] = {started(),
                                                 following(),
                                                 acquiring(following()),
                                                 waiting(),
                                                 primary(),
                                                 paused,
                                                 quiescing,
                                                 releasing(true, OTHER, ELECTION_HANDOVER),
                                                 resolving,
                                                 stopped};
        for (size_t i = 0; i < ELECTION_STATES; i++) {
            struct bench *b = &benches[i];
            assert_int_equal(b->e.state, i);
            simple(b, (enum election_event_kind)kind);
            if (b->e.state != ELECTION_PRIMARY)
                assert_int_equal(b->out.act_until, 0);
            assert_true(b->out.timer > b->now);
            assert_string_not_equal(election_state_text(b->e.state), "");
            assert_non_null(election_reason_text(b->e.reason));
        }
    }
    for (int i = 0; i < ELECTION_REASONS; i++)
        assert_non_null(election_reason_text((enum election_reason)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_further_mirror_goes_before_everything_else),
        cmocka_unit_test(an_hour_that_is_set_moves_with_the_news),
        cmocka_unit_test(stands_only_on_a_read_that_shows_nobody),
        cmocka_unit_test(does_not_stand_unready_unwanted_or_without_session),
        cmocka_unit_test(a_late_timer_waits_for_the_next_read),
        cmocka_unit_test(the_last_primary_and_priority_stand_earlier),
        cmocka_unit_test(a_lost_race_and_a_lost_answer_read_again),
        cmocka_unit_test(an_answer_to_an_acquire_of_a_dead_session_is_ignored),
        cmocka_unit_test(acts_only_after_the_wait_counted_from_its_own_acquire),
        cmocka_unit_test(waits_for_the_longest_lease_of_the_last_minute),
        cmocka_unit_test(an_acquired_value_speaks_for_the_lease_waited_for),
        cmocka_unit_test(opens_only_confirmed_and_with_its_own_value_written),
        cmocka_unit_test(a_valid_marker_spares_the_wait),
        cmocka_unit_test(a_marker_counts_only_for_who_followed_a_lease_and_saw_that_holder_last),
        cmocka_unit_test(handed_over_without_marker_waits_from_the_read),
        cmocka_unit_test(in_its_own_wait_out_it_never_leaves_a_marker),
        cmocka_unit_test(a_confirmation_counts_from_its_request_start),
        cmocka_unit_test(confirms_every_quarter_and_never_more_than_two_at_once),
        cmocka_unit_test(after_more_than_a_lease_without_news_it_is_a_new_reign),
        cmocka_unit_test(after_a_long_stop_the_first_event_closes),
        cmocka_unit_test(any_other_sight_steps_down_at_once),
        cmocka_unit_test(a_lost_session_steps_down_at_once),
        cmocka_unit_test(old_news_from_before_the_acquire_do_not_step_down),
        cmocka_unit_test(an_overwritten_value_is_written_again),
        cmocka_unit_test(lost_and_given_back_between_two_reads_is_a_new_reign),
        cmocka_unit_test(a_step_of_the_wall_clock_voids_the_lease),
        cmocka_unit_test(slewing_the_clock_changes_nothing),
        cmocka_unit_test(the_epoch_is_above_everything_ever_seen),
        cmocka_unit_test(hands_over_in_order_gate_quiesce_transaction),
        cmocka_unit_test(stands_again_at_once_only_when_it_gave_the_lock_to_somebody),
        cmocka_unit_test(what_did_not_end_leaves_no_marker),
        cmocka_unit_test(refused_nothing_happened_confirm_then_reopen),
        cmocka_unit_test(unknown_stays_closed_until_the_transaction_can_never_happen),
        cmocka_unit_test(unknown_but_given_back_is_a_new_reign),
        cmocka_unit_test(a_write_whose_answer_was_lost_is_seen_in_the_next_read),
        cmocka_unit_test(lost_while_quiescing_sends_no_transaction),
        cmocka_unit_test(a_session_that_ends_under_a_release_ends_the_hand_over),
        cmocka_unit_test(our_own_late_write_is_no_tampering),
        cmocka_unit_test(stop_releases_with_marker_and_never_stands_again),
        cmocka_unit_test(abort_closes_in_every_state_and_leaves_no_marker),
        cmocka_unit_test(an_instance_that_does_not_stand_gives_the_lock_back),
        cmocka_unit_test(authoritative_answers_wait_for_the_first_read_or_a_lease),
        cmocka_unit_test(refuses_only_while_a_young_read_shows_another_holder),
        cmocka_unit_test(three_elections_in_five_minutes_widen_the_check),
        cmocka_unit_test(every_state_takes_every_event),
    };
    return cmocka_run_group_tests_name("election", tests, NULL, NULL);
}
