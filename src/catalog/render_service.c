/* A service's names: which instances answer, with what records, at which owners; and the edits from what was
 * rendered before. */
#include "names.h"
#include "rrset.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint16_t slot_types[SLOTS] = {
    [SLOT_A] = DNS_A,     [SLOT_AAAA] = DNS_AAAA,   [SLOT_CNAME] = DNS_CNAME,
    [SLOT_SRV] = DNS_SRV, [SLOT_SRV + 1] = DNS_SRV,
};

/* --- one instance -------------------------------------------------------------------------------- */

/* Where an instance is reached, after Consul's rules. */
struct endpoint {
    const struct address *address;
    const char *host; /* ADDRESS_HOST */
    bool own;         /* the service's own address, not its node's */
};

/* A service registered at its own name would be a CNAME to itself; Consul then takes the node's address. */
static bool is_own_name(const struct catalog *catalog, const struct service *service, const char *host)
{
    uint8_t name[NAME_MAX_WIRE], own[NAME_MAX_WIRE];
    if (name_from_text(host, NULL, name, NULL) < 0)
        return false;
    for (size_t i = 0; i < catalog->zone_count; i++) {
        const struct place *place = &service->datacenter->places[i];
        for (unsigned form = 0; form < place->forms; form++)
            if (name_under(service->name, true, place->service[form], own) > 0 && name_equal(name, own))
                return true;
    }
    return false;
}

static struct endpoint endpoint_of(const struct catalog *catalog, const struct service *service,
                                   const struct view_instance *instance)
{
    const struct view *view = service->view;
    struct endpoint end = {.own = instance->address.kind != ADDRESS_NONE};
    end.address = view_address(view, instance, &end.host);
    if (end.own && end.address->kind == ADDRESS_HOST && is_own_name(catalog, service, end.host)) {
        end.own = false;
        end.address = &instance->node_address;
        end.host = view_text(view, instance->node_host);
    }
    return end;
}

bool instance_answers(const struct catalog *catalog, const struct view *view,
                      const struct view_instance *instance)
{
    const char *host;
    if (instance->state == CHECK_CRITICAL ||
        (catalog->config.only_passing && instance->state != CHECK_PASSING))
        return false;
    return view_address(view, instance, &host)->kind != ADDRESS_NONE;
}

static uint16_t weight_of(const struct view_instance *instance)
{
    return instance->state == CHECK_WARNING ? instance->weight_warning : instance->weight_passing;
}

static int addr_name(const struct address *address, const struct place *place, uint8_t name[NAME_MAX_WIRE])
{
    char hex[33];
    size_t octets = address->kind == ADDRESS_IPV4 ? 4 : 16;
    for (size_t i = 0; i < octets; i++)
        snprintf(hex + 2 * i, 3, "%02x", address->ip[i]);
    return name_under(hex, false, place->addr, name);
}

/* Consul's targets: the node's name if the service has no address of its own, `.addr` if it has an IP, else
 * the host name. The case of a registered node stays. */
static int srv_target(const struct place *place, const struct view *view,
                      const struct view_instance *instance, const struct endpoint *end,
                      uint8_t name[NAME_MAX_WIRE])
{
    if (!end->own) {
        int len = name_under(view_text(view, instance->node), false, place->node[place->forms - 1], name);
        if (len > 0)
            return len;
    }
    if (end->address->kind == ADDRESS_HOST)
        return name_from_text(end->host, NULL, name, NULL);
    return addr_name(end->address, place, name);
}

/* --- a set of instances -------------------------------------------------------------------------- */

struct rendering {
    struct catalog *catalog;
    const struct service *service;
    struct strmap *known; /* digest -> piece, of before and of now */
    struct records records;
    uint32_t ttl, node_ttl;
};

static void make(struct rendering *r, enum slot slot, struct answer_set *set)
{
    bool address = slot == SLOT_A || slot == SLOT_AAAA;
    unsigned answers = r->catalog->config.answers;
    struct piece_spec spec = {
        .type = slot_types[slot],
        .ttl = r->ttl,
        .origin = r->service->datacenter->origin,
        .answers = (uint16_t)(!address               ? 0
                              : answers > UINT16_MAX ? UINT16_MAX
                                                     : answers),
    };
    /* Addresses in the additional section have the TTL that they have at their own names (`.node`, `.addr`).
     */
    rrset_make(&r->records, &spec, r->node_ttl, r->known, &set->slots[slot]);
    records_clear(&r->records);
}

