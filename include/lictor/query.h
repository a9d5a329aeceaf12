/* A query, taken apart and checked. */
#pragma once

#include "lictor/ask.h"
#include "lictor/dns.h"
#include "lictor/name.h"
#include "lictor/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct query {
    uint16_t flags; /* the header's */
    uint16_t type;
    uint16_t class;
    uint16_t udp_size; /* the EDNS payload size, at least 512 */
    uint8_t edns_version;
    bool has_question;
    bool edns;
    bool dnssec_ok;
    bool nsid;      /* asked for (RFC 5001) */
    bool expire;    /* likewise (RFC 7314) */
    bool is_signed; /* there is a TSIG record, right or not */
    /* The client's subnet, as its resolver tells it (RFC 7871); family 0: not told. */
    struct ask_address subnet;
    uint8_t name_len;
    size_t question_len;         /* name, type, class */
    uint8_t name[NAME_MAX_WIRE]; /* lower case */
};

/* Reads all after the header, which must be there. Returns NOERROR or FORMERR; what could be read (question,
 * OPT) is filled in either way. */
enum dns_rcode query_parse(struct query *query, const uint8_t *msg, size_t len);
