/* The model of Consul's servers: one linearizable state, raft indexes, sessions, transactions, blocking
 * queries, lock-delay with its hole, leader changes. notes: what is measured of Consul 1.8.7 is said in the
 * README beside this file. */
#include "sim.h"

#include <string.h>

#define RETRY        (437 * MS) /* agents ask again within a sixteenth of 7 s */
#define SESSION_LIFE (20 * S)   /* Consul ends a TTL session after twice its TTL */

void consul_begin(struct world *w)
{
    struct consul *c = &w->consul;
    c->raft = 10 + (uint64_t)within(w, 0, 1000);
    c->version = 1;
    for (unsigned i = 0; i < INSTANCES; i++) {
        c->state.alive[i] = true;
        c->agent[i].unreachable = NS_NEVER;
        c->agent[i].resync = within(w, 0, 60 * S);
    }
}

/* ---- sessions ---- */

static struct session *find_session(const struct world *w, session_id id)
{
    const struct state *state = &w->consul.state;
    for (size_t i = 0; id != 0 && i < SESSIONS; i++)
        if (state->sessions[i].id == id)
            return (struct session *)&state->sessions[i];
    return NULL;
}

bool consul_session_lives(const struct world *w, session_id session)
{
    return find_session(w, session) != NULL;
}

static session_id create_session(struct world *w, unsigned node)
{
    struct state *state = &w->consul.state;
    if (!state->alive[node] || !state->passing[node])
        return 0;
    for (size_t i = 0; i < SESSIONS; i++)
        if (state->sessions[i].id == 0) {
            state->sessions[i] = (struct session){
                .id = ++w->consul.last_session, .node = node, .expires = w->now + SESSION_LIFE};
            return w->consul.last_session;
        }
    return 0; /* as if Consul failed; only retries through a long outage get here */
}

void consul_invalidate(struct world *w, session_id id)
{
    struct consul *c = &w->consul;
    struct session *session = find_session(w, id);
    if (session == NULL)
        return;
    trace(w, (int)session->node, "Consul ends session s%u", id);
    session->id = 0;
    c->raft++;
    for (unsigned i = 0; i < INSTANCES; i++)
        if (c->state.member[i] == id)
            c->state.member[i] = 0;
    if (c->state.leader.session != id)
        return;
    c->state.leader.session = 0;
    c->state.leader.modify = c->raft;
    /* In the leader's memory, from the moment it applies the end: not in the state that raft agrees on. */
    c->lock_delay_until = w->now + w->schedule->lock_delay;
    consul_touch_leader(w);
}

/* ---- replies ---- */

static struct reply *answer(struct world *w, const struct request *request, unsigned i, enum status status)
{
    static _Thread_local struct reply nobody;
    struct agent *agent = &w->consul.agent[i];
    nstime at = w->now + latency(w, i);
    if (at < w->in[i].frozen_until) /* TCP sends it again until the host is awake */
        at = w->in[i].frozen_until + latency(w, i);
    if (request->mute || lost(w, i) || at < agent->deaf || at < agent->cut || at < agent->back)
        return memset(&nobody, 0, sizeof nobody);
    struct message *m = post(w, MESSAGE_REPLY, i, at);
    m->life = request->life;
    m->request = *request;
    memset(&m->reply, 0, sizeof m->reply);
    m->reply.status = status;
    return &m->reply;
}

static void show_leader(const struct world *w, struct reply *reply)
{
    const struct state *state = &w->consul.state;
    reply->version = w->consul.version;
    reply->exists = state->leader.exists;
    if (!state->leader.exists)
        return;
    reply->session = state->leader.session;
    reply->create = state->leader.create;
    reply->modify = state->leader.modify;
    reply->value = state->leader.value;
}

/* ---- blocking queries ---- */

static void unblock(struct world *w, unsigned i)
{
    struct consul *c = &w->consul;
    c->blocked[i].id = 0;
    show_leader(w, answer(w, &c->blocked[i].request, i, STATUS_OK));
}

void consul_touch_leader(struct world *w)
{
    w->consul.version++;
    for (unsigned i = 0; i < w->schedule->instances; i++)
        if (w->consul.blocked[i].id != 0)
            unblock(w, i);
}

void consul_wake(struct world *w, struct message *m)
{
    struct consul *c = &w->consul;
    if (c->blocked[m->instance].id != m->id)
        return;
    if (w->now < c->no_leader) { /* `consistent` asks the others again before it answers */
        c->blocked[m->instance].id = 0;
        answer(w, &c->blocked[m->instance].request, m->instance, STATUS_FAILED);
        return;
    }
    unblock(w, m->instance);
}

