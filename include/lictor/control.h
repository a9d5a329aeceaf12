/* The operator's side: control socket (JSON lines), admin HTTP (evhttp), metrics. Main thread. Reads the
 * other modules through their *_status functions. */
#pragma once

#include "lictor/action.h"
#include "lictor/builder.h"
#include "lictor/catalog.h"
#include "lictor/datacenters.h"
#include "lictor/ondemand.h"
#include "lictor/role.h"
#include "lictor/serve.h"
#include "lictor/store.h"
#include "lictor/tasks.h"
#include "lictor/watch.h"

struct control;

/* Everything it may look at. Pointers may be NULL where a function is not configured. */
struct control_view {
    struct event_base *base;
    struct builder *builder;
    const struct config *config; /* the running one */
    struct server *server;
    struct gate *gate;
    struct snapshot_slot *slot;
    struct role *role;
    struct watch *watch;
    struct datacenters *datacenters; /* remote ones */
    struct catalog *catalog;         /* builder thread only: through jobs */
    struct action_engine *actions;
    struct desk *desk;
    struct ondemand *ondemand;
    struct store *store;
    struct tasks *tasks;
    struct consul_client *watch_client, *ondemand_client, *election_client,
        *store_client;    /* NULL: not used */
    unsigned connections; /* to Consul, that the clients above may have */
    nstime started;
    /* Of main's loop, since the start: the most CPU time that one turn took, and the latest that a timer
     * fired. */
    nstime (*longest_turn)(void *arg);
    nstime (*worst_lateness)(void *arg);
    /* The configured zones:
     * [{"zone","file","serial","records","source":"file|saved|none|consul","loaded":"time","error":".."|null,
     * "secondaries": notify_status, if it has some}]. A new reference. */
    json_t *(*zones)(void *arg);
    /* Appends what transfers and NOTIFY count, in the Prometheus text format. */
    void (*transfer_metrics)(void *arg, struct buf *out);
    /* Why the instance is not ready, one line each: [] when it is. A new reference. */
    json_t *(*not_ready)(void *arg);
    /* What was decided besides the role's history: entries like role_why's, to be merged with it. May be
     * NULL. */
    json_t *(*decisions)(void *arg);
    /* Reload: reads the configuration again; done gets NULL or the faults. */
    void (*reload)(void *arg, void (*done)(void *done_arg, const char *error), void *done_arg);
    /* `lictor record force WORD NAME`: WORD is "up", "down" or "clear". */
    void (*force)(void *arg, const char *word, const char *name,
                  void (*done)(void *done_arg, const char *error), void *done_arg);
    void *arg;
};

struct control *control_new(const struct control_view *view, struct err *err);
void control_free(struct control *control);
void control_set_config(struct control *control, const struct config *config); /* after a reload */
/* task_run_fn: what the primary does for another instance's operator. */
void control_task(struct control *control, const json_t *task, const char *from, struct buf *body,
                  task_done_fn *done, void *arg);
