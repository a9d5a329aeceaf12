/* Reverse zones: whose name an address has, in which zone, and that changes lead to what a fresh start has.
 */
#include "catalog_kit.h"

static uint8_t apexes[4][NAME_MAX_WIRE];

static void setup_reverse(struct fixture *f)
{
    static const char *const names[] = {"10.in-addr.arpa", "2.0.10.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa",
                                        "1.8.b.d.0.1.0.0.2.ip6.arpa"};
    setup_config(f);
    for (size_t i = 0; i < 4; i++) {
        memset(apexes[i], 0, NAME_MAX_WIRE);
        name_from_text(names[i], NULL, apexes[i], NULL);
    }
    f->config.reverse = apexes;
    f->config.reverse_count = 4;
    f->config.reverse_ttl = 60 * NS_PER_S;
}

static const struct zone *zone_at(const struct fixture *f, const char *apex)
{
    uint8_t name[NAME_MAX_WIRE];
    name_from_text(apex, NULL, name, NULL);
    for (size_t i = 0; i < f->count; i++)
        if (name_equal(zone_apex(f->zones[i]), name))
            return f->zones[i];
    fail_msg("no zone %s", apex);
    return NULL;
}

static void put_nodes(struct fixture *f, const char *body)
{
    struct err err = {""};
    if (catalog_put_nodes(f->catalog, NULL, body, strlen(body), &err) < 0)
        fail_msg("%s", err.text);
}

#define ONE_ "1.0.0.10.in-addr.arpa"
#define V6   "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
#define V6_1 "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.8.b.d.0.1.0.0.2.ip6.arpa"

static void names_of_addresses(void **arg)
{
    (void)arg;
    struct fixture f;
    setup_reverse(&f);
    start(&f);
    assert_int_equal(f.count, 5);
    put_nodes(&f,
              "[{\"Node\":\"Web-1\",\"Address\":\"10.0.0.1\"},{\"Node\":\"b\",\"Address\":\"10.0.0.2\"},"
              "{\"Node\":\"a\",\"Address\":\"10.0.0.2\"},{\"Node\":\"c\",\"Address\":\"10.0.2.1\"},"
              "{\"Node\":\"six\",\"Address\":\"2001:db8::1\"},{\"Node\":\"seven\",\"Address\":\"2001:db8:"
              "1000::1\"},"
              "{\"Node\":\"mapped\",\"Address\":\"::ffff:10.0.0.7\"},"
              "{\"Node\":\"far\",\"Address\":\"192.0.2.1\"},{\"Node\":\"host\",\"Address\":\"h.example.\"}]");
    PUT(&f, "s", {.node = "b", .address = "10.0.0.2", .id = "1", .own = "10.0.0.9", .port = 1},
        {.node = "b", .address = "10.0.0.2", .id = "2", .own = "10.0.0.9", .port = 2},
        {.node = "b", .address = "10.0.0.2", .id = "3", .port = 3},
        {.node = "b", .address = "10.0.0.2", .id = "4", .own = "10.0.0.1", .port = 4, .status = "critical"});
    PUT(&f, "r", {.node = "b", .address = "10.0.0.2", .id = "1", .own = "10.0.0.9", .port = 1});
    take(&f);
    const struct zone *ten = zone_at(&f, "10.in-addr.arpa"), *two = zone_at(&f, "2.0.10.in-addr.arpa");
    CHECK(ten, {ONE_, DNS_PTR, "Web-1.node.dc1.consul."},
          {"2.0.0.10.in-addr.arpa", DNS_PTR, "a.node.dc1.consul., b.node.dc1.consul."},
          {"9.0.0.10.in-addr.arpa", DNS_PTR, "r.service.dc1.consul., s.service.dc1.consul."},
          {"7.0.0.10.in-addr.arpa", DNS_PTR, "mapped.node.dc1.consul."},
          {"1.2.0.10.in-addr.arpa", DNS_PTR, "-"}, {"10.in-addr.arpa", DNS_NS, "ns1.ns.consul."});
    CHECK(two, {"1.2.0.10.in-addr.arpa", DNS_PTR, "c.node.dc1.consul."});
    CHECK(zone_at(&f, "8.b.d.0.1.0.0.2.ip6.arpa"), {V6, DNS_PTR, "six.node.dc1.consul."},
          {V6_1, DNS_PTR, "-"});
    CHECK(zone_at(&f, "1.8.b.d.0.1.0.0.2.ip6.arpa"), {V6_1, DNS_PTR, "seven.node.dc1.consul."});
    for (size_t i = 0; i < f.count; i++) {
        struct err err = {""};
        if (zone_check(f.zones[i], &err) < 0)
            fail_msg("%s", err.text);
    }
    uint8_t owner[NAME_MAX_WIRE];
    name_from_text(ONE_, NULL, owner, NULL);
    assert_int_equal(piece_ttl(zone_get(ten, owner, DNS_PTR)), 60);

    /* The node goes: the service at its address has the name then; its health does not matter. */
    uint32_t serial = zone_serial(two);
    put_nodes(&f, "[{\"Node\":\"c\",\"Address\":\"10.0.2.1\"}]");
    take(&f);
    ten = zone_at(&f, "10.in-addr.arpa");
    CHECK(ten, {ONE_, DNS_PTR, "s.service.dc1.consul."}, {"2.0.0.10.in-addr.arpa", DNS_PTR, "-"});
    assert_int_equal(zone_serial(zone_at(&f, "2.0.10.in-addr.arpa")), serial); /* nothing changed there */
    catalog_remove_service(f.catalog, NULL, "s");
    take(&f);
    ten = zone_at(&f, "10.in-addr.arpa");
    CHECK(ten, {ONE_, DNS_PTR, "-"}, {"9.0.0.10.in-addr.arpa", DNS_PTR, "r.service.dc1.consul."});

    /* Servers, and datacenters elsewhere. */
    catalog_put_ns(f.catalog, &(struct catalog_ns){"ns2", "192.0.2.2"}, 1);
    struct err err;
    static const char remote[] = "[{\"Node\":\"r\",\"Address\":\"10.0.0.1\"}]";
    assert_int_equal(catalog_put_nodes(f.catalog, "dc2", remote, strlen(remote), &err), 1);
    take(&f);
    ten = zone_at(&f, "10.in-addr.arpa");
    CHECK(ten, {"10.in-addr.arpa", DNS_NS, "ns2.ns.consul."}, {ONE_, DNS_PTR, "-"});
    stop(&f);
}

