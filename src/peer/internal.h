/* Between the files of peer/. */
#pragma once

#include "lictor/peer.h"
#include "lictor/tsig.h"

#include <netinet/in.h>

#define PEER_MESSAGE 1024 /* more than any of ours takes: names of 255 octets and a MAC of 64 */

/* --- message.c: the wire form of question and answer, without sockets and keys ------------------------- */

struct peer_question {
    struct failsafe_request request;
    char cluster[64];
};

/* Writes header and question, without TSIG. Returns the length. */
size_t question_encode(const struct peer_question *question, uint16_t id, uint8_t out[PEER_MESSAGE]);
/* Returns 0, or -1 if it is no well-formed question of ours. end: behind the question. */
int question_decode(const uint8_t *msg, size_t len, struct peer_question *out, size_t *end);
/* The answer to the message msg[0..end), header and question. rcode: an error has no record. */
size_t answer_encode(const uint8_t *msg, size_t end, unsigned rcode, enum failsafe_verdict verdict,
                     const char *node, uint8_t out[PEER_MESSAGE]);
/* Returns 0, or -1 if it is no well-formed answer of ours with rcode NOERROR. */
int answer_decode(const uint8_t *msg, size_t len, struct peer_question *question,
                  enum failsafe_verdict *verdict);

/* --- mailbox.c: from the workers to main --------------------------------------------------------------- */

struct letter {
    int fd; /* the socket that was asked */
    size_t len;
    struct sockaddr_storage from;
    socklen_t from_len;
    size_t control_len;
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    uint8_t msg[PEER_MESSAGE];
};

struct mailbox;
struct mailbox *mailbox_new(struct err *err);
void mailbox_free(struct mailbox *box);
int mailbox_fd(const struct mailbox *box); /* readable when there is something */
bool mailbox_put(struct mailbox *box, int fd, const struct msghdr *header, const uint8_t *msg, size_t len);
bool mailbox_get(struct mailbox *box, struct letter *out);
uint64_t mailbox_dropped(struct mailbox *box);
