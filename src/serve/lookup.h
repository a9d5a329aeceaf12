/* From a question to the records of its reply: RFC 1034 section 4.3.2 and its amendments. */
#pragma once

#include "lictor/reply.h"

/* May this zone be answered from, now? */
struct permit {
    enum dns_rcode rcode; /* NOERROR: yes */
    enum answer_reason reason;
    bool stale;
    bool gated;
    struct reply_note note;
};
void permit_check(struct permit *permit, const struct answer_env *env, const struct zone *zone);
/* Narrows the permit of a zone for what comes from one of its origins (zone.h). False: it must not be
 * answered; rcode, reason and note say so. */
bool permit_origin(struct permit *permit, const struct answer_env *env, struct zone_origin *origin);

/* The zone that answers for a name: the longest apex, but the parent's for DS at an apex (RFC 4035 section
 * 3.1.4.1), if that is ours too. */
const struct zone *lookup_zone(const struct snapshot *snapshot, const uint8_t *lower_name, uint16_t type);

/* Writes answer, authority and additional section. permit: that of zone; it is widened by zones that a CNAME
 * leads to. Returns the rcode. */
enum dns_rcode lookup(const struct answer_env *env, const struct query *query, const struct zone *zone,
                      struct permit *permit, struct reply *reply);
