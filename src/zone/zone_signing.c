/* How long the signatures of a zone are good. */
#include "lictor/denial.h"

#include "lictor/dns.h"
#include "lictor/wire.h"
#include "zone_body.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* Of RDATA: type covered 2, algorithm 1, labels 1, original TTL 4, then these (RFC 4034 section 3.1). */
#define EXPIRATION 8
#define INCEPTION  12

struct signatures {
    int64_t now;
    int64_t first_end;             /* of those that are not over */
    uint64_t all, over, not_begun; /* how many */
    int64_t over_since;            /* the first end of those */
    char owner[NAME_MAX_TEXT];     /* whose that was */
};

/* RFC 4034 section 3.1.5: 32 bits of the time, near now. */
static int64_t near(int64_t now, uint32_t time)
{
    return now + (int32_t)(time - (uint32_t)now);
}

static int look(void *arg, const uint8_t *owner, const struct piece *piece)
{
    struct signatures *found = arg;
    for (uint32_t i = 0; piece_type(piece) == DNS_RRSIG && i < piece_count(piece); i++) {
        struct rdata rdata = piece_rdata(piece, i);
        int64_t end = near(found->now, get32(rdata.data + EXPIRATION));
        found->all++;
        found->not_begun += near(found->now, get32(rdata.data + INCEPTION)) > found->now;
        if (end >= found->now) {
            found->first_end = end < found->first_end ? end : found->first_end;
            continue;
        }
        if (!found->over++ || end < found->over_since) {
            found->over_since = end;
            name_to_text(owner, found->owner);
        }
    }
    return 0;
}

static const char *utc(int64_t seconds, char out[32])
{
    time_t time = (time_t)seconds;
    struct tm tm;
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&time, &tm));
    return out;
}

const char *zone_signing_complaint(const struct zone *zone, int64_t now, char out[256])
{
    struct signatures found = {.now = now, .first_end = INT64_MAX};
    char when[32];
    unsigned iterations = zone->nsec3param ? get16(zone->nsec3param + 2) : 0;
    out[0] = '\0';
    if (zone->is_signed)
        zone_walk(zone, look, &found);
    if (found.over)
        snprintf(
            out, 256,
            "%" PRIu64 " of %" PRIu64
            " signatures have expired, the first, at %.80s, on %s: validators refuse it; sign the zone anew",
            found.over, found.all, found.owner, utc(found.over_since, when));
    else if (found.not_begun)
        snprintf(out, 256, "%" PRIu64 " of %" PRIu64 " signatures are not valid yet: is a clock wrong?",
                 found.not_begun, found.all);
    else if (found.first_end < now + INT64_C(86400))
        snprintf(out, 256, "signatures expire from %s on; sign the zone anew before",
                 utc(found.first_end, when));
    else if (iterations)
        snprintf(out, 256, "NSEC3 with %u iterations, where RFC 9276 wants 0", iterations);
    return out;
}
