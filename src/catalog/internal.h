/* What the files of catalog/ share. */
#pragma once

#include "view.h"

#include "lictor/catalog.h"
#include "lictor/strmap.h"

/* The RRsets of one set of instances. A, AAAA and CNAME are the same in every zone; SRV targets are in the
 * zone's own domain. */
enum slot { SLOT_A, SLOT_AAAA, SLOT_CNAME, SLOT_TXT, SLOT_SRV, SLOTS = SLOT_SRV + CATALOG_DOMAINS_MAX };

/* Of a saved view: save.c, restore.c. */
#define SAVED_VERSION 1

#define DIGEST_LEN 16

struct rrset {
    struct piece *piece;        /* NULL: no such RRset */
    uint8_t digest[DIGEST_LEN]; /* of everything the piece was made from: equal digests, equal pieces */
};

/* All instances that answer (tag NULL), or those with one tag. There is one for each tag that is registered,
 * be nothing in it. */
struct answer_set {
    char *tag;      /* folded */
    unsigned forms; /* bits of struct place's forms: the names that it is for */
    bool shadowed;  /* its plain names are those of a service with a longer name: owners.c */
    struct rrset slots[SLOTS];
};
#define ALL_FORMS 3u

struct service {
    char *name; /* folded */
    struct datacenter *datacenter;
    struct view *view; /* without instances: not registered here, but where its policy falls back to */
    struct config_service policy; /* of the present configuration; lists are the catalog's */
    bool last_resort;             /* nothing is healthy: all that there is answers */
    const char *fallback;         /* the datacenter whose instances answer instead, or NULL */
    struct answer_set *sets;      /* by tag, the one without a tag first */
    size_t set_count;
    char **combinations; /* of tags, which were asked for: combination.c */
    size_t combination_count;
};

struct node {
    char *name;                     /* as registered */
    char *host;                     /* ADDRESS_HOST only */
    struct address address, second; /* second: of the other family; ADDRESS_NONE: none */
    char *metadata;                 /* `key NUL value NUL`, by key */
    size_t metadata_len;
    struct piece *pieces[2]; /* of its addresses */
    struct piece *txt;       /* of its metadata */
    struct datacenter *datacenter;
};

/* Where the names of a datacenter stand in one zone: the local one's without the datacenter's label, and with
 * it; a remote one's with it only. */
struct place {
    uint8_t service[2][NAME_MAX_WIRE], node[2][NAME_MAX_WIRE];
    unsigned forms;              /* of the two that there are; the last one has the label, if any has */
    uint8_t addr[NAME_MAX_WIRE]; /* addr.DC.DOMAIN */
};

/* One datacenter's view. */
struct datacenter {
    char *name;              /* folded; NULL: the local one while it is unknown, or a remote one that went */
    bool hidden;             /* being read: nothing of it is rendered, and nothing falls back to it */
    uint8_t origin;          /* its number: in catalog->datacenters and for the query engine. 0: local */
    struct strmap *services; /* folded name -> struct service */
    struct strmap *nodes;    /* folded name -> struct node */
    struct strmap *changed;  /* folded names, for catalog_take_changed */
    size_t instance_count;
    struct place places[CATALOG_DOMAINS_MAX];
};

struct nameserver {
    char *node;
    struct address address;
};

/* A zone that is being kept: the version taken last and the edit since then. */
struct zone_out {
    uint8_t apex[NAME_MAX_WIRE];
    struct zone *zone;
    struct zone_edit *edit;
    /* Below which name the name servers have theirs: the zone itself, or for a reverse zone the domain. */
    const uint8_t *domain;
    bool changed; /* the edit changes contents (not only the order of records): a new serial */
    uint32_t serial;
};

struct computed; /* what the computed names of a zone need */

/* known.c: names of services where only those asked for are in the view. */
struct known_names;
struct known {
    _Atomic(struct known_names *) names; /* NULL: the list has not come in yet */
    bool only_asked;                     /* does not change */
};

