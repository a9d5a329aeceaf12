/* A bounded queue between threads. */
#include "lictor/queue.h"

#include "lictor/xalloc.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct queue {
    pthread_mutex_t lock;
    int event;
    size_t size, capacity, first, count;
    uint64_t refused;
    _Alignas(max_align_t) uint8_t messages[];
};

struct queue *queue_new(size_t message_size, size_t capacity, struct err *err)
{
    struct queue *queue = xcalloc(1, sizeof *queue + message_size * capacity);
    pthread_mutex_init(&queue->lock, NULL);
    queue->size = message_size;
    queue->capacity = capacity;
    queue->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->event >= 0)
        return queue;
    err_set(err, "cannot create an eventfd: %s", strerror(errno));
    queue_free(queue);
    return NULL;
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    if (queue->event >= 0)
        close(queue->event);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

bool queue_put(struct queue *queue, const void *message)
{
    pthread_mutex_lock(&queue->lock);
    bool taken = queue->count < queue->capacity, first = queue->count == 0;
    if (taken) {
        size_t at = (queue->first + queue->count++) % queue->capacity;
        memcpy(queue->messages + at * queue->size, message, queue->size);
    } else {
        queue->refused++;
    }
    pthread_mutex_unlock(&queue->lock);
    /* Fails only when the counter is at its limit: then the reader is awake already. */
    if (taken && first && write(queue->event, &(uint64_t){1}, sizeof(uint64_t)) < 0)
        return true;
    return taken;
}

bool queue_get(struct queue *queue, void *message)
{
    pthread_mutex_lock(&queue->lock);
    bool found = queue->count > 0;
    if (found) {
        memcpy(message, queue->messages + queue->first * queue->size, queue->size);
        queue->first = (queue->first + 1) % queue->capacity;
        queue->count--;
    }
    pthread_mutex_unlock(&queue->lock);
    return found;
}

int queue_fd(const struct queue *queue)
{
    return queue->event;
}

void queue_hear(struct queue *queue)
{
    uint64_t count;
    if (read(queue->event, &count, sizeof count) < 0)
        return; /* heard before */
}

uint64_t queue_refused(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    uint64_t refused = queue->refused;
    pthread_mutex_unlock(&queue->lock);
    return refused;
}
