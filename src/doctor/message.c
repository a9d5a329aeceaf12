#include "message.h"

#include "lictor/wire.h"

#include <arpa/inet.h>
#include <string.h>

#define UDP_SIZE 1232

size_t message_query(uint16_t id, const uint8_t *name, uint16_t type, uint8_t out[MESSAGE_QUERY_MAX])
{
    size_t len = DNS_HEADER_LEN, name_octets = name_len(name);
    memset(out, 0, MESSAGE_QUERY_MAX);
    put16(out, id);
    put16(out + 4, 1);  /* QDCOUNT */
    put16(out + 10, 1); /* ARCOUNT: OPT */
    memcpy(out + len, name, name_octets);
    len += name_octets;
    put16(out + len, type);
    put16(out + len + 2, DNS_IN);
    len += 4;
    put16(out + len + 1, DNS_OPT); /* behind the root name */
    put16(out + len + 3, UDP_SIZE);
    return len + 11;
}

/* Extended DNS Errors, RFC 8914. */
static void read_ede(const uint8_t *data, size_t len, struct message *out)
{
    while (len >= 4) {
        size_t size = get16(data + 2);
        if (size > len - 4)
            return;
        if (get16(data) == DNS_EDNS_EDE && size >= 2) {
            size_t n = size - 2 < sizeof(out->ede_text) - 1 ? size - 2 : sizeof(out->ede_text) - 1;
            out->ede = get16(data + 4);
            for (size_t i = 0; i < n; i++)
                out->ede_text[i] = (char)(data[6 + i] >= ' ' && data[6 + i] < 0x7f ? data[6 + i] : '?');
            out->ede_text[n] = '\0';
        }
        data += 4 + size;
        len -= 4 + size;
    }
}

static void read_soa(const uint8_t *data, size_t len, size_t pos, size_t end, struct message *out)
{
    uint8_t name[NAME_MAX_WIRE];
    if (name_from_wire(data, len, &pos, name) < 0 || name_from_wire(data, len, &pos, name) < 0)
        return;
    if (pos > end || end - pos < 4)
        return;
    out->has_serial = true;
    out->serial = get32(data + pos);
}

static void read_txt(const uint8_t *rdata, size_t len, struct message *out)
{
    if (out->txt[0] || len < 1 || rdata[0] > len - 1)
        return;
    memcpy(out->txt, rdata + 1, rdata[0]);
    out->txt[rdata[0]] = '\0';
}

static void read_address(int family, const uint8_t *rdata, struct message *out)
{
    if (out->address_count < MESSAGE_ADDRESSES &&
        inet_ntop(family, rdata, out->address[out->address_count], MESSAGE_ADDRESS))
        out->address_count++;
}

static void read_answer(const uint8_t *data, size_t len, uint16_t type, size_t pos, size_t size,
                        struct message *out)
{
    if (type == DNS_SOA)
        read_soa(data, len, pos, pos + size, out);
    else if (type == DNS_TXT)
        read_txt(data + pos, size, out);
    else if (type == DNS_A && size == 4)
        read_address(AF_INET, data + pos, out);
    else if (type == DNS_AAAA && size == 16)
        read_address(AF_INET6, data + pos, out);
    else if (type == DNS_NS && out->target_count < MESSAGE_TARGETS &&
             name_from_wire(data, len, &pos, out->target[out->target_count]) > 0)
        out->target_count++;
}

int message_parse(const uint8_t *data, size_t len, uint16_t id, const uint8_t *name, uint16_t type,
                  struct message *out)
{
    uint8_t owner[NAME_MAX_WIRE];
    size_t pos = DNS_HEADER_LEN;
    memset(out, 0, sizeof(*out));
    out->ede = DNS_EDE_NONE;
    if (len < DNS_HEADER_LEN || get16(data) != id || !(data[2] & 0x80) || get16(data + 4) != 1)
        return -1;
    out->rcode = data[3] & 0x0f;
    if (name_from_wire(data, len, &pos, owner) < 0 || !name_equal(owner, name) || len - pos < 4 ||
        get16(data + pos) != type)
        return -1;
    pos += 4;
    unsigned answers = get16(data + 6), records = answers + get16(data + 8) + get16(data + 10);
    for (unsigned i = 0; i < records; i++) {
        if (name_from_wire(data, len, &pos, owner) < 0 || len - pos < 10)
            return -1;
        uint16_t rtype = get16(data + pos);
        uint8_t extended = data[pos + 4];
        size_t size = get16(data + pos + 8);
        pos += 10;
        if (size > len - pos)
            return -1;
        if (rtype == DNS_OPT) {
            out->rcode |= extended << 4;
            read_ede(data + pos, size, out);
        } else if (i < answers && rtype == type && name_equal(owner, name)) {
            read_answer(data, len, rtype, pos, size, out);
        }
        pos += size;
    }
    return 0;
}
