/* Consul's own DNS options in `services { }`, under their names there: those that mean the same here, those
 * that mean nothing here and do no harm, and those whose silence would deceive. */
#include "config/read.h"

#include <string.h>

#define ANSWERS_MAX          65535
#define CONSUL_ANSWER_LIMIT  3
#define CONSUL_ANSWER_LIMITS 8 /* Consul never gives more without EDNS, whatever it is told */

#define SOA_REFRESH 3600
#define SOA_RETRY   600
#define SOA_EXPIRE  86400

/* Options that can only be left as they are. */
static const struct {
    const char *key;
    const char *harmless; /* the value that says nothing; NULL: every value is a fault */
    const char *why;
} unmeant[] = {
    {"disable-compression", "false", "owner names always point to the question; no client is known to mind"},
    {"allow-stale", "true",
     "every answer comes from the local view, which follows Consul's changes; limit its age with `stale-for` "
     "in `consul { }`"},
    {"max-stale", NULL,
     "the age of answers is limited by `stale-for` in `consul { }`: without Consul they end after that time"},
    {"recursors", NULL,
     "lictord resolves no foreign names: let the resolver in front of it (unbound, dnsmasq) do so, CNAMEs "
     "that leave the zone included"},
    {"recursor-timeout", NULL, "lictord has no `recursors`: the resolver in front follows foreign names"},
    {"recursor-strategy", NULL, "lictord has no `recursors`: the resolver in front follows foreign names"},
    {"prefer-namespace", "false", "namespaces are of Consul Enterprise; lictord serves the default one"},
};

static void check_unmeant(struct check *check, cfg_t *block)
{
    for (size_t i = 0; i < sizeof(unmeant) / sizeof(unmeant[0]); i++) {
        const char *key = unmeant[i].key, *harmless = unmeant[i].harmless;
        const struct value *value = value_at(block, key, 0);
        if (!value)
            continue;
        bool boolean = harmless != NULL;
        bool wanted = boolean && !strcmp(harmless, "true");
        if (boolean && read_bool(check, block, key, wanted) == wanted)
            continue;
        fault_add(check->faults, value->line, "`%s%s%s` has no meaning here: %s; remove it", key,
                  boolean ? " = " : "",
                  !boolean ? ""
                  : wanted ? "false"
                           : "true",
                  unmeant[i].why);
    }
}

/* Seconds: Consul's bare numbers, or our durations. */
static uint32_t read_seconds(struct check *check, cfg_t *soa, const char *key, uint32_t fallback)
{
    const struct value *value = value_at(soa, key, 0);
    if (!value)
        return fallback;
    if (*value->text && strspn(value->text, "0123456789") == strlen(value->text))
        return read_number(check, soa, key, fallback, 0, INT32_MAX);
    return (uint32_t)(read_ttl(check, soa, key, fallback * NS_PER_S) / NS_PER_S);
}

/* Two keys of one meaning. */
static void check_twice(struct check *check, const struct value *ours, const struct value *theirs,
                        const char *our_key, const char *their_key)
{
    if (ours && theirs)
        fault_add(check->faults, theirs->line, "`%s` means the same as `%s` of line %d; keep one of them",
                  their_key, our_key, ours->line);
}

static void read_soa(struct check *check, cfg_t *block)
{
    struct config_services *services = &check->config->services;
    cfg_t *soa = block ? section_get(block, "soa") : NULL;
    services->soa_refresh = read_seconds(check, soa, "refresh", SOA_REFRESH);
    services->soa_retry = read_seconds(check, soa, "retry", SOA_RETRY);
    services->soa_expire = read_seconds(check, soa, "expire", SOA_EXPIRE);
    check_twice(check, value_at(block, "negative-ttl", 0), value_at(soa, "min-ttl", 0), "negative-ttl",
                "min-ttl");
    if (value_at(soa, "min-ttl", 0))
        services->negative_ttl = read_seconds(check, soa, "min-ttl", 0) * NS_PER_S;
}

void read_dns_config(struct check *check, cfg_t *block)
{
    struct config_services *services = &check->config->services;
    bool compat = services->compat_consul;
    unsigned limit =
        read_number(check, block, "udp-answer-limit", compat ? CONSUL_ANSWER_LIMIT : 0, 0, ANSWERS_MAX);
    services->udp_answer_limit = compat && limit > CONSUL_ANSWER_LIMITS ? CONSUL_ANSWER_LIMITS : limit;
    services->enable_truncate = read_bool(check, block, "enable-truncate", !compat);
    services->node_meta_txt = read_bool(check, block, "enable-additional-node-meta-txt", compat);
    services->translate_wan = read_bool(check, block, "translate-wan-addrs", false);
    services->reverse_ttl =
        read_ttl(check, block, "reverse-ttl", compat ? 0 : services->node_ttl); /* Consul's are 0 always */
    check_twice(check, value_at(block, "answers", 0), value_at(block, "a-record-limit", 0), "answers",
                "a-record-limit");
    services->answers = read_number(check, block, "a-record-limit", services->answers, 0, ANSWERS_MAX);
    read_soa(check, block);
    /* The view is a cache that is kept current by itself: both are granted already. */
    read_bool(check, block, "use-cache", true);
    read_duration(check, block, "cache-max-age", 0, 0, INT64_MAX);
    check_unmeant(check, block);
}
