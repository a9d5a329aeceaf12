/* Authoritative zones with `store = "kv"`: their truth is in Consul's KV, each instance has a
 * mirror of them in memory and in `state-dir`, and the primary alone commits.
 *
 *  - A commit is one transaction: check-session on `leader`, check-index of the zone's head, the log entry,
 * the head. Nothing is published or reported as done before Consul has answered; an answer that is lost is
 *    resolved by sending the same transaction again and reading the head.
 *  - Followers block on all heads at once and read the entries that they lack.
 *  - A head below a mirror, or another content under the same seq, is a rewind (`snapshot restore`): commits
 * of that zone stop, every instance writes what KV has lost to `recover/`, and after 5 s the primary puts it
 *    back as a new commit, its seq and serial above any that was seen.
 *
 * Zones with `store = "file"` in a cluster have a head only: it says how new the newest copy is, and an
 * instance with an older one holds that zone (SERVFAIL, EDE 14).
 *
 * The contents, the state machine of each zone (src/store/core.h, without I/O) and the disk are the
 * builder's; main sends the requests. Functions are main's unless said otherwise; callbacks come on main. */
#pragma once

#include "lictor/builder.h"
#include "lictor/config.h"
#include "lictor/consul.h"
#include "lictor/zone.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct gate;
struct store;

/* Publishes a version, whose reference it takes over. Builder. */
typedef void store_publish_fn(void *arg, struct zone *zone);

struct store_config {
    struct event_base *base;
    struct builder *builder;
    struct consul_client *client; /* its own; lives as long */
    const struct gate *gate;
    const char *cluster, *instance, *state_dir; /* copied */
    store_publish_fn *publish;
    void *publish_arg;
    /* Puts what follows health into a zone file that is to be imported: it stands in no file, and must not
     * vanish until the next flip. May be NULL. Builder. */
    void (*health)(void *arg, const uint8_t *apex, struct zone_edit *edit);
    void *health_arg;
};

struct store *store_new(const struct store_config *config);
/* Begins to follow the heads. After the first store_zone calls. */
void store_start(struct store *store);
/* No request goes out any more; what waits for a commit is told STORE_NOT_PRIMARY or STORE_UNKNOWN. Then run
 * the builder empty (builder_free), free the client, and store_free. */
void store_stop(struct store *store);
void store_free(struct store *store);

/* --- zones ---------------------------------------------------------------------------------------------- */

/* Makes a zone known, before anything else is said of it. kv: its mirror is read from the disk and, if there
 * is one, published; else an empty version, held. kv false: a zone of `store = "file"`, which the caller
 * publishes; the store says whether it is held. state lives as long as the process. A zone that is known
 * stays as it is. Builder. */
void store_zone(struct store *store, const uint8_t *apex, struct zone_state *state, bool kv);
/* It is not configured any more: nothing more is published. Its keys in KV stay. Builder. */
void store_forget(struct store *store, const uint8_t *apex);
/* The content of the zone's file, read at start or reload: takes over the reference. For a `kv` zone the
 * primary imports it if its serial is above the last imported file's (RFC 1982); what is refused is logged
 * and shown by store_status. A `file` zone is held while its serial is below the head's. Builder. */
void store_file(struct store *store, struct zone *file);

/* --- commits -------------------------------------------------------------------------------------------- */

enum store_outcome {
    STORE_COMMITTED,   /* Consul has it; serial is the one that it has */
    STORE_UNCHANGED,   /* the edit changed nothing, or only what a commit before it did, which Consul has */
    STORE_REFUSED,     /* by the edit (code is its own), or the result would be no zone: nothing was done */
    STORE_NOT_PRIMARY, /* nothing was done: ask the primary */
    STORE_UNKNOWN,     /* it may have been done, or not */
    STORE_FAILED, /* nothing was done: Consul refused (ACL, size), the zone is unknown or has no content */
};

struct store_result {
    enum store_outcome outcome;
    int code; /* of the edit, when STORE_REFUSED; else 0 */
    uint32_t serial;
    uint64_t seq;
    const char *error; /* why not; NULL if done */
};

/* Changes the edit. current is the version it began from: with it and the edit, prerequisites are judged. The
 * SOA's serial need not be touched: it rises by itself; a higher one that is set stays. Returns 0 to have it
 * committed; anything else refuses it, and nothing of it remains (STORE_REFUSED with that code). Whether the
 * result is a zone is checked behind it. It may run again (after a rewind between its first run and the
 * commit): it must depend on arg, edit and current alone. Builder. */
typedef int store_edit_fn(void *arg, struct zone_edit *edit, const struct zone *current, struct err *err);
typedef void store_done_fn(void *arg, const struct store_result *result);

/* One atomic change. Many that wait go into one commit, in the order of these calls, each judged on the
 * result of the one before; each done is called once, when Consul has committed what it saw (or could not).
 * author: who, for the history (copied; at most 127 octets). Only the primary commits: elsewhere done gets
 * STORE_NOT_PRIMARY. It waits while a rewind is being mended; a time limit is the caller's. */
void store_commit(struct store *store, const uint8_t *apex, const char *author, store_edit_fn *edit,
                  store_done_fn *done, void *arg);

/* The same for what follows health: a frozen zone does not refuse it, since its secondaries would go on
 * naming what is down, and a rollback does not undo it. */
void store_commit_health(struct store *store, const uint8_t *apex, store_edit_fn *edit, store_done_fn *done,
                         void *arg);
#define STORE_HEALTH "health" /* its author */

