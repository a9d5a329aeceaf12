/* Listen addresses, binding and prefix lists. */
#include "lictor/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void parse_good(void **state)
{
    (void)state;
    static const struct {
        const char *text, *formatted; /* NULL: the same */
        int loopback, wildcard;
    } rows[] = {
        {"127.0.0.1:8653", NULL, 1, 0},
        {"127.9.9.9:1", NULL, 1, 0},
        {"0.0.0.0:53", NULL, 0, 1},
        {"192.0.2.1:65535", NULL, 0, 0},
        {"192.0.2.1:0", NULL, 0, 0},
        {"192.0.2.1:00053", "192.0.2.1:53", 0, 0},
        {"[::1]:8653", NULL, 1, 0},
        {"[::]:53", NULL, 0, 1},
        {"[2001:DB8:0:0::1]:53", "[2001:db8::1]:53", 0, 0},
        {"[fe80::1%lo]:53", "[fe80::1%1]:53", 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct sockaddr_storage address, again;
        struct err err = {""};
        char text[SOCKADDR_TEXT];
        if (sockaddr_parse(rows[i].text, &address, &err) != 0)
            fail_msg("%s: %s", rows[i].text, err.text);
        assert_string_equal(sockaddr_format(&address, text),
                            rows[i].formatted ? rows[i].formatted : rows[i].text);
        assert_int_equal(sockaddr_is_loopback(&address), rows[i].loopback);
        assert_int_equal(sockaddr_is_wildcard(&address), rows[i].wildcard);
        if (!strchr(text, '%')) {
            assert_int_equal(sockaddr_parse(text, &again, &err), 0);
            assert_true(sockaddr_equal(&address, &again));
        }
    }
}

static void parse_bad(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "port is missing"},
        {"127.0.0.1", "port is missing"},
        {"127.0.0.1:", "from 0 to 65535"},
        {"127.0.0.1:65536", "from 0 to 65535"},
        {"127.0.0.1:+53", "from 0 to 65535"},
        {"127.0.0.1: 53", "from 0 to 65535"},
        {"127.0.0.1:53x", "from 0 to 65535"},
        {"127.0.0.1:-1", "from 0 to 65535"},
        {"127.0.0.1:999999999999999999999", "from 0 to 65535"},
        {"127.0.1:53", "not an IPv4 address"},
        {"127.0.0.256:53", "not an IPv4 address"},
        {"localhost:53", "names are not looked up"},
        {":53", "not an IPv4 address"},
        {"::1:53", "\"[::1]:53\""},
        {"[::1]", "\"[::1]:53\""},
        {"[::1]53", "\"[::1]:53\""},
        {"[::1:53", "\"[::1]:53\""},
        {"[::g]:53", "not an IPv6 address"},
        {"[127.0.0.1]:53", "not an IPv6 address"},
        {"[]:53", "not an IPv6 address"},
        {"[fe80::1%no-such-if]:53", "no network interface"},
        {"[::ffff:127.0.0.1]:53", "v4-mapped"},
        {"[1111111111111111111111111111111111111111111111111111111111111111111111111111111111]:53",
         "too long"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct sockaddr_storage address;
        struct err err = {""};
        if (sockaddr_parse(rows[i].text, &address, &err) == 0)
            fail_msg("%s was taken", rows[i].text);
        if (!strstr(err.text, rows[i].says))
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].text, err.text, rows[i].says);
    }
}

static void equal(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int same;
    } rows[] = {
        {"127.0.0.1:1", "127.0.0.1:1", 1}, {"127.0.0.1:1", "127.0.0.1:2", 0},
        {"127.0.0.1:1", "127.0.0.2:1", 0}, {"[::1]:1", "[0::1]:1", 1},
        {"[::1]:1", "[::2]:1", 0},         {"0.0.0.0:1", "[::]:1", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct sockaddr_storage a, b;
        assert_int_equal(sockaddr_parse(rows[i].a, &a, NULL), 0);
        assert_int_equal(sockaddr_parse(rows[i].b, &b, NULL), 0);
        assert_int_equal(sockaddr_equal(&a, &b), rows[i].same);
    }
}

