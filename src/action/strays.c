#include "action/strays.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Parent and group from /proc/PID/stat: "pid (name) state ppid pgrp ...", where the name may hold anything.
 */
static int read_stat(const char *pid, pid_t *parent, pid_t *group)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t len = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (len <= 0)
        return -1;
    text[len] = '\0';
    const char *behind = strrchr(text, ')');
    return behind && sscanf(behind + 1, " %*c %d %d", parent, group) == 2 ? 0 : -1;
}

/* Not /proc/PID/task/TID/children: many kernels are built without CONFIG_PROC_CHILDREN. */
unsigned strays_kill(bool (*known)(void *arg, pid_t pid, pid_t group), void *arg)
{
    DIR *processes = opendir("/proc");
    if (!processes)
        return 0;
    unsigned count = 0;
    pid_t self = getpid(), parent, group;
    for (struct dirent *entry; (entry = readdir(processes));) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (read_stat(entry->d_name, &parent, &group) < 0 || parent != self || known(arg, pid, group))
            continue;
        kill(pid, SIGKILL);
        count++;
    }
    closedir(processes);
    return count;
}
