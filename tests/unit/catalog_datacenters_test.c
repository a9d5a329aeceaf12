/* Several datacenters in one catalog: where their names are, and what the query engine makes of their states.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lictor/answer.h"
#include "lictor/catalog.h"
#include "lictor/dns.h"
#include "lictor/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY(node, node_address, address) \
    "[{\"Node\":{\"Node\":\"" node "\",\"Address\":\"" node_address "\"}," \
    "\"Service\":{\"Service\":\"web\",\"ID\":\"w\",\"Address\":\"" address \
    "\",\"Port\":80,\"Tags\":[\"v1\"]},\"Checks\":[]}]"
#define NODES(node, address) "[{\"Node\":\"" node "\",\"Address\":\"" address "\"}]"

#define NOW (1000 * NS_PER_S)

struct fixture {
    struct config_services config;
    struct zone_state state;
    struct catalog *catalog;
    struct snapshot *snapshot;
    struct gate gate;
    struct rng rng;
    struct answer_env env;
    uint8_t reply[4096];
    struct answer_result result;
};

static void take(struct fixture *f)
{
    struct zone *taken[CATALOG_ZONES_MAX];
    size_t count = catalog_take_zones(f->catalog, taken);
    for (size_t i = 0; i < count; i++) {
        struct snapshot *next = snapshot_with_zone(f->snapshot, taken[i]);
        zone_unref(taken[i]);
        snapshot_free(f->snapshot);
        f->snapshot = next;
    }
    f->env.snapshot = f->snapshot;
}

static int set_up(void **arg)
{
    struct fixture *f = calloc(1, sizeof *f);
    name_from_text("consul", NULL, f->config.domain, NULL);
    name_from_text("alt", NULL, f->config.alt_domain, NULL);
    f->config.has_alt_domain = true;
    f->config.node_ttl = 60 * NS_PER_S;
    f->state.stale_from = f->state.dead_from = NS_NEVER;
    f->catalog = catalog_new(&f->config, "dc1", &f->state);
    f->snapshot = snapshot_new(NULL, 0, &(struct snapshot_text){.node = "n", .version = "v"});
    rng_seed(&f->rng);
    f->env = (struct answer_env){.gate = &f->gate, .rng = &f->rng, .now = NOW, .udp_max = 1232};
    *arg = f;
    return 0;
}

static int tear_down(void **arg)
{
    struct fixture *f = *arg;
    snapshot_free(f->snapshot);
    catalog_free(f->catalog);
    zone_reap();
    free(f);
    return 0;
}

static void put(struct fixture *f, const char *datacenter, const char *service, const char *body)
{
    struct err err = {""};
    if (catalog_put_service(f->catalog, datacenter, service, body, strlen(body), &err) < 0)
        fail_msg("%s", err.text);
}

/* A local `web` and one in dc2, both live. */
static struct zone_state *put_both(struct fixture *f)
{
    struct zone_state *remote = catalog_add_datacenter(f->catalog, "DC2");
    assert_non_null(remote);
    put(f, NULL, "web", BODY("n1", "10.0.0.1", ""));
    put(f, NULL, NULL, NODES("n1", "10.0.0.1"));
    put(f, "dc2", "web", BODY("N2", "10.0.0.2", "10.2.2.2"));
    put(f, "dc2", NULL, NODES("N2", "10.0.0.2"));
    atomic_store(&remote->held, false);
    take(f);
    return remote;
}

/* Asks with EDNS. */
static void put_query(struct fixture *f, const char *name, uint16_t type)
{
    uint8_t query[512] = {0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1};
    uint8_t *at = query + 12;
    int len = name_from_text(name, NULL, at, NULL);
    assert_true(len > 0);
    at += len;
    put16(at, type);
    put16(at + 2, DNS_IN);
    at += 4;
    memcpy(at, "\0\0\51\4\320\0\0\0\0\0\0", 11);
    at += 11;
    f->result = answer(&f->env, query, (size_t)(at - query), f->reply, sizeof f->reply);
}

/* The same; returns the rcode. */
static unsigned ask(struct fixture *f, const char *name, uint16_t type)
{
    put_query(f, name, type);
    assert_true(f->result.len > 0);
    return f->result.rcode;
}

static unsigned answers(const struct fixture *f)
{
    return get16(f->reply + 6);
}

