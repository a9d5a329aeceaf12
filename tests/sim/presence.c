/* How an instance comes to have a session, as role/presence.c does it: end the session of an earlier life,
 * register service and check, create the session; again whenever it is lost. */
#include "sim.h"

static void next(struct world *w, unsigned i, enum request_kind what, nstime delay)
{
    post(w, MESSAGE_AGAIN, i, w->now + delay)->id = what;
}

static void created(struct world *w, unsigned i, const struct reply *reply)
{
    struct instance *in = &w->in[i];
    if (reply->status != STATUS_OK) {
        /* The check is not in the catalog yet, or critical. */
        bool young = w->now - in->registered_at < 3 * S;
        next(w, i, young ? REQUEST_CREATE : REQUEST_REGISTER, within(w, 25 * MS, young ? 100 * MS : S));
        return;
    }
    struct election_event event = {.kind = ELECTION_SESSION};
    in->session = reply->session;
    session_text(in->session, event.session);
    next(w, i, REQUEST_RENEW, 2500 * MS);
    shell_event(w, i, &event, 0);
}

void presence_reply(struct world *w, unsigned i, enum request_kind kind, const struct reply *reply)
{
    struct instance *in = &w->in[i];
    if (in->stopping)
        return;
    bool ok = reply->status == STATUS_OK;
    switch (kind) {
    case REQUEST_OLD:
        in->old_session = ok ? reply->session : 0;
        next(w, i, ok ? REQUEST_REGISTER : REQUEST_OLD, ok ? 0 : within(w, 100 * MS, S));
        break;
    case REQUEST_REGISTER:
        in->registered_at = w->now;
        if (!ok)
            next(w, i, REQUEST_REGISTER, within(w, 100 * MS, S));
        else
            next(w, i, in->old_session != 0 ? REQUEST_DESTROY : REQUEST_CREATE, within(w, 0, 25 * MS));
        break;
    case REQUEST_DESTROY: /* looked at again before the session is made */
        in->old_session = ok ? 0 : in->old_session;
        next(w, i, in->old_session != 0 ? REQUEST_DESTROY : REQUEST_CREATE, ok ? 0 : within(w, 100 * MS, S));
        break;
    case REQUEST_CREATE:
        created(w, i, reply);
        break;
    default:
        break;
    }
}

void presence_session_lost(struct world *w, unsigned i)
{
    struct instance *in = &w->in[i];
    struct election_event event = {.kind = ELECTION_SESSION_LOST};
    in->session = in->old_session = 0;
    next(w, i, REQUEST_REGISTER, 0);
    shell_event(w, i, &event, 0);
}
