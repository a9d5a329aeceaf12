/* Sets of instances, and the RRsets that they are: who answers (the healthy ones here, else those of another
 * datacenter, else the last resort), in which order, with which TTL. */
#include "metadata.h"
#include "names.h"
#include "rrset.h"
#include "service.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

uint16_t slot_type(size_t slot)
{
    static const uint16_t types[SLOTS] = {
        [SLOT_A] = DNS_A,     [SLOT_AAAA] = DNS_AAAA, [SLOT_CNAME] = DNS_CNAME,
        [SLOT_TXT] = DNS_TXT, [SLOT_SRV] = DNS_SRV,   [SLOT_SRV + 1] = DNS_SRV,
    };
    return types[slot];
}

struct rendering {
    struct catalog *catalog;
    const struct service *service; /* whose names they are */
    const struct service *source;  /* whose instances: itself, or its namesake in another datacenter */
    struct strmap *known;          /* digest -> piece, of before and of now */
    struct records records;
    uint32_t ttl, node_ttl;
    uint32_t *members; /* instances of the source */
    size_t count;
};

static const struct view_instance *member(const struct rendering *r, size_t i)
{
    return &r->source->view->instances[r->members[i]];
}

static struct endpoint member_endpoint(const struct rendering *r, size_t i)
{
    return endpoint_of(r->catalog, r->source, member(r, i));
}

/* --- RRsets -------------------------------------------------------------------------------------- */

static void make(struct rendering *r, size_t slot, struct answer_set *set)
{
    const struct config_service *policy = &r->service->policy;
    bool address = slot == SLOT_A || slot == SLOT_AAAA;
    struct piece_spec spec = {
        .type = slot_type(slot),
        .ttl = r->ttl,
        .origin = r->source->datacenter->origin,
        .keep_order = policy->order == CONFIG_ORDER_FIXED || policy->order == CONFIG_ORDER_NEAREST,
        .answers = (uint16_t)(!address                       ? 0
                              : policy->answers > UINT16_MAX ? UINT16_MAX
                                                             : policy->answers),
    };
    /* Addresses in the additional section have the TTL that they have at their own names (`.node`, `.addr`).
     */
    rrset_make(&r->records, &spec, r->node_ttl, r->known, &set->slots[slot]);
    records_clear(&r->records);
}

static void make_srv(struct rendering *r, size_t zone, struct answer_set *set)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct view_instance *instance = member(r, i);
        struct endpoint end = member_endpoint(r, i);
        uint16_t weight = instance_weight(instance);
        uint16_t priority = instance_priority(&r->service->policy, r->source->view, instance);
        uint8_t rdata[6 + NAME_MAX_WIRE] = {
            (uint8_t)(priority >> 8),       (uint8_t)priority,       (uint8_t)(weight >> 8), (uint8_t)weight,
            (uint8_t)(instance->port >> 8), (uint8_t)instance->port,
        };
        if (instance->port < 0)
            continue;
        int len = instance_target(r->source, zone, instance, &end, rdata + 6);
        if (len > 0) /* the whole RRset is given: no windows, no weights for the piece */
            records_add(&r->records, rdata, 6 + (size_t)len, 0, end.address);
    }
    make(r, SLOT_SRV + zone, set);
}

static void make_addresses(struct rendering *r, enum slot slot, struct answer_set *set)
{
    uint8_t kind = slot == SLOT_A ? ADDRESS_IPV4 : ADDRESS_IPV6;
    bool weighted = r->service->policy.order == CONFIG_ORDER_WEIGHTED;
    for (size_t i = 0; i < r->count; i++) {
        struct endpoint end = member_endpoint(r, i);
        const struct address *address = end.address->kind == kind ? end.address : end.second;
        if (address->kind == kind)
            records_add(&r->records, address->ip, kind == ADDRESS_IPV4 ? 4 : 16,
                        weighted ? instance_weight(member(r, i)) : 0, NULL);
    }
    make(r, slot, set);
}

/* A CNAME RRset is one record: of several host names the first in order, so that the answer stays while it
 * is healthy. */
