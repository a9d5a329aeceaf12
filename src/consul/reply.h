/* What Consul's answers say besides their body. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLY_HEAD_MAX   (64 * 1024) /* octets of all header lines */
#define REPLY_ERROR_SIZE 201         /* an error text and its NUL */

struct reply_head {
    uint64_t index; /* X-Consul-Index; 0: absent or malformed */
    bool known_leader;
    int64_t last_contact_ms;
    bool filtered_by_acl;
    int64_t date;  /* seconds since 1970; 0: absent or malformed */
    size_t octets; /* seen so far */
};

/* Takes one header line, with or without its line end. A status line begins anew (100 Continue comes before
 * the real one). Returns 0, or -1 when the whole is larger than REPLY_HEAD_MAX. */
int reply_header(struct reply_head *head, const char *line, size_t len);

/* Is what has been unpacked so far too much for what came over the wire? Consul's lists shrink by 25 to 100;
 * zeros by 1000, and sixteen megabytes out of one read would keep the loop from everything else. */
bool reply_is_bomb(size_t unpacked, size_t received);

/* The text of an error reply: the first line of the body without control characters; of a refused transaction
 * (409) what its first error says; of an empty body the status. */
void reply_error_text(int status, const void *body, size_t len, char out[REPLY_ERROR_SIZE]);
