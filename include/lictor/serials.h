/* Serials for zones that the primary cuts from the catalog (cuts.h): reserved in blocks, so that none is ever
 * given twice and none falls, whoever is primary. Main thread.
 *
 * With an election the block stands in Consul at lictor/<cluster>/serials, written by a transaction that
 * begins with check-session; without one, in state-dir. A new primary's block begins above all others; while
 * it reigns the others show that beginning. Half a block before the end it reserves more; if it cannot, it
 * goes on to the end and then cuts no more until it can: answers are not touched by that. */
#pragma once

#include "lictor/builder.h"
#include "lictor/config.h"
#include "lictor/consul.h"
#include "lictor/gate.h"

struct event_base;
struct serials;

struct serials_config {
    struct event_base *base;
    struct builder *builder;
    const struct gate *gate;
    struct consul_client *client; /* NULL: no election */
    const char *cluster;          /* with a client; copied, as the next */
    const char *state_dir;
    /* The session that holds the lock, while this instance may act. With a client. */
    const char *(*session)(void *arg);
    /* No SOA may show a serial below this one from now on. */
    void (*floor)(void *arg, uint32_t serial);
    /* Cut with this serial what changed. Not before a second after the last time, but for the first one of a
     * reign, whose serial is its block's first. */
    void (*cut)(void *arg, uint32_t serial);
    void *arg;
    uint32_t shown; /* the highest serial that was shown so far, by other means; 0: none */
};

/* Reads what state-dir knows. */
struct serials *serials_new(const struct serials_config *config);
/* After the builder. NULL is allowed. */
void serials_free(struct serials *serials);
/* No more requests, before the client goes. NULL is allowed. */
void serials_stop(struct serials *serials);

/* This instance may act from now on. */
void serials_promoted(struct serials *serials);
void serials_demoted(struct serials *serials);
/* Something changed that is worth a cut: it comes as soon as it may. */
void serials_wanted(struct serials *serials);
