/* With the lock: the wait-out, the lease and its confirmations, the loss. */
#include "internal.h"

static nstime later(nstime a, nstime b)
{
    return a > b ? a : b;
}

void demote(struct step *s, enum election_reason reason)
{
    struct election *e = s->e;
    if (!e->told)
        return;
    e->told = false;
    e->counters.demotions++;
    order(s, ELECTION_DEMOTED, reason)->epoch = e->epoch;
}

/* At most two are on their way: one every quarter, each given up after half a lease. So one lost packet or
 * one stuck connection does not cost the lease, and a stopped Consul collects no heap of requests. */
void confirm_now(struct step *s)
{
    struct election *e = s->e;
    if (e->confirms_in_flight >= 2)
        return;
    e->confirms_in_flight++;
    e->counters.confirms++;
    e->confirmed_at = s->now;
    e->confirm_at = s->now + e->config.lease / 4;
    order(s, ELECTION_CONFIRM, e->reason)->timeout = e->config.lease / 2;
}

/* The lease is worth nothing until a request that starts now confirms it. */
void void_lease(struct step *s, enum election_reason reason)
{
    struct election *e = s->e;
    e->deadline = 0;
    e->voided = s->now;
    e->void_reason = reason;
    e->trust_from = s->now;
    confirm_now(s);
}

static void write_value(struct step *s)
{
    struct election *e = s->e;
    e->writing = true;
    e->written = false;
    e->write_at = NS_NEVER;
    struct election_order *o = order(s, ELECTION_WRITE, e->reason);
    o->index = e->modify_index;
    o->epoch = e->epoch;
    o->first = e->first_write;
    /* Until the wait-out is over the value speaks for the last holder's lease too: who takes over from us
     * now must wait as long. */
    o->lease = e->state == ELECTION_WAITING_OUT ? longest_lease(e, s->now) : e->config.lease;
    e->value_lease = o->lease;
    o->serial = e->written_serial = ++e->serial;
    o->timeout = e->config.lease;
}

static void open_gate(struct step *s, enum election_reason reason)
{
    struct election *e = s->e;
    enter(s, ELECTION_PRIMARY, reason);
    if (!e->told) {
        e->told = true;
        e->counters.promotions++;
        order(s, ELECTION_PROMOTED, reason)->epoch = e->epoch;
    }
    if (e->value_lease != e->config.lease && !e->writing)
        write_value(s); /* the last holder's longer lease is over: no successor need wait for it */
}

/* Act only when the wait is over, the lease is confirmed, and our own value is in the key. The last one is
 * safety too: as long as the old holder's clean marker stands in the key, a third instance that did not see
 * us may believe it and act at once. */
static void open_if_due(struct step *s)
{
    struct election *e = s->e;
    /* The confirmation that opens begins after the wait: an older one may be from before a `snapshot restore`
     * that gave the lock back to a holder whose lease never ran out. */
    bool waited = e->spared || e->proven >= e->wait_until || MUTATED(NO_WAIT_OUT) ||
                  (MUTATED(OPEN_ON_OLD_NEWS) && s->now >= e->wait_until);
    if (e->state == ELECTION_WAITING_OUT && e->written && waited && s->now < e->deadline)
        open_gate(s, e->spared ? ELECTION_WHY_MARKER : ELECTION_WHY_WAITED_OUT);
    else if (e->state == ELECTION_PAUSED && s->now < e->deadline)
        open_gate(s,
                  e->reason == ELECTION_WHY_HANDOVER_REFUSED ? ELECTION_WHY_REOPENED : ELECTION_WHY_RESUMED);
}

/* The lock was ours at some instant not before the request's start; only that one is certain. */
static nstime lease_end(const struct election *e, const struct election_read *read)
{
    return (MUTATED(DEADLINE_FROM_REPLY) ? read->finished : read->started) + e->config.lease;
}

