/* TSIG (RFC 8945): DNS messages signed with a shared key. Pure: no sockets, no clock; any thread.
 *
 * What is signed: the MAC that went before (of the request, in its answer; of the last message, in a stream),
 * the message as it was before the TSIG record was added, and the record's own variables. So an answer
 * belongs to one request and to no other.
 *
 * Who receives: tsig_find, tsig_verify; a wrong one is answered by tsig_refuse with rcode NOTAUTH. Who sends:
 * tsig_sign as the last step. A stream of messages (AXFR over TCP) is signed message by message: the first
 * one as TSIG_WHOLE with the request's MAC as `prior`, each further one as TSIG_STREAM with the MAC of the
 * one before (section 5.3.1; it allows unsigned ones between, we neither send nor accept those). */
#pragma once

#include "lictor/clock.h"
#include "lictor/err.h"
#include "lictor/name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TSIG_FUDGE      300 /* seconds that two clocks may differ by (section 10) */
#define TSIG_MAC_MAX    64
#define TSIG_SECRET_MIN 16 /* octets; no less than half of the digest of HMAC-SHA256 (section 8) */
#define TSIG_SECRET_MAX 512

enum tsig_algorithm {
    TSIG_HMAC_MD5,
    TSIG_HMAC_SHA1,
    TSIG_HMAC_SHA224,
    TSIG_HMAC_SHA256,
    TSIG_HMAC_SHA384,
    TSIG_HMAC_SHA512,
    TSIG_ALGORITHMS,
};

struct tsig_key {
    uint8_t name[NAME_MAX_WIRE]; /* lower case */
    enum tsig_algorithm algorithm;
    uint8_t secret[TSIG_SECRET_MAX];
    size_t secret_len;
};

struct tsig_mac {
    uint8_t octets[TSIG_MAC_MAX];
    size_t len; /* 0: nothing went before */
};

/* The record as it came. */
struct tsig {
    size_t start; /* of the record: what was signed is msg[0..start) */
    uint8_t key[NAME_MAX_WIRE], algorithm[NAME_MAX_WIRE]; /* lower case */
    uint64_t time;                                        /* seconds since 1970 */
    uint16_t fudge, original_id, error;
    struct tsig_mac mac;
    uint64_t server_time; /* with BADTIME: the other side's clock; else 0 */
};

/* The extended rcodes of TSIG (section 3). 16 is BADVERS elsewhere. */
enum tsig_error { TSIG_OK = 0, TSIG_BADSIG = 16, TSIG_BADKEY = 17, TSIG_BADTIME = 18, TSIG_BADTRUNC = 22 };

enum tsig_found {
    TSIG_NONE,
    TSIG_FOUND,
    TSIG_MALFORMED /* FORMERR: not the last record, twice, or not well-formed (section 5.1) */
};

enum tsig_part { TSIG_WHOLE, TSIG_STREAM };

/* "hmac-sha256" and so on; -1 if it is none. */
int tsig_algorithm_parse(const char *text);
const char *tsig_algorithm_text(enum tsig_algorithm algorithm);
/* Octets that base64 text (RFC 4648 section 4) stands for, written to out if they are at most max; white
 * space around it is allowed. Returns their number, or -1 if it is no base64 or too long. */
int tsig_secret_parse(const char *text, uint8_t *out, size_t max);

/* Looks for the TSIG record of a message with a whole header. */
enum tsig_found tsig_find(const uint8_t *msg, size_t len, struct tsig *out);

/* Checks key, MAC, time and the MAC's length, in this order (section 5.2). msg is what tsig_find looked at;
 * prior is NULL for a request; now_real is CLOCK_REALTIME. Only what is TSIG_OK may be believed; after
 * BADTIME and BADTRUNC the MAC at least was right, and the answer is signed. */
enum tsig_error tsig_verify(const struct tsig_key *key, const uint8_t *msg, const struct tsig *tsig,
                            const struct tsig_mac *prior, enum tsig_part part, nstime now_real);

/* Appends the TSIG record to the message of *len octets in a buffer of max. prior: see above, NULL for a
 * request. mac, unless NULL, gets the MAC for what follows. Returns 0, or -1 if it does not fit. */
int tsig_sign(uint8_t *msg, size_t *len, size_t max, const struct tsig_key *key, const struct tsig_mac *prior,
              enum tsig_part part, nstime now_real, struct tsig_mac *mac);

/* The same for the answer to a request that tsig_verify refused (section 5.2, 5.3.2): the caller has set
 * rcode NOTAUTH. Unsigned for BADKEY and BADSIG; with our clock for BADTIME. */
int tsig_refuse(uint8_t *msg, size_t *len, size_t max, const struct tsig_key *key, const struct tsig *request,
                enum tsig_error error, nstime now_real);

/* Octets that a record signed with this key takes at most. */
size_t tsig_size(const struct tsig_key *key);

const char *tsig_error_text(enum tsig_error error);
