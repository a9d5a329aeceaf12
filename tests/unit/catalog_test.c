/* From Consul's bodies (recorded from Consul 1.8.7 in catalog_data/) to the zones' contents. */
#include "catalog_kit.h"

/* --- tests --------------------------------------------------------------------------------------- */

static void names_and_records(void **arg)
{
    (void)arg;
    struct fixture f;
    setup_config(&f);
    start(&f);
    put_file(&f, "web");
    put_nodes_file(&f);
    take(&f);
    const char *srv = "1 1 80 20010db8000000000000000000000044.addr.dc1.consul., "
                      "1 1 80 Node-A.node.dc1.consul., 1 2 81 0a090002.addr.dc1.consul.";
    CHECK(f.zones[0], {"web.service.consul", DNS_A, "10.0.0.1, 10.9.0.2"},
          {"web.service.consul", DNS_AAAA, "2001:db8::44"}, {"web.service.consul", DNS_SRV, srv},
          {"WEB.Service.DC1.Consul", DNS_A, "10.0.0.1, 10.9.0.2"}, {"web.service.dc1.consul", DNS_SRV, srv},
          {"web.service.dc2.consul", DNS_A, "-"},
          /* tags: folded; `Blue` and `blue` are one; node-down's is filtered, node-c's too */
          {"blue.web.service.consul", DNS_A, "10.0.0.1"},
          {"blue.web.service.consul", DNS_AAAA, "2001:db8::44"},
          {"green.web.service.dc1.consul", DNS_A, "10.9.0.2"}, {"green.web.service.consul", DNS_AAAA, "-"},
          {"v1.2.3.web.service.consul", DNS_A, "10.0.0.1"}, {"2.3.web.service.consul", DNS_A, "-"},
          /* RFC 2782: `_tcp` is no tag filter though a tag `tcp` exists; `_udp` is one */
          {"_web._tcp.service.consul", DNS_SRV, srv}, {"tcp.web.service.consul", DNS_A, "10.0.0.1"},
          {"_web._udp.service.consul", DNS_SRV, "1 1 80 20010db8000000000000000000000044.addr.dc1.consul."},
          {"_web._blue.service.dc1.consul", DNS_AAAA, "2001:db8::44"},
          {"_web._v1.2.3.service.consul", DNS_SRV, "-"},
          /* nodes are never filtered, may have dots, are there with and without the datacenter */
          {"node-a.node.consul", DNS_A, "10.0.0.1"}, {"node.d.node.dc1.consul", DNS_AAAA, "2001:db8::4"},
          {"node-down.node.consul", DNS_A, "10.0.0.9"}, {"ext-1.node.consul", DNS_CNAME, "ext1.example.com."},
          {"ext-1.node.consul", DNS_A, "-"}, {"consul", DNS_NS, "ns1.ns.consul."},
          {"ns1.ns.consul", DNS_A, "192.0.2.1"}, );
    struct err err = {""};
    if (zone_check(f.zones[0], &err) < 0)
        fail_msg("%s", err.text);

    uint8_t name[NAME_MAX_WIRE];
    name_from_text("web.service.consul", NULL, name, NULL);
    const struct piece *plain = zone_get(f.zones[0], name, DNS_A);
    assert_int_equal(piece_ttl(plain), 10);
    name_from_text("_web._tcp.service.dc1.consul", NULL, name, NULL);
    assert_ptr_equal(zone_get(f.zones[0], name, DNS_A), plain); /* one piece for all the names */
    name_from_text("node-b.node.consul", NULL, name, NULL);
    assert_int_equal(piece_ttl(zone_get(f.zones[0], name, DNS_A)), 7);
    stop(&f);
}

