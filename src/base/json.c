#include "lictor/json.h"

#include "lictor/utf8.h"
#include "lictor/xalloc.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What jansson 2.14 allocates on 64 bits, with malloc's own share: an object has eight buckets from the
 * start, a list eight places. */
#define COST_OBJECT 256
#define COST_LIST   144
#define COST_MEMBER 88
#define COST_VALUE  64

/* Walks over a document without understanding it. */
struct scan {
    const char *at, *end;
    size_t cost;
    unsigned depth;
};

/* From behind the opening quote to behind the closing one. */
static void skip_string(struct scan *scan)
{
    while (scan->at < scan->end && *scan->at != '"')
        scan->at += *scan->at == '\\' && scan->end - scan->at > 1 ? 2 : 1;
    if (scan->at < scan->end)
        scan->at++;
}

/* Goes to the end, or to the first octet at depth 0 that ends an element of a list. */
static void walk(struct scan *scan, bool element)
{
    while (scan->at < scan->end) {
        char c = *scan->at;
        if (element && scan->depth == 0 && (c == ',' || c == ']'))
            return;
        scan->at++;
        if (c == '"')
            skip_string(scan);
        else if (c == '{')
            scan->cost += COST_OBJECT, scan->depth++;
        else if (c == '[')
            scan->cost += COST_LIST, scan->depth++;
        else if (c == ':')
            scan->cost += COST_MEMBER;
        else if (c == ',')
            scan->cost += COST_VALUE;
        else if ((c == '}' || c == ']') && scan->depth > 0)
            scan->depth--;
    }
}

size_t json_cost(const char *body, size_t len)
{
    struct scan scan = {.at = body, .end = body + len, .cost = len + COST_VALUE};
    walk(&scan, false);
    return scan.cost;
}

static json_t *load(const char *text, size_t len, size_t cost, const char *what, struct err *err)
{
    json_error_t fault;
    if (cost > JSON_COST_MAX) {
        err_set(err, "%s: too many values for its %zu octets: they would take %zu MiB", what, len,
                cost >> 20);
        return NULL;
    }
    json_t *json = json_loadb(text, len, JSON_DECODE_ANY, &fault);
    if (!json)
        err_set(err, "%s: not JSON: line %d: %s", what, fault.line, fault.text);
    return json;
}

json_t *json_load_bounded(const char *body, size_t len, const char *what, struct err *err)
{
    return load(body, len, json_cost(body, len), what, err);
}

/* --- lists --------------------------------------------------------------------------------------- */

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end && memchr(" \t\r\n", *scan->at, 4))
        scan->at++;
}

static bool take(struct scan *scan, char c)
{
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != c)
        return false;
    scan->at++;
    return true;
}

/* No list: is it `null`, or what is it? */
static int check_null(const char *body, size_t len, const char *what, struct err *err)
{
    json_t *json = json_load_bounded(body, len, what, err);
    if (!json)
        return -1;
    bool null = json_is_null(json);
    json_decref(json);
    return null ? 0 : err_set(err, "%s: the body is not a list", what);
}

static int visit_one(struct scan *scan, size_t number, const char *what, json_known *known, json_visit *visit,
                     void *arg, struct err *err)
{
    skip_space(scan);
    const char *start = scan->at;
    scan->cost = COST_VALUE;
    scan->depth = 0;
    walk(scan, true);
    size_t len = (size_t)(scan->at - start);
    if (known && known(arg, start, len))
        return 0;
    json_t *json = load(start, len, scan->cost + len, what, err);
    if (!json)
        return err_prefix(err, "entry %zu", number);
    int result = visit(arg, number, json, err);
    json_decref(json);
    return result;
}

int json_each_new(const char *body, size_t len, const char *what, json_known *known, json_visit *visit,
                  void *arg, struct err *err)
{
    struct scan scan = {.at = body, .end = body + len};
    if (!take(&scan, '['))
        return check_null(body, len, what, err);
    bool more = !take(&scan, ']');
    for (size_t number = 0; more; number++) {
        if (visit_one(&scan, number, what, known, visit, arg, err) < 0)
            return -1;
        more = take(&scan, ',');
        if (!more && !take(&scan, ']'))
            return err_set(err, "%s: the list is cut off after entry %zu", what, number);
    }
    skip_space(&scan);
    return scan.at == scan.end ? 0 : err_set(err, "%s: more follows the end of the list", what);
}

json_t *json_clean(const char *text)
{
    if (!text)
        return json_null();
    json_t *json = json_string(text);
    if (json)
        return json;
    char *clean = utf8_clean(xstrdup(text));
    json = json_string(clean);
    free(clean);
    return json;
}

int json_each(const char *body, size_t len, const char *what, json_visit *visit, void *arg, struct err *err)
{
    return json_each_new(body, len, what, NULL, visit, arg, err);
}
