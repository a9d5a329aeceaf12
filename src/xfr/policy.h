/* Who may transfer which zone, by address and by key. */
#pragma once

#include "lictor/transfer.h"
#include "lictor/tsig.h"

/* The key of this name (lower case), or NULL. */
const struct tsig_key *policy_key(const struct transfer_policy *policy, const uint8_t *name);
/* Does an entry of the zone's `transfer` match: the client's address, or the key (NULL: none) that its
 * request was rightly signed with? */
bool policy_allows(const struct transfer_policy *policy, const uint8_t *apex,
                   const struct sockaddr_storage *client, const struct tsig_key *key);
