/* Between the author's side and the primary's. */
#pragma once

#include "lictor/tasks.h"

#include <event2/event.h>

#define TASK_CHUNK     (240 * 1024)    /* Consul refuses values above 512 KiB */
#define TASK_ORDER_MAX (64 * 1024)     /* it is parsed on main */
#define TASK_TIMEOUT   (10 * NS_PER_S) /* of one request to Consul */
#define TASK_ID        37

struct tasks {
    struct tasks_config config;
    char *prefix; /* "lictor/<cluster>/tasks/" */
    char *node;
    struct errand *errands; /* the author's (ask.c) */
    bool primary, stopped;
    uint64_t epoch;
    struct consul_watch *watch; /* while primary */
    struct work *works;         /* the primary's (work.c) */
    struct seen *seen;
};

/* "/v1/kv/lictor/<cluster>/tasks/<id>/<what>?query"; caller frees. */
char *tasks_path(const struct tasks *tasks, const char *id, const char *what, const char *query);
/* Removes all of it; nobody waits for that. */
void tasks_remove(struct tasks *tasks, const char *id);

void errands_stop(struct tasks *tasks);
