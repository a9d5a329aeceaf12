/* What the configuration can say but this version does not do. Accepting it in silence would let an operator
 * rely on it, so each is a fault. A version that serves one of these deletes its line here. */
#include "config/read.h"

#include <string.h>

/* A value other than the default (NULL: any) of a key is not served. */
static const struct {
    const char *section, *key, *served, *prefix; /* prefix: only values that begin so */
} unserved_values[] = {
    {"action", "when", NULL, "check "},
    {"action", "when", NULL, "event "},
    {"action", "when", NULL, "every "},
};

static const struct {
    const char *section, *subsection;
} unserved_sections[] = {
    {"action", "vip"},
    {"action", "http"},
    {"action", "mail"},
    {"action", "template"},
};

static void check_value(struct check *check, cfg_t *section, size_t i)
{
    const char *key = unserved_values[i].key, *served = unserved_values[i].served,
               *prefix = unserved_values[i].prefix;
    const struct value *value = value_at(section, key, 0);
    if (!value || (served && !strcmp(value->text, served)) ||
        (prefix && strncmp(value->text, prefix, strlen(prefix))))
        return;
    if (served && *served)
        fault_add(check->faults, value->line,
                  "this version does not serve `%s = \"%s\"` yet; write \"%s\" or remove it", key,
                  value->text, served);
    else if (prefix)
        fault_add(check->faults, value->line, "this version does not serve `%s = \"%s...\"` yet; remove it",
                  key, prefix);
    else
        fault_add(check->faults, value->line, "this version does not serve `%s` yet; remove it", key);
}

void check_unserved(struct check *check)
{
    for (size_t i = 0; i < sizeof(unserved_values) / sizeof(unserved_values[0]); i++)
        for (unsigned n = 0; n < cfg_size(check->root, unserved_values[i].section); n++)
            check_value(check, cfg_getnsec(check->root, unserved_values[i].section, n), i);

    for (size_t i = 0; i < sizeof(unserved_sections) / sizeof(unserved_sections[0]); i++) {
        const char *name = unserved_sections[i].subsection;
        for (unsigned n = 0; n < cfg_size(check->root, unserved_sections[i].section); n++) {
            cfg_t *section = cfg_getnsec(check->root, unserved_sections[i].section, n);
            for (unsigned k = 0; k < cfg_size(section, name); k++)
                fault_add(check->faults, section_line(cfg_getnsec(section, name, k)),
                          "this version does not serve `%s` yet; remove it", name);
        }
    }
}
