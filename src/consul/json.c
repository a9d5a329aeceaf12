/* JSON that goes to Consul and comes from it, for small bodies. */
#include "lictor/json.h"
#include "lictor/consul.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TXN_MAX_OPERATIONS 64 /* Consul answers 413 above */

/* --- to Consul -------------------------------------------------------------------------------- */

/* JSON is UTF-8; other octets become '?', since a refused name would be harder to explain. */
static json_t *string(const char *text)
{
    json_t *value = json_string(text);
    if (!value) {
        char *ascii = xstrdup(text);
        for (char *c = ascii; *c; c++)
            if ((unsigned char)*c > 0x7e)
                *c = '?';
        value = json_string(ascii);
        free(ascii);
    }
    return value;
}

/* Go's form of a duration, exact to the millisecond. */
static json_t *duration(nstime value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64 "ms", value / NS_PER_MS);
    return json_string(text);
}

struct consul_request *consul_put_json(struct consul_client *client, const char *path, json_t *json,
                                       nstime timeout, consul_response_fn *callback, void *arg)
{
    char *body = json ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (json && !body)
        abort();
    json_decref(json);
    struct consul_options options = {
        .method = "PUT", .path = path, .body = body, .body_len = body ? strlen(body) : 0, .timeout = timeout};
    struct consul_request *request = consul_send(client, &options, callback, arg);
    free(body);
    return request;
}

json_t *consul_txn_op(const char *verb, const char *key, const void *value, size_t value_len,
                      const char *session, uint64_t index)
{
    json_t *kv = json_object();
    json_object_set_new(kv, "Verb", string(verb));
    json_object_set_new(kv, "Key", string(key));
    if (value) {
        struct buf text = {0};
        consul_base64_encode(value, value_len, &text);
        json_object_set_new(kv, "Value", json_string(buf_str(&text)));
        buf_free(&text);
    }
    if (session)
        json_object_set_new(kv, "Session", string(session));
    if (index > 0)
        json_object_set_new(kv, "Index", json_integer((json_int_t)index));
    json_t *op = json_object();
    json_object_set_new(op, "KV", kv);
    return op;
}

struct consul_request *consul_txn(struct consul_client *client, json_t *ops, nstime timeout,
                                  consul_response_fn *callback, void *arg)
{
    assert(json_array_size(ops) > 0 && json_array_size(ops) <= TXN_MAX_OPERATIONS);
    return consul_put_json(client, "/v1/txn", ops, timeout, callback, arg);
}

json_t *consul_session_json(const char *name, const char *check_id, nstime ttl)
{
    json_t *session = json_object();
    json_object_set_new(session, "Name", string(name));
    json_t *node_checks = json_array();
    json_array_append_new(node_checks, json_string("serfHealth"));
    json_object_set_new(session, "NodeChecks", node_checks);
    json_t *service_checks = json_array();
    if (check_id) {
        json_t *check = json_object();
        json_object_set_new(check, "ID", string(check_id));
        json_array_append_new(service_checks, check);
    }
    json_object_set_new(session, "ServiceChecks", service_checks);
    json_object_set_new(session, "TTL", duration(ttl));
    json_object_set_new(session, "LockDelay", json_string("0s"));
    json_object_set_new(session, "Behavior", json_string("release"));
    return session;
}

json_t *consul_service_json(const struct consul_service *service)
{
    json_t *check = json_object();
    json_object_set_new(check, "CheckID", string(service->check_id));
    json_object_set_new(check, "Name", string(service->check_name ? service->check_name : service->check_id));
    json_object_set_new(check, "TTL", duration(service->check_ttl));
    if (service->check_status)
        json_object_set_new(check, "Status", string(service->check_status));
    if (service->deregister_after > 0)
        json_object_set_new(check, "DeregisterCriticalServiceAfter", duration(service->deregister_after));

    json_t *root = json_object();
    json_object_set_new(root, "ID", string(service->id));
    json_object_set_new(root, "Name", string(service->name));
    json_t *tags = json_array();
    for (size_t i = 0; i < service->tag_count; i++)
        json_array_append_new(tags, string(service->tags[i]));
    json_object_set_new(root, "Tags", tags);
    if (service->address)
        json_object_set_new(root, "Address", string(service->address));
    json_object_set_new(root, "Port", json_integer(service->port));
    json_object_set_new(root, "Check", check);
    return root;
}

