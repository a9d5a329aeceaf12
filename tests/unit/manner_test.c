/* How a zone is answered where that is a matter of choice (struct zone_manner): what `compat = "consul"` and
 * Consul's dns_config change, and what they do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "zone_text.h"

#include "lictor/wire.h"

#include <cmocka.h>

#define SOA "consul. 60 SOA ns.consul. admin.consul. 7 3600 600 86400 60"

#define LONG \
    "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
    "\" "

static const char records[] = SOA "\n"
                                  "consul. 0 NS ns.consul.\n"
                                  "five.service.consul. 10 A 10.0.0.1\n"
                                  "five.service.consul. 10 A 10.0.0.2\n"
                                  "five.service.consul. 10 A 10.0.0.3\n"
                                  "five.service.consul. 10 A 10.0.0.4\n"
                                  "five.service.consul. 10 A 10.0.0.5\n"
                                  "alias.service.consul. 10 CNAME five.service.consul.\n"
                                  "t.service.consul. 10 A 10.0.0.1\n"
                                  "t.service.consul. 10 SRV 1 1 80 n1.node.consul.\n"
                                  "t.service.consul. 10 TXT \"of the service\"\n"
                                  "n1.node.consul. 5 A 10.0.0.1\n"
                                  "n1.node.consul. 5 AAAA 2001:db8::1\n"
                                  "n1.node.consul. 5 TXT \"rack=r1\"\n"
                                  "n1.node.consul. 5 TXT \"zone=z1\"\n"
                                  "big.service.consul. 10 TXT " LONG LONG LONG LONG LONG "\n"
                                  "s.service.consul. 10 SRV 1 1 80 n1.node.consul.\n"
                                  "s.service.consul. 10 SRV 1 1 81 n1.node.consul.\n"
                                  "s.service.consul. 10 SRV 1 1 80 0a000001.addr.consul.\n";

static struct zone_state live = {.stale_from = NS_NEVER, .dead_from = NS_NEVER};
static struct gate gate = {.act_until = NS_NEVER};
static struct rng rng;

static int computed(const void *arg, const uint8_t *name, struct zone_computed *out)
{
    uint8_t empty[NAME_MAX_WIRE];
    (void)arg;
    name_of("computed.consul.", empty);
    *out = (struct zone_computed){.type = 0};
    return name_equal(name, empty);
}

struct reply {
    uint16_t rcode, answers, authority, additional;
    bool tc;
    char text[8192];
};

/* size: of EDNS; 0: none. */
static struct reply ask(const struct zone_manner *manner, uint16_t udp_max, bool tcp, const char *qname,
                        uint16_t qtype, unsigned size)
{
    static uint8_t out[ANSWER_TCP_MAX];
    struct reply reply = {0};
    uint8_t apex[NAME_MAX_WIRE], query[600];
    name_of("consul.", apex);
    struct zone_edit *edit = zone_edit_new(apex, ZONE_CATALOG, &live, computed, NULL);
    zone_text_add_lines(edit, records);
    zone_edit_set_manner(edit, manner);
    struct zone *zone = zone_edit_commit(edit), *next = zone_edit_commit(zone_edit_begin(zone));
    struct snapshot *snapshot = snapshot_new(&next, 1, &(struct snapshot_text){"ns1", "v", NULL});
    struct answer_env env = {
        .snapshot = snapshot, .gate = &gate, .rng = &rng, .now = 1, .tcp = tcp, .udp_max = udp_max};
    size_t len = query_make(query, qname, qtype, DNS_IN, size, false);
    struct answer_result result = answer(&env, query, len, out, sizeof(out));
    reply.rcode = result.rcode;
    reply.tc = result.truncated;
    assert_int_equal(reply.tc, (out[2] & 2) != 0);
    reply.answers = (uint16_t)get16(out + 6);
    reply.authority = (uint16_t)get16(out + 8);
    reply.additional = (uint16_t)(get16(out + 10) - (size ? 1 : 0));
    reply_text(out, result.len, reply.text, sizeof(reply.text));
    snapshot_free(snapshot);
    zone_unref(zone);
    zone_unref(next);
    zone_reap();
    return reply;
}