struct catalog {
    struct config_services config;
    struct zone_state *state;
    struct known known;
    struct zone_origins *origins; /* of remote datacenters, for the query engine */
    struct datacenter
        *datacenters[ZONE_ORIGINS_MAX]; /* the local one first; the others stay where they are */
    size_t datacenter_count;
    struct nameserver *ns; /* sorted by node */
    size_t ns_count;
    bool dotted; /* a service with a dot in its name has been seen */
    struct zone_out zones[CATALOG_DOMAINS_MAX];
    size_t zone_count;         /* 0 while the local datacenter is unknown */
    struct strmap *distances;  /* of nodes: coordinates.c; NULL: not known */
    size_t combination_count;  /* of all services; those of services that went count on */
    struct reverse *reverse;   /* NULL: no reverse zones, or the local datacenter is unknown */
    struct computed *computed; /* every one ever given to a zone: versions may still use them */
    struct catalog_stats stats;
    struct view_faults faults;
};

/* --- output.c: the zones ------------------------------------------------------------------------- */

/* Starts the zones anew, empty, from the configuration and the datacenter; the old versions are dropped. */
void output_start(struct catalog *catalog);
void output_stop(struct catalog *catalog);
/* Sets (piece NULL: removes) one RRset. */
void output_put(struct catalog *catalog, struct zone_out *out, const uint8_t *owner, uint16_t type,
                struct piece *piece);
struct zone_edit *output_edit(struct zone_out *out);
/* Does the name own records, the edit's included? */
bool output_has(const struct zone_out *out, const uint8_t *name);
/* Between the two only orders of records change: no new serial, no edits to count. */
struct quiet {
    bool changed[CATALOG_DOMAINS_MAX];
    uint64_t edits;
};
void quiet_begin(const struct catalog *catalog, struct quiet *quiet);
void quiet_end(struct catalog *catalog, const struct quiet *quiet);
uint32_t ttl_seconds(nstime ttl);

/* Each zone that is being kept, the domains' first: for (size_t i = 0; (out = output_next(catalog, &i));) */
struct zone_out *output_next(const struct catalog *catalog, size_t *i);
/* A zone of its own, empty. miss: computed names; may be NULL. */
void output_start_zone(struct catalog *catalog, struct zone_out *out, const uint8_t *apex,
                       zone_miss_fn *miss);
void output_stop_zone(struct zone_out *out);

/* --- reverse.c: the zones of addresses ------------------------------------------------------------- */

/* Of the configured ranges, empty. After the domains' zones. */
void reverse_start(struct catalog *catalog);
void reverse_stop(struct catalog *catalog);
size_t reverse_count(const struct catalog *catalog);
struct zone_out *reverse_zone(const struct catalog *catalog, size_t i);
/* A node comes (or goes) with its address. Remote ones do not count. */
void reverse_node(struct catalog *catalog, const struct node *node, bool comes);
/* A service's addresses change from those of before to those of now; either may be NULL. */
void reverse_service(struct catalog *catalog, const struct service *service, const struct view *before,
                     const struct view *now);
/* Puts what changed into the zones. */
void reverse_flush(struct catalog *catalog);

/* --- apex.c -------------------------------------------------------------------------------------- */

void apex_put_soa(struct catalog *catalog, struct zone_out *out);
/* NS and the name servers' addresses. */
void apex_put_ns(struct catalog *catalog, struct zone_out *out);
/* Removes what apex_put_ns put, before the list changes. */
void apex_remove_ns(struct catalog *catalog, struct zone_out *out);

/* --- computed.c ---------------------------------------------------------------------------------- */

/* For zone_edit_new. Lives until the catalog is freed. */
const struct computed *computed_new(struct catalog *catalog, const struct zone_out *out);
void computed_free_all(struct catalog *catalog);
int computed_miss(const void *arg, const uint8_t *lower_qname, struct zone_computed *out);

/* --- render_service.c, fallback.c ---------------------------------------------------------------- */

/* Is it in the answers of its service's name? */
bool instance_answers(const struct service *service, const struct view_instance *instance);
/* Brings the zones up to the service's view: edits the names whose records differ from what is there. */
void render_service(struct catalog *catalog, struct service *service);
/* Forgets what was rendered without editing (the zones are gone). */
void render_forget(struct service *service);
/* Removes all of its names. */
void unrender_service(struct catalog *catalog, struct service *service);

