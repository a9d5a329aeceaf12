#include "value.h"

#include "lictor/json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Above it is no epoch that this program wrote: a raft index does not get there. Leaves room to count on. */
#define EPOCH_LIMIT (INT64_C(1) << 62)

/* Of CLOCK_REALTIME in seconds: in ns it must fit an nstime. */
#define SECONDS_LIMIT (INT64_C(1) << 33)

static bool read_text(const json_t *object, const char *name, char *out, size_t size)
{
    const json_t *field = json_object_get(object, name);
    const char *text = json_string_value(field);
    size_t len = json_string_length(field);
    if (text == NULL || len >= size)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return false;
    memcpy(out, text, len + 1);
    return true;
}

static bool is_id(const json_t *field, char out[ELECTION_ID_SIZE])
{
    const char *text = json_string_value(field);
    if (text == NULL || json_string_length(field) != ELECTION_ID_SIZE - 1 ||
        strspn(text, "0123456789abcdefABCDEF-") != ELECTION_ID_SIZE - 1)
        return false;
    memcpy(out, text, ELECTION_ID_SIZE);
    return true;
}

static bool read_id(const json_t *object, const char *name, char out[ELECTION_ID_SIZE])
{
    return is_id(json_object_get(object, name), out);
}

static bool read_number(const json_t *object, const char *name, int64_t from, int64_t below, int64_t *out)
{
    const json_t *field = json_object_get(object, name);
    *out = json_integer_value(field);
    return json_is_integer(field) && *out >= from && *out < below;
}

/* The first address is where to ask. An empty list is one that advertises none. */
static bool read_address(const json_t *object, char out[VALUE_ADDRESS])
{
    const json_t *list = json_object_get(object, "addresses");
    out[0] = '\0';
    if (!json_is_array(list))
        return false;
    if (json_array_size(list) == 0)
        return true;
    json_t *holder = json_pack("{s:O}", "a", json_array_get(list, 0));
    bool ok = read_text(holder, "a", out, VALUE_ADDRESS);
    json_decref(holder);
    return ok;
}

