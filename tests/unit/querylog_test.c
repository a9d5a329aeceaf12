/* The query log: its lines, its reasons, and that it loses lines rather than time. */
#include "lictor/dns.h"
#include "lictor/rcu.h"
#include "lictor/xalloc.h"
#include "serve/querylog.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void wire(const char *text, uint8_t out[NAME_MAX_WIRE])
{
    struct err err;
    assert_true(name_from_text(text, NULL, out, &err) > 0);
}

static struct query_entry entry_of(const char *name, const char *zone, uint16_t rcode, unsigned answers)
{
    struct query_entry entry = {.at = INT64_C(1700000000123) * NS_PER_MS,
                                .type = DNS_A,
                                .rcode = rcode,
                                .answers = answers,
                                .size = 99,
                                .ede = DNS_EDE_NONE,
                                .has_zone = *zone != 0};
    struct sockaddr_in *client = (struct sockaddr_in *)&entry.client;
    client->sin_family = AF_INET;
    client->sin_port = htons(4242);
    inet_pton(AF_INET, "192.0.2.7", &client->sin_addr);
    wire(name, entry.name);
    if (*zone)
        wire(zone, entry.zone);
    return entry;
}

/* --- reasons ------------------------------------------------------------------------------------------ */

static char asked[NAME_MAX_TEXT];

static void health(void *arg, const uint8_t *name, const char *part, char out[256])
{
    (void)arg;
    name_to_text(name, asked);
    out[0] = '\0';
    if (strcmp(asked, "far.dc2.health.lictor.") == 0)
        snprintf(out, 256, "%s", *part ? "" : "far: 0 instances");
    if (strcmp(asked, "dot.ted.health.lictor.") == 0)
        snprintf(out, 256, "%s", *part ? "" : "dot.ted: 2 instances");
    if (strcmp(asked, "web.health.lictor.") == 0)
        snprintf(out, 256, "%s",
                 *part ? "10.0.0.1:80 web on n1 critical, out: check \"disk\" is critical"
                       : "web: 1 instances");
}

