/* Transfers through real sockets and workers, while a builder publishes versions and the right comes and
 * goes: each is one version from its first SOA to its last, and nothing of it is left behind (worth most
 * under the sanitizers). */
#include "lictor/dns.h"
#include "lictor/history.h"
#include "lictor/rcu.h"
#include "lictor/serve.h"
#include "lictor/transfer.h"
#include "lictor/wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NAMES   2000
#define CLIENTS 3

static struct zone_state state = {.stale_from = NS_NEVER, .dead_from = NS_NEVER};
static struct snapshot_slot slot;
static struct gate gate;
static struct server *server;
static struct transfers *transfers;
static struct sockaddr_in address;

/* --- the zone: two names, the first and the last of it, say its serial -----------------------------------
 */

static void put(struct zone_edit *edit, const char *owner, uint16_t type, const void *data, size_t len)
{
    uint8_t name[NAME_MAX_WIRE];
    struct err err = {""};
    struct rdata rdata = {.data = data, .len = (uint16_t)len};
    struct piece *piece =
        piece_new(&(struct piece_spec){.type = type, .ttl = 5, .rdata = &rdata, .count = 1}, &err);
    if (!piece || name_from_text(owner, NULL, name, &err) < 0 || zone_edit_put(edit, name, piece, &err) != 0)
        fail_msg("%s: %s", owner, err.text);
    piece_unref(piece);
}

static void put_serial(struct zone_edit *edit, uint32_t serial)
{
    uint8_t soa[] = "\2ns\7example\0\2ns\7example\0"
                    "\0\0\0\0\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5",
            value[4];
    put32(soa + 24, serial);
    put32(value, serial);
    put(edit, "example.", DNS_SOA, soa, sizeof soa - 1);
    put(edit, "0.example.", DNS_A, value, 4);
    put(edit, "z.example.", DNS_A, value, 4);
}

static struct zone *make_zone(void)
{
    uint8_t apex[NAME_MAX_WIRE], text[101];
    name_from_text("example.", NULL, apex, NULL);
    struct zone_edit *edit = zone_edit_new(apex, ZONE_AUTHORITATIVE, &state, NULL, NULL);
    put_serial(edit, 1);
    put(edit, "example.", DNS_NS, "\2ns\7example", 12);
    memset(text, 'x', sizeof text);
    text[0] = 100;
    for (int i = 0; i < NAMES; i++) {
        char owner[32];
        snprintf(owner, sizeof owner, "n%d.example.", i);
        put(edit, owner, DNS_TXT, text, sizeof text);
    }
    return zone_edit_commit(edit);
}

/* More than the buffers of both sockets take. */
static struct zone *make_big(void)
{
    static uint8_t octets[60000];
    uint8_t apex[NAME_MAX_WIRE];
    name_from_text("larger.", NULL, apex, NULL);
    struct zone_edit *edit = zone_edit_new(apex, ZONE_AUTHORITATIVE, &state, NULL, NULL);
    put(edit, "larger.", DNS_SOA, "\0\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5", 22);
    for (int i = 0; i < 300; i++) {
        char owner[32];
        snprintf(owner, sizeof owner, "n%d.larger.", i);
        put(edit, owner, 65280, octets, sizeof octets);
    }
    return zone_edit_commit(edit);
}

static struct zone *big;

static void publish(struct zone *zone)
{
    struct zone *zones[] = {zone, big};
    snapshot_publish(&slot, snapshot_new(zones, 2, &(struct snapshot_text){.node = "ns1", .primary = "ns2"}));
}

static void gate_open(void)
{
    atomic_store(&gate.mode, GATE_STRICT);
    atomic_store(&gate.act_until, NS_NEVER);
}

static struct transfer_policy *make_policy(void)
{
    char path[] = "/tmp/lictor-server-transfer-XXXXXX", text[600];
    struct buf faults = {0};
    struct err err;
    close(mkstemp(path));
    snprintf(text, sizeof text,
             "listen = \"127.0.0.1:1\"\nstate-dir = \"/tmp\"\ncontrol = \"/tmp/none\"\n"
             "zone \"example\" { file = \"%s\" transfer = {\"127.0.0.1\"} }\n"
             "zone \"larger\" { file = \"%s\" transfer = {\"127.0.0.1\"} }\n",
             path, path);
    struct config *config = config_parse("/tmp/lictord.conf", text, strlen(text), &faults);
    unlink(path);
    if (!config)
        fail_msg("%s", buf_str(&faults));
    struct transfer_policy *policy = transfer_policy_new(config, &err);
    config_free(config);
    return policy;
}

