/* Between the files of role/. */
#pragma once

#include "value.h"
#include "witness.h"

#include "lictor/peer.h"
#include "lictor/role.h"

#include <event2/event.h>

#define ROLE_BEAT           (125 * NS_PER_MS)
#define ROLE_RENEW          (2500 * NS_PER_MS)
#define ROLE_SESSION        (10 * NS_PER_S) /* Consul's least TTL; it ends a session after twice that */
#define ROLE_STOP           (3 * NS_PER_S)
#define ROLE_ASK            (2 * NS_PER_S) /* for requests that are not the lease's */
#define ROLE_EVENTS         16
#define ROLE_DECISIONS      50
#define ROLE_FAULTS         16
#define MEMBER_NO_CANDIDATE "not a candidate" /* as a member's reason */

/* A request on its way, so that role_free can cancel every one. */
struct call;
typedef void reply_fn(struct role *role, struct consul_response *response, uint64_t tag);

/* How this instance comes to have a session (presence.c). */
enum presence {
    PRESENCE_NONE,     /* not begun, or leaving */
    PRESENCE_MEMBERS,  /* is our name free? did an earlier life of ours leave a session? */
    PRESENCE_REGISTER, /* our service instance with its check */
    PRESENCE_CATALOG,  /* is the check in the catalog? Before that no session can hang on it */
    PRESENCE_OLD,      /* end the session of our earlier life */
    PRESENCE_SESSION,
    PRESENCE_LIVE,
};

struct living_member {
    struct member_value value;
    char session[ELECTION_ID_SIZE];
    uint64_t create_index;
};

/* A request that failed last time, in Consul's own words. */
struct fault {
    const char *what; /* a literal; NULL: this place is free */
    char text[256];
};

struct decision {
    nstime at; /* CLOCK_REALTIME */
    char what[320];
};

struct consent; /* failsafe.c */
struct asked;   /* requests.c: what was asked for on this standby */
struct pausing; /* pause.c: `pause` or `resume` under way */

struct role {
    struct role_hooks hooks;
    struct event_base *base;
    struct consul_client *client; /* NULL: no election configured */
    struct gate *gate;
    char cluster[256], node[VALUE_NODE], instance[ELECTION_ID_SIZE], address[VALUE_ADDRESS];
    char host[VALUE_ADDRESS]; /* of the registered service; "": the node's */
    uint16_t port;
    nstime lease;
    int priority;
    bool candidate, started;

    struct election election;
    struct event *timer;
    struct election_event events[ROLE_EVENTS]; /* a step's orders may cause events: they wait here */
    size_t event_count;
    bool stepping;
    nstime act_until, check_ttl;
    bool ready;
    char ready_reason[256];
    struct call *calls;

    /* presence.c */
    enum presence presence;
    struct event *beat, *presence_timer, *renew_timer;
    unsigned presence_failures, beats_in_flight;
    bool registered, registering, ever_live, renewing;
    char service_id[600], check_id[620], old_session[ELECTION_ID_SIZE], consul_node[VALUE_NODE];
    nstime registered_ttl, name_taken_since, catalog_since;
    bool registered_primary;

    /* lock.c */
    struct election_order writing; /* the order whose epoch is being read first */
    char target_instance[ELECTION_ID_SIZE], target_node[VALUE_NODE], target_address[VALUE_ADDRESS];

    /* following.c */
    struct consul_watch *leader_watch;
    struct event *leader_again;
    struct lock_value leader;
    char leader_session[ELECTION_ID_SIZE];
    struct {
        char node[VALUE_NODE], instance[ELECTION_ID_SIZE];
    } last_primary;    /* whom the lock's value named last; empty: nobody yet */
    nstime free_since; /* when this instance first knew of no other holder */

    /* members.c */
    struct consul_watch *members_watch;
    struct living_member members[ROLE_MEMBERS];
    size_t member_count;
    char *member_written;                   /* the JSON that is in our key, NULL: none */
    struct role_mirror mirror, mirror_told; /* ours; as our key says */
    nstime mirror_told_at;
    bool behind; /* as the election knows it */
    bool member_writing;
    nstime member_retry;
    struct dead_member *dead_members; /* burial.c */

    /* handover.c, requests.c */
    struct consul_watch *requests_watch;
    void (*handover_done)(void *arg, const char *error);
    void *handover_arg;
    char handover_to[VALUE_NODE];
    enum request_ask handover_ask;
    bool handover_busy;
    char *answering; /* the request that the running hand-over answers, NULL: none */
    uint64_t answering_index;
    struct asked *asked;

    /* pause.c */
    struct consul_watch *pause_watch;
    struct pausing *pausing;
    struct pause_value pause;
    bool pause_asked;    /* Consul was asked whether elections are paused, and answered or refused to */
    bool pause_known;    /* there is a readable value */
    bool pausing_active; /* it is in force: not expired */
    nstime pause_remove_at;
    uint64_t pause_index, pause_said; /* the value's ModifyIndex; of the one that was logged */

    /* proof.c */
    struct witness *witness;
    struct {
        char session[ELECTION_ID_SIZE], address[VALUE_ADDRESS];
    } witnessed; /* whose life is or was watched */
    uint64_t deaths_proven;

    /* leaving.c */
    void (*left)(void *arg);
    void *left_arg;
    struct event *leave_timer;
    bool leaving, cleaning;
    unsigned farewells;

    /* failsafe.c */
    struct consent *consent; /* NULL: no peer-key */
    uint64_t leader_index;   /* ModifyIndex that `leader` was read at; 0: no key */

