/* The primary's side: sees orders, fetches what goes with them, has them done, answers. */
#include "tasks/internal.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKS_MAX  16
#define EXPIRY     (600 * NS_PER_S)
#define LOOK       (60 * NS_PER_S)
#define KEYS_MAX   (256 * 1024) /* octets of the list of keys, which main parses */
#define ANSWER_MAX (500 * 1024)

/* A task whose keys are there. */
struct seen {
    struct seen *next;
    char id[TASK_ID];
    nstime since;
    bool begun, listed;
};

/* One that is being done. */
struct work {
    struct work *next, **link;
    struct tasks *tasks; /* NULL: nobody waits for the answer any more */
    char id[TASK_ID], from[256];
    json_t *task;
    struct buf body;
    unsigned parts, fetched;
    struct consul_request *request;
};

static void end(struct work *work)
{
    if (work->tasks) {
        *work->link = work->next;
        if (work->next)
            work->next->link = work->link;
        consul_cancel(work->request);
    }
    json_decref(work->task);
    buf_free(&work->body);
    free(work);
}

static void on_answered(void *arg, struct consul_response *response)
{
    struct work *work = arg;
    work->request = NULL;
    if (response->status != 200)
        log_warn("tasks: the answer to %s was not written: %s", work->from, response->error);
    end(work);
}

static void answer(struct work *work, const char *sign, const char *text)
{
    struct buf octets = {0};
    if (strlen(text) > ANSWER_MAX) {
        sign = "-";
        text = "it was done, but its result is too large to be passed on; ask on the primary itself";
    }
    buf_puts(&octets, sign);
    buf_puts(&octets, text);
    for (size_t i = 0; i < octets.len; i++)
        if (octets.data[i] < 0x20)
            octets.data[i] = ' ';
    char *path = tasks_path(work->tasks, work->id, "answer", NULL);
    work->request = consul_send(work->tasks->config.client,
                                &(struct consul_options){.method = "PUT",
                                                         .path = path,
                                                         .body = (const char *)octets.data,
                                                         .body_len = octets.len,
                                                         .timeout = TASK_TIMEOUT},
                                on_answered, work);
    free(path);
    buf_free(&octets);
}

static void on_done(void *arg, char *result, const char *error)
{
    struct work *work = arg;
    if (!work->tasks)
        end(work);
    else
        answer(work, result ? "+" : "-", result ? result : error);
    free(result);
}

static void run(struct work *work)
{
    struct tasks *tasks = work->tasks;
    struct buf body = work->body;
    json_t *task = json_incref(work->task);
    char from[256];
    work->body = (struct buf){0};
    snprintf(from, sizeof from, "%s", work->from);
    if (role_is_primary(tasks->config.role))
        tasks->config.run(tasks->config.run_arg, task, from, &body, on_done, work);
    else
        on_done(work, NULL, "the instance that was asked is not primary any more");
    buf_free(&body);
    json_decref(task);
}

static void fetch(struct work *work);

static void on_fetched(void *arg, struct consul_response *response)
{
    struct work *work = arg;
    work->request = NULL;
    if (response->status != 200) {
        answer(work, "-", response->status == 404 ? "a part of the request is gone" : response->error);
        return;
    }
    buf_append(&work->body, response->body->data, response->body->len);
    work->fetched++;
    fetch(work);
}

static void fetch(struct work *work)
{
    if (work->fetched == work->parts) {
        run(work);
        return;
    }
    char what[32];
    snprintf(what, sizeof what, "part/%04u", work->fetched);
    char *path = tasks_path(work->tasks, work->id, what, "raw&consistent");
    work->request =
        consul_send(work->tasks->config.client,
                    &(struct consul_options){
                        .method = "GET", .path = path, .timeout = TASK_TIMEOUT, .max_body = TASK_CHUNK + 1},
                    on_fetched, work);
    free(path);
}

/* Hostile: whoever may write to KV may have written it. */
static int read_order(struct work *work, const struct buf *text, struct err *err)
{
    json_t *order = json_loadb((const char *)text->data, text->len, JSON_REJECT_DUPLICATES, NULL);
    json_t *task = json_object_get(order, "task"), *parts = json_object_get(order, "parts");
    const char *from = json_string_value(json_object_get(order, "from"));
    json_int_t count = json_integer_value(parts);
    int result = -1;
    if (!json_is_object(task) || !from || !json_is_integer(parts) || count < 0 ||
        count > TASK_BODY_MAX / TASK_CHUNK + 1)
        err_set(err, "the order is not one; are both instances of one version?");
    else if ((uint64_t)json_integer_value(json_object_get(order, "epoch")) != work->tasks->epoch)
        err_set(err, "the primary changed before it was asked: nothing was done");
    else
        result = 0;
    if (!result) {
        work->task = json_incref(task);
        work->parts = (unsigned)count;
        snprintf(work->from, sizeof work->from, "%s", from);
    }
    json_decref(order);
    return result;
}

static void on_order(void *arg, struct consul_response *response)
{
    struct work *work = arg;
    struct err err;
    work->request = NULL;
    if (response->status == 404)
        end(work);
    else if (response->status != 200)
        answer(work, "-", response->error);
    else if (read_order(work, response->body, &err))
        answer(work, "-", err.text);
    else
        fetch(work);
}