static void make_srv(struct rendering *r, size_t zone, const uint32_t *members, size_t count,
                     struct answer_set *set)
{
    const struct view *view = r->service->view;
    for (size_t i = 0; i < count; i++) {
        const struct view_instance *instance = &view->instances[members[i]];
        struct endpoint end = endpoint_of(r->catalog, r->service, instance);
        uint16_t weight = weight_of(instance);
        uint8_t rdata[6 + NAME_MAX_WIRE] = {
            0,
            1,
            (uint8_t)(weight >> 8),
            (uint8_t)weight,
            (uint8_t)(instance->port >> 8),
            (uint8_t)instance->port,
        };
        if (instance->port < 0)
            continue;
        int len = srv_target(&r->service->datacenter->places[zone], view, instance, &end, rdata + 6);
        if (len > 0) /* the whole RRset is given: no windows, no weights for the piece */
            records_add(&r->records, rdata, 6 + (size_t)len, 0, end.address);
    }
    make(r, SLOT_SRV + (enum slot)zone, set);
}

static void make_addresses(struct rendering *r, enum slot slot, const uint32_t *members, size_t count,
                           struct answer_set *set)
{
    const struct view *view = r->service->view;
    uint8_t kind = slot == SLOT_A ? ADDRESS_IPV4 : ADDRESS_IPV6;
    for (size_t i = 0; i < count; i++) {
        const struct view_instance *instance = &view->instances[members[i]];
        struct endpoint end = endpoint_of(r->catalog, r->service, instance);
        if (end.address->kind == kind)
            records_add(&r->records, end.address->ip, kind == ADDRESS_IPV4 ? 4 : 16, weight_of(instance),
                        NULL);
    }
    make(r, slot, set);
}

/* A CNAME RRset is one record: of several host names the first in order, so that the answer stays while it
 * is healthy. */
static void make_cname(struct rendering *r, const uint32_t *members, size_t count, struct answer_set *set)
{
    const struct view *view = r->service->view;
    const char *first = NULL;
    for (size_t i = 0; i < count; i++) {
        struct endpoint end = endpoint_of(r->catalog, r->service, &view->instances[members[i]]);
        if (end.address->kind == ADDRESS_HOST && (!first || strcmp(end.host, first) < 0))
            first = end.host;
    }
    uint8_t target[NAME_MAX_WIRE];
    int len = first ? name_from_text(first, NULL, target, NULL) : -1;
    if (len > 0)
        records_add(&r->records, target, (size_t)len, 0, NULL);
    make(r, SLOT_CNAME, set);
}

static void make_set(struct rendering *r, const uint32_t *members, size_t count, struct answer_set *set)
{
    make_addresses(r, SLOT_A, members, count, set);
    make_addresses(r, SLOT_AAAA, members, count, set);
    for (size_t zone = 0; zone < r->catalog->zone_count; zone++)
        make_srv(r, zone, members, count, set);
    if (!set->slots[SLOT_A].piece && !set->slots[SLOT_AAAA].piece)
        make_cname(r, members, count, set);
}

/* --- all sets: without a tag, and one for each tag ----------------------------------------------- */

struct tagged {
    char *tag; /* folded */
    uint32_t instance;
};

static int compare_tagged(const void *a, const void *b)
{
    const struct tagged *x = a, *y = b;
    int order = strcmp(x->tag, y->tag);
    return order ? order : (x->instance > y->instance) - (x->instance < y->instance);
}

static struct tagged *tagged_instances(const struct view *view, const uint32_t *members, size_t count,
                                       size_t *out_count)
{
    struct tagged *list = xcalloc((size_t)view->tag_count + 1, sizeof(*list));
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        const struct view_instance *instance = &view->instances[members[i]];
        for (uint32_t t = 0; t < instance->tag_count; t++)
            list[n++] = (struct tagged){
                .tag = fold_case(view_text(view, view->tags[instance->first_tag + t])),
                .instance = members[i],
            };
    }
    qsort(list, n, sizeof(*list), compare_tagged);
    *out_count = n;
    return list;
}

