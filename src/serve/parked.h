/* Messages that wait until Consul has been asked for a name in them (ask.h): one worker's table of them. It
 * is bounded, and touched by no message that can be answered at once. Each waits ASK_PATIENCE at most, by the
 * worker's own clock. */
#pragma once

#include "tcp.h"

#include "lictor/ask.h"

#define PARKED_MAX 512 /* a worker; desk.c has room for so many outcomes */
/* Of one TCP connection, so that a single client does not take all places: no more of its messages are read
 * until there is one again. */
#define PARKED_A_CONNECTION 64
/* A longer message is not waited for: a question with every option in use takes half of this. */
#define PARKED_MESSAGE 512

/* The configuration has a desk. NULL with err. */
struct parked_table *parked_new(struct worker *worker, struct err *err);
void parked_free(struct parked_table *table); /* NULL is allowed */

/* Where answer() puts the question (answer_env); NULL: there is no desk. */
struct ask_question *parked_question(struct parked_table *table);

/* Keeps a message whose answer was ANSWER_ASK. False: too many wait already; then *asked says so, for the
 * caller to answer the message again, at once. */
bool parked_udp(struct worker *worker, const struct msghdr *header, int fd, enum transport transport,
                const uint8_t *message, size_t len, struct ask_answer *asked);
bool parked_tcp(struct worker *worker, struct connection *c, const uint8_t *message, size_t len,
                struct ask_answer *asked);

/* The connection closes: nobody waits for its replies any more. */
void parked_forget(struct worker *worker, const struct connection *c);
/* Answers what has waited too long. Returns how many ns from now it has to be called again at the latest;
 * NS_NEVER: no need. Not within a read section. */
nstime parked_tidy(struct worker *worker);
/* UDP sockets are about to be closed: those that wait get their SERVFAIL now. Within a read section. */
void parked_stop(struct worker *worker);
