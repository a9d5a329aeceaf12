/* The health view: nodes, services and checks as Consul's catalog has them, and what `consul.` therefore
 * contains. No I/O. Builder thread only (or any one thread before the builder has work).
 *
 * Bodies go in as Consul sends them. The view is compact; names are case-insensitive, as in Consul, so keys
 * are folded: `Redis` and `redis` are one service. Only names whose records changed are edited, so a change
 * costs the service that changed and an unchanged body costs its parsing. One piece serves all the names of
 * one set of instances. The caller takes the new versions of the zones and publishes them.
 *
 * There is one view a datacenter: the local one, whose names stand with and without the datacenter's label,
 * and remote ones, whose names have it. `datacenter` is NULL or the local one's name for the local one;
 * others come into being with catalog_add_datacenter, the first body, or a restored view.
 *
 * Names (each of the local datacenter also without its label):
 *   NAME.service, TAG.NAME.service            A, AAAA, SRV, TXT if the policy says so (or CNAME)
 *   _NAME._TAG.service, _NAME._tcp.service    the same, but for the CNAME
 *   _NAME._TAG, _NAME._tcp                    SRV (and TXT)
 *   TAG.and.TAG.NAME.service, not.TAG...      as TAG.NAME, from when they are asked for (catalog_ask_tags)
 *   NODE.node                                 A, AAAA, TXT of its metadata (or CNAME alone)
 *   HEX.addr                                  computed, in no transfer
 *   NAME.DC.dc                                computed: what NAME.DC is
 * In the reverse zones, PTR: NODE.node.DC of the nodes at an address, else NAME.service.DC of the services
 * whose own address it is.
 * Where they differ from Consul's own, on purpose: a service whose instances are all host names has a CNAME
 * alone at NAME.service and TAG.NAME.service (RFC 1034 section 3.6.2 allows nothing beside it) and its SRV
 * records only at the names of RFC 2782; SRV targets are in the domain that was asked; A at the short form is
 * NODATA, since SRV is there.
 *
 * Services and tags may have dots. `x.a.b.service` is that of the longest registered name of a service that
 * `x.a.b` ends in, with the rest as its tag, healthy or not; if that has no such tag, of the next shorter
 * one. A tag answers, and can be the last resort, as the service does: by what its own instances are. */
#pragma once

#include "lictor/ask.h"
#include "lictor/buf.h"
#include "lictor/config.h"
#include "lictor/zone.h"

#include <jansson.h>

struct catalog;

/* `domain` and `alt_domain`; and the reverse zones. */
#define CATALOG_DOMAINS_MAX 2
#define CATALOG_ZONES_MAX   (CATALOG_DOMAINS_MAX + CONFIG_REVERSE_MAX)

/* config is copied. datacenter: NULL while it is not known; until then there is no zone. state: of the zone;
 * the alt domain's zone shares it. It outlives every version of the zones. */
struct catalog *catalog_new(const struct config_services *config, const char *datacenter,
                            struct zone_state *state);
/* Once no reader can hold a version of a zone: they refer to data of the catalog (computed names). */
void catalog_free(struct catalog *catalog);

/* A reload: renders everything anew with these TTLs and domains. */
void catalog_configure(struct catalog *catalog, const struct config_services *config);
/* Also learnt from the first body of /v1/catalog/nodes and from a restored view. Returns whether it was new
 * (everything is then rendered anew). */
bool catalog_set_datacenter(struct catalog *catalog, const char *datacenter);
/* NULL: not known. */
const char *catalog_datacenter(const struct catalog *catalog);

/* --- remote datacenters --------------------------------------------------------------------------- */

/* Makes its names possible and returns its state, which the query engine heeds besides the zone's: `held` is
 * set until whoever keeps it current clears it (its names are SERVFAIL, EDE 14, or with a dead_from that has
 * passed EDE 22), stale_from and dead_from mean what they mean for a zone. The state lives as long as the
 * catalog. The local datacenter's is the zone's. NULL: the name cannot be a label, or there are more than
 * ZONE_ORIGINS_MAX. */
struct zone_state *catalog_add_datacenter(struct catalog *catalog, const char *datacenter);
/* Its names do not exist any more (NXDOMAIN). Returns 1 if it had records, else 0. The local one stays. */
int catalog_remove_datacenter(struct catalog *catalog, const char *datacenter);
/* While it is being read for the first time nothing of it is in the zones, nor does anything fall back to it:
 * part of a view must not be taken for the whole, be it in a transfer. No effect if it has a view. */
