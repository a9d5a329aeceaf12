/* Rules that a test build can leave out, to prove that the simulator (tests/sim) notices, or chaos
 * (tests/chaos). In every other build MUTATED is false, and nothing of this is compiled. */
#pragma once

enum election_mutation {
    MUTATION_NONE,
    MUTATION_NO_WAIT_OUT,          /* acts as soon as it holds the lock */
    MUTATION_DEADLINE_FROM_REPLY,  /* the lease counts from when the answer came */
    MUTATION_WAIT_FROM_READ,       /* the wait-out counts from the read before the acquire, however old */
    MUTATION_MARKER_FROM_ANYONE,   /* any clean marker spares anybody the wait-out */
    MUTATION_MARKER_IN_WAIT_OUT,   /* hands over, marked, before it may act; and is believed */
    MUTATION_REOPEN_UNRESOLVED,    /* acts again although its hand-over may still come */
    MUTATION_OWN_LEASE_ONLY,       /* waits for its own lease, however long others' are */
    MUTATION_RESUME_AFTER_SILENCE, /* goes on in the old reign, however long it heard nothing */
    MUTATION_OPEN_ON_OLD_NEWS,     /* a confirmation from before the end of the wait opens */
    MUTATION_EPOCH_FROM_READ,      /* the epoch goes by an index that may be a restored one */
    MUTATION_ELECTION_END,
};

#if defined LICTOR_MUTATIONS /* any, chosen at run time */
extern _Thread_local unsigned election_mutation;
#define MUTATED(rule) (election_mutation == MUTATION_##rule)
#elif defined LICTOR_MUTATION /* this one, in the whole program */
#define MUTATED(rule) (LICTOR_MUTATION == MUTATION_##rule)
#else
#define MUTATED(rule) false
#endif
