#include "token.h"

#include "lictor/err.h"
#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOKEN_FILE_MAX 4096

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The one word of the file, or NULL with err. */
static char *read_word(int fd, struct err *err)
{
    char text[TOKEN_FILE_MAX + 1];
    ssize_t len = read(fd, text, sizeof text);
    if (len < 0) {
        err_set(err, "%s", strerror(errno));
        return NULL;
    }
    if ((size_t)len > TOKEN_FILE_MAX) {
        err_set(err, "larger than %d octets: not a token", TOKEN_FILE_MAX);
        return NULL;
    }
    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        len--;
    char *word = text;
    while (len > 0 && strchr(" \t\r\n", *word))
        word++, len--;
    if (len == 0) {
        err_set(err, "empty");
        return NULL;
    }
    /* It becomes a header line: nothing may end that. */
    for (ssize_t i = 0; i < len; i++) {
        if (word[i] <= ' ' || word[i] > '~') {
            err_set(err, "not one word of printable characters");
            return NULL;
        }
    }
    word[len] = '\0';
    return xstrdup(word);
}

static int reload(struct token *token, struct err *err)
{
    struct stat now;
    if (stat(token->file, &now) != 0)
        return err_set(err, "%s", strerror(errno));
    if (same_file(&now, &token->seen) && !token->complained)
        return 0;
    /* Not to be stopped by a FIFO in its place. */
    int fd = open(token->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, "%s", strerror(errno));
    char *value = fstat(fd, &now) == 0 ? read_word(fd, err) : NULL;
    close(fd);
    if (!value)
        return -1;
    if (token->value && strcmp(value, token->value) != 0)
        log_info("consul: token read anew from %s", token->file);
    free(token->value);
    token->value = value;
    token->seen = now;
    return 0;
}

void token_init(struct token *token, const char *value, const char *file)
{
    *token = (struct token){.file = file, .value = file ? NULL : xstrdup_null(value), .checked = -NS_PER_S};
}

void token_free(struct token *token)
{
    free(token->value);
    *token = (struct token){0};
}

const char *token_get(struct token *token, nstime now)
{
    if (token->file && now - token->checked >= NS_PER_S) {
        struct err err = {0};
        token->checked = now;
        if (reload(token, &err) == 0) {
            token->complained = false;
        } else if (!token->complained) {
            log_warn("consul: token-file %s: %s; going on %s", token->file, err.text,
                     token->value ? "with the token read before" : "without a token");
            token->complained = true;
        }
    }
    return token->value;
}