void catalog_hide_datacenter(struct catalog *catalog, const char *datacenter);
/* Its view is complete. */
void catalog_show_datacenter(struct catalog *catalog, const char *datacenter);
/* Calls visit for each remote datacenter (lower-case). */
void catalog_each_datacenter(const struct catalog *catalog, void (*visit)(void *arg, const char *datacenter),
                             void *arg);

/* --- what Consul says ---------------------------------------------------------------------------- */

/* Each returns 1 if the view changed, 0 if not, -1 with err if the body is not what Consul sends (nothing is
 * changed then). */

/* Body of /v1/health/service/NAME: the whole truth about one service. An empty list removes it. */
int catalog_put_service(struct catalog *catalog, const char *datacenter, const char *service,
                        const char *body, size_t len, struct err *err);
int catalog_remove_service(struct catalog *catalog, const char *datacenter, const char *service);
/* Body of /v1/catalog/nodes: the whole truth about nodes. An empty list removes them all: whether to believe
 * that is the caller's (watch/). */
int catalog_put_nodes(struct catalog *catalog, const char *datacenter, const char *body, size_t len,
                      struct err *err);

/* The same in two steps, for who wants to look before believing: parse, compare, apply or drop. service NULL:
 * the list of nodes. Facts and apply are of the view as it is then. */
struct catalog_update;
struct catalog_facts {
    unsigned had;  /* instances (or nodes) in the view */
    unsigned has;  /* in the body */
    unsigned view; /* instances of all services in the view */
};
struct catalog_update *catalog_update_parse(struct catalog *catalog, const char *datacenter,
                                            const char *service, const char *body, size_t len,
                                            struct err *err);
void catalog_update_facts(const struct catalog_update *update, struct catalog_facts *out);
/* X-Consul-Index of the body, before checks are merged. */
void catalog_update_index(struct catalog_update *update, uint64_t index);
/* Is the body older than what the view has? *known: the highest index there. */
bool catalog_update_is_older(const struct catalog_update *update, uint64_t *known);
/* Adds what the view has beyond the body: what is there is believed, what is missing is not yet. */
void catalog_update_keep(struct catalog_update *update);
/* Merges what a list of checks knows (below) before it is applied. */
struct catalog_check;
void catalog_update_check(struct catalog_update *update, const struct catalog_check *check);
/* Calls visit for each node that has an instance in it. */
void catalog_update_nodes(const struct catalog_update *update, void (*visit)(void *arg, const char *node),
                          void *arg);
int catalog_update_apply(struct catalog_update *update); /* and frees it; returns 1 or 0 */
void catalog_update_free(struct catalog_update *update);

/* Body of /v1/coordinate/nodes: how far the nodes are from `node`, the agent's, for services with the order
 * `nearest`. Without it, and for nodes without a coordinate, their order is the fixed one. Returns 1 if a
 * distance changed, 0, or -1 with err. */
int catalog_put_coordinates(struct catalog *catalog, const char *node, const char *body, size_t len,
                            struct err *err);
/* One check, as /v1/health/state/X and /v1/health/node/N show it. Of two states of one check (node, ID and
 * instance) the one with the higher ModifyIndex counts, whichever came last: every change of a check raises
 * it, and nothing else does. */
struct catalog_check {
    const char *node, *id, *name;
    const char *service_id; /* "": the node's own, which counts for all its instances */
    const char *service;    /* name; "" for the node's own */
    const char *status, *output;
    uint64_t modified;
};
/* Applies one check's state at once. Returns 1 if the view changed, 0 if it knew this or something newer, -1
 * if no instance is known that it belongs to. */
int catalog_put_check(struct catalog *catalog, const char *datacenter, const struct catalog_check *check);
/* All checks of one node, with the reply's X-Consul-Index: decides about those that left a list. visit: a
 * service that must be read, since a check of its own, or an instance with it, is gone. Returns 1 if the view
 * changed, or 0. */
int catalog_put_node_checks(struct catalog *catalog, const char *datacenter, const char *node,
                            const struct catalog_check *checks, size_t count, uint64_t index,
                            void (*visit)(void *arg, const char *service), void *arg);
