/* lictord.conf as one checked, immutable struct. config_load reports the first fault of syntax, or else every
 * fault of meaning, as `file:line: what is wrong, and what would be right`. Strings are owned by the config;
 * never NULL unless said so ("" or NULL: see each). Durations are ns. Names are lower-case wire form. Free
 * after the last user; a reload makes a new one. */
#pragma once

#include "lictor/buf.h"
#include "lictor/clock.h"
#include "lictor/dns.h"
#include "lictor/err.h"
#include "lictor/gate.h"
#include "lictor/name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct config_strings {
    char **items;
    size_t count;
};

struct config_notify {
    struct sockaddr_storage address;
    char *key; /* the name of the key that signs, as it is written; NULL: none */
};
struct config_notifies {
    struct config_notify *items;
    size_t count;
};

struct config_consul {
    bool configured; /* the block is there, or services/election need it */
    struct config_strings
        addresses;    /* "http://127.0.0.1:8500", "https://...", "unix:///path"; in the order to try */
    char *token;      /* NULL: none */
    char *token_file; /* NULL: none; re-read when it changes */
    char *http_auth;  /* user:password or NULL (CONSUL_HTTP_AUTH) */
    char *ca_file, *ca_path, *cert_file, *key_file, *tls_server_name; /* NULL: none */
    bool tls_verify;
    char *datacenter; /* NULL: the agent's */
    nstime stale_for;
};

/* Patterns of service names are lower-case; a `*` at the end matches by prefix, at the beginning by suffix.
 * The exact name beats all, then the longer pattern wins, of equal ones the prefix. */
struct config_ttl_rule {
    char *pattern; /* also of `TAG.NAME`: see config_tag_ttl */
    nstime ttl;
};

enum config_order {
    CONFIG_ORDER_WEIGHTED, /* random by Consul's weights (all are 1 unless said otherwise: plain random) */
    CONFIG_ORDER_RANDOM,   /* whatever the weights */
    CONFIG_ORDER_NEAREST,  /* by network coordinates, from the agent's node */
    CONFIG_ORDER_FIXED,    /* by node and service ID, always the same */
};

/* What a name answers when no instance is healthy. */
enum config_last_resort { CONFIG_LAST_NXDOMAIN, CONFIG_LAST_NODATA, CONFIG_LAST_ALL };

/* `service "PATTERN" { }`, or (config_service) what holds for one service. */
struct config_service {
    char *pattern;
    int line;
    unsigned set;     /* CONFIG_SERVICE_*: the keys that are there */
    unsigned answers; /* 0: all */
    enum config_order order;
    enum config_last_resort last_resort;
    nstime ttl;
    bool only_passing;
    bool txt;                          /* the metadata of its instances as TXT */
    bool metadata;                     /* its `lictor-priority` and `lictor-ttl` count */
    struct config_strings datacenters; /* lower-case; asked in this order when nothing local answers */
};
#define CONFIG_SERVICE_ANSWERS      0x01u
#define CONFIG_SERVICE_ORDER        0x02u
#define CONFIG_SERVICE_LAST_RESORT  0x04u
#define CONFIG_SERVICE_TTL          0x08u
#define CONFIG_SERVICE_ONLY_PASSING 0x10u
#define CONFIG_SERVICE_TXT          0x20u
#define CONFIG_SERVICE_METADATA     0x40u
#define CONFIG_SERVICE_DATACENTERS  0x80u

#define CONFIG_REVERSE_MAX 256
/* Other datacenters that are watched at once. */
#define CONFIG_DATACENTERS_MAX 8

struct config_services {
    bool enabled;
    uint8_t domain[NAME_MAX_WIRE];
    uint8_t alt_domain[NAME_MAX_WIRE];
    bool has_alt_domain;
    nstime node_ttl;
    struct config_ttl_rule *service_ttl;
    size_t service_ttl_count;
    struct config_service *service; /* the most exact pattern first */
    size_t service_count;
    nstime negative_ttl;
    bool only_passing;
    unsigned answers;                  /* 0: all */
    bool watch_asked;                  /* watch = "asked" */
    uint8_t (*reverse)[NAME_MAX_WIRE]; /* apexes below in-addr.arpa and ip6.arpa, each once */
    size_t reverse_count;              /* at most CONFIG_REVERSE_MAX */
    nstime reverse_ttl;
    bool compat_consul;
    uint32_t soa_refresh, soa_retry, soa_expire; /* seconds */
    /* Most records in an answer without EDNS, or with an EDNS size of 512 and less; 0: as many as fit. */
    unsigned udp_answer_limit;
    bool enable_truncate;              /* TC on a reply that holds less than it should */
    bool node_meta_txt;                /* metadata of nodes in the additional section */
    bool translate_wan;                /* other datacenters' nodes and services have their `wan` addresses */
    struct config_strings datacenters; /* lower-case; other ones whose views are kept current, asked or not */
    struct config_strings ns;          /* names; empty: one per advertised member */
    struct config_strings transfer;    /* as a zone's, as the next */
    struct config_notifies notify;
};

