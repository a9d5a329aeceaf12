/* TSIG: finding, checking and making the record (RFC 8945). */
#include "lictor/tsig.h"

#include "lictor/buf.h"
#include "lictor/dns.h"
#include "lictor/wire.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text;
    uint8_t name[32]; /* wire form */
    const EVP_MD *(*digest)(void);
    size_t len;
} algorithms[TSIG_ALGORITHMS] = {
    [TSIG_HMAC_MD5] = {"hmac-md5", "\10hmac-md5\7sig-alg\3reg\3int", EVP_md5, 16},
    [TSIG_HMAC_SHA1] = {"hmac-sha1", "\11hmac-sha1", EVP_sha1, 20},
    [TSIG_HMAC_SHA224] = {"hmac-sha224", "\13hmac-sha224", EVP_sha224, 28},
    [TSIG_HMAC_SHA256] = {"hmac-sha256", "\13hmac-sha256", EVP_sha256, 32},
    [TSIG_HMAC_SHA384] = {"hmac-sha384", "\13hmac-sha384", EVP_sha384, 48},
    [TSIG_HMAC_SHA512] = {"hmac-sha512", "\13hmac-sha512", EVP_sha512, 64},
};

int tsig_algorithm_parse(const char *text)
{
    for (int i = 0; i < TSIG_ALGORITHMS; i++)
        if (!strcmp(text, algorithms[i].text))
            return i;
    return -1;
}

const char *tsig_algorithm_text(enum tsig_algorithm algorithm)
{
    return algorithms[algorithm].text;
}

const char *tsig_error_text(enum tsig_error error)
{
    char ignored[16];
    return error == TSIG_BADSIG ? "BADSIG" : dns_rcode_text((uint16_t)error, ignored);
}

