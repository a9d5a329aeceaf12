/* Reading one name: the definition of a prepared query, its result, and the result's way through the builder
 * into the overlay. */
#include "internal.h"

#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* Longer than any client waits; a place at the desk is taken meanwhile. */
#define TIMEOUT (2 * NS_PER_S)

#define BODY_MAX    ((size_t)16 * 1024 * 1024)
#define EXPLAIN_MAX ((size_t)64 * 1024)

/* A definition is read again this often while its name is asked for: it says whether the order matters, and
 * the client's address. */
#define EXPLAIN_EVERY (10 * NS_PER_S)

/* How long something stays absent: an instance may come at any moment. Behind an unknown datacenter nothing
 * comes soon. */
#define ABSENT_FOR  NS_PER_S
#define NO_PATH_FOR (10 * NS_PER_S)

/* --- the builder's part --------------------------------------------------------------------------------- */

struct job {
    struct ondemand *ondemand;
    struct result *result; /* main's; NULL: nobody waits for the end */
    struct ask_question question;
    struct catalog_asked what;
    struct buf body;
    struct overlay_state *state; /* a reference of the job's own */
    bool by_address, scoped;
    int found; /* 1 published, 0 absent, -1 failed */
    uint32_t ttl;
    struct err err;
    struct target target; /* what.service points into it */
};

static struct job *job_new(struct ondemand *ondemand, struct result *result,
                           const struct ask_question *question)
{
    struct job *job = xcalloc(1, sizeof *job);
    job->ondemand = ondemand;
    job->result = result;
    job->question = *question;
    if (result) {
        job->state = overlay_state_ref(result->state);
        job->target = result->target;
        result->building = true;
    }
    return job;
}

static void job_free(void *arg)
{
    struct job *job = arg;
    overlay_state_unref(job->state);
    buf_free(&job->body);
    free(job);
}

/* Main. */
static void on_built(void *arg)
{
    struct job *job = arg;
    struct result *result = job->result;
    if (!job->ondemand->stopped) {
        result->building = false;
        if (job->found > 0)
            result_published(result, job->ttl);
        else if (job->found == 0)
            result_absent(result, ABSENT_FOR);
        else
            result_failed(result, job->err.text);
    }
    job_free(job);
}

static void publish(struct job *job, struct piece *const *pieces, size_t count)
{
    overlay_put(job->ondemand->store, &(struct overlay_spec){.question = job->question,
                                                             .state = job->state,
                                                             .pieces = pieces,
                                                             .count = count,
                                                             .by_address = job->by_address,
                                                             .scoped = job->scoped});
    overlay_publish(job->ondemand->store);
}

static void build(void *arg)
{
    struct job *job = arg;
    struct catalog_rrsets rrsets;
    job->found = catalog_render_asked(job->ondemand->config.catalog, &job->what, (const char *)job->body.data,
                                      job->body.len, &rrsets, &job->err);
    if (job->found <= 0)
        return;
    job->ttl = rrsets.ttl;
    publish(job, rrsets.pieces, rrsets.count);
    for (size_t i = 0; i < rrsets.count; i++)
        piece_unref(rrsets.pieces[i]);
}

static void build_mark(void *arg)
{
    struct job *job = arg;
    job->found = 1;
    job->ttl = (uint32_t)(EXPLAIN_EVERY / NS_PER_S);
    publish(job, NULL, 0);
}

static void build_removal(void *arg)
{
    struct job *job = arg;
    overlay_remove(job->ondemand->store, &job->question);
    overlay_publish(job->ondemand->store);
    job_free(job);
}

void read_remove(struct ondemand *ondemand, const struct ask_question *question)
{
    builder_post(ondemand->config.builder, build_removal, NULL, job_new(ondemand, NULL, question));
}

/* --- what Consul said ----------------------------------------------------------------------------------- */

/* Everything but 200. Consul's DNS denies an unknown datacenter too; a remote one's words come wrapped in 500
 * ("rpc error making call: Query not found"). */
static void end_without_body(struct result *result, const struct consul_response *response)
{
    const char *text = response->error ? response->error : "";
    if (response->status == 404 || (response->status == 500 && strstr(text, "Query not found")))
        result_absent(result, ABSENT_FOR);
    else if (response->status == 500 && strstr(text, "No path to datacenter"))
        result_absent(result, NO_PATH_FOR);
    else
        result_failed(result, text);
}

static void on_body(void *arg, struct consul_response *response)
{
    struct result *result = arg;
    result->request = NULL;
    result->ondemand->reading--;
    if (response->status != 200) {
        end_without_body(result, response);
        return;
    }
    struct job *job = job_new(result->ondemand, result, &result->question);
    const struct target *target = &job->target;
    job->what = (struct catalog_asked){.kind = target->kind,
                                       .zone = target->zone,
                                       .service = target->subject,
                                       .rfc2782 = target->rfc2782,
                                       .keep_order = result->keep_order};
    /* As Consul's DNS says of prepared queries, whether or not they look at the address. */
    job->scoped = target->kind == ASK_QUERY;
    job->body = *response->body;
    *response->body = (struct buf){0};
    builder_post(result->ondemand->config.builder, build, on_built, job);
}

static void ask_consul(struct result *result, bool explain, consul_response_fn *callback)
{
    char *path = target_path(&result->target, explain), address[46];
    target_address(&result->question, address);
    struct consul_options options = {.method = "GET",
                                     .path = path,
                                     .timeout = TIMEOUT,
                                     .max_body = explain ? EXPLAIN_MAX : BODY_MAX,
                                     .dc = *result->target.datacenter ? result->target.datacenter : NULL,
                                     .forwarded_for = *address ? address : NULL};
    result->ondemand->reading++;
    result->request = consul_send(result->ondemand->config.client, &options, callback, result);
    free(path);
}

/* --- the definition of a prepared query ----------------------------------------------------------------- */

static const char *near_of(const json_t *explained)
{
    const json_t *service = json_object_get(json_object_get(explained, "Query"), "Service");
    const char *near = json_string_value(json_object_get(service, "Near"));
    return near ? near : "";
}

static void on_explained(void *arg, struct consul_response *response)
{
    struct result *result = arg;
    result->request = NULL;
    result->ondemand->reading--;
    /* 403: the token may execute it, but not look inside. The order may matter then, for all that is known.
     */
    if (response->status != 200 && response->status != 403) {
        end_without_body(result, response);
        return;
    }
    json_t *explained = response->status == 200 ? consul_json(response->body, NULL) : NULL;
    const char *near = near_of(explained);
    result->keep_order = !explained || *near;
    result->by_address = !strcmp(near, "_ip");
    result->explained = result->started;
    json_decref(explained);
    if (result->by_address && !result->question.from.family) {
        struct job *job = job_new(result->ondemand, result, &result->question);
        job->by_address = true;
        builder_post(result->ondemand->config.builder, build_mark, on_built, job);
    } else {
        ask_consul(result, false, on_body);
    }
}

void read_begin(struct result *result)
{
    result->started = clock_boot();
    bool explain = result->target.kind == ASK_QUERY &&
                   (!result->explained || result->started - result->explained >= EXPLAIN_EVERY ||
                    (result->by_address && !result->question.from.family));
    if (explain)
        ask_consul(result, true, on_explained);
    else
        ask_consul(result, false, on_body);
}
