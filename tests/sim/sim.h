/* The simulator: the real election of 2 to 5 instances against a model of Consul, in virtual time.
 *
 * One `struct world` is one history. It is a pure function of its schedule: the same schedule gives the same
 * history, to the nanosecond. Times without another word are *true* time, ns since the history's begin;
 * "local" times are an instance's own clock. Single-threaded; several worlds may run in several threads. */
#pragma once

#include "election/mutation.h"
#include "lictor/election.h"
#include "lictor/gate.h"

#include <stdio.h>

#define INSTANCES 5
#define SESSIONS  48
#define MESSAGES  1024
#define CALLS     32
#define FAULTS    48

#define MS NS_PER_MS
#define S  NS_PER_S

/* Rules left out on purpose, to prove that leaving them out is noticed: those of src/election (mutation.h
 * there), and these of the simulator's stand-in for role/, of its clocks and of its transactions. */
enum mutation {
    MUTATION_SHELL = MUTATION_ELECTION_END,
    MUTATION_MONOTONIC_CLOCK = MUTATION_SHELL,
    MUTATION_NO_CHECK_SESSION,
    MUTATION_NO_CHECK_INDEX,
    MUTATION_NO_QUIESCE,
    MUTATIONS,
};

extern const char *const mutation_names[MUTATIONS];

/* ---- the schedule ---- */

enum fault_kind {
    /* processes and hosts */
    FAULT_KILL,    /* restarted after `duration`, with the lease `amount` ms (0: as before) */
    FAULT_STOP,    /* SIGSTOP for `duration` */
    FAULT_SUSPEND, /* the whole host, its agent included */
    FAULT_CLOCK,   /* REALTIME steps by `amount` ms */
    FAULT_UNREADY, /* for `duration` */
    FAULT_SLOW_QUIESCE,
    /* what operators do */
    FAULT_HANDOVER, /* to instance `other`; to nobody if it is the same, or with `amount` */
    FAULT_RESIGN,   /* SIGTERM; started again after `duration` */
    FAULT_ABORT,    /* its runner died; started again after `duration` */
    FAULT_PAUSE,    /* no elections for `duration` */
    /* between instance and Consul */
    FAULT_CUT,   /* nothing passes for `duration` */
    FAULT_DEAF,  /* requests pass, answers do not */
    FAULT_SLOW,  /* both ways take up to `amount` ms */
    FAULT_LOSSY, /* a fifth is lost */
    FAULT_HOLD,  /* the request on its way arrives `duration` later */
    FAULT_LOSE,  /* the answer to the request on its way is lost */
    FAULT_AGENT, /* the agent is away for `duration`, and its checks begin as critical */
    FAULT_LEAVE, /* the agent leaves the cluster: all its sessions die; back after `duration` */
    /* Consul itself */
    FAULT_LEADER,   /* no leader for `duration` */
    FAULT_SNAPSHOT, /* saved */
    FAULT_RESTORE,  /* the last snapshot, if there is one */
    /* tampering */
    FAULT_DELETE,   /* of the lock's key */
    FAULT_PUT,      /* something else into the lock's key; the holder stays */
    FAULT_RELEASE,  /* by somebody who looked the session up */
    FAULT_DESTROY,  /* the holder's session */
    FAULT_RECREATE, /* DELETE, then a PUT of the old value */
    FAULT_EPOCH,    /* the key `epoch` deleted (amount 0) or set */
    FAULT_KINDS,
};

extern const char *const fault_names[FAULT_KINDS];

enum request_kind {
    REQUEST_NONE,
    REQUEST_CONFIRM,
    REQUEST_FOLLOW,
    REQUEST_ACQUIRE,
    REQUEST_EPOCH,
    REQUEST_WRITE,
    REQUEST_RELEASE,
    REQUEST_COMMIT, /* what the primary writes: zones, outbox */
    REQUEST_HEAD,   /* the read before it */
    REQUEST_RENEW,
    REQUEST_OLD,      /* which session did our earlier life leave? */
    REQUEST_REGISTER, /* service and check, with the agent */
    REQUEST_CREATE,
    REQUEST_DESTROY,
    REQUEST_KINDS,
};

extern const char *const request_names[REQUEST_KINDS];

enum subject { SUBJECT_FIXED, SUBJECT_HOLDER, SUBJECT_SENDER };

/* At `at` the fault happens; with a trigger it is armed then, and happens `delay` after the next such request
 * of anybody (or of `instance`, if the subject is fixed) leaves. */
struct fault {
    nstime at, delay, duration;
    enum fault_kind kind;
    enum request_kind trigger;
    enum subject subject;
    unsigned instance, other;
    int amount;
    bool off; /* left out, by the shrinker */
};

struct schedule {
    uint64_t seed; /* of all that is not written here: latencies, jitter */
    unsigned instances, faults;
    nstime quiet; /* from here on all is well; then a primary must come to stand */
    struct {
        nstime lease, start;
        int ppm, priority;
        bool candidate;
    } instance[INSTANCES];
    nstime lock_delay;
    struct fault fault[FAULTS];
};

