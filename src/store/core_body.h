/* Between the parts of the state machine. */
#pragma once

#include "store/core.h"
#include "store/merge.h"

#include "lictor/log.h"

enum doing {
    IDLE,
    READING_HEAD,
    FOLLOWING,      /* the entries that should come next */
    LISTING,        /* reload: the log's keys */
    READING_BASE,   /* reload */
    READING_LOG,    /* reload: entries, some at a time */
    WRITING_LOST,   /* to recover/ */
    READING_LOST,   /* all of recover/<zone>/ */
    READING_FILE,   /* the last imported file */
    WRITING_CHUNKS, /* of a base or a file, before the commit */
    COMMITTING,
    LISTING_ALL, /* of the zone: what is left over? */
    DELETING,
};

struct chunk {
    char *key;
    uint64_t index; /* ModifyIndex, once written */
    struct buf value;
};

struct chunks {
    struct chunk *items;
    size_t count, next;
};

/* What is being committed. */
struct pending {
    bool active;
    struct zone *zone;         /* after it; NULL: a head without content (kv false) */
    struct store_entry *entry; /* NULL: the base moves, nothing else */
    struct buf octets;         /* of the log entry; empty: a base */
    struct store_head head;    /* after it */
    struct chunks chunks;      /* written first */
    struct submission *asked;
    bool guarded;  /* not for a frozen zone */
    int frozen_op; /* which operation of the commit finds that */
    bool unknown;  /* a sending of the last transaction went without an answer */
    bool mends;
};

/* A mirror that starts anew from KV. */
struct reload {
    bool active;
    struct store_head target;
    uint64_t *seqs; /* in the log, ascending */
    size_t seq_count, next;
    struct store_entry *base;
    struct store_entry **entries;
    size_t entry_count;
};

struct core {
    struct core_hooks hooks;
    char *name;
    uint8_t apex[NAME_MAX_WIRE];
    struct zone_state *state;
    bool kv;
    char instance[64];

    bool primary;
    uint64_t epoch;

    /* The mirror */
    struct zone *zone;
    struct store_position at;
    struct store_entry **log; /* that led here, oldest first, as far as kept */
    size_t log_count, log_size, base_size;
    struct store_position saved; /* what is on disk */
    bool published;
    uint32_t published_serial;

    /* KV */
    bool head_known, head_exists, head_broken, head_doubted;
    struct store_head head;
    uint64_t head_index;
    nstime head_at;      /* start of the last read that agreed with `head` */
    nstime head_after;   /* a report of a read that began before this may be older than `head` */
    nstime synced;       /* start of the last consistent read that showed `head` at `at`; 0: none yet */
    nstime broken_since; /* 0: no */
    nstime behind_since; /* 0: not behind */
    bool others_broken;

    enum doing doing;
    nstime not_before, now;
    unsigned failures;
    char error[512], file_error[512];

    struct reload reload;

    bool rewound;
    nstime mend_at;
    struct store_entry **aside; /* commits that were in this mirror and are not in KV's past: until a commit
                                   covers them they stay here, on disk too */
    size_t aside_count;
    struct chunks lost; /* on their way to recover/ */
    struct {
        struct store_position at;
        uint64_t after, head_index;
        size_t aside_count;
        nstime again;
    } lost_written;             /* of what they were made */
    struct store_entry **found; /* from recover/, while mending */
    size_t found_count;
    bool lost_read, looked; /* looked: before a zone's first import, in this reign */
    char **lost_keys;
    size_t lost_key_count;

    struct submission *queue, **queue_end;
    struct pending pending;
    uint64_t burned; /* chunks were sent under this seq: a late one must not meet another content's */

    char frozen[STORE_FROZEN]; /* why changes are refused; "": they are not */

    struct zone *file; /* of the configuration; NULL: none new */
    struct zone_hash file_hash;
    struct zone *last_file; /* READING_FILE's result, for the import that waits */
    bool last_file_read;

    bool swept; /* left-overs were looked for in this reign */
    char **garbage;
    size_t garbage_count;
    nstime trim_at;

    struct store_counters counters;
};

