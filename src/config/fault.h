/* The faults found in one configuration file: collected with their lines, given out in the order of lines. */
#pragma once

#include "lictor/buf.h"

#include <stddef.h>

#define LINE_NONE 0 /* not from the file: the environment, or the file as a whole */

struct fault {
    int line;
    char *text;
};

struct faults {
    struct fault *items; /* owned */
    size_t count;
};

/* Adds one fault. What comes from the file may be put into the text as it is: control characters are escaped
 * and an overlong line is cut. The same text at the same line is kept once. */
void fault_add(struct faults *faults, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Appends `path:line: text` for each, by line (LINE_NONE first, then without a line), and frees the list. */
void faults_write(struct faults *faults, const char *path, struct buf *out);
