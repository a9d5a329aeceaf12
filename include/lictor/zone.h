/* Zone contents: an immutable version of a zone, in canonical order, and edits that make the next version by
 * copying only the path to what changed (a copy-on-write qp-trie). `consul.`, `example.com.` and
 * `lictor.` are all zones.
 *
 * The builder thread makes, edits and frees versions. Workers read a version that they found in a published
 * snapshot, within one RCU read section, or with a counted reference for something long (a transfer). */
#pragma once

#include "lictor/clock.h"
#include "lictor/err.h"
#include "lictor/name.h"
#include "lictor/piece.h"

#include <stdatomic.h>
#include <stdbool.h>

struct zone;
struct zone_edit;

enum zone_kind {
    ZONE_AUTHORITATIVE, /* answered by right of the gate (`standby`, gate.h) */
    ZONE_CATALOG,       /* `consul.` and its reverse zones: answered by every instance */
    ZONE_INSPECT,       /* `lictor.`: answered to loopback and `inspect-from` only */
};

/* What changes about a zone without a new version: written by main or the builder, read by workers. One per
 * zone for the process's life; not owned by versions. Instants are CLOCK_BOOTTIME. */
struct zone_state {
    _Atomic nstime stale_from; /* from then on EDE 3 and a TTL of at most 5 s; NS_NEVER: live */
    _Atomic nstime dead_from;  /* from then on SERVFAIL, EDE 22 (SOA EXPIRE, `stale-for`); NS_NEVER: never */
    _Atomic bool held;         /* SERVFAIL, EDE 14: no content yet, or held until its file is in order */
    _Atomic bool asked; /* of an origin: set by workers when a question was about it; who reads clears */
    /* Counters for /metrics, added to by workers with relaxed order once a batch. */
    _Atomic uint64_t queries;
};

/* Whose data stands under one label of a zone: a remote datacenter's, which may be lost or not read yet while
 * the rest of the zone is live. Its state counts besides the zone's own. */
struct zone_origin {
    uint8_t label[64]; /* wire form, lower case; does not change */
    struct zone_state state;
    _Atomic bool known; /* false: it went; its names do not exist */
};

/* Pieces and computed names say by number where they come from; 0 is the zone's own, and not in here. Main or
 * the builder write, workers read; it grows only. */
#define ZONE_ORIGINS_MAX 64
struct zone_origins {
    _Atomic unsigned count; /* of at[], the unused first one included */
    struct zone_origin at[ZONE_ORIGINS_MAX];
};

/* How a zone is answered where that is a matter of choice: `compat = "consul"` and Consul's dns_config. All
 * zero: as the RFCs would have it. Of a zone for good, not of a version. */
struct zone_manner {
    uint16_t small_answers; /* most A, AAAA or SRV in a UDP reply of at most 512 octets; 0: what fits */
    bool no_tc;             /* a reply that has some of its answer, not all of it, does not say so */
    bool no_empty_names;    /* NXDOMAIN at empty non-terminals (RFC 8020 would have NODATA) */
    bool whole_any;         /* ANY: all addresses and texts of the name, not one RRset (RFC 8482) */
    bool texts;             /* TXT beside addresses, in the additional section, also of SRV targets */
};

/* A name that is not in the zone and is no wildcard's: a zone may have names that are computed
 * (`0a000001.addr.dc1.consul.`). Fills out->data with ONE record's RDATA and its type and TTL, without
 * allocation. Returns 1 if the name exists and has a record (of whatever type: the engine makes NODATA of a
 * type that was not asked; type 0: an empty non-terminal, without any record), 0 if it does not exist, or
 * ZONE_ASK: it may exist, and Consul has to be asked first (ask.h). Then data and len are the name to ask
 * for, in lower-case wire form, and ask says what it is; several names in messages may have one to ask for,
 * such as all those in one datacenter. Or ZONE_RENAMED: data and len are a shorter name of this zone, in
 * lower case, without a label right before the apex; whatever is there is at the name that was asked, too.
 * origin (0 before the call): whose data that rests on. Worker threads. */
