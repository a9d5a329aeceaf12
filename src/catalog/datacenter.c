/* The datacenters of the view: the local one, and those that were asked or configured. One that went keeps
 * its place and its number, since versions of the zones that hold its records may still be read. */
#include "internal.h"

#include "names.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* A datacenter called `service` cannot be told from the label of that name: Consul scans for it from the
 * right and answers nothing sensible. The local one's services are then there without the datacenter's label
 * only; a remote one has no names. */
static bool is_reserved(const char *folded)
{
    static const char *const words[] = {"service", "node",    "addr",    "query",
                                        "connect", "ingress", "virtual", "ns"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(folded, words[i]) == 0)
            return true;
    return false;
}

/* One label (Consul: letters, digits, '-' and '_'), and room for `<32 hex digits>.addr.` before it. */
static bool fits_under(const char *folded, const uint8_t *domain)
{
    uint8_t name[NAME_MAX_WIRE];
    return name_under_label(NULL, folded, true, domain, name) > 0 && name_len(name) < 200;
}

bool datacenter_fits(const struct catalog *catalog, const char *folded)
{
    return fits_under(folded, catalog->config.domain) &&
           (!catalog->config.has_alt_domain || fits_under(folded, catalog->config.alt_domain));
}

void datacenter_place(const struct catalog *catalog, struct datacenter *datacenter)
{
    bool local = datacenter->origin == 0;
    for (size_t i = 0; i < catalog->zone_count; i++) {
        const uint8_t *apex = catalog->zones[i].apex;
        struct place *place = &datacenter->places[i];
        uint8_t below[NAME_MAX_WIRE];
        *place = (struct place){0};
        if (local) {
            name_under("service", false, apex, place->service[place->forms]);
            name_under("node", false, apex, place->node[place->forms++]);
        }
        /* datacenter_fits and the configuration leave room for all of these. */
        name_under(datacenter->name, true, apex, below);
        if (!is_reserved(datacenter->name)) {
            name_under("service", false, below, place->service[place->forms]);
            name_under("node", false, below, place->node[place->forms++]);
        }
        name_under("addr", false, below, place->addr);
    }
}

/* `translate_wan_addrs` is for those who come from elsewhere. */
bool datacenter_is_translated(const struct catalog *catalog, const struct datacenter *datacenter)
{
    return catalog->config.translate_wan && datacenter && datacenter->origin != 0;
}

/* --- finding ------------------------------------------------------------------------------------- */

struct datacenter *datacenter_next(const struct catalog *catalog, size_t *i)
{
    while (*i < catalog->datacenter_count) {
        struct datacenter *datacenter = catalog->datacenters[(*i)++];
        if (datacenter->origin == 0 || datacenter->name)
            return datacenter;
    }
    return NULL;
}

struct datacenter *datacenter_find(const struct catalog *catalog, const char *name)
{
    struct datacenter *found = NULL, *datacenter;
    if (!name)
        return local_datacenter(catalog);
    char *folded = fold_case(name);
    for (size_t i = 0; !found && (datacenter = datacenter_next(catalog, &i));)
        if (datacenter->name && strcmp(datacenter->name, folded) == 0)
            found = datacenter;
    free(folded);
    return found;
}

/* --- coming and going ---------------------------------------------------------------------------- */

static struct datacenter *append(struct catalog *catalog)
{
    struct datacenter *datacenter = xcalloc(1, sizeof(*datacenter));
    datacenter->origin = (uint8_t)catalog->datacenter_count;
    datacenter->services = strmap_new();
    datacenter->nodes = strmap_new();
    datacenter->changed = strmap_new();
    catalog->datacenters[catalog->datacenter_count++] = datacenter;
    return datacenter;
}

void datacenter_list_new(struct catalog *catalog)
{
    catalog->origins = xcalloc(1, sizeof(*catalog->origins));
    append(catalog);
}