static json_t *load(const void *data, size_t len)
{
    return len <= VALUE_MAX ? json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

static void dump(json_t *root, struct buf *out)
{
    char *text = json_dumps(root, JSON_COMPACT);
    if (text == NULL)
        abort(); /* out of memory: the texts are UTF-8, checked when they were read */
    buf_puts(out, text);
    free(text);
    json_decref(root);
}

static json_t *addresses_json(const char *address)
{
    json_t *list = json_array();
    if (address[0] != '\0')
        json_array_append_new(list, json_clean(address));
    return list;
}

void lock_value_encode(const struct lock_value *value, struct buf *out)
{
    const struct election_value *e = &value->election;
    json_t *root = json_object();
    json_object_set_new(root, "node", json_clean(value->node));
    json_object_set_new(root, "instance", json_clean(e->instance));
    json_object_set_new(root, "addresses", addresses_json(value->address));
    json_object_set_new(root, "epoch", json_integer((json_int_t)e->epoch));
    /* Rounded up: a successor may wait longer than the lease, never shorter. */
    json_object_set_new(root, "lease_ms", json_integer((e->lease + NS_PER_MS - 1) / NS_PER_MS));
    json_object_set_new(root, "write", json_integer(value->write));
    if (e->marker) {
        json_t *clean = json_object();
        json_object_set_new(clean, "session", json_clean(e->marker_session));
        json_object_set_new(clean, "epoch", json_integer((json_int_t)e->marker_epoch));
        json_object_set_new(root, "clean", clean);
    }
    json_t *named = value->named_count > 0 ? json_array() : NULL;
    for (size_t i = 0; i < value->named_count; i++)
        json_array_append_new(named, json_clean(value->named[i]));
    if (named != NULL)
        json_object_set_new(root, "failsafe", named);
    dump(root, out);
}

static bool decode_named(const json_t *list, struct lock_value *out)
{
    const json_t *entry;
    size_t i;
    if (list == NULL)
        return true;
    if (!json_is_array(list) || json_array_size(list) > FAILSAFE_MEMBERS)
        return false;
    json_array_foreach(list, i, entry)
    {
        if (!is_id(entry, out->named[i]))
            return false;
    }
    out->named_count = json_array_size(list);
    return true;
}

static bool decode_lock(const json_t *root, struct lock_value *out)
{
    struct election_value *e = &out->election;
    int64_t epoch, lease_ms, write, marker_epoch = 0;
    if (!read_text(root, "node", out->node, sizeof out->node) || !read_id(root, "instance", e->instance) ||
        !read_address(root, out->address) || !read_number(root, "epoch", 0, EPOCH_LIMIT, &epoch) ||
        !read_number(root, "lease_ms", 1, ELECTION_LEASE_LIMIT / NS_PER_MS + 1, &lease_ms) ||
        !read_number(root, "write", 0, INT64_C(1) << 32, &write))
        return false;
    const json_t *clean = json_object_get(root, "clean");
    if (clean != NULL && (!read_id(clean, "session", e->marker_session) ||
                          !read_number(clean, "epoch", 1, EPOCH_LIMIT, &marker_epoch)))
        return false;
    if (!decode_named(json_object_get(root, "failsafe"), out))
        return false;
    e->epoch = (uint64_t)epoch;
    e->lease = lease_ms * NS_PER_MS;
    e->marker = clean != NULL;
    e->marker_epoch = (uint64_t)marker_epoch;
    out->write = (uint32_t)write;
    e->readable = true;
    return true;
}

void lock_value_decode(const void *data, size_t len, struct lock_value *out)
{
    memset(out, 0, sizeof *out);
    json_t *root = load(data, len);
    if (!decode_lock(root, out))
        memset(out, 0, sizeof *out);
    json_decref(root);
}

void member_value_encode(const struct member_value *value, struct buf *out)
{
    json_t *root = json_object();
    json_object_set_new(root, "node", json_clean(value->node));
    json_object_set_new(root, "instance", json_clean(value->instance));
    json_object_set_new(root, "addresses", addresses_json(value->address));
    json_object_set_new(root, "ready", json_boolean(value->ready));
    json_object_set_new(root, "reason", json_clean(value->reason));
    json_object_set_new(root, "primary", json_boolean(value->primary));
    json_object_set_new(root, "priority", json_integer(value->priority));
    json_object_set_new(root, "epoch", json_integer((json_int_t)value->epoch));
    json_t *mirror = json_object();
    json_object_set_new(mirror, "epoch", json_integer((json_int_t)value->mirror.epoch));
    json_object_set_new(mirror, "sequence", json_integer((json_int_t)value->mirror.sequence));
    json_object_set_new(mirror, "broken", json_clean(value->mirror.broken));
    json_object_set_new(root, "mirror", mirror);
    dump(root, out);
}

static bool decode_mirror(const json_t *mirror, struct role_mirror *out)
{
    int64_t epoch, sequence;
    if (mirror == NULL)
        return true;
    if (!read_number(mirror, "epoch", 0, INT64_MAX, &epoch) ||
        !read_number(mirror, "sequence", 0, INT64_MAX, &sequence) ||
        !read_text(mirror, "broken", out->broken, sizeof out->broken))
        return false;
    out->epoch = (uint64_t)epoch;
    out->sequence = (uint64_t)sequence;
    return true;
}

static bool decode_member(const json_t *root, struct member_value *out)
{
    int64_t epoch, priority;
    if (!read_text(root, "node", out->node, sizeof out->node) || !read_id(root, "instance", out->instance) ||
        !read_address(root, out->address) || !read_text(root, "reason", out->reason, sizeof out->reason) ||
        !json_is_boolean(json_object_get(root, "ready")) ||
        !json_is_boolean(json_object_get(root, "primary")) ||
        !read_number(root, "priority", INT32_MIN, INT32_MAX, &priority) ||
        !read_number(root, "epoch", 0, EPOCH_LIMIT, &epoch) ||
        !decode_mirror(json_object_get(root, "mirror"), &out->mirror))
        return false;
    out->ready = json_is_true(json_object_get(root, "ready"));
    out->primary = json_is_true(json_object_get(root, "primary"));
    out->priority = (int)priority;
    out->epoch = (uint64_t)epoch;
    return true;
}

bool member_value_decode(const void *data, size_t len, struct member_value *out)
{
    memset(out, 0, sizeof *out);
    json_t *root = load(data, len);
    bool ok = decode_member(root, out);
    if (!ok)
        memset(out, 0, sizeof *out);
    json_decref(root);
    return ok;
}

void pause_value_encode(const struct pause_value *value, struct buf *out)
{
    json_t *root = json_object();
    json_object_set_new(root, "who", json_clean(value->who));
    json_object_set_new(root, "why", json_clean(value->why));
    json_object_set_new(root, "at", json_integer(value->at));
    json_object_set_new(root, "until", json_integer(value->until));
    dump(root, out);
}

bool pause_value_decode(const void *data, size_t len, struct pause_value *out)
{
    memset(out, 0, sizeof *out);
    json_t *root = load(data, len);
    bool ok = read_text(root, "who", out->who, sizeof out->who) &&
              read_text(root, "why", out->why, sizeof out->why) &&
              read_number(root, "at", 0, SECONDS_LIMIT, &out->at) &&
              read_number(root, "until", 0, SECONDS_LIMIT, &out->until);
    if (!ok)
        memset(out, 0, sizeof *out);
    json_decref(root);
    return ok;
}

bool epoch_decode(const void *data, size_t len, uint64_t *out)
{
    const char *text = data;
    uint64_t epoch = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || epoch >= (uint64_t)EPOCH_LIMIT / 10)
            return false;
        epoch = epoch * 10 + (uint64_t)(text[i] - '0');
    }
    *out = epoch;
    return len > 0;
}