static void health_filter(void **arg)
{
    (void)arg;
    struct fixture f;
    setup_config(&f);
    start(&f);
    put_file(&f, "down"); /* its own check passes; its node's is critical */
    put_file(&f, "web");
    take(&f);
    CHECK(f.zones[0], {"down.service.consul", DNS_A, "-"},
          {"web.service.consul", DNS_A, "10.0.0.1, 10.9.0.2"});
    struct catalog_health health;
    assert_int_equal(catalog_service_health(f.catalog, NULL, "DOWN", &health), 1);
    assert_int_equal(health.instances, 1);
    assert_int_equal(health.answering, 0);
    assert_int_equal(catalog_service_health(f.catalog, NULL, "web", &health), 1);
    assert_int_equal(health.instances, 5);
    assert_int_equal(health.passing, 2);
    assert_int_equal(health.warning, 1);
    assert_int_equal(health.critical, 2);
    assert_int_equal(health.answering, 3);
    assert_int_equal(catalog_service_health(f.catalog, NULL, "nosuch", &health), 0);

    f.config.only_passing = true;
    catalog_configure(f.catalog, &f.config);
    take(&f);
    CHECK(f.zones[0], {"web.service.consul", DNS_A, "10.0.0.1"}, {"green.web.service.consul", DNS_A, "-"},
          {"consul", DNS_NS, "ns1.ns.consul."});
    stop(&f);
}

static void host_names(void **arg)
{
    (void)arg;
    struct fixture f;
    setup_config(&f);
    start(&f);
    put_file(&f, "ext");
    put_file(&f, "mixed");
    take(&f);
    const char *srv = "1 1 443 api.example.com., 1 1 443 www.example.net.";
    CHECK(f.zones[0], {"ext.service.consul", DNS_CNAME, "api.example.com."},
          {"ext.service.consul", DNS_SRV, "-"}, {"_ext._tcp.service.consul", DNS_CNAME, "-"},
          {"_ext._tcp.service.consul", DNS_SRV, srv},
          /* `Mixed` and `mixed`; v4-mapped; one address and port twice; a service at its own name */
          {"mixed.service.consul", DNS_A, "10.0.0.1, 10.0.0.2, 10.0.0.7"},
          {"mixed.service.consul", DNS_CNAME, "-"},
          {"mixed.service.consul", DNS_SRV,
           "1 1 2000 0a000007.addr.dc1.consul., 1 1 3000 Node-A.node.dc1.consul., "
           "1 65535 1000 node-b.node.dc1.consul."});
    struct err err = {""};
    if (zone_check(f.zones[0], &err) < 0)
        fail_msg("%s", err.text);
    /* One of the two gets an address: the CNAME gives way. */
    assert_int_equal(
        put(&f, "ext",
            "[{\"Node\":{\"Node\":\"n\",\"Address\":\"10.0.0.1\"},\"Service\":{\"Service\":\"ext\","
            "\"ID\":\"a\",\"Port\":1}},{\"Node\":{\"Node\":\"n\",\"Address\":\"10.0.0.1\"},"
            "\"Service\":{\"ID\":\"b\",\"Address\":\"h.example.\",\"Port\":2}}]"),
        1);
    take(&f);
    CHECK(f.zones[0], {"ext.service.consul", DNS_CNAME, "-"}, {"ext.service.consul", DNS_A, "10.0.0.1"},
          {"ext.service.consul", DNS_SRV, "1 1 1 n.node.dc1.consul., 1 1 2 h.example."});
    stop(&f);
}

