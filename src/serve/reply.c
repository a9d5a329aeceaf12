/* Writing replies. */
#include "lictor/reply.h"

#include <string.h>

#define OPT_LEN     11
#define OPTION_HEAD 4
#define EXPIRE_LEN  8

/* --- notes ------------------------------------------------------------------------------------------ */

static void note_add(struct reply_note *note, const char *text)
{
    while (*text && note->text_len < sizeof note->text)
        note->text[note->text_len++] = *text++;
}

void reply_note(struct reply_note *note, int ede, const char *text)
{
    note->ede = ede;
    note->text_len = 0;
    note_add(note, text);
}

void reply_note_seconds(struct reply_note *note, int ede, const char *before, uint64_t seconds,
                        const char *after)
{
    char digits[24], *at = digits + sizeof digits - 1;
    *at = 0;
    do
        *--at = (char)('0' + seconds % 10);
    while (seconds /= 10);
    reply_note(note, ede, before);
    note_add(note, at);
    note_add(note, " s");
    note_add(note, after);
}

void outcome_set(struct outcome *outcome, uint16_t rcode, enum answer_reason reason, int ede,
                 const char *text)
{
    outcome->rcode = rcode;
    outcome->reason = reason;
    reply_note(&outcome->note, ede, text);
}

/* --- records ---------------------------------------------------------------------------------------- */

bool reply_rrset(struct reply *reply, unsigned *section, const struct piece *piece, struct rng *rng,
                 size_t owner_at, uint32_t most, struct piece_window *window)
{
    uint8_t *start = reply->out + reply->pos;
    piece_copy(piece, rng, most, start, reply->limit - reply->pos, window);
    *section += window->count;
    size_t from = reply->pos;
    reply->pos += window->len;
    if (owner_at != DNS_HEADER_LEN)
        for (uint8_t *at = start, *end = start + window->len; at < end; at += 12 + (size_t)get16(at + 10))
            put16(at, 0xc000u | (unsigned)owner_at);
    if (reply->cap_ttl)
        reply_lower_ttl(reply, from, REPLY_STALE_TTL);
    return window->count == window->want;
}

bool reply_record(struct reply *reply, unsigned *section, size_t owner_at, uint16_t type, uint16_t class,
                  uint32_t ttl, const uint8_t *rdata, size_t rdata_len)
{
    uint8_t *at = reply->out + reply->pos;
    if (reply->pos + 12 + rdata_len > reply->limit)
        return false;
    put16(at, 0xc000u | (unsigned)owner_at);
    put16(at + 2, type);
    put16(at + 4, class);
    put32(at + 6, reply->cap_ttl && ttl > REPLY_STALE_TTL ? REPLY_STALE_TTL : ttl);
    put16(at + 10, (unsigned)rdata_len);
    memcpy(at + 12, rdata, rdata_len);
    reply->pos += 12 + rdata_len;
    ++*section;
    return true;
}

bool reply_signatures(struct reply *reply, unsigned *section, const struct zone_owner *owner, uint16_t type,
                      uint32_t ttl, size_t owner_at)
{
    const struct piece *signatures = reply->signatures ? zone_owner_get(owner, DNS_RRSIG) : NULL;
    for (uint32_t i = 0; signatures && i < piece_count(signatures); i++) {
        struct rdata rdata = piece_rdata(signatures, i);
        if (get16(rdata.data) == type &&
            !reply_record(reply, section, owner_at, DNS_RRSIG, DNS_IN, ttl, rdata.data, rdata.len))
            return false;
    }
    return true;
}

void reply_lower_ttl(struct reply *reply, size_t from, uint32_t ttl)
{
    while (from < reply->pos) {
        uint8_t *at = reply->out + from;
        if (get32(at + 6) > ttl)
            put32(at + 6, ttl);
        from += 12 + (size_t)get16(at + 10);
    }
}

/* --- EDNS (RFC 6891) -------------------------------------------------------------------------------- */

static size_t nsid_len(const struct query *query, const char *nsid)
{
    if (!query->nsid || !nsid)
        return 0;
    size_t len = strlen(nsid);
    return OPTION_HEAD + (len > 255 ? 255 : len);
}

