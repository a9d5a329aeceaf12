/* The table of states and events, and what every step has in common. */
#include "internal.h"

#include <assert.h>
#include <string.h>

bool same_id(const char *a, const char *b)
{
    return strncmp(a, b, ELECTION_ID_SIZE) == 0;
}

void copy_id(char to[ELECTION_ID_SIZE], const char *from)
{
    size_t len = strnlen(from, ELECTION_ID_SIZE - 1);
    memmove(to, from, len);
    memset(to + len, 0, ELECTION_ID_SIZE - len);
}

struct election_order *order(struct step *s, enum election_order_kind kind, enum election_reason reason)
{
    assert(s->out->count < ELECTION_ORDERS);
    struct election_order *o = &s->out->orders[s->out->count++];
    memset(o, 0, sizeof *o);
    o->kind = kind;
    o->reason = reason;
    return o;
}

void enter(struct step *s, enum election_state state, enum election_reason reason)
{
    struct election *e = s->e;
    if (e->state == state && e->reason == reason)
        return;
    e->state = state;
    e->reason = reason;
    order(s, ELECTION_NOTE, reason);
}

bool election_holds(const struct election *e)
{
    return e->state >= ELECTION_WAITING_OUT && e->state <= ELECTION_RESOLVING;
}

void election_init(struct election *e, const struct election_config *config, nstime now)
{
    assert(config->lease >= NS_PER_MS && config->lease <= ELECTION_LEASE_LIMIT);
    *e = (struct election){
        .config = *config,
        .state = ELECTION_STARTING,
        .reason = ELECTION_WHY_STARTING,
        .rng = {{config->seed | 1, ~config->seed}},
        .epoch_seen = config->epoch_seen,
        /* Authoritative zones answer nothing until the first reply, or for one lease when none comes. */
        .ready_from = now + config->lease,
        .acquire_at = NS_NEVER,
        .confirm_at = NS_NEVER,
        .write_at = NS_NEVER,
    };
}

static void watch_only(struct step *s)
{
    observe(s->e, &s->event->read);
}

typedef void handler(struct step *s);

/* An empty field: the event changes nothing in that state beyond what prepare() does. */
static handler *const table[ELECTION_STATES][ELECTION_EVENTS] = {
    [ELECTION_STARTING] = {[ELECTION_READ] = watch_only,
                           [ELECTION_SESSION] = starting_session,
                           [ELECTION_HANDOVER] = following_give_up,
                           [ELECTION_STOP] = following_give_up},
    [ELECTION_FOLLOWING] = {[ELECTION_READ] = following_read,
                            [ELECTION_SESSION] = starting_session,
                            [ELECTION_SESSION_ALIVE] = following_alive,
                            [ELECTION_TIMER] = following_timer,
                            [ELECTION_READY] = following_ready,
                            [ELECTION_FURTHER] = following_further,
                            [ELECTION_PAUSE] = following_ready,
                            [ELECTION_HANDOVER] = following_give_up,
                            [ELECTION_STOP] = following_give_up},
    [ELECTION_ACQUIRING] = {[ELECTION_READ] = watch_only,
                            [ELECTION_ACQUIRED] = acquiring_acquired,
                            [ELECTION_HANDOVER] = waiting_give_up,
                            [ELECTION_STOP] = waiting_give_up},
    [ELECTION_WAITING_OUT] = {[ELECTION_READ] = holding_read,
                              [ELECTION_WRITTEN] = holding_written,
                              [ELECTION_TIMER] = holding_timer,
                              [ELECTION_HANDOVER] = waiting_give_up,
                              [ELECTION_STOP] = waiting_give_up},
    [ELECTION_PRIMARY] = {[ELECTION_READ] = holding_read,
                          [ELECTION_WRITTEN] = holding_written,
                          [ELECTION_TIMER] = holding_timer,
                          [ELECTION_HANDOVER] = holding_give_up,
                          [ELECTION_STOP] = holding_give_up},
    [ELECTION_PAUSED] = {[ELECTION_READ] = holding_read,
                         [ELECTION_WRITTEN] = holding_written,
                         [ELECTION_TIMER] = holding_timer,
                         [ELECTION_HANDOVER] = holding_give_up,
                         [ELECTION_STOP] = holding_give_up},
    [ELECTION_QUIESCING] = {[ELECTION_READ] = holding_read,
                            [ELECTION_WRITTEN] = holding_written,
                            [ELECTION_TIMER] = holding_timer,
                            [ELECTION_QUIESCED] = quiescing_quiesced},
    [ELECTION_RELEASING] = {[ELECTION_READ] = watch_only, [ELECTION_RELEASED] = releasing_released},
    [ELECTION_RESOLVING] = {[ELECTION_READ] = resolving_read,
                            [ELECTION_HANDOVER] = waiting_give_up,
                            [ELECTION_STOP] = waiting_give_up,
                            [ELECTION_WRITTEN] = resolving_written,
                            [ELECTION_TIMER] = holding_timer},
    [ELECTION_STOPPED] = {[ELECTION_READ] = watch_only},
};

/* A step of REALTIME against BOOTTIME may mean that the machine was frozen and BOOTTIME with it. Slewing
 * moves it by 0.05 % at most, far below a quarter of a lease between two events. */
