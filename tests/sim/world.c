/* Virtual time: the heap of messages, the clocks, and the loop. */
#include "sim.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#ifdef LICTOR_MUTATIONS
_Thread_local unsigned election_mutation;
#endif

const char *const mutation_names[MUTATIONS] = {
    "none",
    "no-wait-out",
    "deadline-from-reply",
    "wait-from-read",
    "marker-from-anyone",
    "marker-in-wait-out",
    "reopen-unresolved",
    "own-lease-only",
    "resume-after-silence",
    "open-on-old-news",
    "epoch-from-read",
    "monotonic-clock",
    "no-check-session",
    "no-check-index",
    "no-quiesce",
};

const char *const request_names[REQUEST_KINDS] = {
    "nothing", "confirm", "follow", "acquire", "epoch",    "write",  "release",
    "commit",  "head",    "renew",  "old",     "register", "create", "destroy",
};

/* ---- chance ---- */

bool chance(struct world *w, unsigned per_thousand)
{
    return rng_below(&w->rng, 1000) < per_thousand;
}

nstime within(struct world *w, nstime least, nstime most)
{
    return most <= least ? least : least + (nstime)(rng_next(&w->rng) % (uint64_t)(most - least + 1));
}

/* One way between an instance and Consul's leader. */
nstime latency(struct world *w, unsigned i)
{
    if (w->now < w->slow_until[i])
        return within(w, MS / 10, w->slow_ms[i] * MS);
    return within(w, MS / 10, chance(w, 10) ? 30 * MS : 3 * MS / 2);
}

bool lost(struct world *w, unsigned i)
{
    return w->now < w->lossy_until[i] && chance(w, 200);
}

/* ---- words ---- */

void trace(struct world *w, int instance, const char *fmt, ...)
{
    if (w->trace == NULL)
        return;
    fprintf(w->trace, "%10.4f  %-6s ", (double)w->now / 1e9, instance < 0 ? "" : w->in[instance].name);
    va_list args;
    va_start(args, fmt);
    vfprintf(w->trace, fmt, args);
    va_end(args);
    fputc('\n', w->trace);
}

void fail(struct world *w, const char *fmt, ...)
{
    if (w->failure[0] != '\0')
        return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(w->failure, sizeof w->failure, fmt, args);
    va_end(args);
    trace(w, -1, "*** %s", w->failure);
}

/* snprintf would be the dearest part of the simulator. */
void session_text(session_id session, char out[ELECTION_ID_SIZE])
{
    char digits[12];
    size_t n = 0;
    memset(out, 0, ELECTION_ID_SIZE);
    for (; session != 0; session /= 10)
        digits[n++] = (char)('0' + session % 10);
    if (n > 0)
        *out++ = 's';
    while (n > 0)
        *out++ = digits[--n];
}

session_id session_number(const char *text)
{
    session_id session = 0;
    while (*text != '\0' && *++text != '\0')
        session = session * 10 + (session_id)(*text - '0');
    return session;
}

/* ---- clocks ---- */

nstime local_time(const struct world *w, unsigned i, nstime at)
{
    const struct instance *in = &w->in[i];
    nstime t = at;
    if (w->mutation == MUTATION_MONOTONIC_CLOCK)
        t -= in->frozen + (t < in->frozen_since   ? 0
                           : t < in->frozen_until ? t - in->frozen_since
                                                  : in->frozen_until - in->frozen_since);
    return in->clock_base + t + t * in->ppm / 1000000;
}

nstime true_time(const struct world *w, unsigned i, nstime local)
{
    const struct instance *in = &w->in[i];
    if (local == NS_NEVER)
        return NS_NEVER;
    nstime drifted = local - in->clock_base;
    nstime t = drifted - drifted * in->ppm / (1000000 + in->ppm);
    if (w->mutation == MUTATION_MONOTONIC_CLOCK)
        t += in->frozen + (t + in->frozen > in->frozen_since ? in->frozen_until - in->frozen_since : 0);
    return t + 2; /* rounding: rather after it than before */
}

/* ---- messages ---- */

