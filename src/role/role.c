/* The role as a whole: makes it, feeds the election, does what the election orders, keeps the gate. */
#include "internal.h"

#include "lictor/log.h"
#include "lictor/rng.h"
#include "lictor/sockets.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void copy_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text != NULL ? text : "");
}

/* CLOCK_REALTIME - CLOCK_BOOTTIME. Being scheduled away between the two readings must not look like a step of
 * the clock. */
static nstime clock_offset(void)
{
    nstime best = NS_NEVER, offset = 0;
    for (int i = 0; i < 4 && best > NS_PER_MS; i++) {
        nstime before = clock_boot(), real = clock_real(), took = clock_boot() - before;
        if (took < best) {
            best = took;
            offset = real - before;
        }
    }
    return offset;
}

void role_tell(struct role *role, enum role_event_kind kind, uint64_t epoch, const char *reason)
{
    struct role_event event = {.kind = kind, .epoch = epoch, .reason = reason};
    role->hooks.event(role->hooks.arg, &event);
}

void role_fatal(struct role *role, const char *reason)
{
    report_decision(role, "refusing to run: %s", reason);
    log_error("election: refusing to run: %s", reason);
    presence_stop(role);
    role->hooks.fatal(role->hooks.arg, reason);
}

static bool gate_shows(const struct gate *gate, const struct election_output *out)
{
    return atomic_load(&gate->act_until) == out->act_until &&
           atomic_load(&gate->refuse_until) == out->refuse_until &&
           atomic_load(&gate->ready_from) == out->ready_from && atomic_load(&gate->epoch) == out->epoch;
}

/* Closing writes act_until first, opening writes it last: whoever sees half of it is on the safe side. */
static void set_gate(struct role *role, const struct election_output *out)
{
    struct gate *gate = role->gate;
    if (gate_shows(gate, out))
        return;
    nstime before = clock_boot();
    if (out->act_until < role->act_until)
        atomic_store_explicit(&gate->act_until, out->act_until, memory_order_release);
    atomic_store_explicit(&gate->refuse_until, out->refuse_until, memory_order_release);
    atomic_store_explicit(&gate->ready_from, out->ready_from, memory_order_release);
    atomic_store_explicit(&gate->epoch, out->epoch, memory_order_release);
    atomic_store_explicit(&gate->act_until, out->act_until, memory_order_release);
    if (out->act_until != role->act_until) {
        role->act_until = out->act_until;
        role->hooks.deadline(role->hooks.arg, out->act_until);
    }
    /* Before and after the change, so that a reader of several logs knows the rights of each instant. */
    log_debug("gate: changed between %" PRId64 " and %" PRId64 ": epoch %" PRIu64 ", act until %" PRId64
              ", refuse until %" PRId64 ", ready from %" PRId64,
              before, clock_boot(), out->epoch, out->act_until, out->refuse_until, out->ready_from);
}

static void quiesced(void *arg, bool clean)
{
    struct role *role = arg;
    if (!clean)
        log_warn("hand-over: something did not end in time; the successor has to wait out the lease");
    struct election_event event = {.kind = ELECTION_QUIESCED, .flag = clean};
    role_feed(role, &event);
}

static void carry_out(struct role *role, const struct election_order *order)
{
    switch (order->kind) {
    case ELECTION_ACQUIRE:
        lock_acquire(role, order);
        break;
    case ELECTION_CONFIRM:
        lock_confirm(role, order);
        break;
    case ELECTION_WRITE:
        lock_write(role, order);
        break;
    case ELECTION_RELEASE:
        lock_release(role, order);
        break;
    case ELECTION_QUIESCE:
        role->hooks.quiesce(role->hooks.arg, quiesced, role);
        break;
    case ELECTION_CHECK_SESSION:
        presence_check_session(role);
        break;
    case ELECTION_PROMOTED:
        report_note(role, order);
        role_tell(role, ROLE_PROMOTED, order->epoch, election_reason_text(order->reason));
        requests_look(role);
        break;
    case ELECTION_DEMOTED:
        report_note(role, order);
        role_tell(role, ROLE_DEMOTED, order->epoch, election_reason_text(order->reason));
        break;
    case ELECTION_NOTE:
        report_note(role, order);
        role_tell(role, ROLE_OBSERVED, role->election.epoch, election_reason_text(order->reason));
        break;
    case ELECTION_GIVEN_UP:
        handover_end(role, order->reason);
        break;
    case ELECTION_ENDED:
        leaving_ended(role);
        break;
    }
}

