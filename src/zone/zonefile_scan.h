/* Zone file text to entries (RFC 1035 section 5.1): one entry is one record or directive, over as many lines
 * as its parentheses span. */
#pragma once

#include "lictor/buf.h"
#include "lictor/err.h"

#include <stdbool.h>
#include <stddef.h>

#define ENTRY_TOKENS 16 /* so many tokens are told apart; of the others only the text counts */
#define ENTRY_MAX \
    (512 * 1024) /* octets: the longest RDATA, every octet of it written as \DDD, is 256 KiB \
                  */

struct scan {
    const char *name; /* of the file, for messages */
    const char *text; /* borrowed */
    size_t len, at;
    int line;

    /* The entry that scan_next found. */
    int entry_line;     /* where it begins */
    bool leading_blank; /* its owner is the last one's */
    struct buf entry;   /* its tokens, one blank between them, escapes and quotes kept; a NUL at the end */
    size_t tokens;      /* how many there are */
    size_t starts[ENTRY_TOKENS]; /* offsets in entry of the first of them */
};

/* Frees what it allocated; the text is the caller's. */
void scan_end(struct scan *scan);
/* Returns 1 with an entry, 0 at the end of the text, -1 with err (`name:line: ...`). */
int scan_next(struct scan *scan, struct err *err);
/* Token i of the entry, made a string of its own: what follows is text + starts[i + 1]. i < ENTRY_TOKENS. */
char *scan_token(struct scan *scan, size_t i);
/* Everything from token i on, or "" if there is none. i < ENTRY_TOKENS. */
char *scan_rest(struct scan *scan, size_t i);