static void make_tag_sets(struct rendering *r, const uint32_t *members, size_t count, struct service *next)
{
    size_t n, taken;
    struct tagged *list = tagged_instances(r->service->view, members, count, &n);
    uint32_t *with_tag = xcalloc(count + 1, sizeof(*with_tag));
    next->sets = xrealloc(next->sets, (n + 1) * sizeof(*next->sets));
    for (size_t i = 0; i < n; i += taken) {
        size_t group = 0;
        for (taken = 0; i + taken < n && strcmp(list[i + taken].tag, list[i].tag) == 0; taken++)
            if (group == 0 ||
                with_tag[group - 1] != list[i + taken].instance) /* `a` and `A` on one instance */
                with_tag[group++] = list[i + taken].instance;
        struct answer_set *set = &next->sets[next->set_count++];
        *set = (struct answer_set){.tag = xstrdup(list[i].tag)};
        make_set(r, with_tag, group, set);
    }
    for (size_t i = 0; i < n; i++)
        free(list[i].tag);
    free(list);
    free(with_tag);
    next->sets = xrealloc(next->sets, next->set_count * sizeof(*next->sets));
}

/* Fills next's sets from service's view. */
static void make_sets(struct catalog *catalog, const struct service *service, struct service *next)
{
    const struct view *view = service->view;
    uint32_t *members = xcalloc((size_t)view->instance_count + 1, sizeof(*members));
    size_t count = 0;
    for (uint32_t i = 0; i < view->instance_count; i++)
        if (instance_answers(catalog, view, &view->instances[i]))
            members[count++] = i;
    if (count > 0) {
        struct rendering r = {
            .catalog = catalog,
            .service = service,
            .known = strmap_new(),
            .ttl = config_service_ttl(&catalog->config, service->name),
            .node_ttl = ttl_seconds(catalog->config.node_ttl),
        };
        for (size_t i = 0; i < service->set_count; i++)
            for (size_t slot = 0; slot < SLOTS; slot++)
                if (service->sets[i].slots[slot].piece)
                    strmap_put(r.known, service->sets[i].slots[slot].digest, DIGEST_LEN,
                               service->sets[i].slots[slot].piece);
        next->sets = xcalloc(1, sizeof(*next->sets));
        next->set_count = 1;
        make_set(&r, members, count, &next->sets[0]);
        make_tag_sets(&r, members, count, next);
        strmap_free(r.known, NULL);
        records_free(&r.records);
    }
    free(members);
}

/* --- owners -------------------------------------------------------------------------------------- */

struct owner {
    uint8_t name[NAME_MAX_WIRE];
    bool rfc2782;
};
#define OWNERS_MAX 4

static bool is_rfc2782_label(const char *text)
{
    return text[0] == '_' && !strchr(text, '.');
}

/* The names of a set in one zone. A name that DNS cannot have is left out. */
static size_t owners_of(const struct place *place, const char *service, const char *tag,
                        struct owner owners[OWNERS_MAX])
{
    size_t count = 0;
    for (unsigned form = 0; form < place->forms; form++) {
        uint8_t name[NAME_MAX_WIRE], protocol[NAME_MAX_WIRE];
        if (name_under_label(NULL, service, true, place->service[form], name) < 0)
            continue;
        if (!tag) {
            memcpy(owners[count].name, name, name_len(name));
            owners[count++].rfc2782 = false;
        } else if (!(is_rfc2782_label(service) && is_rfc2782_label(tag)) &&
                   /* `_x._y.service` is always service x with tag y, never service `_y` with tag `_x` */
                   name_under(tag, true, name, owners[count].name) > 0) {
            owners[count++].rfc2782 = false;
        }
        /* `_tcp` means no tag at all, even where a tag `tcp` exists; `_udp` is a tag like any other. */
        if (tag && strcmp(tag, "tcp") == 0)
            continue;
        if (name_under_label("_", tag ? tag : "tcp", true, place->service[form], protocol) > 0 &&
            name_under_label("_", service, true, protocol, owners[count].name) > 0)
            owners[count++].rfc2782 = true;
    }
    return count;
}

