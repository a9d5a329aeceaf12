#include "notify_message.h"

#include "lictor/dns.h"
#include "lictor/wire.h"

#include <string.h>

#define FLAGS (DNS_NOTIFY << 11 | 0x0400) /* AA: RFC 1996 section 3.6 */

uint32_t notify_soa_serial(const struct notify_soa *soa)
{
    return get32(soa->rdata + soa->len - 20);
}

size_t notify_encode(uint16_t id, const struct notify_soa *soa, const struct tsig_key *key, nstime now_real,
                     struct tsig_mac *mac, uint8_t out[NOTIFY_MESSAGE])
{
    size_t name = name_len(soa->apex), len = DNS_HEADER_LEN;
    memset(out, 0, DNS_HEADER_LEN);
    put16(out, id);
    put16(out + 2, FLAGS);
    put16(out + 4, 1);
    put16(out + 6, 1); /* the new SOA, as a hint (section 3.7) */
    memcpy(out + len, soa->apex, name);
    len += name;
    put16(out + len, DNS_SOA);
    put16(out + len + 2, DNS_IN);
    len += 4;
    put16(out + len, 0xc000u | DNS_HEADER_LEN);
    put16(out + len + 2, DNS_SOA);
    put16(out + len + 4, DNS_IN);
    put32(out + len + 6, soa->ttl);
    put16(out + len + 10, soa->len);
    memcpy(out + len + 12, soa->rdata, soa->len);
    len += 12 + (size_t)soa->len;
    if (key)
        tsig_sign(out, &len, NOTIFY_MESSAGE, key, NULL, TSIG_WHOLE, now_real, mac);
    return len;
}

static int wrong(const char **why, const char *text)
{
    *why = text;
    return -1;
}

int notify_decode(const uint8_t *msg, size_t len, uint16_t id, const struct notify_soa *soa,
                  const struct tsig_key *key, const struct tsig_mac *mac, nstime now_real, const char **why)
{
    uint8_t name[NAME_MAX_WIRE];
    struct tsig tsig;
    size_t at = DNS_HEADER_LEN;
    if (len < DNS_HEADER_LEN || get16(msg) != id || (get16(msg + 2) & 0xf800) != (0x8000 | DNS_NOTIFY << 11))
        return wrong(why, "it is no answer to what was sent");
    /* The question comes back, but who cannot read it may leave it out (FORMERR). */
    if (get16(msg + 4) == 1 && (name_from_wire(msg, len, &at, name) < 0 || !name_equal(name, soa->apex)))
        return wrong(why, "it is about another zone");
    if (key) {
        enum tsig_found found = tsig_find(msg, len, &tsig);
        if (found != TSIG_FOUND)
            return wrong(why, found == TSIG_NONE ? "it is not signed" : "its signature is malformed");
        enum tsig_error error = tsig_verify(key, msg, &tsig, mac, TSIG_WHOLE, now_real);
        if (error != TSIG_OK && tsig.error == 0)
            return wrong(why, "its signature is wrong");
        if (tsig.error != 0) /* its refusal of ours is not signed for BADKEY and BADSIG */
            return wrong(why, tsig_error_text((enum tsig_error)tsig.error));
    }
    return get16(msg + 2) & 15;
}
