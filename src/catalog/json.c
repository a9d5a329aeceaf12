/* Members of Consul's objects: null where a list or an object is meant is usual, another type is not. */
#include "view.h"

static const char *const type_names[] = {
    [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "a list",    [JSON_STRING] = "a string",
    [JSON_INTEGER] = "an integer", [JSON_REAL] = "a fraction", [JSON_TRUE] = "true",
    [JSON_FALSE] = "false",        [JSON_NULL] = "null",
};

int json_member(const json_t *object, const char *key, json_type type, const char *where, json_t **out,
                struct err *err)
{
    json_t *value = json_object_get(object, key);
    *out = NULL;
    if (!value || json_is_null(value))
        return 0;
    if (json_typeof(value) != type)
        return err_set(err, "%s: %s is %s where %s is meant", where, key, type_names[json_typeof(value)],
                       type_names[type]);
    *out = value;
    return 0;
}

int json_text(const json_t *object, const char *key, const char *where, const char **out, struct err *err)
{
    json_t *value;
    *out = "";
    if (json_member(object, key, JSON_STRING, where, &value, err) < 0)
        return -1;
    if (value)
        *out = json_string_value(value);
    return 0;
}

void json_write_text(struct buf *out, const char *text)
{
    buf_append(out, "\"", 1);
    const char *plain = text;
    for (const char *c = text;; c++) {
        unsigned char octet = (unsigned char)*c;
        if (octet >= 0x20 && octet != '"' && octet != '\\')
            continue;
        buf_append(out, plain, (size_t)(c - plain));
        if (octet == '\0')
            break;
        if (octet < 0x20)
            buf_printf(out, "\\u%04x", octet);
        else
            buf_append(out, octet == '"' ? "\\\"" : "\\\\", 2);
        plain = c + 1;
    }
    buf_append(out, "\"", 1);
}
