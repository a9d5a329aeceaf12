/* Who may change what by UPDATE: of one configuration, immutable. */
#pragma once

#include "update_message.h"

#include "lictor/tsig.h"
#include "lictor/update.h"

#include <sys/socket.h>

/* The key of this name (lower case), or NULL. */
const struct tsig_key *update_policy_key(const struct update_policy *policy, const uint8_t *name);

/* May this client make these changes? address: the client's; key: that the message was rightly signed with,
 * or NULL. Returns NOERROR; or NOTAUTH (not the apex of a zone of ours) or REFUSED, with err for the client
 * and ede. What the zone's content says (signed zones) is judged with it. */
enum dns_rcode update_policy_admit(const struct update_policy *policy, const struct sockaddr_storage *address,
                                   const struct tsig_key *key, const struct update *update, int *ede,
                                   struct err *err);

/* Does the pattern, in which a label `*` stands for one or more labels, match the name? Both lower case. */
bool update_pattern_matches(const uint8_t *pattern, const uint8_t *name);
