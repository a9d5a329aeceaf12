/* The client: sending, finishing, cancelling. libcurl is entered from the loop only (and to add and remove
 * transfers); what it has finished goes to a list first, and callbacks run from there, when libcurl is not on
 * the stack. So a callback may send, cancel anything, and free the client. */
#include "client.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define LOG_INTERVAL     (10 * NS_PER_S)
#define DEFAULT_MAX_BODY ((size_t)64 * 1024 * 1024)

static void init_curl(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort();
}

static int parse_endpoints(struct consul_client *client, struct err *err)
{
    const struct config_strings *texts = &client->config->addresses;
    if (texts->count == 0)
        return err_set(err, "consul: no address to ask");
    client->endpoints = xcalloc(texts->count, sizeof *client->endpoints);
    client->servers.count = client->agent.count = (unsigned)texts->count;
    for (size_t i = 0; i < texts->count; i++)
        if (endpoint_parse(texts->items[i], client->config->tls_server_name, &client->endpoints[i], err) != 0)
            return -1;
    return 0;
}

struct consul_client *consul_client_new(struct event_base *base, const char *name,
                                        const struct config_consul *config, unsigned max_connections,
                                        struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_curl);
    assert(max_connections > 0);

    struct consul_client *client = xcalloc(1, sizeof *client);
    client->base = base;
    client->name = xstrdup(name);
    client->config = config;
    TAILQ_INIT(&client->active);
    TAILQ_INIT(&client->done);
    token_init(&client->token, config->token, config->token_file);
    client->multi = curl_multi_init();
    if (!client->multi)
        abort();
    curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)max_connections);
    curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)max_connections);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)max_connections);
    loop_attach(client);
    if (parse_endpoints(client, err) != 0 || tls_check_files(config, err) != 0) {
        consul_client_free(client);
        return NULL;
    }
    return client;
}

/* Takes the transfer from libcurl. A connection that was in the middle of an answer is closed by that. */
static void detach(struct consul_request *request)
{
    event_del(&request->deadline);
    if (request->easy) {
        curl_multi_remove_handle(request->client->multi, request->easy);
        curl_easy_cleanup(request->easy);
        request->easy = NULL;
        request->client->stats.in_flight--;
    }
}

static void request_free(struct consul_request *request)
{
    detach(request);
    curl_slist_free_all(request->headers);
    curl_slist_free_all(request->connect_to);
    free(request->upload);
    buf_free(&request->body);
    free(request);
}

static void client_destroy(struct consul_client *client)
{
    curl_multi_cleanup(client->multi); /* closes the connections, by close_socket of easy.c */
    loop_detach(client);
    for (unsigned i = 0; i < client->servers.count; i++)
        endpoint_free(&client->endpoints[i]);
    free(client->endpoints);
    token_free(&client->token);
    free(client->name);
    free(client);
}

void consul_client_free(struct consul_client *client)
{
    if (!client)
        return;
    struct request_list *lists[] = {&client->active, &client->done};
    for (size_t i = 0; i < 2; i++) {
        struct consul_request *request;
        while ((request = TAILQ_FIRST(lists[i]))) {
            TAILQ_REMOVE(lists[i], request, link);
            request_free(request);
        }
    }
    if (client->delivering)
        client->freed = true; /* from within a callback: deliver() does the rest */
    else
        client_destroy(client);
}

void consul_client_stats(const struct consul_client *client, struct consul_stats *out)
{
    *out = client->stats;
}

/* Notes which address works, and logs each change of that: not each of an agent at its limit, where every
 * other request fails. */
static void judge_endpoint(struct consul_request *request, bool worked)
{
    struct endpoint *endpoint = request->endpoint;
    const struct consul_client *client = request->client;
    ladder_result(request->ladder, (unsigned)(endpoint - client->endpoints), worked,
                  request->response.finished);
    nstime now = request->response.finished;
    if (!worked && !endpoint->failing && (endpoint->logged == 0 || now - endpoint->logged >= LOG_INTERVAL)) {
        log_warn("consul %s: %s", client->name, request->error);
        endpoint->failing = true;
        endpoint->logged = now;
    } else if (worked && endpoint->failing) {
        log_info("consul %s: %s answers again", client->name, endpoint->text);
        endpoint->failing = false;
    }
}

