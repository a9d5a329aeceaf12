#include "lictor/record.h"

#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* An endpoint as it counts. */
struct tracked {
    uint64_t id;
    bool up;
    bool turning; /* it is seen otherwise, since: */
    nstime since;
};

struct candidate {
    char *text;            /* of the configuration: by it a reload finds it again */
    bool known;            /* it has been seen */
    struct tracked *items; /* by id */
    size_t count;
    unsigned up, total;
    bool live;
    nstime turns; /* when the first of those that are turning will; NS_NEVER: none */
};

struct targets {
    struct record_target *items;
    size_t count;
};

struct record_machine {
    const struct config_record *config;
    struct candidate *candidates;
    size_t count;
    struct targets answer, last; /* last: what was healthy last; its host names are its own */
    bool has_last;
    char **hosts;
};

const char *record_state_name(enum record_state state)
{
    static const char *const names[] = {"unknown", "healthy", "fallback", "all-down"};
    return names[state];
}

/* --- life ----------------------------------------------------------------------------------------- */

static void free_candidate(struct candidate *candidate)
{
    free(candidate->text);
    free(candidate->items);
}

static void forget_last(struct record_machine *machine)
{
    for (size_t i = 0; i < machine->last.count; i++)
        free(machine->hosts[i]);
    free(machine->hosts);
    free(machine->last.items);
    machine->hosts = NULL;
    machine->last = (struct targets){0};
}

void record_machine_configure(struct record_machine *machine, const struct config_record *config)
{
    struct candidate *old = machine->candidates;
    size_t old_count = machine->count;
    machine->config = config;
    machine->count = config->candidate_count;
    machine->candidates = xcalloc(config->candidate_count + 1, sizeof(*machine->candidates));
    for (size_t i = 0; i < machine->count; i++) {
        struct candidate *now = &machine->candidates[i];
        for (size_t k = 0; k < old_count && !now->text; k++)
            if (old[k].text && strcmp(old[k].text, config->candidates[i].text) == 0) {
                *now = old[k];
                old[k] = (struct candidate){0};
            }
        if (!now->text)
            now->text = xstrdup(config->candidates[i].text);
    }
    for (size_t k = 0; k < old_count; k++)
        free_candidate(&old[k]);
    free(old);
}

struct record_machine *record_machine_new(const struct config_record *config)
{
    struct record_machine *machine = xcalloc(1, sizeof(*machine));
    record_machine_configure(machine, config);
    return machine;
}

void record_machine_free(struct record_machine *machine)
{
    if (!machine)
        return;
    for (size_t i = 0; i < machine->count; i++)
        free_candidate(&machine->candidates[i]);
    free(machine->candidates);
    free(machine->answer.items);
    forget_last(machine);
    free(machine);
}

/* --- one candidate -------------------------------------------------------------------------------- */

