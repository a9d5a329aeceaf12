/* Between the files of peer/. */
#pragma once

#include "lictor/peer.h"
#include "lictor/tsig.h"

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
