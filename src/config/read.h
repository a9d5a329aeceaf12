/* Typed reading of values. Each function returns the value, or the default when the key is absent or wrong;
 * what is wrong goes to the faults. Strings that are returned belong to the caller. */
#pragma once

#include "config/schema.h"
#include "lictor/config.h"

struct check {
    struct config *config; /* being filled */
    cfg_t *root;
    struct faults *faults;
    const char *folder; /* of the file: relative file names begin here */
};

/* Where to complain about a key: its own line, else its section's, else none. */
int read_line(cfg_t *section, const char *key);

/* "" counts as absent where the result may be NULL. */
char *read_text(cfg_t *section, const char *key, const char *fallback);
bool read_bool(struct check *check, cfg_t *section, const char *key, bool fallback);
unsigned read_number(struct check *check, cfg_t *section, const char *key, unsigned fallback, unsigned min,
                     unsigned max);
nstime read_duration(struct check *check, cfg_t *section, const char *key, nstime fallback, nstime min,
                     nstime max);
/* A duration that goes out as a TTL: whole seconds up to 2^31-1 (RFC 2181 section 8). */
bool read_ttl_text(struct check *check, int line, const char *key, const char *text, nstime *out);
nstime read_ttl(struct check *check, cfg_t *section, const char *key, nstime fallback);
/* words: the choices, ended by NULL. Returns the index of the chosen one. */
int read_choice(struct check *check, cfg_t *section, const char *key, int fallback, const char *const *words);
/* A file name, made absolute; NULL if absent or "". */
char *read_path(struct check *check, cfg_t *section, const char *key, const char *fallback);
/* The same, of a file (or folder) that must be there and readable. */
char *read_readable_path(struct check *check, cfg_t *section, const char *key);
char *path_absolute(const char *folder, const char *path);
/* Is there a user of this name? Adds a fault if not. */
void check_user(struct check *check, int line, const char *name);

void strings_add(struct config_strings *strings, char *owned);

/* Does a `key` section define this name? After read_keys. */
bool is_known_key(struct check *check, const char *name);

/* transfer.c: `key:NAME`, a prefix or an address: who may transfer or update. */
void read_acl(struct check *check, cfg_t *section, const char *key, struct config_strings *out);
/* update.c: `update` and `update-policy` of a zone whose `store` is known. */
void read_update(struct check *check, cfg_t *section, struct config_zone *zone);
void update_policies_free(struct config_zone *zone);
/* Addresses to tell of changes, with or without a port and a key. */
void read_notify(struct check *check, cfg_t *section, struct config_notifies *out);
void notifies_free(struct config_notifies *notifies); /* what is in it */

/* The blocks, each in its own file. They are read in this order. */
void read_global(struct check *check);
void read_consul(struct check *check);
void read_services(struct check *check);
/* `service "PATTERN" { }` in the `services` section (NULL: none), most exact pattern first. */
void read_service_blocks(struct check *check, cfg_t *services);
/* The key `datacenters` of a block. */
void read_datacenters(struct check *check, cfg_t *block, struct config_strings *out);

/* Patterns of service names; see config.h. */
char *pattern_fold(const char *text, size_t len); /* lower case; caller frees */
bool pattern_is_valid(const char *pattern);
bool pattern_matches(const char *pattern, const char *name);
/* Below 0: a is the more exact one. */
int pattern_compare(const char *a, const char *b);
/* What `services` has of Consul's dns_config; after `compat` and `negative-ttl`. */
void read_dns_config(struct check *check, cfg_t *block);
/* `reverse`: zones and prefixes. */
void read_reverse(struct check *check, cfg_t *block);
void read_keys(struct check *check);
void read_election(struct check *check);
void read_services_transfer(struct check *check); /* after the keys */
void read_query_log(struct check *check);
void read_zones(struct check *check);
/* `record` blocks of a zone, whose other keys have been read. */
void read_records(struct check *check, cfg_t *section, struct config_zone *zone);
/* Can it be the name of a datacenter? */
bool is_datacenter(const char *text);
void read_actions(struct check *check);
void check_unserved(struct check *check);
