/* answer() for names that Consul has to be asked for: what it asks, what it makes of outcomes, what it takes
 * from the overlay, and client subnets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "zone_text.h"

#include "lictor/overlay.h"
#include "lictor/rcu.h"
#include "lictor/wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

#define NOW (1000 * NS_PER_S)
#define SOA "consul. 60 SOA ns.consul. admin.consul. 7 3600 600 86400 60"

static struct {
    struct snapshot *snapshot;
    struct zone_state states[2];
    struct gate gate;
    struct rng rng;
    struct answer_env env;
    struct answer_result result;
    struct ask_question question;
    struct ask_answer asked;
    struct overlay_slot slot;
    struct overlay_store *store;
    struct overlay_state *state;
    struct sockaddr_storage client;
    uint8_t out[4096];
} t;

/* NAME.query.consul. */
static int miss(const void *arg, const uint8_t *name, struct zone_computed *out)
{
    (void)arg;
    if (memcmp(name + 1 + *name, "\5query\6consul", 14) != 0)
        return 0;
    out->ask = ASK_QUERY;
    out->len = (uint16_t)name_len(name);
    memcpy(out->data, name, out->len);
    return ZONE_ASK;
}

static int set_up(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    rng_seed(&t.rng);
    for (size_t i = 0; i < 2; i++)
        t.states[i].stale_from = t.states[i].dead_from = NS_NEVER;
    t.gate.act_until = NS_NEVER;
    uint8_t apex[NAME_MAX_WIRE];
    name_of("consul.", apex);
    struct zone_edit *edit = zone_edit_new(apex, ZONE_CATALOG, &t.states[0], miss, NULL);
    zone_text_add_lines(edit, "consul. 3600 SOA ns.consul. admin.consul. 7 3600 600 86400 60\n"
                              "consul. 0 NS ns.consul.\n"
                              "web.service.consul. 10 A 10.0.0.1\n");
    struct zone *zones[] = {zone_edit_commit(edit),
                            zone_text("test.", ZONE_AUTHORITATIVE, &t.states[1],
                                      "test. 3600 SOA ns.test. admin.test. 7 3600 600 86400 60\n"
                                      "test. 300 NS ns.test.\n"
                                      "db.test. 300 CNAME db.query.consul.\n")};
    t.snapshot = snapshot_new(zones, 2, &(struct snapshot_text){"ns1", NULL, NULL});
    for (size_t i = 0; i < 2; i++)
        zone_unref(zones[i]);
    t.store = overlay_store_new(&t.slot);
    t.state = overlay_state_new();
    t.env = (struct answer_env){.snapshot = t.snapshot,
                                .gate = &t.gate,
                                .rng = &t.rng,
                                .now = NOW,
                                .udp_max = 1232,
                                .question = &t.question,
                                .overlay = &t.slot};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    overlay_store_free(t.store);
    overlay_state_unref(t.state);
    snapshot_free(t.snapshot);
    zone_reap();
    return 0;
}

static struct ask_question question_of(const char *name)
{
    struct ask_question question = {.kind = ASK_QUERY};
    uint8_t wire[NAME_MAX_WIRE];
    name_of(name, wire);
    question.name_len = (uint8_t)name_len(wire);
    memcpy(question.name, wire, question.name_len);
    return question;
}

/* Puts one address, or (NULL) nothing, good for 10 s. */
static void learn(const struct ask_question *question, const char *address, bool by_address, bool scoped)
{
    uint8_t ip[4];
    struct rdata rdata = {ip, 4, 0};
    struct piece *piece = NULL;
    if (address) {
        assert_int_equal(inet_pton(AF_INET, address, ip), 1);
        piece = piece_new(&(struct piece_spec){.type = DNS_A, .ttl = 20, .rdata = &rdata, .count = 1}, NULL);
    }
    overlay_put(t.store, &(struct overlay_spec){.question = *question,
                                                .state = t.state,
                                                .pieces = &piece,
                                                .count = address != NULL,
                                                .by_address = by_address,
                                                .scoped = scoped});
    overlay_publish(t.store);
    if (piece)
        piece_unref(piece);
    t.state->good_until = NOW + 10 * NS_PER_S;
}

