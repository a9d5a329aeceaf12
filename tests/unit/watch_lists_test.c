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

static struct strmap *checks(const char *body)
{
    return checks_list_parse(body, strlen(body), NULL);
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

static void append(void *arg, const struct flagged *entry)
{
    buf_printf(arg, "%s%s ", entry->is_node ? "@" : "", entry->name);
}

static const char *difference(const char *before, const char *now)
{
    static struct buf out;
    struct strmap *a = before ? checks(before) : NULL, *b = checks(now);
    out.len = 0;
    checks_list_diff(a, b, append, &out);
    checks_list_free(a);
    checks_list_free(b);
    return buf_str(&out);
}

static void lists_of_checks(void **arg)
{
    (void)arg;
#define WEB1 "{\"Node\":\"n1\",\"CheckID\":\"c\",\"ServiceID\":\"web-1\",\"ServiceName\":\"Web\"}"
#define WEB2 "{\"Node\":\"n1\",\"CheckID\":\"c\",\"ServiceID\":\"web-2\",\"ServiceName\":\"web\"}"
#define DB1  "{\"Node\":\"n2\",\"CheckID\":\"c\",\"ServiceID\":\"db\",\"ServiceName\":\"db\",\"Output\":\"x\"}"
#define DB1B \
    "{\"Node\":\"n2\",\"CheckID\":\"c\",\"ServiceID\":\"db\",\"ServiceName\":\"db\",\"Output\":\"y\"}"
#define MEM "{\"Node\":\"n3\",\"CheckID\":\"mem\",\"ServiceID\":\"\",\"ServiceName\":\"\"}"
    static const struct {
        const char *before, *now, *names;
    } table[] = {
        {NULL, "[" WEB1 "]", "web "},
        {"[]", "null", ""},
        {"[" WEB1 "]", "[" WEB1 "," WEB2 "]", "web "},
        {"[" WEB1 "," DB1 "]", "[" DB1B "]", "web "},
        {"[" MEM "]", "[]", "@n3 "},
        {"[" WEB1 "]", "[" MEM "," DB1 "]", "web @n3 db "},
        {"[" WEB1 "," WEB1 "]", "[" WEB1 "]", ""},
        {"[]", "[1,\"x\",{}]", "@ "},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_string_equal(difference(table[i].before, table[i].now), table[i].names);
    struct err err;
    assert_null(checks_list_parse("{}", 2, &err));
    assert_null(checks_list_parse("x", 1, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(list_of_services), cmocka_unit_test(lists_of_checks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
