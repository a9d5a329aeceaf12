/* The runner: a process forked before anything else, which keeps the privileges that effects and port 53
 * need. It reads the configuration file itself and knows effects by name, so that the network side can choose
 * one but never compose one. It binds the listen sockets, passes them over and closes its own copies. The
 * heartbeat carries the deadline itself (CLOCK_BOOTTIME): process groups of actions get TERM 200 ms before it
 * and KILL at it. Pipe closed: kill, withdraw, exit. */
#pragma once

#include "lictor/config.h"
#include "lictor/err.h"
#include "lictor/serve.h"

struct runner; /* the daemon's side */
struct event_base;

/* Forks the runner. config: as read by the daemon's first process (it is read again by the runner, and the
 * hashes compared). Before any thread. Returns NULL with err. */
struct runner *runner_start(const struct config *config, struct err *err);
/* Asks for the listen sockets; blocks until they came (start-up only). Fills listens[config->listen_count].
 */
int runner_bind(struct runner *runner, const struct config *config, struct server_listen *listens,
                struct err *err);

struct runner_result {
    const char *action, *event_id;
    int status; /* wait(2) status; -1: could not be started or was killed at the deadline: error says */
    const char *error;
    nstime took;
};
struct runner_hooks {
    void (*result)(void *arg, const struct runner_result *result);
    void (*gone)(void *arg); /* the runner died: close the gate at once */
    void *arg;
};
/* From now on messages are handled on base. */
void runner_attach(struct runner *runner, struct event_base *base, const struct runner_hooks *hooks);

/* Runs the named action. env: "NAME=value" pairs (LICTOR_*), NULL-terminated; json goes to its standard
 * input. needs_right: it must not outlive the deadline (everything but `demoted`, which runs after it). */
int runner_run(struct runner *runner, const char *action, const char *event_id, char *const *env,
               const char *json, bool needs_right, struct err *err);
/* The heartbeat: actions that need the right may run until then. 0: none. */
void runner_deadline(struct runner *runner, nstime act_until);
/* Ends every action that needs the right (TERM, then KILL after 200 ms); acked(arg, clean) when none runs any
 * more. */
void runner_quiesce(struct runner *runner, void (*acked)(void *arg, bool clean), void *arg);
/* The runner reads the file again; ok only if it read the same (by hash). */
void runner_reload(struct runner *runner, const char *hash, void (*done)(void *arg, const char *error),
                   void *arg);
void runner_stop(struct runner *runner); /* orderly end; waits at most 2 s */
