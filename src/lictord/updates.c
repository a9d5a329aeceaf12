/* UPDATE: what it needs of the role, and its place in the daemon. */
#include "daemon.h"

#include <stdio.h>

static void tell_primary(void *arg, struct update_primary *out)
{
    const struct daemon *daemon = arg;
    struct role_primary primary = {0};
    *out = (struct update_primary){0};
    if (!daemon->role)
        return;
    role_primary(daemon->role, &primary);
    out->self = role_is_primary(daemon->role);
    out->known = primary.known || out->self;
    out->epoch = primary.epoch;
    snprintf(out->node, sizeof out->node, "%s", primary.node);
    snprintf(out->instance, sizeof out->instance, "%s", primary.instance);
    snprintf(out->address, sizeof out->address, "%s", primary.address);
    if (primary.self && !out->self) /* the lock is ours, but not the right to act yet, or any more */
        out->known = false;
}

int daemon_start_updates(struct daemon *daemon, struct err *err)
{
    struct update_policy *policy = update_policy_new(daemon->config, err);
    if (!policy)
        return -1;
    daemon->updates = updates_new(&(struct updates_config){.base = daemon->base,
                                                           .store = daemon->store,
                                                           .config = daemon->config,
                                                           .policy = policy,
                                                           .primary = tell_primary,
                                                           .arg = daemon},
                                  err);
    if (!daemon->updates)
        return -1;
    daemon->inbox = inbox_new(daemon->base, daemon->config->workers, updates_take, daemon->updates, err);
    return daemon->inbox ? 0 : -1;
}
