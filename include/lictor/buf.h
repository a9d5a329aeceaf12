/* A growing byte buffer. Zero-initialise, append, free. Not thread-safe. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *data; /* owned; NUL-terminated after buf_str and buf_printf */
    size_t len;
    size_t cap;
};

void buf_free(struct buf *buf); /* frees and zeroes */
void buf_reserve(struct buf *buf, size_t extra);
void buf_append(struct buf *buf, const void *data, size_t len);
void buf_puts(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Appends what a file still has, to its end. Returns 0, or -1 with errno. */
int buf_read(struct buf *buf, int fd);
/* The content as a string (a NUL is kept behind it, not counted). Valid until the next change. */
char *buf_str(struct buf *buf);
/* Hands the storage, NUL-terminated, to the caller, who frees it with free(). The buffer is empty again. */
char *buf_steal(struct buf *buf);
