/* The author's side: parts, order, then asking for the answer. */
#include "tasks/internal.h"

#include "lictor/rng.h"
#include "lictor/xalloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL       (50 * NS_PER_MS)
#define NO_PRIMARY (2 * NS_PER_S)

struct errand {
    struct errand *next, **link;
    struct tasks *tasks;
    char id[TASK_ID];
    json_t *task;
    struct buf body;
    unsigned parts, sent;
    bool ordered; /* the order may be in KV */
    uint64_t epoch;
    nstime since, until, changed_at;
    struct consul_request *request;
    struct event *timer;
    task_done_fn *done;
    void *arg;
};

char *tasks_path(const struct tasks *tasks, const char *id, const char *what, const char *query)
{
    char *key = xasprintf("%s%s/%s", tasks->prefix, id, what);
    char *path = consul_path("/v1/kv/", key, query);
    free(key);
    return path;
}

static void removed(void *arg, struct consul_response *response)
{
    (void)arg, (void)response; /* the primary sweeps what stays */
}

void tasks_remove(struct tasks *tasks, const char *id)
{
    char *path = tasks_path(tasks, id, "", "recurse");
    consul_send(tasks->config.client,
                &(struct consul_options){.method = "DELETE", .path = path, .timeout = TASK_TIMEOUT}, removed,
                NULL);
    free(path);
}

/* result: handed over. */
static void finish(struct errand *errand, char *result, const char *error)
{
    *errand->link = errand->next;
    if (errand->next)
        errand->next->link = errand->link;
    consul_cancel(errand->request);
    if ((errand->sent || errand->ordered) && !errand->tasks->stopped)
        tasks_remove(errand->tasks, errand->id);
    event_free(errand->timer);
    errand->done(errand->arg, result, error);
    json_decref(errand->task);
    buf_free(&errand->body);
    free(errand);
}

static void after(struct errand *errand, nstime delay)
{
    struct timeval tv = clock_timeval(delay);
    evtimer_add(errand->timer, &tv);
}

static void send_put(struct errand *errand, const char *what, const void *data, size_t len,
                     consul_response_fn *reply)
{
    char *path = tasks_path(errand->tasks, errand->id, what, NULL);
    errand->request = consul_send(
        errand->tasks->config.client,
        &(struct consul_options){
            .method = "PUT", .path = path, .body = data, .body_len = len, .timeout = TASK_TIMEOUT},
        reply, errand);
    free(path);
}

static void fail_sending(struct errand *errand, const struct consul_response *response)
{
    char error[512];
    bool maybe = errand->ordered && response->status == 0;
    snprintf(error, sizeof error, "%sasking the primary through Consul: %s%s",
             response->status == 403 ? "not allowed: " : "", response->error,
             maybe ? "; it may have been done or not" : "");
    finish(errand, NULL, error);
}

/* --- the answer --------------------------------------------------------------------------------------- */

/* Anybody with rights in KV may have written it: it becomes part of a line. */
static bool one_line(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20)
            return false;
    return true;
}

static void read_answer(struct errand *errand, struct buf *body)
{
    const char *text = buf_str(body);
    if (strlen(text) != body->len || (text[0] != '+' && text[0] != '-') || !one_line(text))
        finish(errand, NULL, "the primary's answer is not one; are both of one version?");
    else if (text[0] == '+')
        finish(errand, xstrdup(text + 1), NULL);
    else
        finish(errand, NULL, text + 1);
}

static void on_answer(void *arg, struct consul_response *response)
{
    struct errand *errand = arg;
    struct role_primary primary;
    nstime now = clock_boot();
    errand->request = NULL;
    if (response->status == 200) {
        read_answer(errand, response->body);
        return;
    }
    role_primary(errand->tasks->config.role, &primary);
    if (primary.known && primary.epoch == errand->epoch)
        errand->changed_at = NS_NEVER;
    else if (errand->changed_at == NS_NEVER)
        errand->changed_at = now;
    if (errand->changed_at != NS_NEVER && now - errand->changed_at > NO_PRIMARY)
        finish(errand, NULL,
               primary.known ? "the primary changed before it answered: it may have been done or not"
                             : "no primary holds the lock any more: it may have been done or not");
    else if (now > errand->until)
        finish(errand, NULL, "the primary did not answer in time: it may have been done or not");
    else
        after(errand, POLL);
}

