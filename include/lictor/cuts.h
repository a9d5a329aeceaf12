/* Transfer versions of zones that change all the time (`consul.` and its reverse zones).
 *
 * Answers follow the health view at once. Secondaries need versions with serials: at most once a second one
 * is cut from what is there, and the SOA (in answers too), AXFR, IXFR and NOTIFY speak of that version only.
 * So a record may be in an answer a second before the serial says so, never the other way round for longer.
 *
 * Which serials may be used is serials.h's business, on main. Here is the builder's part; all functions are
 * the builder's. */
#pragma once

#include "lictor/zone.h"

struct cuts;

typedef void cuts_publish_fn(void *arg, struct zone *zone); /* takes the reference over */

struct cuts *cuts_new(void);
/* When nothing of it is published any more. NULL is allowed. */
void cuts_free(struct cuts *cuts);

/* A new state of a zone, as the catalog made it. Returns what to publish in its place: the same, but with the
 * SOA of its present version, and that version for transfers. Takes the reference over; gives one. The
 * catalog's own serial tells whether anything but the order of answers changed. */
struct zone *cuts_dress(struct cuts *cuts, struct zone *zone);
/* The zone is not served any more. */
void cuts_remove(struct cuts *cuts, const uint8_t *apex);

/* No SOA may show a serial below this one: that at which the present primary's reign began. Publishes the
 * zones that showed one. */
void cuts_floor(struct cuts *cuts, uint32_t serial, cuts_publish_fn *publish, void *arg);

/* Is there a zone that has changed since it was cut, or has no version of the serial that it shows? */
bool cuts_pending(const struct cuts *cuts);
/* Cuts those zones with this serial and publishes them; one whose changes came and went again is left alone.
 * Returns how many were cut. */
size_t cuts_cut(struct cuts *cuts, uint32_t serial, cuts_publish_fn *publish, void *arg);