static int compare_tracked(const void *a, const void *b)
{
    const struct tracked *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static const struct tracked *find(const struct candidate *candidate, uint64_t id)
{
    const struct tracked key = {.id = id};
    return candidate->count ? bsearch(&key, candidate->items, candidate->count, sizeof(key), compare_tracked)
                            : NULL;
}

/* How it counts now, from how it counted. old NULL: it has not been seen before. */
static struct tracked turn(const struct candidate *candidate, const struct tracked *old,
                           const struct record_endpoint *seen, nstime rise, nstime fall, nstime now)
{
    struct tracked next = {.id = seen->id};
    if (!candidate->known)
        next.up = seen->healthy;
    else if (old)
        next = *old;
    if (next.up == seen->healthy) {
        next.turning = false;
        return next;
    }
    if (!next.turning) {
        next.turning = true;
        next.since = now;
    }
    if (now - next.since >= (next.up ? fall : rise)) {
        next.up = seen->healthy;
        next.turning = false;
    }
    return next;
}

static void track(struct candidate *candidate, const struct record_view *view,
                  const struct config_record *config, nstime now)
{
    nstime rise = view->fixed ? 0 : config->rise, fall = view->fixed ? 0 : config->fall;
    struct tracked *next = xcalloc(view->count + 1, sizeof(*next));
    candidate->up = 0;
    candidate->turns = NS_NEVER;
    for (size_t i = 0; i < view->count; i++) {
        next[i] = turn(candidate, find(candidate, view->items[i].id), &view->items[i], rise, fall, now);
        candidate->up += next[i].up;
        nstime at = next[i].since + (next[i].up ? fall : rise);
        if (next[i].turning && at < candidate->turns)
            candidate->turns = at;
    }
    if (view->count > 1)
        qsort(next, view->count, sizeof(*next), compare_tracked);
    free(candidate->items);
    candidate->items = next;
    candidate->count = view->count;
    candidate->total = (unsigned)view->count;
    candidate->known = true;
}

/* Without a live view nothing is known of it; once it is live again, it is as if seen for the first time. */
static void lose(struct candidate *candidate)
{
    free(candidate->items);
    candidate->items = NULL;
    candidate->count = 0;
    candidate->known = false;
    candidate->up = candidate->total = 0;
    candidate->turns = NS_NEVER;
}

/* --- the answer ----------------------------------------------------------------------------------- */

static void answer_with(struct record_machine *machine, size_t number, const struct record_view *view,
                        bool all)
{
    const struct candidate *candidate = &machine->candidates[number];
    machine->answer.items =
        xrealloc(machine->answer.items, (view->count + 1) * sizeof(*machine->answer.items));
    machine->answer.count = 0;
    for (size_t i = 0; i < view->count; i++)
        if (all || find(candidate, view->items[i].id)->up)
            machine->answer.items[machine->answer.count++] = view->items[i].target;
}

/* The answer is what was healthy last: kept, with host names of its own. */
static void remember(struct record_machine *machine)
{
    size_t count = machine->answer.count;
    forget_last(machine);
    machine->last.items = xcalloc(count + 1, sizeof(*machine->last.items));
    machine->hosts = xcalloc(count + 1, sizeof(*machine->hosts));
    machine->last.count = count;
    machine->has_last = true;
    for (size_t i = 0; i < count; i++) {
        machine->last.items[i] = machine->answer.items[i];
        machine->last.items[i].host = machine->hosts[i] = xstrdup_null(machine->answer.items[i].host);
    }
}

static void recall(struct record_machine *machine, struct record_outcome *out)
{
    out->answer = machine->has_last ? RECORD_TARGETS : RECORD_COMMITTED;
    out->targets = machine->last.items;
    out->count = machine->last.count;
}

static void all_down(struct record_machine *machine, const struct record_view *views,
                     struct record_outcome *out)
{
    const struct config_record *config = machine->config;
    out->state = RECORD_ALL_DOWN;
    out->candidate = -1;
    switch (config->all_down) {
    case ALL_DOWN_NONE:
        out->answer = RECORD_NODATA;
        return;
    case ALL_DOWN_SERVFAIL:
        out->answer = RECORD_SERVFAIL;
        return;
    case ALL_DOWN_ADDRESS:
        machine->answer.items =
            xrealloc(machine->answer.items, config->down_count * sizeof(*machine->answer.items));
        machine->answer.count = config->down_count;
        for (size_t i = 0; i < config->down_count; i++)
            machine->answer.items[i] = record_target_of(&config->down[i]);
        break;
    case ALL_DOWN_ALL:
        for (size_t i = 0; i < machine->count; i++)
            if (machine->candidates[i].total > 0) {
                answer_with(machine, i, &views[i], true);
                out->candidate = (int)i;
                break;
            }
        if (out->candidate >= 0)
            break;
        /* fall through */ /* nothing is registered anywhere */
    case ALL_DOWN_LAST:
        recall(machine, out);
        return;
    }
    out->answer = RECORD_TARGETS;
    out->targets = machine->answer.items;
    out->count = machine->answer.count;
}

/* Less than all of the service is better than an outage, so that a fallback needs but one that is up.
 * The first good one; -1: none; -2: one before it is not live, and might be. */
static int choose(const struct record_machine *machine, const struct record_view *views,
                  enum record_force force)
{
    for (size_t i = 0; i < machine->count; i++) {
        const struct candidate *candidate = &machine->candidates[i];
        if (!views[i].live)
            return -2;
        unsigned up = force == RECORD_FORCE_UP ? candidate->total : candidate->up;
        if (force != RECORD_FORCE_DOWN && up >= (i == 0 ? machine->config->min_healthy : 1))
            return (int)i;
    }
    return -1;
}

/* No cache should hold an answer longer than until the next turn of what may change it: the candidates down
 * to the one that answers. Whole seconds are cut off, and it is looked again when the next one is over. */
static void limit_ttl(const struct record_machine *machine, nstime now, struct record_outcome *out)
{
    nstime turns = NS_NEVER, ttl = machine->config->ttl;
    for (size_t i = 0; i < machine->count; i++) {
        if (machine->candidates[i].turns < turns)
            turns = machine->candidates[i].turns;
        if (out->state != RECORD_ALL_DOWN && (int)i == out->candidate)
            break;
    }
    out->ttl = (uint32_t)(ttl / NS_PER_S);
    out->next = turns;
    if (turns == NS_NEVER)
        return;
    nstime left = turns - now;
    if (left > ttl) {
        out->next = turns - ttl;
        return;
    }
    out->ttl = (uint32_t)(left / NS_PER_S);
    out->next = now + (left % NS_PER_S ? left % NS_PER_S : NS_PER_S);
}

void record_machine_look(struct record_machine *machine, const struct record_view *views, nstime now,
                         enum record_force force, struct record_outcome *out)
{
    *out = (struct record_outcome){.candidate = -1, .forced = force != RECORD_FORCE_NONE};
    for (size_t i = 0; i < machine->count; i++) {
        machine->candidates[i].live = views[i].live;
        if (views[i].live)
            track(&machine->candidates[i], &views[i], machine->config, now);
        else
            lose(&machine->candidates[i]);
    }
    int chosen = choose(machine, views, force);
    bool needs_views = machine->config->all_down == ALL_DOWN_ALL;
    if (chosen == -2 && force == RECORD_FORCE_DOWN && !needs_views)
        chosen = -1; /* the word of the operator decides, whatever there is to see */
    if (chosen == -1) {
        all_down(machine, views, out);
    } else if (chosen >= 0) {
        out->state = chosen == 0 ? RECORD_HEALTHY : RECORD_FALLBACK;
        out->candidate = chosen;
        answer_with(machine, (size_t)chosen, &views[chosen], force == RECORD_FORCE_UP);
        if (force == RECORD_FORCE_NONE)
            remember(machine);
        out->answer = RECORD_TARGETS;
        out->targets = machine->answer.items;
        out->count = machine->answer.count;
    }
    limit_ttl(machine, now, out);
}

struct record_count record_machine_count(const struct record_machine *machine, size_t candidate)
{
    const struct candidate *of = &machine->candidates[candidate];
    return (struct record_count){of->live, of->up, of->total};
}

struct record_target record_target_of(const struct config_address *address)
{
    struct record_target target = {.port = address->port, .priority = 1, .weight = 1};
    target.has_ipv6 = address->ipv6;
    target.has_ipv4 = !address->ipv6;
    memcpy(address->ipv6 ? target.ipv6 : target.ipv4, address->ip, address->ipv6 ? 16 : 4);
    return target;
}