struct config_election {
    bool enabled;
    char *cluster;
    nstime lease;
    enum gate_mode standby;
    bool candidate;
    int priority;
    char *advertise; /* "192.0.2.1:53"; filled from listen when that is neither loopback nor wildcard; NULL:
                        none */
    char *peer_key;  /* key name in text form, or NULL */
    bool failsafe;   /* needs peer_key */
};

struct config_key {
    uint8_t name[NAME_MAX_WIRE];
    char *algorithm;   /* "hmac-sha256", "-sha384", "-sha512"; sha1 and md5 verify only */
    char *secret_file; /* NULL if secret is given */
    char *secret;      /* base64, or NULL */
    int line;
};

/* What a health-driven record answers when nothing that it names is healthy. */
enum config_all_down {
    ALL_DOWN_ALL,      /* all instances of the first candidate that has any; the default */
    ALL_DOWN_LAST,     /* what was healthy last */
    ALL_DOWN_NONE,     /* NODATA */
    ALL_DOWN_SERVFAIL, /* SERVFAIL with EDE 22; secondaries keep what was healthy last */
    ALL_DOWN_ADDRESS,  /* fixed addresses */
};

/* An address to answer with, as it is written in a `record`. */
struct config_address {
    bool ipv6;
    uint8_t ip[16]; /* IPv4: the first four octets */
    uint16_t port;  /* for SRV; 0: none */
};

/* What a record may follow: `service`, `query` and `fallback`, in their order. */
enum config_candidate_kind { CANDIDATE_SERVICE, CANDIDATE_QUERY, CANDIDATE_ADDRESS };
struct config_candidate {
    enum config_candidate_kind kind;
    char *text;                    /* as it is written; "query:NAME" for a prepared query */
    char *name;                    /* of the service, with tags before it, in lower case; or of the query */
    char *datacenter;              /* lower case; NULL: the local one */
    struct config_address address; /* CANDIDATE_ADDRESS */
};

/* A health-driven name. */
struct config_record {
    char *name;                          /* as it is written */
    uint8_t owner[NAME_MAX_WIRE];        /* absolute, lower case */
    bool srv;                            /* type = "SRV" */
    bool weights;                        /* Consul's weights count */
    struct config_candidate *candidates; /* in the order of preference */
    size_t candidate_count;
    unsigned min_healthy; /* fewer, and the first candidate counts as down; at least 1 */
    enum config_all_down all_down;
    struct config_address *down; /* ALL_DOWN_ADDRESS */
    size_t down_count;
    nstime ttl, rise, fall;
    unsigned answers; /* 0: all */
    int line;
};

struct config_query_log {
    bool enabled;    /* the block is there */
    uint32_t sample; /* of a million queries */
    unsigned rate;   /* most lines a second */
    bool negative;   /* answers = "negative" */
    char *file;      /* NULL: standard error */
};

/* `update-policy "KEY" { }`: what a key in `update` may change. */
struct config_update_policy {
    char *key;                   /* its name in text form */
    struct config_strings names; /* patterns, see config_update_name, or "self"; none: every name */
    uint16_t *types;             /* none: every type */
    size_t type_count;
    int line;
};

struct config_zone {
    uint8_t apex[NAME_MAX_WIRE];
    char *file; /* relative to the configuration file's folder, made absolute */
    bool store_kv;
    struct config_strings transfer, update; /* "key:NAME", "192.0.2.0/24", "192.0.2.1" */
    struct config_update_policy *update_policies;
    size_t update_policy_count;
    struct config_notifies notify;
    struct config_record *records;
    size_t record_count;
    int line;
};

