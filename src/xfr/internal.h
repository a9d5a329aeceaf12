/* Between the files of xfr/ that run on workers. */
#pragma once

#include "policy.h"
#include "source.h"

#include "lictor/reply.h"
#include "lictor/transfer.h"

#include <stdatomic.h>

/* Octets of a message of a transfer: pointers reach all of it, and it costs little memory while a client does
 * not read. One longer record has a longer message to itself. */
#define TRANSFER_MESSAGE 16384
/* A client that reads just fast enough not to be given up could hold a version for days. */
#define TRANSFER_TIME (2 * 3600 * NS_PER_S)

struct transfers {
    _Atomic(struct transfer_policy *) policy;
    _Atomic unsigned running;
    _Atomic uint64_t counts[TRANSFER_KINDS][TRANSFER_RESULTS];
};

/* One query, as its parts need it. */
struct exchange {
    struct transfers *transfers;
    const struct transfer_policy *policy;
    const struct sockaddr_storage *client;
    const struct tsig_key *key; /* that the query was rightly signed with; NULL: not signed */
    const uint8_t *msg;
    size_t len;
    struct server_stream *stream; /* what follows the first message; NULL: nothing */
};

void transfer_count(struct transfers *transfers, enum transfer_kind kind, enum transfer_result result);

/* begin.c: answer_transfer.begin; arg: the exchange. */
void transfer_begin(void *arg, const struct answer_env *env, const struct query *query,
                    const struct zone *zone, struct reply *reply, struct outcome *outcome);

/* stream.c: the rest of a transfer. Takes source over. NULL: as many as may be are under way; the source is
 * freed then too. */
struct server_stream *stream_new(struct transfers *transfers, enum transfer_kind kind, struct source *source,
                                 bool needs_role, nstime now);
/* Before the first message leaves: its header's ID and flags, and how it was signed (NULL: not). */
void stream_set_frame(struct server_stream *stream, const uint8_t *first, const struct tsig_key *key,
                      const struct tsig_mac *mac);
/* server_special.next and .end */
size_t stream_next(struct server_stream *stream, const struct answer_env *env, uint8_t *out, bool *more);
void stream_end(struct server_stream *stream, bool whole);
