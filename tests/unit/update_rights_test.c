/* Who may change what by UPDATE, and UPDATEs on their way to the primary. */
#include "update_text.h"

#include "xfr/forward.h"
#include "xfr/update_policy.h"

#include "lictor/sockets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

/* --- patterns ----------------------------------------------------------------------------------------- */

static const struct {
    const char *pattern, *name;
    bool matches;
} patterns[] = {
    {"www", "www.t.", true},
    {"www", "a.www.t.", false},
    {"www", "t.", false},
    {"@", "t.", true},
    {"@", "www.t.", false},
    {"*", "a.t.", true},
    {"*", "a.b.t.", true},
    {"*", "t.", false},
    {"*.dyn", "a.dyn.t.", true},
    {"*.dyn", "b.a.dyn.t.", true},
    {"*.dyn", "dyn.t.", false},
    {"*.dyn", "adyn.t.", false},
    {"*.dyn", "*.dyn.t.", true},
    {"_acme-challenge.*", "_acme-challenge.www.t.", true},
    {"_acme-challenge.*", "_acme-challenge.a.b.t.", true},
    {"_acme-challenge.*", "_acme-challenge.t.", false},
    {"_acme-challenge.*", "x._acme-challenge.www.t.", false},
    {"a.*.b.*", "a.x.b.y.t.", true},
    {"a.*.b.*", "a.x.b.b.t.", true},
    {"a.*.b.*", "a.b.b.t.", false},
    {"a.*.b.*", "a.x.y.b.t.", false},
    {"x.t.", "x.t.", true},
};

static void test_patterns(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        uint8_t pattern[NAME_MAX_WIRE], name[NAME_MAX_WIRE], apex[NAME_MAX_WIRE];
        struct err err;
        name_of("t.", apex);
        name_of(patterns[i].name, name);
        assert_int_equal(config_update_name(patterns[i].pattern, apex, pattern, &err), 0);
        if (update_pattern_matches(pattern, name) != patterns[i].matches)
            fail_msg("%s against %s", patterns[i].pattern, patterns[i].name);
    }
}

/* 127 labels against two asterisks: what a hostile name may cost. */
static void test_a_long_name(void **unused)
{
    (void)unused;
    uint8_t pattern[NAME_MAX_WIRE], name[NAME_MAX_WIRE], apex[1] = {0};
    char text[256] = "";
    for (int i = 0; i < 126; i++)
        strcat(text, "a.");
    strcat(text, "b.");
    name_of(text, name);
    assert_int_equal(config_update_name("a.*.a.*.a", apex, pattern, NULL), 0);
    assert_false(update_pattern_matches(pattern, name));
    assert_int_equal(config_update_name("a.*.a.*.a.*.a", apex, pattern, NULL), -1);
}

/* --- rights ------------------------------------------------------------------------------------------- */

#define SECRET "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U="

static struct config *make_config(void)
{
    static const char keys[] =
        "node = ns1\nlisten = \"127.0.0.1:1\"\nstate-dir = \"/tmp\"\ncontrol = \"/tmp/none\"\n"
        "services { domain = \"c\" alt-domain = \"d\" }\n"
        "key \"all.\" { secret = \"" SECRET "\" }\n"
        "key \"acme.\" { secret = \"" SECRET "\" }\n"
        "key \"host.t.\" { secret = \"" SECRET "\" }\n"
        "key \"none.\" { secret = \"" SECRET "\" }\n"
        "election { peer-key = \"all.\" cluster = \"Main\" }\n";
    struct buf text = {0}, faults = {0};
    char path[] = "/tmp/lictor-update-XXXXXX";
    close(mkstemp(path));
    buf_puts(&text, keys);
    buf_printf(
        &text,
        "zone \"t\" { file = \"%s\" update = {\"key:all\", \"key:ACME.\", \"key:host.t\", \"192.0.2.0/24\"}\n"
        "update-policy \"acme\" { names = {\"_acme-challenge\", \"_acme-challenge.*\"} types = TXT }\n"
        "update-policy \"host.t.\" { names = {self} }\n"
        "record \"www\" { service = web }\n}\n"
        "zone \"f\" { file = \"%s\" store = file }\n"
        "zone \"closed\" { file = \"%s\" }\n",
        path, path, path);
    struct config *config = config_parse("/tmp/lictord.conf", buf_str(&text), text.len, &faults);
    unlink(path);
    if (!config)
        fail_msg("%s", buf_str(&faults));
    buf_free(&text);
    return config;
}

