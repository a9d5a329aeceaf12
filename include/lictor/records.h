/* The health-driven records of all zones, between the view and what is published, in two layers:
 *
 *  - The *committed* zone is what the store (or the zone's file) has, and what transfers give. Flips reach it
 *    at most once a second: in a zone of the store by a commit of the primary; in a zone of a single server
 *    by a version of its own, with a higher serial, saved in `state-dir`.
 *  - The *published* zone is the committed one with the RRsets that this instance sees right now. Its SOA is
 *    the committed one's. Where what is seen does not suffice (record.h), the committed RRsets stay.
 *
 * In a `file` zone of a cluster, which has no secondaries, the committed content is each instance's own and
 * the serial stays the file's.
 *
 * With when-all-down = "servfail" the committed zone keeps what was healthy last: SERVFAIL cannot be
 * transferred. The builder's, unless said otherwise. */
#pragma once

#include "lictor/catalog.h"
#include "lictor/config.h"
#include "lictor/record.h"
#include "lictor/zone.h"

#include <jansson.h>

struct records;

struct records_config {
    struct catalog *catalog;        /* NULL: no record is configured, nor can be */
    const struct zone_state *local; /* of the local datacenter's view */
    const char *state_dir;          /* copied */
    bool raise;                     /* no election: committing is ours, and raises the serial */
    void (*publish)(void *arg, struct zone *zone);  /* takes over the reference */
    void (*wake)(void *arg, nstime at);             /* call records_look then; NS_NEVER: not needed */
    void (*commit)(void *arg, const uint8_t *apex); /* the store's zone should be committed */
    void *arg;
};

struct records *records_new(const struct records_config *config);
void records_free(struct records *records);

/* What is wrong with the records of a zone with this content, such as that its file has the name too. Returns
 * 0, or -1 with err. Any thread that holds the zone. */
int records_check(const struct config_zone *config, const struct zone *zone, struct err *err);
/* The records that there are from now on; copied. Before the contents of the zones come. */
void records_configure(struct records *records, const struct config *config);

/* A committed version of the store, or one without content: published as it is to be answered now. Takes
 * over the reference. */
void records_put(struct records *records, struct zone *zone);
/* What a zone's own file has, of a zone that is not in the store: with the records that were committed, and
 * its serial. Takes over the reference, and returns one for records_put. */
struct zone *records_dress(struct records *records, struct zone *file);
/* The file of a zone of the store, before the store gets it: what it has is no leftover of a record that was
 * configured before. */
void records_see_file(struct records *records, const struct zone *file);
void records_forget(struct records *records, const uint8_t *apex);

/* The view changed: a service (lower case) of a datacenter (NULL: the local one). Then records_look. */
void records_changed(struct records *records, const char *datacenter, const char *service);
/* Which views are live and complete: the local one, and other datacenters by name (NULL at the end). */
void records_live(struct records *records, bool local, const char *const *remote);
/* The answer of a prepared query, as Consul's API gives it; body NULL: it could not be asked for longer than
 * its view is good. Returns 0, or -1 with err. */
int records_query(struct records *records, const char *name, const char *body, size_t len, struct err *err);
/* What is due or changed: publishes, wakes, wants commits. */
void records_look(struct records *records, nstime now);

/* New random orders for weighted RRsets that were asked since the last time (about once a second). */
void records_redraw(struct records *records, struct rng *rng);

/* For store_commit_health: puts into the edit what this instance sees now. Returns whether there is anything.
 */
bool records_edit(struct records *records, const uint8_t *apex, struct zone_edit *edit);
/* Asks again for the commits that are due (after a promotion, or a commit that failed). */
void records_want(struct records *records);

/* All words of the operator about records that are in force: what is not among them is not forced any more.
 * Then records_look. */
struct record_forcing {
    uint8_t owner[NAME_MAX_WIRE]; /* lower case */
    enum record_force force;
    char by[128]; /* who, for people */
};
void records_set_forces(struct records *records, const struct record_forcing *list, size_t count);

/* Names of prepared queries that records follow, to be asked again and again. */
void records_each_query(const struct records *records, void (*visit)(void *arg, const char *name), void *arg);

/* Of one zone: [{"record":"www","owner":"www.example.com.","type":"A/AAAA","state":"healthy|...",
 * "target":"web@dc2" or null,"answer":"targets|nodata|servfail|committed","when_all_down":"all","ttl":5,
 * "forced":"up|down|null","by":..., "flips":3,"since":"2026-...","committed":true (the zone has what is
 * answered),"candidates":[{"name":"web","live":true,"healthy":2,"total":3}],"answers":["192.0.2.1"...]}];
 * NULL if it has none. Any thread; a new reference. */
json_t *records_status(struct records *records, const char *zone);
/* The serial of a committed version that is not the file's; 0: none. Any thread. */
uint32_t records_serial(struct records *records, const char *zone);
/* Appends a line a record of the zone, each with a line feed before it, for `<zone>.zone.lictor.` Any thread.
 */
void records_lines(struct records *records, const char *zone, struct buf *out);
/* Appends the metrics, in the Prometheus text format. Any thread. */
void records_print(struct records *records, struct buf *out);
