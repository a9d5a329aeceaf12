/* Services through the query engine: chains of host names, and services of thousands. */
#include "catalog_kit.h"

#include "lictor/answer.h"
#include "lictor/wire.h"

struct engine {
    struct fixture f;
    struct snapshot *snapshot;
    struct gate gate;
    struct rng rng;
    bool tcp;
    uint16_t udp_size;
    size_t len;
    uint8_t reply[ANSWER_TCP_MAX];
};

static void begin(struct engine *e)
{
    memset(e, 0, sizeof(*e));
    setup_config(&e->f);
    e->f.state.stale_from = e->f.state.dead_from = NS_NEVER;
    e->f.config.enable_truncate = true;
    e->udp_size = 1232;
    rng_seed(&e->rng);
    start(&e->f);
}

static void publish(struct engine *e)
{
    take(&e->f);
    e->snapshot = snapshot_new(e->f.zones, e->f.count, &(struct snapshot_text){.node = "n", .version = "v"});
}

static void end(struct engine *e)
{
    snapshot_free(e->snapshot);
    stop(&e->f);
    zone_reap();
}

static void ask_engine(struct engine *e, const char *name, uint16_t type)
{
    uint8_t query[512] = {0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1}, *at = query + 12;
    at += name_from_text(name, NULL, at, NULL);
    put16(at, type);
    put16(at + 2, DNS_IN);
    memcpy(at + 4, "\0\0\51\0\0\0\0\0\0\0\0", 11);
    put16(at + 7, e->udp_size);
    struct answer_env env = {.snapshot = e->snapshot,
                             .gate = &e->gate,
                             .rng = &e->rng,
                             .now = 1000 * NS_PER_S,
                             .tcp = e->tcp,
                             .udp_max = 1232};
    struct answer_result result = answer(&env, query, (size_t)(at + 15 - query), e->reply, sizeof(e->reply));
    assert_true(result.len > 0);
    e->len = result.len;
}

static const uint8_t *skip_name(const uint8_t *at)
{
    while (*at && *at < 0xc0)
        at += 1 + *at;
    return at + (*at ? 2 : 1);
}

/* "NOERROR tc | 7 CNAME, 7 A 10.0.0.1": the answer section, which must be whole. */
static const char *told(const struct engine *e)
{
    static char text[4096];
    const uint8_t *at = skip_name(e->reply + 12) + 4;
    char type[16];
    sprintf(text, "%s%s |", (e->reply[3] & 15) == 0 ? "NOERROR" : "NXDOMAIN", e->reply[2] & 2 ? " tc" : "");
    for (unsigned i = 0; i < get16(e->reply + 6) && i < 20; i++) {
        at = skip_name(at);
        sprintf(text + strlen(text), "%s %u %s", i > 0 ? "," : "", (unsigned)get32(at + 4),
                dns_type_text(get16(at), type));
        if (get16(at) == DNS_A)
            sprintf(text + strlen(text), " %d.%d.%d.%d", at[10], at[11], at[12], at[13]);
        at += 10 + get16(at + 8);
        assert_true(at <= e->reply + e->len);
    }
    return text;
}