static void step(struct role *role, struct election_event *event)
{
    struct election_output out;
    event->clock_offset = clock_offset();
    election_step(&role->election, event, clock_boot(), &out);
    set_gate(role, &out);
    consent_look(role);
    if (out.check_ttl != role->check_ttl)
        log_warn("election: %s", out.check_ttl > ELECTION_CHECK_TTL
                                     ? "three elections in five minutes: the check is widened to 2 s"
                                     : "no election in five minutes: the check is narrowed again");
    role->check_ttl = out.check_ttl; /* the next beat registers it */
    if (out.timer == NS_NEVER)
        evtimer_del(role->timer);
    else
        role_after(role->timer, out.timer - clock_boot());
    for (size_t i = 0; i < out.count; i++)
        carry_out(role, &out.orders[i]);
}

static void ask_mirror(struct role *role)
{
    struct role_mirror mirror = {0};
    role->hooks.mirror(role->hooks.arg, &mirror);
    role->mirror = mirror;
    bool behind = members_further(role);
    if (behind == role->behind)
        return;
    role->behind = behind;
    struct election_event event = {.kind = ELECTION_FURTHER, .flag = behind};
    step(role, &event);
}

static void ask_ready(struct role *role)
{
    char reason[256] = "";
    bool ready = role->hooks.ready(role->hooks.arg, reason);
    if (ready && !role->pause_asked) {
        ready = false;
        copy_text(reason, sizeof reason, "not known yet whether elections are paused");
    }
    if (ready && consent_bars(role, reason))
        ready = false;
    copy_text(role->ready_reason, sizeof role->ready_reason, ready ? "" : reason);
    if (ready == role->ready)
        return;
    role->ready = ready;
    struct election_event event = {.kind = ELECTION_READY, .flag = ready};
    step(role, &event);
}

void role_feed(struct role *role, const struct election_event *event)
{
    assert(role->event_count < ROLE_EVENTS);
    role->events[role->event_count++] = *event;
    if (role->stepping)
        return;
    role->stepping = true;
    ask_mirror(role);
    ask_ready(role);
    while (role->event_count > 0) {
        struct election_event next = role->events[0];
        memmove(role->events, role->events + 1, --role->event_count * sizeof *role->events);
        step(role, &next);
    }
    role->stepping = false;
    report_standing(role);
    proof_mind(role);
    members_refresh(role);
    consent_refresh(role);
}

void role_feed_session(struct role *role, enum election_event_kind kind, const char *session)
{
    struct election_event event = {.kind = kind};
    copy_text(event.session, sizeof event.session, session);
    role_feed(role, &event);
}

static void timer_due(struct role *role)
{
    struct election_event event = {.kind = ELECTION_TIMER};
    role_feed(role, &event);
}

/* Where peers and resolvers reach this instance. Without `advertise`, a wildcard or nothing is no address:
 * the service is then registered with the node's. */
static void take_address(struct role *role, const struct config *config)
{
    struct sockaddr_storage address = {0};
    char text[SOCKADDR_TEXT];
    if (config->election.advertise != NULL) {
        if (sockaddr_parse(config->election.advertise, &address, NULL) != 0)
            return;
    } else if (config->listen_count > 0) {
        address = config->listen[0];
    } else {
        return;
    }
    sockaddr_format(&address, text);
    char *colon = strrchr(text, ':');
    role->port = (uint16_t)atoi(colon + 1);
    if (sockaddr_is_wildcard(&address))
        return;
    copy_text(role->address, sizeof role->address, text);
    if (sockaddr_is_loopback(&address) && config->election.advertise == NULL)
        return;
    *colon = '\0';
    char *host = text[0] == '[' ? text + 1 : text;
    host[strcspn(host, "]")] = '\0';
    copy_text(role->host, sizeof role->host, host);
}

