#include "lictor/statefile.h"

#include "base/siphash.h"

#include "lictor/xalloc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_MAX 256
/* Octets after which those written so far are sent to the disk. */
#define WRITEBACK_STEP (1024 * 1024)
/* Octets of a file's name before its hash and suffixes (at most 255 together, NAME_MAX). */
#define STATE_NAME_MAX 200

static void sha256_hex(const void *data, size_t len, char out[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_Digest(data, len, digest, &n, EVP_sha256(), NULL);
    for (unsigned i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static int write_all(int fd, const void *data, size_t len)
{
    for (const char *p = data; len;) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

/* A rename is on disk only once its directory is. */
static int sync_directory(const char *path)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int result = fsync(fd);
    close(fd);
    return result;
}

/* --- writing --------------------------------------------------------------------------------------- */

struct statefile {
    char *path, *temporary, *kind; /* kind NULL: plain octets */
    unsigned version;
    int fd;
    size_t len, started; /* octets so far; of those: on their way to the disk */
    EVP_MD_CTX *digest;
};

/* Its length is the same whatever the content's is: it is written when that is known. */
static size_t header(const struct statefile *file, const char *digest, char out[HEADER_MAX])
{
    int n = snprintf(out, HEADER_MAX, "lictor-state %s %u %020zu %64s\n", file->kind, file->version,
                     file->len, digest);
    assert(n > 0 && n < HEADER_MAX);
    return (size_t)n;
}

void statefile_abandon(struct statefile *file)
{
    if (!file)
        return;
    if (file->fd >= 0) {
        close(file->fd);
        unlink(file->temporary);
    }
    EVP_MD_CTX_free(file->digest);
    free(file->path);
    free(file->temporary);
    free(file->kind);
    free(file);
}

static int cannot_write(const struct statefile *file, struct err *err)
{
    return err_set(err, "%s: cannot be written (the old %s stays): %s", file->temporary,
                   file->kind ? file->kind : "file", strerror(errno));
}

struct statefile *statefile_begin(const char *path, const char *kind, unsigned version, struct err *err)
{
    struct statefile *file = xcalloc(1, sizeof(*file));
    file->path = xstrdup(path);
    file->temporary = xasprintf("%s.new", path);
    file->kind = xstrdup_null(kind);
    file->version = version;
    file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (file->fd < 0) {
        err_set(err, "%s: cannot be created: %s", file->temporary, strerror(errno));
        statefile_abandon(file);
        return NULL;
    }
    file->digest = EVP_MD_CTX_new();
    EVP_DigestInit_ex(file->digest, EVP_sha256(), NULL);
    char text[HEADER_MAX];
    if (kind && write_all(file->fd, text, header(file, "", text))) {
        cannot_write(file, err);
        statefile_abandon(file);
        return NULL;
    }
    return file;
}

int statefile_append(struct statefile *file, const void *data, size_t len, struct err *err)
{
    if (write_all(file->fd, data, len))
        return cannot_write(file, err);
    EVP_DigestUpdate(file->digest, data, len);
    file->len += len;
    if (file->len - file->started >= WRITEBACK_STEP) {
        /* So that little is left for fsync to wait for. A hint: whether it helped is fsync's to say. */
        sync_file_range(file->fd, (off_t)file->started, 0, SYNC_FILE_RANGE_WRITE);
        file->started = file->len;
    }
    return 0;
}

static int write_header(const struct statefile *file)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char hex[2 * EVP_MAX_MD_SIZE + 1], text[HEADER_MAX];
    EVP_DigestFinal_ex(file->digest, digest, &n);
    for (unsigned i = 0; i < n; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return lseek(file->fd, 0, SEEK_SET) < 0 ? -1 : write_all(file->fd, text, header(file, hex, text));
}

int statefile_commit(struct statefile *file, struct err *err)
{
    int result = 0;
    if ((file->kind && write_header(file)) || fsync(file->fd))
        result = cannot_write(file, err);
    else if (rename(file->temporary, file->path) || sync_directory(file->path))
        result = err_set(err, "%s: cannot be replaced: %s", file->path, strerror(errno));
    if (result == 0) { /* else it is removed */
        close(file->fd);
        file->fd = -1;
    }
    statefile_abandon(file);
    return result;
}

int statefile_write(const char *path, const char *kind, unsigned version, const void *data, size_t len,
                    struct err *err)
{
    struct statefile *file = statefile_begin(path, kind, version, err);
    if (!file)
        return -1;
    if (statefile_append(file, data, len, err) == 0)
        return statefile_commit(file, err);
    statefile_abandon(file);
    return -1;
}

int statefile_replace(const char *path, const void *data, size_t len, struct err *err)
{
    return statefile_write(path, NULL, 0, data, len, err);
}

char *statefile_path(const char *folder, const char *name, const char *suffix)
{
    static const uint64_t key[2]; /* the names are the operator's: nobody else chooses them */
    struct buf path = {0};
    buf_printf(&path, "%s/", folder);
    size_t start = path.len;
    for (const char *p = name; *p; p++)
        if (*p == '/' || *p == '%' || (*p == '.' && p == name)) /* the last is the root */
            buf_printf(&path, "%%%02x", (unsigned char)*p);
        else
            buf_append(&path, p, 1);
    if (path.len - start > STATE_NAME_MAX) {
        path.len = start + STATE_NAME_MAX;
        buf_printf(&path, "%%%016" PRIx64, siphash(name, strlen(name), key));
    }
    buf_puts(&path, suffix);
    return buf_steal(&path);
}

/* Checks the header line and the content behind it. Returns the content's offset, or -1. */
static ssize_t check(const char *path, const char *kind, unsigned version, struct buf *file, struct err *err)
{
    char found[65], digest[65], was[65];
    unsigned found_version;
    size_t len;
    char *end = memchr(file->data, '\n', file->len < HEADER_MAX ? file->len : HEADER_MAX);
    if (!end)
        return err_set(err, "%s: not a state file of lictor", path);
    *end = 0;
    if (sscanf((char *)file->data, "lictor-state %64s %u %zu %64s", found, &found_version, &len, was) != 4)
        return err_set(err, "%s: not a state file of lictor", path);
    if (strcmp(found, kind))
        return err_set(err, "%s: holds `%s`, not `%s`", path, found, kind);
    if (found_version > version)
        return err_set(err, "%s: written by a newer lictord (format %u; this one reads up to %u)", path,
                       found_version, version);
    size_t offset = (size_t)(end + 1 - (char *)file->data);
    if (file->len - offset != len)
        return err_set(err, "%s: cut off or overwritten (%zu octets where %zu were written)", path,
                       file->len - offset, len);
    sha256_hex(file->data + offset, len, digest);
    if (strcmp(digest, was))
        return err_set(err, "%s: damaged (its checksum is wrong)", path);
    return (ssize_t)offset;
}

int statefile_read(const char *path, const char *kind, unsigned version, struct buf *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold up the start */
    if (fd < 0)
        return errno == ENOENT ? 1 : err_set(err, "%s: cannot be opened: %s", path, strerror(errno));
    struct stat info;
    if (fstat(fd, &info) || !S_ISREG(info.st_mode)) {
        close(fd);
        return err_set(err, "%s: not a regular file", path);
    }
    struct buf file = {0};
    if (info.st_size > 0)
        buf_reserve(&file, (size_t)info.st_size + 64 * 1024); /* once, and not by doubling */
    int result = buf_read(&file, fd);
    if (result)
        err_set(err, "%s: cannot be read: %s", path, strerror(errno));
    close(fd);
    ssize_t offset = result ? -1 : check(path, kind, version, &file, err);
    if (offset >= 0 && out->len == 0) {
        file.len -= (size_t)offset;
        memmove(file.data, file.data + offset, file.len);
        struct buf empty = *out;
        *out = file;
        file = empty;
    } else if (offset >= 0) {
        buf_append(out, file.data + offset, file.len - (size_t)offset);
    }
    buf_free(&file);
    return offset >= 0 ? 0 : -1;
}
