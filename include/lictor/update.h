/* UPDATE (RFC 2136) on every instance: main takes messages from the workers (inbox.h), checks signature and
 * rights, and has the store commit what they ask for; the reply goes out when Consul has it. On an instance
 * that is not primary the message goes to the one that is, untouched inside a message of ours,
 * and that one's reply, signed for the client, comes back: one hop.
 *
 * What cannot be decided in UPDATE_PATIENCE is SERVFAIL with EDE: it may have been done, or not. A message
 * that comes again (the same octets, such as a client's retransmission) while it is being decided, or within
 * the last UPDATE_REMEMBERED, gets the same answer and is not applied again.
 *
 * All on main, but for update_policy_new. */
#pragma once

#include "lictor/buf.h"
#include "lictor/config.h"
#include "lictor/inbox.h"
#include "lictor/store.h"

#define UPDATE_PATIENCE   (5 * NS_PER_S)
#define UPDATE_REMEMBERED 4096 /* and for 30 s at most */

struct updates;

/* Keys and rights: of one configuration, immutable. Reads the keys' secrets. NULL with err. Any thread. */
struct update_policy;
struct update_policy *update_policy_new(const struct config *config, struct err *err);
void update_policy_free(struct update_policy *policy); /* NULL is allowed */

/* Who is primary, as last seen. */
struct update_primary {
    bool known, self;
    char node[256], instance[37], address[64];
    uint64_t epoch;
};

struct updates_config {
    struct event_base *base;
    struct store *store;          /* NULL: no election, nothing can be changed */
    const struct config *config;  /* cluster and `peer-key` are copied */
    struct update_policy *policy; /* taken over */
    void (*primary)(void *arg, struct update_primary *out);
    void *arg;
};

/* NULL with err: the secret of `peer-key` cannot be read. The policy is taken over in any case. */
struct updates *updates_new(const struct updates_config *config, struct err *err);
/* For inbox_new. */
void updates_take(void *updates, struct inbox_message *message);
/* From now on this policy counts; takes it over. */
void updates_set_policy(struct updates *updates, struct update_policy *policy);
/* Answers all that wait; nothing is forwarded any more. Then stop the store, and updates_free behind it. NULL
 * is allowed for both. */
void updates_stop(struct updates *updates);
void updates_free(struct updates *updates);

/* Appends the metrics in the Prometheus text format. */
void updates_print(const struct updates *updates, struct buf *out);
