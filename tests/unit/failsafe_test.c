/* Failsafe by tables: whom a member consents to, and when a primary may hold. */
#include "lictor/failsafe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MS    NS_PER_MS
#define LEASE (2000 * MS)
#define T0    (1000 * NS_PER_S)

static const char names[][ELECTION_ID_SIZE] = {"primary", "second", "third"};

static struct failsafe_output out;

static void failsafe_of(struct failsafe *f, const char *instance, bool enabled)
{
    struct failsafe_config config = {.enabled = enabled, .seed = 7};
    strcpy(config.instance, instance);
    failsafe_init(f, &config);
}

/* --- consenting --- */

static struct election follower(void)
{
    struct election e = {.config = {.lease = LEASE}, .state = ELECTION_FOLLOWING};
    e.seen.started = T0 - LEASE;
    e.seen.exists = true;
    strcpy(e.seen.last_instance, "primary");
    e.holder.epoch = 7;
    return e;
}

static enum failsafe_verdict consent(struct election *e, bool enabled, const char *from, uint64_t epoch,
                                     nstime lease)
{
    struct failsafe f;
    struct failsafe_event event = {.kind = FAILSAFE_ASKED,
                                   .request = {.epoch = epoch, .lease = lease, .nonce = 1}};
    strcpy(event.request.instance, from);
    failsafe_of(&f, "second", enabled);
    failsafe_step(&f, e, &event, T0, &out);
    return out.verdict;
}

static void whom_a_member_consents_to(void **state)
{
    (void)state;
    struct election e = follower();
    assert_int_equal(consent(&e, true, "primary", 7, LEASE), FAILSAFE_YES);
    assert_int_equal(e.stand_after, T0 + LEASE + LEASE / 100 + 50 * MS);
    /* A promise is never shortened. */
    assert_int_equal(consent(&e, true, "primary", 7, LEASE / 2), FAILSAFE_YES);
    assert_int_equal(e.stand_after, T0 + LEASE + LEASE / 100 + 50 * MS);

    e = follower();
    assert_int_equal(consent(&e, false, "primary", 7, LEASE), FAILSAFE_NO_OFF);
    assert_int_equal(consent(&e, true, "primary", 6, LEASE), FAILSAFE_NO_OTHER);
    assert_int_equal(consent(&e, true, "primary", 8, LEASE), FAILSAFE_NO_OTHER);
    assert_int_equal(consent(&e, true, "third", 7, LEASE), FAILSAFE_NO_OTHER);
    assert_int_equal(consent(&e, true, "second", 7, LEASE), FAILSAFE_NO_STRANGER);
    assert_int_equal(consent(&e, true, "primary", 7, 0), FAILSAFE_NO_STRANGER);
    assert_int_equal(consent(&e, true, "primary", 7, 61 * NS_PER_S), FAILSAFE_NO_STRANGER);
    assert_int_equal(e.stand_after, 0);

    e.seen.started = T0 - LEASE / 4 * 3;
    assert_int_equal(consent(&e, true, "primary", 7, LEASE), FAILSAFE_NO_REACHES);
    e.seen.started = 0;
    assert_int_equal(consent(&e, true, "primary", 7, LEASE), FAILSAFE_NO_UNKNOWN);
    e = follower();
    e.seen.free = true;
    assert_int_equal(consent(&e, true, "primary", 7, LEASE), FAILSAFE_NO_FREE);
    e = follower();
    e.seen.exists = false;
    assert_int_equal(consent(&e, true, "primary", 7, LEASE), FAILSAFE_NO_FREE);
    for (int s = 0; s < ELECTION_STATES; s++) {
        e = follower();
        e.state = (enum election_state)s;
        enum failsafe_verdict right = s == ELECTION_FOLLOWING || s == ELECTION_STARTING ? FAILSAFE_YES
                                      : s == ELECTION_STOPPED                           ? FAILSAFE_NO_STOPPING
                                                                                        : FAILSAFE_NO_HOLDS;
        assert_int_equal(consent(&e, true, "primary", 7, LEASE), right);
    }
}

