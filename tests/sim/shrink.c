/* The shortest schedule that still fails: faults are left out, instances too, as long as it does. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

static bool fails(const struct schedule *schedule, unsigned mutation)
{
    struct world *w = malloc(sizeof *w);
    struct counts counts = {0};
    if (w == NULL)
        abort();
    world_run(w, schedule, mutation, &counts, NULL);
    bool failed = w->failure[0] != '\0';
    free(w);
    return failed;
}

static bool leave_out(struct schedule *schedule, unsigned mutation, unsigned first, unsigned count)
{
    struct schedule shorter = *schedule;
    bool any = false;
    for (unsigned n = first; n < first + count && n < shorter.faults; n++) {
        any |= !shorter.fault[n].off;
        shorter.fault[n].off = true;
    }
    if (!any || !fails(&shorter, mutation))
        return false;
    *schedule = shorter;
    return true;
}

static bool fewer_instances(struct schedule *schedule, unsigned mutation)
{
    struct schedule shorter = *schedule;
    if (shorter.instances <= 2)
        return false;
    shorter.instances--;
    for (unsigned n = 0; n < shorter.faults; n++) {
        shorter.fault[n].instance %= shorter.instances;
        shorter.fault[n].other %= shorter.instances;
    }
    if (!fails(&shorter, mutation))
        return false;
    *schedule = shorter;
    return true;
}

/* Round numbers are easier to read. */
static bool plainer(struct schedule *schedule, unsigned mutation)
{
    bool any = false;
    for (unsigned i = 0; i < schedule->instances; i++) {
        struct schedule plain = *schedule;
        plain.instance[i].ppm = 0;
        plain.instance[i].priority = 100;
        plain.instance[i].start = 0;
        if (memcmp(&plain, schedule, sizeof plain) != 0 && fails(&plain, mutation)) {
            *schedule = plain;
            any = true;
        }
    }
    return any;
}

void schedule_shrink(struct schedule *schedule, unsigned mutation)
{
    bool progress = true;
    while (progress) {
        progress = false;
        for (unsigned size = schedule->faults; size > 0; size /= 2)
            for (unsigned first = 0; first < schedule->faults; first += size)
                progress |= leave_out(schedule, mutation, first, size);
        progress |= fewer_instances(schedule, mutation);
        progress |= plainer(schedule, mutation);
    }
}

void schedule_print(const struct schedule *schedule, FILE *out)
{
    static const char *const subjects[] = {"", "the holder", "its sender"};
    fprintf(out, "%u instances, lock-delay %lld ms, well again from %.3f s\n", schedule->instances,
            (long long)(schedule->lock_delay / MS), (double)schedule->quiet / 1e9);
    for (unsigned i = 0; i < schedule->instances; i++)
        fprintf(out, "  n%u: lease %lld ms, starts at %.3f s, clock %+d ppm, priority %d%s\n", i + 1,
                (long long)(schedule->instance[i].lease / MS), (double)schedule->instance[i].start / 1e9,
                schedule->instance[i].ppm, schedule->instance[i].priority,
                schedule->instance[i].candidate ? "" : ", no candidate");
    for (unsigned n = 0; n < schedule->faults; n++) {
        const struct fault *f = &schedule->fault[n];
        if (f->off)
            continue;
        fprintf(out, "  %8.3f s: %s", (double)f->at / 1e9, fault_names[f->kind]);
        if (f->subject == SUBJECT_FIXED)
            fprintf(out, " n%u", f->instance + 1);
        else
            fprintf(out, " %s", subjects[f->subject]);
        if (f->trigger != REQUEST_NONE)
            fprintf(out, ", %.3f ms after the next %s", (double)f->delay / 1e6, request_names[f->trigger]);
        if (f->kind == FAULT_HANDOVER || f->kind == FAULT_RESIGN)
            fprintf(out, ", to n%u", f->other + 1);
        fprintf(out, ", %.3f ms", (double)f->duration / 1e6);
        if (f->amount != 0)
            fprintf(out, ", %d", f->amount);
        fputc('\n', out);
    }
}
