/* Sockets and workers with real clients on the loopback. The query engine is replaced by the one below, whose
 * replies the question's first octets choose: so the tests can make it slow, long-winded, or lose its right
 * in the middle of a batch. The program's own answer() wins over the library's. */
#include "lictor/dns.h"
#include "lictor/rcu.h"
#include "lictor/serve.h"
#include "lictor/xalloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LEN(array) (sizeof(array) / sizeof(*(array)))

/* --- the engine of these tests ------------------------------------------------------------------------ */

struct snapshot {
    uint64_t a, b; /* always equal: a torn or freed one would show */
};

static struct zone_state the_zone_state;

struct zone_state *zone_state(const struct zone *zone)
{
    (void)zone;
    return &the_zone_state;
}

const uint8_t *zone_apex(const struct zone *zone)
{
    (void)zone;
    return (const uint8_t *)"";
}

enum verb {
    SAY,   /* the query, as a reply */
    LONG,  /* as long as out allows */
    GATED, /* by the right of the gate, or REFUSED */
    CLOSE, /* the same, and the right goes at that moment */
    SLOW,  /* takes 300 ms */
    WHO,   /* NOERROR if the client may inspect, else REFUSED */
};

static struct gate gate;

struct answer_result answer(const struct answer_env *env, const uint8_t *query, size_t len, uint8_t *out,
                            size_t out_max)
{
    struct answer_result result = {.qtype = DNS_A, .reason = ANSWER_OK, .zone = (const struct zone *)&gate};
    if (len < DNS_HEADER_LEN || env->snapshot->a != env->snapshot->b) {
        result.reason = ANSWER_DROPPED_SHORT;
        result.zone = NULL;
        return result;
    }
    enum verb verb = len > DNS_HEADER_LEN ? query[DNS_HEADER_LEN] : SAY;
    result.len = verb == LONG ? out_max : len < out_max ? len : out_max;
    memset(out, 0, result.len);
    memcpy(out, query, DNS_HEADER_LEN);
    out[2] |= 0x80;
    if (verb == GATED || verb == CLOSE) {
        if (gate_verdict(env->gate, env->now) != GATE_ANSWER) {
            result.rcode = DNS_REFUSED;
            result.reason = ANSWER_NOT_PRIMARY;
        } else {
            result.gated = true;
        }
        if (verb == CLOSE)
            atomic_store(&gate.act_until, 0);
    }
    if (verb == SLOW)
        usleep(300000);
    if (verb == WHO && !env->inspect)
        result.rcode = DNS_REFUSED;
    out[3] = (uint8_t)result.rcode;
    return result;
}

/* --- a server and its clients --------------------------------------------------------------------------- */

static struct snapshot first_snapshot = {1, 1};

struct fixture {
    struct snapshot_slot slot;
    struct server *server;
    struct sockaddr_storage address; /* with the port in it */
};

static void gate_open(void)
{
    atomic_store(&gate.mode, GATE_STRICT);
    atomic_store(&gate.ready_from, 0);
    atomic_store(&gate.act_until, NS_NEVER);
}

static struct fixture *start(const char *address, unsigned workers, struct server_config config)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct err err = {""};
    int udp[8], tcp[8];
    socklen_t len = sizeof(f->address);
    assert_true(workers <= 8);
    assert_int_equal(sockaddr_parse(address, &f->address, &err), 0);
    if (sockets_bind(&f->address, workers, udp, tcp, &err) != 0)
        fail_msg("%s", err.text);
    getsockname(udp[0], (struct sockaddr *)&f->address, &len);
    struct server_listen listen = {f->address, udp, tcp};
    atomic_store(&f->slot.current, &first_snapshot);
    gate_open();
    config.workers = workers;
    config.listens = &listen;
    config.listen_count = 1;
    config.slot = &f->slot;
    config.gate = &gate;
    f->server = server_new(&config, &err);
    if (!f->server || server_start(f->server, &err) != 0)
        fail_msg("%s", err.text);
    return f;
}

static void stop(struct fixture *f)
{
    server_free(f->server);
    free(f);
}

static uint64_t counter(const struct fixture *f, enum server_stat stat)
{
    struct server_stats stats;
    server_stats_sum(f->server, &stats);
    return stats.value[stat];
}

