#include "view.h"

#include "names.h"
#include "tagged.h"

#include "lictor/json.h"
#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Enough to know why; an HTTP check's output holds the whole page. */
#define OUTPUT_MAX 160

/* Views compare by memcmp: no padding may hide in here. */
_Static_assert(sizeof(struct view_instance) == 11 * 4 + 2 * 2 + 2 + 3 * 17 + 3, "padding");
_Static_assert(sizeof(struct view_check) == 16, "padding");

struct parser {
    struct view *view;
    struct buf pool;
    struct strmap *interned; /* text -> offset + 1 */
    struct buf instances, checks, modified, tags, metas;
    struct view_faults *faults;
    struct err *err;
    bool translate;
    char where[64];
};

static uint32_t intern_n(struct parser *p, const char *text, size_t len)
{
    if (len == 0)
        return 0; /* the pool begins with an empty string */
    uintptr_t known = (uintptr_t)strmap_get(p->interned, text, len);
    if (known)
        return (uint32_t)(known - 1);
    uint32_t offset = (uint32_t)p->pool.len;
    buf_append(&p->pool, text, len);
    buf_append(&p->pool, "", 1);
    strmap_put(p->interned, text, len, (void *)((uintptr_t)offset + 1));
    return offset;
}

static uint32_t intern(struct parser *p, const char *text)
{
    return intern_n(p, text, strlen(text));
}

/* --- one entry ----------------------------------------------------------------------------------- */

uint8_t view_status(const char *status)
{
    if (strcmp(status, "passing") == 0)
        return CHECK_PASSING;
    if (strcmp(status, "critical") == 0)
        return CHECK_CRITICAL;
    return CHECK_WARNING; /* "warning", and whatever is not passing but, as Consul sees it, not critical */
}

size_t view_output_len(const char *output)
{
    size_t len = strcspn(output, "\r\n");
    if (len > OUTPUT_MAX) {
        len = OUTPUT_MAX;
        while (len > 0 && ((unsigned char)output[len] & 0xc0) == 0x80)
            len--;
    }
    return len;
}

static int parse_checks(struct parser *p, const json_t *list, const char *service_id,
                        struct view_instance *instance)
{
    instance->first_check = (uint32_t)(p->checks.len / sizeof(struct view_check));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_object(item))
            return err_set(p->err, "%s: Checks[%zu] is not an object", p->where, i);
        const char *id, *name, *status, *output, *owner;
        if (json_text(item, "CheckID", p->where, &id, p->err) < 0 ||
            json_text(item, "Name", p->where, &name, p->err) < 0 ||
            json_text(item, "Status", p->where, &status, p->err) < 0 ||
            json_text(item, "Output", p->where, &output, p->err) < 0 ||
            json_text(item, "ServiceID", p->where, &owner, p->err) < 0)
            return -1;
        /* Another service's check on this node says nothing about us; the endpoint does not send them. */
        if (owner[0] && strcmp(owner, service_id) != 0)
            continue;
        struct view_check check = {.status = view_status(status), .node_level = !owner[0]};
        check.id = intern(p, id[0] ? id : name);
        check.name = intern(p, name[0] ? name : id);
        if (check.status != CHECK_PASSING)
            check.output = intern_n(p, output, view_output_len(output));
        json_int_t modified = json_integer_value(json_object_get(item, "ModifyIndex"));
        uint64_t index = modified > 0 ? (uint64_t)modified : 0;
        if (check.status > instance->state)
            instance->state = check.status;
        buf_append(&p->checks, &check, sizeof(check));
        buf_append(&p->modified, &index, sizeof(index));
        instance->check_count++;
    }
    return 0;
}

static int parse_tags(struct parser *p, const json_t *list, struct view_instance *instance)
{
    instance->first_tag = (uint32_t)(p->tags.len / sizeof(uint32_t));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text)
            return err_set(p->err, "%s: Tags[%zu] is not a string", p->where, i);
        uint32_t tag = intern(p, text);
        buf_append(&p->tags, &tag, sizeof(tag));
        instance->tag_count++;
    }
    return 0;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted by key: Consul's own order is that of a hash map in some versions. */
