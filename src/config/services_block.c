/* `services { }`: the zone of the catalog. */
#include "config/read.h"

#include "lictor/xalloc.h"

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

/* "web=10s", "db-*=5s", "*-db=5s", "canary.web=1s", "*=0s". Service names are compared in lower case, as
 * Consul's DNS does. */
static void read_service_ttl(struct check *check, const struct value *value)
{
    struct config_services *services = &check->config->services;
    const char *equals = strrchr(value->text, '=');
    size_t len = equals ? (size_t)(equals - value->text) : 0;
    char *pattern = pattern_fold(value->text, len);
    nstime ttl = 0;
    bool valid = pattern_is_valid(pattern);
    if (!valid)
        fault_add(
            check->faults, value->line,
            "`service-ttl` has `%s`; write \"NAME=10s\", or a part of the name with `*` at one end, such "
            "as \"PREFIX*=10s\"",
            value->text);
    if (!valid || !read_ttl_text(check, value->line, "service-ttl", equals + 1, &ttl)) {
        free(pattern);
        return;
    }
    for (size_t i = 0; i < services->service_ttl_count; i++)
        if (!strcmp(services->service_ttl[i].pattern, pattern))
            fault_add(check->faults, value->line, "`service-ttl` has `%s` twice; keep one", pattern);
    services->service_ttl =
        xrealloc(services->service_ttl, (services->service_ttl_count + 1) * sizeof(*services->service_ttl));
    services->service_ttl[services->service_ttl_count++] =
        (struct config_ttl_rule){.pattern = pattern, .ttl = ttl};
}

static void read_ns(struct check *check, const struct value *value)
{
    uint8_t name[NAME_MAX_WIRE];
    char text[NAME_MAX_TEXT];
    if (!read_domain(check, value, "ns", name))
        return;
    strings_add(&check->config->services.ns, xstrdup(name_to_text(name, text)));
}

static void free_strings(struct config_strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i]);
    free(strings->items);
}

/* Each is watched, with connections of its own to the agent. */
static void check_datacenters(struct check *check, cfg_t *block)
{
    const struct config_services *services = &check->config->services;
    struct config_strings all = {0};
    for (size_t i = 0; i <= services->service_count; i++) {
        const struct config_strings *some =
            i < services->service_count ? &services->service[i].datacenters : &services->datacenters;
        for (size_t k = 0; k < some->count; k++) {
            bool known = false;
            for (size_t n = 0; n < all.count && !known; n++)
                known = !strcmp(all.items[n], some->items[k]);
            if (!known)
                strings_add(&all, xstrdup(some->items[k]));
        }
    }
    if (all.count > CONFIG_DATACENTERS_MAX)
        fault_add(check->faults, section_line(block),
                  "`services` names %zu datacenters in all; %d can be kept current at once, name fewer",
                  all.count, CONFIG_DATACENTERS_MAX);
    free_strings(&all);
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
    services->watch_asked = read_choice(check, block, "watch", 0, watch);
    services->compat_consul = read_choice(check, block, "compat", 0, compat);
    services->answers =
        read_number(check, block, "answers", services->compat_consul ? 0 : 40, 0, ANSWERS_MAX);
    read_dns_config(check, block);
    read_reverse(check, block);
    for (size_t i = 0; i < value_count(block, "service-ttl"); i++)
        read_service_ttl(check, value_at(block, "service-ttl", i));
    for (size_t i = 0; i < value_count(block, "ns"); i++)
        read_ns(check, value_at(block, "ns", i));
    read_datacenters(check, block, &services->datacenters);
    read_service_blocks(check, block);
    check_datacenters(check, block);
}

/* --- copies ---------------------------------------------------------------------------------------- */

static struct config_strings copy_strings(const struct config_strings *strings)
{
    struct config_strings out = {.items = xcalloc(strings->count + 1, sizeof(*out.items)),
                                 .count = strings->count};
    for (size_t i = 0; i < strings->count; i++)
        out.items[i] = xstrdup(strings->items[i]);
    return out;
}

void config_services_copy(struct config_services *out, const struct config_services *services)
{
    *out = *services;
    out->transfer = (struct config_strings){0}; /* no business of who serves the zone's content */
    out->notify = (struct config_notifies){0};
    out->service_ttl = xcalloc(services->service_ttl_count + 1, sizeof(*out->service_ttl));
    for (size_t i = 0; i < services->service_ttl_count; i++) {
        out->service_ttl[i] = services->service_ttl[i];
        out->service_ttl[i].pattern = xstrdup(services->service_ttl[i].pattern);
    }
    out->service = xcalloc(services->service_count + 1, sizeof(*out->service));
    for (size_t i = 0; i < services->service_count; i++) {
        out->service[i] = services->service[i];
        out->service[i].pattern = xstrdup(services->service[i].pattern);
        out->service[i].datacenters = copy_strings(&services->service[i].datacenters);
    }
    out->reverse = xcalloc(services->reverse_count + 1, sizeof(*out->reverse));
    if (services->reverse_count)
        memcpy(out->reverse, services->reverse, services->reverse_count * sizeof(*out->reverse));
    out->ns = copy_strings(&services->ns);
    out->datacenters = copy_strings(&services->datacenters);
}

void config_services_free(struct config_services *services)
{
    for (size_t i = 0; i < services->service_ttl_count; i++)
        free(services->service_ttl[i].pattern);
    free(services->service_ttl);
    for (size_t i = 0; i < services->service_count; i++) {
        free(services->service[i].pattern);
        free_strings(&services->service[i].datacenters);
    }
    free(services->service);
    free(services->reverse);
    free_strings(&services->ns);
    free_strings(&services->transfer);
    notifies_free(&services->notify);
    free_strings(&services->datacenters);
}