static int set_up(void **unused)
{
    struct server_listen listen;
    struct err err = {""};
    int udp[2], tcp[2];
    socklen_t len = sizeof address;
    (void)unused;
    gate_open();
    struct zone *zone = make_zone();
    big = make_big();
    publish(zone);
    zone_unref(zone);
    transfers = transfers_new();
    transfers_set_policy(transfers, make_policy());
    sockaddr_parse("127.0.0.1:0", &listen.address, &err);
    assert_int_equal(sockets_bind(&listen.address, 2, udp, tcp, &err), 0);
    getsockname(udp[0], (struct sockaddr *)&address, &len);
    listen.udp = udp;
    listen.tcp = tcp;
    struct server_config config = {.workers = 2,
                                   .listens = &listen,
                                   .listen_count = 1,
                                   .slot = &slot,
                                   .gate = &gate,
                                   .special = transfers_special(transfers)};
    server = server_new(&config, &err);
    return server && server_start(server, &err) == 0 ? 0 : -1;
}

static int tear_down(void **unused)
{
    (void)unused;
    server_free(server);
    rcu_barrier();
    snapshot_free(atomic_load(&slot.current));
    rcu_barrier();
    zone_unref(big);
    zone_reap();
    transfers_free(transfers);
    return 0;
}

/* --- clients
 * ------------------------------------------------------------------------------------------------ */

static int ask_for(const char *zone, uint16_t type, uint32_t serial)
{
    static const struct timeval patience = {.tv_sec = 10};
    uint8_t query[64] = {0, 25, 0, 42, [7] = 1, [14] = (uint8_t)strlen(zone)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){8192}, sizeof(int));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    size_t end = 15 + strlen(zone) + 1;
    memcpy(query + 15, zone, strlen(zone));
    put16(query + end, type);
    put16(query + end + 2, DNS_IN);
    query[1] = (uint8_t)(end + 2);
    if (type == DNS_IXFR) {
        static const uint8_t soa[] = {0xc0, 12, 0, DNS_SOA, 0, DNS_IN, 0, 0, 0, 0, 0, 22, 0, 0};
        memcpy(query + end + 4, soa, sizeof soa);
        put32(query + end + 4 + sizeof soa, serial);
        query[11] = 1;
        query[1] = (uint8_t)(query[1] + 34);
    }
    assert_int_equal(send(fd, query, 2u + query[1], MSG_NOSIGNAL), 2 + query[1]);
    return fd;
}

static int ask(uint16_t type, uint32_t serial)
{
    return ask_for("example", type, serial);
}

/* One message; 0: the connection ended before it. */
static size_t receive(int fd, uint8_t msg[65535])
{
    uint8_t prefix[2];
    if (recv(fd, prefix, 2, MSG_WAITALL) != 2)
        return 0;
    ssize_t len = get16(prefix);
    return recv(fd, msg, (size_t)len, MSG_WAITALL) == len ? (size_t)len : 0;
}

/* What a transfer said, read as far as this test needs it. */
struct seen {
    uint32_t serial, first, last;
    unsigned soas, records, messages, rcode;
};

static void look(const uint8_t *msg, size_t len, struct seen *seen)
{
    size_t at = DNS_HEADER_LEN;
    uint8_t name[NAME_MAX_WIRE];
    seen->rcode = msg[3] & 15;
    seen->messages++;
    for (unsigned i = get16(msg + 4); i > 0; i--) {
        assert_true(name_from_wire(msg, len, &at, name) > 0);
        at += 4;
    }
    for (unsigned i = get16(msg + 6); i > 0; i--, seen->records++) {
        assert_true(name_from_wire(msg, len, &at, name) > 0 && at + 10 <= len);
        const uint8_t *rdata = msg + at + 10;
        size_t rdata_len = get16(msg + at + 8);
        uint16_t type = get16(msg + at);
        at += 10 + rdata_len;
        assert_true(at <= len);
        if (type == DNS_SOA) {
            uint32_t serial = get32(rdata + rdata_len - 20);
            assert_true(seen->soas == 0 || serial == seen->serial);
            seen->serial = serial;
            seen->soas++;
        } else if (type == DNS_A && name[1] == '0') {
            seen->first = get32(rdata);
        } else if (type == DNS_A && name[1] == 'z') {
            seen->last = get32(rdata);
        }
    }
}

