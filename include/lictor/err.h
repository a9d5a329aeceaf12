/* Errors that a person will read: one line that says what is wrong, where, and what would be right. */
#pragma once

#include <stdarg.h>

struct err {
    char text[512];
};

/* Sets the text, which is well-formed UTF-8 whatever it quotes; always returns -1, so that `return
 * err_set(err, ...)` reads well. err may be NULL. */
int err_set(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the text that is there. Returns -1. err may be NULL. */
int err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
