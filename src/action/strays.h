/* Processes that left the group of their run (setsid, daemon(3)) and whose parents died: as a subreaper, the
 * runner inherits them. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Kills each child of this process for which known(arg, pid, group) is false. Returns how many there are. */
unsigned strays_kill(bool (*known)(void *arg, pid_t pid, pid_t group), void *arg);
