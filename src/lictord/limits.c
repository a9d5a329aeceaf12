#include "limits.h"

#include "lictor/log.h"
#include "lictor/watch.h"

#include <sys/resource.h>

#define CLIENTS_WANTED 1000 /* a worker */
#define CLIENTS_LEAST  8
/* Elections, control, HTTP, files, logs, libraries: some dozens at work, and room for the bad day. */
#define OWN_USE (WATCH_CONNECTIONS + 200)

unsigned limits_tcp_clients(const struct config *config)
{
    struct rlimit limit;
    rlim_t workers = config->workers;
    rlim_t own = OWN_USE + workers * (2 * config->listen_count + 4);
    rlim_t wanted = own + workers * CLIENTS_WANTED;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return CLIENTS_LEAST;
    if (limit.rlim_cur < wanted) {
        struct rlimit higher = limit;
        higher.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        if (!setrlimit(RLIMIT_NOFILE, &higher))
            limit = higher;
    }
    if (limit.rlim_cur >= wanted)
        return CLIENTS_WANTED;
    rlim_t share = limit.rlim_cur > own ? (limit.rlim_cur - own) / workers : 0;
    if (share < CLIENTS_LEAST)
        share = CLIENTS_LEAST;
    log_warn(
        "at most %llu files may be open: each of %u workers takes %llu TCP clients instead of %d; raise it "
        "to %llu (LimitNOFILE= in systemd, or `ulimit -n`)",
        (unsigned long long)limit.rlim_cur, config->workers, (unsigned long long)share, CLIENTS_WANTED,
        (unsigned long long)wanted);
    return (unsigned)share;
}
