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

void publisher_put(struct publisher *publisher, struct zone *zone)
{
    publish(publisher, snapshot_with_zone(publisher->current, zone));
    zone_unref(zone);
}

void publisher_remove(struct publisher *publisher, const uint8_t *apex)
{
    if (snapshot_get(publisher->current, apex))
        publish(publisher, snapshot_without_zone(publisher->current, apex));
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
