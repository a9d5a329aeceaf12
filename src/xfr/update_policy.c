/* `update` and `update-policy` of the configuration, ready to be judged by. */
#include "update_policy.h"

#include "lictor/sockets.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

struct pattern {
    bool self; /* the key's own name */
    uint8_t name[NAME_MAX_WIRE];
};

/* One key in a zone's `update`. */
struct grant {
    uint8_t key[NAME_MAX_WIRE];
    struct pattern *names;
    size_t name_count; /* 0: all */
    uint16_t *types;
    size_t type_count; /* 0: all */
};

enum kind { KIND_STORED, KIND_FILE, KIND_CATALOG };

struct zone_rights {
    uint8_t apex[NAME_MAX_WIRE]; /* lower case */
    enum kind kind;
    struct acl *addresses; /* NULL: none */
    struct grant *grants;
    size_t grant_count;
    uint8_t (*computed)[NAME_MAX_WIRE]; /* names whose content follows health */
    size_t computed_count;
};

struct update_policy {
    struct tsig_key *keys;
    size_t key_count;
    struct zone_rights *zones;
    size_t zone_count;
};

const struct tsig_key *update_policy_key(const struct update_policy *policy, const uint8_t *name)
{
    for (size_t i = 0; i < policy->key_count; i++)
        if (name_equal(policy->keys[i].name, name))
            return &policy->keys[i];
    return NULL;
}

/* --- judging ------------------------------------------------------------------------------------------ */

bool update_pattern_matches(const uint8_t *pattern, const uint8_t *name)
{
    if (*pattern == 0 || *name == 0)
        return *pattern == *name;
    const uint8_t *rest = name + 1 + *name;
    if (*pattern == 1 && pattern[1] == '*') {
        for (; !update_pattern_matches(pattern + 2, rest); rest += 1 + *rest)
            if (*rest == 0)
                return false;
        return true;
    }
    return *pattern == *name && !memcmp(pattern + 1, name + 1, *name) &&
           update_pattern_matches(pattern + 1 + *pattern, rest);
}

static bool grants_name(const struct grant *grant, const uint8_t *name)
{
    for (size_t i = 0; i < grant->name_count; i++)
        if (grant->names[i].self ? name_equal(grant->key, name)
                                 : update_pattern_matches(grant->names[i].name, name))
            return true;
    return grant->name_count == 0;
}

static bool grants_type(const struct grant *grant, uint16_t type)
{
    for (size_t i = 0; i < grant->type_count; i++)
        if (grant->types[i] == type)
            return true;
    return grant->type_count == 0;
}

static bool comes_with_signing(uint16_t type)
{
    return type == DNS_RRSIG || type == DNS_NSEC || type == DNS_NSEC3 || type == DNS_NSEC3PARAM ||
           type == DNS_DNSKEY;
}

static const struct zone_rights *find_zone(const struct update_policy *policy, const uint8_t *apex)
{
    for (size_t i = 0; i < policy->zone_count; i++)
        if (name_equal(policy->zones[i].apex, apex))
            return &policy->zones[i];
    return NULL;
}

static const struct grant *find_grant(const struct zone_rights *zone, const struct tsig_key *key)
{
    for (size_t i = 0; key && i < zone->grant_count; i++)
        if (name_equal(zone->grants[i].key, key->name))
            return &zone->grants[i];
    return NULL;
}

static bool is_computed(const struct zone_rights *zone, const uint8_t *name)
{
    for (size_t i = 0; i < zone->computed_count; i++)
        if (name_equal(zone->computed[i], name))
            return true;
    return false;
}

/* NULL: it may be. grant NULL: the client's address is enough, and nothing limits it. */
static const char *objection(const struct zone_rights *zone, const struct grant *grant,
                             const struct update_record *r)
{
    if (comes_with_signing(r->type))
        return "comes with signing, which is not done by UPDATE";
    if (is_computed(zone, r->owner))
        return "is a `record`, whose content follows health";
    if (grant && !grants_name(grant, r->owner))
        return "is not among the `names` of this key's `update-policy`";
    if (grant && !grants_type(grant, r->type))
        return r->type == DNS_ANY ? "cannot be removed as a whole: this key's `update-policy` has `types`"
                                  : "is not among the `types` of this key's `update-policy`";
    return NULL;
}

enum dns_rcode update_policy_admit(const struct update_policy *policy, const struct sockaddr_storage *address,
                                   const struct tsig_key *key, const struct update *update, int *ede,
                                   struct err *err)
{
    const struct zone_rights *zone = find_zone(policy, update->zone);
    *ede = DNS_EDE_PROHIBITED;
    if (!zone) {
        *ede = DNS_EDE_NOT_AUTHORITATIVE;
        err_set(err, "no zone of this server begins at this name");
        return DNS_NOTAUTH;
    }
    if (zone->kind == KIND_CATALOG) {
        err_set(err, "this zone's records come from Consul");
        return DNS_REFUSED;
    }
    if (zone->kind == KIND_FILE) {
        err_set(err, "this zone is not in Consul's KV (`store`): it is changed in its file");
        return DNS_REFUSED;
    }
    const struct grant *grant = find_grant(zone, key);
    if (!grant && !(zone->addresses && acl_match(zone->addresses, address))) {
        err_set(err, key ? "neither your address nor your key is in this zone's `update`"
                         : "your address is not in this zone's `update`, and the message is not signed");
        return DNS_REFUSED;
    }
    for (size_t i = 0; i < update->change_count; i++) {
        const struct update_record *r = &update->changes[i];
        const char *why = objection(zone, grant, r);
        char name[NAME_MAX_TEXT], type[16];
        if (!why)
            continue;
        err_set(err, "%.120s %s %s", name_to_text(r->owner, name), dns_type_text(r->type, type), why);
        return DNS_REFUSED;
    }
    return DNS_NOERROR;
}

