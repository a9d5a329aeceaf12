/* Messages between instances: DNS over UDP to the address that a peer advertises, signed by TSIG
 * with `peer-key`.
 *
 * Consent for failsafe is a question of the ordinary kind, so that every path that carries DNS carries it,
 * and a server that knows nothing of it refuses or denies the name:
 *
 *   consent.<nonce>.<epoch>.<lease>.<instance>.<cluster>.lictor. IN TXT
 *
 * nonce: 16 hex digits; epoch: decimal; lease: ms; instance: who asks; cluster: one label. The answer is a
 * TXT record of two strings: a code ("yes", "no-reaches"...) and the node that answers. Its MAC covers the
 * question's, so it belongs to that question alone.
 *
 * Workers receive such messages among all others. They look at eight octets (peer_is_for), copy what fits
 * into a bounded queue and go on; main checks, answers, and sends from the very socket that was asked. */
#pragma once

#include "lictor/config.h"
#include "lictor/failsafe.h"

#include <string.h>
#include <sys/socket.h>

struct event_base;
struct peer;

struct peer_hooks {
    /* A rightly signed question of our cluster. Answers at once. */
    enum failsafe_verdict (*asked)(void *arg, const struct failsafe_request *request);
    /* The answer to peer_ask under this tag; UNSIGNED: one that is not signed as it should be. */
    void (*answered)(void *arg, unsigned tag, uint64_t nonce, enum failsafe_verdict verdict);
    void *arg;
};

struct peer_counters {
    uint64_t sent, received, dropped, bad_signatures;
};

/* Needs config->election.peer_key. Reads the key's secret. NULL with err. Main thread, as all below but
 * peer_take. */
struct peer *peer_new(struct event_base *base, const struct config *config, const struct peer_hooks *hooks,
                      struct err *err);
/* After the workers have ended. NULL is allowed. */
void peer_free(struct peer *peer);

/* Sends the question to the address ("192.0.2.1:53"). tag: below FAILSAFE_MEMBERS; a question with another
 * nonce under the same tag takes the place of the former one, whose answers then count no more; the same one
 * is sent again octet by octet. */
void peer_ask(struct peer *peer, unsigned tag, const char *address, const struct failsafe_request *request);

void peer_counters(const struct peer *peer, struct peer_counters *out);

/* Is this a message for peer_take? One comparison: it costs nothing on the way of every query. One without an
 * additional record, where the signature would be, is an ordinary query for an unknown name. */
static inline bool peer_is_for(const uint8_t *msg, size_t len)
{
    return len > 21 && memcmp(msg + 12, "\7consent", 8) == 0 && (msg[2] & 0xf8) == 0 && msg[11] == 1;
}
/* Copies the message, its sender and the control message for the answer (the address that was asked) into
 * the queue. fd is the socket it came by, open as long as the workers run. False: the queue is full, or the
 * message longer than any of ours. Any thread; allocates nothing. */
bool peer_take(struct peer *peer, int fd, const struct msghdr *header, const uint8_t *msg, size_t len);
