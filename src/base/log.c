#include "lictor/log.h"

#include "lictor/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *program = "lictor";
static _Atomic int current_level = LOG_LEVEL_INFO;
static int to_journal;

static const struct {
    const char *name;
    const char *journal; /* the priority prefix of sd-daemon(3) */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", "<3>"},
    [LOG_LEVEL_WARN] = {"warn", "<4>"},
    [LOG_LEVEL_INFO] = {"info", "<6>"},
    [LOG_LEVEL_DEBUG] = {"debug", "<7>"},
};

/* JOURNAL_STREAM names the device and inode of the stream; a redirected standard error no longer matches
 * (systemd.exec(5)). */
static int stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long dev, ino;
    struct stat st;
    return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && !fstat(STDERR_FILENO, &st) &&
           st.st_dev == dev && st.st_ino == ino;
}

void log_init(const char *name, enum log_level level)
{
    program = name;
    to_journal = stderr_is_journal();
    log_set_level(level);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

int log_level_parse(const char *text, enum log_level *out)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (!strcasecmp(text, levels[i].name)) {
            *out = (enum log_level)i;
            return 0;
        }
    return -1;
}

int log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

static int write_prefix(char *line, size_t size, enum log_level level)
{
    if (to_journal)
        return snprintf(line, size, "%s", levels[level].journal);
    char when[TIME_TEXT];
    return snprintf(line, size, "%s %s %s: ", time_format_ms(clock_real(), when), program,
                    levels[level].name);
}

void log_write(enum log_level level, const char *fmt, ...)
{
    if (!log_enabled(level))
        return;
    char text[2048], line[sizeof text * 2 + 96];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);

    int prefix = write_prefix(line, sizeof line, level);
    size_t n = prefix > 0 ? (size_t)prefix : 0;
    for (const char *p = text; *p && n < sizeof line - 5; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7f) /* a name or an answer from outside must not forge a line */
            n += (size_t)snprintf(line + n, sizeof line - n, "\\x%02x", c);
        else
            line[n++] = (char)c;
    }
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        return; /* nowhere to complain */
}
