/* The election: a state machine that is a plain function of (state, event, time). No I/O, no clock, no
 * allocation: the daemon, the unit tables and the simulator run this same code.
 *
 * Times are CLOCK_BOOTTIME ns, so that a lease does not survive a suspend. Not thread-safe: main owns it.
 *
 * One primary, by three means:
 *  - the lease: the holder acts until `request start + lease` of its last consistent read that showed its own
 *    session and the same CreateIndex, and not a moment longer, asking nobody;
 *  - the wait-out: a new holder acts only `lease * 1.01 + 50 ms` after it became holder. Every confirmation
 * of the old holder linearized before the lock was free, so the old deadline is over by then. Consul's
 *    lock-delay is not needed for this, and would not do: it is checked before the raft append and lost on a
 *    restore;
 *  - fencing: the caller writes everything in transactions with `check-session`, and carries the epoch.
 *
 * What the caller owes: each order of kind CONFIRM is answered by exactly one READ or READ_FAILED with
 * `confirm` set; ACQUIRE by one ACQUIRED; WRITE by one WRITTEN; RELEASE by one RELEASED (each with the
 * order's serial); QUIESCE by one QUIESCED. Reads are consistent reads of the lock's key and nothing else.
 * After each step it puts the rights of the output into the gate and calls again with ELECTION_TIMER at
 * `timer`. */
#pragma once

#include "lictor/clock.h"
#include "lictor/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELECTION_ID_SIZE 37 /* a UUID in text form and NUL; "" means none */

/* A lease above this is refused, in the configuration and in the lock's value: a standby would wait as long.
 */
#define ELECTION_LEASE_LIMIT (60 * NS_PER_S)

#define ELECTION_LEASES 4 /* how many distinct lease lengths are remembered for a minute */

/* Three elections in this time, and the check that the session hangs on is widened. */
#define ELECTION_FLAPS       3
#define ELECTION_FLAP_WINDOW (300 * NS_PER_S)
#define ELECTION_CHECK_TTL   (500 * NS_PER_MS)
#define ELECTION_CHECK_WIDE  (2 * NS_PER_S)

struct election_config {
    char instance[ELECTION_ID_SIZE];
    nstime lease;        /* 1 ms up to ELECTION_LEASE_LIMIT */
    bool candidate;      /* false: follows, never stands */
    int priority;        /* the higher, the earlier it stands; 0..200 make a difference */
    uint64_t epoch_seen; /* highest ever seen, from state-dir */
    uint64_t seed;       /* of the jitter */
};

enum election_state {
    ELECTION_STARTING,    /* no session yet, or none any more */
    ELECTION_FOLLOWING,   /* reads the lock's key; stands when it is free */
    ELECTION_ACQUIRING,   /* an acquire is on its way */
    ELECTION_WAITING_OUT, /* holds the lock; the last holder's lease may still run */
    ELECTION_PRIMARY,     /* holds the lock and acts until the deadline */
    ELECTION_PAUSED,      /* holds the lock as far as known, may not act until a confirmation comes */
    ELECTION_QUIESCING,   /* giving up the lock: gate closed, effects are being ended */
    ELECTION_RELEASING,   /* giving up the lock: the transaction is on its way */
    ELECTION_RESOLVING,   /* the transaction's fate is unknown: stay closed and read */
    ELECTION_STOPPED,     /* for good */
    ELECTION_STATES,
};

enum election_event_kind {
    ELECTION_READ,          /* read */
    ELECTION_READ_FAILED,   /* read.confirm alone */
    ELECTION_SESSION,       /* session: a new one was created */
    ELECTION_SESSION_ALIVE, /* Consul renewed it */
    ELECTION_SESSION_LOST,  /* Consul does not know it any more */
    ELECTION_ACQUIRED,      /* result */
    ELECTION_WRITTEN,       /* result */
    ELECTION_RELEASED,      /* result */
    ELECTION_TIMER,
    ELECTION_READY,    /* flag: may this instance stand? */
    ELECTION_FURTHER,  /* flag: is another living candidate's mirror further than ours? */
    ELECTION_PAUSE,    /* flag: the operator paused elections; only ever delays one */
    ELECTION_HANDOVER, /* session: of the standby to give the lock to; "" gives it to nobody */
    ELECTION_STOP,     /* the same, and never stand again */
    ELECTION_ABORT,    /* close now, leave no marker, never stand again */
    ELECTION_QUIESCED, /* flag: clean */
    ELECTION_EVENTS,
};