void datacenter_list_free(struct catalog *catalog)
{
    for (size_t i = 0; i < catalog->datacenter_count; i++) {
        struct datacenter *datacenter = catalog->datacenters[i];
        strmap_free(datacenter->services, service_free);
        strmap_free(datacenter->nodes, node_free);
        strmap_free(datacenter->changed, NULL);
        free(datacenter->name);
        free(datacenter);
    }
    free(catalog->origins);
}

/* The place of one that went, of the same name: its number means the same to whoever still reads it. */
static struct datacenter *reuse(struct catalog *catalog, const char *folded)
{
    for (size_t i = 1; i < catalog->datacenter_count; i++) {
        const uint8_t *label = catalog->origins->at[i].label;
        if (label[0] == strlen(folded) && memcmp(label + 1, folded, label[0]) == 0)
            return catalog->datacenters[i];
    }
    return NULL;
}

static struct datacenter *add(struct catalog *catalog, const char *name)
{
    char *folded = fold_case(name);
    struct datacenter *datacenter = NULL;
    if (!datacenter_fits(catalog, folded) || is_reserved(folded))
        log_warn("catalog: datacenter \"%s\" cannot be a label of a name below the domain: not served", name);
    else if (!(datacenter = reuse(catalog, folded)) && catalog->datacenter_count == ZONE_ORIGINS_MAX)
        log_warn("catalog: datacenter \"%s\" is one more than %d: not served", name, ZONE_ORIGINS_MAX);
    else if (!datacenter)
        datacenter = append(catalog);
    if (!datacenter) {
        free(folded);
        return NULL;
    }
    struct zone_origin *origin = &catalog->origins->at[datacenter->origin];
    datacenter->name = folded;
    origin->label[0] = (uint8_t)strlen(folded);
    memcpy(origin->label + 1, folded, origin->label[0]);
    atomic_store(&origin->state.stale_from, NS_NEVER);
    atomic_store(&origin->state.dead_from, NS_NEVER);
    atomic_store(&origin->state.held, true);
    atomic_store(&origin->known, true);
    if (catalog->origins->count < catalog->datacenter_count)
        atomic_store(&catalog->origins->count, (unsigned)catalog->datacenter_count);
    datacenter_place(catalog, datacenter);
    return datacenter;
}

struct datacenter *datacenter_get(struct catalog *catalog, const char *name)
{
    struct datacenter *datacenter = datacenter_find(catalog, name);
    return datacenter ? datacenter : add(catalog, name);
}

void datacenter_empty(struct catalog *catalog, struct datacenter *datacenter)
{
    const void *key;
    void *value;
    for (size_t i = 0; strmap_next(datacenter->services, &i, &key, NULL, &value);) {
        struct service *service = value;
        char *name = xstrdup(service->name);
        strmap_puts(datacenter->changed, name, catalog);
        unrender_service(catalog, service);
        strmap_removes(datacenter->services, name);
        service_free(service);
        fallback_changed(catalog, datacenter, name);
        free(name);
    }
    datacenter->instance_count = 0;
    catalog_set_nodes(catalog, datacenter, strmap_new());
}

struct zone_state *catalog_add_datacenter(struct catalog *catalog, const char *name)
{
    struct datacenter *datacenter = datacenter_get(catalog, name);
    if (!datacenter)
        return NULL;
    return datacenter->origin == 0 ? catalog->state : &catalog->origins->at[datacenter->origin].state;
}

int catalog_remove_datacenter(struct catalog *catalog, const char *name)
{
    struct datacenter *datacenter = datacenter_find(catalog, name);
    if (!datacenter || datacenter->origin == 0)
        return 0;
    int had = strmap_count(datacenter->services) + strmap_count(datacenter->nodes) > 0;
    datacenter_empty(catalog, datacenter);
    datacenter->hidden = false;
    atomic_store(&catalog->origins->at[datacenter->origin].known, false);
    free(datacenter->name);
    datacenter->name = NULL;
    return had;
}

void catalog_each_datacenter(const struct catalog *catalog, void (*visit)(void *arg, const char *datacenter),
                             void *arg)
{
    struct datacenter *datacenter;
    for (size_t i = 1; (datacenter = datacenter_next(catalog, &i));)
        visit(arg, datacenter->name);
}
