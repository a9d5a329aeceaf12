/* The configured zones: loading their files on the builder, keeping the last good content, and knowing what
 * went wrong. The structures belong to main; what a job carries belongs to the builder while it runs. */
#pragma once

#include "lictor/builder.h"
#include "lictor/config.h"
#include "lictor/records.h"
#include "lictor/store.h"
#include "publisher.h"

#include <jansson.h>
#include <stdbool.h>

struct hosted_zones;

/* records: through which all of them are published. */
struct hosted_zones *hosted_zones_new(struct builder *builder, struct publisher *publisher,
                                      struct records *records, const char *state_dir);
/* Before the first read: with an election the zones are the store's (store.h). NULL: each is its file alone.
 */
void hosted_zones_use_store(struct hosted_zones *zones, struct store *store);
/* After the builder has ended and nothing is published any more. */
void hosted_zones_free(struct hosted_zones *zones);

/* The content of all zones of a configuration, read but not published yet. */
struct hosted_load;

/* Called on main when everything was read: faults is NULL, or has them, one a line (also logged). The load is
 * then the callee's, to be applied or dropped. */
typedef void hosted_zones_read_fn(void *arg, struct hosted_load *load, const char *faults);

/* Reads every zone from its file. use_saved (at start): a broken file's zone comes from the content saved
 * last, or, if there is none, is held (SERVFAIL, EDE 14) once applied. config must live until then. */
void hosted_zones_read(struct hosted_zones *zones, const struct config *config, bool use_saved,
                       hosted_zones_read_fn *read, void *arg);

/* Publishes it whole and removes zones that are not in it; then done(arg) on main. Ends the load. */
void hosted_zones_apply(struct hosted_load *load, void (*done)(void *arg), void *arg);
/* Everything stays as it was. Ends the load. */
void hosted_zones_drop(struct hosted_load *load);

/* For control_view.zones. Main. */
json_t *hosted_zones_status(const struct hosted_zones *zones);
/* Calls visit for each zone: apex in text form without the trailing dot (the root: "."), and one line about
 * it, empty for one that is not configured any more. Main. */
void hosted_zones_each(const struct hosted_zones *zones,
                       void (*visit)(void *arg, const char *apex, const char *line), void *arg);
/* The first zone that has no content at all: its apex text, or NULL. Main. */
const char *hosted_zones_missing(const struct hosted_zones *zones);
