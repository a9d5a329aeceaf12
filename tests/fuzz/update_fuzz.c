/* Any octets as an UPDATE of the zone t.: nothing happens but an rcode, and what comes out is a zone that has
 * its SOA and an NS, has no CNAME beside other data, and can be printed and read back. */
#include "../unit/zone_text.h"

#include "xfr/update_message.h"

#include "lictor/difference.h"
#include "lictor/zonefile.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct zone_state state = {.stale_from = NS_NEVER, .dead_from = NS_NEVER};

static struct zone *make_zone(void)
{
    return zone_text(
        "t.", ZONE_AUTHORITATIVE, &state,
        "t. SOA ns.t. h.t. 7 2 3 4 5\nt. NS ns.t.\nns.t. A 192.0.2.1\n"
        "two.t. A 192.0.2.2\ntwo.t. A 192.0.2.3\ntwo.t. TXT \"x\"\nalias.t. CNAME two.t.\n"
        "mx.t. MX 10 Two.t.\ndeep.ent.t. A 192.0.2.9\n*.wild.t. A 192.0.2.8\ndn.t. DNAME two.t.\n");
}

static void check(const struct zone *before, struct zone *after)
{
    struct difference *difference = difference_between(before, after);
    struct err err;
    uint8_t apex[NAME_MAX_WIRE];
    name_of("t.", apex);
    assert(zone_get(after, apex, DNS_SOA) && zone_get(after, apex, DNS_NS));
    if (!zone_check_change(after, difference, &err)) {
        assert(!zone_check(after, &err));
        struct buf text = {0};
        zonefile_print(after, &text);
        struct zone *again =
            zonefile_parse("printed", buf_str(&text), text.len, apex, ZONE_AUTHORITATIVE, &state, &err);
        if (again)
            zone_unref(again);
        buf_free(&text);
    }
    difference_unref(difference);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct zone *zone;
    struct update update;
    struct err err;
    if (!zone)
        zone = make_zone();
    uint8_t apex[NAME_MAX_WIRE];
    name_of("t.", apex);
    if (update_parse(&update, data, len, &err) || !name_equal(update.zone, apex)) {
        update_free(&update);
        return 0;
    }
    if (!update_judge(&update, zone, &err)) {
        struct zone_edit *edit = zone_edit_begin(zone);
        if (update_apply(&update, edit, zone, &err)) {
            zone_edit_abort(edit);
        } else {
            struct zone *after = zone_edit_commit(edit);
            check(zone, after);
            zone_unref(after);
        }
    }
    update_free(&update);
    zone_reap();
    return 0;
}
