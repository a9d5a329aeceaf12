/* How this instance is known to Consul: its service with a TTL check, and the session that hangs on both that
 * check and the host's. The check is our own service's: a node-level one would take every service of the host
 * out of DNS when it turns critical. Steps are repeated with backoff until they work, and begun again
 * whenever the agent or the session is lost. */
#include "internal.h"

#include "lictor/log.h"
#include "lictor/rng.h"
#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void go_on(struct role *role);

static void retry(struct role *role, const char *what, const struct consul_response *response)
{
    report_error(role, what, response);
    nstime delay = consul_backoff(role->presence_failures++, response->status);
    /* A lock may be waiting: no longer than 2 s, unless it is a missing right. */
    if (response->status != 403 && delay > 2 * NS_PER_S)
        delay = 2 * NS_PER_S;
    role_after(role->presence_timer, delay);
}

static void enter(struct role *role, enum presence presence)
{
    role->presence = presence;
    role->presence_failures = 0;
    go_on(role);
}

/* ---- is the name free? ---- */

/* A member that was killed lives on in its session for half a second, for some seconds if its host died. */
static void name_taken(struct role *role, const struct living_member *other)
{
    nstime now = clock_boot();
    if (role->name_taken_since == 0)
        role->name_taken_since = now;
    if (now - role->name_taken_since < 3 * NS_PER_S) {
        role_after(role->presence_timer, 200 * NS_PER_MS);
        return;
    }
    char reason[700];
    snprintf(reason, sizeof reason,
             "another living member is called %s (instance %s%s%s); give each instance its own `node`",
             role->node, other->value.instance, other->value.address[0] ? " at " : "", other->value.address);
    role_fatal(role, reason);
}

static void members_came(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    struct living_member *members = xcalloc(ROLE_MEMBERS, sizeof *members);
    size_t count = 0;
    role->old_session[0] = '\0';
    if (response->status == 200) {
        count = members_parse(role, response->body, members, ROLE_MEMBERS, role->old_session);
    } else if (response->status != 404 || response->index == 0) {
        retry(role, "reading the members", response);
        free(members);
        return;
    }
    report_works(role, "reading the members");
    const struct living_member *taken = NULL;
    for (size_t i = 0; i < count; i++)
        if (!role->ever_live && strcmp(members[i].value.node, role->node) == 0 &&
            strcmp(members[i].value.instance, role->instance) != 0)
            taken = &members[i];
    if (taken != NULL)
        name_taken(role, taken);
    else
        enter(role, PRESENCE_REGISTER);
    free(members);
}

/* ---- service and check ---- */

static void registered(struct role *role, struct consul_response *response, uint64_t tag)
{
    role->registering = false;
    if (response->status != 200) {
        if (role->presence == PRESENCE_REGISTER)
            retry(role, "registering our service", response);
        return;
    }
    report_works(role, "registering our service");
    role->registered = true;
    role->registered_primary = (tag & 1) != 0;
    role->registered_ttl = (nstime)(tag >> 1) * NS_PER_MS;
    if (role->presence != PRESENCE_REGISTER)
        return;
    role->catalog_since = clock_boot();
    enter(role, PRESENCE_CATALOG);
}

static void register_service(struct role *role)
{
    bool primary = role_is_primary(role);
    const char *const tags[] = {primary ? "primary" : "standby"};
    struct consul_service service = {
        .id = role->service_id,
        .name = "lictor",
        .tags = tags,
        .tag_count = 1,
        .address = role->host[0] != '\0' ? role->host : NULL,
        .port = role->port,
        .check_id = role->check_id,
        .check_name = "lictord's main loop turns",
        .check_ttl = role->check_ttl,
        .check_status = "passing",
        .deregister_after = 600 * NS_PER_S,
    };
    role->registering = true;
    call_json(role, xstrdup("/v1/agent/service/register"), consul_service_json(&service), ROLE_ASK,
              registered, (uint64_t)(role->check_ttl / NS_PER_MS) << 1 | primary);
}

/* Its entry among the checks of `lictor`. Returns its status, or NULL. */
static const char *find_check(struct role *role, const json_t *list)
{
    size_t i;
    const json_t *check;
    json_array_foreach(list, i, check)
    {
        const char *id = json_string_value(json_object_get(check, "CheckID"));
        const char *service = json_string_value(json_object_get(check, "ServiceID"));
        const char *node = json_string_value(json_object_get(check, "Node"));
        if (id == NULL || service == NULL || node == NULL || strcmp(id, role->check_id) != 0 ||
            strcmp(service, role->service_id) != 0)
            continue;
        snprintf(role->consul_node, sizeof role->consul_node, "%s", node);
        return json_string_value(json_object_get(check, "Status"));
    }
    return NULL;
}

