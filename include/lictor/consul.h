/* Consul's HTTP API on libcurl's multi interface and libevent: plain requests, blocking queries, sessions,
 * KV, transactions, agent services and checks. Runs on one event loop (main); all callbacks come from that
 * loop. A client is one pool of connections: election requests have a client of their own, never queued
 * behind watches. Rules: HTTP API as measured for Consul 1.8 (index reset, errors carry no index, timeouts
 * beyond wait + wait/16).
 *
 * Several addresses are tried in order: the one that worked last; after a transport failure (no connection,
 * cut off, timed out) the next request goes to the next; every 30 s one request tries the first again. The
 * agent's own endpoints (/v1/agent/...) keep an order of their own, moved by their own failures only. A
 * service or check registered with one agent is unknown to the next: response.address tells which one
 * answered.
 *
 * The text functions and JSON builders and parsers hold no state: any thread. */
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
    const char *error; /* NULL on 200; else one line of printable ASCII: why there is no answer, with the
                          address, or the first line of Consul's own text (of a 409: its first error) */
    uint64_t index;    /* X-Consul-Index; 0 unless status is 200 or (KV) 404 */
    bool known_leader; /* X-Consul-KnownLeader */
    int64_t last_contact_ms;
    bool filtered_by_acl; /* X-Consul-Results-Filtered-By-ACLs: true (1.11+) */
    int64_t date;         /* the agent's clock: seconds since 1970; 0: not told */
    struct buf *body;     /* may be stolen (buf_steal, or swap) by the callback: no copy for the builder */
    nstime
        started; /* CLOCK_BOOTTIME when the request was handed to libcurl, before anything was sent: a lease
                    counts from here. libcurl may repeat a GET on a new connection: this stays the first. */
    nstime finished;
    const char *address; /* which of the configured addresses was asked; lives as long as the configuration */
};

typedef void consul_response_fn(void *arg, struct consul_response *response);

struct consul_stats {                    /* for /metrics */
    uint64_t requests, errors, bytes_in; /* errors: no answer, or a status other than 200 and 404 */
    unsigned in_flight, connections;
};

/* name stands in logs ("watch", "election"). config is borrowed until free. max_connections to one agent (at
 * most 100 over all clients of the process; the agent allows 200); requests beyond wait for a free one, on
 * their own time. NULL with err if an address cannot be understood or TLS files cannot be used. Logs when an
 * address fails and when it works again. */
struct consul_client *consul_client_new(struct event_base *base, const char *name,
                                        const struct config_consul *config, unsigned max_connections,
                                        struct err *err);
/* Cancels everything without callbacks; NULL is allowed. Also from within a callback. Free watches first. */
void consul_client_free(struct consul_client *client);
void consul_client_stats(const struct consul_client *client, struct consul_stats *out);

struct consul_options {
    const char *method; /* "GET", "PUT", "DELETE" */
    const char *path;   /* "/v1/..." already escaped (consul_path), with its query string ("?stale&index=5");
                           dc is added */
    const char *body;   /* of a PUT; borrowed during the call; NULL: none */
    size_t body_len;
    nstime timeout;  /* of the whole transfer */
    size_t max_body; /* a larger answer is cut off and an error ("endless body"); 0: 64 MiB */
    bool no_dc;      /* do not add ?dc=; agent endpoints never get one */
    const char *dc;  /* another datacenter than the configured one, or NULL */
    /* An address: for whom this is asked (X-Forwarded-For), where that decides which is nearest. NULL: us */
    const char *forwarded_for;
};

/* Never calls back from within; the callback comes exactly once unless cancelled. One request is one attempt:
 * retry is the caller's, with consul_backoff. A PUT that failed after it was sent may have been carried out.
 * Only agent beats and reads should be repeated blindly. */
struct consul_request *consul_send(struct consul_client *client, const struct consul_options *options,
                                   consul_response_fn *callback, void *arg);
/* No callback follows. NULL is allowed; from within its own callback it does nothing. */
void consul_cancel(struct consul_request *request);

/* Jittered exponential backoff in ns for the nth failure in a row (0 = first): 100 ms doubling to 10 s, +-50
 * %; 400 and 403 (configuration errors) 5 s doubling to 60 s. */
nstime consul_backoff(unsigned failures, int status);
/* Percent-encodes one path segment or query value, '/' too. Caller frees. */
char *consul_escape(const char *text);
/* prefix + name, percent-encoded but for '/' + "?query" (NULL: none): consul_path("/v1/kv/", key,
 * "consistent"). Caller frees. */
char *consul_path(const char *prefix, const char *name, const char *query);

/* --- blocking queries --------------------------------------------------------------------------- */

struct consul_watch; /* a loop of blocking queries on one path */

/* Called with every successful response (200, or 404 with an index: a missing key), and with each failure
 * (anything else: keep what you have; the loop retries by itself). `changed` is false when the index is the
 * one seen before; it is true for the first answer, after an index that went back, a failure or a restart.
 * index is at least 1 on success. May free or restart the watch. Look at known_leader before believing that
 * something is gone. */
