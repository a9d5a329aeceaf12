/* The trie's keys, and the search that queries make. */
#include "trie.h"
#include "trie_node.h"

#include <string.h>

/* Steps, in the order of octets: 0 is the end of a label (and, once more, of the key); each character that
 * host names are made of has a step of its own; what lies between two of those shares an escape step, and
 * says by a second step (from 1 on, so that 0 always means an end) which it is. Upper case does not occur. */
#define STEP_ESCAPE_A 1 /* 0 to 41 */
#define STEP_STAR     2 /* wildcards */
#define STEP_ESCAPE_B 3 /* 43, 44 */
#define STEP_HYPHEN   4
#define STEP_ESCAPE_C 5 /* 46, 47 */
#define STEP_DIGIT    6
#define STEP_ESCAPE_D 16 /* 58 to 94 */
#define STEP_LOW_LINE 17
#define STEP_ESCAPE_E 18 /* 96 */
#define STEP_LETTER   19
#define STEP_ESCAPE_F 45 /* 123 to 167, 168 to 212, 213 to 255 */
#define ESCAPE_F_SIZE 45

/* Low octet: the first step; high octet: the second, 0 for none. */
static inline unsigned steps_of_rare(uint8_t c)
{
#define ESCAPE(step, first) ((step) | (unsigned)(c - (first) + 1) << 8)
    if (c < '*')
        return ESCAPE(STEP_ESCAPE_A, 0);
    if (c == '*')
        return STEP_STAR;
    if (c < '-')
        return ESCAPE(STEP_ESCAPE_B, '*' + 1);
    if (c == '-')
        return STEP_HYPHEN;
    if (c < '0')
        return ESCAPE(STEP_ESCAPE_C, '-' + 1);
    if (c < '_')
        return ESCAPE(STEP_ESCAPE_D, '9' + 1);
    if (c == '_')
        return STEP_LOW_LINE;
    if (c == '`')
        return ESCAPE(STEP_ESCAPE_E, '`');
    unsigned block = (c - 123u) / ESCAPE_F_SIZE;
    return (STEP_ESCAPE_F + block) | ((c - 123u) % ESCAPE_F_SIZE + 1) << 8;
#undef ESCAPE
}

void trie_key(const uint8_t *lower_name, size_t name_len, size_t apex_len, struct trie_key *key)
{
    uint8_t starts[NAME_MAX_LABELS];
    unsigned labels = 0;
    for (size_t at = 0; at + apex_len < name_len; at += 1 + (size_t)lower_name[at])
        starts[labels++] = (uint8_t)at;
    uint8_t *step = key->step;
    while (labels) {
        const uint8_t *label = lower_name + starts[--labels];
        for (unsigned i = 1; i <= *label; i++) {
            uint8_t c = label[i];
            if ((uint8_t)(c - 'a') < 26) {
                *step++ = (uint8_t)(c - 'a' + STEP_LETTER);
            } else if ((uint8_t)(c - '0') < 10) {
                *step++ = (uint8_t)(c - '0' + STEP_DIGIT);
            } else {
                unsigned steps = steps_of_rare(c);
                *step++ = (uint8_t)steps;
                if (steps >> 8)
                    *step++ = (uint8_t)(steps >> 8);
            }
        }
        *step++ = 0;
    }
    *step++ = 0;
    key->len = (size_t)(step - key->step);
}

void trie_search(const struct trie *trie, const struct trie_key *key, struct trie_path *path)
{
    struct trie_node node = trie->root;
    path->marked = NULL;
    path->marked_flags = 0;
    while (node_is_branch(node)) {
        const struct twigs *twigs = node_twigs(node);
        size_t at = node_at(node);
        /* Where a label of our key has just ended, an end among the twigs is the leaf of a name that ours
         * lies below (if they agree up to here: the caller finds out where they part). */
        if (node_has(node, 1) && !path->marked && at < key->len && (!at || !key->step[at - 1])) {
            unsigned flags = node_flags(twigs->node[0]);
            if (flags) {
                path->marked = twigs->node[0].ptr;
                path->marked_flags = flags;
            }
        }
        unsigned bit = node_bit(node, key);
        node = twigs->node[node_has(node, bit) ? node_rank(node, bit) : 0];
    }
    path->last = node.ptr;
    path->last_flags = node_flags(node);
}

/* --- neighbours ------------------------------------------------------------------------------------- */

static struct owner *last_below(struct trie_node node)
{
    while (node_is_branch(node))
        node = node_twigs(node)->node[node_count(node) - 1];
    return node.ptr;
}

struct owner *trie_last(const struct trie *trie)
{
    return last_below(trie->root);
}

/* Once down to any leaf that shares with key all that the trie shares with it, which says where they part;
 * and once more, up to there, with the last turn to the left in mind. */
struct owner *trie_before(const struct trie *trie, const struct trie_key *key, size_t apex_len, bool strictly)
{
    struct trie_path path;
    struct trie_key near;
    trie_search(trie, key, &path);
    if (!path.last)
        return NULL;
    trie_key(owner_name(path.last), path.last->name_len, apex_len, &near);
    size_t at = 0;
    while (at < near.len && key->step[at] == near.step[at])
        at++; /* no key is the beginning of another */
    if (at == near.len && !strictly)
        return path.last;

    struct trie_node node = trie->root, before = {0};
    while (node_is_branch(node) && node_at(node) <= at) {
        unsigned bit = node_bit(node, key), rank = node_rank(node, bit);
        if (rank)
            before = node_twigs(node)->node[rank - 1];
        if (!node_has(node, bit)) /* here they part */
            return last_below(before);
        node = node_twigs(node)->node[rank];
    }
    /* All of node shares the steps up to at. */
    return at < near.len && near.step[at] < key->step[at] ? last_below(node) : last_below(before);
}
