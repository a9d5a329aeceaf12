#include "belief.h"

const char *belief_reason_text(enum belief_reason reason)
{
    static const char *const texts[] = {
        [BELIEF_NO_REASON] = "",
        [BELIEF_LEADERLESS] = "emptied by a server that knows no leader",
        [BELIEF_CANARY_GONE] = "emptied, and service `consul` is not to be seen any more: lost rights?",
        [BELIEF_CANARY_UNKNOWN] =
            "emptied, and service `consul` was never seen: held 30s, since it may be denied",
        [BELIEF_MASS_LOSS] = "more than half is missing within 10s: held 30s",
    };
    return texts[reason];
}

static unsigned larger(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

/* The window that is open at `now`, or a new one. Its base is the most there was in it. */
static struct belief_window current(struct belief_window window, unsigned count, nstime now)
{
    if (window.since == 0 || now - window.since > BELIEF_LOSS_WINDOW)
        return (struct belief_window){.since = now, .base = count};
    window.base = larger(window.base, count);
    return window;
}

static bool is_mass_loss(struct belief_window window, unsigned lost)
{
    return window.base >= BELIEF_LOSS_MIN && 2 * (window.lost + lost) > window.base;
}

/* What came back in the window was not lost. */
static struct belief_window account(struct belief_window window, unsigned had, unsigned has)
{
    if (has < had)
        window.lost += had - has;
    else
        window.lost -= has - had < window.lost ? has - had : window.lost;
    return window;
}

static struct belief_result keep(struct belief_hold *hold, enum belief_reason reason, nstime again)
{
    struct belief_result result = {
        .verdict = BELIEF_KEEP, .reason = reason, .again = again, .alarm = hold->reason != reason};
    hold->reason = reason;
    return result;
}

/* Once for 30 s; the first consistent reply after that is believed. */
static struct belief_result hold_once(struct belief_hold *hold, enum belief_reason reason, nstime now)
{
    if (hold->until == 0)
        hold->until = now + BELIEF_HOLD;
    return keep(hold, reason, hold->until > now ? hold->until : now);
}

/* An emptied list is believed from a consistent read, with the canary in sight. Returns whether it passed. */
static bool judge_emptied(struct belief *belief, struct belief_hold *hold, const struct belief_facts *facts,
                          nstime now, struct belief_result *result)
{
    if (!facts->known_leader)
        *result = keep(hold, BELIEF_LEADERLESS, now + BELIEF_NO_LEADER);
    else if (!facts->consistent)
        *result = (struct belief_result){.verdict = BELIEF_CONFIRM};
    else if (facts->canary == CANARY_NOT_ASKED)
        *result = (struct belief_result){.verdict = BELIEF_CANARY};
    else if (facts->canary == CANARY_THERE)
        return true;
    else if (belief->canary_seen)
        *result = keep(hold, BELIEF_CANARY_GONE, now + BELIEF_HOLD);
    else if (hold->until != 0 && now >= hold->until)
        return true;
    else
        *result = hold_once(hold, BELIEF_CANARY_UNKNOWN, now);
    return false;
}

struct belief_result belief_judge(struct belief *belief, struct belief_hold *hold,
                                  const struct belief_facts *facts, nstime now)
{
    struct belief_result result;
    if (facts->canary == CANARY_THERE)
        belief->canary_seen = true;
    if (facts->had > 0 && facts->has == 0 && !judge_emptied(belief, hold, facts, now, &result))
        return result;

    struct belief_window window = current(hold->window, facts->had, now);
    struct belief_window view = current(belief->window, facts->view, now);
    unsigned lost = facts->has < facts->had ? facts->had - facts->has : 0;
    if (lost > 0 && facts->view > 0 && now < belief->mass_until) {
        hold->until = belief->mass_until;
        return keep(hold, BELIEF_MASS_LOSS, hold->until);
    }
    /* Held, and what comes back does so one by one: the rest is still not believed to be gone. */
    if (lost > 0 && hold->reason == BELIEF_MASS_LOSS && now < hold->until)
        return keep(hold, BELIEF_MASS_LOSS, hold->until);
    if (lost > 0 && (is_mass_loss(window, lost) || (facts->view > 0 && is_mass_loss(view, lost)))) {
        if (hold->until == 0 || now < hold->until)
            return hold_once(hold, BELIEF_MASS_LOSS, now);
        if (!facts->consistent)
            return (struct belief_result){.verdict = BELIEF_CONFIRM};
    }
    hold->window = account(window, facts->had, facts->has);
    if (facts->view > 0)
        belief->window = account(view, facts->had, facts->has);
    hold->until = 0;
    hold->reason = BELIEF_NO_REASON;
    return (struct belief_result){.verdict = BELIEF_APPLY};
}
