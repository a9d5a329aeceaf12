/* A bounded queue of messages of one size between threads, with an eventfd to sleep on. Nothing is allocated
 * after queue_new; the lock is held for the copy of one message. Any thread may put and get. */
#pragma once

#include "lictor/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;

/* NULL with err: no eventfd to be had. */
struct queue *queue_new(size_t message_size, size_t capacity, struct err *err);
void queue_free(struct queue *queue); /* NULL is allowed */

/* Copies the message in. False: it is full, which is counted. */
bool queue_put(struct queue *queue, const void *message);
/* Copies the oldest message out. False: there is none. */
bool queue_get(struct queue *queue, void *message);

/* Becomes readable when a message comes to an empty queue, and stays so until queue_hear. The reader hears
 * first, then gets until there is none; if it stops before, it has to come back by itself. */
int queue_fd(const struct queue *queue);
void queue_hear(struct queue *queue);

/* How many messages found it full. */
uint64_t queue_refused(struct queue *queue);
