/* What src/role does around the election, on the model: orders become requests, answers become events, the
 * gate is kept. It follows role/lock.c, handover.c, leaving.c and the hooks of lictord step by step; where
 * those change, this must. */
#include "sim.h"

#include <assert.h>
#include <string.h>

#define BEAT (125 * MS)

static void step(struct world *w, unsigned i, struct election_event *event);

static void simple(struct world *w, unsigned i, enum election_event_kind kind, bool flag)
{
    struct election_event event = {.kind = kind, .flag = flag};
    step(w, i, &event);
}

/* ---- requests ---- */

static struct call *new_call(struct instance *in, enum request_kind kind, nstime started)
{
    for (size_t n = 0; n < CALLS; n++)
        if (in->calls[n].id == 0) {
            in->calls[n] = (struct call){.id = ++in->last_call, .kind = kind, .started = started};
            return &in->calls[n];
        }
    assert(!"the table of calls is full");
    return NULL;
}

/* The caller fills in the rest of the request before anything else happens. */
struct request *shell_send(struct world *w, unsigned i, enum request_kind kind, nstime timeout)
{
    static _Thread_local struct request nowhere;
    struct instance *in = &w->in[i];
    struct agent *agent = &w->consul.agent[i];
    nstime started = local_time(w, i, w->now);
    struct call *call = new_call(in, kind, started);
    struct request request = {.kind = kind,
                              .call = (unsigned)(call - in->calls),
                              .id = call->id,
                              .life = in->life,
                              .session = in->session,
                              .sent = w->now};
    struct message *end = post(w, MESSAGE_TIMEOUT, i, true_time(w, i, started + timeout) + within(w, 0, MS));
    end->request.call = request.call;
    end->request.id = request.id;
    faults_sent(w, i, kind);
    if (w->now < agent->back) { /* connection refused */
        struct message *refused = post(w, MESSAGE_REPLY, i, w->now + within(w, MS / 10, MS));
        refused->request = request;
        refused->reply = (struct reply){.status = STATUS_FAILED};
        return &refused->request;
    }
    if (w->now < agent->cut || lost(w, i))
        return memset(&nowhere, 0, sizeof nowhere);
    struct message *m = post(w, MESSAGE_ARRIVE, i, w->now + latency(w, i));
    m->request = request;
    return &m->request;
}

static void send_order(struct world *w, unsigned i, enum request_kind kind,
                       const struct election_order *order)
{
    struct request *request = shell_send(w, i, kind, order->timeout);
    request->order = *order;
    for (size_t n = 0; n < CALLS; n++)
        if (w->in[i].calls[n].id == w->in[i].last_call)
            w->in[i].calls[n].order = *order;
    if (kind != REQUEST_RELEASE)
        return;
    request->target = session_number(order->session);
    request->target_instance = w->in[i].target;
}

/* ---- orders ---- */

/* Workers pass a batch, the runner ends effects: some milliseconds, or what it takes to kill a program. */
static void quiesce(struct world *w, unsigned i)
{
    struct instance *in = &w->in[i];
    bool clean = true;
    nstime done = w->now + within(w, MS / 10, chance(w, 100) ? 200 * MS : 5 * MS);
    if (w->mutation == MUTATION_NO_QUIESCE) {
        done = w->now;
    } else if (w->now < in->slow_quiesce) {
        done = w->now + within(w, 100 * MS, 500 * MS);
        clean = chance(w, 300);
    }
    if (clean && w->mutation != MUTATION_NO_QUIESCE && in->effect_until > done)
        in->effect_until = done; /* ended or killed by then */
    struct message *m = post(w, MESSAGE_QUIESCED, i, done);
    m->event = (struct election_event){.kind = ELECTION_QUIESCED, .flag = clean};
}