static void catalog_came(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    if (response->status != 200) {
        retry(role, "looking for our check in the catalog", response);
        return;
    }
    report_works(role, "looking for our check in the catalog");
    json_t *list = consul_json(response->body, NULL);
    const char *status = find_check(role, list);
    bool passing = status != NULL && strcmp(status, "passing") == 0;
    json_decref(list);
    if (passing)
        enter(role, role->old_session[0] != '\0' ? PRESENCE_OLD : PRESENCE_SESSION);
    else if (clock_boot() - role->catalog_since < 3 * NS_PER_S)
        role_after(role->presence_timer, 25 * NS_PER_MS); /* some 50 to 100 ms after the registration */
    else
        enter(role, PRESENCE_REGISTER);
}

/* ---- the session ---- */

/* Our earlier life was killed, and our beats keep its session alive now, with the lock in its dead hand. The
 * folder with our identity is locked by us, so it *is* dead, unless the folder was copied to another host. */
static void old_session_came(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    if (response->status != 200) {
        retry(role, "looking at the session of our earlier life", response);
        return;
    }
    report_works(role, "looking at the session of our earlier life");
    json_t *list = consul_json(response->body, NULL);
    const json_t *info = json_array_get(list, 0);
    const char *node = json_string_value(json_object_get(info, "Node"));
    bool gone = node == NULL, ours = !gone && strcmp(node, role->consul_node) == 0;
    char reason[600];
    if (!gone && !ours)
        snprintf(reason, sizeof reason,
                 "instance %s runs on host %s too: was state-dir copied? Remove the file `identity` in one "
                 "of them",
                 role->instance, node);
    json_decref(list);
    if (gone) {
        enter(role, PRESENCE_SESSION);
    } else if (ours) {
        log_info("election: ending the session of our earlier life");
        role->presence = PRESENCE_SESSION;
        char *path = consul_path("/v1/session/destroy/", role->old_session, NULL);
        call_send(role, "PUT", path, NULL, ROLE_ASK, NULL, 0);
        role_after(role->presence_timer, 0);
    } else {
        role_fatal(role, reason);
    }
}

static void session_lost(struct role *role, const char *why)
{
    log_warn("election: the session is lost: %s; making a new one", why);
    evtimer_del(role->renew_timer);
    role_feed(role, &(struct election_event){.kind = ELECTION_SESSION_LOST});
    role->old_session[0] = '\0';
    if (role->presence != PRESENCE_NONE)
        enter(role, PRESENCE_REGISTER);
}

/* The second look, which waits until the leader has applied its log. */
static void session_info_came(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    role->renewing = false;
    if (role->presence == PRESENCE_NONE || role->election.session[0] == '\0')
        return;
    json_t *list = response->status == 200 ? consul_json(response->body, NULL) : NULL;
    bool known = json_array_size(list) > 0, answered = json_is_array(list);
    json_decref(list);
    if (answered)
        report_works(role, "looking for the session");
    else
        report_error(role, "looking for the session", response);
    if (answered && !known)
        session_lost(role, "Consul does not know our session any more");
    else
        role_after(role->renew_timer, 200 * NS_PER_MS);
}

static void renewed(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    role->renewing = false;
    if (role->presence == PRESENCE_NONE || role->election.session[0] == '\0')
        return;
    if (response->status == 200) {
        report_works(role, "renewing the session");
        role_after(role->renew_timer, ROLE_RENEW - consul_backoff(0, 0));
        role_feed(role, &(struct election_event){.kind = ELECTION_SESSION_ALIVE});
    } else if (response->status == 404) {
        /* A leader that has just begun may say so before it has applied its log. Believing it would leave
         * the lock to a session that lives on with nobody behind it, until its TTL ends it. */
        role->renewing = true;
        call_send(role, "GET", consul_path("/v1/session/info/", role->election.session, "consistent"), NULL,
                  NS_PER_S, session_info_came, 0);
    } else {
        report_error(role, "renewing the session", response);
        role_after(role->renew_timer, 500 * NS_PER_MS);
    }
}

void presence_check_session(struct role *role)
{
    if (role->renewing || role->election.session[0] == '\0' || role->presence == PRESENCE_NONE)
        return;
    role->renewing = true;
    char *path = consul_path("/v1/session/renew/", role->election.session, NULL);
    call_send(role, "PUT", path, NULL, NS_PER_S, renewed, 0);
}

