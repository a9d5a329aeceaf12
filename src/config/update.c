/* `update-policy "KEY" { }` in zones: which names and types a key may change. */
#include "config/read.h"

#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* Each `*` of a pattern is tried at each of 127 labels. */
#define ASTERISKS_MAX 2

static bool same_key(const char *a, const char *b)
{
    uint8_t x[NAME_MAX_WIRE], y[NAME_MAX_WIRE];
    return name_from_text(a, NULL, x, NULL) >= 0 && name_from_text(b, NULL, y, NULL) >= 0 && name_equal(x, y);
}

static bool may_update(const struct config_zone *zone, const char *key)
{
    for (size_t i = 0; i < zone->update.count; i++)
        if (!strncmp(zone->update.items[i], "key:", 4) && same_key(zone->update.items[i] + 4, key))
            return true;
    return false;
}

int config_update_name(const char *text, const uint8_t *apex, uint8_t out[NAME_MAX_WIRE], struct err *err)
{
    unsigned asterisks = 0;
    if (!strcmp(text, "@"))
        memcpy(out, apex, name_len(apex));
    else if (name_from_text(text, apex, out, err) < 0)
        return -1;
    name_lower(out, out);
    for (const uint8_t *label = out; *label; label += 1 + *label)
        asterisks += label[0] == 1 && label[1] == '*';
    if (!name_is_under(out, apex))
        return err_set(err, "it is outside of the zone; write names without the zone's");
    if (asterisks > ASTERISKS_MAX)
        return err_set(err, "at most %d labels may be `*`", ASTERISKS_MAX);
    return 0;
}

static void read_names(struct check *check, cfg_t *section, const struct config_zone *zone,
                       struct config_update_policy *out)
{
    for (size_t i = 0; i < value_count(section, "names"); i++) {
        const struct value *value = value_at(section, "names", i);
        uint8_t name[NAME_MAX_WIRE];
        struct err err;
        if (!*value->text)
            fault_add(check->faults, value->line,
                      "`names` has an empty name; write \"@\" for the zone's own");
        else if (config_update_name(value->text, zone->apex, name, &err))
            fault_add(check->faults, value->line, "`names` has `%s`: %s", value->text, err.text);
        strings_add(&out->names, xstrdup(value->text));
    }
}

/* Types that no record has, or that come with signing, which UPDATE does not do. */
static bool is_out_of_question(int type)
{
    return type == 0 || type == DNS_OPT || (type >= 128 && type <= DNS_ANY) || type == DNS_RRSIG ||
           type == DNS_NSEC || type == DNS_NSEC3 || type == DNS_NSEC3PARAM || type == DNS_DNSKEY;
}

static void read_types(struct check *check, cfg_t *section, struct config_update_policy *out)
{
    size_t count = value_count(section, "types");
    out->types = xcalloc(count + 1, sizeof *out->types);
    for (size_t i = 0; i < count; i++) {
        const struct value *value = value_at(section, "types", i);
        int type = dns_type_parse(value->text);
        if (type < 0)
            fault_add(check->faults, value->line,
                      "`types` has `%s`, which is no type; write such as \"TXT\", \"A\" or \"TYPE65280\"",
                      value->text);
        else if (is_out_of_question(type))
            fault_add(check->faults, value->line, "`types` has `%s`, which UPDATE cannot change; remove it",
                      value->text);
        else
            out->types[out->type_count++] = (uint16_t)type;
    }
}

static void read_policy(struct check *check, cfg_t *section, struct config_zone *zone)
{
    struct config_update_policy policy = {.key = xstrdup(cfg_title(section)), .line = section_line(section)};
    if (!may_update(zone, policy.key))
        fault_add(check->faults, policy.line,
                  "`update-policy \"%s\"` is of a key that `update` does not have; add \"key:%s\" there, or "
                  "remove the policy",
                  policy.key, policy.key);
    for (size_t i = 0; i < zone->update_policy_count; i++)
        if (same_key(zone->update_policies[i].key, policy.key))
            fault_add(check->faults, policy.line,
                      "`update-policy \"%s\"` is already at line %d; make one of both", policy.key,
                      zone->update_policies[i].line);
    read_names(check, section, zone, &policy);
    read_types(check, section, &policy);
    if (!value_count(section, "names") && !value_count(section, "types"))
        fault_add(check->faults, policy.line,
                  "`update-policy \"%s\"` limits nothing; write `names`, `types` or both, or remove it",
                  policy.key);
    zone->update_policies =
        xrealloc(zone->update_policies, (zone->update_policy_count + 1) * sizeof *zone->update_policies);
    zone->update_policies[zone->update_policy_count++] = policy;
}

void read_update(struct check *check, cfg_t *section, struct config_zone *zone)
{
    read_acl(check, section, "update", &zone->update);
    for (unsigned i = 0; i < cfg_size(section, "update-policy"); i++)
        read_policy(check, cfg_getnsec(section, "update-policy", i), zone);
    if (zone->update.count && !zone->store_kv)
        fault_add(check->faults, read_line(section, "update"),
                  "`update` needs `store = \"kv\"`, and that an `election` section: what a file has is "
                  "changed in the file, on each instance");
}

void update_policies_free(struct config_zone *zone)
{
    for (size_t i = 0; i < zone->update_policy_count; i++) {
        struct config_update_policy *policy = &zone->update_policies[i];
        for (size_t k = 0; k < policy->names.count; k++)
            free(policy->names.items[k]);
        free(policy->names.items);
        free(policy->types);
        free(policy->key);
    }
    free(zone->update_policies);
}
