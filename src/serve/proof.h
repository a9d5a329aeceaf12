/* Signed zones (RFC 4035 section 3.1, RFC 5155 section 7.2): what proves that what a reply says is so. Each
 * of these writes to the authority section, nothing if reply->signatures is not set, each RRset once, and
 * makes the reply truncated if there is no room. */
#pragma once

#include "chain.h"

/* No data, or no name: what search found (not an overlay's). */
void prove_negative(struct chain *chain, const struct zone_found *found);
/* That wildcards answered where nothing was closer. Before anything is added to the additional section. */
void prove_expansions(struct chain *chain);
/* Of a zone cut: DS, or that there is none. */
void prove_delegation(struct chain *chain, const struct zone_found *found);
