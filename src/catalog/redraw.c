/* New orders for weighted RRsets: the same records, so no new serial. */
#include "service.h"

/* Puts the redrawn piece wherever the old one stood: sets share pieces. */
static void replace_piece(struct catalog *catalog, struct service *service, struct piece *old,
                          struct piece *new)
{
    for (size_t i = 0; i < service->set_count; i++)
        for (size_t slot = SLOT_A; slot <= SLOT_AAAA; slot++) {
            struct answer_set before = service->sets[i];
            struct rrset *rrset = &service->sets[i].slots[slot];
            if (rrset->piece != old)
                continue;
            rrset->piece = piece_ref(new);
            edit_set(catalog, service, &before, &service->sets[i]);
            piece_unref(old);
        }
}

static unsigned redraw_service(struct catalog *catalog, struct service *service, struct rng *rng)
{
    unsigned count = 0;
    for (size_t i = 0; i < service->set_count; i++)
        for (size_t slot = SLOT_A; slot <= SLOT_AAAA; slot++) {
            struct piece *old = service->sets[i].slots[slot].piece;
            if (!old || !piece_wants_redraw(old))
                continue;
            piece_ref(old); /* while its places are being filled anew */
            struct piece *new = piece_redraw(old, rng);
            replace_piece(catalog, service, old, new);
            piece_unref(new);
            piece_unref(old);
            count++;
        }
    return count;
}

unsigned catalog_redraw(struct catalog *catalog, struct rng *rng)
{
    unsigned count = 0;
    struct quiet quiet;
    quiet_begin(catalog, &quiet);
    struct datacenter *datacenter;
    const void *key;
    void *value;
    for (size_t i = 0; (datacenter = datacenter_next(catalog, &i));)
        for (size_t k = 0; strmap_next(datacenter->services, &k, &key, NULL, &value);)
            count += redraw_service(catalog, value, rng);
    quiet_end(catalog, &quiet);
    return count;
}
