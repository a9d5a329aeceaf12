/* What the schedule's faults do to the world. */
#include "sim.h"

#include <string.h>

const char *const fault_names[FAULT_KINDS] = {
    "kill",   "stop",     "suspend", "clock-step", "unready", "slow-quiesce", "handover", "resign",   "abort",
    "pause",  "cut",      "deaf",    "slow",       "lossy",   "hold",         "lose",     "agent",    "leave",
    "leader", "snapshot", "restore", "delete",     "put",     "release",      "destroy",  "recreate", "epoch",
};

#define FIRED FAULTS /* added to the number of one whose trigger came */

void faults_begin(struct world *w)
{
    for (unsigned n = 0; n < w->schedule->faults; n++)
        if (!w->schedule->fault[n].off)
            post(w, MESSAGE_FAULT, 0, w->schedule->fault[n].at)->id = n;
}

/* A request leaves: whose trigger is it? */
void faults_sent(struct world *w, unsigned i, enum request_kind kind)
{
    for (unsigned a = 0; a < w->armed_count; a++) {
        const struct fault *fault = &w->schedule->fault[w->armed[a]];
        nstime at = w->now + fault->delay;
        if (fault->trigger != kind || at >= w->schedule->quiet ||
            (fault->subject == SUBJECT_FIXED && fault->instance != i))
            continue;
        post(w, MESSAGE_FAULT, i, at)->id = w->armed[a] + FIRED;
        w->armed[a--] = w->armed[--w->armed_count];
    }
}

static nstime later(nstime a, nstime b)
{
    return a > b ? a : b;
}

/* Requests of `i` on their way to Consul: they arrive later, or their answers get lost. kind NONE: any. */
static void catch_requests(struct world *w, unsigned i, enum request_kind kind, unsigned per_thousand,
                           nstime most, bool exactly, bool mute)
{
    for (unsigned n = 0; n < w->heap_count; n++) {
        struct message *m = &w->pool[w->heap[n]];
        if (m->kind != MESSAGE_ARRIVE || m->instance != i || m->request.life != w->in[i].life ||
            (kind != REQUEST_NONE && m->request.kind != kind) || !chance(w, per_thousand))
            continue;
        if (mute) {
            m->request.mute = true;
            continue;
        }
        nstime at = m->at + (exactly ? most : within(w, 0, most));
        if (at < w->schedule->quiet && m->id == 0) {
            m->id = 1; /* once is enough; and moving it may show it to this loop again */
            message_defer(w, n, at);
            n = (unsigned)-1;
        }
    }
}

static void suspend(struct world *w, unsigned i, nstime end)
{
    struct instance *in = &w->in[i];
    struct agent *agent = &w->consul.agent[i];
    if (w->now >= in->frozen_until) {
        in->frozen += in->frozen_until - in->frozen_since;
        in->frozen_since = w->now;
        in->frozen_until = end;
    } else {
        in->frozen_until = later(in->frozen_until, end);
    }
    in->stopped_until = later(in->stopped_until, end);
    agent->expires += end - w->now;
    agent->back = later(agent->back, end);
}

static unsigned pick(const struct world *w, const struct fault *fault, int sender)
{
    const struct state *state = &w->consul.state;
    if (fault->subject == SUBJECT_SENDER && sender >= 0)
        return (unsigned)sender;
    if (fault->subject == SUBJECT_HOLDER && state->leader.session != 0)
        for (size_t n = 0; n < SESSIONS; n++)
            if (state->sessions[n].id == state->leader.session)
                return state->sessions[n].node;
    return fault->instance;
}

static void tell(struct world *w, unsigned i, enum election_event_kind kind, const struct fault *fault)
{
    struct message *m = post(w, MESSAGE_EVENT, i, w->now + within(w, 0, 3 * MS));
    m->event = (struct election_event){.kind = kind};
    m->id = fault->other;
    if (fault->other != i && fault->amount == 0)
        session_text(w->consul.state.member[fault->other], m->event.session);
}

static void leader_changes(struct world *w, nstime end)
{
    struct consul *c = &w->consul;
    c->no_leader = later(c->no_leader, end);
    for (size_t n = 0; n < SESSIONS; n++) /* a new leader starts all TTLs anew */
        c->state.sessions[n].expires = c->no_leader + 20 * S;
}

static void restore(struct world *w)
{
    struct consul *c = &w->consul;
    if (!c->has_saved)
        return;
    c->state = c->saved;
    c->raft++;
    c->lock_delay_until = 0;
    leader_changes(w, w->now + within(w, 0, 500 * MS));
    for (unsigned i = 0; i < w->schedule->instances; i++) /* the leader looks at all hosts again */
        post(w, MESSAGE_SERF, i, c->no_leader + within(w, 0, 2 * S));
    consul_touch_leader(w);
}