/* --- from Consul ------------------------------------------------------------------------------ */

json_t *consul_json(const struct buf *body, struct err *err)
{
    /* Booleans and null are whole answers too. jansson itself refuses nesting beyond 2048. */
    return json_load_bounded(body->len ? (const char *)body->data : "", body->len, "answer", err);
}

/* Consul's indexes fit 63 bits; anything else counts as 0. */
static uint64_t get_number(const json_t *object, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(object, name));
    return value > 0 ? (uint64_t)value : 0;
}

static bool copy_session(const char *text, char out[CONSUL_SESSION_SIZE])
{
    size_t len = strlen(text);
    if (len != CONSUL_SESSION_SIZE - 1 || strspn(text, "0123456789abcdefABCDEF-") != len)
        return false;
    memcpy(out, text, len + 1);
    return true;
}

static int parse_kv(const json_t *entry, struct consul_kv *out, struct err *err)
{
    const char *key = json_string_value(json_object_get(entry, "Key"));
    if (!key)
        return err_set(err, "a KV entry without a Key");
    out->key = xstrdup(key);
    out->create_index = get_number(entry, "CreateIndex");
    out->modify_index = get_number(entry, "ModifyIndex");
    out->lock_index = get_number(entry, "LockIndex");
    out->flags = get_number(entry, "Flags");
    const char *session = json_string_value(json_object_get(entry, "Session"));
    if (session && *session && !copy_session(session, out->session))
        return err_set(err, "KV entry %s: its Session is not a session ID", key);
    /* null: an empty value; also what the verbs other than `get` return */
    const char *value = json_string_value(json_object_get(entry, "Value"));
    if (value && consul_base64_decode(value, &out->value) != 0)
        return err_set(err, "KV entry %s: its Value is not base64", key);
    return 0;
}

/* member: the name under which each element holds the entry, or NULL when it is the entry. */
static int parse_kv_array(const json_t *array, const char *member, struct consul_kv **out, size_t *count,
                          struct err *err)
{
    *out = NULL;
    *count = 0;
    if (json_is_null(array))
        return 0;
    if (!json_is_array(array))
        return err_set(err, "not a list of KV entries");
    size_t size = json_array_size(array);
    struct consul_kv *list = xcalloc(size ? size : 1, sizeof *list);
    for (size_t i = 0; i < size; i++) {
        const json_t *element = json_array_get(array, i);
        if (parse_kv(member ? json_object_get(element, member) : element, &list[i], err) != 0) {
            consul_kv_free(list, size);
            return -1;
        }
    }
    *out = list;
    *count = size;
    return 0;
}

int consul_kv_parse(const struct buf *body, struct consul_kv **out, size_t *count, struct err *err)
{
    json_t *root = consul_json(body, err);
    if (!root)
        return -1;
    int result = parse_kv_array(root, NULL, out, count, err);
    json_decref(root);
    return result;
}

int consul_txn_parse(const struct buf *body, struct consul_kv **out, size_t *count, struct err *err)
{
    json_t *root = consul_json(body, err);
    if (!root)
        return -1;
    json_t *results = json_object_get(root, "Results");
    int result = results ? parse_kv_array(results, "KV", out, count, err)
                         : err_set(err, "no Results in the answer to a transaction");
    json_decref(root);
    return result;
}

void consul_kv_free(struct consul_kv *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(list[i].key);
        buf_free(&list[i].value);
    }
    free(list);
}

int consul_session_parse(const struct buf *body, char out[CONSUL_SESSION_SIZE], struct err *err)
{
    json_t *root = consul_json(body, err);
    if (!root)
        return -1;
    const char *id = json_string_value(json_object_get(root, "ID"));
    int result = id && copy_session(id, out) ? 0 : err_set(err, "no session ID in the answer");
    json_decref(root);
    return result;
}

bool consul_is_true(const struct buf *body)
{
    json_t *root = consul_json(body, NULL);
    bool result = json_is_true(root);
    json_decref(root);
    return result;
}
