/* What the files of watch/ share. Everything is main's unless it says builder. */
#pragma once

#include "belief.h"

struct asking;
struct check_list;
struct node_read;

#include "lictor/strmap.h"
#include "lictor/watch.h"

#include <event2/event.h>
#include <stdatomic.h>
#include <sys/queue.h>

/* Connections: 4 sentinels, the pool, and reads with what is left. */
#define SENTINELS     4
#define POOL_MAX      (WATCH_CONNECTIONS - SENTINELS - READS_MAX)
#define READS_MAX     8
#define READS_INITIAL 16
/* Bodies waiting for the builder: more are not asked for, so that a sweep does not delay what changes
 * meanwhile. */
#define BUILDER_BACKLOG 32
/* A body that is not what Consul sends: ask again, but not in a loop. */
#define FAULT_RETRY  (5 * NS_PER_S)
#define READ_TIMEOUT (30 * NS_PER_S)

/* The blocked query with a short wait: a Consul that is silently gone is noticed within this and a bit more.
 */
#define HEARTBEAT_WAIT (10 * NS_PER_S)

/* A server that has not heard from its leader for this long is cut off. */
#define LEADER_SILENT (10 * NS_PER_S)

/* Lost rights show in the list of services at the latest after this. */
#define CANARY_WAIT (60 * NS_PER_S)

/* A Consul that is restored between two rounds of a blocked query is asked with an index that it will not
 * reach for a while, and nothing wakes: it shows when the wait is over. */
#define LIST_WAIT (60 * NS_PER_S)

/* While they are lost: an ACL change wakes no blocked query, and one that waits keeps the rights it began
 * with.
 */
#define DENIED_RETRY (5 * NS_PER_S)

/* Not Consul's five minutes: when we end, the agent notices only at the end of a blocked query that its
 * connection is gone, and until then it counts towards the 200 that it allows to this host. */
#define POOL_WAIT (60 * NS_PER_S)

/* A service that is failing and recovering several times within a second is still told at once, each time;
 * only one that goes on like that waits for its rate. Large bodies have to be parsed: as below. */
#define POOL_BURST  10
#define POOL_OCTETS CHECKS_OCTETS

/* The lists of checks say where health changed, so their rate is the delay of an answer when many change: 10
 * ms a round. Parsing takes the builder some 40 ns an octet: large lists get a third of it. */
#define CHECKS_RATE   100
#define CHECKS_BURST  10
#define CHECKS_OCTETS (8 * 1024 * 1024)

/* A sweep over all that nothing asked for; so many of them later one of whole reads. */
#define RECONCILE_EVERY (300 * NS_PER_S)
#define WHOLE_EVERY     12
/* Between sweeps of probes: so many times as long as the last one took. */
#define SWEEP_REST 9

/* How far behind a server may be that answers stale reads: a sweep that began sooner after a sentinel moved
 * is repeated. */
#define SERVERS_LAG (10 * NS_PER_S)

/* A place in the pool is not taken from one that was asked this lately. */
#define POOL_ASKED (60 * NS_PER_S)
/* The agent keeps the connection of a blocked query that was given up, until its wait is over. */
#define EVICT_EVERY (2 * NS_PER_S)
/* One that found no place is looked at this often while it is asked. */
#define ASKED_PROBE (5 * NS_PER_S)

/* Indexes that go back: a server that lags behind looks the same, so not too often. */
#define REWIND_EVERY (30 * NS_PER_S)

enum sentinel { SENTINEL_SERVICES, SENTINEL_NODES, SENTINEL_CRITICAL, SENTINEL_WARNING, NO_SENTINEL };

enum read_mode { READ_PROBE, READ_STALE, READ_DEFAULT, READ_CONSISTENT };

/* Over what has no blocked query, since a sentinel moved; over all; over all by whole reads. */
enum sweep { SWEEP_NONE, SWEEP_MOVED, SWEEP_RECONCILE, SWEEP_WHOLE };

TAILQ_HEAD(subjects, subject);

