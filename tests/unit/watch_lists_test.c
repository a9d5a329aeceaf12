/* The lists that tell where to look. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "watch/lists.h"

#include "lictor/buf.h"

#include <string.h>

static struct strmap *services(const char *body)
{
    return services_list_parse(body, strlen(body), NULL);
}

static struct check_list *checks(const char *body)
{
    return checks_list_parse(NULL, body, strlen(body), NULL);
}

static void list_of_services(void **arg)
{
    (void)arg;
    struct strmap *a =
        services("{\"consul\":[],\"Redis\":[\"x\",\"y\"],\"redis\":null,\"web\":[\"b\",\"a\"],\"\":[]}");
    struct strmap *b = services("{\"redis\":[\"y\",\"x\"],\"web\":[\"a\",\"B\"]}");
    assert_int_equal(strmap_count(a), 3);
    const struct listed *redis = strmap_gets(a, "redis"), *web = strmap_gets(a, "web");
    assert_string_equal(redis->name, "Redis");
    assert_int_equal(redis->digest, ((struct listed *)strmap_gets(b, "redis"))->digest);
    assert_int_not_equal(web->digest, ((struct listed *)strmap_gets(b, "web"))->digest);
    services_list_free(a);
    services_list_free(b);

    static const char *const bad[] = {"", "[", "[]", "1", "\"x\""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {""};
        assert_null(services_list_parse(bad[i], strlen(bad[i]), &err));
        assert_true(err.text[0] != '\0');
    }
    a = services("null");
    assert_int_equal(strmap_count(a), 0);
    services_list_free(a);
}

static void append(struct buf *out, char kind, const struct catalog_check *check)
{
    buf_printf(out, "%c%s/%s/%s@%d ", kind, check->node, check->id, check->service_id, (int)check->modified);
}

static void entered(void *arg, const struct catalog_check *check)
{
    append(arg, '+', check);
}

static void left(void *arg, const struct catalog_check *check)
{
    append(arg, '-', check);
}

static const char *difference(const char *before, const char *now)
{
    static struct buf out;
    struct check_list *a = before ? checks(before) : NULL, *b = checks(now);
    assert_non_null(b);
    out.len = 0;
    checks_list_diff(a, b, entered, left, &out);
    checks_list_free(a);
    checks_list_free(b);
    return buf_str(&out);
}

#define CHECK(node, service, id, index) \
    "{\"Node\":\"" node "\",\"CheckID\":\"c\",\"ServiceID\":\"" id "\",\"ServiceName\":\"" service \
    "\",\"Status\":\"critical\",\"ModifyIndex\":" #index "}"
#define WEB1 CHECK("n1", "Web", "web-1", 5)
#define WEB2 CHECK("n1", "web", "web-2", 6)
#define DB   CHECK("n2", "db", "db", 7)
#define DB_9 CHECK("N2", "db", "db", 9)
#define MEM  CHECK("n3", "", "", 8)

static void lists_of_checks(void **arg)
{
    (void)arg;
    static const struct {
        const char *before, *now, *want;
    } table[] = {
        {NULL, "[" WEB1 "]", "+n1/c/web-1@5 "},
        {"[]", "null", ""},
        {"[" WEB1 "]", " [ " WEB1 " , " WEB2 " ] ", "+n1/c/web-2@6 "},
        {"[" WEB1 "," DB "]", "[" DB "]", "-n1/c/web-1@5 "},
        {"[" DB "]", "[" DB_9 "]", "+N2/c/db@9 "}, /* its output */
        {"[" DB_9 "]", "[" DB "]", ""},            /* an older list */
        {"[" MEM "]", "[]", "-n3/c/@8 "},
        {"[" WEB1 "," WEB1 "]", "[" WEB1 "]", ""},
        {NULL, "[" DB "," DB_9 "," DB "]", "+N2/c/db@9 "},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_string_equal(difference(table[i].before, table[i].now), table[i].want);

    static const char *const bad[] = {"",
                                      "{}",
                                      "x",
                                      "[1]",
                                      "[\"x\"]",
                                      "[{}]",
                                      "[,]",
                                      "[" DB,
                                      "[" DB ",",
                                      "[" DB "]x",
                                      "[" DB " " DB "]",
                                      "[{]}",
                                      "[{\"Node\":\"n\",\"CheckID\":1}]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {""};
        assert_null(checks_list_parse(NULL, bad[i], strlen(bad[i]), &err));
        assert_true(err.text[0] != '\0');
    }
}

static void checks_of_an_owner(void **arg)
{
    (void)arg;
    struct buf out = {0};
    struct check_list *list = checks("[" WEB1 "," DB "," MEM "," WEB2 "]");
    assert_int_equal(checks_list_count(list), 4);
    checks_list_of_service(list, "web", entered, &out);
    assert_string_equal(buf_str(&out), "+n1/c/web-2@6 +n1/c/web-1@5 ");
    out.len = 0;
    checks_list_of_node(list, "N3", entered, &out);
    assert_string_equal(buf_str(&out), "+n3/c/@8 ");
    out.len = 0;
    checks_list_of_node(list, "n1", entered, &out); /* those of its instances are not its own */
    checks_list_of_service(list, "nosuch", entered, &out);
    checks_list_of_service(NULL, "web", entered, &out);
    assert_string_equal(buf_str(&out), "");
    checks_list_free(list);
    buf_free(&out);
}

#define ENTRY(node, id, index) \
    "{\"Node\":\"" node "\",\"CheckID\":\"" id "\",\"Status\":\"critical\",\"ModifyIndex\":" index "}"

/* What a list takes from the one before it is what it would have read. */
static void lists_in_a_row(void **arg)
{
    (void)arg;
    static const char *const bodies[] = {
        "[" ENTRY("n", "a", "1") "," ENTRY("n", "b", "1") "]",
        "[" ENTRY("n", "b", "1") ", " ENTRY("n", "a", "2") "]",
        /* One of them twice: the newer one counts, whichever came first. */
        "[" ENTRY("n", "a", "2") "," ENTRY("n", "a", "3") "," ENTRY("N", "b", "1") "]",
        "[" ENTRY("n", "a", "2") "," ENTRY("n", "b", "1") "]",
        "[" ENTRY("n", "a", "3") "]",
        "[]",
        "[" ENTRY("n", "a", "3") "]",
    };
    struct check_list *before = NULL;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct check_list *now = checks_list_parse(before, bodies[i], strlen(bodies[i]), NULL);
        struct check_list *afresh = checks(bodies[i]);
        checks_list_free(before); /* those that stayed outlive it */
        struct buf difference = {0};
        assert_int_equal(checks_list_count(now), checks_list_count(afresh));
        for (size_t k = 0; k < checks_list_count(now); k++) {
            append(&difference, '=', &checks_list_all(now)[k]);
            size_t len = difference.len;
            append(&difference, '=', &checks_list_all(afresh)[k]);
            assert_int_equal(difference.len, 2 * len);
            assert_memory_equal(difference.data, difference.data + len, len);
            difference.len = 0;
        }
        buf_free(&difference);
        checks_list_free(afresh);
        before = now;
    }
    checks_list_free(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(list_of_services), cmocka_unit_test(lists_in_a_row),
                                       cmocka_unit_test(lists_of_checks),
                                       cmocka_unit_test(checks_of_an_owner)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