/* --- making ------------------------------------------------------------------------------------------- */

/* Checked with the configuration. */
static void limit(struct grant *grant, const struct config_zone *zone,
                  const struct config_update_policy *policy)
{
    grant->names = xcalloc(policy->names.count + 1, sizeof *grant->names);
    for (size_t i = 0; i < policy->names.count; i++) {
        struct pattern *pattern = &grant->names[grant->name_count++];
        pattern->self = !strcmp(policy->names.items[i], "self");
        if (!pattern->self)
            config_update_name(policy->names.items[i], zone->apex, pattern->name, NULL);
    }
    grant->types = xcalloc(policy->type_count + 1, sizeof *grant->types);
    memcpy(grant->types, policy->types, policy->type_count * sizeof *grant->types);
    grant->type_count = policy->type_count;
}

static void add_grant(struct zone_rights *rights, const struct config_zone *zone, const char *key)
{
    struct grant *grant = &rights->grants[rights->grant_count];
    if (name_from_text(key, NULL, grant->key, NULL) < 0)
        return;
    name_lower(grant->key, grant->key);
    for (size_t i = 0; i < zone->update_policy_count; i++) {
        uint8_t name[NAME_MAX_WIRE];
        if (name_from_text(zone->update_policies[i].key, NULL, name, NULL) >= 0 &&
            name_equal(name, grant->key))
            limit(grant, zone, &zone->update_policies[i]);
    }
    rights->grant_count++;
}

static void add_zone(struct update_policy *policy, const struct config_zone *zone)
{
    struct zone_rights *rights = &policy->zones[policy->zone_count++];
    name_lower(zone->apex, rights->apex);
    rights->kind = zone->store_kv ? KIND_STORED : KIND_FILE;
    rights->grants = xcalloc(zone->update.count + 1, sizeof *rights->grants);
    for (size_t i = 0; i < zone->update.count; i++) {
        const char *entry = zone->update.items[i];
        if (!strncmp(entry, "key:", 4)) {
            add_grant(rights, zone, entry + 4);
            continue;
        }
        if (!rights->addresses)
            rights->addresses = acl_new();
        acl_add(rights->addresses, entry, NULL);
    }
    rights->computed = xcalloc(zone->record_count + 1, sizeof *rights->computed);
    for (size_t i = 0; i < zone->record_count; i++)
        memcpy(rights->computed[rights->computed_count++], zone->records[i].owner, NAME_MAX_WIRE);
}

static void add_catalog(struct update_policy *policy, const uint8_t *apex)
{
    struct zone_rights *rights = &policy->zones[policy->zone_count++];
    name_lower(apex, rights->apex);
    rights->kind = KIND_CATALOG;
}

struct update_policy *update_policy_new(const struct config *config, struct err *err)
{
    const struct config_services *services = &config->services;
    struct update_policy *policy = xcalloc(1, sizeof *policy);
    policy->keys = xcalloc(config->key_count + 1, sizeof *policy->keys);
    for (; policy->key_count < config->key_count; policy->key_count++)
        if (config_key_read(&config->keys[policy->key_count], &policy->keys[policy->key_count], err)) {
            update_policy_free(policy);
            return NULL;
        }
    policy->zones = xcalloc(config->zone_count + services->reverse_count + 3, sizeof *policy->zones);
    for (size_t i = 0; i < config->zone_count; i++)
        add_zone(policy, &config->zones[i]);
    add_catalog(policy, (const uint8_t *)"\6lictor");
    if (services->enabled)
        add_catalog(policy, services->domain);
    if (services->enabled && services->has_alt_domain)
        add_catalog(policy, services->alt_domain);
    for (size_t i = 0; services->enabled && i < services->reverse_count; i++)
        add_catalog(policy, services->reverse[i]);
    return policy;
}

void update_policy_free(struct update_policy *policy)
{
    if (!policy)
        return;
    for (size_t i = 0; i < policy->zone_count; i++) {
        struct zone_rights *zone = &policy->zones[i];
        for (size_t k = 0; k < zone->grant_count; k++) {
            free(zone->grants[k].names);
            free(zone->grants[k].types);
        }
        acl_free(zone->addresses);
        free(zone->grants);
        free(zone->computed);
    }
    explicit_bzero(policy->keys, policy->key_count * sizeof *policy->keys);
    free(policy->keys);
    free(policy->zones);
    free(policy);
}