/* Services that answer from other datacenters. After a change of a service of this datacenter. */
void fallback_changed(struct catalog *catalog, const struct datacenter *datacenter, const char *folded);
/* After a change of the configuration: which services are there only because of their fallback. */
void fallback_reconcile(struct catalog *catalog);
/* Does a service without instances stay, for those of another datacenter? */
bool fallback_keeps(const struct catalog *catalog, const struct service *service);

/* --- combination.c ------------------------------------------------------------------------------- */

enum combination {
    NO_COMBINATION,
    COMBINATION,      /* `blue.and.v1.web`, `not.v1.web` */
    COMBINATION_PART, /* `and.v1.web`: the end of one */
};
/* What the labels before `service` are. Worker threads. */
enum combination combination_in(const uint8_t *qname, const uint8_t *service_label);
void combinations_free(struct service *service);

/* --- coordinates.c ------------------------------------------------------------------------------- */

#define COORDINATES_FAR UINT32_MAX
/* Milliseconds from our agent's node to this one; COORDINATES_FAR: not known. */
uint32_t coordinates_distance(const struct catalog *catalog, const char *node);

/* --- render_node.c ------------------------------------------------------------------------------- */

void render_node(struct catalog *catalog, struct node *node);
void unrender_node(struct catalog *catalog, struct node *node);
/* Drops what was rendered without editing (the zones are gone). */
void node_forget(struct node *node);
void node_free(void *node);

/* --- known.c ------------------------------------------------------------------------------------- */

void known_free(struct known *known);
/* Workers: the labels from name up to end, lower case, are not in the zone; behind them stands `service`
 * (service_label), or the datacenter or the domain. Returns ZONE_ASK if they are of a service that must be
 * asked for, else 0. */
int known_miss(const struct known *known, const uint8_t *name, const uint8_t *end, bool service_label,
               struct zone_computed *out);

/* --- datacenter.c -------------------------------------------------------------------------------- */

static inline struct datacenter *local_datacenter(const struct catalog *catalog)
{
    return catalog->datacenters[0];
}
/* By name in any case; NULL: the local one. NULL if there is none. */
struct datacenter *datacenter_find(const struct catalog *catalog, const char *name);
/* The same, or a new one. NULL: its name cannot be a label, or there are too many. */
struct datacenter *datacenter_get(struct catalog *catalog, const char *name);
/* The next one that has a name (and the local one always): for (size_t i = 0; (dc = ...(catalog, &i));) */
struct datacenter *datacenter_next(const struct catalog *catalog, size_t *i);
void datacenter_list_new(struct catalog *catalog);
void datacenter_list_free(struct catalog *catalog);
/* Once zones have been started: where its names are. */
void datacenter_place(const struct catalog *catalog, struct datacenter *datacenter);
/* Are its nodes and services reached by their `wan` addresses? NULL: no. */
bool datacenter_is_translated(const struct catalog *catalog, const struct datacenter *datacenter);
bool datacenter_fits(const struct catalog *catalog, const char *folded);
/* Removes all that it has from the zones and from the view. */
void datacenter_empty(struct catalog *catalog, struct datacenter *datacenter);

/* --- catalog.c ----------------------------------------------------------------------------------- */

/* The service of that name, in any case, or NULL. datacenter NULL: the local one. */
struct service *catalog_find(const struct catalog *catalog, const char *datacenter, const char *name);
/* A new one, without instances, in its datacenter's map. */
struct service *service_new(struct catalog *catalog, struct datacenter *datacenter, const char *folded);
void service_free(void *service);
/* Puts a view under a folded name, in place of the one there (an empty one removes the service). Takes the
 * view. */
int catalog_set_view(struct catalog *catalog, struct datacenter *datacenter, const char *folded,
                     struct view *view);
void count_health(const struct service *service, struct catalog_health *out);

/* --- nodes.c ------------------------------------------------------------------------------------- */

/* Reads a list of nodes into a map; *datacenter (owned by the caller) is what the nodes say, or NULL.
 * translate: `wan` addresses count (tagged.h). */
struct strmap *catalog_read_nodes(const json_t *list, bool translate, char **datacenter, struct err *err);
/* Not rendered, in no datacenter. */
struct node *node_copy(const struct node *node);
/* Takes the map. */
int catalog_set_nodes(struct catalog *catalog, struct datacenter *datacenter, struct strmap *nodes);
