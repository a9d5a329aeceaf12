/* One zone of the store as a state machine: what is in KV, what the mirror has, and what to do next. No I/O:
 * it asks the caller to send requests, one at a time, and is told the replies. The daemon, the unit tables
 * and the seeded test against a model of KV run this same code. Builder thread.
 *
 * Keys are relative to `lictor/<cluster>/`. */
#pragma once

#include "store/values.h"

#include "lictor/clock.h"
#include "lictor/consul.h"
#include "lictor/store.h"

struct core;

enum kv_verb { KV_GET, KV_CHECK_SESSION, KV_CHECK_INDEX, KV_CHECK_NOT_EXISTS, KV_SET, KV_DELETE };

struct kv_op {
    enum kv_verb verb;
    char *key;
    struct buf value;
    uint64_t index;
};

enum kv_kind {
    KV_ONE,  /* consistent read of the key `prefix` */
    KV_KEYS, /* consistent list of the keys that begin so; 404: none */
    KV_TREE, /* the same with their values */
    KV_TXN,  /* all or nothing; consistent if it only reads; KV_CHECK_SESSION is of the lock on `leader` */
};

struct kv_request {
    enum kv_kind kind;
    char *prefix;
    struct kv_op *ops;
    size_t count;
};
void kv_request_free(struct kv_request *request);

struct kv_reply {
    int status; /* as consul_response; 0: no answer */
    const char *error;
    int failed_op;             /* of a 409: the first operation that failed; -1: not known */
    struct consul_kv *entries; /* of KV_ONE, KV_TREE and the gets of a transaction; for KV_KEYS the keys
                                  alone; of sets: the key and its modify_index */
    size_t count;
    nstime started; /* of a read */
};

/* A change that waits. */
struct submission {
    struct submission *next;
    char author[STORE_AUTHOR];
    store_edit_fn *edit; /* NULL: import of `file` */
    void *arg;           /* of edit and done */
    struct zone *file;   /* one reference */
    enum store_import_mode mode;
    bool health; /* follows health: goes on while the zone is frozen */
    /* Of an import with `previewed`: nothing is committed, these are what would change. */
    struct difference *merge, *replace;
    store_preview_fn *previewed; /* instead of done */
    store_done_fn *done;         /* the caller's; for the hook */
    struct store_result result;
    struct err error;
};

struct core_hooks {
    /* Carries it out; exactly one core_reply follows. The request is the callee's to free. */
    void (*send)(void *arg, struct core *core, struct kv_request *request);
    /* Takes over one reference. */
    void (*publish)(void *arg, struct core *core, struct zone *zone);
    /* The mirror on disk: one entry more, on disk before this returns; or all of it anew. */
    void (*mirror_add)(void *arg, struct core *core, const struct store_entry *entry,
                       const struct buf *octets);
    void (*mirror_all)(void *arg, struct core *core);
    /* It is decided: result and error are set. The submission is the callee's to free. */
    void (*done)(void *arg, struct core *core, struct submission *submission);
    /* Something worth telling: level is one of enum log_level. */
    void (*note)(void *arg, struct core *core, int level, const char *text);
    void *arg;
    /* What follows health, into an import; may be NULL. */
    void (*health)(void *arg, struct core *core, struct zone_edit *edit);
};

struct core_config {
    const uint8_t *apex;
    struct zone_state *state;
    bool kv; /* false: the zone has a head only */
    const char *instance;
    const struct core_hooks *hooks; /* lives as long */
};

#define CORE_MEND_AFTER   (5 * NS_PER_S)
#define CORE_BROKEN_AFTER (10 * NS_PER_S)
#define CORE_KEEP         (24 * 3600 * NS_PER_S)
#define CORE_LOG_MIN      (1024u * 1024)
#define CORE_ZONE_MAX     (16u * 1024 * 1024) /* octets of a zone in KV */

struct core *core_new(const struct core_config *config);
void core_free(struct core *core); /* nothing may wait */
/* The end: no reply and no event follows. What waits is decided: unknown, if it was on its way. */
void core_abandon(struct core *core);

/* The mirror's content at start: the base and then the log, oldest first; each taken over. What does not fit
 * together is left out. Returns whether there is content. */
bool core_restore(struct core *core, struct store_entry *base, struct store_entry **log, size_t count,
                  struct store_entry **aside, size_t aside_count);

/* When the restored mirror was at head last, as far as is known; CLOCK_BOOTTIME. */
void core_restore_sync(struct core *core, nstime synced);
nstime core_synced(const struct core *core); /* likewise; 0: not known */

/* Events. `now` never goes back. */
void core_heads(struct core *core, const struct consul_kv *head, nstime started,
                nstime now); /* a report of the heads: NULL: not among them */
void core_reply(struct core *core, const struct kv_reply *reply, nstime now);
void core_role(struct core *core, bool primary, uint64_t epoch, nstime now);
void core_file(struct core *core, struct zone *file, nstime now); /* takes over the reference */
void core_submit(struct core *core, struct submission *submission, nstime now);
#define STORE_FROZEN 640 /* octets of such a text */
/* why: "" for a zone that is not frozen. */
void core_freeze(struct core *core, const char *why, nstime now);
void core_recover_seen(struct core *core, nstime now); /* there are keys below recover/<zone>/; primary */
/* Can no other living member read the zone either? */
void core_others_broken(struct core *core, bool all, nstime now);
nstime core_broken_since(const struct core *core); /* its head or base cannot be read; 0: it can */
void core_timer(struct core *core, nstime now);
nstime core_due(const struct core *core); /* when core_timer is to be called; NS_NEVER */

enum core_state { CORE_UNKNOWN, CORE_EMPTY, CORE_CURRENT, CORE_BEHIND, CORE_REWOUND, CORE_BROKEN };
enum core_state core_state(const struct core *core);
const char *core_state_text(enum core_state state);
/* May this instance stand, as far as this zone goes? Else since when not. */
bool core_ready(const struct core *core, nstime now, nstime *since);

const char *core_name(const struct core *core);
struct zone *core_zone(const struct core *core); /* the newest content; NULL: none */
const struct store_position *core_position(const struct core *core);
const struct store_head *core_head(const struct core *core); /* NULL: none known */
size_t core_log(const struct core *core, struct store_entry *const **log);
/* Commits that KV has lost and no commit has put back yet: the mirror keeps them too. */
size_t core_aside(const struct core *core, struct store_entry *const **aside);
/* The whole zone as an entry, for the mirror; the caller frees. */
struct store_entry *core_base(const struct core *core);
const char *core_error(const struct core *core); /* "" : none */
bool core_idle(const struct core *core);         /* nothing is under way or waits */
struct store_counters *core_counters(struct core *core);
