/* Names that need Consul first: the desk, and what workers do with messages that wait for it, with real
 * clients on the loopback. This thread is main: its loop runs where a test says so. The query engine is
 * replaced by the one below. */
#include "lictor/ask.h"
#include "lictor/dns.h"
#include "lictor/serve.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* --- the engine of these tests ------------------------------------------------------------------------ */

struct snapshot {
    int nothing;
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
    SAY,   /* answered at once */
    NEED,  /* needs Consul for the name in the next two octets */
    ALIAS, /* the same; what is then known leads to the name after it */
    AGED,  /* the same, and what was known long ago leads there if Consul fails */
};

static struct ask_question question_of(unsigned name)
{
    return (struct ask_question){
        .kind = ASK_QUERY, .name_len = 4, .name = {2, (uint8_t)(name >> 8), (uint8_t)name}};
}

struct answer_result answer(const struct answer_env *env, const uint8_t *query, size_t len, uint8_t *out,
                            size_t out_max)
{
    struct answer_result result = {.len = len, .qtype = DNS_A, .zone = (const struct zone *)&the_zone_state};
    const struct ask_answer *asked = env->asked;
    assert_true(len == DNS_HEADER_LEN + 3 && len <= out_max);
    enum verb verb = query[DNS_HEADER_LEN];
    if (verb != SAY) {
        struct ask_question question = question_of(get16(query + DNS_HEADER_LEN + 1));
        bool aged = verb == AGED && asked && asked->outcome > ASK_ABSENT &&
                    (env->asked_last || ask_question_equal(&asked->question, &question));
        if ((verb == ALIAS && asked && asked->outcome == ASK_PUBLISHED) || aged)
            question = question_of(get16(query + DNS_HEADER_LEN + 1) + 1);
        if (!asked || (!env->asked_last && !ask_question_equal(&asked->question, &question))) {
            *env->question = question;
            result.len = 0;
            result.reason = ANSWER_ASK;
            return result;
        }
        static const struct {
            uint16_t rcode;
            enum answer_reason reason;
        } outcomes[] = {
            [ASK_PUBLISHED] = {DNS_NOERROR, ANSWER_OK},         [ASK_ABSENT] = {DNS_NXDOMAIN, ANSWER_OK},
            [ASK_FAILED] = {DNS_SERVFAIL, ANSWER_ASK_FAILED},   [ASK_LATE] = {DNS_SERVFAIL, ANSWER_ASK_LATE},
            [ASK_REFUSED] = {DNS_SERVFAIL, ANSWER_ASK_REFUSED},
        };
        result.rcode = outcomes[asked->outcome].rcode;
        result.reason = outcomes[asked->outcome].reason;
    }
    memcpy(out, query, len);
    out[2] |= 0x80;
    out[3] = (uint8_t)result.rcode;
    return result;
}

/* --- main, its desk, and a handler that does what the test says ----------------------------------------- */

static struct event_base *base;
static struct desk *desk;
static struct asking *in_hand[ASKS_AT_ONCE];
static unsigned in_hand_count;

static void handler(void *arg, struct asking *asking)
{
    (void)arg;
    assert_true(in_hand_count < ASKS_AT_ONCE);
    in_hand[in_hand_count++] = asking;
}

static void open_desk(unsigned workers)
{
    struct err err;
    base = event_base_new();
    desk = desk_new(base, workers, &err);
    assert_non_null(desk);
    desk_handle(desk, ASK_QUERY, handler, NULL);
    in_hand_count = 0;
}

static void close_desk(void)
{
    desk_free(desk);
    event_base_free(base);
}

static void run(void)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
}

static void done(enum ask_outcome outcome, nstime good_for)
{
    assert_true(in_hand_count > 0);
    ask_done(in_hand[--in_hand_count], outcome, good_for);
}

/* Runs main until the handler has so many in hand. */
static void run_until(unsigned count)
{
    for (int i = 0; i < 2000 && in_hand_count < count; i++) {
        run();
        usleep(1000);
    }
    assert_int_equal(in_hand_count, count);
}

/* --- the desk ------------------------------------------------------------------------------------------- */