int tsig_secret_parse(const char *text, uint8_t *out, size_t max)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char space[] = " \t\r\n";
    text += strspn(text, space);
    size_t digits = strspn(text, alphabet), pads = strspn(text + digits, "="), all = digits + pads;
    size_t octets = digits * 3 / 4;
    if (text[all + strspn(text + all, space)] || all % 4 || pads > 2 || octets > max)
        return -1;
    uint32_t bits = 0;
    for (size_t i = 0, n = 0; i < digits; i++) {
        bits = bits << 6 | (uint32_t)(strchr(alphabet, text[i]) - alphabet);
        if (i % 4 != 0)
            out[n++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    return (int)octets;
}

/* --- reading ---------------------------------------------------------------------------------------- */

static uint64_t get48(const uint8_t *at)
{
    return (uint64_t)get16(at) << 32 | get32(at + 2);
}

static bool skip_record(const uint8_t *msg, size_t len, size_t *at, uint16_t *type)
{
    uint8_t name[NAME_MAX_WIRE];
    if (name_from_wire(msg, len, at, name) < 0 || *at + 10 > len)
        return false;
    *type = get16(msg + *at);
    *at += 10 + (size_t)get16(msg + *at + 8);
    return *at <= len;
}

/* Behind the questions and all records but the last. Returns 0 if the message is malformed, or has TSIG
 * earlier. */
static size_t find_last(const uint8_t *msg, size_t len, unsigned before)
{
    size_t at = DNS_HEADER_LEN;
    uint8_t name[NAME_MAX_WIRE];
    for (unsigned i = get16(msg + 4); i > 0; i--) {
        if (name_from_wire(msg, len, &at, name) < 0 || at + 4 > len)
            return 0;
        at += 4;
    }
    for (; before > 0; before--) {
        uint16_t type;
        if (!skip_record(msg, len, &at, &type) || type == DNS_TSIG)
            return 0;
    }
    return at;
}

/* rdata: algorithm, time, fudge, MAC, original ID, error, other (section 4.2; the algorithm's name is never
 * compressed). */
static bool read_rdata(const uint8_t *msg, size_t at, size_t end, struct tsig *out)
{
    size_t start = at;
    int len = name_from_wire(msg, end, &at, out->algorithm);
    if (len < 0 || at != start + (size_t)len || at + 10 > end)
        return false;
    out->time = get48(msg + at);
    out->fudge = get16(msg + at + 6);
    out->mac.len = get16(msg + at + 8);
    at += 10;
    if (out->mac.len > TSIG_MAC_MAX || at + out->mac.len + 6 > end)
        return false;
    memcpy(out->mac.octets, msg + at, out->mac.len);
    at += out->mac.len;
    out->original_id = get16(msg + at);
    out->error = get16(msg + at + 2);
    size_t other = get16(msg + at + 4);
    at += 6;
    if (at + other != end)
        return false;
    out->server_time = out->error == TSIG_BADTIME && other == 6 ? get48(msg + at) : 0;
    name_lower(out->algorithm, out->algorithm);
    return true;
}

enum tsig_found tsig_find(const uint8_t *msg, size_t len, struct tsig *out)
{
    unsigned additional = len >= DNS_HEADER_LEN ? get16(msg + 10) : 0;
    unsigned records = len >= DNS_HEADER_LEN ? get16(msg + 6) + get16(msg + 8) + additional : 0;
    if (records == 0)
        return TSIG_NONE;
    size_t at = find_last(msg, len, records - 1);
    if (at == 0)
        return TSIG_MALFORMED;
    out->start = at;
    if (name_from_wire(msg, len, &at, out->key) < 0 || at + 10 > len)
        return TSIG_MALFORMED;
    const uint8_t *fixed = msg + at;
    size_t end = at + 10 + get16(fixed + 8);
    if (end > len)
        return TSIG_MALFORMED;
    if (get16(fixed) != DNS_TSIG)
        return TSIG_NONE;
    if (additional == 0 || end != len || get16(fixed + 2) != DNS_CLASS_ANY || get32(fixed + 4) != 0)
        return TSIG_MALFORMED;
    name_lower(out->key, out->key);
    return read_rdata(msg, at + 10, end, out) ? TSIG_FOUND : TSIG_MALFORMED;
}

/* --- the digest ------------------------------------------------------------------------------------- */

/* The record's own part of what is signed. */
struct variables {
    uint64_t time;
    uint16_t fudge, error, original_id;
    uint8_t other[6];
    size_t other_len;
};

static void add16(struct buf *data, unsigned value)
{
    uint8_t octets[2];
    put16(octets, value);
    buf_append(data, octets, 2);
}

static void add48(struct buf *data, uint64_t value)
{
    add16(data, (unsigned)(value >> 32));
    add16(data, (unsigned)(value >> 16) & 0xffff);
    add16(data, (unsigned)value & 0xffff);
}

static void add_name(struct buf *data, const uint8_t *name)
{
    buf_append(data, name, name_len(name));
}

/* Section 4.3: the prior MAC with its length, the message with the original ID and without the record, the
 * variables; of later messages of a stream the time alone (section 5.3.1). */
static void digest(const struct tsig_key *key, const uint8_t *msg, size_t len, unsigned additional,
                   const struct tsig_mac *prior, enum tsig_part part, const struct variables *v,
                   struct tsig_mac *out)
{
    struct buf data = {0};
    uint8_t header[DNS_HEADER_LEN];
    unsigned size = 0;
    memcpy(header, msg, sizeof header);
    put16(header, v->original_id);
    put16(header + 10, additional);
    if (prior != NULL && prior->len > 0) {
        add16(&data, (unsigned)prior->len);
        buf_append(&data, prior->octets, prior->len);
    }
    buf_append(&data, header, sizeof header);
    buf_append(&data, msg + DNS_HEADER_LEN, len - DNS_HEADER_LEN);
    if (part == TSIG_WHOLE) {
        add_name(&data, key->name);
        add16(&data, DNS_CLASS_ANY);
        buf_append(&data, "\0\0\0\0", 4); /* TTL */
        add_name(&data, algorithms[key->algorithm].name);
    }
    add48(&data, v->time);
    add16(&data, v->fudge);
    if (part == TSIG_WHOLE) {
        add16(&data, v->error);
        add16(&data, (unsigned)v->other_len);
        buf_append(&data, v->other, v->other_len);
    }
    if (HMAC(algorithms[key->algorithm].digest(), key->secret, (int)key->secret_len, data.data, data.len,
             out->octets, &size) == NULL)
        abort(); /* a libcrypto without HMAC cannot be worked with */
    out->len = size;
    buf_free(&data);
}

static void put48(uint8_t out[6], uint64_t value)
{
    put16(out, (unsigned)(value >> 32) & 0xffff);
    put32(out + 2, (uint32_t)value);
}

enum tsig_error tsig_verify(const struct tsig_key *key, const uint8_t *msg, const struct tsig *tsig,
                            const struct tsig_mac *prior, enum tsig_part part, nstime now_real)
{
    struct tsig_mac right;
    struct variables v = {tsig->time, tsig->fudge, tsig->error, tsig->original_id, {0}, 0};
    uint64_t now = (uint64_t)(now_real / NS_PER_S);
    size_t whole = algorithms[key->algorithm].len;
    if (!name_equal(tsig->key, key->name) || !name_equal(tsig->algorithm, algorithms[key->algorithm].name))
        return TSIG_BADKEY;
    if (tsig->server_time != 0) {
        put48(v.other, tsig->server_time);
        v.other_len = 6;
    }
    digest(key, msg, tsig->start, get16(msg + 10) - 1u, prior, part, &v, &right);
    /* Shorter than 10 octets or half of the digest proves nothing (section 5.2.2.1). */
    bool provable = tsig->mac.len >= 10 && tsig->mac.len * 2 >= whole && tsig->mac.len <= whole;
    if (!provable || CRYPTO_memcmp(right.octets, tsig->mac.octets, tsig->mac.len) != 0)
        return TSIG_BADSIG;
    uint64_t apart = now > tsig->time ? now - tsig->time : tsig->time - now;
    if (apart > tsig->fudge || apart > TSIG_FUDGE)
        return TSIG_BADTIME;
    return tsig->mac.len < whole ? TSIG_BADTRUNC : TSIG_OK;
}

/* --- writing ---------------------------------------------------------------------------------------- */

static int append(uint8_t *msg, size_t *len, size_t max, const uint8_t *key, const uint8_t *algorithm,
                  const struct variables *v, const struct tsig_mac *mac)
{
    size_t key_len = name_len(key), algorithm_len = name_len(algorithm);
    size_t rdata_len = algorithm_len + 16 + mac->len + v->other_len;
    if (*len + key_len + 10 + rdata_len > max)
        return -1;
    uint8_t *at = msg + *len;
    memcpy(at, key, key_len);
    at += key_len;
    put16(at, DNS_TSIG);
    put16(at + 2, DNS_CLASS_ANY);
    put32(at + 4, 0);
    put16(at + 8, (unsigned)rdata_len);
    at += 10;
    memcpy(at, algorithm, algorithm_len);
    at += algorithm_len;
    put48(at, v->time);
    put16(at + 6, v->fudge);
    put16(at + 8, (unsigned)mac->len);
    at += 10;
    memcpy(at, mac->octets, mac->len);
    at += mac->len;
    put16(at, v->original_id);
    put16(at + 2, v->error);
    put16(at + 4, (unsigned)v->other_len);
    memcpy(at + 6, v->other, v->other_len);
    *len += key_len + 10 + rdata_len;
    put16(msg + 10, get16(msg + 10) + 1u);
    return 0;
}

static int sign(uint8_t *msg, size_t *len, size_t max, const struct tsig_key *key,
                const struct tsig_mac *prior, enum tsig_part part, const struct variables *v,
                struct tsig_mac *mac)
{
    struct tsig_mac own;
    digest(key, msg, *len, get16(msg + 10), prior, part, v, &own);
    if (mac != NULL)
        *mac = own;
    return append(msg, len, max, key->name, algorithms[key->algorithm].name, v, &own);
}

int tsig_sign(uint8_t *msg, size_t *len, size_t max, const struct tsig_key *key, const struct tsig_mac *prior,
              enum tsig_part part, nstime now_real, struct tsig_mac *mac)
{
    struct variables v = {
        .time = (uint64_t)(now_real / NS_PER_S), .fudge = TSIG_FUDGE, .original_id = get16(msg)};
    return sign(msg, len, max, key, prior, part, &v, mac);
}

int tsig_refuse(uint8_t *msg, size_t *len, size_t max, const struct tsig_key *key, const struct tsig *request,
                enum tsig_error error, nstime now_real)
{
    static const struct tsig_mac none;
    struct variables v = {.time = (uint64_t)(now_real / NS_PER_S),
                          .fudge = TSIG_FUDGE,
                          .error = (uint16_t)error,
                          .original_id = get16(msg)};
    if (error == TSIG_BADKEY || error == TSIG_BADSIG) /* in the asker's words: it may be no key of ours */
        return append(msg, len, max, request->key, request->algorithm, &v, &none);
    if (error == TSIG_BADTIME) {
        put48(v.other, v.time);
        v.other_len = 6;
        v.time = request->time;
    }
    return sign(msg, len, max, key, &request->mac, TSIG_WHOLE, &v, NULL);
}

size_t tsig_size(const struct tsig_key *key)
{
    return name_len(key->name) + 10 + name_len(algorithms[key->algorithm].name) + 16 +
           algorithms[key->algorithm].len + 6;
}
