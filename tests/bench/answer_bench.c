/* How long answer() takes, without sockets: an A query among N names, what is not there, a delegation, and
 * services of 3 and of 5,000 instances. Then what a million names cost. Usage: answer_bench [names [rounds]]
 */
#include "lictor/answer.h"
#include "lictor/dns.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUERIES 4096

struct query {
    uint8_t data[128];
    size_t len;
};

static struct zone_state live = {.stale_from = NS_NEVER, .dead_from = NS_NEVER};
static struct gate gate = {.act_until = NS_NEVER};
static struct rng rng;
static uint8_t out[65535];

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static const uint8_t *name(const char *text)
{
    static uint8_t wire[NAME_MAX_WIRE];
    struct err err;
    if (name_from_text(text, NULL, wire, &err) < 0)
        abort();
    return wire;
}

static void put(struct zone_edit *edit, const char *owner, const struct piece_spec *spec)
{
    struct err err;
    struct piece *piece = piece_new(spec, &err);
    if (!piece || zone_edit_put(edit, name(owner), piece, &err)) {
        fprintf(stderr, "%s: %s\n", owner, err.text);
        exit(1);
    }
    piece_unref(piece);
}

static void put_one(struct zone_edit *edit, const char *owner, uint16_t type, const void *data, uint16_t len)
{
    struct rdata rdata = {data, len, 0};
    put(edit, owner, &(struct piece_spec){.type = type, .ttl = 60, .rdata = &rdata, .count = 1});
}

static void put_service(struct zone_edit *edit, const char *owner, uint32_t count, uint16_t answers,
                        bool weighted)
{
    struct rdata *rdata = calloc(count, sizeof *rdata);
    uint8_t(*address)[4] = calloc(count, 4);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(address[i], (uint8_t[]){10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}, 4);
        rdata[i] = (struct rdata){address[i], 4, weighted ? (uint16_t)(1 + i % 7) : 1};
    }
    put(edit, owner,
        &(struct piece_spec){.type = DNS_A, .ttl = 5, .rdata = rdata, .count = count, .answers = answers});
    free(rdata);
    free(address);
}

static struct zone_edit *new_zone(const char *apex, enum zone_kind kind)
{
    static const uint8_t soa[] = "\2ns\0\5admin\0\0\0\0\1\0\0\x0e\x10\0\0\2\x58\0\1\x51\x80\0\0\0\x3c";
    struct zone_edit *edit = zone_edit_new(name(apex), kind, &live, NULL, NULL);
    put_one(edit, apex, DNS_SOA, soa, sizeof soa - 1);
    put_one(edit, apex, DNS_NS, "\2ns", 4);
    return edit;
}

static struct query query(const char *qname, uint16_t type)
{
    struct query q = {.len = 12};
    memcpy(q.data, "\x12\x34\1\0\0\1\0\0\0\0\0\1", 12);
    const uint8_t *wire = name(qname);
    memcpy(q.data + q.len, wire, name_len(wire));
    q.len += name_len(wire);
    memcpy(q.data + q.len, (uint8_t[]){(uint8_t)(type >> 8), (uint8_t)type, 0, 1}, 4);
    memcpy(q.data + q.len + 4, "\0\0\51\4\320\0\0\0\0\0", 11);
    q.len += 4 + 11;
    return q;
}

static double measure(const char *what, const struct snapshot *snapshot, const struct query *queries,
                      size_t count, unsigned rounds)
{
    struct answer_env env = {
        .snapshot = snapshot, .gate = &gate, .rng = &rng, .now = NS_PER_S, .udp_max = 1232};
    double best = 1e9;
    size_t octets = 0;
    for (unsigned run = 0; run < 5; run++) {
        double start = seconds();
        for (unsigned i = 0; i < rounds; i++)
            octets = answer(&env, queries[i % count].data, queries[i % count].len, out, sizeof out).len;
        double took = (seconds() - start) / rounds * 1e9;
        if (took < best)
            best = took;
    }
    printf("%-44s %7.1f ns  (%zu octets)\n", what, best, octets);
    return best;
}

