/* Whether a process is dead: the rule as a table, and the witness against real sockets. */
#include "role/witness.h"

#include "lictor/sockets.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void the_rule(void **state)
{
    (void)state;
    /* Letters with the time in ms: a accepted, r refused, u answered over UDP, n nothing heard. */
    static const struct {
        const char *sightings;
        bool dead;
    } table[] = {
        {"", false},
        {"r0 r50 r100", false}, /* never seen there: it listens elsewhere */
        {"a0", false},
        {"a0 r10", false},     /* one refusal: it may be restarting */
        {"a0 r10 r30", false}, /* too close together */
        {"a0 r10 r59", false},
        {"a0 r10 r60", true},
        {"a0 r10 r30 r60", true},  /* counted from the first */
        {"a0 r10 a30 r60", false}, /* it is back, and gone once more */
        {"a0 r10 a30 r60 r110", true},
        {"a0 r10 u30 r60", false}, /* a firewall's REJECT before a living process */
        {"a0 r10 u30 r60 u70 r110", false},
        {"a0 r10 n40 r60", false},     /* the host was silent in between: nothing is proven */
        {"a0 n10 n1000 n2000", false}, /* a lost host */
        {"u0 r10 r60", false},         /* UDP alone is not the port that was seen accepting */
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct testimony testimony = {0};
        bool dead = false;
        const char *at = table[i].sightings;
        while (*at != '\0') {
            char kind = *at++;
            int ms = 0, len = 0;
            sscanf(at, "%d%n", &ms, &len);
            at += len + (at[len] == ' ');
            enum sighting sighting = kind == 'a'   ? SIGHTING_ACCEPTED
                                     : kind == 'r' ? SIGHTING_REFUSED
                                     : kind == 'u' ? SIGHTING_ANSWERED
                                                   : SIGHTING_NOTHING;
            dead = testimony_add(&testimony, sighting, NS_PER_S + ms * NS_PER_MS);
        }
        if (dead != table[i].dead)
            fail_msg("%s: %s", table[i].sightings, dead ? "taken for dead" : "taken for living");
    }
}

/* A process's DNS port, as far as it matters. */
struct port {
    int tcp, udp;
    struct sockaddr_storage address;
};

static struct port open_port(void)
{
    struct port port;
    struct sockaddr_storage any;
    struct err err;
    socklen_t len = sizeof port.address;
    memset(&port.address, 0, sizeof port.address);
    assert_int_equal(sockaddr_parse("127.0.0.1:0", &any, NULL), 0);
    assert_int_equal(sockets_bind(&any, 1, &port.udp, &port.tcp, &err), 0);
    assert_int_equal(getsockname(port.tcp, (struct sockaddr *)&port.address, &len), 0);
    return port;
}

static nstime died_at;

static void note_death(void *arg)
{
    (void)arg;
    died_at = clock_boot();
}

static void run_for(struct event_base *base, nstime time)
{
    struct timeval after = {(time_t)(time / NS_PER_S), (suseconds_t)(time % NS_PER_S / NS_PER_US)};
    event_base_loopexit(base, &after);
    event_base_dispatch(base);
}

static int accept_one(struct event_base *base, const struct port *port)
{
    for (int i = 0; i < 200; i++) {
        run_for(base, 5 * NS_PER_MS);
        int fd = accept(port->tcp, NULL, NULL);
        if (fd >= 0) {
            run_for(base, 5 * NS_PER_MS);
            return fd;
        }
    }
    fail_msg("the witness did not come");
    return -1;
}

static void a_dead_process_is_noticed_at_once(void **state)
{
    (void)state;
    struct event_base *base = event_base_new();
    struct port port = open_port();
    struct witness *witness = witness_new(base, &port.address, note_death, NULL);
    died_at = 0;
    int kept = accept_one(base, &port);
    run_for(base, 1100 * NS_PER_MS); /* a connection that lasted */
    nstime killed = clock_boot();
    close(port.tcp);
    close(port.udp);
    close(kept);
    run_for(base, 300 * NS_PER_MS);
    assert_true(died_at != 0);
    assert_true(died_at - killed >= WITNESS_AGAIN && died_at - killed < 200 * NS_PER_MS);
    witness_free(witness);
    event_base_free(base);
}

/* The end of a connection is no proof: the server ends idle ones every 10 s. */
static void a_dropped_connection_is_no_death(void **state)
{
    (void)state;
    struct event_base *base = event_base_new();
    struct port port = open_port();
    struct witness *witness = witness_new(base, &port.address, note_death, NULL);
    died_at = 0;
    for (int i = 0; i < 2; i++) {
        int kept = accept_one(base, &port);
        run_for(base, 1050 * NS_PER_MS);
        close(kept);
    }
    int again = accept_one(base, &port);
    run_for(base, 200 * NS_PER_MS);
    assert_true(died_at == 0);
    close(again);
    witness_free(witness);
    close(port.tcp);
    close(port.udp);
    event_base_free(base);
}

/* TCP refuses, as behind a firewall that rejects, but over UDP it answers. */
static void an_answer_over_udp_is_a_sign_of_life(void **state)
{
    (void)state;
    struct event_base *base = event_base_new();
    struct port port = open_port();
    struct witness *witness = witness_new(base, &port.address, note_death, NULL);
    died_at = 0;
    int kept = accept_one(base, &port), answered = 0;
    run_for(base, 1050 * NS_PER_MS);
    close(port.tcp);
    close(kept);
    for (int i = 0; i < 60; i++) {
        struct sockaddr_storage from;
        socklen_t len = sizeof from;
        unsigned char query[512];
        run_for(base, 5 * NS_PER_MS);
        ssize_t size = recvfrom(port.udp, query, sizeof query, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
        if (size < 12)
            continue;
        query[2] |= 0x80;
        query[3] |= 5;
        sendto(port.udp, query, (size_t)size, 0, (struct sockaddr *)&from, len);
        answered++;
    }
    assert_true(answered > 0);
    assert_true(died_at == 0);
    witness_free(witness);
    close(port.udp);
    event_base_free(base);
}

static void a_port_that_never_accepted_proves_nothing(void **state)
{
    (void)state;
    struct event_base *base = event_base_new();
    struct port port = open_port();
    close(port.tcp);
    close(port.udp);
    struct witness *witness = witness_new(base, &port.address, note_death, NULL);
    died_at = 0;
    run_for(base, 300 * NS_PER_MS);
    assert_true(died_at == 0);
    witness_free(witness);
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule),
        cmocka_unit_test(a_dead_process_is_noticed_at_once),
        cmocka_unit_test(a_dropped_connection_is_no_death),
        cmocka_unit_test(an_answer_over_udp_is_a_sign_of_life),
        cmocka_unit_test(a_port_that_never_accepted_proves_nothing),
    };
    return cmocka_run_group_tests_name("witness", tests, NULL, NULL);
}
