/* Network coordinates, for services with the order `nearest`: read now and then while there is one. They move
 * all the time and by little, so a blocked query would only come back for nothing. */
#include "internal.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdlib.h>

/* Sooner at first: the agent's own come some seconds after its start. */
#define EVERY_FIRST NS_PER_S
#define EVERY       (30 * NS_PER_S)

struct coordinates {
    struct watch *watch;
    struct event *timer; /* pending between rounds, while they are wanted */
    struct consul_request *request;
    char *node; /* the agent's, whose distance counts; of this round */
    nstime every;
    unsigned failures;
    bool complained;
};

static void begin(evutil_socket_t fd, short what, void *arg);

/* Read on main. Consul's own is a hundredth of it. */
#define SELF_MAX ((size_t)1024 * 1024)

static void again(struct coordinates *coordinates, nstime delay)
{
    struct timeval after = clock_timeval(delay);
    event_add(coordinates->timer, &after);
}

static bool failed(struct coordinates *coordinates, const struct consul_response *response)
{
    if (response->status == 200) {
        coordinates->complained = false;
        return false;
    }
    if (!coordinates->complained)
        log_warn(
            "watch: no network coordinates for the order `nearest` (%s); services keep the order they have",
            response->error);
    coordinates->complained = true;
    again(coordinates, consul_backoff(coordinates->failures++, response->status));
    return true;
}

/* --- the coordinates ------------------------------------------------------------------------------ */

struct coordinates_job {
    struct watch *watch;
    struct buf body;
    char *node;
};

/* Builder. */
static void run(void *arg)
{
    struct coordinates_job *job = arg;
    struct err err;
    int result = catalog_put_coordinates(job->watch->config.catalog, job->node, buf_str(&job->body),
                                         job->body.len, &err);
    if (result > 0)
        judge_flush(job->watch);
    else if (result < 0)
        log_warn("watch: %s", err.text);
    buf_free(&job->body);
    free(job->node);
}

static void done(void *arg)
{
    struct coordinates_job *job = arg;
    watch_release(job->watch);
    free(job);
}

static void coordinates_answered(void *arg, struct consul_response *response)
{
    struct coordinates *coordinates = arg;
    coordinates->request = NULL;
    if (failed(coordinates, response))
        return;
    coordinates->failures = 0;
    struct coordinates_job *job = xcalloc(1, sizeof(*job));
    job->watch = watch_hold(coordinates->watch);
    job->body = *response->body;
    *response->body = (struct buf){0};
    job->node = coordinates->node;
    coordinates->node = NULL;
    builder_post(coordinates->watch->config.builder, run, done, job);
    again(coordinates, coordinates->every);
    coordinates->every = 2 * coordinates->every < EVERY ? 2 * coordinates->every : EVERY;
}

/* --- whose distance ------------------------------------------------------------------------------- */

static void self_answered(void *arg, struct consul_response *response)
{
    struct coordinates *coordinates = arg;
    coordinates->request = NULL;
    if (failed(coordinates, response))
        return;
    struct err err;
    json_t *self = consul_json(response->body, &err);
    const char *name = json_string_value(json_object_get(json_object_get(self, "Config"), "NodeName"));
    free(coordinates->node);
    coordinates->node = xstrdup_null(name);
    json_decref(self);
    if (!coordinates->node) {
        log_warn("watch: /v1/agent/self does not say Config.NodeName: no order `nearest`");
        again(coordinates, EVERY);
        return;
    }
    coordinates->request =
        consul_send(coordinates->watch->config.client,
                    &(struct consul_options){
                        .method = "GET", .path = "/v1/coordinate/nodes?stale", .timeout = READ_TIMEOUT},
                    coordinates_answered, coordinates);
}

static void begin(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct coordinates *coordinates = arg;
    coordinates->request = consul_send(coordinates->watch->config.client,
                                       &(struct consul_options){.method = "GET",
                                                                .path = "/v1/agent/self",
                                                                .timeout = READ_TIMEOUT,
                                                                .max_body = SELF_MAX,
                                                                .no_dc = true},
                                       self_answered, coordinates);
}

/* --- life ----------------------------------------------------------------------------------------- */

void coordinates_configure(struct watch *watch)
{
    bool wanted = !watch->config.datacenter && config_wants_nearest(&watch->config.config->services);
    if (wanted == (watch->coordinates != NULL))
        return;
    if (!wanted) {
        coordinates_stop(watch);
        return;
    }
    watch->coordinates = xcalloc(1, sizeof(*watch->coordinates));
    watch->coordinates->watch = watch;
    watch->coordinates->every = EVERY_FIRST;
    watch->coordinates->timer = evtimer_new(watch->config.base, begin, watch->coordinates);
    again(watch->coordinates, 0);
}

void coordinates_stop(struct watch *watch)
{
    struct coordinates *coordinates = watch->coordinates;
    if (!coordinates)
        return;
    consul_cancel(coordinates->request);
    event_free(coordinates->timer);
    free(coordinates->node);
    free(coordinates);
    watch->coordinates = NULL;
}
