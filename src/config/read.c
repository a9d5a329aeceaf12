#include "config/read.h"

#include "lictor/xalloc.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TTL_MAX (INT64_C(2147483647) * NS_PER_S)

int read_line(cfg_t *section, const char *key)
{
    const struct value *value = value_at(section, key, 0);
    return value ? value->line : section_line(section);
}

char *read_text(cfg_t *section, const char *key, const char *fallback)
{
    const struct value *value = value_at(section, key, 0);
    const char *text = value ? value->text : fallback;
    return text && *text ? xstrdup(text) : NULL;
}

bool read_bool(struct check *check, cfg_t *section, const char *key, bool fallback)
{
    const struct value *value = value_at(section, key, 0);
    if (!value)
        return fallback;
    if (!strcmp(value->text, "true") || !strcmp(value->text, "yes") || !strcmp(value->text, "on"))
        return true;
    if (strcmp(value->text, "false") && strcmp(value->text, "no") && strcmp(value->text, "off"))
        fault_add(check->faults, value->line, "`%s` is `%s`; write true or false", key, value->text);
    return false;
}

unsigned read_number(struct check *check, cfg_t *section, const char *key, unsigned fallback, unsigned min,
                     unsigned max)
{
    const struct value *value = value_at(section, key, 0);
    if (!value)
        return fallback;
    size_t digits = strspn(value->text, "0123456789");
    if (digits && !value->text[digits]) {
        errno = 0;
        unsigned long number = strtoul(value->text, NULL, 10);
        if (!errno && number >= min && number <= max)
            return (unsigned)number;
    }
    fault_add(check->faults, value->line, "`%s` is `%s`; write a whole number from %u to %u", key,
              value->text, min, max);
    return fallback;
}

nstime read_duration(struct check *check, cfg_t *section, const char *key, nstime fallback, nstime min,
                     nstime max)
{
    const struct value *value = value_at(section, key, 0);
    if (!value)
        return fallback;
    nstime duration;
    if (duration_parse(value->text, &duration)) {
        fault_add(check->faults, value->line,
                  "`%s` is `%s`; write a duration with its unit, such as \"500ms\", \"2s\" or \"1h30m\"", key,
                  value->text);
        return fallback;
    }
    if (duration < min || duration > max) {
        char low[32], high[32];
        fault_add(check->faults, value->line, "`%s` is `%s`; it must be from %s to %s", key, value->text,
                  duration_format(min, low), duration_format(max, high));
        return fallback;
    }
    return duration;
}

bool read_ttl_text(struct check *check, int line, const char *key, const char *text, nstime *out)
{
    nstime ttl;
    if (!duration_parse(text, &ttl) && ttl <= TTL_MAX && ttl % NS_PER_S == 0) {
        *out = ttl;
        return true;
    }
    fault_add(check->faults, line,
              "`%s` has the TTL `%s`; write whole seconds with a unit, such as \"10s\" or \"1m\", at most "
              "2147483647s",
              key, text);
    return false;
}

nstime read_ttl(struct check *check, cfg_t *section, const char *key, nstime fallback)
{
    const struct value *value = value_at(section, key, 0);
    nstime ttl = fallback;
    if (value)
        read_ttl_text(check, value->line, key, value->text, &ttl);
    return ttl;
}

int read_choice(struct check *check, cfg_t *section, const char *key, int fallback, const char *const *words)
{
    const struct value *value = value_at(section, key, 0);
    if (!value)
        return fallback;
    struct buf list = {0};
    for (int i = 0; words[i]; i++) {
        if (!strcmp(value->text, words[i])) {
            buf_free(&list);
            return i;
        }
        buf_printf(&list, "%s\"%s\"", !i ? "" : words[i + 1] ? ", " : " or ", words[i]);
    }
    fault_add(check->faults, value->line, "`%s` is `%s`; write %s", key, value->text, buf_str(&list));
    buf_free(&list);
    return fallback;
}

char *path_absolute(const char *folder, const char *path)
{
    return *path == '/' ? xstrdup(path) : xasprintf("%s/%s", folder, path);
}

char *read_path(struct check *check, cfg_t *section, const char *key, const char *fallback)
{
    char *text = read_text(section, key, fallback);
    if (!text)
        return NULL;
    char *path = path_absolute(check->folder, text);
    free(text);
    return path;
}

char *read_readable_path(struct check *check, cfg_t *section, const char *key)
{
    char *path = read_path(check, section, key, NULL);
    if (path && access(path, R_OK))
        fault_add(check->faults, read_line(section, key),
                  "`%s` names `%s`, which cannot be read: %s; name a readable file", key, path,
                  strerror(errno));
    return path;
}

void check_user(struct check *check, int line, const char *name)
{
    struct passwd found, *result;
    char space[4096];
    int error = getpwnam_r(name, &found, space, sizeof(space), &result);
    if (!error && result)
        return;
    fault_add(check->faults, line,
              "there is no user `%s` on this host; create it (`useradd --system %s`) or name another", name,
              name);
}

void strings_add(struct config_strings *strings, char *owned)
{
    strings->items = xrealloc(strings->items, (strings->count + 1) * sizeof(*strings->items));
    strings->items[strings->count++] = owned;
}
