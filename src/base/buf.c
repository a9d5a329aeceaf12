#include "lictor/buf.h"

#include "lictor/xalloc.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void buf_free(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

void buf_reserve(struct buf *buf, size_t extra)
{
    assert(extra < SIZE_MAX / 2 && buf->len < SIZE_MAX / 2);
    size_t need = buf->len + extra;
    if (need <= buf->cap)
        return;
    size_t cap = buf->cap ? buf->cap * 2 : 256;
    if (cap < need)
        cap = need;
    buf->data = xrealloc(buf->data, cap);
    buf->cap = cap;
}

void buf_append(struct buf *buf, const void *data, size_t len)
{
    if (!len)
        return;
    buf_reserve(buf, len);
    memcpy(buf->data + buf->len, data, len);
    buf->len += len;
}

void buf_puts(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    assert(n >= 0);
    buf_reserve(buf, (size_t)n + 1);
    vsnprintf((char *)buf->data + buf->len, (size_t)n + 1, fmt, again);
    va_end(again);
    buf->len += (size_t)n;
}

char *buf_str(struct buf *buf)
{
    buf_reserve(buf, 1);
    buf->data[buf->len] = 0;
    return (char *)buf->data;
}

char *buf_steal(struct buf *buf)
{
    char *text = buf_str(buf);
    *buf = (struct buf){0};
    return text;
}

int buf_read(struct buf *buf, int fd)
{
    for (;;) {
        buf_reserve(buf, 64 * 1024);
        ssize_t n = read(fd, buf->data + buf->len, buf->cap - buf->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return (int)n;
        buf->len += (size_t)n;
    }
}
