/* Drives the election against Consul: own service instance and TTL check, session, lock, confirm, members,
 * the gate. Main thread. */
#pragma once

#include "lictor/config.h"
#include "lictor/consul.h"
#include "lictor/gate.h"

struct role;
struct peer;

enum role_event_kind {
    ROLE_PROMOTED, /* may act from now on (the wait-out is over, the gate is open) */
    ROLE_DEMOTED,  /* may not act any more (the gate is closed); reason says why */
    ROLE_OBSERVED, /* the holder, the members or a reason changed: refresh texts */
};

struct role_event {
    enum role_event_kind kind;
    uint64_t epoch;
    const char *reason;
};

/* Who is primary, as last seen. */
struct role_primary {
    char node[256];
    char instance[37];
    char address[64]; /* advertised, may be empty */
    uint64_t epoch;
    bool known;
    bool self;
};

#define ROLE_MEMBERS 64 /* more are not looked at */
#define ROLE_BROKEN  1000

/* How far an instance's mirrors of zones are: epochs decide, then sequences. */
struct role_mirror {
    uint64_t epoch, sequence;
    char broken[ROLE_BROKEN]; /* zones that it cannot read from Consul, as text, each followed by a space */
};

struct role_member {
    char node[256];
    char instance[37];
    char address[64];
    bool ready, primary, self;
    struct role_mirror mirror; /* as its key said last; up to 10 s old */
};

struct role_hooks {
    void (*event)(void *arg, const struct role_event *event);
    /* Hand-over step 1 and 2: effects are ended, addresses withdrawn, workers have passed a batch, the runner
     * acknowledged. Calls done(done_arg, clean) (maybe at once). clean=false: something did not end, so no
     * clean marker may be left. */
    void (*quiesce)(void *arg, void (*done)(void *done_arg, bool clean), void *done_arg);
    /* May this instance stand? false with a reason ("zone example.com: not loaded"). Asked before each
     * acquire. */
    bool (*ready)(void *arg, char reason[256]);
    /* How far are this instance's mirrors? For its member key and for ties: whoever is behind another living
     * candidate stands later. */
    void (*mirror)(void *arg, struct role_mirror *out);
    /* The deadline until which acting is allowed moved (each confirm): to be passed to the runner's
     * heartbeat. */
    void (*deadline)(void *arg, nstime act_until);
    /* This instance must not run: another living member has the same node name or identity. The daemon ends
     * with role_stop. */
    void (*fatal)(void *arg, const char *reason);
    void *arg;
};

struct role_config {
    struct event_base *base;
    struct consul_client *client; /* the election's own */
    const struct config *config;
    struct gate *gate;
    const char *instance; /* UUID from state-dir */
    uint64_t epoch_seen;  /* highest ever seen, from state-dir */
    struct role_hooks hooks;
};

/* Without an election block: a role that is always primary (gate open for ever). */
struct role *role_new(const struct role_config *config, struct err *err);
/* After a reload: priority, candidate, standby and advertise take effect; what needs a restart is not looked
 * at. The role keeps no pointer to either configuration. */
void role_set_config(struct role *role, const struct config *config);
/* Begins; the PROMOTED or OBSERVED events follow from the loop. */
void role_start(struct role *role);
/* Clean end: hand over (or unlock with a marker), deregister the service and member key, destroy the session;
 * then done(arg). Bounded (3 s). */
void role_stop(struct role *role, void (*done)(void *arg), void *arg);
/* The runner is gone or main is dying: close the gate now, unlock without a marker, then done. */
void role_abort(struct role *role, const char *reason, void (*done)(void *arg), void *arg);
void role_free(struct role *role);

/* `lictor handover [NODE]`: to is a node name or NULL for any. done gets NULL on success, else why not (valid
 * during the call; it may come from within this one). On a standby too, through requests/<id>. */
void role_handover(struct role *role, const char *to, void (*done)(void *arg, const char *error), void *arg);

/* `lictor resign`: like a hand-over; when no standby is ready the lock is released to nobody, and this
 * instance stands back for two leases before it takes it again. On a standby it asks the primary to. */
void role_resign(struct role *role, void (*done)(void *arg, const char *error), void *arg);
/* `lictor pause`, `lictor resume`, on any instance: no automatic takeover, but by the last primary itself,
 * whose restart must not leave the cluster without anybody who may stand. A hand-over on purpose goes on
 * working. duration 0: until somebody resumes. why: at most 255 octets. */
void role_pause(struct role *role, nstime duration, const char *why,
                void (*done)(void *arg, const char *error), void *arg);
void role_resume(struct role *role, void (*done)(void *arg, const char *error), void *arg);
bool role_paused(const struct role *role); /* such a pause is in force */

bool role_is_primary(const struct role *role); /* may act now */
/* The session that holds the lock while this instance is primary: for check-session in what it writes. "" if
 * it has none. */
const char *role_session(const struct role *role);
void role_primary(const struct role *role, struct role_primary *out);
size_t role_members(const struct role *role, struct role_member *out, size_t max);
/* {"role":"starting|standby|acquiring|waiting-out|primary|paused|handing-over|handover-unknown|stopped",
 * "may_act":..,"epoch":..,"lease_left_ms":.. (null: no election),"ready":..,"reason":"...","session":"...",
 * "primary":{"node","instance","address","epoch","self","lease_ms" (with an election)} or null,
 * "failsafe":{"holding","hold_left_ms","members":[{"node","instance","consents","answer"}],"promise_left_ms",
 * "promised_to"} or null when off,
 * "members":[{"node","instance","address","ready","reason","primary",
 * "mirror":{"epoch","sequence","broken"},"self"}],
 * "witness":"connected|trying" (to the primary's DNS port, whose refusals prove its death) or null,
 * "paused":{"who","why","at","until" (null: none)} or null} */
json_t *role_status(const struct role *role);
/* The history of decisions and reasons, newest last, for `lictor why`: [{"at":"...","what":"..."}]. */
json_t *role_why(const struct role *role);
/* Messages between instances, for the workers (peer.h); NULL without `peer-key`. Lives as long as the role.
 */
struct peer *role_peer(const struct role *role);
struct role_failsafe {
    bool holding; /* the lease is over and consent is not */
    nstime hold_left;
    uint64_t holds, rounds_whole, rounds_broken, consents, refusals, bad_signatures;
};
/* false: failsafe is off. */
bool role_failsafe(const struct role *role, struct role_failsafe *out);
uint64_t role_epoch_seen(const struct role *role); /* to be saved in state-dir */
struct role_counters {
    uint64_t promotions, demotions, elections, confirms, confirm_failures, tampered;
    uint64_t deaths_proven; /* of primaries, by this instance */
};
/* For how long, as this instance sees it by reads younger than a lease, nobody has held the lock; 0: somebody
 * does, or Consul cannot be asked. */
nstime role_vacancy(const struct role *role);
/* What keeps this instance from taking a free lock: a set of these. */
enum role_obstacle {
    ROLE_NO_CANDIDATE = 1,
    ROLE_NOT_READY = 2,
    ROLE_HELD_BY_PAUSE = 4,
    ROLE_NO_SESSION = 8,
};
unsigned role_obstacles(const struct role *role);
void role_counters(const struct role *role, struct role_counters *out);