/* The part of the lock's value that decides. All zero unless readable. */
struct election_value {
    bool readable; /* there is a value, and it is well-formed */
    char instance[ELECTION_ID_SIZE];
    uint64_t epoch; /* 0: the holder has not taken it up yet */
    nstime lease;
    bool marker; /* the holder named here released cleanly: it does not act any more */
    char marker_session[ELECTION_ID_SIZE];
    uint64_t marker_epoch;
};

/* A consistent read of the lock's key. */
struct election_read {
    bool confirm;             /* answers an order; false: the blocking query of the follower */
    nstime started, finished; /* of the request: what it shows was true at some instant between them */
    bool exists;
    char session[ELECTION_ID_SIZE]; /* the holder's; "": free */
    uint64_t create_index, modify_index;
    struct election_value value;
};

enum election_outcome {
    ELECTION_DONE,
    ELECTION_CONFLICT, /* refused (409, or `false`): nothing happened */
    ELECTION_BEHIND,   /* WRITE: nothing was written, since kv_epoch is not below the epoch */
    ELECTION_UNKNOWN,  /* no answer: it may have happened, or may happen yet */
};

struct election_result {
    enum election_outcome outcome;
    uint32_t serial; /* of the order that it answers */
    nstime started, finished;
    uint64_t create_index, modify_index; /* of the lock's key after it; DONE */
    uint64_t kv_epoch;                   /* BEHIND */
};

struct election_event {
    enum election_event_kind kind;
    nstime clock_offset; /* CLOCK_REALTIME - CLOCK_BOOTTIME, sampled with `now` */
    union {
        struct election_read read;
        struct election_result result;
        char session[ELECTION_ID_SIZE];
        bool flag;
    };
};

enum election_reason {
    ELECTION_WHY_STARTING,
    ELECTION_WHY_OTHER_HOLDS,
    ELECTION_WHY_FREE,
    ELECTION_WHY_NOT_CANDIDATE,
    ELECTION_WHY_NOT_READY,
    ELECTION_WHY_OPERATOR_PAUSE,
    ELECTION_WHY_ACQUIRING,
    ELECTION_WHY_LOST_RACE,
    ELECTION_WHY_ACQUIRE_UNKNOWN,
    ELECTION_WHY_WAITING_OUT,
    ELECTION_WHY_HANDED_TO_US,
    ELECTION_WHY_WAITED_OUT,
    ELECTION_WHY_MARKER,
    ELECTION_WHY_RESUMED,
    ELECTION_WHY_REOPENED,
    ELECTION_WHY_LEASE_RAN_OUT,
    ELECTION_WHY_CLOCK_STEPPED,
    ELECTION_WHY_LOST_TO_OTHER,
    ELECTION_WHY_LOST_FREE,
    ELECTION_WHY_KEY_MISSING,
    ELECTION_WHY_KEY_RECREATED,
    ELECTION_WHY_SESSION_LOST,
    ELECTION_WHY_TAMPERED,
    ELECTION_WHY_VALUE_OVERWRITTEN,
    ELECTION_WHY_REGAINED,
    ELECTION_WHY_HANDING_OVER,
    ELECTION_WHY_HANDED_OVER,
    ELECTION_WHY_RELEASED,
    ELECTION_WHY_HANDOVER_REFUSED,
    ELECTION_WHY_HANDOVER_UNKNOWN,
    ELECTION_WHY_NOT_PRIMARY,
    ELECTION_WHY_STOPPED,
    ELECTION_WHY_ABORTED,
    ELECTION_WHY_UNFIT,
    ELECTION_REASONS,
};

enum election_order_kind {
    /* Transaction: check-index (index; 0: check-not-exists), lock with our session; value: ours, epoch 0,
     * lease, no marker. The index makes an acquire that was queued for a whole reign fail. */
    ELECTION_ACQUIRE,
    /* GET of the lock, consistent, given up after `timeout`. */
    ELECTION_CONFIRM,
    /* Transaction: check-index, check-session, lock (keeps it, replaces the value: ours, epoch, lease,
     * serial, no marker), set `epoch`. The index makes a write that comes late, in another reign of ours,
     * fail. With `first`: read KV's `epoch` before it; BEHIND unless that is below. `serial` makes the value
     * differ from the last one, so that the key's ModifyIndex moves. */
    ELECTION_WRITE,
    /* Transaction: check-index, check-session, unlock, and, if session is not "", lock with that session;
     * value: epoch 0, the clean marker (our session, epoch) if `marker`. */
    ELECTION_RELEASE,
    ELECTION_QUIESCE,       /* end effects, let workers pass a batch */
    ELECTION_CHECK_SESSION, /* renew it now, to learn whether it lives */
    ELECTION_PROMOTED,      /* may act from now on, in `epoch` */
    ELECTION_DEMOTED,       /* may not act any more */
    ELECTION_NOTE,          /* tell people: reason */
    ELECTION_GIVEN_UP,      /* the end of HANDOVER: reason HANDED_OVER or RELEASED is success */
    ELECTION_ENDED,         /* the end of STOP or ABORT: the session may be destroyed */
};

