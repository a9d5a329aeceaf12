/* Open addressing with linear probing over an array of entry pointers; deletion shifts back, so there are no
 * tombstones and the load stays what it looks like. */
#include "lictor/strmap.h"

#include "base/siphash.h"
#include "lictor/rng.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct entry *next,
        *prev; /* in order of insertion: iteration survives removal of the entry just returned */
    uint64_t hash;
    void *value;
    size_t len;
    char key[]; /* and a NUL, so that C strings come back as such */
};

struct strmap {
    struct entry **slots;
    struct entry *first, *last;
    size_t mask; /* slots - 1 */
    size_t count;
    uint64_t key[2];
};

struct strmap *strmap_new(void)
{
    struct strmap *map = xcalloc(1, sizeof *map);
    map->mask = 7;
    map->slots = xcalloc(map->mask + 1, sizeof *map->slots);
    rng_secure(map->key, sizeof map->key);
    return map;
}

void strmap_free(struct strmap *map, void (*free_value)(void *value))
{
    if (!map)
        return;
    for (struct entry *e = map->first, *next; e; e = next) {
        next = e->next;
        if (free_value)
            free_value(e->value);
        free(e);
    }
    free(map->slots);
    free(map);
}

size_t strmap_count(const struct strmap *map)
{
    return map->count;
}

/* The slot that holds the key, or the empty one where it would go. */
static size_t find(const struct strmap *map, const void *key, size_t len, uint64_t hash)
{
    size_t i = hash & map->mask;
    for (; map->slots[i]; i = (i + 1) & map->mask) {
        const struct entry *e = map->slots[i];
        if (e->hash == hash && e->len == len && !memcmp(e->key, key, len))
            break;
    }
    return i;
}

static void grow(struct strmap *map)
{
    free(map->slots);
    map->mask = map->mask * 2 + 1;
    map->slots = xcalloc(map->mask + 1, sizeof *map->slots);
    for (struct entry *e = map->first; e; e = e->next) {
        size_t i = e->hash & map->mask;
        while (map->slots[i])
            i = (i + 1) & map->mask;
        map->slots[i] = e;
    }
}

void *strmap_get(const struct strmap *map, const void *key, size_t key_len)
{
    const struct entry *e = map->slots[find(map, key, key_len, siphash(key, key_len, map->key))];
    return e ? e->value : NULL;
}

void *strmap_put(struct strmap *map, const void *key, size_t key_len, void *value)
{
    assert(value);
    uint64_t hash = siphash(key, key_len, map->key);
    size_t i = find(map, key, key_len, hash);
    if (map->slots[i]) {
        void *old = map->slots[i]->value;
        map->slots[i]->value = value;
        return old;
    }
    if ((map->count + 1) * 4 > (map->mask + 1) * 3) {
        grow(map);
        i = find(map, key, key_len, hash);
    }
    struct entry *e = xmalloc(sizeof *e + key_len + 1);
    e->hash = hash;
    e->value = value;
    e->len = key_len;
    memcpy(e->key, key, key_len);
    e->key[key_len] = 0;
    e->prev = map->last;
    e->next = NULL;
    *(map->last ? &map->last->next : &map->first) = e;
    map->last = e;
    map->slots[i] = e;
    map->count++;
    return NULL;
}

/* Moves later members of the run into the hole, so that every key stays reachable from its home slot. */
static void close_hole(struct strmap *map, size_t hole)
{
    for (size_t i = (hole + 1) & map->mask; map->slots[i]; i = (i + 1) & map->mask) {
        size_t home = map->slots[i]->hash & map->mask;
        if (((i - home) & map->mask) < ((i - hole) & map->mask))
            continue; /* its home lies behind the hole */
        map->slots[hole] = map->slots[i];
        map->slots[i] = NULL;
        hole = i;
    }
}

void *strmap_remove(struct strmap *map, const void *key, size_t key_len)
{
    size_t i = find(map, key, key_len, siphash(key, key_len, map->key));
    if (!map->slots[i])
        return NULL;
    struct entry *e = map->slots[i];
    void *value = e->value;
    *(e->prev ? &e->prev->next : &map->first) = e->next;
    *(e->next ? &e->next->prev : &map->last) = e->prev;
    free(e);
    map->slots[i] = NULL;
    map->count--;
    close_hole(map, i);
    return value;
}

int strmap_next(const struct strmap *map, size_t *cursor, const void **key, size_t *key_len, void **value)
{
    enum { END = 1 }; /* no entry has this address */
    if (*cursor == END)
        return 0;
    const struct entry *e = *cursor ? (const struct entry *)*cursor : map->first;
    if (!e)
        return 0;
    *cursor = e->next ? (size_t)e->next : END;
    if (key)
        *key = e->key;
    if (key_len)
        *key_len = e->len;
    *value = e->value;
    return 1;
}

void *strmap_gets(const struct strmap *map, const char *key)
{
    return strmap_get(map, key, strlen(key));
}

void *strmap_puts(struct strmap *map, const char *key, void *value)
{
    return strmap_put(map, key, strlen(key), value);
}

void *strmap_removes(struct strmap *map, const char *key)
{
    return strmap_remove(map, key, strlen(key));
}
