/* What the files of record/ share. */
#pragma once

#include "render.h"

#include "lictor/records.h"
#include "lictor/strmap.h"

#include <pthread.h>

struct entry { /* one record */
    struct config_record config;
    struct record_machine *machine;
    struct record_set answers;   /* what is answered instead of what is committed; if `answering` */
    struct record_set committed; /* what should be committed; if `committing` */
    bool answering, committing;
    bool dirty;
    nstime next; /* when to look again */
    enum record_state state;
    enum record_answer answer;
    bool looked;
    int candidate;
    uint32_t ttl;
    enum record_force force;
    char forced_by[128];
    uint64_t flips;
    nstime since; /* CLOCK_REALTIME of the last flip */
};

/* One that is not configured any more: the store's zone has still what it answered last. */
struct orphan {
    struct config_record config;
    struct record_set committed;
};

struct zone_entry {
    struct zone_entry *next;
    uint8_t apex[NAME_MAX_WIRE];
    char *text; /* without the dot at the end */
    bool configured;
    bool stored;  /* in the store */
    bool changed; /* a record went: what is published has it still */
    struct entry *records;
    size_t count;
    struct orphan *orphans;
    size_t orphan_count;
    struct zone *base; /* the committed version; NULL: none yet, or without content */
    /* Not in the store: */
    struct zone *file; /* what its file has */
    char *saved;
    nstime committed_at; /* of ours */
    bool failing;        /* to save */
    char *status;        /* JSON; under the lock */
    uint32_t serial;     /* under the lock; 0: none of its own */
};

struct query_view {
    struct record_endpoint *items;
    size_t count;
    bool live;
};

struct records {
    struct records_config config;
    char *folder;
    struct zone_entry *first;
    struct strmap *queries; /* name -> struct query_view */
    bool local_live;
    char **remote; /* live datacenters */
    size_t remote_count;
    struct record_forcing *forces;
    size_t force_count;
    nstime woken_for;
    /* Of what other threads read, and the builder alone writes: the list, configured, stored, status, serial.
     */
    pthread_mutex_t lock;
};

/* --- gather.c */

/* What is seen of each candidate; items are freed by gather_free. */
struct gathered {
    struct record_view *views;
    struct record_endpoint **owned;
    size_t count;
};
void gather(const struct records *records, const struct entry *entry, nstime now, struct gathered *out);
void gather_free(struct gathered *gathered);
void query_view_free(void *view);
/* Why the first candidate does not answer: "web has 0 of 3 healthy (n1: check "x" is critical)". */
void gather_reason(const struct records *records, const struct entry *entry, char *out, size_t size);

/* --- local.c: zones that are not in the store */

/* Makes what is seen the committed version, at most once a second. Returns when to look again. */
nstime local_commit(struct records *records, struct zone_entry *zone, nstime now);

/* --- report.c */

void report_zone(struct records *records, struct zone_entry *zone);
