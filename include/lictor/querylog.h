/* A sampled log of queries, off by default: who asked what over which transport, what became of it, and for a
 * negative answer why. A worker that is to log a query copies it into a ring of its own and goes on: it never
 * formats, writes or waits. One thread empties the rings ten times a second, works out the reason from the
 * published snapshot, and writes the lines. What the ring, the rate or a stuck reader of the lines does not
 * take is left out and counted (lictor_query_log_lost_total). While it is off it costs a worker one load a
 * batch. */
#pragma once

#include "lictor/snapshot.h"

#include <stdbool.h>
#include <stdint.h>

#define QUERY_LOG_ALL 1000000 /* sample: every query */

struct query_log;

struct query_log_settings {
    const char *file; /* appended to, made with mode 0640; NULL: standard error */
    uint32_t sample;  /* how many of a million queries, chosen at random */
    unsigned rate;    /* most lines a second */
    bool negative;    /* only negative answers: NXDOMAIN, NODATA, refusals and failures */
};

/* workers: how many threads will log, each with its own ring. slot outlives the log. It is off. */
struct query_log *query_log_new(unsigned workers, struct snapshot_slot *slot);
/* Switches it on (settings are copied), to other settings, or off (NULL). The same file is opened anew, so
 * that it can be rotated away. A file that cannot be opened is told in our own log. Returns at once. Main
 * thread. */
void query_log_set(struct query_log *log, const struct query_log_settings *settings);
/* After the last worker has ended. NULL is allowed. Main thread. */
void query_log_free(struct query_log *log);
