/* Whatever a broken or hostile Consul may send as JSON: bodies of the health and the catalog endpoints, and
 * the saved view. The first octet chooses. */
#include "lictor/catalog.h"
#include "lictor/log.h"
#include "lictor/rcu.h"
#include "watch/lists.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct zone_state state;

static struct catalog *new_catalog(void)
{
    static char web[] = "web", all[] = "*";
    static struct config_service policies[] = {
        {.pattern = web,
         .set = CONFIG_SERVICE_TXT | CONFIG_SERVICE_ORDER | CONFIG_SERVICE_LAST_RESORT,
         .txt = true,
         .order = CONFIG_ORDER_NEAREST,
         .last_resort = CONFIG_LAST_ALL},
        {.pattern = all, .set = CONFIG_SERVICE_LAST_RESORT, .last_resort = CONFIG_LAST_NODATA},
    };
    struct config_services config = {.enabled = true,
                                     .has_alt_domain = true,
                                     .answers = 3,
                                     .soa_expire = 86400,
                                     .service = policies,
                                     .service_count = 2};
    static uint8_t reverse[2][NAME_MAX_WIRE] = {"\7in-addr\4arpa", "\3ip6\4arpa"};
    config.reverse = reverse;
    config.reverse_count = 2;
    name_from_text("consul", NULL, config.domain, NULL);
    name_from_text("sd.example", NULL, config.alt_domain, NULL);
    return catalog_new(&config, "dc1", &state);
}

/* What was accepted is a zone that may be served. */
static void check_zones(struct catalog *catalog)
{
    struct zone *zones[CATALOG_ZONES_MAX];
    struct err err;
    size_t count = catalog_take_zones(catalog, zones);
    for (size_t i = 0; i < count; i++) {
        assert(zone_check(zones[i], &err) == 0);
        zone_unref(zones[i]);
    }
}

static void ignore(void *arg, const char *text)
{
    (void)arg;
    assert(strlen(text) <= 255);
}

static const char *after_header(struct buf *saved)
{
    return strchr(buf_str(saved), '\n');
}

/* Saved, restored and saved again: the same view. */
static void round_trip(struct catalog *catalog)
{
    struct buf first = {0}, second = {0};
    nstime as_of;
    struct err err;
    struct catalog *copy = new_catalog();
    catalog_save(catalog, 1, &first);
    assert(catalog_restore(copy, (const char *)first.data, first.len, &as_of, &err) == 0);
    check_zones(copy);
    catalog_save(copy, 1, &second);
    assert(strcmp(after_header(&first), after_header(&second)) == 0);
    catalog_free(copy);
    buf_free(&first);
    buf_free(&second);
}

static void body(const char *service, const char *text, size_t len)
{
    struct catalog *catalog = new_catalog();
    struct catalog_stats before, after;
    struct err err;
    int result = catalog_put_service(catalog, NULL, service, text, len, &err);
    assert(result >= 0 || err.text[0] != '\0');
    check_zones(catalog);
    catalog_stats(catalog, &before);
    if (result >= 0) {
        assert(catalog_put_service(catalog, NULL, service, text, len, &err) == 0);
        catalog_stats(catalog, &after);
        assert(before.edits == after.edits);
        catalog_health_text(catalog, NULL, "web", ignore, NULL);
        json_decref(catalog_services_json(catalog, NULL, NULL));
        round_trip(catalog);
        assert(catalog_put_service(catalog, NULL, service, "[]", 2, &err) >= 0);
        check_zones(catalog);
        assert(catalog_instance_count(catalog, NULL) == 0);
    }
    catalog_free(catalog);
}

static void saved_view(const char *text, size_t len)
{
    struct catalog *catalog = new_catalog();
    struct err err;
    nstime as_of;
    if (catalog_restore(catalog, text, len, &as_of, &err) < 0)
        assert(catalog_service_count(catalog, NULL) == 0 && catalog_node_count(catalog, NULL) == 0);
    check_zones(catalog);
    catalog_free(catalog);
}

