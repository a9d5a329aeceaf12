/* The constants of the protocol: types, classes, rcodes, opcodes, EDNS options, EDE codes (RFC 8914). */
#pragma once

#include "lictor/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_PORT       53
#define DNS_HEADER_LEN 12
#define DNS_UDP_MIN    512

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_PTR = 12,
    DNS_HINFO = 13,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_RP = 17,
    DNS_AFSDB = 18,
    DNS_AAAA = 28,
    DNS_SRV = 33,
    DNS_NAPTR = 35,
    DNS_KX = 36,
    DNS_DNAME = 39,
    DNS_OPT = 41,
    DNS_DS = 43,
    DNS_SSHFP = 44,
    DNS_RRSIG = 46,
    DNS_NSEC = 47,
    DNS_DNSKEY = 48,
    DNS_NSEC3 = 50,
    DNS_NSEC3PARAM = 51,
    DNS_TLSA = 52,
    DNS_SVCB = 64,
    DNS_HTTPS = 65,
    DNS_SPF = 99,
    DNS_TKEY = 249,
    DNS_TSIG = 250,
    DNS_IXFR = 251,
    DNS_AXFR = 252,
    DNS_MAILB = 253,
    DNS_MAILA = 254,
    DNS_ANY = 255,
    DNS_URI = 256,
    DNS_CAA = 257,
};
enum dns_class { DNS_IN = 1, DNS_CH = 3, DNS_CLASS_NONE = 254, DNS_CLASS_ANY = 255 };
enum dns_opcode { DNS_QUERY = 0, DNS_STATUS = 2, DNS_NOTIFY = 4, DNS_UPDATE = 5 };
enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5,
    DNS_YXDOMAIN = 6,
    DNS_YXRRSET = 7,
    DNS_NXRRSET = 8,
    DNS_NOTAUTH = 9,
    DNS_NOTZONE = 10,
    DNS_BADVERS = 16, /* TSIG has its own: tsig.h */
};
enum dns_edns_option {
    DNS_EDNS_NSID = 3,
    DNS_EDNS_ECS = 8,
    DNS_EDNS_EXPIRE = 9,
    DNS_EDNS_COOKIE = 10,
    DNS_EDNS_KEEPALIVE = 11,
    DNS_EDNS_PADDING = 12,
    DNS_EDNS_EDE = 15
};
enum dns_ede {
    DNS_EDE_NONE = -1,
    DNS_EDE_OTHER = 0,
    DNS_EDE_STALE_ANSWER = 3,
    DNS_EDE_NOT_READY = 14,
    DNS_EDE_PROHIBITED = 18,
    DNS_EDE_NOT_AUTHORITATIVE = 20,
    DNS_EDE_NO_REACHABLE_AUTHORITY = 22,
    DNS_EDE_INVALID_DATA = 24
};

/* "A", "AAAA", ..., "TYPE65280" for what has no name here. Returns out or a static string. */
const char *dns_type_text(uint16_t type, char out[16]);
/* "NOERROR", ..., "RCODE23". */
const char *dns_rcode_text(uint16_t rcode, char out[16]);
/* The type of a name or "TYPEn", case-insensitive; -1 if unknown. */
int dns_type_parse(const char *text);

/* Serials (RFC 1982 section 3.2): is a later than b? False both ways if they are opposite. */
static inline bool serial_is_later(uint32_t a, uint32_t b)
{
    return a != b && a - b < UINT32_C(0x80000000);
}

/* Is this well-formed RDATA, uncompressed, of this type? Types without a row in the table are opaque (RFC
 * 3597) and always are. Returns 0, or -1 with err ("A record with 3 octets ..."). */
int dns_rdata_check(uint16_t type, const uint8_t *data, size_t len, struct err *err);
/* Copies RDATA at msg[at..end) of a message, whose names may be compressed where the type allows it (RFC 3597
 * section 4), uncompressed to out, and checks it as dns_rdata_check does. Returns its length, or -1 with err.
 */
int dns_rdata_expand(uint16_t type, const uint8_t *msg, size_t at, size_t end, uint8_t *out, size_t max,
                     struct err *err);
/* The letters of its names in lower case, for comparison (RFC 4034 section 6.2; RFC 2136 section 1.1.1);
 * RDATA that is malformed, and types that are opaque, stay as they are. */
void dns_rdata_fold(uint16_t type, uint8_t *data, size_t len);
/* Where in its RDATA is the name that an NS, MX or SRV record points at, whose addresses go to the additional
 * section? -1 for other types. */
int dns_rdata_target(uint16_t type);