static const struct {
    const char *zone, *key, *from, *line;
    enum dns_rcode rcode;
    const char *says;
} rights[] = {
    {"t.", "all.", "10.0.0.1:5", "add x.t. 1 A 192.0.2.1", DNS_NOERROR, ""},
    {"T.", "all.", "10.0.0.1:5", "del t.", DNS_NOERROR, ""},
    {"t.", NULL, "192.0.2.7:5", "add x.t. 1 A 192.0.2.1", DNS_NOERROR, ""},
    {"t.", "none.", "192.0.2.7:5", "add x.t. 1 A 192.0.2.1", DNS_NOERROR, ""},
    {"t.", NULL, "10.0.0.1:5", "add x.t. 1 A 192.0.2.1", DNS_REFUSED, "is not signed"},
    {"t.", "none.", "10.0.0.1:5", "add x.t. 1 A 192.0.2.1", DNS_REFUSED, "nor your key"},
    {"t.", NULL, "10.0.0.1:5", "", DNS_REFUSED, "is not signed"},
    {"t.", "acme.", "10.0.0.1:5", "add _acme-challenge.t. 1 TXT x", DNS_NOERROR, ""},
    {"t.", "acme.", "10.0.0.1:5", "del _acme-challenge.a.t. TXT \"x\"", DNS_NOERROR, ""},
    {"t.", "acme.", "10.0.0.1:5", "del _acme-challenge.a.t. TXT", DNS_NOERROR, ""},
    {"t.", "acme.", "10.0.0.1:5", "del _acme-challenge.a.t.", DNS_REFUSED, "as a whole"},
    {"t.", "acme.", "10.0.0.1:5", "add _acme-challenge.t. 1 A 192.0.2.1", DNS_REFUSED, "`types`"},
    {"t.", "acme.", "10.0.0.1:5", "add t. 1 TXT x", DNS_REFUSED, "`names`"},
    /* its address admits everybody, but a key that is named is held to its policy */
    {"t.", "acme.", "192.0.2.7:5", "add t. 1 TXT x", DNS_REFUSED, "`names`"},
    {"t.", "host.t.", "10.0.0.1:5", "add host.t. 1 A 192.0.2.1", DNS_NOERROR, ""},
    {"t.", "host.t.", "10.0.0.1:5", "add a.host.t. 1 A 192.0.2.1", DNS_REFUSED, "`names`"},
    {"t.", "all.", "10.0.0.1:5", "add t. 1 NSEC3PARAM 1 0 0 -", DNS_REFUSED, "signing"},
    {"t.", "all.", "10.0.0.1:5", "add WWW.t. 1 A 192.0.2.1", DNS_REFUSED, "follows health"},
    {"t.", "all.", "10.0.0.1:5", "del www.t.", DNS_REFUSED, "follows health"},
    {"f.", "all.", "192.0.2.7:5", "add x.f. 1 A 192.0.2.1", DNS_REFUSED, "`store`"},
    {"closed.", "all.", "192.0.2.7:5", "add x.closed. 1 A 192.0.2.1", DNS_REFUSED, "`update`"},
    {"c.", "all.", "192.0.2.7:5", "add x.c. 1 A 192.0.2.1", DNS_REFUSED, "from Consul"},
    {"d.", "all.", "192.0.2.7:5", "add x.d. 1 A 192.0.2.1", DNS_REFUSED, "from Consul"},
    {"lictor.", "all.", "192.0.2.7:5", "add x.lictor. 1 A 192.0.2.1", DNS_REFUSED, "from Consul"},
    {"x.t.", "all.", "10.0.0.1:5", "add x.t. 1 A 192.0.2.1", DNS_NOTAUTH, "no zone"},
    {".", "all.", "10.0.0.1:5", "add x.t. 1 A 192.0.2.1", DNS_NOTAUTH, "no zone"},
};

static void test_rights(void **unused)
{
    (void)unused;
    struct config *config = make_config();
    struct err err;
    struct update_policy *policy = update_policy_new(config, &err);
    assert_non_null(policy);
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
        struct buf message = {0};
        struct update update;
        struct sockaddr_storage from;
        uint8_t name[NAME_MAX_WIRE];
        const struct tsig_key *key = NULL;
        int ede;
        err.text[0] = 0;
        update_text(&message, rights[i].zone, rights[i].line);
        assert_int_equal(update_parse(&update, message.data, message.len, &err), DNS_NOERROR);
        sockaddr_parse(rights[i].from, &from, NULL);
        if (rights[i].key) {
            name_of(rights[i].key, name);
            key = update_policy_key(policy, name);
            assert_non_null(key);
        }
        enum dns_rcode rcode = update_policy_admit(policy, &from, key, &update, &ede, &err);
        if (rcode != rights[i].rcode || !strstr(err.text, rights[i].says))
            fail_msg("%s %s: %d %s", rights[i].zone, rights[i].line, rcode, err.text);
        update_free(&update);
        buf_free(&message);
    }
    update_policy_free(policy);
    config_free(config);
}

/* --- forwarding --------------------------------------------------------------------------------------- */

static void make_frame(struct forward_frame *frame)
{
    struct config *config = make_config();
    struct err err;
    assert_int_equal(forward_frame_init(frame, config, &err), 0);
    config_free(config);
}