static void who_is_barred(void **state)
{
    (void)state;
    assert_false(failsafe_barred("fourth", "primary", names, 0, false));
    assert_true(failsafe_barred("fourth", "primary", names, 3, false));
    assert_false(failsafe_barred("fourth", "primary", names, 3, true)); /* released cleanly */
    assert_false(failsafe_barred("third", "primary", names, 3, false));
    assert_true(failsafe_barred("third", "primary", names, 2, false));
    assert_false(failsafe_barred("primary", "primary", names + 1, 2, false));
}

static void a_failed_read_tells_sooner(void **state)
{
    (void)state;
    struct failsafe f;
    struct election e = follower();
    struct failsafe_event missed = {.kind = FAILSAFE_MISSED},
                          asked = {.kind = FAILSAFE_ASKED, .request = {"primary", 7, 1, LEASE}};
    failsafe_of(&f, "second", true);
    failsafe_step(&f, &e, &missed, T0, &out);
    e.seen.started = T0 + 1; /* but a read that began later succeeded */
    failsafe_step(&f, &e, &asked, T0 + LEASE / 4 * 3, &out);
    assert_int_equal(out.verdict, FAILSAFE_NO_REACHES);
    failsafe_step(&f, &e, &missed, T0 + 10, &out);
    failsafe_step(&f, &e, &asked, T0 + 1 + LEASE / 2, &out);
    assert_int_equal(out.verdict, FAILSAFE_NO_REACHES);
    failsafe_step(&f, &e, &asked, T0 + 2 + LEASE / 2, &out);
    assert_int_equal(out.verdict, FAILSAFE_YES);
}

/* --- asking --- */

struct holder {
    struct election e;
    struct failsafe f;
};

static void look(struct holder *h, nstime now)
{
    struct failsafe_event event = {.kind = FAILSAFE_LOOK};
    failsafe_step(&h->f, &h->e, &event, now, &out);
}

static void list(struct holder *h, size_t count, nstime now)
{
    struct failsafe_event event = {.kind = FAILSAFE_LIST, .list = {count, names}};
    failsafe_step(&h->f, &h->e, &event, now, &out);
}

static void hear(struct holder *h, const char *from, enum failsafe_verdict verdict, nstime now)
{
    struct failsafe_event event = {.kind = FAILSAFE_ANSWERED,
                                   .answer = {.nonce = h->f.nonce, .verdict = verdict}};
    strcpy(event.answer.instance, from);
    failsafe_step(&h->f, &h->e, &event, now, &out);
}

/* A primary whose lease ends at T0 + LEASE / 2 - 1, so that it begins to ask at T0. */
static struct holder primary(bool enabled, size_t members)
{
    struct holder h = {.e = {.config = {.lease = LEASE}, .state = ELECTION_PRIMARY, .epoch = 7}};
    failsafe_of(&h.f, "primary", enabled);
    h.e.deadline = T0 + LEASE / 2 - 1;
    list(&h, members, T0);
    return h;
}