static int parse_metadata(struct parser *p, json_t *object, struct view_instance *instance)
{
    size_t count = json_object_size(object), n = 0;
    const char **keys = xcalloc(count + 1, sizeof(*keys)), *key;
    json_t *value;
    int result = 0;
    instance->first_meta = (uint32_t)(p->metas.len / sizeof(struct view_meta));
    json_object_foreach(object, key, value) keys[n++] = key;
    qsort(keys, n, sizeof(*keys), compare_keys);
    for (size_t i = 0; i < n && result == 0; i++) {
        const char *text;
        result = json_text(object, keys[i], p->where, &text, p->err);
        if (result < 0)
            break;
        struct view_meta meta = {intern(p, keys[i]), intern(p, text)};
        buf_append(&p->metas, &meta, sizeof(meta));
        instance->meta_count++;
    }
    free(keys);
    return result;
}

static int parse_weight(struct parser *p, const json_t *weights, const char *key, uint16_t *out)
{
    json_t *value;
    *out = 1; /* Consul's default, also for registrations that are older than weights */
    if (json_member(weights, key, JSON_INTEGER, p->where, &value, p->err) < 0)
        return -1;
    if (value) {
        json_int_t n = json_integer_value(value);
        *out = n < 0 ? 0 : n > UINT16_MAX ? UINT16_MAX : (uint16_t)n;
    }
    return 0;
}

static int parse_node(struct parser *p, const json_t *node, struct view_instance *instance)
{
    const char *name, *address;
    json_t *tagged;
    if (json_text(node, "Node", p->where, &name, p->err) < 0 ||
        json_text(node, "Address", p->where, &address, p->err) < 0 ||
        json_member(node, "TaggedAddresses", JSON_OBJECT, p->where, &tagged, p->err) < 0)
        return -1;
    if (!name[0])
        return err_set(p->err, "%s: Node.Node is missing", p->where);
    instance->node = intern(p, name);
    struct tagged chosen;
    tagged_choose(address, tagged, p->translate, &chosen);
    instance->node_address = chosen.first;
    instance->second = chosen.second;
    instance->node_host = intern(p, chosen.host);
    /* Our own word for what was saved without its tags. */
    instance->node_other = chosen.other || json_is_true(json_object_get(node, "Translated"));
    return 0;
}

static int parse_service(struct parser *p, const json_t *service, struct view_instance *instance)
{
    const char *name, *id, *address;
    json_t *port, *tags, *weights, *metadata, *tagged;
    if (json_text(service, "Service", p->where, &name, p->err) < 0 ||
        json_text(service, "ID", p->where, &id, p->err) < 0 ||
        json_text(service, "Address", p->where, &address, p->err) < 0 ||
        json_member(service, "Port", JSON_INTEGER, p->where, &port, p->err) < 0 ||
        json_member(service, "Tags", JSON_ARRAY, p->where, &tags, p->err) < 0 ||
        json_member(service, "Weights", JSON_OBJECT, p->where, &weights, p->err) < 0 ||
        parse_weight(p, weights, "Passing", &instance->weight_passing) < 0 ||
        parse_weight(p, weights, "Warning", &instance->weight_warning) < 0 ||
        json_member(service, "Meta", JSON_OBJECT, p->where, &metadata, p->err) < 0 ||
        json_member(service, "TaggedAddresses", JSON_OBJECT, p->where, &tagged, p->err) < 0 ||
        parse_tags(p, tags, instance) < 0 || parse_metadata(p, metadata, instance) < 0)
        return -1;
    if (!id[0] && !name[0])
        return err_set(p->err, "%s: Service has neither ID nor Service", p->where);
    instance->id = intern(p, id[0] ? id : name);
    json_int_t number = port ? json_integer_value(port) : 0;
    instance->port =
        tagged_port(tagged, p->translate, number >= 0 && number <= UINT16_MAX ? (int)number : -1);
    p->faults->bad_ports += instance->port < 0;

    struct tagged chosen;
    tagged_choose(address, tagged, p->translate, &chosen);
    instance->address = chosen.first;
    instance->host = intern(p, chosen.host);
    if (chosen.first.kind != ADDRESS_NONE)
        instance->second = chosen.second;
    if (address[0] && instance->address.kind == ADDRESS_NONE) {
        /* The node's address would be a guess at something that the registration does not say. */
        instance->bad_address = 1;
        p->faults->bad_addresses++;
    }
    return 0;
}

