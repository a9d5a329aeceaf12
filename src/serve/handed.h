/* A worker's messages that are with main (inbox.h). */
#pragma once

#include "tcp.h"

#include "lictor/inbox.h"

struct handed;

/* NULL with err. The configuration has an inbox. */
struct handed *handed_new(struct worker *worker, struct err *err);
/* Messages that are still with main are the inbox's. NULL is allowed. */
void handed_free(struct handed *handed);

/* If it is a message for main: gives it to it, or refuses it. *result is what has become of it. False: it is
 * not; nothing is done. */
bool handed_udp(struct worker *worker, const struct answer_env *env, const struct msghdr *header, int fd,
                enum transport transport, const uint8_t *msg, size_t len, uint8_t *out, size_t out_max,
                struct answer_result *result);
bool handed_tcp(struct worker *worker, const struct answer_env *env, struct connection *c, const uint8_t *msg,
                size_t len, uint8_t *out, struct answer_result *result);
/* The connection closes: nobody waits for its replies any more. */
void handed_forget(struct worker *worker, const struct connection *c);
