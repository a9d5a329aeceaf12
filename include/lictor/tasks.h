/* What is asked on any instance and can be done by the primary alone (`lictor zone import`): passed on
 * through Consul's KV, since two instances may have no other way to each other, and since whoever may write
 * there may ask for it. Below `lictor/<cluster>/tasks/<id>/`:
 *
 *   part/<n>  the octets that go with it, in chunks (a zone file is larger than a value may be), first
 *   order     JSON: who asks, of which epoch's primary, how many parts, the task; makes it valid
 *   answer    the primary's: '+' and JSON, or '-' and why not
 *
 * The author removes them all; the primary does so after ten minutes. A task is done by the primary of the
 * epoch that it was written for or by nobody, so none is done twice. Main thread. */
#pragma once

#include "lictor/buf.h"
#include "lictor/clock.h"
#include "lictor/consul.h"
#include "lictor/role.h"

#include <jansson.h>

struct event_base;
struct tasks;

/* result: JSON text, the callee's to free; or NULL and error, valid during the call. */
typedef void task_done_fn(void *arg, char *result, const char *error);

/* On the primary: does the task, and calls done once, at any later time or at once. from: the node that was
 * asked. body: what came with it, the callee's to take over (else it is freed). */
typedef void task_run_fn(void *arg, const json_t *task, const char *from, struct buf *body,
                         task_done_fn *done, void *done_arg);

struct tasks_config {
    struct event_base *base;
    struct consul_client *client; /* NULL: no election, everything is done here */
    struct role *role;
    const char *cluster, *node; /* copied */
    task_run_fn *run;
    void *run_arg;
};

struct tasks *tasks_new(const struct tasks_config *config);
/* From role events. */
void tasks_role(struct tasks *tasks, bool primary, uint64_t epoch);
/* Takes the reference of task, an object, and the octets of body. When no primary is known for 2 s, done says
 * so; when `within` passes without an answer, too. */
void tasks_ask(struct tasks *tasks, json_t *task, struct buf *body, nstime within, task_done_fn *done,
               void *arg);
/* Before the client goes: nothing is sent any more, and what waits is told so. */
void tasks_stop(struct tasks *tasks);
void tasks_free(struct tasks *tasks); /* when the builder has ended: what was being done has called back */

#define TASK_BODY_MAX (32u * 1024 * 1024)
