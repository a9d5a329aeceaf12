/* The pure parts of the Consul client: texts, JSON, headers, addresses, backoff. */
#include "consul/backoff.h"
#include "consul/endpoint.h"
#include "consul/reply.h"
#include "consul/token.h"
#include "lictor/consul.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_base64(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *text;
    } good[] = {{"", ""},
                {"f", "Zg=="},
                {"fo", "Zm8="},
                {"foo", "Zm9v"},
                {"foob", "Zm9vYg=="},
                {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"},
                {"\xff\xfe\xfb", "//77"}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct buf text = {0}, raw = {0};
        consul_base64_encode(good[i].raw, strlen(good[i].raw), &text);
        assert_string_equal(buf_str(&text), good[i].text);
        assert_int_equal(consul_base64_decode(good[i].text, &raw), 0);
        assert_string_equal(buf_str(&raw), good[i].raw);
        buf_free(&text);
        buf_free(&raw);
    }
    static const char *const bad[] = {"Z",     "Zg",   "Zg=",  "Zh==",       "Zm9=",    "Zg==Zg==",
                                      "=",     "====", "Z===", "Zm9v\n",     " Zm9v",   "Zm-_",
                                      "Zm9v=", "Z=g=", "Zm 9", "\xc3\xa4==", "Zm9vZg=x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf raw = {0};
        buf_puts(&raw, "kept");
        if (consul_base64_decode(bad[i], &raw) == 0)
            fail_msg("\"%s\" was decoded", bad[i]);
        assert_string_equal(buf_str(&raw), "kept");
        buf_free(&raw);
    }
}