static void begin(struct tasks *tasks, const char *id)
{
    struct work *work = xcalloc(1, sizeof *work);
    *work = (struct work){.next = tasks->works, .link = &tasks->works, .tasks = tasks};
    snprintf(work->id, sizeof work->id, "%s", id);
    if (work->next)
        work->next->link = &work->next;
    tasks->works = work;
    char *path = tasks_path(tasks, id, "order", "raw&consistent");
    work->request =
        consul_send(tasks->config.client,
                    &(struct consul_options){
                        .method = "GET", .path = path, .timeout = TASK_TIMEOUT, .max_body = TASK_ORDER_MAX},
                    on_order, work);
    free(path);
}

/* --- what there is ---------------------------------------------------------------------------------------
 */

static struct seen *note(struct tasks *tasks, const char *id)
{
    for (struct seen *seen = tasks->seen; seen; seen = seen->next)
        if (!memcmp(seen->id, id, TASK_ID - 1))
            return seen;
    struct seen *seen = xcalloc(1, sizeof *seen);
    *seen = (struct seen){.next = tasks->seen, .since = clock_boot()};
    memcpy(seen->id, id, TASK_ID - 1);
    tasks->seen = seen;
    return seen;
}

static void look_at(struct tasks *tasks, const char *key)
{
    size_t len = strlen(tasks->prefix);
    const char *id = key + len;
    if (strncmp(key, tasks->prefix, len) || strspn(id, "0123456789abcdef-") != TASK_ID - 1 ||
        id[TASK_ID - 1] != '/')
        return;
    struct seen *seen = note(tasks, id);
    unsigned busy = 0;
    seen->listed = true;
    for (const struct work *work = tasks->works; work; work = work->next)
        busy++;
    if (!seen->begun && busy < WORKS_MAX && !strcmp(id + TASK_ID, "order")) {
        seen->begun = true;
        begin(tasks, seen->id);
    }
}

/* Those whose author died leave their keys. */
static void sweep(struct tasks *tasks)
{
    nstime now = clock_boot();
    for (struct seen **at = &tasks->seen; *at;) {
        struct seen *seen = *at;
        if (seen->listed && now - seen->since > EXPIRY)
            tasks_remove(tasks, seen->id);
        if (!seen->listed) {
            *at = seen->next;
            free(seen);
            continue;
        }
        seen->listed = false;
        at = &seen->next;
    }
}

static void on_keys(void *arg, struct consul_response *response, bool changed)
{
    struct tasks *tasks = arg;
    (void)changed; /* unchanged ones grow old */
    json_t *keys = response->status == 200 ? consul_json(response->body, NULL) : NULL, *key;
    size_t i;
    if (response->status != 200 && response->status != 404)
        return;
    json_array_foreach(keys, i, key)
    {
        if (json_is_string(key))
            look_at(tasks, json_string_value(key));
    }
    sweep(tasks);
    json_decref(keys);
}

static void forget(struct tasks *tasks)
{
    for (struct seen *seen = tasks->seen, *next; seen; seen = next) {
        next = seen->next;
        free(seen);
    }
    tasks->seen = NULL;
}

void tasks_role(struct tasks *tasks, bool primary, uint64_t epoch)
{
    if (!tasks || !tasks->config.client || tasks->stopped)
        return;
    consul_watch_free(tasks->watch);
    tasks->watch = NULL;
    tasks->primary = primary;
    tasks->epoch = epoch;
    forget(tasks);
    if (!primary)
        return;
    char *path = xasprintf("/v1/kv/%s?keys", tasks->prefix);
    tasks->watch = consul_watch_new(tasks->config.client,
                                    &(struct consul_watch_options){.path = path,
                                                                   .consistency = "consistent",
                                                                   .wait = LOOK,
                                                                   .max_body = KEYS_MAX,
                                                                   .rate = 20,
                                                                   .burst = 8},
                                    on_keys, tasks);
    free(path);
}

/* --- life ------------------------------------------------------------------------------------------------
 */

struct tasks *tasks_new(const struct tasks_config *config)
{
    struct tasks *tasks = xcalloc(1, sizeof *tasks);
    tasks->config = *config;
    tasks->prefix = xasprintf("lictor/%s/tasks/", config->cluster ? config->cluster : "");
    tasks->node = xstrdup(config->node);
    tasks->config.cluster = tasks->config.node = NULL;
    return tasks;
}

void tasks_stop(struct tasks *tasks)
{
    if (!tasks || tasks->stopped)
        return;
    tasks->stopped = true;
    consul_watch_free(tasks->watch);
    tasks->watch = NULL;
    errands_stop(tasks);
    while (tasks->works) { /* what is being done calls back later, and finds nobody */
        struct work *work = tasks->works;
        bool waits = !work->request;
        if (!waits) {
            end(work);
            continue;
        }
        tasks->works = work->next;
        if (work->next)
            work->next->link = &tasks->works;
        work->tasks = NULL;
    }
    forget(tasks);
}

void tasks_free(struct tasks *tasks)
{
    if (!tasks)
        return;
    tasks_stop(tasks);
    free(tasks->prefix);
    free(tasks->node);
    free(tasks);
}