/* Counters are written after the reply has left. */
static void expect_counter(const struct fixture *f, enum server_stat stat, uint64_t value)
{
    for (int i = 0; i < 200 && counter(f, stat) != value; i++)
        usleep(5000);
    assert_int_equal(counter(f, stat), value);
}

static size_t make_query(uint8_t *out, uint16_t id, enum verb verb)
{
    memset(out, 0, DNS_HEADER_LEN);
    out[0] = (uint8_t)(id >> 8);
    out[1] = (uint8_t)id;
    out[DNS_HEADER_LEN] = (uint8_t)verb;
    return DNS_HEADER_LEN + 1;
}

static int client(const struct fixture *f, int type)
{
    int fd = socket(f->address.ss_family, type, 0);
    const struct timeval patience = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    struct sockaddr_storage to = f->address;
    if (sockaddr_is_wildcard(&to)) {
        if (to.ss_family == AF_INET)
            ((struct sockaddr_in *)&to)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        else
            ((struct sockaddr_in6 *)&to)->sin6_addr = in6addr_loopback;
    }
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sockaddr_len(&to)), 0);
    return fd;
}

/* Returns the rcode of the reply; fails the test without one. */
static int ask_udp(int fd, uint16_t id, enum verb verb)
{
    uint8_t query[64], reply[65536];
    size_t len = make_query(query, id, verb);
    assert_int_equal(send(fd, query, len, 0), len);
    ssize_t got = recv(fd, reply, sizeof(reply), 0);
    assert_true(got >= DNS_HEADER_LEN);
    assert_int_equal(reply[0] << 8 | reply[1], id);
    assert_true(reply[2] & 0x80);
    return reply[3] & 15;
}

static void send_tcp(int fd, uint16_t id, enum verb verb)
{
    uint8_t message[64];
    size_t len = make_query(message + 2, id, verb);
    message[0] = 0;
    message[1] = (uint8_t)len;
    assert_int_equal(send(fd, message, len + 2, MSG_NOSIGNAL), len + 2);
}

/* False at the end of the stream. */
static bool read_all(int fd, uint8_t *to, size_t len)
{
    while (len > 0) {
        ssize_t got = recv(fd, to, len, 0);
        if (got <= 0)
            return false;
        to += got;
        len -= (size_t)got;
    }
    return true;
}

/* The length of the next reply, or -1 at the end of the stream. */
static int read_tcp(int fd, uint16_t *id, int *rcode)
{
    static uint8_t reply[65536];
    uint8_t prefix[2];
    if (!read_all(fd, prefix, 2))
        return -1;
    int len = prefix[0] << 8 | prefix[1];
    assert_true(len >= DNS_HEADER_LEN);
    if (!read_all(fd, reply, (size_t)len))
        return -1;
    *id = (uint16_t)(reply[0] << 8 | reply[1]);
    *rcode = reply[3] & 15;
    return len;
}

static int ask_tcp(int fd, uint16_t id, enum verb verb)
{
    uint16_t got;
    int rcode;
    send_tcp(fd, id, verb);
    assert_true(read_tcp(fd, &got, &rcode) > 0);
    assert_int_equal(got, id);
    return rcode;
}

static bool is_closed(int fd)
{
    uint8_t octet;
    ssize_t got = recv(fd, &octet, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
}

/* --- UDP ---------------------------------------------------------------------------------------------- */

static void udp_answers(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        enum server_stat counted;
    } rows[] = {
        {"127.0.0.1:0", SERVER_QUERIES_UDP4},
        {"0.0.0.0:0", SERVER_QUERIES_UDP4},
        {"[::1]:0", SERVER_QUERIES_UDP6},
        {"[::]:0", SERVER_QUERIES_UDP6},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct fixture *f = start(rows[i].address, 2, (struct server_config){0});
        atomic_store(&the_zone_state.queries, 0);
        int fd = client(f, SOCK_DGRAM);
        for (uint16_t id = 1; id <= 20; id++)
            assert_int_equal(ask_udp(fd, id, SAY), DNS_NOERROR);
        expect_counter(f, rows[i].counted, 20);
        expect_counter(f, SERVER_TYPE_A, 20);
        expect_counter(f, SERVER_RCODE_NOERROR, 20);
        expect_counter(f, SERVER_ANSWERS_CURRENT, 20);
        assert_int_equal(atomic_load(&the_zone_state.queries), 20);
        close(fd);
        stop(f);
    }
}