static void odd_registrations(void **arg)
{
    (void)arg;
    struct fixture f;
    setup_config(&f);
    start(&f);
    /* ports and weights out of range, a duplicate, an address that is none, a node that cannot be a name,
     * tags too */
    assert_int_equal(
        put(&f, "odd",
            "[" ENTRY("n1", "10.0.0.1", "\"ID\":\"a\",\"Port\":70000") "," ENTRY("n2", "10.0.0.2", "\"ID\":\"b\",\"Port\":1,\"Weights\":{\"Passing\":-1,\"Warning\":null}") "," ENTRY(
                "N2", "10.0.0.99",
                "\"ID\":\"b\"") "," ENTRY("n3", "10.0.0.3",
                                          "\"ID\":\"c\",\"Address\":\"not an "
                                          "address\"") "," ENTRY("bad node", "10.0.0.4",
                                                                 "\"ID\":"
                                                                 "\"d\","
                                                                 "\"Port\":"
                                                                 "4,"
                                                                 "\"Tags\":"
                                                                 "[\"a "
                                                                 "b\",\"\","
                                                                 "\"..\","
                                                                 "\"ok\"],"
                                                                 "\"Weights"
                                                                 "\":null") "," ENTRY("n5", "",
                                                                                      "\"ID\":\"e\"") "]"),
        1);
    take(&f);
    CHECK(f.zones[0], {"odd.service.consul", DNS_A, "10.0.0.1, 10.0.0.2, 10.0.0.4"},
          {"odd.service.consul", DNS_SRV, "1 0 1 n2.node.dc1.consul., 1 1 4 0a000004.addr.dc1.consul."},
          {"ok.odd.service.consul", DNS_A, "10.0.0.4"});
    struct catalog_stats stats;
    catalog_stats(f.catalog, &stats);
    assert_int_equal(stats.bad_addresses, 1);
    assert_int_equal(stats.bad_ports, 1);
    assert_int_equal(stats.duplicates, 1);
    assert_int_equal(stats.bad_names, 3);

    /* names of services that cannot be labels have no names, and hurt nobody; dots are no hindrance */
    assert_int_equal(put(&f, "with.dot", "[" ENTRY("n1", "10.0.0.1", "\"ID\":\"a\"") "]"), 1);
    assert_int_equal(put(&f, "with space", "[" ENTRY("n1", "10.0.0.1", "\"ID\":\"a\"") "]"), 1);
    /* `_x._y.service` is service x with tag y, never service _y with tag _x */
    assert_int_equal(put(&f, "x", "[" ENTRY("n1", "10.0.0.1", "\"ID\":\"a\",\"Tags\":[\"y\"]") "]"), 1);
    assert_int_equal(put(&f, "_y", "[" ENTRY("n2", "10.0.0.2", "\"ID\":\"a\",\"Tags\":[\"_x\"]") "]"), 1);
    take(&f);
    CHECK(f.zones[0], {"with.dot.service.consul", DNS_A, "10.0.0.1"},
          {"_x._y.service.consul", DNS_A, "10.0.0.1"}, {"_y.service.consul", DNS_A, "10.0.0.2"});
    stop(&f);
}

static void alt_domain_and_datacenter(void **arg)
{
    (void)arg;
    struct fixture f;
    setup_config(&f);
    f.config.has_alt_domain = true;
    name_from_text("sd.example", NULL, f.config.alt_domain, NULL);
    f.catalog = catalog_new(&f.config, NULL, &f.state);
    put_file(&f, "web");
    take(&f);
    assert_int_equal(f.count, 0); /* not before the datacenter is known */
    put_nodes_file(&f);
    assert_string_equal(catalog_datacenter(f.catalog), "dc1");
    take(&f);
    assert_int_equal(f.count, 2);
    CHECK(f.zones[0], {"green.web.service.consul", DNS_SRV, "1 2 81 0a090002.addr.dc1.consul."},
          {"consul", DNS_NS, "ns.consul."});
    CHECK(f.zones[1], {"green.web.service.sd.example", DNS_SRV, "1 2 81 0a090002.addr.dc1.sd.example."},
          {"node-a.node.dc1.sd.example", DNS_A, "10.0.0.1"});
    uint8_t a[NAME_MAX_WIRE], b[NAME_MAX_WIRE];
    name_from_text("web.service.consul", NULL, a, NULL);
    name_from_text("web.service.sd.example", NULL, b, NULL);
    assert_ptr_equal(zone_get(f.zones[0], a, DNS_A), zone_get(f.zones[1], b, DNS_A));
    stop(&f);
}

