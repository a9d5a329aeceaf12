/* A health-driven record: which of its candidates it answers with, from what is seen of them and the time.
 * Pure: no catalog, no clock, no DNS. Any one thread.
 *
 * Candidates stand in the order of preference. The first is good while at least min_healthy of its endpoints
 * are up, another while one is; the first good one is the target, and its endpoints that are up are the
 * answer. An endpoint is up once it was seen healthy for `rise`, and down once it was seen unhealthy for
 * `fall`. How endpoints are when a view is seen for the first time counts at once: a restart must not declare
 * everything down for `rise`. One that is registered later begins down, and one that is deregistered is gone
 * at once, for nobody is there.
 *
 * A candidate whose view is not live could be anything: if it stands before the first good one, nothing is
 * decided, and the committed zone answers (DESIGN 5). */
#pragma once

#include "lictor/clock.h"
#include "lictor/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where clients are sent. */
struct record_target {
    bool has_ipv4, has_ipv6;
    uint8_t ipv4[4], ipv6[16];
    uint16_t port; /* for SRV */
    uint16_t priority, weight;
    const char *host; /* for SRV: a host name, when it has no address; borrowed, lives as long as the view */
};

struct record_endpoint {
    uint64_t id; /* the same instance, the same number */
    bool healthy;
    struct record_target target;
};

/* What is seen of a candidate now. A fixed address is live, with one endpoint that is healthy. */
struct record_view {
    bool live;
    bool fixed; /* no rise, no fall */
    const struct record_endpoint *items;
    size_t count;
};

enum record_force { RECORD_FORCE_NONE, RECORD_FORCE_UP, RECORD_FORCE_DOWN };

enum record_state {
    RECORD_UNKNOWN,  /* a view that matters is not live */
    RECORD_HEALTHY,  /* the first candidate answers */
    RECORD_FALLBACK, /* another one does */
    RECORD_ALL_DOWN, /* none is good: when-all-down */
};

enum record_answer {
    RECORD_COMMITTED, /* what the committed zone has */
    RECORD_TARGETS,
    RECORD_NODATA,
    RECORD_SERVFAIL,
};

struct record_outcome {
    enum record_state state;
    enum record_answer answer;
    int candidate;                       /* the target's number; -1: none */
    const struct record_target *targets; /* RECORD_TARGETS; valid until the next call */
    size_t count;
    uint32_t ttl; /* seconds: the record's, or what is left of a rise or fall */
    nstime next;  /* when to look again if no view changes; NS_NEVER: not needed */
    bool forced;
};

/* For people and metrics, of one candidate. */
struct record_count {
    bool live;
    unsigned healthy, total; /* healthy: up */
};

struct record_machine;

/* config is borrowed, and lives as long. */
struct record_machine *record_machine_new(const struct config_record *config);
void record_machine_free(struct record_machine *machine);
/* A reload: what was learnt of candidates that are still named goes on. */
void record_machine_configure(struct record_machine *machine, const struct config_record *config);

/* views: one a candidate. now must not go back. */
void record_machine_look(struct record_machine *machine, const struct record_view *views, nstime now,
                         enum record_force force, struct record_outcome *out);
/* As of the last look. */
struct record_count record_machine_count(const struct record_machine *machine, size_t candidate);

/* A fixed address as a target. */
struct record_target record_target_of(const struct config_address *address);
const char *record_state_name(enum record_state state);