static int parse_entry(struct parser *p, const json_t *entry)
{
    json_t *node, *service, *checks;
    if (!json_is_object(entry))
        return err_set(p->err, "%s is not an object", p->where);
    if (json_member(entry, "Node", JSON_OBJECT, p->where, &node, p->err) < 0 ||
        json_member(entry, "Service", JSON_OBJECT, p->where, &service, p->err) < 0 ||
        json_member(entry, "Checks", JSON_ARRAY, p->where, &checks, p->err) < 0)
        return -1;
    if (!node || !service)
        return err_set(p->err, "%s has no %s", p->where, node ? "Service" : "Node");

    struct view_instance instance;
    memset(&instance, 0, sizeof(instance));
    if (parse_node(p, node, &instance) < 0 || parse_service(p, service, &instance) < 0)
        return -1;
    /* Checks name their instance by its ID. */
    const char *id;
    json_text(service, "ID", p->where, &id, NULL);
    if (!id[0])
        json_text(service, "Service", p->where, &id, NULL);
    if (parse_checks(p, checks, id, &instance) < 0)
        return -1;
    buf_append(&p->instances, &instance, sizeof(instance));
    return 0;
}

/* Entries in one order, whatever the server's: views compare octet by octet, and what was saved reads back
 * to the same view. */
struct entry {
    const json_t *json;
    const char *node, *id;
    size_t index; /* in the body */
};

static int same_instance(const struct entry *x, const struct entry *y)
{
    int order = strcasecmp(x->node, y->node);
    return order ? order : strcmp(x->id, y->id);
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = same_instance(x, y);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* "" for whatever is not there or of a wrong type: parse_entry will say so. */
static const char *member_text(const json_t *entry, const char *object, const char *key)
{
    const char *text = json_string_value(json_object_get(json_object_get(entry, object), key));
    return text ? text : "";
}

static struct entry *sorted_entries(const json_t *list)
{
    size_t count = json_array_size(list);
    struct entry *entries = xcalloc(count + 1, sizeof(*entries));
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        const char *id = member_text(item, "Service", "ID");
        entries[i] = (struct entry){
            .json = item,
            .node = member_text(item, "Node", "Node"),
            .id = id[0] ? id : member_text(item, "Service", "Service"),
            .index = i,
        };
    }
    qsort(entries, count, sizeof(*entries), compare_entries);
    return entries;
}

/* --- the whole ----------------------------------------------------------------------------------- */

static struct view *finish(struct parser *p)
{
    struct view *view = xcalloc(1, sizeof(*view));
    view->instance_count = (uint32_t)(p->instances.len / sizeof(struct view_instance));
    view->check_count = (uint32_t)(p->checks.len / sizeof(struct view_check));
    view->tag_count = (uint32_t)(p->tags.len / sizeof(uint32_t));
    view->meta_count = (uint32_t)(p->metas.len / sizeof(struct view_meta));
    view->pool_len = (uint32_t)p->pool.len;
    /* Exact copies: the buffers grew in powers of two, and the views are most of what the process holds. */
    view->instances = p->instances.len ? xmemdup(p->instances.data, p->instances.len) : NULL;
    view->checks = p->checks.len ? xmemdup(p->checks.data, p->checks.len) : NULL;
    view->modified = p->modified.len ? xmemdup(p->modified.data, p->modified.len) : NULL;
    view->tags = p->tags.len ? xmemdup(p->tags.data, p->tags.len) : NULL;
    view->metas = p->metas.len ? xmemdup(p->metas.data, p->metas.len) : NULL;
    view->pool = xmemdup(p->pool.data, p->pool.len);
    return view;
}