static void unchanged_costs_nothing(void **arg)
{
    (void)arg;
    struct fixture f;
    struct catalog_stats before, after;
    setup_config(&f);
    start(&f);
    char *body = read_data("service-web.json"), *nodes = read_data("nodes.json");
    assert_int_equal(put(&f, "web", body), 1);
    assert_int_equal(catalog_put_nodes(f.catalog, NULL, nodes, strlen(nodes), NULL), 1);
    take(&f);
    uint32_t serial = zone_serial(f.zones[0]);
    catalog_stats(f.catalog, &before);
    assert_int_equal(put(&f, "WEB", body), 0);
    assert_int_equal(catalog_put_nodes(f.catalog, NULL, nodes, strlen(nodes), NULL), 0);
    assert_int_equal(catalog_put_ns(f.catalog, &(struct catalog_ns){"ns1", "192.0.2.1"}, 1), 0);
    catalog_stats(f.catalog, &after);
    assert_int_equal(after.edits, before.edits);
    struct zone *zones[CATALOG_ZONES_MAX];
    assert_int_equal(catalog_take_zones(f.catalog, zones), 0);

    /* A check's output alone: new text for people, no edit. */
    char *at = strstr(body, "connection refused");
    memcpy(at, "CONNECTION", 10);
    assert_int_equal(put(&f, "web", body), 1);
    catalog_stats(f.catalog, &after);
    assert_int_equal(after.edits, before.edits);

    assert_int_equal(catalog_remove_service(f.catalog, NULL, "web"), 1);
    take(&f);
    assert_int_equal(zone_serial(f.zones[0]), serial + 1);
    CHECK(f.zones[0], {"web.service.consul", DNS_A, "-"}, {"_web._blue.service.dc1.consul", DNS_AAAA, "-"});
    assert_int_equal(catalog_put_nodes(f.catalog, NULL, "null", 4, NULL), 1);
    take(&f);
    uint8_t name[NAME_MAX_WIRE];
    assert_int_equal(zone_names(f.zones[0]), 2); /* the apex and ns1.ns */
    name_from_text("node-a.node.consul", NULL, name, NULL);
    assert_null(zone_get(f.zones[0], name, DNS_A));
    free(body);
    free(nodes);
    stop(&f);
}

static void one_change_in_many(void **arg)
{
    (void)arg;
    struct fixture f;
    struct catalog_stats before, after;
    char name[32], body[1024];
    setup_config(&f);
    start(&f);
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "svc-%d", i);
        snprintf(body, sizeof(body),
                 "[" ENTRY("n1", "10.1.0.1", "\"ID\":\"a\",\"Port\":1,\"Tags\":[\"x\",\"y\"]") "," ENTRY(
                     "n2", "10.1.0.2", "\"ID\":\"b\",\"Port\":1,\"Tags\":[\"x\"]") "]");
        catalog_put_service(f.catalog, NULL, name, body, strlen(body), NULL);
    }
    take(&f);
    catalog_stats(f.catalog, &before);
    /* b turns critical: without a tag and with tag x the A and SRV RRsets change, at 2 names each (plain and
     * RFC 2782), SRV at the short one, each with and without the datacenter. Those of tag y do not. */
    snprintf(
        body, sizeof(body),
        "[" ENTRY(
            "n1", "10.1.0.1",
            "\"ID\":\"a\",\"Port\":1,\"Tags\":[\"x\",\"y\"]") ","
                                                              "{\"Node\":{\"Node\":\"n2\",\"Address\":\"10.1."
                                                              "0.2\"},\"Service\":{\"ID\":\"b\",\"Port\":1,"
                                                              "\"Tags\":[\"x\"]},\"Checks\":[{\"Name\":\"c\","
                                                              "\"Status\":\"critical\",\"ServiceID\":\"b\"}]}"
                                                              "]");
    assert_int_equal(catalog_put_service(f.catalog, NULL, "svc-77", body, strlen(body), NULL), 1);
    catalog_stats(f.catalog, &after);
    assert_int_equal(after.edits - before.edits, 2 * (2 * 2 + 1) * 2);
    take(&f);
    CHECK(f.zones[0], {"svc-77.service.consul", DNS_A, "10.1.0.1"},
          {"y.svc-77.service.consul", DNS_A, "10.1.0.1"},
          {"svc-78.service.consul", DNS_A, "10.1.0.1, 10.1.0.2"});
    assert_int_equal(catalog_service_count(f.catalog, NULL), 5000);
    assert_int_equal(catalog_instance_count(f.catalog, NULL), 10000);
    stop(&f);
}

