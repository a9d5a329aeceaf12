/* What the tests of the catalog share: a catalog with its zones, what is in them, and bodies as Consul's. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lictor/catalog.h"
#include "lictor/dns.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIT static __attribute__((unused))

/* --- helpers ------------------------------------------------------------------------------------- */

struct fixture {
    struct config_services config;
    struct config_ttl_rule ttls[2];
    struct zone_state state;
    struct catalog *catalog;
    struct zone *zones[CATALOG_ZONES_MAX]; /* the versions taken last */
    size_t count;
};

KIT void take(struct fixture *f)
{
    struct zone *taken[CATALOG_ZONES_MAX];
    size_t count = catalog_take_zones(f->catalog, taken);
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < f->count && !name_equal(zone_apex(f->zones[at]), zone_apex(taken[i])))
            at++;
        if (at < f->count)
            zone_unref(f->zones[at]);
        else
            f->count++;
        f->zones[at] = taken[i];
    }
}

KIT void setup_config(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->config.enabled = true;
    name_from_text("consul", NULL, f->config.domain, NULL);
    f->ttls[0] = (struct config_ttl_rule){.pattern = "web", .ttl = 10 * NS_PER_S};
    f->config.service_ttl = f->ttls;
    f->config.service_ttl_count = 1;
    f->config.node_ttl = 7 * NS_PER_S;
    f->config.negative_ttl = 3 * NS_PER_S;
    f->config.answers = 40;
    f->config.soa_refresh = 3600;
    f->config.soa_retry = 600;
    f->config.soa_expire = 86400;
}

KIT void start(struct fixture *f)
{
    f->catalog = catalog_new(&f->config, "dc1", &f->state);
    catalog_put_ns(f->catalog, &(struct catalog_ns){"ns1", "192.0.2.1"}, 1);
    take(f);
}

KIT void stop(struct fixture *f)
{
    for (size_t i = 0; i < f->count; i++)
        zone_unref(f->zones[i]);
    f->count = 0;
    catalog_free(f->catalog);
}

KIT char *read_data(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "catalog_data/%s", name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = calloc(1, 65536);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

KIT void put_file(struct fixture *f, const char *service)
{
    char name[64];
    struct err err = {""};
    snprintf(name, sizeof(name), "service-%s.json", service);
    char *body = read_data(name);
    if (catalog_put_service(f->catalog, NULL, service, body, strlen(body), &err) != 1)
        fail_msg("%s: %s", name, err.text);
    free(body);
}

KIT void put_nodes_file(struct fixture *f)
{
    char *body = read_data("nodes.json");
    assert_int_equal(catalog_put_nodes(f->catalog, NULL, body, strlen(body), NULL), 1);
    free(body);
}

KIT int put(struct fixture *f, const char *service, const char *body)
{
    struct err err = {""};
    int result = catalog_put_service(f->catalog, NULL, service, body, strlen(body), &err);
    if (result < 0)
        print_message("%s\n", err.text);
    return result;
}

/* --- what a zone has ----------------------------------------------------------------------------- */

KIT int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

KIT void print_rdata(uint16_t type, struct rdata rdata, char *out, size_t size)
{
    char name[NAME_MAX_TEXT];
    const uint8_t *d = rdata.data;
    if (type == DNS_A)
        inet_ntop(AF_INET, d, out, (socklen_t)size);
    else if (type == DNS_AAAA)
        inet_ntop(AF_INET6, d, out, (socklen_t)size);
    else if (type == DNS_TXT)
        snprintf(out, size, "%.*s", d[0], d + 1);
    else if (type == DNS_SRV)
        snprintf(out, size, "%d %d %d %s", d[0] << 8 | d[1], d[2] << 8 | d[3], d[4] << 8 | d[5],
                 name_to_text(d + 6, name));
    else
        snprintf(out, size, "%s", name_to_text(d, name));
}

/* The records of one owner and type, sorted, joined by ", "; "-" if there is no such RRset. */
KIT const char *records(const struct zone *zone, const char *owner, uint16_t type)
{
    static char out[65536];
    char *lines[64];
    uint8_t name[NAME_MAX_WIRE];
    assert_true(name_from_text(owner, NULL, name, NULL) > 0);
    name_lower(name, name);
    const struct piece *piece = zone_get(zone, name, type);
    if (!piece)
        return "-";
    assert_true(piece_count(piece) <= 64);
    for (uint32_t i = 0; i < piece_count(piece); i++) {
        lines[i] = malloc(1100);
        print_rdata(type, piece_rdata(piece, i), lines[i], 1100);
    }
    qsort(lines, piece_count(piece), sizeof(*lines), compare_lines);
    out[0] = '\0';
    for (uint32_t i = 0; i < piece_count(piece); i++) {
        if (i > 0)
            strcat(out, ", ");
        strcat(out, lines[i]);
        free(lines[i]);
    }
    return out;
}

struct expected {
    const char *owner;
    uint16_t type;
    const char *records;
};

KIT void check_table(const struct zone *zone, const struct expected *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *have = records(zone, table[i].owner, table[i].type);
        char type[16];
        if (strcmp(have, table[i].records) != 0)
            fail_msg("%s %s: %s; expected: %s", table[i].owner, dns_type_text(table[i].type, type), have,
                     table[i].records);
    }
}
#define CHECK(zone, ...) \
    check_table(zone, (struct expected[]){__VA_ARGS__}, \
                sizeof((struct expected[]){__VA_ARGS__}) / sizeof(struct expected))

