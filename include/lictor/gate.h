/* The gate: three rights, read by everybody, written by main alone.
 *
 * Acting (committing, NOTIFY, effects) is allowed until `act_until`, asking nobody. Holding what needs no
 * Consul (addresses, `strict` answering) goes on until `hold_until`, by consent of all other members
 * (failsafe.h). Answering for authoritative zones follows `standby` (refuse, strict, serve). Times are
 * CLOCK_BOOTTIME.
 * Each change is a line of the log at level debug ("gate: changed between ..."), in ns of CLOCK_BOOTTIME: the
 * lines of all instances on one kernel decide whether two could act at once (tests/chaos does).
 * The fields are independent atomics: every order of seeing two of them is safe, because closing writes
 * act_until first and opening writes it last. */
#pragma once

#include "lictor/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum gate_mode { GATE_REFUSE, GATE_STRICT, GATE_SERVE };

enum gate_verdict {
    GATE_ANSWER,    /* answer from committed data */
    GATE_NOT_READY, /* SERVFAIL, EDE 14: not known yet who is primary */
    GATE_OTHER,     /* REFUSED, EDE 20: another instance is primary */
};

struct gate {
    _Atomic nstime act_until;    /* the lease deadline; 0: may not act; NS_NEVER: no election configured */
    _Atomic nstime hold_until;   /* failsafe: the end of consent; 0: none. Acting includes holding */
    _Atomic nstime refuse_until; /* `refuse`: the last consistent read showed another holder; start + lease */
    _Atomic nstime
        ready_from;         /* before it authoritative zones answer nothing; NS_NEVER until the first read */
    _Atomic uint64_t epoch; /* of the present or last reign of this instance; 0: none */
    _Atomic int mode;       /* enum gate_mode */
};

/* May this instance act at `now`? Any thread. */
static inline bool gate_may_act(const struct gate *gate, nstime now)
{
    return now < atomic_load_explicit(&gate->act_until, memory_order_acquire);
}

/* May this instance hold what needs no Consul at `now`? Any thread. */
static inline bool gate_may_hold(const struct gate *gate, nstime now)
{
    return gate_may_act(gate, now) || now < atomic_load_explicit(&gate->hold_until, memory_order_acquire);
}

/* May this instance answer for authoritative zones at `now`? Workers, before a batch and again before
 * sending. */
static inline enum gate_verdict gate_verdict(const struct gate *gate, nstime now)
{
    if (gate_may_act(gate, now))
        return GATE_ANSWER;
    if (now < atomic_load_explicit(&gate->ready_from, memory_order_acquire))
        return GATE_NOT_READY;
    switch (atomic_load_explicit(&gate->mode, memory_order_relaxed)) {
    case GATE_STRICT: /* consent keeps every other instance from acting, and so from answering */
        return gate_may_hold(gate, now) ? GATE_ANSWER : GATE_OTHER;
    case GATE_REFUSE:
        return now < atomic_load_explicit(&gate->refuse_until, memory_order_acquire) ? GATE_OTHER
                                                                                     : GATE_ANSWER;
    default:
        return GATE_ANSWER;
    }
}
