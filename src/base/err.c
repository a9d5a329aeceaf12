#include "lictor/err.h"

#include "lictor/utf8.h"

#include <stdio.h>
#include <string.h>

int err_set(struct err *err, const char *fmt, ...)
{
    if (err) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, args);
        va_end(args);
        utf8_clean(err->text);
    }
    return -1;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
    if (err) {
        struct err old = *err;
        va_list args;
        va_start(args, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, args);
        va_end(args);
        size_t n = strlen(err->text);
        snprintf(err->text + n, sizeof err->text - n, ": %s", old.text);
        utf8_clean(err->text); /* the cut may have gone through a character */
    }
    return -1;
}
