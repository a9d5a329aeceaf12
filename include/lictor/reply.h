/* A reply being written: sections in order, never beyond the limit. */
#pragma once

#include "lictor/answer.h"
#include "lictor/query.h"

struct reply {
    uint8_t *out;
    size_t pos;
    size_t limit; /* for records: what the OPT will need is set aside */
    size_t max;   /* for all */
    unsigned answers, authority, additional;
    bool authoritative;
    bool truncated;
    bool scoped;     /* the answer is for the client's subnet alone (RFC 7871), not for all */
    bool cap_ttl;    /* records from a stale view live 5 s at most */
    bool signatures; /* of a signed zone, to who understands them (RFC 4035 section 3.1) */
    bool expire;     /* the OPT says for how long the zone may be served without news of it (RFC 7314) */
    uint32_t expire_seconds;
};

#define REPLY_STALE_TTL 5 /* seconds */

/* What the OPT says beside the sizes. */
struct reply_note {
    int ede; /* DNS_EDE_NONE: nothing */
    char text[256];
    size_t text_len;
};
void reply_note(struct reply_note *note, int ede, const char *text);
/* "<before><seconds> s<after>" */
void reply_note_seconds(struct reply_note *note, int ede, const char *before, uint64_t seconds,
                        const char *after);

/* What a reply is about to be. */
struct outcome {
    uint16_t rcode; /* extended */
    enum answer_reason reason;
    struct reply_note note;
};
void outcome_set(struct outcome *outcome, uint16_t rcode, enum answer_reason reason, int ede,
                 const char *text);

/* Appends a window of piece whose owner name stands, uncompressed, at out[owner_at] (below 0x4000), counting
 * records in *section. most: at most so many records; 0: all that an answer takes. Returns whether all of it
 * fitted. */
bool reply_rrset(struct reply *reply, unsigned *section, const struct piece *piece, struct rng *rng,
                 size_t owner_at, uint32_t most, struct piece_window *window);
/* Appends the signatures of owner's RRset of that type, with its TTL, if reply->signatures. Returns whether
 * all of them fitted. */
bool reply_signatures(struct reply *reply, unsigned *section, const struct zone_owner *owner, uint16_t type,
                      uint32_t ttl, size_t owner_at);
/* Appends one record. Returns whether it fitted. */
bool reply_record(struct reply *reply, unsigned *section, size_t owner_at, uint16_t type, uint16_t class,
                  uint32_t ttl, const uint8_t *rdata, size_t rdata_len);
/* Records written at out[from..pos), each with a pointer as its owner: lowers their TTLs to at most ttl. */
void reply_lower_ttl(struct reply *reply, size_t from, uint32_t ttl);

/* Octets that an OPT with these options takes; as many of them as fit beside a question of that length. */
size_t reply_opt_len(const struct query *query, const struct reply_note *note, const char *nsid, size_t max);
/* Sets the limit for records so that there will be room for the OPT. */
void reply_set_aside(struct reply *reply, const struct query *query, const struct reply_note *note,
                     const char *nsid);
/* Appends the OPT, with the options that there is room for. */
void reply_opt(struct reply *reply, const struct query *query, uint16_t rcode, const struct reply_note *note,
               const char *nsid, uint16_t udp_max);
