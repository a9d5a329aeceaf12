/* Histories that a naive election gets wrong, each with the rule that saves it: without that rule it fails.
 */
#include "sim.h"

#define N1 0
#define N2 1
#define N3 2

/* n1 starts before the others, and so is the first primary. */
static void begin(struct schedule *s, unsigned instances, nstime lease)
{
    *s = (struct schedule){.seed = 1, .instances = instances, .quiet = 12 * S};
    for (unsigned i = 0; i < instances; i++) {
        s->instance[i].lease = lease;
        s->instance[i].candidate = true;
        s->instance[i].priority = 100;
        s->instance[i].start = i == N1 ? 0 : 400 * MS;
    }
}

static void add(struct schedule *s, struct fault fault)
{
    s->fault[s->faults++] = fault;
}

/* n1's acquire is queued while n1 is stopped. n2 reigns; its key is deleted while it is cut off, so that the
 * check-not-exists of the old acquire is true again. n1 must wait from its acquire, not from its read. */
static void late_acquire(struct schedule *s)
{
    struct fault caught = {.at = 3 * S, .trigger = REQUEST_ACQUIRE, .subject = SUBJECT_SENDER};
    begin(s, 2, 150 * MS);
    s->instance[N1].priority = 200;
    s->instance[N2].priority = 0;
    add(s, (struct fault){.at = 3 * S, .kind = FAULT_DELETE});
    caught.kind = FAULT_HOLD;
    caught.duration = 330 * MS;
    add(s, caught);
    caught.kind = FAULT_STOP;
    caught.duration = 370 * MS; /* not long enough for its check to lapse */
    add(s, caught);
    caught.subject = SUBJECT_HOLDER; /* n2 by then */
    caught.kind = FAULT_CUT;
    caught.delay = 300 * MS;
    caught.duration = S;
    add(s, caught);
    caught.kind = FAULT_DELETE;
    caught.delay = 305 * MS;
    add(s, caught);
}

/* n1 is cut off and loses its session, but acts until its deadline. n2 gets the lock and is stopped at once:
 * it hands over to n3 before it may act itself. Its marker would say what it does not know. */
static void marker_of_one_still_waiting(struct schedule *s)
{
    begin(s, 3, S);
    add(s, (struct fault){.at = 4 * S, .kind = FAULT_CUT, .instance = N1, .duration = 3 * S});
    add(s, (struct fault){.at = 4 * S, .kind = FAULT_DESTROY});
    add(s, (struct fault){.at = 4 * S,
                          .kind = FAULT_RESIGN,
                          .trigger = REQUEST_WRITE,
                          .subject = SUBJECT_SENDER,
                          .delay = 50 * MS,
                          .duration = 4 * S,
                          .other = N3});
}

/* n1 releases with a marker; a snapshot keeps that moment. n2 reigns, is cut off, and the snapshot comes
 * back: a free lock that says "nobody acts". */
static void restored_marker(struct schedule *s)
{
    begin(s, 3, 2 * S);
    add(s, (struct fault){.at = 3 * S, .kind = FAULT_HANDOVER, .instance = N1, .amount = 1});
    add(s, (struct fault){.at = 3 * S,
                          .kind = FAULT_SNAPSHOT,
                          .trigger = REQUEST_RELEASE,
                          .subject = SUBJECT_SENDER,
                          .delay = 10 * MS});
    add(s, (struct fault){.at = 6 * S, .kind = FAULT_CUT, .subject = SUBJECT_HOLDER, .duration = S});
    add(s, (struct fault){.at = 6 * S + 10 * MS, .kind = FAULT_RESTORE});
}

/* n1 acts, cut off, while somebody deletes the key: to n2 it looks like the very first start. */
static void deleted_key(struct schedule *s)
{
    begin(s, 2, S);
    add(s, (struct fault){.at = 4 * S, .kind = FAULT_CUT, .instance = N1, .duration = 3 * S});
    add(s, (struct fault){.at = 4 * S + 1 * MS, .kind = FAULT_DELETE});
}

/* n1 has a lease of 3 s. n2, with 300 ms, has to wait for that one. */
static void longer_lease_before(struct schedule *s)
{
    begin(s, 2, 300 * MS);
    s->instance[N1].lease = 3 * S;
    add(s, (struct fault){.at = 6 * S, .kind = FAULT_CUT, .instance = N1, .duration = 4 * S});
    add(s, (struct fault){.at = 6 * S, .kind = FAULT_DESTROY});
    s->quiet = 16 * S;
}

/* Consul has no leader for a moment when n1 hands over: an error comes back, and the transaction may too. */
static void lost_handover(struct schedule *s)
{
    begin(s, 2, S);
    add(s, (struct fault){.at = 4 * S, .kind = FAULT_HANDOVER, .instance = N1, .other = N2});
    add(s, (struct fault){.at = 4 * S,
                          .kind = FAULT_LEADER,
                          .trigger = REQUEST_RELEASE,
                          .subject = SUBJECT_SENDER,
                          .duration = 200 * MS});
}

