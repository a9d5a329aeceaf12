/* `transfer`, `update` and `notify`, of zones and of the catalog's. */
#include "config/literal.h"
#include "config/read.h"

#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

void read_acl(struct check *check, cfg_t *section, const char *key, struct config_strings *out)
{
    for (size_t i = 0; i < value_count(section, key); i++) {
        const struct value *value = value_at(section, key, i);
        struct err err;
        if (!strncmp(value->text, "key:", 4)) {
            if (!is_known_key(check, value->text + 4))
                fault_add(check->faults, value->line,
                          "`%s` has `%s`, but no `key` section defines `%s`; add one or correct the name",
                          key, value->text, value->text + 4);
        } else if (prefix_check(value->text, &err)) {
            fault_add(check->faults, value->line, "`%s`: %s, or \"key:NAME\"", key, err.text);
        }
        strings_add(out, xstrdup(value->text));
    }
}

/* An address with or without a port. */
static int parse_address(const char *text, struct sockaddr_storage *out)
{
    char *with_port = NULL;
    if (literal_parse(text, out, NULL) == 0)
        return 0;
    if (*text != '[')
        with_port = strchr(text, ':') ? xasprintf("[%s]:53", text) : xasprintf("%s:53", text);
    int result = with_port ? literal_parse(with_port, out, NULL) : -1;
    free(with_port);
    return result;
}

static void read_target(struct check *check, const struct value *value, struct config_notify *out)
{
    char *text = xstrdup(value->text), *space = strpbrk(text, " \t");
    const char *key = space ? space + strspn(space, " \t") : NULL;
    if (space)
        *space = '\0';
    if (parse_address(text, &out->address) || (key && strncmp(key, "key:", 4))) {
        fault_add(check->faults, value->line,
                  "`notify` has `%s`; write an address, such as \"192.0.2.53\", \"[2001:db8::1]:53\" or "
                  "\"192.0.2.53 key:NAME\"",
                  value->text);
    } else if (key && !is_known_key(check, key + 4)) {
        fault_add(check->faults, value->line,
                  "`notify` has `%s`, but no `key` section defines `%s`; add one or correct the name",
                  value->text, key + 4);
    } else if (key) {
        out->key = xstrdup(key + 4);
    }
    free(text);
}

void read_notify(struct check *check, cfg_t *section, struct config_notifies *out)
{
    out->count = value_count(section, "notify");
    out->items = xcalloc(out->count + 1, sizeof(*out->items));
    for (size_t i = 0; i < out->count; i++)
        read_target(check, value_at(section, "notify", i), &out->items[i]);
}

void read_services_transfer(struct check *check)
{
    struct config_services *services = &check->config->services;
    cfg_t *block = section_get(check->root, "services");
    read_acl(check, block, "transfer", &services->transfer);
    read_notify(check, block, &services->notify);
    const char *const keys[] = {"transfer", "notify"};
    for (size_t i = 0; services->watch_asked && i < sizeof(keys) / sizeof(keys[0]); i++)
        if (value_count(block, keys[i]))
            fault_add(check->faults, read_line(block, keys[i]),
                      "`%s` needs `watch = \"all\"`: with \"asked\" the zone holds only what was asked for "
                      "lately, which is no content for a secondary; remove one",
                      keys[i]);
}

void notifies_free(struct config_notifies *notifies)
{
    for (size_t i = 0; i < notifies->count; i++)
        free(notifies->items[i].key);
    free(notifies->items);
    *notifies = (struct config_notifies){0};
}
