/* How long to wait before asking again. Pure but for the random part. */
#pragma once

#include "lictor/clock.h"

/* The middle of consul_backoff's range. */
nstime backoff_middle(unsigned failures, int status);
/* Uniform in [0, span). Any thread. */
nstime backoff_random(nstime span);

/* A bucket that gains rate tokens a second, up to burst. */
struct token_bucket {
    double rate, burst, tokens;
    nstime filled;
};
void token_bucket_init(struct token_bucket *bucket, double rate, unsigned burst, nstime now);
/* Takes what a round costs (1 or more) and returns how long to wait until it may begin; 0: at once. */
nstime token_bucket_take(struct token_bucket *bucket, double cost, nstime now);
