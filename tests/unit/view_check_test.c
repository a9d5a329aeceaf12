/* Lists of checks against views: which state counts, what is gone, what is older. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "catalog/view.h"
#include "watch/internal.h"
#include "watch/lists.h"

#include <stdio.h>
#include <string.h>

#define ENTRY(node, id, checks) \
    "{\"Node\":{\"Node\":\"" node \
    "\",\"Address\":\"10.0.0.1\"},\"Service\":{\"Service\":\"web\",\"ID\":\"" id "\"},\"Checks\":[" checks \
    "]}"
#define CHECK(id, service_id, status, index) \
    "{\"CheckID\":\"" id "\",\"Name\":\"" id "\",\"ServiceID\":\"" service_id "\",\"Status\":\"" status \
    "\",\"Output\":\"was\",\"ModifyIndex\":" #index "}"

static struct view *view_of(const char *body, uint64_t index)
{
    struct view_faults faults = {0};
    struct err err = {""};
    struct view *view = view_parse(body, strlen(body), false, &faults, &err);
    assert_non_null(view);
    view->index = index;
    return view;
}

static struct catalog_check check(const char *node, const char *id, const char *service_id,
                                  const char *status, uint64_t modified)
{
    return (struct catalog_check){.node = node,
                                  .id = id,
                                  .name = id,
                                  .service_id = service_id,
                                  .service = service_id[0] ? "web" : "",
                                  .status = status,
                                  .output = "now",
                                  .modified = modified};
}

static char *text_of(const struct view *view)
{
    static char text[512];
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < view->instance_count; i++) {
        const struct view_instance *instance = &view->instances[i];
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s/%s=%u", view_text(view, instance->node),
                               view_text(view, instance->id), instance->state);
        for (uint32_t c = instance->first_check; c < instance->first_check + instance->check_count; c++)
            at += (size_t)snprintf(
                text + at, sizeof(text) - at, "%c%s:%u@%d", c == instance->first_check ? '(' : ' ',
                view_text(view, view->checks[c].id), view->checks[c].status, (int)view->modified[c]);
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s ", instance->check_count ? ")" : "");
    }
    return text;
}

#define BODY \
    "[" ENTRY("a", "w1", CHECK("disk", "", "passing", 5) "," CHECK("c", "w1", "passing", 7)) "," ENTRY( \
        "a", "w2", CHECK("disk", "", "passing", 5)) "," ENTRY("b", "w1", CHECK("c", "w1", "warning", 8)) "]"

static void the_higher_index_counts(void **state)
{
    (void)state;
    static const struct {
        const char *node, *id, *service_id, *status;
        uint64_t modified;
        int result;
        const char *want;
    } table[] = {
        /* newer, the same, older */
        {"a", "c", "w1", "critical", 9, 1, "a/w1=2(disk:0@5 c:2@9) a/w2=0(disk:0@5) b/w1=1(c:1@8) "},
        {"a", "c", "w1", "critical", 7, 0, "a/w1=0(disk:0@5 c:0@7) a/w2=0(disk:0@5) b/w1=1(c:1@8) "},
        {"a", "c", "w1", "critical", 6, 0, "a/w1=0(disk:0@5 c:0@7) a/w2=0(disk:0@5) b/w1=1(c:1@8) "},
        /* the node's own counts for all its instances, whatever the case of its name */
        {"A", "disk", "", "warning", 11, 1, "a/w1=1(disk:1@11 c:0@7) a/w2=1(disk:1@11) b/w1=1(c:1@8) "},
        /* one that the body does not have: newer than the body, or gone before it */
        {"a", "new", "w2", "critical", 11, 1,
         "a/w1=0(disk:0@5 c:0@7) a/w2=2(disk:0@5 new:2@11) b/w1=1(c:1@8) "},
        {"a", "old", "w2", "critical", 10, 0, "a/w1=0(disk:0@5 c:0@7) a/w2=0(disk:0@5) b/w1=1(c:1@8) "},
        {"b", "new", "", "critical", 12, 1,
         "a/w1=0(disk:0@5 c:0@7) a/w2=0(disk:0@5) b/w1=2(c:1@8 new:2@12) "},
        /* instances that are not here */
        {"b", "c", "w2", "critical", 12, -1, "a/w1=0(disk:0@5 c:0@7) a/w2=0(disk:0@5) b/w1=1(c:1@8) "},
        {"c", "disk", "", "critical", 12, -1, "a/w1=0(disk:0@5 c:0@7) a/w2=0(disk:0@5) b/w1=1(c:1@8) "},
        /* a service's check is not the node's of the same ID */
        {"a", "disk", "w1", "critical", 12, 1,
         "a/w1=2(disk:0@5 c:0@7 disk:2@12) a/w2=0(disk:0@5) b/w1=1(c:1@8) "},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct view *view = view_of(BODY, 10);
        struct catalog_check news =
            check(table[i].node, table[i].id, table[i].service_id, table[i].status, table[i].modified);
        assert_int_equal(view_apply_check(view, &news), table[i].result);
        assert_string_equal(text_of(view), table[i].want);
        assert_int_equal(view_apply_check(view, &news), table[i].result < 0 ? -1 : 0);
        view_free(view);
    }
}

