/* Allocation that does not fail: out of memory aborts, since no caller could go on sensibly.
 * Not for sizes that come unchecked from outside. Any thread. */
#pragma once

#include <stddef.h>

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xrealloc(void *old, size_t size) __attribute__((returns_nonnull, warn_unused_result));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull, warn_unused_result));
/* NULL stays NULL. */
char *xstrdup_null(const char *text) __attribute__((malloc, warn_unused_result));
void *xmemdup(const void *data, size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), malloc, returns_nonnull));
