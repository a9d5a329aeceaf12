/* The instances that make up one set of answers, on their way to its RRsets. Private to catalog/. */
#pragma once

#include "rrset.h"
#include "service.h"

struct rendering {
    struct catalog *catalog;
    const struct service *service; /* whose names they are */
    const struct service *source;  /* whose instances: itself, or its namesake in another datacenter */
    struct strmap *known;          /* digest -> piece, of before and of now */
    struct records records;
    uint32_t ttl, node_ttl;
    uint32_t *members; /* instances of the source */
    size_t count;
};

/* Fills the set's slots from the members, and sets ttl. May reorder them. */
void members_render(struct rendering *r, struct answer_set *set);
/* A name that exists without addresses; there are no members afterwards. */
void members_render_nodata(struct rendering *r, struct answer_set *set);
