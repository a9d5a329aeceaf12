#include "block.h"

#include "lictor/dns.h"

#include <jansson.h>

uint32_t serial_latest(uint32_t a, uint32_t b)
{
    return serial_is_later(a, b) ? a : b;
}

struct block block_next(const struct block *stored, const struct block *seen, nstime now_real)
{
    uint32_t start = (uint32_t)(now_real / NS_PER_S);
    if (stored->known)
        start = serial_latest(start, stored->end + 1);
    if (seen->known)
        start = serial_latest(start, seen->end + 1);
    if (start == 0) /* some servers take it for "none" */
        start = 1;
    return (struct block){start, start + BLOCK_SIZE - 1, true};
}

struct block block_longer(const struct block *own)
{
    return (struct block){own->start, own->end + BLOCK_SIZE, true};
}

void block_encode(const struct block *block, struct buf *out)
{
    buf_printf(out, "{\"start\":%u,\"end\":%u}", block->start, block->end);
}

int block_decode(const void *data, size_t len, struct block *out, struct err *err)
{
    json_t *json = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);
    json_int_t start, end;
    int result = -1;
    if (!json || json_unpack(json, "{s:I, s:I}", "start", &start, "end", &end) || start < 0 || end < 0 ||
        start > UINT32_MAX || end > UINT32_MAX || serial_is_later((uint32_t)start, (uint32_t)end)) {
        err_set(err, "is no block of serials, such as {\"start\":1700000000,\"end\":1700004095}");
    } else {
        *out = (struct block){(uint32_t)start, (uint32_t)end, true};
        result = 0;
    }
    json_decref(json);
    return result;
}
