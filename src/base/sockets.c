/* Binding listen addresses. */
#include "lictor/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

/* Asked for on UDP sockets, so that a burst waits instead of being dropped; the kernel cuts it to
 * net.core.rmem_max. */
#define SOCKET_BUFFER (4 * 1024 * 1024)

/* Connections that wait for accept; the kernel cuts it to net.core.somaxconn. */
#define TCP_BACKLOG 1024

/* TCP Fast Open (RFC 7413) saves stub resolvers a round trip; where the kernel has it off it does nothing. */
#define TCP_FASTOPEN_QUEUE 64

/* A free port for both protocols is nearly always found at once; this ends a hopeless search. */
#define PORT_TRIES 32

static int set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value));
}

static in_port_t port_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET ? ((const struct sockaddr_in *)address)->sin_port
                                         : ((const struct sockaddr_in6 *)address)->sin6_port;
}

static void set_port(struct sockaddr_storage *address, in_port_t port)
{
    if (address->ss_family == AF_INET)
        ((struct sockaddr_in *)address)->sin_port = port;
    else
        ((struct sockaddr_in6 *)address)->sin6_port = port;
}

/* What only makes things better is not checked: an older kernel may not know it. */
static int set_udp_options(int fd, const struct sockaddr_storage *address)
{
    int v6 = address->ss_family == AF_INET6;
    set_option(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
    set_option(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
    if (!sockaddr_is_wildcard(address))
        return 0;
    return v6 ? set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) : set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
}

static int set_tcp_options(int fd)
{
    /* Else connections in TIME_WAIT would hold the port after a restart. A listening socket still
     * conflicts, so a taken port is noticed all the same. */
    if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0)
        return -1;
    set_option(fd, IPPROTO_TCP, TCP_FASTOPEN, TCP_FASTOPEN_QUEUE);
    return 0;
}

/* One bound socket. The first of an address is bound alone and made shareable afterwards: the kernel looks
 * at the flag of both sockets when the next one is bound, so nothing can slip in between. Returns the
 * descriptor, or -1 with errno. */
static int bind_one(const struct sockaddr_storage *address, int type, int first)
{
    int fd = socket(address->ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if ((address->ss_family == AF_INET6 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) != 0) ||
        (type == SOCK_DGRAM ? set_udp_options(fd, address) : set_tcp_options(fd)) != 0 ||
        (!first && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0) ||
        bind(fd, (const struct sockaddr *)address, sockaddr_len(address)) != 0 ||
        (first && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0) ||
        (type == SOCK_STREAM && listen(fd, TCP_BACKLOG) != 0)) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static int explain(const struct sockaddr_storage *address, const char *protocol, int error, struct err *err)
{
    char text[SOCKADDR_TEXT];
    sockaddr_format(address, text);
    switch (error) {
    case EADDRINUSE:
        return err_set(err,
                       "%s (%s) is taken (%s); stop the other program or choose another address in `listen`",
                       text, protocol, strerror(error));
    case EACCES:
        return err_set(err,
                       "%s (%s) may not be bound (%s); ports below 1024 need root or CAP_NET_BIND_SERVICE",
                       text, protocol, strerror(error));
    case EADDRNOTAVAIL:
        return err_set(err, "%s (%s) is not an address of this host (%s); correct `listen`", text, protocol,
                       strerror(error));
    case EAFNOSUPPORT:
        return err_set(err, "%s (%s): this host has no IPv%d (%s); remove it from `listen`", text, protocol,
                       address->ss_family == AF_INET ? 4 : 6, strerror(error));
    default:
        return err_set(err, "%s (%s) cannot be bound: %s", text, protocol, strerror(error));
    }
}

static void close_all(int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (fds[i] >= 0) {
            close(fds[i]);
            fds[i] = -1;
        }
}

/* Returns 0, or the errno of the socket that failed; *protocol says which kind. */
static int bind_all(struct sockaddr_storage *address, unsigned workers, int *udp, int *tcp,
                    const char **protocol)
{
    for (unsigned i = 0; i < workers; i++) {
        *protocol = "TCP";
        if ((tcp[i] = bind_one(address, SOCK_STREAM, i == 0)) < 0)
            return errno;
        if (port_of(address) == 0) {
            struct sockaddr_storage bound;
            socklen_t len = sizeof(bound);
            if (getsockname(tcp[i], (struct sockaddr *)&bound, &len) != 0)
                return errno;
            set_port(address, port_of(&bound));
        }
        *protocol = "UDP";
        if ((udp[i] = bind_one(address, SOCK_DGRAM, i == 0)) < 0)
            return errno;
    }
    return 0;
}

int sockets_bind(const struct sockaddr_storage *address, unsigned workers, int *udp, int *tcp,
                 struct err *err)
{
    const char *protocol = "UDP";
    struct sockaddr_storage wanted;
    int error = EADDRINUSE, any_port = port_of(address) == 0;
    for (int tries = any_port ? PORT_TRIES : 1; tries > 0 && error == EADDRINUSE; tries--) {
        wanted = *address;
        for (unsigned i = 0; i < workers; i++)
            udp[i] = tcp[i] = -1;
        error = bind_all(&wanted, workers, udp, tcp, &protocol);
        if (error == 0)
            return 0;
        close_all(udp, workers);
        close_all(tcp, workers);
    }
    return explain(&wanted, protocol, error, err);
}
