/* Random numbers. rng_fast is a small generator for shuffling and starting points, one state a thread;
 * rng_secure fills from the kernel (getrandom). */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t s[2];
};

/* Seeds from the kernel. */
void rng_seed(struct rng *rng);
void rng_secure(void *out, size_t len);
/* A version 4 UUID in text form, 36 characters and NUL. */
void rng_uuid(char out[37]);

/* xoroshiro128+, by Blackman and Vigna (public domain algorithm). */
static inline uint64_t rng_next(struct rng *rng)
{
    uint64_t a = rng->s[0], b = rng->s[1], sum = a + b;
    b ^= a;
    rng->s[0] = ((a << 24) | (a >> 40)) ^ b ^ (b << 16);
    rng->s[1] = (b << 37) | (b >> 27);
    return sum;
}

/* Uniform enough in [0, n) by multiplication; n > 0. */
static inline uint32_t rng_below(struct rng *rng, uint32_t n)
{
    return (uint32_t)(((rng_next(rng) >> 32) * n) >> 32);
}
