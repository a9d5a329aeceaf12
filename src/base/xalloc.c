#include "lictor/xalloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *check(void *p)
{
    if (!p) {
        static const char text[] = "out of memory\n";
        fwrite(text, 1, sizeof text - 1, stderr);
        abort();
    }
    return p;
}

void *xmalloc(size_t size)
{
    return check(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return check(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *old, size_t size)
{
    return check(realloc(old, size ? size : 1));
}

char *xstrdup(const char *text)
{
    return check(strdup(text));
}

char *xstrdup_null(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

void *xmemdup(const void *data, size_t size)
{
    void *copy = xmalloc(size);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

char *xasprintf(const char *fmt, ...)
{
    va_list args;
    char *text;
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    return check(n < 0 ? NULL : text);
}