static void small_replies_have_few_answers(void **state)
{
    (void)state;
    static const struct {
        unsigned limit, size;
        bool tcp, no_tc;
        const char *name;
        unsigned answers;
        bool tc;
    } table[] = {
        {0, 0, false, false, "five.service.consul.", 5, false},
        {3, 0, false, false, "five.service.consul.", 3, true},
        {3, 0, false, true, "five.service.consul.", 3, false},
        {3, 512, false, true, "five.service.consul.", 3, false},
        {3, 100, false, true, "five.service.consul.", 3, false},
        {3, 513, false, true, "five.service.consul.", 5, false},
        {3, 4096, false, true, "five.service.consul.", 5, false},
        {3, 0, true, true, "five.service.consul.", 5, false},
        {8, 0, false, false, "five.service.consul.", 5, false},
        {5, 0, false, false, "five.service.consul.", 5, false},
        {3, 0, false, false, "alias.service.consul.", 4, true}, /* a chain is never cut */
        {1, 0, false, false, "n1.node.consul.", 1, false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct zone_manner manner = {.small_answers = (uint16_t)table[i].limit, .no_tc = table[i].no_tc};
        struct reply reply = ask(&manner, 4096, table[i].tcp, table[i].name, DNS_A, table[i].size);
        assert_int_equal(reply.answers, table[i].answers);
        assert_int_equal(reply.tc, table[i].tc);
    }
}

/* Nothing at all is not an answer that one could do with. */
static void an_empty_cut_reply_says_so(void **state)
{
    (void)state;
    struct zone_manner manner = {.no_tc = true};
    struct reply reply = ask(&manner, 512, false, "big.service.consul.", DNS_TXT, 0);
    assert_int_equal(reply.answers, 0);
    assert_true(reply.tc);
    assert_false(ask(&manner, 512, true, "big.service.consul.", DNS_TXT, 0).tc);
}

static void empty_names(void **state)
{
    (void)state;
    static const char *const names[] = {"service.consul.", "node.consul.", "computed.consul."};
    for (size_t i = 0; i < 3; i++) {
        struct reply reply = ask(&(struct zone_manner){0}, 1232, false, names[i], DNS_A, 0);
        assert_int_equal(reply.rcode, DNS_NOERROR);
        assert_int_equal(reply.authority, 1);
        reply = ask(&(struct zone_manner){.no_empty_names = true}, 1232, false, names[i], DNS_A, 0);
        assert_int_equal(reply.rcode, DNS_NXDOMAIN);
        assert_int_equal(reply.authority, 1);
    }
    /* Names with records are not meant, nor is the apex. */
    struct zone_manner manner = {.no_empty_names = true};
    assert_int_equal(ask(&manner, 1232, false, "five.service.consul.", DNS_MX, 0).rcode, DNS_NOERROR);
    assert_int_equal(ask(&manner, 1232, false, "consul.", DNS_A, 0).rcode, DNS_NOERROR);
    assert_int_equal(ask(&manner, 1232, false, "x.service.consul.", DNS_A, 0).rcode, DNS_NXDOMAIN);
}

static void any_question(void **state)
{
    (void)state;
    struct zone_manner manner = {.whole_any = true};
    assert_int_equal(ask(&(struct zone_manner){0}, 1232, false, "n1.node.consul.", DNS_ANY, 0).answers, 1);
    assert_int_equal(ask(&manner, 1232, false, "n1.node.consul.", DNS_ANY, 0).answers, 4);
    assert_int_equal(ask(&manner, 1232, false, "s.service.consul.", DNS_ANY, 0).answers, 3);
    assert_int_equal(ask(&manner, 1232, false, "alias.service.consul.", DNS_ANY, 0).answers, 1);
}

static void texts_come_last(void **state)
{
    (void)state;
    struct zone_manner plain = {0}, texts = {.texts = true};
    assert_int_equal(ask(&plain, 1232, false, "n1.node.consul.", DNS_A, 0).additional, 0);
    struct reply reply = ask(&texts, 1232, false, "n1.node.consul.", DNS_A, 0);
    assert_int_equal(reply.additional, 2);
    assert_non_null(strstr(reply.text, "n1.node.consul. 5 TXT \"rack=r1\""));
    assert_int_equal(ask(&texts, 1232, false, "n1.node.consul.", DNS_TXT, 0).additional, 0);
    assert_int_equal(ask(&texts, 1232, false, "five.service.consul.", DNS_A, 0).additional, 0);
    assert_int_equal(ask(&texts, 1232, false, "t.service.consul.", DNS_A, 0).additional, 0);

    assert_int_equal(ask(&plain, 1232, false, "s.service.consul.", DNS_SRV, 0).additional, 2);
    reply = ask(&texts, 1232, false, "s.service.consul.", DNS_SRV, 0);
    assert_int_equal(reply.additional, 4); /* two ports of one node have its texts once */
    assert_true(strstr(reply.text, "AAAA 2001:db8::1") < strstr(reply.text, "TXT"));
}

int main(void)
{
    rng_seed(&rng);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_replies_have_few_answers),
        cmocka_unit_test(an_empty_cut_reply_says_so),
        cmocka_unit_test(empty_names),
        cmocka_unit_test(any_question),
        cmocka_unit_test(texts_come_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
