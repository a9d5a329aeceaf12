/* The simulator's command line. --help says it all; README.md how to read what it prints. */
#include "sim.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WORKERS     64
#define FIXED_SEEDS 100

static struct {
    uint64_t first, count;
    unsigned instances, jobs, mutation;
    bool shrink, replay, coverage;
} options = {.first = 1, .count = 10000};

static const char usage[] =
    "usage: election-sim [OPTIONS]\n"
    "  --schedules N    run N random schedules (10000)\n"
    "  --first S        beginning with seed S (1)\n"
    "  --instances K    of 2 to 5 instances; as the seed says, if left out\n"
    "  --jobs N         in N threads; one a CPU, if left out\n"
    "  --seed S         replay the schedule of seed S and print its history\n"
    "  --schedule NAME  replay the fixed schedule NAME, with the latencies of --seed, and print its history\n"
    "  --shrink         with one of these, or a failure: leave out what is not needed to fail\n"
    "  --fixed          run the fixed schedules\n"
    "  --coverage       fail if a kind of fault or a reason of the election never came up\n"
    "  --mutation NAME  with this rule left out (the program of mutants has those of the election)\n"
    "  --mutations      each mutation must be caught, by its fixed schedule or within N random ones\n";

/* ---- many schedules ---- */

static struct {
    atomic_uint_fast64_t next, failed_seed;
    atomic_bool failed;
    pthread_mutex_t lock;
    struct counts total;
} run = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local uint64_t current_seed;

/* A broken invariant inside the election aborts: say where. */
static void aborted(int number)
{
    char text[64];
    int len = snprintf(text, sizeof text, "aborted in seed %llu\n", (unsigned long long)current_seed);
    if (write(STDERR_FILENO, text, (size_t)len) < 0)
        _exit(2);
    signal(number, SIG_DFL);
    raise(number);
}

static void add(struct counts *to, const struct counts *from)
{
    const uint64_t *source = (const uint64_t *)from;
    uint64_t *sum = (uint64_t *)to;
    nstime longest =
        to->longest_recovery > from->longest_recovery ? to->longest_recovery : from->longest_recovery;
    for (size_t n = 0; n < sizeof *to / sizeof *sum; n++)
        sum[n] += source[n];
    to->longest_recovery = longest;
}

static void *work(void *arg)
{
    (void)arg;
    struct world *w = malloc(sizeof *w);
    struct counts counts = {0};
    if (w == NULL)
        abort();
    while (!atomic_load(&run.failed)) {
        uint64_t n = atomic_fetch_add(&run.next, 1);
        if (n >= options.count)
            break;
        struct schedule schedule = {.instances = options.instances};
        current_seed = options.first + n;
        schedule_random(&schedule, current_seed);
        world_run(w, &schedule, options.mutation, &counts, NULL);
        if (w->failure[0] == '\0')
            continue;
        pthread_mutex_lock(&run.lock);
        uint64_t seed = atomic_load(&run.failed_seed);
        if (!atomic_exchange(&run.failed, true) || current_seed < seed)
            atomic_store(&run.failed_seed, current_seed);
        pthread_mutex_unlock(&run.lock);
    }
    free(w);
    pthread_mutex_lock(&run.lock);
    add(&run.total, &counts);
    pthread_mutex_unlock(&run.lock);
    return NULL;
}

/* Returns whether all held. */
static bool run_many(void)
{
    pthread_t threads[WORKERS];
    memset(&run.total, 0, sizeof run.total);
    atomic_store(&run.next, 0);
    atomic_store(&run.failed, false);
    for (unsigned n = 0; n < options.jobs; n++)
        if (pthread_create(&threads[n], NULL, work, NULL) != 0)
            abort();
    for (unsigned n = 0; n < options.jobs; n++)
        pthread_join(threads[n], NULL);
    return !atomic_load(&run.failed);
}

static void print_counts(const struct counts *c, double seconds)
{
    printf("%llu schedules, %llu h of virtual time, in %.1f s: %.0f schedules a second\n",
           (unsigned long long)c->schedules, (unsigned long long)(c->virtual_s / 3600), seconds,
           (double)c->schedules / seconds);
    printf("elections %llu, promotions %llu (%llu spared the wait by a marker), hand-overs %llu\n",
           (unsigned long long)c->elections, (unsigned long long)c->promotions, (unsigned long long)c->spared,
           (unsigned long long)c->handovers);
    printf(
        "tampering noticed %llu; commits %llu, fenced off %llu; transactions refused %llu; timeouts %llu\n",
        (unsigned long long)c->tampered, (unsigned long long)c->commits, (unsigned long long)c->fenced,
        (unsigned long long)c->conflicts, (unsigned long long)c->timeouts);
    printf("acquires refused for coming late %llu; queued before a lock-delay %llu, refused by one %llu\n",
           (unsigned long long)c->late_acquires, (unsigned long long)c->skipped_lock_delay,
           (unsigned long long)c->refused_lock_delay);
    printf("beats of standing back since another mirror was further %llu\n",
           (unsigned long long)c->stood_back);
    printf("longest way back to a primary after the last fault: %.2f s\n", (double)c->longest_recovery / 1e9);
    printf("faults:");
    for (unsigned n = 0; n < FAULT_KINDS; n++)
        printf(" %s %llu", fault_names[n], (unsigned long long)c->faults[n]);
    printf("\n");
}