/* We hold the lock since `since` (our own view; the wait counts from it). read: the read that showed it, or
 * NULL after our own acquire. */
void begin_reign(struct step *s, const struct election_read *read, nstime since, uint64_t create_index,
                 uint64_t modify_index, bool spared)
{
    struct election *e = s->e;
    demote(s, ELECTION_WHY_REGAINED);
    e->create_index = create_index;
    e->modify_index = modify_index;
    e->held_from = since;
    e->proven = read != NULL ? read->started : s->event->result.started;
    e->index_doubted = read != NULL && !spared && !MUTATED(EPOCH_FROM_READ);
    e->spared = spared;
    e->wait_until = spared || MUTATED(NO_WAIT_OUT) ? since : since + election_wait_out(e, since);
    e->deadline = read != NULL && read->started >= e->trust_from ? lease_end(e, read) : 0;
    e->voided = 0;
    if (modify_index > e->epoch_seen)
        e->epoch_seen = modify_index;
    e->epoch = ++e->epoch_seen;
    e->first_write = true;
    e->counters.elections++;
    /* A request that began before this instant and shows an older ModifyIndex is old news. */
    e->seen.started = later(e->seen.started, since);
    e->seen.modify_index = modify_index;
    e->seen.exists = true;
    e->seen.free = false;
    copy_id(e->holder.session, e->session);
    e->holder.epoch = 0;
    bool handed = read != NULL && !election_holds(e);
    enter(s, ELECTION_WAITING_OUT, handed ? ELECTION_WHY_HANDED_TO_US : ELECTION_WHY_WAITING_OUT);
    write_value(s);
    confirm_now(s);
}

void lose(struct step *s, enum election_reason reason)
{
    struct election *e = s->e;
    bool yielding = e->state == ELECTION_QUIESCING || e->state == ELECTION_RESOLVING ||
                    (e->state == ELECTION_RELEASING && e->reason != ELECTION_WHY_UNFIT);
    /* A dead session explains the loss. If it lives, somebody took the lock away from under it. */
    if (e->session[0] != '\0') {
        e->session_doubted = e->suspicion = true;
        order(s, ELECTION_CHECK_SESSION, reason);
    }
    demote(s, reason);
    if (e->stopping) {
        end(s, reason);
        return;
    }
    if (yielding)
        order(s, ELECTION_GIVEN_UP, reason);
    follow(s, reason);
}

/* Raft's index only grows, even through a restore, and no epoch is above it when it is taken. So what we
 * write in this reign has an index above every epoch before; what we read may not. True: there is a new epoch
 * to be written. */
static bool renew_epoch(struct election *e, uint64_t written_index)
{
    bool doubted = e->index_doubted;
    e->index_doubted = false;
    if (!doubted || written_index < e->epoch)
        return false;
    if (written_index > e->epoch_seen)
        e->epoch_seen = written_index;
    e->epoch = ++e->epoch_seen;
    return true;
}

/* The key was written while we hold it. By us, and the answer was lost; or by somebody else. A handed-over
 * identity with epoch 0 and our name means that we lost the lock and were given it back between two reads:
 * that is a new reign, with a new epoch. */
static void mind_value(struct step *s, const struct election_read *read)
{
    struct election *e = s->e;
    const struct election_value *value = &read->value;
    bool old = read->started < e->written_at && read->modify_index < e->modify_index;
    if (read->modify_index == e->modify_index || old || e->state == ELECTION_QUIESCING)
        return;
    bool ours = value->readable && same_id(value->instance, e->config.instance);
    if (ours && value->epoch == e->epoch) {
        e->modify_index = read->modify_index;
        e->first_write = false;
        if (renew_epoch(e, read->modify_index)) {
            write_value(s);
            return;
        }
        e->written = true;
        e->write_at = NS_NEVER;
        return;
    }
    if (ours && value->epoch == 0) {
        begin_reign(s, read, read->finished, read->create_index, read->modify_index, e->seen.spared);
        return;
    }
    bool late =
        ours && value->epoch < e->epoch; /* ours, ordered in the reign before and carried out in this */
    if (!late) {
        e->counters.tampered++;
        order(s, ELECTION_NOTE, ELECTION_WHY_VALUE_OVERWRITTEN);
    }
    e->modify_index = read->modify_index;
    if (!e->writing)
        write_value(s);
}