/* After the end of STOP or ABORT: take back what Consul knows of us, and exit. */
static void leave(struct world *w, unsigned i)
{
    struct instance *in = &w->in[i];
    struct agent *agent = &w->consul.agent[i];
    in->stopping = true;
    if (in->session != 0)
        shell_send(w, i, REQUEST_DESTROY, S)->target = in->session;
    if (w->now >= agent->back) {
        agent->registered = false;
        post(w, MESSAGE_SYNC, i, w->now + within(w, MS, 5 * MS));
    }
    post(w, MESSAGE_AGAIN, i, w->now + within(w, 5 * MS, 100 * MS))->id = REQUEST_NONE;
}

static void carry_out(struct world *w, unsigned i, const struct election_order *order)
{
    struct instance *in = &w->in[i];
    const char *why = election_reason_text(order->reason);
    w->counts->reasons[order->reason]++;
    switch (order->kind) {
    case ELECTION_ACQUIRE:
        send_order(w, i, REQUEST_ACQUIRE, order);
        break;
    case ELECTION_CONFIRM:
        send_order(w, i, REQUEST_CONFIRM, order);
        break;
    case ELECTION_WRITE:
        if (!order->first) {
            send_order(w, i, REQUEST_WRITE, order);
            break;
        }
        in->writing = *order;
        send_order(w, i, REQUEST_EPOCH, order);
        break;
    case ELECTION_RELEASE:
        send_order(w, i, REQUEST_RELEASE, order);
        break;
    case ELECTION_QUIESCE:
        quiesce(w, i);
        break;
    case ELECTION_CHECK_SESSION:
        shell_again(w, i, REQUEST_RENEW);
        break;
    case ELECTION_PROMOTED:
        trace(w, (int)i, "PROMOTED in epoch %llu: %s", (unsigned long long)order->epoch, why);
        w->counts->promotions++;
        w->counts->spared += order->reason == ELECTION_WHY_MARKER;
        in->head_known = false;
        check_promoted(w, i, order->epoch);
        break;
    case ELECTION_DEMOTED:
        trace(w, (int)i, "DEMOTED: %s", why);
        break;
    case ELECTION_NOTE:
        trace(w, (int)i, "%s: %s", election_state_text(in->e.state), why);
        break;
    case ELECTION_GIVEN_UP:
        trace(w, (int)i, "the hand-over ends: %s", why);
        w->counts->handovers += order->reason == ELECTION_WHY_HANDED_OVER;
        in->handing_over = false;
        break;
    case ELECTION_ENDED:
        leave(w, i);
        break;
    }
}

/* As role.c does: closing writes act_until first, opening writes it last. */
static void set_gate(struct gate *gate, const struct election_output *out)
{
    if (out->act_until < atomic_load_explicit(&gate->act_until, memory_order_relaxed))
        atomic_store_explicit(&gate->act_until, out->act_until, memory_order_release);
    atomic_store_explicit(&gate->refuse_until, out->refuse_until, memory_order_release);
    atomic_store_explicit(&gate->ready_from, out->ready_from, memory_order_release);
    atomic_store_explicit(&gate->epoch, out->epoch, memory_order_release);
    atomic_store_explicit(&gate->act_until, out->act_until, memory_order_release);
}

/* One message at a time, unless the timer moves forward: a late one looks again. */
static void post_timer(struct world *w, unsigned i)
{
    struct instance *in = &w->in[i];
    in->timer_posted = in->timer;
    post(w, MESSAGE_TIMER, i, in->timer + within(w, 0, MS))->id = ++in->timer_id;
}

static void step(struct world *w, unsigned i, struct election_event *event)
{
    struct instance *in = &w->in[i];
    struct election_output out;
    nstime local = local_time(w, i, w->now);
    nstime deadline = atomic_load_explicit(&in->gate.act_until, memory_order_relaxed);
    uint64_t elections = in->e.counters.elections, tampered = in->e.counters.tampered;
    event->clock_offset = w->now + in->real_step - local;
    election_step(&in->e, event, local, &out);
    set_gate(&in->gate, &out);
    in->check_ttl = out.check_ttl;
    w->counts->elections += in->e.counters.elections - elections;
    w->counts->tampered += in->e.counters.tampered - tampered;
    check_step(w, i, deadline);
    in->timer = out.timer == NS_NEVER ? NS_NEVER : true_time(w, i, out.timer);
    if (in->timer < in->timer_posted)
        post_timer(w, i);
    for (size_t n = 0; n < out.count; n++)
        carry_out(w, i, &out.orders[n]);
}

