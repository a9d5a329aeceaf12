/* A schedule from a seed. Faults come in company, often on the heels of a request or on whoever holds the
 * lock: that is where the rules are. */
#include "sim.h"

#include <string.h>

static nstime between(struct rng *rng, nstime least, nstime most)
{
    return most <= least ? least : least + (nstime)(rng_next(rng) % (uint64_t)(most - least + 1));
}

static nstime some_lease(struct rng *rng)
{
    static const int ms[] = {200, 200, 300, 300, 500, 500, 1000, 2000};
    if (rng_below(rng, 100) == 0)
        return between(rng, 3 * S, 12 * S);
    return ms[rng_below(rng, 8)] * MS;
}

/* From a blink to several reigns. */
static nstime some_duration(struct rng *rng, nstime lease)
{
    switch (rng_below(rng, 8)) {
    case 0:
        return between(rng, MS, lease / 4);
    case 1:
    case 2:
        return between(rng, lease / 4, 3 * lease);
    case 3:
        return between(rng, MS, 30 * S);
    default:
        return between(rng, lease, 10 * lease);
    }
}

static enum request_kind some_trigger(struct rng *rng)
{
    static const enum request_kind kinds[] = {
        REQUEST_ACQUIRE, REQUEST_ACQUIRE, REQUEST_CONFIRM, REQUEST_WRITE,  REQUEST_WRITE,  REQUEST_EPOCH,
        REQUEST_RELEASE, REQUEST_RELEASE, REQUEST_COMMIT,  REQUEST_CREATE, REQUEST_DESTROY};
    return kinds[rng_below(rng, sizeof kinds / sizeof *kinds)];
}

/* What is not mixed, since nothing is promised of it (README):
 *  - leases that differ, and tampering with the value that tells a newcomer of them;
 *  - an epoch that somebody set far above raft's index, and a restore that takes the key back again. */
enum mixture { LEASES_DIFFER, EPOCH_JUMPS, RESTORES, MIXTURES };

static bool allowed(enum mixture mixture, enum fault_kind kind)
{
    bool destroys_value = kind == FAULT_DELETE || kind == FAULT_PUT || kind == FAULT_RECREATE;
    if (mixture == LEASES_DIFFER)
        return !destroys_value && kind != FAULT_RESTORE;
    return mixture == RESTORES || kind != FAULT_RESTORE;
}

static void some_fault(struct rng *rng, struct fault *fault, const struct schedule *schedule, nstime lease,
                       enum mixture mixture)
{
    static const int amounts[] = {0, -5, 3, 1000000};
    memset(fault, 0, sizeof *fault);
    do
        fault->kind = (enum fault_kind)rng_below(rng, FAULT_KINDS);
    while (!allowed(mixture, fault->kind));
    fault->instance = rng_below(rng, schedule->instances);
    fault->other = rng_below(rng, schedule->instances);
    fault->subject = rng_below(rng, 100) < 60 ? SUBJECT_HOLDER : SUBJECT_FIXED;
    fault->duration = some_duration(rng, lease);
    if (rng_below(rng, 100) < 35 || fault->kind == FAULT_HOLD || fault->kind == FAULT_LOSE) {
        fault->trigger = some_trigger(rng);
        fault->subject = rng_below(rng, 100) < 70 ? SUBJECT_SENDER : SUBJECT_HOLDER;
        /* A request takes about a millisecond to Consul, its answer three or four. */
        fault->delay = rng_below(rng, 2) ? 0 : between(rng, 0, rng_below(rng, 2) ? 6 * MS : 2 * lease);
        if (fault->kind == FAULT_HOLD || fault->kind == FAULT_LOSE) {
            fault->subject = SUBJECT_SENDER;
            fault->delay = 0;
        }
    }
    switch (fault->kind) {
    case FAULT_KILL:
        fault->amount = mixture != LEASES_DIFFER ? 0 : (int)(some_lease(rng) / MS);
        break;
    case FAULT_CLOCK:
        fault->amount = (int)between(rng, -3600000, 3600000) >> rng_below(rng, 16);
        break;
    case FAULT_SLOW:
        fault->amount = (int)between(rng, 5, 2 * lease / MS);
        break;
    case FAULT_EPOCH:
        fault->amount = amounts[rng_below(rng, mixture == RESTORES ? 2 : 4)];
        break;
    case FAULT_LEADER:
        fault->duration = rng_below(rng, 2) ? between(rng, S, 20 * S) : fault->duration;
        break;
    default:
        break;
    }
}

