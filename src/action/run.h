/* One run of one action: its process group, its output, its end. The runner process alone uses this. */
#pragma once

#include "lictor/clock.h"
#include "lictor/privileges.h"
#include "lictor/runner.h"

#include <stdbool.h>
#include <sys/types.h>

#define RUN_TERM_GRACE   (2 * NS_PER_S)    /* from TERM to KILL at a timeout */
#define RUN_RIGHT_GRACE  (200 * NS_PER_MS) /* from TERM to KILL when the right ends */
#define RUN_KILL_MARGIN  (20 * NS_PER_MS)  /* KILL this long before the deadline: dying takes a moment */
#define RUN_OUTPUT_LINES 200               /* lines of one run that reach the log */
#define RUN_OUTPUT_LINE  512               /* octets of one line that reach the log */

struct run_order {
    const char *action, *event_id, *json;
    char *const *argv;
    const char *const *env; /* "LICTOR_..." pairs */
    size_t env_count;
    const struct identity *identity; /* NULL: stay who we are */
    nstime timeout;
    bool needs_right;
};

struct run {
    struct run *next;
    char *action, *event_id, *program;
    bool needs_right;
    nstime started;
    nstime timeout_at;
    nstime kill_at;   /* NS_NEVER until TERM was sent */
    bool right_ended; /* TERM was sent for that: kill_at heeds the deadline already, which may be 0 by now */
    pid_t pid;        /* of the leader, and of its process group */
    bool reaped;      /* the leader was waited for; others of the group may still be dying */
    bool killed;
    int status;
    enum runner_outcome outcome;
    const char *ended_by; /* what was in force when TERM was sent; NULL: nothing */
    int exec_error;       /* read end; holds an errno if the program could not be executed */
    int output;           /* read end; -1 after end of file */
    char line[RUN_OUTPUT_LINE];
    size_t line_len;
    unsigned lines;
    bool line_cut;
};

/* NULL with err: a resource is missing (descriptors, processes, memory). */
struct run *run_start(const struct run_order *order, struct err *err);
/* Closes and frees; the group is gone or given up. */
void run_free(struct run *run);

/* TERM to the group now, KILL at kill_at; a later call can only bring the KILL forward. */
void run_terminate(struct run *run, nstime kill_at, enum runner_outcome outcome, const char *why);
void run_kill(struct run *run);
/* When run_tick has something to do next; act_until: the deadline in force. */
nstime run_due(const struct run *run, nstime act_until);
void run_tick(struct run *run, nstime act_until, nstime now);
/* The leader has ended but is not waited for yet, so its number is still its own: ends its group, waits. */
void run_reap(struct run *run);
/* Is every process of the group gone? After run_reap. */
bool run_gone(const struct run *run);
/* Output to the log, what is there now. */
void run_read(struct run *run);
/* The same, and an unfinished last line; then closes. */
void run_end_output(struct run *run);
/* Fills the result of a run that is gone; text is the storage of its error. */
void run_result(struct run *run, nstime now, struct runner_result *out, char text[512]);