/* A client that asked 127.0.0.2 drops a reply that comes from 127.0.0.1. */
static void udp_source_address(void **state)
{
    (void)state;
    struct fixture *f = start("0.0.0.0:0", 1, (struct server_config){0});
    static const char *const asked[] = {"127.0.0.1", "127.0.0.2", "127.99.0.3"};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    for (size_t i = 0; i < LEN(asked); i++) {
        struct sockaddr_in to = *(struct sockaddr_in *)&f->address, from;
        socklen_t len = sizeof(from);
        uint8_t query[64], reply[64];
        size_t query_len = make_query(query, 7, SAY);
        inet_pton(AF_INET, asked[i], &to.sin_addr);
        sendto(fd, query, query_len, 0, (struct sockaddr *)&to, sizeof(to));
        assert_int_equal(recvfrom(fd, reply, sizeof(reply), 0, (struct sockaddr *)&from, &len), query_len);
        assert_int_equal(from.sin_addr.s_addr, to.sin_addr.s_addr);
        assert_int_equal(from.sin_port, to.sin_port);
    }
    close(fd);
    stop(f);
}

static void udp_burst(void **state)
{
    (void)state;
    struct fixture *f = start("127.0.0.1:0", 1, (struct server_config){0});
    int fd = client(f, SOCK_DGRAM);
    bool seen[150] = {false};
    uint8_t message[512];
    for (uint16_t id = 0; id < LEN(seen); id++) {
        size_t len = make_query(message, id, SAY);
        assert_int_equal(send(fd, message, len, 0), len);
    }
    for (size_t i = 0; i < LEN(seen); i++) {
        assert_true(recv(fd, message, sizeof(message), 0) > 0);
        unsigned id = (unsigned)(message[0] << 8 | message[1]);
        assert_true(id < LEN(seen) && !seen[id]);
        seen[id] = true;
    }
    expect_counter(f, SERVER_QUERIES_UDP4, LEN(seen));
    assert_true(counter(f, SERVER_UDP_BATCHES) <= LEN(seen));
    close(fd);
    stop(f);
}

/* Whatever comes, the next query of the batch is answered. */
static void udp_hostile(void **state)
{
    (void)state;
    struct fixture *f = start("127.0.0.1:0", 1, (struct server_config){0});
    int fd = client(f, SOCK_DGRAM), gone = client(f, SOCK_DGRAM);
    static uint8_t huge[60000];
    send(fd, "", 0, 0);
    send(fd, "short", 5, 0);
    expect_counter(f, SERVER_DROPS_SHORT, 2);
    huge[0] = 1;
    send(fd, huge, sizeof(huge), 0); /* cut, and answered: here by 4,096 octets */
    assert_int_equal(recv(fd, huge, sizeof(huge), 0), 4096);
    uint8_t query[64];
    for (int i = 0; i < 10; i++)
        send(gone, query, make_query(query, 1, SLOW), 0);
    close(gone); /* its replies meet a closed port */
    assert_int_equal(ask_udp(fd, 9, SAY), DNS_NOERROR);
    assert_int_equal(ask_udp(fd, 10, LONG), DNS_NOERROR);
    close(fd);
    stop(f);
}

static void udp_gate_closes_between(void **state)
{
    (void)state;
    struct fixture *f = start("127.0.0.1:0", 1, (struct server_config){0});
    int fd = client(f, SOCK_DGRAM);
    assert_int_equal(ask_udp(fd, 1, GATED), DNS_NOERROR);
    assert_int_equal(ask_udp(fd, 2, CLOSE), DNS_REFUSED); /* made by right, sent without it: no */
    expect_counter(f, SERVER_GATE_RECALLED, 1);
    expect_counter(f, SERVER_REFUSED_NOT_PRIMARY, 1);
    assert_int_equal(ask_udp(fd, 3, GATED), DNS_REFUSED);
    assert_int_equal(ask_udp(fd, 4, SAY), DNS_NOERROR);
    expect_counter(f, SERVER_GATE_RECALLED, 1);
    close(fd);
    stop(f);
}