#define ZONE_ASK     2
#define ZONE_RENAMED 3
struct zone_computed {
    uint8_t origin;
    uint16_t type;
    uint8_t ask; /* ZONE_ASK: enum ask_kind */
    uint32_t ttl;
    uint16_t len;
    uint8_t data[256];
};
typedef int zone_miss_fn(const void *arg, const uint8_t *lower_qname, struct zone_computed *out);

/* --- versions ------------------------------------------------------------------------------------ */

/* Atomic; any thread inside an RCU read section or holding a reference. */
struct zone *zone_ref(struct zone *zone);
void zone_unref(struct zone *zone); /* any thread; the memory is freed later by the builder: zone_reap */
/* Frees the versions that nobody holds any more. Publishing, freeing a snapshot, beginning and ending an edit
 * do it; the builder may call it at idle times too, for what a transfer held last. Builder thread. */
void zone_reap(void);

const uint8_t *zone_apex(const struct zone *zone); /* lower-case wire form */
enum zone_kind zone_kind(const struct zone *zone);
struct zone_state *zone_state(const struct zone *zone);
/* NULL for 0 and in a zone without origins. */
struct zone_origin *zone_origin(const struct zone *zone, uint8_t number);
const struct zone_manner *zone_manner(const struct zone *zone);
uint32_t zone_serial(const struct zone *zone);     /* of its SOA; 0 without one */
uint32_t zone_soa_expire(const struct zone *zone); /* seconds; 0 without a SOA */
size_t zone_names(const struct zone *zone);        /* names that own records */
size_t zone_records(const struct zone *zone);

/* --- what secondaries get (RFC 5936, RFC 1995) -------------------------------------------------------- */

struct history;

/* The version that transfers give, or NULL while there is none: an authoritative zone's is itself, unless it
 * has health-driven records, whose committed version it is; one of the catalog answers changes at once and is
 * cut into versions at times. Valid as long as the zone. Any thread. */
const struct zone *zone_transfer(const struct zone *zone);
/* The differences that led to this version (history.h), or NULL. Any thread. */
const struct history *zone_history(const struct zone *zone);
/* Before the version is published; each takes over the caller's reference and gives up the one before.
 * NULL: none. Builder thread. */
void zone_set_transfer(struct zone *zone, struct zone *version);
void zone_set_history(struct zone *zone, struct history *history);

/* The RRset of exactly this lower-case owner and type, or NULL. No wildcard, no cut. */
const struct piece *zone_get(const struct zone *zone, const uint8_t *owner, uint16_t type);

/* Calls visit for each RRset in canonical order of owners (types of one owner in ascending order, but the
 * apex's SOA first). A non-zero result stops the walk and is returned. */
typedef int zone_visit_fn(void *arg, const uint8_t *owner, const struct piece *piece);
int zone_walk(const struct zone *zone, zone_visit_fn *visit, void *arg);

/* The same walk with pauses, which may be as long as they like: the cursor holds a reference. One thread at
 * a time. */
struct zone_cursor;
struct zone_cursor *zone_cursor_new(struct zone *zone);
/* The next RRset in canonical order of owners and ascending types (the SOA in its place among them), or NULL
 * at the end. *owner and the piece are valid until zone_cursor_free. */
const struct piece *zone_cursor_next(struct zone_cursor *cursor, const uint8_t **owner);
void zone_cursor_free(struct zone_cursor *cursor); /* NULL is allowed */

/* --- what the query engine asks (workers; in a read section) ------------------------------------------ */

struct zone_owner; /* the RRsets of one name; valid as long as the version */

