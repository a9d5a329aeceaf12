/* Failsafe at the edge: names the members in the lock's value, asks them, keeps gate.hold_until, answers for
 * this instance, and says what happens. The rules are in lictor/failsafe.h. */
#include "internal.h"

#include "lictor/log.h"
#include "lictor/rng.h"
#include "lictor/xalloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct named {
    size_t count;
    char instances[FAILSAFE_MEMBERS][ELECTION_ID_SIZE]; /* sorted */
};

struct consent {
    struct failsafe failsafe;
    struct peer *peer;
    struct event *timer;
    nstime hold_until; /* in the gate */
    bool stepping;

    /* What our last WRITE put into the lock's value: it counts once that write is known to have happened. */
    struct named written;
    uint32_t serial;
    bool sure;

    /* Of each member, in the order of failsafe.members: what was said of it in the log. */
    enum failsafe_verdict told[FAILSAFE_MEMBERS];
};

/* --- who is who ------------------------------------------------------------------------------------- */

static const struct member_value *member_of(const struct role *role, const char *instance)
{
    for (size_t i = 0; i < role->member_count; i++)
        if (strcmp(role->members[i].value.instance, instance) == 0)
            return &role->members[i].value;
    return NULL;
}

static const char *node_of(const struct role *role, const char *instance)
{
    const struct member_value *member = member_of(role, instance);
    return member != NULL ? member->node : instance;
}

/* "ns2, ns3" */
static void members_text(const struct role *role, char *out, size_t size)
{
    const struct failsafe *f = &role->consent->failsafe;
    out[0] = '\0';
    for (size_t i = 0, len = 0; i < f->count && len < size; i++)
        len +=
            (size_t)snprintf(out + len, size - len, "%s%s", i > 0 ? ", " : "", node_of(role, f->members[i]));
}

/* The instant on people's clock. */
static void time_text(nstime boot, char out[32])
{
    nstime real = boot - clock_boot() + clock_real();
    time_t seconds = (time_t)(real / NS_PER_S);
    struct tm utc;
    char day[16];
    gmtime_r(&seconds, &utc);
    strftime(day, sizeof day, "%H:%M:%S", &utc);
    snprintf(out, 32, "%s.%03dZ", day, (int)(real % NS_PER_S / NS_PER_MS));
}

/* --- what is told ----------------------------------------------------------------------------------- */

static void blame_text(const struct role *role, char *out, size_t size)
{
    const struct failsafe *f = &role->consent->failsafe;
    if (f->why == FAILSAFE_YES || f->blame >= f->count)
        snprintf(out, size, "the consent ran out");
    else
        snprintf(out, size, "%s %s", node_of(role, f->members[f->blame]), failsafe_verdict_text(f->why));
}

static void note(struct role *role, enum failsafe_note what)
{
    struct consent *c = role->consent;
    char text[320], who[256], until[32];
    enum log_level level = LOG_LEVEL_WARN;
    switch (what) {
    case FAILSAFE_NOTE_HOLDING:
        members_text(role, who, sizeof who);
        time_text(c->failsafe.hold_until, until);
        snprintf(text, sizeof text,
                 "Consul is away: holding by consent of %s until %s, and on while they consent", who, until);
        break;
    case FAILSAFE_NOTE_ENDED:
        blame_text(role, who, sizeof who);
        snprintf(text, sizeof text, "failsafe ended: %s", who);
        break;
    case FAILSAFE_NOTE_WITHOUT:
        blame_text(role, who, sizeof who);
        snprintf(text, sizeof text, "failsafe: the lease ran out and nothing is held: %s", who);
        break;
    case FAILSAFE_NOTE_LOST:
        snprintf(text, sizeof text, "failsafe ended: %s", election_reason_text(role->election.reason));
        break;
    case FAILSAFE_NOTE_CONFIRMED:
        level = LOG_LEVEL_INFO;
        snprintf(text, sizeof text, "failsafe: Consul is back and confirms epoch %" PRIu64,
                 c->failsafe.epoch);
        break;
    default:
        return;
    }
    log_write(level, "%s", text);
    report_decision(role, "%s", text);
    role_tell(role, ROLE_OBSERVED, role->election.epoch, text);
}

/* An answer that tells in good days that failsafe would not work. */
static bool is_fault(enum failsafe_verdict verdict)
{
    return verdict == FAILSAFE_SILENT || verdict == FAILSAFE_UNSIGNED || verdict == FAILSAFE_NO_OFF ||
           verdict == FAILSAFE_NO_STRANGER;
}

static void tell_faults(struct role *role)
{
    struct consent *c = role->consent;
    const struct failsafe *f = &c->failsafe;
    if (f->asking || f->round_start == 0 || f->count == 0)
        return;
    for (size_t i = 0; i < f->count; i++) {
        bool fault = is_fault(f->verdicts[i]);
        if (f->verdicts[i] == c->told[i] || (!fault && !is_fault(c->told[i])))
            continue;
        c->told[i] = f->verdicts[i];
        const char *node = node_of(role, f->members[i]), *text = failsafe_verdict_text(f->verdicts[i]);
        if (fault)
            log_warn("failsafe: %s %s: without it nothing will be held when Consul is away", node, text);
        else
            log_info("failsafe: %s answers: it %s", node, text);
    }
}

