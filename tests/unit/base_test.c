#include "base/siphash.h"
#include "lictor/buf.h"
#include "lictor/clock.h"
#include "lictor/statefile.h"
#include "lictor/strmap.h"
#include "lictor/xalloc.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void times(void **state)
{
    (void)state;
    char text[TIME_TEXT];
    assert_string_equal(time_format(INT64_C(1700000000123456789), text), "2023-11-14T22:13:20Z");
    assert_string_equal(time_format_ms(INT64_C(1700000000123456789), text), "2023-11-14T22:13:20.123Z");
    assert_string_equal(time_format_ms(0, text), "1970-01-01T00:00:00.000Z");

    static const struct {
        nstime duration;
        long seconds, us;
    } table[] = {{-5, 0, 0},
                 {0, 0, 0},
                 {1, 0, 1},
                 {1000, 0, 1},
                 {1001, 0, 2},
                 {NS_PER_S - 1, 1, 0},
                 {1500 * NS_PER_MS, 1, 500000},
                 {INT64_C(86400) * NS_PER_S + 1, 86400, 1}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct timeval tv = clock_timeval(table[i].duration);
        assert_int_equal(tv.tv_sec, table[i].seconds);
        assert_int_equal(tv.tv_usec, table[i].us);
    }
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int result;
        nstime value;
    } table[] = {
        {"0", 0, 0},
        {"0s", 0, 0},
        {"2s", 0, 2 * NS_PER_S},
        {"500ms", 0, 500 * NS_PER_MS},
        {"1.5s", 0, 1500 * NS_PER_MS},
        {"1h30m", 0, 5400 * NS_PER_S},
        {"24h", 0, 86400 * NS_PER_S},
        {"10us", 0, 10000},
        {"7ns", 0, 7},
        {"0.5h", 0, 1800 * NS_PER_S},
        {"", -1, 0},
        {"5", -1, 0},
        {"-1s", -1, 0},
        {"1x", -1, 0},
        {"s", -1, 0},
        {"1.s", -1, 0},
        {"1s ", -1, 0},
        {"99999999999h", -1, 0},
        {"99999999999999999999s", -1, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        nstime value = -1;
        assert_int_equal(duration_parse(table[i].text, &value), table[i].result);
        if (!table[i].result)
            assert_int_equal(value, table[i].value);
    }
}

/* The reference vector of the SipHash paper, appendix A: key 00..0f, message 00..0e. */
static void siphash_reference(void **state)
{
    (void)state;
    uint8_t bytes[16];
    uint64_t key[2];
    for (uint8_t i = 0; i < 16; i++)
        bytes[i] = i;
    memcpy(key, bytes, 16);
    assert_true(siphash(bytes, 15, key) == 0xa129ca6149be45e5);
}

/* Random puts and removes against a plain array. */
static void strmap_against_model(void **state)
{
    (void)state;
    enum { KEYS = 500 };
    static char present[KEYS];
    struct strmap *map = strmap_new();
    size_t count = 0;
    srand(1);
    for (int step = 0; step < 20000; step++) {
        int k = rand() % KEYS;
        char key[16];
        snprintf(key, sizeof key, "key%d", k);
        assert_int_equal(strmap_gets(map, key) != NULL, present[k]);
        if (rand() % 2) {
            assert_int_equal(strmap_puts(map, key, &present[k]) != NULL, present[k]);
            count += !present[k];
            present[k] = 1;
        } else {
            assert_int_equal(strmap_removes(map, key) != NULL, present[k]);
            count -= present[k] != 0;
            present[k] = 0;
        }
        assert_int_equal(strmap_count(map), count);
    }
    const void *key;
    void *value;
    size_t seen = 0;
    for (size_t i = 0; strmap_next(map, &i, &key, NULL, &value); seen++)
        assert_ptr_equal(strmap_removes(map, key), value);
    assert_int_equal(seen, count);
    assert_int_equal(strmap_count(map), 0);
    strmap_free(map, NULL);
}

