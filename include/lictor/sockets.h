/* Binding listen addresses and passing them between processes. */
#pragma once

#include "lictor/err.h"

#include <sys/socket.h>

/* "127.0.0.1:8653", "[::1]:8653", "[::]:53". Port required. Returns 0, or -1 with err. */
int sockaddr_parse(const char *text, struct sockaddr_storage *out, struct err *err);
const char *sockaddr_format(const struct sockaddr_storage *address, char out[64]);
int sockaddr_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b);
socklen_t sockaddr_len(const struct sockaddr_storage *address);

/* Binds `workers` UDP (with IP_PKTINFO where the address is a wildcard, so that replies leave from the
 * address that was asked) and as many listening TCP sockets. First binds once *without* SO_REUSEPORT, to
 * notice a taken port: "127.0.0.1:53 is taken (Address already in use); choose another in `listen`". IPv6
 * sockets are V6ONLY. All non-blocking, close-on-exec. Port 0 picks a free one, the same for UDP and TCP. On
 * -1 nothing stays open. */
int sockets_bind(const struct sockaddr_storage *address, unsigned workers, int *udp, int *tcp,
                 struct err *err);

/* An address prefix list ("192.0.2.0/24", "::1"). */
struct acl;
struct acl *acl_new(void);
void acl_free(struct acl *acl);
int acl_add(struct acl *acl, const char *prefix, struct err *err);
int acl_match(const struct acl *acl,
              const struct sockaddr_storage *address); /* NULL acl matches nothing; v4-mapped counts as v4 */
int sockaddr_is_loopback(const struct sockaddr_storage *address);
