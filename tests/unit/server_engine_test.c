/* The server with the real engine: what a client sees of a zone over UDP and TCP, and queries while a
 * builder publishes and the gate flips (worth most under ThreadSanitizer). */
#include "lictor/dns.h"
#include "lictor/rcu.h"
#include "lictor/serve.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LEN(array) (sizeof(array) / sizeof(*(array)))

static struct zone_state zone_state_ = {.stale_from = NS_NEVER, .dead_from = NS_NEVER};
static struct snapshot_slot slot;
static struct gate gate;
static struct server *server;
static struct sockaddr_in address;

/* --- the zone ------------------------------------------------------------------------------------------- */

static void put(struct zone_edit *edit, const char *owner, uint16_t type, const void *data, uint16_t len,
                uint32_t count)
{
    uint8_t name[NAME_MAX_WIRE];
    struct rdata rdata[64];
    struct err err = {""};
    assert_true(count <= LEN(rdata));
    for (uint32_t i = 0; i < count; i++)
        rdata[i] = (struct rdata){.data = (const uint8_t *)data + i * len, .len = len};
    struct piece *piece =
        piece_new(&(struct piece_spec){.type = type, .ttl = 5, .rdata = rdata, .count = count}, &err);
    if (!piece || name_from_text(owner, NULL, name, &err) < 0 || zone_edit_put(edit, name, piece, &err) != 0)
        fail_msg("%s: %s", owner, err.text);
    piece_unref(piece);
}

/* gen.example. has three addresses 10.0.g.1 to 3 with g the generation: a mixed answer would show. */
static void put_generation(struct zone_edit *edit, uint8_t generation)
{
    const uint8_t three[3][4] = {{10, 0, generation, 1}, {10, 0, generation, 2}, {10, 0, generation, 3}};
    put(edit, "gen.example.", DNS_A, three, 4, 3);
}

static struct zone *make_zone(void)
{
    static const uint8_t ns[] = "\2ns\7example";
    uint8_t apex[NAME_MAX_WIRE], soa[2 * sizeof(ns) + 20] = {0}, texts[30][101];
    memcpy(soa, ns, sizeof(ns));
    memcpy(soa + sizeof(ns), ns, sizeof(ns));
    for (size_t i = 0; i < LEN(texts); i++) {
        memset(texts[i], 'a', sizeof(texts[i]));
        texts[i][0] = 100;
        texts[i][1] = (uint8_t)('0' + i);
    }
    name_from_text("example.", NULL, apex, NULL);
    struct zone_edit *edit = zone_edit_new(apex, ZONE_AUTHORITATIVE, &zone_state_, NULL, NULL);
    put(edit, "example.", DNS_SOA, soa, sizeof(soa), 1);
    put(edit, "example.", DNS_NS, ns, sizeof(ns), 1);
    put(edit, "ns.example.", DNS_A, "\300\0\2\1", 4, 1);
    put(edit, "long.example.", DNS_TXT, texts, sizeof(texts[0]), LEN(texts));
    put_generation(edit, 0);
    return zone_edit_commit(edit);
}

static void publish(struct zone *zone)
{
    snapshot_publish(&slot, snapshot_new(&zone, 1, &(struct snapshot_text){.node = "ns1", .primary = "ns2"}));
}

/* --- clients ----------------------------------------------------------------------------------------------
 */

static void gate_open(void)
{
    atomic_store(&gate.mode, GATE_STRICT);
    atomic_store(&gate.act_until, NS_NEVER);
}

static int set_up(void **state)
{
    (void)state;
    struct server_listen listen;
    struct err err = {""};
    int udp[2], tcp[2];
    socklen_t len = sizeof(address);
    gate_open();
    struct zone *zone = make_zone();
    publish(zone);
    zone_unref(zone);
    sockaddr_parse("127.0.0.1:0", &listen.address, &err);
    assert_int_equal(sockets_bind(&listen.address, 2, udp, tcp, &err), 0);
    getsockname(udp[0], (struct sockaddr *)&address, &len);
    listen.udp = udp;
    listen.tcp = tcp;
    struct server_config config = {
        .workers = 2, .listens = &listen, .listen_count = 1, .slot = &slot, .gate = &gate};
    server = server_new(&config, &err);
    return server && server_start(server, &err) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    server_free(server);
    rcu_barrier();
    snapshot_free(atomic_load(&slot.current));
    rcu_barrier();
    return 0;
}

