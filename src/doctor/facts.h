/* What an examination gathers: all that a judgement may depend on. Plain data, so that tests write it by
 * hand. */
#pragma once

#include "message.h"

#include "lictor/clock.h"
#include "lictor/sockets.h"

#include <jansson.h>
#include <stdbool.h>

/* Requests to Consul. */
enum ask {
    ASK_LEADER,   /* /v1/status/leader: needs no right */
    ASK_AGENT,    /* /v1/agent/self */
    ASK_TOKEN,    /* /v1/acl/token/self */
    ASK_SERVICES, /* /v1/catalog/services */
    ASK_NODES,    /* /v1/catalog/nodes */
    ASK_SESSION,  /* a session with a behaviour that does not exist: refused after the right was looked at */
    ASK_WRITES,   /* a transaction of `cas` operations on index 1, which no key or service has */
    ASKS
};

/* The operations of ASK_WRITES, in their order. */
enum write_op {
    WRITE_LEADER,
    WRITE_EPOCH,
    WRITE_MEMBER,
    WRITE_REQUEST,
    WRITE_CONTROL,
    WRITE_SERVICE,
    WRITES
};

struct consul_fact {
    bool asked;
    int status;        /* HTTP; 0: no answer */
    char error[256];   /* "" on 200 */
    char address[128]; /* who answered, or was asked last */
    int64_t skew_s;    /* the agent's clock minus ours, by its Date header; 0: none */
    json_t *body;      /* NULL: none, no JSON, or not parsed in time */
};

#define CONFIRMS 10

/* A query for the SOA of a zone, or for the text about it under `lictor.`. */
struct probe {
    struct sockaddr_storage to;
    bool tcp;
    uint8_t name[NAME_MAX_WIRE];
    uint16_t type;
    size_t zone;   /* index into facts.zones */
    char node[64]; /* whose address it is; "": our own */
    enum { PROBE_PENDING, PROBE_ANSWERED, PROBE_SILENT } state;
    char error[128]; /* of a silent one, in the kernel's words; "": nothing came */
    struct message reply;
};
#define PROBES_MAX 160

struct zone_fact {
    char text[NAME_MAX_TEXT];
    uint8_t apex[NAME_MAX_WIRE];
    bool catalog; /* `consul.`: answered by everybody, its serial is each instance's own */
    int64_t serial;
};
#define ZONES_PROBED 20

/* A name server of an authoritative zone. */
struct ns_fact {
    char zone[NAME_MAX_TEXT], name[NAME_MAX_TEXT];
    bool inside; /* at or below a zone of ours, so that we know its addresses */
    size_t address_count;
    char address[MESSAGE_ADDRESSES][MESSAGE_ADDRESS];
};
#define NS_MAX 64

struct socket_drops {
    char listen[SOCKADDR_TEXT];
    uint64_t drops;
};
#define LISTENS_MAX 16

struct facts {
    /* configuration */
    bool consul, services, election;
    char cluster[256];
    nstime lease;
    unsigned connections;
    size_t consul_addresses;
    size_t updated;                    /* zones with `update` */
    size_t updated_unsigned;           /* those among them that an address alone may change */
    char unsigned_zone[NAME_MAX_TEXT]; /* the first of these */
    bool peer_key;

    struct consul_fact ask[ASKS];
    nstime confirm[CONFIRMS]; /* round trips of consistent reads, ns */
    size_t confirm_count;
    json_t *role;      /* role_status; NULL: none */
    json_t *zones;     /* control_view.zones */
    json_t *watch;     /* watch_status; NULL: none */
    json_t *not_ready; /* control_view.not_ready */

    struct zone_fact zone[ZONES_PROBED];
    size_t zone_count, zones_left_out;
    struct probe probe[PROBES_MAX];
    size_t probe_count;
    bool probes_left_out;
    bool ns_known; /* false: the builder did not come to it in time */
    struct ns_fact ns[NS_MAX];
    size_t ns_count;

    /* system.c */
    char state_dir[256], control[256];
    bool state_writable;
    int state_errno;
    uint64_t state_free; /* octets */
    uint64_t files_open, files_limit;
    unsigned control_mode; /* permission bits; 0: no file */
    bool root;
    struct socket_drops drops[LISTENS_MAX];
    size_t drops_count;
    bool clock_synchronised;

    nstime longest_turn, builder_busy;
    unsigned builder_queued;
};

void facts_free(struct facts *facts);
/* "" if it is no string, or missing, or object is none. */
const char *facts_text(const json_t *object, const char *member);
/* For people: without the final dot, as everywhere in `lictor`. Returns out. */
const char *facts_name(const uint8_t *name, char out[NAME_MAX_TEXT]);

/* gathering the system's (system.c); state_dir and control are set already, drops' listens too */
void facts_system(struct facts *facts);
/* One line of /proc/net/udp or udp6: true with the local address and the count of dropped datagrams. Pure. */
bool udp_line(const char *line, struct sockaddr_storage *local, uint64_t *drops);
