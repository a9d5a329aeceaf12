/* Giving the lock up on purpose: to a standby, or, resigning with nobody ready to take it, to nobody. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The ready standby with the highest priority, the longest known one among equals; or the one called `to`.
 * NULL with the reason. */
const struct living_member *handover_choose(const struct role *role, const struct living_member *members,
                                            size_t count, const char *to, char *error, size_t size)
{
    const struct living_member *best = NULL, *named = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct living_member *m = &members[i];
        if (strcmp(m->value.instance, role->instance) == 0)
            continue;
        if (to[0] != '\0' && strcmp(m->value.node, to) != 0)
            continue;
        named = m;
        if (m->value.ready &&
            (best == NULL || m->value.priority > best->value.priority ||
             (m->value.priority == best->value.priority && m->create_index < best->create_index)))
            best = m;
    }
    if (best != NULL)
        return best;
    if (to[0] != '\0' && named == NULL)
        snprintf(error, size, "there is no living member called %s besides this one", to);
    else if (named != NULL && (to[0] != '\0' || count <= 2))
        snprintf(error, size, "%s is not ready: %s", named->value.node, named->value.reason);
    else if (named != NULL)
        snprintf(error, size, "no standby is ready");
    else
        snprintf(error, size, "there is no other living member");
    return NULL;
}

void handover_target(struct role *role, const struct living_member *member)
{
    static const struct living_member none;
    const struct living_member *target = member != NULL ? member : &none;
    snprintf(role->target_instance, sizeof role->target_instance, "%s", target->value.instance);
    snprintf(role->target_node, sizeof role->target_node, "%s", target->value.node);
    snprintf(role->target_address, sizeof role->target_address, "%s", target->value.address);
}

static void finish(struct role *role, const char *error)
{
    role->handover_busy = false;
    void (*done)(void *, const char *) = role->handover_done;
    role->handover_done = NULL;
    if (error != NULL)
        report_decision(role, "no hand-over: %s", error);
    if (role->answering != NULL)
        requests_answer(role, error);
    if (done != NULL)
        done(role->handover_arg, error);
}

static void members_came(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    char error[512];
    struct living_member members[ROLE_MEMBERS];
    if (!role->handover_busy)
        return; /* leaving came in between */
    bool none = response->status == 404 && response->index > 0;
    if (response->status != 200 && !none) {
        snprintf(error, sizeof error, "reading the members: %s", response->error);
        finish(role, error);
        return;
    }
    size_t count = none ? 0 : members_parse(role, response->body, members, ROLE_MEMBERS, NULL);
    const struct living_member *target =
        handover_choose(role, members, count, role->handover_to, error, sizeof error);
    bool resigning = role->handover_ask == REQUEST_RESIGN;
    if (target == NULL && !resigning) {
        finish(role, error);
        return;
    }
    if (role->election.state != ELECTION_PRIMARY) {
        finish(role, "this instance is not primary any more");
        return;
    }
    handover_target(role, target);
    if (target != NULL)
        report_decision(role, "%s to %s", resigning ? "resigning: handing over" : "handing over",
                        role->target_node);
    else
        report_decision(role, "resigning: releasing the lock to nobody: %s", error);
    role_feed_session(role, ELECTION_HANDOVER, target != NULL ? target->session : "");
}

void handover_begin(struct role *role, enum request_ask ask, const char *to,
                    void (*done)(void *arg, const char *error), void *arg)
{
    role->handover_busy = true;
    role->handover_ask = ask;
    role->handover_done = done;
    role->handover_arg = arg;
    snprintf(role->handover_to, sizeof role->handover_to, "%s", to != NULL ? to : "");
    call_send(role, "GET", role_kv_path(role, "members/", "recurse&consistent"), NULL, ROLE_ASK, members_came,
              0);
}

void handover_end(struct role *role, enum election_reason reason)
{
    bool done = reason == ELECTION_WHY_HANDED_OVER || reason == ELECTION_WHY_RELEASED;
    if (role->handover_busy)
        finish(role, done ? NULL : election_reason_text(reason));
}

static void give_up(struct role *role, enum request_ask ask, const char *to,
                    void (*done)(void *arg, const char *error), void *arg)
{
    if (role->client == NULL)
        done(arg, "no election is configured: there is nobody else");
    else if (role->leaving)
        done(arg, "this instance is stopping");
    else if (!role->started)
        done(arg, "this instance is starting");
    else if (role->handover_busy)
        done(arg, "a hand-over is under way already");
    else if (role->election.state == ELECTION_PRIMARY)
        handover_begin(role, ask, to, done, arg);
    else if (election_holds(&role->election))
        done(arg, election_reason_text(role->election.reason));
    else
        requests_ask(role, ask, to, done, arg);
}

void role_handover(struct role *role, const char *to, void (*done)(void *arg, const char *error), void *arg)
{
    give_up(role, REQUEST_HANDOVER, to, done, arg);
}

void role_resign(struct role *role, void (*done)(void *arg, const char *error), void *arg)
{
    give_up(role, REQUEST_RESIGN, NULL, done, arg);
}