struct view *view_from_json(const json_t *list, bool translate, struct view_faults *faults, struct err *err)
{
    if (!json_is_array(list) && !json_is_null(list)) {
        err_set(err, "health of a service: the body is not a list");
        return NULL;
    }
    struct parser p = {.faults = faults, .err = err, .translate = translate};
    p.interned = strmap_new();
    buf_append(&p.pool, "", 1);
    int result = 0;
    struct entry *entries = sorted_entries(list);
    for (size_t i = 0; i < json_array_size(list) && result == 0; i++) {
        /* Keys of an instance are (Node, ServiceID); the first of two stays. */
        if (i > 0 && json_is_object(entries[i].json) && entries[i].id[0] &&
            same_instance(&entries[i - 1], &entries[i]) == 0) {
            faults->duplicates++;
            continue;
        }
        snprintf(p.where, sizeof(p.where), "health of a service: entry %zu", entries[i].index);
        result = parse_entry(&p, entries[i].json);
    }
    free(entries);
    struct view *view = result == 0 ? finish(&p) : NULL;
    strmap_free(p.interned, NULL);
    buf_free(&p.pool);
    buf_free(&p.instances);
    buf_free(&p.checks);
    buf_free(&p.modified);
    buf_free(&p.tags);
    buf_free(&p.metas);
    return view;
}

struct view *view_parse(const char *body, size_t len, bool translate, struct view_faults *faults,
                        struct err *err)
{
    json_t *list = json_load_bounded(body, len, "health of a service", err);
    if (!list)
        return NULL;
    struct view *view = view_from_json(list, translate, faults, err);
    json_decref(list);
    return view;
}

void view_free(struct view *view)
{
    if (!view)
        return;
    free(view->instances);
    free(view->checks);
    free(view->modified);
    free(view->tags);
    free(view->metas);
    free(view->pool);
    free(view);
}

static bool same(const void *a, const void *b, size_t len)
{
    return len == 0 || memcmp(a, b, len) == 0;
}

bool view_equal(const struct view *a, const struct view *b)
{
    return a->instance_count == b->instance_count && a->check_count == b->check_count &&
           a->tag_count == b->tag_count && a->meta_count == b->meta_count && a->pool_len == b->pool_len &&
           same(a->instances, b->instances, a->instance_count * sizeof(*a->instances)) &&
           same(a->checks, b->checks, a->check_count * sizeof(*a->checks)) &&
           same(a->tags, b->tags, a->tag_count * sizeof(*a->tags)) &&
           same(a->metas, b->metas, a->meta_count * sizeof(*a->metas)) && same(a->pool, b->pool, a->pool_len);
}

const char *view_metadata(const struct view *view, const struct view_instance *instance, const char *key)
{
    for (uint32_t i = 0; i < instance->meta_count; i++) {
        const struct view_meta *meta = &view->metas[instance->first_meta + i];
        if (strcmp(view_text(view, meta->key), key) == 0)
            return view_text(view, meta->value);
    }
    return NULL;
}

static const struct address none;

const struct address *view_address(const struct view *view, const struct view_instance *instance,
                                   const char **host)
{
    *host = "";
    if (instance->bad_address)
        return &none;
    bool own = instance->address.kind != ADDRESS_NONE;
    *host = view_text(view, own ? instance->host : instance->node_host);
    return own ? &instance->address : &instance->node_address;
}

/* --- writing ------------------------------------------------------------------------------------- */

