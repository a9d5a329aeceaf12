/* Which instances answer at a service's names, with and without tags: the healthy ones here, else those of
 * another datacenter, else the last resort. */
#include "members.h"
#include "names.h"

#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* --- who answers --------------------------------------------------------------------------------- */

/* An instance with a tag, or (NULL) just an instance. Each stands once without and once with each tag. */
struct candidate {
    char *tag;       /* folded */
    uint32_t source; /* 0: the service; then its fallbacks in order */
    uint32_t instance;
};

static int compare_tags(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL);
}

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int order = compare_tags(x->tag, y->tag);
    if (order)
        return order;
    return x->source != y->source ? (x->source > y->source) - (x->source < y->source)
                                  : (x->instance > y->instance) - (x->instance < y->instance);
}

struct candidates {
    const struct service **sources;
    size_t source_count;
    struct candidate *items; /* by tag, source, instance */
    size_t count;
};

static void add_candidates(struct candidates *all, uint32_t source)
{
    const struct view *view = all->sources[source]->view;
    all->items =
        xrealloc(all->items, (all->count + view->instance_count + view->tag_count + 1) * sizeof(*all->items));
    for (uint32_t i = 0; i < view->instance_count; i++) {
        const struct view_instance *instance = &view->instances[i];
        all->items[all->count++] = (struct candidate){NULL, source, i};
        for (uint32_t t = 0; t < instance->tag_count; t++)
            all->items[all->count++] = (struct candidate){
                fold_case(view_text(view, view->tags[instance->first_tag + t])), source, i};
    }
}

static struct candidates gather(const struct catalog *catalog, const struct service *service)
{
    struct candidates all = {.source_count = 1};
    all.sources = xcalloc(service->policy.datacenters.count + 1, sizeof(struct service *));
    all.sources[0] = service;
    add_candidates(&all, 0);
    for (size_t i = 0; service->datacenter->origin == 0 && i < service->policy.datacenters.count; i++) {
        const struct service *other = fallback_service(catalog, service, i);
        if (!other)
            continue;
        all.sources[all.source_count++] = other;
        add_candidates(&all, (uint32_t)all.source_count - 1);
    }
    qsort(all.items, all.count, sizeof(*all.items), compare_candidates);
    return all;
}

static void free_candidates(struct candidates *all)
{
    for (size_t i = 0; i < all->count; i++)
        free(all->items[i].tag);
    free(all->items);
    free(all->sources);
}

/* Puts those of one source among group[*at..n) that are healthy (or have an address, for the last resort)
 * into the members, and moves *at behind that source. */
static size_t choose(struct rendering *r, const struct candidate *group, size_t n, size_t *at, bool any)
{
    size_t first = *at;
    r->count = 0;
    for (; *at < n && group[*at].source == group[first].source; ++*at) {
        uint32_t i = group[*at].instance;
        const struct view_instance *instance = &r->source->view->instances[i];
        bool again = *at > first && group[*at - 1].instance == i; /* `a` and `A` on one instance */
        if (!again && (any ? instance_has_address(r->source->view, instance)
                           : instance_is_healthy(&r->service->policy, r->source->view, instance)))
            r->members[r->count++] = i;
    }
    return r->count;
}

/* One set of a tag's candidates. sources: how many of them may answer for it. Returns the source that does;
 * -1: none is healthy. */
static int make_group(struct rendering *r, const struct candidates *all, const struct candidate *group,
                      size_t n, size_t sources, struct answer_set *set)
{
    for (size_t at = 0; at < n && group[at].source < sources;) {
        int source = (int)group[at].source;
        r->source = all->sources[source];
        if (choose(r, group, n, &at, false) > 0) {
            members_render(r, set);
            return source;
        }
    }
    size_t at = 0;
    r->source = r->service;
    if (group[0].source != 0)
        return -1; /* known elsewhere only */
    if (r->service->policy.last_resort == CONFIG_LAST_NODATA)
        members_render_nodata(r, set);
    else if (r->service->policy.last_resort == CONFIG_LAST_ALL && choose(r, group, n, &at, true) > 0)
        members_render(r, set);
    return -1;
}

/* --- all sets ------------------------------------------------------------------------------------ */

