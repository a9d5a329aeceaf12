/* Consul's own options in `services { }`, and the reverse zones. */
#include "lictor/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The text stands inside of `services { }`, on line 1. */
static struct config *parse(const char *text, char faults[2000])
{
    struct buf out = {0};
    char *whole;
    if (asprintf(&whole, "services { %s }", text) < 0)
        abort();
    struct config *config = config_parse("/f", whole, strlen(whole), &out);
    snprintf(faults, 2000, "%s", out.len ? buf_str(&out) : "");
    buf_free(&out);
    free(whole);
    return config;
}

static struct config *good(const char *text)
{
    char faults[2000];
    struct config *config = parse(text, faults);
    assert_string_equal(faults, "");
    assert_non_null(config);
    return config;
}

static void options_have_consuls_names(void **state)
{
    (void)state;
    struct config *config =
        good("node_ttl = 7s udp_answer_limit = 5 a_record_limit = 9 enable_truncate = false\n"
             "enable_additional_node_meta_txt = true translate_wan_addrs = true\n"
             "disable_compression = false allow_stale = true use_cache = false\n"
             "cache_max_age = 10s prefer_namespace = false\n"
             "soa { refresh = 1h retry = 60 expire = 1000s min_ttl = 3 }");
    const struct config_services *s = &config->services;
    assert_int_equal(s->node_ttl, 7 * NS_PER_S);
    assert_int_equal(s->reverse_ttl, 7 * NS_PER_S);
    assert_int_equal(s->udp_answer_limit, 5);
    assert_int_equal(s->answers, 9);
    assert_false(s->enable_truncate);
    assert_true(s->node_meta_txt);
    assert_true(s->translate_wan);
    assert_int_equal(s->soa_refresh, 3600);
    assert_int_equal(s->soa_retry, 60);
    assert_int_equal(s->soa_expire, 1000);
    assert_int_equal(s->negative_ttl, 3 * NS_PER_S);
    config_free(config);

    config = good("");
    s = &config->services;
    assert_int_equal(s->udp_answer_limit, 0);
    assert_int_equal(s->answers, 40);
    assert_true(s->enable_truncate);
    assert_false(s->node_meta_txt);
    assert_int_equal(s->soa_refresh, 3600);
    assert_int_equal(s->soa_expire, 86400);
    assert_int_equal(s->reverse_count, 0);
    config_free(config);
}

