/* Files in state-dir that survive restarts: atomic (temporary file, fsync, rename, fsync of the directory),
 * versioned, checksummed. A full disk leaves the old file as it was.
 *
 * Format: one line `lictor-state <kind> <version> <length> <sha256 hex>\n` (the length with leading zeros),
 * then `length` octets. */
#pragma once

#include "lictor/buf.h"
#include "lictor/err.h"

/* path: the final name. Returns 0, or -1 with err (which names the path and errno's text). Builder thread, or
 * main before it serves: it fsyncs. */
int statefile_write(const char *path, const char *kind, unsigned version, const void *data, size_t len,
                    struct err *err);

/* The same in pieces: the old file stays until commit. append: 0, or -1 with err (abandon it then). commit
 * frees, whatever it returns; abandon (NULL is allowed) frees and leaves nothing behind. */
struct statefile;
struct statefile *statefile_begin(const char *path, const char *kind, unsigned version, struct err *err);
int statefile_append(struct statefile *file, const void *data, size_t len, struct err *err);
int statefile_commit(struct statefile *file, struct err *err);
void statefile_abandon(struct statefile *file);

/* The same of plain octets, without a header: for what checks itself. */
int statefile_replace(const char *path, const void *data, size_t len, struct err *err);

/* FOLDER/NAME.SUFFIX for a name that may not be one of a file: '/', '%' and a leading '.' are escaped, and a
 * long one ends in its hash (NAME_MAX). Caller frees. */
char *statefile_path(const char *folder, const char *name, const char *suffix);

/* Returns 0 and appends the content to out; 1 if there is no such file; -1 with err if it cannot be
 * read, is of another kind or a newer version, or its checksum is wrong (it is then to be ignored, not
 * deleted). */
int statefile_read(const char *path, const char *kind, unsigned version, struct buf *out, struct err *err);