/* --- the state machine at work ---------------------------------------------------------------------- */

static void ask(struct role *role, uint64_t whom)
{
    struct consent *c = role->consent;
    struct failsafe_request request = {
        .epoch = c->failsafe.epoch, .nonce = c->failsafe.nonce, .lease = role->lease};
    snprintf(request.instance, sizeof request.instance, "%s", role->instance);
    for (unsigned i = 0; i < c->failsafe.count; i++) {
        const struct member_value *member = member_of(role, c->failsafe.members[i]);
        if ((whom >> i & 1) != 0 && member != NULL && member->address[0] != '\0')
            peer_ask(c->peer, i, member->address, &request);
    }
}

static enum failsafe_verdict step(struct role *role, const struct failsafe_event *event)
{
    struct consent *c = role->consent;
    struct failsafe_output out;
    failsafe_step(&c->failsafe, &role->election, event, clock_boot(), &out);
    if (out.hold_until != c->hold_until) {
        nstime before = clock_boot();
        c->hold_until = out.hold_until;
        atomic_store_explicit(&role->gate->hold_until, out.hold_until, memory_order_release);
        log_debug("gate: changed between %" PRId64 " and %" PRId64 ": epoch %" PRIu64 ", hold until %" PRId64,
                  before, clock_boot(), c->failsafe.epoch, out.hold_until);
    }
    if (out.timer == NS_NEVER)
        evtimer_del(c->timer);
    else
        role_after(c->timer, out.timer - clock_boot());
    ask(role, out.ask);
    note(role, out.note);
    tell_faults(role);
    return out.verdict;
}

void consent_look(struct role *role)
{
    if (role->consent != NULL)
        step(role, &(struct failsafe_event){.kind = FAILSAFE_LOOK});
}

static void on_answer(void *arg, unsigned tag, uint64_t nonce, enum failsafe_verdict verdict)
{
    struct role *role = arg;
    struct failsafe *f = &role->consent->failsafe;
    struct failsafe_event event = {.kind = FAILSAFE_ANSWERED, .answer = {.nonce = nonce, .verdict = verdict}};
    if (tag >= f->count)
        return; /* of a longer list than the present one */
    snprintf(event.answer.instance, sizeof event.answer.instance, "%s", f->members[tag]);
    step(role, &event);
}

static enum failsafe_verdict on_asked(void *arg, const struct failsafe_request *request)
{
    struct role *role = arg;
    if (!role->started)
        return FAILSAFE_NO_UNKNOWN;
    struct failsafe_event event = {.kind = FAILSAFE_ASKED, .request = *request};
    bool promised = clock_boot() < role->consent->failsafe.promised_until;
    enum failsafe_verdict verdict = step(role, &event);
    if (verdict == FAILSAFE_YES && !promised) {
        const char *node = node_of(role, request->instance);
        log_info("Consul is away: consenting that %s holds on in epoch %" PRIu64, node, request->epoch);
        report_decision(role, "Consul is away: consenting that %s holds on in epoch %" PRIu64, node,
                        request->epoch);
    }
    return verdict;
}

/* --- the list in the lock's value ------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The members that live, this instance among them. Alone there is nobody to ask: then nobody is named, and
 * nobody is kept from standing. */
static void wanted(const struct role *role, struct named *out)
{
    const struct consent *c = role->consent;
    memset(out, 0, sizeof *out);
    if (c == NULL || !c->failsafe.config.enabled || role->election.state != ELECTION_PRIMARY)
        return;
    snprintf(out->instances[out->count++], ELECTION_ID_SIZE, "%s", role->instance);
    for (size_t i = 0; i < role->member_count && out->count < FAILSAFE_MEMBERS; i++)
        if (strcmp(role->members[i].value.instance, role->instance) != 0)
            snprintf(out->instances[out->count++], ELECTION_ID_SIZE, "%s", role->members[i].value.instance);
    if (out->count == 1)
        memset(out, 0, sizeof *out);
    qsort(out->instances, out->count, sizeof *out->instances, by_text);
}

static void set_list(struct role *role, bool sure)
{
    struct consent *c = role->consent;
    struct failsafe_event event = {.kind = FAILSAFE_LIST};
    c->sure = sure;
    if (sure) {
        event.list.count = c->written.count;
        event.list.instances = (const char(*)[ELECTION_ID_SIZE])c->written.instances;
    }
    for (size_t i = 0; i < FAILSAFE_MEMBERS; i++)
        c->told[i] = FAILSAFE_YES;
    step(role, &event);
}

void consent_writes(struct role *role, uint32_t serial, struct lock_value *value)
{
    struct consent *c = role->consent;
    if (c == NULL)
        return;
    wanted(role, &c->written);
    c->serial = serial;
    set_list(role, false); /* until it is known to have happened, either list may be the one that counts */
    value->named_count = c->written.count;
    memcpy(value->named, c->written.instances, sizeof value->named);
}

