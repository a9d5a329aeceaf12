/* What the daemon and the runner say to each other: messages on a SOCK_SEQPACKET pair, so that one send is
 * one message. Both ends are one binary, hence native integers; the runner still checks every bound, because
 * the daemon's side faces the network. */
#pragma once

#include "lictor/buf.h"
#include "lictor/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum wire_kind {
    WIRE_READY = 1, /* runner: started; texts: error or "" */
    WIRE_BIND,      /* daemon: send the listen sockets */
    WIRE_SOCKETS,   /* runner: number: index in `listen`; texts: error or "", address; descriptors */
    WIRE_RUN,       /* daemon: flag: needs the right; texts: action, event ID, JSON, environment... */
    WIRE_RESULT,    /* runner: flag: outcome; number: status; extra: ns; texts: action, event ID, error */
    WIRE_DEADLINE,  /* daemon: number: act_until */
    WIRE_QUIESCE,   /* daemon: number: to be repeated in the reply */
    WIRE_QUIESCED,  /* runner */
    WIRE_RELOAD,    /* daemon: texts: hash */
    WIRE_RELOADED,  /* runner: texts: error or "" */
    WIRE_KIND_END,
};

#define WIRE_TEXTS 36
#define WIRE_MAX   (112 * 1024) /* octets of a message: below the default limit of a socket's send buffer */
/* SCM_RIGHTS takes at most 253 (SCM_MAX_FD); an even number keeps nothing apart. */
#define WIRE_FDS 250

struct wire {
    uint32_t kind;
    uint32_t flag;
    int64_t number, extra;
    const char *texts[WIRE_TEXTS]; /* NUL-terminated; after wire_decode they point into the message */
    size_t count;
};

/* -1 with err: too many or too long texts. */
int wire_encode(const struct wire *message, struct buf *out, struct err *err);
/* data is hostile until this returned 0. */
int wire_decode(const void *data, size_t len, struct wire *out, struct err *err);

/* One end. Sending never blocks: what the kernel does not take now waits in a bounded queue. */
struct channel {
    int fd;
    struct channel_message *head, *tail;
    unsigned queued;
};
#define CHANNEL_QUEUE 256

void channel_init(struct channel *channel, int fd);
void channel_close(struct channel *channel);
/* -1 with err: the message is malformed, the queue is full or the other end is gone. */
int channel_send(struct channel *channel, const struct wire *message, struct err *err);
/* Sends what waits, as far as the kernel takes it. -1: the other end is gone. */
int channel_flush(struct channel *channel);
/* At start-up only: blocks, and passes descriptors (at most WIRE_FDS). */
int channel_send_fds(struct channel *channel, const struct wire *message, const int *fds, size_t count,
                     struct err *err);

struct channel_input {
    uint8_t data[WIRE_MAX + 1];
    struct wire wire;
    int fds[WIRE_FDS]; /* close-on-exec; the receiver closes them */
    size_t fd_count;
};
/* Receives one message without blocking. 1: input is filled; 0: nothing there; -1 with err: the other end is
 * gone (err is "end of file") or sent something malformed. */
int channel_receive(struct channel *channel, struct channel_input *input, struct err *err);
