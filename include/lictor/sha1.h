/* SHA-1, for the hashed names of NSEC3 (RFC 5155 section 5) and nothing that has to withstand anybody. Our
 * own, because queries need it: OpenSSL's allocates and looks its algorithm up at each call. Pure; any
 * thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA1_LEN 20

/* The digest of data followed by more (len 0: nothing), together at most SHA1_INPUT_MAX octets: a name and a
 * salt, or a digest and a salt. */
#define SHA1_INPUT_MAX 512
void sha1(const uint8_t *data, size_t len, const uint8_t *more, size_t more_len, uint8_t out[SHA1_LEN]);
