#include "targets.h"

#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/strmap.h"
#include "lictor/xalloc.h"

#include <stdint.h>
#include <stdlib.h>

/* Each computed name in use, with the number of SRV records that point at it. */
struct targets {
    struct strmap *uses;
};

struct targets *targets_new(void)
{
    struct targets *targets = xmalloc(sizeof *targets);
    targets->uses = strmap_new();
    return targets;
}

void targets_free(struct targets *targets)
{
    if (!targets)
        return;
    strmap_free(targets->uses, NULL);
    free(targets);
}

/* The target of a record, in lower case. Returns its length, or 0 if it has none within the zone. */
static size_t target_of(const struct zone *zone, uint16_t type, const struct rdata *rdata,
                        uint8_t out[NAME_MAX_WIRE])
{
    if (type != DNS_SRV)
        return 0;
    size_t len = name_lower(rdata->data + dns_rdata_target(type), out);
    return name_is_under(out, zone_apex(zone)) ? len : 0;
}

/* Puts in what the zone computes for a name that it does not hold. */
static void put(const struct zone *zone, const uint8_t *name, struct zone_edit *edit)
{
    struct zone_computed computed;
    struct err err;
    if (zone_get(zone, name, DNS_A) || zone_get(zone, name, DNS_AAAA) ||
        zone_miss(zone, name, &computed) != 1 || (computed.type != DNS_A && computed.type != DNS_AAAA))
        return;
    struct rdata rdata = {.data = computed.data, .len = computed.len};
    struct piece *piece = piece_new(
        &(struct piece_spec){.type = computed.type, .ttl = computed.ttl, .rdata = &rdata, .count = 1}, &err);
    if (!piece || zone_edit_put(edit, name, piece, &err))
        log_error("transfer version: %s", err.text);
    if (piece)
        piece_unref(piece);
}

static void use(struct targets *targets, const struct zone *zone, const uint8_t *name, size_t len,
                struct zone_edit *edit)
{
    uintptr_t before = (uintptr_t)strmap_get(targets->uses, name, len);
    strmap_put(targets->uses, name, len, (void *)(before + 1));
    if (before == 0)
        put(zone, name, edit);
}

static void leave(struct targets *targets, const struct zone *zone, const uint8_t *name, size_t len,
                  struct zone_edit *edit)
{
    uintptr_t before = (uintptr_t)strmap_get(targets->uses, name, len);
    if (before > 1) {
        strmap_put(targets->uses, name, len, (void *)(before - 1));
        return;
    }
    strmap_remove(targets->uses, name, len);
    for (int i = 0; i < 2; i++) {
        uint16_t type = i ? DNS_AAAA : DNS_A;
        if (!zone_get(zone, name, type)) /* else it is the zone's own now */
            zone_edit_remove(edit, name, type);
    }
}

struct filling {
    struct targets *targets;
    const struct zone *zone;
    struct zone_edit *edit;
};

static int fill(void *arg, const uint8_t *owner, const struct piece *piece)
{
    struct filling *filling = arg;
    uint8_t name[NAME_MAX_WIRE];
    (void)owner;
    for (uint32_t i = 0; piece_type(piece) == DNS_SRV && i < piece_count(piece); i++) {
        struct rdata rdata = piece_rdata(piece, i);
        size_t len = target_of(filling->zone, DNS_SRV, &rdata, name);
        if (len)
            use(filling->targets, filling->zone, name, len, filling->edit);
    }
    return 0;
}

void targets_fill(struct targets *targets, const struct zone *zone, struct zone_edit *edit)
{
    struct filling filling = {targets, zone, edit};
    zone_walk(zone, fill, &filling);
}

void targets_follow(struct targets *targets, const struct zone *zone, const struct difference *difference,
                    struct zone_edit *edit)
{
    for (int side = DIFFERENCE_REMOVED; side <= DIFFERENCE_ADDED; side++)
        for (size_t i = 0; i < difference_count(difference, (enum difference_side)side); i++) {
            struct difference_record record = difference_record(difference, (enum difference_side)side, i);
            uint8_t name[NAME_MAX_WIRE];
            size_t len = target_of(zone, record.type, &record.rdata, name);
            if (len && side == DIFFERENCE_REMOVED)
                leave(targets, zone, name, len, edit);
            else if (len)
                use(targets, zone, name, len, edit);
        }
}