static void settle(const char *name, enum ask_outcome outcome)
{
    t.asked = (struct ask_answer){outcome, question_of(name)};
    t.env.asked = &t.asked;
}

/* The reply as text; "ask NAME" where a question is wanted first. */
static const char *reply_to(const char *qname)
{
    static char text[4096];
    char name[NAME_MAX_TEXT];
    uint8_t query[600];
    size_t len = query_make(query, qname, DNS_A, DNS_IN, 1232, false);
    t.result = answer(&t.env, query, len, t.out, sizeof t.out);
    if (t.result.reason != ANSWER_ASK)
        return reply_text(t.out, t.result.len, text, sizeof text);
    assert_int_equal(t.result.len, 0);
    assert_int_equal(t.question.kind, ASK_QUERY);
    assert_int_equal(t.question.name_len, name_len(t.question.name));
    snprintf(text, sizeof text, "ask %s", name_to_text(t.question.name, name));
    return text;
}

#define EXPECT(qname, text) assert_string_equal(reply_to(qname), text)

/* The EDE code in the reply's OPT; -1: none. */
static int ede(void)
{
    ldns_pkt *pkt = NULL;
    int code = -1;
    assert_int_equal(ldns_wire2pkt(&pkt, t.out, t.result.len), LDNS_STATUS_OK);
    ldns_rdf *data = ldns_pkt_edns_data(pkt);
    const uint8_t *at = data ? ldns_rdf_data(data) : NULL;
    for (size_t left = data ? ldns_rdf_size(data) : 0; left >= 4;) {
        if (get16(at) == DNS_EDNS_EDE)
            code = get16(at + 4);
        left -= 4 + (size_t)get16(at + 2);
        at += 4 + (size_t)get16(at + 2);
    }
    ldns_pkt_free(pkt);
    return code;
}

/* --- asking --------------------------------------------------------------------------------------------- */

static void asks_first(void **state)
{
    (void)state;
    EXPECT("DB.query.consul.", "ask db.query.consul.");
    EXPECT("db.test.", "ask db.query.consul."); /* an alias leads there: no part of the answer is given */
    EXPECT("nosuch.service.consul.", "NXDOMAIN aa |  | " SOA " | ");
    EXPECT("web.service.consul.", "NOERROR aa | web.service.consul. 10 A 10.0.0.1 |  | ");
    assert_int_equal(t.result.reason, ANSWER_OK);
}

