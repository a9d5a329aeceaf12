/* The additive hash of a zone. */
#include "difference_body.h"

#include "base/siphash.h"

#include <stdio.h>
#include <string.h>

/* Any two keys do, the same on every instance: they are part of what the KV holds. */
static const uint64_t key_high[2] = {UINT64_C(0x6c6963746f722d31), UINT64_C(0x7a6f6e652d686967)};
static const uint64_t key_low[2] = {UINT64_C(0x6c6963746f722d32), UINT64_C(0x7a6f6e652d6c6f77)};

/* octets: a record as a difference holds it. */
static struct zone_hash record_hash(const uint8_t *octets, size_t len)
{
    return (struct zone_hash){siphash(octets, len, key_high), siphash(octets, len, key_low)};
}

static struct zone_hash plus(struct zone_hash a, struct zone_hash b)
{
    uint64_t low = a.low + b.low;
    return (struct zone_hash){a.high + b.high + (low < a.low), low};
}

static struct zone_hash minus(struct zone_hash a, struct zone_hash b)
{
    return (struct zone_hash){a.high - b.high - (a.low < b.low), a.low - b.low};
}

static int add_piece(void *arg, const uint8_t *owner, const struct piece *piece)
{
    struct zone_hash *hash = arg;
    uint8_t octets[NAME_MAX_WIRE + DIFFERENCE_FIXED + UINT16_MAX];
    size_t len = name_len(owner);
    memcpy(octets, owner, len);
    put16(octets + len, piece_type(piece));
    for (uint32_t i = 0; i < piece_count(piece); i++) {
        struct rdata rdata = piece_rdata(piece, i);
        put32(octets + len + 2, rdata_ttl(piece_type(piece), piece_ttl(piece), &rdata));
        put16(octets + len + 6, rdata.len);
        if (rdata.len)
            memcpy(octets + len + DIFFERENCE_FIXED, rdata.data, rdata.len);
        *hash = plus(*hash, record_hash(octets, len + DIFFERENCE_FIXED + rdata.len));
    }
    return 0;
}

struct zone_hash zone_hash(const struct zone *zone)
{
    struct zone_hash hash = {0, 0};
    zone_walk(zone, add_piece, &hash);
    return hash;
}

struct zone_hash zone_hash_after(struct zone_hash before, const struct difference *difference)
{
    for (unsigned side = 0; side < 2; side++) {
        const struct difference_list *list = &difference->side[side];
        for (size_t i = 0; i < list->count; i++) {
            size_t end = i + 1 < list->count ? list->at[i + 1] : list->octets.len;
            struct zone_hash one = record_hash(list->octets.data + list->at[i], end - list->at[i]);
            before = side == DIFFERENCE_REMOVED ? minus(before, one) : plus(before, one);
        }
    }
    return before;
}

bool zone_hash_equal(struct zone_hash a, struct zone_hash b)
{
    return a.high == b.high && a.low == b.low;
}

const char *zone_hash_text(struct zone_hash hash, char out[ZONE_HASH_TEXT])
{
    snprintf(out, ZONE_HASH_TEXT, "%016llx%016llx", (unsigned long long)hash.high,
             (unsigned long long)hash.low);
    return out;
}

static int parse_half(const char *text, uint64_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < 16; i++) {
        const char *digits = "0123456789abcdef", *found = text[i] ? strchr(digits, text[i]) : NULL;
        if (!found)
            return -1;
        *out = *out << 4 | (uint64_t)(found - digits);
    }
    return 0;
}

int zone_hash_parse(const char *text, struct zone_hash *out)
{
    return parse_half(text, &out->high) || parse_half(text + 16, &out->low) ? -1 : 0;
}
