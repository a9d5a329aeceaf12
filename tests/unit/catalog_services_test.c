/* How services are answered: every form of their names, and what is configured of single ones. */
#include "catalog_kit.h"

#include "lictor/ask.h"

static uint32_t ttl_at(const struct zone *zone, const char *owner, uint16_t type)
{
    uint8_t name[NAME_MAX_WIRE];
    name_from_text(owner, NULL, name, NULL);
    const struct piece *piece = zone_get(zone, name, type);
    if (!piece)
        fail_msg("%s has no such RRset", owner);
    return piece_ttl(piece);
}

static bool exists(const struct zone *zone, const char *owner)
{
    uint8_t name[NAME_MAX_WIRE];
    struct zone_found found;
    int len = name_from_text(owner, NULL, name, NULL);
    zone_search(zone, name, (size_t)len, &found);
    return found.exists;
}

static void check_legal(const struct zone *zone)
{
    struct err err = {""};
    if (zone_check(zone, &err) < 0)
        fail_msg("%s", err.text);
}

/* The records of an answer, in its order. */
static const char *answer_order(const struct zone *zone, const char *owner)
{
    static char text[1024];
    uint8_t name[NAME_MAX_WIRE], out[4096];
    struct piece_window window;
    struct rng rng;
    rng_seed(&rng);
    name_from_text(owner, NULL, name, NULL);
    piece_copy(zone_get(zone, name, DNS_A), &rng, 0, out, sizeof(out), &window);
    text[0] = '\0';
    for (uint32_t i = 0; i < window.count; i++) {
        const uint8_t *ip = out + 16 * i + 12;
        sprintf(text + strlen(text), "%s%d", i > 0 ? " " : "", ip[3]);
    }
    return text;
}

/* --- names --------------------------------------------------------------------------------------- */

static void short_form(void **arg)
{
    (void)arg;
    struct fixture f;
    setup_config(&f);
    start(&f);
    PUT(&f, "web", {"n1", "10.0.0.1", "a", .port = 80, .tags = "blue,tcp,udp,v1.2"},
        {"n2", "10.0.0.2", "b", .port = 81, .tags = "Blue"});
    take(&f);
    const char *both = "1 1 80 n1.node.dc1.consul., 1 1 81 n2.node.dc1.consul.",
               *one = "1 1 80 n1.node.dc1.consul.";
    CHECK(f.zones[0], {"_web._tcp.consul", DNS_SRV, both}, {"_web._tcp.dc1.consul", DNS_SRV, both},
          {"_web._blue.consul", DNS_SRV, both}, {"_web._udp.consul", DNS_SRV, one},
          {"_web._udp.dc1.consul", DNS_SRV, one}, {"_web._tcp.consul", DNS_A, "-"},
          {"_web._nosuch.consul", DNS_SRV, "-"}, {"_web._v1.2.consul", DNS_SRV, "-"},
          {"_web._tcp.service.consul", DNS_A, "10.0.0.1, 10.0.0.2"}, {"web.consul", DNS_SRV, "-"});
    check_legal(f.zones[0]);
    catalog_remove_service(f.catalog, NULL, "web");
    take(&f);
    assert_false(exists(f.zones[0], "_tcp.consul"));
    stop(&f);
}

