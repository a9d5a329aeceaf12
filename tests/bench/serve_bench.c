/* One real server over a generated zone, so that serving can be measured without Consul and without the
 * rest of the daemon. Usage: serve_bench [names] [workers]
 * Prints "port N"; on SIGTERM ends and prints its counters to standard error.
 *   n00000.bench. ... A      `names` names of one address each
 *   s000.bench. ... s099     services of 3 instances
 *   big.bench.               a service of 5,000 instances, 40 an answer as in lictord's default */
#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/serve.h"
#include "lictor/xalloc.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIG      5000
#define ANSWERS  40
#define SERVICES 100

static struct zone_state state = {.stale_from = NS_NEVER, .dead_from = NS_NEVER};

static void die(const struct err *err)
{
    fprintf(stderr, "serve_bench: %s\n", err->text);
    exit(1);
}

static void put(struct zone_edit *edit, const char *owner, const struct piece_spec *spec)
{
    uint8_t name[NAME_MAX_WIRE];
    struct err err = {""};
    struct piece *piece = piece_new(spec, &err);
    if (!piece || name_from_text(owner, NULL, name, &err) < 0 || zone_edit_put(edit, name, piece, &err) != 0)
        die(&err);
    piece_unref(piece);
}

static void put_addresses(struct zone_edit *edit, const char *owner, uint32_t first, uint32_t count)
{
    uint32_t *addresses = xmalloc(count * sizeof(*addresses));
    struct rdata *rdata = xcalloc(count, sizeof(*rdata));
    for (uint32_t i = 0; i < count; i++) {
        addresses[i] = htonl(0x0a000000 + first + i);
        rdata[i] = (struct rdata){.data = (const uint8_t *)&addresses[i], .len = 4};
    }
    put(edit, owner,
        &(struct piece_spec){.type = DNS_A, .ttl = 10, .rdata = rdata, .count = count, .answers = ANSWERS});
    free(rdata);
    free(addresses);
}

/* SOA and NS of the apex, with one name for every name in them. */
static void put_apex(struct zone_edit *edit)
{
    static const uint8_t ns[] = "\2ns\5bench"; /* its NUL is the root label */
    uint8_t soa[2 * sizeof(ns) + 20] = {0};
    memcpy(soa, ns, sizeof(ns));
    memcpy(soa + sizeof(ns), ns, sizeof(ns));
    for (size_t i = 0; i < 5; i++)
        soa[2 * sizeof(ns) + 4 * i + 3] = 60;
    const struct rdata soa_data = {.data = soa, .len = sizeof(soa)};
    const struct rdata ns_data = {.data = ns, .len = sizeof(ns)};
    put(edit, "bench.", &(struct piece_spec){.type = DNS_SOA, .ttl = 60, .rdata = &soa_data, .count = 1});
    put(edit, "bench.", &(struct piece_spec){.type = DNS_NS, .ttl = 60, .rdata = &ns_data, .count = 1});
    put_addresses(edit, "ns.bench.", 1, 1);
}

static struct zone *make_zone(unsigned names)
{
    uint8_t apex[NAME_MAX_WIRE];
    char owner[64];
    name_from_text("bench.", NULL, apex, NULL);
    struct zone_edit *edit = zone_edit_new(apex, ZONE_AUTHORITATIVE, &state, NULL, NULL);
    put_apex(edit);
    for (unsigned i = 0; i < names; i++) {
        snprintf(owner, sizeof(owner), "n%05u.bench.", i);
        put_addresses(edit, owner, i, 1);
    }
    for (unsigned i = 0; i < SERVICES; i++) {
        snprintf(owner, sizeof(owner), "s%03u.bench.", i);
        put_addresses(edit, owner, 3 * i, 3);
    }
    put_addresses(edit, "big.bench.", 1, BIG);
    return zone_edit_commit(edit);
}

int main(int argc, char **argv)
{
    unsigned names = argc > 1 ? (unsigned)atoi(argv[1]) : 10000;
    unsigned workers = argc > 2 ? (unsigned)atoi(argv[2]) : 1;
    static struct snapshot_slot slot;
    static struct gate gate; /* no election: always primary */
    static int udp[64], tcp[64];
    struct server_listen listen = {.udp = udp, .tcp = tcp};
    struct sockaddr_in bound;
    socklen_t len = sizeof(bound);
    struct err err = {""};
    sigset_t ends;
    int which;

    if (names < 1 || workers < 1 || workers > 64) {
        fprintf(stderr, "usage: serve_bench [names] [workers], workers from 1 to 64\n");
        return 1;
    }
    log_init("serve_bench", LOG_LEVEL_INFO);
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);

    struct zone *zone = make_zone(names);
    atomic_store(&gate.act_until, NS_NEVER);
    snapshot_publish(&slot, snapshot_new(&zone, 1, &(struct snapshot_text){.node = "bench"}));
    if (sockaddr_parse("127.0.0.1:0", &listen.address, &err) != 0 ||
        sockets_bind(&listen.address, workers, udp, tcp, &err) != 0)
        die(&err);
    getsockname(udp[0], (struct sockaddr *)&bound, &len);
    struct server_config config = {
        .workers = workers, .listens = &listen, .listen_count = 1, .slot = &slot, .gate = &gate};
    struct server *server = server_new(&config, &err);
    if (!server || server_start(server, &err) != 0)
        die(&err);
    printf("port %u\n", ntohs(bound.sin_port));
    fflush(stdout);
    sigwait(&ends, &which);

    struct server_stats stats;
    struct buf text = {0};
    server_stats_sum(server, &stats);
    server_stats_print(&stats, &text);
    fputs(buf_str(&text), stderr);
    buf_free(&text);
    server_free(server);
    return 0;
}
