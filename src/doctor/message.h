/* DNS messages as a client sees them: a query, and what its reply says. Pure; every octet of a reply is
 * hostile. */
#pragma once

#include "lictor/dns.h"
#include "lictor/name.h"

#include <stdbool.h>

#define MESSAGE_QUERY_MAX (DNS_HEADER_LEN + NAME_MAX_WIRE + 4 + 11)
#define MESSAGE_ADDRESSES 8
#define MESSAGE_ADDRESS   46 /* octets of an address in text form */
#define MESSAGE_TARGETS   16

struct message {
    int rcode; /* extended */
    bool has_serial;
    uint32_t serial; /* of the SOA in the answer section */
    int ede;         /* DNS_EDE_NONE: none */
    char ede_text[160];
    char txt[256]; /* the first string of the first TXT record */
    size_t address_count;
    char address[MESSAGE_ADDRESSES][MESSAGE_ADDRESS];
    size_t target_count;
    uint8_t target[MESSAGE_TARGETS][NAME_MAX_WIRE]; /* of NS records */
};

/* Class IN, with EDNS (1232), without RD. Returns the length. */
size_t message_query(uint16_t id, const uint8_t *name, uint16_t type, uint8_t out[MESSAGE_QUERY_MAX]);
/* Returns 0, or -1 if it is no well-formed reply to that query. */
int message_parse(const uint8_t *data, size_t len, uint16_t id, const uint8_t *name, uint16_t type,
                  struct message *out);
