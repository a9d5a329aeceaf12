#include "control/socket.h"

#include "control/accept.h"
#include "lictor/consul.h"
#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS_MAX   32
#define IDLE_SECONDS  300 /* between two requests of a client */
#define WRITE_SECONDS 10  /* without progress: a slow client is cut */

struct client {
    struct client *next, **at;
    struct control_socket *control;
    struct bufferevent *stream;
    struct call *call; /* the request under way; meanwhile nothing is read */
    struct buf upload; /* what came by `upload` */
    bool ending;       /* nothing more is read; ends once all that is owed is written */
};

struct call {
    struct client *client; /* NULL once it is gone */
};

struct control_socket {
    struct event_base *base;
    char *path;
    dev_t device;
    ino_t inode;
    struct evconnlistener *listener;
    struct client *clients;
    unsigned count;
    call_handler *handler;
    void *arg;
};

static void client_free(struct client *client)
{
    if (client->call)
        client->call->client = NULL;
    *client->at = client->next;
    if (client->next)
        client->next->at = client->at;
    client->control->count--;
    buf_free(&client->upload);
    bufferevent_free(client->stream);
    free(client);
}

static void after_reply(struct client *client)
{
    client->call = NULL;
    if (!client->ending)
        bufferevent_enable(client->stream, EV_READ);
}

static void send_error(struct client *client, const char *error)
{
    struct buf line = {0};
    reply_error(&line, error);
    bufferevent_write(client->stream, line.data, line.len);
    buf_free(&line);
}

static void free_json(const void *data, size_t len, void *arg)
{
    (void)data;
    (void)len;
    free(arg);
}

void call_reply(struct call *call, char *json)
{
    struct client *client = call->client;
    free(call);
    if (!client) {
        free(json);
        return;
    }
    struct evbuffer *out = bufferevent_get_output(client->stream);
    evbuffer_add(out, REPLY_BEGIN, strlen(REPLY_BEGIN));
    evbuffer_add_reference(out, json, strlen(json), free_json, json); /* may be many megabytes */
    evbuffer_add(out, REPLY_END, strlen(REPLY_END));
    after_reply(client);
}

void call_fail(struct call *call, const char *error)
{
    struct client *client = call->client;
    free(call);
    if (!client)
        return;
    send_error(client, error);
    after_reply(client);
}

void call_take_upload(struct call *call, struct buf *out)
{
    *out = (struct buf){0};
    if (!call->client)
        return;
    *out = call->client->upload;
    call->client->upload = (struct buf){0};
}

/* A zone file is larger than a request may be: it comes in pieces. Nobody else is asked. */
static void upload(struct client *client, const json_t *args)
{
    const char *data = json_string_value(json_object_get(args, "data"));
    char reply[64];
    if (!data || json_object_size(args) != 1 || consul_base64_decode(data, &client->upload)) {
        send_error(client, "\"upload\" takes `data`, base64, alone");
    } else if (client->upload.len > CONTROL_UPLOAD_MAX) {
        buf_free(&client->upload);
        send_error(client, "this is more than a zone in Consul's KV may have (16 MiB compressed); give it "
                           "`store = \"file\"`");
    } else {
        int len = snprintf(reply, sizeof reply, REPLY_BEGIN "%zu" REPLY_END, client->upload.len);
        bufferevent_write(client->stream, reply, (size_t)len);
    }
}

static void refuse(struct client *client, const char *error)
{
    struct evbuffer *in = bufferevent_get_input(client->stream);
    evbuffer_drain(in, evbuffer_get_length(in));
    send_error(client, error);
    client->ending = true;
    bufferevent_disable(client->stream, EV_READ);
}

static bool owes(const struct client *client)
{
    return client->call || evbuffer_get_length(bufferevent_get_output(client->stream)) > 0;
}

static void serve_line(struct client *client, struct evbuffer *in, size_t len)
{
    struct request request;
    struct err err;
    char *line = xmalloc(len + 1);
    evbuffer_remove(in, line, len + 1);
    if (request_parse(line, len, &request, &err) < 0) {
        send_error(client, err.text);
    } else if (request.verb == VERB_UPLOAD) {
        upload(client, request.args);
        request_free(&request);
    } else {
        struct call *call = xcalloc(1, sizeof(*call));
        call->client = client;
        client->call = call;
        bufferevent_disable(client->stream, EV_READ);
        client->control->handler(client->control->arg, &request, call); /* may reply from within */
        request_free(&request);
    }
    free(line);
}

/* The next request is looked at when the reply to the last one is written, so that nobody can pile replies
 * up. */