static bool before(const struct message *a, const struct message *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void sift_up(struct world *w, size_t at)
{
    uint16_t moving = w->heap[at];
    while (at > 0 && before(&w->pool[moving], &w->pool[w->heap[(at - 1) / 2]])) {
        w->heap[at] = w->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    w->heap[at] = moving;
}

static uint16_t take_first(struct world *w)
{
    uint16_t first = w->heap[0], last = w->heap[--w->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= w->heap_count)
            break;
        if (child + 1 < w->heap_count && before(&w->pool[w->heap[child + 1]], &w->pool[w->heap[child]]))
            child++;
        if (!before(&w->pool[w->heap[child]], &w->pool[last]))
            break;
        w->heap[at] = w->heap[child];
        at = child;
    }
    w->heap[at] = last;
    return first;
}

/* The caller fills in the rest before anything else is posted. */
struct message *post(struct world *w, enum message_kind kind, unsigned instance, nstime at)
{
    assert(w->free_count > 0);
    uint16_t place = w->free[--w->free_count];
    struct message *m = &w->pool[place];
    m->at = at < w->now ? w->now : at;
    m->order = w->order++;
    m->kind = kind;
    m->instance = instance;
    m->life = w->in[instance].life;
    m->id = 0;
    w->heap[w->heap_count] = place;
    sift_up(w, w->heap_count++);
    return m;
}

void message_defer(struct world *w, unsigned place_in_heap, nstime at)
{
    /* Later only: what is below it in the heap stays in order if it is taken out and put in again. */
    uint16_t place = w->heap[place_in_heap], last = w->heap[--w->heap_count];
    if (place_in_heap < w->heap_count) {
        w->heap[place_in_heap] = last;
        /* Rebuild: faults are rare, and the heap is small. */
        for (size_t i = 1; i < w->heap_count; i++)
            sift_up(w, i);
    }
    w->pool[place].at = at;
    w->heap[w->heap_count] = place;
    sift_up(w, w->heap_count++);
}

/* A process that is stopped handles nothing; all that came meanwhile waits for it, in no certain order. */
static bool waits_for_process(struct world *w, const struct message *m)
{
    switch (m->kind) {
    case MESSAGE_REPLY:
    case MESSAGE_TIMEOUT:
    case MESSAGE_TIMER:
    case MESSAGE_BEAT:
    case MESSAGE_QUIESCED:
    case MESSAGE_EVENT:
    case MESSAGE_AGAIN:
        return w->in[m->instance].stopped_until > w->now;
    default:
        return false;
    }
}

static void handle(struct world *w, struct message *m)
{
    unsigned i = m->instance;
    bool alive = w->in[i].running && m->life == w->in[i].life;
    switch (m->kind) {
    case MESSAGE_ARRIVE:
        consul_arrive(w, m);
        break;
    case MESSAGE_APPLY:
        consul_apply(w, m);
        break;
    case MESSAGE_WAKE:
        consul_wake(w, m);
        break;
    case MESSAGE_REPLY:
    case MESSAGE_TIMEOUT:
        if (alive)
            shell_reply(w, m, m->kind == MESSAGE_TIMEOUT);
        break;
    case MESSAGE_TIMER:
        if (alive && m->id == w->in[i].timer_id)
            shell_timer(w, i);
        break;
    case MESSAGE_BEAT:
        if (alive)
            shell_beat(w, i);
        break;
    case MESSAGE_QUIESCED:
    case MESSAGE_EVENT:
        if (alive)
            shell_event(w, i, &m->event, m->id);
        break;
    case MESSAGE_AGAIN:
        if (alive)
            shell_again(w, i, (enum request_kind)m->id);
        break;
    case MESSAGE_LAPSE:
        agent_lapse(w, i);
        break;
    case MESSAGE_SYNC:
        agent_sync(w, i);
        break;
    case MESSAGE_SERF:
        agent_serf(w, i);
        break;
    case MESSAGE_TICK:
        agent_tick(w);
        break;
    case MESSAGE_START:
        shell_start(w, i);
        break;
    case MESSAGE_FAULT:
        fault_due(w, m->id, (int)i);
        break;
    }
}

static void begin(struct world *w, const struct schedule *schedule)
{
    memset(w, 0, offsetof(struct world, pool));
    w->heap_count = w->order = 0;
    w->free_count = MESSAGES;
    for (uint16_t i = 0; i < MESSAGES; i++)
        w->free[i] = i;
    memset(&w->highest_epoch, 0, sizeof *w - offsetof(struct world, highest_epoch));
    w->schedule = schedule;
    w->standing_since = NS_NEVER;
    w->rng = (struct rng){{schedule->seed * 0x9e3779b97f4a7c15u + 1, ~schedule->seed}};
    for (int warm = 0; warm < 8; warm++)
        rng_next(&w->rng);
    consul_begin(w);
    for (unsigned i = 0; i < schedule->instances; i++) {
        struct instance *in = &w->in[i];
        snprintf(in->name, sizeof in->name, "n%u", i + 1);
        in->ppm = schedule->instance[i].ppm;
        in->lease = schedule->instance[i].lease;
        in->clock_base = within(w, S, 1000000 * S);
        atomic_store(&in->gate.mode, GATE_STRICT);
        post(w, MESSAGE_START, i, schedule->instance[i].start);
    }
    post(w, MESSAGE_TICK, 0, within(w, 0, 250 * MS));
    faults_begin(w);
}

void world_run(struct world *w, const struct schedule *schedule, unsigned mutation, struct counts *counts,
               FILE *out)
{
    begin(w, schedule);
    w->mutation = mutation;
#ifdef LICTOR_MUTATIONS
    election_mutation = mutation;
#endif
    w->counts = counts;
    w->trace = out;
    counts->schedules++;
    while (w->failure[0] == '\0' && !check_recovery(w)) {
        uint16_t place = take_first(w);
        struct message *m = &w->pool[place];
        w->now = m->at;
        if (waits_for_process(w, m)) {
            m->at = w->in[m->instance].stopped_until + within(w, 0, MS / 5);
            w->heap[w->heap_count] = place;
            sift_up(w, w->heap_count++);
            continue;
        }
        /* Its place is free only afterwards: what is posted meanwhile must not overwrite it. */
        handle(w, m);
        w->free[w->free_count++] = place;
    }
    counts->virtual_s += (uint64_t)(w->now / S);
}
