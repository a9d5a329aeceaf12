/* Many DNS queries at once, each on a socket of its own. Main thread. */
#pragma once

#include "facts.h"

struct probes;
struct event_base;

/* Asks them all; done(arg) comes once, later, when each is answered or given up: UDP after three tries, and
 * all within `limit`. `list` is written to until then. */
struct probes *probes_start(struct event_base *base, struct probe *list, size_t count, nstime limit,
                            void (*done)(void *arg), void *arg);
/* No callback follows; NULL is allowed. Also from within the callback. */
void probes_free(struct probes *probes);
