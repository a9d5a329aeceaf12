/* `lictor doctor`: looks for what will go wrong, or is wrong already, around this instance: Consul and its
 * agent, the token's rights, the election, DNS, the system, the process itself. An examination gathers facts
 * without blocking (requests to Consul on four connections of its own, DNS queries to its own and the
 * members' addresses), at most 5 s in all; then plain functions judge them (src/doctor/judge.h). It changes
 * nothing: a right to write is shown by a write that Consul refuses for another reason than the right.
 * Main thread. */
#pragma once

#include "lictor/builder.h"
#include "lictor/config.h"
#include "lictor/role.h"
#include "lictor/snapshot.h"
#include "lictor/watch.h"

#define DOCTOR_CONNECTIONS 4

struct doctor;
struct event_base;

/* What it may look at. role and watch may be NULL where a function is not configured. */
struct doctor_view {
    struct event_base *base;
    struct builder *builder;
    struct snapshot_slot *slot;
    const struct config_consul *consul; /* lives as long as the process: a reload does not change it */
    struct role *role;
    struct watch *watch;
    unsigned connections; /* to one agent, that this process may use at most besides the doctor's */
    nstime (*longest_turn)(void *arg); /* of main's loop, CPU time */
    json_t *(*zones)(void *arg);       /* as control_view's, and so is the next */
    json_t *(*not_ready)(void *arg);
    void *arg;
};

struct doctor *doctor_new(const struct doctor_view *view);
/* Ends an examination under way: its callers are told so. NULL is allowed. Before the builder ends. */
void doctor_free(struct doctor *doctor);

/* One examination; who asks during one gets its result. config is read during the call only. done comes once,
 * later: {"faults":0,"warnings":1,"notes":0,"findings":[{"level":"ok|note|warn|fault","check":"agent",
 * "what":"...","why":"..."|null,"do":"..."|null}]} (a new reference), or NULL with an error. */
typedef void doctor_done(void *arg, json_t *result, const char *error);
void doctor_examine(struct doctor *doctor, const struct config *config, doctor_done *done, void *arg);
