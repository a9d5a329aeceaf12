/* The kept connection costs nothing while all is well, and the kernel ends it in the instant in which the
 * process dies: no polling is as fast. Its end alone proves nothing (the server ends a silent
 * connection after some seconds): it is what makes us knock. */
#include "witness.h"

#include "lictor/log.h"
#include "lictor/sockets.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE NS_PER_S /* for a connection; and before the next one where the last was of no use */
/* For the first tries of a connection: a SYN that meets a socket in the instant of its closing is dropped,
 * and the kernel repeats it only after a second. Doubles up to PATIENCE. */
#define FIRST_PATIENCE (50 * NS_PER_MS)

bool testimony_add(struct testimony *testimony, enum sighting sighting, nstime now)
{
    switch (sighting) {
    case SIGHTING_ACCEPTED:
        testimony->seen = true;
        testimony->first_refusal = 0;
        return false;
    case SIGHTING_REFUSED:
        if (!testimony->seen)
            return false;
        if (testimony->first_refusal == 0) {
            testimony->first_refusal = now;
            return false;
        }
        return now - testimony->first_refusal >= WITNESS_AGAIN;
    case SIGHTING_ANSWERED:
    case SIGHTING_NOTHING:
        break;
    }
    testimony->first_refusal = 0;
    return false;
}

struct witness {
    struct event_base *base;
    struct sockaddr_storage address;
    struct testimony testimony;
    int tcp, udp;                                /* -1: none */
    struct event *tcp_event, *udp_event, *knock; /* knock: when to connect next, or to give up connecting */
    bool connected;
    unsigned early_ends; /* in a row */
    unsigned silences;   /* attempts in a row without an answer */
    nstime since;        /* of the connection */
    void (*dead)(void *arg);
    void *arg;
};

static void close_one(int *fd, struct event **event)
{
    if (*event != NULL)
        event_free(*event);
    if (*fd >= 0)
        close(*fd);
    *event = NULL;
    *fd = -1;
}

static void knock_after(struct witness *witness, nstime delay)
{
    struct timeval after = clock_timeval(delay);
    evtimer_add(witness->knock, &after);
}

/* ---- UDP: a question while TCP refuses ---- */

static void udp_came(evutil_socket_t fd, short what, void *arg)
{
    struct witness *witness = arg;
    unsigned char reply[512];
    (void)what;
    /* An ICMP error comes here too, as ECONNREFUSED: no sign of life. QR says that it is an answer. */
    if (recv(fd, reply, sizeof reply, 0) >= 12 && (reply[2] & 0x80) != 0)
        testimony_add(&witness->testimony, SIGHTING_ANSWERED, clock_boot());
    close_one(&witness->udp, &witness->udp_event);
}

