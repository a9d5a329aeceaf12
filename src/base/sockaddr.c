/* Socket addresses as text. */
#include "lictor/sockets.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sockaddr_in *as_v4(const struct sockaddr_storage *address)
{
    return (const struct sockaddr_in *)address;
}

static const struct sockaddr_in6 *as_v6(const struct sockaddr_storage *address)
{
    return (const struct sockaddr_in6 *)address;
}

/* Digits only: strtoul alone would take " +53". */
static int port_parse(const char *text, in_port_t *out)
{
    unsigned long port = 0;
    size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len)
        return -1;
    port = strtoul(text, NULL, 10);
    if (port > 65535)
        return -1;
    *out = htons((uint16_t)port);
    return 0;
}

static int v6_parse(const char *text, const char *host, struct sockaddr_in6 *out, struct err *err)
{
    char address[INET6_ADDRSTRLEN];
    const char *scope = strchr(host, '%');
    size_t len = scope ? (size_t)(scope - host) : strlen(host);
    if (len >= sizeof(address))
        return err_set(err, "\"%s\": not an IPv6 address between the brackets", text);
    memcpy(address, host, len);
    address[len] = 0;
    out->sin6_family = AF_INET6;
    if (inet_pton(AF_INET6, address, &out->sin6_addr) != 1)
        return err_set(err, "\"%s\": not an IPv6 address between the brackets", text);
    if (IN6_IS_ADDR_V4MAPPED(&out->sin6_addr))
        return err_set(err, "\"%s\": a v4-mapped address; write the IPv4 address itself", text);
    if (scope) {
        out->sin6_scope_id = if_nametoindex(scope + 1);
        if (out->sin6_scope_id == 0)
            return err_set(err, "\"%s\": no network interface \"%s\"", text, scope + 1);
    }
    return 0;
}

int sockaddr_parse(const char *text, struct sockaddr_storage *out, struct err *err)
{
    char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 2];
    const char *from = text, *end;
    memset(out, 0, sizeof(*out));
    if (*text == '[') {
        from++;
        end = strchr(text, ']');
        if (!end || end[1] != ':')
            return err_set(err, "\"%s\": write an IPv6 address and its port as \"[::1]:53\"", text);
    } else {
        end = strchr(text, ':');
        if (end && strchr(end + 1, ':'))
            return err_set(err, "\"%s\": write an IPv6 address and its port as \"[::1]:53\"", text);
    }
    if (!end)
        return err_set(err, "\"%s\": the port is missing; write it as \"127.0.0.1:53\"", text);
    size_t len = (size_t)(end - from);
    if (len >= sizeof(host))
        return err_set(err, "\"%s\": too long for an address", text);
    memcpy(host, from, len);
    host[len] = 0;

    const char *port = end + (*text == '[' ? 2 : 1);
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    if (*text == '[') {
        if (v6_parse(text, host, v6, err) != 0)
            return -1;
    } else {
        v4->sin_family = AF_INET;
        if (inet_pton(AF_INET, host, &v4->sin_addr) != 1)
            return err_set(err, "\"%s\": not an IPv4 address (names are not looked up here)", text);
    }
    if (port_parse(port, *text == '[' ? &v6->sin6_port : &v4->sin_port) != 0)
        return err_set(err, "\"%s\": the port must be a number from 0 to 65535", text);
    return 0;
}

const char *sockaddr_format(const struct sockaddr_storage *address, char out[SOCKADDR_TEXT])
{
    char host[INET6_ADDRSTRLEN];
    if (address->ss_family == AF_INET) {
        inet_ntop(AF_INET, &as_v4(address)->sin_addr, host, sizeof(host));
        snprintf(out, SOCKADDR_TEXT, "%s:%u", host, ntohs(as_v4(address)->sin_port));
    } else if (address->ss_family == AF_INET6) {
        unsigned port = ntohs(as_v6(address)->sin6_port), scope = as_v6(address)->sin6_scope_id;
        inet_ntop(AF_INET6, &as_v6(address)->sin6_addr, host, sizeof(host));
        if (scope)
            snprintf(out, SOCKADDR_TEXT, "[%s%%%u]:%u", host, scope, port);
        else
            snprintf(out, SOCKADDR_TEXT, "[%s]:%u", host, port);
    } else {
        snprintf(out, SOCKADDR_TEXT, "(no address)");
    }
    return out;
}

int sockaddr_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return 0;
    if (a->ss_family == AF_INET)
        return as_v4(a)->sin_port == as_v4(b)->sin_port &&
               as_v4(a)->sin_addr.s_addr == as_v4(b)->sin_addr.s_addr;
    return as_v6(a)->sin6_port == as_v6(b)->sin6_port && as_v6(a)->sin6_scope_id == as_v6(b)->sin6_scope_id &&
           memcmp(&as_v6(a)->sin6_addr, &as_v6(b)->sin6_addr, 16) == 0;
}

socklen_t sockaddr_len(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

int sockaddr_is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ntohl(as_v4(address)->sin_addr.s_addr) >> 24 == 127;
    if (address->ss_family != AF_INET6)
        return 0;
    const struct in6_addr *v6 = &as_v6(address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

int sockaddr_is_wildcard(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return as_v4(address)->sin_addr.s_addr == htonl(INADDR_ANY);
    return address->ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&as_v6(address)->sin6_addr);
}

bool return_path_set(struct return_path *path, int fd, const struct msghdr *header)
{
    if (header->msg_namelen > sizeof path->address || header->msg_controllen > sizeof path->control)
        return false;
    path->fd = fd;
    path->address_len = header->msg_namelen;
    path->control_len = header->msg_controllen;
    memcpy(&path->address, header->msg_name, header->msg_namelen);
    if (header->msg_controllen > 0)
        memcpy(path->control, header->msg_control, header->msg_controllen);
    return true;
}

int return_path_send(const struct return_path *path, const void *message, size_t len)
{
    struct iovec at = {(void *)(uintptr_t)message, len};
    struct msghdr header = {.msg_name = (void *)(uintptr_t)&path->address,
                            .msg_namelen = path->address_len,
                            .msg_iov = &at,
                            .msg_iovlen = 1,
                            .msg_control = path->control_len > 0 ? (void *)(uintptr_t)path->control : NULL,
                            .msg_controllen = path->control_len};
    return sendmsg(path->fd, &header, MSG_DONTWAIT) < 0 ? -1 : 0;
}
