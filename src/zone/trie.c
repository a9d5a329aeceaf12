/* The copy-on-write qp-trie: edits and walks. Searching is in trie_search.c. */
#include "trie.h"

#include "lictor/xalloc.h"
#include "trie_node.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- sharing -------------------------------------------------------------------------------------- */

static void node_ref(struct trie_node node)
{
    if (node_is_branch(node))
        node_twigs(node)->refs++;
    else if (node.ptr)
        owner_ref(node.ptr);
}

static void node_unref(struct trie_node node)
{
    if (!node_is_branch(node)) {
        if (node.ptr)
            owner_unref(node.ptr);
        return;
    }
    struct twigs *twigs = node_twigs(node);
    assert(twigs->refs > 0);
    if (--twigs->refs)
        return;
    for (unsigned i = 0, count = node_count(node); i < count; i++)
        node_unref(twigs->node[i]);
    free(twigs);
}

struct trie trie_share(struct trie *trie)
{
    node_ref(trie->root);
    return *trie;
}

void trie_drop(struct trie *trie)
{
    node_unref(trie->root);
    trie->root = (struct trie_node){0};
}

static struct twigs *twigs_new(unsigned count)
{
    struct twigs *twigs = xmalloc(sizeof *twigs + count * sizeof *twigs->node);
    twigs->refs = 1;
    return twigs;
}

/* Makes the twigs of a branch ours alone. The node itself must already be. */
static struct twigs *node_own(struct trie_node *node)
{
    struct twigs *old = node_twigs(*node);
    if (old->refs == 1)
        return old;
    unsigned count = node_count(*node);
    struct twigs *own = twigs_new(count);
    memcpy(own->node, old->node, count * sizeof *own->node);
    for (unsigned i = 0; i < count; i++)
        node_ref(own->node[i]);
    old->refs--;
    node->ptr = own;
    return own;
}

/* --- edits ---------------------------------------------------------------------------------------- */

struct owner *trie_get(const struct trie *trie, const struct trie_key *key, const uint8_t *lower_name,
                       size_t len)
{
    struct trie_node node = trie->root;
    while (node_is_branch(node)) {
        unsigned bit = node_bit(node, key);
        if (!node_has(node, bit))
            return NULL;
        node = node_twigs(node)->node[node_rank(node, bit)];
    }
    struct owner *owner = node.ptr;
    if (!owner || owner->name_len != len || memcmp(owner_name(owner), lower_name, len))
        return NULL;
    return owner;
}

static struct trie_node leaf_node(struct owner *owner, unsigned flags)
{
    return (struct trie_node){(uint64_t)flags << 1, owner};
}

/* Any leaf that shares with key all that it shares with the trie. */
static struct owner *nearest(const struct trie *trie, const struct trie_key *key)
{
    struct trie_node node = trie->root;
    while (node_is_branch(node)) {
        unsigned bit = node_bit(node, key);
        node = node_twigs(node)->node[node_has(node, bit) ? node_rank(node, bit) : 0];
    }
    return node.ptr;
}

void trie_put(struct trie *trie, const struct trie_key *key, struct owner *owner, unsigned flags,
              size_t apex_len)
{
    struct trie_node leaf = leaf_node(owner, flags);
    struct owner *near = nearest(trie, key);
    if (!near) {
        trie->root = leaf;
        return;
    }
    struct trie_key near_key;
    trie_key(owner_name(near), near->name_len, apex_len, &near_key);
    size_t at = 0;
    while (at < near_key.len && key->step[at] == near_key.step[at])
        at++; /* no key is the beginning of another: two differ within both */

    struct trie_node *node = &trie->root;
    while (node_is_branch(*node) && (at == near_key.len || node_at(*node) < at)) {
        struct twigs *twigs = node_own(node);
        node = &twigs->node[node_rank(*node, node_bit(*node, key))];
    }
    if (at == near_key.len) { /* the same name */
        owner_unref(node->ptr);
        *node = leaf;
    } else if (node_is_branch(*node) && node_at(*node) == at) {
        struct twigs *twigs = node_own(node);
        unsigned bit = node_bit(*node, key), count = node_count(*node), rank = node_rank(*node, bit);
        twigs = xrealloc(twigs, sizeof *twigs + (count + 1) * sizeof *twigs->node);
        memmove(twigs->node + rank + 1, twigs->node + rank, (count - rank) * sizeof *twigs->node);
        twigs->node[rank] = leaf;
        node->index |= UINT64_C(1) << bit;
        node->ptr = twigs;
    } else {
        struct twigs *twigs = twigs_new(2);
        uint8_t ours = key->step[at], theirs = near_key.step[at];
        twigs->node[ours > theirs] = leaf;
        twigs->node[ours < theirs] = *node;
        node->index = 1 | UINT64_C(2) << ours | UINT64_C(2) << theirs | (uint64_t)at << NODE_AT_SHIFT;
        node->ptr = twigs;
    }
}

bool trie_remove(struct trie *trie, const struct trie_key *key, const uint8_t *lower_name, size_t len)
{
    if (!trie_get(trie, key, lower_name, len)) /* look first: a path is not copied in vain */
        return false;
    struct trie_node *node = &trie->root, *parent = NULL;
    while (node_is_branch(*node)) {
        struct twigs *twigs = node_own(node);
        parent = node;
        node = &twigs->node[node_rank(*node, node_bit(*node, key))];
    }
    owner_unref(node->ptr);
    if (!parent) {
        trie->root = (struct trie_node){0};
        return true;
    }
    struct twigs *twigs = node_twigs(*parent);
    unsigned count = node_count(*parent), rank = (unsigned)(node - twigs->node);
    if (count == 2) { /* a branch with one twig is that twig */
        *parent = twigs->node[!rank];
        free(twigs);
        return true;
    }
    memmove(twigs->node + rank, twigs->node + rank + 1, (count - rank - 1) * sizeof *twigs->node);
    parent->index &= ~(UINT64_C(1) << node_bit(*parent, key));
    parent->ptr = xrealloc(twigs, sizeof *twigs + (count - 1) * sizeof *twigs->node);
    return true;
}

/* --- walking -------------------------------------------------------------------------------------- */

static int node_walk(struct trie_node node, int (*visit)(void *arg, const struct owner *owner), void *arg)
{
    if (!node_is_branch(node))
        return node.ptr ? visit(arg, node.ptr) : 0;
    for (unsigned i = 0, count = node_count(node); i < count; i++) {
        int result = node_walk(node_twigs(node)->node[i], visit, arg);
        if (result)
            return result;
    }
    return 0;
}

int trie_walk(const struct trie *trie, int (*visit)(void *arg, const struct owner *owner), void *arg)
{
    return node_walk(trie->root, visit, arg);
}
