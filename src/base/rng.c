#include "lictor/rng.h"

#include <assert.h>
#include <stdio.h>
#include <sys/random.h>

void rng_secure(void *out, size_t len)
{
    uint8_t *p = out;
    while (len) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0)
            continue; /* EINTR: only before the pool is ready */
        p += n;
        len -= (size_t)n;
    }
}

void rng_seed(struct rng *rng)
{
    do
        rng_secure(rng, sizeof *rng);
    while (!rng->s[0] && !rng->s[1]); /* the all-zero state is a fixed point */
}

void rng_uuid(char out[37])
{
    uint8_t b[16];
    rng_secure(b, sizeof b);
    b[6] = (b[6] & 0x0f) | 0x40; /* RFC 9562 section 5.4 */
    b[8] = (b[8] & 0x3f) | 0x80;
    int n =
        snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
                 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
    assert(n == 36);
}
