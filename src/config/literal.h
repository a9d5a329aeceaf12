/* Literal addresses as the configuration writes them. Pure: nothing is resolved. */
#pragma once

#include "lictor/err.h"

#include <stdbool.h>
#include <sys/socket.h>

/* "192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%eth0]:53"; the port is 1 to 65535. Returns 0, or -1 with err,
 * which says what would be right but not which key it is about. */
int literal_parse(const char *text, struct sockaddr_storage *out, struct err *err);
bool literal_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b);
bool literal_is_loopback(const struct sockaddr_storage *address);
bool literal_is_wildcard(const struct sockaddr_storage *address);
/* The form that literal_parse reads; the caller frees it. */
char *literal_text(const struct sockaddr_storage *address);

/* "192.0.2.0/24", "2001:db8::/32", or one address. Returns 0, or -1 with err. */
int prefix_check(const char *text, struct err *err);
