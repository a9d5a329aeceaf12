/* The Consul client against a server that answers as told, in the same loop: faults of HTTP only. How Consul
 * itself behaves is tested with a real one, in the scenarios. */
#include "lictor/consul.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* --- the server -------------------------------------------------------------------------------- */

#define MAX_STEPS 8

struct step {
    const char *answer; /* raw; NULL: none */
    size_t len;         /* 0: strlen */
    bool close;         /* after it */
    bool endless;       /* body chunks without end after it */
};

struct server {
    struct evconnlistener *listener;
    uint16_t port;
    struct step steps[MAX_STEPS]; /* by request; the last repeats */
    size_t step_count;
    unsigned requests, connections;
    char seen[MAX_STEPS][2048]; /* the requests */
    struct bufferevent *clients[16];
};

static struct event_base *base;
static struct server server;
static struct config_consul config;
static char *addresses[3];
static struct consul_client *client;

static void more_body(struct bufferevent *bev, void *arg)
{
    (void)arg;
    static char chunk[16384 + 8] = "4000\r\n";
    memset(chunk + 6, 'x', 16384);
    memcpy(chunk + 6 + 16384, "\r\n", 2);
    bufferevent_write(bev, chunk, sizeof chunk);
}

static void closing(struct bufferevent *bev, short what, void *arg)
{
    (void)what, (void)arg;
    for (size_t i = 0; i < 16; i++)
        if (server.clients[i] == bev)
            server.clients[i] = NULL;
    bufferevent_free(bev);
}

static void all_written(struct bufferevent *bev, void *arg)
{
    closing(bev, 0, arg);
}

static void serve(struct bufferevent *bev, void *arg)
{
    (void)arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
    if (end.pos < 0)
        return;
    size_t head_len = (size_t)end.pos + 4;
    char *text = calloc(1, evbuffer_get_length(in) + 1);
    assert_non_null(text);
    evbuffer_copyout(in, text, evbuffer_get_length(in));
    const char *length = strstr(text, "Content-Length: ");
    size_t body_len = length && length < text + head_len ? strtoul(length + 16, NULL, 10) : 0;
    if (evbuffer_get_length(in) < head_len + body_len) {
        free(text);
        return;
    }
    evbuffer_drain(in, head_len + body_len);
    if (server.requests < MAX_STEPS)
        snprintf(server.seen[server.requests], sizeof server.seen[0], "%s", text);
    free(text);

    size_t n = server.requests < server.step_count ? server.requests : server.step_count - 1;
    const struct step *step = &server.steps[n];
    server.requests++;
    if (step->answer)
        bufferevent_write(bev, step->answer, step->len ? step->len : strlen(step->answer));
    if (step->endless)
        bufferevent_setcb(bev, serve, more_body, closing, NULL);
    else if (step->close && step->answer)
        bufferevent_setcb(bev, serve, all_written, closing, NULL);
    else if (step->close)
        closing(bev, 0, NULL);
}

static void accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int len,
                     void *arg)
{
    (void)listener, (void)address, (void)len, (void)arg;
    struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    assert_true(server.connections < 16);
    server.clients[server.connections++] = bev;
    bufferevent_setcb(bev, serve, NULL, closing, NULL);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

/* A port that nothing listens on: bound, never listening, until the end of the test. */
static int dead_fd = -1;
static uint16_t dead_port(void)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sin;
    dead_fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(dead_fd, (struct sockaddr *)&sin, sizeof sin), 0);
    assert_int_equal(getsockname(dead_fd, (struct sockaddr *)&sin, &len), 0);
    return ntohs(sin.sin_port);
}

static char *url(const char *host, uint16_t port)
{
    char *text = malloc(64);
    assert_non_null(text);
    snprintf(text, 64, "http://%s:%u", host, port);
    return text;
}

static void open_client(void)
{
    struct err err = {0};
    client = consul_client_new(base, "test", &config, 4, &err);
    if (!client)
        fail_msg("%s", err.text);
}

