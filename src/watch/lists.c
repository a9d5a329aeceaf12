#include "lists.h"

#include "lictor/buf.h"
#include "lictor/xalloc.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *load(const char *body, size_t len, const char *what, struct err *err)
{
    json_error_t fault;
    json_t *json = json_loadb(body, len, JSON_DECODE_ANY, &fault);
    if (!json)
        err_set(err, "%s: not JSON: line %d: %s", what, fault.line, fault.text);
    return json;
}

static char *fold(const char *text)
{
    char *folded = xstrdup(text);
    for (char *c = folded; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + ('a' - 'A'));
    return folded;
}

/* --- services ------------------------------------------------------------------------------------ */

/* FNV-1a, summed over the tags: it only decides when to read a service before the next sweep would. */
static unsigned digest_of(const json_t *tags)
{
    unsigned sum = 0;
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const char *tag = json_string_value(json_array_get(tags, i));
        unsigned hash = 2166136261U;
        for (const char *c = tag ? tag : ""; *c; c++)
            hash = (hash ^ (unsigned char)*c) * 16777619U;
        sum += hash;
    }
    return sum;
}

static void listed_free(void *arg)
{
    struct listed *listed = arg;
    free(listed->name);
    free(listed);
}

void services_list_free(struct strmap *list)
{
    strmap_free(list, listed_free);
}

/* {"web": ["tag", ...], ...}: what merely looks like it must not become a service that does not exist. */
static bool is_services_list(const json_t *json)
{
    const char *name;
    json_t *tags, *tag;
    size_t i;
    if (json_is_null(json))
        return true;
    if (!json_is_object(json))
        return false;
    json_object_foreach((json_t *)json, name, tags)
    {
        if (!json_is_array(tags) && !json_is_null(tags))
            return false;
        json_array_foreach(tags, i, tag)
        {
            if (!json_is_string(tag))
                return false;
        }
    }
    return true;
}

struct strmap *services_list_parse(const char *body, size_t len, struct err *err)
{
    json_t *json = load(body, len, "list of services", err);
    if (!json)
        return NULL;
    struct strmap *list = NULL;
    if (!is_services_list(json)) {
        err_set(err, "list of services: the body is not an object of names with lists of tags");
    } else {
        const char *name;
        json_t *tags;
        list = strmap_new();
        json_object_foreach(json, name, tags)
        {
            char *folded = fold(name);
            struct listed *listed = strmap_gets(list, folded);
            if (!listed && name[0]) {
                listed = xcalloc(1, sizeof(*listed));
                listed->name = xstrdup(name);
                strmap_puts(list, folded, listed);
            }
            if (listed)
                listed->digest += digest_of(tags);
            free(folded);
        }
    }
    json_decref(json);
    return list;
}

/* --- checks -------------------------------------------------------------------------------------- */

static void flagged_free(void *arg)
{
    struct flagged *flagged = arg;
    free(flagged->name);
    free(flagged);
}

void checks_list_free(struct strmap *list)
{
    strmap_free(list, flagged_free);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void add_check(struct strmap *list, const json_t *check)
{
    const char *node = text_of(check, "Node"), *service = text_of(check, "ServiceName");
    const char *parts[] = {node, text_of(check, "CheckID"), text_of(check, "ServiceID")};
    struct buf key = {0};
    for (size_t i = 0; i < 3; i++)
        buf_append(&key, parts[i], strlen(parts[i]) + 1);
    struct flagged *flagged = xcalloc(1, sizeof(*flagged));
    flagged->is_node = !service[0];
    flagged->name = flagged->is_node ? xstrdup(node) : fold(service);
    struct flagged *old = strmap_put(list, key.data, key.len, flagged);
    if (old)
        flagged_free(old);
    buf_free(&key);
}

struct strmap *checks_list_parse(const char *body, size_t len, struct err *err)
{
    json_t *json = load(body, len, "list of checks", err);
    if (!json)
        return NULL;
    struct strmap *list = NULL;
    if (!json_is_array(json) && !json_is_null(json)) {
        err_set(err, "list of checks: the body is not a list");
    } else {
        list = strmap_new();
        for (size_t i = 0; i < json_array_size(json); i++)
            add_check(list, json_array_get(json, i));
    }
    json_decref(json);
    return list;
}

static void visit_missing(const struct strmap *from, const struct strmap *in,
                          void (*visit)(void *arg, const struct flagged *entry), void *arg)
{
    const void *key;
    size_t len;
    void *value;
    for (size_t i = 0; from && strmap_next(from, &i, &key, &len, &value);)
        if (!in || !strmap_get(in, key, len))
            visit(arg, value);
}

void checks_list_diff(const struct strmap *before, const struct strmap *now,
                      void (*visit)(void *arg, const struct flagged *entry), void *arg)
{
    visit_missing(before, now, visit, arg);
    visit_missing(now, before, visit, arg);
}
