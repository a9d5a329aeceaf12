/* The list of nodes: read as a whole, compared with the one before. */
#include "internal.h"

#include "names.h"
#include "tagged.h"

#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Metadata as `key NUL value NUL`, by key, so that it compares octet by octet whatever order it came in. */
static int read_metadata(const json_t *item, const char *where, struct buf *out, struct err *err)
{
    json_t *meta;
    if (json_member(item, "Meta", JSON_OBJECT, where, &meta, err) < 0)
        return -1;
    size_t count = json_object_size(meta), n = 0;
    const char **keys = xcalloc(count + 1, sizeof(*keys));
    for (void *i = json_object_iter(meta); i; i = json_object_iter_next(meta, i))
        keys[n++] = json_object_iter_key(i);
    qsort(keys, n, sizeof(*keys), compare_texts);
    int result = 0;
    for (size_t i = 0; i < n && result == 0; i++) {
        const char *value;
        result = json_text(meta, keys[i], where, &value, err);
        if (result == 0) {
            buf_append(out, keys[i], strlen(keys[i]) + 1);
            buf_append(out, value, strlen(value) + 1);
        }
    }
    free(keys);
    return result;
}

static struct node *node_new(const char *name, const struct tagged *addresses, const void *metadata,
                             size_t len)
{
    struct node *node = xcalloc(1, sizeof(*node));
    node->name = xstrdup(name);
    node->address = addresses->first;
    node->second = addresses->second;
    node->host = node->address.kind == ADDRESS_HOST ? xstrdup(addresses->host) : NULL;
    node->metadata_len = len;
    node->metadata = len ? xmemdup(metadata, len) : NULL;
    return node;
}

struct node *node_copy(const struct node *node)
{
    struct tagged addresses = {.first = node->address, .second = node->second, .host = node->host};
    return node_new(node->name, &addresses, node->metadata, node->metadata_len);
}

static bool same_node(const struct node *a, const struct node *b)
{
    return strcmp(a->name, b->name) == 0 && memcmp(&a->address, &b->address, sizeof(a->address)) == 0 &&
           memcmp(&a->second, &b->second, sizeof(a->second)) == 0 &&
           (!a->host || strcmp(a->host, b->host) == 0) && a->metadata_len == b->metadata_len &&
           (!a->metadata_len || memcmp(a->metadata, b->metadata, a->metadata_len) == 0);
}

static int read_node(const json_t *item, const char *where, bool translate, struct strmap *nodes,
                     const char **datacenter, struct err *err)
{
    const char *name, *address, *dc;
    json_t *tags;
    struct tagged addresses;
    struct buf metadata = {0};
    if (!json_is_object(item))
        return err_set(err, "%s is not an object", where);
    if (json_text(item, "Node", where, &name, err) < 0 ||
        json_text(item, "Address", where, &address, err) < 0 ||
        json_member(item, "TaggedAddresses", JSON_OBJECT, where, &tags, err) < 0 ||
        json_text(item, "Datacenter", where, &dc, err) < 0)
        return -1;
    if (!name[0])
        return err_set(err, "%s: Node is missing", where);
    if (read_metadata(item, where, &metadata, err) < 0) {
        buf_free(&metadata);
        return -1;
    }
    if (dc[0])
        *datacenter = dc;
    tagged_choose(address, tags, translate, &addresses);
    char *folded = fold_case(name);
    struct node *old = strmap_puts(nodes, folded, node_new(name, &addresses, metadata.data, metadata.len));
    if (old)
        node_free(old);
    free(folded);
    buf_free(&metadata);
    return 0;
}

/* Into a map of its own, so that a fault in the last entry changes nothing. */
struct strmap *catalog_read_nodes(const json_t *list, bool translate, char **datacenter, struct err *err)
{
    if (!json_is_array(list) && !json_is_null(list)) {
        err_set(err, "list of nodes: the body is not a list");
        return NULL;
    }
    struct strmap *nodes = strmap_new();
    const char *dc = NULL;
    int result = 0;
    for (size_t i = 0; i < json_array_size(list) && result == 0; i++) {
        char where[48];
        snprintf(where, sizeof(where), "list of nodes: entry %zu", i);
        result = read_node(json_array_get(list, i), where, translate, nodes, &dc, err);
    }
    if (result < 0) {
        strmap_free(nodes, node_free);
        return NULL;
    }
    *datacenter = xstrdup_null(dc);
    return nodes;
}

int catalog_set_nodes(struct catalog *catalog, struct datacenter *datacenter, struct strmap *next)
{
    int changed = 0;
    const void *key;
    size_t len;
    void *value;
    for (size_t i = 0; strmap_next(datacenter->nodes, &i, &key, &len, &value);) {
        struct node *new = strmap_get(next, key, len);
        if (new &&same_node(value, new))
            continue;
        unrender_node(catalog, value);
        strmap_remove(datacenter->nodes, key, len);
        node_free(value);
        changed = 1;
    }
    for (size_t i = 0; strmap_next(next, &i, &key, &len, &value);) {
        struct node *node = value;
        if (strmap_get(datacenter->nodes, key, len)) {
            node_free(node);
            continue;
        }
        node->datacenter = datacenter;
        strmap_put(datacenter->nodes, key, len, node);
        render_node(catalog, node);
        changed = 1;
    }
    strmap_free(next, NULL);
    return changed;
}
