/* The pure parts of the role: the JSON in Consul's KV, read as hostile, and the choice of a successor. */
#include "role/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ID1 "11111111-1111-4111-8111-111111111111"
#define ID2 "22222222-2222-4222-8222-222222222222"

static struct lock_value lock_value(void)
{
    struct lock_value value = {.write = 7, .node = "ns1", .address = "192.0.2.1:53"};
    value.election = (struct election_value){.readable = true, .epoch = 12, .lease = 2 * NS_PER_S};
    strcpy(value.election.instance, ID1);
    return value;
}

static void a_lock_value_survives_the_way_there_and_back(void **state)
{
    (void)state;
    for (int marker = 0; marker < 2; marker++) {
        struct lock_value in = lock_value(), out;
        struct buf text = {0};
        if (marker) {
            in.election.marker = true;
            in.election.marker_epoch = 11;
            strcpy(in.election.marker_session, ID2);
            memset(in.address, 0, sizeof in.address);
        }
        lock_value_encode(&in, &text);
        lock_value_decode(text.data, text.len, &out);
        assert_memory_equal(&in, &out, sizeof in);
        buf_free(&text);
    }
}

static void a_lease_is_rounded_up(void **state)
{
    (void)state;
    struct lock_value in = lock_value(), out;
    struct buf text = {0};
    in.election.lease = 1500 * NS_PER_MS + 1;
    lock_value_encode(&in, &text);
    lock_value_decode(text.data, text.len, &out);
    assert_int_equal(out.election.lease, 1501 * NS_PER_MS);
    buf_free(&text);
}

#define HEAD "{\"node\":\"ns1\",\"instance\":\"" ID1 "\",\"addresses\":[],\"write\":1,"

static void a_hostile_lock_value_is_unreadable(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "garbage",
        "null",
        "[]",
        "{}",
        "\"ns1\"",
        HEAD "\"epoch\":1,\"lease_ms\":2000",
        HEAD "\"epoch\":-1,\"lease_ms\":2000}",
        HEAD "\"epoch\":1.5,\"lease_ms\":2000}",
        HEAD "\"epoch\":\"1\",\"lease_ms\":2000}",
        HEAD "\"epoch\":9223372036854775807,\"lease_ms\":2000}",
        HEAD "\"epoch\":99999999999999999999999,\"lease_ms\":2000}",
        HEAD "\"epoch\":1,\"lease_ms\":0}",
        HEAD "\"epoch\":1,\"lease_ms\":60001}", /* or a standby would wait for ever */
        HEAD "\"epoch\":1,\"lease_ms\":9223372036854775807}",
        HEAD "\"epoch\":1,\"lease_ms\":2000,\"lease_ms\":1}",
        HEAD "\"epoch\":1,\"lease_ms\":2000,\"clean\":true}",
        HEAD "\"epoch\":1,\"lease_ms\":2000,\"clean\":{}}",
        HEAD "\"epoch\":1,\"lease_ms\":2000,\"clean\":{\"session\":\"x\",\"epoch\":1}}",
        HEAD "\"epoch\":1,\"lease_ms\":2000,\"clean\":{\"session\":\"" ID2 "\",\"epoch\":0}}",
        HEAD "\"epoch\":1,\"lease_ms\":2000,\"clean\":{\"session\":\"" ID2 "\"}}",
        "{\"node\":\"a\\u0000b\",\"instance\":\"" ID1
        "\",\"addresses\":[],\"write\":1,\"epoch\":1,\"lease_ms\":2000}",
        "{\"node\":\"a\\nb\",\"instance\":\"" ID1
        "\",\"addresses\":[],\"write\":1,\"epoch\":1,\"lease_ms\":2000}",
        "{\"node\":\"a\",\"instance\":\"../../../../../../../etc/passwd.....\",\"addresses\":[],\"write\":1,"
        "\"epoch\":1,\"lease_ms\":2000}",
        "{\"node\":\"a\",\"instance\":\"" ID1
        "\",\"addresses\":[5],\"write\":1,\"epoch\":1,\"lease_ms\":2000}",
        "{\"node\":\"a\",\"instance\":\"" ID1
        "\",\"addresses\":\"x\",\"write\":1,\"epoch\":1,\"lease_ms\":2000}",
        "{\"node\":\"\xff\xfe\",\"instance\":\"" ID1
        "\",\"addresses\":[],\"write\":1,\"epoch\":1,\"lease_ms\":2000}",
    };
    struct lock_value out, zero = {0};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        memset(&out, 0xaa, sizeof out);
        lock_value_decode(texts[i], strlen(texts[i]), &out);
        if (memcmp(&out, &zero, sizeof out) != 0)
            fail_msg("was read: %s", texts[i]);
    }
    /* The rows above differ from this one by their fault alone. */
    const char *good = HEAD "\"epoch\":1,\"lease_ms\":2000,\"clean\":{\"session\":\"" ID2 "\",\"epoch\":1}}";
    lock_value_decode(good, strlen(good), &out);
    assert_true(out.election.readable && out.election.marker);
    lock_value_decode(NULL, 0, &out);
    assert_false(out.election.readable);
}

