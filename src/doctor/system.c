/* Facts about the host and the process; nothing here blocks for longer than a file of /proc. */
#include "facts.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#define UDP_LINES_MAX 20000 /* a host with more sockets than that is not read on: main's turn is short */

static void state_dir(struct facts *facts)
{
    struct statvfs info;
    facts->state_writable = access(facts->state_dir, W_OK) == 0;
    facts->state_errno = errno;
    if (statvfs(facts->state_dir, &info) == 0)
        facts->state_free = (uint64_t)info.f_bavail * info.f_frsize;
}

static void files(struct facts *facts)
{
    struct rlimit limit;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        facts->files_open++;
    if (dir)
        closedir(dir);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        facts->files_limit = limit.rlim_cur;
}

/* "0100007F:21CD" or 32 digits and a port: words in the host's byte order. */
static bool hex_address(const char *text, struct sockaddr_storage *out)
{
    unsigned words[4], port;
    int end = 0;
    memset(out, 0, sizeof(*out));
    if (sscanf(text, "%8x:%4x%n", &words[0], &port, &end) == 2 && text[end] == ' ') {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_addr.s_addr = words[0];
        in->sin_port = htons((uint16_t)port);
        return true;
    }
    if (sscanf(text, "%8x%8x%8x%8x:%4x%n", &words[0], &words[1], &words[2], &words[3], &port, &end) == 5 &&
        text[end] == ' ') {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
        in6->sin6_family = AF_INET6;
        memcpy(&in6->sin6_addr, words, sizeof(words));
        in6->sin6_port = htons((uint16_t)port);
        return true;
    }
    return false;
}

bool udp_line(const char *line, struct sockaddr_storage *local, uint64_t *drops)
{
    const char *colon = strchr(line, ':'), *last = NULL;
    char *end;
    if (!colon || strspn(line, " 0123456789") != (size_t)(colon - line))
        return false;
    colon++;
    if (!hex_address(colon + strspn(colon, " "), local))
        return false;
    /* drops is the last column */
    for (const char *at = colon; *at && *at != '\n'; at++)
        if (*at == ' ' && at[1] >= '0' && at[1] <= '9')
            last = at + 1;
    if (!last)
        return false;
    *drops = strtoull(last, &end, 10);
    return strspn(end, " \n") == strlen(end);
}

static void add_drops(struct facts *facts, const char *path)
{
    FILE *file = fopen(path, "re");
    char line[512];
    for (unsigned n = 0; file && n < UDP_LINES_MAX && fgets(line, sizeof(line), file); n++) {
        struct sockaddr_storage local, listen;
        uint64_t drops;
        if (!udp_line(line, &local, &drops))
            continue;
        for (size_t i = 0; i < facts->drops_count; i++)
            if (sockaddr_parse(facts->drops[i].listen, &listen, NULL) == 0) {
                if (listen.ss_family == AF_INET6) /* the file has no scope */
                    ((struct sockaddr_in6 *)&listen)->sin6_scope_id = 0;
                if (sockaddr_equal(&local, &listen))
                    facts->drops[i].drops += drops;
            }
    }
    if (file)
        fclose(file);
}

static void control(struct facts *facts)
{
    struct stat info;
    if (lstat(facts->control, &info) == 0 && S_ISSOCK(info.st_mode))
        facts->control_mode = info.st_mode & 07777;
}

void facts_system(struct facts *facts)
{
    struct timex clock = {0};
    state_dir(facts);
    files(facts);
    control(facts);
    facts->root = geteuid() == 0;
    add_drops(facts, "/proc/self/net/udp");
    add_drops(facts, "/proc/self/net/udp6");
    facts->clock_synchronised = adjtimex(&clock) != TIME_ERROR && !(clock.status & STA_UNSYNC);
}
