/* The health view: nodes, services and checks as Consul's catalog has them, and what `consul.` therefore
 * contains. No I/O. Builder thread only.
 *
 * catalog_* takes parsed or raw JSON bodies as Consul sends them, updates the view, and edits the zone: only
 * names of services that changed are rendered again. The caller commits and publishes. */
#pragma once

#include "lictor/buf.h"
#include "lictor/config.h"
#include "lictor/zone.h"

#include <jansson.h>

struct catalog;

/* config is copied where needed. state: of the `consul.` zone. */
struct catalog *catalog_new(const struct config_services *config, const char *datacenter,
                            struct zone_state *state);
void catalog_free(struct catalog *catalog);

/* Each returns 1 if an answer changed, 0 if not, -1 with err if the body is not what Consul sends (nothing is
 * changed then). */

/* Body of /v1/health/service/NAME: the whole truth about one service. An empty list removes it. */
int catalog_put_service(struct catalog *catalog, const char *dc, const char *service, const char *body,
                        size_t len, struct err *err);
/* Body of /v1/catalog/nodes: the whole truth about nodes. */
int catalog_put_nodes(struct catalog *catalog, const char *dc, const char *body, size_t len, struct err *err);
int catalog_remove_service(struct catalog *catalog, const char *dc, const char *service);
/* Who answers for the zone: NS records `<node>.ns.<domain>` with addresses. Texts are copied. */
struct catalog_ns {
    const char *node;
    const char *address; /* IPv4 or IPv6 text */
};
int catalog_put_ns(struct catalog *catalog, const struct catalog_ns *ns, size_t count);

/* The zone's current version with every change so far (a new reference), or NULL before anything is known. */
struct zone *catalog_zone(struct catalog *catalog);

/* For the operator: all services (name NULL) or one, with instances, addresses, checks and what DNS makes of
 * each ("in answers", or why not). */
json_t *catalog_services_json(const struct catalog *catalog, const char *name);
size_t catalog_service_count(const struct catalog *catalog);
size_t catalog_instance_count(const struct catalog *catalog);
/* The worst status and counts of a service, for triggers and TXT: returns 0 if unknown. */
struct catalog_health {
    unsigned instances, passing, warning, critical, answering;
};
int catalog_service_health(const struct catalog *catalog, const char *service, struct catalog_health *out);
/* Calls visit for each service name of the local datacenter (lower-case). */
void catalog_each_service(const struct catalog *catalog,
                          void (*visit)(void *arg, const char *service, const struct catalog_health *health),
                          void *arg);

/* Saving and warm start: a self-contained dump of the view, and loading it into an empty catalog. */
void catalog_save(const struct catalog *catalog, struct buf *out);
int catalog_restore(struct catalog *catalog, const char *data, size_t len, struct err *err);
