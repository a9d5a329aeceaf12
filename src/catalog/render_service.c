/* Brings a service's names up to its view: the edits from what was rendered before. */
#include "service.h"

#include <string.h>

void edit_set(struct catalog *catalog, const struct service *service, const struct answer_set *before,
              const struct answer_set *now)
{
    struct owner owners[OWNERS_MAX];
    for (size_t zone = 0; zone < catalog->zone_count; zone++) {
        size_t count = owners_of(service, now ? now : before, zone, owners);
        if (count == 0 && !before && service->datacenter->places[zone].forms > 0)
            catalog->stats.bad_names++;
        for (size_t i = 0; i < count; i++)
            for (size_t slot = 0; slot < SLOTS; slot++) {
                struct piece *old = piece_at(before, slot, owners[i].kind);
                struct piece *new = piece_at(now, slot, owners[i].kind);
                if (old != new && (slot < SLOT_SRV || slot == SLOT_SRV + zone))
                    output_put(catalog, &catalog->zones[zone], owners[i].name, slot_type(slot), new);
            }
    }
}

/* Both lists are sorted: one pass over them finds what came, went and stayed. */
static void edit_sets(struct catalog *catalog, const struct service *before, const struct service *now)
{
    size_t i = 0, j = 0;
    while (i < before->set_count || j < now->set_count) {
        const struct answer_set *old = i < before->set_count ? &before->sets[i] : NULL;
        const struct answer_set *new = j < now->set_count ? &now->sets[j] : NULL;
        int order = !old ? 1 : !new ? -1 : answer_sets_compare(old, new);
        edit_set(catalog, now, order <= 0 ? old : NULL, order >= 0 ? new : NULL);
        i += order <= 0;
        j += order >= 0;
    }
}

/* --- names that a longer service takes or gives back ---------------------------------------------- */

static void reconsider(struct catalog *catalog, struct service *service, bool to)
{
    for (size_t i = 0; i < service->set_count; i++) {
        struct answer_set *set = &service->sets[i], before = *set;
        if (set->shadowed == to || is_shadowed(catalog, service, set->tag) != to)
            continue;
        set->shadowed = to;
        edit_set(catalog, service, &before, set);
    }
}

static void withdraw(struct catalog *catalog, struct service *shorter)
{
    reconsider(catalog, shorter, true);
}

static void give_back(struct catalog *catalog, struct service *shorter)
{
    reconsider(catalog, shorter, false);
}

/* --- the service ---------------------------------------------------------------------------------- */

/* Takes next's sets. What others have at names that are now the service's goes before its own comes, and the
 * other way round. */
static void replace_sets(struct catalog *catalog, struct service *service, const struct service *next)
{
    struct service before = *service;
    service->sets = next->sets;
    service->set_count = next->set_count;
    each_shadowed(catalog, service, withdraw);
    edit_sets(catalog, &before, service);
    each_shadowed(catalog, service, give_back);
    answer_sets_free(&before);
}

void render_service(struct catalog *catalog, struct service *service)
{
    if (catalog->zone_count == 0 || service->datacenter->hidden)
        return;
    struct service next = {0};
    answer_sets_make(catalog, service, &next);
    service->last_resort = next.last_resort;
    service->fallback = next.fallback;
    replace_sets(catalog, service, &next);
}

void unrender_service(struct catalog *catalog, struct service *service)
{
    replace_sets(catalog, service, &(struct service){0});
}

void render_forget(struct service *service)
{
    answer_sets_free(service);
}

bool instance_answers(const struct service *service, const struct view_instance *instance)
{
    return instance_is_healthy(&service->policy, service->view, instance) ||
           (service->last_resort && instance_has_address(service->view, instance));
}
