/* What anybody may have put into a zone's keys: heads, entries (bases, commits, files), sets of them in
 * recover/, differences. Nothing crashes, and what is taken for a value comes back the same when it is
 * written and read again. Each is tried as it is, and inside of what its checksums and its deflation ask for,
 * which no chance would get past: an input is then 70 octets of an entry's fixed part and the plain content
 * of a difference. */
#include "store/values.h"

#include "base/siphash.h"
#include "lictor/wire.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void head(const uint8_t *data, size_t size)
{
    struct store_head value, again;
    struct buf text = {0};
    struct err err;
    if (store_head_parse(data, size, &value, &err))
        return;
    store_head_encode(&value, &text);
    if (store_head_parse(text.data, text.len, &again, &err) || !store_position_equal(&value.at, &again.at) ||
        value.base != again.base || value.file != again.file || value.at.serial != again.at.serial ||
        value.file_serial != again.file_serial)
        abort();
    buf_free(&text);
}

static void difference(const uint8_t *data, size_t size)
{
    struct err err;
    struct buf text = {0};
    struct difference *value = difference_decode(data, size, &err);
    if (!value)
        return;
    difference_encode(value, &text);
    struct difference *again = difference_decode(text.data, text.len, &err);
    if (!again || difference_count(again, DIFFERENCE_ADDED) != difference_count(value, DIFFERENCE_ADDED) ||
        difference_count(again, DIFFERENCE_REMOVED) != difference_count(value, DIFFERENCE_REMOVED))
        abort();
    difference_unref(again);
    difference_unref(value);
    buf_free(&text);
}

static void entry(const uint8_t *data, size_t size)
{
    struct err err;
    struct buf text = {0};
    struct store_entry *value = store_entry_parse(data, size, &err);
    if (!value)
        return;
    store_entry_encode(value, &text);
    struct store_entry *again = store_entry_parse(text.data, text.len, &err);
    if (!again || !store_position_equal(&value->at, &again->at) || value->prev != again->prev ||
        value->cover_count != again->cover_count || strcmp(value->author, again->author) != 0)
        abort();
    store_entry_free(again);
    store_entry_free(value);
    buf_free(&text);
}

static void set(const struct buf *octets)
{
    struct store_entry **entries = NULL;
    size_t count = 0;
    struct err err;
    struct buf text = {0};
    if (!store_set_parse(octets, &entries, &count, &err)) {
        store_set_begin(&text);
        for (size_t i = 0; i < count; i++)
            store_set_add(&text, entries[i]);
        size_t again = count;
        if (store_set_parse(&text, &entries, &count, &err) || count != 2 * again)
            abort();
    }
    for (size_t i = 0; i < count; i++)
        store_entry_free(entries[i]);
    free(entries);
    buf_free(&text);
}

/* "LD": the content behind its length and digest, deflated. */
static void wrap_difference(struct buf *out, const uint8_t *content, size_t size)
{
    uint8_t header[24] = {'L', 'D', 1, 0};
    unsigned char digest[EVP_MAX_MD_SIZE];
    uLongf len = compressBound((uLong)size);
    EVP_Digest(content, size, digest, NULL, EVP_sha256(), NULL);
    put32(header + 4, (uint32_t)size);
    memcpy(header + 8, digest, 16);
    buf_append(out, header, sizeof header);
    buf_reserve(out, len);
    if (compress2(out->data + out->len, &len, content, (uLong)size, 1) != Z_OK)
        abort();
    out->len += len;
}

#define FIXED 70 /* of an entry, behind its checksum */

static void wrapped(const uint8_t *data, size_t size)
{
    static const uint64_t key[2] = {UINT64_C(0x6c6963746f722d65), UINT64_C(0x6e7472792d737563)};
    static const uint8_t begin[12] = {'L', 'E', 1, 0};
    struct buf one = {0}, all = {0};
    if (size < FIXED + 20)
        return;
    wrap_difference(&one, data + FIXED, size - FIXED);
    difference(one.data, one.len);
    one.len = 0;
    buf_append(&one, begin, sizeof begin);
    buf_append(&one, data, FIXED);
    wrap_difference(&one, data + FIXED, size - FIXED);
    uint64_t sum = siphash(one.data + 12, one.len - 12, key);
    put32(one.data + 4, (uint32_t)(sum >> 32));
    put32(one.data + 8, (uint32_t)sum);
    entry(one.data, one.len);
    uint8_t len[4];
    store_set_begin(&all);
    all.data[7] = 1;
    put32(len, (uint32_t)one.len);
    buf_append(&all, len, 4);
    buf_append(&all, one.data, one.len);
    set(&all);
    buf_free(&one);
    buf_free(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf copy = {0};
    buf_append(&copy, data, size);
    set(&copy);
    buf_free(&copy);
    wrapped(data, size);
    head(data, size);
    difference(data, size);
    entry(data, size);
    return 0;
}
