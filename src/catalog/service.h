/* What the files that render services share. Private to catalog/. */
#pragma once

#include "internal.h"

/* --- instance.c: one instance --------------------------------------------------------------------- */

/* Where an instance is reached, after Consul's rules. */
struct endpoint {
    const struct address *address;
    const struct address *second; /* in the other family; of kind ADDRESS_NONE: none */
    const char *host;             /* ADDRESS_HOST */
    bool own;                     /* the address is not the one that the node's name has */
};
struct endpoint endpoint_of(const struct catalog *catalog, const struct service *service,
                            const struct view_instance *instance);

/* Consul's filter: no check of its own nor of its node is critical, nor any but passing with `only-passing`;
 * and there is an address to answer with. */
bool instance_is_healthy(const struct config_service *policy, const struct view *view,
                         const struct view_instance *instance);
bool instance_has_address(const struct view *view, const struct view_instance *instance);
uint16_t instance_weight(const struct view_instance *instance);
/* From its metadata, if the policy heeds that; else 1, Consul's. */
uint16_t instance_priority(const struct config_service *policy, const struct view *view,
                           const struct view_instance *instance);
/* Lowers *ttl to what its metadata says, or sets it if `first`. Returns whether it said something. */
bool instance_ttl(const struct config_service *policy, const struct view *view,
                  const struct view_instance *instance, bool first, uint32_t *ttl);
/* Keys of metadata that are for us. */
#define METADATA_PREFIX   "lictor-"
#define METADATA_PRIORITY METADATA_PREFIX "priority"
#define METADATA_TTL      METADATA_PREFIX "ttl"

/* The target of its SRV record: the node's name if the service has no address of its own, `.addr` if it has
 * an IP, else the host name. The case of a registered node stays. Returns the length, or -1. */
int instance_target(const struct service *service, size_t zone, const struct view_instance *instance,
                    const struct endpoint *end, uint8_t name[NAME_MAX_WIRE]);

/* report.c: "" if the instance is in the answers, else the check that keeps it out. */
void instance_reason(const struct service *service, const struct view_instance *instance, char out[512]);

/* --- answer_set.c: sets of instances ------------------------------------------------------------- */

/* Fills next's sets, and what it says of them, from the service's view: the set without a tag first, then
 * those of each registered tag. */
void answer_sets_make(struct catalog *catalog, const struct service *service, struct service *next);
void answer_sets_free(struct service *service);
/* The order in which they stand. */
int answer_sets_compare(const struct answer_set *a, const struct answer_set *b);
/* Is there a set of this folded tag (NULL: without one)? */
bool answer_sets_have(const struct service *service, const char *tag);

/* --- members.c ----------------------------------------------------------------------------------- */

uint16_t slot_type(size_t slot);

/* --- owners.c: their names ----------------------------------------------------------------------- */

enum owner_kind {
    OWNER_PLAIN,   /* [TAG.]NAME.service */
    OWNER_RFC2782, /* _NAME._TAG.service */
    OWNER_SHORT,   /* _NAME._TAG.DOMAIN */
};
struct owner {
    uint8_t name[NAME_MAX_WIRE];
    enum owner_kind kind;
};
#define OWNERS_MAX 6

/* The names of a set in one zone. A name that DNS cannot have is left out. */
size_t owners_of(const struct service *service, const struct answer_set *set, size_t zone,
                 struct owner owners[OWNERS_MAX]);
/* Is the plain name of this tag that of a service with dots in its name (or of its tag)? The longest
 * registered name of a service that the labels before `.service` end in has it, healthy or not, so that one
 * service never answers for another. */
bool is_shadowed(const struct catalog *catalog, const struct service *service, const char *tag);
/* Calls visit for each service whose tags' names the service may take: those whose names its own ends in. */
void each_shadowed(struct catalog *catalog, const struct service *service,
                   void (*visit)(struct catalog *catalog, struct service *shorter));
/* What of a set stands at an owner, or NULL. */
struct piece *piece_at(const struct answer_set *set, size_t slot, enum owner_kind kind);

/* --- render_service.c ---------------------------------------------------------------------------- */

/* Puts the RRsets of now that differ from those of before. Either may be NULL. */
void edit_set(struct catalog *catalog, const struct service *service, const struct answer_set *before,
              const struct answer_set *now);

/* --- combination.c: several tags in one name ----------------------------------------------------- */

/* Is this the instance that `blue.and.not.v1` (folded) means? */
bool combination_matches(const char *text, const struct view *view, const struct view_instance *instance);

/* --- fallback.c: instances of other datacenters -------------------------------------------------- */

/* The service of the same name in the i-th of the datacenters that its policy names, or NULL. */
const struct service *fallback_service(const struct catalog *catalog, const struct service *service,
                                       size_t i);
