/* SHA-1 (RFC 3174) of short inputs. */
#include "lictor/sha1.h"

#include "lictor/wire.h"

#include <assert.h>
#include <string.h>

#define BLOCK 64

static inline uint32_t rotate(uint32_t x, unsigned by)
{
    return x << by | x >> (32 - by);
}

/* Section 6.1, with the schedule of 80 words in a ring of 16 (section 6.2). */
static void compress(uint32_t h[5], const uint8_t *block)
{
    uint32_t w[16], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (unsigned t = 0; t < 16; t++)
        w[t] = get32(block + 4 * t);
#define ROUND(f, k) \
    do { \
        if (t >= 16) \
            w[t & 15] = rotate(w[(t + 13) & 15] ^ w[(t + 8) & 15] ^ w[(t + 2) & 15] ^ w[t & 15], 1); \
        uint32_t next = rotate(a, 5) + (f) + e + w[t & 15] + UINT32_C(k); \
        e = d; \
        d = c; \
        c = rotate(b, 30); \
        b = a; \
        a = next; \
    } while (0)
    for (unsigned t = 0; t < 20; t++)
        ROUND(d ^ (b & (c ^ d)), 0x5a827999);
    for (unsigned t = 20; t < 40; t++)
        ROUND(b ^ c ^ d, 0x6ed9eba1);
    for (unsigned t = 40; t < 60; t++)
        ROUND((b & c) | (d & (b | c)), 0x8f1bbcdc);
    for (unsigned t = 60; t < 80; t++)
        ROUND(b ^ c ^ d, 0xca62c1d6);
#undef ROUND
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

void sha1(const uint8_t *data, size_t len, const uint8_t *more, size_t more_len, uint8_t out[SHA1_LEN])
{
    uint8_t padded[SHA1_INPUT_MAX + 2 * BLOCK];
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    size_t all = len + more_len, size = (all + 9 + BLOCK - 1) / BLOCK * BLOCK;
    assert(all <= SHA1_INPUT_MAX);
    memcpy(padded, data, len);
    if (more_len)
        memcpy(padded + len, more, more_len);
    padded[all] = 0x80; /* section 4: then zeros, then the length in bits */
    memset(padded + all + 1, 0, size - all - 1);
    put32(padded + size - 4, (uint32_t)(8 * all));
    for (size_t at = 0; at < size; at += BLOCK)
        compress(h, padded + at);
    for (unsigned i = 0; i < 5; i++)
        put32(out + 4 * i, h[i]);
}
