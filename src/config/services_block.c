/* `services { }`: the zone of the catalog. */
#include "config/read.h"

#include "lictor/xalloc.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define DOMAIN_MAX  100   /* octets: leaves room for a node or service, a tag, `.service.` and a datacenter */
#define ANSWERS_MAX 65535 /* more cannot be counted in a message (RFC 1035 section 4.1.1) */

/* Reads a domain name that may be a zone's apex. */
static bool read_domain(struct check *check, const struct value *value, const char *key,
                        uint8_t out[NAME_MAX_WIRE])
{
    struct err err;
    if (name_from_text(value->text, NULL, out, &err) < 0) {
        fault_add(check->faults, value->line, "`%s`: %s", key, err.text);
        return false;
    }
    name_lower(out, out);
    if (!*out)
        fault_add(check->faults, value->line,
                  "`%s` is the root; lictord serves a domain below it, such as \"consul\"", key);
    else if (name_equal(out, (const uint8_t *)"\6lictor"))
        fault_add(check->faults, value->line,
                  "`%s` is `lictor.`, which is lictord's own zone for inspection; choose another", key);
    return true;
}

static void check_domain_length(struct check *check, const struct value *value, const char *key,
                                const uint8_t *domain)
{
    if (name_len(domain) > DOMAIN_MAX)
        fault_add(check->faults, value->line,
                  "`%s` has %zu octets, which leaves too few for names below it; it may have %d", key,
                  name_len(domain), DOMAIN_MAX);
}

static void read_domains(struct check *check, cfg_t *block)
{
    struct config_services *services = &check->config->services;
    memcpy(services->domain, "\6consul", sizeof("\6consul"));
    const struct value *domain = value_at(block, "domain", 0), *alt = value_at(block, "alt-domain", 0);
    if (domain && read_domain(check, domain, "domain", services->domain))
        check_domain_length(check, domain, "domain", services->domain);
    if (!alt || !*alt->text)
        return;
    services->has_alt_domain = read_domain(check, alt, "alt-domain", services->alt_domain);
    if (services->has_alt_domain)
        check_domain_length(check, alt, "alt-domain", services->alt_domain);
    if (services->has_alt_domain && name_equal(services->domain, services->alt_domain))
        fault_add(check->faults, alt->line, "`alt-domain` is the same as `domain`; remove it");
}

/* "web=10s", "db-*=5s", "*=0s". Service names are compared in lower case, as Consul's DNS does. */
static void read_service_ttl(struct check *check, const struct value *value)
{
    struct config_services *services = &check->config->services;
    const char *equals = strrchr(value->text, '=');
    size_t len = equals ? (size_t)(equals - value->text) : 0;
    const char *star = equals ? memchr(value->text, '*', len) : NULL;
    if (!len || (star && star != equals - 1)) {
        fault_add(check->faults, value->line,
                  "`service-ttl` has `%s`; write \"NAME=10s\", or \"PREFIX*=10s\" with `*` at the end only",
                  value->text);
        return;
    }
    nstime ttl;
    if (!read_ttl_text(check, value->line, "service-ttl", equals + 1, &ttl))
        return;
    char *pattern = xasprintf("%.*s", (int)len, value->text);
    for (char *c = pattern; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    for (size_t i = 0; i < services->service_ttl_count; i++)
        if (!strcmp(services->service_ttl[i].pattern, pattern))
            fault_add(check->faults, value->line, "`service-ttl` has `%s` twice; keep one", pattern);
    services->service_ttl =
        xrealloc(services->service_ttl, (services->service_ttl_count + 1) * sizeof(*services->service_ttl));
    services->service_ttl[services->service_ttl_count++] =
        (struct config_ttl_rule){.pattern = pattern, .ttl = ttl};
}

static void read_reverse(struct check *check, const struct value *value)
{
    struct config_services *services = &check->config->services;
    uint8_t name[NAME_MAX_WIRE];
    if (!read_domain(check, value, "reverse", name))
        return;
    if (!name_is_under(name, (const uint8_t *)"\7in-addr\4arpa") &&
        !name_is_under(name, (const uint8_t *)"\3ip6\4arpa"))
        fault_add(check->faults, value->line,
                  "`reverse` has `%s`, which is no reverse zone; write one below in-addr.arpa or ip6.arpa",
                  value->text);
    services->reverse =
        xrealloc(services->reverse, (services->reverse_count + 1) * sizeof(*services->reverse));
    memcpy(services->reverse[services->reverse_count++], name, sizeof(name));
}

static void read_ns(struct check *check, const struct value *value)
{
    uint8_t name[NAME_MAX_WIRE];
    char text[NAME_MAX_TEXT];
    if (!read_domain(check, value, "ns", name))
        return;
    strings_add(&check->config->services.ns, xstrdup(name_to_text(name, text)));
}

void read_services(struct check *check)
{
    static const char *const watch[] = {"all", "asked", NULL};
    static const char *const compat[] = {"none", "consul", NULL};
    struct config_services *services = &check->config->services;
    cfg_t *block = section_get(check->root, "services");
    services->enabled = block;
    read_domains(check, block);
    services->node_ttl = read_ttl(check, block, "node-ttl", 0);
    services->negative_ttl = read_ttl(check, block, "negative-ttl", 0);
    services->only_passing = read_bool(check, block, "only-passing", false);
    services->answers = read_number(check, block, "answers", 40, 0, ANSWERS_MAX);
    services->watch_asked = read_choice(check, block, "watch", 0, watch);
    services->compat_consul = read_choice(check, block, "compat", 0, compat);
    for (size_t i = 0; i < value_count(block, "service-ttl"); i++)
        read_service_ttl(check, value_at(block, "service-ttl", i));
    for (size_t i = 0; i < value_count(block, "reverse"); i++)
        read_reverse(check, value_at(block, "reverse", i));
    for (size_t i = 0; i < value_count(block, "ns"); i++)
        read_ns(check, value_at(block, "ns", i));
}

uint32_t config_service_ttl(const struct config_services *services, const char *name)
{
    const struct config_ttl_rule *best = NULL;
    size_t best_len = 0; /* of the prefix, plus one */
    for (size_t i = 0; i < services->service_ttl_count; i++) {
        const struct config_ttl_rule *rule = &services->service_ttl[i];
        size_t len = strlen(rule->pattern);
        if (rule->pattern[len - 1] != '*') {
            if (!strcmp(rule->pattern, name))
                return (uint32_t)(rule->ttl / NS_PER_S);
        } else if (!strncmp(rule->pattern, name, len - 1) && len > best_len) {
            best = rule;
            best_len = len;
        }
    }
    return best ? (uint32_t)(best->ttl / NS_PER_S) : 0;
}
