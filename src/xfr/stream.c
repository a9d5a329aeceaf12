/* The messages of a transfer behind its first one. */
#include "internal.h"

#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/tsig.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

struct server_stream {
    struct transfers *transfers;
    enum transfer_kind kind;
    struct source *source;
    nstime end_by;
    bool needs_role; /* to be ended when this instance may not act any more */
    bool is_signed;
    uint8_t header[4]; /* ID and flags of all messages */
    struct tsig_key key;
    struct tsig_mac mac; /* of the message before */
};

struct server_stream *stream_new(struct transfers *transfers, enum transfer_kind kind, struct source *source,
                                 bool needs_role, nstime now)
{
    if (atomic_fetch_add_explicit(&transfers->running, 1, memory_order_relaxed) >= TRANSFERS_MAX) {
        atomic_fetch_sub_explicit(&transfers->running, 1, memory_order_relaxed);
        source_free(source);
        return NULL;
    }
    struct server_stream *stream = xmalloc(sizeof *stream);
    stream->transfers = transfers;
    stream->kind = kind;
    stream->source = source;
    stream->end_by = now + TRANSFER_TIME;
    stream->needs_role = needs_role;
    stream->is_signed = false;
    return stream;
}

void stream_set_frame(struct server_stream *stream, const uint8_t *first, const struct tsig_key *key,
                      const struct tsig_mac *mac)
{
    memcpy(stream->header, first, sizeof stream->header);
    stream->is_signed = key != NULL;
    if (key) {
        stream->key = *key;
        stream->mac = *mac;
    }
}

/* Puts in what fits into a message of the usual size, or one record into a larger one. */
static void fill(struct server_stream *stream, struct writer *writer, size_t reserve)
{
    const struct record *record;
    writer->limit = TRANSFER_MESSAGE - reserve;
    while ((record = source_peek(stream->source))) {
        bool fits = writer_put(writer, record);
        if (!fits && writer->records == 0) {
            writer->limit = ANSWER_TCP_MAX - reserve;
            fits = writer_put(writer, record);
        }
        if (!fits)
            return;
        source_advance(stream->source);
    }
}

size_t stream_next(struct server_stream *stream, const struct answer_env *env, uint8_t *out, bool *more)
{
    struct writer writer;
    size_t reserve = stream->is_signed ? tsig_size(&stream->key) : 0;
    if (stream->needs_role && !gate_may_act(env->gate, env->now))
        return 0; /* the new primary's version is another one */
    if (env->now > stream->end_by)
        return 0;
    memcpy(out, stream->header, sizeof stream->header);
    memset(out + sizeof stream->header, 0, DNS_HEADER_LEN - sizeof stream->header);
    writer_begin(&writer, out, DNS_HEADER_LEN, 0, 0);
    fill(stream, &writer, reserve);
    if (writer.records == 0) { /* no message can hold it, beside its owner and a signature */
        const struct record *record = source_peek(stream->source);
        char owner[NAME_MAX_TEXT], type[16];
        log_error("transfer: a record of %.200s of type %s has %u octets, too many for a message with its "
                  "signature",
                  name_to_text(record->owner, owner), dns_type_text(record->type, type), record->rdata.len);
        return 0;
    }
    put16(out + 6, writer.records);
    size_t len = writer.pos;
    if (stream->is_signed && tsig_sign(out, &len, ANSWER_TCP_MAX, &stream->key, &stream->mac, TSIG_STREAM,
                                       clock_real(), &stream->mac))
        return 0;
    *more = source_peek(stream->source) != NULL;
    return len;
}

void stream_end(struct server_stream *stream, bool whole)
{
    transfer_count(stream->transfers, stream->kind, whole ? TRANSFER_SENT : TRANSFER_ABORTED);
    atomic_fetch_sub_explicit(&stream->transfers->running, 1, memory_order_relaxed);
    source_free(stream->source);
    explicit_bzero(&stream->key, sizeof stream->key);
    free(stream);
}
