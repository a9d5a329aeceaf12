/* TSIG against messages that dnspython 2.3 signed: each must verify, and signing it again must give the same
 * octets. Key "peers.example.", secret the octets 0 to 31, time 1700000000. */
#include "lictor/tsig.h"

#include "lictor/dns.h"
#include "lictor/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TIME (INT64_C(1700000000) * NS_PER_S)

/* clang-format off */
static const char request_hmac_sha256[] =
    "12340100000100000000000103777777076578616d706c65036f72670000100001057065657273076578616d70"
    "6c650000fa00ff00000000003d0b686d61632d7368613235360000006553f100012c0020ffe17f4a407cab505c"
    "ad31c49506ff1e261ec321d9759f26527424aeb92b0df8123400000000";
static const char response[] =
    "12348100000100010000000103777777076578616d706c65036f72670000100001c00c00100001000000000004"
    "03796573057065657273076578616d706c650000fa00ff00000000003d0b686d61632d73686132353600000065"
    "53f100012c00206d6729803bf0e660ae7338f6637757b7c5e2a32ba626ca58ca890e3e6d30b836123400000000";
static const char stream_0[] =
    "12348100000100010000000103777777076578616d706c65036f72670000100001c00c00100001000000000002"
    "0130057065657273076578616d706c650000fa00ff00000000003d0b686d61632d7368613235360000006553f1"
    "00012c002036cd6bccfd6321fd8b0a270e8efb00d3305a577c333c4aedec0a33ac936adf22123400000000";
static const char stream_1[] =
    "12348100000100010000000103777777076578616d706c65036f72670000100001c00c00100001000000000002"
    "0131057065657273076578616d706c650000fa00ff00000000003d0b686d61632d7368613235360000006553f1"
    "00012c0020cbe22b884420a807618bb92f301883dc824876292b28191f6501a2a267e7593e123400000000";
static const char stream_2[] =
    "12348100000100010000000103777777076578616d706c65036f72670000100001c00c00100001000000000002"
    "0132057065657273076578616d706c650000fa00ff00000000003d0b686d61632d7368613235360000006553f1"
    "00012c00204a1061b2567802a999ec8c825f67371266842416b5723d240ac679adbcff21e8123400000000";
static const char request_hmac_sha512[] =
    "12340100000100000000000103777777076578616d706c65036f72670000100001057065657273076578616d70"
    "6c650000fa00ff00000000005d0b686d61632d7368613531320000006553f100012c004062268a75016aa6e0bd"
    "89d59e9342882d5806f750540d5ed821b8730d210990e840ba1b0649bcb845eeb2f4c74089a7779df16d8323aa"
    "ddb646bbdc43123ad147123400000000";
static const char request_hmac_md5[] =
    "12340100000100000000000103777777076578616d706c65036f72670000100001057065657273076578616d70"
    "6c650000fa00ff00000000003a08686d61632d6d6435077369672d616c670372656703696e740000006553f100"
    "012c0010931259bb5c0a171f8fc356ef608ac25f123400000000";
static const char request_mixed_case[] =
    "12340100000100000000000103777777076578616d706c65036f72670000100001055065657273074578616d70"
    "6c650000fa00ff00000000003d0b686d61632d7368613235360000006553f100012c0020ffe17f4a407cab505c"
    "ad31c49506ff1e261ec321d9759f26527424aeb92b0df8123400000000";
/* clang-format on */

static size_t octets(const char *hex, uint8_t *out)
{
    size_t len = strlen(hex) / 2;
    for (size_t i = 0; i < len; i++) {
        unsigned octet;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &octet), 1);
        out[i] = (uint8_t)octet;
    }
    return len;
}

static struct tsig_key key_of(enum tsig_algorithm algorithm)
{
    struct tsig_key key = {.algorithm = algorithm};
    uint8_t name[NAME_MAX_WIRE];
    assert_true(name_from_text("Peers.Example.", NULL, name, NULL) > 0);
    name_lower(name, key.name);
    key.secret_len = (size_t)tsig_secret_parse(" AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", key.secret,
                                               sizeof key.secret);
    assert_int_equal(key.secret_len, 32);
    for (int i = 0; i < 32; i++)
        assert_int_equal(key.secret[i], i);
    return key;
}

static struct tsig found(const uint8_t *msg, size_t len)
{
    struct tsig tsig;
    assert_int_equal(tsig_find(msg, len, &tsig), TSIG_FOUND);
    return tsig;
}