/* ---- answers ---- */

static void read_came(struct world *w, unsigned i, const struct call *call, const struct reply *reply)
{
    struct election_event event = {.kind = ELECTION_READ_FAILED};
    event.read.confirm = call->kind == REQUEST_CONFIRM;
    event.read.started = call->started;
    event.read.finished = local_time(w, i, w->now);
    if (reply->status == STATUS_OK) {
        event.kind = ELECTION_READ;
        event.read.exists = reply->exists;
        event.read.create_index = reply->create;
        event.read.modify_index = reply->modify;
        event.read.value = reply->value;
        session_text(reply->session, event.read.session);
    }
    step(w, i, &event);
}

static void result_came(struct world *w, unsigned i, const struct call *call, const struct reply *reply)
{
    struct election_event event = {.kind = call->kind == REQUEST_ACQUIRE   ? ELECTION_ACQUIRED
                                           : call->kind == REQUEST_RELEASE ? ELECTION_RELEASED
                                                                           : ELECTION_WRITTEN};
    event.result.outcome = reply->status == STATUS_OK         ? ELECTION_DONE
                           : reply->status == STATUS_CONFLICT ? ELECTION_CONFLICT
                                                              : ELECTION_UNKNOWN;
    event.result.serial = call->order.serial;
    event.result.started = call->started;
    event.result.finished = local_time(w, i, w->now);
    event.result.create_index = reply->create;
    event.result.modify_index = reply->modify;
    step(w, i, &event);
}

static void epoch_came(struct world *w, unsigned i, const struct call *call, const struct reply *reply)
{
    struct instance *in = &w->in[i];
    if (reply->status != STATUS_OK) {
        result_came(w, i, call, reply);
        return;
    }
    if (in->writing.serial != call->order.serial)
        return;
    if (reply->number < in->writing.epoch) {
        send_order(w, i, REQUEST_WRITE, &in->writing);
        return;
    }
    struct election_event event = {.kind = ELECTION_WRITTEN};
    event.result.outcome = ELECTION_BEHIND;
    event.result.serial = call->order.serial;
    event.result.kv_epoch = reply->number;
    step(w, i, &event);
}

static void follow_came(struct world *w, unsigned i, const struct call *call, const struct reply *reply)
{
    struct instance *in = &w->in[i];
    bool ok = reply->status == STATUS_OK;
    if (ok)
        in->seen_version = reply->version;
    post(w, MESSAGE_AGAIN, i, w->now + (ok ? within(w, 0, MS) : within(w, in->lease / 8, in->lease / 2)))
        ->id = REQUEST_FOLLOW;
    read_came(w, i, call, reply);
}

static void renew_came(struct world *w, unsigned i, const struct reply *reply)
{
    struct instance *in = &w->in[i];
    in->renewing = false;
    if (in->session == 0)
        return;
    if (reply->status == STATUS_CONFLICT) {
        presence_session_lost(w, i);
        return;
    }
    bool ok = reply->status == STATUS_OK;
    post(w, MESSAGE_AGAIN, i, w->now + (ok ? within(w, 2200 * MS, 2500 * MS) : 500 * MS))->id = REQUEST_RENEW;
    if (ok)
        simple(w, i, ELECTION_SESSION_ALIVE, true);
}