enum config_when { WHEN_PROMOTED, WHEN_DEMOTED, WHEN_SERVICE };
enum config_status { STATUS_PASSING, STATUS_WARNING, STATUS_CRITICAL, STATUS_ABSENT };

struct config_action {
    char *name;
    enum config_when when;
    char *service;             /* WHEN_SERVICE: lower-case name */
    enum config_status status; /* WHEN_SERVICE */
    char **run;                /* argv, NULL-terminated; run[0] is absolute */
    nstime timeout;            /* default 30 s */
    char *user;                /* to run as, or NULL: the daemon's `user` */
    int line;
};

struct config {
    char *path;    /* of the file, absolute */
    char hash[65]; /* SHA-256 of its octets, hex: the runner accepts a reload only of the same file */
    char *node;
    struct sockaddr_storage *listen;
    size_t listen_count;
    unsigned workers; /* 0 has become the number of CPUs this process may use */
    char *state_dir;
    char *http;                         /* "127.0.0.1:8654"; NULL: off ("") */
    char *control;                      /* socket path */
    char *user;                         /* NULL: stay; without the key: "lictor", if there is such a user */
    struct config_strings inspect_from; /* prefixes besides loopback */
    int log_level;                      /* enum log_level; key `log`, default "info" */
    struct config_consul consul;
    struct config_services services;
    struct config_election election;
    struct config_query_log query_log;
    struct config_key *keys;
    size_t key_count;
    struct config_zone *zones;
    size_t zone_count;
    struct config_action *actions;
    size_t action_count;
};

/* Reads and checks the file. Returns NULL and appends one line per fault to faults: `path:line: text`, or
 * `path: text` for what has no line (the file cannot be read; a CONSUL_* variable is wrong). Reads CONSUL_*
 * from the environment for the defaults of `consul`. Relative file names begin at the file's folder. Opens
 * nothing but the file itself: of the files that it names only the access rights are looked at, with the
 * rights of the caller. Any thread (libconfuse's lexer is global: a lock is held meanwhile). */
struct config *config_load(const char *path, struct buf *faults);
/* The same from memory; path stands in messages and is the base of relative file names. For tests and the
 * fuzzer. */
struct config *config_parse(const char *path, const char *text, size_t len, struct buf *faults);
void config_free(struct config *config);

/* The key of this name in text form, or NULL. */
const struct config_key *config_key(const struct config *config, const char *name);
/* Fills out with name, algorithm and secret, which is read from its file if there is one. Returns 0, or -1
 * with err. Any thread. */
struct tsig_key;
int config_key_read(const struct config_key *key, struct tsig_key *out, struct err *err);
/* A pattern of `names` as a name, relative to apex; "@" is the apex. In it a label `*` stands for one or more
 * labels. Returns 0, or -1 with err. */
int config_update_name(const char *text, const uint8_t *apex, uint8_t out[NAME_MAX_WIRE], struct err *err);
/* The TTL of a service (lower-case name) in seconds, by service_ttl's rules. */
uint32_t config_service_ttl(const struct config_services *services, const char *name);
/* The same of `TAG.NAME` (lower-case), if a rule with a dot in it speaks of that. */
bool config_tag_ttl(const struct config_services *services, const char *tag, const char *name, uint32_t *ttl);
/* What holds for a service (lower-case name): each key from the most exact block that has it, else the
 * default (services' own `answers`, `only-passing` and `service-ttl`). `set` says which keys came from a
 * block; lists are borrowed, pattern is NULL. */
struct config_service config_service(const struct config_services *services, const char *name);
bool config_wants_nearest(const struct config_services *services);
/* A copy of its own, and its end (what it points to). */
void config_record_copy(struct config_record *out, const struct config_record *record);
void config_record_free(struct config_record *record);
/* A copy of its own of all that the struct points to but `transfer` and `notify`, which are empty in it; and
 * its end. */
void config_services_copy(struct config_services *out, const struct config_services *services);
void config_services_free(struct config_services *services);
/* What may not change in a reload, since it was used when processes, sockets and threads began: the keys
 * outside of blocks but `log`; all of `consul` but `stale-for`; the domains of `services` and whether there
 * is such a block; all of `election`. NULL if nothing of it differs, else the first key that does ("listen",
 * "election.lease"). */
const char *config_needs_restart(const struct config *running, const struct config *wanted);