/* What a zone knows about a name, found in one pass. */
struct zone_found {
    /* The name owns records. */
    const struct zone_owner *exact;
    /* It does, or names below it do: an empty non-terminal (RFC 4592 section 2.2.2). */
    bool exists;
    /* The highest zone cut (NS below the apex) at or above the name, or DNAME above it; NULL: none. */
    const struct zone_owner *cut;
    bool cut_is_dname;
    unsigned cut_labels; /* of the cut's name, the root not counted */
    /* If it does not exist: the closest encloser's (RFC 4592 section 3.3.1). */
    unsigned encloser_labels;
    /* If it does not exist: is there a wildcard at its closest encloser, and what does that own? Nothing
     * (NULL) where only names below the asterisk do: then there is no data, but no NXDOMAIN either (RFC 4592
     * section 3.3.1). Not looked for below a cut. */
    bool wildcard_exists;
    const struct zone_owner *wildcard;
};
/* lower_qname lies at or below the apex. */
void zone_search(const struct zone *zone, const uint8_t *lower_qname, size_t len, struct zone_found *found);
const struct piece *zone_owner_get(const struct zone_owner *owner, uint16_t type);
/* Its RRsets by ascending type. */
unsigned zone_owner_count(const struct zone_owner *owner);
const struct piece *zone_owner_piece(const struct zone_owner *owner, unsigned i);
/* Whose data it has: that of a piece with an origin; 0: the zone's own. */
uint8_t zone_owner_origin(const struct zone_owner *owner);
const struct piece *zone_soa(const struct zone *zone); /* NULL if it has none */
/* Runs the zone's zone_miss_fn; 0 if it has none. Returns 0, 1 or ZONE_ASK. Sets out->origin in any case. */
int zone_miss(const struct zone *zone, const uint8_t *lower_qname, struct zone_computed *out);

/* --- edits (builder thread) ----------------------------------------------------------------------- */

/* A new, empty zone. state and miss's arg outlive every version. miss may be NULL. */
struct zone_edit *zone_edit_new(const uint8_t *apex, enum zone_kind kind, struct zone_state *state,
                                zone_miss_fn *miss, const void *miss_arg);
/* For this version and those made of it. Outlives them. */
void zone_edit_set_origins(struct zone_edit *edit, struct zone_origins *origins);
/* For this version and those made of it. */
void zone_edit_set_manner(struct zone_edit *edit, const struct zone_manner *manner);
/* The next version of base; base keeps serving and is not changed. */
struct zone_edit *zone_edit_begin(const struct zone *base);
/* Sets the RRset of owner (any case; at or below the apex) and the piece's type, replacing one that is there.
 * Takes a reference of its own. Returns 0, or -1 with err (owner out of the zone; CNAME beside other data is
 * checked by zone_check). */
int zone_edit_put(struct zone_edit *edit, const uint8_t *owner, struct piece *piece, struct err *err);
/* Removes one RRset, or with DNS_ANY all of the name. Returns whether something was removed. */
bool zone_edit_remove(struct zone_edit *edit, const uint8_t *owner, uint16_t type);
/* What the edit holds now. */
const struct piece *zone_edit_get(const struct zone_edit *edit, const uint8_t *owner, uint16_t type);
/* Does the name own anything besides this type and what signing adds (RRSIG, NSEC)? */
bool zone_edit_has_other(const struct zone_edit *edit, const uint8_t *owner, uint16_t type);
/* Ends the edit: the new version, with one reference. Cost: the names that changed. */
struct zone *zone_edit_commit(struct zone_edit *edit);
void zone_edit_abort(struct zone_edit *edit);

/* Is it a zone that may be served? One SOA and at least one NS at the apex, no CNAME or DNAME beside
 * other data, no data below a DNAME... Returns 0, or -1 with err naming the first offending owner. */
int zone_check(const struct zone *zone, struct err *err);
/* The same of a version that was made from a checked one by `difference`; costs what changed, unless a DNAME
 * came. */
struct difference;
int zone_check_change(const struct zone *zone, const struct difference *difference, struct err *err);