/* A set of schedules in which something never happens proves nothing about it. */
static bool covered(const struct counts *c)
{
    bool all = true;
    for (unsigned n = 0; n < FAULT_KINDS; n++)
        if (c->faults[n] < 10) {
            printf("not covered: the fault %s came %llu times\n", fault_names[n],
                   (unsigned long long)c->faults[n]);
            all = false;
        }
    for (unsigned n = ELECTION_WHY_STARTING + 1; n < ELECTION_REASONS; n++)
        if (c->reasons[n] == 0) {
            printf("not covered: never \"%s\"\n", election_reason_text((enum election_reason)n));
            all = false;
        }
    const struct {
        const char *what;
        uint64_t count, least;
    } least[] = {{"promotions", c->promotions, 2 * c->schedules},
                 {"spared waits", c->spared, c->schedules / 50},
                 {"hand-overs", c->handovers, c->schedules / 50},
                 {"commits", c->commits, c->schedules},
                 {"fenced commits", c->fenced, c->schedules / 1000},
                 {"late acquires", c->late_acquires, c->schedules / 1000},
                 {"beats of standing back for a further mirror", c->stood_back, c->schedules / 1000},
                 {"acquires queued before a lock-delay", c->skipped_lock_delay, 1}};
    for (size_t n = 0; n < sizeof least / sizeof *least; n++)
        if (least[n].count < least[n].least) {
            printf("not covered: %llu %s, and at least %llu are expected\n",
                   (unsigned long long)least[n].count, least[n].what, (unsigned long long)least[n].least);
            all = false;
        }
    return all;
}

/* ---- one schedule ---- */

static bool replay(struct schedule *schedule, bool quiet)
{
    struct world *w = malloc(sizeof *w);
    struct counts counts = {0};
    if (w == NULL)
        abort();
    world_run(w, schedule, options.mutation, &counts, NULL);
    bool failed = w->failure[0] != '\0';
    if (failed && options.shrink)
        schedule_shrink(schedule, options.mutation);
    if (!quiet) {
        schedule_print(schedule, stdout);
        world_run(w, schedule, options.mutation, &counts, stdout);
        printf("%s\n", w->failure[0] != '\0' ? w->failure : "all held");
    }
    free(w);
    return !failed;
}

static const struct fixed *find_fixed(const char *name)
{
    for (size_t n = 0; n < fixed_count; n++)
        if (strcmp(fixed_schedules[n].name, name) == 0)
            return &fixed_schedules[n];
    return NULL;
}

/* A fixed schedule says what happens, not every latency. Runs it with many; false: it failed, with the seed
 * in `schedule`. */
static bool holds_with_any_latency(const struct fixed *fixed, struct schedule *schedule)
{
    for (uint64_t seed = 1; seed <= FIXED_SEEDS; seed++) {
        *schedule = (struct schedule){0};
        fixed->make(schedule);
        schedule->seed = current_seed = seed;
        if (!replay(schedule, true))
            return false;
    }
    return true;
}

static bool run_fixed(void)
{
    bool all = true;
    for (size_t n = 0; n < fixed_count; n++) {
        struct schedule schedule;
        bool held = holds_with_any_latency(&fixed_schedules[n], &schedule);
        printf("%s: %s\n", held ? "held" : "FAILED", fixed_schedules[n].name);
        if (!held)
            replay(&schedule, false);
        all &= held;
    }
    return all;
}

/* ---- mutations ---- */

static bool caught(unsigned mutation)
{
    bool by_fixed = true, has_fixed = false;
    const char *name = mutation_names[mutation];
    options.mutation = mutation;
    for (size_t n = 0; n < fixed_count; n++) {
        if (fixed_schedules[n].caught != mutation)
            continue;
        struct schedule schedule;
        has_fixed = true;
        if (holds_with_any_latency(&fixed_schedules[n], &schedule)) {
            printf("SURVIVED: %s, in the schedule made for it: %s\n", name, fixed_schedules[n].name);
            by_fixed = false;
        }
    }
    bool by_chance = !run_many();
    if (by_chance)
        printf("caught: %s, by random schedule %llu%s\n", name,
               (unsigned long long)(run.failed_seed - options.first + 1),
               has_fixed && by_fixed ? ", and by its own" : "");
    else
        printf("SURVIVED: %s, in %llu random schedules\n", name, (unsigned long long)options.count);
    return by_fixed && by_chance;
}

