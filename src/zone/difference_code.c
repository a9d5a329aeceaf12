/* A difference as octets.
 *
 * "LD", version 1, 0; length of the content 4; the first 16 octets of the content's SHA-256; then the
 * content, deflated: serials from 4 and to 4, numbers of records removed 4 and added 4, octets of the removed
 * 4, and the records themselves: owner, type 2, TTL 4, RDLENGTH 2, RDATA. */
#include "difference_body.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <openssl/evp.h>
#include <string.h>
#include <zlib.h>

#define VERSION    1
#define DIGEST     16
#define HEADER     (4 + 4 + DIGEST)
#define PREFIX     20
#define RECORD_MIN (1 + DIFFERENCE_FIXED)
/* What deflate cannot exceed: a length code of 258 octets takes two bits at least. */
#define DEFLATE_BEST 1032

static void digest(const void *data, size_t len, uint8_t out[DIGEST])
{
    unsigned char all[EVP_MAX_MD_SIZE];
    EVP_Digest(data, len, all, NULL, EVP_sha256(), NULL);
    memcpy(out, all, DIGEST);
}

void difference_encode(const struct difference *difference, struct buf *out)
{
    const struct difference_list *removed = &difference->side[DIFFERENCE_REMOVED],
                                 *added = &difference->side[DIFFERENCE_ADDED];
    struct buf content = {0};
    uint8_t prefix[PREFIX];
    put32(prefix, difference->from);
    put32(prefix + 4, difference->to);
    put32(prefix + 8, (uint32_t)removed->count);
    put32(prefix + 12, (uint32_t)added->count);
    put32(prefix + 16, (uint32_t)removed->octets.len);
    buf_reserve(&content, PREFIX + removed->octets.len + added->octets.len);
    buf_append(&content, prefix, PREFIX);
    buf_append(&content, removed->octets.data, removed->octets.len);
    buf_append(&content, added->octets.data, added->octets.len);

    uint8_t header[HEADER] = {'L', 'D', VERSION, 0};
    put32(header + 4, (uint32_t)content.len);
    digest(content.data, content.len, header + 8);
    buf_append(out, header, HEADER);
    uLongf len = compressBound((uLong)content.len);
    buf_reserve(out, len);
    if (compress2(out->data + out->len, &len, content.data, (uLong)content.len, Z_BEST_SPEED) == Z_OK)
        out->len += len;
    buf_free(&content);
}

/* --- decoding --------------------------------------------------------------------------------------- */

/* Types that no zone contains: OPT, and what stands in questions and signatures only (RFC 6895 section 3.1).
 */
static bool is_meta(uint16_t type)
{
    return type == 0 || type == DNS_OPT || (type >= 128 && type <= 255);
}

/* One record at content[*at]; moves *at behind it. */
static int record_read(const struct buf *content, size_t *at, size_t end, struct difference_record *out,
                       struct err *err)
{
    uint8_t name[NAME_MAX_WIRE], lower[NAME_MAX_WIRE];
    size_t start = *at;
    const uint8_t *octets = content->data;
    /* A pointer would be read from what stands before: the length tells that there was none. */
    int len = name_from_wire(octets, end, at, name);
    if (len < 0 || (size_t)len != *at - start || end - *at < DIFFERENCE_FIXED)
        return err_set(err, "a malformed record at octet %zu", start);
    name_lower(name, lower);
    if (memcmp(lower, octets + start, (size_t)len))
        return err_set(err, "an owner that is not in lower case at octet %zu", start);
    out->owner = octets + start;
    out->type = get16(octets + *at);
    out->ttl = get32(octets + *at + 2);
    out->rdata = (struct rdata){.len = get16(octets + *at + 6)};
    *at += DIFFERENCE_FIXED;
    if (end - *at < out->rdata.len)
        return err_set(err, "a record that is cut off at octet %zu", start);
    out->rdata.data = octets + *at;
    *at += out->rdata.len;
    if (is_meta(out->type) || out->ttl > INT32_MAX)
        return err_set(err, "a record of a type or with a TTL that no zone has, at octet %zu", start);
    return dns_rdata_check(out->type, out->rdata.data, out->rdata.len, err);
}

static int side_read(struct difference *difference, enum difference_side side, const struct buf *content,
                     size_t at, size_t end, uint32_t count, struct err *err)
{
    struct difference_record last = {0}, record;
    if (count > (end - at) / RECORD_MIN)
        return err_set(err, "more records are announced than there is room for");
    for (uint32_t i = 0; i < count; i++) {
        if (record_read(content, &at, end, &record, err))
            return -1;
        /* This excludes repeated records too. */
        if (last.owner && difference_order(&last, &record) >= 0)
            return err_set(err, "records out of order");
        difference_add(difference, side, &record);
        last = record;
    }
    return at == end ? 0 : err_set(err, "%zu octets behind the last record", end - at);
}

/* The serials that it names are those of its SOAs, if it has them. */
static int check_serials(const struct difference *difference, struct err *err)
{
    for (unsigned side = 0; side < 2; side++) {
        if (!difference_count(difference, side))
            continue;
        struct difference_record first = difference_record(difference, side, 0);
        uint32_t named = side == DIFFERENCE_REMOVED ? difference->from : difference->to;
        if (first.type == DNS_SOA && get32(first.rdata.data + first.rdata.len - 20) != named)
            return err_set(err, "its serials are not those of its SOA records");
    }
    return 0;
}

static struct difference *content_read(const struct buf *content, struct err *err)
{
    const uint8_t *at = content->data;
    uint32_t middle = get32(at + 16);
    if (middle > content->len - PREFIX) {
        err_set(err, "cut off");
        return NULL;
    }
    struct difference *difference = difference_new(get32(at), get32(at + 4));
    if (side_read(difference, DIFFERENCE_REMOVED, content, PREFIX, PREFIX + middle, get32(at + 8), err) ||
        side_read(difference, DIFFERENCE_ADDED, content, PREFIX + middle, content->len, get32(at + 12),
                  err) ||
        check_serials(difference, err)) {
        difference_unref(difference);
        return NULL;
    }
    difference_trim(difference);
    return difference;
}

struct difference *difference_decode(const void *data, size_t len, struct err *err)
{
    const uint8_t *header = data;
    if (len < HEADER || header[0] != 'L' || header[1] != 'D') {
        err_set(err, "not a difference of zones");
        return NULL;
    }
    if (header[2] != VERSION) {
        err_set(err, "a difference of zones in format %u; this version reads %d", header[2], VERSION);
        return NULL;
    }
    uint32_t size = get32(header + 4);
    if (size < PREFIX || size > DIFFERENCE_MAX || size / DEFLATE_BEST > len) {
        err_set(err, "a difference of zones with an impossible length of %lu octets", (unsigned long)size);
        return NULL;
    }
    struct buf content = {0};
    struct difference *difference = NULL;
    uint8_t found[DIGEST];
    uLongf got = size;
    buf_reserve(&content, size);
    if (uncompress(content.data, &got, header + HEADER, (uLong)(len - HEADER)) != Z_OK || got != size) {
        err_set(err, "a damaged difference of zones: it cannot be inflated");
    } else {
        content.len = got;
        digest(content.data, content.len, found);
        if (memcmp(found, header + 8, DIGEST))
            err_set(err, "a damaged difference of zones: its checksum is wrong");
        else if (!(difference = content_read(&content, err)))
            err_prefix(err, "a malformed difference of zones");
    }
    buf_free(&content);
    return difference;
}