static const char *const asks[] = {[REQUEST_HANDOVER] = "handover", [REQUEST_RESIGN] = "resign"};

static bool read_ask(const json_t *object, enum request_ask *out)
{
    const char *text = json_string_value(json_object_get(object, "ask"));
    for (size_t i = 0; text != NULL && i < sizeof asks / sizeof *asks; i++)
        if (strcmp(text, asks[i]) == 0) {
            *out = (enum request_ask)i;
            return true;
        }
    return false;
}

void request_value_encode(const struct request_value *value, struct buf *out)
{
    json_t *root = json_object();
    json_object_set_new(root, "ask", json_string(asks[value->ask]));
    json_object_set_new(root, "of", json_clean(value->of));
    json_object_set_new(root, "to", json_clean(value->to));
    json_object_set_new(root, "from", json_clean(value->from));
    json_object_set_new(root, "at", json_integer(value->at));
    if (value->answered)
        json_object_set_new(root, "answer", json_clean(value->error));
    dump(root, out);
}

bool request_value_decode(const void *data, size_t len, struct request_value *out)
{
    memset(out, 0, sizeof *out);
    json_t *root = load(data, len);
    out->answered = json_object_get(root, "answer") != NULL;
    bool ok = read_ask(root, &out->ask) && read_text(root, "of", out->of, sizeof out->of) &&
              read_text(root, "to", out->to, sizeof out->to) &&
              read_text(root, "from", out->from, sizeof out->from) &&
              read_number(root, "at", 0, SECONDS_LIMIT, &out->at) &&
              (!out->answered || read_text(root, "answer", out->error, sizeof out->error));
    if (!ok)
        memset(out, 0, sizeof *out);
    json_decref(root);
    return ok;
}