static void make_cname(struct rendering *r, struct answer_set *set)
{
    const char *first = NULL;
    bool in_order =
        r->service->policy.order == CONFIG_ORDER_FIXED || r->service->policy.order == CONFIG_ORDER_NEAREST;
    for (size_t i = 0; i < r->count; i++) {
        struct endpoint end = member_endpoint(r, i);
        if (end.address->kind == ADDRESS_HOST && (!first || (!in_order && strcmp(end.host, first) < 0)))
            first = end.host;
    }
    uint8_t target[NAME_MAX_WIRE];
    int len = first ? name_from_text(first, NULL, target, NULL) : -1;
    if (len > 0)
        records_add(&r->records, target, (size_t)len, 0, NULL);
    make(r, SLOT_CNAME, set);
}

/* The metadata of all members; what they have in common stands there once. */
static void make_txt(struct rendering *r, struct answer_set *set)
{
    const struct view *view = r->source->view;
    struct buf rdata = {0};
    for (size_t i = 0; i < r->count; i++) {
        const struct view_instance *instance = member(r, i);
        for (uint32_t k = 0; k < instance->meta_count; k++) {
            const struct view_meta *meta = &view->metas[instance->first_meta + k];
            const char *key = view_text(view, meta->key);
            if (strncmp(key, METADATA_PREFIX, sizeof(METADATA_PREFIX) - 1) == 0)
                continue;
            rdata.len = 0;
            metadata_rdata(key, view_text(view, meta->value), &rdata);
            if (rdata.len <= UINT16_MAX)
                records_add(&r->records, rdata.data, rdata.len, 0, NULL);
        }
    }
    buf_free(&rdata);
    make(r, SLOT_TXT, set);
}

/* --- TTL and order ------------------------------------------------------------------------------- */

/* The lowest that a member's metadata says (an RRset has one TTL: RFC 2181 section 5.2), else what the
 * configuration says of the tag or of the service. */
static uint32_t ttl_of(const struct rendering *r, const char *tag)
{
    const struct config_service *policy = &r->service->policy;
    uint32_t ttl = ttl_seconds(policy->ttl);
    bool said = false;
    for (size_t i = 0; i < r->count; i++)
        said |= instance_ttl(policy, r->source->view, member(r, i), !said, &ttl);
    if (!said && tag)
        config_tag_ttl(&r->catalog->config, tag, r->service->name, &ttl);
    return ttl;
}

struct placed {
    uint32_t distance, instance;
};

static int compare_placed(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return (x->instance > y->instance) - (x->instance < y->instance);
}

/* The nearest first; the view's order (by node and ID) among equals. */
static void sort_by_distance(struct rendering *r)
{
    struct placed *placed = xcalloc(r->count, sizeof(*placed));
    for (size_t i = 0; i < r->count; i++)
        placed[i] = (struct placed){
            coordinates_distance(r->catalog, view_text(r->source->view, member(r, i)->node)), r->members[i]};
    qsort(placed, r->count, sizeof(*placed), compare_placed);
    for (size_t i = 0; i < r->count; i++)
        r->members[i] = placed[i].instance;
    free(placed);
}

static void make_set(struct rendering *r, struct answer_set *set)
{
    /* Coordinates of one datacenter say nothing of another's nodes. */
    if (r->service->policy.order == CONFIG_ORDER_NEAREST && r->source->datacenter->origin == 0)
        sort_by_distance(r);
    r->ttl = ttl_of(r, set->tag);
    make_addresses(r, SLOT_A, set);
    make_addresses(r, SLOT_AAAA, set);
    for (size_t zone = 0; zone < r->catalog->zone_count; zone++)
        make_srv(r, zone, set);
    if (!set->slots[SLOT_A].piece && !set->slots[SLOT_AAAA].piece)
        make_cname(r, set);
    if (r->service->policy.txt)
        make_txt(r, set);
}

/* A name that exists without addresses. What has no record at all is in no transfer, so one says why. */
static void make_nodata(struct rendering *r, struct answer_set *set)
{
    static const char text[] = "\24no healthy instance.";
    r->count = 0;
    r->ttl = ttl_of(r, set->tag);
    records_add(&r->records, text, sizeof(text) - 1, 0, NULL);
    make(r, SLOT_TXT, set);
}

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
            make_set(r, set);
            return source;
        }
    }
    size_t at = 0;
    r->source = r->service;
    if (group[0].source != 0)
        return -1; /* known elsewhere only */
    if (r->service->policy.last_resort == CONFIG_LAST_NODATA)
        make_nodata(r, set);
    else if (r->service->policy.last_resort == CONFIG_LAST_ALL && choose(r, group, n, &at, true) > 0)
        make_set(r, set);
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
    records_free(&r.records);
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
