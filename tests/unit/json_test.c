/* JSON from outside: nobody but us decides how much memory it takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lictor/buf.h"
#include "lictor/json.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* As many of `unit` as fit, in a list. */
static struct buf many(const char *unit, size_t octets)
{
    struct buf body = {0};
    size_t len = strlen(unit) + 1, count = octets / len;
    buf_reserve(&body, count * len + 2);
    buf_puts(&body, "[");
    buf_puts(&body, unit);
    buf_puts(&body, ",");
    for (size_t have = 1; have < count; have = body.len / len) /* doubled */
        buf_append(&body, body.data + 1, (have < count - have ? have : count - have) * len);
    body.data[body.len - 1] = ']'; /* for the last comma */
    return body;
}

static void tiny_elements_are_refused_before_they_cost(void **state)
{
    (void)state;
    static const char *const units[] = {"[]", "{}", "1", "\"\"", "{\"\":[]}"};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        struct buf body = many(units[i], 20 * 1024 * 1024);
        struct err err = {""};
        assert_null(json_load_bounded((const char *)body.data, body.len, "test", &err));
        assert_non_null(strstr(err.text, "too many values"));
        buf_free(&body);
    }
}

/* What jansson really takes is what was estimated, or less. */
static void cost_is_an_upper_bound(void **state)
{
    (void)state;
    static const char *const units[] = {"[]",
                                        "{}",
                                        "12345",
                                        "\"\"",
                                        "\"some text\"",
                                        "{\"\":[]}",
                                        "{\"a\":1,\"b\":\"c\",\"d\":null}",
                                        "[1,2,3,4,5,6,7,8,9,10]"};
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        struct buf body = many(units[i], 1024 * 1024);
        struct mallinfo2 before = mallinfo2();
        json_t *json = json_load_bounded((const char *)body.data, body.len, "test", NULL);
        struct mallinfo2 after = mallinfo2();
        assert_non_null(json);
        assert_true(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd <=
                    json_cost((const char *)body.data, body.len));
        json_decref(json);
        buf_free(&body);
    }
#else
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        assert_true(json_cost(units[i], strlen(units[i])) > strlen(units[i]));
#endif
}

static int count(void *arg, size_t number, const json_t *element, struct err *err)
{
    size_t *seen = arg;
    assert_int_equal(number, *seen);
    ++*seen;
    return json_is_false(element) ? err_set(err, "enough") : 0;
}

static void each_element(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        size_t seen;
        const char *fault;
    } table[] = {
        {"[]", 0, NULL},
        {" [ ] ", 0, NULL},
        {"null", 0, NULL},
        {"[1]", 1, NULL},
        {"[{\"a\":\"]},\\\"\"},[[1],[2]],\"x,y\" ,\n3]", 4, NULL},
        {"[\"\\\\\",\"\\\"\"]", 2, NULL},
        {"", 0, "not JSON"},
        {"{}", 0, "not a list"},
        {"7", 0, "not a list"},
        {"[", 0, "entry 0: "},
        {"[1", 1, "cut off"},
        {"[1,", 1, "entry 1: "},
        {"[1,]", 1, "entry 1: "},
        {"[,1]", 0, "entry 0: "},
        {"[1 2]", 0, "entry 0: "},
        {"[1]]", 1, "more follows"},
        {"[\"a]", 0, "entry 0: "},
        {"[\"a\\", 0, "entry 0: "},
        {"[[1}]", 0, "entry 0: "},
        {"[1,false,2]", 2, "enough"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct err err = {""};
        size_t seen = 0;
        int result = json_each(table[i].body, strlen(table[i].body), "test", count, &seen, &err);
        assert_int_equal(result, table[i].fault ? -1 : 0);
        assert_int_equal(seen, table[i].seen);
        if (table[i].fault && !strstr(err.text, table[i].fault))
            fail_msg("%s: %s", table[i].body, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiny_elements_are_refused_before_they_cost),
        cmocka_unit_test(cost_is_an_upper_bound),
        cmocka_unit_test(each_element),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