enum store_import_mode {
    STORE_IMPORT_MERGE,   /* what changed in the file since the last import; a conflict refuses it */
    STORE_IMPORT_OURS,    /* the same; in a conflict the zone's RRset stays */
    STORE_IMPORT_REPLACE, /* the file as it is; what came by UPDATE goes */
};

/* `lictor zone import`: file (whose reference is taken over) as the new file of its zone, if its serial is
 * above the last imported one's or the mode is REPLACE. done may be NULL. */
void store_import(struct store *store, struct zone *file, enum store_import_mode mode, const char *author,
                  store_done_fn *done, void *arg);

/* The content of a zone file as it comes over the wire (difference_encode of the difference from nothing),
 * for store_import and store_preview: checked as a zone. One reference, or NULL with err. Builder. */
struct zone *store_read(const struct store *store, const uint8_t *apex, const struct buf *octets,
                        struct err *err);

/* What an import of file (whose reference is taken over) would change, by the rules of `store_import`;
 * nothing is done. On the primary. merge: as STORE_IMPORT_MERGE would, NULL if it would be refused (error
 * says why); replace: as STORE_IMPORT_REPLACE would. serials are of the zone now. Both NULL: error says why.
 */
struct store_preview {
    uint32_t serial;
    struct difference *merge, *replace; /* the callee's to give back */
    const char *error;                  /* valid during the call */
};
typedef void store_preview_fn(void *arg, const struct store_preview *preview);
void store_preview(struct store *store, struct zone *file, store_preview_fn *done, void *arg);

/* `lictor zone rollback`: the content as it was at serial `to` (steps 0), or `steps` commits ago, as a new
 * commit with a higher serial; commits of health are not counted among the steps, and what they set
 * stays. Refused, and named, when the history does not reach back so far, or when what
 * is to be undone was changed by a commit that came meanwhile. */
void store_rollback(struct store *store, const uint8_t *apex, uint32_t to, unsigned steps, const char *author,
                    store_done_fn *done, void *arg);

/* `lictor zone freeze`, `thaw`: while `control/freeze/<zone>` is there, changes and imports are refused, in
 * every instance's reign: each commit checks that it is not. What follows health (store_commit_health) and
 * the mending of rewinds go on. On the primary. done gets NULL, or why not. */
typedef void store_freeze_fn(void *arg, const char *error);
void store_freeze(struct store *store, const uint8_t *apex, const char *who, const char *why,
                  store_freeze_fn *done, void *arg);
void store_thaw(struct store *store, const uint8_t *apex, store_freeze_fn *done, void *arg);

/* --- the role ----------------------------------------------------------------------------------------------
 */

/* From role events: may this instance act, with which session, in which epoch? */
void store_role(struct store *store, bool primary, const char *session, uint64_t epoch);
/* Is every zone's mirror current (then the instance may stand)? false with a reason. A lag below 1 s counts
 * as current, since the successor catches up before it commits; without it each commit would make a standby
 * unready for a moment. */
bool store_ready(struct store *store, char reason[256]);
/* How far this instance's mirrors are, for members and ties: the sum of their seqs and the highest epoch;
 * both below INT64_MAX. */
void store_progress(struct store *store, uint64_t *epoch, uint64_t *sequence);
/* The zones whose head or base cannot be read for 10 s, each followed by a space, as many as fit. */
void store_broken(struct store *store, char *out, size_t size);
/* Which of them no other living member can read either, in the same form. A primary commits such a zone anew
 * from its mirror, and its broken mirror counts as current. */
void store_others_broken(struct store *store, const char *zones);

/* --- reading ----------------------------------------------------------------------------------------------
 */

/* The current version of a zone, not counted: valid within this job. NULL: unknown or without content. It is
 * what was published last, or a newer one about to be. Builder. */
const struct zone *store_current(const struct store *store, const uint8_t *apex);

/* One commit of the past. */
struct store_change {
    uint64_t seq;
    uint32_t serial;
    uint64_t epoch;
    int64_t time; /* CLOCK_REALTIME, seconds */
    const char *author;
    const struct difference *difference; /* count a reference to keep it */
};
/* The commits that this instance still has, oldest first; a gap in them (a base that was taken over whole)
 * shows by serials that do not meet. visit returns non-zero to stop. For `zone history`, `diff`, `rollback`.
 * Builder. */
int store_history(const struct store *store, const uint8_t *apex,
                  int (*visit)(void *arg, const struct store_change *change), void *arg);

/* Is there anything to answer from? */
bool store_has_content(struct store *store, const uint8_t *apex);
/* For `lictor zones` and `/v1/zones`: {"zone":
 * {"store":"kv|file","state":"current|behind|rewound|empty|broken",
 * "serial":..,"seq":..,"epoch":..,"records":..,"head":{"seq","serial"} or null,"imported":serial or null,
 * "mirror":"saved|failing: why","frozen":{"who","at","why"} or null,"error":"..." or null}} of one zone; NULL
 * if it is not known. */
json_t *store_status(struct store *store, const uint8_t *apex);
/* Things that were decided, for `lictor why`: [{"at":"...","what":"..."}], oldest first, the last 50. */
json_t *store_why(struct store *store);

struct store_counters {
    uint64_t commits, changes; /* transactions that Consul took, and what was asked for in them */
    uint64_t conflicts, unknown, rewinds, recovered, entries_read, bases_read, mirror_failures;
};
void store_counters(struct store *store, struct store_counters *out);
/* Appends them in the Prometheus text format. */
void store_print(struct store *store, struct buf *out);
