/* Follows the lock's key by consistent blocking queries, on a connection of its own. */
#include "internal.h"

#include <stdlib.h>

/* While Consul cannot be asked, ask twice a lease: the watch's own backoff of up to 10 s would leave this
 * instance blind long after Consul is back. */
static void again_due(struct role *role)
{
    if (role->leader_watch != NULL)
        consul_watch_restart(role->leader_watch);
}

static void answered(void *arg, struct consul_response *response, bool changed)
{
    struct role *role = arg;
    (void)changed;
    if (response->status == 200 || (response->status == 404 && response->index > 0))
        evtimer_del(role->leader_again);
    else
        role_after(role->leader_again, role->lease / 2);
    lock_read(role, response, false);
}

void following_start(struct role *role)
{
    char *path = role_kv_path(role, "leader", NULL);
    struct consul_watch_options options = {
        .path = path,
        .consistency = "consistent",
        .wait = role->lease / 4,
        .grace = role->lease / 2,
        .rate = 50, /* a hand-over makes several changes within some milliseconds */
        .burst = 20,
        .max_body = 64 * 1024,
    };
    role->leader_again = role_timer(role, again_due);
    role->leader_watch = consul_watch_new(role->client, &options, answered, role);
    free(path);
}

void following_stop(struct role *role)
{
    consul_watch_free(role->leader_watch);
    role->leader_watch = NULL;
    role_timer_free(role->leader_again);
    role->leader_again = NULL;
}
