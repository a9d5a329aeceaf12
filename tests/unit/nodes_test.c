/* Nodes: metadata as TXT, addresses by WAN, the pair `dc1.dc`, labels of Consul Enterprise. */
#include "catalog_kit.h"

#include "lictor/answer.h"

static void put_nodes(struct fixture *f, const char *datacenter, const char *body)
{
    struct err err = {""};
    if (catalog_put_nodes(f->catalog, datacenter, body, strlen(body), &err) < 0)
        fail_msg("%s", err.text);
    take(f);
}

/* Expected are the octets that a Consul 1.8.7 answers, but where it eats backslashes or, above 255 octets,
 * answers nothing. */
static void metadata(void **arg)
{
    (void)arg;
    struct fixture f;
    setup_config(&f);
    start(&f);
    put_nodes(
        &f, NULL,
        "[{\"Node\":\"M.two\",\"Address\":\"10.0.0.1\",\"Meta\":{\"plain\":\"v\",\"a=b\":\"c=d\","
        "\"bq`k\":\"q`v\",\" lead \":\"  x \",\"empty\":\"\",\"rfc1035-raw\":\"raw text=1\","
        "\"RFC1035-Up\":\"up`raw\",\"bs\":\"a\\\\b\",\"utf\":\"\\u00e9\\\"q\"}},"
        "{\"Node\":\"same\",\"Address\":\"10.0.0.2\",\"Meta\":{\"rfc1035-a\":\"x\",\"RFC1035-b\":\"x\"}},"
        "{\"Node\":\"bare\",\"Address\":\"10.0.0.3\",\"Meta\":null},"
        "{\"Node\":\"host\",\"Address\":\"h.example.com\",\"Meta\":{\"k\":\"v\"}},"
        "{\"Node\":\"lost\",\"Address\":\"\",\"Meta\":{\"k\":\"v\"}}]");
    static const char all[] = "` lead` =  x , a`=b=c=d, bq``k=q``v, bs=a\\b, empty=, plain=v, raw text=1, "
                              "up`raw, utf=\xc3\xa9\"q";
    CHECK(f.zones[0], {"m.two.node.consul", DNS_TXT, all}, {"m.two.node.dc1.consul", DNS_TXT, all},
          {"m.two.node.consul", DNS_A, "10.0.0.1"}, {"same.node.consul", DNS_TXT, "x"},
          {"bare.node.consul", DNS_TXT, "-"}, {"host.node.consul", DNS_TXT, "-"},
          {"host.node.consul", DNS_CNAME, "h.example.com."}, {"lost.node.consul", DNS_TXT, "k=v"},
          {"lost.node.consul", DNS_A, "-"});

    /* Metadata alone changes; then it goes. */
    put_nodes(&f, NULL,
              "[{\"Node\":\"M.two\",\"Address\":\"10.0.0.1\",\"Meta\":{\"plain\":\"w\"}},"
              "{\"Node\":\"bare\",\"Address\":\"10.0.0.3\",\"Meta\":{\"k\":\"v\"}}]");
    CHECK(f.zones[0], {"m.two.node.consul", DNS_TXT, "plain=w"}, {"m.two.node.consul", DNS_A, "10.0.0.1"},
          {"bare.node.consul", DNS_TXT, "k=v"}, {"same.node.consul", DNS_TXT, "-"},
          {"lost.node.consul", DNS_TXT, "-"});
    struct catalog_stats before, after;
    catalog_stats(f.catalog, &before);
    put_nodes(&f, NULL,
              "[{\"Meta\":{\"k\":\"v\"},\"Node\":\"bare\",\"Address\":\"10.0.0.3\"},"
              "{\"Node\":\"M.two\",\"Meta\":{\"plain\":\"w\"},\"Address\":\"10.0.0.1\"}]");
    catalog_stats(f.catalog, &after);
    assert_int_equal(before.edits, after.edits);

    /* It survives a restart. */
    struct buf saved = {0};
    struct fixture g;
    nstime as_of;
    struct err err;
    char *one = dump(f.zones[0]);
    catalog_save(f.catalog, 1, &saved);
    setup_config(&g);
    start(&g);
    assert_int_equal(catalog_restore(g.catalog, buf_str(&saved), saved.len, &as_of, &err), 0);
    take(&g);
    char *two = dump(g.zones[0]);
    assert_string_equal(one, two);
    free(one);
    free(two);
    buf_free(&saved);
    stop(&g);
    stop(&f);
}

