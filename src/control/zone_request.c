#include "control/zone_request.h"

#include <string.h>

static const char *const verbs[] = {
    [ZONE_IMPORT] = "import",   [ZONE_EXPORT] = "export", [ZONE_SHOW] = "show", [ZONE_DIFF] = "diff",
    [ZONE_HISTORY] = "history", [ZONE_FREEZE] = "freeze", [ZONE_THAW] = "thaw", [ZONE_ROLLBACK] = "rollback",
};

const char *zone_verb_text(enum zone_verb verb)
{
    return verbs[verb];
}

bool zone_request_for_primary(const struct zone_request *request)
{
    switch (request->verb) {
    case ZONE_IMPORT:
    case ZONE_FREEZE:
    case ZONE_THAW:
    case ZONE_ROLLBACK:
        return true;
    case ZONE_DIFF: /* against a file: what it would change depends on the one imported last */
        return request->upload;
    default:
        return false;
    }
}

static int read_verb(const json_t *value, struct zone_request *out, struct err *err)
{
    const char *text = json_string_value(value);
    for (size_t i = 0; text && i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(text, verbs[i]) == 0) {
            out->verb = (enum zone_verb)i;
            return 0;
        }
    return err_set(err, "\"zone\" needs a `verb`: import, export, show, diff, history, freeze, thaw or "
                        "rollback");
}

static int read_name(const json_t *value, struct zone_request *out, struct err *err)
{
    const char *text = json_string_value(value);
    struct err why = {""};
    if (!text || !*text)
        return err_set(err, "\"zone\" needs a `name`: the zone's");
    if (strlen(text) != json_string_length(value) ||
        name_from_text(text, (const uint8_t *)"", out->apex, &why) < 0)
        return err_set(err, "\"%.100s\" is no zone's name: %.200s", text, why.text);
    name_lower(out->apex, out->apex);
    return 0;
}

static int read_mode(const json_t *value, struct zone_request *out, struct err *err)
{
    static const char *const modes[] = {
        [STORE_IMPORT_MERGE] = "merge", [STORE_IMPORT_OURS] = "ours", [STORE_IMPORT_REPLACE] = "replace"};
    const char *text = json_string_value(value);
    for (size_t i = 0; text && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(text, modes[i]) == 0) {
            out->mode = (enum store_import_mode)i;
            return 0;
        }
    return err_set(err, "`mode` must be \"merge\", \"ours\" or \"replace\"");
}

static int read_serial(const json_t *value, const char *key, uint32_t *out, bool *has, struct err *err)
{
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || number > UINT32_MAX)
        return err_set(err, "`%s` must be a serial: a number from 0 to 4294967295", key);
    *out = (uint32_t)number;
    *has = true;
    return 0;
}

static int read_reason(const json_t *value, struct zone_request *out, struct err *err)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    if (!text || len >= sizeof out->reason)
        return err_set(err, "`reason` must be a text of less than %d octets", ZONE_REASON_MAX);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return err_set(err, "`reason` holds a control character");
    memcpy(out->reason, text, len + 1);
    return 0;
}

static int read_flag(const json_t *value, const char *key, bool *out, struct err *err)
{
    if (!json_is_boolean(value))
        return err_set(err, "`%s` must be true or false", key);
    *out = json_is_true(value);
    return 0;
}

static int read_steps(const json_t *value, struct zone_request *out, struct err *err)
{
    json_int_t number = json_integer_value(value);
    if (number < 1 || number > 1000000)
        return err_set(err, "`steps` must be a number of commits from 1 to 1000000");
    out->steps = (unsigned)number;
    return 0;
}

static int read_one(const char *key, const json_t *value, struct zone_request *out, struct err *err)
{
    enum zone_verb verb = out->verb;
    if (!strcmp(key, "verb") || !strcmp(key, "name"))
        return 0;
    if (!strcmp(key, "mode") && verb == ZONE_IMPORT)
        return read_mode(value, out, err);
    if (!strcmp(key, "upload") && verb == ZONE_DIFF)
        return read_flag(value, key, &out->upload, err);
    if (!strcmp(key, "committed") && verb == ZONE_EXPORT)
        return read_flag(value, key, &out->committed, err);
    if (!strcmp(key, "records") && verb == ZONE_HISTORY)
        return read_flag(value, key, &out->records, err);
    if (!strcmp(key, "from") && verb == ZONE_DIFF)
        return read_serial(value, key, &out->from, &out->has_from, err);
    if (!strcmp(key, "to") && (verb == ZONE_DIFF || verb == ZONE_ROLLBACK))
        return read_serial(value, key, &out->to, &out->has_to, err);
    if (!strcmp(key, "steps") && verb == ZONE_ROLLBACK)
        return read_steps(value, out, err);
    if (!strcmp(key, "reason") && verb == ZONE_FREEZE)
        return read_reason(value, out, err);
    return err_set(err, "\"zone %s\" takes no argument \"%.60s\"", verbs[verb], key);
}

int zone_request_parse(const json_t *args, struct zone_request *out, struct err *err)
{
    const char *key;
    json_t *value;
    *out = (struct zone_request){0};
    if (read_verb(json_object_get(args, "verb"), out, err) ||
        read_name(json_object_get(args, "name"), out, err))
        return -1;
    json_object_foreach((json_t *)args, key, value)
    {
        if (read_one(key, value, out, err))
            return -1;
    }
    if (out->verb == ZONE_ROLLBACK && out->has_to == (out->steps > 0))
        return err_set(err, "\"zone rollback\" needs `to`, a serial, or `steps`, a number of commits");
    if (out->upload && (out->has_from || out->has_to))
        return err_set(err, "\"zone diff\" compares with a file, or two versions, not both");
    return 0;
}
