#include "lictor/clock.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static nstime read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (nstime)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

nstime clock_boot(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

nstime clock_real(void)
{
    return read_clock(CLOCK_REALTIME);
}

void clock_boot_id(char out[37])
{
    memset(out, 0, 37);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (read(fd, out, 36) != 36)
        out[0] = 0;
    close(fd);
}