static void test_escape(void **state)
{
    (void)state;
    static const struct {
        const char *text, *escaped, *in_path;
    } table[] = {
        {"web-1.x_y~", "web-1.x_y~", "/p/web-1.x_y~?q"},
        {"a/b c", "a%2Fb%20c", "/p/a/b%20c?q"},
        {"?&=#%+", "%3F%26%3D%23%25%2B", "/p/%3F%26%3D%23%25%2B?q"},
        {"\xc3\xa4\n", "%C3%A4%0A", "/p/%C3%A4%0A?q"},
        {"", "", "/p/?q"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char *escaped = consul_escape(table[i].text);
        assert_string_equal(escaped, table[i].escaped);
        free(escaped);
        char *path = consul_path("/p/", table[i].text, "q");
        assert_string_equal(path, table[i].in_path);
        free(path);
    }
    char *path = consul_path("/v1/kv/", "a", NULL);
    assert_string_equal(path, "/v1/kv/a");
    free(path);
}

static void assert_json(json_t *json, const char *expected)
{
    char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
    json_decref(json);
}

static void test_builders(void **state)
{
    (void)state;
    assert_json(consul_txn_op("lock", "k", "v\0w", 3, "sid", 0),
                "{\"KV\":{\"Verb\":\"lock\",\"Key\":\"k\",\"Value\":\"dgB3\",\"Session\":\"sid\"}}");
    assert_json(consul_txn_op("check-index", "k", NULL, 0, NULL, 7),
                "{\"KV\":{\"Verb\":\"check-index\",\"Key\":\"k\",\"Index\":7}}");
    assert_json(consul_txn_op("set", "k", "", 0, NULL, 0),
                "{\"KV\":{\"Verb\":\"set\",\"Key\":\"k\",\"Value\":\"\"}}");
    assert_json(consul_txn_op("get", "\xff", NULL, 0, NULL, 0), "{\"KV\":{\"Verb\":\"get\",\"Key\":\"?\"}}");
    assert_json(consul_session_json("n", "c", 10 * NS_PER_S),
                "{\"Name\":\"n\",\"NodeChecks\":[\"serfHealth\"],\"ServiceChecks\":[{\"ID\":\"c\"}],"
                "\"TTL\":\"10000ms\",\"LockDelay\":\"0s\",\"Behavior\":\"release\"}");
    const char *tags[] = {"standby"};
    struct consul_service service = {.id = "i",
                                     .name = "lictor",
                                     .tags = tags,
                                     .tag_count = 1,
                                     .port = 53,
                                     .check_id = "c",
                                     .check_ttl = 500 * NS_PER_MS,
                                     .check_status = "passing",
                                     .deregister_after = 60 * NS_PER_S};
    assert_json(
        consul_service_json(&service),
        "{\"ID\":\"i\",\"Name\":\"lictor\",\"Tags\":[\"standby\"],\"Port\":53,\"Check\":{\"CheckID\":\"c\","
        "\"Name\":\"c\",\"TTL\":\"500ms\",\"Status\":\"passing\",\"DeregisterCriticalServiceAfter\":"
        "\"60000ms\"}}");
}

static struct buf text_buf(const char *text)
{
    struct buf buf = {0};
    buf_puts(&buf, text);
    return buf;
}

static void test_kv(void **state)
{
    (void)state;
    struct consul_kv *list;
    size_t count;
    struct err err = {0};
    struct buf body = text_buf("[{\"LockIndex\":1,\"Key\":\"a\",\"Flags\":42,\"Value\":\"aGk=\","
                               "\"CreateIndex\":10,\"ModifyIndex\":12,"
                               "\"Session\":\"adf4238a-882b-9ddc-4a9d-5b6758e4159e\"},{\"Key\":\"b\","
                               "\"Value\":null,\"ModifyIndex\":-3}]");
    assert_int_equal(consul_kv_parse(&body, &list, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_string_equal(list[0].key, "a");
    assert_string_equal(buf_str(&list[0].value), "hi");
    assert_string_equal(list[0].session, "adf4238a-882b-9ddc-4a9d-5b6758e4159e");
    assert_int_equal(list[0].create_index, 10);
    assert_int_equal(list[0].modify_index, 12);
    assert_int_equal(list[0].lock_index, 1);
    assert_int_equal(list[0].flags, 42);
    assert_string_equal(list[1].session, "");
    assert_int_equal(list[1].value.len, 0);
    assert_int_equal(list[1].modify_index, 0);
    consul_kv_free(list, count);
    buf_free(&body);

    body =
        text_buf("{\"Results\":[{\"KV\":{\"Key\":\"a\",\"Value\":null,\"ModifyIndex\":9}}],\"Errors\":null}");
    assert_int_equal(consul_txn_parse(&body, &list, &count, &err), 0);
    assert_int_equal(count, 1);
    assert_int_equal(list[0].modify_index, 9);
    consul_kv_free(list, count);
    buf_free(&body);

    static const struct {
        const char *body, *error;
    } bad[] = {
        {"", "not JSON"},
        {"[", "not JSON"},
        {"{}", "not a list"},
        {"[1]", "without a Key"},
        {"[{\"Key\":7}]", "without a Key"},
        {"[{\"Key\":\"a\",\"Value\":\"x\"}]", "not base64"},
        {"[{\"Key\":\"ok\"},{\"Key\":\"a\",\"Session\":\"../..\"}]", "not a session ID"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        body = text_buf(bad[i].body);
        assert_int_equal(consul_kv_parse(&body, &list, &count, &err), -1);
        if (!strstr(err.text, bad[i].error))
            fail_msg("%s: got \"%s\"", bad[i].body, err.text);
        buf_free(&body);
    }
    /* Nesting deeper than the stack must not be followed. */
    for (int i = 0; i < 100000; i++)
        buf_puts(&body, "[");
    assert_null(consul_json(&body, &err));
    buf_free(&body);

    char id[CONSUL_SESSION_SIZE];
    body = text_buf("{\"ID\": \"adf4238a-882b-9ddc-4a9d-5b6758e4159e\"}");
    assert_int_equal(consul_session_parse(&body, id, &err), 0);
    assert_string_equal(id, "adf4238a-882b-9ddc-4a9d-5b6758e4159e");
    buf_free(&body);
    body = text_buf("{\"ID\":\"short\"}");
    assert_int_equal(consul_session_parse(&body, id, &err), -1);
    assert_false(consul_is_true(&body));
    buf_free(&body);
    body = text_buf("true\n");
    assert_true(consul_is_true(&body));
    buf_free(&body);
}

static void test_headers(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        struct reply_head expected;
    } table[] = {
        {"HTTP/1.1 200 OK\nX-Consul-Index: 55\nX-Consul-Knownleader: true\nX-Consul-Lastcontact: 12",
         {.index = 55, .known_leader = true, .last_contact_ms = 12}},
        {"HTTP/2 200\nx-consul-index:7\nx-consul-knownleader: false\nx-consul-results-filtered-by-acls: "
         "true\r",
         {.index = 7, .filtered_by_acl = true}},
        {"HTTP/1.1 100 Continue\nX-Consul-Index: 9\nHTTP/1.1 200 OK\nX-Consul-Knownleader: TRUE",
         {.known_leader = true}},
        {"Date: Sat, 21 Nov 2026 21:33:07 GMT\r", {.date = 1795296787}},
        {"Date: Sat, 21 Nov 2026 21:33:07 GMT+1", {0}},
        {"Date: 1795296787", {0}},
        {"X-Consul-Index: -1", {0}},
        {"X-Consul-Index: 12x", {0}},
        {"X-Consul-Index: 1 2", {0}},
        {"X-Consul-Index: 18446744073709551615", {.index = UINT64_MAX}},
        {"X-Consul-Index: 18446744073709551616", {0}},
        {"X-Consul-Lastcontact: 18446744073709551615", {.last_contact_ms = INT64_MAX}},
        {"X-Consul-Index", {0}},
        {"X-Consul-IndexX: 5\nX-Consul-Inde: 5\n: 5", {0}},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct reply_head head = {0};
        const char *line = table[i].lines;
        while (*line) {
            size_t len = strcspn(line, "\n");
            assert_int_equal(reply_header(&head, line, len), 0);
            line += len + (line[len] == '\n');
        }
        assert_true(head.index == table[i].expected.index);
        assert_int_equal(head.known_leader, table[i].expected.known_leader);
        assert_true(head.last_contact_ms == table[i].expected.last_contact_ms);
        assert_int_equal(head.filtered_by_acl, table[i].expected.filtered_by_acl);
        assert_true(head.date == table[i].expected.date);
    }
    struct reply_head head = {0};
    char line[1024];
    memset(line, 'x', sizeof line);
    for (size_t i = 0; i < REPLY_HEAD_MAX / sizeof line; i++)
        assert_int_equal(reply_header(&head, line, sizeof line), 0);
    assert_int_equal(reply_header(&head, line, 1), -1);
}

static void test_error_text(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body, *text;
    } table[] = {
        {500, "No cluster leader", "No cluster leader"},
        {500, "\n  first\nsecond", "first"},
        {403, "red \x1b[31m \xc3\xa4", "red ?[31m ??"},
        {404, "", "HTTP status 404 without a text"},
        {404, " \n", "HTTP status 404 without a text"},
        {409, "{\"Results\":null,\"Errors\":[{\"OpIndex\":2,\"What\":\"failed session\\ncheck\"}]}",
         "operation 2: failed session"},
        {409, "{\"Errors\":[]}", "{\"Errors\":[]}"},
        {409, "Conflict", "Conflict"},
    };
    char out[REPLY_ERROR_SIZE];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        reply_error_text(table[i].status, table[i].body, strlen(table[i].body), out);
        assert_string_equal(out, table[i].text);
    }
    reply_error_text(500, NULL, 0, out);
    assert_string_equal(out, "HTTP status 500 without a text");
    char longer[1000];
    memset(longer, 'y', sizeof longer);
    reply_error_text(500, longer, sizeof longer, out);
    assert_int_equal(strlen(out), REPLY_ERROR_SIZE - 1);
}

static void test_backoff(void **state)
{
    (void)state;
    static const struct {
        unsigned failures;
        int status;
        nstime middle;
    } table[] = {
        {0, 0, 100 * NS_PER_MS}, {1, 500, 200 * NS_PER_MS},     {6, 0, 6400 * NS_PER_MS},
        {7, 0, 10 * NS_PER_S},   {1000000, 429, 10 * NS_PER_S}, {0, 403, 5 * NS_PER_S},
        {1, 400, 10 * NS_PER_S}, {9, 403, 60 * NS_PER_S},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(backoff_middle(table[i].failures, table[i].status), table[i].middle);
        nstime least = NS_NEVER, most = 0;
        for (int k = 0; k < 1000; k++) {
            nstime delay = consul_backoff(table[i].failures, table[i].status);
            least = delay < least ? delay : least;
            most = delay > most ? delay : most;
        }
        assert_true(least >= table[i].middle / 2 && least < table[i].middle * 6 / 10);
        assert_true(most < table[i].middle * 3 / 2 && most > table[i].middle * 14 / 10);
    }
}

static void test_token_bucket(void **state)
{
    (void)state;
    struct token_bucket bucket;
    nstime now = 1000 * NS_PER_S;
    token_bucket_init(&bucket, 10, 2, now);
    assert_int_equal(token_bucket_take(&bucket, 1, now), 0);
    assert_int_equal(token_bucket_take(&bucket, 1, now), 0);
    /* Each round after the burst waits a tenth of a second. */
    for (int i = 0; i < 20; i++) {
        nstime wait = token_bucket_take(&bucket, 1, now);
        assert_in_range(wait, 99 * NS_PER_MS, 101 * NS_PER_MS);
        now += wait;
    }
    now += 3600 * NS_PER_S; /* no more than the burst is saved up */
    assert_int_equal(token_bucket_take(&bucket, 1, now), 0);
    assert_int_equal(token_bucket_take(&bucket, 1, now), 0);
    assert_true(token_bucket_take(&bucket, 1, now) > 0);
    /* Rounds that were given up do not pile up debt. */
    for (int i = 0; i < 100; i++)
        assert_true(token_bucket_take(&bucket, 1, now) <= 101 * NS_PER_MS);
    /* A dear round waits for all of its cost. */
    now += 3600 * NS_PER_S;
    assert_in_range(token_bucket_take(&bucket, 12, now), 999 * NS_PER_MS, 1001 * NS_PER_MS);
}

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *tls_name;
        const char *url, *socket, *connect_to, *name;
        bool local;
    } good[] = {
        {"http://127.0.0.1:8500", NULL, "http://127.0.0.1:8500", NULL, NULL, NULL, true},
        {"http://LOCALHOST:8500/", NULL, "http://LOCALHOST:8500", NULL, NULL, NULL, true},
        {"http://[::1]:8500", NULL, "http://[::1]:8500", NULL, NULL, NULL, true},
        {"http://consul.example/a/b/", NULL, "http://consul.example:80/a/b", NULL, NULL, NULL, false},
        {"https://10.0.0.1:8501", NULL, "https://10.0.0.1:8501", NULL, NULL, "10.0.0.1", false},
        {"https://10.0.0.1:8501", "server.dc1.consul", "https://server.dc1.consul:8501", NULL,
         "server.dc1.consul:8501:10.0.0.1:8501", "server.dc1.consul", false},
        {"https://[fd00::1]", "s", "https://s:443", NULL, "s:443:[fd00::1]:443", "s", false},
        {"http://10.0.0.1:8500", "ignored", "http://10.0.0.1:8500", NULL, NULL, NULL, false},
        {"unix:///run/consul.sock", NULL, "http://localhost", "/run/consul.sock", NULL, NULL, true},
    };
    struct err err = {0};
    struct endpoint address;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (endpoint_parse(good[i].text, good[i].tls_name, &address, &err) != 0)
            fail_msg("%s: %s", good[i].text, err.text);
        assert_string_equal(address.url, good[i].url);
        assert_string_equal(address.socket ? address.socket : "-", good[i].socket ? good[i].socket : "-");
        assert_string_equal(address.connect_to ? address.connect_to : "-",
                            good[i].connect_to ? good[i].connect_to : "-");
        assert_string_equal(address.tls_name ? address.tls_name : "-", good[i].name ? good[i].name : "-");
        assert_int_equal(address.local, good[i].local);
        endpoint_free(&address);
    }
    static const struct {
        const char *text, *error;
    } bad[] = {
        {"", "write it like"},
        {"127.0.0.1:8500:1", "write it like"},
        {"ftp://x", "only http://"},
        {"http://x:99999", "write it like"},
        {"http://user:secret@x:1", "no user or password"},
        {"http://x/?dc=a", "nothing may follow"},
        {"http://x/#a", "nothing may follow"},
        {"unix://relative", "absolute"},
        {"unix:///", "absolute"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err.text[0] = '\0';
        if (endpoint_parse(bad[i].text, NULL, &address, &err) == 0)
            fail_msg("\"%s\" was taken", bad[i].text);
        if (!strstr(err.text, bad[i].error) || strstr(err.text, "secret"))
            fail_msg("\"%s\": got \"%s\"", bad[i].text, err.text);
    }
    char path[300] = "unix:///";
    memset(path + 8, 'x', 200);
    assert_int_equal(endpoint_parse(path, NULL, &address, &err), -1);
}

