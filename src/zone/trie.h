/* The index of a zone: a copy-on-write qp-trie over owner names in canonical order (RFC 4034 section 6.1).
 *
 * A name is a key of steps, labels from the apex downwards, letters in lower case: the end of a label is the
 * smallest step, so a parent sorts before its children and a label before its longer brothers; the characters
 * of host names take one step each, all others two. A branch tests one step and has a packed array of twigs,
 * one for each value that occurs. Nothing is stored for a run of steps that all names share, so a search must
 * compare with the leaf it ends at.
 *
 * Twig arrays are counted: two versions of a zone share all but the path to what changed. Whoever holds every
 * array on a path alone may edit in place, which makes loading a large zone cheap. Counts are not atomic: the
 * builder alone edits, shares and drops; readers only read. */
#pragma once

#include "lictor/name.h"
#include "owner.h"

/* Two steps an octet at worst, an end a label, and the end of the key. */
#define TRIE_KEY_MAX (2 * NAME_MAX_WIRE + 2)

/* What a leaf says of its owner, kept beside the pointer so that a search need not follow it. */
enum trie_flag {
    TRIE_CUT = 1,   /* NS below the apex */
    TRIE_DNAME = 2, /* names below it are redirected */
};

/* Branch: bit 0 set, bits 1 to 48 the values that occur, bits 49 to 63 the position of the step; ptr to the
 * twigs. Leaf: flags << 1, ptr to the owner. Both zero: nothing. */
struct trie_node {
    uint64_t index;
    void *ptr;
};

struct trie {
    struct trie_node root;
};

struct trie_key {
    size_t len;
    uint8_t step[TRIE_KEY_MAX];
};

/* Makes the key of lower_name, which lies at or below an apex of apex_len octets. */
void trie_key(const uint8_t *lower_name, size_t name_len, size_t apex_len, struct trie_key *key);

/* Shares all of trie; both are dropped apart. */
struct trie trie_share(struct trie *trie);
void trie_drop(struct trie *trie);

/* The owner of exactly this name, or NULL. */
struct owner *trie_get(const struct trie *trie, const struct trie_key *key, const uint8_t *lower_name,
                       size_t len);
/* Puts owner in, replacing one of the same name; takes over the caller's reference. */
void trie_put(struct trie *trie, const struct trie_key *key, struct owner *owner, unsigned flags,
              size_t apex_len);
/* Removes the owner of this name, if there; returns whether it was. */
bool trie_remove(struct trie *trie, const struct trie_key *key, const uint8_t *lower_name, size_t len);

/* What lies on the way to a name. */
struct trie_path {
    struct owner *last; /* the leaf where the search ended: it shares the longest run of steps; or NULL */
    unsigned last_flags;
    struct owner
        *marked; /* the highest leaf with flags that may be an ancestor of the name (to be checked) */
    unsigned marked_flags;
};
void trie_search(const struct trie *trie, const struct trie_key *key, struct trie_path *path);

/* The last owner, in canonical order, at or before key; strictly: before it. NULL: none. */
struct owner *trie_before(const struct trie *trie, const struct trie_key *key, size_t apex_len,
                          bool strictly);
struct owner *trie_last(const struct trie *trie);

/* Visits owners in canonical order until one returns non-zero, which is returned. */
int trie_walk(const struct trie *trie, int (*visit)(void *arg, const struct owner *owner), void *arg);