static void negative_answers_say_why(void **state)
{
    static const struct {
        const char *name, *zone;
        uint16_t rcode;
        unsigned answers;
        enum answer_reason reason;
        const char *asked, *why;
    } rows[] = {
        {"web.service.consul.", "consul.", DNS_NOERROR, 3, ANSWER_OK, "", ""},
        {"www.example.org.", "", DNS_REFUSED, 0, ANSWER_NOT_OURS, "", "below no zone of this server"},
        {"www.example.org.", "example.org.", DNS_REFUSED, 0, ANSWER_NOT_PRIMARY, "",
         "another instance is primary and answers for the zone"},
        {"x.example.org.", "example.org.", DNS_NXDOMAIN, 0, ANSWER_OK, "", "no such name"},
        {"x.example.org.", "example.org.", DNS_NOERROR, 0, ANSWER_OK, "", "no records of this type"},
        {"x.example.org.", "example.org.", DNS_NOERROR, 0, ANSWER_STALE, "", "no records of this type"},
        {"nosuch.service.consul.", "consul.", DNS_NXDOMAIN, 0, ANSWER_OK, "nosuch.health.lictor.",
         "no service of this name"},
        {"web.service.consul.", "consul.", DNS_NXDOMAIN, 0, ANSWER_OK, "web.health.lictor.",
         "no such name; web: 1 instances; 10.0.0.1:80 web on n1 critical, out: check \"disk\" is critical"},
        {"v1.web.service.consul.", "consul.", DNS_NXDOMAIN, 0, ANSWER_OK, "web.health.lictor.", NULL},
        {"web.service.dc1.consul.", "consul.", DNS_NXDOMAIN, 0, ANSWER_OK, "web.health.lictor.", NULL},
        {"far.service.dc2.consul.", "consul.", DNS_NXDOMAIN, 0, ANSWER_OK, "far.dc2.health.lictor.",
         "no such name; far: 0 instances"},
        {"v1.dot.ted.service.consul.", "consul.", DNS_NXDOMAIN, 0, ANSWER_OK, "dot.ted.health.lictor.", NULL},
        {"_web._tcp.service.consul.", "consul.", DNS_NOERROR, 0, ANSWER_OK, "web.health.lictor.", NULL},
        {"_web.service.consul.", "consul.", DNS_NXDOMAIN, 0, ANSWER_OK, "_web.health.lictor.", NULL},
        {"service.consul.", "consul.", DNS_NOERROR, 0, ANSWER_OK, "", "no records of this type"},
        {"service.service.consul.", "consul.", DNS_NXDOMAIN, 0, ANSWER_OK, "service.health.lictor.", NULL},
        {"web.service.a.b.consul.", "consul.", DNS_NXDOMAIN, 0, ANSWER_OK, "", "no such name"},
        {"consul.", "consul.", DNS_NOERROR, 0, ANSWER_OK, "", "no records of this type"},
        {"web.node.consul.", "consul.", DNS_NXDOMAIN, 0, ANSWER_OK, "", "no such name"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct query_entry entry = entry_of(rows[i].name, rows[i].zone, rows[i].rcode, rows[i].answers);
        char why[600];
        entry.reason = rows[i].reason;
        asked[0] = '\0';
        query_reason(&entry, health, NULL, why);
        assert_string_equal(asked, rows[i].asked);
        if (rows[i].why)
            assert_string_equal(why, rows[i].why);
    }
}

static void a_line_has_everything(void **state)
{
    struct query_entry entry = entry_of("web.service.consul.", "consul.", DNS_NXDOMAIN, 0);
    char line[QUERY_LINE_MAX + 1];
    (void)state;
    entry.ede = 14;
    entry.truncated = true;
    line[query_line(&entry, "say \"no\"\n\x1b[31m", line)] = '\0';
    assert_string_equal(
        line,
        "2023-11-14T22:13:20.123Z query client=192.0.2.7:4242 transport=udp name=web.service.consul. "
        "type=A rcode=NXDOMAIN answers=0 size=99 tc=yes ede=14 zone=consul. reason=\"say 'no'??[31m\"\n");
}

/* The longest names, every octet escaped, and still one line of less than PIPE_BUF. */
static void a_line_has_its_limit(void **state)
{
    struct query_entry entry = entry_of(".", "consul.", DNS_NXDOMAIN, 0);
    char line[QUERY_LINE_MAX], why[600];
    (void)state;
    for (size_t at = 0, i = 0; i < 4; i++) {
        size_t len = i < 3 ? 63 : 61;
        entry.name[at] = (uint8_t)len;
        memset(entry.name + at + 1, 0x01, len);
        at += 1 + len;
        entry.name[at] = 0;
    }
    memcpy(entry.zone, entry.name, sizeof(entry.zone));
    memset(why, 'x', sizeof(why) - 1);
    why[sizeof(why) - 1] = '\0';
    size_t len = query_line(&entry, why, line);
    assert_in_range(len, 2000, QUERY_LINE_MAX);
    assert_int_equal(line[len - 1], '\n');
    assert_int_equal(line[len - 2], '"');
}

/* --- the log ------------------------------------------------------------------------------------------ */

static const uint8_t query[] = "\0\0\0\0\0\1\0\0\0\0\0\0\3www\7example\3org\0\0\1\0\1";
static const uint8_t reply[DNS_HEADER_LEN] = {0, 0, 0x80, 5, 0, 1};

static int take(struct query_log *log, struct rng *rng, bool negative)
{
    struct sockaddr_storage client = {.ss_family = AF_INET};
    uint8_t header[DNS_HEADER_LEN];
    struct answer_result result = {.len = sizeof(query) - 1,
                                   .qtype = DNS_A,
                                   .rcode = negative ? DNS_REFUSED : DNS_NOERROR,
                                   .reason = negative ? ANSWER_NOT_OURS : ANSWER_OK,
                                   .ede = DNS_EDE_NONE};
    memcpy(header, reply, sizeof(header));
    header[7] = !negative;
    return query_log_take(log, 0, rng, &client, false, query, sizeof(query) - 1, header, &result);
}

/* The file's content, once it has at least so many lines. The caller frees it. */
static char *lines(const char *path, size_t wanted)
{
    char *text = xcalloc(1, 1 << 20);
    for (int i = 0; i < 500; i++) {
        size_t count = 0;
        int fd = open(path, O_RDONLY);
        ssize_t got = fd < 0 ? 0 : read(fd, text, (1 << 20) - 1);
        if (fd >= 0)
            close(fd);
        text[got > 0 ? got : 0] = '\0';
        for (const char *c = text; *c; c++)
            count += *c == '\n';
        if (count >= wanted)
            return text;
        nanosleep(&(struct timespec){.tv_nsec = 10 * NS_PER_MS}, NULL);
    }
    fail_msg("%s has less than %zu lines:\n%s", path, wanted, text);
    return text;
}

static void a_log_is_switched(void **state)
{
    static struct snapshot_slot slot; /* refusals need no look at it */
    struct query_log *log = query_log_new(1, &slot);
    char first[] = "/tmp/querylog.XXXXXX", second[] = "/tmp/querylog.XXXXXX";
    struct query_log_settings settings = {.file = first, .sample = QUERY_LOG_ALL, .rate = 1000};
    struct rng rng;
    (void)state;
    rng_seed(&rng);
    close(mkstemp(first));
    close(mkstemp(second));

    assert_false(query_log_on(log));
    assert_false(query_log_on(NULL));
    query_log_set(log, NULL); /* off twice is off */
    query_log_set(log, &settings);
    assert_true(query_log_on(log));
    assert_int_equal(take(log, &rng, true), 1);
    char *text = lines(first, 1);
    assert_non_null(strstr(text, "name=www.example.org. type=A rcode=REFUSED"));
    assert_non_null(strstr(text, "reason=\"below no zone of this server\""));
    free(text);

    settings =
        (struct query_log_settings){.file = second, .sample = QUERY_LOG_ALL, .rate = 3, .negative = true};
    query_log_set(log, &settings);
    assert_int_equal(take(log, &rng, false), 0); /* positive: not asked for */
    int taken = 0, lost = 0;
    for (int i = 0; i < 100; i++) {
        int got = take(log, &rng, true);
        taken += got == 1;
        lost += got == -1;
    }
    assert_in_range(taken, 3, 4); /* a tenth of a second may have passed */
    assert_int_equal(lost, 100 - taken);
    free(lines(second, (size_t)taken));

    settings = (struct query_log_settings){.file = first, .sample = QUERY_LOG_ALL / 100, .rate = 100000};
    query_log_set(log, &settings);
    taken = 0;
    for (int i = 0; i < 20000; i++)
        taken += take(log, &rng, true) != 0;
    assert_in_range(taken, 100, 320); /* 200 of 20,000, by chance: seven standard deviations */

    query_log_set(log, NULL);
    assert_false(query_log_on(log));
    query_log_free(log);
    query_log_free(NULL);
    unlink(first);
    unlink(second);
}

/* A pipe that nobody reads holds up nobody: the ring fills, the rest is lost, and the end comes. */
static void a_stuck_reader_costs_lines(void **state)
{
    static struct snapshot_slot slot;
    struct query_log *log = query_log_new(1, &slot);
    char path[] = "/tmp/querylog.XXXXXX";
    struct query_log_settings settings = {.file = path, .sample = QUERY_LOG_ALL, .rate = 100000};
    struct rng rng;
    int lost = 0;
    (void)state;
    rng_seed(&rng);
    close(mkstemp(path));
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    query_log_set(log, &settings);
    for (int i = 0; i < 20000 && lost == 0; i++) {
        lost = take(log, &rng, true) == -1;
        if (i % 64 == 0)
            nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
    }
    assert_int_equal(lost, 1);
    query_log_free(log);
    close(reader);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(negative_answers_say_why),   cmocka_unit_test(a_line_has_everything),
        cmocka_unit_test(a_line_has_its_limit),       cmocka_unit_test(a_log_is_switched),
        cmocka_unit_test(a_stuck_reader_costs_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
