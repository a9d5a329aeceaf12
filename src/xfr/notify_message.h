/* NOTIFY on the wire. */
#pragma once

#include "lictor/tsig.h"

#include <stddef.h>
#include <stdint.h>

/* Header, two names, the SOA's RDATA, a signature. */
#define NOTIFY_MESSAGE 2048

struct notify_soa {
    uint8_t apex[NAME_MAX_WIRE];
    uint32_t ttl;
    uint16_t len;
    uint8_t rdata[2 * NAME_MAX_WIRE + 20];
};

uint32_t notify_soa_serial(const struct notify_soa *soa);

/* Writes the request; key NULL: not signed, else *mac gets what its answer is signed after. Returns its
 * length. */
size_t notify_encode(uint16_t id, const struct notify_soa *soa, const struct tsig_key *key, nstime now_real,
                     struct tsig_mac *mac, uint8_t out[NOTIFY_MESSAGE]);

/* Is this the answer to the request with that ID about that zone, rightly signed? Returns its rcode, or -1
 * with *why. */
int notify_decode(const uint8_t *msg, size_t len, uint16_t id, const struct notify_soa *soa,
                  const struct tsig_key *key, const struct tsig_mac *mac, nstime now_real, const char **why);