/* The TTL of the first answer, whose owner is a pointer. */
static uint32_t first_ttl(const struct fixture *f)
{
    const uint8_t *at = f->reply + 12;
    while (*at)
        at += 1 + *at;
    return get32(at + 5 + 6);
}

static bool says(const struct fixture *f, int ede, const char *text)
{
    uint8_t code[2] = {(uint8_t)(ede >> 8), (uint8_t)ede};
    size_t len = strlen(text);
    for (size_t i = 0; i + 2 + len <= f->result.len; i++)
        if (!memcmp(f->reply + i, code, 2) && !memcmp(f->reply + i + 2, text, len))
            return true;
    return false;
}

static bool has_octets(const struct fixture *f, const void *octets, size_t len)
{
    return memmem(f->reply, f->result.len, octets, len) != NULL;
}

static void names_stand_under_their_label(void **arg)
{
    struct fixture *f = *arg;
    put_both(f);
    static const struct {
        const char *name;
        uint16_t type;
        unsigned rcode, answers;
        const char *octets;
    } table[] = {
        {"web.service.consul", DNS_A, DNS_NOERROR, 1, "\012\0\0\1"},
        {"web.service.dc1.consul", DNS_A, DNS_NOERROR, 1, "\012\0\0\1"},
        {"web.service.dc2.consul", DNS_A, DNS_NOERROR, 1, "\012\2\2\2"},
        {"web.service.DC2.alt", DNS_A, DNS_NOERROR, 1, "\012\2\2\2"},
        {"v1.web.service.dc2.consul", DNS_A, DNS_NOERROR, 1, "\012\2\2\2"},
        {"_web._tcp.service.dc2.consul", DNS_SRV, DNS_NOERROR, 1, "\0100a020202\4addr\3dc2\6consul"},
        {"_web._tcp.service.dc2.alt", DNS_SRV, DNS_NOERROR, 1, "\0100a020202\4addr\3dc2\3alt"},
        {"web.service.dc1.consul", DNS_SRV, DNS_NOERROR, 1, "\2n1\4node\3dc1\6consul"},
        {"n2.node.dc2.consul", DNS_A, DNS_NOERROR, 1, NULL},
        {"n2.node.consul", DNS_A, DNS_NXDOMAIN, 0, NULL},
        {"n1.node.dc2.consul", DNS_A, DNS_NXDOMAIN, 0, NULL},
        {"web.service.dc2.consul", DNS_AAAA, DNS_NOERROR, 0, NULL},
        {"nosuch.service.dc2.consul", DNS_A, DNS_NXDOMAIN, 0, NULL},
        {"dc2.consul", DNS_A, DNS_NOERROR, 0, NULL},
        {"service.dc2.consul", DNS_A, DNS_NOERROR, 0, NULL},
        {"addr.dc2.consul", DNS_A, DNS_NOERROR, 0, NULL},
        {"0a020202.addr.dc2.consul", DNS_A, DNS_NOERROR, 1, "\012\2\2\2"},
        {"0a020202.addr.dc3.consul", DNS_A, DNS_NXDOMAIN, 0, NULL},
        {"web.service.dc3.consul", DNS_A, DNS_NXDOMAIN, 0, NULL},
        {"dc3.consul", DNS_A, DNS_NXDOMAIN, 0, NULL},
        {"service.consul", DNS_A, DNS_NOERROR, 0, NULL},
        {"addr.consul", DNS_A, DNS_NOERROR, 0, NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        unsigned rcode = ask(f, table[i].name, table[i].type);
        if (rcode != table[i].rcode || answers(f) != table[i].answers)
            fail_msg("%s: rcode %u, %u answers", table[i].name, rcode, answers(f));
        if (table[i].octets && !has_octets(f, table[i].octets, strlen(table[i].octets)))
            fail_msg("%s: not the record that is meant", table[i].name);
    }
}

/* A lost datacenter makes its own answers stale, and no others. */
static void each_has_its_own_age(void **arg)
{
    struct fixture *f = *arg;
    struct zone_state *remote = put_both(f);
    atomic_store(&remote->stale_from, NOW - 37 * NS_PER_S);
    static const struct {
        const char *name;
        uint16_t type;
    } theirs[] = {
        {"web.service.dc2.consul", DNS_A},    {"web.service.dc2.consul", DNS_AAAA},
        {"nosuch.service.dc2.consul", DNS_A}, {"web.service.dc2.alt", DNS_SRV},
        {"n2.node.dc2.consul", DNS_A},
    };
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) {
        ask(f, theirs[i].name, theirs[i].type);
        assert_true(says(f, DNS_EDE_STALE_ANSWER, "datacenter dc2 is stale for 37 s"));
        assert_int_equal(f->result.reason, ANSWER_STALE);
        if (answers(f) > 0)
            assert_true(first_ttl(f) <= 5);
    }
    ask(f, "n1.node.dc1.consul", DNS_A);
    assert_int_equal(f->result.reason, ANSWER_OK);
    assert_int_equal(first_ttl(f), 60);
    /* What is computed needs no view. */
    ask(f, "0a020202.addr.dc2.consul", DNS_A);
    assert_int_equal(f->result.reason, ANSWER_OK);
    ask(f, "dc2.consul", DNS_A);
    assert_int_equal(f->result.reason, ANSWER_OK);

    atomic_store(&remote->stale_from, NS_NEVER);
    ask(f, "n2.node.dc2.consul", DNS_A);
    assert_int_equal(f->result.reason, ANSWER_OK);
    assert_int_equal(first_ttl(f), 60);

    atomic_store(&remote->dead_from, NOW);
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) {
        assert_int_equal(ask(f, theirs[i].name, theirs[i].type), DNS_SERVFAIL);
        assert_int_equal(answers(f), 0);
        assert_true(says(f, DNS_EDE_NO_REACHABLE_AUTHORITY, "datacenter dc2 cannot be reached"));
        assert_int_equal(get16(f->reply + 2) & 0x0400, 0);
    }
    assert_int_equal(ask(f, "web.service.consul", DNS_A), DNS_NOERROR);
}