static void add_set(struct rendering *r, const struct candidates *all, const char *tag,
                    const struct candidate *group, size_t n, unsigned forms, size_t sources,
                    struct service *next)
{
    struct answer_set *set = &next->sets[next->set_count++];
    *set = (struct answer_set){
        .tag = xstrdup_null(tag), .forms = forms, .shadowed = is_shadowed(r->catalog, r->service, tag)};
    int source = n > 0 ? make_group(r, all, group, n, sources, set) : -1;
    if (tag || !(forms & 1u))
        return;
    next->last_resort = source < 0 && r->count > 0;
    next->fallback = source > 0 ? all->sources[source]->datacenter->name : NULL;
}

/* Who names the datacenter wants that one: a fallback is for names without it. */
static void add_sets(struct rendering *r, const struct candidates *all, const char *tag,
                     const struct candidate *group, size_t n, struct service *next)
{
    bool apart = r->service->datacenter->origin == 0 && r->service->policy.datacenters.count > 0;
    add_set(r, all, tag, group, n, apart ? 1u : ALL_FORMS, all->source_count, next);
    if (apart)
        add_set(r, all, tag, group, n, ALL_FORMS & ~1u, 1, next);
}

/* The instances of a combination of tags; nothing if a tag of that name is registered. */
static void add_combination(struct rendering *r, const struct candidates *all, const char *text,
                            struct service *next)
{
    struct candidate *group = xcalloc(all->count + 1, sizeof(*group));
    size_t n = 0;
    bool registered = false;
    for (size_t i = 0; i < all->count; i++) {
        const struct candidate *item = &all->items[i];
        const struct view *view = all->sources[item->source]->view;
        if (item->tag)
            registered |= strcmp(item->tag, text) == 0;
        else if (combination_matches(text, view, &view->instances[item->instance]))
            group[n++] = *item;
    }
    if (!registered)
        add_sets(r, all, text, group, n, next);
    free(group);
}

static int compare_sets(const void *a, const void *b)
{
    return answer_sets_compare(a, b);
}

void answer_sets_make(struct catalog *catalog, const struct service *service, struct service *next)
{
    struct candidates all = gather(catalog, service);
    struct rendering r = {
        .catalog = catalog,
        .service = service,
        .known = strmap_new(),
        .node_ttl = ttl_seconds(catalog->config.node_ttl),
        .members = xcalloc(all.count + 1, sizeof(*r.members)),
    };
    for (size_t i = 0; i < service->set_count; i++)
        for (size_t slot = 0; slot < SLOTS; slot++)
            if (service->sets[i].slots[slot].piece)
                strmap_put(r.known, service->sets[i].slots[slot].digest, DIGEST_LEN,
                           service->sets[i].slots[slot].piece);
    next->sets = xcalloc(2 * (all.count + service->combination_count) + 1, sizeof(*next->sets));
    for (size_t i = 0, n; i < all.count; i += n) {
        for (n = 1; i + n < all.count && compare_tags(all.items[i].tag, all.items[i + n].tag) == 0;)
            n++;
        add_sets(&r, &all, all.items[i].tag, &all.items[i], n, next);
    }
    for (size_t i = 0; i < service->combination_count; i++)
        add_combination(&r, &all, service->combinations[i], next);
    if (service->combination_count > 0)
        qsort(next->sets, next->set_count, sizeof(*next->sets), compare_sets);
    next->sets = xrealloc(next->sets, (next->set_count + 1) * sizeof(*next->sets));
    free(r.members);
    strmap_free(r.known, NULL);
    records_drop(&r.records);
    free_candidates(&all);
}

void answer_sets_free(struct service *service)
{
    for (size_t i = 0; i < service->set_count; i++) {
        for (size_t slot = 0; slot < SLOTS; slot++)
            if (service->sets[i].slots[slot].piece)
                piece_unref(service->sets[i].slots[slot].piece);
        free(service->sets[i].tag);
    }
    free(service->sets);
    service->sets = NULL;
    service->set_count = 0;
}

int answer_sets_compare(const struct answer_set *a, const struct answer_set *b)
{
    int order = compare_tags(a->tag, b->tag);
    return order ? order : (a->forms > b->forms) - (a->forms < b->forms);
}

bool answer_sets_have(const struct service *service, const char *tag)
{
    size_t low = 0, high = service->set_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_tags(tag, service->sets[middle].tag);
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}