static void every_prefix_and_every_flipped_bit_is_survived(void **state)
{
    (void)state;
    struct lock_value in = lock_value(), out;
    struct member_value member;
    struct buf text = {0};
    in.election.marker = true;
    in.election.marker_epoch = 11;
    strcpy(in.election.marker_session, ID2);
    lock_value_encode(&in, &text);
    for (size_t len = 0; len < text.len; len++) {
        lock_value_decode(text.data, len, &out);
        assert_false(out.election.readable);
    }
    for (size_t bit = 0; bit < text.len * 8; bit++) {
        text.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        lock_value_decode(text.data, text.len, &out);
        assert_true(!out.election.readable || out.election.lease <= ELECTION_LEASE_LIMIT);
        member_value_decode(text.data, text.len, &member);
        text.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buf_free(&text);
}

static void what_is_too_long_is_unreadable(void **state)
{
    (void)state;
    struct lock_value out;
    struct buf text = {0};
    buf_puts(&text, HEAD "\"epoch\":1,\"lease_ms\":2000,\"more\":\"");
    while (text.len < VALUE_MAX)
        buf_puts(&text, "xxxxxxxxxxxxxxxx");
    buf_puts(&text, "\"}");
    lock_value_decode(text.data, text.len, &out);
    assert_false(out.election.readable);
    buf_free(&text);
}

static void members_and_requests_survive_the_way_there_and_back(void **state)
{
    (void)state;
    struct member_value in = {.node = "ns2",
                              .address = "[2001:db8::1]:53",
                              .reason = "zone x.: not loaded",
                              .priority = -5,
                              .epoch = 3,
                              .primary = true,
                              .mirror = {.epoch = 2,
                                         .sequence = INT64_MAX - 1,
                                         .broken = "a.example b\\.c "}},
                        out;
    struct request_value asked = {.of = ID2, .to = "ns1", .from = "ns2", .at = 1700000000}, read;
    struct buf text = {0};
    strcpy(in.instance, ID2);
    member_value_encode(&in, &text);
    assert_true(member_value_decode(text.data, text.len, &out));
    assert_memory_equal(&in, &out, sizeof in);
    buf_free(&text);

    for (int answered = 0; answered < 3; answered++) {
        asked.answered = answered > 0;
        strcpy(asked.error, answered == 2 ? "no standby is ready" : "");
        request_value_encode(&asked, &text);
        assert_true(request_value_decode(text.data, text.len, &read));
        assert_memory_equal(&asked, &read, sizeof asked);
        buf_free(&text);
    }
    asked.ask = REQUEST_RESIGN;
    request_value_encode(&asked, &text);
    assert_true(request_value_decode(text.data, text.len, &read));
    assert_int_equal(read.ask, REQUEST_RESIGN);
    buf_free(&text);

    /* A key of an older version says nothing of mirrors. */
    const char *old =
        "{\"node\":\"ns2\",\"instance\":\"" ID2 "\",\"addresses\":[],\"ready\":true,\"reason\":\"\","
        "\"primary\":false,\"priority\":1,\"epoch\":0}";
    assert_true(member_value_decode(old, strlen(old), &out));
    assert_int_equal(out.mirror.sequence, 0);

    const char *bad = "{\"ask\":\"format disk\",\"to\":\"\",\"from\":\"x\",\"at\":1}";
    assert_false(request_value_decode(bad, strlen(bad), &read));
    bad = "{\"node\":\"ns2\",\"instance\":\"" ID2 "\",\"addresses\":[],\"ready\":1}";
    assert_false(member_value_decode(bad, strlen(bad), &out));
}

static void a_pause_survives_the_way_there_and_back_or_is_none(void **state)
{
    (void)state;
    struct pause_value in = {.who = "ns1", .why = "kernel update", .at = 1700000000, .until = 1700003600},
                       out;
    struct buf text = {0};
    pause_value_encode(&in, &text);
    assert_true(pause_value_decode(text.data, text.len, &out));
    assert_memory_equal(&in, &out, sizeof in);
    for (size_t len = 0; len < text.len; len++)
        assert_false(pause_value_decode(text.data, len, &out));
    buf_free(&text);
    static const char *const bad[] = {"",
                                      "true",
                                      "{}",
                                      "{\"who\":\"x\",\"why\":\"\",\"at\":1}",
                                      "{\"who\":\"x\",\"why\":\"\",\"at\":1,\"until\":-1}",
                                      "{\"who\":\"x\",\"why\":\"\",\"at\":1,\"until\":99999999999999}",
                                      "{\"who\":\"x\",\"why\":\"a\\nb\",\"at\":1,\"until\":0}",
                                      "{\"who\":7,\"why\":\"\",\"at\":1,\"until\":0}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(pause_value_decode(bad[i], strlen(bad[i]), &out));
        assert_int_equal(out.at, 0);
    }
}

static void an_epoch_is_a_decimal_number(void **state)
{
    (void)state;
    uint64_t epoch = 0;
    assert_true(epoch_decode("0", 1, &epoch) && epoch == 0);
    assert_true(epoch_decode("4611", 4, &epoch) && epoch == 4611);
    static const char *const bad[] = {"", "-1", "1 ", "0x10", "99999999999999999999", "18446744073709551616"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(epoch_decode(bad[i], strlen(bad[i]), &epoch));
}

static struct living_member member(const char *node, const char *instance, bool ready, int priority,
                                   uint64_t since)
{
    struct living_member m = {.create_index = since};
    snprintf(m.value.node, sizeof m.value.node, "%s", node);
    snprintf(m.value.instance, sizeof m.value.instance, "%s", instance);
    snprintf(m.value.reason, sizeof m.value.reason, "%s", ready ? "" : "zone example.com: not loaded");
    m.value.ready = ready;
    m.value.priority = priority;
    return m;
}

static void the_successor_is_ready_and_not_ourselves(void **state)
{
    (void)state;
    static struct role role;
    struct living_member m[] = {member("ns1", ID1, true, 300, 1), member("ns2", ID2, true, 100, 9),
                                member("ns3", "3", true, 100, 5), member("ns4", "4", false, 200, 6),
                                member("ns5", "5", true, 50, 2)};
    char error[300];
    strcpy(role.instance, ID1);
    strcpy(role.node, "ns1");
    assert_ptr_equal(handover_choose(&role, m, 5, "", error, sizeof error), &m[2]);
    m[1].value.priority = 101;
    assert_ptr_equal(handover_choose(&role, m, 5, "", error, sizeof error), &m[1]);
    assert_ptr_equal(handover_choose(&role, m, 5, "ns5", error, sizeof error), &m[4]);
    assert_null(handover_choose(&role, m, 5, "ns4", error, sizeof error));
    assert_string_equal(error, "ns4 is not ready: zone example.com: not loaded");
    assert_null(handover_choose(&role, m, 5, "ns9", error, sizeof error));
    assert_non_null(strstr(error, "ns9"));
    assert_null(handover_choose(&role, m, 5, "ns1", error, sizeof error)); /* ourselves */
    assert_null(handover_choose(&role, m, 1, "", error, sizeof error));
    assert_string_equal(error, "there is no other living member");
}

static void a_vacancy_names_everybody(void **state)
{
    (void)state;
    static struct role role;
    char text[300];
    vacancy_text(&role, 12 * NS_PER_S, text, sizeof text);
    assert_string_equal(text, "no primary for 12 s: no member has a session");
    role.member_count = 3;
    role.members[0] = member("ns1", ID1, false, 100, 1);
    role.members[1] = member("ns2", ID2, false, 100, 2);
    strcpy(role.members[1].value.reason, MEMBER_NO_CANDIDATE);
    role.members[2] = member("ns3", "3", true, 100, 3);
    vacancy_text(&role, 12 * NS_PER_S, text, sizeof text);
    assert_string_equal(text, "no primary for 12 s: ns1 is not ready: zone example.com: not loaded, "
                              "ns2 is not a candidate, ns3 is ready");
    role.pausing_active = true;
    strcpy(role.pause.who, "ns2");
    vacancy_text(&role, 12 * NS_PER_S, text, sizeof text);
    assert_non_null(strstr(text, "; elections are paused by ns2"));
}

static void burial(void **state)
{
    (void)state;
    static struct role role;
    char dead[] = "lictor/c/members/1", own[] = "lictor/c/members/" ID1, alive[] = "lictor/c/members/3";
    struct consul_kv entries[] = {{.key = dead, .modify_index = 5},
                                  {.key = own, .modify_index = 6},
                                  {.key = alive, .modify_index = 7, .session = ID2}};
    strcpy(role.cluster, "c");
    strcpy(role.instance, ID1);
    burial_note(&role, entries, 3);
    struct dead_member *first = role.dead_members;
    assert_non_null(first); /* the dead one alone */
    burial_note(&role, entries, 3);
    assert_ptr_equal(role.dead_members, first); /* its time goes on */
    burial_note(&role, entries + 1, 2);
    assert_null(role.dead_members);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_value_survives_the_way_there_and_back),
        cmocka_unit_test(a_lease_is_rounded_up),
        cmocka_unit_test(a_hostile_lock_value_is_unreadable),
        cmocka_unit_test(every_prefix_and_every_flipped_bit_is_survived),
        cmocka_unit_test(what_is_too_long_is_unreadable),
        cmocka_unit_test(members_and_requests_survive_the_way_there_and_back),
        cmocka_unit_test(a_pause_survives_the_way_there_and_back_or_is_none),
        cmocka_unit_test(an_epoch_is_a_decimal_number),
        cmocka_unit_test(a_vacancy_names_everybody),
        cmocka_unit_test(burial),
        cmocka_unit_test(the_successor_is_ready_and_not_ourselves),
    };
    return cmocka_run_group_tests_name("role", tests, NULL, NULL);
}
