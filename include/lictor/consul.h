/* Consul's HTTP API on libcurl's multi interface and libevent: plain requests, blocking queries, sessions,
 * KV, transactions, agent services and checks. Runs on one event loop (main); all callbacks come from that
 * loop. A client is one pool of connections: election requests have a client of their own, never queued
 * behind watches. Rules: HTTP API as measured for Consul 1.8 (index reset, errors carry no index, timeouts
 * beyond wait + wait/16). */
#pragma once

#include "lictor/buf.h"
#include "lictor/clock.h"
#include "lictor/config.h"
#include "lictor/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct consul_client;
struct consul_request; /* a handle; valid until its callback has returned or it was cancelled */

struct consul_response {
    int status;        /* HTTP status; 0: no answer (error tells) */
    const char *error; /* NULL on 200; else one line: transport error or Consul's own text, sanitised */
    uint64_t index;    /* X-Consul-Index; 0 unless status is 200 or (KV) 404 */
    bool known_leader; /* X-Consul-KnownLeader */
    int64_t last_contact_ms;
    bool filtered_by_acl; /* X-Consul-Results-Filtered-By-ACLs: true (1.11+) */
    struct buf *body;     /* may be stolen (buf_steal, or swap) by the callback: no copy for the builder */
    nstime started; /* CLOCK_BOOTTIME when this attempt's request was handed to libcurl: a lease counts from
                       here */
    nstime finished;
    const char *address; /* which of the configured addresses answered */
};

typedef void consul_response_fn(void *arg, struct consul_response *response);

struct consul_stats { /* for /metrics */
    uint64_t requests, errors, bytes_in;
    unsigned in_flight, connections;
};

/* name stands in logs ("watch", "election"). config is borrowed until free. max_connections to one agent (at
 * most 100 over all clients of the process; the agent allows 200). NULL with err if TLS files cannot be read.
 */
struct consul_client *consul_client_new(struct event_base *base, const char *name,
                                        const struct config_consul *config, unsigned max_connections,
                                        struct err *err);
void consul_client_free(struct consul_client *client); /* cancels everything without callbacks */
void consul_client_stats(const struct consul_client *client, struct consul_stats *out);

struct consul_options {
    const char *method; /* "GET", "PUT", "DELETE" */
    const char *path; /* "/v1/..." already escaped (consul_escape), with its query string ("?stale&index=5");
                         dc is added */
    const char *body; /* borrowed during the call; NULL: none */
    size_t body_len;
    nstime timeout;  /* of the whole transfer */
    size_t max_body; /* a larger answer is cut off and an error ("endless body"); 0: 64 MiB */
    bool no_dc;      /* do not add ?dc= (agent endpoints) */
    const char *dc;  /* another datacenter than the configured one, or NULL */
};

/* Never calls back from within. The address that worked last is tried first; a transport error moves on to
 * the next address for the next request (one request is one attempt: retry is the caller's, with
 * consul_backoff). */
struct consul_request *consul_send(struct consul_client *client, const struct consul_options *options,
                                   consul_response_fn *callback, void *arg);
void consul_cancel(struct consul_request *request); /* no callback follows */

/* Jittered exponential backoff in ns for the nth failure in a row (0 = first): 100 ms doubling to 10 s, +-50
 * %; 400 and 403 (configuration errors) start at 5 s. */
nstime consul_backoff(unsigned failures, int status);
/* Percent-encodes one path segment or query value. Caller frees. */
char *consul_escape(const char *text);

/* --- blocking queries --------------------------------------------------------------------------- */

struct consul_watch; /* a loop of blocking queries on one path */

/* Called with every successful (200, or 404 with an index) response whose index or content may have changed,
 * and with each failure (status != 200/404: keep what you have; the loop retries by itself). `changed` is
 * false when the index is the one seen before. */
typedef void consul_watch_fn(void *arg, struct consul_response *response, bool changed);

struct consul_watch_options {
    const char *path;        /* without index and wait; may have a query string; copied */
    const char *consistency; /* "stale", "consistent" or NULL for default; copied */
    const char *dc;          /* or NULL; copied */
    nstime wait;             /* default 5 min; the transfer timeout is wait + wait/16 + 10 s */
    double rate;             /* token bucket: rounds a second at most in the long run (default 10) */
    unsigned burst;          /* default 2 */
    size_t max_body;
};
struct consul_watch *consul_watch_new(struct consul_client *client,
                                      const struct consul_watch_options *options, consul_watch_fn *callback,
                                      void *arg);
void consul_watch_free(struct consul_watch *watch);
/* Ask now, without index (after a loss of trust in what we have). */
void consul_watch_restart(struct consul_watch *watch);

/* --- JSON bodies for writes: small helpers over consul_send ---------------------------------------- */
/* Each takes the reference to `json` (jansson "steals"). */
struct consul_request *consul_put_json(struct consul_client *client, const char *path, json_t *json,
                                       nstime timeout, consul_response_fn *callback, void *arg);
/* One operation of a transaction, to be appended to the array given to consul_txn (at most 64; 512 KiB in
 * all). value is raw and is base64-encoded here; NULL: none. */
json_t *consul_txn_op(const char *verb, const char *key, const void *value, size_t value_len,
                      const char *session, uint64_t index);
struct consul_request *consul_txn(struct consul_client *client, json_t *ops, nstime timeout,
                                  consul_response_fn *callback, void *arg);
/* Base64 of KV values. Returns 0, or -1 if malformed. */
int consul_base64_decode(const char *text, struct buf *out);
void consul_base64_encode(const void *data, size_t len, struct buf *out);