static void chains(void **arg)
{
    (void)arg;
    struct engine e;
    char front[] = "front", back[] = "back", tail[] = "*";
    struct config_ttl_rule rules[] = {{front, 60 * NS_PER_S}, {back, 9 * NS_PER_S}, {tail, 20 * NS_PER_S}};
    begin(&e);
    e.f.config.service_ttl = rules;
    e.f.config.service_ttl_count = 3;
    catalog_configure(e.f.catalog, &e.f.config);
    PUT(&e.f, "front", {"n1", "10.0.0.1", "a", .own = "Back.Service.consul", .port = 1});
    PUT(&e.f, "back", {"n1", "10.0.0.1", "a", .own = "t.both.service.dc1.consul.", .port = 1});
    PUT(&e.f, "both", {"n1", "10.0.0.1", "a", .own = "10.0.0.7", .tags = "t"},
        {"n1", "10.0.0.1", "b", .own = "2001:db8::7", .tags = "t"});
    PUT(&e.f, "node", {"n1", "10.0.0.1", "a", .own = "n1.node.consul", .port = 1});
    PUT(&e.f, "loop", {"n1", "10.0.0.1", "a", .own = "pool.service.consul", .port = 1});
    PUT(&e.f, "pool", {"n1", "10.0.0.1", "a", .own = "LOOP.service.consul", .port = 1});
    PUT(&e.f, "Self", {"n1", "10.0.0.1", "a", .own = "sELF.Service.dc1.CONSUL", .port = 1});
    PUT(&e.f, "far", {"n1", "10.0.0.1", "a", .own = "www.example.com", .port = 1});
    PUT(&e.f, "gone", {"n1", "10.0.0.1", "a", .own = "nosuch.service.consul", .port = 1});
    catalog_put_nodes(e.f.catalog, NULL, "[{\"Node\":\"n1\",\"Address\":\"10.0.0.1\"}]", 36, NULL);
    publish(&e);
    static const struct {
        const char *name;
        uint16_t type;
        const char *says;
    } table[] = {
        {"front.service.consul", DNS_A, "NOERROR | 9 CNAME, 9 CNAME, 9 A 10.0.0.7"},
        {"front.service.consul", DNS_AAAA, "NOERROR | 9 CNAME, 9 CNAME, 9 AAAA"},
        {"front.service.consul", DNS_CNAME, "NOERROR | 60 CNAME"},
        {"front.service.consul", DNS_TXT, "NOERROR | 9 CNAME, 9 CNAME"},
        {"back.service.consul", DNS_A, "NOERROR | 9 CNAME, 9 A 10.0.0.7"},
        {"both.service.consul", DNS_A, "NOERROR | 20 A 10.0.0.7"},
        {"node.service.consul", DNS_A, "NOERROR | 7 CNAME, 7 A 10.0.0.1"},
        {"node.service.consul", DNS_AAAA, "NOERROR | 20 CNAME"},
        {"loop.service.consul", DNS_A, "NOERROR | 20 CNAME, 20 CNAME"},
        {"self.service.consul", DNS_A, "NOERROR | 20 A 10.0.0.1"},
        {"far.service.consul", DNS_A, "NOERROR | 20 CNAME"},
        {"far.service.consul", DNS_AAAA, "NOERROR | 20 CNAME"},
        {"gone.service.consul", DNS_A, "NXDOMAIN | 20 CNAME"},
        {"_front._tcp.consul", DNS_SRV, "NOERROR | 60 SRV"},
    };
    for (int size = 512; size <= 1232; size += 720) { /* a chain is not cut for want of EDNS */
        e.udp_size = (uint16_t)size;
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
            ask_engine(&e, table[i].name, table[i].type);
            if (strcmp(told(&e), table[i].says) != 0)
                fail_msg("%s: %s; expected: %s", table[i].name, told(&e), table[i].says);
        }
    }
    end(&e);
}

/* Checks that the message parses to its last octet; returns its answers. */
static unsigned check_whole(const struct engine *e)
{
    const uint8_t *at = skip_name(e->reply + 12) + 4;
    unsigned records = get16(e->reply + 6) + get16(e->reply + 8) + get16(e->reply + 10);
    for (unsigned i = 0; i < records; i++) {
        at = skip_name(at);
        at += 10 + get16(at + 8);
        assert_true(at <= e->reply + e->len);
    }
    assert_ptr_equal(at, e->reply + e->len);
    return get16(e->reply + 6);
}

#define MANY 5000

static void thousands(void **arg)
{
    (void)arg;
    struct engine e;
    char all[] = "all";
    struct config_service policy = {.pattern = all, .set = CONFIG_SERVICE_ANSWERS};
    struct instance *list = calloc(MANY, sizeof(*list));
    char(*texts)[3][24] = calloc(MANY, sizeof(*texts));
    for (int i = 0; i < MANY; i++) {
        snprintf(texts[i][0], 24, "node-%d", i);
        snprintf(texts[i][1], 24, "10.%d.%d.1", i / 250, i % 250);
        snprintf(texts[i][2], 24, "id-%d", i);
        list[i] = (struct instance){texts[i][0], texts[i][1], texts[i][2], .port = 8000, .weight = i % 3};
    }
    begin(&e);
    e.f.config.service = &policy;
    e.f.config.service_count = 1;
    catalog_configure(e.f.catalog, &e.f.config);
    put_instances(e.f.catalog, NULL, "many", list, MANY);
    put_instances(e.f.catalog, NULL, "all", list, MANY);
    put_instances(e.f.catalog, NULL, "fits", list, 1000);
    publish(&e);

    ask_engine(&e, "many.service.consul", DNS_A); /* 40 are the whole answer */
    assert_int_equal(check_whole(&e), 40);
    assert_false(e.reply[2] & 2);
    ask_engine(&e, "all.service.consul", DNS_A);
    assert_true(check_whole(&e) > 60 && (e.reply[2] & 2) && e.len <= 1232);
    ask_engine(&e, "many.service.consul", DNS_SRV);
    assert_true(check_whole(&e) >= 20 && (e.reply[2] & 2) && e.len <= 1232);

    e.tcp = true;
    ask_engine(&e, "all.service.consul", DNS_A); /* 80,000 octets do not fit */
    assert_true(check_whole(&e) > 4000 && (e.reply[2] & 2) && e.len > 65000);
    ask_engine(&e, "many.service.consul", DNS_SRV);
    assert_true(check_whole(&e) > 1200 && (e.reply[2] & 2) && e.len > 65000);
    ask_engine(&e, "fits.service.consul", DNS_SRV);
    assert_int_equal(check_whole(&e), 1000);
    assert_false(e.reply[2] & 2);
    end(&e);
    free(list);
    free(texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains),
        cmocka_unit_test(thousands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