static void block(struct world *w, const struct request *request, unsigned i)
{
    struct consul *c = &w->consul;
    c->blocked[i].id = ++c->last_blocked;
    c->blocked[i].request = *request;
    nstime wait = w->in[i].lease / 4; /* and up to a sixteenth, as Consul adds */
    post(w, MESSAGE_WAKE, i, w->now + within(w, wait, wait + wait / 16))->id = c->last_blocked;
}

/* ---- reads ---- */

static bool reads(enum request_kind kind)
{
    return kind == REQUEST_CONFIRM || kind == REQUEST_FOLLOW || kind == REQUEST_EPOCH ||
           kind == REQUEST_HEAD || kind == REQUEST_OLD;
}

static void read(struct world *w, const struct request *request, unsigned i)
{
    struct state *state = &w->consul.state;
    if (request->kind == REQUEST_FOLLOW && request->seen_version == w->consul.version) {
        block(w, request, i);
        return;
    }
    struct reply *reply = answer(w, request, i, STATUS_OK);
    switch (request->kind) {
    case REQUEST_EPOCH:
        reply->exists = state->epoch.exists;
        reply->number = state->epoch.exists ? state->epoch.value : 0;
        break;
    case REQUEST_HEAD:
        reply->modify = state->head.modify;
        break;
    case REQUEST_OLD:
        reply->session = find_session(w, state->member[i]) != NULL ? state->member[i] : 0;
        break;
    default:
        show_leader(w, reply);
        break;
    }
}

/* ---- transactions: whether they pass, and what they do ---- */

static bool at_index(const struct world *w, const struct request *request)
{
    const struct state *state = &w->consul.state;
    if (w->mutation == MUTATION_NO_CHECK_INDEX)
        return true;
    return request->order.index == 0 ? !state->leader.exists
                                     : state->leader.exists && state->leader.modify == request->order.index;
}

static bool checks_session(const struct world *w, const struct request *request)
{
    return w->mutation == MUTATION_NO_CHECK_SESSION || w->consul.state.leader.session == request->session;
}

/* The verb `lock`: takes the lock or keeps it, and always replaces the value. */
static bool may_lock(struct world *w, session_id session, bool delayed)
{
    const struct state *state = &w->consul.state;
    if (find_session(w, session) == NULL)
        return false;
    if (state->leader.session == session)
        return true;
    if (state->leader.session != 0)
        return false;
    w->counts->refused_lock_delay += delayed;
    return !delayed;
}

static void put_value(struct world *w, const struct request *request, unsigned i, uint64_t epoch)
{
    struct consul *c = &w->consul;
    c->raft++;
    if (!c->state.leader.exists)
        c->state.leader.create = c->raft;
    c->state.leader.exists = true;
    c->state.leader.modify = c->raft;
    memset(&c->state.leader.value, 0, sizeof c->state.leader.value);
    c->state.leader.value.readable = true;
    c->state.leader.value.epoch = epoch;
    c->state.leader.value.lease = request->order.lease;
    memcpy(c->state.leader.value.instance, w->in[i].name, ELECTION_ID_SIZE);
}

static bool acquire(struct world *w, const struct request *request, unsigned i)
{
    /* Queued before the old session ended, the lock-delay does not stop it: fact 1. The index does. */
    w->counts->skipped_lock_delay += !request->delayed && w->now < w->consul.lock_delay_until;
    if (!at_index(w, request) || !may_lock(w, request->session, request->delayed))
        return false;
    put_value(w, request, i, 0);
    w->consul.state.leader.session = request->session;
    return true;
}

static bool write_value(struct world *w, const struct request *request, unsigned i)
{
    if (!at_index(w, request) || !checks_session(w, request) ||
        !may_lock(w, request->session, request->delayed))
        return false;
    put_value(w, request, i, request->order.epoch);
    w->consul.state.leader.session = request->session;
    w->consul.state.epoch.exists = true;
    w->consul.state.epoch.value = request->order.epoch;
    return true;
}

static bool release(struct world *w, const struct request *request, unsigned i)
{
    struct state *state = &w->consul.state;
    /* `unlock` has its own look at the session, whatever the checks before it. */
    if (!at_index(w, request) || state->leader.session != request->session ||
        (request->target != 0 && find_session(w, request->target) == NULL))
        return false;
    put_value(w, request, request->target != 0 ? request->target_instance : i, 0);
    state->leader.session = request->target;
    if (request->order.marker) {
        state->leader.value.marker = true;
        state->leader.value.marker_epoch = request->order.epoch;
        session_text(request->session, state->leader.value.marker_session);
    }
    return true;
}

