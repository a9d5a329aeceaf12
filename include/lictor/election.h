/* The election: a state machine that is a plain function of (state, event, time). No I/O, no clock, no
 * allocation: the daemon, the unit tables and the simulator run this same code. Times are CLOCK_BOOTTIME ns.
 * Rules: one primary by lease, wait-out and fencing. */
#pragma once

#include "lictor/clock.h"

#include <stdbool.h>
#include <stdint.h>

/* The module's author defines: struct election (state), enum election_state, struct election_event, struct
 * election_output (what to do: create session, acquire, confirm, read, release, hand over, open or close the
 * gate until T, arm a timer...). */
