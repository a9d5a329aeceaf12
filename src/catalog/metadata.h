/* Consul's metadata as TXT records. Private to catalog/. */
#pragma once

#include "lictor/buf.h"

/* Appends the RDATA of one TXT record for a pair, as Consul writes it: `key=value` after RFC 1464, where a
 * backquote quotes (itself in both; in the key also `=` and spaces at its ends); the value alone for keys
 * that begin with `rfc1035-`. Longer than 255 octets: several character-strings, which belong together (RFC
 * 1035 section 3.3.14). */
void metadata_rdata(const char *key, const char *value, struct buf *rdata);