void holding_read(struct step *s)
{
    struct election *e = s->e;
    const struct election_read *read = &s->event->read;
    enum sight sight = observe(e, read);
    if (sight == SIGHT_STALE)
        return;
    if (sight != SIGHT_MINE || read->create_index != e->create_index) {

        lose(s, sight == SIGHT_MINE    ? ELECTION_WHY_KEY_RECREATED
                : sight == SIGHT_OTHER ? ELECTION_WHY_LOST_TO_OTHER
                : read->exists         ? ELECTION_WHY_LOST_FREE
                                       : ELECTION_WHY_KEY_MISSING);
        /* The loss may be an invitation: another key with our session, or a free lock. */
        if (e->state == ELECTION_FOLLOWING && sight == SIGHT_FREE)
            stand_if_free(s);
        return;
    }
    /* In a lease without news another one may have acted, though this read shows nothing of it: a `snapshot
     * restore` brings our hold back as it was. So it is a new reign, with its own wait and epoch. What it
     * shows may be as young as its answer. */
    bool naive = MUTATED(RESUME_AFTER_SILENCE) || MUTATED(WAIT_FROM_READ);
    bool silence = read->finished - e->proven > e->config.lease && !naive;
    if (silence && e->state != ELECTION_QUIESCING) {
        if (read->started >= e->trust_from)
            begin_reign(s, read, read->finished, read->create_index, read->modify_index, false);
        return;
    }
    e->proven = later(e->proven, read->started);
    if (read->started >= e->trust_from) {
        e->deadline = later(e->deadline, lease_end(e, read));
        e->voided = 0;
    }
    mind_value(s, read);
    open_if_due(s);
}

void holding_timer(struct step *s)
{
    struct election *e = s->e;
    if (e->state == ELECTION_WAITING_OUT && s->now >= e->wait_until && e->confirmed_at < e->wait_until)
        e->confirm_at = s->now;
    if (s->now >= e->confirm_at && e->confirms_in_flight < 2)
        confirm_now(s);
    if (s->now >= e->write_at && !e->writing && e->state != ELECTION_QUIESCING)
        write_value(s);
    open_if_due(s);
}

void holding_written(struct step *s)
{
    struct election *e = s->e;
    const struct election_result *result = &s->event->result;
    switch (result->outcome) {
    case ELECTION_DONE:
        e->first_write = false;
        e->written_at = result->finished;
        e->modify_index = result->modify_index;
        if (renew_epoch(e, result->modify_index)) {
            if (e->state != ELECTION_QUIESCING)
                write_value(s);
            break;
        }
        e->written = true;
        e->holder.epoch = e->epoch;
        break;
    case ELECTION_BEHIND:
        /* KV has seen a higher epoch than this instance ever did. */
        if (result->kv_epoch >= e->epoch_seen)
            e->epoch_seen = result->kv_epoch;
        e->epoch = ++e->epoch_seen;
        if (e->state != ELECTION_QUIESCING)
            write_value(s);
        break;
    case ELECTION_CONFLICT: /* probably the lock is not ours any more */
        confirm_now(s);
        e->write_at = s->now + e->config.lease / 4;
        break;
    case ELECTION_UNKNOWN:
        e->write_at = s->now + e->config.lease / 4;
        break;
    }
    open_if_due(s);
}

void election_rewrite(struct election *e, nstime now)
{
    if (e->state == ELECTION_PRIMARY && e->write_at > now)
        e->write_at = now;
}
