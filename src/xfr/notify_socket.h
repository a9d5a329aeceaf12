/* The sockets that NOTIFY leaves from. Secondaries go by the source address, so it is the one that DNS is
 * served on, if that is one. */
#pragma once

#include "lictor/config.h"

struct event_base;
struct notify_sockets;

/* A message that came back. */
typedef void notify_answer_fn(void *arg, const struct sockaddr_storage *from, const uint8_t *msg, size_t len);

struct notify_sockets *notify_sockets_new(struct event_base *base, notify_answer_fn *answer, void *arg);
void notify_sockets_free(struct notify_sockets *sockets); /* NULL is allowed */
/* The addresses that DNS is served on. Sockets that are open stay open. */
void notify_sockets_listen(struct notify_sockets *sockets, const struct sockaddr_storage *listen,
                           size_t count);
/* Returns 0, or the errno of what failed. */
int notify_sockets_send(struct notify_sockets *sockets, const struct sockaddr_storage *to, const uint8_t *msg,
                        size_t len);
