/* Log lines to standard error, one a line, each with the reason. When standard error is the journal
 * (JOURNAL_STREAM) lines begin with the priority as sd-daemon(3) defines it and carry no time. Any thread: a
 * line is one write(2). Control characters from outside are escaped. */
#pragma once

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* name: what stands in front of each line besides the level, such as "lictord" or "runner"; kept, not copied.
 */
void log_init(const char *name, enum log_level level);
void log_set_level(enum log_level level);
/* "error", "warn", "info", "debug". Returns 0, or -1 if it is none of these. */
int log_level_parse(const char *text, enum log_level *out);
int log_enabled(enum log_level level);

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) \
    do { \
        if (log_enabled(LOG_LEVEL_DEBUG)) \
            log_write(LOG_LEVEL_DEBUG, __VA_ARGS__); \
    } while (0)