static int setup(void **state)
{
    (void)state;
    base = event_base_new();
    server = (struct server){0};
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    server.listener = evconnlistener_new_bind(base, accepted, NULL, LEV_OPT_CLOSE_ON_FREE, 16,
                                              (struct sockaddr *)&sin, sizeof sin);
    assert_non_null(server.listener);
    socklen_t len = sizeof sin;
    assert_int_equal(getsockname(evconnlistener_get_fd(server.listener), (struct sockaddr *)&sin, &len), 0);
    server.port = ntohs(sin.sin_port);
    addresses[0] = url("127.0.0.1", server.port);
    config = (struct config_consul){.addresses = {.items = addresses, .count = 1}, .tls_verify = true};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    consul_client_free(client);
    client = NULL;
    for (size_t i = 0; i < 16; i++)
        if (server.clients[i])
            bufferevent_free(server.clients[i]);
    evconnlistener_free(server.listener);
    event_base_free(base);
    for (size_t i = 0; i < 3; i++) {
        free(addresses[i]);
        addresses[i] = NULL;
    }
    if (dead_fd >= 0)
        close(dead_fd);
    dead_fd = -1;
    return 0;
}

static void answer(size_t step, const char *text)
{
    server.steps[step] = (struct step){.answer = text};
    server.step_count = step + 1;
}

/* --- what came back ----------------------------------------------------------------------------- */

struct result {
    unsigned calls;
    int status;
    char error[1024], body[4096];
    uint64_t index;
    bool known_leader, changed;
    int64_t last_contact_ms;
    nstime started, finished;
    const char *address;
};

static void note(struct result *result, struct consul_response *response)
{
    result->calls++;
    result->status = response->status;
    snprintf(result->error, sizeof result->error, "%s", response->error ? response->error : "");
    snprintf(result->body, sizeof result->body, "%s", buf_str(response->body));
    result->index = response->index;
    result->known_leader = response->known_leader;
    result->last_contact_ms = response->last_contact_ms;
    result->started = response->started;
    result->finished = response->finished;
    result->address = response->address;
}

static void done(void *arg, struct consul_response *response)
{
    note(arg, response);
    event_base_loopbreak(base);
}

static void run(void)
{
    struct timeval limit = {.tv_sec = 20};
    event_base_loopexit(base, &limit);
    event_base_dispatch(base);
}

/* Turns the loop for a while. */
static void idle(int ms)
{
    struct timeval limit = {.tv_usec = ms * 1000};
    event_base_loopexit(base, &limit);
    event_base_dispatch(base);
}

static struct consul_options get(const char *path)
{
    return (struct consul_options){.method = "GET", .path = path, .timeout = 10 * NS_PER_S};
}

static struct result ask(const struct consul_options *options)
{
    struct result result = {0};
    consul_send(client, options, done, &result);
    assert_int_equal(result.calls, 0); /* never from within */
    run();
    assert_int_equal(result.calls, 1);
    return result;
}

static void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("\"%s\" is in \"%s\"", part, text);
}

#define OK "HTTP/1.1 200 OK\r\n"

/* --- requests ----------------------------------------------------------------------------------- */

static void test_answer(void **state)
{
    (void)state;
    config.token = "secret-token";
    config.http_auth = "user:pass";
    config.datacenter = "dc/1";
    open_client();
    answer(0, OK "X-Consul-Index: 42\r\nx-consul-KNOWNLEADER: true\r\nX-Consul-Lastcontact: "
                 "5\r\nContent-Length: 2\r\n\r\nhi");
    struct consul_options options = get("/v1/kv/a?stale");
    nstime before = clock_boot();
    struct result result = ask(&options);
    assert_int_equal(result.status, 200);
    assert_string_equal(result.error, "");
    assert_string_equal(result.body, "hi");
    assert_int_equal(result.index, 42);
    assert_true(result.known_leader);
    assert_int_equal(result.last_contact_ms, 5);
    assert_true(before <= result.started && result.started < result.finished);
    assert_string_equal(result.address, addresses[0]);
    assert_contains(server.seen[0], "GET /v1/kv/a?stale&dc=dc%2F1 HTTP/1.1\r\n");
    assert_contains(server.seen[0], "\r\nX-Consul-Token: secret-token\r\n");
    assert_contains(server.seen[0], "\r\nAuthorization: Basic dXNlcjpwYXNz\r\n");
    assert_lacks(server.seen[0], "Accept-Encoding"); /* loopback */

    /* The connection is kept; agent endpoints know no datacenter. */
    options = get("/v1/agent/self");
    ask(&options);
    assert_int_equal(server.connections, 1);
    assert_contains(server.seen[1], "GET /v1/agent/self HTTP/1.1\r\n");
    options = get("/v1/x");
    options.dc = "dc2";
    ask(&options);
    assert_contains(server.seen[2], "GET /v1/x?dc=dc2 HTTP/1.1\r\n");

    struct consul_stats stats;
    consul_client_stats(client, &stats);
    assert_int_equal(stats.requests, 3);
    assert_int_equal(stats.errors, 0);
    assert_int_equal(stats.bytes_in, 6);
    assert_int_equal(stats.in_flight, 0);
    assert_int_equal(stats.connections, 1);
}