/* Known, but never read: its names may exist. */
static void unread_is_not_absent(void **arg)
{
    struct fixture *f = *arg;
    struct zone_state *remote = put_both(f);
    struct zone_state *unread = catalog_add_datacenter(f->catalog, "dc3");
    take(f);
    assert_int_equal(ask(f, "web.service.dc3.consul", DNS_A), DNS_SERVFAIL);
    assert_true(says(f, DNS_EDE_NOT_READY, ""));
    /* Where questions can wait, it is asked for. */
    struct ask_question question;
    f->env.question = &question;
    put_query(f, "v1.Web.service.DC3.alt", DNS_A);
    assert_int_equal(f->result.reason, ANSWER_ASK);
    assert_int_equal(question.kind, ASK_DATACENTER);
    assert_memory_equal(question.name, "\3dc3", 5);
    assert_int_equal(question.name_len, 5);
    f->env.question = NULL;
    assert_int_equal(ask(f, "dc3.consul", DNS_A), DNS_NOERROR);
    atomic_store(&unread->dead_from, 0);
    assert_int_equal(ask(f, "web.service.dc3.consul", DNS_A), DNS_SERVFAIL);
    assert_true(says(f, DNS_EDE_NO_REACHABLE_AUTHORITY, ""));
    catalog_remove_datacenter(f->catalog, "dc3");
    assert_int_equal(ask(f, "web.service.dc3.consul", DNS_A), DNS_NXDOMAIN);

    /* One that went takes its records along, and finds its place again. */
    assert_int_equal(catalog_remove_datacenter(f->catalog, "dc2"), 1);
    take(f);
    assert_int_equal(ask(f, "web.service.dc2.consul", DNS_A), DNS_NXDOMAIN);
    assert_int_equal(catalog_service_count(f->catalog, "dc2"), 0);
    assert_ptr_equal(catalog_add_datacenter(f->catalog, "dc2"), remote);
    assert_int_equal(ask(f, "web.service.dc2.consul", DNS_A), DNS_SERVFAIL);
    put(f, "dc2", "web", BODY("N2", "10.0.0.2", "10.2.2.2"));
    atomic_store(&remote->held, false);
    take(f);
    assert_int_equal(ask(f, "web.service.dc2.consul", DNS_A), DNS_NOERROR);
}

