/* health/node/N: what became of a node's check that left its list. One read for all services of the node,
 * which may be hundreds. In default mode, not stale: what is missing in it is gone. */
#include "sentinel.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdlib.h>

struct node_read {
    struct watch *watch;
    char *node;
    struct consul_request *request;
    struct event *timer; /* after a failure */
    bool queued, again;
    unsigned failures;
    TAILQ_ENTRY(node_read) link;
};

static void enqueue(struct node_read *read)
{
    struct watch *watch = read->watch;
    if (read->timer) /* it would send a second request beside this one */
        event_del(read->timer);
    if (!read->queued)
        TAILQ_INSERT_TAIL(&watch->node_queue, read, link);
    read->queued = true;
    reads_pump(watch);
}

static void read_free(struct node_read *read)
{
    struct watch *watch = read->watch;
    if (read->queued)
        TAILQ_REMOVE(&watch->node_queue, read, link);
    if (read->request)
        watch->reading--;
    consul_cancel(read->request);
    if (read->timer)
        event_free(read->timer);
    free(read->node);
    free(read);
}

/* --- builder ------------------------------------------------------------------------------------- */

struct node_job {
    struct watch *watch;
    char *node;
    struct buf body;
    uint64_t index;
    bool faulty;
    struct names touched;
    struct err err;
};

static void touch(void *arg, const char *service)
{
    names_add(&((struct node_job *)arg)->touched, service);
}

static void run(void *arg)
{
    struct node_job *job = arg;
    struct watch *watch = job->watch;
    struct check_list *list = checks_list_parse(NULL, (const char *)job->body.data, job->body.len, &job->err);
    buf_free(&job->body);
    job->faulty = !list;
    struct catalog *catalog = watch->config.catalog;
    if (!list || checks_list_count(list) == 0) /* the node is gone, or denied: each service is judged */
        catalog_services_on_node(catalog, watch->config.datacenter, job->node, touch, job);
    else if (catalog_put_node_checks(catalog, watch->config.datacenter, job->node, checks_list_all(list),
                                     checks_list_count(list), job->index, touch, job))
        judge_flush(watch);
    checks_list_free(list);
}

static void done(void *arg)
{
    struct node_job *job = arg;
    struct watch *watch = job->watch;
    if (!watch->stopped && job->faulty) {
        watch->stats.faults++;
        log_error("watch: checks of node %s: %s; what was known before is kept", job->node, job->err.text);
    }
    for (size_t i = 0; i < job->touched.count && !watch->stopped; i++) {
        struct subject *subject = subject_find(watch, job->touched.items[i]);
        if (subject && !subject->blocked)
            subject_read(subject, READ_DEFAULT, true);
    }
    names_free(&job->touched);
    free(job->node);
    free(job);
    watch_release(watch);
}

/* --- main ---------------------------------------------------------------------------------------- */

static void timer_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    enqueue(arg);
}

static void retry_later(struct node_read *read, int status)
{
    if (!read->timer)
        read->timer = evtimer_new(read->watch->config.base, timer_due, read);
    struct timeval after = clock_timeval(consul_backoff(read->failures++, status));
    event_add(read->timer, &after);
}

static void answered(void *arg, struct consul_response *response)
{
    struct node_read *read = arg;
    struct watch *watch = read->watch;
    read->request = NULL;
    watch->reading--;
    contact_note(watch, NO_SENTINEL, response);
    if (response->status != 200 || !response->known_leader) {
        retry_later(read, response->status);
        reads_pump(watch);
        return;
    }
    struct node_job *job = xcalloc(1, sizeof(*job));
    job->watch = watch_hold(watch);
    job->node = xstrdup(read->node);
    job->index = response->index;
    job->body = *response->body;
    *response->body = (struct buf){0};
    builder_post(watch->config.builder, run, done, job);
    read->failures = 0;
    if (read->again) {
        read->again = false;
        enqueue(read);
    } else {
        strmap_removes(watch->node_reads, read->node);
        read_free(read);
    }
    reads_pump(watch);
}

void node_checks_read(struct watch *watch, const char *node)
{
    struct node_read *read = strmap_gets(watch->node_reads, node);
    if (!read) {
        read = xcalloc(1, sizeof(*read));
        read->watch = watch;
        read->node = xstrdup(node);
        strmap_puts(watch->node_reads, node, read);
    }
    if (read->request) /* it may have passed the change already */
        read->again = true;
    else
        enqueue(read);
}

bool node_checks_send(struct watch *watch)
{
    struct node_read *read = TAILQ_FIRST(&watch->node_queue);
    if (!read)
        return false;
    TAILQ_REMOVE(&watch->node_queue, read, link);
    read->queued = false;
    char *escaped = consul_escape(read->node), *path = xasprintf("/v1/health/node/%s", escaped);
    free(escaped);
    watch->reading++;
    watch->stats.reads++;
    read->request = consul_send(
        watch->config.client,
        &(struct consul_options){
            .method = "GET", .path = path, .timeout = READ_TIMEOUT, .dc = watch->config.datacenter},
        answered, read);
    free(path);
    return true;
}

void node_checks_forget(struct watch *watch)
{
    const void *key;
    void *read;
    for (size_t i = 0; strmap_next(watch->node_reads, &i, &key, NULL, &read);) {
        strmap_removes(watch->node_reads, key);
        read_free(read);
    }
}