static char directory[] = "/tmp/lictor-base-XXXXXX";

static void statefiles(void **state)
{
    (void)state;
    char path[128];
    struct err err;
    struct buf out = {0};
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/view", directory);

    assert_int_equal(statefile_read(path, "view", 1, &out, &err), 1);
    assert_int_equal(statefile_write(path, "view", 1, "hello\nworld", 11, &err), 0);
    assert_int_equal(statefile_read(path, "view", 1, &out, &err), 0);
    assert_string_equal(buf_str(&out), "hello\nworld");
    buf_free(&out);

    assert_int_equal(statefile_read(path, "zone", 1, &out, &err), -1);
    assert_non_null(strstr(err.text, "holds `view`, not `zone`"));
    assert_int_equal(statefile_read(path, "view", 0, &out, &err), -1);
    assert_non_null(strstr(err.text, "newer"));

    char fifo[128];
    snprintf(fifo, sizeof fifo, "%s/fifo", directory);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(statefile_read(fifo, "view", 1, &out, &err), -1); /* and does not wait for a writer */
    assert_non_null(strstr(err.text, "not a regular file"));
    unlink(fifo);

    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "X", 1, lseek(fd, 0, SEEK_END) - 1), 1);
    close(fd);
    assert_int_equal(statefile_read(path, "view", 1, &out, &err), -1);
    assert_non_null(strstr(err.text, "checksum"));
    assert_int_equal(truncate(path, 90), 0);
    assert_int_equal(statefile_read(path, "view", 1, &out, &err), -1);
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(statefile_read(path, "view", 1, &out, &err), -1);
    assert_int_equal(out.len, 0);
    buf_free(&out);

    /* In pieces: the old one stays until all is there. */
    assert_int_equal(statefile_write(path, "view", 1, "old", 3, &err), 0);
    for (int commit = 0; commit < 2; commit++) {
        struct statefile *file = statefile_begin(path, "view", 1, &err);
        for (int i = 0; i < 3; i++)
            assert_int_equal(statefile_append(file, "piece ", 6, &err), 0);
        if (commit)
            assert_int_equal(statefile_commit(file, &err), 0);
        else
            statefile_abandon(file);
        assert_int_equal(statefile_read(path, "view", 1, &out, &err), 0);
        assert_string_equal(buf_str(&out), commit ? "piece piece piece " : "old");
        buf_free(&out);
    }
    char temporary[140];
    snprintf(temporary, sizeof temporary, "%s.new", path);
    assert_int_equal(access(temporary, F_OK), -1);

    assert_int_equal(statefile_write("/proc/nowhere/view", "view", 1, "x", 1, &err), -1);
    assert_non_null(strstr(err.text, "/proc/nowhere/view"));
    unlink(path);
    rmdir(directory);
}

static void errors_are_utf8(void **state)
{
    static const struct {
        const char *text, *clean;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8c", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8c"},
        {"caf\xe9!", "caf?!"},
        {"cut \xe2\x82", "cut ??"},
        {"overlong \xc0\xaf \xe0\x80\xaf", "overlong ?? ???"},
        {"surrogate \xed\xa0\x80", "surrogate ???"},
        {"too high \xf4\x90\x80\x80 \xff", "too high ???? ?"},
    };
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err_set(&err, "%s", cases[i].text);
        assert_string_equal(err.text, cases[i].clean);
    }
    err_set(&err, "%0510d\xc3\xa9", 0); /* cut in the middle of a character */
    assert_string_equal(err.text + 509, "0?");
    err_set(&err, "%0507d\xc3\xa9", 0);
    err_prefix(&err, "a");
    assert_string_equal(err.text + 509, "0?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times),
        cmocka_unit_test(durations),
        cmocka_unit_test(errors_are_utf8),
        cmocka_unit_test(siphash_reference),
        cmocka_unit_test(strmap_against_model),
        cmocka_unit_test(statefiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