static void all_consent(void **state)
{
    (void)state;
    struct holder h = primary(true, 3);
    assert_int_equal(out.ask, 3);
    hear(&h, "second", FAILSAFE_YES, T0 + 10 * MS);
    assert_int_equal(out.hold_until, 0);
    hear(&h, "third", FAILSAFE_YES, T0 + 20 * MS);
    assert_int_equal(out.hold_until, T0 + LEASE); /* from the round's start, not from the answers */
    assert_int_equal(out.note, FAILSAFE_NOTE_NONE);

    /* The lease ends: the election pauses, holding goes on. */
    h.e.state = ELECTION_PAUSED;
    h.e.reason = ELECTION_WHY_LEASE_RAN_OUT;
    look(&h, T0 + LEASE / 2);
    assert_int_equal(out.note, FAILSAFE_NOTE_HOLDING);
    assert_int_equal(out.ask, 3); /* the next round */
    hear(&h, "third", FAILSAFE_YES, T0 + LEASE / 2 + 10 * MS);
    look(&h, T0 + LEASE / 2 + 200 * MS);
    assert_int_equal(out.ask, 1); /* only who is missing is asked again */
    look(&h, T0 + LEASE - 1);
    assert_int_equal(out.hold_until, T0 + LEASE);
    assert_int_equal(out.note, FAILSAFE_NOTE_NONE);
    look(&h, T0 + LEASE);
    assert_int_equal(out.note, FAILSAFE_NOTE_ENDED);
    assert_int_equal(h.f.why, FAILSAFE_SILENT);
    assert_int_equal(h.f.blame, 0);

    /* It may begin again: nobody else can have come in between without saying no from then on. */
    hear(&h, "second", FAILSAFE_YES, T0 + LEASE + 10 * MS);
    hear(&h, "third", FAILSAFE_YES, T0 + LEASE + 10 * MS);
    assert_int_equal(out.note, FAILSAFE_NOTE_HOLDING);

    /* Consul is back. */
    h.e.state = ELECTION_PRIMARY;
    h.e.deadline = T0 + 2 * LEASE + 100 * MS;
    look(&h, T0 + LEASE + 150 * MS);
    assert_int_equal(out.note, FAILSAFE_NOTE_CONFIRMED);
    assert_int_equal(out.hold_until, 0);
}

static void one_no_is_enough(void **state)
{
    (void)state;
    for (int verdict = FAILSAFE_SILENT; verdict < FAILSAFE_VERDICTS; verdict++) {
        struct holder h = primary(true, 3);
        hear(&h, "third", FAILSAFE_YES, T0 + 10 * MS);
        if (verdict != FAILSAFE_SILENT)
            hear(&h, "second", (enum failsafe_verdict)verdict, T0 + 10 * MS);
        assert_int_equal(out.hold_until, verdict == FAILSAFE_YES ? T0 + LEASE : 0);
        if (verdict == FAILSAFE_YES || verdict == FAILSAFE_UNSIGNED || verdict == FAILSAFE_SILENT)
            continue;
        /* A yes after a no is none; the next question comes soon. */
        uint64_t nonce = h.f.nonce;
        hear(&h, "second", FAILSAFE_YES, T0 + 20 * MS);
        assert_int_equal(out.hold_until, 0);
        look(&h, T0 + LEASE / 8);
        assert_int_equal(out.ask, 3);
        assert_int_not_equal(h.f.nonce, nonce);
        assert_int_equal(h.f.why, verdict);
    }
}

static void what_is_no_answer(void **state)
{
    (void)state;
    struct holder h = primary(true, 2);
    struct failsafe_event event = {.kind = FAILSAFE_ANSWERED, .answer = {.verdict = FAILSAFE_YES}};
    strcpy(event.answer.instance, "second");
    event.answer.nonce = h.f.nonce + 1; /* of another round */
    failsafe_step(&h.f, &h.e, &event, T0 + MS, &out);
    assert_int_equal(out.hold_until, 0);
    hear(&h, "third", FAILSAFE_YES, T0 + MS); /* not asked */
    assert_int_equal(out.hold_until, 0);
    hear(&h, "second", FAILSAFE_UNSIGNED, T0 + MS); /* anybody may send that: the true one still counts */
    hear(&h, "second", FAILSAFE_YES, T0 + 2 * MS);
    assert_int_equal(out.hold_until, T0 + LEASE);
    h = primary(true, 2);
    hear(&h, "second", FAILSAFE_YES, T0 + LEASE / 4); /* after the round */
    assert_int_equal(out.hold_until, 0);
}