static int client(int type)
{
    int fd = socket(AF_INET, type, 0);
    const struct timeval patience = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

struct reply {
    uint8_t data[65535];
    size_t len;
    unsigned rcode, answers;
    bool aa, tc;
};

/* Asks with EDNS, over UDP or TCP as fd is. False if the connection was closed instead. */
static bool ask(int fd, bool tcp, const char *name, uint16_t type, struct reply *reply)
{
    uint8_t message[600] = {0}, *query = message + 2, prefix[2];
    static const uint8_t opt[] = {0, 0, DNS_OPT, 0x10, 0, 0, 0, 0, 0, 0, 0};
    query[1] = 42;
    query[5] = query[11] = 1; /* a question, an additional record */
    size_t len = 12 + (size_t)name_from_text(name, NULL, query + 12, NULL);
    memcpy(query + len, (uint8_t[]){0, (uint8_t)type, 0, DNS_IN}, 4);
    memcpy(query + len + 4, opt, sizeof(opt));
    len += 4 + sizeof(opt);
    message[0] = (uint8_t)(len >> 8);
    message[1] = (uint8_t)len;
    if (send(fd, tcp ? message : query, tcp ? len + 2 : len, MSG_NOSIGNAL) < 0)
        return false;
    if (tcp) {
        if (recv(fd, prefix, 2, MSG_WAITALL) != 2)
            return false;
        reply->len = (size_t)(prefix[0] << 8 | prefix[1]);
        if (recv(fd, reply->data, reply->len, MSG_WAITALL) != (ssize_t)reply->len)
            return false;
    } else {
        ssize_t got = recv(fd, reply->data, sizeof(reply->data), 0);
        assert_true(got > 0);
        reply->len = (size_t)got;
    }
    assert_true(reply->len >= 12);
    assert_int_equal(reply->data[1], 42);
    reply->aa = reply->data[2] & 4;
    reply->tc = reply->data[2] & 2;
    reply->rcode = reply->data[3] & 15;
    reply->answers = (unsigned)(reply->data[6] << 8 | reply->data[7]);
    return true;
}

static void rows(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint16_t type;
        unsigned rcode;
        int udp_answers, tcp_answers; /* -1: any */
        bool udp_tc;
    } rows[] = {
        {"gen.example.", DNS_A, DNS_NOERROR, 3, 3, false},
        {"GEN.example.", DNS_A, DNS_NOERROR, 3, 3, false},
        {"gen.example.", DNS_AAAA, DNS_NOERROR, 0, 0, false},
        {"none.example.", DNS_A, DNS_NXDOMAIN, 0, 0, false},
        {"example.org.", DNS_A, DNS_REFUSED, 0, 0, false},
        {"long.example.", DNS_TXT, DNS_NOERROR, -1, 30, true}, /* 3,400 octets */
    };
    static struct reply reply;
    int udp = client(SOCK_DGRAM), tcp = client(SOCK_STREAM);
    for (size_t i = 0; i < LEN(rows); i++)
        for (int over_tcp = 0; over_tcp < 2; over_tcp++) {
            int answers = over_tcp ? rows[i].tcp_answers : rows[i].udp_answers;
            assert_true(ask(over_tcp ? tcp : udp, over_tcp, rows[i].name, rows[i].type, &reply));
            assert_int_equal(reply.rcode, rows[i].rcode);
            assert_int_equal(reply.aa, rows[i].rcode != DNS_REFUSED);
            assert_int_equal(reply.tc, !over_tcp && rows[i].udp_tc);
            assert_true(over_tcp || reply.len <= 1232);
            if (answers >= 0)
                assert_int_equal(reply.answers, answers);
        }
    close(udp);
    close(tcp);
}

