/* UPDATE messages from lines of text:
 *
 *   used NAME | unused NAME | has NAME TYPE | hasnot NAME TYPE | is NAME TYPE RDATA     (prerequisites)
 *   add NAME TTL TYPE RDATA | del NAME | del NAME TYPE | del NAME TYPE RDATA            (changes) */
#pragma once

#include "zone_text.h"

#include "lictor/buf.h"
#include "lictor/wire.h"

static inline void update_text_put(struct buf *out, const char *owner, uint16_t type, uint16_t class,
                                   uint32_t ttl, const char *rdata)
{
    uint8_t name[NAME_MAX_WIRE], fixed[10], octets[4096];
    size_t len = 0;
    name_of(owner, name);
    if (rdata) {
        char line[2048];
        char text[16];
        ldns_rr *rr = NULL;
        snprintf(line, sizeof line, "%s 1 IN %s %s", owner, dns_type_text(type, text), rdata);
        if (ldns_rr_new_frm_str(&rr, line, 300, NULL, NULL) != LDNS_STATUS_OK)
            zone_text_die("not a record", line);
        for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
            memcpy(octets + len, ldns_rdf_data(ldns_rr_rdf(rr, i)), ldns_rdf_size(ldns_rr_rdf(rr, i)));
            len += ldns_rdf_size(ldns_rr_rdf(rr, i));
        }
        ldns_rr_free(rr);
    }
    put16(fixed, type);
    put16(fixed + 2, class);
    put32(fixed + 4, ttl);
    put16(fixed + 8, (unsigned)len);
    buf_append(out, name, name_len(name));
    buf_append(out, fixed, sizeof fixed);
    buf_append(out, octets, len);
}

/* Returns which section it went to: 6 or 8, the place of its count in the header. */
static inline size_t update_text_line(struct buf *out, const char *line)
{
    char verb[16], owner[512], third[64] = "", type[64] = "";
    int at = 0, got = sscanf(line, "%15s %511s%n %63s %63s", verb, owner, &at, third, type);
    if (got < 2)
        zone_text_die("not a line of an update", line);
    if (!strcmp(verb, "add")) {
        sscanf(line + at, " %*s %*s %n", &got);
        update_text_put(out, owner, (uint16_t)dns_type_parse(type), DNS_IN, (uint32_t)atol(third),
                        line + at + got);
        return 8;
    }
    uint16_t number = (uint16_t)(*third ? dns_type_parse(third) : DNS_ANY);
    int rest = 0;
    if (*third)
        sscanf(line + at, " %*s %n", &rest);
    const char *rdata = *type ? line + at + rest : NULL;
    if (!strcmp(verb, "del")) {
        update_text_put(out, owner, number, rdata ? DNS_CLASS_NONE : DNS_CLASS_ANY, 0, rdata);
        return 8;
    }
    if (!strcmp(verb, "is"))
        update_text_put(out, owner, number, DNS_IN, 0, rdata);
    else
        update_text_put(out, owner, number,
                        !strcmp(verb, "used") || !strcmp(verb, "has") ? DNS_CLASS_ANY : DNS_CLASS_NONE, 0,
                        NULL);
    return 6;
}

/* Prerequisites stand before changes in lines. */
static inline void update_text(struct buf *out, const char *zone, const char *lines)
{
    static const uint8_t header[DNS_HEADER_LEN] = {0x12, 0x34, DNS_UPDATE << 3, 0, 0, 1};
    static const uint8_t soa_in[4] = {0, DNS_SOA, 0, DNS_IN};
    uint8_t name[NAME_MAX_WIRE];
    name_of(zone, name);
    buf_append(out, header, sizeof header);
    buf_append(out, name, name_len(name));
    buf_append(out, soa_in, sizeof soa_in);
    while (*lines) {
        char line[2048];
        size_t len = strcspn(lines, "\n");
        snprintf(line, sizeof line, "%.*s", (int)len, lines);
        if (len) {
            size_t count = update_text_line(out, line);
            put16(out->data + count, get16(out->data + count) + 1u);
        }
        lines += len + (lines[len] == '\n');
    }
}