static size_t note_len(const struct reply_note *note)
{
    return note->ede == DNS_EDE_NONE ? 0 : OPTION_HEAD + 2 + note->text_len;
}

/* RFC 7871 section 7.2.1: the subnet that was told is told back, with how much of it mattered. */
static size_t subnet_len(const struct query *query)
{
    return query->subnet.family ? OPTION_HEAD + 4 + (query->subnet.prefix + 7u) / 8 : 0;
}

static void put_subnet(uint8_t *at, const struct query *query, bool scoped)
{
    size_t len = subnet_len(query);
    put16(at, DNS_EDNS_ECS);
    put16(at + 2, (unsigned)(len - OPTION_HEAD));
    put16(at + 4, query->subnet.family);
    at[6] = query->subnet.prefix;
    at[7] = scoped ? query->subnet.prefix : 0;
    memcpy(at + 8, query->subnet.ip, len - OPTION_HEAD - 4);
}

size_t reply_opt_len(const struct query *query, const struct reply_note *note, const char *nsid, size_t max)
{
    if (!query->edns)
        return 0;
    size_t len = OPT_LEN, room = max - DNS_HEADER_LEN - query->question_len;
    size_t subnet = subnet_len(query), id = nsid_len(query, nsid), ede = note_len(note);
    if (query->expire && len + EXPIRE_LEN <= room)
        len += EXPIRE_LEN;
    if (len + subnet <= room)
        len += subnet;
    if (len + id <= room)
        len += id;
    if (len + ede <= room)
        len += ede;
    return len;
}

void reply_set_aside(struct reply *reply, const struct query *query, const struct reply_note *note,
                     const char *nsid)
{
    reply->limit = reply->max - reply_opt_len(query, note, nsid, reply->max);
    if (reply->limit < reply->pos) /* records stand there already: the options give way */
        reply->limit = reply->pos;
}

void reply_opt(struct reply *reply, const struct query *query, uint16_t rcode, const struct reply_note *note,
               const char *nsid, uint16_t udp_max)
{
    if (!query->edns || reply->pos + OPT_LEN > reply->max)
        return;
    uint8_t *opt = reply->out + reply->pos, *at = opt + OPT_LEN;
    size_t room = reply->max - reply->pos - OPT_LEN;
    size_t subnet = subnet_len(query), id = nsid_len(query, nsid), ede = note_len(note);
    opt[0] = 0;
    put16(opt + 1, DNS_OPT);
    put16(opt + 3, udp_max);
    opt[5] = (uint8_t)(rcode >> 4);
    opt[6] = 0; /* our version, also in BADVERS (section 6.1.3) */
    put16(opt + 7, query->dnssec_ok ? 0x8000 : 0);
    if (reply->expire && EXPIRE_LEN <= room) {
        put16(at, DNS_EDNS_EXPIRE);
        put16(at + 2, 4);
        put32(at + 4, reply->expire_seconds);
        at += EXPIRE_LEN;
        room -= EXPIRE_LEN;
    }
    if (subnet && subnet <= room) {
        put_subnet(at, query, reply->scoped);
        at += subnet;
        room -= subnet;
    }
    if (id && id <= room) {
        put16(at, DNS_EDNS_NSID);
        put16(at + 2, (unsigned)(id - OPTION_HEAD));
        memcpy(at + 4, nsid, id - OPTION_HEAD);
        at += id;
        room -= id;
    }
    if (ede && ede > room) /* the code is worth more than its text (RFC 8914 section 3) */
        ede = OPTION_HEAD + 2;
    if (ede && ede <= room) {
        put16(at, DNS_EDNS_EDE);
        put16(at + 2, (unsigned)(ede - OPTION_HEAD));
        put16(at + 4, (unsigned)note->ede);
        memcpy(at + 6, note->text, ede - OPTION_HEAD - 2);
        at += ede;
    }
    put16(opt + 9, (unsigned)(at - opt - OPT_LEN));
    reply->pos += (size_t)(at - opt);
    reply->additional++;
}