static void acl_table(void **state)
{
    (void)state;
    static const struct {
        const char *prefixes[3], *address;
        int match;
    } rows[] = {
        {{"192.0.2.0/24"}, "192.0.2.255", 1},
        {{"192.0.2.0/24"}, "192.0.3.0", 0},
        {{"192.0.2.0/23"}, "192.0.3.9", 1},
        {{"192.0.2.128/25"}, "192.0.2.127", 0},
        {{"192.0.2.7"}, "192.0.2.7", 1},
        {{"192.0.2.7"}, "192.0.2.6", 0},
        {{"0.0.0.0/0"}, "203.0.113.1", 1},
        {{"0.0.0.0/0"}, "2001:db8::1", 0},
        {{"::/0"}, "203.0.113.1", 0},
        {{"::/0"}, "2001:db8::1", 1},
        {{"2001:db8::/33"}, "2001:db8:7fff::1", 1},
        {{"2001:db8::/33"}, "2001:db8:8000::1", 0},
        {{"::1"}, "::1", 1},
        {{"192.0.2.0/24"}, "::ffff:192.0.2.5", 1}, /* a client seen through a dual-stack socket */
        {{"::ffff:192.0.2.0/120"}, "192.0.2.5", 1},
        {{"::1", "10.0.0.0/8", "192.0.2.7/32"}, "192.0.2.7", 1},
        {{NULL}, "127.0.0.1", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct acl *acl = acl_new();
        struct sockaddr_storage address = {.ss_family = strchr(rows[i].address, ':') ? AF_INET6 : AF_INET};
        for (size_t k = 0; k < 3 && rows[i].prefixes[k]; k++)
            assert_int_equal(acl_add(acl, rows[i].prefixes[k], NULL), 0);
        void *octets = address.ss_family == AF_INET ? (void *)&((struct sockaddr_in *)&address)->sin_addr
                                                    : (void *)&((struct sockaddr_in6 *)&address)->sin6_addr;
        assert_int_equal(inet_pton(address.ss_family, rows[i].address, octets), 1);
        if (acl_match(acl, &address) != rows[i].match)
            fail_msg("%s against %s: not %d", rows[i].address, rows[i].prefixes[0], rows[i].match);
        assert_false(acl_match(NULL, &address));
        acl_free(acl);
    }
    acl_free(NULL);
}

static void acl_bad(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "192.0.2",
        "192.0.2.1/24",
        "192.0.2.0/33",
        "192.0.2.0/",
        "192.0.2.0/-1",
        "::1/64",
        "2001:db8::/129",
        "example.com",
        "192.0.2.0/24 ",
        "::1/0x1",
        "::1%lo",
        "[::1]",
        "192.0.2.0/24/3",
        "192.0.2.1:53",
        "11111111111111111111111111111111111111111111111111111111111111:1",
    };
    struct acl *acl = acl_new();
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct err err = {""};
        if (acl_add(acl, rows[i], &err) == 0)
            fail_msg("\"%s\" was taken", rows[i]);
        assert_true(strlen(err.text) > 0);
    }
    acl_free(acl);
}

static unsigned port_of_fd(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                              : ((struct sockaddr_in6 *)&address)->sin6_port);
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

static void bind_port_zero(void **state)
{
    (void)state;
    static const char *const rows[] = {"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct sockaddr_storage address;
        int udp[3], tcp[3];
        struct err err = {""};
        assert_int_equal(sockaddr_parse(rows[i], &address, &err), 0);
        if (sockets_bind(&address, 3, udp, tcp, &err) != 0)
            fail_msg("%s", err.text);
        int v6 = address.ss_family == AF_INET6, wildcard = sockaddr_is_wildcard(&address);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(port_of_fd(udp[k]), port_of_fd(tcp[0]));
            assert_int_equal(port_of_fd(tcp[k]), port_of_fd(tcp[0]));
            assert_int_equal(option_of(udp[k], SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
            assert_int_equal(option_of(tcp[k], SOL_SOCKET, SO_ACCEPTCONN), 1);
            assert_true(fcntl(udp[k], F_GETFL) & O_NONBLOCK);
            assert_true(fcntl(tcp[k], F_GETFL) & O_NONBLOCK);
            assert_true(fcntl(udp[k], F_GETFD) & FD_CLOEXEC);
            assert_int_equal(v6 ? option_of(udp[k], IPPROTO_IPV6, IPV6_RECVPKTINFO)
                                : option_of(udp[k], IPPROTO_IP, IP_PKTINFO),
                             wildcard);
        }
        for (int k = 0; k < 3; k++) {
            close(udp[k]);
            close(tcp[k]);
        }
    }
}

/* A port that another program (or another lictord, which also shares its ports among its workers) has. */
static void bind_taken(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct sockaddr_storage address, taken;
        int udp[2], tcp[2], udp2[2], tcp2[2];
        struct err err = {""};
        char text[SOCKADDR_TEXT];
        assert_int_equal(sockaddr_parse("127.0.0.1:0", &address, NULL), 0);
        assert_int_equal(sockets_bind(&address, 2, udp, tcp, NULL), 0);
        taken = address;
        ((struct sockaddr_in *)&taken)->sin_port = htons((uint16_t)port_of_fd(udp[0]));
        int *half = type == 0 ? udp : tcp; /* only the other protocol stays taken */
        close(half[0]);
        close(half[1]);
        assert_int_equal(sockets_bind(&taken, 2, udp2, tcp2, &err), -1);
        sockaddr_format(&taken, text);
        assert_non_null(strstr(err.text, text));
        assert_non_null(strstr(err.text, type == 0 ? "(TCP) is taken" : "(UDP) is taken"));
        assert_non_null(strstr(err.text, "`listen`"));
        for (int k = 0; k < 2; k++)
            close(type == 0 ? tcp[k] : udp[k]);
        /* Nothing was left open, so now it works. */
        if (sockets_bind(&taken, 2, udp2, tcp2, &err) != 0)
            fail_msg("%s", err.text);
        for (int k = 0; k < 2; k++) {
            close(udp2[k]);
            close(tcp2[k]);
        }
    }
}

static void bind_impossible(void **state)
{
    (void)state;
    struct sockaddr_storage address;
    struct err err = {""};
    int udp, tcp;
    assert_int_equal(sockaddr_parse("192.0.2.1:53", &address, NULL), 0);
    assert_int_equal(sockets_bind(&address, 1, &udp, &tcp, &err), -1);
    assert_non_null(strstr(err.text, "not an address of this host"));
    assert_int_equal(udp, -1);
    assert_int_equal(tcp, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_good), cmocka_unit_test(parse_bad),       cmocka_unit_test(equal),
        cmocka_unit_test(acl_table),  cmocka_unit_test(acl_bad),         cmocka_unit_test(bind_port_zero),
        cmocka_unit_test(bind_taken), cmocka_unit_test(bind_impossible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