/* A view that is being read is in no zone before it is whole, and nothing falls back to it. */
static void half_a_view_is_none(void **arg)
{
    struct fixture *f = *arg;
    static char pattern[] = "far", datacenter[] = "dc2";
    char *list[] = {datacenter};
    struct config_service fallback = {
        .pattern = pattern, .set = CONFIG_SERVICE_DATACENTERS, .datacenters = {.items = list, .count = 1}};
    f->config.service = &fallback;
    f->config.service_count = 1;
    catalog_configure(f->catalog, &f->config);
    struct zone_state *remote = catalog_add_datacenter(f->catalog, "dc2");
    catalog_hide_datacenter(f->catalog, "dc2");
    put(f, "dc2", "far", BODY("N2", "10.0.0.2", "10.2.2.2"));
    put(f, "dc2", NULL, NODES("N2", "10.0.0.2"));
    put(f, NULL, NULL, NODES("n1", "10.0.0.1"));
    take(f);
    const struct zone *zone = snapshot_get(f->snapshot, (const uint8_t *)"\6consul");
    size_t before = zone_names(zone);
    assert_int_equal(ask(f, "far.service.consul", DNS_A), DNS_NXDOMAIN);
    catalog_configure(f->catalog, &f->config); /* renders everything anew */
    take(f);
    assert_int_equal(zone_names(snapshot_get(f->snapshot, (const uint8_t *)"\6consul")), before);
    catalog_show_datacenter(f->catalog, "dc2");
    atomic_store(&remote->held, false);
    take(f);
    assert_int_equal(ask(f, "far.service.dc2.consul", DNS_A), DNS_NOERROR);
    assert_int_equal(ask(f, "n2.node.dc2.consul", DNS_A), DNS_NOERROR);
    assert_int_equal(ask(f, "far.service.consul", DNS_A), DNS_NOERROR);
    catalog_hide_datacenter(f->catalog, "dc2"); /* it has a view */
    put(f, "dc2", "far", BODY("N2", "10.0.0.2", "10.2.2.3"));
    take(f);
    ask(f, "far.service.consul", DNS_A);
    assert_true(has_octets(f, "\012\2\2\3", 4));
    f->config.service_count = 0;
}

static void count_one(void *arg, const char *datacenter)
{
    buf_printf(arg, "%s ", datacenter);
}

/* `service` cannot be told from the category; the number of datacenters has an end. */
static void names_that_cannot_be(void **arg)
{
    struct fixture *f = *arg;
    char name[80];
    struct buf list = {0};
    assert_null(catalog_add_datacenter(f->catalog, "service"));
    assert_null(catalog_add_datacenter(f->catalog, "a.b"));
    assert_null(catalog_add_datacenter(f->catalog, ""));
    assert_ptr_equal(catalog_add_datacenter(f->catalog, "dc1"), &f->state);
    for (int i = 2; i < 100; i++) {
        snprintf(name, sizeof name, "dc%d", i);
        struct zone_state *state = catalog_add_datacenter(f->catalog, name);
        assert_int_equal(state != NULL, i <= ZONE_ORIGINS_MAX);
        if (!state)
            assert_int_equal(catalog_put_service(f->catalog, name, "web", "[]", 2, NULL), -1);
    }
    /* The local one turns out to be what was thought remote. */
    assert_true(catalog_set_datacenter(f->catalog, "dc5"));
    catalog_each_datacenter(f->catalog, count_one, &list);
    assert_null(strstr(buf_str(&list), "dc5 "));
    assert_non_null(strstr(buf_str(&list), "dc6 "));
    buf_free(&list);
}

