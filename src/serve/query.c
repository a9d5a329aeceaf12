/* Taking queries apart. Everything here is hostile until it has been looked at. */
#include "lictor/query.h"

#include <string.h>

/* The question's name: no pointers, since only the header stands before it. Returns its end, or 0. */
static size_t read_question_name(struct query *query, const uint8_t *msg, size_t len)
{
    size_t at = DNS_HEADER_LEN, out = 0;
    for (;;) {
        if (at >= len)
            return 0;
        uint8_t label = msg[at];
        if (label > 63 || at + 1 + label >= len || out + 1 + label >= NAME_MAX_WIRE + (label == 0))
            return 0;
        query->name[out++] = label;
        at++;
        if (!label)
            break;
        for (unsigned i = 0; i < label; i++, at++) {
            uint8_t c = msg[at];
            query->name[out++] = (uint8_t)(c - 'A') < 26 ? c | 0x20 : c;
        }
    }
    query->name_len = (uint8_t)out;
    return at;
}

/* Any other name: only its end matters. Returns it, or 0. */
static size_t skip_name(const uint8_t *msg, size_t len, size_t at)
{
    for (unsigned labels = 0; at < len && labels <= NAME_MAX_LABELS; labels++) {
        uint8_t label = msg[at];
        if (label >= 192)
            return at + 2 <= len ? at + 2 : 0;
        if (label > 63)
            return 0;
        at += 1 + (size_t)label;
        if (!label)
            return at;
    }
    return 0;
}

/* RFC 7871 section 6: FAMILY, SOURCE PREFIX-LENGTH, SCOPE PREFIX-LENGTH (0 in queries), and as many octets of
 * the address as the prefix has, without bits beyond it. A family that nobody knows is not malformed: it is
 * ignored. */
static bool read_subnet(struct query *query, const uint8_t *at, size_t len)
{
    struct ask_address subnet = {0};
    if (len < 4)
        return false;
    unsigned family = get16(at), prefix = at[2];
    if (family != 1 && family != 2)
        return true;
    size_t octets = (prefix + 7) / 8;
    if (prefix > (family == 1 ? 32 : 128) || at[3] != 0 || len != 4 + octets ||
        (prefix % 8 && at[3 + octets] & 0xff >> prefix % 8))
        return false;
    subnet.family = (uint8_t)family;
    subnet.prefix = (uint8_t)prefix;
    memcpy(subnet.ip, at + 4, octets);
    query->subnet = subnet;
    return true;
}

/* The options of an OPT: those we know; the rest is ignored (RFC 6891 section 6.1.2). */
static bool read_options(struct query *query, const uint8_t *at, size_t len)
{
    while (len) {
        if (len < 4 || 4 + (size_t)get16(at + 2) > len)
            return false;
        if (get16(at) == DNS_EDNS_NSID)
            query->nsid = true;
        else if (get16(at) == DNS_EDNS_EXPIRE)
            query->expire = true;
        else if (get16(at) == DNS_EDNS_ECS && !read_subnet(query, at + 4, get16(at + 2)))
            return false;
        size_t size = 4 + (size_t)get16(at + 2);
        at += size;
        len -= size;
    }
    return true;
}

/* at: behind the owner name, which must have been the root (RFC 6891 section 6.1.2). */
static bool read_opt(struct query *query, const uint8_t *at, size_t rdata_len)
{
    query->edns = true;
    query->udp_size = get16(at + 2);
    if (query->udp_size < DNS_UDP_MIN) /* section 6.2.3 */
        query->udp_size = DNS_UDP_MIN;
    query->edns_version = at[5];
    query->dnssec_ok = at[6] & 0x80;
    return read_options(query, at + 10, rdata_len);
}

enum dns_rcode query_parse(struct query *query, const uint8_t *msg, size_t len)
{
    query->flags = get16(msg + 2);
    query->has_question = query->edns = query->dnssec_ok = query->nsid = false;
    query->expire = query->is_signed = false;
    query->subnet.family = 0;
    query->udp_size = DNS_UDP_MIN;
    query->edns_version = 0;
    query->type = query->class = 0;
    query->question_len = 0;
    if (get16(msg + 4) != 1)
        return DNS_FORMERR;
    size_t at = read_question_name(query, msg, len);
    if (!at || at + 4 > len)
        return DNS_FORMERR;
    query->type = get16(msg + at);
    query->class = get16(msg + at + 2);
    query->has_question = true;
    at += 4;
    query->question_len = at - DNS_HEADER_LEN;

    unsigned before = (unsigned)get16(msg + 6) + get16(msg + 8), all = before + get16(msg + 10);
    for (unsigned i = 0; i < all; i++) {
        size_t owner = at;
        at = skip_name(msg, len, at);
        if (!at || at + 10 > len)
            return DNS_FORMERR;
        size_t rdata_len = get16(msg + at + 8);
        if (at + 10 + rdata_len > len)
            return DNS_FORMERR;
        uint16_t type = get16(msg + at);
        if (type == DNS_OPT &&
            (i < before || query->edns || at != owner + 1 || !read_opt(query, msg + at, rdata_len)))
            return DNS_FORMERR;
        query->is_signed |= type == DNS_TSIG;
        at += 10 + rdata_len;
    }
    if (at != len || query->type == DNS_OPT || query->type == DNS_TSIG || query->type == DNS_TKEY)
        return DNS_FORMERR;
    return DNS_NOERROR;
}