/* A check left its list, where it stood like this: does the view not know yet what became of it? */
bool catalog_is_behind(const struct catalog *catalog, const char *datacenter,
                       const struct catalog_check *left);
/* Consul was restored or is another one: its indexes began anew. What comes next is believed whatever index
 * it has. */
void catalog_forget_indexes(struct catalog *catalog, const char *datacenter);

/* Who answers for the zone: NS records `<node>.ns.<domain>` with addresses; equal nodes with several
 * addresses are one name. Without any (and without names in the configuration's `ns`) NS is `ns.<domain>`,
 * with no address: the caller puts at least itself. Texts are copied; an address that is not an IP is left
 * out. Returns 1 if it differs from before. */
struct catalog_ns {
    const char *node;
    const char *address; /* IPv4 or IPv6 text, without port; NULL or "": none */
};
int catalog_put_ns(struct catalog *catalog, const struct catalog_ns *ns, size_t count);

/* Somebody asks for tags together (`blue.and.v2.web.service.consul`, a name in lower case): puts the name
 * into the zone and keeps it there, as one of CATALOG_COMBINATIONS_MAX. Whether it has records; take the
 * zones then. */
#define CATALOG_COMBINATIONS_MAX 1024
bool catalog_ask_tags(struct catalog *catalog, const uint8_t *name);

/* --- what DNS gets ------------------------------------------------------------------------------- */

/* Commits what changed: the new versions (each a new reference) of those zones that changed since the last
 * call, the serial of each one higher. Returns how many; 0 also while the datacenter is unknown. The first
 * call that gives zones gives them all, empty ones too. */
size_t catalog_take_zones(struct catalog *catalog, struct zone *out[CATALOG_ZONES_MAX]);
/* New random orders for weighted RRsets that were asked since the last time (about once a second). Serials
 * stay. Returns how many RRsets; take the zones if any. */
unsigned catalog_redraw(struct catalog *catalog, struct rng *rng);

/* --- names that are asked for one at a time (ondemand.h) ---------------------------------------------- */

struct catalog_asked {
    enum ask_kind kind;  /* ASK_QUERY: body of /v1/query/X/execute; else of /v1/health/... */
    size_t zone;         /* SRV targets are below 0 `domain` or 1 `alt-domain` */
    const char *service; /* lower case; of ASK_QUERY the query, whose answer names the service */
    bool rfc2782;        /* for a name of RFC 2782 */
    bool keep_order;     /* the order of the body is the order of the answer: the nearest first */
};
struct catalog_rrsets {
    struct piece *pieces[4]; /* a reference each is the caller's */
    size_t count;
    uint32_t ttl;
};
/* Renders as services are rendered, without keeping anything. Returns 1 with out filled in; 0: no instance,
 * the name does not exist; -1 with err. */
int catalog_render_asked(struct catalog *catalog, const struct catalog_asked *what, const char *body,
                         size_t len, struct catalog_rrsets *out, struct err *err);

/* --- which services are asked for ------------------------------------------------------------------ */

/* With `watch = "asked"`: the names (folded; values do not matter) of all services that there are. A name
 * that is missed in a zone and is one of these is asked for (ASK_SERVICE, the name's labels), any other does
 * not exist. Before the first call every one is asked for. */
struct strmap;
void catalog_put_names(struct catalog *catalog, const struct strmap *names);
/* This one (folded) is in the view: what the zone does not have of it does not exist. Before it is taken out
 * of the view: false. */
void catalog_set_watched(struct catalog *catalog, const char *service, bool watched);
/* Calls visit for each local service that was asked for since the last call. */
void catalog_take_used(struct catalog *catalog, void (*visit)(void *arg, const char *service), void *arg);

/* --- for the operator, triggers and metrics ------------------------------------------------------ */

/* All services (name NULL) or one, with instances, addresses, checks and what DNS makes of each ("in
 * answers", or why not). NULL if there is no such service. New reference. */
json_t *catalog_services_json(const struct catalog *catalog, const char *datacenter, const char *name);
/* With those that are registered elsewhere only, where the policy looks for them; the same that
 * catalog_each_service visits. */
size_t catalog_service_count(const struct catalog *catalog, const char *datacenter);
size_t catalog_instance_count(const struct catalog *catalog, const char *datacenter);
size_t catalog_node_count(const struct catalog *catalog, const char *datacenter);