static void all_checks_of_a_node(void **state)
{
    (void)state;
    bool unclear;
    struct view *view = view_of(BODY, 10);
    struct catalog_check all[] = {check("a", "disk", "", "passing", 5),
                                  check("a", "c", "w1", "critical", 12)};
    assert_int_equal(view_apply_node(view, "a", all, 2, 12, &unclear), 1);
    assert_false(unclear);
    assert_string_equal(text_of(view), "a/w1=2(disk:0@5 c:2@12) a/w2=0(disk:0@5) b/w1=1(c:1@8) ");

    /* The node's check is gone; that of w1 too, and perhaps w1 with it. */
    struct catalog_check other[] = {check("a", "alive", "", "passing", 5)};
    assert_int_equal(view_apply_node(view, "a", other, 1, 13, &unclear), 1);
    assert_true(unclear);
    assert_string_equal(text_of(view), "a/w1=2(c:2@12) a/w2=0 b/w1=1(c:1@8) ");
    view_free(view);

    /* No check of the node itself: they may be hidden from the token. */
    view = view_of(BODY, 10);
    assert_int_equal(view_apply_node(view, "a", &all[1], 1, 13, &unclear), 1);
    assert_true(unclear);
    assert_string_equal(text_of(view), "a/w1=2(disk:0@5 c:2@12) a/w2=0(disk:0@5) b/w1=1(c:1@8) ");
    view_free(view);

    /* The list is older than the check. */
    view = view_of(BODY, 10);
    assert_int_equal(view_apply_node(view, "a", other, 1, 4, &unclear), 0);
    assert_false(unclear);
    view_free(view);
}