/* What is read as a whole: one service's health, or the list of nodes. */
struct subject {
    struct watch *watch;
    char *key;  /* folded name; NULL: the nodes */
    char *path; /* without a query string */
    struct consul_watch
        *blocked; /* in the pool (the nodes: always); NULL: read when something points at it */
    struct consul_request *request;
    struct event *timer; /* the next read, after a failure or when a hold ends */
    TAILQ_ENTRY(subject) reads, canaries, pooled;
    struct subjects *queue; /* where it waits for its read, or NULL */
    enum read_mode mode;    /* of the next read */
    enum read_mode sent;    /* of the one under way */
    uint64_t index;         /* X-Consul-Index of the last body that went to the builder */
    uint64_t floor;         /* an index that a read in default mode cannot be below */
    uint64_t sent_floor;    /* the same when the read under way was sent */
    nstime asked;           /* 0: never */
    nstime probed;          /* since it was asked */
    nstime moved;           /* when a probe found that last; 0: never */
    bool pinned;            /* the configuration names it */
    bool in_sweep;          /* its read is one that the sweep waits for */
    bool listed;            /* in catalog/services */
    bool seen;              /* judged at least once, or found not to be readable */
    bool again;             /* to be queued when the present read is back */
    bool awaits_canary;
    bool asking_canary; /* the canary is being read for it */
    bool removed;       /* freed with its last job */
    unsigned jobs, failures, olds;
    enum belief_reason held;
    struct belief_hold hold; /* builder */
};

struct watch {
    struct watch_config config;
    _Atomic unsigned refs; /* main's and one for each job */
    bool stopped;
    bool live;

    struct subject nodes;
    struct strmap *services; /* folded name -> struct subject */
    size_t unseen, pooled, held;
    unsigned pool_max;                     /* most of them on blocked queries */
    unsigned connections;                  /* for all but the canary */
    char *name;                            /* in the log */
    struct consul_watch *lists[SENTINELS]; /* services, critical, warning; the nodes' is the subject's */
    bool listed[SENTINELS];                /* the first one came in */
    size_t list_len[SENTINELS];            /* octets of the last body */
    uint64_t list_index[SENTINELS];
    bool list_doubted[SENTINELS]; /* faulty or denied: asked again by doubt_timer */
    struct event *doubt_timer;
    struct event *list_timer; /* when a held list of services is asked for again */
    bool denied;              /* catalog/services lost the canary */

    struct subjects urgent, queue, waiting; /* for a read; for the canary */
    struct event *pause;                    /* pending: no reads, several failed in a row */
    unsigned read_failures;
    unsigned reading, judging; /* requests under way; bodies with the builder */
    struct consul_request *canary;
    struct event *canary_timer;
    unsigned canary_failures;

    struct subjects pool; /* the one asked last is first */
    nstime evicted;       /* when the last one was */

    bool only_asked;       /* does not change; the builder reads it too */
    struct asking *asking; /* NULL: all are watched */

    struct strmap *node_reads; /* node -> struct node_read */
    TAILQ_HEAD(node_queue, node_read) node_queue;

    struct event *sweep_timer, *reconcile_timer;
    enum sweep sweep, sweep_wanted; /* the present one, and the next */
    size_t sweep_left;              /* reads that the present one waits for */
    uint64_t sweep_index;           /* watch_sentinel_sum when it began */
    nstime sweep_started, probes_took;
    nstime sweep_ended;   /* the last one that a sentinel caused */
    nstime moved_at;      /* when a sentinel moved last */
    bool sweep_followers; /* a probe of the last one was not answered by the leader */
    bool sweep_confirms;  /* the next one is only for servers that lagged behind in the last one */
    unsigned reconciled;
    nstime rewound;

    struct coordinates *coordinates; /* NULL: not wanted */
    struct consul_request *self;     /* /v1/agent/self */
    struct event *self_timer;
    struct rights *rights; /* of our own datacenter; else NULL */
    unsigned self_failures;
    bool datacenter_known;

    bool failing[SENTINELS];
    bool lost;
    bool roused; /* the failing sentinels were told that something answers again */
    nstime last_contact;
    nstime lost_at;
    char error[256];
    struct watch_stats stats;

    /* Builder. */
    struct belief belief;
    struct belief_hold names_hold;
    struct strmap *names;                 /* catalog/services as it was last: folded name -> struct listed */
    struct check_list *checks[SENTINELS]; /* critical, warning */
    bool flush_pending;
    _Atomic bool publish; /* changes may be shown: there is a complete view, be it an old one */
};

/* --- watch.c ------------------------------------------------------------------------------------- */
struct watch *watch_hold(struct watch *watch);
void watch_release(struct watch *watch);
/* Goes live when everything has come in. */
void watch_check_complete(struct watch *watch);
/* Moves when any of the lists moves. */
uint64_t watch_sentinel_sum(const struct watch *watch);

