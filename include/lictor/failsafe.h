/* Failsafe: with all of Consul away, the primary keeps a second right, to *hold* what needs no Consul
 * (addresses; answering under `strict`), while every other instance that could take over leases it consent.
 * What writes to Consul goes by the lease alone (gate.act_until); this right is gate.hold_until. A state
 * machine like the election, a plain function of (state, event, time), and it reads that one's state.
 *
 * Asking. The primary names in the lock's own value whom it will ask: the members that lived when it wrote
 * it, itself included. Once no confirmation came for half a lease it asks all of them, in rounds of a quarter
 * of a lease. Every one must say yes: then it may hold until *the round's start* + lease. One "no", silence
 * or a bad signature, and the last whole round's deadline is the end.
 *
 * Consenting. A member says yes only if it follows, its consistent reads fail (one did, and none that began
 * within the last half lease succeeded; or simply none within three quarters), and the last one showed the
 * asker as the holder, in that epoch. With it goes the
 * promise not to stand for the lock before its answer + lease * 1.01 + 50 ms. A promise may be forgotten (a
 * restart): it only spares a useless election, see below.
 *
 * Why two never hold or act at once. Whoever acts or holds in another reign has waited out the lease after
 * its own acquire; so that acquire came more than a lease before, or the old holder's round would have
 * started before it and be over. It is an instance that the holder asks, or it is not. If it is: having
 * acquired (or being about to: its last read showed a free lock) it never says yes to the older epoch again.
 * If it is not: it was not named in the last holder's value, and whoever is not named there does not stand
 * for the lock at all, unless that holder left its clean marker (failsafe_barred). The acquire's check-index
 * makes sure that this was the value until then. Where the whole list was taken away for good, an operator
 * deletes the key `leader`, and only then; a `snapshot restore` under a holder that is cut off does the same
 * without being asked.
 *
 * The reign that was held on is continued, in its epoch, when Consul confirms it again: for the election each
 * whole round is news of it (`proven`).
 *
 * Main thread; times are CLOCK_BOOTTIME. */
#pragma once

#include "lictor/election.h"

#define FAILSAFE_MEMBERS 64 /* named in the lock's value, the holder included */

/* A healthy primary asks as well, this seldom: "no, I reach Consul" shows that a wrong key or a closed port
 * will not be found out in an outage. */
#define FAILSAFE_REHEARSAL (10 * NS_PER_S)

enum failsafe_verdict {
    FAILSAFE_SILENT, /* no answer (yet) */
    FAILSAFE_YES,
    FAILSAFE_NO_OFF,      /* not configured there */
    FAILSAFE_NO_REACHES,  /* reaches Consul itself */
    FAILSAFE_NO_HOLDS,    /* holds the lock itself, or stands for it */
    FAILSAFE_NO_UNKNOWN,  /* has not seen yet who holds it */
    FAILSAFE_NO_FREE,     /* saw it free */
    FAILSAFE_NO_OTHER,    /* saw another holder or another epoch */
    FAILSAFE_NO_STOPPING, /* is about to end */
    FAILSAFE_NO_STRANGER, /* not a member of that cluster, or not the instance that was asked */
    FAILSAFE_UNSIGNED,    /* an answer without a right signature */
    FAILSAFE_VERDICTS,
};

struct failsafe_config {
    char instance[ELECTION_ID_SIZE];
    bool enabled;
    uint64_t seed; /* of the nonces; they need not be secret, since the answer's MAC covers the request's */
};

/* What a primary asks. */
struct failsafe_request {
    char instance[ELECTION_ID_SIZE]; /* who asks */
    uint64_t epoch, nonce;
    nstime lease;
};

enum failsafe_event_kind {
    FAILSAFE_LOOK,     /* the election took a step, or the timer is due */
    FAILSAFE_LIST,     /* list: whom the lock's value names now, beyond doubt; count 0: nobody, or in doubt */
    FAILSAFE_ANSWERED, /* answer */
    FAILSAFE_MISSED,   /* a consistent read of the follower failed */
    FAILSAFE_ASKED,    /* request: the output's verdict is the answer */
};

struct failsafe_event {
    enum failsafe_event_kind kind;
    union {
        struct {
            size_t count;
            const char (*instances)[ELECTION_ID_SIZE]; /* read during the call */
        } list;
        struct {
            char instance[ELECTION_ID_SIZE];
            uint64_t nonce;
            enum failsafe_verdict verdict;
        } answer;
        struct failsafe_request request;
    };
};

enum failsafe_note {
    FAILSAFE_NOTE_NONE,
    FAILSAFE_NOTE_HOLDING,   /* the lease is over, consent goes on */
    FAILSAFE_NOTE_ENDED,     /* consent ran out: blame, why */
    FAILSAFE_NOTE_WITHOUT,   /* the lease is over, and consent was not whole: blame, why */
    FAILSAFE_NOTE_LOST,      /* the election has another opinion of this reign */
    FAILSAFE_NOTE_CONFIRMED, /* Consul is back, in the same epoch */
};

struct failsafe_output {
    nstime hold_until; /* as in gate.h; 0: none */
    nstime timer;      /* NS_NEVER: none */
    uint64_t ask;      /* a bit for each of failsafe.members to send the present question to */
    enum failsafe_note note;
    enum failsafe_verdict verdict; /* ASKED */
};

/* Fields are for the module, the tests and status texts; nobody else writes them. */
struct failsafe {
    struct failsafe_config config;
    struct rng rng;

    /* Asking */
    size_t count;                                     /* 0: not usable */
    char members[FAILSAFE_MEMBERS][ELECTION_ID_SIZE]; /* without this instance */
    enum failsafe_verdict verdicts[FAILSAFE_MEMBERS]; /* to the last question that was answered or given up */
    uint64_t epoch;                                   /* of the reign that all of this belongs to */
    uint64_t nonce;
    nstime round_start; /* 0: none yet */
    nstime round_end, send_at, next_round;
    uint64_t answered; /* bits, in this round */
    bool asking, worried;
    nstime hold_from, hold_until; /* start of the last whole round; its end as a lease */
    bool holding;                 /* HOLDING was said */
    bool without;                 /* WITHOUT or ENDED was said */
    size_t blame;                 /* who kept the last round from being whole */
    enum failsafe_verdict why;    /* YES: nobody did */

    /* Consenting */
    nstime missed_at; /* when a read failed last; 0: never */
    nstime promised_until;
    char promised_to[ELECTION_ID_SIZE];

    struct {
        uint64_t whole, broken, given, refused, holds;
    } counters;
};

void failsafe_init(struct failsafe *failsafe, const struct failsafe_config *config);

/* After each step of the election, and for each event of its own. Consent moves the election's stand_after, a
 * whole round its `proven`.
 * `now` never goes back. */
void failsafe_step(struct failsafe *failsafe, struct election *election, const struct failsafe_event *event,
                   nstime now, struct failsafe_output *out);

/* Must `self` keep from standing for a lock that was last held by `holder`, whose value names these, without
 * a clean marker? */
bool failsafe_barred(const char *self, const char *holder, const char (*named)[ELECTION_ID_SIZE],
                     size_t count, bool marker);

/* A clause for people: "reaches Consul itself". */
const char *failsafe_verdict_text(enum failsafe_verdict verdict);