static void dots(void **arg)
{
    (void)arg;
    struct fixture f;
    setup_config(&f);
    start(&f);
    PUT(&f, "b", {"n1", "10.0.0.1", "a", .port = 1, .tags = "a,x.a,y.a,z"});
    take(&f);
    CHECK(f.zones[0], {"a.b.service.consul", DNS_A, "10.0.0.1"}, {"x.a.b.service.consul", DNS_A, "10.0.0.1"});

    /* The longest registered name has it; tags of the shorter one that it does not have stay. */
    PUT(&f, "a.b", {"n2", "10.0.0.2", "a", .port = 2, .tags = "x"});
    take(&f);
    CHECK(f.zones[0], {"a.b.service.consul", DNS_A, "10.0.0.2"},
          {"A.B.service.dc1.consul", DNS_SRV, "1 1 2 n2.node.dc1.consul."},
          {"x.a.b.service.consul", DNS_A, "10.0.0.2"}, {"y.a.b.service.consul", DNS_A, "10.0.0.1"},
          {"z.b.service.consul", DNS_A, "10.0.0.1"}, {"b.service.consul", DNS_A, "10.0.0.1"},
          {"_b._a.service.consul", DNS_A, "10.0.0.1"});
    check_legal(f.zones[0]);

    /* Critical or not: b never answers for a.b. */
    PUT(&f, "a.b", {"n2", "10.0.0.2", "a", .port = 2, .tags = "x", .status = "critical"});
    take(&f);
    CHECK(f.zones[0], {"a.b.service.consul", DNS_A, "-"}, {"x.a.b.service.consul", DNS_A, "-"});
    PUT(&f, "x.a.b", {"n3", "10.0.0.3", "a", .port = 3});
    take(&f);
    CHECK(f.zones[0], {"x.a.b.service.consul", DNS_A, "10.0.0.3"}, {"a.b.service.consul", DNS_A, "-"});

    /* Gone: the next shorter one has its names again. */
    catalog_remove_service(f.catalog, NULL, "x.a.b");
    catalog_remove_service(f.catalog, NULL, "a.b");
    take(&f);
    CHECK(f.zones[0], {"a.b.service.consul", DNS_A, "10.0.0.1"}, {"x.a.b.service.consul", DNS_A, "10.0.0.1"},
          {"a.b.service.consul", DNS_SRV, "1 1 1 n1.node.dc1.consul."});

    /* Two labels with underscores are always service x with tag y. */
    PUT(&f, "x", {"n1", "10.0.0.1", "a", .port = 1, .tags = "y"});
    PUT(&f, "_x._y", {"n2", "10.0.0.2", "a", .port = 1});
    PUT(&f, "_y", {"n3", "10.0.0.3", "a", .port = 1, .tags = "_x"});
    take(&f);
    CHECK(f.zones[0], {"_x._y.service.consul", DNS_A, "10.0.0.1"}, {"_y.service.consul", DNS_A, "10.0.0.3"});
    stop(&f);
}

static bool ask_tags(struct fixture *f, const char *text)
{
    uint8_t name[NAME_MAX_WIRE];
    name_from_text(text, NULL, name, NULL);
    bool has = catalog_ask_tags(f->catalog, name);
    take(f);
    return has;
}

/* What a worker does with a name that is not in the zone. */
static int missed(struct fixture *f, const char *text)
{
    uint8_t name[NAME_MAX_WIRE];
    struct zone_computed out = {0};
    name_from_text(text, NULL, name, NULL);
    int result = zone_miss(f->zones[0], name, &out);
    if (result == ZONE_ASK && (out.ask != ASK_TAGS || !name_equal(out.data, name)))
        return -1;
    return result;
}

