/* The runner: a process forked before anything else, which keeps the privileges that effects and port 53
 * need. It reads the configuration file itself and knows actions by name, so that the network side can choose
 * one but never compose one. It binds the listen sockets, passes them over and closes its own copies. The
 * heartbeat carries the deadline itself (CLOCK_BOOTTIME).
 *
 * What a run may count on, and what ends it:
 * - its own session and process group, standard input with the JSON document, output to the log, a clean
 *   environment, umask 022, working directory "/", every other descriptor closed;
 * - it ends with its first process: what that leaves behind, in its group or out of it, is killed;
 * - its timeout: TERM to the group, KILL 2 s later;
 * - if it needs the right to act: TERM 200 ms before the deadline and KILL 20 ms before it, so that nothing
 * of it lives at the deadline; the heartbeat moves the deadline. A heartbeat of 0 and a quiesce give TERM at
 *   once and KILL 200 ms later, never later than the deadline that was in force;
 * - the daemon's death (end of file on the socket): runs that need the right end as by a quiesce. `demoted`
 *   runs undo things and may finish within their timeout; then the runner exits.
 * INT, TERM and HUP do not end the runner: it must outlive the daemon's clean stop. */
#pragma once

#include "lictor/config.h"
#include "lictor/err.h"
#include "lictor/serve.h"

#include <sys/types.h>

struct runner; /* the daemon's side; main thread */
struct event_base;

/* Bounds of one order; the runner refuses more. */
#define RUNNER_JSON_MAX  65536 /* octets of the JSON document */
#define RUNNER_ENV_PAIRS 32
#define RUNNER_ENV_MAX   32768 /* octets of all pairs together */
#define RUNNER_ID_MAX    512   /* octets of an event ID */

/* Forks the runner and waits until it has read the configuration file (at most 10 s). config: as read by the
 * daemon's first process; the hashes must agree. Before any thread and any event base. Returns NULL with err.
 */
struct runner *runner_start(const struct config *config, struct err *err);
pid_t runner_pid(const struct runner *runner);
/* Asks for the listen sockets; blocks until they came (start-up only, before runner_attach). Fills
 * listens[config->listen_count]: the bound address (a port 0 has become a real one) and config->workers UDP
 * and TCP sockets in arrays that the caller owns (free() them; the server takes the sockets). On -1 nothing
 * stays open. */
int runner_bind(struct runner *runner, const struct config *config, struct server_listen *listens,
                struct err *err);

enum runner_outcome {
    RUN_EXITED,   /* ended by itself; status says how */
    RUN_REFUSED,  /* never started: unknown, past the deadline, malformed, already running */
    RUN_UNABLE,   /* never started: the program, its user or a resource is missing */
    RUN_TIMEOUT,  /* ended at its timeout */
    RUN_DEADLINE, /* ended because the right to act ended */
};

struct runner_result {
    const char *action, *event_id;
    enum runner_outcome outcome;
    int status;        /* wait(2) status of RUN_EXITED; else -1 */
    const char *error; /* a sentence, unless RUN_EXITED with status 0: then NULL */
    nstime took;
};
struct runner_hooks {
    void (*result)(void *arg, const struct runner_result *result);
    void (*gone)(void *arg); /* the runner died: close the gate at once. Once; runner_stop not from within */
    void *arg;
};
/* From now on messages are handled on base. */
void runner_attach(struct runner *runner, struct event_base *base, const struct runner_hooks *hooks);

/* Runs the named action. env: "NAME=value" pairs (LICTOR_*, no control characters), NULL-terminated; json
 * goes to its standard input. needs_right: it must not outlive the deadline (everything but `demoted`, which
 * runs after it). The result follows by the hook; -1 with err: nothing was sent and none follows. Never
 * blocks. */
int runner_run(struct runner *runner, const char *action, const char *event_id, char *const *env,
               const char *json, bool needs_right, struct err *err);
/* The heartbeat: actions that need the right may run until then. 0: none. NS_NEVER: no election. */
void runner_deadline(struct runner *runner, nstime act_until);
/* Ends every run that needs the right and refuses new ones until the next heartbeat. acked(arg, clean) comes
 * exactly once: clean when nothing that needed the right is alive; not clean when that could not be shown
 * within a second, the runner is gone, or another quiesce is still under way. */
void runner_quiesce(struct runner *runner, void (*acked)(void *arg, bool clean), void *arg);
/* The runner reads the file again; done(arg, NULL) only if it read the same (by hash), else why not, and it
 * keeps the old one. */
void runner_reload(struct runner *runner, const char *hash, void (*done)(void *arg, const char *error),
                   void *arg);
/* Orderly end, and free. Waits at most 2 s for the runner's exit; `demoted` runs may go on beyond that under
 * the runner's eye. NULL is allowed. */
void runner_stop(struct runner *runner);