void shell_reply(struct world *w, struct message *m, bool timed_out)
{
    static const struct reply silence = {.status = STATUS_FAILED};
    unsigned i = m->instance;
    struct instance *in = &w->in[i];
    struct call *place = &in->calls[m->request.call];
    if (place->id != m->request.id)
        return; /* given up, or answered already */
    struct call call = *place;
    place->id = 0;
    const struct reply *reply = timed_out ? &silence : &m->reply;
    w->counts->timeouts += timed_out;
    switch (call.kind) {
    case REQUEST_CONFIRM:
        read_came(w, i, &call, reply);
        break;
    case REQUEST_FOLLOW:
        follow_came(w, i, &call, reply);
        break;
    case REQUEST_ACQUIRE:
    case REQUEST_RELEASE:
    case REQUEST_WRITE:
        result_came(w, i, &call, reply);
        break;
    case REQUEST_EPOCH:
        epoch_came(w, i, &call, reply);
        break;
    case REQUEST_COMMIT:
    case REQUEST_HEAD:
        in->head_known = reply->status == STATUS_OK;
        in->head_index = reply->modify;
        break;
    case REQUEST_RENEW:
        renew_came(w, i, reply);
        break;
    default:
        presence_reply(w, i, call.kind, reply);
        break;
    }
}

/* ---- the process ---- */

void shell_start(struct world *w, unsigned i)
{
    struct instance *in = &w->in[i];
    if (in->running) {
        if (in->stopping)
            post(w, MESSAGE_START, i, w->now + 100 * MS);
        return;
    }
    in->life++;
    in->running = true;
    in->stopping = in->handing_over = in->renewing = in->head_known = in->ready = in->behind = false;
    in->session = in->old_session = 0;
    in->seen_version = 0;
    in->timer_posted = NS_NEVER;
    in->effect_end = 0;
    in->check_ttl = ELECTION_CHECK_TTL;
    memset(in->calls, 0, sizeof in->calls);
    struct election_config config = {.lease = in->lease,
                                     .candidate = w->schedule->instance[i].candidate,
                                     .priority = w->schedule->instance[i].priority,
                                     .epoch_seen = in->saved_epoch,
                                     .seed = rng_next(&w->rng)};
    memcpy(config.instance, in->name, sizeof config.instance);
    election_init(&in->e, &config, local_time(w, i, w->now));
    trace(w, (int)i, "starts, lease %lld ms, highest epoch known %llu", (long long)(in->lease / MS),
          (unsigned long long)in->saved_epoch);
    post(w, MESSAGE_BEAT, i, w->now + within(w, 0, BEAT));
    post(w, MESSAGE_AGAIN, i, w->now)->id = REQUEST_FOLLOW;
    post(w, MESSAGE_AGAIN, i, w->now)->id = REQUEST_OLD;
    post(w, MESSAGE_AGAIN, i, w->now + in->lease)->id = REQUEST_COMMIT;
    if (w->now < w->operator_pause) {
        post(w, MESSAGE_EVENT, i, w->operator_pause)->event = (struct election_event){.kind = ELECTION_PAUSE};
        simple(w, i, ELECTION_PAUSE, true);
    }
}

/* The runner sees the closed pipe and ends what it runs. */
void shell_end(struct world *w, unsigned i)
{
    struct instance *in = &w->in[i];
    if (!in->running)
        return;
    nstime deadline = true_time(w, i, atomic_load(&in->gate.act_until));
    atomic_store(&in->gate.act_until, 0);
    atomic_store(&in->gate.refuse_until, 0);
    if (in->effect_end > w->now && deadline > w->now)
        in->effect_until = in->effect_end < deadline ? in->effect_end : deadline;
    in->running = false;
    in->stopped_until = 0;
    in->life++;
}

void shell_timer(struct world *w, unsigned i)
{
    struct instance *in = &w->in[i];
    in->timer_posted = NS_NEVER;
    if (w->now >= in->timer)
        simple(w, i, ELECTION_TIMER, false);
    else if (in->timer != NS_NEVER)
        post_timer(w, i);
}

void shell_event(struct world *w, unsigned i, struct election_event *event, unsigned target)
{
    struct instance *in = &w->in[i];
    if (event->kind == ELECTION_HANDOVER) {
        if (in->handing_over || in->stopping || in->e.state != ELECTION_PRIMARY)
            return;
        in->handing_over = true;
        in->target = target;
    }
    if (event->kind == ELECTION_STOP) {
        if (in->stopping)
            return;
        in->stopping = true;
        in->handing_over = false;
        in->target = target;
        /* Giving up takes too long: then without ceremony. */
        post(w, MESSAGE_EVENT, i, w->now + 2 * S)->event = (struct election_event){.kind = ELECTION_ABORT};
    }
    if (event->kind == ELECTION_ABORT)
        in->stopping = true;
    if (event->kind == ELECTION_PAUSE)
        event->flag = w->now < w->operator_pause;
    step(w, i, event);
}

