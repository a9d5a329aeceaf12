/* The store in memory: one entry a zone. */
#pragma once

#include "store/core.h"
#include "store/courier.h"
#include "store/mirror.h"

#include "lictor/store.h"
#include "lictor/strmap.h"

#include <pthread.h>

#define STORE_DECISIONS 50

/* What main may know of a zone; under store->lock. */
struct shown {
    bool kv, ready, content;
    nstime unready_since, broken_since; /* broken_since: 0: it is not */
    enum core_state state;
    struct store_position at;
    size_t records;
    bool has_head;
    struct store_head head;
    char error[512], mirror[256];
};

/* `control/freeze/<zone>` */
struct frozen {
    bool is;
    char who[256], why[256];
    int64_t at; /* CLOCK_REALTIME, seconds */
};

struct zone_entry {
    struct zone_entry *next;
    struct store *store;
    struct core *core;
    struct mirror *mirror; /* NULL: `store = "file"` */
    struct zone_state *state;
    uint8_t apex[NAME_MAX_WIRE];
    bool forgotten;
    nstime sync_saved;    /* as the file says; 0: it does not */
    struct frozen frozen; /* builder's to change, under store->lock */
    struct shown shown;
};

struct decision {
    nstime at; /* CLOCK_REALTIME */
    char what[640];
};

struct store {
    struct store_config config;
    char *instance, *folder, *prefix;
    struct courier *courier;
    struct consul_watch *heads, *recover; /* main's */

    struct zone_entry *first; /* builder's to change, under lock */
    struct strmap *by_apex, *by_name;
    bool primary; /* builder's */
    uint64_t epoch;
    char session[64];
    nstime retry_at;
    char *sync_path;
    bool sync_failing;
    struct strmap *synced; /* of the last life, by name: nstime */
    bool dead;             /* nothing is sent, nothing is told any more */

    pthread_mutex_t lock;
    struct decision decisions[STORE_DECISIONS];
    size_t decision_count; /* ever */
    struct store_counters counters;
    uint64_t sequence, top_epoch; /* of all mirrors */

    char *others_broken; /* main's: as the builder knows it; NULL: none */
    bool stopped;

    struct consul_watch *freezes; /* main's, as the next (freeze.c) */
    struct freezing *freezing;
    char role_session[64];
};

/* NULL if it is not known. */
struct zone_entry *store_find(const struct store *store, const uint8_t *apex);
/* Main. */
void store_submit(struct store *store, const uint8_t *apex, const char *author,
                  struct submission *submission);

/* freeze.c; main */
void freeze_start(struct store *store);
void freeze_stop(struct store *store);

/* store_sync.c: when mirrors were at their heads, saved for the next life. Builder, but for the first. */
void store_sync_load(struct store *store);
void store_sync_restore(struct zone_entry *entry);
void store_sync_save(struct store *store);
void store_sync_free(struct store *store);

/* What is shown of a zone, after each event. Builder. */
void store_show(struct zone_entry *entry);
void store_note(struct store *store, int level, const char *zone, const char *text);