static void tags_together(void **arg)
{
    (void)arg;
    struct fixture f;
    setup_config(&f);
    start(&f);
    PUT(&f, "web", {"n1", "10.0.0.1", "a", .port = 1, .tags = "Blue,v1.2"},
        {"n2", "10.0.0.2", "b", .port = 2, .tags = "blue,canary"},
        {"n3", "10.0.0.3", "c", .port = 3, .tags = "green,v1.2,x.and.y"},
        {"n4", "10.0.0.4", "d", .port = 4, .tags = "blue,v1.2", .status = "critical"});
    PUT(&f, "y.web", {"n5", "10.0.0.5", "a", .port = 5, .tags = "t,u"});
    take(&f);
    static const struct {
        const char *name;
        int missed;
    } asked[] = {
        {"blue.and.v1.2.web.service.consul", ZONE_ASK},
        {"not.blue.web.service.dc1.consul", ZONE_ASK},
        {"and.blue.web.service.consul", 1},
        {"blue.and.web.service.consul", 0},
        {"not.web.service.consul", 0},
        {"and.web.service.consul", 0},
        {"and.not.a.web.service.dc1.consul", 1},
        {"a.and.b.web.service.dc9.consul", 0},
        {"a.and.b.web.node.consul", 0},
    };
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
        if (missed(&f, asked[i].name) != asked[i].missed)
            fail_msg("%s", asked[i].name);

    uint64_t names = zone_names(f.zones[0]);
    assert_true(ask_tags(&f, "blue.and.v1.2.web.service.consul"));
    assert_true(ask_tags(&f, "not.canary.web.service.dc1.consul"));
    assert_true(ask_tags(&f, "v1.2.and.not.blue.and.not.nosuch.web.service.consul"));
    assert_true(ask_tags(&f, "t.and.u.y.web.service.consul"));
    assert_false(ask_tags(&f, "blue.and.nosuch.web.service.consul"));
    assert_false(ask_tags(&f, "blue.and.green.web.service.consul")); /* known tags, no such instance */
    assert_false(ask_tags(&f, "blue.and.v1.2.db.service.consul"));
    assert_false(ask_tags(&f, "blue.and.y.web.service.consul")); /* no term is left before y.web */
    CHECK(f.zones[0], {"blue.and.v1.2.web.service.consul", DNS_A, "10.0.0.1"},
          {"blue.and.v1.2.web.service.dc1.consul", DNS_SRV, "1 1 1 n1.node.dc1.consul."},
          {"not.canary.web.service.consul", DNS_A, "10.0.0.1, 10.0.0.3"},
          {"v1.2.and.not.blue.and.not.nosuch.web.service.consul", DNS_A, "10.0.0.3"},
          {"t.and.u.y.web.service.consul", DNS_A, "10.0.0.5"},
          {"x.and.y.web.service.consul", DNS_A, "10.0.0.3"} /* a tag of that name */);
    check_legal(f.zones[0]);

    /* Kept from then on: what changes shows without being asked again. */
    PUT(&f, "web", {"n1", "10.0.0.1", "a", .port = 1, .tags = "blue"},
        {"n2", "10.0.0.2", "b", .port = 2, .tags = "v1.2,green,BLUE"});
    take(&f);
    CHECK(f.zones[0], {"blue.and.v1.2.web.service.consul", DNS_A, "10.0.0.2"},
          {"blue.and.green.web.service.consul", DNS_A, "10.0.0.2"},
          {"v1.2.and.not.blue.and.not.nosuch.web.service.consul", DNS_A, "-"},
          {"not.canary.web.service.consul", DNS_A, "10.0.0.1, 10.0.0.2"});
    catalog_configure(f.catalog, &f.config);
    take(&f);
    CHECK(f.zones[0], {"blue.and.green.web.service.consul", DNS_A, "10.0.0.2"});

    /* Bounded: when there are too many, those that are still asked for come back. */
    for (int i = 0; i < 40; i++) {
        char text[64];
        snprintf(text, sizeof(text), "not.%d.web.service.consul", i);
        assert_true(ask_tags(&f, text));
    }
    assert_true(zone_names(f.zones[0]) <= names + 2 * 32);
    CHECK(f.zones[0], {"blue.and.green.web.service.consul", DNS_A, "-"});
    char name[16], text[64];
    for (int i = 0; i < CATALOG_COMBINATIONS_MAX + 10; i++) { /* one each of many services */
        snprintf(name, sizeof(name), "s%d", i);
        snprintf(text, sizeof(text), "not.t.s%d.service.consul", i);
        PUT(&f, name, {"n1", "10.0.0.1", "a", .port = 1});
        assert_true(ask_tags(&f, text));
    }
    CHECK(f.zones[0], {"not.t.s1.service.consul", DNS_A, "-"});
    assert_true(ask_tags(&f, "not.t.s1.service.consul"));
    assert_true(ask_tags(&f, "blue.and.green.web.service.consul"));
    catalog_remove_service(f.catalog, NULL, "web");
    take(&f);
    assert_false(exists(f.zones[0], "web.service.consul") && !exists(f.zones[0], "y.web.service.consul"));
    assert_false(exists(f.zones[0], "green.web.service.consul"));
    stop(&f);
}

/* --- policies ------------------------------------------------------------------------------------ */

static void set_policies(struct fixture *f, struct config_service *policies, size_t count)
{
    f->config.service = policies;
    f->config.service_count = count;
}