/* --- contact.c: freshness ------------------------------------------------------------------------ */
void contact_note(struct watch *watch, enum sentinel sentinel, const struct consul_response *response);
void contact_update(struct watch *watch);
/* Is a sentinel failing? */
bool contact_down(const struct watch *watch);
/* Reads everything, whatever the indexes say: a token's rights change what a list shows, not its index. */
void contact_read_anew(struct watch *watch);

/* --- subject.c: reading services and nodes ------------------------------------------------------- */
struct subject *subject_find(struct watch *watch, const char *key);
/* A new one, unlisted and without a read. name: as registered. */
struct subject *subject_new(struct watch *watch, const char *key, const char *name);
void subject_start_nodes(struct watch *watch);
/* Into the pool if there is room, else into the queue. */
void subject_watch(struct subject *subject);
void subject_read(struct subject *subject, enum read_mode mode, bool urgent);
/* Once, after a delay; the last call counts. */
void subject_read_later(struct subject *subject, nstime delay, enum read_mode mode);
/* Gone from Consul: freed with its last job. */
void subject_remove(struct subject *subject);
void subject_free(struct subject *subject);
void subject_stop(struct subject *subject);
void subject_set_seen(struct subject *subject);
/* As many as pool_max allows keep their blocked query. */
void subjects_fit_pool(struct watch *watch);
/* Sends what may be sent. */
void reads_pump(struct watch *watch);
/* The pool, or at least a look. */
void subject_asked(struct subject *subject);
/* Consul's indexes began anew: whatever is under way is asked again. */
void subject_forget(struct subject *subject);
/* Ends a pause after failures. */
void reads_resume(struct watch *watch);
void reads_stop(struct watch *watch);

/* --- asking.c: only what is asked for ------------------------------------------------------------- */
void asking_start(struct watch *watch);
void asking_stop(struct watch *watch);
/* Whoever waits for it is told, once what was read is published. */
void asking_seen(struct subject *subject);
/* Those that actions follow are watched, asked for or not. */
void asking_pin(struct watch *watch);

/* --- canary.c ------------------------------------------------------------------------------------ */
void canary_await(struct subject *subject);
/* A newer body decides. */
void canary_forget(struct subject *subject);
void canary_stop(struct watch *watch);

/* --- judge.c: bodies to the builder -------------------------------------------------------------- */
/* Takes the response's body. */
void judge_response(struct subject *subject, struct consul_response *response, enum read_mode mode);
/* An emptied list, confirmed, and what the canary showed. */
void judge_emptied(struct subject *subject, bool known_leader, bool canary);
/* Builder: the catalog has changed. */
void judge_flush(struct watch *watch);

/* --- sentinel.c: the lists that tell where to look ----------------------------------------------- */
void sentinels_start(struct watch *watch);
void sentinels_stop(struct watch *watch);

/* --- node_checks.c: health/node/N ---------------------------------------------------------------- */
void node_checks_read(struct watch *watch, const char *node);
/* Sends the next one; false: none waits. */
bool node_checks_send(struct watch *watch);
void node_checks_forget(struct watch *watch);

/* --- checks.c ------------------------------------------------------------------------------------ */
/* Builder: what the two lists know beyond a body. */
void checks_merge(struct watch *watch, const char *service, struct catalog_update *update);

/* --- rewind.c: indexes that go back -------------------------------------------------------------- */
/* Notes a list's index. Returns whether all is asked anew because of it. */
bool rewind_seen(struct watch *watch, enum sentinel which, const struct consul_response *response);
bool rewind_all(struct watch *watch, const char *what);

/* --- sweep.c ------------------------------------------------------------------------------------- */
void sweep_start(struct watch *watch);
void sweep_stop(struct watch *watch);
/* Of probes, as soon as the rate allows. */
void sweep_request(struct watch *watch);
/* Of whole reads, now. */
void sweep_whole(struct watch *watch);
/* The subject has been read, or will not be. */
void sweep_done(struct subject *subject);

/* --- datacenter.c -------------------------------------------------------------------------------- */
void datacenter_ask(struct watch *watch);
void datacenter_stop(struct watch *watch);

/* --- rights.c ----------------------------------------------------------------------------------- */
struct rights *rights_start(struct watch *watch);
void rights_stop(struct rights *rights); /* NULL is allowed */
/* What the token cannot read, for people; NULL: nothing is missing, or it is not known. */
const char *rights_missing(const struct rights *rights);

/* --- coordinates.c ------------------------------------------------------------------------------- */

/* Starts or ends reading them, as the configuration wants. */
void coordinates_configure(struct watch *watch);
void coordinates_stop(struct watch *watch);