static void ask_for_answer(struct errand *errand)
{
    char *path = tasks_path(errand->tasks, errand->id, "answer", "raw&consistent");
    errand->request =
        consul_send(errand->tasks->config.client,
                    &(struct consul_options){
                        .method = "GET", .path = path, .timeout = 2 * NS_PER_S, .max_body = 2 * 512 * 1024},
                    on_answer, errand);
    free(path);
}

/* --- the order ---------------------------------------------------------------------------------------- */

static void on_ordered(void *arg, struct consul_response *response)
{
    struct errand *errand = arg;
    errand->request = NULL;
    if (response->status != 200)
        fail_sending(errand, response);
    else
        after(errand, POLL);
}

static void send_order(struct errand *errand)
{
    json_t *order = json_object();
    json_t *from = json_string(errand->tasks->node);
    json_object_set_new(order, "from", from ? from : json_string("?"));
    json_object_set_new(order, "epoch", json_integer((json_int_t)errand->epoch));
    json_object_set_new(order, "parts", json_integer(errand->parts));
    json_object_set(order, "task", errand->task);
    char *text = json_dumps(order, JSON_COMPACT);
    json_decref(order);
    if (!text)
        abort(); /* out of memory: the task came as JSON */
    errand->ordered = true;
    send_put(errand, "order", text, strlen(text), on_ordered);
    free(text);
}

static void send_next(struct errand *errand);

static void on_part(void *arg, struct consul_response *response)
{
    struct errand *errand = arg;
    errand->request = NULL;
    if (response->status != 200)
        fail_sending(errand, response);
    else
        send_next(errand);
}

static void send_next(struct errand *errand)
{
    if (errand->sent == errand->parts) {
        send_order(errand);
        return;
    }
    char what[32];
    size_t from = (size_t)errand->sent * TASK_CHUNK, len = errand->body.len - from;
    snprintf(what, sizeof what, "part/%04u", errand->sent++);
    send_put(errand, what, errand->body.data + from, len < TASK_CHUNK ? len : TASK_CHUNK, on_part);
}

/* --- who is asked -------------------------------------------------------------------------------------- */

static void begin(struct errand *errand)
{
    struct tasks *tasks = errand->tasks;
    struct role_primary primary;
    role_primary(tasks->config.role, &primary);
    if (!tasks->config.client || role_is_primary(tasks->config.role)) {
        task_done_fn *done = errand->done;
        void *arg = errand->arg;
        json_t *task = json_incref(errand->task);
        struct buf body = errand->body;
        errand->body = (struct buf){0};
        *errand->link = errand->next;
        if (errand->next)
            errand->next->link = errand->link;
        event_free(errand->timer);
        json_decref(errand->task);
        free(errand);
        tasks->config.run(tasks->config.run_arg, task, tasks->node, &body, done, arg);
        buf_free(&body);
        json_decref(task);
    } else if (primary.known && !primary.self) {
        errand->epoch = primary.epoch;
        errand->parts = (unsigned)((errand->body.len + TASK_CHUNK - 1) / TASK_CHUNK);
        send_next(errand);
    } else if (clock_boot() - errand->since > NO_PRIMARY) {
        finish(errand, NULL,
               primary.known ? "this instance is about to be primary; try again"
                             : "no primary holds the lock; `lictor status` says why");
    } else {
        after(errand, POLL);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct errand *errand = arg;
    if (errand->ordered)
        ask_for_answer(errand);
    else
        begin(errand);
}

void tasks_ask(struct tasks *tasks, json_t *task, struct buf *body, nstime within, task_done_fn *done,
               void *arg)
{
    struct errand *errand = xcalloc(1, sizeof *errand);
    nstime now = clock_boot();
    *errand = (struct errand){.tasks = tasks,
                              .task = task,
                              .body = *body,
                              .since = now,
                              .until = now + within,
                              .changed_at = NS_NEVER,
                              .done = done,
                              .arg = arg};
    *body = (struct buf){0};
    rng_uuid(errand->id);
    errand->timer = evtimer_new(tasks->config.base, on_timer, errand);
    errand->next = tasks->errands;
    errand->link = &tasks->errands;
    if (errand->next)
        errand->next->link = &errand->next;
    tasks->errands = errand;
    if (tasks->stopped)
        finish(errand, NULL, "this instance is stopping");
    else if (errand->body.len > TASK_BODY_MAX)
        finish(errand, NULL, "this is too large to be passed on");
    else
        begin(errand);
}

void errands_stop(struct tasks *tasks)
{
    while (tasks->errands)
        finish(tasks->errands, NULL,
               tasks->errands->ordered ? "this instance is stopping: it may have been done or not"
                                       : "this instance is stopping");
}
