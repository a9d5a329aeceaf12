#include "writer.h"

#include "lictor/dns.h"
#include "lictor/wire.h"

#include <string.h>

#define POINTER_REACH 0x4000

/* Where each label of a name begins; returns their number. */
static unsigned label_starts(const uint8_t *name, uint8_t starts[NAME_MAX_LABELS])
{
    unsigned labels = 0;
    for (const uint8_t *at = name; *at; at += 1 + *at)
        starts[labels++] = (uint8_t)(at - name);
    return labels;
}

/* The name stands at out[at], but for the last `shared` labels, whose places are known. */
static void note_labels(struct writer *writer, const uint8_t *starts, unsigned labels, unsigned shared,
                        size_t at)
{
    writer->labels = labels;
    for (unsigned i = 0; i + shared < labels; i++) {
        size_t place = at + starts[i];
        writer->suffix_at[labels - i] = place < POINTER_REACH ? (uint16_t)place : 0;
    }
}

void writer_begin(struct writer *writer, uint8_t *out, size_t pos, size_t limit, size_t question_at)
{
    uint8_t starts[NAME_MAX_LABELS];
    writer->out = out;
    writer->pos = pos;
    writer->limit = limit;
    writer->records = 0;
    writer->labels = 0;
    if (!question_at)
        return;
    memcpy(writer->name, out + question_at, name_len(out + question_at));
    note_labels(writer, starts, label_starts(writer->name, starts), 0, question_at);
}

/* How many of the last labels the name has in common with the one before, octet by octet: a pointer keeps the
 * case of what it points at (RFC 5936 section 3.4). */
static unsigned shared_labels(const struct writer *writer, const uint8_t *name, const uint8_t *starts,
                              unsigned labels)
{
    uint8_t before[NAME_MAX_LABELS];
    unsigned count = label_starts(writer->name, before), shared = 0;
    while (shared < labels && shared < count) {
        const uint8_t *a = name + starts[labels - shared - 1], *b = writer->name + before[count - shared - 1];
        if (memcmp(a, b, 1 + (size_t)*a) != 0)
            break;
        shared++;
    }
    return shared;
}

bool writer_put(struct writer *writer, const struct record *record)
{
    uint8_t starts[NAME_MAX_LABELS];
    unsigned labels = label_starts(record->owner, starts);
    unsigned shared = writer->labels ? shared_labels(writer, record->owner, starts, labels) : 0;
    while (shared > 0 && writer->suffix_at[shared] == 0)
        shared--;
    size_t kept = shared == labels ? 0 : shared ? starts[labels - shared] : name_len(record->owner);
    size_t owner_len = kept + (shared ? 2 : 0);
    if (writer->pos + owner_len + 10 + record->rdata.len > writer->limit)
        return false;
    uint8_t *at = writer->out + writer->pos;
    memcpy(at, record->owner, kept);
    if (shared)
        put16(at + kept, 0xc000u | writer->suffix_at[shared]);
    note_labels(writer, starts, labels, shared, writer->pos);
    memcpy(writer->name, record->owner, name_len(record->owner));
    at += owner_len;
    put16(at, record->type);
    put16(at + 2, DNS_IN);
    put32(at + 4, record->ttl);
    put16(at + 8, record->rdata.len);
    memcpy(at + 10, record->rdata.data, record->rdata.len);
    writer->pos += owner_len + 10 + record->rdata.len;
    writer->records++;
    return true;
}