struct role *role_new(const struct role_config *config, struct err *err)
{
    const struct config_election *election = &config->config->election;
    if (election->enabled && config->client == NULL) {
        err_set(err, "election: no connection to Consul is configured");
        return NULL;
    }
    struct role *role = xcalloc(1, sizeof *role);
    role->hooks = config->hooks;
    role->base = config->base;
    role->gate = config->gate;
    copy_text(role->node, sizeof role->node, config->config->node);
    copy_text(role->instance, sizeof role->instance, config->instance);
    role->timer = role_timer(role, timer_due);
    role->leave_timer = role_timer(role, leaving_due);
    take_address(role, config->config);
    if (!election->enabled)
        return role;

    role->client = config->client;
    copy_text(role->cluster, sizeof role->cluster, election->cluster);
    role->lease = election->lease;
    role->priority = election->priority;
    role->candidate = election->candidate;
    snprintf(role->service_id, sizeof role->service_id, "lictor-%s-%s", role->cluster, role->instance);
    snprintf(role->check_id, sizeof role->check_id, "%s-alive", role->service_id);
    struct election_config pure = {.lease = election->lease,
                                   .candidate = election->candidate,
                                   .priority = election->priority,
                                   .epoch_seen = config->epoch_seen};
    copy_text(pure.instance, sizeof pure.instance, config->instance);
    rng_secure(&pure.seed, sizeof pure.seed);
    election_init(&role->election, &pure, clock_boot());
    role->check_ttl = ELECTION_CHECK_TTL;
    if (consent_new(role, config->config, err) != 0) {
        role_free(role);
        return NULL;
    }
    return role;
}

/* One server: always primary, for ever, asking nobody. */
static void stand_alone(struct role *role)
{
    struct gate *gate = role->gate;
    atomic_store(&gate->refuse_until, 0);
    atomic_store(&gate->ready_from, 0);
    atomic_store(&gate->epoch, 1);
    atomic_store(&gate->act_until, NS_NEVER);
    role->act_until = NS_NEVER;
    report_decision(role, "primary: no election is configured");
    log_info("primary: no election is configured, so this server is always primary");
    role->hooks.deadline(role->hooks.arg, NS_NEVER);
    role_tell(role, ROLE_PROMOTED, 1, "no election is configured");
}

static void alone_due(struct role *role)
{
    stand_alone(role);
}

void role_start(struct role *role)
{
    char lease[32];
    assert(!role->started);
    role->started = true;
    if (role->client == NULL) {
        role_timer_free(role->timer);
        role->timer = role_timer(role, alone_due);
        role_after(role->timer, 0);
        return;
    }
    /* The time in which nobody has told us who is primary counts from here. */
    struct election_config pure = role->election.config;
    election_init(&role->election, &pure, clock_boot());
    report_decision(role, "starting: instance %s, lease %s", role->instance,
                    duration_format(role->lease, lease));
    role_feed(role, &(struct election_event){.kind = ELECTION_TIMER});
    following_start(role);
    members_start(role);
    requests_start(role);
    pause_start(role);
    presence_start(role);
}

void role_set_config(struct role *role, const struct config *config)
{
    if (role->client == NULL)
        return;
    role->priority = role->election.config.priority = config->election.priority;
    role->candidate = role->election.config.candidate = config->election.candidate;
    take_address(role, config);
    atomic_store(&role->gate->mode, (int)config->election.standby);
    if (role->started)
        timer_due(role);
}

void role_free(struct role *role)
{
    if (role == NULL)
        return;
    if (role->client != NULL) {
        presence_stop(role);
        following_stop(role);
        members_stop(role);
        requests_stop(role);
        pause_stop(role);
        proof_stop(role);
        calls_cancel(role);
    }
    consent_free(role);
    role_timer_free(role->timer);
    role_timer_free(role->leave_timer);
    free(role);
}

const char *role_session(const struct role *role)
{
    return role->client != NULL ? role->election.session : "";
}

bool role_is_primary(const struct role *role)
{
    return clock_boot() < role->act_until;
}

uint64_t role_epoch_seen(const struct role *role)
{
    return role->client != NULL ? role->election.epoch_seen : 1;
}

void role_counters(const struct role *role, struct role_counters *out)
{
    const struct election *e = &role->election;
    *out = (struct role_counters){.promotions = e->counters.promotions,
                                  .demotions = e->counters.demotions,
                                  .elections = e->counters.elections,
                                  .confirms = e->counters.confirms,
                                  .confirm_failures = e->counters.confirm_failures,
                                  .tampered = e->counters.tampered,
                                  .deaths_proven = role->deaths_proven};
}