/* ---- Consul ---- */

typedef uint32_t session_id; /* 0: none */

struct session {
    session_id id;
    unsigned node;
    nstime expires;
};

/* All that a snapshot holds. */
struct state {
    struct {
        bool exists;
        session_id session;
        uint64_t create, modify;
        struct election_value value;
    } leader;
    struct {
        bool exists;
        uint64_t value;
    } epoch;
    struct {
        uint64_t modify, epoch;
    } head;
    struct session sessions[SESSIONS];
    session_id member[INSTANCES]; /* the session that holds members/<instance> */
    uint64_t mirror[INSTANCES];   /* how far its mirrors are, as that key says */
    bool passing[INSTANCES];      /* the check of the instance, in the catalog */
    bool alive[INSTANCES];        /* serfHealth of its host */
};

struct agent {
    nstime back;    /* away until */
    nstime cut;     /* from the servers until */
    nstime deaf;    /* hears no answers until */
    nstime expires; /* of the TTL check */
    nstime ttl;
    nstime unreachable; /* since; NS_NEVER: it is reachable */
    nstime resync;      /* the next full comparison with the catalog */
    bool registered, passing;
};

/* ---- messages ---- */

enum status { STATUS_OK, STATUS_CONFLICT, STATUS_FAILED };

struct request {
    enum request_kind kind;
    unsigned call, life;
    uint32_t id;
    session_id session, target;
    unsigned target_instance;
    uint64_t seen_version; /* FOLLOW: what it has */
    uint64_t index;        /* COMMIT: of the head */
    uint64_t commit_epoch; /* COMMIT */
    struct election_order order;
    bool delayed; /* lock-delay was in force when the leader looked, before the raft append */
    bool mute;    /* its answer gets lost */
    nstime sent;
};

struct reply {
    enum status status;
    bool exists;
    session_id session;
    uint64_t create, modify, number, version;
    struct election_value value;
};

struct consul {
    struct state state, saved;
    bool has_saved;
    uint64_t raft, version;  /* version counts changes of the lock's key, for blocking queries */
    nstime no_leader;        /* until */
    nstime lock_delay_until; /* of the lock's key; in the leader's memory alone */
    session_id last_session;
    struct {
        uint32_t id; /* 0: none */
        struct request request;
    } blocked[INSTANCES]; /* the followers' queries */
    uint32_t last_blocked;
    struct agent agent[INSTANCES];
};

enum message_kind {
    MESSAGE_ARRIVE, /* request at Consul's leader */
    MESSAGE_APPLY,  /* its raft entry */
    MESSAGE_WAKE,   /* the end of a blocking query's wait */
    MESSAGE_REPLY,  /* at the instance */
    MESSAGE_TIMEOUT,
    MESSAGE_TIMER, /* the election's */
    MESSAGE_BEAT,
    MESSAGE_QUIESCED,
    MESSAGE_EVENT, /* something that main hears: ready, hand over, stop, ... */
    MESSAGE_AGAIN, /* the next step of presence, of following, or the next commit */
    MESSAGE_LAPSE, /* the check's TTL may be over */
    MESSAGE_SYNC,  /* the agent tells the catalog */
    MESSAGE_SERF,  /* the host may be declared dead */
    MESSAGE_TICK,  /* sessions' TTLs and other slow things */
    MESSAGE_START, /* of the process */
    MESSAGE_FAULT,
};

struct message {
    nstime at;
    uint32_t order; /* among those of one instant */
    enum message_kind kind;
    unsigned instance, life;
    uint32_t id; /* of the timer, the quiesce, the fault, the kind of AGAIN */
    union {
        struct {
            struct request request;
            struct reply reply;
        };
        struct election_event event;
    };
};

/* ---- instances ---- */

struct call {    /* a request that waits for its answer */
    uint32_t id; /* 0: free */
    enum request_kind kind;
    nstime started; /* local */
    struct election_order order;
};

struct instance {
    struct election e;
    struct gate gate;
    char name[ELECTION_ID_SIZE];
    bool running, stopping;
    unsigned life;
    nstime lease, stopped_until; /* processes nothing until */
    nstime restart_at;           /* not before, when it exits */
    uint64_t saved_epoch;        /* in state-dir */

    nstime clock_base, real_step;
    int ppm;
    /* Host suspends, as a clock that does not see them counts: those before, and the last one. */
    nstime frozen, frozen_since, frozen_until;

    nstime timer, timer_posted; /* when the election wants to be called, and is */
    uint32_t timer_id, last_call;
    struct call calls[CALLS];
    uint64_t seen_version;
    nstime check_ttl;

    session_id session, old_session;
    nstime registered_at;
    bool ready, was_ready, handing_over, renewing;
    bool behind;         /* another member's mirror is further, as far as its key says */
    uint64_t mirror;     /* the head that its mirror has followed; on disk */
    nstime mirror_told;  /* when its key was brought up to date */
    nstime slow_quiesce; /* until */
    unsigned target;
    nstime unready_until;
    struct election_order writing; /* waits for the epoch */

