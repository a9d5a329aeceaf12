/* What anybody may have put under lictor/<cluster>/: nothing crashes, and what is taken for a value of ours
 * comes back the same when it is written and read again. */
#include "role/value.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void lock(const uint8_t *data, size_t size)
{
    struct lock_value value, again;
    struct buf text = {0};
    lock_value_decode(data, size, &value);
    if (!value.election.readable)
        return;
    lock_value_encode(&value, &text);
    lock_value_decode(text.data, text.len, &again);
    /* Escapes may make it longer than what was read, and then too long. */
    if (text.len <= VALUE_MAX && memcmp(&value, &again, sizeof value) != 0)
        abort();
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct member_value member;
    struct request_value request;
    struct pause_value pause;
    uint64_t epoch;
    lock(data, size);
    member_value_decode(data, size, &member);
    request_value_decode(data, size, &request);
    pause_value_decode(data, size, &pause);
    epoch_decode(data, size, &epoch);
    return 0;
}
