/* `services { service "PATTERN" { } }`: how single services are answered. */
#include "config/read.h"

#include "lictor/xalloc.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ANSWERS_MAX 65535 /* more cannot be counted in a message (RFC 1035 section 4.1.1) */

/* --- patterns ------------------------------------------------------------------------------------- */

char *pattern_fold(const char *text, size_t len)
{
    char *pattern = xasprintf("%.*s", (int)len, text);
    for (char *c = pattern; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return pattern;
}

/* One `*`, at one of the ends. */
bool pattern_is_valid(const char *pattern)
{
    const char *star = strchr(pattern, '*');
    return *pattern && (!star || (!strchr(star + 1, '*') && (star == pattern || !star[1])));
}

/* How exact: 0 without a `*`, else more the shorter the rest is; of equals a prefix is before a suffix. */
static size_t looseness(const char *pattern)
{
    const char *star = strchr(pattern, '*');
    if (!star)
        return 0;
    size_t rest = strlen(pattern) - 1;
    return 2 * (256 - (rest < 255 ? rest : 255)) + (star == pattern && rest > 0);
}

int pattern_compare(const char *a, const char *b)
{
    size_t x = looseness(a), y = looseness(b);
    return x != y ? (x < y ? -1 : 1) : strcmp(a, b);
}

bool pattern_matches(const char *pattern, const char *name)
{
    size_t len = strlen(pattern), name_len = strlen(name);
    if (pattern[len - 1] == '*')
        return !strncmp(pattern, name, len - 1);
    if (*pattern == '*')
        return name_len >= len - 1 && !strcmp(pattern + 1, name + name_len - (len - 1));
    return !strcmp(pattern, name);
}

/* --- one block ------------------------------------------------------------------------------------ */

static bool is_set(struct config_service *service, cfg_t *block, const char *key, unsigned bit)
{
    bool there = value_count(block, key) > 0;
    service->set |= there ? bit : 0;
    return there;
}

/* A label of its own in names: Consul allows letters, digits, '-' and '_' in it. */
bool is_datacenter(const char *text)
{
    return *text && strlen(text) <= 63 &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] == '\0';
}

void read_datacenters(struct check *check, cfg_t *block, struct config_strings *out)
{
    size_t count = value_count(block, "datacenters");
    if (count > CONFIG_DATACENTERS_MAX)
        fault_add(check->faults, read_line(block, "datacenters"),
                  "`datacenters` has %zu of them; name at most %d", count, CONFIG_DATACENTERS_MAX);
    for (size_t i = 0; i < count && i < CONFIG_DATACENTERS_MAX; i++) {
        const struct value *value = value_at(block, "datacenters", i);
        if (!is_datacenter(value->text)) {
            fault_add(check->faults, value->line,
                      "`datacenters` has `%.80s`; write names of Consul's datacenters, such as \"dc2\"",
                      value->text);
            continue;
        }
        char *name = pattern_fold(value->text, strlen(value->text));
        for (size_t k = 0; k < out->count; k++)
            if (!strcmp(out->items[k], name))
                fault_add(check->faults, value->line, "`datacenters` has `%s` twice; keep one", name);
        strings_add(out, name);
    }
}

static void read_service(struct check *check, cfg_t *block)
{
    static const char *const orders[] = {"weighted", "random", "nearest", "fixed", NULL};
    static const char *const last_resorts[] = {"nxdomain", "nodata", "all", NULL};
    struct config_services *services = &check->config->services;
    struct config_service service = {.line = section_line(block)};
    const char *title = cfg_title(block);
    if (!pattern_is_valid(title)) {
        fault_add(check->faults, service.line,
                  "`service \"%.80s\"`: write the name of a service, or a part of it with `*` at one end",
                  title);
        return;
    }
    service.pattern = pattern_fold(title, strlen(title));
    for (size_t i = 0; i < services->service_count; i++)
        if (!strcmp(services->service[i].pattern, service.pattern))
            fault_add(check->faults, service.line, "`service \"%s\"` is already at line %d; keep one of them",
                      service.pattern, services->service[i].line);
    if (is_set(&service, block, "answers", CONFIG_SERVICE_ANSWERS))
        service.answers = read_number(check, block, "answers", 40, 0, ANSWERS_MAX);
    if (is_set(&service, block, "order", CONFIG_SERVICE_ORDER))
        service.order = (enum config_order)read_choice(check, block, "order", 0, orders);
    if (is_set(&service, block, "last-resort", CONFIG_SERVICE_LAST_RESORT))
        service.last_resort =
            (enum config_last_resort)read_choice(check, block, "last-resort", 0, last_resorts);
    if (is_set(&service, block, "ttl", CONFIG_SERVICE_TTL))
        service.ttl = read_ttl(check, block, "ttl", 0);
    if (is_set(&service, block, "only-passing", CONFIG_SERVICE_ONLY_PASSING))
        service.only_passing = read_bool(check, block, "only-passing", false);
    if (is_set(&service, block, "txt", CONFIG_SERVICE_TXT))
        service.txt = read_bool(check, block, "txt", false);
    if (is_set(&service, block, "metadata", CONFIG_SERVICE_METADATA))
        service.metadata = read_bool(check, block, "metadata", true);
    if (is_set(&service, block, "datacenters", CONFIG_SERVICE_DATACENTERS))
        read_datacenters(check, block, &service.datacenters);
    services->service =
        xrealloc(services->service, (services->service_count + 1) * sizeof(*services->service));
    services->service[services->service_count++] = service;
}

