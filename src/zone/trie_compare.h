/* What two tries do not share. */
#pragma once

#include "trie.h"

/* Calls visit, in canonical order, for each name whose owner is not the very same object in both: a or b is
 * NULL where it has none. Parts of the tries that are shared are not looked at. */
void trie_compare(const struct trie *a, const struct trie *b,
                  void (*visit)(void *arg, const struct owner *a, const struct owner *b), void *arg);