static void without_the_right(void **state)
{
    (void)state;
    static struct reply reply;
    int udp = client(SOCK_DGRAM);
    atomic_store(&gate.act_until, 0);
    assert_int_equal(server_barrier(server, NS_PER_S), 0);
    assert_true(ask(udp, false, "gen.example.", DNS_A, &reply));
    assert_int_equal(reply.rcode, DNS_REFUSED);
    assert_int_equal(reply.answers, 0);
    gate_open();
    assert_true(ask(udp, false, "gen.example.", DNS_A, &reply));
    assert_int_equal(reply.rcode, DNS_NOERROR);
    close(udp);
}

/* Any other program may send us anything, and often does. */
static void noise(void **state)
{
    (void)state;
    static struct reply reply;
    struct rng rng;
    uint8_t junk[700];
    int udp = client(SOCK_DGRAM), asking = client(SOCK_DGRAM);
    rng_seed(&rng);
    for (int i = 0; i < 3000; i++) {
        size_t len = rng_below(&rng, i % 2 ? 60 : sizeof(junk));
        for (size_t k = 0; k < len; k++)
            junk[k] = (uint8_t)(i % 3 ? rng_below(&rng, 4) : rng_next(&rng));
        send(udp, junk, len, MSG_DONTWAIT);
        if (i % 100 == 0) {
            int tcp = client(SOCK_STREAM);
            send(tcp, junk, len, MSG_NOSIGNAL);
            close(tcp);
        }
    }
    assert_true(ask(asking, false, "gen.example.", DNS_A, &reply));
    assert_int_equal(reply.answers, 3);
    close(udp);
    close(asking);
}

/* --- commotion
 * ---------------------------------------------------------------------------------------------- */

static _Atomic bool enough;

static void *build(void *arg)
{
    struct zone *zone = make_zone();
    (void)arg;
    for (unsigned i = 0; !atomic_load(&enough); i++) {
        struct zone_edit *edit = zone_edit_begin(zone);
        put_generation(edit, (uint8_t)i);
        struct zone *next = zone_edit_commit(edit);
        publish(next);
        zone_unref(zone);
        zone = next;
        rcu_poll();
    }
    zone_unref(zone);
    rcu_barrier();
    return NULL;
}

static void *flip_gate(void *arg)
{
    (void)arg;
    while (!atomic_load(&enough)) {
        atomic_store(&gate.act_until, 0);
        assert_int_equal(server_barrier(server, 5 * NS_PER_S), 0);
        usleep(300);
        gate_open();
        usleep(700);
    }
    return NULL;
}

/* All three addresses are of one generation: one answer comes from one snapshot. */
static void check_whole(const struct reply *reply)
{
    const uint8_t *record = reply->data + 12 + 13 + 4; /* behind the header and the question */
    assert_int_equal(reply->answers, 3);
    for (int i = 1; i < 3; i++)
        assert_int_equal(record[16 * i + 14], record[14]);
}

static void commotion(void **state)
{
    (void)state;
    static struct reply reply;
    pthread_t builder, flipper;
    unsigned answered = 0, refused = 0;
    int udp = client(SOCK_DGRAM), tcp = client(SOCK_STREAM);
    pthread_create(&builder, NULL, build, NULL);
    pthread_create(&flipper, NULL, flip_gate, NULL);
    for (int i = 0; i < 6000; i++) {
        bool over_tcp = i % 2;
        if (!ask(over_tcp ? tcp : udp, over_tcp, "gen.example.", DNS_A, &reply)) {
            assert_true(over_tcp); /* the right went between making and sending */
            close(tcp);
            tcp = client(SOCK_STREAM);
        } else if (reply.rcode == DNS_NOERROR) {
            answered++;
            check_whole(&reply);
        } else {
            assert_int_equal(reply.rcode, DNS_REFUSED);
            refused++;
        }
    }
    atomic_store(&enough, true);
    pthread_join(flipper, NULL);
    pthread_join(builder, NULL);
    assert_true(answered > 0 && refused > 0);
    close(udp);
    close(tcp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows),
        cmocka_unit_test(without_the_right),
        cmocka_unit_test(noise),
        cmocka_unit_test(commotion),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