/* Mirrors follow the head, and members' keys follow mirrors, here each second. Both on the cheap: at each
 * beat, if the servers can be reached. */
static void mind_mirror(struct world *w, unsigned i)
{
    struct instance *in = &w->in[i];
    struct state *state = &w->consul.state;
    const struct agent *agent = &w->consul.agent[i];
    if (w->now >= agent->back && w->now >= agent->cut && w->now >= w->consul.no_leader) {
        in->mirror = state->head.modify > in->mirror ? state->head.modify : in->mirror;
        if (in->session != 0 && w->now - in->mirror_told >= S) {
            in->mirror_told = w->now;
            state->mirror[i] = in->mirror;
        }
    }
    bool behind = false;
    for (unsigned n = 0; n < w->schedule->instances; n++)
        behind |= n != i && state->member[n] != 0 && consul_session_lives(w, state->member[n]) &&
                  state->mirror[n] > in->mirror;
    if (behind == in->behind)
        return;
    in->behind = behind;
    simple(w, i, ELECTION_FURTHER, behind);
}

void shell_beat(struct world *w, unsigned i)
{
    struct instance *in = &w->in[i];
    bool ready = w->now >= in->unready_until;
    post(w, MESSAGE_BEAT, i, w->now + BEAT + within(w, 0, MS));
    agent_beat(w, i);
    mind_mirror(w, i);
    w->counts->stood_back += in->behind && in->e.state == ELECTION_FOLLOWING && in->e.acquire_at != NS_NEVER;
    in->saved_epoch = in->e.epoch_seen; /* the builder writes it to state-dir, soon after it rose */
    if (ready != in->ready) {
        in->ready = ready;
        simple(w, i, ELECTION_READY, ready);
    } else {
        simple(w, i, ELECTION_TIMER, false);
    }
}

/* The primary's work: effects, and transactions that carry its epoch. */
static void work(struct world *w, unsigned i)
{
    struct instance *in = &w->in[i];
    post(w, MESSAGE_AGAIN, i, w->now + within(w, in->lease / 5, in->lease))->id = REQUEST_COMMIT;
    if (!gate_may_act(&in->gate, local_time(w, i, w->now)))
        return;
    if (w->now >= in->effect_end)
        in->effect_end = w->now + within(w, 0, chance(w, 200) ? 2 * in->lease : 10 * MS);
    if (!in->head_known) {
        shell_send(w, i, REQUEST_HEAD, 2 * S);
        return;
    }
    struct request *request = shell_send(w, i, REQUEST_COMMIT, 2 * S);
    request->index = in->head_index;
    request->commit_epoch = atomic_load(&in->gate.epoch);
    in->head_known = false; /* until it is answered */
}

void shell_again(struct world *w, unsigned i, enum request_kind what)
{
    struct instance *in = &w->in[i];
    switch (what) {
    case REQUEST_NONE:
        trace(w, (int)i, "exits");
        shell_end(w, i);
        post(w, MESSAGE_START, i, in->restart_at > w->now ? in->restart_at : w->now + 100 * MS);
        break;
    case REQUEST_FOLLOW:
        shell_send(w, i, REQUEST_FOLLOW, in->lease / 4 + in->lease / 2)->seen_version = in->seen_version;
        break;
    case REQUEST_COMMIT:
        work(w, i);
        break;
    case REQUEST_RENEW:
        if (in->renewing || in->session == 0 || in->stopping)
            break;
        in->renewing = true;
        shell_send(w, i, REQUEST_RENEW, S);
        break;
    case REQUEST_DESTROY:
        shell_send(w, i, REQUEST_DESTROY, 2 * S)->target = in->old_session;
        break;
    default:
        shell_send(w, i, what, 2 * S);
        break;
    }
}