    /* report.c */
    struct fault faults[ROLE_FAULTS]; /* what does not work at present */
    struct decision decisions[ROLE_DECISIONS];
    size_t decision_count; /* ever */
    char standby_of[ELECTION_ID_SIZE];
    uint64_t standby_epoch;
    bool standby_ready;
    nstime vacancy_told; /* 0: not in this vacancy */
};

/* calls.c */
char *role_key(const struct role *role, const char *name);                        /* caller frees */
char *role_kv_path(const struct role *role, const char *name, const char *query); /* caller frees */
/* Follows the keys that begin so. */
struct consul_watch *role_watch_list(struct role *role, const char *name, consul_watch_fn *callback);
/* Of a list of keys: whether it was read; none is an answer too, from a server that knows its leader.
 * consul_kv_free them. */
bool role_read_list(const struct consul_response *response, struct consul_kv **entries, size_t *count);
void call_send(struct role *role, const char *method, char *path, const char *body, nstime timeout,
               reply_fn *reply, uint64_t tag); /* frees path */
void call_json(struct role *role, char *path, json_t *json, nstime timeout, reply_fn *reply, uint64_t tag);
void call_txn(struct role *role, json_t *ops, nstime timeout, reply_fn *reply, uint64_t tag);
void calls_cancel(struct role *role);
struct event *role_timer(struct role *role, void (*due)(struct role *role));
void role_after(struct event *timer, nstime delay);
void role_timer_free(struct event *timer);

/* role.c */
void role_feed(struct role *role, const struct election_event *event);
void role_feed_session(struct role *role, enum election_event_kind kind, const char *session);
void role_tell(struct role *role, enum role_event_kind kind, uint64_t epoch, const char *reason);
void role_fatal(struct role *role, const char *reason);

/* presence.c */
void presence_start(struct role *role);
void presence_check_session(struct role *role);
void presence_stop(struct role *role);

/* lock.c */
void lock_acquire(struct role *role, const struct election_order *order);
void lock_confirm(struct role *role, const struct election_order *order);
void lock_write(struct role *role, const struct election_order *order);
void lock_release(struct role *role, const struct election_order *order);
/* Deletes a key, if it is still at this ModifyIndex, in a transaction that begins with check-session. */
void remove_key(struct role *role, const char *key, uint64_t index, reply_fn *reply);
/* Makes the event READ or READ_FAILED of a GET of the lock; the value and holder go to role->leader. */
void lock_read(struct role *role, struct consul_response *response, bool confirm);

/* following.c */
void following_start(struct role *role);
void following_stop(struct role *role);

/* members.c */
void members_start(struct role *role);
void members_stop(struct role *role);
void members_refresh(struct role *role);       /* writes our own key if it should say something else */
bool members_further(const struct role *role); /* has another candidate a mirror beyond ours? */
size_t members_parse(const struct role *role, const struct buf *body, struct living_member *out, size_t max,
                     char old_session[ELECTION_ID_SIZE]);

/* burial.c */
void burial_note(struct role *role, const struct consul_kv *entries, size_t count); /* the members' keys */
void burial_mind(struct role *role);

/* proof.c */
void proof_mind(struct role *role); /* after each step: whose life is to be watched */
void proof_stop(struct role *role);

/* handover.c */
void handover_begin(struct role *role, enum request_ask ask, const char *to,
                    void (*done)(void *arg, const char *error), void *arg);
void handover_end(struct role *role, enum election_reason reason);
const struct living_member *handover_choose(const struct role *role, const struct living_member *members,
                                            size_t count, const char *to, char *error, size_t size);
void handover_target(struct role *role, const struct living_member *member); /* NULL: none */

/* requests.c */
void requests_start(struct role *role);
void requests_stop(struct role *role);
void requests_look(struct role *role); /* now: this instance became primary */
void requests_ask(struct role *role, enum request_ask ask, const char *to,
                  void (*done)(void *arg, const char *error), void *arg);
void requests_answer(struct role *role, const char *error);

/* pause.c */
void pause_start(struct role *role);
void pause_stop(struct role *role);
/* Looks again whether the pause holds this instance back: it may have expired, or be about another primary.
 */
void pause_mind(struct role *role);
json_t *pause_json(const struct role *role);
const char *pause_text(const struct role *role, char *out, size_t size); /* "" when not paused */

/* leaving.c */
void leaving_ended(struct role *role); /* the lock is given up */
void leaving_due(struct role *role);   /* out of time */

/* failsafe.c; all but consent_bars do nothing without a peer-key */
int consent_new(struct role *role, const struct config *config, struct err *err);
void consent_free(struct role *role);
void consent_look(struct role *role); /* after each step, before its orders are carried out */
/* Our WRITE with this serial is about to be sent, was done; the lock was read. */
void consent_writes(struct role *role, uint32_t serial, struct lock_value *value);
void consent_written(struct role *role, uint32_t serial);
void consent_read(struct role *role);
void consent_missed(struct role *role);  /* it could not be read */
void consent_refresh(struct role *role); /* the members may have changed */
bool consent_bars(const struct role *role, char reason[256]);
json_t *consent_status(const struct role *role);

/* report.c */
void report_note(struct role *role, const struct election_order *order);
void report_decision(struct role *role, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A request failed; said once, until it works again. */
void report_error(struct role *role, const char *what, const struct consul_response *response);
void report_works(struct role *role, const char *what);
void report_standing(struct role *role);
void report_role_text(const struct role *role, char *out, size_t size);

/* vacancy.c */
void report_vacancy(struct role *role); /* at each beat: who is not ready, once nobody stands for 10 s */
void vacancy_text(const struct role *role, nstime vacancy, char *out, size_t size);
