/* Records, as they come from a zone file, grouped to RRsets and made a zone. */
#pragma once

#include "lictor/buf.h"
#include "lictor/zone.h"

struct collection;

struct collection *collection_new(const uint8_t *apex);
void collection_free(struct collection *collection);
/* owner: lower-case. file is kept, not copied. */
void collection_add(struct collection *collection, const uint8_t *owner, uint16_t type, uint32_t ttl,
                    const uint8_t *rdata, size_t len, const char *file, int line);
/* Returns the zone, or NULL with err (`file:line: ...`). Nothing can be added afterwards. */
struct zone *collection_build(struct collection *collection, enum zone_kind kind, struct zone_state *state,
                              struct err *err);

/* Finds the last record of a lower-case owner. Returns false if it has none. */
bool collection_where(const struct collection *collection, const uint8_t *owner, const char **file,
                      int *line);