static void tamper(struct world *w, const struct fault *fault)
{
    struct consul *c = &w->consul;
    struct state *state = &c->state;
    struct election_value value = state->leader.value;
    switch (fault->kind) {
    case FAULT_DELETE:
        memset(&state->leader, 0, sizeof state->leader);
        break;
    case FAULT_PUT:
        memset(&state->leader.value, 0, sizeof state->leader.value);
        break;
    case FAULT_RELEASE: /* without the session's own lock-delay: that is only for sessions that end */
        state->leader.session = 0;
        break;
    case FAULT_RECREATE:
        memset(&state->leader, 0, sizeof state->leader);
        state->leader.value = value;
        break;
    case FAULT_DESTROY:
        consul_invalidate(w, state->leader.session);
        return;
    default:
        state->epoch.exists = fault->amount != 0;
        state->epoch.value += (uint64_t)fault->amount;
        if (state->epoch.value > UINT64_MAX / 2)
            state->epoch.value = 0;
        c->raft++;
        return;
    }
    c->raft++;
    if (fault->kind == FAULT_PUT || fault->kind == FAULT_RECREATE) {
        if (!state->leader.exists)
            state->leader.create = c->raft;
        state->leader.exists = true;
    }
    state->leader.modify = state->leader.exists ? c->raft : 0;
    consul_touch_leader(w);
}

static void apply(struct world *w, const struct fault *fault, unsigned i)
{
    struct instance *in = &w->in[i];
    struct agent *agent = &w->consul.agent[i];
    nstime end = w->now + fault->duration;
    if (end > w->schedule->quiet)
        end = w->schedule->quiet;
    switch (fault->kind) {
    case FAULT_KILL:
        shell_end(w, i);
        in->lease = fault->amount != 0 ? fault->amount * MS : in->lease;
        post(w, MESSAGE_START, i, end);
        break;
    case FAULT_STOP:
        in->stopped_until = later(in->stopped_until, end);
        catch_requests(w, i, REQUEST_NONE, 500, end - w->now, false, false);
        break;
    case FAULT_SUSPEND:
        suspend(w, i, end);
        catch_requests(w, i, REQUEST_NONE, 500, end - w->now, false, false);
        agent_reachable(w, i);
        break;
    case FAULT_CLOCK:
        in->real_step += fault->amount * MS;
        break;
    case FAULT_UNREADY:
        in->unready_until = later(in->unready_until, end);
        break;
    case FAULT_SLOW_QUIESCE:
        in->slow_quiesce = later(in->slow_quiesce, end);
        break;
    case FAULT_HANDOVER:
        tell(w, i, ELECTION_HANDOVER, fault);
        break;
    case FAULT_RESIGN:
        in->restart_at = end;
        tell(w, i, ELECTION_STOP, fault);
        break;
    case FAULT_ABORT:
        in->restart_at = end;
        tell(w, i, ELECTION_ABORT, fault);
        break;
    case FAULT_PAUSE:
        w->operator_pause = later(w->operator_pause, end);
        for (unsigned j = 0; j < w->schedule->instances; j++) {
            tell(w, j, ELECTION_PAUSE, fault);
            post(w, MESSAGE_EVENT, j, end)->event = (struct election_event){.kind = ELECTION_PAUSE};
        }
        break;
    case FAULT_CUT:
        agent->cut = later(agent->cut, end);
        agent_reachable(w, i);
        break;
    case FAULT_DEAF:
        agent->deaf = later(agent->deaf, end);
        agent_reachable(w, i);
        break;
    case FAULT_SLOW:
        w->slow_until[i] = end;
        w->slow_ms[i] = fault->amount;
        break;
    case FAULT_LOSSY:
        w->lossy_until[i] = end;
        break;
    case FAULT_HOLD:
        catch_requests(w, i, fault->trigger, 1000, end - w->now, true, false);
        break;
    case FAULT_LOSE:
        catch_requests(w, i, fault->trigger, 1000, 0, true, true);
        break;
    case FAULT_LEAVE:
        w->consul.state.alive[i] = false;
        for (size_t n = 0; n < SESSIONS; n++)
            if (w->consul.state.sessions[n].node == i)
                consul_invalidate(w, w->consul.state.sessions[n].id);
        /* fall through */
    case FAULT_AGENT:
        agent->back = later(agent->back, end);
        agent->passing = false;
        post(w, MESSAGE_SYNC, i, agent->back + within(w, 100 * MS, 600 * MS));
        post(w, MESSAGE_SERF, i, agent->back + within(w, 100 * MS, S));
        agent_reachable(w, i);
        break;
    case FAULT_LEADER:
        leader_changes(w, end);
        break;
    case FAULT_SNAPSHOT:
        w->consul.saved = w->consul.state;
        w->consul.has_saved = true;
        break;
    case FAULT_RESTORE:
        restore(w);
        break;
    default:
        tamper(w, fault);
        break;
    }
}

void fault_due(struct world *w, unsigned number, int sender)
{
    bool fired = number >= FIRED;
    unsigned n = fired ? number - FIRED : number;
    const struct fault *fault = &w->schedule->fault[n];
    if (fault->trigger != REQUEST_NONE && !fired) {
        w->armed[w->armed_count++] = n;
        return;
    }
    unsigned i = pick(w, fault, fired ? sender : -1);
    w->counts->faults[fault->kind]++;
    trace(w, (int)i, "FAULT %s%s%s for %lld ms (%d)", fault_names[fault->kind],
          fault->trigger != REQUEST_NONE ? " at its " : "",
          fault->trigger != REQUEST_NONE ? request_names[fault->trigger] : "",
          (long long)(fault->duration / MS), fault->amount);
    apply(w, fault, i);
}
