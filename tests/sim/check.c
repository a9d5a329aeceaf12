/* What must always hold. */
#include "sim.h"

/* `in` has just stepped; its deadline was old_deadline before. A right begins or grows only in a step, so
 * looking at every step of everybody, in true time, misses no overlap. */
void check_step(struct world *w, unsigned i, nstime old_deadline)
{
    struct instance *in = &w->in[i];
    nstime local = local_time(w, i, w->now);
    bool acts = gate_may_act(&in->gate, local);
    if (!acts && local < old_deadline) {
        /* Closed. What was begun goes on until the runner ends it, at the old deadline at the latest. */
        nstime deadline = true_time(w, i, old_deadline);
        in->effect_until = in->effect_end < deadline ? in->effect_end : deadline;
    }
    check_refusing(w, i);
    if (!acts)
        return;
    for (unsigned j = 0; j < w->schedule->instances; j++) {
        struct instance *other = &w->in[j];
        if (j == i)
            continue;
        if (gate_may_act(&other->gate, local_time(w, j, w->now)))
            fail(w, "%s and %s act at once", in->name, other->name);
        else if (w->now < other->effect_until)
            fail(w, "%s acts while an effect of %s goes on", in->name, other->name);
        else if (gate_verdict(&in->gate, local) == GATE_ANSWER &&
                 gate_verdict(&other->gate, local_time(w, j, w->now)) == GATE_ANSWER)
            fail(w, "strict: %s and %s answer at once", in->name, other->name);
    }
}

void check_promoted(struct world *w, unsigned i, uint64_t epoch)
{
    bool resumed = w->highest_by == i && w->highest_life == w->in[i].life && epoch == w->highest_epoch;
    if (epoch <= w->highest_epoch && !resumed)
        fail(w, "%s is promoted in epoch %llu after epoch %llu", w->in[i].name, (unsigned long long)epoch,
             (unsigned long long)w->highest_epoch);
    w->highest_epoch = epoch;
    w->highest_by = i;
    w->highest_life = w->in[i].life;
}

void check_commit(struct world *w, unsigned i, const struct request *request)
{
    if (w->consul.state.leader.session != request->session)
        fail(w, "Consul accepts a write of %s, which does not hold the lock", w->in[i].name);
    else if (request->commit_epoch < w->consul.state.head.epoch)
        fail(w, "Consul accepts a write of epoch %llu after one of epoch %llu",
             (unsigned long long)request->commit_epoch, (unsigned long long)w->consul.state.head.epoch);
}

/* `refuse`: only on a consistent read that showed another holder, and for a lease from its start. */
void check_refusing(struct world *w, unsigned i)
{
    struct instance *in = &w->in[i];
    nstime until = atomic_load_explicit(&in->gate.refuse_until, memory_order_relaxed);
    nstime local = local_time(w, i, w->now);
    if (until > local + in->lease)
        fail(w, "%s refuses for longer than a lease", in->name);
    if (gate_may_act(&in->gate, local) && in->e.epoch == 0)
        fail(w, "%s acts without an epoch", in->name);
}

/* How long after the last fault the first instance must act at the latest. A session that a restored snapshot
 * brought back, and that nobody renews, goes 20 s later; an instance that lost its session needs up to 3 s to
 * find out, 4 s to register and make a new one when its check has to come back, 2 s between attempts. Then
 * the wait-out, at worst after an attempt whose answer was lost (a lease), two leases of standing back after
 * resigning, and jitter. */
nstime recovery_bound(const struct schedule *schedule)
{
    nstime longest = 0;
    for (unsigned i = 0; i < schedule->instances; i++)
        longest = schedule->instance[i].lease > longest ? schedule->instance[i].lease : longest;
    for (unsigned n = 0; n < schedule->faults; n++) {
        const struct fault *fault = &schedule->fault[n];
        if (fault->kind == FAULT_KILL && fault->amount * MS > longest)
            longest = fault->amount * MS;
    }
    return 30 * S + schedule->lock_delay + 5 * longest;
}

/* After `quiet`: one instance acts, and goes on for two leases and a second. */
bool check_recovery(struct world *w)
{
    const struct schedule *schedule = w->schedule;
    if (w->now < schedule->quiet)
        return false;
    nstime lease = 0;
    for (unsigned i = 0; i < schedule->instances; i++)
        if (gate_may_act(&w->in[i].gate, local_time(w, i, w->now)))
            lease = w->in[i].lease;
    if (lease == 0) {
        w->standing_since = NS_NEVER;
        if (w->now > schedule->quiet + recovery_bound(schedule))
            fail(w, "all is well since %.1f s, and nobody acts", (double)(w->now - schedule->quiet) / 1e9);
        return false;
    }
    if (w->standing_since == NS_NEVER)
        w->standing_since = w->now;
    for (unsigned i = 0; i < schedule->instances; i++)
        if (w->in[i].handing_over) {
            if (w->now > schedule->quiet + recovery_bound(schedule))
                fail(w, "a hand-over of %s does not end", w->in[i].name);
            return false;
        }
    if (w->now - w->standing_since < 2 * lease + S)
        return false;
    nstime took = w->standing_since - schedule->quiet;
    if (took > w->counts->longest_recovery)
        w->counts->longest_recovery = took;
    return true;
}
