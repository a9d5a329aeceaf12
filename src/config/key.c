/* The secrets of `key` sections. */
#include "lictor/config.h"
#include "lictor/tsig.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int read_file(const char *path, char *text, size_t size, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t len = fd >= 0 ? read(fd, text, size - 1) : -1;
    if (len < 0)
        err_set(err, "%s: cannot be read: %s; it holds the secret of a `key`", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (len < 0)
        return -1;
    text[len] = '\0';
    return 0;
}

int config_key_read(const struct config_key *key, struct tsig_key *out, struct err *err)
{
    char text[TSIG_SECRET_MAX * 2];
    const char *secret = key->secret;
    *out = (struct tsig_key){.algorithm = (enum tsig_algorithm)tsig_algorithm_parse(key->algorithm)};
    memcpy(out->name, key->name, sizeof out->name);
    if (!secret) {
        if (read_file(key->secret_file, text, sizeof text, err))
            return -1;
        secret = text;
    }
    int octets = tsig_secret_parse(secret, out->secret, sizeof out->secret);
    explicit_bzero(text, sizeof text);
    if (octets < TSIG_SECRET_MIN)
        return err_set(err, "%s: holds no base64 of %d to %d octets; make it with `openssl rand -base64 32`",
                       key->secret ? "`secret`" : key->secret_file, TSIG_SECRET_MIN, TSIG_SECRET_MAX);
    out->secret_len = (size_t)octets;
    return 0;
}
