/* Names that are asked for one at a time (ondemand.h): the RRsets of what Consul said, in its order where
 * that means something. Nothing of it is kept here. */
#include "names.h"
#include "rrset.h"
#include "service.h"

#include "lictor/dns.h"
#include "lictor/json.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

struct collected {
    struct records a, aaaa, srv, cname;
};

struct rendering {
    struct catalog *catalog;
    const struct catalog_asked *what;
    struct service service;      /* what stands for the name: its policy, and where its names are */
    struct datacenter elsewhere; /* of an instance of another datacenter: places for its target */
    uint32_t ttl;
    struct collected to;
};

/* --- what Consul said ------------------------------------------------------------------------------ */

/* The list of instances: of a prepared query a member of the answer, else the answer. */
static int find_instances(struct rendering *r, const json_t *body, const json_t **list, struct err *err)
{
    const char *text;
    json_t *member;
    *list = body;
    if (r->what->kind != ASK_QUERY) {
        if (!json_is_array(body) && !json_is_null(body))
            return err_set(err, "the body is not a list of instances");
        return 0;
    }
    if (!json_is_object(body))
        return err_set(err, "the body is not an object");
    if (json_text(body, "Service", "query", &text, err) < 0 ||
        json_member(body, "Nodes", JSON_ARRAY, "query", &member, err) < 0)
        return -1;
    *list = member;
    char *folded = fold_case(text);
    free(r->service.name);
    r->service.name = folded;
    return 0;
}

/* Consul's rule: `DNS.TTL` of the query cut to seconds, else that of the service inside. */
static int find_ttl(struct rendering *r, const json_t *body, struct err *err)
{
    const char *text = "";
    json_t *dns = NULL;
    nstime ttl;
    r->service.policy = config_service(&r->catalog->config, r->service.name);
    r->ttl = ttl_seconds(r->what->kind == ASK_VIRTUAL ? r->catalog->config.node_ttl : r->service.policy.ttl);
    if (r->what->kind != ASK_QUERY)
        return 0;
    if (json_member(body, "DNS", JSON_OBJECT, "query", &dns, err) < 0 ||
        (dns && json_text(dns, "TTL", "DNS", &text, err) < 0))
        return -1;
    if (*text && duration_parse(text, &ttl) == 0)
        r->ttl = ttl_seconds(ttl);
    return 0;
}

/* The datacenter whose names the instance's target has: its own, which after a failover is another. NULL: it
 * cannot be a label. */
static struct datacenter *datacenter_of(struct rendering *r, const json_t *entry)
{
    struct datacenter *local = local_datacenter(r->catalog);
    const char *name = json_string_value(json_object_get(json_object_get(entry, "Node"), "Datacenter"));
    if (!name || !*name)
        return local;
    char *folded = fold_case(name);
    if (local->name && strcmp(local->name, folded) == 0) {
        free(folded);
        return local;
    }
    if (r->elsewhere.name && strcmp(r->elsewhere.name, folded) == 0) {
        free(folded);
        return &r->elsewhere;
    }
    if (!datacenter_fits(r->catalog, folded)) {
        free(folded);
        return NULL;
    }
    free(r->elsewhere.name);
    r->elsewhere = (struct datacenter){.name = folded, .origin = 1};
    datacenter_place(r->catalog, &r->elsewhere);
    return &r->elsewhere;
}

/* --- records --------------------------------------------------------------------------------------- */

static void add_srv(struct rendering *r, const struct view_instance *instance, const struct endpoint *end)
{
    uint16_t weight = instance_weight(instance);
    uint16_t priority = instance_priority(&r->service.policy, r->service.view, instance);
    uint8_t rdata[6 + NAME_MAX_WIRE] = {
        (uint8_t)(priority >> 8),       (uint8_t)priority,       (uint8_t)(weight >> 8), (uint8_t)weight,
        (uint8_t)(instance->port >> 8), (uint8_t)instance->port,
    };
    if (instance->port < 0)
        return;
    int len = instance_target(&r->service, r->what->zone, instance, end, rdata + 6);
    if (len > 0)
        records_add(&r->to.srv, rdata, 6 + (size_t)len, 0, end->address);
}

static void add_instance(struct rendering *r, const struct view_instance *instance)
{
    struct endpoint end = endpoint_of(r->catalog, &r->service, instance);
    uint8_t target[NAME_MAX_WIRE];
    bool weighted = !r->what->keep_order && r->service.policy.order == CONFIG_ORDER_WEIGHTED;
    uint16_t weight = weighted ? instance_weight(instance) : 0;
    int len;
    const struct address *addresses[] = {end.address, end.second};
    for (size_t i = 0; i < 2; i++)
        if (addresses[i]->kind == ADDRESS_IPV4)
            records_add(&r->to.a, addresses[i]->ip, 4, weight, NULL);
        else if (addresses[i]->kind == ADDRESS_IPV6)
            records_add(&r->to.aaaa, addresses[i]->ip, 16, weight, NULL);
    if (end.address->kind == ADDRESS_HOST && r->to.cname.items.len == 0 &&
        (len = name_from_text(end.host, NULL, target, NULL)) > 0)
        records_add(&r->to.cname, target, (size_t)len, 0, NULL);
    add_srv(r, instance, &end);
}

