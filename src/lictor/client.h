/* The client's side of the control socket: requests, and a reply to each. */
#pragma once

#include <jansson.h>

struct buf;

/* Connects, asks and waits up to `seconds`. args: an object, whose reference is taken. upload: octets that go
 * first, or NULL. Returns the result (a new reference), or NULL and *error: what is wrong and what to do,
 * maybe several lines, without a newline at the end; free() it. */
json_t *client_ask(const char *path, const char *verb, json_t *args, const struct buf *upload, int seconds,
                   char **error);