/* Returns whether all of it came. */
static bool read_axfr(int fd, struct seen *seen, bool slowly, bool leaving)
{
    uint8_t *msg = malloc(65535);
    size_t len;
    *seen = (struct seen){0};
    while (seen->soas < 2 && (len = receive(fd, msg)) > 0) {
        look(msg, len, seen);
        if (seen->rcode || (leaving && seen->messages == 3))
            break;
        if (slowly)
            usleep(1000);
    }
    free(msg);
    close(fd);
    return seen->soas == 2;
}

static void one_is_whole(void **unused)
{
    struct seen seen;
    (void)unused;
    assert_true(read_axfr(ask(DNS_AXFR, 0), &seen, true, false));
    assert_int_equal(seen.records, NAMES + 5);
    assert_true(seen.messages > 10);
}

/* Without the right a transfer under way is cut off. */
static void cut_off_with_the_right(void **unused)
{
    struct seen seen;
    uint8_t *msg = malloc(65535);
    (void)unused;
    int fd = ask_for("larger", DNS_AXFR, 0);
    assert_true(receive(fd, msg) > 0);
    atomic_store(&gate.act_until, 0);
    assert_int_equal(server_barrier(server, NS_PER_S), 0);
    size_t count = 0;
    while (receive(fd, msg) > 0)
        count++;
    assert_true(count < 290);
    close(fd);
    free(msg);
    assert_false(read_axfr(ask(DNS_AXFR, 0), &seen, false, false));
    assert_int_equal(seen.rcode, DNS_REFUSED);
    gate_open();
}

/* --- commotion
 * ---------------------------------------------------------------------------------------------- */

static _Atomic bool enough;

static void *build(void *arg)
{
    struct zone *zone = make_zone();
    (void)arg;
    for (uint32_t i = 2; !atomic_load(&enough); i++) {
        struct zone_edit *edit = zone_edit_begin(zone);
        put_serial(edit, i);
        struct zone *next = zone_edit_commit(edit);
        assert_int_equal(history_continue(zone, next), 0);
        publish(next);
        zone_unref(zone);
        zone = next;
        transfers_set_policy(transfers, make_policy());
        rcu_poll();
        usleep(500);
    }
    zone_unref(zone);
    rcu_barrier();
    return NULL;
}

static void *client(void *arg)
{
    unsigned number = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < 40; i++) {
        struct seen seen;
        bool leaving = (i + number) % 4 == 0;
        bool whole = read_axfr(ask(DNS_AXFR, 0), &seen, (i + number) % 3 == 0, leaving);
        assert_int_equal(whole, !leaving);
        assert_true(!whole || (seen.first == seen.serial && seen.last == seen.serial));
        uint8_t msg[65535];
        int fd = ask(DNS_IXFR, seen.serial - 1);
        assert_true(receive(fd, msg) > 0);
        assert_int_equal(msg[3] & 15, 0);
        close(fd);
    }
    return NULL;
}

static void commotion(void **unused)
{
    pthread_t builder, clients[CLIENTS];
    (void)unused;
    pthread_create(&builder, NULL, build, NULL);
    for (uintptr_t i = 0; i < CLIENTS; i++)
        pthread_create(&clients[i], NULL, client, (void *)i);
    for (unsigned i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    atomic_store(&enough, true);
    pthread_join(builder, NULL);
    struct transfer_counters counters;
    transfers_counters(transfers, &counters);
    assert_true(counters.value[TRANSFER_AXFR][TRANSFER_SENT] > 50);
    assert_true(counters.value[TRANSFER_AXFR][TRANSFER_ABORTED] > 10);
    assert_true(counters.value[TRANSFER_IXFR][TRANSFER_SENT] > 0);
}

/* The server ends while one is under way and not read: within its second, without a leak. */
static void ends_in_the_middle(void **unused)
{
    uint8_t *msg = malloc(65535);
    int fd = ask_for("larger", DNS_AXFR, 0); /* stays open: tear_down stops the server */
    (void)unused;
    assert_true(receive(fd, msg) > 0);
    free(msg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_whole),
        cmocka_unit_test(cut_off_with_the_right),
        cmocka_unit_test(commotion),
        cmocka_unit_test(ends_in_the_middle),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