static void outcomes(void **state)
{
    (void)state;
    static const struct {
        enum ask_outcome outcome;
        enum answer_reason reason;
    } rows[] = {
        {ASK_PUBLISHED, ANSWER_ASK_FAILED}, /* but it is not there */
        {ASK_FAILED, ANSWER_ASK_FAILED},
        {ASK_LATE, ANSWER_ASK_LATE},
        {ASK_REFUSED, ANSWER_ASK_REFUSED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        settle("db.query.consul.", rows[i].outcome);
        EXPECT("db.query.consul.", "SERVFAIL |  |  | ");
        assert_int_equal(t.result.reason, rows[i].reason);
        assert_int_equal(ede(), DNS_EDE_NOT_READY);
        EXPECT("db.test.", "SERVFAIL |  |  | ");
        assert_false(t.result.gated);
        EXPECT("other.query.consul.", "ask other.query.consul."); /* another one is not settled by this */
    }
    settle("db.query.consul.", ASK_ABSENT);
    EXPECT("db.query.consul.", "NXDOMAIN aa |  | " SOA " | ");
    assert_int_equal(t.result.reason, ANSWER_OK);
    EXPECT("db.test.", "NXDOMAIN aa | db.test. 300 CNAME db.query.consul. | " SOA " | ");
    t.env.question = NULL; /* nobody to ask */
    t.env.asked = NULL;
    EXPECT("db.query.consul.", "SERVFAIL |  |  | ");
    assert_int_equal(ede(), DNS_EDE_NOT_READY);
}

/* --- what was learned -------------------------------------------------------------------------------------
 */

static void learned(void **state)
{
    (void)state;
    struct ask_question question = question_of("db.query.consul.");
    learn(&question, "10.9.9.9", false, false);
    EXPECT("Db.query.consul.", "NOERROR aa | Db.query.consul. 20 A 10.9.9.9 |  | ");
    assert_int_equal(t.result.reason, ANSWER_OK);
    assert_int_equal(t.state->asked_at, NOW);
    EXPECT("db.test.",
           "NOERROR aa | db.query.consul. 20 A 10.9.9.9; db.test. 300 CNAME db.query.consul. |  | ");
    learn(&question, NULL, false, false);
    EXPECT("db.query.consul.", "NOERROR aa |  | " SOA " | ");
    overlay_remove(t.store, &question);
    overlay_publish(t.store);
    EXPECT("db.query.consul.", "ask db.query.consul.");
}

static void ages(void **state)
{
    (void)state;
    struct ask_question question = question_of("db.query.consul.");
    learn(&question, "10.9.9.9", false, false);
    /* Consul failed: the last result, at once. */
    t.state->stale_from = NOW - 5 * NS_PER_S;
    EXPECT("db.query.consul.", "NOERROR aa | db.query.consul. 5 A 10.9.9.9 |  | ");
    assert_int_equal(t.result.reason, ANSWER_STALE);
    assert_int_equal(ede(), DNS_EDE_STALE_ANSWER);
    t.state->stale_from = NS_NEVER;
    /* It was not asked for a while: Consul first; and if that fails, it is better than nothing. */
    t.state->good_until = NOW;
    EXPECT("db.query.consul.", "ask db.query.consul.");
    settle("db.query.consul.", ASK_LATE);
    EXPECT("db.query.consul.", "NOERROR aa | db.query.consul. 5 A 10.9.9.9 |  | ");
    assert_int_equal(ede(), DNS_EDE_STALE_ANSWER);
    settle("db.query.consul.", ASK_ABSENT);
    EXPECT("db.query.consul.", "NXDOMAIN aa |  | " SOA " | ");
    /* Beyond `stale-for` it is as if it were not there. */
    t.state->dead_from = NOW;
    settle("db.query.consul.", ASK_FAILED);
    EXPECT("db.query.consul.", "SERVFAIL |  |  | ");
    t.state->good_until = NOW + NS_PER_S;
    t.env.asked = NULL;
    EXPECT("db.query.consul.", "ask db.query.consul.");
}

static void by_address(void **state)
{
    (void)state;
    struct ask_question question = question_of("db.query.consul.");
    struct sockaddr_in *client = (struct sockaddr_in *)&t.client;
    client->sin_family = AF_INET;
    inet_pton(AF_INET, "192.0.2.7", &client->sin_addr);
    t.env.client = &t.client;
    learn(&question, NULL, true, false);
    EXPECT("db.query.consul.", "ask db.query.consul.");
    assert_int_equal(t.question.from.family, 1);
    assert_int_equal(t.question.from.prefix, 32);
    assert_memory_equal(t.question.from.ip, &client->sin_addr, 4);
    question = t.question;
    learn(&question, "10.9.9.9", false, true);
    EXPECT("db.query.consul.", "NOERROR aa | db.query.consul. 20 A 10.9.9.9 |  | ");
    inet_pton(AF_INET, "192.0.2.8", &client->sin_addr);
    EXPECT("db.query.consul.", "ask db.query.consul.");
}

/* --- client subnets (RFC 7871)
 * ------------------------------------------------------------------------------ */

/* A query with one option of these octets; the reply's, or NULL without one. */
static const uint8_t *subnet(const char *qname, const char *option, size_t len, size_t *reply_len)
{
    static uint8_t query[600];
    size_t at = query_make(query, qname, DNS_A, DNS_IN, 1232, false);
    put16(query + at - 2, (unsigned)(4 + len)); /* the OPT comes last, without options */
    put16(query + at, DNS_EDNS_ECS);
    put16(query + at + 2, (unsigned)len);
    memcpy(query + at + 4, option, len);
    t.result = answer(&t.env, query, at + 4 + len, t.out, sizeof t.out);
    for (size_t i = t.result.len; i-- > 4;)
        if (get16(t.out + i) == DNS_EDNS_ECS && i + 4 + get16(t.out + i + 2) == t.result.len) {
            *reply_len = get16(t.out + i + 2);
            return t.out + i + 4;
        }
    return NULL;
}

static void subnets(void **state)
{
    (void)state;
    static const struct {
        const char *option;
        size_t len;
        unsigned rcode;
        bool told_back;
    } rows[] = {
        {"\0\1\x18\0\12\1\2", 7, 0, true},
        {"\0\1\x14\0\12\1\x20", 7, 0, true},
        {"\0\1\0\0", 4, 0, true}, /* "not to be told" */
        {"\0\2\x38\0\x20\1\xd\xb8\0\0\1", 11, 0, true},
        {"\0\1\x18\0\12\1\2\3", 8, 1, false},   /* more octets than the prefix has */
        {"\0\1\x18\0\12\1", 6, 1, false},       /* fewer */
        {"\0\1\x14\0\12\1\x2f", 7, 1, false},   /* bits beyond it */
        {"\0\1\x21\0\12\1\2\3\4", 9, 1, false}, /* IPv4 has 32 */
        {"\0\1\x18\x18\12\1\2", 7, 1, false},   /* a scope in a query */
        {"\0\1\x18", 3, 1, false},
        {"\0\3\x18\0\12\1\2", 7, 0, false}, /* a family that nobody knows */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t len = 0;
        const uint8_t *back = subnet("web.service.consul.", rows[i].option, rows[i].len, &len);
        assert_int_equal(t.result.rcode, rows[i].rcode);
        assert_int_equal(back != NULL, rows[i].told_back);
        if (back) { /* for everybody: scope 0 */
            assert_int_equal(len, rows[i].len);
            assert_memory_equal(back, rows[i].option, len);
        }
    }
    /* A scoped answer is for that subnet alone; a denial is for all. */
    struct ask_question question = question_of("db.query.consul.");
    size_t len;
    learn(&question, "10.9.9.9", false, true);
    const uint8_t *back = subnet("db.query.consul.", "\0\1\x18\0\12\1\2", 7, &len);
    assert_non_null(back);
    assert_memory_equal(back, "\0\1\x18\x18\12\1\2", 7);
    overlay_remove(t.store, &question);
    overlay_publish(t.store);
    settle("db.query.consul.", ASK_ABSENT);
    back = subnet("db.query.consul.", "\0\1\x18\0\12\1\2", 7, &len);
    assert_non_null(back);
    assert_memory_equal(back, "\0\1\x18\0\12\1\2", 7);
    /* Where it matters, it is what is asked with. */
    t.env.asked = NULL;
    learn(&question, NULL, true, false);
    assert_null(subnet("db.query.consul.", "\0\1\x18\0\12\1\2", 7, &len));
    assert_int_equal(t.result.reason, ANSWER_ASK);
    assert_int_equal(t.question.from.prefix, 24);
    assert_memory_equal(t.question.from.ip, "\12\1\2\0", 4);
}

/* --- the store
 * ---------------------------------------------------------------------------------------------- */

static void many(void **state)
{
    (void)state;
    char name[64];
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "n%u.query.consul.", i);
        struct ask_question question = question_of(name);
        learn(&question, "10.9.9.9", false, false);
        if (i >= 500) { /* as when the oldest give way */
            snprintf(name, sizeof name, "n%u.query.consul.", i - 500);
            question = question_of(name);
            overlay_remove(t.store, &question);
        }
    }
    overlay_publish(t.store);
    assert_int_equal(overlay_count(t.store), 500);
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "n%u.query.consul.", i);
        reply_to(name);
        assert_int_equal(t.result.reason, i < 1500 ? ANSWER_ASK : ANSWER_OK);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(asks_first), TEST(outcomes), TEST(learned), TEST(ages),
        TEST(by_address), TEST(subnets),  TEST(many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
