/* Messages that main answers, through real workers: every one comes back to who asked, by UDP and TCP;
 * clients that leave, floods, and the end of the server while some are with main. Worth most under
 * ThreadSanitizer. */
#include "lictor/inbox.h"

#include "lictor/dns.h"
#include "lictor/rcu.h"
#include "lictor/serve.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct snapshot_slot slot;
static struct gate gate;
static struct server *server;
static struct sockaddr_storage address;
static struct event_base *base;
static struct inbox *inbox;

/* Messages that are held back until somebody lets them go. */
static bool holding;
static struct inbox_message *held[INBOX_MAX];
static unsigned held_count, taken;

/* The reply: the message's ID and number, which stands where the zone section would. */
static void reply_to(struct inbox_message *message)
{
    message->reply = xcalloc(1, 16);
    memcpy(message->reply, message->msg, 2);
    message->reply[2] = 0x80 | DNS_UPDATE << 3;
    message->reply_len = 16;
    memcpy(message->reply + 12, message->msg + 12, 4);
    message->rcode = DNS_NOERROR;
    message->ede = DNS_EDE_NONE;
    inbox_reply(message);
}

static void take(void *arg, struct inbox_message *message)
{
    (void)arg;
    taken++;
    if (holding)
        held[held_count++] = message;
    else
        reply_to(message);
}

static void let_go(void)
{
    holding = false;
    while (held_count)
        reply_to(held[--held_count]);
}

static int set_up(void **state)
{
    (void)state;
    struct err err = {""};
    int udp[2], tcp[2];
    socklen_t len = sizeof address;
    struct server_listen listen = {.udp = udp, .tcp = tcp};
    snapshot_publish(&slot, snapshot_new(NULL, 0, &(struct snapshot_text){.node = "ns1", .primary = "ns2"}));
    evthread_use_pthreads();
    base = event_base_new();
    inbox = inbox_new(base, 2, take, NULL, &err);
    sockaddr_parse("127.0.0.1:0", &listen.address, &err);
    assert_int_equal(sockets_bind(&listen.address, 2, udp, tcp, &err), 0);
    getsockname(udp[0], (struct sockaddr *)&address, &len);
    struct server_config config = {
        .workers = 2, .listens = &listen, .listen_count = 1, .slot = &slot, .gate = &gate, .inbox = inbox};
    server = server_new(&config, &err);
    holding = false;
    taken = held_count = 0;
    return server && server_start(server, &err) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    server_free(server);
    let_go(); /* after the workers: nobody sends these */
    inbox_free(inbox);
    event_base_free(base);
    rcu_barrier();
    snapshot_free(atomic_load(&slot.current));
    atomic_store(&slot.current, NULL);
    rcu_barrier();
    return 0;
}

static int client(int type)
{
    int fd = socket(AF_INET, type, 0);
    const struct timeval patience = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sockaddr_len(&address)), 0);
    return fd;
}

#define MESSAGE 40

static void make(uint8_t out[2 + MESSAGE], uint32_t number)
{
    memset(out, 0, 2 + MESSAGE);
    put16(out, MESSAGE);
    put16(out + 2, number & 0xffff);
    out[4] = DNS_UPDATE << 3;
    put32(out + 2 + DNS_HEADER_LEN, number);
}

static void receive_all(int fd, uint8_t *out, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = recv(fd, out + got, len - got, 0);
        assert_true(n > 0);
        got += (size_t)n;
    }
}

static void turns(unsigned until)
{
    nstime end = clock_boot() + 20 * NS_PER_S;
    while (taken < until && clock_boot() < end)
        event_base_loop(base, EVLOOP_ONCE);
    assert_true(taken >= until);
}

#define EACH 600

static void *ask_over_tcp(void *arg)
{
    int fd = client(SOCK_STREAM);
    bool seen[EACH] = {false};
    for (uint32_t i = 0; i < EACH; i++) {
        uint8_t message[2 + MESSAGE];
        make(message, i);
        assert_int_equal(send(fd, message, sizeof message, 0), sizeof message);
    }
    for (unsigned i = 0; i < EACH; i++) {
        uint8_t reply[18];
        receive_all(fd, reply, sizeof reply);
        uint32_t number = get32(reply + 14);
        assert_true(get16(reply) == 16 && number < EACH && !seen[number] && get16(reply + 2) == number);
        seen[number] = true;
    }
    close(fd);
    return arg;
}

