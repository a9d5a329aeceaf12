/* Giving the lock up: close, quiesce, one transaction. */
#include "internal.h"

void end(struct step *s, enum election_reason reason)
{
    struct election *e = s->e;
    demote(s, reason);
    e->deadline = 0;
    e->stopping = true;
    e->acquire_at = e->confirm_at = e->write_at = NS_NEVER;
    enter(s, ELECTION_STOPPED, reason);
    order(s, ELECTION_ENDED, reason);
}

/* Step 1: the gate closes with this step's output (the state is not PRIMARY any more); effects end. */
void holding_give_up(struct step *s)
{
    struct election *e = s->e;
    copy_id(e->target, s->event->session);
    if (e->state == ELECTION_PAUSED && !e->stopping) {
        order(s, ELECTION_GIVEN_UP, ELECTION_WHY_NOT_PRIMARY);
        return;
    }
    enter(s, ELECTION_QUIESCING, ELECTION_WHY_HANDING_OVER);
    order(s, ELECTION_QUIESCE, ELECTION_WHY_HANDING_OVER);
}

/* In its own wait-out an instance has nothing to end, and no right to leave a marker: the holder before it
 * may still act. Destroying the session frees the lock without one. */
void waiting_give_up(struct step *s)
{
    if (MUTATED(MARKER_IN_WAIT_OUT) && s->e->state == ELECTION_WAITING_OUT)
        holding_give_up(s);
    else if (s->event->kind == ELECTION_HANDOVER)
        order(s, ELECTION_GIVEN_UP, ELECTION_WHY_NOT_PRIMARY);
    else
        end(s, ELECTION_WHY_STOPPED);
}

static void release(struct step *s)
{
    struct election *e = s->e;
    enter(s, ELECTION_RELEASING, ELECTION_WHY_HANDING_OVER);
    struct election_order *o = order(s, ELECTION_RELEASE, ELECTION_WHY_HANDING_OVER);
    /* The index lets us kill this transaction, should its answer get lost: see RESOLVING. */
    o->index = e->modify_index;
    o->marker = e->clean;
    o->epoch = e->epoch;
    o->lease = e->config.lease;
    o->serial = e->awaited = ++e->serial;
    o->timeout = e->config.lease;
    copy_id(o->session, e->target);
}

/* Step 2 is done. What did not end may still have its effect, so it leaves no marker. */
void quiescing_quiesced(struct step *s)
{
    s->e->clean = s->event->flag;
    release(s);
}

/* Resigned with nobody to take over: let others come first. Who gave the lock to a standby need not: should
 * that one die at once, the zones wait for us. */
static void stand_back_after_resigning(struct step *s)
{
    struct election *e = s->e;
    if (e->target[0] == '\0')
        e->stand_after = s->now + 2 * e->config.lease;
}

