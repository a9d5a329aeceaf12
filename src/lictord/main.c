/* lictord: options, configuration, and then the daemon. */
#include "daemon.h"

#include "lictor/log.h"

#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_CONFIG "/etc/lictor/lictord.conf"

static const char usage[] =
    "usage: lictord [-c FILE] [-t] [-d]\n"
    "  -c, --config FILE  configuration (default " DEFAULT_CONFIG ")\n"
    "  -t, --test         check the configuration, print every fault, and exit 0 or 1\n"
    "  -d, --debug        log at level debug, whatever the configuration says\n"
    "  -V, --version      print the version\n"
    "  -h, --help         print this\n";

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'}, {"test", no_argument, NULL, 't'},
    {"debug", no_argument, NULL, 'd'},        {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
};

static int check_only(const char *path)
{
    struct buf faults = {0};
    struct config *config = config_load(path, &faults);
    if (config)
        printf("%s: good\n", path);
    else
        fputs(buf_str(&faults), stderr);
    buf_free(&faults);
    config_free(config);
    return config ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int serve(const char *path, bool debug)
{
    struct buf faults = {0};
    struct config *config = config_load(path, &faults);
    if (!config) {
        for (char *line = strtok(buf_str(&faults), "\n"); line; line = strtok(NULL, "\n"))
            log_error("%s", line);
        buf_free(&faults);
        return EXIT_FAILURE;
    }
    buf_free(&faults);
    log_set_level(debug ? LOG_LEVEL_DEBUG : (enum log_level)config->log_level);

    static struct daemon daemon; /* large, and alive to the end */
    struct err err;
    int exit_code = EXIT_FAILURE;
    if (daemon_start(&daemon, config, &err))
        log_error("cannot start: %s", err.text);
    else
        exit_code = daemon_run(&daemon);
    daemon_free(&daemon);
    return exit_code;
}

/* With 0, 1 or 2 closed, a socket would get that number, and the log or a fault's text would go into it. */
static void open_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv)
{
    const char *path = DEFAULT_CONFIG;
    bool test = false, debug = false;
    int option;

    open_standard_streams();
    while ((option = getopt_long(argc, argv, "c:tdVh", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case 't':
            test = true;
            break;
        case 'd':
            debug = true;
            break;
        case 'V':
            puts("lictord " LICTOR_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            fputs(usage, stderr);
            return EXIT_FAILURE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "lictord: unexpected argument `%s`\n%s", argv[optind], usage);
        return EXIT_FAILURE;
    }
    /* ldns allocates and frees 64 KiB a record: without this glibc would give it back to the kernel each
     * time, which costs a third of the time that a zone file takes. */
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    if (test)
        return check_only(path);
    log_init("lictord", debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    return serve(path, debug);
}