void consent_written(struct role *role, uint32_t serial)
{
    if (role->consent != NULL && !role->consent->sure && role->consent->serial == serial)
        set_list(role, true);
}

void consent_read(struct role *role)
{
    const struct election *e = &role->election;
    const struct lock_value *value = &role->leader;
    if (e->session[0] != '\0' && strcmp(role->leader_session, e->session) == 0 && value->election.readable &&
        strcmp(value->election.instance, role->instance) == 0 && value->election.epoch == e->epoch)
        consent_written(role, value->write);
}

void consent_missed(struct role *role)
{
    if (role->consent != NULL)
        step(role, &(struct failsafe_event){.kind = FAILSAFE_MISSED});
}

void consent_refresh(struct role *role)
{
    const struct election *e = &role->election;
    struct named now;
    if (role->consent == NULL || e->state != ELECTION_PRIMARY || e->writing || role->leaving)
        return;
    wanted(role, &now);
    if (memcmp(&now, &role->consent->written, sizeof now) == 0)
        return;
    election_rewrite(&role->election, clock_boot());
    role_after(role->timer, 0);
}

bool consent_bars(const struct role *role, char reason[256])
{
    const struct lock_value *value = &role->leader;
    const struct election *e = &role->election;
    if (role->client == NULL || role->leader_session[0] != '\0' || !value->election.readable)
        return false;
    /* The acquire will name the index of the election's newest read: the list must be of that very read. */
    if (e->seen.free && role->leader_index != e->seen.modify_index) {
        snprintf(reason, 256, "failsafe: reading again whom the last primary named");
        return true;
    }
    if (!failsafe_barred(role->instance, value->election.instance,
                         (const char(*)[ELECTION_ID_SIZE])value->named, value->named_count,
                         value->election.marker))
        return false;
    snprintf(reason, 256,
             "failsafe: %.60s (epoch %" PRIu64 ") may hold on by consent of members that do not include this "
             "instance; one of those must stand",
             value->node, value->election.epoch);
    return true;
}

/* --- life ------------------------------------------------------------------------------------------- */

static void timer_due(struct role *role)
{
    consent_look(role);
}

int consent_new(struct role *role, const struct config *config, struct err *err)
{
    if (config->election.peer_key == NULL)
        return 0;
    struct consent *c = xcalloc(1, sizeof *c);
    struct failsafe_config pure = {.enabled = config->election.failsafe};
    snprintf(pure.instance, sizeof pure.instance, "%s", role->instance);
    rng_secure(&pure.seed, sizeof pure.seed);
    failsafe_init(&c->failsafe, &pure);
    role->consent = c;
    c->timer = role_timer(role, timer_due);
    struct peer_hooks hooks = {.asked = on_asked, .answered = on_answer, .arg = role};
    c->peer = peer_new(role->base, config, &hooks, err);
    return c->peer != NULL ? 0 : -1;
}

void consent_free(struct role *role)
{
    struct consent *c = role->consent;
    if (c == NULL)
        return;
    role_timer_free(c->timer);
    peer_free(c->peer);
    free(c);
    role->consent = NULL;
}

struct peer *role_peer(const struct role *role)
{
    return role->consent != NULL ? role->consent->peer : NULL;
}

/* --- for status and metrics ------------------------------------------------------------------------- */

json_t *consent_status(const struct role *role)
{
    const struct consent *c = role->consent;
    if (c == NULL || !c->failsafe.config.enabled)
        return json_null();
    const struct failsafe *f = &c->failsafe;
    nstime now = clock_boot(), left = f->hold_until - now, promise = f->promised_until - now;
    json_t *members = json_array();
    for (size_t i = 0; i < f->count; i++)
        json_array_append_new(members,
                              json_pack("{s:s, s:s, s:b, s:s}", "node", node_of(role, f->members[i]),
                                        "instance", f->members[i], "consents", f->verdicts[i] == FAILSAFE_YES,
                                        "answer", failsafe_verdict_text(f->verdicts[i])));
    return json_pack("{s:b, s:I, s:o, s:I, s:s}", "holding", f->holding && left > 0, "hold_left_ms",
                     (json_int_t)(left > 0 ? left / NS_PER_MS : 0), "members", members, "promise_left_ms",
                     (json_int_t)(promise > 0 ? promise / NS_PER_MS : 0), "promised_to",
                     promise > 0 ? node_of(role, f->promised_to) : "");
}

bool role_failsafe(const struct role *role, struct role_failsafe *out)
{
    const struct consent *c = role->consent;
    if (c == NULL || !c->failsafe.config.enabled)
        return false;
    const struct failsafe *f = &c->failsafe;
    struct peer_counters peer;
    peer_counters(c->peer, &peer);
    *out = (struct role_failsafe){.holding = f->holding && clock_boot() < f->hold_until,
                                  .hold_left = f->hold_until - clock_boot(),
                                  .holds = f->counters.holds,
                                  .rounds_whole = f->counters.whole,
                                  .rounds_broken = f->counters.broken,
                                  .consents = f->counters.given,
                                  .refusals = f->counters.refused,
                                  .bad_signatures = peer.bad_signatures};
    return true;
}