/* What stands at an owner. Beside a CNAME nothing may (RFC 1034 section 3.6.2): at plain names the SRV
 * records give way, at the names of RFC 2782, which are asked for SRV, the CNAME does. */
static struct piece *piece_at(const struct answer_set *set, size_t slot, bool rfc2782)
{
    if (!set || (slot == SLOT_CNAME && rfc2782) ||
        (slot >= SLOT_SRV && !rfc2782 && set->slots[SLOT_CNAME].piece))
        return NULL;
    return set->slots[slot].piece;
}

/* Puts the RRsets of now that differ from those of before. Either may be NULL. */
static void edit_set(struct catalog *catalog, const struct service *service, const struct answer_set *before,
                     const struct answer_set *now)
{
    struct owner owners[OWNERS_MAX];
    const char *tag = now ? now->tag : before->tag;
    for (size_t zone = 0; zone < catalog->zone_count; zone++) {
        size_t count = owners_of(&service->datacenter->places[zone], service->name, tag, owners);
        if (count == 0 && !before)
            catalog->stats.bad_names++;
        for (size_t i = 0; i < count; i++)
            for (size_t slot = 0; slot < SLOTS; slot++) {
                struct piece *old = piece_at(before, slot, owners[i].rfc2782);
                struct piece *new = piece_at(now, slot, owners[i].rfc2782);
                if (old != new && (slot < SLOT_SRV || slot == SLOT_SRV + zone))
                    output_put(catalog, &catalog->zones[zone], owners[i].name, slot_types[slot], new);
            }
    }
}

static void free_sets(struct service *service)
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

static int compare_tags(const struct answer_set *a, const struct answer_set *b)
{
    if (!a->tag || !b->tag)
        return (a->tag != NULL) - (b->tag != NULL);
    return strcmp(a->tag, b->tag);
}

/* Both lists are sorted: one pass over them finds what came, went and stayed. */
static void edit_sets(struct catalog *catalog, const struct service *before, const struct service *now)
{
    size_t i = 0, j = 0;
    while (i < before->set_count || j < now->set_count) {
        const struct answer_set *old = i < before->set_count ? &before->sets[i] : NULL;
        const struct answer_set *new = j < now->set_count ? &now->sets[j] : NULL;
        int order = !old ? 1 : !new ? -1 : compare_tags(old, new);
        edit_set(catalog, before, order <= 0 ? old : NULL, order >= 0 ? new : NULL);
        i += order <= 0;
        j += order >= 0;
    }
}

void render_service(struct catalog *catalog, struct service *service)
{
    if (catalog->zone_count == 0)
        return;
    struct service next = {0};
    make_sets(catalog, service, &next);
    edit_sets(catalog, service, &next);
    free_sets(service);
    service->sets = next.sets;
    service->set_count = next.set_count;
}

void unrender_service(struct catalog *catalog, struct service *service)
{
    edit_sets(catalog, service, &(struct service){0});
    free_sets(service);
}

void render_forget(struct service *service)
{
    free_sets(service);
}

/* --- weights ------------------------------------------------------------------------------------- */

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
    bool changed[CATALOG_ZONES_MAX];
    uint64_t edits = catalog->stats.edits;
    for (size_t i = 0; i < catalog->zone_count; i++)
        changed[i] = catalog->zones[i].changed;
    struct datacenter *datacenter;
    const void *key;
    void *value;
    for (size_t i = 0; (datacenter = datacenter_next(catalog, &i));)
        for (size_t k = 0; strmap_next(datacenter->services, &k, &key, NULL, &value);)
            count += redraw_service(catalog, value, rng);
    /* The same records in another order: no new serial. */
    for (size_t i = 0; i < catalog->zone_count; i++)
        catalog->zones[i].changed = changed[i];
    catalog->stats.edits = edits;
    return count;
}