/* A snapshot of n1's reign comes back while n2 reigns, cut off. n1's hold looks as if nothing had been. */
static void restored_reign(struct schedule *s)
{
    begin(s, 2, 500 * MS);
    add(s, (struct fault){.at = 3 * S, .kind = FAULT_SNAPSHOT});
    add(s, (struct fault){.at = 4 * S, .kind = FAULT_CUT, .instance = N1, .duration = 2 * S});
    add(s, (struct fault){.at = 4 * S, .kind = FAULT_RELEASE});
    add(s, (struct fault){.at = 5900 * MS, .kind = FAULT_CUT, .instance = N2, .duration = 2 * S});
    add(s, (struct fault){.at = 5950 * MS, .kind = FAULT_RESTORE});
}

/* The same without a lease of silence at n1: n2's wait ends after it lost the lock, on an old confirmation.
 */
static void restored_within_a_lease(struct schedule *s)
{
    struct fault caught = {.at = 6 * S, .trigger = REQUEST_CONFIRM, .subject = SUBJECT_HOLDER};
    begin(s, 2, 2 * S);
    s->instance[N2].priority = 200; /* stands back least */
    add(s, (struct fault){.at = 5 * S, .kind = FAULT_SNAPSHOT});
    caught.kind = FAULT_CUT;
    caught.delay = 5 * MS;
    caught.duration = 1450 * MS;
    add(s, caught);
    caught.kind = FAULT_RELEASE;
    caught.delay = 6 * MS;
    add(s, caught);
    caught.kind = FAULT_CUT;
    caught.delay = 1380 * MS;
    caught.duration = 4 * S;
    add(s, caught);
    caught.kind = FAULT_RESTORE;
    caught.delay = 1400 * MS;
    add(s, caught);
    s->quiet = 16 * S;
}

/* n1 never heard of n2's reign, and its own comes back by a restore: its epoch must still be above n2's. */
static void restored_epoch(struct schedule *s)
{
    restored_reign(s);
    s->fault[1].duration = 4 * S; /* until n2's lease is over */
    s->fault[3].duration = 6 * S;
}

/* A program runs on when the hand-over is asked: nobody acts before it has ended. */
static void busy_handover(struct schedule *s)
{
    begin(s, 2, S);
    for (nstime at = 3 * S; at < 10 * S; at += 250 * MS)
        add(s, (struct fault){.at = at,
                              .kind = FAULT_HANDOVER,
                              .subject = SUBJECT_HOLDER,
                              .other = at / (250 * MS) % 2 ? N1 : N2});
}

/* The host sleeps. When it wakes up its lease is long over, whatever a clock says that slept too. */
static void suspended_host(struct schedule *s)
{
    begin(s, 2, S);
    add(s, (struct fault){.at = 4 * S, .kind = FAULT_SUSPEND, .instance = N1, .duration = 20 * S});
    s->quiet = 30 * S;
}

/* Somebody who looked the session up releases the lock, and n1's answers are slow and then none. */
static void slow_answers(struct schedule *s)
{
    struct fault caught = {
        .at = 7 * S, .trigger = REQUEST_CONFIRM, .subject = SUBJECT_HOLDER, .delay = 400 * MS};
    begin(s, 2, 2 * S);
    add(s,
        (struct fault){.at = 6 * S, .kind = FAULT_SLOW, .instance = N1, .duration = 10 * S, .amount = 900});
    caught.kind = FAULT_CUT;
    caught.duration = 6 * S;
    add(s, caught);
    caught.kind = FAULT_RELEASE;
    add(s, caught);
    s->quiet = 20 * S;
}

/* n1 still sends what belongs to a reign that is over. */
static void late_writes(struct schedule *s)
{
    begin(s, 2, 500 * MS);
    add(s, (struct fault){.at = 3 * S,
                          .kind = FAULT_HOLD,
                          .trigger = REQUEST_COMMIT,
                          .instance = N1,
                          .duration = 700 * MS});
    add(s, (struct fault){.at = 3 * S, .kind = FAULT_DESTROY, .trigger = REQUEST_COMMIT, .delay = MS});
}

const struct fixed fixed_schedules[] = {
    {"late-acquire", MUTATION_WAIT_FROM_READ, late_acquire},
    {"marker-of-one-still-waiting", MUTATION_MARKER_IN_WAIT_OUT, marker_of_one_still_waiting},
    {"restored-marker", MUTATION_MARKER_FROM_ANYONE, restored_marker},
    {"deleted-key", MUTATION_NO_WAIT_OUT, deleted_key},
    {"longer-lease-before", MUTATION_OWN_LEASE_ONLY, longer_lease_before},
    {"lost-handover", MUTATION_REOPEN_UNRESOLVED, lost_handover},
    {"restored-reign", MUTATION_RESUME_AFTER_SILENCE, restored_reign},
    {"restored-within-a-lease", MUTATION_OPEN_ON_OLD_NEWS, restored_within_a_lease},
    {"restored-epoch", MUTATION_EPOCH_FROM_READ, restored_epoch},
    {"busy-handover", MUTATION_NO_QUIESCE, busy_handover},
    {"suspended-host", MUTATION_MONOTONIC_CLOCK, suspended_host},
    {"slow-answers", MUTATION_DEADLINE_FROM_REPLY, slow_answers},
    {"late-writes", MUTATION_NO_CHECK_SESSION, late_writes},
};
const size_t fixed_count = sizeof fixed_schedules / sizeof *fixed_schedules;
