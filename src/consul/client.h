/* The parts of consul_client that its files share. */
#pragma once

#include "endpoint.h"
#include "reply.h"
#include "token.h"

#include "lictor/consul.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>

enum request_state {
    REQUEST_ACTIVE, /* libcurl has it */
    REQUEST_DONE,   /* waits for its callback */
    REQUEST_CALLED, /* its callback runs */
};

struct consul_request {
    TAILQ_ENTRY(consul_request) link;
    struct consul_client *client;
    enum request_state state;
    consul_response_fn *callback;
    void *arg;

    struct endpoint *endpoint;
    struct ladder *ladder; /* which order the endpoint was picked from */
    CURL *easy;
    struct curl_slist *headers, *connect_to;
    struct event deadline;
    nstime timeout;
    uint8_t *upload;
    size_t upload_len, uploaded;

    struct reply_head head;
    struct buf body;
    size_t max_body;
    bool head_too_large, body_too_large, timed_out;

    char curl_error[CURL_ERROR_SIZE];
    char error[1024];
    struct consul_response response;
};

TAILQ_HEAD(request_list, consul_request);

struct consul_client {
    struct event_base *base;
    char *name;
    const struct config_consul *config;
    CURLM *multi;
    struct event timer; /* libcurl's own */
    struct token token;
    struct endpoint *endpoints;
    /* Two orders of trying: a slow read of Consul's servers must not send the check's beats, which mean
     * something only to the agent that has the check, to another agent. */
    struct ladder servers, agent;
    struct request_list active, done;
    bool delivering, freed;
    struct consul_stats stats;
    unsigned complaining; /* watches whose last answer was a fault of Consul */
};

/* loop.c: libcurl's sockets and timer on the event base. */
void loop_attach(struct consul_client *client);
void loop_detach(struct consul_client *client);

/* easy.c: one more header line; before easy_prepare. */
void easy_header(struct consul_request *request, const char *line);
/* easy.c: all of libcurl's options for one transfer. path_query begins with '/'. */
void easy_prepare(struct consul_request *request, const char *method, const char *path_query);

/* client.c: takes what libcurl has finished and runs the callbacks. */
void client_collect(struct consul_client *client);

/* tls.c: can the files be used? Reported at start, not at the first handshake. */
int tls_check_files(const struct config_consul *config, struct err *err);

/* fault.c: what went wrong with a transfer that has no answer, in a person's words, to request->error. */
void fault_describe(struct consul_request *request, CURLcode code);