static void who_may_not_ask(void **state)
{
    (void)state;
    struct holder h = primary(false, 3); /* not configured */
    assert_int_equal(out.ask, 0);
    h = primary(true, 1); /* alone: every other member is nobody, and nobody's consent is none */
    assert_int_equal(out.ask, 0);
    assert_int_equal(out.hold_until, 0);
    h = primary(true, 0); /* the list was never written, or is in doubt */
    assert_int_equal(out.ask, 0);
    for (int s = 0; s < ELECTION_STATES; s++)
        for (int r = 0; r < ELECTION_REASONS; r++) {
            h = primary(true, 2);
            hear(&h, "second", FAILSAFE_YES, T0 + MS);
            assert_int_equal(out.hold_until, T0 + LEASE);
            h.e.state = (enum election_state)s;
            h.e.reason = (enum election_reason)r;
            look(&h, T0 + 2 * MS);
            bool paused = r == ELECTION_WHY_LEASE_RAN_OUT || r == ELECTION_WHY_CLOCK_STEPPED;
            bool may = s == ELECTION_PRIMARY || (s == ELECTION_PAUSED && paused);
            assert_int_equal(out.hold_until, may ? T0 + LEASE : 0);
        }
    h = primary(true, 2);
    hear(&h, "second", FAILSAFE_YES, T0 + MS);
    h.e.epoch++; /* another reign */
    look(&h, T0 + 2 * MS);
    assert_int_equal(out.hold_until, 0);
}

static void a_step_of_the_clock_voids(void **state)
{
    (void)state;
    struct holder h = primary(true, 2);
    hear(&h, "second", FAILSAFE_YES, T0 + MS);
    h.e.voided = T0 + 5 * MS;
    h.e.deadline = 0;
    look(&h, T0 + 5 * MS);
    assert_int_equal(out.hold_until, 0);
    look(&h, T0 + LEASE / 4); /* but may be asked for anew */
    assert_int_equal(out.ask, 1);
    hear(&h, "second", FAILSAFE_YES, T0 + LEASE / 4 + MS);
    assert_int_equal(out.hold_until, T0 + LEASE / 4 + LEASE);
}

static void in_health_it_rehearses(void **state)
{
    (void)state;
    struct holder h = {.e = {.config = {.lease = LEASE}, .state = ELECTION_PRIMARY, .epoch = 7}};
    failsafe_of(&h.f, "primary", true);
    h.e.deadline = T0 + LEASE;
    list(&h, 2, T0);
    assert_int_equal(out.ask, 1);
    hear(&h, "second", FAILSAFE_NO_REACHES, T0 + MS);
    assert_int_equal(h.f.verdicts[0], FAILSAFE_NO_REACHES);
    assert_int_equal(h.f.counters.broken, 0);
    /* A member that is cut off alone consents; the lease is what counts then. */
    h.e.deadline = T0 + FAILSAFE_REHEARSAL + LEASE;
    look(&h, T0 + FAILSAFE_REHEARSAL - 1);
    assert_int_equal(out.ask, 0);
    look(&h, T0 + FAILSAFE_REHEARSAL);
    assert_int_equal(out.ask, 1);
    hear(&h, "second", FAILSAFE_YES, T0 + FAILSAFE_REHEARSAL + MS);
    assert_int_equal(out.hold_until, 0);
    /* The first sign of trouble does not wait for the next rehearsal. */
    look(&h, T0 + FAILSAFE_REHEARSAL + 2 * MS);
    assert_int_equal(out.timer, h.e.deadline - LEASE / 2 + 1);
    look(&h, out.timer);
    assert_int_equal(out.ask, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whom_a_member_consents_to),
        cmocka_unit_test(who_is_barred),
        cmocka_unit_test(a_failed_read_tells_sooner),
        cmocka_unit_test(all_consent),
        cmocka_unit_test(one_no_is_enough),
        cmocka_unit_test(what_is_no_answer),
        cmocka_unit_test(who_may_not_ask),
        cmocka_unit_test(a_step_of_the_clock_voids),
        cmocka_unit_test(in_health_it_rehearses),
    };
    return cmocka_run_group_tests_name("failsafe", tests, NULL, NULL);
}