static void post(unsigned worker, unsigned name)
{
    struct ask_question question = question_of(name);
    assert_true(desk_post(desk, worker, &question));
}

static void expect_answer(unsigned worker, unsigned name, enum ask_outcome outcome)
{
    struct ask_answer answer;
    struct ask_question question = question_of(name);
    assert_true(desk_take(desk, worker, &answer));
    assert_true(ask_question_equal(&answer.question, &question));
    assert_int_equal(answer.outcome, outcome);
}

static void expect_silence(unsigned worker)
{
    struct ask_answer answer;
    assert_false(desk_take(desk, worker, &answer));
}

static void asked_once(void **state)
{
    (void)state;
    open_desk(3);
    post(0, 7);
    post(1, 7);
    post(0, 8);
    run();
    post(0, 7);
    run();
    assert_int_equal(in_hand_count, 2);
    assert_int_equal(ask_question(in_hand[0])->name[2], 7);
    done(ASK_ABSENT, 0); /* 8 */
    expect_answer(0, 8, ASK_ABSENT);
    expect_silence(0);
    done(ASK_PUBLISHED, 0);
    expect_answer(0, 7, ASK_PUBLISHED);
    expect_silence(0); /* once a worker: it knows who waits */
    expect_answer(1, 7, ASK_PUBLISHED);
    expect_silence(2);
    post(0, 7); /* nothing was remembered */
    post(0, 8);
    run();
    assert_int_equal(in_hand_count, 2);
    struct desk_stats stats;
    desk_stats(desk, &stats);
    assert_int_equal(stats.asked, 4);
    assert_int_equal(stats.joined, 2);
    assert_int_equal(stats.published, 1);
    assert_int_equal(stats.absent, 1);
    assert_int_equal(stats.asking, 2);
    close_desk(); /* with two in hand */
}

static void addresses_distinguish(void **state)
{
    (void)state;
    open_desk(1);
    struct ask_question question = question_of(7);
    assert_true(desk_post(desk, 0, &question));
    question.from = (struct ask_address){.family = 1, .prefix = 24, .ip = {192, 0, 2}};
    assert_true(desk_post(desk, 0, &question));
    question.kind = ASK_CONNECT; /* without a handler */
    assert_true(desk_post(desk, 0, &question));
    run();
    assert_int_equal(in_hand_count, 2);
    struct ask_answer answer;
    assert_true(desk_take(desk, 0, &answer));
    assert_int_equal(answer.outcome, ASK_FAILED);
    assert_int_equal(answer.question.kind, ASK_CONNECT);
    close_desk();
}

static void outcomes_are_remembered(void **state)
{
    (void)state;
    open_desk(1);
    post(0, 1);
    run();
    done(ASK_ABSENT, 30 * NS_PER_S);
    post(0, 2);
    run();
    done(ASK_FAILED, NS_PER_MS);
    expect_answer(0, 1, ASK_ABSENT);
    expect_answer(0, 2, ASK_FAILED);
    usleep(2000);
    post(0, 1);
    post(0, 2);
    run();
    expect_answer(0, 1, ASK_ABSENT);
    assert_int_equal(in_hand_count, 1); /* 2: its time is over */
    done(ASK_PUBLISHED, 0);
    desk_forget(desk);
    post(0, 1);
    run();
    assert_int_equal(in_hand_count, 1);
    close_desk();
}

/* Neither Consul nor memory pays for random names. */
static void flood(void **state)
{
    (void)state;
    open_desk(1);
    unsigned refused = 0, name = 0;
    struct ask_answer answer;
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 60; i++)
            post(0, name++);
        run();
        while (desk_take(desk, 0, &answer))
            refused += answer.outcome == ASK_REFUSED;
        assert_true(in_hand_count <= ASKS_AT_ONCE);
        while (in_hand_count > 0)
            done(ASK_ABSENT, 30 * NS_PER_S);
    }
    struct desk_stats stats;
    desk_stats(desk, &stats);
    assert_int_equal(stats.refused, refused);
    assert_int_equal(stats.asked + stats.refused, 6000);
    assert_in_range(stats.asked, ASKS_A_SECOND, 3 * ASKS_A_SECOND); /* it took no two seconds */
    /* More at once than main can hear. */
    bool taken = true;
    struct ask_question question = question_of(1);
    for (int i = 0; i < 300; i++)
        taken &= desk_post(desk, 0, &question);
    assert_false(taken);
    close_desk();
}

