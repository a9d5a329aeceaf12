/* The admin HTTP server: read-only, GET and HEAD. */
#include "control/accept.h"
#include "control/internal.h"

#include "lictor/log.h"
#include "lictor/sockets.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADERS_MAX     8192
#define BODY_MAX        4096 /* nobody needs one */
#define TIMEOUT_SECONDS 10

struct admin {
    const struct control *control;
    struct evhttp *http;
};

static void respond(struct evhttp_request *request, int status, const char *reason, const char *type,
                    struct evbuffer *body)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    evhttp_add_header(headers, "Content-Type", type);
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD) { /* evhttp 2.1 would send the body as well */
        char length[24];
        snprintf(length, sizeof(length), "%zu", evbuffer_get_length(body));
        evhttp_add_header(headers, "Content-Length", length);
        evbuffer_drain(body, evbuffer_get_length(body));
    }
    evhttp_send_reply(request, status, reason, body);
}

static void respond_text(struct evhttp_request *request, int status, const char *reason, const char *text)
{
    struct evbuffer *body = evbuffer_new();
    evbuffer_add(body, text, strlen(text));
    respond(request, status, reason, "text/plain; charset=utf-8", body);
    evbuffer_free(body);
}

static void free_data(const void *data, size_t len, void *arg)
{
    (void)data;
    (void)len;
    free(arg);
}

/* Takes json. */
static void respond_json(struct evhttp_request *request, char *json)
{
    struct evbuffer *body = evbuffer_new();
    evbuffer_add_reference(body, json, strlen(json), free_data, json);
    evbuffer_add(body, "\n", 1);
    respond(request, 200, "OK", "application/json", body);
    evbuffer_free(body);
}

static void serve_metrics(const struct control *control, struct evhttp_request *request)
{
    struct buf text = {0};
    metrics_print(control, &text);
    struct evbuffer *body = evbuffer_new();
    evbuffer_add(body, text.data, text.len);
    respond(request, 200, "OK", "text/plain; version=0.0.4; charset=utf-8", body);
    evbuffer_free(body);
    buf_free(&text);
}

static void serve_healthz(const struct control *control, struct evhttp_request *request)
{
    (void)control;
    respond_text(request, 200, "OK", "ok\n");
}

static void serve_readyz(const struct control *control, struct evhttp_request *request)
{
    json_t *reasons = control->view.not_ready(control->view.arg), *reason;
    size_t i;
    struct buf text = {0};
    json_array_foreach(reasons, i, reason) buf_printf(&text, "%s\n", json_string_value(reason));
    if (text.len)
        respond_text(request, 503, "Service Unavailable", buf_str(&text));
    else
        respond_text(request, 200, "OK", "ready\n");
    buf_free(&text);
    json_decref(reasons);
}

static void serve_status(const struct control *control, struct evhttp_request *request)
{
    respond_json(request, document_text(document_status(control)));
}

static void serve_zones(const struct control *control, struct evhttp_request *request)
{
    respond_json(request, document_text(document_zones(control)));
}

static void serve_actions(const struct control *control, struct evhttp_request *request)
{
    respond_json(request, document_text(document_actions(control)));
}

/* ---- services come later, from the builder ---- */

struct pending {
    struct evhttp_request *request; /* NULL once its connection is gone */
};

static void on_connection_closed(struct evhttp_connection *connection, void *arg)
{
    (void)connection;
    ((struct pending *)arg)->request = NULL;
}

static void on_services(void *arg, char *json, const char *error)
{
    struct pending *pending = arg;
    struct evhttp_request *request = pending->request;
    free(pending);
    if (!request) {
        free(json);
        return;
    }
    evhttp_connection_set_closecb(evhttp_request_get_connection(request), NULL, NULL);
    if (json) {
        respond_json(request, json);
    } else {
        char *line = xasprintf("%s\n", error);
        respond_text(request, 404, "Not Found", line);
        free(line);
    }
}

static void serve_services(const struct control *control, struct evhttp_request *request, const char *name)
{
    struct pending *pending = xcalloc(1, sizeof(*pending));
    pending->request = request;
    evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_connection_closed, pending);
    document_services(control, name, on_services, pending);
}

static void serve_all_services(const struct control *control, struct evhttp_request *request)
{
    serve_services(control, request, NULL);
}

/* ---- routes ---- */

static const struct {
    const char *path;
    void (*serve)(const struct control *control, struct evhttp_request *request);
} routes[] = {
    {"/metrics", serve_metrics},    {"/healthz", serve_healthz},          {"/readyz", serve_readyz},
    {"/v1/status", serve_status},   {"/v1/services", serve_all_services}, {"/v1/zones", serve_zones},
    {"/v1/actions", serve_actions},
};

static void on_request(struct evhttp_request *request, void *arg)
{
    const struct control *control = ((struct admin *)arg)->control;
    static const char services[] = "/v1/services/";
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
    if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
        evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
        respond_text(request, 405, "Method Not Allowed",
                     "read-only: GET and HEAD; `lictor` changes things\n");
        return;
    }
    for (size_t i = 0; path && i < sizeof(routes) / sizeof(*routes); i++)
        if (strcmp(path, routes[i].path) == 0) {
            routes[i].serve(control, request);
            return;
        }
    if (path && strncmp(path, services, strlen(services)) == 0 && path[strlen(services)]) {
        char *name = evhttp_uridecode(path + strlen(services), 0, NULL);
        serve_services(control, request, name ? name : "");
        free(name);
        return;
    }
    respond_text(request, 404, "Not Found",
                 "there are /metrics /healthz /readyz /v1/status /v1/services /v1/services/NAME /v1/zones "
                 "/v1/actions\n");
}

/* ---- life ---- */

static int listen_on(const char *address, struct err *err)
{
    struct sockaddr_storage where;
    if (sockaddr_parse(address, &where, err) < 0)
        return err_prefix(err, "`http`");
    int on = 1, fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, "`http` %s: %s", address, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&where, sockaddr_len(&where)) < 0 || listen(fd, 64) < 0) {
        err_set(err, "%s %s (%s); choose another in `http`, or \"\" for none", address,
                errno == EADDRINUSE ? "is taken" : "cannot be listened on", strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

struct admin *admin_new(const struct control *control, const char *address, struct err *err)
{
    int fd = listen_on(address, err);
    if (fd < 0)
        return NULL;
    struct admin *admin = xcalloc(1, sizeof(*admin));
    admin->control = control;
    admin->http = evhttp_new(control->view.base);
    struct evhttp_bound_socket *bound =
        admin->http ? evhttp_accept_socket_with_handle(admin->http, fd) : NULL;
    if (!bound)
        abort(); /* out of memory */
    evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(bound), accept_pause);
    evhttp_set_max_headers_size(admin->http, HEADERS_MAX);
    evhttp_set_max_body_size(admin->http, BODY_MAX);
    evhttp_set_timeout(admin->http, TIMEOUT_SECONDS);
    /* All methods reach us, so that we can say what is allowed; evhttp would say 501. */
    evhttp_set_allowed_methods(admin->http, 0xffff);
    evhttp_set_gencb(admin->http, on_request, admin);
    return admin;
}

void admin_free(struct admin *admin)
{
    if (!admin)
        return;
    evhttp_free(admin->http);
    free(admin);
}