struct election_order {
    enum election_order_kind kind;
    enum election_reason reason;
    uint64_t index, epoch;
    nstime lease, timeout;
    uint32_t serial;
    bool first, marker;
    char session[ELECTION_ID_SIZE];
};

#define ELECTION_ORDERS 12

struct election_output {
    size_t count;
    struct election_order orders[ELECTION_ORDERS]; /* in this order */
    /* The rights from now on, as in gate.h. */
    nstime act_until, refuse_until, ready_from;
    uint64_t epoch;
    nstime timer;     /* NS_NEVER: none */
    nstime check_ttl; /* of the check that the session hangs on */
};

/* Fields are for the module, the tests and status texts; nobody else writes them. */
struct election {
    struct election_config config;
    enum election_state state;
    enum election_reason reason; /* why it is in this state */
    struct rng rng;
    nstime clock_offset;
    bool clock_known;

    /* What this instance is able to do */
    char session[ELECTION_ID_SIZE];
    bool session_doubted; /* lost the lock: the session may be dead */
    bool suspicion;       /* lost the lock: tampering, if the session turns out to live */
    bool ready, behind, paused, stopping;

    /* What consistent reads showed */
    struct {
        nstime started; /* of the newest; 0: none yet */
        nstime since;   /* followed without a gap above a lease since */
        bool exists, free, spared;
        uint64_t modify_index;
        char last_instance[ELECTION_ID_SIZE]; /* whose value was there last */
        bool marker;
    } seen;
    struct {
        char session[ELECTION_ID_SIZE];
        uint64_t epoch;
    } holder; /* the last holder seen, this instance included */
    struct {
        nstime length, at;
    } leases[ELECTION_LEASES];
    nstime elections[ELECTION_FLAPS]; /* when the holder changed, oldest first; 0: none */
    uint64_t epoch_seen;
    nstime refuse_until, ready_from;
    nstime yielded_until; /* gave the lock away a moment ago: does not refuse yet */

    /* Standing */
    nstime acquire_at, stand_after;

    /* Holding */
    uint64_t epoch; /* of this reign or the last one */
    uint64_t create_index, modify_index;
    nstime held_from;  /* response of the acquire, or of the read that showed it */
    nstime wait_until; /* end of the wait-out */
    bool spared;       /* from the wait-out, by a clean marker */
    bool told;         /* PROMOTED was said, DEMOTED not yet */
    nstime proven;     /* start of the newest request that showed the lock to be ours in this reign, or of
                          failsafe's newest whole round */
    nstime deadline;   /* of the lease */
    nstime trust_from; /* requests started before it prove nothing (any more) */
    nstime voided;     /* the lease was voided at this instant and no confirmation came since; 0: no */
    enum election_reason void_reason;
    bool index_doubted; /* the reign began at an index that may be a restored one, and so may the epoch */
    bool written;       /* our value with our epoch is in the key */
    bool writing, first_write;
    nstime written_at, write_at;
    nstime value_lease;                       /* that the key's value names */
    uint32_t serial, awaited, written_serial; /* of the last order; of ACQUIRE or RELEASE; of WRITE */
    nstime confirm_at, confirmed_at;
    unsigned confirms_in_flight;
    bool clean; /* quiesced cleanly */
    char target[ELECTION_ID_SIZE];

    struct {
        uint64_t promotions, demotions, elections, confirms, confirm_failures, tampered;
    } counters;
};

void election_init(struct election *election, const struct election_config *config, nstime now);

/* `out` is overwritten. `now` never goes back. */
void election_step(struct election *election, const struct election_event *event, nstime now,
                   struct election_output *out);

/* How long a holder made at `now` would wait at least: the longest of our own lease and any seen in the last
 * minute, times 1.01, and 50 ms. */
nstime election_wait_out(const struct election *election, nstime now);

/* The caller's part of the lock's value has changed: a primary orders WRITE at the next ELECTION_TIMER. */
void election_rewrite(struct election *election, nstime now);

/* Does this state hold the lock, as far as is known? */
bool election_holds(const struct election *election);

const char *election_state_text(enum election_state state);
/* A clause for people, such as "the lease ran out: no confirmation came". */
const char *election_reason_text(enum election_reason reason);