static void inspection(void **state)
{
    (void)state;
    struct fixture *f = start("127.0.0.1:0", 1, (struct server_config){0});
    int udp = client(f, SOCK_DGRAM), tcp = client(f, SOCK_STREAM);
    assert_int_equal(ask_udp(udp, 1, WHO), DNS_NOERROR);
    assert_int_equal(ask_tcp(tcp, 1, WHO), DNS_NOERROR);
    close(udp);
    close(tcp);
    stop(f);
}

/* --- TCP ---------------------------------------------------------------------------------------------- */

static void tcp_pipelined(void **state)
{
    (void)state;
    static const char *const rows[] = {"127.0.0.1:0", "[::1]:0"};
    for (size_t i = 0; i < LEN(rows); i++) {
        struct fixture *f = start(rows[i], 2, (struct server_config){0});
        int fd = client(f, SOCK_STREAM), rcode;
        uint8_t messages[400 * 15];
        for (uint16_t id = 0; id < 400; id++) {
            uint8_t *at = messages + id * 15;
            at[0] = 0;
            at[1] = (uint8_t)make_query(at + 2, id, SAY);
        }
        assert_int_equal(send(fd, messages, sizeof(messages), 0), sizeof(messages));
        for (unsigned k = 0; k < 400; k++) {
            uint16_t id;
            assert_int_equal(read_tcp(fd, &id, &rcode), 13);
            assert_int_equal(id, k);
        }
        expect_counter(f, i == 0 ? SERVER_QUERIES_TCP4 : SERVER_QUERIES_TCP6, 400);
        expect_counter(f, SERVER_TCP_OPEN, 1);
        close(fd);
        expect_counter(f, SERVER_TCP_CLOSED_CLIENT, 1);
        expect_counter(f, SERVER_TCP_OPEN, 0);
        stop(f);
    }
}

static void tcp_split_writes(void **state)
{
    (void)state;
    struct fixture *f = start("127.0.0.1:0", 1, (struct server_config){0});
    int fd = client(f, SOCK_STREAM), rcode;
    uint8_t message[30];
    uint16_t id;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    for (size_t cut = 1; cut < sizeof(message); cut++) { /* two queries, cut in two at every place */
        message[0] = message[15] = 0;
        message[1] = (uint8_t)make_query(message + 2, 1, SAY);
        message[16] = (uint8_t)make_query(message + 17, 2, SAY);
        send(fd, message, cut, 0);
        usleep(2000);
        send(fd, message + cut, sizeof(message) - cut, 0);
        assert_int_equal(read_tcp(fd, &id, &rcode), 13);
        assert_int_equal(id, 1);
        assert_int_equal(read_tcp(fd, &id, &rcode), 13);
        assert_int_equal(id, 2);
    }
    for (size_t i = 0; i < 15; i++) {
        send(fd, message + i, 1, 0);
        usleep(500);
    }
    assert_int_equal(read_tcp(fd, &id, &rcode), 13);
    close(fd);
    stop(f);
}

static void tcp_longest_messages(void **state)
{
    (void)state;
    struct fixture *f = start("127.0.0.1:0", 1, (struct server_config){0});
    int fd = client(f, SOCK_STREAM), rcode;
    static uint8_t message[2 + 65535];
    uint16_t id;
    for (int i = 0; i < 5; i++) {
        make_query(message + 2, 77, LONG);
        message[0] = message[1] = 0xff;
        assert_int_equal(send(fd, message, sizeof(message), 0), sizeof(message));
        assert_int_equal(read_tcp(fd, &id, &rcode), 65535);
        assert_int_equal(id, 77);
    }
    close(fd);
    stop(f);
}

static void tcp_garbage(void **state)
{
    (void)state;
    static const uint8_t lengths[] = {0, 1, 11};
    for (size_t i = 0; i < LEN(lengths); i++) {
        struct fixture *f = start("127.0.0.1:0", 1, (struct server_config){0});
        int fd = client(f, SOCK_STREAM);
        assert_int_equal(ask_tcp(fd, 1, SAY), DNS_NOERROR);
        send(fd, (uint8_t[]){0, lengths[i]}, 2, 0);
        assert_true(is_closed(fd));
        expect_counter(f, SERVER_TCP_CLOSED_GARBAGE, 1);
        close(fd);
        fd = client(f, SOCK_STREAM);
        assert_int_equal(ask_tcp(fd, 2, SAY), DNS_NOERROR);
        close(fd);
        stop(f);
    }
}

