/* The bits of a trie node; see trie.h. */
#pragma once

#include "trie.h"

#define NODE_AT_SHIFT 49

/* The packed array below a branch. */
struct twigs {
    uint32_t refs;
    struct trie_node node[];
};

static inline bool node_is_branch(struct trie_node node)
{
    return node.index & 1;
}

static inline struct twigs *node_twigs(struct trie_node node)
{
    return node.ptr;
}

static inline unsigned node_flags(struct trie_node leaf)
{
    return (unsigned)(leaf.index >> 1);
}

/* The position of the step that a branch tests. */
static inline size_t node_at(struct trie_node branch)
{
    return branch.index >> NODE_AT_SHIFT;
}

/* The bit of key's value there. Names with more steps than key has differ from it before: any bit will do. */
static inline unsigned node_bit(struct trie_node branch, const struct trie_key *key)
{
    size_t at = node_at(branch);
    return 1 + (at < key->len ? key->step[at] : 0u);
}

static inline bool node_has(struct trie_node branch, unsigned bit)
{
    return branch.index >> bit & 1;
}

/* Counts bits by hand: without -mpopcnt, which not every amd64 has, the builtin is a call. */
static inline unsigned popcount(uint64_t x)
{
    x -= x >> 1 & UINT64_C(0x5555555555555555);
    x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
    x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (unsigned)(x * UINT64_C(0x0101010101010101) >> 56);
}

/* Where in the array the twig of bit is, or would be. */
static inline unsigned node_rank(struct trie_node branch, unsigned bit)
{
    return popcount(branch.index & ((UINT64_C(1) << bit) - 2));
}

static inline unsigned node_count(struct trie_node branch)
{
    return node_rank(branch, NODE_AT_SHIFT);
}
