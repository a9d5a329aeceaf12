#include "lictor/statefile.h"

#include "base/siphash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_MAX 256
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

static int replace(const char *path, const char *what, const void *header, size_t header_len,
                   const void *data, size_t len, struct err *err)
{
    char temporary[PATH_MAX];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.new", path) >= sizeof temporary)
        return err_set(err, "%s: the path is too long", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return err_set(err, "%s: cannot be created: %s", temporary, strerror(errno));
    if (write_all(fd, header, header_len) || write_all(fd, data, len) || fsync(fd)) {
        err_set(err, "%s: cannot be written (the old %s stays): %s", temporary, what, strerror(errno));
        close(fd);
        unlink(temporary);
        return -1;
    }
    close(fd);
    if (rename(temporary, path) || sync_directory(path)) {
        err_set(err, "%s: cannot be replaced: %s", path, strerror(errno));
        unlink(temporary);
        return -1;
    }
    return 0;
}

int statefile_write(const char *path, const char *kind, unsigned version, const void *data, size_t len,
                    struct err *err)
{
    char header[HEADER_MAX], digest[65];
    sha256_hex(data, len, digest);
    int n = snprintf(header, sizeof header, "lictor-state %s %u %zu %s\n", kind, version, len, digest);
    return replace(path, kind, header, (size_t)n, data, len, err);
}

int statefile_replace(const char *path, const void *data, size_t len, struct err *err)
{
    return replace(path, "file", NULL, 0, data, len, err);
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
    int result = buf_read(&file, fd);
    if (result)
        err_set(err, "%s: cannot be read: %s", path, strerror(errno));
    close(fd);
    ssize_t offset = result ? -1 : check(path, kind, version, &file, err);
    if (offset >= 0)
        buf_append(out, file.data + offset, file.len - (size_t)offset);
    buf_free(&file);
    return offset >= 0 ? 0 : -1;
}