/* Every answer comes, and then the end. How much the kernel takes is not known: among these are totals that
 * it takes whole, that leave a rest while the end is seen, and that stop the reading before it. */
static void tcp_half_closed(void **state)
{
    (void)state;
    struct fixture *f = start("127.0.0.1:0", 1, (struct server_config){0});
    uint64_t clients = 0;
    for (uint16_t queries = 1; queries < 100; queries += 3, clients++) {
        int fd = client(f, SOCK_STREAM), rcode;
        uint16_t id;
        for (uint16_t i = 0; i < queries; i++)
            send_tcp(fd, i, LONG);
        send(fd, (uint8_t[]){0, 50, 1}, 3, 0); /* and a query that never ends */
        shutdown(fd, SHUT_WR);
        usleep(10000);
        for (uint16_t i = 0; i < queries; i++) {
            assert_int_equal(read_tcp(fd, &id, &rcode), 65535);
            assert_int_equal(id, i);
        }
        assert_true(is_closed(fd));
        close(fd);
    }
    expect_counter(f, SERVER_TCP_CLOSED_CLIENT, clients);
    stop(f);
}

/* Who does not read is not heard any more; nothing is lost for who reads at last. */
static void tcp_back_pressure(void **state)
{
    (void)state;
    struct fixture *f = start("127.0.0.1:0", 1, (struct server_config){0});
    int fd = client(f, SOCK_STREAM), rcode;
    const uint16_t queries = 1000; /* 65 MB of replies */
    uint16_t id;
    for (uint16_t i = 0; i < queries; i++)
        send_tcp(fd, i, LONG);
    usleep(200000);
    uint64_t answered = counter(f, SERVER_QUERIES_TCP4);
    assert_true(answered > 0 && answered < 400);
    int other = client(f, SOCK_STREAM);
    assert_int_equal(ask_tcp(other, 1, SAY), DNS_NOERROR); /* others are served meanwhile */
    for (uint16_t i = 0; i < queries; i++) {
        assert_int_equal(read_tcp(fd, &id, &rcode), 65535);
        assert_int_equal(id, i);
    }
    expect_counter(f, SERVER_QUERIES_TCP4, (uint64_t)queries + 1);
    close(other);
    close(fd);
    stop(f);
}

static void tcp_slow_reader(void **state)
{
    (void)state;
    struct fixture *f = start("127.0.0.1:0", 1, (struct server_config){.tcp_idle = 200 * NS_PER_MS});
    int fd = client(f, SOCK_STREAM);
    for (uint16_t i = 0; i < 200; i++)
        send_tcp(fd, i, LONG);
    expect_counter(f, SERVER_TCP_CLOSED_SLOW, 1);
    expect_counter(f, SERVER_TCP_OPEN, 0);
    close(fd);
    stop(f);
}

static void tcp_idle(void **state)
{
    (void)state;
    struct fixture *f = start("127.0.0.1:0", 1, (struct server_config){.tcp_idle = 300 * NS_PER_MS});
    int silent = client(f, SOCK_STREAM), dripping = client(f, SOCK_STREAM), asking = client(f, SOCK_STREAM);
    for (int i = 0; i < 6; i++) { /* an octet now and then is no query */
        send(dripping, &"\0\x40......"[i], 1, MSG_NOSIGNAL);
        assert_int_equal(ask_tcp(asking, 1, SAY), DNS_NOERROR);
        usleep(100000);
    }
    expect_counter(f, SERVER_TCP_CLOSED_IDLE, 2);
    assert_true(is_closed(silent));
    assert_true(is_closed(dripping));
    assert_int_equal(ask_tcp(asking, 2, SAY), DNS_NOERROR);
    assert_true(is_closed(asking));
    expect_counter(f, SERVER_TCP_CLOSED_IDLE, 3);
    close(silent);
    close(dripping);
    close(asking);
    stop(f);
}

