/* `election { }` and the `key` sections that messages between instances are signed with. */
#include "config/literal.h"
#include "config/read.h"

#include "lictor/tsig.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

static void check_secret(struct check *check, cfg_t *section, const struct config_key *key)
{
    if (!key->secret == !key->secret_file) {
        fault_add(check->faults, key->secret ? read_line(section, "secret") : key->line,
                  key->secret ? "both `secret` and `secret-file` are set; keep one of them"
                              : "the key `%s` has no secret; set `secret-file` (or `secret`)",
                  cfg_title(section));
    } else if (key->secret) {
        uint8_t octets[TSIG_SECRET_MAX];
        int len = tsig_secret_parse(key->secret, octets, sizeof(octets));
        explicit_bzero(octets, sizeof(octets));
        if (len < TSIG_SECRET_MIN) /* the secret itself stays out of the message */
            fault_add(check->faults, read_line(section, "secret"),
                      "`secret` is not base64 of at least %d octets; make one with `openssl rand -base64 32`",
                      TSIG_SECRET_MIN);
    }
}

static void read_key(struct check *check, cfg_t *section)
{
    static const char *const algorithms[] = {"hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224",
                                             "hmac-sha1",   "hmac-md5",    NULL};
    struct config *config = check->config;
    struct config_key key = {.line = section_line(section)};
    struct err err;
    if (name_from_text(cfg_title(section), NULL, key.name, &err) < 0 || !*key.name) {
        fault_add(check->faults, key.line, "the key's name `%s` is no domain name: %s", cfg_title(section),
                  *cfg_title(section) ? err.text : "it is empty");
        key.name[0] = 0;
    }
    name_lower(key.name, key.name);
    for (size_t i = 0; i < config->key_count; i++)
        if (name_equal(config->keys[i].name, key.name))
            fault_add(check->faults, key.line, "the key `%s` is already at line %d; names ignore case",
                      cfg_title(section), config->keys[i].line);
    key.algorithm = xstrdup(algorithms[read_choice(check, section, "algorithm", 0, algorithms)]);
    key.secret = read_text(section, "secret", NULL);
    key.secret_file = read_readable_path(check, section, "secret-file");
    check_secret(check, section, &key);
    config->keys = xrealloc(config->keys, (config->key_count + 1) * sizeof(*config->keys));
    config->keys[config->key_count++] = key;
}

void read_keys(struct check *check)
{
    for (unsigned i = 0; i < cfg_size(check->root, "key"); i++)
        read_key(check, cfg_getnsec(check->root, "key", i));
}

const struct config_key *config_key(const struct config *config, const char *text)
{
    uint8_t name[NAME_MAX_WIRE];
    if (name_from_text(text, NULL, name, NULL) < 0)
        return NULL;
    for (size_t i = 0; i < config->key_count; i++)
        if (name_equal(config->keys[i].name, name))
            return &config->keys[i];
    return NULL;
}

bool is_known_key(struct check *check, const char *text)
{
    return config_key(check->config, text) != NULL;
}

/* The name is part of KV paths and of a service's ID. */
static void read_cluster(struct check *check, cfg_t *block)
{
    struct config_election *election = &check->config->election;
    election->cluster = read_text(block, "cluster", value_count(block, "cluster") ? NULL : "default");
    const char *name = election->cluster ? election->cluster : "";
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (!len || name[len] || len > 63 || !strcmp(name, ".") || !strcmp(name, ".."))
        fault_add(check->faults, read_line(block, "cluster"),
                  "`cluster` is `%s`; write up to 63 letters, digits, `-`, `_` and `.`", name);
}

/* Where peers reach this instance: what is set; else a listen address that says it; a loopback one serves
 * peers on this host. */
static void read_advertise(struct check *check, cfg_t *block)
{
    const struct config *config = check->config;
    char *text = read_text(block, "advertise", NULL);
    struct sockaddr_storage address;
    struct err err;
    check->config->election.advertise = text;
    if (text) {
        if (literal_parse(text, &address, &err))
            fault_add(check->faults, read_line(block, "advertise"), "`advertise`: %s", err.text);
        else if (literal_is_wildcard(&address))
            fault_add(check->faults, read_line(block, "advertise"),
                      "`advertise` is `%s`, which no peer can reach; write this host's own address", text);
        return;
    }
    const struct sockaddr_storage *loopback = NULL;
    bool wildcard = false;
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct sockaddr_storage *listen = &config->listen[i];
        if (literal_is_wildcard(listen)) {
            wildcard = true;
        } else if (!literal_is_loopback(listen)) {
            check->config->election.advertise = literal_text(listen);
            return;
        } else if (!loopback) {
            loopback = listen;
        }
    }
    if (wildcard)
        fault_add(check->faults, section_line(block),
                  "`advertise` is missing and `listen` is a wildcard; set the address where peers reach this "
                  "instance, such as \"192.0.2.1:53\"");
    else if (loopback)
        check->config->election.advertise = literal_text(loopback);
}

/* What instances sign their messages with, and what rests on it. */
static void read_peer_key(struct check *check, cfg_t *block)
{
    struct config_election *election = &check->config->election;
    const struct config_key *key = NULL;
    election->peer_key = read_text(block, "peer-key", NULL);
    election->failsafe = read_bool(check, block, "failsafe", false);
    if (election->peer_key) {
        key = config_key(check->config, election->peer_key);
        if (!key)
            fault_add(check->faults, read_line(block, "peer-key"),
                      "`peer-key` is `%s`, which no `key` section defines; add `key \"%s\" { secret-file = "
                      "... }`",
                      election->peer_key, election->peer_key);
        else if (tsig_algorithm_parse(key->algorithm) < TSIG_HMAC_SHA256)
            fault_add(check->faults, read_line(block, "peer-key"),
                      "the key `%s` of `peer-key` uses `%s`, which signs nothing of ours; use "
                      "\"hmac-sha256\"",
                      election->peer_key, key->algorithm);
    } else if (election->failsafe) {
        fault_add(check->faults, read_line(block, "failsafe"),
                  "`failsafe` needs `peer-key`, the key that instances sign their messages with; add it and "
                  "a `key` section");
    }
}

void read_election(struct check *check)
{
    static const char *const standby[] = {"refuse", "strict", "serve", NULL}; /* as enum gate_mode */
    struct config_election *election = &check->config->election;
    cfg_t *block = section_get(check->root, "election");
    election->enabled = block;
    read_cluster(check, block);
    election->lease = read_duration(check, block, "lease", 2 * NS_PER_S, 500 * NS_PER_MS, 50 * NS_PER_S);
    election->standby = (enum gate_mode)read_choice(check, block, "standby", GATE_REFUSE, standby);
    election->candidate = read_bool(check, block, "candidate", true);
    election->priority = (int)read_number(check, block, "priority", 100, 0, 65535);
    if (block)
        read_advertise(check, block);
    read_peer_key(check, block);
}
