/* SipHash-2-4 (Aumasson and Bernstein): a keyed hash, so that whoever chooses names cannot choose collisions.
 * The same on every host: zone hashes go from one to another. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const void *data, size_t len, const uint64_t key[2]);
