#include "client.h"

#include "lictor/buf.h"
#include "lictor/clock.h"
#include "lictor/consul.h"
#include "lictor/err.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fail_connect(const char *path, struct err *err)
{
    switch (errno) {
    case ENOENT:
    case ECONNREFUSED:
        return err_set(
            err,
            "no lictord listens on %s (%s); is it running? --control PATH or $LICTOR_CONTROL names "
            "another instance's socket",
            path, strerror(errno));
    case EACCES:
        return err_set(err, "%s: %s; be root, or in the group that owns the socket", path, strerror(errno));
    default:
        return err_set(err, "%s: %s", path, strerror(errno));
    }
}

static int open_socket(const char *path, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return err_set(err, "%s: longer than %zu octets, which no socket can be", path,
                       sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(err, "no socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        fail_connect(path, err);
        close(fd);
        return -1;
    }
    return fd;
}

static int send_request(int fd, const char *verb, json_t *args, struct err *err)
{
    json_t *request = json_pack("{s:s, s:O}", "cmd", verb, "args", args);
    char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    if (!text)
        abort(); /* out of memory: args are JSON already */
    struct buf line = {0};
    buf_printf(&line, "%s\n", text);
    free(text);
    ssize_t sent = send(fd, line.data, line.len, MSG_NOSIGNAL); /* far below the buffer of a new socket */
    int result = sent == (ssize_t)line.len ? 0 : err_set(err, "cannot ask lictord: %s", strerror(errno));
    buf_free(&line);
    return result;
}

static int receive_line(int fd, int seconds, struct buf *line, struct err *err)
{
    nstime until = clock_boot() + seconds * NS_PER_S;
    for (;;) {
        nstime left = until - clock_boot();
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        if (left <= 0 || poll(&readable, 1, (int)(left / NS_PER_MS) + 1) == 0)
            return err_set(err, "lictord did not answer within %d s; its log may say why", seconds);
        buf_reserve(line, 65536);
        ssize_t len = recv(fd, line->data + line->len, 65536, 0);
        if (len < 0 && errno == EINTR)
            continue;
        if (len <= 0)
            return err_set(err, "lictord closed the connection without an answer; its log may say why");
        line->len += (size_t)len;
        if (memchr(line->data + line->len - (size_t)len, '\n', (size_t)len))
            return 0;
    }
}

static json_t *read_reply(const struct buf *line, char **error)
{
    json_t *reply = json_loadb((const char *)line->data, line->len, 0, NULL), *result = NULL;
    const char *text = json_string_value(json_object_get(reply, "error"));
    if (json_is_true(json_object_get(reply, "ok")))
        result = json_incref(json_object_get(reply, "result"));
    if (!result) {
        *error = xstrdup(text ? text
                              : "the answer is not what this version understands; are `lictor` and `lictord` "
                                "of one version?");
        for (size_t len = strlen(*error); len > 0 && (*error)[len - 1] == '\n'; len--)
            (*error)[len - 1] = '\0';
    }
    json_decref(reply);
    return result;
}

static json_t *exchange(int fd, const char *verb, json_t *args, int seconds, char **error)
{
    struct err err;
    struct buf line = {0};
    json_t *result = NULL;
    if (send_request(fd, verb, args, &err) == 0 && receive_line(fd, seconds, &line, &err) == 0)
        result = read_reply(&line, error);
    else
        *error = xstrdup(err.text);
    buf_free(&line);
    return result;
}

/* A request has at most 16 KiB, base64 included. */
#define PIECE (9 * 1024)

static bool send_upload(int fd, const struct buf *upload, int seconds, char **error)
{
    for (size_t at = 0; at < upload->len; at += PIECE) {
        struct buf text = {0};
        size_t left = upload->len - at;
        consul_base64_encode(upload->data + at, left < PIECE ? left : PIECE, &text);
        json_t *args = json_pack("{s:s}", "data", buf_str(&text));
        json_t *result = exchange(fd, "upload", args, seconds, error);
        bool taken = result != NULL;
        json_decref(args);
        json_decref(result);
        buf_free(&text);
        if (!taken)
            return false;
    }
    return true;
}

json_t *client_ask(const char *path, const char *verb, json_t *args, const struct buf *upload, int seconds,
                   char **error)
{
    struct err err;
    json_t *result = NULL;
    int fd = open_socket(path, &err);
    if (fd < 0)
        *error = xstrdup(err.text);
    else if (!upload || send_upload(fd, upload, seconds, error))
        result = exchange(fd, verb, args, seconds, error);
    if (fd >= 0)
        close(fd);
    json_decref(args);
    return result;
}
