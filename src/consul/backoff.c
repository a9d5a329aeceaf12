#include "backoff.h"

#include "lictor/consul.h"
#include "lictor/rng.h"

#include <assert.h>
#include <stdbool.h>

static const nstime failure_first = 100 * NS_PER_MS, failure_most = 10 * NS_PER_S;
/* A wrong path or a missing right does not heal by asking again. */
static const nstime refusal_first = 5 * NS_PER_S, refusal_most = 60 * NS_PER_S;

nstime backoff_middle(unsigned failures, int status)
{
    bool refused = status == 400 || status == 403;
    nstime delay = refused ? refusal_first : failure_first;
    nstime most = refused ? refusal_most : failure_most;
    while (failures-- > 0 && delay < most)
        delay *= 2;
    return delay < most ? delay : most;
}

nstime backoff_random(nstime span)
{
    static _Thread_local struct rng rng;
    static _Thread_local bool seeded;
    if (!seeded) {
        rng_seed(&rng);
        seeded = true;
    }
    assert(span >= 0);
    /* 2^-53 steps: as fine as a double. */
    return (nstime)((double)(rng_next(&rng) >> 11) * 0x1p-53 * (double)span);
}

nstime consul_backoff(unsigned failures, int status)
{
    nstime middle = backoff_middle(failures, status);
    return middle / 2 + backoff_random(middle);
}

void token_bucket_init(struct token_bucket *bucket, double rate, unsigned burst, nstime now)
{
    *bucket = (struct token_bucket){.rate = rate, .burst = burst, .tokens = burst, .filled = now};
}

nstime token_bucket_take(struct token_bucket *bucket, double cost, nstime now)
{
    bucket->tokens += (double)(now - bucket->filled) / (double)NS_PER_S * bucket->rate;
    bucket->filled = now;
    if (bucket->tokens > bucket->burst)
        bucket->tokens = bucket->burst;
    /* Rounds that were given up while they waited leave no debt: the next waits for its own cost only. */
    bucket->tokens = (bucket->tokens > 0 ? bucket->tokens : 0) - cost;
    return bucket->tokens >= 0 ? 0 : (nstime)(-bucket->tokens / bucket->rate * (double)NS_PER_S);
}
