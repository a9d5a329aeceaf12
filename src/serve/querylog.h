/* What workers, the query log and its lines share. */
#pragma once

#include "lictor/answer.h"
#include "lictor/name.h"
#include "lictor/querylog.h"

#include <stdatomic.h>
#include <sys/socket.h>

/* A query and what became of it, copied out of the worker's buffers. */
struct query_entry {
    nstime at; /* CLOCK_REALTIME */
    struct sockaddr_storage client;
    enum answer_reason reason;
    size_t size; /* of the reply */
    unsigned answers;
    uint16_t type, rcode;
    int ede; /* DNS_EDE_NONE: none */
    bool tcp, truncated, has_zone;
    uint8_t name[NAME_MAX_WIRE]; /* lower case; the root if there was no question */
    uint8_t zone[NAME_MAX_WIRE]; /* its apex */
};

/* Is there anything to log at all? Workers look once a batch. */
bool query_log_on(const struct query_log *log);
/* Logs the query, or leaves it to chance. reply: what answer() wrote. Returns 1 if it was taken, 0 if it was
 * not chosen, -1 if it was lost. Its worker only, in the read section of the result's zone. */
int query_log_take(struct query_log *log, unsigned worker, struct rng *rng,
                   const struct sockaddr_storage *client, bool tcp, const uint8_t *query, size_t query_len,
                   const uint8_t *reply, const struct answer_result *result);

#define QUERY_LINE_MAX 4096 /* PIPE_BUF: a pipe takes a line whole */

/* Writes the line, newline included; returns its length. why: from query_reason. */
size_t query_line(const struct query_entry *entry, const char *why, char out[QUERY_LINE_MAX]);
/* Why the answer is negative; "" if it is not. ask: the first text that contains `part` among those of a name
 * under `lictor.`, into out, or "". */
void query_reason(const struct query_entry *entry,
                  void (*ask)(void *arg, const uint8_t *name, const char *part, char out[256]), void *arg,
                  char out[600]);
bool query_is_negative(const struct query_entry *entry);