static void *ask_over_udp(void *arg)
{
    int fd = client(SOCK_DGRAM);
    for (uint32_t i = 0; i < EACH; i++) {
        uint8_t message[2 + MESSAGE], reply[64];
        make(message, 1000 + i);
        assert_int_equal(send(fd, message + 2, MESSAGE, 0), MESSAGE);
        assert_int_equal(recv(fd, reply, sizeof reply, 0), 16);
        assert_int_equal(get32(reply + 12), 1000 + i);
    }
    close(fd);
    return arg;
}

/* Leaves without its replies. */
static void *ask_and_leave(void *arg)
{
    for (uint32_t i = 0; i < 20; i++) {
        int fd = client(SOCK_STREAM);
        for (uint32_t k = 0; k < EACH / 20; k++) {
            uint8_t message[2 + MESSAGE];
            make(message, i);
            send(fd, message, sizeof message, MSG_NOSIGNAL);
        }
        shutdown(fd, SHUT_WR);
        close(fd);
    }
    return arg;
}

static void test_each_gets_its_own(void **state)
{
    (void)state;
    pthread_t threads[6];
    void *(*const bodies[])(void *) = {ask_over_tcp, ask_over_udp};
    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < 2 ? ask_and_leave : bodies[i % 2], NULL), 0);
    for (int i = 0; i < 6; i++)
        while (pthread_tryjoin_np(threads[i], NULL) == EBUSY) {
            event_base_loop(base, EVLOOP_NONBLOCK);
            usleep(100);
        }
    assert_true(taken >= 4 * EACH); /* of those that leave some may be lost with their connection */
}

static void test_too_many(void **state)
{
    (void)state;
    int fd = client(SOCK_DGRAM);
    unsigned refused = 0;
    holding = true;
    for (uint32_t i = 0; i < INBOX_MAX + 50u; i++) {
        uint8_t message[2 + MESSAGE], reply[600];
        make(message, i);
        assert_int_equal(send(fd, message + 2, MESSAGE, 0), MESSAGE);
        /* As many as there may be are taken without a word; one after the other, so that the socket's own
         * buffer loses none. */
        nstime end = clock_boot() + 10 * NS_PER_S;
        ssize_t len = -1;
        while (len < 0 && clock_boot() < end && inbox_count(inbox) <= i && i < INBOX_MAX)
            len = recv(fd, reply, sizeof reply, MSG_DONTWAIT);
        if (i >= INBOX_MAX) {
            len = recv(fd, reply, sizeof reply, 0);
            assert_true(len >= 12);
            refused += (reply[3] & 15) == DNS_SERVFAIL || (reply[3] & 15) == DNS_FORMERR;
        }
    }
    assert_int_equal(refused, 50);
    assert_int_equal(inbox_count(inbox), INBOX_MAX);
    turns(INBOX_MAX);
    let_go();
    nstime end = clock_boot() + 10 * NS_PER_S;
    while (inbox_count(inbox) && clock_boot() < end)
        usleep(1000);
    assert_int_equal(inbox_count(inbox), 0);
    close(fd);
}

static void test_the_server_ends_meanwhile(void **state)
{
    (void)state;
    int udp = client(SOCK_DGRAM), tcp = client(SOCK_STREAM);
    holding = true;
    for (uint32_t i = 0; i < 20; i++) {
        uint8_t message[2 + MESSAGE];
        make(message, i);
        send(udp, message + 2, MESSAGE, 0);
        send(tcp, message, sizeof message, 0);
    }
    turns(40);
    for (int i = 0; i < 10; i++) /* these come back while the workers end */
        reply_to(held[--held_count]);
    close(udp);
    close(tcp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_gets_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_server_ends_meanwhile, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