static void coordinates(const char *text, size_t len)
{
    static const char web[] =
        "[{\"Node\":{\"Node\":\"n\",\"Address\":\"10.0.0.1\"},\"Service\":{\"ID\":\"w\"}}]";
    struct catalog *catalog = new_catalog();
    struct err err;
    catalog_put_service(catalog, NULL, "web", web, sizeof(web) - 1, &err);
    if (catalog_put_coordinates(catalog, "n", text, len, &err) >= 0)
        assert(catalog_put_coordinates(catalog, "n", text, len, &err) == 0);
    check_zones(catalog);
    catalog_free(catalog);
}

/* Whatever name a worker hands on. */
static void tags(const char *text, size_t len)
{
    static const char web[] =
        "[{\"Node\":{\"Node\":\"n\",\"Address\":\"10.0.0.1\"},\"Service\":{\"ID\":\"w\","
        "\"Tags\":[\"a\",\"b\",\"a.and.c\"]}}]";
    struct catalog *catalog = new_catalog();
    struct err err;
    uint8_t name[NAME_MAX_WIRE];
    char *copy = strndup(text, len);
    catalog_put_service(catalog, NULL, "web", web, sizeof(web) - 1, &err);
    if (name_from_text(copy, NULL, name, NULL) > 0) {
        name_lower(name, name);
        bool there = catalog_ask_tags(catalog, name);
        assert(catalog_ask_tags(catalog, name) == there);
    }
    check_zones(catalog);
    catalog_free(catalog);
    free(copy);
}

/* What Consul says of a name that is asked for. */
static void asked(enum ask_kind kind, const char *text, size_t len)
{
    struct catalog *catalog = new_catalog();
    for (unsigned way = 0; way < 4; way++) {
        struct catalog_asked what = {
            .kind = kind, .zone = way & 1, .service = "web", .rfc2782 = way & 2, .keep_order = way & 1};
        struct catalog_rrsets rrsets;
        struct err err = {""};
        int found = catalog_render_asked(catalog, &what, text, len, &rrsets, &err);
        assert(found >= 0 || err.text[0] != '\0');
        for (size_t i = 0; found > 0 && i < rrsets.count; i++) {
            for (size_t k = 0; k < i; k++)
                assert(piece_type(rrsets.pieces[i]) != piece_type(rrsets.pieces[k]));
            assert(piece_ttl(rrsets.pieces[i]) == rrsets.ttl);
        }
        for (size_t i = 0; found > 0 && i < rrsets.count; i++)
            piece_unref(rrsets.pieces[i]);
    }
    catalog_free(catalog);
}

static void visit(void *arg, const struct catalog_check *check)
{
    (void)arg;
    assert(check->node);
}

static void lists(const char *text, size_t len)
{
    struct err err;
    struct check_list *checks = checks_list_parse(NULL, text, len, &err);
    if (checks) {
        checks_list_diff(NULL, checks, visit, visit, NULL);
        checks_list_of_service(checks, "web", visit, NULL);
        checks_list_of_node(checks, "n", visit, NULL);
    }
    struct check_list *again = checks_list_parse(checks, text, len, &err);
    assert((again != NULL) == (checks != NULL));
    if (again)
        assert(checks_list_count(again) == checks_list_count(checks));
    checks_list_free(checks);
    checks_list_free(again);
    services_list_free(services_list_parse(text, len, &err));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    log_set_level(LOG_LEVEL_ERROR);
    const char *text = (const char *)data + 1;
    switch (data[0]) {
    case 's':
        body("web", text, size - 1);
        break;
    case 'n':
        body(NULL, text, size - 1);
        break;
    case 'c':
        coordinates(text, size - 1);
        break;
    case 'q':
        asked(ASK_QUERY, text, size - 1);
        break;
    case 'a':
        asked(ASK_CONNECT, text, size - 1);
        break;
    case 'u':
        asked(ASK_VIRTUAL, text, size - 1);
        break;
    case 't':
        tags(text, size - 1);
        break;
    case 'v':
        saved_view(text, size - 1);
        break;
    default:
        lists(text, size - 1);
    }
    rcu_barrier();
    return 0;
}
