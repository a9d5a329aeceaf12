/* Giving up privileges, in the daemon after start and in each child that runs an action. */
#pragma once

#include "lictor/err.h"

#include <sys/types.h>

#define PRIVILEGES_GROUPS 64

/* A user of this host with everything that becoming it needs, looked up once: name services may block or fail
 * later. */
struct identity {
    uid_t uid;
    gid_t gid;
    gid_t groups[PRIVILEGES_GROUPS];
    int group_count;
    char home[256];
};

/* Returns 0, or -1 with err: no such user, or more than 64 groups. */
int identity_lookup(const char *user, struct identity *out, struct err *err);
/* Supplementary groups, group, user, in this order; then proves that root cannot come back. For a process
 * that is root; async-signal-safe. Returns 0, or -1 with errno. */
int identity_assume(const struct identity *identity);

/* Becomes `user` for good, if this process is root and user is not NULL; in any case no program it runs
 * gains privileges any more. Before any thread (credentials are a thread's own in Linux). Returns 0, or
 * -1 with err. */
int privileges_drop(const char *user, struct err *err);
