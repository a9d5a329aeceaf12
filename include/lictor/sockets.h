/* Listen addresses: reading, printing, binding; and address prefix lists. */
#pragma once

#include "lictor/err.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Holds every text of sockaddr_format with its NUL: brackets, 45 of IPv6, "%" and a scope, ":" and a port. */
#define SOCKADDR_TEXT 80

/* Reads "127.0.0.1:8653", "[::1]:8653", "[fe80::1%eth0]:53", "[::]:53". The port is required (0 lets
 * the kernel choose); names are not looked up. Returns 0, or -1 with err. Any thread. */
int sockaddr_parse(const char *text, struct sockaddr_storage *out, struct err *err);
/* The form sockaddr_parse reads. Returns out. */
const char *sockaddr_format(const struct sockaddr_storage *address, char out[SOCKADDR_TEXT]);
/* Same family, address, scope and port? */
int sockaddr_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b);
/* The length that bind and sendto want for its family. */
socklen_t sockaddr_len(const struct sockaddr_storage *address);
/* 127.0.0.0/8, ::1, and the former in its v4-mapped form. */
int sockaddr_is_loopback(const struct sockaddr_storage *address);
/* 0.0.0.0 or ::, where a reply's source address has to be chosen explicitly. */
int sockaddr_is_wildcard(const struct sockaddr_storage *address);

/* Binds `workers` UDP sockets (with IP_PKTINFO where the address is a wildcard, so that replies leave from
 * the address that was asked) and as many listening TCP sockets into udp[] and tcp[], which the caller owns
 * then. The first of each is bound *without* SO_REUSEPORT, to notice a taken port: "127.0.0.1:53 (UDP)
 * is taken (Address already in use); stop the other program or choose another address in `listen`".
 * IPv6 sockets are V6ONLY. All are non-blocking and close-on-exec. Port 0 picks a free one, the same for UDP
 * and TCP (getsockname tells which). On -1 nothing stays open. Any thread. */
int sockets_bind(const struct sockaddr_storage *address, unsigned workers, int *udp, int *tcp,
                 struct err *err);

/* Where the reply to a UDP message goes that cannot be answered at once: by which socket, to whom, and from
 * which of our addresses. */
struct return_path {
    int fd;
    socklen_t address_len;
    size_t control_len;
    struct sockaddr_storage address;
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};
/* From what recvmsg filled in (its control message must be fit for sending). False: more than ever comes. Any
 * thread. */
bool return_path_set(struct return_path *path, int fd, const struct msghdr *header);
/* Returns 0, or -1 with errno. Any thread while the socket is open. */
int return_path_send(const struct return_path *path, const void *message, size_t len);

/* An address prefix list ("192.0.2.0/24", "::1"). Built by one thread, then read by any. */
struct acl;
struct acl *acl_new(void);
void acl_free(struct acl *acl); /* NULL is allowed */
/* An address, or a prefix without host bits. Returns 0, or -1 with err. */
int acl_add(struct acl *acl, const char *prefix, struct err *err);
/* Does a prefix hold the address? A NULL acl matches nothing; a v4-mapped address counts as IPv4. */
int acl_match(const struct acl *acl, const struct sockaddr_storage *address);