/* Each instance is a view of its own: a view sorts its instances, and their order here is Consul's. Prepared
 * queries have their own rules of health, which Consul has applied. */
static int add_entry(struct rendering *r, json_t *entry, size_t *count, struct err *err)
{
    struct view_faults faults = {0};
    json_t *list = json_array();
    json_array_append(list, entry);
    r->service.datacenter = datacenter_of(r, entry);
    struct view *view =
        view_from_json(list, datacenter_is_translated(r->catalog, r->service.datacenter), &faults, err);
    json_decref(list);
    if (!view)
        return -1;
    r->service.view = view;
    if (view->instance_count > 0 && r->service.datacenter &&
        (r->what->kind == ASK_QUERY ? instance_has_address(view, view->instances)
                                    : instance_is_healthy(&r->service.policy, view, view->instances))) {
        add_instance(r, view->instances);
        ++*count;
    }
    view_free(view);
    return 0;
}

/* A service has one virtual address; each of its proxies carries it. */
static void add_virtual(struct rendering *r, const json_t *entry, size_t *count)
{
    const json_t *addresses = json_object_get(json_object_get(entry, "Service"), "TaggedAddresses");
    const char *text =
        json_string_value(json_object_get(json_object_get(addresses, "consul-virtual"), "Address"));
    struct address address = {0};
    if (text)
        address_parse(text, &address);
    if (address.kind == ADDRESS_IPV4)
        records_add(&r->to.a, address.ip, 4, 0, NULL);
    else if (address.kind == ADDRESS_IPV6)
        records_add(&r->to.aaaa, address.ip, 16, 0, NULL);
    else
        return;
    ++*count;
}

/* --- RRsets ---------------------------------------------------------------------------------------- */

static void make(struct rendering *r, struct records *records, uint16_t type, struct catalog_rrsets *out)
{
    const struct config_service *policy = &r->service.policy;
    bool address = type == DNS_A || type == DNS_AAAA;
    struct piece_spec spec = {
        .type = type,
        .ttl = r->ttl,
        .keep_order = r->what->keep_order,
        .answers = (uint16_t)(!address                       ? 0
                              : policy->answers > UINT16_MAX ? UINT16_MAX
                                                             : policy->answers),
    };
    struct strmap *known = strmap_new(); /* nothing is shared */
    struct rrset rrset;
    rrset_make(records, &spec, ttl_seconds(r->catalog->config.node_ttl), known, &rrset);
    strmap_free(known, NULL);
    if (rrset.piece)
        out->pieces[out->count++] = rrset.piece;
}

/* Beside a CNAME nothing may stand (RFC 1034 section 3.6.2): the SRV records are at the name of RFC 2782,
 * which is asked for them. */
static void make_all(struct rendering *r, struct catalog_rrsets *out)
{
    bool alias = r->to.a.items.len == 0 && r->to.aaaa.items.len == 0 && r->to.cname.items.len > 0;
    out->ttl = r->ttl;
    out->count = 0;
    if (alias && !r->what->rfc2782) {
        make(r, &r->to.cname, DNS_CNAME, out);
    } else {
        make(r, &r->to.a, DNS_A, out);
        make(r, &r->to.aaaa, DNS_AAAA, out);
        make(r, &r->to.srv, DNS_SRV, out);
    }
}

static int render(struct rendering *r, const json_t *body, struct catalog_rrsets *out, struct err *err)
{
    const json_t *list;
    json_t *entry;
    size_t i, count = 0;
    if (find_instances(r, body, &list, err) < 0 || find_ttl(r, body, err) < 0)
        return -1;
    json_array_foreach(list, i, entry)
    {
        if (r->what->kind == ASK_VIRTUAL)
            add_virtual(r, entry, &count);
        else if (add_entry(r, entry, &count, err) < 0)
            return err_prefix(err, "instance %zu", i);
    }
    if (count > 0)
        make_all(r, out);
    return count > 0;
}

int catalog_render_asked(struct catalog *catalog, const struct catalog_asked *what, const char *body,
                         size_t len, struct catalog_rrsets *out, struct err *err)
{
    struct rendering r = {.catalog = catalog, .what = what};
    if (what->zone >= catalog->zone_count)
        return err_set(err, "the datacenter is not known yet");
    json_t *document = json_load_bounded(body, len, "what was asked for", err);
    if (!document)
        return -1;
    r.service.name = fold_case(what->service);
    int result = render(&r, document, out, err);
    json_decref(document);
    records_drop(&r.to.a);
    records_drop(&r.to.aaaa);
    records_drop(&r.to.srv);
    records_drop(&r.to.cname);
    free(r.service.name);
    free(r.elsewhere.name);
    return result;
}