static void what_means_nothing_here_says_so(void **state)
{
    static const struct {
        const char *text, *fault;
    } table[] = {
        {"node-ttl = 1s node_ttl = 2s", "`node_ttl` is set a second time"},
        {"udp_answer_limit = some", "`udp-answer-limit` is `some`; write a whole number from 0 to 65535"},
        {"answers = 3\na_record_limit = 4", "/f:2: `a-record-limit` means the same as `answers` of line 1"},
        {"negative-ttl = 3s\nsoa { min_ttl = 3 }",
         "/f:2: `min-ttl` means the same as `negative-ttl` of line 1"},
        {"disable_compression = true", "`disable-compression = true` has no meaning here: owner names"},
        {"allow_stale = false",
         "`allow-stale = false` has no meaning here: every answer comes from the local "
         "view"},
        {"max_stale = 10s", "`max-stale` has no meaning here: the age of answers is limited by `stale-for`"},
        {"recursors = {\"192.0.2.1\"}", "`recursors` has no meaning here: lictord resolves no foreign names"},
        {"recursor_timeout = 2s", "`recursor-timeout` has no meaning here"},
        {"prefer_namespace = true", "`prefer-namespace = true` has no meaning here: namespaces are of Consul "
                                    "Enterprise"},
        {"prefer_namespace = maybe", "`prefer-namespace` is `maybe`; write true or false"},
        {"soa { refresh = soon }", "`refresh` has the TTL `soon`"},
        {"soa { retry = 2147483648 }", "`retry` is `2147483648`"},
        {"cache_max_age = 5", "`cache-max-age` is `5`; write a duration with its unit"},
        {"udp_answer_limits = 1", "unknown key `udp-answer-limits`; did you mean `udp-answer-limit`?"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char faults[2000];
        assert_null(parse(table[i].text, faults));
        if (!strstr(faults, table[i].fault))
            fail_msg("%s\ngives\n%sinstead of\n%s", table[i].text, faults, table[i].fault);
    }
}

static void reverse_takes_zones_and_prefixes(void **state)
{
    static const struct {
        const char *list;
        unsigned count;
        const char *first, *last;
    } table[] = {
        {"\"10.in-addr.arpa\"", 1, "10.in-addr.arpa.", "10.in-addr.arpa."},
        {"\"10.0.0.0/8\"", 1, "10.in-addr.arpa.", "10.in-addr.arpa."},
        {"\"192.168.7.0/24\", \"2001:DB8::/32\"", 2, "7.168.192.in-addr.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa."},
        {"\"172.16.0.0/12\"", 16, "16.172.in-addr.arpa.", "31.172.in-addr.arpa."},
        {"\"10.2.252.0/22\"", 4, "252.2.10.in-addr.arpa.", "255.2.10.in-addr.arpa."},
        {"\"fd00::/9\"", 8, "0.d.f.ip6.arpa.", "7.d.f.ip6.arpa."},
        {"\"fe80::/10\"", 4, "8.e.f.ip6.arpa.", "b.e.f.ip6.arpa."},
        {"\"8000::/2\"", 4, "8.ip6.arpa.", "b.ip6.arpa."},
        {"\"0.0.0.0/0\"", 1, "in-addr.arpa.", "in-addr.arpa."},
        {"\"127.0.0.1/32\"", 1, "1.0.0.127.in-addr.arpa.", "1.0.0.127.in-addr.arpa."},
        {"\"ip6.arpa\", \"1.ip6.arpa\"", 2, "ip6.arpa.", "1.ip6.arpa."},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char text[200], name[NAME_MAX_TEXT];
        snprintf(text, sizeof(text), "reverse = {%s}", table[i].list);
        struct config *config = good(text);
        const struct config_services *s = &config->services;
        assert_int_equal(s->reverse_count, table[i].count);
        assert_string_equal(name_to_text(s->reverse[0], name), table[i].first);
        assert_string_equal(name_to_text(s->reverse[s->reverse_count - 1], name), table[i].last);
        config_free(config);
    }
}

static void reverse_faults(void **state)
{
    static const struct {
        const char *list, *fault;
    } table[] = {
        {"\"example.com\"", "`reverse` has `example.com`, which is no reverse zone; write a prefix such as"},
        {"\"arpa\"", "no reverse zone"},
        {"\"foo.in-addr.arpa\"", "no reverse zone"},
        {"\"010.in-addr.arpa\"", "no reverse zone"},
        {"\"256.in-addr.arpa\"", "no reverse zone"},
        {"\"5.4.3.2.1.in-addr.arpa\"", "no reverse zone"},
        {"\"0-127.2.0.192.in-addr.arpa\"", "no reverse zone"},
        {"\"g.ip6.arpa\"", "no reverse zone"},
        {"\"10.ip6.arpa\"", "no reverse zone"},
        {"\"a..arpa\"", "`reverse`: "},
        {"\"10.0.0.0\"", "no reverse zone"},
        {"\"10.0.0.0/\"", "write an address, `/` and a number of bits"},
        {"\"10.0.0.0/33\"", "write an address, `/` and a number of bits"},
        {"\"10.0.0/8\"", "write an address, `/` and a number of bits"},
        {"\"::/129\"", "write an address, `/` and a number of bits"},
        {"\"10.0.0.0/8x\"", "write an address, `/` and a number of bits"},
        {"\"10.1.0.0/8\"", "`reverse` has `10.1.0.0/8`, whose address has bits set beyond the first 8"},
        {"\"192.0.2.0/25\"", "`reverse` has `192.0.2.0/25`, which is part of a zone only (RFC 2317)"},
        {"\"10.0.0.0/8\", \"10.in-addr.arpa\"", "10.in-addr.arpa. is in it already; keep one"},
        {"\"128.0.0.0/1\", \"10.0.0.0/9\", \"11.0.0.0/16\"", "makes more than 256 zones"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char text[200], faults[2000];
        snprintf(text, sizeof(text), "reverse = {%s}", table[i].list);
        assert_null(parse(text, faults));
        if (!strstr(faults, table[i].fault))
            fail_msg("%s\ngives\n%sinstead of\n%s", text, faults, table[i].fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_have_consuls_names),
        cmocka_unit_test(what_means_nothing_here_says_so),
        cmocka_unit_test(reverse_takes_zones_and_prefixes),
        cmocka_unit_test(reverse_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
