/* Signed zones: what proves that something is not there (RFC 4035, RFC 5155). The zone's own records prove
 * it; here they are found. Workers, in a read section; nothing is allocated. A zone whose chain has gaps has
 * no such record at times: then the answer is given without it, and validators will not believe it. */
#pragma once

#include "lictor/zone.h"

/* Resolvers take more iterations for unsigned or for a failure, and each costs every negative answer three
 * digests (RFC 9276 section 3.2): zone_check refuses more. */
#define NSEC3_ITERATIONS_MAX 150

/* Is the apex signed? Then answers to questions with DO have signatures. */
bool zone_is_signed(const struct zone *zone);
/* Is there a chain of NSEC3 that is complete, as NSEC3PARAM says (RFC 5155 section 4)? */
bool zone_has_nsec3(const struct zone *zone);
const struct zone_owner *zone_apex_owner(const struct zone *zone); /* NULL: nothing is there */
/* What its signatures say about themselves, or "": those that have ended, or none is good for long (out, for
 * a log line). now: seconds since 1970. Cost: a walk over the zone. Not for the query path. */
const char *zone_signing_complaint(const struct zone *zone, int64_t now, char out[256]);
const uint8_t *zone_owner_name(const struct zone_owner *owner); /* lower-case wire form */

/* The owner of the NSEC that matches a lower-case name at or below the apex, or else covers it. NULL: none.
 */
const struct zone_owner *zone_nsec(const struct zone *zone, const uint8_t *lower_name, size_t len);
/* The same for the NSEC3 of its hash; *matches says which it is. */
const struct zone_owner *zone_nsec3(const struct zone *zone, const uint8_t *lower_name, size_t len,
                                    bool *matches);