static void tcp_table_full(void **state)
{
    (void)state;
    struct fixture *f = start("127.0.0.1:0", 1, (struct server_config){.tcp_clients = 4});
    int fds[6];
    for (size_t i = 0; i < LEN(fds); i++) {
        fds[i] = client(f, SOCK_STREAM);
        assert_int_equal(ask_tcp(fds[i], 1, SAY), DNS_NOERROR);
        if (i == 3) /* the first was used since: the second is the longest idle */
            assert_int_equal(ask_tcp(fds[0], 2, SAY), DNS_NOERROR);
    }
    expect_counter(f, SERVER_TCP_CLOSED_PRESSURE, 2);
    expect_counter(f, SERVER_TCP_OPEN, 4);
    assert_true(is_closed(fds[1]));
    assert_true(is_closed(fds[2]));
    assert_int_equal(ask_tcp(fds[0], 3, SAY), DNS_NOERROR);
    for (size_t i = 0; i < LEN(fds); i++)
        close(fds[i]);
    stop(f);
}

static void tcp_many_clients(void **state)
{
    (void)state;
    struct fixture *f = start("127.0.0.1:0", 2, (struct server_config){0});
    int fds[300];
    for (size_t i = 0; i < LEN(fds); i++)
        fds[i] = client(f, SOCK_STREAM);
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < LEN(fds); i++)
            assert_int_equal(ask_tcp(fds[i], (uint16_t)i, SAY), DNS_NOERROR);
    expect_counter(f, SERVER_TCP_OPEN, LEN(fds));
    for (size_t i = 0; i < LEN(fds); i++)
        close(fds[i]);
    expect_counter(f, SERVER_TCP_OPEN, 0);
    stop(f);
}

/* Replies that were not sent yet when the right went are never sent. */
static void tcp_gate_closes_between(void **state)
{
    (void)state;
    struct fixture *f = start("127.0.0.1:0", 1, (struct server_config){0});
    int fd = client(f, SOCK_STREAM);
    assert_int_equal(ask_tcp(fd, 1, GATED), DNS_NOERROR);
    send_tcp(fd, 2, CLOSE);
    assert_true(is_closed(fd));
    expect_counter(f, SERVER_TCP_CLOSED_GATE, 1);
    close(fd);
    fd = client(f, SOCK_STREAM);
    assert_int_equal(ask_tcp(fd, 3, GATED), DNS_REFUSED);
    close(fd);
    stop(f);
}

/* Without descriptors accept fails again and again: that must not become a spinning loop. */
static void tcp_no_descriptors(void **state)
{
    (void)state;
    struct fixture *f = start("127.0.0.1:0", 1, (struct server_config){0});
    int fd = socket(AF_INET, SOCK_STREAM, 0), next = dup(0);
    struct rlimit limit, low;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    close(next);
    low.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&f->address, sockaddr_len(&f->address)), 0);
    send_tcp(fd, 1, SAY);
    usleep(500000);
    uint64_t errors = counter(f, SERVER_TCP_ACCEPT_ERRORS);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(errors >= 2 && errors <= 8);
    uint16_t id;
    int rcode;
    assert_true(read_tcp(fd, &id, &rcode) > 0);
    close(fd);
    stop(f);
}

