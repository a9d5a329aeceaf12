/* One service as Consul's health endpoint shows it, in flat arrays: no pointers inside, strings as offsets
 * into one pool where each stands once. 100,000 instances fit some 15 MB, and two views are equal exactly if
 * their octets are. Private to catalog/. */
#pragma once

#include "lictor/buf.h"
#include "lictor/catalog.h"
#include "lictor/err.h"
#include "lictor/strmap.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum check_state { CHECK_PASSING, CHECK_WARNING, CHECK_CRITICAL };

enum address_kind {
    ADDRESS_NONE, /* empty, or nothing that DNS can carry */
    ADDRESS_IPV4,
    ADDRESS_IPV6,
    ADDRESS_HOST, /* a host name: Consul answers with a CNAME */
};

struct address {
    uint8_t kind;   /* enum address_kind */
    uint8_t ip[16]; /* IPv4 in the first four octets; the rest is 0 */
};

struct view_check {
    uint32_t name, id;
    uint32_t output; /* first line, kept only when not passing */
    uint8_t status;  /* enum check_state */
    uint8_t node_level;
    uint16_t unused;
};

struct view_meta {
    uint32_t key, value;
};

/* Without padding, so that views compare by memcmp. */
struct view_instance {
    uint32_t node, id;
    uint32_t host;      /* the service's own address if it is a host name */
    uint32_t node_host; /* the node's address if it is a host name */
    uint32_t first_tag, tag_count;
    uint32_t first_check, check_count;
    uint32_t first_meta, meta_count; /* by key */
    int32_t port;                    /* -1: not a port; then in no SRV record */
    uint16_t weight_passing, weight_warning;
    uint8_t state;          /* the worst of its own checks and of its node's */
    uint8_t bad_address;    /* had an address that DNS cannot carry */
    struct address address; /* the service's own; ADDRESS_NONE: the node's counts */
    struct address node_address;
    struct address second; /* of the one that counts, in the other family; ADDRESS_NONE: none */
    uint8_t node_other;    /* node_address is not what the node's own name has: a tagged one */
    uint8_t unused[2];
};

struct view {
    struct view_instance *instances; /* by node (case folded), then ID */
    struct view_check *checks;
    uint64_t *modified; /* of each check: its ModifyIndex; 0: not known. Views with other ones are equal */
    uint64_t index;     /* X-Consul-Index of the body; 0: not known; likewise */
    uint32_t *tags;
    struct view_meta *metas;
    char *pool;
    uint32_t instance_count, check_count, tag_count, meta_count, pool_len;
    uint32_t wasted; /* octets of the pool that were appended since, so that others may be unused */
};

/* What was left out of a body, for status and metrics. */
struct view_faults {
    uint32_t duplicates;    /* (Node, ServiceID) twice */
    uint32_t bad_addresses; /* neither IP nor host name */
    uint32_t bad_ports;
};

/* Reads the body of /v1/health/service/NAME (null counts as an empty list). Returns NULL with err when it is
 * not what Consul sends: err says where. faults is added to. translate: `wan` addresses count (tagged.h). */
struct view *view_parse(const char *body, size_t len, bool translate, struct view_faults *faults,
                        struct err *err);
/* The same from a parsed document. */
struct view *view_from_json(const json_t *list, bool translate, struct view_faults *faults, struct err *err);
void view_free(struct view *view);
bool view_equal(const struct view *a, const struct view *b);

static inline const char *view_text(const struct view *view, uint32_t offset)
{
    return view->pool + offset;
}

/* The address that clients get: the service's own, else its node's. host is set for ADDRESS_HOST. */
const struct address *view_address(const struct view *view, const struct view_instance *instance,
                                   const char **host);

/* The value of the instance's metadata under this key, or NULL. */
const char *view_metadata(const struct view *view, const struct view_instance *instance, const char *key);
/* --- view_check.c: what the lists of checks know beyond the body --------------------------------- */

/* Merges one check's state as a list told it: the higher ModifyIndex wins. Returns 1 if the view shows
 * something else now, 0 if it knew this or something newer, -1 if it has no such instance. */
int view_apply_check(struct view *view, const struct catalog_check *check);
/* The same for every instance on a node, from the list of all checks of that node, whose X-Consul-Index is
 * `index`. Checks of the node that are missing in it are gone. *unclear: a check of an instance is missing,
 * or an instance with it: the whole service must be read. Returns 1 if the view shows something else. */
int view_apply_node(struct view *view, const char *node, const struct catalog_check *checks, size_t count,
                    uint64_t index, bool *unclear);
/* What a check that left its list, where it had this ModifyIndex, is now cannot be told by this view. */
bool view_is_behind(const struct view *view, const struct catalog_check *left);
/* The highest index that the view has of anything: no newer body has a lower one, if it is this body. */
uint64_t view_newest(const struct view *view, const struct view *body);
/* The body with those instances of `old` that it does not have. Takes body. */
struct view *view_keep(struct view *body, const struct view *old);
/* The indexes are of another Consul, or of this one before it was restored: whatever comes is newer. */
void view_forget_indexes(struct view *view);

/* Appends the view in the shape of Consul's own body, so that view_parse reads it back to an equal view. */
void view_write(const struct view *view, const char *service, struct buf *out);
void view_write_instance(const struct view *view, const struct view_instance *instance, const char *service,
                         struct buf *out);

/* --- addresses and JSON, shared with the list of nodes ------------------------------------------- */

/* IPv4, IPv6 (v4-mapped becomes IPv4) or a host name. Anything else, and "", is ADDRESS_NONE. */
void address_parse(const char *text, struct address *out);
/* Presentation form; host is what ADDRESS_HOST shows. */
const char *address_text(const struct address *address, const char *host, char out[256]);

/* A member that may be absent or null (then *out is "" or NULL) but not of another type. `where` and index
 * stand in the message. */
int json_text(const json_t *object, const char *key, const char *where, const char **out, struct err *err);
int json_member(const json_t *object, const char *key, json_type type, const char *where, json_t **out,
                struct err *err);
/* Appends text as a JSON string. */
void json_write_text(struct buf *out, const char *text);

/* As kept of a check's output: the first line, cut, but not within a UTF-8 character. Its length. */
size_t view_output_len(const char *output);
uint8_t view_status(const char *status);