/* --- workers ----------------------------------------------------------------------------------------------
 */

static struct snapshot the_snapshot;
static struct gate gate = {.act_until = NS_NEVER};
static struct snapshot_slot slot = {&the_snapshot};
static struct server *server;
static struct sockaddr_storage address;

static void start(void)
{
    struct err err = {""};
    int udp[1], tcp[1];
    socklen_t len = sizeof address;
    open_desk(1);
    assert_int_equal(sockaddr_parse("0.0.0.0:0", &address, &err), 0);
    assert_int_equal(sockets_bind(&address, 1, udp, tcp, &err), 0);
    getsockname(udp[0], (struct sockaddr *)&address, &len);
    struct server_listen listen = {address, udp, tcp};
    server = server_new(
        &(struct server_config){
            .workers = 1, .listens = &listen, .listen_count = 1, .slot = &slot, .gate = &gate, .desk = desk},
        &err);
    assert_non_null(server);
    assert_int_equal(server_start(server, &err), 0);
    ((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

static void stop(void)
{
    server_free(server);
    close_desk();
}

static void expect_counter(enum server_stat stat, uint64_t value)
{
    struct server_stats stats;
    for (int i = 0; i < 400; i++) {
        server_stats_sum(server, &stats);
        if (stats.value[stat] == value)
            return;
        usleep(5000);
    }
    assert_int_equal(stats.value[stat], value);
}

static int client(int type)
{
    int fd = socket(AF_INET, type, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 5}, sizeof(struct timeval));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sockaddr_len(&address)), 0);
    return fd;
}

/* With the two octets of TCP before it. */
static size_t message(uint8_t out[32], uint16_t id, enum verb verb, unsigned name)
{
    memset(out, 0, 32);
    put16(out, DNS_HEADER_LEN + 3);
    put16(out + 2, id);
    out[2 + DNS_HEADER_LEN] = (uint8_t)verb;
    put16(out + 2 + DNS_HEADER_LEN + 1, name);
    return 2 + DNS_HEADER_LEN + 3;
}

static void send_udp(int fd, uint16_t id, enum verb verb, unsigned name)
{
    uint8_t out[32];
    size_t len = message(out, id, verb, name) - 2;
    assert_int_equal(send(fd, out + 2, len, 0), len);
}

static void send_tcp(int fd, uint16_t id, enum verb verb, unsigned name)
{
    uint8_t out[32];
    size_t len = message(out, id, verb, name);
    assert_int_equal(send(fd, out, len, MSG_NOSIGNAL), len);
}

static void expect_udp(int fd, uint16_t id, unsigned rcode)
{
    uint8_t in[64];
    assert_true(recv(fd, in, sizeof in, 0) > DNS_HEADER_LEN);
    assert_int_equal(get16(in), id);
    assert_int_equal(in[3] & 15, rcode);
}

static void expect_tcp(int fd, uint16_t id, unsigned rcode)
{
    uint8_t in[2 + DNS_HEADER_LEN + 3];
    assert_int_equal(recv(fd, in, sizeof in, MSG_WAITALL), sizeof in);
    assert_int_equal(get16(in + 2), id);
    assert_int_equal(in[5] & 15, rcode);
}

/* Main has other things to do while more of them come than it can refuse. */
static void flood_comes_in_turns(void **state)
{
    (void)state;
    open_desk(1);
    unsigned heard = 0, turns = 0;
    struct ask_answer answer;
    for (unsigned name = 0; name < 200; name++)
        post(0, name);
    for (; heard + in_hand_count < 200 && turns < 100; turns++) {
        event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK); /* one turn */
        while (desk_take(desk, 0, &answer))
            heard++;
        usleep(1000);
    }
    assert_int_equal(heard + in_hand_count, 200);
    assert_in_range(turns, 3, 99);
    while (in_hand_count > 0)
        done(ASK_ABSENT, 0);
    close_desk();
}