static void test_put(void **state)
{
    (void)state;
    open_client();
    answer(0, OK "Content-Length: 4\r\n\r\ntrue");
    struct result result = {0};
    json_t *ops = json_array();
    json_array_append_new(ops, consul_txn_op("set", "k", "v", 1, NULL, 0));
    consul_txn(client, ops, NS_PER_S, done, &result);
    run();
    assert_int_equal(result.status, 200);
    assert_contains(server.seen[0], "PUT /v1/txn HTTP/1.1\r\n");
    assert_contains(server.seen[0], "\r\nContent-Type: application/json\r\n");
    assert_contains(server.seen[0], "\r\n\r\n[{\"KV\":{\"Verb\":\"set\",\"Key\":\"k\",\"Value\":\"dg==\"}}]");
    assert_lacks(server.seen[0], "Expect:");
    assert_lacks(server.seen[0], "chunked");
    consul_put_json(client, "/v1/agent/check/pass/c", NULL, NS_PER_S, done, &result);
    run();
    assert_contains(server.seen[1], "PUT /v1/agent/check/pass/c HTTP/1.1\r\n");
    assert_contains(server.seen[1], "\r\nContent-Length: 0\r\n");
    struct consul_options options = {.method = "DELETE", .path = "/v1/kv/a", .timeout = NS_PER_S};
    consul_send(client, &options, done, &result);
    run();
    assert_contains(server.seen[2], "DELETE /v1/kv/a HTTP/1.1\r\n");
    assert_int_equal(result.calls, 3);
}

