/* The builder: the one thread for everything slow (JSON, reading and comparing zones, rendering, fsync), so
 * that no turn of main's loop takes more than 20 ms. Jobs run in order, one at a time; it alone writes the
 * view, the zones and the published snapshot, and it alone frees what readers may still hold (rcu.h). */
#pragma once

#include "lictor/clock.h"

struct builder;
struct event_base;

typedef void job_fn(void *arg);

/* main_base: where `done` callbacks run. Until builder_start there is no thread: jobs wait, and the caller
 * may itself do what is the builder's (make the first snapshot, restore the view). */
struct builder *builder_new(struct event_base *main_base);
/* Starts the thread (all signals blocked in it). Main thread, once. */
void builder_start(struct builder *builder);

/* Runs what is queued, then ends the thread and frees. Main thread. Late `done` callbacks are still
 * delivered, from within this call. */
void builder_free(struct builder *builder);

/* Runs run(arg) on the builder, then done(arg) on main's loop (done may be NULL). arg passes from one owner
 * to the next. Any thread. */
void builder_post(struct builder *builder, job_fn *run, job_fn *done, void *arg);

/* From within a job: run done(arg) on main's loop. Any thread. */
void builder_to_main(struct builder *builder, job_fn *done, void *arg);

/* Calls tick(arg) on the builder about every `interval` ns while it is idle between jobs (for redrawing
 * weighted orders, saving, inspection text). Before any job; builder or main thread. At most 8. */
void builder_every(struct builder *builder, nstime interval, job_fn *tick, void *arg);

/* How long the job that runs now has been running, ns; 0 when idle. Above 30 s the instance is not ready. Any
 * thread. */
nstime builder_busy_for(const struct builder *builder);
/* How many jobs wait. Any thread. */
unsigned builder_queued(const struct builder *builder);