static void limit_descriptors(rlim_t soft, rlim_t hard)
{
    struct rlimit limit = {soft, hard};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* In a process of its own, since a hard limit can only go down. */
static void few_descriptors(void)
{
    limit_descriptors(100, 296);
    struct fixture *f = start("127.0.0.1:0", 2, (struct server_config){0});
    int fds[60];
    for (size_t i = 0; i < LEN(fds); i++)
        fds[i] = client(f, SOCK_STREAM);
    for (int i = 0; i < 200 && counter(f, SERVER_TCP_ACCEPTED) < LEN(fds); i++)
        usleep(5000);
    uint64_t left = counter(f, SERVER_TCP_OPEN), full = counter(f, SERVER_TCP_CLOSED_PRESSURE);
    _exit(left <= 40 && full == LEN(fds) - left ? 0 : 1); /* (296 - 256 kept for others) */
}

static void tcp_descriptors_are_shared(void **state)
{
    (void)state;
    struct rlimit limit;
    int status;
    pid_t child = fork();
    if (child == 0)
        few_descriptors();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);

    getrlimit(RLIMIT_NOFILE, &limit);
    limit_descriptors(200, limit.rlim_max);
    struct fixture *f = start("127.0.0.1:0", 1, (struct server_config){.tcp_clients = 300});
    struct rlimit raised;
    getrlimit(RLIMIT_NOFILE, &raised);
    assert_true(raised.rlim_cur >= 556);
    stop(f);
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* --- life --------------------------------------------------------------------------------------------- */

static void barrier(void **state)
{
    (void)state;
    struct fixture *f = start("127.0.0.1:0", 2, (struct server_config){0});
    assert_int_equal(server_barrier(f->server, NS_PER_S), 0);
    int fd = client(f, SOCK_DGRAM);
    uint8_t query[64];
    send(fd, query, make_query(query, 1, SLOW), 0);
    usleep(50000);
    assert_int_equal(server_barrier(f->server, 50 * NS_PER_MS), -1); /* a worker is in the midst of a batch */
    assert_int_equal(server_barrier(f->server, NS_PER_S), 0);
    close(fd);
    stop(f);
}

static void free_is_quick(void **state)
{
    (void)state;
    struct fixture *f = start("127.0.0.1:0", 2, (struct server_config){0});
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = client(f, SOCK_STREAM);
        for (uint16_t k = 0; k < 200; k++)
            send_tcp(fds[i], k, LONG); /* and nobody reads */
    }
    usleep(100000);
    nstime before = clock_boot();
    stop(f);
    nstime took = clock_boot() - before;
    assert_true(took > 500 * NS_PER_MS && took < 2 * NS_PER_S);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    f = start("127.0.0.1:0", 2, (struct server_config){0});
    before = clock_boot();
    stop(f);
    assert_true(clock_boot() - before < 500 * NS_PER_MS);
    server_free(NULL);
}

static void refusals(void **state)
{
    (void)state;
    struct err err = {""};
    struct server_listen listen = {.address = {.ss_family = AF_INET}};
    struct snapshot_slot slot = {NULL};
    struct server_config config = {.listens = &listen, .slot = &slot, .gate = &gate};
    assert_null(server_new(&config, &err));
    assert_non_null(strstr(err.text, "at least one worker"));
    config.workers = config.listen_count = 1;
    config.udp_max = 100;
    assert_null(server_new(&config, &err));
    assert_non_null(strstr(err.text, "512 to 4096"));

    int udp, tcp;
    sockaddr_parse("127.0.0.1:0", &listen.address, NULL);
    assert_int_equal(sockets_bind(&listen.address, 1, &udp, &tcp, &err), 0);
    listen.udp = &udp;
    listen.tcp = &tcp;
    config.udp_max = 0;
    struct server *server = server_new(&config, &err);
    assert_non_null(server);
    assert_int_equal(server_start(server, &err), -1); /* nothing to answer from */
    assert_non_null(strstr(err.text, "snapshot"));
    server_free(server);
}

struct commotion {
    struct fixture *f;
    _Atomic bool stop;
};

/* The builder's part: publishes and frees. */
static void *publish(void *arg)
{
    struct commotion *c = arg;
    for (uint64_t i = 2; !atomic_load(&c->stop); i++) {
        struct snapshot *snapshot = xmalloc(sizeof(*snapshot)), *old;
        *snapshot = (struct snapshot){i, i};
        old = atomic_exchange_explicit(&c->f->slot.current, snapshot, memory_order_acq_rel);
        if (old != &first_snapshot)
            rcu_defer(free, old);
        rcu_poll();
        usleep(50);
    }
    struct snapshot *last = atomic_exchange(&c->f->slot.current, &first_snapshot);
    if (last != &first_snapshot)
        rcu_defer(free, last);
    rcu_barrier();
    return NULL;
}

/* Main's part. */
static void *flip_gate(void *arg)
{
    struct commotion *c = arg;
    while (!atomic_load(&c->stop)) {
        atomic_store(&gate.act_until, 0);
        assert_int_equal(server_barrier(c->f->server, 5 * NS_PER_S), 0);
        usleep(300);
        atomic_store(&gate.act_until, NS_NEVER);
        usleep(300);
    }
    return NULL;
}