static void many_names(size_t names)
{
    char text[64];
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    double start = seconds();
    struct zone_edit *edit = new_zone("big.", ZONE_AUTHORITATIVE);
    for (size_t i = 0; i < names; i++) {
        snprintf(text, sizeof text, "host%zu.dept%zu.big.", i * 7919 % names, i % 1000);
        put_one(edit, text, DNS_A, "\12\0\0\1", 4);
    }
    struct zone *zone = zone_edit_commit(edit);
    double loaded = seconds();
    size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    printf("%zu names: %.2f s, %.0f octets a name (a record in wire form has 16)\n", names, loaded - start,
           (double)(after - before) / (double)names);
    start = seconds();
    for (unsigned i = 0; i < 1000; i++) {
        edit = zone_edit_begin(zone);
        snprintf(text, sizeof text, "host%u.dept%u.big.", i * 31, i % 1000);
        put_one(edit, text, DNS_A, "\12\0\0\2", 4);
        struct zone *next = zone_edit_commit(edit);
        zone_unref(zone);
        zone = next;
    }
    printf("one change to it, as a version of its own: %.1f us\n", (seconds() - start) * 1000);
    zone_unref(zone);
    zone_reap();
}

int main(int argc, char **argv)
{
    unsigned names = argc > 1 ? (unsigned)atoi(argv[1]) : 10000,
             rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 2000000;
    static struct query queries[QUERIES], misses[QUERIES];
    char text[64];
    rng_seed(&rng);
    struct zone_edit *edit = new_zone("example.com.", ZONE_AUTHORITATIVE);
    for (unsigned i = 0; i < names; i++) {
        snprintf(text, sizeof text, "host-%u.example.com.", i);
        put_one(edit, text, DNS_A, "\12\0\0\1", 4);
    }
    put_one(edit, "sub.example.com.", DNS_NS, "\2ns\3sub\7example\3com", 20);
    put_one(edit, "ns.sub.example.com.", DNS_A, "\12\0\0\1", 4);
    struct zone_edit *catalog = new_zone("consul.", ZONE_CATALOG);
    put_service(catalog, "three.service.consul.", 3, 40, false);
    put_service(catalog, "forty.service.consul.", 40, 40, false);
    put_service(catalog, "many.service.consul.", 5000, 40, false);
    put_service(catalog, "three-all.service.consul.", 3, 0, false);
    put_service(catalog, "many-all.service.consul.", 5000, 0, false);
    put_service(catalog, "three-few.service.consul.", 3, 3, false);
    put_service(catalog, "many-few.service.consul.", 5000, 3, false);
    put_service(catalog, "weighted.service.consul.", 5000, 40, true);
    struct zone *zones[] = {zone_edit_commit(edit), zone_edit_commit(catalog)};
    struct snapshot *snapshot = snapshot_new(zones, 2, &(struct snapshot_text){.node = "bench"});
    for (unsigned i = 0; i < QUERIES; i++) {
        snprintf(text, sizeof text, "host-%u.example.com.", rng_below(&rng, names));
        queries[i] = query(text, DNS_A);
        snprintf(text, sizeof text, "nohost-%u.example.com.", i);
        misses[i] = query(text, DNS_A);
    }
    printf("%u names\n", names);
    measure("A, among all names", snapshot, queries, QUERIES, rounds);
    measure("NXDOMAIN", snapshot, misses, QUERIES, rounds);
    struct query one = query("x.sub.example.com.", DNS_A);
    measure("referral with glue", snapshot, &one, 1, rounds);
    static const struct {
        const char *what, *few, *many;
    } pairs[] = {
        {"40 answers", "three.service.consul.", "many.service.consul."},
        {"40 answers, against 40 instances", "forty.service.consul.", "many.service.consul."},
        {"3 answers", "three-few.service.consul.", "many-few.service.consul."},
        {"all that fit", "three-all.service.consul.", "many-all.service.consul."},
        {"40 answers, weighted", "three.service.consul.", "weighted.service.consul."},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct query few = query(pairs[i].few, DNS_A), many = query(pairs[i].many, DNS_A);
        printf("service, %s:\n", pairs[i].what);
        double small = measure("  few instances", snapshot, &few, 1, rounds);
        double large = measure("  5,000 instances", snapshot, &many, 1, rounds);
        printf("  ratio %.2f\n", large / small);
    }
    snapshot_free(snapshot);
    zone_unref(zones[0]);
    zone_unref(zones[1]);
    zone_reap();
    many_names(1000000);
    return 0;
}