static void one_name_like_consul(void **arg)
{
    (void)arg;
    struct fixture f;
    setup_reverse(&f);
    f.config.compat_consul = true;
    start(&f);
    put_nodes(&f, "[{\"Node\":\"b\",\"Address\":\"10.0.0.2\"},{\"Node\":\"a\",\"Address\":\"10.0.0.2\"}]");
    take(&f);
    CHECK(zone_at(&f, "10.in-addr.arpa"), {"2.0.0.10.in-addr.arpa", DNS_PTR, "a.node.dc1.consul."});
    stop(&f);
}

/* --- any way leads to the same zone ---------------------------------------------------------------- */

#define NODES    4
#define SERVICES 3
#define EACH     3

struct model {
    int node[NODES];             /* the last octet of its address; 0: absent */
    int service[SERVICES][EACH]; /* of its own addresses; -1: none of its own */
    int instances[SERVICES];
};

static void apply_nodes(struct fixture *f, const struct model *model)
{
    struct buf body = {0};
    buf_puts(&body, "[");
    for (int i = 0; i < NODES; i++)
        if (model->node[i])
            buf_printf(&body, "%s{\"Node\":\"n%d\",\"Address\":\"10.0.%d.%d\"}", body.len > 1 ? "," : "", i,
                       model->node[i] % 3, model->node[i]);
    buf_puts(&body, "]");
    put_nodes(f, buf_str(&body));
    buf_free(&body);
}

static void apply_service(struct fixture *f, const struct model *model, int service)
{
    struct instance instances[EACH];
    char own[EACH][32], name[8];
    static const char *const ids[] = {"1", "2", "3"};
    for (int i = 0; i < model->instances[service]; i++) {
        int octet = model->service[service][i];
        snprintf(own[i], sizeof(own[i]), "10.0.%d.%d", octet % 3, octet);
        instances[i] = (struct instance){
            .node = "n0", .address = "10.9.9.9", .id = ids[i], .own = octet < 0 ? NULL : own[i], .port = 1};
    }
    snprintf(name, sizeof(name), "s%d", service);
    put_instances(f->catalog, NULL, name, instances, (size_t)model->instances[service]);
}

static void changes_lead_to_the_fresh_zone(void **arg)
{
    (void)arg;
    struct rng rng = {{11, 13}};
    struct fixture f;
    struct model model = {0};
    setup_reverse(&f);
    start(&f);
    for (int round = 0; round < 400; round++) {
        for (uint32_t n = rng_below(&rng, 3) + 1; n; n--) {
            if (rng_below(&rng, 2)) {
                model.node[rng_below(&rng, NODES)] = (int)rng_below(&rng, 6);
                apply_nodes(&f, &model);
            } else {
                int service = (int)rng_below(&rng, SERVICES);
                model.instances[service] = (int)rng_below(&rng, EACH + 1);
                for (int i = 0; i < EACH; i++)
                    model.service[service][i] = (int)rng_below(&rng, 7) - 1;
                apply_service(&f, &model, service);
            }
        }
        take(&f);
        if (round % 50 == 49) { /* a reload renders all anew */
            catalog_configure(f.catalog, &f.config);
            take(&f);
        }
        struct fixture fresh;
        setup_reverse(&fresh);
        start(&fresh);
        apply_nodes(&fresh, &model);
        for (int i = 0; i < SERVICES; i++)
            apply_service(&fresh, &model, i);
        take(&fresh);
        for (size_t i = 0; i < fresh.count; i++) {
            char name[NAME_MAX_TEXT];
            char *want = dump(fresh.zones[i]),
                 *have = dump(zone_at(&f, name_to_text(zone_apex(fresh.zones[i]), name)));
            assert_string_equal(have, want);
            free(want);
            free(have);
        }
        stop(&fresh);
    }
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_addresses),
        cmocka_unit_test(one_name_like_consul),
        cmocka_unit_test(changes_lead_to_the_fresh_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