struct catalog_stats {
    uint64_t edits;         /* RRsets put or removed since the start: what changes cost */
    uint64_t bad_names;     /* services, tags and nodes seen so far that cannot be DNS names */
    uint64_t bad_addresses; /* registrations seen so far whose address is neither IP nor host name */
    uint64_t bad_ports, duplicates;
};
void catalog_stats(const struct catalog *catalog, struct catalog_stats *out);

struct catalog_health {
    unsigned instances, passing, warning, critical, answering;
};
/* Returns 1 and fills out, or 0 if the service is not known. */
int catalog_service_health(const struct catalog *catalog, const char *datacenter, const char *service,
                           struct catalog_health *out);
/* Calls visit for each service name (lower-case), in no particular order. */
void catalog_each_service(const struct catalog *catalog, const char *datacenter,
                          void (*visit)(void *arg, const char *service, const struct catalog_health *health),
                          void *arg);
/* Calls visit for each service with an instance on this node. */
void catalog_services_on_node(const struct catalog *catalog, const char *datacenter, const char *node,
                              void (*visit)(void *arg, const char *service), void *arg);

/* One instance of a service, for who makes records of its own from it. Everything is borrowed. */
struct catalog_endpoint {
    const char *node, *id;
    const uint8_t *ipv4, *ipv6; /* NULL: it has none */
    const char *host;           /* a host name instead of addresses; NULL: none */
    int port;                   /* -1: none */
    uint16_t weight, priority;
    bool healthy; /* after the policy of its service */
    const void *service, *instance;
};
/* Calls visit for each instance of `web`, `tag.web` or, with dots in names, of the longest registered name
 * that the text (lower case) ends in. Returns how many; a service that is not known has none. */
size_t catalog_each_endpoint(const struct catalog *catalog, const char *datacenter, const char *text,
                             void (*visit)(void *arg, const struct catalog_endpoint *endpoint), void *arg);
/* The same for the answer of a prepared query, whose instances Consul has chosen: all are healthy. Returns
 * how many, or -1 with err. */
int catalog_each_query_endpoint(const struct catalog *catalog, const char *body, size_t len,
                                void (*visit)(void *arg, const struct catalog_endpoint *endpoint), void *arg,
                                struct err *err);
/* Which check says that it is not healthy; "" if none does. Within visit. */
void catalog_endpoint_reason(const struct catalog_endpoint *endpoint, char out[512]);
/* Is this (lower case) the service that the text of catalog_each_endpoint means, or one that it may mean? */
bool catalog_endpoint_means(const char *text, const char *service);

/* `<service>.health.lictor. TXT`: the counts, then a line an instance with its address and, if it is out of
 * the answers, the check that says so. Lines are printable ASCII, at most 255 octets. No line for a service
 * that is not known. */
void catalog_health_text(const struct catalog *catalog, const char *datacenter, const char *service,
                         void (*line)(void *arg, const char *text), void *arg);
/* Calls visit for each service (lower-case) whose text may have changed since the last call, removed ones
 * too. datacenter: NULL for the local one. */
void catalog_take_changed(struct catalog *catalog,
                          void (*visit)(void *arg, const char *datacenter, const char *service), void *arg);

/* --- warm start ---------------------------------------------------------------------------------- */

/* A self-contained dump of the views. as_of: CLOCK_REALTIME ns of the last contact with Consul; a remote
 * datacenter that is stale is saved with its own. */
void catalog_save(const struct catalog *catalog, nstime as_of, struct buf *out);
/* The same in steps, between which the catalog may change: begin appends the beginning, each call of some
 * appends the next part, of about so many octets. LOST: a datacenter went away in the middle, and what was
 * written is of no use. catalog_save_end at any time; NULL is allowed. */
struct catalog_saving;
enum catalog_saved { CATALOG_SAVED, CATALOG_SAVE_MORE, CATALOG_SAVE_LOST };
struct catalog_saving *catalog_save_begin(const struct catalog *catalog, nstime as_of, struct buf *out);
enum catalog_saved catalog_save_some(struct catalog_saving *saving, size_t octets, struct buf *out);
void catalog_save_end(struct catalog_saving *saving);
/* Loads it into an empty catalog. The states of remote datacenters are stale as of then. 0, or -1 with err
 * (the catalog is then as it was). A configured datacenter other than the saved one is an error: it is
 * another Consul. */
int catalog_restore(struct catalog *catalog, const char *data, size_t len, nstime *as_of, struct err *err);