static void save_and_restore(void **arg)
{
    (void)arg;
    struct fixture f, g;
    setup_config(&f);
    f.config.has_alt_domain = true;
    name_from_text("alt", NULL, f.config.alt_domain, NULL);
    start(&f);
    const char *services[] = {"web", "down", "ext", "mixed", "consul"};
    for (size_t i = 0; i < 5; i++)
        put_file(&f, services[i]);
    put_nodes_file(&f);
    put(&f, "odd\\\"\t", "[" ENTRY("n3", "10.0.0.3", "\"ID\":\"c\\u00e9\",\"Address\":\"not one\"") "]");
    take(&f);
    struct buf saved = {0}, again = {0};
    catalog_save(f.catalog, 1234567890123456789, &saved);

    memcpy(&g, &f, sizeof(g));
    g.count = 0;
    g.catalog = catalog_new(&g.config, NULL, &g.state);
    nstime as_of = 0;
    struct err err = {""};
    if (catalog_restore(g.catalog, (char *)saved.data, saved.len, &as_of, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(as_of, 1234567890123456789);
    catalog_put_ns(g.catalog, &(struct catalog_ns){"ns1", "192.0.2.1"}, 1);
    take(&g);
    assert_int_equal(g.count, 2);
    for (size_t i = 0; i < 2; i++) {
        char *a = dump(f.zones[i]), *b = dump(g.zones[i]);
        assert_string_equal(a, b);
        free(a);
        free(b);
        assert_true((int32_t)(zone_serial(g.zones[i]) - zone_serial(f.zones[i])) > 0);
    }
    /* Consul's own body after the restart changes nothing. */
    char *body = read_data("service-web.json");
    assert_int_equal(put(&g, "web", body), 0);
    free(body);
    catalog_save(g.catalog, as_of, &again);
    char *a = strchr(buf_str(&saved), '\n'), *b = strchr(buf_str(&again), '\n');
    assert_string_equal(a, b); /* but for the serials in the first line */

    /* Another datacenter's view, a cut file, another version: refused, and nothing of it is there. */
    struct catalog *other = catalog_new(&f.config, "dc2", &f.state);
    assert_int_equal(catalog_restore(other, (char *)saved.data, saved.len, &as_of, &err), -1);
    assert_non_null(strstr(err.text, "dc1"));
    catalog_free(other);
    for (size_t cut = 0; cut < saved.len; cut += 97) {
        other = catalog_new(&f.config, "dc1", &f.state);
        if (catalog_restore(other, (char *)saved.data, cut, &as_of, &err) < 0)
            assert_int_equal(catalog_service_count(other, NULL), 0);
        catalog_free(other);
    }
    saved.data[11] = '9';
    other = catalog_new(&f.config, "dc1", &f.state);
    assert_int_equal(catalog_restore(other, (char *)saved.data, saved.len, &as_of, &err), -1);
    catalog_free(other);
    buf_free(&saved);
    buf_free(&again);
    stop(&f);
    stop(&g);
}

static void hostile_bodies(void **arg)
{
    (void)arg;
    struct fixture f;
    struct err err;
    setup_config(&f);
    start(&f);
    put_file(&f, "web");
    take(&f);
    static const struct {
        const char *body, *says;
    } table[] = {
        {"", "not JSON"},
        {"[", "not JSON"},
        {"{}", "not a list"},
        {"\"x\"", "not a list"},
        {"[1]", "entry 0 is not an object"},
        {"[{}]", "entry 0 has no Node"},
        {"[{\"Node\":{\"Node\":\"a\"}}]", "has no Service"},
        {"[{\"Node\":[],\"Service\":{}}]", "Node is a list where an object"},
        {"[{\"Node\":{\"Node\":\"a\"},\"Service\":{}}]", "neither ID nor Service"},
        {"[{\"Node\":{},\"Service\":{\"ID\":\"a\"}}]", "Node.Node is missing"},
        {"[" ENTRY("a", "1.2.3.4", "\"ID\":\"x\",\"Port\":\"80\"") "]", "Port is a string where an integer"},
        {"[" ENTRY("a", "1.2.3.4", "\"ID\":\"x\",\"Port\":1.5") "]", "Port is a fraction"},
        {"[" ENTRY("a", "1.2.3.4", "\"ID\":\"x\",\"Port\":99999999999999999999") "]", "not JSON"},
        {"[" ENTRY("a", "1.2.3.4", "\"ID\":\"x\",\"Tags\":{}") "]", "Tags is an object"},
        {"[" ENTRY("a", "1.2.3.4", "\"ID\":\"x\",\"Tags\":[1]") "]", "Tags[0] is not a string"},
        {"[" ENTRY("a", "1.2.3.4", "\"ID\":\"x\",\"Weights\":[]") "]", "Weights is a list"},
        {"[" ENTRY("a", "1.2.3.4", "\"ID\":\"x\",\"Weights\":{\"Passing\":true}") "]", "Passing is true"},
        {"[{\"Node\":{\"Node\":\"a\"},\"Service\":{\"ID\":\"a\"},\"Checks\":[null]}]", "Checks[0]"},
        {"[{\"Node\":{\"Node\":\"a\\u0000b\"},\"Service\":{\"ID\":\"a\"}}]", "not JSON"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        err.text[0] = '\0';
        assert_int_equal(
            catalog_put_service(f.catalog, NULL, "web", table[i].body, strlen(table[i].body), &err), -1);
        if (!strstr(err.text, table[i].says))
            fail_msg("%s: \"%s\", expected: %s", table[i].body, err.text, table[i].says);
    }
    static const char *const nodes[] = {
        "", "{}", "[1]", "[{}]", "[{\"Node\":1}]", "[{\"Node\":\"a\",\"Address\":[]}]"};
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
        assert_int_equal(catalog_put_nodes(f.catalog, NULL, nodes[i], strlen(nodes[i]), &err), -1);
    struct zone *zones[CATALOG_ZONES_MAX];
    assert_int_equal(catalog_take_zones(f.catalog, zones), 0); /* the view is what it was */
    assert_int_equal(catalog_service_count(f.catalog, NULL), 1);

    /* 60,000 levels, and an instance whose names fill all there is room for */
    char *deep = malloc(60001);
    memset(deep, '[', 60000);
    assert_int_equal(catalog_put_service(f.catalog, NULL, "web", deep, 60000, &err), -1);
    free(deep);
    char node[300], body[2048];
    memset(node, 'n', sizeof(node));
    for (int len = 230; len < 256; len++) {
        snprintf(body, sizeof(body),
                 "[{\"Node\":{\"Node\":\"%.*s\",\"Address\":\"10.0.0.1\"},"
                 "\"Service\":{\"ID\":\"a\",\"Tags\":[\"%.*s\"],\"Port\":1}}]",
                 len, node, len, node);
        for (int at = 60; at < len; at += 60) {
            node[at] = '.';
        }
        assert_int_equal(catalog_put_service(f.catalog, NULL, "long", body, strlen(body), &err), 1);
    }
    take(&f);
    CHECK(f.zones[0], {"long.service.consul", DNS_SRV, "1 1 1 0a000001.addr.dc1.consul."});
    stop(&f);
}

static void collect(void *arg, const char *text)
{
    buf_printf(arg, "%s\n", text);
}

static void collect_changed(void *arg, const char *datacenter, const char *service)
{
    buf_printf(arg, "%s%s%s\n", service, datacenter ? "." : "", datacenter ? datacenter : "");
}

static void collect_health(void *arg, const char *service, const struct catalog_health *health)
{
    buf_printf(arg, "%s %u\n", service, health->answering);
}

static void texts(void **arg)
{
    (void)arg;
    struct fixture f;
    struct buf out = {0};
    setup_config(&f);
    start(&f);
    put_file(&f, "web");
    catalog_health_text(f.catalog, NULL, "Web", collect, &out);
    assert_string_equal(
        buf_str(&out),
        "web: 5 instances, 2 passing, 1 warning, 2 critical, 3 in answers\n"
        "10.0.0.1:80 weight 1 web-1 on Node-A passing\n"
        "10.9.0.2:81 weight 2 web-2 on node-b warning\n"
        "10.0.0.3:80 weight 1 web-3 on node-c critical, out: check \"http-3 check\" is critical: "
        "connection refused\n"
        "10.0.0.9:80 weight 1 web-9 on node-down critical, out: the node's check \"mem check\" is critical: "
        "no memory\n"
        "[2001:db8::44]:80 weight 1 web-4 on node.d passing\n");
    out.len = 0;
    catalog_health_text(f.catalog, NULL, "nosuch", collect, &out);
    assert_int_equal(out.len, 0);

    catalog_take_changed(f.catalog, collect_changed, &out);
    assert_string_equal(buf_str(&out), "web\n");
    out.len = 0;
    catalog_take_changed(f.catalog, collect_changed, &out);
    assert_int_equal(out.len, 0);
    catalog_remove_service(f.catalog, NULL, "web");
    catalog_take_changed(f.catalog, collect_changed, &out);
    assert_string_equal(buf_str(&out), "web\n");
    out.len = 0;

    put_file(&f, "ext");
    catalog_each_service(f.catalog, NULL, collect_health, &out);
    assert_string_equal(buf_str(&out), "ext 2\n");
    out.len = 0;
    put_file(&f, "mixed");
    put_file(&f, "down");
    catalog_services_on_node(f.catalog, NULL, "NODE-A", collect, &out);
    assert_string_equal(buf_str(&out), "mixed\n");
    buf_free(&out);

    json_t *json = catalog_services_json(f.catalog, NULL, "down");
    assert_string_equal(json_string_value(json_object_get(json, "service")), "down");
    const json_t *instance = json_array_get(json_object_get(json, "instances"), 0);
    assert_string_equal(json_string_value(json_object_get(instance, "dns")),
                        "the node's check \"mem check\" is critical: no memory");
    json_decref(json);
    json = catalog_services_json(f.catalog, NULL, NULL);
    assert_int_equal(json_array_size(json), 3);
    json_decref(json);
    assert_null(catalog_services_json(f.catalog, NULL, "nosuch"));
    stop(&f);
}

/* New orders of a weighted RRset that was asked: one new piece at all of its names, no new serial. */
static void weights_are_redrawn(void **arg)
{
    (void)arg;
    struct fixture f;
    struct rng rng;
    rng_seed(&rng);
    setup_config(&f);
    start(&f);
    put(&f, "w",
        "[" ENTRY("n1", "10.0.0.1", "\"ID\":\"a\",\"Tags\":[\"t\"],\"Weights\":{\"Passing\":9}") "," ENTRY(
            "n2", "10.0.0.2", "\"ID\":\"b\",\"Tags\":[\"t\"]") "]");
    take(&f);
    uint32_t serial = zone_serial(f.zones[0]);
    uint8_t plain[NAME_MAX_WIRE], tagged[NAME_MAX_WIRE], out[512];
    name_from_text("w.service.consul", NULL, plain, NULL);
    name_from_text("t.w.service.dc1.consul", NULL, tagged, NULL);
    assert_int_equal(catalog_redraw(f.catalog, &rng), 0); /* nobody asked */
    const struct piece *before = zone_get(f.zones[0], plain, DNS_A);
    struct piece_window window;
    piece_copy(before, &rng, 0, out, sizeof(out), &window);
    assert_int_equal(catalog_redraw(f.catalog, &rng), 1);
    take(&f);
    const struct piece *after = zone_get(f.zones[0], plain, DNS_A);
    assert_ptr_not_equal(before, after);
    assert_true(piece_equal(before, after));
    assert_ptr_equal(zone_get(f.zones[0], tagged, DNS_A), after);
    assert_int_equal(zone_serial(f.zones[0]), serial);
    stop(&f);
}

static void computed_names(void **arg)
{
    (void)arg;
    struct fixture f;
    setup_config(&f);
    start(&f); /* an empty catalog */
    static const struct {
        const char *name;
        int exists, type;
        const char *address;
    } table[] = {
        {"service.consul", 1, 0, NULL},
        {"node.consul", 1, 0, NULL},
        {"dc1.consul", 1, 0, NULL},
        {"service.dc1.consul", 1, 0, NULL},
        {"addr.dc1.consul", 1, 0, NULL},
        {"dc2.consul", 0, 0, NULL},
        {"addr.consul", 1, 0, NULL},
        {"dc.consul", 1, 0, NULL},
        {"0a000001.addr.consul", 1, DNS_A, "10.0.0.1"},
        {"0a000001.addr.node.consul", 0, 0, NULL},
        {"web.service.consul", 0, 0, NULL},
        {"0a000001.addr.dc1.consul", 1, DNS_A, "10.0.0.1"},
        {"20010db8000000000000000000000001.addr.dc1.consul", 1, DNS_AAAA, "2001:db8::1"},
        {"0a00000g.addr.dc1.consul", 0, 0, NULL},
        {"0a0000011.addr.dc1.consul", 0, 0, NULL},
        {"0a000001.addr.dc2.consul", 0, 0, NULL},
        {"x.0a000001.addr.dc1.consul", 0, 0, NULL},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct zone_computed out;
        uint8_t name[NAME_MAX_WIRE];
        char text[64];
        name_from_text(table[i].name, NULL, name, NULL);
        int exists = zone_miss(f.zones[0], name, &out);
        if (exists != table[i].exists || (exists && out.type != table[i].type))
            fail_msg("%s: %d, type %d", table[i].name, exists, out.type);
        if (!table[i].address)
            continue;
        print_rdata(out.type, (struct rdata){out.data, out.len, 0}, text, sizeof(text));
        assert_string_equal(text, table[i].address);
        assert_int_equal(out.ttl, 7);
    }
    stop(&f);
}

static void name_servers(void **arg)
{
    (void)arg;
    struct fixture f;
    setup_config(&f);
    start(&f);
    const struct catalog_ns servers[] = {
        {"NS2", "192.0.2.2"}, {"ns1", "192.0.2.1"}, {"ns1", "2001:db8::1"}, {"bad name", "192.0.2.3"}};
    assert_int_equal(catalog_put_ns(f.catalog, servers, 4), 1);
    take(&f);
    CHECK(f.zones[0], {"consul", DNS_NS, "ns1.ns.consul., ns2.ns.consul."},
          {"ns1.ns.consul", DNS_A, "192.0.2.1"}, {"ns1.ns.consul", DNS_AAAA, "2001:db8::1"},
          {"ns2.ns.consul", DNS_A, "192.0.2.2"});
    uint8_t apex[NAME_MAX_WIRE];
    char text[NAME_MAX_TEXT];
    name_from_text("consul", NULL, apex, NULL);
    const struct piece *soa = zone_get(f.zones[0], apex, DNS_SOA);
    assert_int_equal(piece_ttl(soa), 3);
    assert_string_equal(name_to_text(piece_rdata(soa, 0).data, text), "ns1.ns.consul.");
    assert_int_equal(zone_soa_expire(f.zones[0]), 86400);

    assert_int_equal(catalog_put_ns(f.catalog, servers, 1), 1);
    take(&f);
    CHECK(f.zones[0], {"consul", DNS_NS, "ns2.ns.consul."}, {"ns1.ns.consul", DNS_A, "-"});
    char *names[] = {"a.example.net", "b.example.net."};
    f.config.ns = (struct config_strings){.items = names, .count = 2};
    catalog_configure(f.catalog, &f.config);
    take(&f);
    CHECK(f.zones[0], {"consul", DNS_NS, "a.example.net., b.example.net."}, {"ns2.ns.consul", DNS_A, "-"});
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_records),
        cmocka_unit_test(health_filter),
        cmocka_unit_test(host_names),
        cmocka_unit_test(odd_registrations),
        cmocka_unit_test(alt_domain_and_datacenter),
        cmocka_unit_test(unchanged_costs_nothing),
        cmocka_unit_test(one_change_in_many),
        cmocka_unit_test(save_and_restore),
        cmocka_unit_test(hostile_bodies),
        cmocka_unit_test(texts),
        cmocka_unit_test(weights_are_redrawn),
        cmocka_unit_test(computed_names),
        cmocka_unit_test(name_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
