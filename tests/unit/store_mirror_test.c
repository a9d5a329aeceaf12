/* A zone's mirror on disk: what a crash, a damaged octet or a full disk leaves; and when mirrors were current
 * last, over restarts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "zone_text.h"

#include "lictor/log.h"
#include "lictor/strmap.h"
#include "lictor/xalloc.h"
#include "store/mirror.h"
#include "store/sync.h"

#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#define COMMITS 4 /* the base and what followed */

static struct {
    char folder[64];
    struct zone_state state;
    struct zone *zones[COMMITS];
    struct store_position at[COMMITS];
} f;

static void on_send(void *arg, struct core *core, struct kv_request *request)
{
    (void)arg, (void)core;
    kv_request_free(request);
}

static void on_publish(void *arg, struct core *core, struct zone *zone)
{
    (void)arg, (void)core;
    zone_unref(zone);
}

static void on_mirror_add(void *arg, struct core *core, const struct store_entry *entry,
                          const struct buf *octets)
{
    (void)arg, (void)core, (void)entry, (void)octets;
}

static void on_mirror_all(void *arg, struct core *core)
{
    (void)arg, (void)core;
}

static void on_done(void *arg, struct core *core, struct submission *submission)
{
    (void)arg, (void)core, (void)submission;
}

static void on_note(void *arg, struct core *core, int level, const char *text)
{
    (void)arg, (void)core, (void)level, (void)text;
}

static const struct core_hooks hooks = {.send = on_send,
                                        .publish = on_publish,
                                        .mirror_add = on_mirror_add,
                                        .mirror_all = on_mirror_all,
                                        .done = on_done,
                                        .note = on_note};

static struct core *core_empty(void)
{
    uint8_t apex[NAME_MAX_WIRE];
    name_of("example.com.", apex);
    return core_new(&(struct core_config){apex, &f.state, true, "i", &hooks});
}

/* Leads to commit n: 0 is the base. */
static struct store_entry *entry_of(unsigned n)
{
    struct store_entry *entry = store_entry_new();
    struct buf octets = {0};
    entry->at = f.at[n];
    entry->time = 1700000000;
    if (n) {
        entry->prev = f.at[n - 1].seq;
        entry->before = f.at[n - 1].hash;
    }
    entry->difference = difference_between(n ? f.zones[n - 1] : NULL, f.zones[n]);
    store_entry_encode(entry, &octets);
    entry->size = octets.len;
    buf_free(&octets);
    return entry;
}

static struct core *core_at(unsigned n)
{
    struct core *core = core_empty();
    struct store_entry *log[COMMITS];
    for (unsigned i = 1; i <= n; i++)
        log[i - 1] = entry_of(i);
    assert_true(core_restore(core, entry_of(0), log, n, NULL, 0));
    return core;
}