static void last_resort(void **arg)
{
    (void)arg;
    struct fixture f;
    char all[] = "all", nodata[] = "nodata", plain[] = "plain";
    struct config_service policies[] = {
        {.pattern = all, .set = CONFIG_SERVICE_LAST_RESORT, .last_resort = CONFIG_LAST_ALL},
        {.pattern = nodata, .set = CONFIG_SERVICE_LAST_RESORT, .last_resort = CONFIG_LAST_NODATA},
        {.pattern = plain, .set = CONFIG_SERVICE_LAST_RESORT, .last_resort = CONFIG_LAST_NXDOMAIN},
    };
    setup_config(&f);
    set_policies(&f, policies, 3);
    start(&f);
    const char *names[] = {"all", "nodata", "plain"};
    for (size_t i = 0; i < 3; i++)
        PUT(&f, names[i], {"n1", "10.0.0.1", "a", .port = 1, .tags = "t", .status = "critical"},
            {"n2", "10.0.0.2", "b", .port = 2, .status = "critical"});
    take(&f);
    CHECK(f.zones[0], {"all.service.consul", DNS_A, "10.0.0.1, 10.0.0.2"},
          {"t.all.service.consul", DNS_A, "10.0.0.1"},
          {"_all._t.consul", DNS_SRV, "1 1 1 n1.node.dc1.consul."}, {"nodata.service.consul", DNS_A, "-"},
          {"nodata.service.consul", DNS_SRV, "-"}, {"nodata.service.consul", DNS_TXT, "no healthy instance."},
          {"t.nodata.service.dc1.consul", DNS_TXT, "no healthy instance."},
          {"_nodata._tcp.consul", DNS_TXT, "no healthy instance."});
    assert_false(exists(f.zones[0], "plain.service.consul"));
    check_legal(f.zones[0]);
    struct buf text = {0};
    json_t *json = catalog_services_json(f.catalog, NULL, "all");
    assert_true(json_is_true(json_object_get(json, "last_resort")));
    assert_int_equal(json_integer_value(json_object_get(json, "answering")), 2);
    json_decref(json);
    struct catalog_health health;
    catalog_service_health(f.catalog, NULL, "plain", &health);
    assert_int_equal(health.answering, 0);

    /* One is healthy again: the others go, but where only tagged ones are asked. */
    for (size_t i = 0; i < 3; i++)
        PUT(&f, names[i], {"n1", "10.0.0.1", "a", .port = 1, .tags = "t", .status = "critical"},
            {"n2", "10.0.0.2", "b", .port = 2, .status = "passing"});
    take(&f);
    CHECK(f.zones[0], {"all.service.consul", DNS_A, "10.0.0.2"}, {"t.all.service.consul", DNS_A, "10.0.0.1"},
          {"nodata.service.consul", DNS_A, "10.0.0.2"}, {"nodata.service.consul", DNS_TXT, "-"},
          {"t.nodata.service.consul", DNS_A, "-"}, {"plain.service.consul", DNS_A, "10.0.0.2"});
    assert_true(exists(f.zones[0], "t.nodata.service.consul"));
    assert_false(exists(f.zones[0], "t.plain.service.consul"));
    json = catalog_services_json(f.catalog, NULL, "all");
    assert_true(json_is_false(json_object_get(json, "last_resort")));
    json_decref(json);
    buf_free(&text);

    /* Not registered is not unhealthy. */
    catalog_remove_service(f.catalog, NULL, "nodata");
    take(&f);
    assert_false(exists(f.zones[0], "nodata.service.consul"));
    stop(&f);
}

