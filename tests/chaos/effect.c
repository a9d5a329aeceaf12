/* The effect of a run: appends one line {"at", "node", "epoch", "event"} to the file named by its argument.
 * It is a C program because its instant counts: an interpreter would start a tenth of a second later on a
 * busy machine. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    const char *epoch = getenv("LICTOR_EPOCH"), *event = getenv("LICTOR_EVENT");
    if (argc != 3 || !epoch || !event)
        return 2;
    char line[512];
    int size = snprintf(line, sizeof line,
                        "{\"at\": %lld%09ld, \"node\": \"%s\", \"epoch\": %s, \"event\": \"%s\"}\n",
                        (long long)now.tv_sec, now.tv_nsec, argv[1], epoch, event);
    int file = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0 || size <= 0 || (size_t)size >= sizeof line)
        return 1;
    return write(file, line, (size_t)size) == size ? 0 : 1;
}