static int setup(void **state)
{
    (void)state;
    strcpy(f.folder, "/tmp/store_mirror_test.XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    for (unsigned n = 0; n < COMMITS; n++) {
        char lines[512];
        snprintf(lines, sizeof lines,
                 "example.com. 60 IN SOA ns.example.com. h.example.com. %u 1 2 1000 4\n"
                 "example.com. 60 IN NS ns.example.com.\n"
                 "u.example.com. 60 IN TXT \"%u\"\n",
                 10 + n, n);
        f.zones[n] = zone_text("example.com.", ZONE_AUTHORITATIVE, &f.state, lines);
        f.at[n] = (struct store_position){n + 1, 1, 10 + n, zone_hash(f.zones[n])};
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    for (unsigned n = 0; n < COMMITS; n++)
        zone_unref(f.zones[n]);
    zone_reap();
    snprintf(command, sizeof command, "rm -rf %s", f.folder);
    return system(command);
}

static struct mirror *opened(void)
{
    return mirror_new(f.folder, "example.com");
}

/* The base and, appended, the commits up to n. */
static void write_mirror(unsigned n)
{
    struct mirror *mirror = opened();
    struct core *core = core_at(0);
    mirror_all(mirror, core);
    core_free(core);
    for (unsigned i = 1; i <= n; i++) {
        struct store_entry *entry = entry_of(i);
        struct buf octets = {0};
        store_entry_encode(entry, &octets);
        core = core_at(i);
        mirror_add(mirror, core, &octets);
        core_free(core);
        buf_free(&octets);
        store_entry_free(entry);
    }
    assert_null(mirror_fault(mirror));
    mirror_free(mirror);
}

/* The commit that a new life finds itself at; -1: it has no content. What it has is whole, whatever it is. */
static int loaded(void)
{
    struct mirror *mirror = opened();
    struct core *core = core_empty();
    int found = -1;
    if (mirror_load(mirror, core)) {
        found = (int)core_position(core)->seq - 1;
        assert_in_range(found, 0, COMMITS - 1);
        assert_true(zone_hash_equal(zone_hash(core_zone(core)), f.at[found].hash));
        assert_true(store_position_equal(core_position(core), &f.at[found]));
    }
    core_free(core);
    mirror_free(mirror);
    return found;
}

static void path_of(const char *suffix, char out[128])
{
    snprintf(out, 128, "%s/example.com%s", f.folder, suffix);
}

static struct buf contents(const char *path)
{
    struct buf out = {0};
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    buf_reserve(&out, 1 << 16);
    ssize_t n = read(fd, out.data, 1 << 16);
    assert_true(n >= 0);
    out.len = (size_t)n;
    close(fd);
    return out;
}

static void put_contents(const char *path, const uint8_t *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    close(fd);
}

static void a_log_that_is_cut_off_anywhere_ends_before_the_cut(void **state)
{
    (void)state;
    char path[128];
    write_mirror(COMMITS - 1);
    assert_int_equal(loaded(), COMMITS - 1);
    path_of(".log", path);
    struct buf log = contents(path);
    int last = 0;
    for (size_t len = 0; len <= log.len; len++) {
        put_contents(path, log.data, len);
        int found = loaded();
        assert_in_range(found, last, COMMITS - 1); /* the longer, the further */
        last = found;
        assert_int_equal(loaded(), found); /* and what was cut off is gone for good */
    }
    assert_int_equal(last, COMMITS - 1);
    buf_free(&log);
}

static void what_follows_a_cut_is_read_again(void **state)
{
    (void)state;
    char path[128];
    write_mirror(COMMITS - 1);
    path_of(".log", path);
    struct buf log = contents(path);
    put_contents(path, log.data, log.len - 3);
    buf_free(&log);
    struct mirror *mirror = opened();
    struct core *core = core_empty();
    assert_true(mirror_load(mirror, core));
    assert_int_equal(core_position(core)->seq, COMMITS - 1);
    core_free(core);
    struct store_entry *entry = entry_of(COMMITS - 1);
    struct buf octets = {0};
    store_entry_encode(entry, &octets);
    core = core_at(COMMITS - 1);
    mirror_add(mirror, core, &octets);
    core_free(core);
    mirror_free(mirror);
    buf_free(&octets);
    store_entry_free(entry);
    assert_int_equal(loaded(), COMMITS - 1);
}

static void a_damaged_octet_is_never_believed(void **state)
{
    (void)state;
    static const char *const suffixes[] = {".log", ".base"};
    char paths[2][128];
    struct buf good[2];
    write_mirror(COMMITS - 1);
    for (unsigned k = 0; k < 2; k++) {
        path_of(suffixes[k], paths[k]);
        good[k] = contents(paths[k]);
    }
    for (unsigned k = 0; k < 2; k++)
        for (size_t i = 0; i < good[k].len; i++) {
            good[k].data[i] ^= 0x20;
            for (unsigned n = 0; n < 2; n++)
                put_contents(paths[n], good[n].data, good[n].len);
            int found = loaded();
            assert_true(k == 0 ? found >= 0 && found < COMMITS - 1 : found == -1);
            good[k].data[i] ^= 0x20;
        }
    buf_free(&good[0]);
    buf_free(&good[1]);
}

static void no_files_are_no_content(void **state)
{
    (void)state;
    assert_int_equal(loaded(), -1);
}

/* The bound of a file's size stands for the full disk: write(2) fails half way. */
static void a_full_disk_costs_the_mirror_until_there_is_room(void **state)
{
    (void)state;
    char path[128];
    write_mirror(1);
    path_of(".log", path);
    struct buf log = contents(path);
    size_t size = log.len;
    buf_free(&log);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, tight;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = size + 9;

    struct mirror *mirror = opened();
    struct core *core = core_empty();
    assert_true(mirror_load(mirror, core));
    core_free(core);
    core = core_at(2);
    struct store_entry *entry = entry_of(2);
    struct buf octets = {0};
    store_entry_encode(entry, &octets);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    mirror_add(mirror, core, &octets);
    bool told = mirror_fault(mirror) != NULL;
    mirror_retry(mirror, core);
    told &= mirror_fault(mirror) != NULL;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(told);
    assert_int_equal(loaded(), 1); /* what was there is there */

    mirror_retry(mirror, core);
    assert_null(mirror_fault(mirror));
    assert_int_equal(loaded(), 2);
    core_free(core);
    mirror_free(mirror);
    buf_free(&octets);
    store_entry_free(entry);
}

/* --- syncs ------------------------------------------------------------------------------------------ */

static nstime synced(const char *text, const struct sync_now *now, int result)
{
    struct strmap *map = strmap_new();
    struct buf data = {0};
    struct err err;
    buf_puts(&data, text);
    assert_int_equal(sync_parse(&data, now, map, &err), result);
    const nstime *found = strmap_gets(map, "z");
    nstime at = found ? *found : INT64_MIN;
    strmap_free(map, free);
    buf_free(&data);
    return at;
}

static void a_sync_counts_over_restarts_and_reboots(void **state)
{
    (void)state;
    const struct sync_now now = {.boot_id = "one", .boot = 1000, .real = 500000};
    struct buf out = {0};
    sync_begin(&out, &now);
    sync_add(&out, &now, "z", 900);
    assert_int_equal(synced(buf_str(&out), &now, 0), 900);
    /* Another boot, 3000 later by the wall clock. */
    const struct sync_now later = {.boot_id = "two", .boot = 50, .real = 503000};
    assert_int_equal(synced(buf_str(&out), &later, 0), 50 - 3100);
    /* The wall clock was set back: a time in the future counts as now. */
    const struct sync_now earlier = {.boot_id = "two", .boot = 50, .real = 400000};
    assert_int_equal(synced(buf_str(&out), &earlier, 0), 50);
    buf_free(&out);
    /* In the same boot the wall clock does not matter. */
    assert_int_equal(synced("one\nz 900 1\n", &now, 0), 900);
    assert_int_equal(synced("one\nz 2000 1\n", &now, 0), 1000);
    /* A boot ID that could not be read is no other's. */
    assert_int_equal(synced("\nz 900 499000\n", &(struct sync_now){.boot = 1000, .real = 500000}, 0), 0);
    static const char *const bad[] = {"one\nz\n",    "one\nz 1\n",    "one\nz 1 x\n",
                                      "one\n 1 2\n", "one\nz 1 -2\n", "one\nz x 2\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(synced(bad[i], &now, -1), INT64_MIN);
    assert_int_equal(synced("one\nz 900 1\ny\n", &now, -1), 900);
}

int main(void)
{
    log_set_level(-1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_files_are_no_content, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_that_is_cut_off_anywhere_ends_before_the_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(what_follows_a_cut_is_read_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_octet_is_never_believed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_costs_the_mirror_until_there_is_room, setup, teardown),
        cmocka_unit_test(a_sync_counts_over_restarts_and_reboots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
