/* Is what we have still true? While every sentinel's last answer was good and the token sees what it saw, the
 * view is live; else it is as old as the last good answer. A failure of anything else alone (one service, a
 * refused connection) says nothing about the view: it is repeated. */
#include "internal.h"

#include "lictor/log.h"

#include <stdio.h>
#include <string.h>

static void set_state(struct watch *watch, nstime stale_from)
{
    struct zone_state *state = watch->config.state;
    nstime stale_for = watch->config.config->consul.stale_for;
    bool endless = stale_from == NS_NEVER || stale_for >= NS_NEVER - stale_from;
    atomic_store(&state->stale_from, stale_from);
    atomic_store(&state->dead_from, endless ? NS_NEVER : stale_from + stale_for);
}

static const char *hint(int status)
{
    if (status == 403)
        return " (the token: it needs service_prefix \"\" read and node_prefix \"\" read)";
    return "";
}

static void restart_sentinel(struct watch *watch, size_t which)
{
    struct consul_watch *list = which == SENTINEL_NODES ? watch->nodes.blocked : watch->lists[which];
    if (list)
        consul_watch_restart(list);
}

/* The first good answer after a loss: those that still wait for their next attempt need not. */
static void rouse(struct watch *watch)
{
    if (!watch->lost || watch->roused)
        return;
    watch->roused = true;
    for (size_t i = 0; i < SENTINELS; i++)
        if (watch->failing[i])
            restart_sentinel(watch, i);
}

/* Whatever came back while Consul was away has not told us so: ask all anew instead of waiting for backoffs.
 */
static void ask_again(struct watch *watch)
{
    const void *key;
    void *value;
    for (size_t i = 0; strmap_next(watch->services, &i, &key, NULL, &value);) {
        struct subject *subject = value;
        if (subject->blocked)
            consul_watch_restart(subject->blocked);
    }
    reads_resume(watch);
    sweep_whole(watch); /* another Consul may answer now, with indexes that mean something else */
}

void contact_read_anew(struct watch *watch)
{
    for (size_t i = 0; i < SENTINELS; i++)
        restart_sentinel(watch, i);
    ask_again(watch);
}

bool contact_down(const struct watch *watch)
{
    for (size_t i = 0; i < SENTINELS; i++)
        if (watch->failing[i])
            return true;
    return false;
}

void contact_update(struct watch *watch)
{
    bool lost = watch->denied || contact_down(watch);
    nstime now = clock_boot();
    if (lost && !watch->lost) {
        watch->lost_at = watch->last_contact > 0 ? watch->last_contact : now;
        watch->stats.losses++;
        log_warn("%s: the view is not current: %s; %s", watch->name, watch->error,
                 watch->live ? "the last one is served" : "none came from Consul in this process yet");
    } else if (!lost && watch->lost) {
        char away[32];
        log_info("%s: the view is kept current again, after %s", watch->name,
                 duration_format(now - watch->lost_at, away));
    }
    bool back = !lost && watch->lost && now - watch->lost_at > NS_PER_S;
    watch->lost = lost;
    if (back)
        ask_again(watch);
    else if (!lost)
        reads_pump(watch);
    if (watch->live)
        set_state(watch, lost ? watch->last_contact : NS_NEVER);
    else if (watch->config.datacenter && atomic_load(&watch->config.state->held))
        /* Not "not read yet" but "cannot be reached": EDE 22. */
        atomic_store(&watch->config.state->dead_from, lost ? 0 : NS_NEVER);
}

void contact_note(struct watch *watch, enum sentinel sentinel, const struct consul_response *response)
{
    /* A 200 from a server that has lost its leader is old news, however fresh it looks. */
    nstime silent =
        response->last_contact_ms > 0 && response->status == 200
            ? (response->last_contact_ms < NS_NEVER / NS_PER_MS ? response->last_contact_ms * NS_PER_MS
                                                                : NS_NEVER / 2)
            : 0;
    bool cut_off = silent > LEADER_SILENT;
    bool good = response->status == 200 && response->known_leader && !cut_off;
    if (good) {
        if (!watch->denied) /* what is hidden from us may have changed since */
            /* What a stale read shows is as old as its server's last word from the leader. */
            watch->last_contact = response->finished - silent;
    } else {
        watch->stats.failures++;
        snprintf(watch->error, sizeof(watch->error), "%s%s",
                 response->status != 200 ? response->error
                 : cut_off               ? "its server has not heard from the leader for long"
                                         : "its server knows no leader",
                 hint(response->status));
    }
    if (sentinel != NO_SENTINEL)
        watch->failing[sentinel] = !good;
    if (good)
        rouse(watch);
    else
        watch->roused = false;
    contact_update(watch);
}