static bool run_mutations(void)
{
    bool all = true;
#ifdef LICTOR_MUTATIONS
    unsigned first = MUTATION_NONE + 1;
#else
    unsigned first = MUTATION_SHELL;
#endif
    for (unsigned mutation = first; mutation < MUTATIONS; mutation++)
        all &= caught(mutation);
    return all;
}

static uint64_t number(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text) {
        fprintf(stderr, "election-sim: '%s' is no number\n", text);
        exit(2);
    }
    return value;
}

static unsigned mutation_called(const char *name)
{
    for (unsigned n = 0; n < MUTATIONS; n++)
        if (strcmp(name, mutation_names[n]) == 0) {
#ifndef LICTOR_MUTATIONS
            if (n != MUTATION_NONE && n < MUTATION_SHELL) {
                fprintf(stderr, "election-sim: %s is a mutation of the election: use election-sim-mutants\n",
                        name);
                exit(2);
            }
#endif
            return n;
        }
    fprintf(stderr, "election-sim: no mutation '%s'; there are:", name);
    for (unsigned n = 1; n < MUTATIONS; n++)
        fprintf(stderr, " %s", mutation_names[n]);
    fputc('\n', stderr);
    exit(2);
}

int main(int argc, char **argv)
{
    enum {
        SCHEDULES = 1,
        FIRST,
        INSTANCE_COUNT,
        JOBS,
        SEED,
        SCHEDULE,
        SHRINK,
        FIXED,
        COVERAGE,
        MUTATION,
        ALL,
        HELP
    };
    static const struct option names[] = {{"schedules", 1, NULL, SCHEDULES},
                                          {"first", 1, NULL, FIRST},
                                          {"instances", 1, NULL, INSTANCE_COUNT},
                                          {"jobs", 1, NULL, JOBS},
                                          {"seed", 1, NULL, SEED},
                                          {"schedule", 1, NULL, SCHEDULE},
                                          {"shrink", 0, NULL, SHRINK},
                                          {"fixed", 0, NULL, FIXED},
                                          {"coverage", 0, NULL, COVERAGE},
                                          {"mutation", 1, NULL, MUTATION},
                                          {"mutations", 0, NULL, ALL},
                                          {"help", 0, NULL, HELP},
                                          {0}};
    const struct fixed *fixed = NULL;
    bool seeded = false, all_fixed = false, all_mutations = false;
    int option;
    uint64_t seed = 0;
    options.jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
        switch (option) {
        case SCHEDULES:
            options.count = number(optarg);
            break;
        case FIRST:
            options.first = number(optarg);
            break;
        case INSTANCE_COUNT:
            options.instances = (unsigned)number(optarg);
            break;
        case JOBS:
            options.jobs = (unsigned)number(optarg);
            break;
        case SEED:
            seeded = true;
            seed = number(optarg);
            break;
        case SCHEDULE:
            fixed = find_fixed(optarg);
            if (fixed == NULL) {
                fprintf(stderr, "election-sim: no fixed schedule '%s'; --fixed names them\n", optarg);
                return 2;
            }
            break;
        case SHRINK:
            options.shrink = true;
            break;
        case FIXED:
            all_fixed = true;
            break;
        case COVERAGE:
            options.coverage = true;
            break;
        case MUTATION:
            options.mutation = mutation_called(optarg);
            break;
        case ALL:
            all_mutations = true;
            break;
        case HELP:
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    if (optind < argc || options.jobs < 1 || options.jobs > WORKERS || options.first == 0 ||
        (options.instances != 0 && (options.instances < 2 || options.instances > INSTANCES))) {
        fputs(usage, stderr);
        return 2;
    }
    signal(SIGABRT, aborted);
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct schedule schedule = {.instances = options.instances};
    if (fixed != NULL || seeded) {
        if (fixed != NULL) {
            fixed->make(&schedule);
            schedule.seed = seeded ? seed : schedule.seed;
        } else {
            schedule_random(&schedule, seed);
        }
        current_seed = schedule.seed;
        return replay(&schedule, false) ? 0 : 1;
    }
    if (all_mutations)
        return run_mutations() ? 0 : 1;
    if (all_fixed && !run_fixed())
        return 1;
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    bool held = run_many();
    clock_gettime(CLOCK_MONOTONIC, &to);
    print_counts(&run.total, (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
    if (!held) {
        printf("FAILED: seed %llu (replay: --seed %llu%s). Its history, shrunk:\n",
               (unsigned long long)run.failed_seed, (unsigned long long)run.failed_seed,
               options.instances != 0 ? " and the same --instances" : "");
        schedule_random(&schedule, run.failed_seed);
        options.shrink = true;
        replay(&schedule, false);
        return 1;
    }
    return options.coverage && !covered(&run.total) ? 1 : 0;
}