typedef void consul_watch_fn(void *arg, struct consul_response *response, bool changed);

struct consul_watch_options {
    const char *path;        /* without index and wait; may have a query string; copied */
    const char *consistency; /* "stale", "consistent" or NULL for default; copied */
    const char *dc;          /* or NULL; copied */
    nstime wait;             /* default 5 min; 4 s at first, doubling; up to a sixteenth less, at random */
    nstime grace; /* default 10 s; the transfer may take wait + wait/16 + grace, and grace without an index */
    double rate;  /* token bucket: rounds a second at most in the long run (default 10) */
    unsigned burst; /* default 2 */
    double octets;  /* of bodies a second at most, likewise: large ones come at a lower rate; 0: no limit */
    size_t max_body;
};
/* The first query, without an index, goes out at once. */
struct consul_watch *consul_watch_new(struct consul_client *client,
                                      const struct consul_watch_options *options, consul_watch_fn *callback,
                                      void *arg);
void consul_watch_free(struct consul_watch *watch); /* NULL is allowed; also from within its callback */
/* Ask now (within the rate), without index (after a loss of trust in what we have). */
void consul_watch_restart(struct consul_watch *watch);

/* --- JSON bodies for writes ----------------------------------------------------------------------- */

/* PUT with a JSON body; NULL: an empty one. Takes the reference to `json` (jansson "steals"). */
struct consul_request *consul_put_json(struct consul_client *client, const char *path, json_t *json,
                                       nstime timeout, consul_response_fn *callback, void *arg);
/* One operation of a transaction, to be appended to the array given to consul_txn (1 to 64; 512 KiB in
 * all, base64 included). value is raw and is base64-encoded here; NULL: none. index 0 is Consul's default and
 * means "must not exist" to `cas`. */
json_t *consul_txn_op(const char *verb, const char *key, const void *value, size_t value_len,
                      const char *session, uint64_t index);
/* All or nothing. Takes the reference to ops. 409: refused, nothing was done; error says which operation. */
struct consul_request *consul_txn(struct consul_client *client, json_t *ops, nstime timeout,
                                  consul_response_fn *callback, void *arg);
/* Body for PUT /v1/session/create: bound to serfHealth (the host) and to the service check check_id (the
 * process; NULL: none), LockDelay 0, behaviour release. Consul doubles ttl, 10 s at least. The check must be
 * in the catalog already, some 100 ms after its registration, and not critical: else 500. */
json_t *consul_session_json(const char *name, const char *check_id, nstime ttl);

struct consul_service { /* one instance with one TTL check; borrowed */
    const char *id, *name;
    const char *const *tags;
    size_t tag_count;
    const char *address; /* NULL: the node's */
    uint16_t port;
    const char *check_id, *check_name; /* check_name NULL: check_id */
    nstime check_ttl;                  /* whole ms; Consul has no minimum */
    const char *check_status;          /* "passing" at first; NULL: as it is (a new one: critical) */
    nstime deregister_after;           /* of being critical; Consul's minimum is 1 min; 0: never */
};
/* Body for PUT /v1/agent/service/register. Registering again keeps sessions. */
json_t *consul_service_json(const struct consul_service *service);

/* --- what comes back ------------------------------------------------------------------------------ */

/* Any JSON value, or NULL with err. Costs about 40 ns an octet: on main only for bodies up to 64 KiB; larger
 * ones belong to the builder. */
json_t *consul_json(const struct buf *body, struct err *err);

#define CONSUL_SESSION_SIZE 37 /* a UUID and NUL */
struct consul_kv {
    char *key;
    struct buf value;                  /* raw */
    char session[CONSUL_SESSION_SIZE]; /* empty: not locked */
    uint64_t create_index, modify_index, lock_index, flags;
};
/* The answer to GET /v1/kv/...: count entries, to be freed with consul_kv_free. Returns 0, or -1 with err. */
int consul_kv_parse(const struct buf *body, struct consul_kv **out, size_t *count, struct err *err);
/* The same for the answer to a transaction (200): one entry for each operation that returns one; values only
 * of `get` and `get-tree`. */
int consul_txn_parse(const struct buf *body, struct consul_kv **out, size_t *count, struct err *err);
void consul_kv_free(struct consul_kv *list, size_t count);
/* The answer to PUT /v1/session/create. Returns 0, or -1 with err. */
int consul_session_parse(const struct buf *body, char out[CONSUL_SESSION_SIZE], struct err *err);
/* ?acquire=, ?release= and ?cas= tell in the body whether they did it: `true`. */
bool consul_is_true(const struct buf *body);

/* Base64 of KV values (RFC 4648 section 4), appended to out. Decoding is strict: returns 0, or -1 if
 * malformed with out as before. */
int consul_base64_decode(const char *text, struct buf *out);
void consul_base64_encode(const void *data, size_t len, struct buf *out);