static void waits_and_is_answered(void **state)
{
    (void)state;
    static const struct {
        enum ask_outcome outcome;
        unsigned rcode;
    } rows[] = {{ASK_PUBLISHED, DNS_NOERROR}, {ASK_ABSENT, DNS_NXDOMAIN}, {ASK_FAILED, DNS_SERVFAIL}};
    start();
    int a = client(SOCK_DGRAM), b = client(SOCK_DGRAM);
    for (unsigned i = 0; i < 3; i++) {
        send_udp(a, 1, NEED, i);
        send_udp(b, 2, NEED, i);
        run_until(1);
        send_udp(a, 3, SAY, 0);
        expect_udp(a, 3, DNS_NOERROR); /* nobody else waits */
        expect_counter(SERVER_PARKED, 2);
        done(rows[i].outcome, 0);
        expect_udp(a, 1, rows[i].rcode);
        expect_udp(b, 2, rows[i].rcode);
    }
    expect_counter(SERVER_PARKED, 0);
    expect_counter(SERVER_PARKED_ALL, 6);
    expect_counter(SERVER_QUERIES_UDP4, 9);
    expect_counter(SERVER_TYPE_A, 9);
    expect_counter(SERVER_RCODE_NXDOMAIN, 2);
    expect_counter(SERVER_REFUSED_ASK_FAILED, 2);
    expect_counter(SERVER_ANSWERS_CURRENT, 7);
    close(a);
    close(b);
    stop();
}

/* Main may be stuck: the worker keeps its word. */
static void waits_half_a_second(void **state)
{
    (void)state;
    start();
    int udp = client(SOCK_DGRAM), tcp = client(SOCK_STREAM);
    nstime begin = clock_boot();
    send_udp(udp, 1, NEED, 1);
    send_tcp(tcp, 2, NEED, 1);
    expect_udp(udp, 1, DNS_SERVFAIL);
    assert_in_range(clock_boot() - begin, ASK_PATIENCE, 6 * ASK_PATIENCE);
    expect_tcp(tcp, 2, DNS_SERVFAIL);
    expect_counter(SERVER_REFUSED_ASK_LATE, 2);
    /* What comes later serves the next one, and does no harm. */
    run_until(1);
    send_udp(udp, 3, NEED, 1);
    expect_counter(SERVER_PARKED, 1);
    done(ASK_PUBLISHED, 0);
    expect_udp(udp, 3, DNS_NOERROR);
    close(udp);
    close(tcp);
    stop();
}

static void alias_leads_to_another(void **state)
{
    (void)state;
    start();
    int fd = client(SOCK_DGRAM);
    send_udp(fd, 1, ALIAS, 5);
    run_until(1);
    done(ASK_PUBLISHED, 0);
    run_until(1);
    assert_int_equal(ask_question(in_hand[0])->name[2], 6);
    done(ASK_PUBLISHED, 0);
    expect_udp(fd, 1, DNS_NOERROR);
    send_udp(fd, 2, ALIAS, 5);
    run_until(1);
    done(ASK_ABSENT, 0);
    expect_udp(fd, 2, DNS_NXDOMAIN);
    /* What leads on is no reason to ask for ever, nor to say nothing. */
    send_udp(fd, 3, AGED, 5);
    run_until(1);
    done(ASK_FAILED, 0);
    expect_udp(fd, 3, DNS_SERVFAIL);
    expect_counter(SERVER_PARKED, 0);
    close(fd);
    stop();
}

static void tcp_overtakes(void **state)
{
    (void)state;
    start();
    int fd = client(SOCK_STREAM);
    send_tcp(fd, 1, NEED, 1);
    send_tcp(fd, 2, SAY, 0);
    send_tcp(fd, 3, NEED, 2);
    shutdown(fd, SHUT_WR); /* it still gets its answers */
    expect_tcp(fd, 2, DNS_NOERROR);
    run_until(2);
    done(ASK_PUBLISHED, 0);
    expect_tcp(fd, 3, DNS_NOERROR);
    done(ASK_PUBLISHED, 0);
    expect_tcp(fd, 1, DNS_NOERROR);
    uint8_t octet;
    assert_int_equal(recv(fd, &octet, 1, 0), 0);
    expect_counter(SERVER_TCP_CLOSED_CLIENT, 1);
    close(fd);
    stop();
}

