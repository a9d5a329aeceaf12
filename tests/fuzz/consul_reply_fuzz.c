/* What a hostile or broken agent may answer, as far as the client itself reads it: header lines, error texts,
 * KV entries, session IDs. The first octet chooses. */
#include "consul/reply.h"
#include "lictor/consul.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void headers(const char *text, size_t len)
{
    struct reply_head head = {0};
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t line = end ? (size_t)(end - text) + 1 : len;
        if (reply_header(&head, text, line) != 0)
            return;
        assert(head.last_contact_ms >= 0);
        text += line;
        len -= line;
    }
}

static void error_text(const char *text, size_t len)
{
    char out[REPLY_ERROR_SIZE];
    reply_error_text(409, text, len, out);
    assert(out[0] != '\0');
    for (const char *c = out; *c; c++)
        assert(*c >= ' ' && *c <= '~');
}

typedef int parse_fn(const struct buf *body, struct consul_kv **out, size_t *count, struct err *err);

static void entries(parse_fn *parse, const struct buf *body)
{
    struct consul_kv *list;
    size_t count;
    struct err err;
    if (parse(body, &list, &count, &err) != 0)
        return;
    for (size_t i = 0; i < count; i++)
        assert(list[i].key && strlen(list[i].session) < CONSUL_SESSION_SIZE);
    consul_kv_free(list, count);
}

static void base64(struct buf *body)
{
    struct buf raw = {0}, text = {0};
    const char *in = buf_str(body);
    if (consul_base64_decode(in, &raw) == 0) {
        consul_base64_encode(raw.data, raw.len, &text);
        assert(strcmp(buf_str(&text), in) == 0); /* one text for each value */
    }
    buf_free(&raw);
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct buf body = {0};
    buf_append(&body, data + 1, size - 1);
    char id[CONSUL_SESSION_SIZE];
    switch (data[0] % 6) {
    case 0:
        headers((const char *)data + 1, size - 1);
        break;
    case 1:
        error_text((const char *)data + 1, size - 1);
        break;
    case 2:
        entries(consul_kv_parse, &body);
        break;
    case 3:
        entries(consul_txn_parse, &body);
        break;
    case 4:
        consul_session_parse(&body, id, NULL);
        break;
    default:
        base64(&body);
    }
    buf_free(&body);
    return 0;
}
