/* The question for consent and its answer, as DNS messages (peer.h has the form). */
#include "internal.h"

#include "lictor/dns.h"
#include "lictor/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FLAG_QR 0x8000
#define FLAG_AA 0x0400

static const char *const codes[FAILSAFE_VERDICTS] = {
    [FAILSAFE_YES] = "yes",
    [FAILSAFE_NO_OFF] = "no-failsafe",
    [FAILSAFE_NO_REACHES] = "no-reaches-consul",
    [FAILSAFE_NO_HOLDS] = "no-holds",
    [FAILSAFE_NO_UNKNOWN] = "no-never-saw",
    [FAILSAFE_NO_FREE] = "no-saw-it-free",
    [FAILSAFE_NO_OTHER] = "no-saw-another",
    [FAILSAFE_NO_STOPPING] = "no-stopping",
    [FAILSAFE_NO_STRANGER] = "no-stranger",
};

/* --- writing ---------------------------------------------------------------------------------------- */

static size_t put_label(uint8_t *out, const char *text)
{
    size_t len = strlen(text); /* at most 63: numbers, a UUID, and a cluster that the configuration checked */
    out[0] = (uint8_t)len;
    memcpy(out + 1, text, len);
    return 1 + len;
}

size_t question_encode(const struct peer_question *question, uint16_t id, uint8_t out[PEER_MESSAGE])
{
    const struct failsafe_request *r = &question->request;
    char nonce[17], epoch[21], lease[21];
    snprintf(nonce, sizeof nonce, "%016" PRIx64, r->nonce);
    snprintf(epoch, sizeof epoch, "%" PRIu64, r->epoch);
    snprintf(lease, sizeof lease, "%" PRId64, r->lease / NS_PER_MS);
    memset(out, 0, DNS_HEADER_LEN);
    put16(out, id);
    put16(out + 4, 1);
    size_t at = DNS_HEADER_LEN;
    const char *labels[] = {"consent", nonce, epoch, lease, r->instance, question->cluster, "lictor", ""};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        at += put_label(out + at, labels[i]);
    put16(out + at, DNS_TXT);
    put16(out + at + 2, DNS_IN);
    return at + 4;
}

size_t answer_encode(const uint8_t *msg, size_t end, unsigned rcode, enum failsafe_verdict verdict,
                     const char *node, uint8_t out[PEER_MESSAGE])
{
    memcpy(out, msg, end);
    put16(out + 2, FLAG_QR | FLAG_AA | rcode);
    memset(out + 6, 0, 6);
    if (rcode != DNS_NOERROR)
        return end;
    char text[64];
    snprintf(text, sizeof text, "%s", node);
    uint8_t *at = out + end;
    put16(at, 0xc000 | DNS_HEADER_LEN); /* the question's name */
    put16(at + 2, DNS_TXT);
    put16(at + 4, DNS_IN);
    put32(at + 6, 0);
    size_t len = put_label(at + 12, codes[verdict]);
    len += put_label(at + 12 + len, text);
    put16(at + 10, (unsigned)len);
    put16(out + 6, 1);
    return end + 12 + len;
}

/* --- reading ---------------------------------------------------------------------------------------- */

/* The next label as text of at most size - 1 octets without NUL; moves *at behind it. */
static bool get_label(const uint8_t **at, char *out, size_t size)
{
    size_t len = **at;
    if (len == 0 || len >= size || memchr(*at + 1, 0, len) != NULL)
        return false;
    memcpy(out, *at + 1, len);
    out[len] = '\0';
    *at += 1 + len;
    return true;
}

static bool get_number(const uint8_t **at, int base, size_t digits, uint64_t *out)
{
    char text[64], *end;
    if (!get_label(at, text, sizeof text) || strlen(text) > digits ||
        strspn(text, base == 16 ? "0123456789abcdef" : "0123456789") != strlen(text))
        return false;
    *out = strtoull(text, &end, base);
    return true;
}

static bool decode_name(const uint8_t *name, struct peer_question *out)
{
    struct failsafe_request *r = &out->request;
    char word[8];
    uint64_t lease;
    memset(out, 0, sizeof *out);
    if (!get_label(&name, word, sizeof word) || strcmp(word, "consent") != 0 ||
        !get_number(&name, 16, 16, &r->nonce) || !get_number(&name, 10, 19, &r->epoch) ||
        !get_number(&name, 10, 9, &lease) || !get_label(&name, r->instance, sizeof r->instance) ||
        !get_label(&name, out->cluster, sizeof out->cluster) || !get_label(&name, word, sizeof word) ||
        strcmp(word, "lictor") != 0)
        return false;
    r->lease = (nstime)lease * NS_PER_MS;
    return *name == 0;
}

int question_decode(const uint8_t *msg, size_t len, struct peer_question *out, size_t *end)
{
    uint8_t name[NAME_MAX_WIRE];
    size_t at = DNS_HEADER_LEN;
    if (len < DNS_HEADER_LEN || get16(msg + 4) != 1 || name_from_wire(msg, len, &at, name) < 0 ||
        at + 4 > len || get16(msg + at) != DNS_TXT || get16(msg + at + 2) != DNS_IN)
        return -1;
    *end = at + 4;
    return decode_name(name, out) ? 0 : -1;
}

int answer_decode(const uint8_t *msg, size_t len, struct peer_question *question,
                  enum failsafe_verdict *verdict)
{
    size_t at;
    uint8_t name[NAME_MAX_WIRE];
    char code[64];
    if (question_decode(msg, len, question, &at) != 0 || (get16(msg + 2) & (FLAG_QR | 15)) != FLAG_QR ||
        get16(msg + 6) != 1 || name_from_wire(msg, len, &at, name) < 0 || at + 10 > len ||
        get16(msg + at) != DNS_TXT)
        return -1;
    size_t rdata_len = get16(msg + at + 8);
    at += 10;
    if (at + rdata_len > len || rdata_len < 1 || msg[at] >= sizeof code || 1u + msg[at] > rdata_len)
        return -1;
    memcpy(code, msg + at + 1, msg[at]);
    code[msg[at]] = '\0';
    for (int i = 0; i < FAILSAFE_VERDICTS; i++)
        if (codes[i] != NULL && strcmp(code, codes[i]) == 0) {
            *verdict = (enum failsafe_verdict)i;
            return 0;
        }
    return -1;
}