/* One record of several character strings (Consul 1.8.7 sends no answer at all). */
static void long_metadata(void **arg)
{
    (void)arg;
    struct fixture f;
    char value[513], body[800];
    static const struct {
        size_t value, strings;
    } table[] = {{253, 1}, {254, 2}, {508, 2}, {509, 3}, {512, 3}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        setup_config(&f);
        start(&f);
        memset(value, 'x', sizeof(value));
        value[table[i].value] = '\0';
        snprintf(body, sizeof(body), "[{\"Node\":\"n\",\"Address\":\"10.0.0.1\",\"Meta\":{\"k\":\"%s\"}}]",
                 value);
        put_nodes(&f, NULL, body);
        uint8_t owner[NAME_MAX_WIRE];
        name_from_text("n.node.consul", NULL, owner, NULL);
        struct rdata rdata = piece_rdata(zone_get(f.zones[0], owner, DNS_TXT), 0);
        size_t strings = 0, octets = 0;
        for (size_t at = 0; at < rdata.len; at += 1 + (size_t)rdata.data[at], strings++)
            octets += rdata.data[at];
        assert_int_equal(octets, table[i].value + 2);
        assert_int_equal(strings, table[i].strings);
        stop(&f);
    }
}

static void bad_bodies(void **arg)
{
    static const char *const table[] = {
        "[{\"Node\":\"n\",\"Meta\":[]}]",
        "[{\"Node\":\"n\",\"Meta\":{\"k\":1}}]",
        "[{\"Node\":\"n\",\"Meta\":{\"k\":{}}}]",
        "[{\"Node\":\"n\",\"Address\":1}]",
        "[{\"Node\":\"\",\"Address\":\"1.2.3.4\"}]",
    };
    (void)arg;
    struct fixture f;
    setup_config(&f);
    start(&f);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct err err = {""};
        assert_int_equal(catalog_put_nodes(f.catalog, NULL, table[i], strlen(table[i]), &err), -1);
        assert_non_null(strstr(err.text, "list of nodes: entry 0"));
    }
    stop(&f);
}

static void wan_addresses(void **arg)
{
    static const char nodes[] =
        "[{\"Node\":\"a\",\"Address\":\"10.0.0.1\",\"TaggedAddresses\":{\"lan\":\"10.0.0.1\",\"wan\":"
        "\"192.0.2.1\"}},{\"Node\":\"b\",\"Address\":\"10.0.0.2\",\"TaggedAddresses\":null},"
        "{\"Node\":\"c\",\"Address\":\"10.0.0.3\",\"TaggedAddresses\":{\"wan_ipv6\":\"2001:db8::3\"}},"
        "{\"Node\":\"d\",\"Address\":\"10.0.0.4\",\"TaggedAddresses\":{\"lan_ipv4\":\"10.0.0.4\","
        "\"lan_ipv6\":\"2001:db8::4\"}}]";
    static const char service[] =
        "[{\"Node\":{\"Node\":\"a\",\"Address\":\"10.0.0.1\",\"TaggedAddresses\":{\"wan\":\"192.0.2.1\"}},"
        "\"Service\":{\"ID\":\"1\",\"Service\":\"s\",\"Address\":\"10.1.0.1\",\"Port\":80,"
        "\"TaggedAddresses\":{\"lan\":{\"Address\":\"10.1.0.1\",\"Port\":80},"
        "\"wan\":{\"Address\":\"198.51.100.1\",\"Port\":8080}}}},"
        "{\"Node\":{\"Node\":\"a\",\"Address\":\"10.0.0.1\",\"TaggedAddresses\":{\"wan\":\"192.0.2.1\"}},"
        "\"Service\":{\"ID\":\"2\",\"Service\":\"s\",\"Port\":81}}]";
    (void)arg;
    for (int on = 0; on < 2; on++) {
        struct fixture f;
        setup_config(&f);
        f.config.translate_wan = on;
        start(&f);
        put_nodes(&f, NULL, nodes);
        put_nodes(&f, "dc2", nodes);
        struct err err;
        assert_int_equal(catalog_put_service(f.catalog, NULL, "s", service, strlen(service), &err), 1);
        assert_int_equal(catalog_put_service(f.catalog, "dc2", "s", service, strlen(service), &err), 1);
        take(&f);
        /* Never within the datacenter. */
        CHECK(f.zones[0], {"a.node.consul", DNS_A, "10.0.0.1"}, {"d.node.consul", DNS_A, "10.0.0.4"},
              {"d.node.consul", DNS_AAAA, "2001:db8::4"}, {"c.node.consul", DNS_AAAA, "-"},
              {"s.service.consul", DNS_A, "10.0.0.1, 10.1.0.1"});
        if (on)
            CHECK(f.zones[0], {"a.node.dc2.consul", DNS_A, "192.0.2.1"},
                  {"b.node.dc2.consul", DNS_A, "10.0.0.2"}, {"c.node.dc2.consul", DNS_AAAA, "2001:db8::3"},
                  {"c.node.dc2.consul", DNS_A, "10.0.0.3"},
                  {"s.service.dc2.consul", DNS_A, "192.0.2.1, 198.51.100.1"},
                  {"s.service.dc2.consul", DNS_SRV,
                   "1 1 8080 c6336401.addr.dc2.consul., 1 1 81 c0000201.addr.dc2.consul."});
        else
            CHECK(f.zones[0], {"a.node.dc2.consul", DNS_A, "10.0.0.1"},
                  {"s.service.dc2.consul", DNS_A, "10.0.0.1, 10.1.0.1"});
        stop(&f);
    }
}

