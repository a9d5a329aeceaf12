#include "store/courier.h"

#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

#define WRITE_TIMEOUT (5 * NS_PER_S)
#define READ_TIMEOUT  (30 * NS_PER_S)

struct courier {
    struct builder *builder;
    struct consul_client *client;
    const struct gate *gate;
    char *prefix;
    courier_reply_fn *reply;
    void *arg;
    bool stopped;       /* main's */
    struct trip *trips; /* main's: what is on its way */
};

/* One request and its reply. Of the builder until it is sent and from the reply on, of main between. */
struct trip {
    struct trip *next, **link;
    struct courier *courier;
    struct core *core;
    struct consul_request *request;
    enum kv_kind kind;
    bool acts; /* begins with check-session */
    char *path, *body;
    int status;
    char error[300];
    struct buf answer;
    nstime started;
};

struct courier *courier_new(struct builder *builder, struct consul_client *client, const struct gate *gate,
                            const char *prefix, courier_reply_fn *reply, void *arg)
{
    struct courier *courier = xcalloc(1, sizeof *courier);
    *courier = (struct courier){builder, client, gate, xstrdup(prefix), reply, arg, false, NULL};
    return courier;
}

void courier_free(struct courier *courier)
{
    if (!courier)
        return;
    free(courier->prefix);
    free(courier);
}

/* --- the reply, on the builder ------------------------------------------------------------------------ */

static int parse_keys(const struct buf *body, struct kv_reply *reply, struct err *err)
{
    json_t *root = consul_json(body, err);
    size_t i;
    json_t *key;
    if (!json_is_array(root)) {
        json_decref(root);
        return root ? err_set(err, "no list of keys") : -1;
    }
    reply->entries = xcalloc(json_array_size(root) + 1, sizeof *reply->entries);
    json_array_foreach(root, i, key)
    {
        if (json_is_string(key))
            reply->entries[reply->count++].key = xstrdup(json_string_value(key));
    }
    json_decref(root);
    return 0;
}

int courier_parse(const char *prefix, enum kv_kind kind, const struct buf *body, struct kv_reply *reply,
                  struct err *err)
{
    int result = kind == KV_KEYS  ? parse_keys(body, reply, err)
                 : kind == KV_TXN ? consul_txn_parse(body, &reply->entries, &reply->count, err)
                                  : consul_kv_parse(body, &reply->entries, &reply->count, err);
    size_t len = strlen(prefix), kept = 0;
    for (size_t i = 0; !result && i < reply->count; i++) {
        struct consul_kv *entry = &reply->entries[i];
        if (strncmp(entry->key, prefix, len)) { /* not asked for */
            free(entry->key);
            buf_free(&entry->value);
            continue;
        }
        memmove(entry->key, entry->key + len, strlen(entry->key + len) + 1);
        reply->entries[kept++] = *entry;
    }
    if (!result)
        reply->count = kept;
    return result;
}

/* Of a 409: which operation failed first. */
static int failed_op(const struct buf *body)
{
    json_t *root = consul_json(body, NULL);
    json_t *index = json_object_get(json_array_get(json_object_get(root, "Errors"), 0), "OpIndex");
    int op = json_is_integer(index) ? (int)json_integer_value(index) : -1;
    json_decref(root);
    return op;
}

static void free_trip(struct trip *trip)
{
    buf_free(&trip->answer);
    free(trip->path);
    free(trip->body);
    free(trip);
}

static void run_reply(void *arg)
{
    struct trip *trip = arg;
    struct courier *courier = trip->courier;
    struct kv_reply reply = {
        .status = trip->status, .error = trip->error, .failed_op = -1, .started = trip->started};
    struct err err;
    if (trip->status == 200 && courier_parse(courier->prefix, trip->kind, &trip->answer, &reply, &err)) {
        reply.status = 0;
        reply.error = err.text;
    } else if (trip->status == 409 && trip->answer.len) {
        reply.failed_op = failed_op(&trip->answer);
    } else if (trip->status == 409) {
        reply.failed_op = 0; /* not sent: the lease is over */
    }
    courier->reply(courier->arg, trip->core, &reply);
    consul_kv_free(reply.entries, reply.count);
    free_trip(trip);
}

/* --- on main ------------------------------------------------------------------------------------------ */

