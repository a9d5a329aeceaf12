/* How far the nodes are from ours: Consul's network coordinates (Vivaldi), for `order = "nearest"`. Kept in
 * whole milliseconds, below which they are noise: nodes of one rack keep one order. */
#include "internal.h"

#include "names.h"

#include "lictor/json.h"
#include "lictor/xalloc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIMENSIONS_MAX 32 /* Consul uses 8 */
#define DISTANCE_MAX   3600000

struct coordinate {
    double vec[DIMENSIONS_MAX];
    size_t dimensions;
    double height, adjustment;
    const char *segment; /* of the network (Enterprise): those of two do not compare */
};

static int parse_entry(const json_t *entry, size_t i, const char **node, struct coordinate *out,
                       struct err *err)
{
    char where[48];
    json_t *coord, *vec;
    snprintf(where, sizeof(where), "coordinates: entry %zu", i);
    if (!json_is_object(entry))
        return err_set(err, "%s is not an object", where);
    if (json_text(entry, "Node", where, node, err) < 0 ||
        json_text(entry, "Segment", where, &out->segment, err) < 0 ||
        json_member(entry, "Coord", JSON_OBJECT, where, &coord, err) < 0 ||
        json_member(coord, "Vec", JSON_ARRAY, where, &vec, err) < 0)
        return -1;
    out->dimensions = json_array_size(vec);
    if (out->dimensions > DIMENSIONS_MAX)
        return err_set(err, "%s: Vec has %zu numbers, more than %d", where, out->dimensions, DIMENSIONS_MAX);
    for (size_t k = 0; k < out->dimensions; k++)
        out->vec[k] = json_number_value(json_array_get(vec, k));
    out->height = json_number_value(json_object_get(coord, "Height"));
    out->adjustment = json_number_value(json_object_get(coord, "Adjustment"));
    return 0;
}

/* Consul's estimate of a round trip, in milliseconds. */
static uint32_t distance_between(const struct coordinate *a, const struct coordinate *b)
{
    double sum = 0;
    if (a->dimensions != b->dimensions || strcmp(a->segment, b->segment) != 0)
        return COORDINATES_FAR;
    for (size_t i = 0; i < a->dimensions; i++)
        sum += (a->vec[i] - b->vec[i]) * (a->vec[i] - b->vec[i]);
    double raw = sqrt(sum) + a->height + b->height, adjusted = raw + a->adjustment + b->adjustment;
    double seconds = adjusted > 0 ? adjusted : raw;
    return seconds >= 0 && seconds * 1000 < DISTANCE_MAX ? (uint32_t)(seconds * 1000) : COORDINATES_FAR;
}

/* Values are the distance plus one, since none may be NULL. */
static struct strmap *parse(const json_t *list, const char *origin, struct err *err)
{
    struct coordinate own = {.segment = ""}, other;
    bool found = false;
    const char *node = "";
    struct strmap *map = strmap_new();
    int result = 0;
    for (size_t i = 0; i < json_array_size(list) && !found && result == 0; i++) {
        result = parse_entry(json_array_get(list, i), i, &node, &own, err);
        char *folded = fold_case(node);
        found = result == 0 && strcmp(folded, origin) == 0;
        free(folded);
    }
    for (size_t i = 0; i < json_array_size(list) && found && result == 0; i++) {
        result = parse_entry(json_array_get(list, i), i, &node, &other, err);
        char *folded = fold_case(node);
        uint32_t distance = strcmp(folded, origin) == 0 ? 0 : distance_between(&own, &other);
        if (result == 0 && distance != COORDINATES_FAR)
            strmap_puts(map, folded, (void *)((uintptr_t)distance + 1));
        free(folded);
    }
    if (result == 0)
        return map;
    strmap_free(map, NULL);
    return NULL;
}

static bool same(const struct strmap *a, const struct strmap *b)
{
    const void *key;
    size_t len;
    void *value;
    if (strmap_count(a) != strmap_count(b))
        return false;
    for (size_t i = 0; strmap_next(a, &i, &key, &len, &value);)
        if (strmap_get(b, key, len) != value)
            return false;
    return true;
}

uint32_t coordinates_distance(const struct catalog *catalog, const char *node)
{
    if (!catalog->distances)
        return COORDINATES_FAR;
    char *folded = fold_case(node);
    uintptr_t value = (uintptr_t)strmap_gets(catalog->distances, folded);
    free(folded);
    return value > 0 ? (uint32_t)(value - 1) : COORDINATES_FAR;
}

int catalog_put_coordinates(struct catalog *catalog, const char *origin, const char *body, size_t len,
                            struct err *err)
{
    json_t *list = json_load_bounded(body, len, "coordinates", err);
    if (!list)
        return -1;
    struct strmap *next = NULL;
    if (json_is_array(list) || json_is_null(list)) {
        char *folded = fold_case(origin);
        next = parse(list, folded, err);
        free(folded);
    } else {
        err_set(err, "coordinates: the body is not a list");
    }
    json_decref(list);
    if (!next)
        return -1;
    if (catalog->distances && same(catalog->distances, next)) {
        strmap_free(next, NULL);
        return 0;
    }
    strmap_free(catalog->distances, NULL);
    catalog->distances = next;
    const void *key;
    void *value;
    for (size_t i = 0; strmap_next(local_datacenter(catalog)->services, &i, &key, NULL, &value);) {
        struct service *service = value;
        if (service->policy.order == CONFIG_ORDER_NEAREST)
            render_service(catalog, service);
    }
    return 1;
}