/* ---- what is too rare to wait for ---- */

static struct fault *add(struct schedule *schedule, struct fault fault)
{
    schedule->fault[schedule->faults] = fault;
    return &schedule->fault[schedule->faults++];
}

/* An acquire that is queued while its process is stopped, and comes when a reign has passed meanwhile: the
 * very thing that the begin of the wait-out is about. */
static void late_acquire(struct rng *rng, struct schedule *s, nstime at, nstime lease)
{
    nstime held = between(rng, 2 * lease, 6 * lease);
    struct fault caught = {.at = at, .trigger = REQUEST_ACQUIRE, .subject = SUBJECT_SENDER, .duration = held};
    add(s, (struct fault){.at = at, .kind = rng_below(rng, 2) ? FAULT_DELETE : FAULT_DESTROY});
    add(s, caught)->kind = FAULT_HOLD;
    caught.duration += between(rng, 0, lease);
    add(s, caught)->kind = FAULT_STOP;
    add(s, (struct fault){.at = at + held - between(rng, 0, lease / 4), .kind = FAULT_DELETE});
    caught.delay = held;
    add(s, caught)->kind = FAULT_DELETE;
}

/* A snapshot of a lock that was just released with a marker, restored when others have reigned. */
static void restored_marker(struct rng *rng, struct schedule *s, nstime at, nstime lease)
{
    nstime later = at + 2 * lease + between(rng, 0, 4 * lease);
    add(s, (struct fault){.at = at, .kind = FAULT_HANDOVER, .subject = SUBJECT_HOLDER, .amount = 1});
    add(s, (struct fault){.at = at,
                          .kind = FAULT_SNAPSHOT,
                          .trigger = REQUEST_RELEASE,
                          .delay = between(rng, 2 * MS, 15 * MS)});
    add(s, (struct fault){.at = later, .kind = FAULT_CUT, .subject = SUBJECT_HOLDER, .duration = 2 * lease});
    add(s, (struct fault){.at = later + between(rng, 0, lease), .kind = FAULT_RESTORE});
}

/* A hand-over whose answer gets lost, and which may still come. */
static void doubtful_handover(struct rng *rng, struct schedule *s, nstime at, nstime lease)
{
    struct fault caught = {.at = at, .trigger = REQUEST_RELEASE, .subject = SUBJECT_SENDER};
    add(s, (struct fault){.at = at,
                          .kind = FAULT_HANDOVER,
                          .subject = SUBJECT_HOLDER,
                          .other = rng_below(rng, s->instances)});
    caught.kind = rng_below(rng, 2) ? FAULT_LEADER : FAULT_HOLD;
    caught.duration =
        caught.kind == FAULT_LEADER ? between(rng, lease / 8, lease) : between(rng, lease / 2, 3 * lease);
    add(s, caught);
}

/* A primary that is cut off when its session ends; its successor is stopped before it may act itself. */
static void early_resign(struct rng *rng, struct schedule *s, nstime at, nstime lease)
{
    add(s, (struct fault){.at = at, .kind = FAULT_CUT, .subject = SUBJECT_HOLDER, .duration = 3 * lease});
    add(s, (struct fault){.at = at, .kind = FAULT_DESTROY});
    add(s, (struct fault){.at = at,
                          .kind = FAULT_RESIGN,
                          .trigger = REQUEST_WRITE,
                          .subject = SUBJECT_SENDER,
                          .other = rng_below(rng, s->instances),
                          .delay = between(rng, 3 * MS, lease / 2),
                          .duration = 4 * S});
}

