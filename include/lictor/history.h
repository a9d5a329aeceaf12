/* The differences that led to a version of a zone, for secondaries that have an older one (IXFR). It hangs on
 * the version (zone_set_history), so whoever holds that holds these. Immutable and counted; made by the
 * builder, read by any thread. */
#pragma once

#include "lictor/difference.h"

struct history;

/* The history of a version, from that of the version before (NULL: none) and what changed since. Differences
 * leave it from the oldest on while they are more than HISTORY_DIFFERENCES_MAX or more than max_size octets
 * together; all of them do if the new one does not begin where they end. difference: a reference is taken.
 * Returns one reference. */
struct history *history_add(const struct history *before, struct difference *difference, size_t max_size);
#define HISTORY_DIFFERENCES_MAX 1000
/* What is kept for a zone of so many octets (about) together. */
size_t history_size_for(size_t records);

/* Gives `next` the history of the version before it, and what changed since. Nothing may be followed where
 * the serial did not rise (RFC 1982) although the content changed: then next begins without a history, and
 * -1 is returned. Builder thread; next is not published yet. */
int history_continue(const struct zone *before, struct zone *next);

struct history *history_ref(struct history *history);
void history_unref(struct history *history); /* NULL is allowed */

size_t history_count(const struct history *history);
/* Oldest first; each begins where the one before ended. */
const struct difference *history_difference(const struct history *history, size_t i);
/* The difference that begins with this serial; history_count() if there is none. */
size_t history_find(const struct history *history, uint32_t serial);
