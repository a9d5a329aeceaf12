/* Whether a zone may be served. */
#include "zone_body.h"

#include "lictor/denial.h"
#include "lictor/difference.h"
#include "lictor/dns.h"
#include "lictor/wire.h"

#include <stdio.h>

struct check {
    const struct zone *zone;
    const struct owner *dname; /* the last owner of a DNAME in the walk */
    struct err *err;
};

static int fault(const struct check *check, const struct owner *owner, const char *what)
{
    char text[NAME_MAX_TEXT];
    return err_set(check->err, "%.250s: %s", name_to_text(owner_name(owner), text), what);
}

/* CNAME stands alone, but for what signing adds (RFC 2181 section 10.1, RFC 4034 section 3). */
static bool cname_has_company(const struct owner *owner)
{
    for (unsigned i = 0; i < owner->count; i++) {
        uint16_t type = owner_types(owner)[i];
        if (type != DNS_CNAME && type != DNS_RRSIG && type != DNS_NSEC)
            return true;
    }
    return false;
}

static int check_owner(void *arg, const struct owner *owner)
{
    struct check *check = arg;
    bool apex = owner->name_len == check->zone->apex_len;
    const struct piece *cname = owner_get(owner, DNS_CNAME), *dname = owner_get(owner, DNS_DNAME);
    if (cname && cname_has_company(owner))
        return fault(check, owner, "a CNAME cannot stand beside other records");
    if (cname && piece_count(cname) > 1)
        return fault(check, owner, "more than one CNAME; one name has one target");
    if (dname && piece_count(dname) > 1)
        return fault(check, owner, "more than one DNAME; one name has one target");
    if (!apex && owner_get(owner, DNS_SOA))
        return fault(check, owner, "a SOA below the apex; it belongs to a zone of its own");
    if (!apex && dname && owner_get(owner, DNS_NS))
        return fault(check, owner, "DNAME and NS exclude each other below the apex (RFC 6672 section 2.3)");
    /* In canonical order whatever lies below a name follows it at once. */
    if (check->dname && name_is_under(owner_name(owner), owner_name(check->dname)))
        return fault(check, owner, "lies below a DNAME, which hides it (RFC 6672 section 2.4)");
    if (dname)
        check->dname = owner;
    return 0;
}

static int check_apex(const struct zone *zone, struct err *err)
{
    char text[NAME_MAX_TEXT];
    const struct piece *ns = zone_get(zone, zone->apex, DNS_NS);
    name_to_text(zone->apex, text);
    if (!zone->soa)
        return err_set(err, "%.250s: the zone has no SOA at its apex", text);
    if (piece_count(zone->soa) != 1)
        return err_set(err, "%.250s: the zone has %u SOA records; it must have one", text,
                       (unsigned)piece_count(zone->soa));
    if (!ns)
        return err_set(err, "%.250s: the zone has no NS at its apex; it needs at least one", text);
    return 0;
}

/* What each negative answer would cost, and how few would believe it (RFC 9276 section 3.2). */
static int check_iterations(const struct zone *zone, struct err *err)
{
    char text[NAME_MAX_TEXT];
    unsigned iterations = zone->nsec3param ? get16(zone->nsec3param + 2) : 0;
    if (iterations <= NSEC3_ITERATIONS_MAX)
        return 0;
    return err_set(
        err,
        "%.250s: NSEC3 with %u iterations, of which resolvers take %d at most; sign the zone with 0 "
        "(RFC 9276)",
        name_to_text(zone->apex, text), iterations, NSEC3_ITERATIONS_MAX);
}

int zone_check(const struct zone *zone, struct err *err)
{
    struct check check = {zone, NULL, err};
    return check_apex(zone, err) || check_iterations(zone, err) ? -1
                                                                : trie_walk(&zone->trie, check_owner, &check);
}

int zone_check_change(const struct zone *zone, const struct difference *difference, struct err *err)
{
    if (check_apex(zone, err) || check_iterations(zone, err))
        return -1;
    for (size_t i = 0; i < difference_count(difference, DIFFERENCE_ADDED); i++) {
        struct difference_record record = difference_record(difference, DIFFERENCE_ADDED, i);
        size_t len = name_len(record.owner);
        if (record.type == DNS_DNAME) /* what lies below it is not among the changes */
            return zone_check(zone, err);
        struct zone_found found;
        zone_search(zone, record.owner, len, &found);
        struct check check = {zone, NULL, err};
        const struct owner *owner = (const struct owner *)found.exact;
        if (found.cut && found.cut_is_dname && found.cut != found.exact)
            return fault(&check, owner, "lies below a DNAME, which hides it (RFC 6672 section 2.4)");
        if (check_owner(&check, owner))
            return -1;
    }
    return 0;
}
