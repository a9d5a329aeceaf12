/* What goes into a piece, and in which order. */
#include "piece_build.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <stdlib.h>

struct rng *piece_rng(void)
{
    static _Thread_local struct rng rng;
    if (!rng.s[0] && !rng.s[1])
        rng_seed(&rng);
    return &rng;
}

void plan_free(struct plan *plan)
{
    free(plan->rdata);
    free(plan->from);
    free(plan->place);
}

static int by_rdata(const void *a, const void *b, void *arg)
{
    const struct rdata *rdata = arg;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int order = rdata_compare(&rdata[x], &rdata[y]);
    return order ? order : (x > y) - (x < y);
}

/* Finds the records that repeat an earlier one: same[i] is the first of i's kind. */
static void find_repeated(const struct piece_spec *spec, uint32_t *same)
{
    uint32_t *sorted = xmalloc(spec->count * sizeof *sorted);
    for (uint32_t i = 0; i < spec->count; i++)
        sorted[i] = i;
    qsort_r(sorted, spec->count, sizeof *sorted, by_rdata, (void *)(uintptr_t)spec->rdata);
    for (uint32_t i = 0; i < spec->count; i++) {
        bool repeats = i && !rdata_compare(&spec->rdata[sorted[i]], &spec->rdata[sorted[i - 1]]);
        same[sorted[i]] = repeats ? same[sorted[i - 1]] : sorted[i];
    }
    free(sorted);
}

void plan_make(struct plan *plan, const struct piece_spec *spec)
{
    uint32_t *same = xmalloc(spec->count * sizeof *same);
    *plan = (struct plan){.rdata = xmalloc(spec->count * sizeof *plan->rdata),
                          .from = xmalloc(spec->count * sizeof *plan->from),
                          .place = xmalloc(spec->count * sizeof *plan->place)};
    find_repeated(spec, same);
    for (uint32_t i = 0; i < spec->count; i++)
        if (same[i] == i)
            plan->from[plan->count++] = i;
    if (!spec->keep_order)
        for (uint32_t i = plan->count; i > 1; i--) {
            uint32_t other = rng_below(piece_rng(), i), swap = plan->from[i - 1];
            plan->from[i - 1] = plan->from[other];
            plan->from[other] = swap;
        }
    for (uint32_t i = 0; i < plan->count; i++) {
        plan->rdata[i] = spec->rdata[plan->from[i]];
        plan->place[plan->from[i]] = i;
    }
    for (uint32_t i = 0; i < spec->count; i++) {
        plan->place[i] = plan->place[same[i]];
        struct rdata *kept = &plan->rdata[plan->place[i]];
        if (kept->weight < spec->rdata[i].weight)
            kept->weight = spec->rdata[i].weight;
    }
    free(same);
    bool windowed = (spec->type == DNS_A || spec->type == DNS_AAAA) && !spec->keep_order;
    for (uint32_t i = 1; windowed && i < plan->count; i++)
        plan->weighted |= plan->rdata[i].weight != plan->rdata[0].weight;
}
