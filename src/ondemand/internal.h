/* Between the files of ondemand/. */
#pragma once

#include "lictor/ondemand.h"
#include "lictor/strmap.h"

#include <sys/queue.h>

/* --- target.c: what a name means ------------------------------------------------------------------------ */

struct target {
    enum ask_kind kind;
    size_t zone;         /* below which apex: 0 `domain`, 1 `alt-domain` */
    char subject[256];   /* dotted, lower case: the query's or the service's name */
    char datacenter[64]; /* lower case; empty: the local one */
    bool rfc2782;        /* _NAME._tcp.query: asked for SRV */
};
/* False: nothing in Consul can have such a name. Pure. */
bool target_parse(const struct ask_question *question, const struct config_services *config,
                  struct target *out);
/* The path to read, escaped. explain: not the result of a prepared query but its definition, as it is for
 * this name. Caller frees. */
char *target_path(const struct target *target, bool explain);
/* "192.0.2.0" for X-Forwarded-For; empty for a question that does not depend on an address. */
void target_address(const struct ask_question *question, char out[46]);

/* --- ondemand.c: the results -------------------------------------------------------------------------------
 */

struct result {
    TAILQ_ENTRY(result) link;
    struct ondemand *ondemand;
    struct ask_question question;
    struct target target;
    struct asking *asking;          /* who waits, or NULL */
    struct consul_request *request; /* under way, or NULL */
    bool building;                  /* the builder has it */
    bool refreshing;                /* the read under way is nobody's wait */
    bool published;
    bool by_address;  /* the definition says `Near = _ip` */
    bool keep_order;  /* it says any `Near` */
    nstime explained; /* when the definition was read; 0: never */
    nstime started;   /* the read under way, or the last one */
    nstime good;      /* start of the last one that succeeded */
    nstime due;       /* to be read again, if asked for since */
    struct overlay_state *state;
};

struct ondemand {
    struct ondemand_config config;
    struct overlay_store *store; /* builder */
    struct event *tick;
    struct strmap *results; /* question -> struct result */
    TAILQ_HEAD(, result) list;
    unsigned reading;
    bool stopped;
    nstime failure_logged;
    struct ondemand_stats stats;
};

/* The end of a read: what is known now. text: why not, for the log. */
void result_published(struct result *result, uint32_t ttl);
void result_absent(struct result *result, nstime good_for);
void result_failed(struct result *result, const char *text);

/* --- read.c: from Consul to the overlay ----------------------------------------------------------------- */

/* Begins a read, which ends with one of the three above. */
void read_begin(struct result *result);
/* Takes the result out of the overlay. Nothing calls back; the result may be freed at once. */
void read_remove(struct ondemand *ondemand, const struct ask_question *question);