static void saved_and_restored(void **arg)
{
    struct fixture *f = *arg;
    put_both(f);
    catalog_add_datacenter(f->catalog, "dc3"); /* never read: not saved */
    struct buf saved = {0};
    nstime as_of = 0, then = clock_real() - 100 * NS_PER_S;
    catalog_save(f->catalog, then, &saved);

    struct err err = {""};
    struct catalog *other = catalog_new(&f->config, NULL, &f->state);
    if (catalog_restore(other, (const char *)saved.data, saved.len, &as_of, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(as_of, then);
    assert_int_equal(catalog_instance_count(other, "dc2"), 1);
    assert_int_equal(catalog_node_count(other, "dc2"), 1);
    struct buf list = {0}, again = {0};
    catalog_each_datacenter(other, count_one, &list);
    assert_string_equal(buf_str(&list), "dc2 ");
    struct zone_state *remote = catalog_add_datacenter(other, "dc2");
    assert_false(remote->held);
    nstime age = clock_boot() - remote->stale_from;
    assert_true(age >= 100 * NS_PER_S && age < 130 * NS_PER_S);
    /* A restart later the age is still that of the contact, not of the saving. */
    catalog_save(other, clock_real(), &again);
    catalog_free(other);
    other = catalog_new(&f->config, NULL, &f->state);
    assert_int_equal(catalog_restore(other, (const char *)again.data, again.len, &as_of, &err), 0);
    age = clock_boot() - catalog_add_datacenter(other, "dc2")->stale_from;
    assert_true(age >= 100 * NS_PER_S && age < 130 * NS_PER_S);
    catalog_free(other);
    for (size_t cut = 0; cut < saved.len; cut += 7) {
        other = catalog_new(&f->config, NULL, &f->state);
        if (catalog_restore(other, (const char *)saved.data, cut, &as_of, &err) < 0)
            assert_int_equal(catalog_service_count(other, NULL), 0);
        catalog_free(other);
    }
    buf_free(&saved);
    buf_free(&again);
    buf_free(&list);
}

/* Between two steps the view changes. */
static void saved_in_steps(void **arg)
{
    struct fixture *f = *arg;
    put_both(f);
    struct buf whole = {0}, steps = {0};
    catalog_save(f->catalog, 7, &whole);
    struct catalog_saving *saving = catalog_save_begin(f->catalog, 7, &steps);
    unsigned count = 1;
    while (catalog_save_some(saving, 1, &steps) == CATALOG_SAVE_MORE)
        count++;
    catalog_save_end(saving);
    assert_true(count >= 3);
    assert_string_equal(buf_str(&steps), buf_str(&whole));

    steps.len = 0;
    saving = catalog_save_begin(f->catalog, 7, &steps);
    catalog_put_service(f->catalog, NULL, "web", "[]", 2, NULL);
    assert_int_equal(catalog_save_some(saving, SIZE_MAX / 2, &steps), CATALOG_SAVED);
    catalog_save_end(saving);
    struct catalog *other = catalog_new(&f->config, NULL, &f->state);
    nstime as_of;
    assert_int_equal(catalog_restore(other, (const char *)steps.data, steps.len, &as_of, NULL), 0);
    assert_int_equal(catalog_instance_count(other, NULL), catalog_instance_count(f->catalog, NULL));
    assert_int_equal(catalog_instance_count(other, "dc2"), 1);
    catalog_free(other);

    steps.len = 0;
    saving = catalog_save_begin(f->catalog, 7, &steps);
    while (!strstr(buf_str(&steps), "{\"datacenter\":\"dc2\""))
        assert_int_equal(catalog_save_some(saving, 1, &steps), CATALOG_SAVE_MORE);
    catalog_remove_datacenter(f->catalog, "dc2");
    assert_int_equal(catalog_save_some(saving, 1, &steps), CATALOG_SAVE_LOST);
    catalog_save_end(saving);
    buf_free(&whole);
    buf_free(&steps);
}

#define TAGGED_BODY(node, node_tags, address, tags) \
    "[{\"Node\":{\"Node\":\"n\",\"Address\":\"" node "\",\"TaggedAddresses\":{" node_tags "}}," \
    "\"Service\":{\"Service\":\"s\",\"ID\":\"s\",\"Address\":\"" address \
    "\",\"Port\":80,\"TaggedAddresses\":{" tags "}},\"Checks\":[]}]"
#define TAG(tag, address, port) "\"" tag "\":{\"Address\":\"" address "\",\"Port\":" port "}"

/* What Consul 1.8.7 answers for these (AAAA beside A at one name by `lan_ipv6`, IPv6 first in SRV). */
static void tagged_addresses(void **arg)
{
    struct fixture *f = *arg;
    static const struct {
        const char *datacenter, *body, *a, *aaaa, *srv;
    } table[] = {
        {NULL, TAGGED_BODY("10.0.0.1", "\"wan\":\"203.0.113.1\"", "", ""), "\012\0\0\1", NULL,
         "\0\1\0\1\0\120\1n\4node\3dc1"},
        {NULL, TAGGED_BODY("10.0.0.1", "\"lan_ipv4\":\"10.0.0.1\"", "", ""), "\012\0\0\1", NULL,
         "\0\1\0\1\0\120\1n\4node\3dc1"},
        {NULL, TAGGED_BODY("10.0.0.1", "\"lan_ipv6\":\"2001:db8::1\"", "", ""), "\012\0\0\1", "\x20\1\xd\xb8",
         "\0\1\0\1\0\120\x20"
         "20010db8000000000000000000000001\4addr\3dc1"},
        {NULL,
         TAGGED_BODY("10.0.0.1", "\"lan_ipv6\":\"2001:db8::1\"", "10.1.1.1",
                     TAG("lan_ipv4", "10.1.1.11", "81") "," TAG("wan", "203.0.113.9", "82")),
         "\012\1\1\013", NULL, "\0\1\0\1\0\120\0100a01010b"},
        {"dc2", TAGGED_BODY("10.2.0.1", "\"wan\":\"203.0.113.1\"", "", ""), "\313\0\161\1", NULL,
         "\0\1\0\1\0\120\010cb007101\4addr\3dc2"},
        {"dc2",
         TAGGED_BODY("10.2.0.1", "\"wan\":\"203.0.113.1\"", "10.9.9.9", TAG("wan", "203.0.113.81", "8081")),
         "\313\0\161\121", NULL, "\0\1\0\1\037\221\010cb007151"},
        {"dc2", TAGGED_BODY("10.2.0.1", "\"wan\":\"203.0.113.1\"", "10.9.9.9", ""), "\012\011\011\011", NULL,
         "\0\1\0\1\0\120\0100a090909"},
        {"dc2",
         TAGGED_BODY("10.2.0.1", "", "10.9.9.9",
                     TAG("wan", "203.0.113.82", "8082") "," TAG("wan_ipv4", "203.0.113.92", "8092") "," TAG(
                         "wan_ipv6", "2001:db8:f::92", "8093")),
         "\313\0\161\134", "\x20\1\xd\xb8",
         "\0\1\0\1\037\222\x20"
         "20010db8000f00000000000000000092"},
        {"dc2", TAGGED_BODY("10.2.0.1", "\"wan\":\"host.example\"", "", ""), NULL, NULL,
         "\0\1\0\1\0\120\4host\7example"},
    };
    f->config.translate_wan = true;
    catalog_configure(f->catalog, &f->config);
    atomic_store(&catalog_add_datacenter(f->catalog, "dc2")->held, false);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char name[64];
        nstime as_of;
        struct buf saved = {0};
        put(f, table[i].datacenter, "s", table[i].body);
        /* Read back from the disk it is the same. */
        catalog_save(f->catalog, 0, &saved);
        for (int turn = 0; turn < 2; turn++) {
            take(f);
            snprintf(name, sizeof name, "_s._tcp.service.%s.consul", i < 4 ? "dc1" : "dc2");
            const struct {
                uint16_t type;
                const char *octets;
                size_t len;
            } want[] = {{DNS_A, table[i].a, 4}, {DNS_AAAA, table[i].aaaa, 4}, {DNS_SRV, table[i].srv, 15}};
            for (size_t k = 0; k < 3; k++) {
                assert_int_equal(ask(f, name, want[k].type), DNS_NOERROR);
                if (answers(f) != (want[k].octets != NULL) ||
                    (want[k].octets && !has_octets(f, want[k].octets, want[k].len)))
                    fail_msg("row %zu, turn %d, type %u: %u answers", i, turn, want[k].type, answers(f));
            }
            if (turn == 0) {
                struct err err;
                catalog_remove_datacenter(f->catalog, "dc2");
                catalog_remove_service(f->catalog, NULL, "s");
                if (catalog_restore(f->catalog, (const char *)saved.data, saved.len, &as_of, &err) < 0)
                    fail_msg("%s", err.text);
                atomic_store(&catalog_add_datacenter(f->catalog, "dc2")->stale_from, NS_NEVER);
            }
        }
        if (table[i].datacenter)
            put(f, "dc2", "s", "[]");
        buf_free(&saved);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(names_stand_under_their_label),
        TEST(each_has_its_own_age),
        TEST(unread_is_not_absent),
        TEST(half_a_view_is_none),
        TEST(names_that_cannot_be),
        TEST(saved_and_restored),
        TEST(saved_in_steps),
        TEST(tagged_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
