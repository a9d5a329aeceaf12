/* What people are told: log lines, the decisions for `lictor why`, status. */
#include "internal.h"

#include "lictor/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void report_decision(struct role *role, const char *fmt, ...)
{
    struct decision next = {.at = clock_real()};
    va_list args;
    va_start(args, fmt);
    vsnprintf(next.what, sizeof next.what, fmt, args);
    va_end(args);
    struct decision *last = &role->decisions[(role->decision_count + ROLE_DECISIONS - 1) % ROLE_DECISIONS];
    if (role->decision_count > 0 && strcmp(last->what, next.what) == 0)
        return;
    role->decisions[role->decision_count++ % ROLE_DECISIONS] = next;
}

/* The entry of a kind of request, or a free one. */
static struct fault *fault_of(struct role *role, const char *what)
{
    struct fault *free = NULL;
    for (size_t i = 0; i < ROLE_FAULTS; i++) {
        struct fault *fault = &role->faults[i];
        if (fault->what == NULL)
            free = free != NULL ? free : fault;
        else if (strcmp(fault->what, what) == 0)
            return fault;
    }
    return free;
}

void report_error(struct role *role, const char *what, const struct consul_response *response)
{
    struct fault *fault = fault_of(role, what);
    const char *error = response->error != NULL ? response->error : "an answer that was not expected";
    if (fault == NULL || (fault->what != NULL && strcmp(fault->text, error) == 0))
        return;
    /* Refused, then timed out: one failure, told once. */
    log_write(fault->what == NULL ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "election: %s: %s", what, error);
    if (fault->what == NULL)
        report_decision(role, "%s: %s", what, error);
    fault->what = what;
    snprintf(fault->text, sizeof fault->text, "%s", error);
}

void report_works(struct role *role, const char *what)
{
    struct fault *fault = fault_of(role, what);
    if (fault == NULL || fault->what == NULL)
        return;
    fault->what = NULL;
    log_info("election: %s works again", what);
    report_decision(role, "%s works again", what);
}

static const struct fault *first_fault(const struct role *role)
{
    for (size_t i = 0; i < ROLE_FAULTS; i++)
        if (role->faults[i].what != NULL)
            return &role->faults[i];
    return NULL;
}

/* How long the zones had nobody who might act, as far as this instance saw it. */
static const char *since_free(const struct role *role, char out[64])
{
    char took[32];
    out[0] = '\0';
    if (role->free_since != 0)
        snprintf(out, 64, ", %s after the lock was free",
                 duration_format(clock_boot() - role->free_since, took));
    return out;
}

static void say(struct role *role, enum log_level level, const char *text)
{
    log_write(level, "%s", text);
    report_decision(role, "%s", text);
}

void report_note(struct role *role, const struct election_order *order)
{
    char text[300], after[64], wait[32];
    const char *why = election_reason_text(order->reason);
    bool on_purpose = order->reason == ELECTION_WHY_HANDED_OVER || order->reason == ELECTION_WHY_RELEASED ||
                      order->reason == ELECTION_WHY_STOPPED;
    if (order->kind == ELECTION_PROMOTED) {
        bool again = order->reason == ELECTION_WHY_RESUMED || order->reason == ELECTION_WHY_REOPENED;
        snprintf(text, sizeof text, "promoted: epoch %" PRIu64 "%s (%s)", order->epoch,
                 again ? ", as before" : since_free(role, after), why);
        role->free_since = 0;
        say(role, LOG_LEVEL_INFO, text);
        return;
    }
    if (order->kind == ELECTION_DEMOTED) {
        snprintf(text, sizeof text, "demoted: epoch %" PRIu64 " ended: %s", order->epoch, why);
        say(role, on_purpose ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, text);
        return;
    }
    switch (order->reason) {
    case ELECTION_WHY_OTHER_HOLDS: /* report_standing says it with the name */
    case ELECTION_WHY_WAITED_OUT:  /* said by PROMOTED */
    case ELECTION_WHY_MARKER:
    case ELECTION_WHY_RESUMED:
    case ELECTION_WHY_REOPENED:
    case ELECTION_WHY_STARTING:
        return;
    case ELECTION_WHY_NOT_READY:
        snprintf(text, sizeof text, "standby: %s: %s", why, role->ready_reason);
        say(role, LOG_LEVEL_WARN, text);
        return;
    case ELECTION_WHY_WAITING_OUT:
    case ELECTION_WHY_HANDED_TO_US:
        if (role->election.spared)
            snprintf(text, sizeof text, "acquired the lock: the last holder released it cleanly");
        else
            snprintf(text, sizeof text, "acquired the lock: waiting %s for the last holder's lease to end",
                     duration_format(role->election.wait_until - role->election.held_from, wait));
        say(role, LOG_LEVEL_INFO, text);
        return;
    case ELECTION_WHY_TAMPERED:
    case ELECTION_WHY_VALUE_OVERWRITTEN:
    case ELECTION_WHY_KEY_RECREATED:
    case ELECTION_WHY_CLOCK_STEPPED:
    case ELECTION_WHY_HANDOVER_UNKNOWN:
    case ELECTION_WHY_HANDOVER_REFUSED:
    case ELECTION_WHY_UNFIT:
        snprintf(text, sizeof text, "election: %s", why);
        say(role, LOG_LEVEL_WARN, text);
        return;
    default:
        log_debug("election: %s", why);
        report_decision(role, "%s: %s", election_state_text(role->election.state), why);
    }
}

