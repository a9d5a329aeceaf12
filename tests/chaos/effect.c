/* The effect of a run: effect NODE FILE MILLISECONDS. It appends a line to the file when it begins and one
 * when it ends, so many milliseconds later: an effect that is killed has no end, and one that was not killed
 * in time has it too late. A C program because its instants count: an interpreter would start a tenth of a
 * second later on a busy machine. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int say(const char *path, const char *node, const char *phase)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    const char *epoch = getenv("LICTOR_EPOCH"), *event = getenv("LICTOR_EVENT");
    if (epoch == NULL || event == NULL)
        return -1;
    char line[512];
    int size = snprintf(
        line, sizeof line,
        "{\"at\": %lld%09ld, \"node\": \"%s\", \"epoch\": %s, \"event\": \"%s\", \"phase\": \"%s\"}\n",
        (long long)now.tv_sec, now.tv_nsec, node, epoch, event, phase);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0 || size <= 0 || (size_t)size >= sizeof line || write(file, line, (size_t)size) != size)
        return -1;
    return close(file);
}

int main(int argc, char **argv)
{
    if (argc != 4 || say(argv[2], argv[1], "begin") != 0)
        return 1;
    long milliseconds = atol(argv[3]);
    struct timespec rest = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
    nanosleep(&rest, NULL);
    return say(argv[2], argv[1], "end") != 0;
}
