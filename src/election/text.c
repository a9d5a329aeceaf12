/* States and reasons in words, for logs, `lictor why` and status. */
#include "internal.h"

const char *election_state_text(enum election_state state)
{
    static const char *const texts[ELECTION_STATES] = {
        [ELECTION_STARTING] = "starting",
        [ELECTION_FOLLOWING] = "standby",
        [ELECTION_ACQUIRING] = "acquiring",
        [ELECTION_WAITING_OUT] = "waiting-out",
        [ELECTION_PRIMARY] = "primary",
        [ELECTION_PAUSED] = "paused",
        [ELECTION_QUIESCING] = "handing-over",
        [ELECTION_RELEASING] = "handing-over",
        [ELECTION_RESOLVING] = "handover-unknown",
        [ELECTION_STOPPED] = "stopped",
    };
    return texts[state];
}

const char *election_reason_text(enum election_reason reason)
{
    static const char *const texts[ELECTION_REASONS] = {
        [ELECTION_WHY_STARTING] = "starting: there is no session yet",
        [ELECTION_WHY_OTHER_HOLDS] = "another instance holds the lock",
        [ELECTION_WHY_FREE] = "the lock is free",
        [ELECTION_WHY_NOT_CANDIDATE] = "the lock is free, but this instance is not a candidate",
        [ELECTION_WHY_NOT_READY] = "the lock is free, but this instance is not ready",
        [ELECTION_WHY_OPERATOR_PAUSE] = "the lock is free, but the operator paused elections",
        [ELECTION_WHY_ACQUIRING] = "the lock is free: acquiring it",
        [ELECTION_WHY_LOST_RACE] = "another instance was faster",
        [ELECTION_WHY_ACQUIRE_UNKNOWN] = "no answer to the acquire: reading the lock",
        [ELECTION_WHY_WAITING_OUT] = "holds the lock; the last holder's lease may still run",
        [ELECTION_WHY_HANDED_TO_US] = "the lock was given to this instance",
        [ELECTION_WHY_WAITED_OUT] = "the last holder's lease is over",
        [ELECTION_WHY_MARKER] = "the last holder released cleanly",
        [ELECTION_WHY_RESUMED] = "the lock is still ours: confirmed again",
        [ELECTION_WHY_REOPENED] = "the hand-over did not happen: confirmed again",
        [ELECTION_WHY_LEASE_RAN_OUT] = "the lease ran out: no confirmation from Consul came in time",
        [ELECTION_WHY_CLOCK_STEPPED] = "the wall clock stepped: the lease needs a new confirmation",
        [ELECTION_WHY_LOST_TO_OTHER] = "another session holds the lock",
        [ELECTION_WHY_LOST_FREE] = "the lock was released from outside, or its session ended",
        [ELECTION_WHY_KEY_MISSING] = "the lock's key was deleted",
        [ELECTION_WHY_KEY_RECREATED] = "the lock's key was deleted and made anew",
        [ELECTION_WHY_SESSION_LOST] = "Consul ended the session",
        [ELECTION_WHY_TAMPERED] =
            "the lock was taken away while our session lives: somebody wrote, released or deleted the key",
        [ELECTION_WHY_VALUE_OVERWRITTEN] = "somebody overwrote the lock's value: writing it again",
        [ELECTION_WHY_REGAINED] = "the lock was lost and given back between two reads",
        [ELECTION_WHY_HANDING_OVER] = "handing over",
        [ELECTION_WHY_HANDED_OVER] = "handed over",
        [ELECTION_WHY_RELEASED] = "released the lock",
        [ELECTION_WHY_HANDOVER_REFUSED] = "Consul refused the hand-over: nothing happened",
        [ELECTION_WHY_HANDOVER_UNKNOWN] = "no answer to the hand-over: staying closed and reading the lock",
        [ELECTION_WHY_NOT_PRIMARY] = "this instance is not primary now",
        [ELECTION_WHY_STOPPED] = "stopped",
        [ELECTION_WHY_ABORTED] = "aborted",
        [ELECTION_WHY_UNFIT] = "the lock was given to an instance that does not stand: giving it back",
    };
    return texts[reason];
}