/* After each step: who holds the lock, as a standby sees it. */
void report_standing(struct role *role)
{
    const struct election *e = &role->election;
    bool other = role->leader_session[0] != '\0' && strcmp(role->leader_session, e->session) != 0;
    if (other) {
        role->free_since = 0;
    } else if (role->free_since == 0 && role->act_until == 0 && e->seen.started != 0) {
        role->free_since = clock_boot();
    }
    if (!role->pause_asked)
        return; /* a moment after the start: whether this instance is ready is not known yet */
    uint64_t epoch = role->leader.election.epoch;
    const char *session = other ? role->leader_session : "";
    if (strcmp(role->standby_of, session) == 0 && role->standby_epoch == epoch &&
        role->standby_ready == role->ready)
        return;
    /* Epoch 0: the new holder has not taken it up yet; its own words follow in a moment. */
    if (other && epoch != 0 && e->state == ELECTION_FOLLOWING) {
        char text[700];
        snprintf(text, sizeof text, "standby: %s holds the lock (epoch %" PRIu64 "); this instance is %s%s",
                 role->leader.node, epoch, role->ready ? "ready" : "not ready: ", role->ready_reason);
        say(role, role->ready ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, text);
        role_tell(role, ROLE_OBSERVED, epoch, text);
    } else if (other && !role->leader.election.readable) {
        say(role, LOG_LEVEL_WARN, "standby: a session holds the lock, but its value is not readable");
    }
    snprintf(role->standby_of, sizeof role->standby_of, "%s", session);
    role->standby_epoch = epoch;
    role->standby_ready = role->ready;
}

void role_primary(const struct role *role, struct role_primary *out)
{
    memset(out, 0, sizeof *out);
    if (role->client == NULL) {
        snprintf(out->node, sizeof out->node, "%s", role->node);
        snprintf(out->instance, sizeof out->instance, "%s", role->instance);
        snprintf(out->address, sizeof out->address, "%s", role->address);
        out->epoch = 1;
        out->known = out->self = role->act_until != 0;
        return;
    }
    if (role->leader_session[0] == '\0' || !role->leader.election.readable)
        return;
    snprintf(out->node, sizeof out->node, "%s", role->leader.node);
    snprintf(out->instance, sizeof out->instance, "%s", role->leader.election.instance);
    snprintf(out->address, sizeof out->address, "%s", role->leader.address);
    out->epoch = role->leader.election.epoch;
    out->known = true;
    out->self = strcmp(role->leader_session, role->election.session) == 0;
}

void report_role_text(const struct role *role, char *out, size_t size)
{
    const struct election *e = &role->election;
    const char *reason = election_reason_text(e->reason);
    const struct fault *fault = first_fault(role);
    char error[900] = "", pause[600];
    if (fault != NULL)
        snprintf(error, sizeof error, "; %s: %s", fault->what, fault->text);
    size_t used = strlen(error);
    if (pause_text(role, pause, sizeof pause)[0] != '\0')
        snprintf(error + used, sizeof error - used, "; %s", pause);
    if (role->client == NULL)
        snprintf(out, size, "no election is configured");
    else if (e->state == ELECTION_FOLLOWING && e->reason == ELECTION_WHY_OTHER_HOLDS)
        snprintf(out, size, "%s holds the lock (epoch %" PRIu64 "); this instance is %s%s%s",
                 role->leader.election.readable ? role->leader.node : "somebody", role->leader.election.epoch,
                 role->ready ? "ready" : "not ready: ", role->ready_reason, error);
    else
        snprintf(out, size, "%s%s%s%s", reason, role->ready ? "" : "; not ready: ", role->ready_reason,
                 error);
}

