#include "publisher.h"

#include "lictor/rcu.h"

static void publish(struct publisher *publisher, struct snapshot *next)
{
    publisher->current = next;
    snapshot_publish(publisher->slot, next);
}

void publisher_init(struct publisher *publisher, struct snapshot_slot *slot, const struct snapshot_text *text)
{
    publisher->slot = slot;
    publish(publisher, snapshot_new(NULL, 0, text));
}

/* What secondaries are to be told of, as it stands in a snapshot. */
static const struct zone *version_of(const struct publisher *publisher, const uint8_t *apex)
{
    const struct zone *zone = snapshot_get(publisher->current, apex);
    const struct zone *version = zone && zone_kind(zone) != ZONE_INSPECT ? zone_transfer(zone) : NULL;
    return version && zone_soa(version) ? version : NULL;
}

static void tell(struct publisher *publisher, const uint8_t *apex, bool had, uint32_t serial)
{
    const struct zone *version = version_of(publisher, apex);
    if (publisher->served && (had != (version != NULL) || (version && zone_serial(version) != serial)))
        publisher->served(publisher->served_arg, apex, version);
}

void publisher_put(struct publisher *publisher, struct zone *zone)
{
    const struct zone *before = version_of(publisher, zone_apex(zone));
    bool had = before != NULL;
    uint32_t serial = had ? zone_serial(before) : 0;
    publish(publisher, snapshot_with_zone(publisher->current, zone));
    tell(publisher, zone_apex(zone), had, serial);
    zone_unref(zone);
}

void publisher_remove(struct publisher *publisher, const uint8_t *apex)
{
    const struct zone *before = version_of(publisher, apex);
    bool had = before != NULL;
    if (!snapshot_get(publisher->current, apex))
        return;
    publish(publisher, snapshot_without_zone(publisher->current, apex));
    tell(publisher, apex, had, 0);
}

void publisher_set_text(struct publisher *publisher, const struct snapshot_text *text)
{
    publish(publisher, snapshot_with_text(publisher->current, text));
}

void publisher_finish(struct publisher *publisher)
{
    publish(publisher, NULL);
    rcu_barrier();
}
