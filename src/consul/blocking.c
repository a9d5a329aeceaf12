/* A loop of blocking queries on one path. */
#include "backoff.h"
#include "client.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Of the first round; it doubles with each. The agent keeps a connection whose client has died until the wait
 * is over: a daemon that dies soon after each start must not use up the 200 that it allows to this host. */
#define FIRST_WAIT (4 * NS_PER_S)

struct consul_watch {
    struct consul_client *client;
    struct consul_watch_options options; /* its strings are ours */
    consul_watch_fn *callback;
    void *arg;
    struct consul_request *request; /* at most one of request and timer is pending */
    struct event timer;
    struct token_bucket bucket;
    nstime wait;    /* of the next round */
    double cost;    /* of the next round, in tokens: by the size of the last answer */
    uint64_t index; /* to ask with; 0: without */
    uint64_t seen;  /* of the last answer that was handed on; 0: none */
    unsigned failures;
    bool complains; /* counted in the client's complaining */
    bool *freed;    /* where to note a free from within the callback */
};

static void answered(void *arg, struct consul_response *response);

static void ask(struct consul_watch *watch)
{
    const struct consul_watch_options *options = &watch->options;
    struct buf path = {0};
    buf_puts(&path, options->path);
    char joint = strchr(options->path, '?') ? '&' : '?';
    if (options->consistency) {
        buf_printf(&path, "%c%s", joint, options->consistency);
        joint = '&';
    }
    /* Shorter by up to a sixteenth, so that many watches drift apart. */
    nstime wait = watch->wait - backoff_random(watch->wait / 16 + 1);
    if (watch->index > 0)
        watch->wait = 2 * watch->wait < options->wait ? 2 * watch->wait : options->wait;
    if (watch->index > 0)
        buf_printf(&path, "%cindex=%" PRIu64 "&wait=%" PRId64 "ms", joint, watch->index, wait / NS_PER_MS);
    struct consul_options send = {
        .method = "GET",
        .path = buf_str(&path),
        /* Consul adds up to a sixteenth. */
        .timeout = (watch->index > 0 ? wait + wait / 16 : 0) + options->grace,
        .max_body = options->max_body,
        .dc = options->dc,
    };
    watch->request = consul_send(watch->client, &send, answered, watch);
    buf_free(&path);
}

static void timer_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    ask(arg);
}

static void ask_after(struct consul_watch *watch, nstime delay)
{
    struct timeval after = clock_timeval(delay);
    event_add(&watch->timer, &after);
}

static void note_cost(struct consul_watch *watch, size_t octets)
{
    double share = watch->options.octets > 0 ? (double)octets / watch->options.octets : 0; /* of a second */
    watch->cost = share * watch->bucket.rate > 1 ? share * watch->bucket.rate : 1;
}

static void ask_by_rate(struct consul_watch *watch)
{
    nstime delay = token_bucket_take(&watch->bucket, watch->cost, clock_boot());
    if (delay > 0)
        ask_after(watch, delay);
    else
        ask(watch);
}

/* The rules of blocking queries: an index that goes back (a restored Consul) is not kept, since a query with
 * it would stall until Consul gets there; 0 would make a busy loop. */
static bool note_index(struct consul_watch *watch, struct consul_response *response)
{
    if (response->index == 0)
        response->index = 1;
    bool changed = response->index != watch->seen;
    watch->index = response->index < watch->index ? 0 : response->index;
    watch->seen = response->index;
    return changed;
}

/* A Consul without a leader fails all queries alike: that is one line in the log. A refused query (400, 403)
 * is a mistake of configuration and is named. Transport errors are logged by the client. */
static void log_status(struct consul_watch *watch, const struct consul_response *response, bool success)
{
    struct consul_client *client = watch->client;
    bool complains = !success && (response->status >= 500 || response->status == 429);
    if (complains && !watch->complains && client->complaining++ == 0)
        log_warn("consul %s: %s: %s", client->name, response->address, response->error);
    else if (!complains && watch->complains && --client->complaining == 0 && success)
        log_info("consul %s: %s answers blocking queries again", client->name, response->address);
    else if (!success && !complains && response->status != 0 && watch->failures == 0)
        log_warn("consul %s: %s: %s", client->name, watch->options.path, response->error);
    watch->complains = complains;
}

static void answered(void *arg, struct consul_response *response)
{
    struct consul_watch *watch = arg;
    watch->request = NULL;
    /* 404 without an index is a path that Consul does not know, not a missing key. */
    bool success = response->status == 200 || (response->status == 404 && response->index > 0);
    bool changed = success && note_index(watch, response);
    note_cost(watch, response->body->len);

    log_status(watch, response, success);
    if (success)
        watch->failures = 0;
    int status = response->status;

    bool freed = false;
    watch->freed = &freed;
    watch->callback(watch->arg, response, changed);
    if (freed)
        return;
    watch->freed = NULL;
    if (watch->request || event_pending(&watch->timer, EV_TIMEOUT, NULL))
        return; /* restarted by the callback */

    if (success) {
        ask_by_rate(watch);
        return;
    }
    /* What answers next may be another Consul, or this one without its data: asked with an index from before,
     * it would be silent until it gets there. */
    watch->index = watch->seen = 0;
    ask_after(watch, consul_backoff(watch->failures++, status));
}

struct consul_watch *consul_watch_new(struct consul_client *client,
                                      const struct consul_watch_options *options, consul_watch_fn *callback,
                                      void *arg)
{
    struct consul_watch *watch = xcalloc(1, sizeof *watch);
    watch->client = client;
    watch->callback = callback;
    watch->arg = arg;
    watch->options = *options;
    watch->options.path = xstrdup(options->path);
    watch->options.consistency = xstrdup_null(options->consistency);
    watch->options.dc = xstrdup_null(options->dc);
    if (options->wait <= 0)
        watch->options.wait = 300 * NS_PER_S;
    if (options->grace <= 0)
        watch->options.grace = 10 * NS_PER_S;
    token_bucket_init(&watch->bucket, options->rate > 0 ? options->rate : 10,
                      options->burst > 0 ? options->burst : 2, clock_boot());
    watch->wait = watch->options.wait < FIRST_WAIT ? watch->options.wait : FIRST_WAIT;
    note_cost(watch, 0);
    evtimer_assign(&watch->timer, client->base, timer_due, watch);
    ask_by_rate(watch);
    return watch;
}

static void stop(struct consul_watch *watch)
{
    consul_cancel(watch->request);
    watch->request = NULL;
    event_del(&watch->timer);
}

void consul_watch_restart(struct consul_watch *watch)
{
    watch->index = watch->seen = 0;
    if (watch->failures == 0 && event_pending(&watch->timer, EV_TIMEOUT, NULL))
        return; /* only the rate holds the next round back */
    stop(watch);
    ask_by_rate(watch);
}

void consul_watch_free(struct consul_watch *watch)
{
    if (!watch)
        return;
    stop(watch);
    if (watch->freed)
        *watch->freed = true;
    if (watch->complains)
        watch->client->complaining--;
    free((char *)watch->options.path);
    free((char *)watch->options.consistency);
    free((char *)watch->options.dc);
    free(watch);
}