static void orders(void **arg)
{
    (void)arg;
    struct fixture f;
    char fixed[] = "fixed", random[] = "random", near[] = "near";
    struct config_service policies[] = {
        {.pattern = fixed,
         .set = CONFIG_SERVICE_ORDER | CONFIG_SERVICE_ANSWERS,
         .order = CONFIG_ORDER_FIXED,
         .answers = 2},
        {.pattern = random, .set = CONFIG_SERVICE_ORDER, .order = CONFIG_ORDER_RANDOM},
        {.pattern = near, .set = CONFIG_SERVICE_ORDER, .order = CONFIG_ORDER_NEAREST},
    };
    setup_config(&f);
    set_policies(&f, policies, 3);
    start(&f);
    const char *names[] = {"fixed", "random", "near", "plain"};
    for (size_t i = 0; i < 4; i++)
        PUT(&f, names[i], {"n3", "10.0.0.1", "x", .port = 1, .weight = 9},
            {"n1", "10.0.0.3", "z", .port = 1, .weight = 5}, {"N1", "10.0.0.9", "a", .port = 1},
            {"n2", "10.0.0.2", "y", .port = 1}, {"n4", "10.0.0.9", "y", .port = 1});
    take(&f);
    /* by node, then ID; the address of two stands where the first stands */
    for (int i = 0; i < 20; i++)
        assert_string_equal(answer_order(f.zones[0], "fixed.service.consul"), "9 3");
    assert_string_equal(answer_order(f.zones[0], "near.service.consul"), "9 3 2 1"); /* nothing known yet */
    uint8_t name[NAME_MAX_WIRE];
    name_from_text("random.service.consul", NULL, name, NULL);
    assert_int_equal(piece_rdata(zone_get(f.zones[0], name, DNS_A), 0).weight, 0);
    name_from_text("plain.service.consul", NULL, name, NULL);
    assert_true(piece_rdata(zone_get(f.zones[0], name, DNS_A), 0).weight > 0);

    static const char near_body[] =
        "[{\"Node\":\"N1\",\"Segment\":\"\",\"Coord\":{\"Vec\":[0.05,0],\"Height\":0.001,\"Adjustment\":0}},"
        "{\"Node\":\"n2\",\"Coord\":{\"Vec\":[0,0.002],\"Height\":0.001,\"Adjustment\":0.0001}},"
        "{\"Node\":\"n3\",\"Coord\":{\"Vec\":[0,0],\"Height\":1,\"Adjustment\":0}},"
        "{\"Node\":\"n4\",\"Segment\":\"other\",\"Coord\":{\"Vec\":[0,0],\"Height\":0,\"Adjustment\":0}}]";
    struct err err = {""};
    assert_int_equal(catalog_put_coordinates(f.catalog, "N3", near_body, strlen(near_body), &err), 1);
    take(&f);
    /* our own node first, whatever its height; n4's segment is another */
    assert_string_equal(answer_order(f.zones[0], "near.service.consul"), "1 2 9 3");
    assert_string_equal(answer_order(f.zones[0], "fixed.service.consul"), "9 3");
    assert_int_equal(catalog_put_coordinates(f.catalog, "n3", near_body, strlen(near_body), &err), 0);
    assert_int_equal(catalog_put_coordinates(f.catalog, "nosuch", near_body, strlen(near_body), &err), 1);
    take(&f);
    assert_string_equal(answer_order(f.zones[0], "near.service.consul"), "9 3 2 1");
    static const char *const bad[] = {"",
                                      "{}",
                                      "[1]",
                                      "[{\"Node\":1}]",
                                      "[{\"Node\":\"n3\",\"Coord\":[]}]",
                                      "[{\"Node\":\"n3\",\"Coord\":{\"Vec\":{}}}]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(catalog_put_coordinates(f.catalog, "n3", bad[i], strlen(bad[i]), &err), -1);
    stop(&f);
}

static void metadata(void **arg)
{
    (void)arg;
    struct fixture f;
    char web[] = "web", off[] = "off", canary[] = "canary.web", db[] = "*-db";
    struct config_service policies[] = {
        {.pattern = web, .set = CONFIG_SERVICE_TXT, .txt = true},
        {.pattern = off,
         .set = CONFIG_SERVICE_METADATA | CONFIG_SERVICE_TTL,
         .metadata = false,
         .ttl = 3 * NS_PER_S},
    };
    struct config_ttl_rule rules[] = {{canary, NS_PER_S}, {web, 10 * NS_PER_S}, {db, 4 * NS_PER_S}};
    setup_config(&f);
    set_policies(&f, policies, 2);
    f.config.service_ttl = rules;
    f.config.service_ttl_count = 3;
    start(&f);
    PUT(&f, "web",
        {"n1", "10.0.0.1", "a", .port = 1, .tags = "canary,t",
         .meta = "version=1`2,lictor-priority=5,rfc1035-note=free text"},
        {"n2", "10.0.0.2", "b", .port = 2, .meta = "version=1`2,lictor-priority=65535, k =v"},
        {"n3", "10.0.0.3", "c", .port = 3, .meta = "lictor-priority=65536"},
        {"n4", "10.0.0.4", "d", .port = 4, .meta = "lictor-priority=0"});
    PUT(&f, "slow", {"n1", "10.0.0.1", "a", .port = 1, .meta = "lictor-ttl=1h"},
        {"n2", "10.0.0.2", "b", .port = 1, .tags = "t", .meta = "lictor-ttl=90"},
        {"n3", "10.0.0.3", "c", .port = 1, .tags = "t", .meta = "lictor-ttl=soon"});
    PUT(&f, "off", {"n1", "10.0.0.1", "a", .port = 1, .meta = "lictor-ttl=1h,lictor-priority=7"});
    PUT(&f, "my-db", {"n1", "10.0.0.1", "a", .port = 1});
    take(&f);
    CHECK(f.zones[0],
          {"web.service.consul", DNS_SRV,
           "0 1 4 n4.node.dc1.consul., 1 1 3 n3.node.dc1.consul., 5 1 1 n1.node.dc1.consul., "
           "65535 1 2 n2.node.dc1.consul."},
          {"web.service.consul", DNS_TXT, "` k` =v, free text, version=1``2"},
          {"_web._tcp.service.consul", DNS_TXT, "` k` =v, free text, version=1``2"},
          {"t.web.service.consul", DNS_TXT, "free text, version=1``2"}, {"slow.service.consul", DNS_TXT, "-"},
          {"off.service.consul", DNS_SRV, "1 1 1 n1.node.dc1.consul."});
    assert_int_equal(ttl_at(f.zones[0], "web.service.consul", DNS_SRV), 10);
    assert_int_equal(ttl_at(f.zones[0], "canary.web.service.consul", DNS_A), 1);
    assert_int_equal(ttl_at(f.zones[0], "t.web.service.consul", DNS_A), 10);
    assert_int_equal(ttl_at(f.zones[0], "slow.service.consul", DNS_A), 90);
    assert_int_equal(ttl_at(f.zones[0], "off.service.consul", DNS_A), 3);
    assert_int_equal(ttl_at(f.zones[0], "my-db.service.consul", DNS_A), 4);
    check_legal(f.zones[0]);

    /* Beside a CNAME there is no TXT, but at the names of RFC 2782. A long value: several strings. */
    char value[601], meta[700];
    memset(value, 'v', 600);
    value[600] = '\0';
    snprintf(meta, sizeof(meta), "long=%s", value);
    PUT(&f, "web", {"n1", "10.0.0.1", "a", .own = "other.example", .port = 1, .meta = meta});
    take(&f);
    CHECK(f.zones[0], {"web.service.consul", DNS_CNAME, "other.example."},
          {"web.service.consul", DNS_TXT, "-"});
    uint8_t name[NAME_MAX_WIRE];
    name_from_text("_web._tcp.service.consul", NULL, name, NULL);
    struct rdata rdata = piece_rdata(zone_get(f.zones[0], name, DNS_TXT), 0);
    assert_int_equal(rdata.len, 605 + 3);
    assert_int_equal(rdata.data[0], 255);
    assert_int_equal(rdata.data[512], 95);
    check_legal(f.zones[0]);
    stop(&f);
}

/* Duplicates of SRV: the same target and port twice is one record, of the best priority. */
static void srv_duplicates(void **arg)
{
    (void)arg;
    struct fixture f;
    setup_config(&f);
    start(&f);
    PUT(&f, "s", {"n1", "10.0.0.1", "a", .own = "10.1.1.1", .port = 80, .weight = 3},
        {"n2", "10.0.0.2", "b", .own = "10.1.1.1", .port = 80, .weight = 65535},
        {"n3", "10.0.0.3", "c", .own = "10.1.1.1", .port = 81, .weight = 2, .meta = "lictor-priority=2"},
        {"n4", "10.0.0.4", "d", .own = "10.1.1.1", .port = 81, .weight = 1, .meta = "lictor-priority=1"});
    take(&f);
    CHECK(f.zones[0], {"s.service.consul", DNS_A, "10.1.1.1"},
          {"s.service.consul", DNS_SRV,
           "1 1 81 0a010101.addr.dc1.consul., 1 65535 80 0a010101.addr.dc1.consul."});
    stop(&f);
}

static void only_passing_of_one(void **arg)
{
    (void)arg;
    struct fixture f;
    char strict[] = "strict";
    struct config_service policies[] = {
        {.pattern = strict, .set = CONFIG_SERVICE_ONLY_PASSING, .only_passing = true}};
    setup_config(&f);
    set_policies(&f, policies, 1);
    start(&f);
    const char *names[] = {"strict", "lax"};
    for (size_t i = 0; i < 2; i++)
        PUT(&f, names[i], {"n1", "10.0.0.1", "a", .port = 1, .status = "warning"},
            {"n2", "10.0.0.2", "b", .port = 2, .status = "passing"});
    take(&f);
    CHECK(f.zones[0], {"strict.service.consul", DNS_A, "10.0.0.2"},
          {"lax.service.consul", DNS_A, "10.0.0.1, 10.0.0.2"});
    stop(&f);
}

/* --- other datacenters --------------------------------------------------------------------------- */

static void fallback(void **arg)
{
    (void)arg;
    struct fixture f;
    char web[] = "web", dc2[] = "dc2", dc3[] = "dc3", *names[] = {dc3, dc2};
    struct config_service policies[] = {{.pattern = web,
                                         .set = CONFIG_SERVICE_DATACENTERS | CONFIG_SERVICE_LAST_RESORT,
                                         .last_resort = CONFIG_LAST_ALL,
                                         .datacenters = {names, 2}}};
    setup_config(&f);
    set_policies(&f, policies, 1);
    start(&f);
    PUT(&f, "web", {"n1", "10.1.0.1", "a", .port = 1, .tags = "t"});
    PUT_IN(&f, "dc2", "web", {"m1", "10.2.0.1", "a", .port = 2, .tags = "t,u"});
    PUT_IN(&f, "dc2", "api", {"m1", "10.2.0.1", "b", .port = 2});
    take(&f);
    CHECK(f.zones[0], {"web.service.consul", DNS_A, "10.1.0.1"}, {"u.web.service.consul", DNS_A, "10.2.0.1"},
          {"web.service.dc2.consul", DNS_A, "10.2.0.1"}, {"api.service.consul", DNS_A, "-"},
          {"u.web.service.dc1.consul", DNS_A, "-"});

    /* Nothing healthy here: the first in order that has something; the targets are the instances' own. */
    PUT(&f, "web", {"n1", "10.1.0.1", "a", .port = 1, .tags = "t", .status = "critical"});
    take(&f);
    CHECK(f.zones[0], {"web.service.consul", DNS_A, "10.2.0.1"},
          {"web.service.consul", DNS_SRV, "1 1 2 m1.node.dc2.consul."},
          {"_web._tcp.consul", DNS_SRV, "1 1 2 m1.node.dc2.consul."},
          {"t.web.service.consul", DNS_A, "10.2.0.1"},
          /* who names the datacenter gets that one: its last resort */
          {"web.service.dc1.consul", DNS_A, "10.1.0.1"});
    json_t *json = catalog_services_json(f.catalog, NULL, "web");
    assert_string_equal(json_string_value(json_object_get(json, "fallback")), "dc2");
    json_decref(json);
    PUT_IN(&f, "dc3", "web", {"k1", "10.3.0.1", "a", .port = 3});
    take(&f);
    CHECK(f.zones[0], {"web.service.consul", DNS_A, "10.3.0.1"}, {"t.web.service.consul", DNS_A, "10.2.0.1"});
    catalog_remove_datacenter(f.catalog, "dc3");
    take(&f);
    CHECK(f.zones[0], {"web.service.consul", DNS_A, "10.2.0.1"});

    /* Not registered here at all. */
    catalog_remove_service(f.catalog, NULL, "web");
    take(&f);
    CHECK(f.zones[0], {"web.service.consul", DNS_A, "10.2.0.1"}, {"web.service.dc1.consul", DNS_A, "-"});
    PUT_IN(&f, "dc2", "web", {"m1", "10.2.0.1", "a", .port = 2, .status = "critical"});
    take(&f);
    CHECK(f.zones[0], {"web.service.consul", DNS_A, "-"});
    PUT_IN(&f, "dc2", "web", {"m1", "10.2.0.1", "a", .port = 2, .status = "passing"});
    take(&f);
    CHECK(f.zones[0], {"web.service.consul", DNS_A, "10.2.0.1"});
    catalog_remove_service(f.catalog, "dc2", "web");
    take(&f);
    assert_false(exists(f.zones[0], "web.service.consul"));
    assert_int_equal(catalog_service_count(f.catalog, NULL), 0);

    /* Local again, and a configuration without the block. */
    PUT_IN(&f, "dc2", "web", {"m1", "10.2.0.1", "a", .port = 2});
    set_policies(&f, NULL, 0);
    catalog_configure(f.catalog, &f.config);
    take(&f);
    CHECK(f.zones[0], {"web.service.consul", DNS_A, "-"}, {"web.service.dc2.consul", DNS_A, "10.2.0.1"});
    set_policies(&f, policies, 1);
    catalog_configure(f.catalog, &f.config);
    take(&f);
    CHECK(f.zones[0], {"web.service.consul", DNS_A, "10.2.0.1"});
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_together),  cmocka_unit_test(short_form), cmocka_unit_test(dots),
        cmocka_unit_test(last_resort),    cmocka_unit_test(orders),     cmocka_unit_test(metadata),
        cmocka_unit_test(srv_duplicates), cmocka_unit_test(fallback),   cmocka_unit_test(only_passing_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
