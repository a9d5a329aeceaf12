#include "store/values.h"

#include "base/siphash.h"
#include "lictor/dns.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_MAX 200

bool store_position_equal(const struct store_position *a, const struct store_position *b)
{
    return a->seq == b->seq && zone_hash_equal(a->hash, b->hash);
}

/* --- heads ---------------------------------------------------------------------------------------- */

void store_head_encode(const struct store_head *head, struct buf *out)
{
    char hash[ZONE_HASH_TEXT], file[ZONE_HASH_TEXT];
    buf_printf(out,
               "1 %016" PRIx64 " %" PRIu32 " %" PRIu64 " %s %016" PRIx64 "/%u %016" PRIx64 "/%u %" PRIu32
               " %s\n",
               head->at.seq, head->at.serial, head->at.epoch, zone_hash_text(head->at.hash, hash), head->base,
               head->base_chunks, head->file, head->file_chunks, head->file_serial,
               zone_hash_text(head->file_hash, file));
}

/* Reads one number in the base up to `end`, which it skips. */
static int number(const char **at, int base, char end, uint64_t max, uint64_t *out)
{
    char *stop;
    if (!isxdigit((unsigned char)**at))
        return -1;
    unsigned long long value = strtoull(*at, &stop, base);
    if (*stop != end || stop - *at > 20 || value > max)
        return -1;
    *at = stop + 1;
    *out = value;
    return 0;
}

static int hash(const char **at, char end, struct zone_hash *out)
{
    if (strlen(*at) < ZONE_HASH_TEXT || zone_hash_parse(*at, out) || (*at)[ZONE_HASH_TEXT - 1] != end)
        return -1;
    *at += ZONE_HASH_TEXT;
    return 0;
}

int store_head_parse(const void *data, size_t len, struct store_head *out, struct err *err)
{
    char text[HEAD_MAX + 1];
    const char *at = text;
    uint64_t version, serial, chunks, file_chunks, file_serial;
    memset(out, 0, sizeof *out);
    if (!len || len > HEAD_MAX)
        return err_set(err, "a head of %zu octets; it has at most %d", len, HEAD_MAX);
    memcpy(text, data, len);
    text[len] = 0;
    if (number(&at, 10, ' ', UINT64_MAX, &version))
        return err_set(err, "not the head of a zone");
    if (version != 1)
        return err_set(err, "the head of a zone in format %" PRIu64 "; this version reads 1", version);
    if (number(&at, 16, ' ', UINT64_MAX, &out->at.seq) || number(&at, 10, ' ', UINT32_MAX, &serial) ||
        number(&at, 10, ' ', UINT64_MAX, &out->at.epoch) || hash(&at, ' ', &out->at.hash) ||
        number(&at, 16, '/', UINT64_MAX, &out->base) || number(&at, 10, ' ', STORE_CHUNKS, &chunks) ||
        number(&at, 16, '/', UINT64_MAX, &out->file) || number(&at, 10, ' ', STORE_CHUNKS, &file_chunks) ||
        number(&at, 10, ' ', UINT32_MAX, &file_serial) || hash(&at, '\n', &out->file_hash) ||
        at != text + len || !out->at.seq || out->base > out->at.seq || !out->base != !chunks ||
        !out->file != !file_chunks) {
        memset(out, 0, sizeof *out);
        return err_set(err, "a malformed head of a zone");
    }
    out->at.serial = (uint32_t)serial;
    out->base_chunks = (unsigned)chunks;
    out->file_chunks = (unsigned)file_chunks;
    out->file_serial = (uint32_t)file_serial;
    return 0;
}

/* --- entries -------------------------------------------------------------------------------------- */

/* "LE", version, length of the author; checksum of all that follows 8; seq 8, epoch 8, serial 4, hash 16,
 * prev 8, hash before 16, time 8, number of covered positions 2; the author; covered: seq 8, hash 16; the
 * difference. */
#define VERSION 1
#define FIXED   82
#define COVER   24

static const uint64_t checksum_key[2] = {UINT64_C(0x6c6963746f722d65), UINT64_C(0x6e7472792d737563)};

static void append64(struct buf *out, uint64_t value)
{
    uint8_t octets[8];
    put32(octets, (uint32_t)(value >> 32));
    put32(octets + 4, (uint32_t)value);
    buf_append(out, octets, 8);
}

static uint64_t get64(const uint8_t *at)
{
    return (uint64_t)get32(at) << 32 | get32(at + 4);
}

static struct zone_hash get_hash(const uint8_t *at)
{
    return (struct zone_hash){get64(at), get64(at + 8)};
}

static void append_hash(struct buf *out, struct zone_hash hash_)
{
    append64(out, hash_.high);
    append64(out, hash_.low);
}

struct store_entry *store_entry_new(void)
{
    return xcalloc(1, sizeof(struct store_entry));
}

void store_entry_free(struct store_entry *entry)
{
    if (!entry)
        return;
    difference_unref(entry->difference);
    free(entry->covers);
    free(entry);
}

void store_entry_encode(const struct store_entry *entry, struct buf *out)
{
    size_t start = out->len, author = strnlen(entry->author, STORE_AUTHOR - 1);
    uint8_t prefix[4] = {'L', 'E', VERSION, (uint8_t)author}, small[4];
    buf_append(out, prefix, 4);
    append64(out, 0);
    append64(out, entry->at.seq);
    append64(out, entry->at.epoch);
    put32(small, entry->at.serial);
    buf_append(out, small, 4);
    append_hash(out, entry->at.hash);
    append64(out, entry->prev);
    append_hash(out, entry->before);
    append64(out, (uint64_t)entry->time);
    put16(small, (unsigned)entry->cover_count);
    buf_append(out, small, 2);
    buf_append(out, entry->author, author);
    for (size_t i = 0; i < entry->cover_count; i++) {
        append64(out, entry->covers[i].seq);
        append_hash(out, entry->covers[i].hash);
    }
    difference_encode(entry->difference, out);
    uint64_t sum = siphash(out->data + start + 12, out->len - start - 12, checksum_key);
    put32(out->data + start + 4, (uint32_t)(sum >> 32));
    put32(out->data + start + 8, (uint32_t)sum);
}