/* --- through the engine -------------------------------------------------------------------------- */

static struct rng rng;
static struct gate gate = {.act_until = NS_NEVER};

struct short_reply {
    unsigned rcode, answers, authority;
    size_t authority_at; /* of the SOA's owner, a pointer */
    uint8_t out[4096];
};

static void ask(struct fixture *f, const char *qname, uint16_t type, struct short_reply *reply)
{
    struct snapshot *snapshot = snapshot_new(f->zones, f->count, &(struct snapshot_text){"n", "v", NULL});
    struct answer_env env = {
        .snapshot = snapshot, .gate = &gate, .rng = &rng, .now = 1, .udp_max = 1232, .tcp = true};
    uint8_t query[300] = {[5] = 1};
    f->state.stale_from = f->state.dead_from = NS_NEVER;
    int len = name_from_text(qname, NULL, query + 12, NULL);
    query[12 + len + 1] = (uint8_t)type;
    query[12 + len + 3] = 1;
    struct answer_result result = answer(&env, query, 12 + (size_t)len + 4, reply->out, sizeof(reply->out));
    reply->rcode = result.rcode;
    reply->answers = (unsigned)(reply->out[6] << 8 | reply->out[7]);
    reply->authority = (unsigned)(reply->out[8] << 8 | reply->out[9]);
    size_t at = 12 + (size_t)len + 4; /* behind the question */
    reply->authority_at = (size_t)((reply->out[at] & 0x3f) << 8 | reply->out[at + 1]);
    snapshot_free(snapshot);
}

static void labels(void **arg)
{
    static const struct {
        const char *name;
        unsigned rcode, answers;
    } table[] = {
        {"s.service.dc1.dc.consul", DNS_NOERROR, 1},
        {"S.Service.DC1.Dc.consul", DNS_NOERROR, 1},
        {"n.node.dc1.dc.consul", DNS_NOERROR, 1},
        {"0a000001.addr.dc1.dc.consul", DNS_NOERROR, 1},
        {"service.dc1.dc.consul", DNS_NOERROR, 0},
        {"dc1.dc.consul", DNS_NOERROR, 0},
        {"dc.consul", DNS_NOERROR, 0},
        {"s.service.dc.consul", DNS_NXDOMAIN, 0},
        {"s.service.dc9.dc.consul", DNS_NXDOMAIN, 0},
        {"x.service.dc1.dc.consul", DNS_NXDOMAIN, 0},
        {"s.service.dc1.dc.dc.consul", DNS_NXDOMAIN, 0},
        {"dc.dc.consul", DNS_NXDOMAIN, 0},
        {"s.service.ns1.ns.consul", DNS_NXDOMAIN, 0},
        {"s.service.ns1.ns.p1.ap.dc1.dc.consul", DNS_NXDOMAIN, 0},
        {"s.service.p1.ap.consul", DNS_NXDOMAIN, 0},
        {"s.service.c1.peer.consul", DNS_NXDOMAIN, 0},
        {"s.service.g1.sg.consul", DNS_NXDOMAIN, 0},
        {"s.service.ns1.dc1.consul", DNS_NXDOMAIN, 0},
    };
    (void)arg;
    struct fixture f;
    setup_config(&f);
    start(&f);
    put_nodes(&f, NULL, "[{\"Node\":\"n\",\"Address\":\"10.0.0.1\"}]");
    PUT(&f, "s", {.node = "n", .address = "10.0.0.1", .id = "1", .port = 80});
    take(&f);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct short_reply reply;
        ask(&f, table[i].name, DNS_A, &reply);
        if (reply.rcode != table[i].rcode || reply.answers != table[i].answers ||
            reply.authority != !table[i].answers)
            fail_msg("%s: rcode %u, %u answers, %u in authority", table[i].name, reply.rcode, reply.answers,
                     reply.authority);
        if (reply.answers) /* the owner is the question, byte for byte */
            assert_int_equal(reply.authority_at, 12);
        else /* the SOA's is the zone */
            assert_memory_equal(reply.out + reply.authority_at, "\6consul", 8);
    }
    stop(&f);
}

int main(void)
{
    rng_seed(&rng);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata),      cmocka_unit_test(long_metadata), cmocka_unit_test(bad_bodies),
        cmocka_unit_test(wan_addresses), cmocka_unit_test(labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