/* core.c */
void core_step(struct core *core);
void core_send(struct core *core, enum doing doing, struct kv_request *request);
struct kv_request *core_request(enum kv_kind kind, char *prefix); /* takes over prefix */
struct kv_op *core_op(struct kv_request *request, enum kv_verb verb, char *key);
struct kv_op *core_check_session(struct kv_request *request);
void core_check_head(const struct core *core, struct kv_request *request);
void core_note(struct core *core, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A request failed: wait before the next, longer each time. */
void core_back_off(struct core *core, const struct kv_reply *reply, const char *what);
void core_works(struct core *core);
enum core_state core_relation(const struct core *core);
void core_set_head(struct core *core, const struct store_head *head, uint64_t index);
/* The zone has this content now; takes over the references. entry NULL: the log starts anew. */
void core_adopt(struct core *core, struct zone *zone, const struct store_position *at);
void core_log_add(struct core *core, struct store_entry *entry);
void core_publish(struct core *core);
/* Brings the mirror on disk up to here: by this entry (its octets), if that continues what is there; NULL:
 * all. */
void core_save(struct core *core, const struct store_entry *entry, const struct buf *octets);
void core_chunk(struct chunks *chunks, char *prefix, const struct buf *octets); /* takes over prefix */
void core_chunks_free(struct chunks *chunks);
struct zone *core_apply(const struct core *core, const struct zone *base, const struct difference *difference,
                        struct err *err);     /* NULL with err */
char *core_head_key(const struct core *core); /* caller frees */
char *core_seq_key(const struct core *core, const char *kind, uint64_t seq);
/* The value in the chunks of a tree, in order of their keys, appended to out. Returns 0, or -1 with err. */
int core_join(const struct consul_kv *entries, size_t count, struct buf *out, struct err *err);
/* The entry in them; NULL with err. */
struct store_entry *core_join_entry(const struct consul_kv *entries, size_t count, struct err *err);

/* IXFR: next follows before by this difference. */
void core_continue(const struct zone *before, struct zone *next, struct difference *difference);

/* core_follow.c */
void follow_step(struct core *core);
void follow_reply(struct core *core, const struct kv_reply *reply);
void reload_start(struct core *core);
void reload_end(struct core *core);

/* core_mend.c */
void mend_notice(struct core *core, const char *why);
bool mend_step(struct core *core); /* whether it sent something or has to wait */
void mend_reply(struct core *core, const struct kv_reply *reply);
/* What is aside and, in a rewind, what lies beyond the head is to be in recover/. False: it is. */
bool mend_write_lost(struct core *core);
/* The mirror's commits after this seq are not in KV's past: they go aside. */
void mend_set_aside(struct core *core, uint64_t common);
bool mend_has(const struct core *core, const struct store_position *position); /* in this mirror's past */
void mend_forget_covered(struct core *core); /* what is aside and in this mirror's past now */
/* These positions are in KV's past now. */
void mend_covered(struct core *core,
                  bool (*is_covered)(const struct core *core, const struct store_position *position));
void mend_end(struct core *core);  /* forgets what was read */
void mend_done(struct core *core); /* all is back */

/* core_commit.c */
bool commit_step(struct core *core);
void commit_reply(struct core *core, const struct kv_reply *reply);
void commit_head_seen(struct core *core); /* a direct read, while a commit's fate is unknown */
void commit_file_reply(struct core *core, const struct kv_reply *reply);
void commit_role_lost(struct core *core);
/* Begins to commit this version; takes over the references. A base: all of it, else the entry alone, if it is
 * small enough. file: the zone file that it was imported from, or NULL. Returns 0, or -1 with err: it is too
 * large. */
int commit_start(struct core *core, struct zone *zone, struct store_entry *entry, bool as_base,
                 const struct zone *file, struct err *err);
uint64_t commit_next_seq(const struct core *core, uint64_t above);
void commit_move_base(struct core *core);

/* core_keep.c */
bool keep_step(struct core *core);
void keep_reply(struct core *core, const struct kv_reply *reply);
void keep_garbage(struct core *core, char *key); /* takes over key */
void keep_garbage_chunks(struct core *core, const char *kind, uint64_t seq, unsigned count);
void keep_trim(struct core *core); /* at most once a minute */
size_t keep_limit(const struct core *core);
