/* The Consul agent on each instance's host: the TTL check and its way into the catalog, the host's own
 * health, and what the servers do from time to time. */
#include "sim.h"

/* The end of every session that hangs on this check or host. */
static void end_sessions(struct world *w, unsigned node)
{
    for (size_t n = 0; n < SESSIONS; n++)
        if (w->consul.state.sessions[n].id != 0 && w->consul.state.sessions[n].node == node)
            consul_invalidate(w, w->consul.state.sessions[n].id);
}

static nstime reachable_from(const struct world *w, unsigned i)
{
    const struct agent *agent = &w->consul.agent[i];
    nstime at = agent->back > agent->cut ? agent->back : agent->cut;
    return at > agent->deaf ? at : agent->deaf;
}

void agent_sync(struct world *w, unsigned i)
{
    struct agent *agent = &w->consul.agent[i];
    struct state *state = &w->consul.state;
    nstime later = agent->back > agent->cut ? agent->back : agent->cut;
    later = later > w->consul.no_leader ? later : w->consul.no_leader;
    if (w->now < later) {
        post(w, MESSAGE_SYNC, i, later + within(w, 0, 100 * MS));
        return;
    }
    bool passing = agent->registered && agent->passing;
    if (!passing && state->passing[i]) {
        trace(w, (int)i, "its check turns critical");
        end_sessions(w, i);
    }
    state->passing[i] = passing;
}

static void sync_soon(struct world *w, unsigned i)
{
    post(w, MESSAGE_SYNC, i, w->now + within(w, MS / 2, 5 * MS));
}

/* The service with its check, which begins as passing. */
void agent_register(struct world *w, unsigned i)
{
    w->consul.agent[i].registered = true;
    agent_beat(w, i);
    sync_soon(w, i); /* whatever the catalog says of it meanwhile */
}

void agent_beat(struct world *w, unsigned i)
{
    struct agent *agent = &w->consul.agent[i];
    if (!agent->registered || w->now < agent->back)
        return;
    agent->ttl = w->in[i].check_ttl;
    bool begins = !agent->passing;
    agent->expires = w->now + agent->ttl;
    agent->passing = true;
    if (begins) {
        sync_soon(w, i);
        post(w, MESSAGE_LAPSE, i, agent->expires);
    }
}

void agent_lapse(struct world *w, unsigned i)
{
    struct agent *agent = &w->consul.agent[i];
    if (!agent->passing)
        return;
    if (w->now < agent->expires) {
        post(w, MESSAGE_LAPSE, i, agent->expires);
        return;
    }
    agent->passing = false;
    sync_soon(w, i);
}

void agent_serf(struct world *w, unsigned i)
{
    struct agent *agent = &w->consul.agent[i];
    struct state *state = &w->consul.state;
    nstime back = reachable_from(w, i);
    if (w->now < w->consul.no_leader) { /* nobody there to declare anything */
        post(w, MESSAGE_SERF, i, w->consul.no_leader + within(w, 0, S));
        return;
    }
    if (w->now >= back) {
        agent->unreachable = NS_NEVER;
        if (!state->alive[i])
            trace(w, (int)i, "its host is back");
        state->alive[i] = true;
        return;
    }
    if (agent->unreachable != NS_NEVER && w->now - agent->unreachable >= 4 * S && state->alive[i]) {
        trace(w, (int)i, "its host is declared dead");
        state->alive[i] = false;
        end_sessions(w, i);
    }
    post(w, MESSAGE_SERF, i, back + within(w, 100 * MS, S));
}

void agent_reachable(struct world *w, unsigned i)
{
    struct agent *agent = &w->consul.agent[i];
    if (w->now >= reachable_from(w, i) || agent->unreachable != NS_NEVER)
        return;
    agent->unreachable = w->now;
    post(w, MESSAGE_SERF, i, w->now + within(w, 4500 * MS, 6500 * MS));
}

void agent_tick(struct world *w)
{
    struct consul *c = &w->consul;
    bool led = w->now >= c->no_leader;
    if (led)
        c->raft += rng_below(&w->rng, 3); /* others use Consul too */
    for (size_t n = 0; led && n < SESSIONS; n++)
        if (c->state.sessions[n].id != 0 && w->now >= c->state.sessions[n].expires)
            consul_invalidate(w, c->state.sessions[n].id);
    for (unsigned i = 0; i < w->schedule->instances; i++)
        if (w->now >= c->agent[i].resync) {
            c->agent[i].resync = w->now + within(w, 55 * S, 65 * S);
            agent_sync(w, i);
        }
    post(w, MESSAGE_TICK, 0, w->now + 250 * MS);
}
