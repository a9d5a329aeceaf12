/* `watch = "asked"`: which names are asked for, which do not exist, and who was asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lictor/answer.h"
#include "lictor/catalog.h"
#include "lictor/dns.h"
#include "lictor/strmap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY(status) \
    "[{\"Node\":{\"Node\":\"n\",\"Address\":\"10.0.0.1\"},\"Service\":{\"Service\":\"s\",\"ID\":\"s\"," \
    "\"Address\":\"\",\"Port\":80,\"Tags\":[\"v1\"]},\"Checks\":[{\"CheckID\":\"c\",\"Name\":\"c\"," \
    "\"ServiceID\":\"\",\"Status\":\"" status "\"}]}]"

struct fixture {
    struct config_services config;
    struct zone_state state;
    struct catalog *catalog;
    struct zone *zone;
    struct buf used;
};

static int set_up(void **arg)
{
    struct fixture *f = calloc(1, sizeof *f);
    name_from_text("consul", NULL, f->config.domain, NULL);
    f->config.watch_asked = true;
    f->state.stale_from = f->state.dead_from = NS_NEVER;
    f->catalog = catalog_new(&f->config, "dc1", &f->state);
    *arg = f;
    return 0;
}

static int tear_down(void **arg)
{
    struct fixture *f = *arg;
    if (f->zone)
        zone_unref(f->zone);
    catalog_free(f->catalog);
    zone_reap();
    buf_free(&f->used);
    free(f);
    return 0;
}

static void take(struct fixture *f)
{
    struct zone *zones[CATALOG_ZONES_MAX];
    if (catalog_take_zones(f->catalog, zones) == 0)
        return;
    if (f->zone)
        zone_unref(f->zone);
    f->zone = zones[0];
}

static void put_names(struct fixture *f, const char *const *names)
{
    struct strmap *map = strmap_new();
    for (; *names; names++)
        strmap_puts(map, *names, map);
    catalog_put_names(f->catalog, map);
    strmap_free(map, NULL);
}

static void put(struct fixture *f, const char *service, const char *body)
{
    assert_true(catalog_put_service(f->catalog, NULL, service, body, strlen(body), NULL) >= 0);
    take(f);
}

/* "ask NAME", "exists" or "-". */
static const char *missed(struct fixture *f, const char *question)
{
    static char out[NAME_MAX_TEXT + 8];
    uint8_t name[NAME_MAX_WIRE];
    struct zone_computed computed;
    assert_true(name_from_text(question, NULL, name, NULL) > 0);
    int result = zone_miss(f->zone, name, &computed);
    if (result == 0)
        return "-";
    if (result != ZONE_ASK || computed.ask != ASK_SERVICE)
        return "exists";
    char text[NAME_MAX_TEXT];
    assert_int_equal(computed.len, name_len(computed.data));
    snprintf(out, sizeof out, "ask %s", name_to_text(computed.data, text));
    return out;
}

static void names_are_asked_for(void **arg)
{
    struct fixture *f = *arg;
    static const struct {
        const char *question, *before, *after;
    } table[] = {
        {"web.service.consul", "ask web.", "ask web."},
        {"web.service.dc1.consul", "ask web.", "ask web."},
        {"v1.web.service.consul", "ask web.", "ask web."},
        {"a.b.c.web.service.consul", "ask web.", "ask web."},
        {"_web._tcp.service.consul", "ask web.", "ask web."},
        {"_web._tcp.consul", "ask web.", "ask web."},
        {"_web._tcp.dc1.consul", "ask web.", "ask web."},
        {"x.y.service.consul", "ask y.", "ask x.y."},
        {"t.x.y.service.consul", "ask y.", "ask x.y."},
        {"z.y.service.consul", "ask y.", "-"},
        {"nosuch.service.consul", "ask nosuch.", "-"},
        {"_no._tcp.service.consul", "ask no.", "-"},
        {"service.consul", "exists", "exists"},
        {"dc1.consul", "exists", "exists"},
        {"web.service.dc9.consul", "-", "-"},
        {"web.node.consul", "-", "-"},
        {"web.consul", "-", "-"},
        {"1.2.3.4.5.6.7.8.9.web.service.consul", "ask web.", "ask web."},
    };
    take(f);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(missed(f, table[i].question), table[i].before) != 0)
            fail_msg("%s, without a list: %s", table[i].question, missed(f, table[i].question));
    put_names(f, (const char *const[]){"web", "x.y", NULL});
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(missed(f, table[i].question), table[i].after) != 0)
            fail_msg("%s, with the list: %s", table[i].question, missed(f, table[i].question));
    /* What is watched and yet not there does not exist; that lasts over a new list. */
    put(f, "web", BODY("critical"));
    catalog_set_watched(f->catalog, "web", true);
    assert_string_equal(missed(f, "web.service.consul"), "-");
    put_names(f, (const char *const[]){"web", "more", NULL});
    assert_string_equal(missed(f, "v1.web.service.consul"), "-");
    assert_string_equal(missed(f, "more.service.consul"), "ask more.");
    assert_string_equal(missed(f, "x.y.service.consul"), "-");
    catalog_set_watched(f->catalog, "web", false);
    assert_string_equal(missed(f, "web.service.consul"), "ask web.");
}

static void note(void *arg, const char *service)
{
    buf_printf(arg, "%s ", service);
}

static const char *used(struct fixture *f)
{
    f->used.len = 0;
    buf_puts(&f->used, "");
    catalog_take_used(f->catalog, note, &f->used);
    return f->used.len ? buf_str(&f->used) : "";
}

static void answer_one(struct fixture *f, const char *owner)
{
    uint8_t name[NAME_MAX_WIRE], out[512];
    struct piece_window window;
    struct rng rng;
    rng_seed(&rng);
    name_from_text(owner, NULL, name, NULL);
    const struct piece *piece = zone_get(f->zone, name, DNS_A);
    assert_non_null(piece);
    piece_copy(piece, &rng, 0, out, sizeof out, &window);
}

static void who_was_asked(void **arg)
{
    struct fixture *f = *arg;
    put_names(f, (const char *const[]){"a", "b", "down", NULL});
    put(f, "a", BODY("passing"));
    put(f, "b", BODY("passing"));
    put(f, "down", BODY("critical"));
    catalog_set_watched(f->catalog, "down", true);
    assert_string_equal(used(f), "");
    answer_one(f, "v1.b.service.dc1.consul");
    assert_string_equal(used(f), "b ");
    assert_string_equal(used(f), "");
    answer_one(f, "a.service.consul");
    assert_string_equal(missed(f, "down.service.consul"), "-");
    assert_string_equal(used(f), "a down ");
    assert_string_equal(used(f), "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(names_are_asked_for), TEST(who_was_asked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
