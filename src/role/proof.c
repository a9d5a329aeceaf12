/* A primary whose process is provably gone need not be waited for: its session is ended at once, and not only
 * when its check lapses. Safety does not rest on the proof: whoever takes the lock then waits out the lease
 * as after any other loss. The session is the one that held the lock while the port was seen answering; a
 * daemon that was restarted since has another, so its own is never ended for its earlier life's death. */
#include "internal.h"

#include "lictor/log.h"
#include "lictor/sockets.h"

#include <stdio.h>
#include <string.h>

static void ended(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    if (response->status != 200)
        report_error(role, "ending the session of the dead primary", response);
    else
        report_works(role, "ending the session of the dead primary");
}

static void dead(void *arg)
{
    struct role *role = arg;
    const struct lock_value *leader = &role->leader;
    /* Remembered, so that nobody is asked twice: what goes wrong now is made good by the check, a moment
     * later. */
    witness_free(role->witness);
    role->witness = NULL;
    const char *session = role->witnessed.session;
    if (strcmp(role->leader_session, session) != 0)
        return; /* it lost the lock before: nothing waits for it */
    role->deaths_proven++;
    log_warn("election: the process of %s is gone (%s refuses, twice): ending its session", leader->node,
             leader->address);
    report_decision(role, "the process of %s is gone (%s refuses, twice): ending its session", leader->node,
                    leader->address);
    call_send(role, "PUT", consul_path("/v1/session/destroy/", session, NULL), NULL, ROLE_ASK, ended, 0);
}

void proof_mind(struct role *role)
{
    const struct election *e = &role->election;
    const struct lock_value *leader = &role->leader;
    struct sockaddr_storage address;
    bool other = e->state == ELECTION_FOLLOWING && role->leader_session[0] != '\0' &&
                 strcmp(role->leader_session, e->session) != 0 && leader->election.readable &&
                 strcmp(leader->election.instance, role->instance) != 0 &&
                 strcmp(leader->address, role->address) != 0;
    if (!other || role->leaving) {
        proof_stop(role);
        return;
    }
    if (strcmp(role->witnessed.session, role->leader_session) == 0 &&
        strcmp(role->witnessed.address, leader->address) == 0)
        return;
    proof_stop(role);
    if (sockaddr_parse(leader->address, &address, NULL) != 0 || sockaddr_is_wildcard(&address))
        return;
    snprintf(role->witnessed.session, sizeof role->witnessed.session, "%s", role->leader_session);
    snprintf(role->witnessed.address, sizeof role->witnessed.address, "%s", leader->address);
    role->witness = witness_new(role->base, &address, dead, role);
}

void proof_stop(struct role *role)
{
    witness_free(role->witness);
    role->witness = NULL;
    memset(&role->witnessed, 0, sizeof role->witnessed);
}