static int compare_services(const void *a, const void *b)
{
    const struct config_service *x = a, *y = b;
    return pattern_compare(x->pattern, y->pattern);
}

void read_service_blocks(struct check *check, cfg_t *services)
{
    for (unsigned i = 0; services && i < cfg_size(services, "service"); i++)
        read_service(check, cfg_getnsec(services, "service", i));
    struct config_services *out = &check->config->services;
    if (out->service_count > 1) /* the most exact first */
        qsort(out->service, out->service_count, sizeof(*out->service), compare_services);
}

/* --- asking --------------------------------------------------------------------------------------- */

static const struct config_ttl_rule *find_rule(const struct config_services *services, const char *name,
                                               bool dotted)
{
    const struct config_ttl_rule *best = NULL;
    for (size_t i = 0; i < services->service_ttl_count; i++) {
        const struct config_ttl_rule *rule = &services->service_ttl[i];
        if ((!dotted || strchr(rule->pattern, '.')) && pattern_matches(rule->pattern, name) &&
            (!best || pattern_compare(rule->pattern, best->pattern) < 0))
            best = rule;
    }
    return best;
}

uint32_t config_service_ttl(const struct config_services *services, const char *name)
{
    const struct config_ttl_rule *rule = find_rule(services, name, false);
    return rule ? (uint32_t)(rule->ttl / NS_PER_S) : 0;
}

bool config_tag_ttl(const struct config_services *services, const char *tag, const char *name, uint32_t *ttl)
{
    if (!services->service_ttl_count)
        return false;
    char *joined = xasprintf("%s.%s", tag, name);
    const struct config_ttl_rule *rule = find_rule(services, joined, true);
    free(joined);
    if (rule)
        *ttl = (uint32_t)(rule->ttl / NS_PER_S);
    return rule;
}

struct config_service config_service(const struct config_services *services, const char *name)
{
    struct config_service out = {.answers = services->answers,
                                 .only_passing = services->only_passing,
                                 .metadata = true,
                                 .ttl = config_service_ttl(services, name) * NS_PER_S};
    for (size_t i = 0; i < services->service_count; i++) {
        const struct config_service *block = &services->service[i];
        unsigned take = pattern_matches(block->pattern, name) ? block->set & ~out.set : 0;
        if (take & CONFIG_SERVICE_ANSWERS)
            out.answers = block->answers;
        if (take & CONFIG_SERVICE_ORDER)
            out.order = block->order;
        if (take & CONFIG_SERVICE_LAST_RESORT)
            out.last_resort = block->last_resort;
        if (take & CONFIG_SERVICE_TTL)
            out.ttl = block->ttl;
        if (take & CONFIG_SERVICE_ONLY_PASSING)
            out.only_passing = block->only_passing;
        if (take & CONFIG_SERVICE_TXT)
            out.txt = block->txt;
        if (take & CONFIG_SERVICE_METADATA)
            out.metadata = block->metadata;
        if (take & CONFIG_SERVICE_DATACENTERS)
            out.datacenters = block->datacenters;
        out.set |= take;
    }
    return out;
}

bool config_wants_nearest(const struct config_services *services)
{
    for (size_t i = 0; i < services->service_count; i++)
        if (services->service[i].order == CONFIG_ORDER_NEAREST)
            return true;
    return false;
}
