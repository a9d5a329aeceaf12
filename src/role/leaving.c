/* The end: give the lock to a standby or release it, then take back everything that Consul knows of us. Each
 * part is bounded; what could not be taken back dies with the check or the session's TTL. */
#include "internal.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

static void left(struct role *role)
{
    evtimer_del(role->leave_timer);
    void (*done)(void *) = role->left;
    role->left = NULL;
    if (done != NULL)
        done(role->left_arg);
}

static void farewell(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    if (response->status != 200 && response->status != 404)
        log_debug("election: leaving: %s", response->error);
    if (--role->farewells == 0)
        left(role);
}

/* The lock is given up, or will go with the session. */
static void take_back(struct role *role)
{
    role->cleaning = true;
    presence_stop(role);
    following_stop(role);
    members_stop(role);
    requests_stop(role);
    pause_stop(role);
    proof_stop(role);
    calls_cancel(role); /* beats and confirmations must not overtake what follows */
    role_after(role->leave_timer, NS_PER_S);
    if (role->election.session[0] != '\0') {
        char *path = consul_path("/v1/session/destroy/", role->election.session, NULL);
        call_send(role, "PUT", path, NULL, NS_PER_S, farewell, 0);
        role->farewells++;
    }
    if (role->ever_live) {
        char *name = xasprintf("members/%s", role->instance);
        call_send(role, "DELETE", role_kv_path(role, name, NULL), NULL, NS_PER_S, farewell, 0);
        role->farewells++;
        free(name);
    }
    if (role->registered) {
        char *path = consul_path("/v1/agent/service/deregister/", role->service_id, NULL);
        call_send(role, "PUT", path, NULL, NS_PER_S, farewell, 0);
        role->farewells++;
    }
    if (role->farewells == 0)
        role_after(role->leave_timer, 0);
}

void leaving_ended(struct role *role)
{
    if (role->leaving && !role->cleaning)
        take_back(role);
}

/* Out of time. */
void leaving_due(struct role *role)
{
    if (role->client == NULL || role->cleaning) {
        left(role);
        return;
    }
    log_warn("election: giving up the lock took too long; the successor has to wait out the lease");
    role_feed(role, &(struct election_event){.kind = ELECTION_ABORT});
    leaving_ended(role);
}

static void close_alone(struct role *role, const char *reason)
{
    evtimer_del(role->timer);
    atomic_store(&role->gate->act_until, 0);
    if (role->act_until != 0) {
        role->act_until = 0;
        role->hooks.deadline(role->hooks.arg, 0);
        role_tell(role, ROLE_DEMOTED, 1, reason);
    }
    role_after(role->leave_timer, 0);
}

static void members_came(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    char error[512];
    struct living_member members[ROLE_MEMBERS];
    const struct living_member *target = NULL;
    if (role->cleaning)
        return;
    if (response->status == 200) {
        size_t count = members_parse(role, response->body, members, ROLE_MEMBERS, NULL);
        target = handover_choose(role, members, count, "", error, sizeof error);
    }
    handover_target(role, target);
    if (target != NULL)
        log_info("stopping: handing over to %s", role->target_node);
    else
        log_info("stopping: releasing the lock; no standby is ready");
    role_feed_session(role, ELECTION_STOP, target != NULL ? target->session : "");
}

static bool begin(struct role *role, void (*done)(void *arg), void *arg)
{
    role->left = done;
    role->left_arg = arg;
    bool first = !role->leaving;
    role->leaving = true;
    role->handover_busy = false;
    return first;
}

void role_stop(struct role *role, void (*done)(void *arg), void *arg)
{
    if (!begin(role, done, arg))
        return;
    if (role->client == NULL) {
        close_alone(role, "stopping");
        return;
    }
    role_after(role->leave_timer, ROLE_STOP - NS_PER_S);
    enum election_state state = role->election.state;
    if (!role->started) {
        take_back(role);
    } else if (state == ELECTION_PRIMARY || state == ELECTION_PAUSED) {
        call_send(role, "GET", role_kv_path(role, "members/", "recurse&consistent"), NULL, 500 * NS_PER_MS,
                  members_came, 0);
    } else {
        handover_target(role, NULL);
        role_feed_session(role, ELECTION_STOP, "");
    }
}

void role_abort(struct role *role, const char *reason, void (*done)(void *arg), void *arg)
{
    log_error("election: giving up the role at once, without a clean marker: %s", reason);
    begin(role, done, arg);
    if (role->client == NULL) {
        close_alone(role, reason);
        return;
    }
    report_decision(role, "aborted: %s", reason);
    if (!role->cleaning)
        role_after(role->leave_timer, NS_PER_S);
    role_feed(role, &(struct election_event){.kind = ELECTION_ABORT});
    leaving_ended(role);
}