static const char *const status_names[] = {"passing", "warning", "critical"};

static void write_address(const struct address *address, const char *host, struct buf *out)
{
    char text[256];
    json_write_text(out, address_text(address, host, text));
}

/* So that they are read back as they are: the second one as the plain address, the first one by its tag.
 * object: what begins the value of a tag. */
static void write_addresses(const struct address *first, const struct address *second, const char *host,
                            const char *object, struct buf *out)
{
    if (second->kind == ADDRESS_NONE) {
        write_address(first, host, out);
        return;
    }
    write_address(second, "", out);
    buf_printf(out, ",\"TaggedAddresses\":{\"lan_ipv%d\":%s", first->kind == ADDRESS_IPV4 ? 4 : 6, object);
    write_address(first, "", out);
    buf_puts(out, object[0] ? "}}" : "}");
}

void view_write_instance(const struct view *view, const struct view_instance *instance, const char *service,
                         struct buf *out)
{
    buf_puts(out, "{\"Node\":{\"Node\":");
    json_write_text(out, view_text(view, instance->node));
    buf_puts(out, ",\"Address\":");
    bool own = instance->address.kind != ADDRESS_NONE;
    write_addresses(&instance->node_address, own ? &none : &instance->second,
                    view_text(view, instance->node_host), "", out);
    if (instance->node_other)
        buf_puts(out, ",\"Translated\":true");
    buf_puts(out, "},\"Service\":{\"Service\":");
    json_write_text(out, service);
    buf_puts(out, ",\"ID\":");
    json_write_text(out, view_text(view, instance->id));
    buf_puts(out, ",\"Address\":");
    if (instance->bad_address)
        buf_puts(out, "\"?\""); /* no host name: read back as bad */
    else
        write_addresses(&instance->address, own ? &instance->second : &none, view_text(view, instance->host),
                        "{\"Address\":", out);
    buf_printf(out, ",\"Port\":%d,\"Weights\":{\"Passing\":%u,\"Warning\":%u},\"Tags\":[",
               (int)instance->port, instance->weight_passing, instance->weight_warning);
    for (uint32_t i = 0; i < instance->tag_count; i++) {
        if (i > 0)
            buf_puts(out, ",");
        json_write_text(out, view_text(view, view->tags[instance->first_tag + i]));
    }
    buf_puts(out, "]");
    for (uint32_t i = 0; i < instance->meta_count; i++) {
        const struct view_meta *meta = &view->metas[instance->first_meta + i];
        buf_puts(out, i > 0 ? "," : ",\"Meta\":{");
        json_write_text(out, view_text(view, meta->key));
        buf_puts(out, ":");
        json_write_text(out, view_text(view, meta->value));
    }
    buf_puts(out, instance->meta_count > 0 ? "}},\"Checks\":[" : "},\"Checks\":[");
    for (uint32_t i = 0; i < instance->check_count; i++) {
        const struct view_check *check = &view->checks[instance->first_check + i];
        buf_puts(out, i > 0 ? ",{\"Name\":" : "{\"Name\":");
        json_write_text(out, view_text(view, check->name));
        if (check->id != check->name) {
            buf_puts(out, ",\"CheckID\":");
            json_write_text(out, view_text(view, check->id));
        }
        buf_printf(out, ",\"Status\":\"%s\",\"ServiceID\":", status_names[check->status]);
        json_write_text(out, check->node_level ? "" : view_text(view, instance->id));
        buf_puts(out, ",\"Output\":");
        json_write_text(out, view_text(view, check->output));
        buf_puts(out, "}");
    }
    buf_puts(out, "]}");
}

void view_write(const struct view *view, const char *service, struct buf *out)
{
    buf_puts(out, "[");
    for (uint32_t i = 0; i < view->instance_count; i++) {
        if (i > 0)
            buf_puts(out, ",");
        view_write_instance(view, &view->instances[i], service, out);
    }
    buf_puts(out, "]");
}