/* libcurl has ended with it, or its time is up. */
static void finish(struct consul_request *request, CURLcode code)
{
    struct consul_client *client = request->client;
    struct consul_response *response = &request->response;
    response->finished = clock_boot();
    curl_off_t bytes = 0;
    curl_easy_getinfo(request->easy, CURLINFO_SIZE_DOWNLOAD_T, &bytes);
    client->stats.bytes_in += (uint64_t)bytes;

    long status = 0;
    if (code == CURLE_OK && !request->timed_out)
        curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    response->status = (int)status;
    if (status == 0) {
        fault_describe(request, code);
        response->error = request->error;
        buf_free(&request->body);
    } else {
        response->known_leader = request->head.known_leader;
        response->last_contact_ms = request->head.last_contact_ms;
        response->filtered_by_acl = request->head.filtered_by_acl;
        response->date = request->head.date;
        if (status == 200 || status == 404)
            response->index = request->head.index;
        if (status != 200) {
            reply_error_text((int)status, request->body.data, request->body.len, request->error);
            response->error = request->error;
        }
    }
    if (response->error && status != 404) /* a missing key is an answer */
        client->stats.errors++;
    /* An answer too large, or of the wrong kind, is no trouble of the connection. */
    judge_endpoint(request, status != 0 || request->body_too_large || request->head_too_large);

    detach(request);
    TAILQ_REMOVE(&client->active, request, link);
    TAILQ_INSERT_TAIL(&client->done, request, link);
    request->state = REQUEST_DONE;
}

static void deliver(struct consul_client *client)
{
    if (client->delivering)
        return;
    client->delivering = true;
    struct consul_request *request;
    while (!client->freed && (request = TAILQ_FIRST(&client->done))) {
        TAILQ_REMOVE(&client->done, request, link);
        request->state = REQUEST_CALLED;
        request->callback(request->arg, &request->response);
        request_free(request);
    }
    client->delivering = false;
    if (client->freed)
        client_destroy(client);
}

void client_collect(struct consul_client *client)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result; /* the message dies with the handle */
        char *private = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        finish((struct consul_request *)(void *)private, code);
    }
    deliver(client);
}

static void deadline_passed(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct consul_request *request = arg;
    struct consul_client *client = request->client;
    request->timed_out = true;
    finish(request, CURLE_OPERATION_TIMEDOUT);
    deliver(client);
}

/* What only the agent itself knows: its services and checks. No datacenter applies. */
static bool is_agent_path(const char *path)
{
    return strncmp(path, "/v1/agent/", 10) == 0;
}

static char *path_with_dc(const struct consul_client *client, const struct consul_options *options)
{
    const char *dc = options->dc ? options->dc : client->config->datacenter;
    if (options->no_dc || is_agent_path(options->path) || !dc || !*dc)
        return xstrdup(options->path);
    char *escaped = consul_escape(dc);
    char *path = xasprintf("%s%cdc=%s", options->path, strchr(options->path, '?') ? '&' : '?', escaped);
    free(escaped);
    return path;
}

struct consul_request *consul_send(struct consul_client *client, const struct consul_options *options,
                                   consul_response_fn *callback, void *arg)
{
    assert(options->path[0] == '/' && options->timeout > 0);
    struct consul_request *request = xcalloc(1, sizeof *request);
    request->client = client;
    request->callback = callback;
    request->arg = arg;
    request->timeout = options->timeout;
    request->max_body = options->max_body ? options->max_body : DEFAULT_MAX_BODY;
    if (strcmp(options->method, "PUT") == 0) {
        request->upload = xmalloc(options->body_len + 1);
        request->upload_len = options->body ? options->body_len : 0;
        if (request->upload_len > 0)
            memcpy(request->upload, options->body, request->upload_len);
    }
    request->ladder = is_agent_path(options->path) ? &client->agent : &client->servers;
    request->endpoint = &client->endpoints[ladder_pick(request->ladder, clock_boot())];

    if (options->forwarded_for) {
        char *line = xasprintf("X-Forwarded-For: %s", options->forwarded_for);
        easy_header(request, line);
        free(line);
    }
    char *path = path_with_dc(client, options);
    easy_prepare(request, options->method, path);
    free(path);

    evtimer_assign(&request->deadline, client->base, deadline_passed, request);
    struct timeval timeout = clock_timeval(options->timeout);
    event_add(&request->deadline, &timeout);
    TAILQ_INSERT_TAIL(&client->active, request, link);
    client->stats.requests++;
    client->stats.in_flight++;
    request->response.address = request->endpoint->text;
    request->response.body = &request->body;
    request->response.started = clock_boot();
    if (curl_multi_add_handle(client->multi, request->easy) != CURLM_OK)
        abort();
    return request;
}

void consul_cancel(struct consul_request *request)
{
    if (!request || request->state == REQUEST_CALLED)
        return;
    struct consul_client *client = request->client;
    TAILQ_REMOVE(request->state == REQUEST_ACTIVE ? &client->active : &client->done, request, link);
    request_free(request);
}
