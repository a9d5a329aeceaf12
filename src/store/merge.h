/* Putting changes from elsewhere into a zone that has changed meanwhile. Pure; builder thread. */
#pragma once

#include "lictor/difference.h"
#include "lictor/store.h"
#include "lictor/strmap.h"

/* What is different between the file imported last (NULL: none, then it is taken whole) and the new one,
 * applied to the current zone. An RRset that both changed, and not to the same, is a conflict: with
 * STORE_IMPORT_MERGE it is named and nothing is done; with STORE_IMPORT_OURS the current one stays; with
 * STORE_IMPORT_REPLACE the file's wins throughout, and what is only in the current zone goes. The SOA is the
 * file's, its serial the caller's to set. Returns 0, or -1 with err: the edit (of `current`) must then be
 * aborted. */
int merge_file(struct zone_edit *edit, const struct zone *current, const struct zone *last,
               const struct zone *file, enum store_import_mode mode, struct err *err);

/* Back to target, an older version than `began`, in a zone that may have changed since it was at `began`:
 * what changed meanwhile stays, and is a conflict where it is about the same RRset. As merge_file. */
int merge_back(struct zone_edit *edit, const struct zone *current, const struct zone *began,
               const struct zone *target, const struct strmap *apart, struct err *err);
/* Adds the RRsets that a difference touches, but for the SOA. */
void merge_set_apart(struct strmap *apart, const struct difference *difference);

/* As much of a difference as can be: what is to be removed goes where it is there, what is to be added comes
 * where it is not; of two TTLs the added one. A change that would set a CNAME beside other data is left out,
 * and named in err (the first). The SOA stays as it is. Returns how many RRsets were left out. */
size_t merge_leniently(struct zone_edit *edit, const struct difference *difference, struct err *err);

/* Sets the SOA's serial. The edit has a SOA. */
void merge_set_serial(struct zone_edit *edit, const uint8_t *apex, uint32_t serial);
