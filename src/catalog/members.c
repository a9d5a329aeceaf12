/* The RRsets that a set of instances is: records, TTL and order. */
#include "members.h"
#include "metadata.h"
#include "names.h"

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

void members_render(struct rendering *r, struct answer_set *set)
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

/* What has no record at all is in no transfer, so one says why. */
void members_render_nodata(struct rendering *r, struct answer_set *set)
{
    static const char text[] = "\24no healthy instance.";
    r->count = 0;
    r->ttl = ttl_of(r, set->tag);
    records_add(&r->records, text, sizeof(text) - 1, 0, NULL);
    make(r, SLOT_TXT, set);
}
