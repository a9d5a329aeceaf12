#include "control/request.h"

#include "lictor/utf8.h"
#include "lictor/xalloc.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *argument;
} verbs[VERBS] = {
#define VERB(id, name, argument) [VERB_##id] = {name, argument},
    CONTROL_VERBS(VERB)
#undef VERB
};

static int find_verb(const char *name, enum verb *out)
{
    for (int i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0) {
            *out = (enum verb)i;
            return 0;
        }
    return -1;
}

static int read_name(const json_t *value, struct request *out, struct err *err)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    if (!text || len == 0)
        return err_set(err, "`name` must be a string");
    if (len > REQUEST_NAME_MAX)
        return err_set(err, "`name` is longer than %d octets", REQUEST_NAME_MAX);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return err_set(err, "`name` holds a control character");
    memcpy(out->name, text, len + 1);
    out->has_name = true;
    return 0;
}

static int read_duration(const json_t *value, struct request *out, struct err *err)
{
    const char *text = json_string_value(value);
    if (!text || duration_parse(text, &out->duration) != 0 || out->duration <= 0)
        return err_set(err, "`for` must be a duration above 0, such as \"30m\" or \"2h\"");
    if (out->duration > REQUEST_FOR_MAX)
        return err_set(err, "`for` is longer than ten years; leave it out for a pause without end");
    return 0;
}

static int read_request(const json_t *document, struct request *out, struct err *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(document))
        return err_set(err, "a request is an object: {\"cmd\":\"status\",\"args\":{}}");
    json_object_foreach(
        (json_t *)document, key,
        value) if (strcmp(key, "cmd") != 0 &&
                   strcmp(key, "args") !=
                       0) return err_set(err, "unknown member \"%.60s\"; a request has \"cmd\" and \"args\"",
                                         key);
    const char *name = json_string_value(json_object_get(document, "cmd"));
    if (!name)
        return err_set(err, "a request needs \"cmd\", a string");
    if (find_verb(name, &out->verb) < 0)
        return err_set(err, "unknown command \"%.60s\"", name);
    const json_t *args = json_object_get(document, "args");
    if (args && !json_is_object(args))
        return err_set(err, "\"args\" must be an object");
    if (out->verb == VERB_ZONE || out->verb == VERB_UPLOAD) {
        out->args = args ? json_incref((json_t *)args) : json_object();
        return 0;
    }
    json_object_foreach((json_t *)args, key, value)
    {
        if (strcmp(key, "for") == 0 && out->verb == VERB_PAUSE) {
            if (read_duration(value, out, err) < 0)
                return err_prefix(err, "\"%s\"", name);
            continue;
        }
        if (strcmp(key, "name") != 0 || !verbs[out->verb].argument)
            return err_set(err, "\"%s\" takes no argument \"%.60s\"", name, key);
        if (read_name(value, out, err) < 0)
            return err_prefix(err, "\"%s\"", name);
    }
    return 0;
}

int request_parse(const char *line, size_t len, struct request *out, struct err *err)
{
    json_error_t fault;
    *out = (struct request){0};
    if (len > REQUEST_LINE_MAX)
        return err_set(err, "a request has at most %d octets", REQUEST_LINE_MAX);
    json_t *document = json_loadb(line, len, JSON_REJECT_DUPLICATES, &fault);
    if (!document)
        return err_set(err, "the request is not JSON: %s", fault.text);
    int result = read_request(document, out, err);
    json_decref(document);
    return result;
}

void request_free(struct request *request)
{
    json_decref(request->args);
    request->args = NULL;
}

void reply_error(struct buf *out, const char *error)
{
    char *clean = utf8_clean(xstrdup(error)); /* it may quote a file of another encoding */
    json_t *reply = json_pack("{s:b, s:s}", "ok", 0, "error", clean);
    free(clean);
    char *text = json_dumps(reply, JSON_COMPACT);
    buf_puts(out, text);
    buf_puts(out, "\n");
    free(text);
    json_decref(reply);
}