static void mind_clock(struct step *s)
{
    struct election *e = s->e;
    nstime step = s->event->clock_offset - e->clock_offset;
    bool stepped = e->clock_known && (step > e->config.lease / 4 || -step > e->config.lease / 4);
    e->clock_offset = s->event->clock_offset;
    e->clock_known = true;
    if (!stepped)
        return;
    if (election_holds(e)) {
        order(s, ELECTION_NOTE, ELECTION_WHY_CLOCK_STEPPED);
        void_lease(s, ELECTION_WHY_CLOCK_STEPPED);
    }
    e->seen.since = s->now; /* what was followed before may have a hole */
}

/* The deadline has passed. The gate closed by itself at that moment; now it is said. A voided lease has a
 * quarter of a lease to be confirmed before anybody is told: setting the clock is no reason to run the
 * `demoted` programs. */
static void mind_deadline(struct step *s)
{
    struct election *e = s->e;
    bool over = e->voided != 0 ? s->now - e->voided >= e->config.lease / 4 : s->now >= e->deadline;
    if (!e->told || !over)
        return;
    enum election_reason why = e->voided != 0 ? e->void_reason : ELECTION_WHY_LEASE_RAN_OUT;
    demote(s, why);
    if (e->state != ELECTION_PRIMARY)
        return;
    e->trust_from = s->now;
    enter(s, ELECTION_PAUSED, why);
    confirm_now(s);
}

static void session_lost(struct step *s)
{
    struct election *e = s->e;
    if (e->session[0] == '\0')
        return;
    copy_id(e->session, "");
    e->session_doubted = e->suspicion = false;
    if (e->state == ELECTION_STOPPED)
        return;
    if (election_holds(e) || e->state == ELECTION_ACQUIRING)
        lose(s, ELECTION_WHY_SESSION_LOST);
    else
        follow(s, ELECTION_WHY_SESSION_LOST);
}

/* What an event means in every state. False: nothing more is to be done about it. */
static bool prepare(struct step *s)
{
    struct election *e = s->e;
    switch (s->event->kind) {
    case ELECTION_ACQUIRED:
    case ELECTION_RELEASED: /* the answer to an order that was given up is no news: reads tell */
        return s->event->result.serial == e->awaited;
    case ELECTION_WRITTEN:
        if (s->event->result.serial != e->written_serial)
            return false;
        e->writing = false;
        break;
    case ELECTION_READ:
    case ELECTION_READ_FAILED:
        if (!s->event->read.confirm)
            break;
        assert(e->confirms_in_flight > 0);
        e->confirms_in_flight--;
        if (s->event->kind == ELECTION_READ_FAILED)
            e->counters.confirm_failures++;
        break;
    case ELECTION_SESSION:
        if (!same_id(e->session, s->event->session))
            session_lost(s);
        copy_id(e->session, s->event->session);
        break;
    case ELECTION_SESSION_ALIVE:
        if (e->suspicion) {
            e->counters.tampered++;
            order(s, ELECTION_NOTE, ELECTION_WHY_TAMPERED);
        }
        e->session_doubted = e->suspicion = false;
        break;
    case ELECTION_SESSION_LOST:
        session_lost(s);
        break;
    case ELECTION_READY:
        e->ready = s->event->flag;
        break;
    case ELECTION_FURTHER: /* following_further looks at what it was */
        if (e->state != ELECTION_FOLLOWING)
            e->behind = s->event->flag;
        break;
    case ELECTION_PAUSE:
        e->paused = s->event->flag;
        break;
    case ELECTION_STOP:
        e->stopping = true;
        break;
    case ELECTION_ABORT:
        if (e->state != ELECTION_STOPPED)
            end(s, ELECTION_WHY_ABORTED);
        break;
    default:
        break;
    }
    return true;
}

static nstime earlier(nstime a, nstime b)
{
    return a < b ? a : b;
}

static nstime next_timer(const struct election *e, nstime now)
{
    nstime at = NS_NEVER;
    if (e->state == ELECTION_FOLLOWING)
        return e->acquire_at;
    if (!election_holds(e))
        return at;
    if (e->confirms_in_flight < 2 && e->state != ELECTION_RELEASING)
        at = earlier(at, e->confirm_at);
    if (!e->writing &&
        (e->state == ELECTION_WAITING_OUT || e->state == ELECTION_PRIMARY || e->state == ELECTION_PAUSED))
        at = earlier(at, e->write_at);
    if (e->state == ELECTION_WAITING_OUT && e->wait_until > now)
        at = earlier(at, e->wait_until);
    if (e->told)
        at = earlier(at, e->voided != 0 ? e->voided + e->config.lease / 4 : e->deadline);
    return at;
}

void election_step(struct election *e, const struct election_event *event, nstime now,
                   struct election_output *out)
{
    struct step s = {e, event, now, out};
    out->count = 0;
    mind_clock(&s);
    mind_deadline(&s);
    if (prepare(&s)) {
        handler *handle = table[e->state][event->kind];
        if (handle != NULL)
            handle(&s);
    }

    out->act_until = e->state == ELECTION_PRIMARY ? e->deadline : 0;
    out->refuse_until = e->refuse_until;
    out->ready_from = e->ready_from;
    out->epoch = e->epoch;
    out->timer = next_timer(e, now);
    out->check_ttl = crowded(e, now) ? ELECTION_CHECK_WIDE : ELECTION_CHECK_TTL;
}
