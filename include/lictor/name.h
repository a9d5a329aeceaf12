/* Domain names in wire form (RFC 1035 section 3.1): uncompressed labels ending in the root label, at most 255
 * octets. Functions that take `const uint8_t *name` trust it to be such; what comes from outside goes through
 * name_from_wire or name_from_text first. Pure; any thread. */
#pragma once

#include "lictor/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NAME_MAX_WIRE   255
#define NAME_MAX_LABELS 127  /* without the root */
#define NAME_MAX_TEXT   1016 /* 4 * 253 escaped, the dots, NUL */

/* Reads a possibly compressed name at msg[*pos]; writes it uncompressed with its case kept; moves *pos behind
 * it. Pointers must point backwards (no loops). Returns its length in octets, or -1 if malformed or cut off.
 */
int name_from_wire(const uint8_t *msg, size_t msg_len, size_t *pos, uint8_t out[NAME_MAX_WIRE]);

/* Presentation form (RFC 1035 section 5.1 escapes; trailing dot optional; relative to origin unless it ends
 * in a dot, origin NULL: the root). Returns the length in octets, or -1 with err. */
int name_from_text(const char *text, const uint8_t *origin, uint8_t out[NAME_MAX_WIRE], struct err *err);

/* Writes the presentation form with a trailing dot, escaped. Returns out. */
const char *name_to_text(const uint8_t *name, char out[NAME_MAX_TEXT]);

/* A name as part of a key or of a file's name: in lower case, escaped, without the trailing dot (the root:
 * "."), '/' and '%' as %2f and %25 (RFC 2317 names have slashes). Caller frees. */
char *name_to_key(const uint8_t *name);

/* Is this label of a name in lower case that text? */
static inline bool label_is(const uint8_t *label, const char *text)
{
    return *label == strlen(text) && !memcmp(label + 1, text, *label);
}

size_t name_len(const uint8_t *name);      /* octets, root label included */
unsigned name_labels(const uint8_t *name); /* without the root: "." has 0 */
/* ASCII letters to lower case (RFC 4343). out may be name itself. Returns the length. */
size_t name_lower(const uint8_t *name, uint8_t out[NAME_MAX_WIRE]);
bool name_equal(const uint8_t *a, const uint8_t *b); /* case-insensitive */
/* Is name at or below parent? case-insensitive */
bool name_is_under(const uint8_t *name, const uint8_t *parent);
/* Canonical order (RFC 4034 section 6.1): <0, 0, >0. */
int name_compare(const uint8_t *a, const uint8_t *b);
/* Puts one label (raw octets, 1 to 63) before name. Returns the length, or -1 if too long. out must not
 * overlap name. */
int name_prepend(const uint8_t *label, size_t label_len, const uint8_t *name, uint8_t out[NAME_MAX_WIRE]);

/* How many labels two lower-case names share, counted from the root, which does not count. Inline: every
 * search that misses does it. */
static inline unsigned name_common_labels(const uint8_t *a, const uint8_t *b)
{
    const uint8_t *in_a[NAME_MAX_LABELS], *in_b[NAME_MAX_LABELS];
    unsigned left_a = 0, left_b = 0, common = 0;
    for (; *a; a += 1 + *a)
        in_a[left_a++] = a;
    for (; *b; b += 1 + *b)
        in_b[left_b++] = b;
    while (left_a && left_b) {
        const uint8_t *x = in_a[--left_a], *y = in_b[--left_b];
        if (*x != *y || memcmp(x + 1, y + 1, *x))
            break;
        common++;
    }
    return common;
}
