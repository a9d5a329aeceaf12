#include "notify_socket.h"

#include "notify_message.h"

#include "lictor/sockets.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWERS_A_TURN 64

struct from {
    struct from *next;
    struct notify_sockets *sockets;
    struct sockaddr_storage source; /* port 0: any */
    int fd;
    struct event *event;
};

struct notify_sockets {
    struct event_base *base;
    notify_answer_fn *answer;
    void *arg;
    struct sockaddr_storage *listen;
    size_t listen_count;
    struct from *first;
};

struct notify_sockets *notify_sockets_new(struct event_base *base, notify_answer_fn *answer, void *arg)
{
    struct notify_sockets *sockets = xcalloc(1, sizeof *sockets);
    *sockets = (struct notify_sockets){.base = base, .answer = answer, .arg = arg};
    return sockets;
}

void notify_sockets_free(struct notify_sockets *sockets)
{
    if (!sockets)
        return;
    for (struct from *from = sockets->first, *next; from; from = next) {
        next = from->next;
        event_free(from->event);
        close(from->fd);
        free(from);
    }
    free(sockets->listen);
    free(sockets);
}

void notify_sockets_listen(struct notify_sockets *sockets, const struct sockaddr_storage *listen,
                           size_t count)
{
    free(sockets->listen);
    sockets->listen = xmemdup(listen, count * sizeof *listen);
    sockets->listen_count = count;
}

static void on_answers(evutil_socket_t fd, short what, void *arg)
{
    struct from *from = arg;
    uint8_t msg[NOTIFY_MESSAGE];
    struct sockaddr_storage peer;
    (void)what;
    for (int i = 0; i < ANSWERS_A_TURN; i++) {
        socklen_t peer_len = sizeof peer;
        ssize_t len = recvfrom((int)fd, msg, sizeof msg, MSG_DONTWAIT, (struct sockaddr *)&peer, &peer_len);
        if (len < 0 && errno == EAGAIN)
            return;
        if (len >= 0) /* an error is an ICMP message about one of ours: silence tells as much */
            from->sockets->answer(from->sockets->arg, &peer, msg, (size_t)len);
    }
}

/* Where a message to this address leaves from: a listen address of its family that can reach it; else what
 * the kernel chooses. */
static struct sockaddr_storage source_for(const struct notify_sockets *sockets,
                                          const struct sockaddr_storage *to)
{
    struct sockaddr_storage source = {.ss_family = to->ss_family};
    for (size_t i = 0; i < sockets->listen_count; i++) {
        const struct sockaddr_storage *listen = &sockets->listen[i];
        if (listen->ss_family != to->ss_family || sockaddr_is_wildcard(listen) ||
            !sockaddr_is_loopback(listen) != !sockaddr_is_loopback(to))
            continue;
        source = *listen;
        break;
    }
    if (source.ss_family == AF_INET)
        ((struct sockaddr_in *)&source)->sin_port = 0;
    else
        ((struct sockaddr_in6 *)&source)->sin6_port = 0;
    return source;
}

static struct from *open_from(struct notify_sockets *sockets, const struct sockaddr_storage *source)
{
    int fd = socket(source->ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return NULL;
    if (bind(fd, (const struct sockaddr *)source, sockaddr_len(source))) {
        int error = errno;
        close(fd);
        errno = error;
        return NULL;
    }
    struct from *from = xcalloc(1, sizeof *from);
    *from = (struct from){.next = sockets->first, .sockets = sockets, .source = *source, .fd = fd};
    from->event = event_new(sockets->base, fd, EV_READ | EV_PERSIST, on_answers, from);
    event_add(from->event, NULL);
    sockets->first = from;
    return from;
}

int notify_sockets_send(struct notify_sockets *sockets, const struct sockaddr_storage *to, const uint8_t *msg,
                        size_t len)
{
    struct sockaddr_storage source = source_for(sockets, to);
    struct from *from = sockets->first;
    while (from && !sockaddr_equal(&from->source, &source))
        from = from->next;
    if (!from && !(from = open_from(sockets, &source)))
        return errno;
    if (sendto(from->fd, msg, len, MSG_DONTWAIT, (const struct sockaddr *)to, sockaddr_len(to)) < 0)
        return errno;
    return 0;
}
