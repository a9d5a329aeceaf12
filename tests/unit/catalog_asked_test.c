/* Names that are asked for one at a time: which they are, what is asked of Consul, and how its answers are
 * rendered. */
#include "catalog_kit.h"

#include "ondemand/internal.h"

/* --- names ------------------------------------------------------------------------------------------------
 */

static void which_names(void **state)
{
    (void)state;
    struct fixture f;
    setup_config(&f);
    start(&f);
    static const struct {
        const char *name;
        const char *ask; /* "": exists without records; NULL: does not exist */
        enum ask_kind kind;
    } rows[] = {
        {"db.query.consul.", "db.query.consul.", ASK_QUERY},
        {"db.query.dc1.consul.", "db.query.consul.", ASK_QUERY}, /* the local datacenter */
        {"db.query.dc9.consul.", "db.query.dc9.consul.", ASK_QUERY},
        {"a.b.query.consul.", "a.b.query.consul.", ASK_QUERY},
        {"_db._tcp.query.consul.", "_db._tcp.query.consul.", ASK_QUERY},
        {"query.query.consul.", "query.query.consul.", ASK_QUERY},
        {"web.connect.consul.", "web.connect.consul.", ASK_CONNECT},
        {"x.y.web.connect.dc1.consul.", "web.connect.consul.", ASK_CONNECT}, /* as Consul: ignored */
        {"web.ingress.dc2.consul.", "web.ingress.dc2.consul.", ASK_INGRESS},
        {"web.virtual.consul.", "web.virtual.consul.", ASK_VIRTUAL},
        {"query.consul.", "", 0},
        {"connect.dc1.consul.", "", 0},
        {"query.a.b.consul.", NULL, 0},
        {"db.query.a.b.consul.", NULL, 0},
        {"dc9.consul.", NULL, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t name[NAME_MAX_WIRE], ask[NAME_MAX_WIRE];
        struct zone_computed out;
        name_from_text(rows[i].name, NULL, name, NULL);
        int found = zone_miss(f.zones[0], name, &out);
        if (!rows[i].ask || !*rows[i].ask) {
            assert_int_equal(found, rows[i].ask ? 1 : 0);
            continue;
        }
        int len = name_from_text(rows[i].ask, NULL, ask, NULL);
        assert_int_equal(found, ZONE_ASK);
        assert_int_equal(out.ask, rows[i].kind);
        assert_int_equal(out.len, len);
        assert_memory_equal(out.data, ask, len);
    }
    stop(&f);
}

static void what_is_asked(void **state)
{
    (void)state;
    struct fixture f;
    setup_config(&f);
    f.config.has_alt_domain = true;
    name_from_text("alt.consul", NULL, f.config.alt_domain, NULL);
    static const struct {
        const char *name;
        enum ask_kind kind;
        const char *path; /* NULL: no such thing can be */
        const char *datacenter;
        size_t zone;
        bool rfc2782;
    } rows[] = {
        {"db.query.consul.", ASK_QUERY, "/v1/query/db/execute", "", 0, false},
        {"a.b.query.dc2.consul.", ASK_QUERY, "/v1/query/a.b/execute", "dc2", 0, false},
        {"_db._tcp.query.consul.", ASK_QUERY, "/v1/query/db/execute", "", 0, true},
        {"_db._udp.query.consul.", ASK_QUERY, "/v1/query/db/execute", "", 0, true},
        {"_a.b._tcp.query.consul.", ASK_QUERY, "/v1/query/a.b/execute", "", 0, true},
        {"_db.query.consul.", ASK_QUERY, "/v1/query/_db/execute", "", 0, false},
        {"_._tcp.query.consul.", ASK_QUERY, "/v1/query/_._tcp/execute", "", 0, false},
        {"_web._tcp.connect.consul.", ASK_CONNECT, "/v1/health/connect/_web._tcp", "", 0, false},
        {"a/b.query.consul.", ASK_QUERY, "/v1/query/a%2Fb/execute", "", 0, false},
        {"a?b&c.query.consul.", ASK_QUERY, "/v1/query/a%3Fb%26c/execute", "", 0, false},
        {"db.query.alt.consul.", ASK_QUERY, "/v1/query/db/execute", "", 1, false},
        {"web.connect.consul.", ASK_CONNECT, "/v1/health/connect/web", "", 0, false},
        {"web.ingress.dc2.consul.", ASK_INGRESS, "/v1/health/ingress/web", "dc2", 0, false},
        {"web.virtual.consul.", ASK_VIRTUAL, "/v1/health/connect/web", "", 0, false},
        {"a\\.b.query.consul.", ASK_QUERY, NULL, "", 0, false},
        {"a\\032b.query.consul.", ASK_QUERY, NULL, "", 0, false},
        {"a\\000.query.consul.", ASK_QUERY, NULL, "", 0, false},
        {"a\\255.query.consul.", ASK_QUERY, NULL, "", 0, false},
        {"db.query.elsewhere.", ASK_QUERY, NULL, "", 0, false},
        {"db.service.consul.", ASK_QUERY, NULL, "", 0, false},
        {"query.consul.", ASK_QUERY, NULL, "", 0, false},
        {"db.query.consul.", ASK_SERVICE, NULL, "", 0, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ask_question question = {.kind = (uint8_t)rows[i].kind};
        struct target target;
        question.name_len = (uint8_t)name_from_text(rows[i].name, NULL, question.name, NULL);
        bool possible = target_parse(&question, &f.config, &target);
        if (possible != (rows[i].path != NULL))
            fail_msg("%s: possible: %d", rows[i].name, possible);
        if (!possible)
            continue;
        char *path = target_path(&target, false);
        assert_string_equal(path, rows[i].path);
        assert_string_equal(target.datacenter, rows[i].datacenter);
        assert_int_equal(target.zone, rows[i].zone);
        assert_int_equal(target.rfc2782, rows[i].rfc2782);
        free(path);
    }
}

/* --- rendering
 * ---------------------------------------------------------------------------------------------- */

#define INSTANCE(node, ip, dc, own, port, status) \
    "{\"Node\":{\"Node\":\"" node "\",\"Address\":\"" ip "\",\"Datacenter\":\"" dc \
    "\"},\"Service\":{\"ID\":\"i\",\"Service\":\"web\",\"Address\":\"" own "\",\"Port\":" port \
    "},\"Checks\":[{\"Name\":\"c\",\"Status\":\"" status "\",\"ServiceID\":\"i\"}]}"
#define QUERY(ttl, nodes) \
    "{\"Service\":\"WEB\",\"Nodes\":[" nodes "],\"DNS\":{\"TTL\":\"" ttl \
    "\"},\"Datacenter\":\"dc1\",\"Failovers\":0}"

static struct catalog_rrsets rrsets;

static int render(struct fixture *f, struct catalog_asked what, const char *body)
{
    struct err err = {""};
    what.service = what.service ? what.service : "web";
    int found = catalog_render_asked(f->catalog, &what, body, strlen(body), &rrsets, &err);
    if (found < 0)
        assert_true(err.text[0] != '\0');
    return found;
}

static void forget(void)
{
    for (size_t i = 0; i < rrsets.count; i++)
        piece_unref(rrsets.pieces[i]);
}

static struct piece *rrset(uint16_t type)
{
    for (size_t i = 0; i < rrsets.count; i++)
        if (piece_type(rrsets.pieces[i]) == type)
            return rrsets.pieces[i];
    return NULL;
}

/* An SRV record as "port target". */
static const char *srv(uint32_t i)
{
    static char text[NAME_MAX_TEXT + 16];
    char name[NAME_MAX_TEXT];
    struct rdata rdata = piece_rdata(rrset(DNS_SRV), i);
    snprintf(text, sizeof(text), "%d %s", rdata.data[4] << 8 | rdata.data[5],
             name_to_text(rdata.data + 6, name));
    return text;
}

static void queries(void **state)
{
    (void)state;
    struct fixture f;
    setup_config(&f);
    start(&f);
    static const struct {
        const char *ttl;
        uint32_t seconds;
    } ttls[] = {{"1500ms", 1}, {"", 10}, {"0s", 0}, {"90s", 90}, {"nonsense", 10}};
    for (size_t i = 0; i < sizeof(ttls) / sizeof(ttls[0]); i++) {
        char body[1000];
        snprintf(body, sizeof(body), QUERY("%s", INSTANCE("n1", "10.0.0.1", "dc1", "", "80", "passing")),
                 ttls[i].ttl);
        assert_int_equal(render(&f, (struct catalog_asked){.kind = ASK_QUERY}, body), 1);
        assert_int_equal(rrsets.ttl, ttls[i].seconds); /* else that of the service inside, in any case */
        assert_int_equal(piece_ttl(rrset(DNS_A)), ttls[i].seconds);
        assert_string_equal(srv(0), "80 n1.node.dc1.consul.");
        forget();
    }
    assert_int_equal(render(&f, (struct catalog_asked){.kind = ASK_QUERY}, QUERY("", "")), 0);
    /* Consul has applied the query's own rules of health: what it gives is given. */
    assert_int_equal(render(&f, (struct catalog_asked){.kind = ASK_QUERY},
                            QUERY("", INSTANCE("n1", "10.0.0.1", "dc1", "", "80", "critical"))),
                     1);
    forget();
    stop(&f);
}

/* A failover's targets are where it led to. */
static void failover(void **state)
{
    (void)state;
    struct fixture f;
    setup_config(&f);
    start(&f);
    assert_int_equal(render(&f, (struct catalog_asked){.kind = ASK_QUERY},
                            QUERY("", INSTANCE("n1", "10.0.0.1", "DC2", "", "80", "passing"))),
                     1);
    assert_string_equal(srv(0), "80 n1.node.dc2.consul.");
    forget();
    assert_int_equal(render(&f, (struct catalog_asked){.kind = ASK_QUERY},
                            QUERY("", INSTANCE("n1", "10.0.0.1", "dc2", "10.2.2.2", "80", "passing"))),
                     1);
    assert_string_equal(srv(0), "80 0a020202.addr.dc2.consul.");
    forget();
    /* A datacenter that cannot be a label has no names, however many instances there are. */
    assert_int_equal(render(&f, (struct catalog_asked){.kind = ASK_QUERY},
                            QUERY("", INSTANCE("n1", "10.0.0.1", "d c", "", "80", "passing") "," INSTANCE(
                                          "n2", "10.0.0.2", "d c", "", "80", "passing"))),
                     0);
    stop(&f);
}

static void order(void **state)
{
    (void)state;
    struct fixture f;
    setup_config(&f);
    start(&f);
    static const char body[] =
        QUERY("", INSTANCE("n3", "10.0.0.3", "dc1", "", "3", "passing") "," INSTANCE(
                      "n1", "10.0.0.1", "dc1", "", "1", "passing") "," INSTANCE("n2", "10.0.0.2", "dc1", "",
                                                                                "2", "passing"));
    for (int i = 0; i < 10; i++) {
        assert_int_equal(render(&f, (struct catalog_asked){.kind = ASK_QUERY, .keep_order = true}, body), 1);
        assert_memory_equal(piece_rdata(rrset(DNS_A), 0).data, "\12\0\0\3", 4);
        assert_memory_equal(piece_rdata(rrset(DNS_A), 1).data, "\12\0\0\1", 4);
        assert_memory_equal(piece_rdata(rrset(DNS_A), 2).data, "\12\0\0\2", 4);
        assert_string_equal(srv(0), "3 n3.node.dc1.consul.");
        forget();
    }
    stop(&f);
}

static void services(void **state)
{
    (void)state;
    struct fixture f;
    setup_config(&f);
    start(&f);
    static const char body[] = "[" INSTANCE("n1", "10.0.0.1", "dc1", "", "21000", "passing") "," INSTANCE(
        "n2", "10.0.0.2", "dc1", "", "21001", "critical") "]";
    assert_int_equal(render(&f, (struct catalog_asked){.kind = ASK_CONNECT}, body), 1);
    assert_int_equal(piece_count(rrset(DNS_A)), 1);
    assert_int_equal(piece_ttl(rrset(DNS_A)), 10);
    assert_string_equal(srv(0), "21000 n1.node.dc1.consul.");
    forget();
    assert_int_equal(render(&f, (struct catalog_asked){.kind = ASK_INGRESS}, "[]"), 0);
    assert_int_equal(render(&f, (struct catalog_asked){.kind = ASK_INGRESS}, "null"), 0);
    assert_int_equal(render(&f, (struct catalog_asked){.kind = ASK_INGRESS},
                            "[" INSTANCE("n1", "10.0.0.1", "dc1", "gate.example.com", "1", "passing") "]"),
                     1);
    assert_int_equal(rrsets.count, 1); /* beside an alias nothing may stand */
    assert_non_null(rrset(DNS_CNAME));
    forget();
    assert_int_equal(render(&f, (struct catalog_asked){.kind = ASK_QUERY, .rfc2782 = true},
                            QUERY("", INSTANCE("n1", "10.0.0.1", "dc1", "gate.example.com", "1", "passing"))),
                     1);
    assert_int_equal(rrsets.count, 1); /* asked for SRV */
    assert_string_equal(srv(0), "1 gate.example.com.");
    forget();
    stop(&f);
}

static void virtual_addresses(void **state)
{
    (void)state;
    struct fixture f;
    setup_config(&f);
    start(&f);
    static const char *const with =
        "[{\"Node\":{\"Node\":\"n1\",\"Address\":\"10.0.0.1\"},\"Service\":{\"ID\":\"p\",\"Port\":1,"
        "\"TaggedAddresses\":{\"consul-virtual\":{\"Address\":\"240.0.0.1\",\"Port\":80}}},\"Checks\":[]},"
        "{\"Node\":{\"Node\":\"n2\",\"Address\":\"10.0.0.2\"},\"Service\":{\"ID\":\"p\",\"Port\":1,"
        "\"TaggedAddresses\":{\"consul-virtual\":{\"Address\":\"240.0.0.1\",\"Port\":80}}},\"Checks\":[]}]";
    assert_int_equal(render(&f, (struct catalog_asked){.kind = ASK_VIRTUAL}, with), 1);
    assert_int_equal(rrsets.count, 1);
    assert_int_equal(piece_count(rrset(DNS_A)), 1);
    assert_memory_equal(piece_rdata(rrset(DNS_A), 0).data, "\360\0\0\1", 4);
    assert_int_equal(rrsets.ttl, 7); /* node-ttl */
    forget();
    assert_int_equal(render(&f, (struct catalog_asked){.kind = ASK_VIRTUAL},
                            "[" INSTANCE("n1", "10.0.0.1", "dc1", "", "1", "passing") "]"),
                     0);
    stop(&f);
}

static char *tiny_elements(size_t count)
{
    char *text = malloc(1 + 3 * count + 1);
    text[0] = '[';
    for (size_t i = 0; i < count; i++)
        memcpy(text + 1 + 3 * i, "{},", 3);
    memcpy(text + 3 * count, "]", 2);
    return text;
}

static void bad_bodies(void **state)
{
    (void)state;
    static const struct {
        enum ask_kind kind;
        const char *body;
    } rows[] = {
        {ASK_QUERY, ""},
        {ASK_QUERY, "[]"},
        {ASK_QUERY, "{\"Nodes\":1}"},
        {ASK_QUERY, "{\"Nodes\":[1]}"},
        {ASK_QUERY, "{\"Service\":7,\"Nodes\":[]}"},
        {ASK_QUERY, "{\"Service\":\"web\",\"Nodes\":[],\"DNS\":1}"},
        {ASK_QUERY, "{\"Service\":\"web\",\"Nodes\":[],\"DNS\":{\"TTL\":1}}"},
        {ASK_QUERY, "{\"Service\":\"web\",\"Nodes\":[{\"Node\":1}]}"},
        {ASK_CONNECT, "{}"},
        {ASK_CONNECT, "[[]]"},
        {ASK_CONNECT, "No cluster leader"},
    };
    struct fixture f;
    setup_config(&f);
    start(&f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (render(&f, (struct catalog_asked){.kind = rows[i].kind}, rows[i].body) != -1)
            fail_msg("row %zu: %s", i, rows[i].body);
    static const char *const odd[] = {"[1]", "[{}]", "[{\"Service\":1}]",
                                      "[{\"Service\":{\"TaggedAddresses\":{\"consul-virtual\":7}}}]"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        assert_int_equal(render(&f, (struct catalog_asked){.kind = ASK_VIRTUAL}, odd[i]), 0);
    char *tiny = tiny_elements(2000000); /* half a gigabyte, once they are read */
    struct catalog_asked what = {.kind = ASK_CONNECT, .service = "web"};
    struct err err;
    assert_int_equal(catalog_render_asked(f.catalog, &what, tiny, strlen(tiny), &rrsets, &err), -1);
    assert_non_null(strstr(err.text, "too many values"));
    assert_int_equal(catalog_put_coordinates(f.catalog, "n1", tiny, strlen(tiny), &err), -1);
    assert_non_null(strstr(err.text, "too many values"));
    free(tiny);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_names),       cmocka_unit_test(what_is_asked), cmocka_unit_test(queries),
        cmocka_unit_test(failover),          cmocka_unit_test(order),         cmocka_unit_test(services),
        cmocka_unit_test(virtual_addresses), cmocka_unit_test(bad_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
