/* Two versions of one zone share all of their tries but the paths to what changed. Both are walked at once in
 * canonical order, each with a stack of what is still to come; whenever the same part is on top of both, it
 * is dropped unseen. An edit that sets a new branch above a shared part makes that part stand on one stack
 * opened and on the other closed; opening it there too, one level down, the two meet again in what is below.
 */
#include "trie_compare.h"

#include "lictor/xalloc.h"
#include "trie_node.h"

#include <stdlib.h>

struct stack {
    struct trie_node *nodes; /* the next one is the last */
    size_t count, cap;
};

static void push(struct stack *stack, struct trie_node node)
{
    if (stack->count == stack->cap) {
        stack->cap = stack->cap ? stack->cap * 2 : 128;
        stack->nodes = xrealloc(stack->nodes, stack->cap * sizeof *stack->nodes);
    }
    stack->nodes[stack->count++] = node;
}

static struct trie_node *top(struct stack *stack)
{
    return stack->count ? &stack->nodes[stack->count - 1] : NULL;
}

static void open_branch(struct stack *stack)
{
    struct trie_node branch = stack->nodes[--stack->count];
    for (unsigned i = node_count(branch); i-- > 0;)
        push(stack, node_twigs(branch)->node[i]);
}

void trie_compare(const struct trie *a, const struct trie *b,
                  void (*visit)(void *arg, const struct owner *a, const struct owner *b), void *arg)
{
    struct stack left = {0}, right = {0};
    if (a->root.ptr)
        push(&left, a->root);
    if (b->root.ptr)
        push(&right, b->root);
    while (left.count || right.count) {
        struct trie_node *x = top(&left), *y = top(&right);
        bool x_opens = x && node_is_branch(*x), y_opens = y && node_is_branch(*y);
        if (x && y && x->ptr == y->ptr && x->index == y->index) {
            left.count--;
            right.count--;
        } else if (x_opens && y_opens) { /* the one nearer to the root; both, if they test the same step */
            size_t at_x = node_at(*x), at_y = node_at(*y);
            if (at_x <= at_y)
                open_branch(&left);
            if (at_y <= at_x)
                open_branch(&right);
        } else if (x_opens) {
            open_branch(&left);
        } else if (y_opens) {
            open_branch(&right);
        } else {
            const struct owner *p = x ? x->ptr : NULL, *q = y ? y->ptr : NULL;
            int order = !p ? 1 : !q ? -1 : name_compare(owner_name(p), owner_name(q));
            left.count -= order <= 0;
            right.count -= order >= 0;
            visit(arg, order <= 0 ? p : NULL, order >= 0 ? q : NULL);
        }
    }
    free(left.nodes);
    free(right.nodes);
}