static void session_created(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    char session[CONSUL_SESSION_SIZE];
    struct err err;
    if (response->status != 200) {
        retry(role, "creating the session", response);
        /* The check may have left the catalog or turned critical meanwhile. */
        if (response->status >= 500)
            role->presence = PRESENCE_REGISTER;
        return;
    }
    if (consul_session_parse(response->body, session, &err) != 0) {
        log_warn("election: creating the session: %s", err.text);
        role_after(role->presence_timer, NS_PER_S);
        return;
    }
    report_works(role, "creating the session");
    report_decision(role, "session %s", session);
    role->presence = PRESENCE_LIVE;
    role->ever_live = true;
    role->member_retry = 0;
    free(role->member_written);
    role->member_written = NULL;
    role_after(role->renew_timer, ROLE_RENEW);
    role_feed_session(role, ELECTION_SESSION, session);
}

static void go_on(struct role *role)
{
    char *name;
    switch (role->presence) {
    case PRESENCE_NONE:
    case PRESENCE_LIVE:
        break;
    case PRESENCE_MEMBERS:
        call_send(role, "GET", role_kv_path(role, "members/", "recurse&consistent"), NULL, ROLE_ASK,
                  members_came, 0);
        break;
    case PRESENCE_REGISTER:
        if (!role->registering)
            register_service(role);
        break;
    case PRESENCE_CATALOG:
        call_send(role, "GET", xstrdup("/v1/health/checks/lictor?consistent"), NULL, ROLE_ASK, catalog_came,
                  0);
        break;
    case PRESENCE_OLD:
        call_send(role, "GET", consul_path("/v1/session/info/", role->old_session, "consistent"), NULL,
                  ROLE_ASK, old_session_came, 0);
        break;
    case PRESENCE_SESSION:
        name = xasprintf("lictor/%s/%s", role->cluster, role->node);
        call_json(role, xstrdup("/v1/session/create"),
                  consul_session_json(name, role->check_id, ROLE_SESSION), ROLE_ASK, session_created, 0);
        free(name);
        break;
    }
}

/* ---- beats ---- */

static void beaten(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    role->beats_in_flight--;
    if (response->status == 200)
        report_works(role, "beating our check");
    if (response->status == 200 || response->status == 0 || role->presence == PRESENCE_NONE)
        return;
    if (response->status == 403) { /* a right that is missing now does not come by registering again */
        report_error(role, "beating our check", response);
        return;
    }
    /* The agent was restarted and does not know our check; the session died with it, as a renewal will tell.
     */
    bool known = role->registered;
    role->registered = false;
    if (!known || role->presence < PRESENCE_CATALOG)
        return;
    report_error(role, "beating our check", response);
    if (role->presence == PRESENCE_LIVE) {
        log_warn("election: the agent lost our service: registering it again");
        register_service(role);
        presence_check_session(role);
    } else {
        enter(role, PRESENCE_REGISTER);
    }
}

static void beat_due(struct role *role)
{
    role_after(role->beat, ROLE_BEAT);
    if (role->presence == PRESENCE_NONE)
        return;
    /* Each is given up before the check runs out: a connection that hangs must not keep the next ones back.
     */
    if (role->registered && role->beats_in_flight < 4) {
        role->beats_in_flight++;
        call_send(role, "PUT", consul_path("/v1/agent/check/pass/", role->check_id, NULL), NULL,
                  400 * NS_PER_MS, beaten, 0);
    }
    /* The tag follows the role, the check's TTL the number of elections. */
    bool differs = !role->registered || role->registered_primary != role_is_primary(role) ||
                   role->registered_ttl != role->check_ttl;
    if (role->presence == PRESENCE_LIVE && differs && !role->registering)
        register_service(role);
    pause_mind(role);
    burial_mind(role);
    report_vacancy(role);
    /* Also how a step of the wall clock is noticed. */
    role_feed(role, &(struct election_event){.kind = ELECTION_TIMER});
}

void presence_start(struct role *role)
{
    role->beat = role_timer(role, beat_due);
    role->presence_timer = role_timer(role, go_on);
    role->renew_timer = role_timer(role, presence_check_session);
    role_after(role->beat, ROLE_BEAT);
    enter(role, PRESENCE_MEMBERS);
}

void presence_stop(struct role *role)
{
    role->presence = PRESENCE_NONE;
    role_timer_free(role->beat);
    role_timer_free(role->presence_timer);
    role_timer_free(role->renew_timer);
    role->beat = role->presence_timer = role->renew_timer = NULL;
}
