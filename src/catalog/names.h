/* Names of things in Consul as names in DNS. Private to catalog/. */
#pragma once

#include "lictor/name.h"

#include <stdbool.h>

/* Puts the labels of a dotted text before parent, folding to lower case or not. Consul's names are free text:
 * returns the length, or -1 if a label is empty, longer than 63 octets, or holds an octet that is not
 * graphic ASCII, or the whole is too long. */
int name_under(const char *dotted, bool fold, const uint8_t *parent, uint8_t out[NAME_MAX_WIRE]);

/* The same for exactly one label. prefix (such as "_") stands before it; NULL: none. */
int name_under_label(const char *prefix, const char *label, bool fold, const uint8_t *parent,
                     uint8_t out[NAME_MAX_WIRE]);

/* Letters, digits, '-' and '_' in labels, the last one not all digits (that is a mistyped address); a
 * trailing dot is allowed. */
bool is_host_name(const char *text);

/* For qsort over `const char *`. */
int compare_texts(const void *a, const void *b);

/* ASCII lower case. Caller frees. */
char *fold_case(const char *text);
