/* An UPDATE message (RFC 2136), taken apart and checked, and what it does to a zone. Pure. */
#pragma once

#include "lictor/dns.h"
#include "lictor/name.h"
#include "lictor/zone.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A record of the prerequisite or the update section. */
struct update_record {
    const uint8_t *owner; /* lower case, at or below the zone's apex */
    uint16_t type, class; /* IN, ANY or NONE: what the record asks for */
    uint32_t ttl;
    uint16_t len;
    const uint8_t *rdata;  /* uncompressed */
    const uint8_t *folded; /* the same with its names in lower case */
};

struct update {
    uint8_t zone[NAME_MAX_WIRE]; /* lower case */
    struct update_record *prerequisites, *changes;
    size_t prerequisite_count, change_count;
    void *octets; /* what the records point into */
};

/* Reads a message with opcode UPDATE: the zone section, and with it every count, class, type, TTL and length
 * by the rules of sections 3.1.1, 3.2.4 and 3.4.1. Signatures and EDNS are the caller's. Returns NOERROR; or
 * FORMERR, NOTAUTH (a class that is not IN) or NOTZONE with err, and nothing to free. zone is filled in
 * whenever it could be read (else the root). */
enum dns_rcode update_parse(struct update *out, const uint8_t *msg, size_t len, struct err *err);
void update_free(struct update *update);

/* The five kinds of prerequisites against the version, each in the order of the message (section 3.2.5).
 * Returns NOERROR, or NXDOMAIN, YXDOMAIN, NXRRSET, YXRRSET with err naming the record. */
enum dns_rcode update_judge(const struct update *update, const struct zone *current, struct err *err);
/* Makes the changes (section 3.4.2). What the RFC has ignored is ignored; an RRset whose TTLs would differ
 * has that of the last record added. On anything but NOERROR the edit is half changed and must be aborted:
 * REFUSED with err. current: what the edit began from. */
enum dns_rcode update_apply(const struct update *update, struct zone_edit *edit, const struct zone *current,
                            struct err *err);
