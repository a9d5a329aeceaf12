/* How many descriptors there are, and how many of them clients may hold. */
#pragma once

#include "lictor/config.h"

/* Raises the soft limit of open files as far as needed, and says how many TCP clients a worker may have then:
 * what is open for Consul, the disk and the operator must never wait for them. In the daemon, after the
 * runner was forked: actions keep the limit that we were started with. */
unsigned limits_tcp_clients(const struct config *config);