static void test_ladder(void **state)
{
    (void)state;
    struct ladder ladder = {.count = 3};
    nstime now = 100 * NS_PER_S;
    assert_int_equal(ladder_pick(&ladder, now), 0);
    ladder_result(&ladder, 0, false, now);
    ladder_result(&ladder, 0, false, now); /* another that was under way */
    assert_int_equal(ladder_pick(&ladder, now), 1);
    ladder_result(&ladder, 1, true, now);
    assert_int_equal(ladder_pick(&ladder, now + 29 * NS_PER_S), 1);
    now += 30 * NS_PER_S;
    assert_int_equal(ladder_pick(&ladder, now), 0); /* one tries the first again */
    assert_int_equal(ladder_pick(&ladder, now), 1);
    ladder_result(&ladder, 0, false, now);
    assert_int_equal(ladder_pick(&ladder, now), 1);
    ladder_result(&ladder, 1, false, now);
    assert_int_equal(ladder_pick(&ladder, now), 2);
    ladder_result(&ladder, 2, false, now);
    assert_int_equal(ladder_pick(&ladder, now), 0);
    ladder_result(&ladder, 0, false, now);
    ladder_result(&ladder, 0, true, now); /* the first came back */
    assert_int_equal(ladder_pick(&ladder, now), 0);

    ladder = (struct ladder){.count = 1};
    ladder_result(&ladder, 0, false, now);
    assert_int_equal(ladder_pick(&ladder, now), 0);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_token_file(void **state)
{
    (void)state;
    char path[] = "/tmp/consul_text_test.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_file(path, "  one\n");
    struct token token;
    nstime now = 100 * NS_PER_S;
    token_init(&token, "fixed", path);
    assert_string_equal(token_get(&token, now), "one");
    write_file(path, "second\n");
    assert_string_equal(token_get(&token, now + NS_PER_S - 1), "one"); /* looked at once a second */
    assert_string_equal(token_get(&token, now += NS_PER_S), "second");
    static const char *const useless[] = {"", "\n", "two words", "a\x01z"};
    for (size_t i = 0; i < sizeof useless / sizeof *useless; i++) {
        write_file(path, useless[i]);
        assert_string_equal(token_get(&token, now += NS_PER_S), "second");
    }
    unlink(path);
    assert_string_equal(token_get(&token, now += NS_PER_S), "second");
    assert_true(token.complained);
    write_file(path, "third");
    assert_string_equal(token_get(&token, now += NS_PER_S), "third");
    assert_false(token.complained);
    unlink(path);
    token_free(&token);

    token_init(&token, "fixed", NULL);
    assert_string_equal(token_get(&token, now), "fixed");
    token_free(&token);
    token_init(&token, NULL, "/nonexistent/token");
    assert_null(token_get(&token, now));
    token_free(&token);
}

static void test_bombs(void **state)
{
    (void)state;
    static const struct {
        size_t unpacked, received;
        bool bomb;
    } table[] = {
        {46600000, 1000000, false},
        {46600000, 400000, false},
        {1024 * 1024, 1024, false},
        {1024 * 1024 + 1, 1024 * 1024 + 1, false},
        {1024 * 1024 + 1, 1040, true},
        {16 * 1024 * 1024, 16 * 1024, true},
        {2000000, 0, true},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_int_equal(reply_is_bomb(table[i].unpacked, table[i].received), table[i].bomb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64),     cmocka_unit_test(test_escape),
        cmocka_unit_test(test_builders),   cmocka_unit_test(test_kv),
        cmocka_unit_test(test_headers),    cmocka_unit_test(test_error_text),
        cmocka_unit_test(test_backoff),    cmocka_unit_test(test_token_bucket),
        cmocka_unit_test(test_addresses),  cmocka_unit_test(test_ladder),
        cmocka_unit_test(test_token_file), cmocka_unit_test(test_bombs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
