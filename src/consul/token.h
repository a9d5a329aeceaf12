/* The ACL token: fixed, or from a file that is read again when it changes. Main thread. */
#pragma once

#include "lictor/clock.h"

#include <stdbool.h>
#include <sys/stat.h>

struct token {
    const char *file; /* NULL: fixed; borrowed */
    char *value;      /* NULL: none */
    struct stat seen; /* of the file that value came from */
    nstime checked;
    bool complained; /* the present trouble is logged */
};

/* A file goes before a fixed value, as in Consul's own client. */
void token_init(struct token *token, const char *value, const char *file);
void token_free(struct token *token);
/* The token to send now, or NULL. Looks at the file at most once a second; a file that cannot be used leaves
 * the old token and is logged once. Valid until the next call. */
const char *token_get(struct token *token, nstime now);
