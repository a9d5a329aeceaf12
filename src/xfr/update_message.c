/* Taking UPDATE messages apart (RFC 2136 section 2). Everything here is hostile until it has been looked at.
 */
#include "update_message.h"

#include "lictor/buf.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

#define RDATA_MAX 65535
#define TTL_MAX   0x7fffffff /* RFC 2181 section 8 */

/* A record before its octets stand still. */
struct found {
    size_t owner, rdata, folded; /* in the octets */
    uint16_t type, class, len;
    uint32_t ttl;
};

struct reading {
    const uint8_t *msg;
    size_t len, at;
    const uint8_t *zone;
    struct buf octets;
    struct err *err;
};

enum section { PREREQUISITES, CHANGES };

/* Types that no record can have (RFC 6895 section 3.1): 0, OPT, and those of questions. */
static bool is_meta(uint16_t type)
{
    return type == 0 || type == DNS_OPT || (type >= 128 && type <= DNS_ANY);
}

static enum dns_rcode malformed(struct reading *r, const uint8_t *owner, uint16_t type, const char *what)
{
    char name[NAME_MAX_TEXT], text[16];
    err_set(r->err, "%.200s %s: %s", name_to_text(owner, name), dns_type_text(type, text), what);
    return DNS_FORMERR;
}

/* Sections 3.2.4 and 3.4.1. NULL: the record is well-formed. */
static const char *fault_of(enum section section, const struct found *f)
{
    if (f->class == DNS_CLASS_ANY) {
        if (f->ttl || f->len)
            return "class ANY with a TTL or RDATA";
        return is_meta(f->type) && f->type != DNS_ANY ? "a type that no record has" : NULL;
    }
    if (f->class == DNS_CLASS_NONE) {
        if (f->ttl)
            return "class NONE with a TTL";
        if (section == PREREQUISITES && f->len)
            return "a prerequisite of class NONE with RDATA";
        if (is_meta(f->type) && !(section == PREREQUISITES && f->type == DNS_ANY))
            return "a type that no record has";
        return NULL;
    }
    if (f->class != DNS_IN)
        return "neither the zone's class nor ANY or NONE";
    if (section == PREREQUISITES && f->ttl)
        return "a prerequisite with a TTL";
    return is_meta(f->type) ? "a type that no record has" : NULL;
}

static enum dns_rcode read_record(struct reading *r, enum section section, struct found *out)
{
    uint8_t owner[NAME_MAX_WIRE], rdata[RDATA_MAX];
    if (name_from_wire(r->msg, r->len, &r->at, owner) < 0 || r->at + 10 > r->len ||
        r->at + 10 + get16(r->msg + r->at + 8) > r->len) {
        err_set(r->err, "a record is cut off or has a malformed name");
        return DNS_FORMERR;
    }
    const uint8_t *fixed = r->msg + r->at;
    size_t from = r->at + 10;
    *out = (struct found){
        .type = get16(fixed), .class = get16(fixed + 2), .ttl = get32(fixed + 4), .len = get16(fixed + 8)};
    r->at = from + out->len;
    name_lower(owner, owner);
    const char *fault = fault_of(section, out);
    if (fault)
        return malformed(r, owner, out->type, fault);
    if (!name_is_under(owner, r->zone)) {
        char name[NAME_MAX_TEXT];
        err_set(r->err, "%.200s is not in the zone", name_to_text(owner, name));
        return DNS_NOTZONE;
    }
    bool has_rdata = out->class == DNS_IN || (section == CHANGES && out->class == DNS_CLASS_NONE);
    int len = 0;
    if (has_rdata) {
        struct err why;
        len = dns_rdata_expand(out->type, r->msg, from, r->at, rdata, sizeof rdata, &why);
        if (len < 0)
            return malformed(r, owner, out->type, why.text);
    }
    if (out->ttl > TTL_MAX)
        out->ttl = 0;
    out->len = (uint16_t)len;
    out->owner = r->octets.len;
    buf_append(&r->octets, owner, name_len(owner));
    out->rdata = r->octets.len;
    buf_append(&r->octets, rdata, (size_t)len);
    out->folded = r->octets.len;
    dns_rdata_fold(out->type, rdata, (size_t)len);
    buf_append(&r->octets, rdata, (size_t)len);
    return DNS_NOERROR;
}

