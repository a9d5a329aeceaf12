/* What reaches us from beside: a line on the control socket, and a message from the process that faces the
 * network to the one that has the privileges. The first octet chooses. */
#include "action/wire.h"
#include "control/request.h"
#include "control/zone_request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void request(const char *line, size_t len)
{
    struct request parsed;
    struct err err = {""};
    struct buf reply = {0};
    if (request_parse(line, len, &parsed, &err) == 0) {
        assert(parsed.verb < VERBS && strlen(parsed.name) <= REQUEST_NAME_MAX);
        struct zone_request zone;
        if (parsed.verb == VERB_ZONE && zone_request_parse(parsed.args, &zone, &err))
            assert(err.text[0]);
        request_free(&parsed);
        return;
    }
    assert(err.text[0]);
    reply_error(&reply, err.text);
    assert(strchr(buf_str(&reply), '\n') == (char *)reply.data + reply.len - 1);
    buf_free(&reply);
}

static void message(const uint8_t *data, size_t len)
{
    struct wire wire;
    struct err err;
    struct buf again = {0};
    if (wire_decode(data, len, &wire, &err) < 0)
        return;
    assert(wire_encode(&wire, &again, &err) == 0);
    assert(again.len == len);
    buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] & 1)
        request((const char *)data + 1, size - 1);
    else
        message(data + 1, size - 1);
    return 0;
}