/* Step 3 is answered. */
void releasing_released(struct step *s)
{
    struct election *e = s->e;
    const struct election_result *result = &s->event->result;
    bool given = e->target[0] != '\0';
    bool reigned = e->reason != ELECTION_WHY_UNFIT;
    enum election_reason why = given ? ELECTION_WHY_HANDED_OVER : ELECTION_WHY_RELEASED;
    if (e->stopping) {
        /* Whatever became of it: the session is destroyed next, and its transaction dies with it. */
        end(s, result->outcome == ELECTION_DONE ? why : ELECTION_WHY_STOPPED);
        return;
    }
    if (!reigned) {
        follow(s, ELECTION_WHY_UNFIT);
        return;
    }
    bool unknown = result->outcome == ELECTION_UNKNOWN;
    switch (MUTATED(REOPEN_UNRESOLVED) && unknown ? ELECTION_CONFLICT : result->outcome) {
    case ELECTION_DONE:
        demote(s, why);
        stand_back_after_resigning(s);
        /* A blocking query that began before may still show us as the holder: old news. */
        e->seen.started = result->finished > e->seen.started ? result->finished : e->seen.started;
        e->seen.modify_index = result->modify_index;
        e->seen.free = false; /* until a read says so */
        /* Whom a client asked in vain a moment ago, before the new holder knew: it asks us next. */
        e->yielded_until = result->finished + e->config.lease / 4;
        /* Whom we gave it to is no surprise: the first read may show its own value already, without our
         * marker. That is no election, and no hole in what we followed: nobody but us acted before. */
        if (given && e->clean) {
            copy_id(e->holder.session, e->target);
            e->holder.epoch = 0;
        }
        follow(s, why);
        order(s, ELECTION_GIVEN_UP, why);
        confirm_now(s);
        break;
    case ELECTION_UNKNOWN:
        enter(s, ELECTION_RESOLVING, ELECTION_WHY_HANDOVER_UNKNOWN);
        e->writing = false;
        e->write_at = NS_NEVER;
        void_lease(s, ELECTION_WHY_HANDOVER_UNKNOWN);
        break;
    default: /* Nothing happened: confirm, then reopen. */
        enter(s, ELECTION_PAUSED, ELECTION_WHY_HANDOVER_REFUSED);
        order(s, ELECTION_GIVEN_UP, ELECTION_WHY_HANDOVER_REFUSED);
        void_lease(s, ELECTION_WHY_HANDOVER_REFUSED);
        break;
    }
}

/* The hand-over's answer was lost. A read that shows us as the holder is not enough to go on: the
 * transaction may be under way yet, and with it a marker that says we do not act. Writing our value moves the
 * ModifyIndex, which its check-index then finds changed: only after that it can never happen. */
void resolving_read(struct step *s)
{
    struct election *e = s->e;
    const struct election_read *read = &s->event->read;
    enum sight sight = observe(e, read);
    if (sight == SIGHT_STALE || read->started < e->trust_from)
        return;
    if (sight != SIGHT_MINE || read->create_index != e->create_index) {
        bool done = sight == SIGHT_FREE ? e->target[0] == '\0' && e->seen.marker
                                        : sight == SIGHT_OTHER && same_id(read->session, e->target);
        if (done) {
            enum election_reason why =
                e->target[0] != '\0' ? ELECTION_WHY_HANDED_OVER : ELECTION_WHY_RELEASED;
            demote(s, why);
            stand_back_after_resigning(s);
            follow(s, why);
            order(s, ELECTION_GIVEN_UP, why);
        } else {
            lose(s, sight == SIGHT_OTHER ? ELECTION_WHY_LOST_TO_OTHER : ELECTION_WHY_LOST_FREE);
        }
        return;
    }
    const struct election_value *value = &read->value;
    if (read->modify_index != e->modify_index && value->readable && value->epoch == 0 &&
        same_id(value->instance, e->config.instance)) {
        /* It did happen, and whoever got the lock has given it back since: a new reign. */
        order(s, ELECTION_GIVEN_UP, ELECTION_WHY_HANDED_OVER);
        begin_reign(s, read, read->finished, read->create_index, read->modify_index, e->seen.spared);
        return;
    }
    if (e->writing)
        return;
    e->writing = true;
    struct election_order *o = order(s, ELECTION_WRITE, ELECTION_WHY_HANDOVER_UNKNOWN);
    o->index = e->modify_index = read->modify_index;
    o->epoch = e->epoch;
    o->lease = e->config.lease;
    o->serial = e->written_serial = ++e->serial;
    o->timeout = e->config.lease;
}

void resolving_written(struct step *s)
{
    struct election *e = s->e;
    const struct election_result *result = &s->event->result;
    if (result->outcome == ELECTION_DONE) {
        e->modify_index = result->modify_index;
        e->written_at = result->finished;
        e->trust_from = s->now;
        e->deadline = 0;
        enter(s, ELECTION_PAUSED, ELECTION_WHY_HANDOVER_REFUSED);
        order(s, ELECTION_GIVEN_UP, ELECTION_WHY_HANDOVER_REFUSED);
    }
    confirm_now(s);
}