struct store_entry *store_entry_parse(const void *data, size_t len, struct err *err)
{
    const uint8_t *at = data;
    if (len < 12 + FIXED - 12 || at[0] != 'L' || at[1] != 'E') {
        err_set(err, "not an entry of a zone's log");
        return NULL;
    }
    if (at[2] != VERSION) {
        err_set(err, "an entry in format %u; this version reads %d", at[2], VERSION);
        return NULL;
    }
    if (get64(at + 4) != siphash(at + 12, len - 12, checksum_key)) {
        err_set(err, "a damaged entry: its checksum is wrong");
        return NULL;
    }
    size_t author = at[3], covers = get16(at + FIXED - 2), pos = FIXED;
    if (author >= STORE_AUTHOR || covers > STORE_COVERS || len - pos < author + covers * COVER) {
        err_set(err, "a malformed entry");
        return NULL;
    }
    struct store_entry *entry = store_entry_new();
    entry->size = len;
    entry->at.seq = get64(at + 12);
    entry->at.epoch = get64(at + 20);
    entry->at.serial = get32(at + 28);
    entry->at.hash = get_hash(at + 32);
    entry->prev = get64(at + 48);
    entry->before = get_hash(at + 56);
    entry->time = (int64_t)get64(at + 72);
    memcpy(entry->author, at + pos, author);
    pos += author;
    entry->cover_count = covers;
    entry->covers = covers ? xcalloc(covers, sizeof *entry->covers) : NULL;
    for (size_t i = 0; i < covers; i++, pos += COVER) {
        entry->covers[i].seq = get64(at + pos);
        entry->covers[i].hash = get_hash(at + pos + 8);
    }
    entry->difference = difference_decode(at + pos, len - pos, err);
    if (entry->difference && (!entry->at.seq || entry->prev >= entry->at.seq ||
                              difference_to(entry->difference) != entry->at.serial)) {
        err_set(err, "an entry that contradicts itself");
        difference_unref(entry->difference);
        entry->difference = NULL;
    }
    if (entry->difference)
        return entry;
    store_entry_free(entry);
    return NULL;
}

/* --- sets ----------------------------------------------------------------------------------------- */

/* "LR", version 1, 0; number of entries 4; each behind its length 4. */
#define SET_HEADER 8

void store_set_begin(struct buf *set)
{
    buf_append(set, "LR\1\0\0\0\0", SET_HEADER);
}

void store_set_add(struct buf *set, const struct store_entry *entry)
{
    uint8_t len[4] = {0};
    size_t at = set->len;
    buf_append(set, len, sizeof len);
    store_entry_encode(entry, set);
    put32(set->data + at, (uint32_t)(set->len - at - 4));
    put32(set->data + 4, get32(set->data + 4) + 1);
}

int store_set_parse(const struct buf *set, struct store_entry ***entries, size_t *count, struct err *err)
{
    size_t at = SET_HEADER, before = *count;
    if (set->len < SET_HEADER || memcmp(set->data, "LR\1", 4))
        return err_set(err, "not a set of commits");
    uint32_t announced = get32(set->data + 4);
    for (uint32_t i = 0; i < announced; i++) {
        uint32_t len = set->len - at >= 4 ? get32(set->data + at) : 0;
        bool whole = set->len - at >= 4 && set->len - at - 4 >= len;
        struct store_entry *entry = whole ? store_entry_parse(set->data + at + 4, len, err) : NULL;
        if (!entry) {
            while (*count > before)
                store_entry_free((*entries)[--*count]);
            return whole ? -1 : err_set(err, "it is cut off");
        }
        *entries = xrealloc(*entries, (*count + 1) * sizeof(**entries));
        (*entries)[(*count)++] = entry;
        at += 4 + (size_t)len;
    }
    return 0;
}

static int digits(const char *text, size_t len, int base, uint64_t *out)
{
    char copy[17], *end;
    if (len > 16)
        return -1;
    memcpy(copy, text, len);
    copy[len] = 0;
    for (size_t i = 0; i < len; i++)
        if (!(copy[i] >= '0' && copy[i] <= '9') && !(base == 16 && copy[i] >= 'a' && copy[i] <= 'f'))
            return -1;
    *out = strtoull(copy, &end, base);
    return 0;
}

int store_key_numbers(const char *key, bool chunked, uint64_t *seq, unsigned *chunk)
{
    size_t len = strlen(key);
    uint64_t n = 0;
    if (chunked) {
        if (len < 5 || key[len - 5] != '/' || digits(key + len - 4, 4, 10, &n))
            return -1;
        len -= 5;
    }
    if (len < 17 || key[len - 17] != '/' || digits(key + len - 16, 16, 16, seq))
        return -1;
    *chunk = (unsigned)n;
    return 0;
}

/* --- serials -------------------------------------------------------------------------------------- */

uint32_t store_serial_next(uint32_t current, uint32_t wanted, uint32_t floor)
{
    uint32_t next = serial_is_later(wanted, current) ? wanted : current + 1;
    if (!serial_is_later(next, floor))
        next = floor + 1;
    return next ? next : 1; /* 0 is skipped: many take it for "none" */
}
