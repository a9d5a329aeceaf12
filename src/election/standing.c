/* Without the lock: following it, and standing for it when it is free. */
#include "internal.h"

void follow(struct step *s, enum election_reason reason)
{
    struct election *e = s->e;
    e->acquire_at = NS_NEVER;
    e->confirm_at = e->write_at = NS_NEVER;
    e->deadline = e->voided = 0;
    enter(s, e->session[0] != '\0' ? ELECTION_FOLLOWING : ELECTION_STARTING, reason);
}

/* More than all the rest of stand_back together. */
#define BEHIND (200 * NS_PER_MS)

/* How long to stand back when the lock is free: the furthest mirror goes first, since what it has need not be
 * put back; the last primary's data is hottest, so it has a head start of 100 ms (unless it resigned); then
 * priority, then chance. A race is not unsafe, it costs one refused transaction. */
static nstime stand_back(struct election *e)
{
    nstime delay = e->behind ? BEHIND : 0;
    if (e->seen.last_instance[0] != '\0' && !e->seen.marker &&
        !same_id(e->seen.last_instance, e->config.instance))
        delay += 100 * NS_PER_MS;
    int priority = e->config.priority < 0 ? 0 : e->config.priority > 200 ? 200 : e->config.priority;
    delay += (200 - priority) * 250 * NS_PER_US;
    return delay + (nstime)rng_below(&e->rng, 20) * NS_PER_MS;
}

static bool may_stand(const struct election *e, enum election_reason *why)
{
    *why = !e->config.candidate ? ELECTION_WHY_NOT_CANDIDATE
           : e->paused          ? ELECTION_WHY_OPERATOR_PAUSE
           : !e->ready          ? ELECTION_WHY_NOT_READY
                                : ELECTION_WHY_FREE;
    return *why == ELECTION_WHY_FREE && e->session[0] != '\0' && !e->session_doubted && !e->stopping;
}

/* The last read showed a free lock: set the hour of our attempt, or say why there is none. */
void stand_if_free(struct step *s)
{
    struct election *e = s->e;
    enum election_reason why;
    if (e->state != ELECTION_FOLLOWING || e->seen.started == 0 || !e->seen.free)
        return;
    bool may = may_stand(e, &why);
    if (e->reason != why)
        enter(s, ELECTION_FOLLOWING, why);
    if (!may) {
        e->acquire_at = NS_NEVER;
    } else if (e->acquire_at == NS_NEVER) {
        e->acquire_at = s->now + stand_back(e);
        if (e->acquire_at < e->stand_after)
            e->acquire_at = e->stand_after;
    }
}

void starting_session(struct step *s)
{
    follow(s, s->e->reason);
    stand_if_free(s);
}

static void give_back(struct step *s, enum election_reason reason);

void following_read(struct step *s)
{
    struct election *e = s->e;
    const struct election_read *read = &s->event->read;
    switch (observe(e, read)) {
    case SIGHT_STALE:
        return;
    case SIGHT_FREE:
        stand_if_free(s);
        return;
    case SIGHT_OTHER:
        e->acquire_at = NS_NEVER;
        if (e->reason != ELECTION_WHY_OTHER_HOLDS)
            enter(s, ELECTION_FOLLOWING, ELECTION_WHY_OTHER_HOLDS);
        return;
    case SIGHT_MINE:
        /* Handed to us, or by an acquire of ours whose answer was lost. The wait counts from the answer of
         * this read: whoever held the lock before did so before it. */
        if (!e->config.candidate || e->stopping)
            give_back(s, ELECTION_WHY_UNFIT);
        else
            begin_reign(s, read, read->finished, read->create_index, read->modify_index, e->seen.spared);
        return;
    }
}

/* The lock was put on an instance that does not stand: release it without having acted, and without a
 * marker, since the last holder's lease may still run. */
static void give_back(struct step *s, enum election_reason reason)
{
    struct election *e = s->e;
    copy_id(e->target, "");
    e->modify_index = s->event->read.modify_index;
    enter(s, ELECTION_RELEASING, reason);
    struct election_order *o = order(s, ELECTION_RELEASE, reason);
    o->index = e->modify_index;
    o->lease = longest_lease(e, s->now);
    o->timeout = e->config.lease;
    o->serial = e->awaited = ++e->serial;
}

void following_timer(struct step *s)
{
    struct election *e = s->e;
    enum election_reason why;
    if (s->now < e->acquire_at)
        return;
    e->acquire_at = NS_NEVER;
    /* Only ever on a fresh consistent read that showed nobody. If this timer is late (the process was
     * stopped), the next read decides. */
    if (!e->seen.free || s->now - e->seen.started > e->config.lease || !may_stand(e, &why))
        return;
    enter(s, ELECTION_ACQUIRING, ELECTION_WHY_ACQUIRING);
    struct election_order *o = order(s, ELECTION_ACQUIRE, ELECTION_WHY_ACQUIRING);
    o->index = e->seen.exists ? e->seen.modify_index : 0;
    /* Our value replaces the last holder's: it must carry the lease that still has to be waited for. */
    o->lease = longest_lease(e, s->now);
    o->timeout = e->config.lease;
    o->serial = e->awaited = ++e->serial;
    e->spared = e->seen.spared;
}

void following_ready(struct step *s)
{
    stand_if_free(s);
}

/* The members' keys may be read a moment after the lock was seen free: an hour that is set already moves. */
void following_further(struct step *s)
{
    struct election *e = s->e;
    bool behind = s->event->flag;
    if (e->acquire_at != NS_NEVER && behind != e->behind)
        e->acquire_at += behind ? BEHIND : -BEHIND;
    e->behind = behind;
}

void following_alive(struct step *s)
{
    stand_if_free(s);
}

void following_give_up(struct step *s)
{
    if (s->event->kind == ELECTION_HANDOVER)
        order(s, ELECTION_GIVEN_UP, ELECTION_WHY_NOT_PRIMARY);
    else
        end(s, ELECTION_WHY_STOPPED);
}

void acquiring_acquired(struct step *s)
{
    struct election *e = s->e;
    const struct election_result *result = &s->event->result;
    if (result->outcome == ELECTION_DONE) {
        e->refuse_until = 0;
        /* The transaction's check-index says that the value was still the one we read, so its marker
         * counts as it did then. */
        if (e->holder.session[0] != '\0' && !e->spared && !same_id(e->holder.session, e->session))
            note_election(e, result->finished);
        nstime since = MUTATED(WAIT_FROM_READ) ? e->seen.started : result->finished;
        begin_reign(s, NULL, since, result->create_index, result->modify_index, e->spared);
        return;
    }
    /* An unknown fate shows in the next read; ask at once. */
    follow(s, result->outcome == ELECTION_UNKNOWN ? ELECTION_WHY_ACQUIRE_UNKNOWN : ELECTION_WHY_LOST_RACE);
    e->stand_after = s->now + e->config.lease / 4;
    confirm_now(s);
}