static void agrees_with_dnspython(void **state)
{
    (void)state;
    struct tsig request = {.start = 0};
    struct tsig_mac last = {.len = 0};
    static const struct {
        const char *hex;
        enum tsig_algorithm algorithm;
        enum { FIRST, ANSWER, STREAM } after;
    } rows[] = {
        {request_hmac_md5, TSIG_HMAC_MD5, FIRST},       {request_hmac_sha512, TSIG_HMAC_SHA512, FIRST},
        {request_hmac_sha256, TSIG_HMAC_SHA256, FIRST}, {response, TSIG_HMAC_SHA256, ANSWER},
        {stream_0, TSIG_HMAC_SHA256, ANSWER},           {stream_1, TSIG_HMAC_SHA256, STREAM},
        {stream_2, TSIG_HMAC_SHA256, STREAM},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tsig_key key = key_of(rows[i].algorithm);
        uint8_t msg[512], again[512];
        size_t len = octets(rows[i].hex, msg);
        struct tsig tsig = found(msg, len);
        const struct tsig_mac *prior = rows[i].after == FIRST    ? NULL
                                       : rows[i].after == ANSWER ? &request.mac
                                                                 : &last;
        enum tsig_part part = rows[i].after == STREAM ? TSIG_STREAM : TSIG_WHOLE;
        assert_int_equal(tsig_verify(&key, msg, &tsig, prior, part, TIME), TSIG_OK);
        if (rows[i].after == FIRST)
            request = tsig;

        size_t signed_len = tsig.start;
        struct tsig_mac mac;
        memcpy(again, msg, tsig.start);
        put16(again + 10, get16(again + 10) - 1u);
        assert_int_equal(tsig_sign(again, &signed_len, sizeof again, &key, prior, part, TIME, &mac), 0);
        assert_int_equal(signed_len, len);
        assert_memory_equal(again, msg, len);
        assert_int_equal(mac.len, tsig.mac.len);
        /* No room is no crash. */
        signed_len = tsig.start;
        assert_int_equal(tsig_sign(again, &signed_len, len - 1, &key, prior, part, TIME, NULL), -1);
        last = tsig.mac;
    }
}

static void names_ignore_case(void **state)
{
    (void)state;
    struct tsig_key key = key_of(TSIG_HMAC_SHA256);
    uint8_t msg[512];
    size_t len = octets(request_mixed_case, msg);
    struct tsig tsig = found(msg, len);
    assert_int_equal(tsig_verify(&key, msg, &tsig, NULL, TSIG_WHOLE, TIME), TSIG_OK);
}

/* Every octet is covered, but the ID: a forwarder may change it, the original one is in the record. */
static void no_octet_can_be_changed(void **state)
{
    (void)state;
    struct tsig_key key = key_of(TSIG_HMAC_SHA256);
    uint8_t msg[512];
    size_t len = octets(request_hmac_sha256, msg);
    for (size_t i = 0; i < len; i++) {
        struct tsig tsig;
        msg[i] ^= 0x01;
        bool believed = tsig_find(msg, len, &tsig) == TSIG_FOUND &&
                        tsig_verify(&key, msg, &tsig, NULL, TSIG_WHOLE, TIME) == TSIG_OK;
        assert_int_equal(believed, i < 2);
        msg[i] ^= 0x01;
        assert_int_not_equal(tsig_find(msg, i, &tsig), TSIG_FOUND); /* cut off anywhere */
    }
    msg[len] = 0;
    struct tsig tsig;
    assert_int_equal(tsig_find(msg, len + 1, &tsig), TSIG_MALFORMED);
}

/* The algorithm's name is never compressed (RFC 8945 section 4.2): else a short query could make us repeat a
 * long one. */
static void no_pointer_in_rdata(void **state)
{
    static const uint8_t record[] = {0xc0, 12, 0, 250, 0, 255, 0, 0, 0, 0, 0, 18, 0xc0, 12, 0,
                                     0,    0,  0, 0,   1, 0,   1, 0, 0, 0, 1, 0,  0,    0,  0};
    uint8_t msg[64] = {0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 'a', 0, 0, 1, 0, 1};
    struct tsig tsig;
    (void)state;
    memcpy(msg + 19, record, sizeof record);
    assert_int_equal(tsig_find(msg, 19 + sizeof record, &tsig), TSIG_MALFORMED);
    msg[19 + 11] = 17; /* the root, in full */
    memmove(msg + 19 + 13, msg + 19 + 14, 16);
    msg[19 + 12] = 0;
    assert_int_equal(tsig_find(msg, 19 + sizeof record - 1, &tsig), TSIG_FOUND);
}

