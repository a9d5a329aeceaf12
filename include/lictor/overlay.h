/* What was learned by asking (ask.h): the RRsets of names that Consul can only be asked for one at a time,
 * such as prepared queries. They stand beside the snapshot, in no zone: so they are in no transfer and raise
 * no serial, a refresh of one costs one small table, and workers look here only after a miss hook has said
 * ZONE_ASK. Keys are questions: an answer may depend on the client's address.
 *
 * The builder owns the store, and publishes immutable tables of entries; workers read a table in their read
 * section. What changes about an entry without its records is in its state. */
#pragma once

#include "lictor/ask.h"
#include "lictor/piece.h"
#include "lictor/zone.h"

#include <stdatomic.h>

struct overlay;       /* a published table */
struct overlay_entry; /* valid as long as the table */
struct overlay_store;

/* The place where the current table is published. */
struct overlay_slot {
    _Atomic(struct overlay *) current;
};

/* Instants (CLOCK_BOOTTIME) that decide what an entry is worth; written by main, read by workers. Counted:
 * main and the entries each hold it. */
struct overlay_state {
    _Atomic nstime good_until; /* from then on Consul is asked first, and this is given only if that fails */
    _Atomic nstime stale_from; /* from then on EDE 3 and a TTL of at most 5 s; NS_NEVER: it is current */
    _Atomic nstime dead_from;  /* from then on it is as if it were not there */
    _Atomic nstime asked_at;   /* when somebody asked for it last, to OVERLAY_ASKED_STEP; workers write */
    _Atomic unsigned refs;
};
#define OVERLAY_ASKED_STEP (50 * NS_PER_MS)

/* One reference. Any thread, as the two below. */
struct overlay_state *overlay_state_new(void);
struct overlay_state *overlay_state_ref(struct overlay_state *state);
void overlay_state_unref(struct overlay_state *state); /* NULL is allowed */

/* --- the store (builder thread, or the only thread there is) ------------------------------------------ */

struct overlay_store *overlay_store_new(struct overlay_slot *slot);
/* Without readers. NULL is allowed. */
void overlay_store_free(struct overlay_store *store);

struct overlay_spec {
    struct ask_question question;
    struct overlay_state *state; /* gets a reference of its own, as do the pieces */
    struct piece *const *pieces; /* at most one a type; none: the name has no data */
    size_t count;
    /* The answer depends on the client's address: there are no pieces here, but under the same question with
     * an address. */
    bool by_address;
    /* A client subnet (RFC 7871) is told that the answer is for it alone, otherwise that it is for all. */
    bool scoped;
};
/* In place of the entry with the same question, if there is one. */
void overlay_put(struct overlay_store *store, const struct overlay_spec *spec);
void overlay_remove(struct overlay_store *store, const struct ask_question *question);
size_t overlay_count(const struct overlay_store *store);
/* Publishes what was put and removed since the last time. */
void overlay_publish(struct overlay_store *store);

/* --- looking up (any thread, in a read section) -------------------------------------------------------- */

/* NULL if there is none; overlay may be NULL. */
const struct overlay_entry *overlay_find(const struct overlay *overlay, const struct ask_question *question);
const struct zone_owner *overlay_owner(const struct overlay_entry *entry); /* NULL: no data */
struct overlay_state *overlay_state(const struct overlay_entry *entry);
bool overlay_by_address(const struct overlay_entry *entry);
bool overlay_scoped(const struct overlay_entry *entry);