    nstime effect_until; /* what was begun while it acted may still have an effect */
    nstime effect_end;   /* of the batch or program that runs */
    uint64_t head_index;
    bool head_known;
};

/* ---- the world ---- */

struct counts {
    uint64_t schedules, faults[FAULT_KINDS], reasons[ELECTION_REASONS], requests[REQUEST_KINDS];
    uint64_t promotions, elections, spared, handovers, tampered, commits, fenced, conflicts, timeouts,
        virtual_s;
    uint64_t stood_back; /* since another mirror was further */
    uint64_t late_acquires, skipped_lock_delay, refused_lock_delay;
    nstime longest_recovery;
};

struct world {
    const struct schedule *schedule;
    unsigned mutation;
    struct rng rng;
    nstime now;
    struct consul consul;
    struct instance in[INSTANCES];
    unsigned armed[FAULTS], armed_count;

    struct message pool[MESSAGES];
    uint16_t heap[MESSAGES], heap_count, free[MESSAGES], free_count;
    uint32_t order;

    uint64_t highest_epoch;
    unsigned highest_by, highest_life;
    nstime slow_until[INSTANCES], lossy_until[INSTANCES];
    int slow_ms[INSTANCES];
    nstime operator_pause; /* until */
    nstime standing_since; /* after `quiet`: one acts since; NS_NEVER: none */
    char failure[200];     /* "": none */
    struct counts *counts;
    FILE *trace; /* NULL: silent */
};

/* world.c: time and messages */
void world_run(struct world *w, const struct schedule *schedule, unsigned mutation, struct counts *counts,
               FILE *trace);
nstime local_time(const struct world *w, unsigned i, nstime at);
nstime true_time(const struct world *w, unsigned i, nstime local);
void message_defer(struct world *w, unsigned place_in_heap, nstime at);
struct message *post(struct world *w, enum message_kind kind, unsigned instance, nstime at);
bool chance(struct world *w, unsigned per_thousand);
nstime within(struct world *w, nstime least, nstime most);
nstime latency(struct world *w, unsigned instance);
bool lost(struct world *w, unsigned instance);
void fail(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void trace(struct world *w, int instance, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void session_text(session_id session, char out[ELECTION_ID_SIZE]);
session_id session_number(const char *text);

/* consul.c, agent.c */
void consul_begin(struct world *w);
void consul_arrive(struct world *w, struct message *m);
void consul_apply(struct world *w, struct message *m);
void consul_wake(struct world *w, struct message *m);
void consul_invalidate(struct world *w, session_id session);
void consul_touch_leader(struct world *w); /* the key changed: blocking queries wake */
bool consul_session_lives(const struct world *w, session_id session);
void agent_sync(struct world *w, unsigned i);
void agent_register(struct world *w, unsigned i);
void agent_beat(struct world *w, unsigned i);
void agent_lapse(struct world *w, unsigned i);
void agent_serf(struct world *w, unsigned i);
void agent_reachable(struct world *w, unsigned i); /* look again whether it is */
void agent_tick(struct world *w);

/* shell.c, presence.c: what role/ does around the election */
void shell_start(struct world *w, unsigned i);
void shell_end(struct world *w, unsigned i); /* the process is gone */
void shell_event(struct world *w, unsigned i, struct election_event *event, unsigned target);
void shell_timer(struct world *w, unsigned i);
void shell_beat(struct world *w, unsigned i);
void shell_reply(struct world *w, struct message *m, bool timed_out);
void shell_again(struct world *w, unsigned i, enum request_kind what);
struct request *shell_send(struct world *w, unsigned i, enum request_kind kind, nstime timeout);
void presence_reply(struct world *w, unsigned i, enum request_kind kind, const struct reply *reply);
void presence_session_lost(struct world *w, unsigned i);

/* faults.c */
void faults_begin(struct world *w);
void fault_due(struct world *w, unsigned number, int sender);
void faults_sent(struct world *w, unsigned i, enum request_kind kind);

/* check.c */
void check_step(struct world *w, unsigned i, nstime old_deadline);
void check_promoted(struct world *w, unsigned i, uint64_t epoch);
void check_commit(struct world *w, unsigned i, const struct request *request);
void check_refusing(struct world *w, unsigned i);
bool check_recovery(struct world *w); /* true: nothing more to wait for */
nstime recovery_bound(const struct schedule *schedule);

/* random.c, fixed.c, shrink.c */
void schedule_random(struct schedule *schedule, uint64_t seed);
struct fixed {
    const char *name;
    unsigned caught; /* it proves something only if this mutation fails on it */
    void (*make)(struct schedule *schedule);
};
extern const struct fixed fixed_schedules[];
extern const size_t fixed_count;
void schedule_shrink(struct schedule *schedule, unsigned mutation);
void schedule_print(const struct schedule *schedule, FILE *out);
