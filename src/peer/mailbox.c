/* A bounded queue from the workers to main. The lock is held for the copy of one message, and only by those
 * that look like messages between instances. */
#include "internal.h"

#include "lictor/xalloc.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A round of a whole cluster fits. A flood fills it: then consent gets lost, which is the safe side. */
#define LETTERS 64

struct mailbox {
    pthread_mutex_t lock;
    int event;
    size_t first, count;
    uint64_t dropped;
    struct letter letters[LETTERS];
};

struct mailbox *mailbox_new(struct err *err)
{
    struct mailbox *box = xcalloc(1, sizeof *box);
    pthread_mutex_init(&box->lock, NULL);
    box->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (box->event >= 0)
        return box;
    err_set(err, "cannot create an eventfd: %s", strerror(errno));
    free(box);
    return NULL;
}

void mailbox_free(struct mailbox *box)
{
    if (box == NULL)
        return;
    close(box->event);
    pthread_mutex_destroy(&box->lock);
    free(box);
}

int mailbox_fd(const struct mailbox *box)
{
    return box->event;
}

bool mailbox_put(struct mailbox *box, int fd, const struct msghdr *header, const uint8_t *msg, size_t len)
{
    bool taken = false;
    pthread_mutex_lock(&box->lock);
    struct letter *letter = &box->letters[(box->first + box->count) % LETTERS];
    if (box->count < LETTERS && len <= sizeof letter->msg && header->msg_namelen <= sizeof letter->from &&
        header->msg_controllen <= sizeof letter->control) {
        letter->fd = fd;
        letter->len = len;
        letter->from_len = header->msg_namelen;
        letter->control_len = header->msg_controllen;
        memcpy(&letter->from, header->msg_name, header->msg_namelen);
        if (header->msg_controllen > 0)
            memcpy(letter->control, header->msg_control, header->msg_controllen);
        memcpy(letter->msg, msg, len);
        box->count++;
        taken = true;
    } else {
        box->dropped++;
    }
    pthread_mutex_unlock(&box->lock);
    /* Fails only when the counter is at its limit: then main is awake already. */
    if (taken && write(box->event, &(uint64_t){1}, sizeof(uint64_t)) < 0)
        return true;
    return taken;
}

bool mailbox_get(struct mailbox *box, struct letter *out)
{
    bool found = false;
    pthread_mutex_lock(&box->lock);
    if (box->count > 0) {
        *out = box->letters[box->first];
        box->first = (box->first + 1) % LETTERS;
        box->count--;
        found = true;
    }
    pthread_mutex_unlock(&box->lock);
    return found;
}

uint64_t mailbox_dropped(struct mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    uint64_t dropped = box->dropped;
    pthread_mutex_unlock(&box->lock);
    return dropped;
}