static void test_status_errors(void **state)
{
    (void)state;
    open_client();
    answer(0, "HTTP/1.1 500 Internal Server Error\r\nX-Consul-Index: 1\r\nX-Consul-Knownleader: false\r\n"
              "Content-Length: 21\r\n\r\nNo \x1b[1mcluster\nleader");
    answer(1, "HTTP/1.1 404 Not Found\r\nX-Consul-Index: 9\r\nContent-Length: 0\r\n\r\n");
    answer(2, "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    struct consul_options options = get("/v1/kv/a");
    struct result result = ask(&options);
    assert_int_equal(result.status, 500);
    assert_string_equal(result.error, "No ?[1mcluster");
    assert_int_equal(result.index, 0);
    assert_false(result.known_leader);
    result = ask(&options);
    assert_int_equal(result.status, 404);
    assert_int_equal(result.index, 9);
    result = ask(&options);
    assert_int_equal(result.status, 301); /* not followed */
    struct consul_stats stats;
    consul_client_stats(client, &stats);
    assert_int_equal(stats.errors, 2);
}

static void test_transport_errors(void **state)
{
    (void)state;
    static char big_head[80 * 1024];
    strcpy(big_head, OK);
    for (size_t at = strlen(OK); at + 1002 < sizeof big_head; at += 1002)
        snprintf(big_head + at, 1003, "A: %0997d\r\n", 7);
    static const struct {
        struct step step;
        const char *error;
        nstime timeout;
        size_t max_body;
    } table[] = {
        {{.close = true}, "closed without an answer: the agent's connection limit?", 0, 0},
        {{.answer = OK "Content-Length: 100\r\n\r\nhalf", .close = true}, "cut off after 4 octets", 0, 0},
        {{.answer = OK "Transfer-Encoding: chunked\r\n\r\n", .endless = true},
         "larger than 100000 octets",
         0,
         100000},
        {{.answer = OK "Content-Length: 11\r\n\r\n0123456789a"}, "larger than 10 octets", 0, 10},
        {{.answer = NULL}, "no answer within 100ms", 100 * NS_PER_MS, 0},
        {{.answer = OK "Content-Length: 9\r\n\r\nslow"}, "not complete within 100ms", 100 * NS_PER_MS, 0},
        {{.answer = big_head}, "header is larger than 65536 octets", 0, 0},
        {{.answer = "SSH-2.0-x\r\n", .close = true}, "HTTP/0.9", 0, 0},
        {{.answer = OK "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", .close = true},
         "",
         0,
         0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        open_client();
        server.requests = server.connections = 0;
        server.steps[0] = table[i].step;
        server.step_count = 1;
        struct consul_options options = get("/v1/x");
        if (table[i].timeout)
            options.timeout = table[i].timeout;
        options.max_body = table[i].max_body;
        struct result result = ask(&options);
        assert_int_equal(result.status, 0);
        assert_contains(result.error, addresses[0]);
        assert_contains(result.error, table[i].error);
        assert_string_equal(result.body, "");
        consul_client_free(client);
        client = NULL;
        idle(20);
    }
}

static void test_gzip(void **state)
{
    (void)state;
    free(addresses[0]);
    addresses[0] = url("0.0.0.0", server.port); /* Linux goes to loopback; it does not look like it */
    open_client();
    static const char body[] = OK
        "Content-Encoding: gzip\r\nContent-Length: 37\r\n\r\n"
        "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\xca\x48\xcd\xc9\xc9\x57\xb2\x52\x2a\xcf\x2f\xca\x49"
        "\x51\xaa\x05\x00\xd1\x41\x09\xd8\x11\x00\x00\x00";
    server.steps[0] = (struct step){.answer = body, .len = sizeof body - 1};
    server.steps[1] = (struct step){.answer = body, .len = sizeof body - 1};
    server.steps[2] = (struct step){.answer = OK "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"};
    server.step_count = 3;
    struct consul_options options = get("/v1/x");
    struct result result = ask(&options);
    assert_string_equal(result.error, "");
    assert_string_equal(result.body, "{\"hello\":\"world\"}");
    assert_contains(server.seen[0], "\r\nAccept-Encoding: gzip\r\n");
    options.max_body = 16; /* counts what comes out */
    result = ask(&options);
    assert_contains(result.error, "larger than 16 octets");
    options.max_body = 0;
    result = ask(&options);
    assert_int_equal(result.status, 0);
}

/* A kept connection dies under the request: a read is repeated, a write is not, since it may have been done.
 */
static void test_repeats(void **state)
{
    (void)state;
    open_client();
    answer(0, OK "Content-Length: 0\r\n\r\n");
    server.steps[1] = (struct step){.close = true};
    answer(2, OK "Content-Length: 0\r\n\r\n");
    struct consul_options options = get("/v1/x");
    ask(&options);
    struct result result = ask(&options);
    assert_int_equal(result.status, 200);
    assert_int_equal(server.requests, 3);

    server.requests = 0;
    options = (struct consul_options){
        .method = "PUT", .path = "/v1/txn", .body = "[]", .body_len = 2, .timeout = NS_PER_S};
    ask(&options);
    result = ask(&options);
    assert_int_equal(result.status, 0);
    assert_contains(result.error, "whether it was carried out is unknown");
    assert_int_equal(server.requests, 2);
}

static void test_addresses(void **state)
{
    (void)state;
    addresses[1] = addresses[0];
    addresses[0] = url("127.0.0.1", dead_port());
    config.addresses.count = 2;
    open_client();
    answer(0, OK "Content-Length: 0\r\n\r\n");
    struct consul_options options = get("/v1/x");
    struct result result = ask(&options);
    assert_int_equal(result.status, 0);
    assert_contains(result.error, "cannot connect: Connection refused");
    assert_string_equal(result.address, addresses[0]);
    for (int i = 0; i < 2; i++) {
        result = ask(&options);
        assert_int_equal(result.status, 200);
        assert_string_equal(result.address, addresses[1]);
    }
    /* The agent's endpoints have not failed yet. */
    options = get("/v1/agent/self");
    result = ask(&options);
    assert_string_equal(result.address, addresses[0]);
    result = ask(&options);
    assert_string_equal(result.address, addresses[1]);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_token_rotation(void **state)
{
    (void)state;
    char path[] = "/tmp/consul_client_test.XXXXXX";
    close(mkstemp(path));
    write_file(path, "first\n");
    config.token_file = path;
    open_client();
    answer(0, OK "Content-Length: 0\r\n\r\n");
    struct consul_options options = get("/v1/x");
    ask(&options);
    assert_contains(server.seen[0], "X-Consul-Token: first\r\n");
    write_file(path, "second\n");
    idle(990);
    idle(20);
    ask(&options);
    assert_contains(server.seen[1], "X-Consul-Token: second\r\n");
    unlink(path);
}

static void test_bad_configuration(void **state)
{
    (void)state;
    struct err err;
    addresses[1] = strdup("gopher://x");
    config.addresses.count = 2;
    assert_null(consul_client_new(base, "test", &config, 4, &err));
    assert_contains(err.text, "\"gopher://x\": only http://");
    config.addresses.count = 1;
    config.ca_file = "/nonexistent/ca.pem";
    assert_null(consul_client_new(base, "test", &config, 4, &err));
    assert_contains(err.text, "ca-file /nonexistent/ca.pem: No such file");
    config.ca_file = "/etc/hostname";
    assert_null(consul_client_new(base, "test", &config, 4, &err));
    assert_contains(err.text, "no certificate");
    config.ca_file = NULL;
    config.key_file = "/etc/hostname";
    assert_null(consul_client_new(base, "test", &config, 4, &err));
    assert_contains(err.text, "without a cert-file");
    config.key_file = NULL;
    config.addresses.count = 0;
    assert_null(consul_client_new(base, "test", &config, 4, &err));
    assert_contains(err.text, "no address");
}

/* --- cancelling and freeing from callbacks ------------------------------------------------------- */

static struct consul_request *sent[3];
static unsigned calls;

static void cancel_all(void *arg, struct consul_response *response)
{
    (void)arg, (void)response;
    calls++;
    for (size_t i = 0; i < 3; i++)
        consul_cancel(sent[i]); /* one of them is this one */
}

static void send_three(nstime timeout)
{
    struct consul_options options = get("/v1/x");
    options.timeout = timeout;
    calls = 0;
    for (size_t i = 0; i < 3; i++)
        sent[i] = consul_send(client, &options, cancel_all, NULL);
}

static void assert_none_in_flight(void)
{
    struct consul_stats stats;
    consul_client_stats(client, &stats);
    assert_int_equal(stats.in_flight, 0);
}

static void test_cancel(void **state)
{
    (void)state;
    open_client();
    answer(0, NULL);
    send_three(10 * NS_PER_S);
    idle(20);
    assert_int_equal(server.requests, 3);
    for (size_t i = 0; i < 3; i++)
        consul_cancel(sent[i]);
    consul_cancel(NULL);
    idle(20);
    assert_int_equal(calls, 0);
    assert_none_in_flight();

    send_three(10 * NS_PER_MS); /* the others are still with libcurl */
    idle(100);
    assert_int_equal(calls, 1);
    assert_none_in_flight();
}

/* The client was opened with four connections: the fifth request waits until one is free. */
static void test_connection_cap(void **state)
{
    (void)state;
    open_client();
    answer(0, NULL);
    struct consul_request *requests[6];
    struct consul_options options = get("/v1/x");
    for (size_t i = 0; i < 6; i++)
        requests[i] = consul_send(client, &options, cancel_all, NULL);
    idle(50);
    assert_int_equal(server.connections, 4);
    consul_cancel(requests[0]);
    idle(50);
    assert_int_equal(server.requests, 5);
    struct consul_stats stats;
    consul_client_stats(client, &stats);
    assert_int_equal(stats.connections, 4);
    assert_int_equal(stats.in_flight, 5);
}

/* All are refused in one turn of the loop: the others wait for their callbacks when the first one runs. */
static void test_cancel_finished(void **state)
{
    (void)state;
    free(addresses[0]);
    addresses[0] = url("127.0.0.1", dead_port());
    open_client();
    send_three(10 * NS_PER_S);
    idle(100);
    assert_int_equal(calls, 1);
    assert_none_in_flight();
}

static void free_client(void *arg, struct consul_response *response)
{
    note(arg, response);
    consul_client_free(client);
    client = NULL;
}

static void test_free_in_callback(void **state)
{
    (void)state;
    open_client();
    answer(0, OK "Content-Length: 0\r\n\r\n");
    struct result result = {0};
    struct consul_options options = get("/v1/x");
    consul_send(client, &options, free_client, &result);
    consul_send(client, &options, free_client, &result);
    idle(100);
    assert_int_equal(result.calls, 1);
    assert_null(client);
}

/* --- blocking queries ---------------------------------------------------------------------------- */

static struct consul_watch *watch;

struct rounds {
    unsigned count, stop_at;
    struct result results[MAX_STEPS];
};

static void round_done(void *arg, struct consul_response *response, bool changed)
{
    struct rounds *rounds = arg;
    struct result *result = &rounds->results[rounds->count++];
    note(result, response);
    result->changed = changed;
    if (rounds->count == rounds->stop_at) {
        consul_watch_free(watch);
        watch = NULL;
        event_base_loopbreak(base);
    }
}

static struct rounds watch_rounds(struct consul_watch_options options, unsigned count)
{
    struct rounds rounds = {.stop_at = count};
    watch = consul_watch_new(client, &options, round_done, &rounds);
    run();
    assert_int_equal(rounds.count, count);
    assert_null(watch);
    return rounds;
}

static void test_watch_indexes(void **state)
{
    (void)state;
    open_client();
    answer(0, OK "X-Consul-Index: 100\r\nContent-Length: 0\r\n\r\n");
    answer(1, OK "X-Consul-Index: 100\r\nContent-Length: 0\r\n\r\n"); /* the wait was over */
    answer(2, OK "X-Consul-Index: 50\r\nContent-Length: 0\r\n\r\n");  /* restored from a snapshot */
    answer(3, OK "X-Consul-Index: 50\r\nContent-Length: 0\r\n\r\n");
    answer(4, "HTTP/1.1 404 Not Found\r\nX-Consul-Index: 60\r\nContent-Length: 0\r\n\r\n"); /* key deleted */
    answer(5, OK "X-Consul-Index: 0\r\nContent-Length: 0\r\n\r\n");
    answer(6, OK "Content-Length: 0\r\n\r\n");
    struct rounds rounds = watch_rounds((struct consul_watch_options){.path = "/v1/kv/a?recurse",
                                                                      .consistency = "stale",
                                                                      .wait = 3200 * NS_PER_MS,
                                                                      .rate = 1000,
                                                                      .burst = 10},
                                        7);
    static const struct {
        uint64_t index;
        bool changed;
        const char *asked;
    } table[] = {
        {100, true, "GET /v1/kv/a?recurse&stale HTTP"},
        {100, false, "GET /v1/kv/a?recurse&stale&index=100&wait="},
        {50, true, "&index=100&wait="},
        {50, false, "GET /v1/kv/a?recurse&stale HTTP"},
        {60, true, "&index=50&wait="},
        {1, true, "&index=60&wait="},
        {1, false, "GET /v1/kv/a?recurse&stale HTTP"},
    };
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(rounds.results[i].index, table[i].index);
        assert_int_equal(rounds.results[i].changed, table[i].changed);
        assert_contains(server.seen[i], table[i].asked);
    }
    unsigned long wait_ms = strtoul(strstr(server.seen[1], "wait=") + 5, NULL, 10);
    assert_in_range(wait_ms, 3000, 3200);
    assert_contains(server.seen[1], "ms HTTP/1.1\r\n");
}

static void test_watch_failures(void **state)
{
    (void)state;
    open_client();
    answer(0, OK "X-Consul-Index: 7\r\nX-Consul-Knownleader: true\r\nContent-Length: 0\r\n\r\n");
    answer(1, "HTTP/1.1 500 X\r\nX-Consul-Index: 1\r\nContent-Length: 17\r\n\r\nNo cluster leader");
    server.steps[2] = server.steps[3] = (struct step){.close = true}; /* libcurl repeats a read by itself */
    answer(4, OK "X-Consul-Index: 7\r\nContent-Length: 0\r\n\r\n");
    struct rounds rounds =
        watch_rounds((struct consul_watch_options){.path = "/v1/x", .rate = 1000, .burst = 10}, 4);
    assert_int_equal(rounds.results[1].status, 500);
    assert_false(rounds.results[1].changed);
    assert_int_equal(rounds.results[2].status, 0);
    /* No index comes from a failure, and none outlives one: a Consul that lost its data would stall on it. */
    assert_null(strstr(server.seen[2], "index="));
    assert_null(strstr(server.seen[4], "index="));
    assert_true(rounds.results[3].changed);
    /* Each retry waits its backoff. */
    assert_true(rounds.results[2].started - rounds.results[1].finished >= 49 * NS_PER_MS);
    assert_true(rounds.results[3].started - rounds.results[2].finished >= 99 * NS_PER_MS);
}

static void test_watch_timeout_and_rate(void **state)
{
    (void)state;
    open_client();
    answer(0, OK "X-Consul-Index: 7\r\nContent-Length: 0\r\n\r\n");
    answer(1, NULL);
    struct rounds rounds = watch_rounds(
        (struct consul_watch_options){.path = "/v1/x", .wait = 160 * NS_PER_MS, .grace = 100 * NS_PER_MS}, 2);
    assert_int_equal(rounds.results[1].status, 0);
    nstime took = rounds.results[1].finished - rounds.results[1].started;
    assert_in_range(took, 255 * NS_PER_MS, 1500 * NS_PER_MS);

    answer(0, OK "Content-Length: 0\r\n\r\n"); /* always at once: only the bucket slows it down */
    server.requests = 0;
    nstime before = clock_boot();
    watch_rounds((struct consul_watch_options){.path = "/v1/x", .rate = 20, .burst = 2}, 6);
    assert_in_range(clock_boot() - before, 190 * NS_PER_MS, 2 * NS_PER_S);
}

static void restart_in_round(void *arg, struct consul_response *response, bool changed)
{
    struct rounds *rounds = arg;
    if (rounds->count == 0)
        consul_watch_restart(watch);
    round_done(arg, response, changed);
}

static void test_watch_restart(void **state)
{
    (void)state;
    open_client();
    answer(0, OK "X-Consul-Index: 7\r\nContent-Length: 0\r\n\r\n");
    answer(1, OK "X-Consul-Index: 7\r\nContent-Length: 0\r\n\r\n");
    answer(2, NULL);
    struct rounds rounds = {.stop_at = 3};
    struct consul_watch_options options = {.path = "/v1/x"};
    watch = consul_watch_new(client, &options, restart_in_round, &rounds);
    idle(300);
    assert_int_equal(rounds.count, 2);
    assert_true(rounds.results[1].changed); /* trust was lost: the same index counts as news */
    assert_contains(server.seen[1], "GET /v1/x HTTP");
    assert_contains(server.seen[2], "index=7");
    answer(3, OK "X-Consul-Index: 7\r\nContent-Length: 0\r\n\r\n");
    consul_watch_restart(watch); /* ends the blocked query */
    run();
    assert_int_equal(rounds.count, 3);
    assert_contains(server.seen[3], "GET /v1/x HTTP");
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_answer),
        test(test_put),
        test(test_status_errors),
        test(test_transport_errors),
        test(test_gzip),
        test(test_repeats),
        test(test_addresses),
        test(test_token_rotation),
        test(test_bad_configuration),
        test(test_cancel),
        test(test_cancel_finished),
        test(test_connection_cap),
        test(test_free_in_callback),
        test(test_watch_indexes),
        test(test_watch_failures),
        test(test_watch_timeout_and_rate),
        test(test_watch_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
