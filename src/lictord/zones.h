/* The configured zones: loading their files on the builder, keeping the last good content, and knowing what
 * went wrong. The structures belong to main; what a job carries belongs to the builder while it runs. */
#pragma once

#include "lictor/builder.h"
#include "lictor/config.h"
#include "publisher.h"

#include <jansson.h>
#include <stdbool.h>

struct hosted_zones;

struct hosted_zones *hosted_zones_new(struct builder *builder, struct publisher *publisher,
                                      const char *state_dir);
/* After the builder has ended and nothing is published any more. */
void hosted_zones_free(struct hosted_zones *zones);

/* Called on main when a load has ended: NULL, or the faults, one a line. */
typedef void hosted_zones_done_fn(void *arg, const char *faults);

/* At start: every zone from its file; a broken one from the content saved last, or, if there is none, held
 * (SERVFAIL, EDE 14). Faults are logged and reported, and do not stop the others. */
void hosted_zones_start(struct hosted_zones *zones, const struct config *config, hosted_zones_done_fn *done,
                        void *arg);

/* At a reload: all zones of config, or none: with any fault everything stays as it was. */
void hosted_zones_reload(struct hosted_zones *zones, const struct config *config, hosted_zones_done_fn *done,
                         void *arg);

/* For control_view.zones. Main. */
json_t *hosted_zones_status(const struct hosted_zones *zones);
/* Calls visit for each zone: apex in text form without the trailing dot, and one line about it, empty
 * for one that is not configured any more. Main. */
void hosted_zones_each(const struct hosted_zones *zones,
                       void (*visit)(void *arg, const char *apex, const char *line), void *arg);
/* The first zone that has no content at all: its apex text, or NULL. Main. */
const char *hosted_zones_missing(const struct hosted_zones *zones);
