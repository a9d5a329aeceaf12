/* The RRsets of a record. Private to record/. Builder. */
#pragma once

#include "lictor/record.h"
#include "lictor/zone.h"

struct record_rrset {
    uint8_t owner[NAME_MAX_WIRE];
    struct piece *piece;
};

struct record_set {
    struct record_rrset *items;
    size_t count;
};

/* Whose data stands for a name that fails: numbers of the zone's origins (permit.c knows them by their empty
 * label). */
#define RECORD_ORIGIN_DOWN    1
#define RECORD_ORIGIN_UNKNOWN 2
struct zone_origins *record_origins(void);

/* Of targets: A and AAAA, or SRV and the addresses of its targets, which stand below the record's name. */
void render_targets(const struct config_record *config, const struct record_target *targets, size_t count,
                    uint32_t ttl, struct record_set *out);
/* A TXT record that says why there is no other: with it the name exists, and the rest is NODATA. origin: of
 * those above, then the name fails instead; 0: none. */
void render_text(const struct config_record *config, const char *text, uint32_t ttl, uint8_t origin,
                 struct record_set *out);
void record_set_free(struct record_set *set);
bool record_set_equal(const struct record_set *a, const struct record_set *b);

/* Puts the set in the place of what is there of the record. A TXT goes in only where the name has nothing
 * else that would be lost behind it. */
void render_apply(const struct config_record *config, const struct record_set *set, struct zone_edit *edit);
/* Is exactly this in the zone, order and weights apart? */
bool render_is_in(const struct config_record *config, const struct record_set *set, const struct zone *zone);
/* Has the zone anything of the record? */
bool render_has(const struct config_record *config, const struct zone *zone);
/* Calls visit for each RRset of the record in the zone. */
void render_each(const struct config_record *config, const struct zone *zone,
                 void (*visit)(void *arg, const uint8_t *owner, const struct piece *piece), void *arg);
