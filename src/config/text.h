/* What stands between the file and libconfuse. */
#pragma once

#include "config/fault.h"

/* Name of the key that text_prepare puts into each section; its value is the line of the section's brace. No
 * file can contain it: `@` is no character of a bare word, and keys are not written in quotes. */
#define TEXT_LINE_KEY "@line"

/* Checks the text as a sequence of tokens and writes to out what libconfuse may read: without comments, with
 * `${` made literal, with TEXT_LINE_KEY in each section, every line at its place. Keys and sections that
 * stand twice are added to faults. Returns 0, or -1 after adding the first fault of syntax. */
int text_prepare(const char *text, size_t len, struct buf *out, struct faults *faults);
