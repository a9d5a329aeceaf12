/* The client's side of the control socket: one request, one reply. */
#pragma once

#include <jansson.h>

struct client_args { /* each may be NULL */
    const char *name;
    const char *duration; /* "for" */
};

/* Connects, asks and waits up to `seconds`. Returns the result (a new
 * reference), or NULL and *error: what is wrong and what to do, maybe several lines, without a newline at the
 * end; free() it. */
json_t *client_ask(const char *path, const char *verb, const struct client_args *args, int seconds,
                   char **error);