/* A connection goes with what it waits for; ASan sees if anything is left. */
static void tcp_goes_away(void **state)
{
    (void)state;
    start();
    int fd = client(SOCK_STREAM);
    for (uint16_t i = 0; i < 20; i++)
        send_tcp(fd, i, NEED, i % 2);
    expect_counter(SERVER_PARKED, 20);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    close(fd); /* RST */
    expect_counter(SERVER_TCP_OPEN, 0);
    expect_counter(SERVER_PARKED, 0);
    run_until(2);
    done(ASK_PUBLISHED, 0);
    done(ASK_PUBLISHED, 0);
    fd = client(SOCK_DGRAM);
    send_udp(fd, 1, SAY, 0);
    expect_udp(fd, 1, DNS_NOERROR);
    close(fd);
    stop();
}

static void too_many_wait(void **state)
{
    (void)state;
    start();
    /* One client may not take all places: the rest of what it sent is not read until there is one again. */
    int tcp = client(SOCK_STREAM);
    for (uint16_t i = 0; i < 150; i++)
        send_tcp(tcp, i, i == 149 ? SAY : NEED, i < 64 ? 1 : 2);
    shutdown(tcp, SHUT_WR);
    expect_counter(SERVER_PARKED, 64);
    run_until(1);
    done(ASK_PUBLISHED, 0);
    for (uint16_t i = 0; i < 64; i++)
        expect_tcp(tcp, i, DNS_NOERROR);
    expect_counter(SERVER_PARKED, 64);
    run_until(1);
    done(ASK_ABSENT, 30 * NS_PER_S);
    bool seen[150] = {false};
    for (int i = 64; i < 150; i++) { /* in whatever order */
        uint8_t in[2 + DNS_HEADER_LEN + 3];
        assert_int_equal(recv(tcp, in, sizeof in, MSG_WAITALL), sizeof in);
        uint16_t id = get16(in + 2);
        assert_true(id >= 64 && id < 150 && !seen[id]);
        seen[id] = true;
        assert_int_equal(in[5] & 15, id == 149 ? DNS_NOERROR : DNS_NXDOMAIN);
    }
    uint8_t octet;
    assert_int_equal(recv(tcp, &octet, 1, 0), 0);
    close(tcp);
    /* Main hears nothing: its queue fills, and who finds it full is told at once. */
    int udp = client(SOCK_DGRAM);
    for (unsigned i = 0; i < 400; i++) {
        send_udp(udp, 1, NEED, 100 + i);
        if (i % 50 == 49)
            usleep(5000);
    }
    expect_udp(udp, 1, DNS_SERVFAIL);
    struct server_stats stats;
    server_stats_sum(server, &stats);
    assert_true(stats.value[SERVER_REFUSED_ASK_REFUSED] > 100);
    close(udp);
    stop();
}

static void stops_with_an_answer(void **state)
{
    (void)state;
    start();
    int udp = client(SOCK_DGRAM), tcp = client(SOCK_STREAM);
    send_udp(udp, 1, NEED, 1);
    send_tcp(tcp, 2, NEED, 1);
    expect_counter(SERVER_PARKED, 2);
    stop();
    expect_udp(udp, 1, DNS_SERVFAIL);
    expect_tcp(tcp, 2, DNS_SERVFAIL);
    close(udp);
    close(tcp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asked_once),
        cmocka_unit_test(addresses_distinguish),
        cmocka_unit_test(outcomes_are_remembered),
        cmocka_unit_test(flood),
        cmocka_unit_test(flood_comes_in_turns),
        cmocka_unit_test(waits_and_is_answered),
        cmocka_unit_test(waits_half_a_second),
        cmocka_unit_test(alias_leads_to_another),
        cmocka_unit_test(tcp_overtakes),
        cmocka_unit_test(tcp_goes_away),
        cmocka_unit_test(too_many_wait),
        cmocka_unit_test(stops_with_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
