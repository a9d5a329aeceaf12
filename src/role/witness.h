/* A witness of another process's life: keeps a TCP connection to where it answers DNS, and says so when the
 * process is provably gone: its port refuses while its host answers (the refusal *is* the host's answer). The
 * runner closes its copies of the sockets, so nothing but the daemon accepts there. Main thread. */
#pragma once

#include "lictor/clock.h"

#include <event2/event.h>
#include <stdbool.h>
#include <sys/socket.h>

/* Two refusals this far apart: a daemon that is just being restarted by its service manager may be back. */
#define WITNESS_AGAIN (50 * NS_PER_MS)

/* What was seen, and what it proves. Pure.
 *
 * A refusal proves nothing where nobody was ever seen accepting: the process may listen elsewhere than it
 * advertises. Nor does silence, or an unreachable host. An answer over UDP is a sign of life, whatever
 * refuses TCP: a firewall's REJECT does. */
enum sighting { SIGHTING_ACCEPTED, SIGHTING_REFUSED, SIGHTING_ANSWERED, SIGHTING_NOTHING };

struct testimony {
    bool seen;            /* accepting */
    nstime first_refusal; /* 0: none since the last sign of life */
};

/* True if the process is gone. */
bool testimony_add(struct testimony *testimony, enum sighting sighting, nstime now);

struct witness;

/* dead is called at most once; the witness may be freed within it. */
struct witness *witness_new(struct event_base *base, const struct sockaddr_storage *address,
                            void (*dead)(void *arg), void *arg);
/* Is there a connection? */
bool witness_connected(const struct witness *witness);
void witness_free(struct witness *witness); /* NULL is allowed */
