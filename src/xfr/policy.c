/* `transfer` and `key` of the configuration, ready for the workers. */
#include "policy.h"

#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

struct rights {
    uint8_t apex[NAME_MAX_WIRE]; /* lower case */
    struct acl *addresses;
    size_t *keys; /* into policy->keys */
    size_t key_count;
};

struct transfer_policy {
    struct tsig_key *keys;
    size_t key_count;
    struct rights *rights; /* by apex, as qsort has them */
    size_t rights_count;
};

static int compare_rights(const void *a, const void *b)
{
    return name_compare(((const struct rights *)a)->apex, ((const struct rights *)b)->apex);
}

const struct tsig_key *policy_key(const struct transfer_policy *policy, const uint8_t *name)
{
    for (size_t i = 0; i < policy->key_count; i++)
        if (name_equal(policy->keys[i].name, name))
            return &policy->keys[i];
    return NULL;
}

bool policy_allows(const struct transfer_policy *policy, const uint8_t *apex,
                   const struct sockaddr_storage *client, const struct tsig_key *key)
{
    struct rights wanted;
    memcpy(wanted.apex, apex, name_len(apex));
    const struct rights *rights =
        policy->rights_count
            ? bsearch(&wanted, policy->rights, policy->rights_count, sizeof *policy->rights, compare_rights)
            : NULL;
    if (!rights)
        return false;
    for (size_t i = 0; key && i < rights->key_count; i++)
        if (&policy->keys[rights->keys[i]] == key)
            return true;
    return acl_match(rights->addresses, client);
}

/* The entries were checked with the configuration. */
static void add_rights(struct transfer_policy *policy, const uint8_t *apex,
                       const struct config_strings *entries)
{
    struct rights rights = {.addresses = acl_new(), .keys = xcalloc(entries->count + 1, sizeof *rights.keys)};
    if (entries->count == 0) {
        acl_free(rights.addresses);
        free(rights.keys);
        return;
    }
    name_lower(apex, rights.apex);
    for (size_t i = 0; i < entries->count; i++) {
        const char *entry = entries->items[i];
        uint8_t name[NAME_MAX_WIRE];
        if (strncmp(entry, "key:", 4)) {
            acl_add(rights.addresses, entry, NULL);
            continue;
        }
        if (name_from_text(entry + 4, NULL, name, NULL) < 0)
            continue;
        const struct tsig_key *key = policy_key(policy, name);
        if (key)
            rights.keys[rights.key_count++] = (size_t)(key - policy->keys);
    }
    policy->rights[policy->rights_count++] = rights;
}

static void add_services(struct transfer_policy *policy, const struct config_services *services)
{
    if (!services->enabled)
        return;
    add_rights(policy, services->domain, &services->transfer);
    if (services->has_alt_domain)
        add_rights(policy, services->alt_domain, &services->transfer);
    for (size_t i = 0; i < services->reverse_count; i++)
        add_rights(policy, services->reverse[i], &services->transfer);
}

struct transfer_policy *transfer_policy_new(const struct config *config, struct err *err)
{
    struct transfer_policy *policy = xcalloc(1, sizeof *policy);
    policy->keys = xcalloc(config->key_count + 1, sizeof *policy->keys);
    for (; policy->key_count < config->key_count; policy->key_count++)
        if (config_key_read(&config->keys[policy->key_count], &policy->keys[policy->key_count], err)) {
            transfer_policy_free(policy);
            return NULL;
        }
    policy->rights = xcalloc(config->zone_count + config->services.reverse_count + 2, sizeof *policy->rights);
    for (size_t i = 0; i < config->zone_count; i++)
        add_rights(policy, config->zones[i].apex, &config->zones[i].transfer);
    add_services(policy, &config->services);
    if (policy->rights_count)
        qsort(policy->rights, policy->rights_count, sizeof *policy->rights, compare_rights);
    return policy;
}

void transfer_policy_free(struct transfer_policy *policy)
{
    if (!policy)
        return;
    for (size_t i = 0; i < policy->rights_count; i++) {
        acl_free(policy->rights[i].addresses);
        free(policy->rights[i].keys);
    }
    explicit_bzero(policy->keys, policy->key_count * sizeof *policy->keys);
    free(policy->keys);
    free(policy->rights);
    free(policy);
}
