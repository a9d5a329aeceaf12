/* Requests and timers that know their role, and go with it. */
#include "internal.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* Parsed on main: 64 members with their values are far below. */
#define LIST_MAX (256 * 1024)

struct call {
    struct call *next, **link;
    struct role *role;
    struct consul_request *request;
    reply_fn *reply;
    uint64_t tag;
};

char *role_key(const struct role *role, const char *name)
{
    return xasprintf("lictor/%s/%s", role->cluster, name);
}

char *role_kv_path(const struct role *role, const char *name, const char *query)
{
    char *key = role_key(role, name);
    char *path = consul_path("/v1/kv/", key, query);
    free(key);
    return path;
}

static void unlink_call(struct call *call)
{
    *call->link = call->next;
    if (call->next != NULL)
        call->next->link = call->link;
}

static void answered(void *arg, struct consul_response *response)
{
    struct call *call = arg;
    unlink_call(call);
    if (call->reply != NULL)
        call->reply(call->role, response, call->tag);
    free(call);
}

static struct call *call_new(struct role *role, reply_fn *reply, uint64_t tag)
{
    struct call *call = xmalloc(sizeof *call);
    *call =
        (struct call){.next = role->calls, .link = &role->calls, .role = role, .reply = reply, .tag = tag};
    if (role->calls != NULL)
        role->calls->link = &call->next;
    role->calls = call;
    return call;
}

struct consul_watch *role_watch_list(struct role *role, const char *name, consul_watch_fn *callback)
{
    char *path = role_kv_path(role, name, "recurse");
    struct consul_watch_options options = {.path = path, .wait = 60 * NS_PER_S, .max_body = LIST_MAX};
    struct consul_watch *watch = consul_watch_new(role->client, &options, callback, role);
    free(path);
    return watch;
}

bool role_read_list(const struct consul_response *response, struct consul_kv **entries, size_t *count)
{
    struct err err;
    *entries = NULL;
    *count = 0;
    if (response->status == 404)
        return response->index > 0 && response->known_leader;
    if (response->status != 200)
        return false;
    if (consul_kv_parse(response->body, entries, count, &err) == 0)
        return true;
    log_warn("election: %s", err.text);
    return false;
}

void call_send(struct role *role, const char *method, char *path, const char *body, nstime timeout,
               reply_fn *reply, uint64_t tag)
{
    struct call *call = call_new(role, reply, tag);
    struct consul_options options = {
        .method = method,
        .path = path,
        .body = body,
        .body_len = body != NULL ? strlen(body) : 0,
        .timeout = timeout,
        .max_body = LIST_MAX,
    };
    call->request = consul_send(role->client, &options, answered, call);
    free(path);
}

void call_json(struct role *role, char *path, json_t *json, nstime timeout, reply_fn *reply, uint64_t tag)
{
    struct call *call = call_new(role, reply, tag);
    call->request = consul_put_json(role->client, path, json, timeout, answered, call);
    free(path);
}

void call_txn(struct role *role, json_t *ops, nstime timeout, reply_fn *reply, uint64_t tag)
{
    struct call *call = call_new(role, reply, tag);
    call->request = consul_txn(role->client, ops, timeout, answered, call);
}

void calls_cancel(struct role *role)
{
    while (role->calls != NULL) {
        struct call *call = role->calls;
        unlink_call(call);
        consul_cancel(call->request);
        free(call);
    }
}

struct timer {
    struct role *role;
    void (*due)(struct role *role);
};

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct timer *timer = arg;
    timer->due(timer->role);
}

struct event *role_timer(struct role *role, void (*due)(struct role *role))
{
    struct timer *timer = xmalloc(sizeof *timer);
    *timer = (struct timer){role, due};
    return evtimer_new(role->base, on_timer, timer);
}

void role_after(struct event *timer, nstime delay)
{
    if (timer == NULL)
        return; /* stopped meanwhile */
    struct timeval after = clock_timeval(delay);
    evtimer_add(timer, &after);
}

void role_timer_free(struct event *timer)
{
    if (timer == NULL)
        return;
    free(event_get_callback_arg(timer));
    event_free(timer);
}