static enum dns_rcode read_zone(struct reading *r, struct update *out)
{
    uint8_t name[NAME_MAX_WIRE];
    if (get16(r->msg + 4) != 1) {
        err_set(r->err, "the zone section has %u records, not one", get16(r->msg + 4));
        return DNS_FORMERR;
    }
    if (name_from_wire(r->msg, r->len, &r->at, name) < 0 || r->at + 4 > r->len) {
        err_set(r->err, "the zone section is cut off or has a malformed name");
        return DNS_FORMERR;
    }
    name_lower(name, out->zone);
    uint16_t type = get16(r->msg + r->at), class = get16(r->msg + r->at + 2);
    r->at += 4;
    if (type != DNS_SOA) {
        err_set(r->err, "the zone section's type is not SOA");
        return DNS_FORMERR;
    }
    if (class == DNS_IN)
        return DNS_NOERROR;
    err_set(r->err, "only class IN has zones here");
    return class == DNS_CLASS_ANY || class == DNS_CLASS_NONE ? DNS_FORMERR : DNS_NOTAUTH;
}

/* Not looked at (section 2 allows glue there) but for its form: nothing may be behind it. */
static enum dns_rcode skip_additional(struct reading *r)
{
    uint8_t name[NAME_MAX_WIRE];
    for (unsigned i = get16(r->msg + 10); i > 0; i--) {
        if (name_from_wire(r->msg, r->len, &r->at, name) < 0 || r->at + 10 > r->len ||
            r->at + 10 + get16(r->msg + r->at + 8) > r->len) {
            err_set(r->err, "the additional section is cut off or has a malformed name");
            return DNS_FORMERR;
        }
        r->at += 10 + (size_t)get16(r->msg + r->at + 8);
    }
    if (r->at == r->len)
        return DNS_NOERROR;
    err_set(r->err, "%zu octets behind the last record", r->len - r->at);
    return DNS_FORMERR;
}

static struct update_record *settle(const struct found *found, size_t count, const uint8_t *octets)
{
    struct update_record *records = xcalloc(count + 1, sizeof *records);
    for (size_t i = 0; i < count; i++)
        records[i] = (struct update_record){.owner = octets + found[i].owner,
                                            .type = found[i].type,
                                            .class = found[i].class,
                                            .ttl = found[i].ttl,
                                            .len = found[i].len,
                                            .rdata = octets + found[i].rdata,
                                            .folded = octets + found[i].folded};
    return records;
}

enum dns_rcode update_parse(struct update *out, const uint8_t *msg, size_t len, struct err *err)
{
    struct reading r = {.msg = msg, .len = len, .at = DNS_HEADER_LEN, .err = err};
    *out = (struct update){0};
    if (len < DNS_HEADER_LEN) {
        err_set(err, "shorter than a header");
        return DNS_FORMERR;
    }
    enum dns_rcode rcode = read_zone(&r, out);
    if (rcode)
        return rcode;
    r.zone = out->zone;
    size_t before = get16(msg + 6), all = before + get16(msg + 8);
    struct found *found = NULL;
    size_t count = 0, room = 0; /* as they come: what the header counts may not be there */
    while (count < all && !rcode) {
        if (count == room)
            found = xrealloc(found, (room = room * 2 + 16) * sizeof *found);
        rcode = read_record(&r, count < before ? PREREQUISITES : CHANGES, &found[count]);
        count++;
    }
    if (!rcode)
        rcode = skip_additional(&r);
    if (!rcode) {
        buf_append(&r.octets, "", 1); /* it is never NULL */
        out->octets = r.octets.data;
        out->prerequisite_count = before;
        out->change_count = all - before;
        out->prerequisites = settle(found, before, out->octets);
        out->changes = settle(before < all ? found + before : found, all - before, out->octets);
    } else {
        buf_free(&r.octets);
    }
    free(found);
    return rcode;
}

void update_free(struct update *update)
{
    free(update->prerequisites);
    free(update->changes);
    free(update->octets);
    *update = (struct update){0};
}
