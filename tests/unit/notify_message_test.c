/* NOTIFY on the wire: what is sent, and which answers count. */
#include "lictor/dns.h"
#include "lictor/wire.h"
#include "xfr/notify_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID  0x1234
#define NOW (1800000000 * NS_PER_S)

static struct notify_soa the_soa(void)
{
    struct notify_soa soa = {.apex = "\7example", .ttl = 60, .len = 22};
    put32(soa.rdata + 2, 77);
    return soa;
}

static struct tsig_key the_key(void)
{
    struct tsig_key key = {.name = "\1k", .algorithm = TSIG_HMAC_SHA256, .secret_len = 32};
    memset(key.secret, 's', 32);
    return key;
}

static void what_is_sent(void **unused)
{
    struct notify_soa soa = the_soa();
    struct tsig_key key = the_key();
    struct tsig_mac mac;
    struct tsig tsig;
    uint8_t msg[NOTIFY_MESSAGE];
    (void)unused;
    assert_int_equal(notify_soa_serial(&soa), 77);
    size_t len = notify_encode(ID, &soa, NULL, NOW, &mac, msg);
    assert_int_equal(get16(msg), ID);
    assert_int_equal(get16(msg + 2), DNS_NOTIFY << 11 | 0x0400);
    assert_int_equal(get16(msg + 4), 1);
    assert_int_equal(get16(msg + 6), 1);
    assert_int_equal(get32(msg + len - 20), 77);
    assert_int_equal(tsig_find(msg, len, &tsig), TSIG_NONE);
    len = notify_encode(ID, &soa, &key, NOW, &mac, msg);
    assert_int_equal(tsig_find(msg, len, &tsig), TSIG_FOUND);
    assert_int_equal(tsig_verify(&key, msg, &tsig, NULL, TSIG_WHOLE, NOW), TSIG_OK);
    /* The longest there can be. */
    memset(&soa, 0, sizeof soa);
    for (int i = 0; i < 4; i++) {
        soa.apex[i * 62] = 61;
        memset(soa.apex + i * 62 + 1, 'a', 61);
    }
    memcpy(key.name, soa.apex, sizeof key.name);
    soa.len = sizeof soa.rdata;
    assert_true(notify_encode(ID, &soa, &key, NOW, &mac, msg) < NOTIFY_MESSAGE);
}

static void which_answers_count(void **unused)
{
    struct notify_soa soa = the_soa();
    struct tsig_key key = the_key();
    struct tsig_mac mac;
    uint8_t request[NOTIFY_MESSAGE], msg[NOTIFY_MESSAGE];
    const char *why;
    (void)unused;
    size_t len = notify_encode(ID, &soa, NULL, NOW, &mac, request);
    static const struct {
        size_t at;
        uint8_t value;
        int rcode;
    } rows[] = {
        {2, 0xa4, 0},   /* the answer */
        {2, 0x24, -1},  /* a request */
        {2, 0x84, -1},  /* of a query */
        {0, 0x13, -1},  /* another ID */
        {13, 'f', -1},  /* another zone */
        {13, 'E', 0},   /* case does not matter */
        {12, 0xff, -1}, /* no name at all */
        {3, DNS_REFUSED, 5}, {3, DNS_NOTIMP, 4},
        {5, 0, 0}, /* no question: who cannot read it leaves it out */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        memcpy(msg, request, len);
        msg[2] |= 0x80;
        msg[rows[i].at] = rows[i].value;
        assert_int_equal(notify_decode(msg, len, ID, &soa, NULL, &mac, NOW, &why), rows[i].rcode);
    }
    for (size_t cut = 0; cut < 12; cut++) {
        uint8_t *exact = malloc(cut + !cut); /* so that the sanitizer sees a read behind its end */
        memcpy(exact, msg, cut);
        assert_int_equal(notify_decode(exact, cut, ID, &soa, NULL, &mac, NOW, &why), -1);
        free(exact);
    }
    /* A signed request wants a signed answer. */
    len = notify_encode(ID, &soa, &key, NOW, &mac, request);
    memcpy(msg, request, 12 + 9 + 4);
    msg[2] |= 0x80;
    memset(msg + 6, 0, 6);
    len = 12 + 9 + 4;
    assert_int_equal(notify_decode(msg, len, ID, &soa, &key, &mac, NOW, &why), -1);
    size_t with_record = len;
    assert_int_equal(tsig_sign(msg, &with_record, sizeof msg, &key, &mac, TSIG_WHOLE, NOW, NULL), 0);
    assert_int_equal(notify_decode(msg, with_record, ID, &soa, &key, &mac, NOW, &why), 0);
    assert_int_equal(notify_decode(msg, with_record, ID, &soa, &key, &mac, NOW + 1000 * NS_PER_S, &why), -1);
    msg[3] = DNS_REFUSED; /* changed on its way */
    assert_int_equal(notify_decode(msg, with_record, ID, &soa, &key, &mac, NOW, &why), -1);
    mac.octets[0] ^= 1; /* the answer to another request */
    msg[3] = 0;
    assert_int_equal(notify_decode(msg, with_record, ID, &soa, &key, &mac, NOW, &why), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent),
        cmocka_unit_test(which_answers_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
