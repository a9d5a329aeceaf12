/* A walk over a zone version that can pause: what a transfer reads from, message by message. */
#include "trie_node.h"
#include "zone_body.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <stdlib.h>

/* A branch whose twigs are being visited. */
struct frame {
    const struct twigs *twigs;
    uint8_t count, next;
};

struct zone_cursor {
    struct zone *zone;
    const struct owner *owner; /* NULL: the next one is to be found */
    unsigned piece;            /* the next of its RRsets */
    size_t depth, room;
    struct frame *frames;
};

static void push(struct zone_cursor *cursor, struct trie_node branch)
{
    if (cursor->depth == cursor->room) {
        cursor->room = cursor->room ? 2 * cursor->room : 16;
        cursor->frames = xrealloc(cursor->frames, cursor->room * sizeof *cursor->frames);
    }
    cursor->frames[cursor->depth++] = (struct frame){node_twigs(branch), (uint8_t)node_count(branch), 0};
}

/* Down the first twigs to a leaf. */
static void descend(struct zone_cursor *cursor, struct trie_node node)
{
    while (node_is_branch(node)) {
        push(cursor, node);
        node = cursor->frames[cursor->depth - 1].twigs->node[0];
        cursor->frames[cursor->depth - 1].next = 1;
    }
    cursor->owner = node.ptr;
    cursor->piece = 0;
}

static bool next_owner(struct zone_cursor *cursor)
{
    while (cursor->depth > 0) {
        struct frame *top = &cursor->frames[cursor->depth - 1];
        if (top->next < top->count) {
            descend(cursor, top->twigs->node[top->next++]);
            return true;
        }
        cursor->depth--;
    }
    cursor->owner = NULL;
    return false;
}

struct zone_cursor *zone_cursor_new(struct zone *zone)
{
    struct zone_cursor *cursor = xcalloc(1, sizeof *cursor);
    cursor->zone = zone_ref(zone);
    descend(cursor, zone->trie.root);
    return cursor;
}

const struct piece *zone_cursor_next(struct zone_cursor *cursor, const uint8_t **owner)
{
    while (cursor->owner) {
        const struct owner *at = cursor->owner;
        if (cursor->piece < at->count) {
            *owner = owner_name(at);
            return at->pieces[cursor->piece++];
        }
        next_owner(cursor);
    }
    return NULL;
}

void zone_cursor_free(struct zone_cursor *cursor)
{
    if (!cursor)
        return;
    zone_unref(cursor->zone);
    free(cursor->frames);
    free(cursor);
}
