/* A hash map from byte strings to pointers (wire names, service names, IDs). Keys are copied; values
 * belong to the caller. Hashing is keyed (SipHash with a random key), since keys come from
 * outside. Not thread-safe. */
#pragma once

#include <stddef.h>

struct strmap;

struct strmap *strmap_new(void);
/* free_value may be NULL. NULL map is allowed. */
void strmap_free(struct strmap *map, void (*free_value)(void *value));
size_t strmap_count(const struct strmap *map);
void *strmap_get(const struct strmap *map, const void *key, size_t key_len);
/* Returns the value that was there before, or NULL. value must not be NULL. */
void *strmap_put(struct strmap *map, const void *key, size_t key_len, void *value);
/* Returns the value that was removed, or NULL. */
void *strmap_remove(struct strmap *map, const void *key, size_t key_len);

/* Iteration in order of insertion: `for (size_t i = 0; strmap_next(map, &i, &key, &len, &value);)`. The entry
 * just returned may be removed meanwhile, no other. key and key_len may be NULL; keys are NUL-terminated. */
int strmap_next(const struct strmap *map, size_t *cursor, const void **key, size_t *key_len, void **value);

/* The same for C strings. */
void *strmap_gets(const struct strmap *map, const char *key);
void *strmap_puts(struct strmap *map, const char *key, void *value);
void *strmap_removes(struct strmap *map, const char *key);
