/* Who this instance is, across restarts: a random ID and the highest epoch ever seen, in a state-dir that
 * only one process holds. Main thread. */
#pragma once

#include "lictor/err.h"

#include <stdint.h>

struct instance {
    char id[37];
    uint64_t epoch_seen;
    uint64_t epoch_saved; /* what the file holds: less after a failed write */
    int lock_fd;
    char *path; /* of the state file */
};

/* Locks state_dir, which must exist, and reads or makes the identity. An unreadable file is an
 * error: a new ID would forget the epoch. Returns 0, or -1 with err. */
int instance_open(struct instance *instance, const char *state_dir, struct err *err);

/* Remembers a higher epoch (lower ones are ignored) and writes the file, if it does not hold it yet: after a
 * failure, call it again. It fsyncs: builder thread, or at start. */
int instance_save_epoch(struct instance *instance, uint64_t epoch, struct err *err);
void instance_close(struct instance *instance);
