/* How long main's loop is away. No turn may take more than 20 ms: the session's check is beaten from it, and
 * what blocks it delays the lease. Two measures, since libevent 2.1 shows no turn's beginning: the CPU time a
 * turn took (exact, and not fooled by a busy host), and how late a timer fired (which also sees turns that
 * sleep in a system call). */
#pragma once

#include "lictor/clock.h"

struct event_base;
struct turns;

struct turns *turns_new(struct event_base *base);
void turns_free(struct turns *turns);
/* Runs the loop until event_base_loopbreak or loopexit. */
void turns_run(struct turns *turns);
nstime turns_longest(const struct turns *turns);
nstime turns_lateness(const struct turns *turns);