static void errors_by_name(void **state)
{
    (void)state;
    struct tsig_key key = key_of(TSIG_HMAC_SHA256), other = key, longer = key_of(TSIG_HMAC_SHA512);
    uint8_t msg[512];
    size_t len = octets(request_hmac_sha256, msg);
    struct tsig tsig = found(msg, len), cut;
    struct tsig_mac wrong_prior = {.octets = {1}, .len = 32};
    memcpy(other.name, "\5other", 7);
    assert_int_equal(tsig_verify(&other, msg, &tsig, NULL, TSIG_WHOLE, TIME), TSIG_BADKEY);
    assert_int_equal(tsig_verify(&longer, msg, &tsig, NULL, TSIG_WHOLE, TIME), TSIG_BADKEY);
    other = key;
    other.secret[5] ^= 1;
    assert_int_equal(tsig_verify(&other, msg, &tsig, NULL, TSIG_WHOLE, TIME), TSIG_BADSIG);
    assert_int_equal(tsig_verify(&key, msg, &tsig, &wrong_prior, TSIG_WHOLE, TIME), TSIG_BADSIG);
    assert_int_equal(tsig_verify(&key, msg, &tsig, NULL, TSIG_STREAM, TIME), TSIG_BADSIG);
    for (int sign = -1; sign <= 1; sign += 2) {
        nstime edge = TIME + sign * 300 * NS_PER_S;
        assert_int_equal(tsig_verify(&key, msg, &tsig, NULL, TSIG_WHOLE, edge), TSIG_OK);
        assert_int_equal(tsig_verify(&key, msg, &tsig, NULL, TSIG_WHOLE, edge + sign * NS_PER_S),
                         TSIG_BADTIME);
    }
    cut = tsig;
    cut.mac.len = 16;
    assert_int_equal(tsig_verify(&key, msg, &cut, NULL, TSIG_WHOLE, TIME), TSIG_BADTRUNC);
    cut.mac.len = 15;
    assert_int_equal(tsig_verify(&key, msg, &cut, NULL, TSIG_WHOLE, TIME), TSIG_BADSIG);
    cut.mac.len = 0;
    assert_int_equal(tsig_verify(&key, msg, &cut, NULL, TSIG_WHOLE, TIME), TSIG_BADSIG);
    assert_string_equal(tsig_error_text(TSIG_BADSIG), "BADSIG");
    assert_string_equal(tsig_error_text(TSIG_BADTIME), "BADTIME");
}

static void refusals(void **state)
{
    (void)state;
    struct tsig_key key = key_of(TSIG_HMAC_SHA256);
    uint8_t msg[512];
    size_t len = octets(request_hmac_sha256, msg);
    struct tsig request = found(msg, len), answer;
    uint8_t reply[512];
    nstime late = TIME + 1000 * NS_PER_S;

    memcpy(reply, msg, request.start);
    put16(reply + 10, 0);
    put16(reply + 2, 0x8000 | DNS_NOTAUTH);
    size_t reply_len = request.start;
    assert_int_equal(tsig_refuse(reply, &reply_len, sizeof reply, &key, &request, TSIG_BADSIG, TIME), 0);
    answer = found(reply, reply_len);
    assert_int_equal(answer.error, TSIG_BADSIG);
    assert_int_equal(answer.mac.len, 0);
    assert_int_equal(tsig_verify(&key, reply, &answer, &request.mac, TSIG_WHOLE, TIME), TSIG_BADSIG);

    put16(reply + 10, 0);
    reply_len = request.start;
    assert_int_equal(tsig_refuse(reply, &reply_len, sizeof reply, &key, &request, TSIG_BADTIME, late), 0);
    answer = found(reply, reply_len);
    assert_int_equal(answer.error, TSIG_BADTIME);
    assert_int_equal(answer.server_time, late / NS_PER_S);
    assert_int_equal(answer.time, TIME / NS_PER_S); /* so that the asker, by its own clock, can check it */
    assert_int_equal(tsig_verify(&key, reply, &answer, &request.mac, TSIG_WHOLE, TIME), TSIG_OK);
}

static void secrets(void **state)
{
    (void)state;
    uint8_t out[64];
    assert_int_equal(tsig_secret_parse("", out, sizeof out), 0);
    assert_int_equal(tsig_secret_parse("Zg==", out, sizeof out), 1);
    assert_int_equal(tsig_secret_parse("Zm8=", out, sizeof out), 2);
    assert_memory_equal(out, "fo", 2);
    assert_int_equal(tsig_secret_parse("Zm9v", out, sizeof out), 3);
    assert_int_equal(tsig_secret_parse("Zm9v", out, 2), -1);
    assert_int_equal(tsig_secret_parse("Zm9vZ", out, sizeof out), -1);
    assert_int_equal(tsig_secret_parse("Z===", out, sizeof out), -1);
    assert_int_equal(tsig_secret_parse("Zm 9v", out, sizeof out), -1);
    assert_int_equal(tsig_secret_parse("Zm9v!", out, sizeof out), -1);
    assert_int_equal(tsig_algorithm_parse("hmac-sha256"), TSIG_HMAC_SHA256);
    assert_int_equal(tsig_algorithm_parse("hmac-sha3"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_dnspython),
        cmocka_unit_test(names_ignore_case),
        cmocka_unit_test(no_octet_can_be_changed),
        cmocka_unit_test(no_pointer_in_rdata),
        cmocka_unit_test(errors_by_name),
        cmocka_unit_test(refusals),
        cmocka_unit_test(secrets),
    };
    return cmocka_run_group_tests_name("TSIG", tests, NULL, NULL);
}
