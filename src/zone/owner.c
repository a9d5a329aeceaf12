/* Owner names with their RRsets. */
#include "owner.h"

#include "lictor/xalloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct owner *owner_alloc(unsigned count, const uint8_t *name, size_t name_len)
{
    struct owner *owner =
        xmalloc(sizeof *owner + count * (sizeof *owner->pieces + sizeof(uint16_t)) + name_len);
    owner->refs = 1;
    owner->count = (uint16_t)count;
    owner->name_len = (uint8_t)name_len;
    owner->origin = 0;
    memcpy((uint8_t *)owner_name(owner), name, name_len);
    return owner;
}

static void owner_set(struct owner *owner, unsigned at, struct piece *piece)
{
    owner->pieces[at] = piece_ref(piece);
    ((uint16_t *)owner_types(owner))[at] = piece_type(piece);
    if (piece_origin(piece))
        owner->origin = piece_origin(piece);
}

void owner_unref(struct owner *owner)
{
    assert(owner->refs > 0);
    if (--owner->refs)
        return;
    for (unsigned i = 0; i < owner->count; i++)
        piece_unref(owner->pieces[i]);
    free(owner);
}

struct owner *owner_with(const struct owner *old, const uint8_t *lower_name, size_t name_len,
                         struct piece *piece)
{
    uint16_t type = piece_type(piece);
    unsigned count = old ? old->count : 0;
    bool replaces = old && owner_get(old, type);
    struct owner *owner = owner_alloc(count + !replaces, lower_name, name_len);
    unsigned at = 0;
    bool placed = false;
    for (unsigned i = 0; i < count; i++) {
        uint16_t other = owner_types(old)[i];
        if (!placed && other >= type) {
            owner_set(owner, at++, piece);
            placed = true;
        }
        if (other != type)
            owner_set(owner, at++, old->pieces[i]);
    }
    if (!placed)
        owner_set(owner, at++, piece);
    assert(at == owner->count);
    return owner;
}

struct owner *owner_without(const struct owner *old, uint16_t type)
{
    if (old->count <= 1)
        return NULL;
    struct owner *owner = owner_alloc(old->count - 1u, owner_name(old), old->name_len);
    unsigned at = 0;
    for (unsigned i = 0; i < old->count; i++)
        if (owner_types(old)[i] != type)
            owner_set(owner, at++, old->pieces[i]);
    assert(at == owner->count);
    return owner;
}
