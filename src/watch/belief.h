/* What to believe when Consul says that things are gone. A list may be empty because the
 * service is gone, because the token lost its rights (200, `[]`, KnownLeader true, also for a consistent
 * read), because a server without a leader answered, or because Consul itself lost its data. Pure. */
#pragma once

#include "lictor/clock.h"

#include <stdbool.h>

#define BELIEF_HOLD        (30 * NS_PER_S)
#define BELIEF_LOSS_WINDOW (10 * NS_PER_S)
#define BELIEF_LOSS_MIN    20 /* instances; below, half of them gone is nothing unusual */
#define BELIEF_NO_LEADER   (5 * NS_PER_S)

enum belief_verdict {
    BELIEF_APPLY,
    BELIEF_CONFIRM, /* keep; ask again with ?consistent, now */
    BELIEF_CANARY,  /* keep; read the canary, and judge again with what it showed */
    BELIEF_KEEP,    /* keep; ask again with ?consistent at `again` */
};

enum belief_reason {
    BELIEF_NO_REASON,
    BELIEF_LEADERLESS,     /* emptied, from a server that knows no leader */
    BELIEF_CANARY_GONE,    /* emptied, and the canary that was once seen is not */
    BELIEF_CANARY_UNKNOWN, /* emptied, and the canary was never seen: held once */
    BELIEF_MASS_LOSS,      /* more than half of at least 20 within 10 s: held once */
};
const char *belief_reason_text(enum belief_reason reason);

/* Losses within BELIEF_LOSS_WINDOW from `since` on, of the most there was in it. Zero: none yet. */
struct belief_window {
    nstime since;
    unsigned base, lost;
};

/* Of the whole view. Zero-initialise. */
struct belief {
    bool canary_seen;  /* service `consul` was seen with this token, ever */
    nstime mass_until; /* the list of names lost more than half: no loss of a service is believed before; 0:
                          none */
    struct belief_window window;
};

/* Of one list (a service's instances, or the nodes). Zero-initialise. */
struct belief_hold {
    nstime until; /* 0: not held */
    enum belief_reason reason;
    struct belief_window window;
};

enum belief_canary { CANARY_NOT_ASKED, CANARY_THERE, CANARY_NOT_THERE };

struct belief_facts {
    unsigned had, has; /* entries in the view and in the reply. Critical ones count: they are not missing */
    unsigned view;     /* instances in the whole view before; 0: this list is none of it */
    bool known_leader;
    bool consistent;           /* the reply is to a ?consistent read */
    enum belief_canary canary; /* by a consistent read that began after this reply */
};

struct belief_result {
    enum belief_verdict verdict;
    enum belief_reason reason;
    nstime again; /* BELIEF_KEEP */
    bool alarm;   /* the first time for this reason: say it */
};

/* Judges a reply at `now` (not 0) and notes it in belief and hold; APPLY: the caller applies it. */
struct belief_result belief_judge(struct belief *belief, struct belief_hold *hold,
                                  const struct belief_facts *facts, nstime now);
