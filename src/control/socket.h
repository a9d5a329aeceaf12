/* The control socket: clients, lines in, lines out. What a request means is the handler's. Main thread, with
 * SIGPIPE ignored. */
#pragma once

#include "control/request.h"

struct control_socket;
struct event_base;

/* One request under way. Ends with exactly one of the replies below, at any later time, also after the client
 * or the socket is gone. */
struct call;
typedef void call_handler(void *arg, const struct request *request, struct call *call);

/* Listens on path with permissions 0660. A socket file that nobody listens on is replaced. NULL with err. */
struct control_socket *control_socket_new(struct event_base *base, const char *path, call_handler *handler,
                                          void *arg, struct err *err);
/* Closes clients and removes the file, if it is still ours. */
void control_socket_free(struct control_socket *control);

/* The octets that the client sent by `upload` since it last asked for something that takes them: handed over.
 */
void call_take_upload(struct call *call, struct buf *out);
/* More is refused. A zone of 16 MiB compressed is the most that Consul's KV should hold. */
#define CONTROL_UPLOAD_MAX (32u * 1024 * 1024)

/* Takes json (malloc'ed, no newlines). */
void call_reply(struct call *call, char *json);
void call_fail(struct call *call, const char *error);