static void end_trip(struct trip *trip, int status, const char *error)
{
    trip->status = status;
    snprintf(trip->error, sizeof trip->error, "%s", error ? error : "");
    builder_post(trip->courier->builder, run_reply, NULL, trip);
}

static void unlink_trip(struct trip *trip)
{
    *trip->link = trip->next;
    if (trip->next)
        trip->next->link = trip->link;
}

static void on_response(void *arg, struct consul_response *response)
{
    struct trip *trip = arg;
    unlink_trip(trip);
    trip->started = response->started;
    if (response->body) {
        trip->answer = *response->body;
        *response->body = (struct buf){0};
    }
    /* A missing key is believed only of a server that knows its leader; what Consul could not tell is asked
     * again. */
    bool missing = response->status == 404 && response->index > 0;
    end_trip(trip, response->status == 404 && !missing ? 0 : response->status, response->error);
}

static void run_send(void *arg)
{
    struct trip *trip = arg;
    struct courier *courier = trip->courier;
    trip->started = clock_boot();
    if (courier->stopped) {
        free_trip(trip);
        return;
    }
    if (trip->acts && !gate_may_act(courier->gate, clock_boot())) {
        end_trip(trip, 409, "the lease is over: this instance may not act");
        return;
    }
    struct consul_options options = {.method = trip->body ? "PUT" : "GET",
                                     .path = trip->path,
                                     .body = trip->body,
                                     .body_len = trip->body ? strlen(trip->body) : 0,
                                     .timeout = trip->acts ? WRITE_TIMEOUT : READ_TIMEOUT};
    trip->next = courier->trips;
    trip->link = &courier->trips;
    if (trip->next)
        trip->next->link = &trip->next;
    courier->trips = trip;
    trip->request = consul_send(courier->client, &options, on_response, trip);
}

void courier_stop(struct courier *courier)
{
    courier->stopped = true;
    while (courier->trips) {
        struct trip *trip = courier->trips;
        consul_cancel(trip->request);
        unlink_trip(trip);
        free_trip(trip);
    }
}

/* --- the request, on the builder ----------------------------------------------------------------------- */

static const char *const verbs[] = {[KV_GET] = "get",
                                    [KV_CHECK_SESSION] = "check-session",
                                    [KV_CHECK_INDEX] = "check-index",
                                    [KV_CHECK_NOT_EXISTS] = "check-not-exists",
                                    [KV_SET] = "set",
                                    [KV_DELETE] = "delete"};

static char *txn_body(const struct courier *courier, const struct kv_request *request, const char *session)
{
    json_t *ops = json_array();
    for (size_t i = 0; i < request->count; i++) {
        const struct kv_op *op = &request->ops[i];
        char *key = xasprintf("%s%s", courier->prefix, op->key);
        bool set = op->verb == KV_SET;
        json_array_append_new(ops,
                              consul_txn_op(verbs[op->verb], key, set ? op->value.data : NULL, op->value.len,
                                            op->verb == KV_CHECK_SESSION ? session : NULL, op->index));
        free(key);
    }
    char *body = json_dumps(ops, JSON_COMPACT);
    json_decref(ops);
    if (!body)
        abort();
    return body;
}

void courier_send(struct courier *courier, struct core *core, struct kv_request *request, const char *session)
{
    struct trip *trip = xcalloc(1, sizeof *trip);
    *trip = (struct trip){.courier = courier, .core = core, .kind = request->kind};
    if (request->kind == KV_TXN) {
        bool reads = true;
        for (size_t i = 0; i < request->count; i++)
            reads &= request->ops[i].verb == KV_GET;
        trip->acts = request->ops[0].verb == KV_CHECK_SESSION;
        trip->path = xstrdup(reads ? "/v1/txn?consistent" : "/v1/txn");
        trip->body = txn_body(courier, request, session);
    } else {
        static const char *const queries[] = {
            [KV_ONE] = "consistent", [KV_KEYS] = "keys&consistent", [KV_TREE] = "recurse&consistent"};
        char *key = xasprintf("%s%s", courier->prefix, request->prefix);
        trip->path = consul_path("/v1/kv/", key, queries[request->kind]);
        free(key);
    }
    kv_request_free(request);
    builder_to_main(courier->builder, run_send, trip);
}
