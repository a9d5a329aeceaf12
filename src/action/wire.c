#include "action/wire.h"

#include "lictor/xalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct header {
    uint32_t kind, flag;
    int64_t number, extra;
    uint32_t count, reserved;
};

struct channel_message {
    struct channel_message *next;
    size_t len;
    uint8_t data[];
};

int wire_encode(const struct wire *message, struct buf *out, struct err *err)
{
    if (message->count > WIRE_TEXTS)
        return err_set(err, "message with %zu texts; at most %d", message->count, WIRE_TEXTS);
    struct header header = {.kind = message->kind,
                            .flag = message->flag,
                            .number = message->number,
                            .extra = message->extra,
                            .count = (uint32_t)message->count};
    buf_append(out, &header, sizeof(header));
    for (size_t i = 0; i < message->count; i++) {
        size_t len = strlen(message->texts[i]);
        if (len > WIRE_MAX || out->len + sizeof(uint32_t) + len + 1 > WIRE_MAX)
            return err_set(err, "message longer than %d octets", WIRE_MAX);
        uint32_t prefix = (uint32_t)len;
        buf_append(out, &prefix, sizeof(prefix));
        buf_append(out, message->texts[i], len + 1);
    }
    return 0;
}

int wire_decode(const void *data, size_t len, struct wire *out, struct err *err)
{
    struct header header;
    if (len < sizeof(header) || len > WIRE_MAX)
        return err_set(err, "message of %zu octets", len);
    memcpy(&header, data, sizeof(header));
    if (header.kind == 0 || header.kind >= WIRE_KIND_END)
        return err_set(err, "message of unknown kind %u", header.kind);
    if (header.count > WIRE_TEXTS)
        return err_set(err, "message with %u texts", header.count);
    *out = (struct wire){.kind = header.kind,
                         .flag = header.flag,
                         .number = header.number,
                         .extra = header.extra,
                         .count = header.count};
    const char *at = (const char *)data + sizeof(header);
    size_t left = len - sizeof(header);
    for (size_t i = 0; i < header.count; i++) {
        uint32_t text;
        if (left < sizeof(text))
            return err_set(err, "message ends in text %zu", i);
        memcpy(&text, at, sizeof(text));
        at += sizeof(text);
        left -= sizeof(text);
        if (left < 1 || text > left - 1 || at[text] != '\0' || memchr(at, '\0', text))
            return err_set(err, "text %zu of a message is malformed", i);
        out->texts[i] = at;
        at += text + 1;
        left -= text + 1;
    }
    return left ? err_set(err, "%zu octets behind a message", left) : 0;
}

void channel_init(struct channel *channel, int fd)
{
    *channel = (struct channel){.fd = fd};
}

void channel_close(struct channel *channel)
{
    if (channel->fd >= 0)
        close(channel->fd);
    channel->fd = -1;
    while (channel->head) {
        struct channel_message *next = channel->head->next;
        free(channel->head);
        channel->head = next;
    }
    channel->tail = NULL;
    channel->queued = 0;
}

/* 1: sent; 0: the kernel's buffer is full; -1: the other end is gone. */
static int send_now(int fd, const void *data, size_t len)
{
    for (;;) {
        if (send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return 1;
        if (errno == EINTR)
            continue;
        return errno == EAGAIN || errno == ENOBUFS ? 0 : -1;
    }
}

int channel_flush(struct channel *channel)
{
    while (channel->head) {
        struct channel_message *first = channel->head;
        int sent = send_now(channel->fd, first->data, first->len);
        if (sent <= 0)
            return sent;
        channel->head = first->next;
        if (!channel->head)
            channel->tail = NULL;
        channel->queued--;
        free(first);
    }
    return 0;
}

static void enqueue(struct channel *channel, const struct buf *data)
{
    struct channel_message *message = xmalloc(sizeof(*message) + data->len);
    message->next = NULL;
    message->len = data->len;
    memcpy(message->data, data->data, data->len);
    if (channel->tail)
        channel->tail->next = message;
    else
        channel->head = message;
    channel->tail = message;
    channel->queued++;
}

int channel_send(struct channel *channel, const struct wire *message, struct err *err)
{
    struct buf data = {0};
    int result = 0;
    if (wire_encode(message, &data, err) < 0) {
        result = -1;
    } else if (channel_flush(channel) < 0) {
        result = err_set(err, "the other process is gone");
    } else {
        int sent = channel->head ? 0 : send_now(channel->fd, data.data, data.len);
        if (sent < 0)
            result = err_set(err, "the other process is gone");
        else if (sent == 0 && channel->queued >= CHANNEL_QUEUE)
            result = err_set(err, "the other process does not take messages; %u wait", channel->queued);
        else if (sent == 0)
            enqueue(channel, &data);
    }
    buf_free(&data);
    return result;
}

int channel_send_fds(struct channel *channel, const struct wire *message, const int *fds, size_t count,
                     struct err *err)
{
    union {
        char octets[CMSG_SPACE(sizeof(int) * WIRE_FDS)];
        struct cmsghdr align;
    } control;
    struct buf data = {0};
    if (wire_encode(message, &data, err) < 0) {
        buf_free(&data);
        return -1;
    }
    struct iovec part = {.iov_base = data.data, .iov_len = data.len};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (count) {
        memset(&control, 0, sizeof(control));
        header.msg_control = control.octets;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * count);
    }
    ssize_t sent;
    do
        sent = sendmsg(channel->fd, &header, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    int result = sent < 0 ? err_set(err, "cannot pass sockets: %s", strerror(errno)) : 0;
    buf_free(&data);
    return result;
}

static void take_fds(struct msghdr *header, struct channel_input *input)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            if (input->fd_count < WIRE_FDS)
                input->fds[input->fd_count++] = fd;
            else
                close(fd);
        }
    }
}

int channel_receive(struct channel *channel, struct channel_input *input, struct err *err)
{
    union {
        char octets[CMSG_SPACE(sizeof(int) * WIRE_FDS)];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = input->data, .iov_len = sizeof(input->data)};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.octets,
                            .msg_controllen = sizeof(control.octets)};
    ssize_t len;
    do
        len = recvmsg(channel->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (len < 0 && errno == EINTR);
    if (len < 0 && errno == EAGAIN)
        return 0;
    if (len < 0)
        return err_set(err, "end of file (%s)", strerror(errno));
    input->fd_count = 0;
    take_fds(&header, input);
    int bad = 0;
    if (len == 0) /* nobody sends empty messages */
        bad = err_set(err, "end of file");
    else if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
        bad = err_set(err, "message cut short");
    else
        bad = wire_decode(input->data, (size_t)len, &input->wire, err);
    if (bad < 0) {
        for (size_t i = 0; i < input->fd_count; i++)
            close(input->fds[i]);
        input->fd_count = 0;
        return -1;
    }
    return 1;
}