static enum dns_rcode unwrap(const struct forward_frame *frame, const uint8_t *msg, size_t len, size_t *at,
                             size_t *end, struct sockaddr_storage *client, enum tsig_error *error)
{
    struct tsig tsig;
    bool tcp;
    uint8_t *exact = malloc(len); /* ASan sees what reads beyond */
    memcpy(exact, msg, len);
    enum dns_rcode rcode = forward_unwrap(frame, exact, len, client, &tcp, at, end, &tsig, error);
    free(exact);
    return rcode;
}

static void test_there_and_back(void **unused)
{
    (void)unused;
    static const char *const clients[] = {"192.0.2.7:4711", "[2001:db8::7]:4711"};
    static const uint8_t inner[] = "the client's message, octet for octet", reply[] = "and its reply, signed";
    struct forward_frame frame;
    make_frame(&frame);
    for (size_t i = 0; i < 2; i++) {
        struct buf out = {0}, back = {0};
        struct sockaddr_storage client, got;
        struct tsig_mac mac;
        struct tsig tsig;
        enum tsig_error error;
        struct err err;
        size_t at, end;
        bool tcp;
        sockaddr_parse(clients[i], &client, NULL);
        assert_true(forward_wrap(&frame, 7, &client, i, inner, sizeof inner, &out, &mac));
        assert_true(inbox_is_for(out.data, out.len) && forward_is_ours(out.data, out.len));
        assert_int_equal(forward_unwrap(&frame, out.data, out.len, &got, &tcp, &at, &end, &tsig, &error),
                         DNS_NOERROR);
        assert_true(sockaddr_equal(&client, &got) && tcp == i);
        assert_int_equal(end - at, sizeof inner);
        assert_memory_equal(out.data + at, inner, sizeof inner);

        forward_wrap_reply(&frame, out.data, &tsig, TSIG_OK, DNS_NOERROR, reply, sizeof reply, &back);
        assert_false(inbox_is_for(back.data, back.len));
        assert_int_equal(forward_unwrap_reply(&frame, back.data, back.len, &mac, &at, &end, &err), 0);
        assert_int_equal(end - at, sizeof reply);
        assert_memory_equal(back.data + at, reply, sizeof reply);
        mac.octets[0] ^= 1; /* the reply to another message */
        assert_int_equal(forward_unwrap_reply(&frame, back.data, back.len, &mac, &at, &end, &err), -1);
        mac.octets[0] ^= 1;
        for (size_t k = 0; k < back.len; k++) {
            back.data[k] ^= 1;
            if (k > 1) /* the ID is not the reader's to look at, but TSIG has it too */
                assert_int_equal(forward_unwrap_reply(&frame, back.data, back.len, &mac, &at, &end, &err),
                                 -1);
            back.data[k] ^= 1;
        }
        buf_free(&out);
        buf_free(&back);
    }
}

/* Nothing that was changed on the way, cut off, or signed by others is taken for ours. */
static void test_hostile(void **unused)
{
    (void)unused;
    static const uint8_t inner[] = "some octets that are a message";
    struct forward_frame frame, other;
    struct sockaddr_storage client;
    struct buf out = {0};
    struct tsig_mac mac;
    enum tsig_error error;
    size_t at, end;
    make_frame(&frame);
    sockaddr_parse("192.0.2.7:4711", &client, NULL);
    assert_true(forward_wrap(&frame, 7, &client, false, inner, sizeof inner, &out, &mac));
    for (size_t i = 2; i < out.len; i++) {
        out.data[i] ^= 0x55;
        assert_int_not_equal(unwrap(&frame, out.data, out.len, &at, &end, &client, &error), DNS_NOERROR);
        out.data[i] ^= 0x55;
    }
    for (size_t len = DNS_HEADER_LEN; len < out.len; len++)
        assert_int_not_equal(unwrap(&frame, out.data, len, &at, &end, &client, &error), DNS_NOERROR);
    other = frame;
    other.key.secret[0] ^= 1;
    assert_int_equal(unwrap(&other, out.data, out.len, &at, &end, &client, &error), DNS_NOTAUTH);
    assert_int_equal(error, TSIG_BADSIG);
    other = frame;
    name_of("other.update.lictor.", other.zone); /* another cluster that has the same key */
    assert_int_equal(unwrap(&other, out.data, out.len, &at, &end, &client, &error), DNS_REFUSED);
    buf_free(&out);

    /* Rightly signed, but nothing is in it, or half an address. */
    for (size_t len = 0; len < 12; len += 11) {
        assert_true(forward_wrap(&frame, 7, &client, false, inner, len, &out, &mac));
        assert_int_equal(unwrap(&frame, out.data, out.len, &at, &end, &client, &error), DNS_FORMERR);
        buf_free(&out);
    }
    uint8_t *large = calloc(1, FORWARD_MAX);
    assert_false(forward_wrap(&frame, 7, &client, false, large, FORWARD_MAX - 1000, &out, &mac));
    assert_true(forward_wrap(&frame, 7, &client, false, large, FORWARD_MAX - FORWARD_FRAME, &out, &mac));
    assert_true(out.len <= FORWARD_MAX);
    buf_free(&out);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns), cmocka_unit_test(test_a_long_name),
        cmocka_unit_test(test_rights),   cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