/* Answers take their time; then the lock is taken away, and no answer tells. */
static void slow_primary(struct rng *rng, struct schedule *s, nstime at, nstime lease)
{
    nstime later = at + between(rng, lease, 3 * lease);
    add(s, (struct fault){.at = at,
                          .kind = FAULT_SLOW,
                          .subject = SUBJECT_HOLDER,
                          .duration = 4 * lease,
                          .amount = (int)(lease / 2 / MS)});
    add(s, (struct fault){.at = later + between(rng, 0, lease / 4),
                          .kind = FAULT_CUT,
                          .subject = SUBJECT_HOLDER,
                          .duration = 3 * lease});
    add(s, (struct fault){.at = later, .kind = FAULT_RELEASE});
}

/* A primary without connection; a successor; then a snapshot of the first one's reign comes back. */
static void restored_reign(struct rng *rng, struct schedule *s, nstime at, nstime lease)
{
    nstime cut = at + between(rng, 0, lease), away = between(rng, lease / 2, 3 * lease);
    add(s, (struct fault){.at = at, .kind = FAULT_SNAPSHOT});
    add(s, (struct fault){.at = cut, .kind = FAULT_CUT, .subject = SUBJECT_HOLDER, .duration = away});
    add(s, (struct fault){.at = cut, .kind = FAULT_RELEASE});
    add(s, (struct fault){.at = cut + away - lease / 4,
                          .kind = FAULT_CUT,
                          .subject = SUBJECT_HOLDER,
                          .duration = 2 * lease});
    add(s, (struct fault){.at = cut + away - between(rng, 0, lease / 4), .kind = FAULT_RESTORE});
}

typedef void company(struct rng *rng, struct schedule *s, nstime at, nstime lease);

static company *const companies[] = {late_acquire, restored_marker, doubtful_handover,
                                     early_resign, slow_primary,    restored_reign};

void schedule_random(struct schedule *schedule, uint64_t seed)
{
    unsigned wanted = schedule->instances;
    struct rng rng = {{seed * 0xd1342543de82ef95u + 1, seed ^ 0x9e3779b97f4a7c15u}};
    for (int warm = 0; warm < 16; warm++)
        rng_next(&rng);
    memset(schedule, 0, sizeof *schedule);
    schedule->seed = seed;
    schedule->instances =
        wanted != 0 ? wanted : 2 + (rng_below(&rng, 3) == 0 ? rng_below(&rng, 4) : rng_below(&rng, 2));
    enum mixture mixture = (enum mixture)rng_below(&rng, MIXTURES);
    bool equal_leases = mixture != LEASES_DIFFER;
    nstime lease = some_lease(&rng);
    for (unsigned i = 0; i < schedule->instances; i++) {
        schedule->instance[i].lease = equal_leases ? lease : some_lease(&rng);
        schedule->instance[i].start = rng_below(&rng, 4) ? between(&rng, 0, S) : between(&rng, 0, 5 * S);
        schedule->instance[i].ppm = (int)between(&rng, -500, 500);
        schedule->instance[i].priority = rng_below(&rng, 4) ? 100 : (int)rng_below(&rng, 200);
        schedule->instance[i].candidate = i == 0 || rng_below(&rng, 10) > 0;
    }
    schedule->lock_delay = rng_below(&rng, 10) ? 0 : between(&rng, 0, 3 * S);
    nstime at = between(&rng, S, 3 * S), end = 4 * S + between(&rng, 8 * lease, 30 * lease);
    if (mixture == RESTORES && rng_below(&rng, 3) == 0)
        companies[rng_below(&rng, sizeof companies / sizeof *companies)](&rng, schedule, 2 * S + 3 * lease,
                                                                         lease);
    unsigned most = schedule->faults + 2 + rng_below(&rng, 12);
    while (schedule->faults < most && at < end) {
        struct fault *fault = &schedule->fault[schedule->faults++];
        some_fault(&rng, fault, schedule, lease, mixture);
        fault->at = at;
        at += rng_below(&rng, 2) ? between(&rng, 0, lease / 2) : between(&rng, 0, 6 * lease);
    }
    schedule->quiet = end;
}
