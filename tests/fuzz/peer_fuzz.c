/* Messages between instances: TSIG records and the question for consent. What can be read must come out the
 * same when it is written again. */
#include "peer/internal.h"

#include "lictor/dns.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tsig_key key = {
        .name = "\5peers\7example", .algorithm = TSIG_HMAC_SHA256, .secret = {1}, .secret_len = 32};
    struct tsig tsig;
    struct peer_question question, again;
    enum failsafe_verdict verdict;
    uint8_t msg[PEER_MESSAGE], reply[PEER_MESSAGE];
    size_t end;
    if (size > 65535)
        return 0;
    if (tsig_find(data, size, &tsig) == TSIG_FOUND) {
        require(tsig.start >= DNS_HEADER_LEN && tsig.start < size);
        /* 48 bits of seconds are more than ns can say: our own clock is never there. */
        nstime now = tsig.time < NS_NEVER / NS_PER_S ? (nstime)tsig.time * NS_PER_S : NS_PER_S;
        tsig_verify(&key, data, &tsig, &tsig.mac, TSIG_WHOLE, now);
    }
    answer_decode(data, size, &question, &verdict);
    if (question_decode(data, size, &question, &end) != 0)
        return 0;
    size_t len = question_encode(&question, 7, msg);
    require(question_decode(msg, len, &again, &end) == 0 && end == len);
    require(memcmp(&question.request, &again.request, sizeof again.request) == 0);
    require(strcmp(question.cluster, again.cluster) == 0);
    len = answer_encode(msg, end, DNS_NOERROR, FAILSAFE_NO_REACHES, "ns1", reply);
    require(answer_decode(reply, len, &again, &verdict) == 0 && verdict == FAILSAFE_NO_REACHES);
    require(tsig_sign(reply, &len, sizeof reply, &key, NULL, TSIG_WHOLE, NS_PER_S, NULL) == 0);
    require(tsig_find(reply, len, &tsig) == TSIG_FOUND);
    require(tsig_verify(&key, reply, &tsig, NULL, TSIG_WHOLE, NS_PER_S) == TSIG_OK);
    return 0;
}