static void what_left_a_list(void **state)
{
    (void)state;
    struct view *view = view_of(BODY, 10);
    static const struct {
        const char *node, *id, *service_id;
        uint64_t modified;
        bool behind;
    } table[] = {
        {"a", "c", "w1", 7, true},     {"a", "c", "w1", 9, true},     {"a", "c", "w1", 6, false},
        {"a", "gone", "w1", 9, false}, {"a", "gone", "w1", 10, true}, {"a", "gone", "w9", 20, false},
        {"A", "disk", "", 5, true},    {"a", "disk", "", 4, false},   {"c", "disk", "", 9, false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct catalog_check left =
            check(table[i].node, table[i].id, table[i].service_id, "critical", table[i].modified);
        assert_int_equal(view_is_behind(view, &left), table[i].behind);
    }
    view_forget_indexes(view);
    struct catalog_check any = check("a", "c", "w1", "critical", 1);
    assert_int_equal(view_apply_check(view, &any), 1);
    view_free(view);
}

/* A node's check moves only the services that have an instance there. */
static void which_body_is_older(void **state)
{
    (void)state;
    struct view *view = view_of(BODY, 10), *without_a = view_of("[" ENTRY("b", "w1", "") "]", 11);
    assert_int_equal(view_newest(view, view), 10);
    struct catalog_check disk = check("a", "disk", "", "critical", 15);
    view_apply_check(view, &disk);
    assert_int_equal(view_newest(view, view), 15);
    assert_int_equal(view_newest(view, without_a), 10);
    struct catalog_check own = check("a", "c", "w1", "critical", 14);
    view_apply_check(view, &own);
    assert_int_equal(view_newest(view, without_a), 14);
    view_free(view);
    view_free(without_a);
}

/* A reply that others overtook: dropped, and what to expect of the next one is told. */
static bool is_older(struct catalog *catalog, uint64_t index, uint64_t *known)
{
    struct catalog_update *update = catalog_update_parse(catalog, NULL, "Web", BODY, strlen(BODY), NULL);
    catalog_update_index(update, index);
    bool older = catalog_update_is_older(update, known);
    if (older)
        catalog_update_free(update);
    else
        catalog_update_apply(update);
    return older;
}

static void overtaken_bodies_are_dropped(void **state)
{
    (void)state;
    struct config_services config = {.enabled = true, .answers = 40};
    struct zone_state zone = {0};
    uint64_t known;
    name_from_text("consul", NULL, config.domain, NULL);
    struct catalog *catalog = catalog_new(&config, "dc1", &zone);
    assert_false(is_older(catalog, 20, &known));
    assert_true(is_older(catalog, 19, &known));
    assert_int_equal(known, 20);
    assert_false(is_older(catalog, 20, &known));
    assert_false(is_older(catalog, 0, &known)); /* no index: nothing to compare */
    assert_false(is_older(catalog, 21, &known));
    struct catalog_check news = check("a", "c", "w1", "critical", 30);
    assert_int_equal(catalog_put_check(catalog, NULL, &news), 1);
    assert_true(is_older(catalog, 29, &known));
    assert_int_equal(known, 30);
    catalog_forget_indexes(catalog, NULL);
    assert_false(is_older(catalog, 12, &known));
    catalog_free(catalog);
}

/* The lists knew it before the registration did: they keep it until that is read. */
static void lists_keep_what_is_not_known_yet(void **state)
{
    (void)state;
    static const char list[] =
        "[{\"Node\":\"A\",\"CheckID\":\"c\",\"ServiceID\":\"w1\",\"ServiceName\":\"web\","
        "\"Status\":\"critical\",\"ModifyIndex\":25},"
        "{\"Node\":\"b\",\"CheckID\":\"disk\",\"Status\":\"critical\",\"ModifyIndex\":26},"
        "{\"Node\":\"a\",\"CheckID\":\"disk\",\"Status\":\"critical\",\"ModifyIndex\":4}]";
    struct config_services config = {.enabled = true, .answers = 40};
    struct zone_state zone = {0};
    name_from_text("consul", NULL, config.domain, NULL);
    struct watch watch = {.config.catalog = catalog_new(&config, "dc1", &zone)};
    watch.checks[SENTINEL_CRITICAL] = checks_list_parse(NULL, list, strlen(list), NULL);
    struct catalog_update *update =
        catalog_update_parse(watch.config.catalog, NULL, "web", BODY, strlen(BODY), NULL);
    catalog_update_index(update, 20);
    checks_merge(&watch, "web", update);
    catalog_update_apply(update);
    struct catalog_health health;
    assert_int_equal(catalog_service_health(watch.config.catalog, NULL, "web", &health), 1);
    assert_int_equal(health.critical, 2);
    assert_int_equal(health.passing, 1);
    checks_list_free(watch.checks[SENTINEL_CRITICAL]);
    catalog_free(watch.config.catalog);
}

static void what_is_missing_is_kept(void **state)
{
    (void)state;
    struct view *old = view_of(BODY, 10);
    struct view *body =
        view_of("[" ENTRY("a", "w2", CHECK("disk", "", "critical", 12)) "," ENTRY("a", "w3", "") "]", 12);
    struct view *all = view_keep(body, old);
    assert_string_equal(text_of(all), "a/w1=0(disk:0@5 c:0@7) a/w2=2(disk:2@12) a/w3=0 b/w1=1(c:1@8) ");
    assert_int_equal(all->index, 12);
    view_free(all);
    struct view *none = view_keep(view_of("[]", 13), old);
    assert_string_equal(text_of(none), "a/w1=0(disk:0@5 c:0@7) a/w2=0(disk:0@5) b/w1=1(c:1@8) ");
    view_free(none);
    view_free(old);
}

static void outputs_do_not_pile_up(void **state)
{
    (void)state;
    struct view *view = view_of(BODY, 10);
    for (unsigned i = 0; i < 20000; i++) {
        char output[100];
        snprintf(output, sizeof(output), "%u: connection refused by the instance, and so on and so forth", i);
        struct catalog_check news = check("a", "c", "w1", "critical", 20 + i);
        news.output = output;
        assert_int_equal(view_apply_check(view, &news), 1);
    }
    assert_in_range(view->pool_len, 1, 40000);
    assert_string_equal(text_of(view), "a/w1=2(disk:0@5 c:2@20019) a/w2=0(disk:0@5) b/w1=1(c:1@8) ");
    view_free(view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_higher_index_counts),
        cmocka_unit_test(all_checks_of_a_node),
        cmocka_unit_test(what_left_a_list),
        cmocka_unit_test(which_body_is_older),
        cmocka_unit_test(overtaken_bodies_are_dropped),
        cmocka_unit_test(lists_keep_what_is_not_known_yet),
        cmocka_unit_test(what_is_missing_is_kept),
        cmocka_unit_test(outputs_do_not_pile_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
