/* The datacenter's name, which is a label of every full name, if it is not configured: the agent knows. That
 * needs `agent read`; without it the list of nodes tells (judge.c). */
#include "internal.h"

#include "lictor/json.h"
#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdlib.h>

static void answered(void *arg, struct consul_response *response);

void datacenter_ask(struct watch *watch)
{
    if (watch->datacenter_known)
        return;
    watch->self =
        consul_send(watch->config.client,
                    &(struct consul_options){
                        .method = "GET", .path = "/v1/agent/self", .timeout = READ_TIMEOUT, .no_dc = true},
                    answered, watch);
}

static void timer_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    datacenter_ask(arg);
}

static void ask_later(struct watch *watch, nstime delay)
{
    if (!watch->self_timer)
        watch->self_timer = evtimer_new(watch->config.base, timer_due, watch);
    struct timeval after = clock_timeval(delay);
    event_add(watch->self_timer, &after);
}

struct self_job {
    struct watch *watch;
    struct buf body;
    bool known;
};

/* Builder. */
static void run(void *arg)
{
    struct self_job *job = arg;
    json_t *self = json_load_bounded(buf_str(&job->body), job->body.len, "/v1/agent/self", NULL);
    const char *name = json_string_value(json_object_get(json_object_get(self, "Config"), "Datacenter"));
    if (name && name[0]) {
        if (catalog_set_datacenter(job->watch->config.catalog, name))
            judge_flush(job->watch);
        job->known = catalog_datacenter(job->watch->config.catalog) != NULL;
    }
    json_decref(self);
    buf_free(&job->body);
}

static void done(void *arg)
{
    struct self_job *job = arg;
    struct watch *watch = job->watch;
    if (job->known) {
        watch->datacenter_known = true;
        watch_check_complete(watch);
    } else if (!watch->stopped) {
        log_warn("watch: /v1/agent/self does not say Config.Datacenter; asking again");
        ask_later(watch, 10 * NS_PER_S);
    }
    free(job);
    watch_release(watch);
}

static void answered(void *arg, struct consul_response *response)
{
    struct watch *watch = arg;
    watch->self = NULL;
    if (response->status != 200) {
        ask_later(watch, consul_backoff(watch->self_failures++, response->status));
        return;
    }
    struct self_job *job = xcalloc(1, sizeof(*job));
    job->watch = watch_hold(watch);
    job->body = *response->body;
    *response->body = (struct buf){0};
    builder_post(watch->config.builder, run, done, job);
}

void datacenter_stop(struct watch *watch)
{
    consul_cancel(watch->self);
    watch->self = NULL;
    if (watch->self_timer)
        event_free(watch->self_timer);
    watch->self_timer = NULL;
}
