/* Zones from lines of presentation form, and replies as one line of text: what the engine's tests, its fuzzer
 * and its benchmark are written in. ldns reads and prints, so a reply is always checked by a parser that is
 * not ours. */
#pragma once

#include "lictor/answer.h"
#include "lictor/dns.h"
#include "lictor/zone.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZONE_TEXT_RRSET_MAX 6000

static inline void zone_text_die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    abort();
}

static inline void name_of(const char *text, uint8_t out[NAME_MAX_WIRE])
{
    struct err err;
    if (name_from_text(text, NULL, out, &err) < 0)
        zone_text_die(text, err.text);
}

/* Adds one record to the RRset that is there. */
static inline void zone_text_add(struct zone_edit *edit, const char *line)
{
    ldns_rr *rr = NULL;
    if (ldns_rr_new_frm_str(&rr, line, 300, NULL, NULL) != LDNS_STATUS_OK)
        zone_text_die("not a record", line);
    uint8_t owner[NAME_MAX_WIRE], fresh[4096];
    uint16_t type = (uint16_t)ldns_rr_get_type(rr);
    size_t len = 0;
    memcpy(owner, ldns_rdf_data(ldns_rr_owner(rr)), ldns_rdf_size(ldns_rr_owner(rr)));
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
        memcpy(fresh + len, ldns_rdf_data(ldns_rr_rdf(rr, i)), ldns_rdf_size(ldns_rr_rdf(rr, i)));
        len += ldns_rdf_size(ldns_rr_rdf(rr, i));
    }
    const struct piece *old = zone_edit_get(edit, owner, type);
    uint32_t count = old ? piece_count(old) : 0;
    struct rdata *rdata = calloc(count + 1, sizeof *rdata);
    for (uint32_t i = 0; i < count; i++)
        rdata[i] = piece_rdata(old, i);
    rdata[count] = (struct rdata){fresh, (uint16_t)len, 0};
    struct piece_spec spec = {.type = type, .ttl = ldns_rr_ttl(rr), .rdata = rdata, .count = count + 1};
    struct err err;
    struct piece *piece = piece_new(&spec, &err);
    if (!piece || zone_edit_put(edit, owner, piece, &err))
        zone_text_die(line, err.text);
    piece_unref(piece);
    free(rdata);
    ldns_rr_free(rr);
}

/* lines: each ends in a newline. */
static inline void zone_text_add_lines(struct zone_edit *edit, const char *lines)
{
    while (*lines) {
        char line[2048];
        size_t len = strcspn(lines, "\n");
        snprintf(line, sizeof line, "%.*s", (int)len, lines);
        if (len)
            zone_text_add(edit, line);
        lines += len + (lines[len] == '\n');
    }
}

static inline struct zone *zone_text(const char *apex, enum zone_kind kind, struct zone_state *state,
                                     const char *lines)
{
    uint8_t name[NAME_MAX_WIRE];
    name_of(apex, name);
    struct zone_edit *edit = zone_edit_new(name, kind, state, NULL, NULL);
    zone_text_add_lines(edit, lines);
    return zone_edit_commit(edit);
}

/* --- queries and replies ------------------------------------------------------------------------------- */

/* A query with an optional OPT (udp_size 0: none). Returns its length. */
static inline size_t query_make(uint8_t *out, const char *qname, uint16_t qtype, uint16_t qclass,
                                unsigned udp_size, bool dnssec_ok)
{
    static const uint8_t header[12] = {0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0};
    uint8_t name[NAME_MAX_WIRE];
    name_of(qname, name);
    memcpy(out, header, 12);
    size_t len = 12 + name_len(name);
    memcpy(out + 12, name, name_len(name));
    out[len++] = (uint8_t)(qtype >> 8);
    out[len++] = (uint8_t)qtype;
    out[len++] = (uint8_t)(qclass >> 8);
    out[len++] = (uint8_t)qclass;
    if (udp_size) {
        const uint8_t opt[11] = {
            0, 0, 41, (uint8_t)(udp_size >> 8), (uint8_t)udp_size, 0, 0, dnssec_ok ? 0x80 : 0};
        memcpy(out + len, opt, 11);
        len += 11;
        out[11] = 1;
    }
    return len;
}

static inline int zone_text_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void reply_text_section(ldns_rr_list *list, char *out, size_t size)
{
    char *texts[ZONE_TEXT_RRSET_MAX];
    size_t count = ldns_rr_list_rr_count(list), used = strlen(out);
    if (count > ZONE_TEXT_RRSET_MAX)
        zone_text_die("reply", "too many records for this helper");
    for (size_t i = 0; i < count; i++) {
        texts[i] = ldns_rr2str(ldns_rr_list_rr(list, i));
        texts[i][strcspn(texts[i], "\n")] = 0;
        for (char *at = texts[i]; *at; at++)
            if (*at == '\t')
                *at = ' ';
        for (char *in; (in = strstr(texts[i], " IN "));)
            memmove(in, in + 3, strlen(in + 3) + 1);
    }
    qsort(texts, count, sizeof *texts, zone_text_compare); /* windows turn: order says nothing */
    for (size_t i = 0; i < count; i++) {
        used += (size_t)snprintf(out + used, used < size ? size - used : 0, "%s%s", i ? "; " : "", texts[i]);
        free(texts[i]);
    }
}

/* "NOERROR aa | answers | authority | additional", records sorted and separated by "; ". Aborts if ldns
 * cannot read the reply. */
static inline const char *reply_text(const uint8_t *msg, size_t len, char *out, size_t size)
{
    ldns_pkt *pkt = NULL;
    if (ldns_wire2pkt(&pkt, msg, len) != LDNS_STATUS_OK)
        zone_text_die("reply", "ldns cannot read it");
    char code[16];
    unsigned rcode = (unsigned)(ldns_pkt_edns_extended_rcode(pkt) << 4 | ldns_pkt_get_rcode(pkt));
    snprintf(out, size, "%s%s%s | ", dns_rcode_text((uint16_t)rcode, code), ldns_pkt_aa(pkt) ? " aa" : "",
             ldns_pkt_tc(pkt) ? " tc" : "");
    reply_text_section(ldns_pkt_answer(pkt), out, size);
    strcat(out, " | ");
    reply_text_section(ldns_pkt_authority(pkt), out, size);
    strcat(out, " | ");
    reply_text_section(ldns_pkt_additional(pkt), out, size);
    ldns_pkt_free(pkt);
    return out;
}
