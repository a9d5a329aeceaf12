/* What doctor reads of a DNS reply: any octets. The reader takes them, or says no. */
#include "doctor/message.h"
#include "lictor/wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint8_t name[] = "\7example\3com";
    static const uint16_t types[] = {DNS_SOA, DNS_NS, DNS_TXT, DNS_A, DNS_AAAA};
    struct message reply;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (message_parse(data, len, len >= 2 ? get16(data) : 0, name, types[i], &reply) == 0 &&
            (reply.address_count > MESSAGE_ADDRESSES || reply.target_count > MESSAGE_TARGETS))
            abort();
    return 0;
}
