/* The client's side of the control socket: one request, one reply. */
#pragma once

#include <jansson.h>

/* Connects, asks and waits up to `seconds`. name: the argument, or NULL. Returns the result (a new
 * reference), or NULL and *error: what is wrong and what to do, maybe several lines, without a newline at the
 * end; free() it. */
json_t *client_ask(const char *path, const char *verb, const char *name, int seconds, char **error);