static const char *role_name(const struct role *role)
{
    if (role->client == NULL)
        return role->act_until != 0 ? "primary" : "stopped";
    return role->started ? election_state_text(role->election.state) : "starting";
}

json_t *role_status(const struct role *role)
{
    char reason[1700];
    struct role_primary primary;
    const struct election *e = &role->election;
    nstime left = role->act_until == NS_NEVER ? 0 : role->act_until - clock_boot();
    report_role_text(role, reason, sizeof reason);
    role_primary(role, &primary);

    json_t *status = json_object();
    json_object_set_new(status, "role", json_string(role_name(role)));
    json_object_set_new(status, "may_act", json_boolean(role_is_primary(role)));
    json_object_set_new(status, "epoch", json_integer(role->client != NULL ? (json_int_t)e->epoch : 1));
    json_object_set_new(status, "lease_left_ms",
                        role->act_until == NS_NEVER ? json_null()
                                                    : json_integer(left > 0 ? left / NS_PER_MS : 0));
    json_object_set_new(status, "ready", json_boolean(role->ready || role->client == NULL));
    json_object_set_new(status, "reason", json_string(reason));
    json_t *holder = primary.known ? json_object() : json_null();
    if (primary.known) {
        json_object_set_new(holder, "node", json_string(primary.node));
        json_object_set_new(holder, "instance", json_string(primary.instance));
        json_object_set_new(holder, "address", json_string(primary.address));
        json_object_set_new(holder, "epoch", json_integer((json_int_t)primary.epoch));
        json_object_set_new(holder, "self", json_boolean(primary.self));
        if (role->client != NULL)
            json_object_set_new(holder, "lease_ms", json_integer(role->leader.election.lease / NS_PER_MS));
    }
    json_object_set_new(status, "primary", holder);
    json_t *members = json_array();
    for (size_t i = 0; i < role->member_count; i++) {
        const struct member_value *value = &role->members[i].value;
        json_t *member = json_object();
        json_object_set_new(member, "node", json_string(value->node));
        json_object_set_new(member, "instance", json_string(value->instance));
        json_object_set_new(member, "address", json_string(value->address));
        json_object_set_new(member, "ready", json_boolean(value->ready));
        json_object_set_new(member, "reason", json_string(value->reason));
        json_object_set_new(member, "primary", json_boolean(value->primary));
        json_object_set_new(member, "mirror",
                            json_pack("{s:I, s:I, s:s}", "epoch", (json_int_t)value->mirror.epoch, "sequence",
                                      (json_int_t)value->mirror.sequence, "broken", value->mirror.broken));
        json_object_set_new(member, "self", json_boolean(strcmp(value->instance, role->instance) == 0));
        json_array_append_new(members, member);
    }
    json_object_set_new(status, "members", members);
    json_object_set_new(status, "witness",
                        role->witness == NULL              ? json_null()
                        : witness_connected(role->witness) ? json_string("connected")
                                                           : json_string("trying"));
    json_object_set_new(status, "paused", pause_json(role));
    json_object_set_new(status, "session", json_string(e->session));
    json_object_set_new(status, "failsafe", consent_status(role));
    return status;
}

json_t *role_why(const struct role *role)
{
    json_t *list = json_array();
    size_t first = role->decision_count > ROLE_DECISIONS ? role->decision_count - ROLE_DECISIONS : 0;
    for (size_t i = first; i < role->decision_count; i++) {
        const struct decision *decision = &role->decisions[i % ROLE_DECISIONS];
        char at[TIME_TEXT];
        json_t *entry = json_object();
        json_object_set_new(entry, "at", json_string(time_format_ms(decision->at, at)));
        json_object_set_new(entry, "what", json_string(decision->what));
        json_array_append_new(list, entry);
    }
    return list;
}