struct dump {
    struct buf out;
    const struct zone *zone;
};

KIT int dump_rrset(void *arg, const uint8_t *owner, const struct piece *piece)
{
    struct dump *dump = arg;
    char name[NAME_MAX_TEXT], type[16];
    if (piece_type(piece) == DNS_SOA)
        return 0;
    name_to_text(owner, name);
    buf_printf(&dump->out, "%s %u %s %s\n", name, piece_ttl(piece), dns_type_text(piece_type(piece), type),
               records(dump->zone, name, piece_type(piece)));
    return 0;
}

/* The zone as text, without its SOA (serials differ). */
KIT char *dump(const struct zone *zone)
{
    struct dump dump = {.zone = zone};
    zone_walk(zone, dump_rrset, &dump);
    return buf_steal(&dump.out);
}

/* --- bodies -------------------------------------------------------------------------------------- */

#define ENTRY(node, address, service) \
    "{\"Node\":{\"Node\":\"" node "\",\"Address\":\"" address "\"},\"Service\":{" service "},\"Checks\":[]}"

/* One instance; what is NULL or 0 is left out. */
struct instance {
    const char *node, *address; /* address: the node's */
    const char *id;
    const char *own; /* the service's address */
    int port;
    const char *tags;   /* "a,b" */
    const char *meta;   /* "k=v,l=w" */
    const char *status; /* of its one check; NULL: no check */
    int weight;
};

KIT void write_list(struct buf *out, const char *text, bool pairs)
{
    for (const char *at = text; at && *at; at += strcspn(at, ",") + (at[strcspn(at, ",")] == ',')) {
        int len = (int)strcspn(at, ","), key = (int)strcspn(at, "=,");
        buf_puts(out, at > text ? "," : "");
        if (pairs)
            buf_printf(out, "\"%.*s\":\"%.*s\"", key, at, len - key - 1, at + key + 1);
        else
            buf_printf(out, "\"%.*s\"", len, at);
    }
}

KIT void write_body(struct buf *out, const struct instance *instances, size_t count)
{
    buf_puts(out, "[");
    for (size_t i = 0; i < count; i++) {
        const struct instance *in = &instances[i];
        buf_printf(out,
                   "%s{\"Node\":{\"Node\":\"%s\",\"Address\":\"%s\"},\"Service\":{\"ID\":\"%s\",\"Port\":%d",
                   i > 0 ? "," : "", in->node, in->address, in->id, in->port);
        if (in->own)
            buf_printf(out, ",\"Address\":\"%s\"", in->own);
        if (in->weight)
            buf_printf(out, ",\"Weights\":{\"Passing\":%d,\"Warning\":1}", in->weight);
        buf_puts(out, ",\"Tags\":[");
        write_list(out, in->tags, false);
        buf_puts(out, "],\"Meta\":{");
        write_list(out, in->meta, true);
        buf_puts(out, "}},\"Checks\":[");
        if (in->status)
            buf_printf(out, "{\"Name\":\"c\",\"Status\":\"%s\",\"ServiceID\":\"%s\"}", in->status, in->id);
        buf_puts(out, "]}");
    }
    buf_puts(out, "]");
}

KIT void put_instances(struct catalog *catalog, const char *datacenter, const char *service,
                       const struct instance *instances, size_t count)
{
    struct buf body = {0};
    struct err err = {""};
    write_body(&body, instances, count);
    if (catalog_put_service(catalog, datacenter, service, buf_str(&body), body.len, &err) < 0)
        fail_msg("%s: %s", service, err.text);
    buf_free(&body);
}
#define PUT(f, service, ...) \
    put_instances((f)->catalog, NULL, service, (struct instance[]){__VA_ARGS__}, \
                  sizeof((struct instance[]){__VA_ARGS__}) / sizeof(struct instance))
#define PUT_IN(f, datacenter, service, ...) \
    put_instances((f)->catalog, datacenter, service, (struct instance[]){__VA_ARGS__}, \
                  sizeof((struct instance[]){__VA_ARGS__}) / sizeof(struct instance))
