/* Zone transfers out (AXFR, RFC 5936; IXFR, RFC 1995), and the signatures of all queries (TSIG, RFC 8945).
 *
 * A transfer holds a counted reference to the zone version that it began with: changes, reloads and removal
 * of the zone do not touch it. It goes on when its client reads on, a message at a time, and takes no more
 * memory than one message. As many as TRANSFERS_MAX are under way at once; more are told to come back
 * (SERVFAIL). Authoritative zones are given by right of the gate, as answers are; zones of the catalog by the
 * primary alone, since two instances would cut different versions. */
#pragma once

#include "lictor/config.h"
#include "lictor/serve.h"

#define TRANSFERS_MAX 100

struct transfers;

/* Who may transfer which zone, and the keys: of one configuration, immutable. */
struct transfer_policy;
/* Reads the keys' secrets. NULL with err. Any thread. */
struct transfer_policy *transfer_policy_new(const struct config *config, struct err *err);
void transfer_policy_free(struct transfer_policy *policy); /* NULL is allowed */

struct transfers *transfers_new(void);
/* After the server. NULL is allowed. */
void transfers_free(struct transfers *transfers);
/* From now on this policy counts; takes it over. Transfers under way go on by what they began with. Builder
 * thread, or before the workers run. */
void transfers_set_policy(struct transfers *transfers, struct transfer_policy *policy);
/* For server_config.special. */
struct server_special transfers_special(struct transfers *transfers);

/* Which kind of reply a transfer was. */
enum transfer_kind {
    TRANSFER_AXFR,
    TRANSFER_IXFR,         /* differences */
    TRANSFER_IXFR_WHOLE,   /* the whole zone, since there is no way from the client's version */
    TRANSFER_IXFR_CURRENT, /* the SOA alone: the client has this version, or a newer one */
    TRANSFER_IXFR_TCP,     /* the SOA alone: too much for UDP (RFC 1995 section 2) */
    TRANSFER_KINDS,
};
enum transfer_result { TRANSFER_SENT, TRANSFER_ABORTED, TRANSFER_REFUSED, TRANSFER_BUSY, TRANSFER_RESULTS };

struct transfer_counters {
    uint64_t value[TRANSFER_KINDS][TRANSFER_RESULTS];
    unsigned running;
};
/* Any thread. */
void transfers_counters(const struct transfers *transfers, struct transfer_counters *out);
/* Appends them in the Prometheus text format. Any thread. */
void transfers_print(const struct transfers *transfers, struct buf *out);