/* Worth most under ThreadSanitizer and AddressSanitizer. */
static void commotion(void **state)
{
    (void)state;
    struct commotion c = {.f = start("127.0.0.1:0", 2, (struct server_config){0})};
    pthread_t publisher, flipper;
    pthread_create(&publisher, NULL, publish, &c);
    pthread_create(&flipper, NULL, flip_gate, &c);
    int udp[4], tcp[4];
    for (int i = 0; i < 4; i++) {
        udp[i] = client(c.f, SOCK_DGRAM);
        tcp[i] = client(c.f, SOCK_STREAM);
    }
    unsigned answered = 0, refused = 0;
    for (uint16_t i = 0; i < 4000; i++) {
        uint16_t id;
        int rcode = ask_udp(udp[i % 4], i, GATED);
        answered += rcode == DNS_NOERROR;
        refused += rcode == DNS_REFUSED;
        send_tcp(tcp[i % 4], i, GATED);
        if (read_tcp(tcp[i % 4], &id, &rcode) < 0) { /* the right went between making and sending */
            close(tcp[i % 4]);
            tcp[i % 4] = client(c.f, SOCK_STREAM);
        }
    }
    assert_true(answered > 0 && refused > 0);
    atomic_store(&c.stop, true);
    pthread_join(flipper, NULL);
    pthread_join(publisher, NULL);
    expect_counter(c.f, SERVER_DROPS_SHORT, 0); /* no torn snapshot was seen */
    for (int i = 0; i < 4; i++) {
        close(udp[i]);
        close(tcp[i]);
    }
    stop(c.f);
}

/* --- statistics ----------------------------------------------------------------------------------------- */

static void stats_text(void **state)
{
    (void)state;
    struct server_stats stats;
    struct buf out = {0};
    for (int i = 0; i < SERVER_STATS; i++)
        stats.value[i] = (uint64_t)i + 1000;
    server_stats_print(&stats, &out);
    char expected[64], *text = buf_str(&out);
    snprintf(expected, sizeof(expected), "\nlictor_queries_total{transport=\"udp6\"} %d\n",
             1000 + SERVER_QUERIES_UDP6);
    assert_non_null(strstr(text, expected));
    snprintf(expected, sizeof(expected), "\nlictor_truncated_total %d\n", 1000 + SERVER_TRUNCATED);
    assert_non_null(strstr(text, expected));
    assert_non_null(strstr(text, "# TYPE lictor_tcp_connections gauge\n"));
    /* Each line is a comment or a sample with our prefix; counters, and they alone, end in _total. */
    int samples = 0, helps = 0, types = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        if (strncmp(line, "# HELP lictor_", 14) == 0) {
            helps++;
        } else if (strncmp(line, "# TYPE lictor_", 14) == 0) {
            types++;
            assert_int_equal(!!strstr(line, "_total "), !!strstr(line, " counter"));
        } else {
            assert_int_equal(strncmp(line, "lictor_", 7), 0);
            samples++;
        }
    }
    assert_int_equal(samples, SERVER_STATS);
    assert_int_equal(helps, types);
    buf_free(&out);
    server_stats_describe(&out);
    assert_non_null(strstr(buf_str(&out), "| `lictor_tcp_closed_total` | counter | `reason=\"client\"`, "));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(udp_answers),
        cmocka_unit_test(udp_source_address),
        cmocka_unit_test(udp_burst),
        cmocka_unit_test(udp_hostile),
        cmocka_unit_test(udp_gate_closes_between),
        cmocka_unit_test(inspection),
        cmocka_unit_test(tcp_pipelined),
        cmocka_unit_test(tcp_split_writes),
        cmocka_unit_test(tcp_longest_messages),
        cmocka_unit_test(tcp_garbage),
        cmocka_unit_test(tcp_half_closed),
        cmocka_unit_test(tcp_back_pressure),
        cmocka_unit_test(tcp_slow_reader),
        cmocka_unit_test(tcp_idle),
        cmocka_unit_test(tcp_table_full),
        cmocka_unit_test(tcp_many_clients),
        cmocka_unit_test(tcp_gate_closes_between),
        cmocka_unit_test(tcp_no_descriptors),
        cmocka_unit_test(tcp_descriptors_are_shared),
        cmocka_unit_test(barrier),
        cmocka_unit_test(free_is_quick),
        cmocka_unit_test(refusals),
        cmocka_unit_test(commotion),
        cmocka_unit_test(stats_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