static void step(struct client *client)
{
    struct evbuffer *in = bufferevent_get_input(client->stream);
    if (!owes(client)) {
        struct evbuffer_ptr end = evbuffer_search_eol(in, NULL, NULL, EVBUFFER_EOL_LF);
        size_t len = end.pos >= 0 ? (size_t)end.pos : evbuffer_get_length(in);
        if (len > REQUEST_LINE_MAX)
            refuse(client, "the request is too long");
        else if (end.pos >= 0)
            serve_line(client, in, len);
    }
    if (client->ending && !owes(client))
        client_free(client);
}

static void on_ready(struct bufferevent *stream, void *arg)
{
    (void)stream;
    step(arg);
}

static void on_event(struct bufferevent *stream, short what, void *arg)
{
    struct client *client = arg;
    if (what & BEV_EVENT_TIMEOUT && what & BEV_EVENT_WRITING)
        log_warn("control: a client that did not read for %d s was cut", WRITE_SECONDS);
    if (what & BEV_EVENT_EOF) { /* it may have closed only its half, and wait for replies */
        client->ending = true;
        bufferevent_disable(stream, EV_READ);
        step(client);
    } else {
        client_free(client);
    }
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer, int len,
                      void *arg)
{
    (void)listener;
    (void)peer;
    (void)len;
    struct control_socket *control = arg;
    struct client *client = xcalloc(1, sizeof(*client));
    client->control = control;
    client->stream = bufferevent_socket_new(control->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!client->stream)
        abort(); /* out of memory */
    client->next = control->clients;
    client->at = &control->clients;
    if (client->next)
        client->next->at = &client->next;
    control->clients = client;
    bufferevent_setcb(client->stream, on_ready, on_ready, on_event, client);
    bufferevent_setwatermark(client->stream, EV_READ, 0, REQUEST_LINE_MAX + 1);
    bufferevent_set_timeouts(client->stream, &(struct timeval){.tv_sec = IDLE_SECONDS},
                             &(struct timeval){.tv_sec = WRITE_SECONDS});
    if (++control->count > CLIENTS_MAX)
        refuse(client, "too many clients of the control socket; try again");
    else
        bufferevent_enable(client->stream, EV_READ | EV_WRITE);
}

static bool somebody_listens(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool listens =
        fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    return listens;
}

/* Takes away what a killed predecessor left. */
static int clear_path(const struct sockaddr_un *address, struct err *err)
{
    struct stat info;
    if (lstat(address->sun_path, &info) < 0)
        return errno == ENOENT ? 0 : err_set(err, "%s: %s", address->sun_path, strerror(errno));
    if (!S_ISSOCK(info.st_mode))
        return err_set(err, "%s is there and is no socket; move it away or choose another `control`",
                       address->sun_path);
    if (somebody_listens(address))
        return err_set(err, "%s is in use by another lictord; give each its own `control`",
                       address->sun_path);
    if (unlink(address->sun_path) < 0)
        return err_set(err, "cannot remove the stale socket %s: %s", address->sun_path, strerror(errno));
    return 0;
}

static int listen_on(const char *path, struct stat *info, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return err_set(err, "`control` is longer than %zu octets: %s", sizeof(address.sun_path) - 1, path);
    strcpy(address.sun_path, path);
    if (clear_path(&address, err) < 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, "no control socket: %s", strerror(errno));
    fchmod(fd, 0600); /* so that the file is never wider than this, whatever the umask */
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, 0660) < 0 ||
        listen(fd, CLIENTS_MAX) < 0 || lstat(path, info) < 0) {
        err_set(err,
                "cannot listen on %s: %s; `control` names the socket, and lictord's user must be able to "
                "write to its folder",
                path, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

struct control_socket *control_socket_new(struct event_base *base, const char *path, call_handler *handler,
                                          void *arg, struct err *err)
{
    struct stat info;
    int fd = listen_on(path, &info, err);
    if (fd < 0)
        return NULL;
    struct control_socket *control = xcalloc(1, sizeof(*control));
    *control = (struct control_socket){.base = base,
                                       .path = xstrdup(path),
                                       .device = info.st_dev,
                                       .inode = info.st_ino,
                                       .handler = handler,
                                       .arg = arg};
    control->listener =
        evconnlistener_new(base, on_accept, control, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (!control->listener)
        abort(); /* out of memory */
    evconnlistener_set_error_cb(control->listener, accept_pause);
    return control;
}

void control_socket_free(struct control_socket *control)
{
    struct stat info;
    if (!control)
        return;
    while (control->clients)
        client_free(control->clients);
    evconnlistener_free(control->listener);
    if (lstat(control->path, &info) == 0 && info.st_dev == control->device && info.st_ino == control->inode)
        unlink(control->path);
    free(control->path);
    free(control);
}