static void ask_by_udp(struct witness *witness)
{
    /* One question, for the root's name servers: any answer will do, a refusal too. */
    static const unsigned char question[] = {0x4c, 0x69, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1};
    close_one(&witness->udp, &witness->udp_event);
    witness->udp = socket(witness->address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (witness->udp < 0 ||
        connect(witness->udp, (struct sockaddr *)&witness->address, sockaddr_len(&witness->address)) != 0 ||
        send(witness->udp, question, sizeof question, 0) < 0) {
        close_one(&witness->udp, &witness->udp_event);
        return;
    }
    witness->udp_event = event_new(witness->base, witness->udp, EV_READ, udp_came, witness);
    event_add(witness->udp_event, NULL);
}

/* ---- TCP ---- */

static void connect_now(struct witness *witness);

static void refused(struct witness *witness)
{
    nstime now = clock_boot();
    bool known = witness->testimony.seen;
    if (testimony_add(&witness->testimony, SIGHTING_REFUSED, now)) {
        close_one(&witness->udp, &witness->udp_event);
        evtimer_del(witness->knock); /* told once */
        witness->dead(witness->arg); /* frees us, maybe */
        return;
    }
    if (known)
        ask_by_udp(witness);
    /* A little longer than the rule asks: the timer may come early by its rounding. */
    knock_after(witness, known ? WITNESS_AGAIN + NS_PER_MS : 5 * PATIENCE);
}

/* A server that is full ends each connection at once: do not hammer it. But one that ends early may be one
 * whose process is just dying: its workers' sockets close one after the other, and those that are left still
 * accept for a moment. */
static void pause_after_end(struct witness *witness)
{
    static const nstime pauses[] = {0, 0, 10 * NS_PER_MS, 40 * NS_PER_MS, 160 * NS_PER_MS};
    witness->early_ends = clock_boot() - witness->since < PATIENCE ? witness->early_ends + 1 : 0;
    knock_after(witness, witness->early_ends < sizeof pauses / sizeof *pauses ? pauses[witness->early_ends]
                                                                              : PATIENCE);
}

/* How the attempt to connect ended: 0, or an errno. */
static void attempted(struct witness *witness, int error)
{
    log_debug("witness: connecting: %s", error == 0 ? "accepted" : strerror(error));
    if (error == 0) {
        witness->connected = true;
        witness->silences = 0;
        witness->since = clock_boot();
        testimony_add(&witness->testimony, SIGHTING_ACCEPTED, witness->since);
        close_one(&witness->udp, &witness->udp_event);
        evtimer_del(witness->knock);
        event_free(witness->tcp_event);
        witness->tcp_event = NULL;
        /* A handshake that a dying process's socket completed may leave us alone with our end: the kernel
         * drops its side without a word. To data it answers with a reset. One octet, of a message's length,
         * that asks nothing and is not counted. */
        static const unsigned char octet[1] = {0};
        (void)!send(witness->tcp, octet, sizeof octet, MSG_NOSIGNAL);
        return;
    }
    close_one(&witness->tcp, &witness->tcp_event);
    if (error == ECONNREFUSED) {
        refused(witness);
        return;
    }
    testimony_add(&witness->testimony, SIGHTING_NOTHING, clock_boot());
    if (error == ECONNRESET) { /* accepted, and ended before we saw that */
        witness->since = clock_boot();
        pause_after_end(witness);
        return;
    }
    knock_after(witness, PATIENCE);
}

static void tcp_ended(struct witness *witness)
{
    witness->connected = false;
    log_debug("witness: the connection ended");
    close_one(&witness->tcp, &witness->tcp_event);
    pause_after_end(witness);
}

static void tcp_readable(evutil_socket_t fd, short what, void *arg)
{
    struct witness *witness = arg;
    unsigned char octets[512];
    (void)what;
    ssize_t len = recv(fd, octets, sizeof octets, 0);
    if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR))
        tcp_ended(witness);
}

static void keep(struct witness *witness)
{
    witness->tcp_event = event_new(witness->base, witness->tcp, EV_READ | EV_PERSIST, tcp_readable, witness);
    event_add(witness->tcp_event, NULL);
}

static void tcp_writable(evutil_socket_t fd, short what, void *arg)
{
    struct witness *witness = arg;
    int error = 0;
    socklen_t len = sizeof error;
    (void)what;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    attempted(witness, error);
    if (error == 0)
        keep(witness);
}

static void connect_now(struct witness *witness)
{
    close_one(&witness->tcp, &witness->tcp_event);
    witness->tcp = socket(witness->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (witness->tcp < 0) {
        knock_after(witness, PATIENCE);
        return;
    }
    knock_after(witness, witness->silences < 5 ? FIRST_PATIENCE << witness->silences : PATIENCE);
    witness->tcp_event = event_new(witness->base, witness->tcp, EV_WRITE, tcp_writable, witness);
    event_add(witness->tcp_event, NULL);
    if (connect(witness->tcp, (struct sockaddr *)&witness->address, sockaddr_len(&witness->address)) != 0 &&
        errno != EINPROGRESS)
        attempted(witness, errno);
}

/* Time to connect; or the time for it is over, which says nothing. */
static void knock_due(evutil_socket_t fd, short what, void *arg)
{
    struct witness *witness = arg;
    (void)fd, (void)what;
    if (witness->tcp >= 0) {
        witness->silences++;
        testimony_add(&witness->testimony, SIGHTING_NOTHING, clock_boot());
    }
    connect_now(witness);
}

struct witness *witness_new(struct event_base *base, const struct sockaddr_storage *address,
                            void (*dead)(void *arg), void *arg)
{
    struct witness *witness = xcalloc(1, sizeof *witness);
    *witness =
        (struct witness){.base = base, .address = *address, .tcp = -1, .udp = -1, .dead = dead, .arg = arg};
    witness->knock = evtimer_new(base, knock_due, witness);
    knock_after(witness, 0);
    return witness;
}

bool witness_connected(const struct witness *witness)
{
    return witness->connected;
}

void witness_free(struct witness *witness)
{
    if (witness == NULL)
        return;
    close_one(&witness->tcp, &witness->tcp_event);
    close_one(&witness->udp, &witness->udp_event);
    event_free(witness->knock);
    free(witness);
}