static bool commit(struct world *w, const struct request *request, unsigned i)
{
    struct consul *c = &w->consul;
    if (c->state.head.modify != request->index || !checks_session(w, request)) {
        w->counts->fenced += c->state.leader.session != request->session;
        return false;
    }
    check_commit(w, i, request);
    c->state.head.modify = ++c->raft;
    c->state.head.epoch = request->commit_epoch;
    w->counts->commits++;
    return true;
}

void consul_apply(struct world *w, struct message *m)
{
    struct consul *c = &w->consul;
    struct request *request = &m->request;
    unsigned i = m->instance;
    if (w->now < c->no_leader) {
        /* The entry was appended, and its fate is the next leader's: nobody is told. */
        if (chance(w, 500)) {
            struct message *later = post(w, MESSAGE_APPLY, i, c->no_leader + within(w, 0, RETRY));
            later->request = *request;
            later->request.mute = true;
            later->life = m->life;
        }
        return;
    }
    session_id created = 0;
    bool done = true;
    switch (request->kind) {
    case REQUEST_ACQUIRE:
        done = acquire(w, request, i);
        w->counts->late_acquires += !done && w->now - request->sent > w->in[i].lease;
        break;
    case REQUEST_WRITE:
        done = write_value(w, request, i);
        break;
    case REQUEST_RELEASE:
        done = release(w, request, i);
        break;
    case REQUEST_COMMIT:
        done = commit(w, request, i);
        break;
    case REQUEST_CREATE:
        created = create_session(w, i);
        done = created != 0;
        if (done) {
            c->raft++;
            c->state.member[i] = created;
        }
        break;
    default:
        consul_invalidate(w, request->target);
        break;
    }
    bool leader = request->kind == REQUEST_ACQUIRE || request->kind == REQUEST_WRITE ||
                  request->kind == REQUEST_RELEASE;
    if (leader)
        trace(w, (int)i, "Consul %s its %s, made at index %llu; the key is at %llu, held by s%u",
              done ? "applies" : "refuses", request_names[request->kind],
              (unsigned long long)request->order.index, (unsigned long long)c->state.leader.modify,
              c->state.leader.session);
    w->counts->conflicts += leader && !done;
    enum status refused = request->kind == REQUEST_CREATE ? STATUS_FAILED : STATUS_CONFLICT;
    struct reply *reply = answer(w, request, i, done ? STATUS_OK : refused);
    if (leader)
        show_leader(w, reply);
    if (request->kind == REQUEST_COMMIT)
        reply->modify = c->state.head.modify;
    if (created != 0)
        reply->session = created;
    if (leader && done)
        consul_touch_leader(w);
}

void consul_arrive(struct world *w, struct message *m)
{
    struct consul *c = &w->consul;
    struct request *request = &m->request;
    unsigned i = m->instance;
    w->counts->requests[request->kind]++;
    if (request->kind == REQUEST_REGISTER) { /* the agent's own affair */
        agent_register(w, i);
        answer(w, request, i, STATUS_OK);
        return;
    }
    if (w->now < c->no_leader) {
        /* The agent waits up to 7 s for a leader; then it is an error of 500. A write may be under way all
         * the same: an old leader has it, and hands it on. */
        bool fails = c->no_leader - w->now > 7 * S || chance(w, 600);
        bool waits = !fails || (!reads(request->kind) && request->kind != REQUEST_RENEW && chance(w, 500));
        if (waits) {
            struct message *later = post(w, MESSAGE_ARRIVE, i, c->no_leader + within(w, 0, RETRY));
            later->request = *request;
            later->request.mute = request->mute || fails;
            later->life = m->life;
        }
        if (fails)
            answer(w, request, i, STATUS_FAILED);
        return;
    }
    if (reads(request->kind)) {
        read(w, request, i);
        return;
    }
    if (request->kind == REQUEST_RENEW) { /* the leader's timer alone: no raft entry */
        struct session *session = find_session(w, request->session);
        if (session != NULL)
            session->expires = w->now + SESSION_LIFE;
        answer(w, request, i, session != NULL ? STATUS_OK : STATUS_CONFLICT);
        return;
    }
    request->delayed = w->now < c->lock_delay_until;
    struct message *entry =
        post(w, MESSAGE_APPLY, i, w->now + within(w, MS / 5, chance(w, 5) ? 400 * MS : 3 * MS));
    entry->request = *request;
    entry->life = m->life;
}
