/* The zones that the view becomes: their places for names, the open edit, serials. */
#include "internal.h"

#include "names.h"

#include "lictor/dns.h"
#include "lictor/log.h"

#include <string.h>

uint32_t ttl_seconds(nstime ttl)
{
    nstime seconds = ttl / NS_PER_S;
    return seconds < 0 ? 0 : seconds > INT32_MAX ? INT32_MAX : (uint32_t)seconds; /* RFC 2181 section 8 */
}

/* Where Consul's choices differ from ours, and the operator has one. */
static struct zone_manner manner_of(const struct config_services *config)
{
    return (struct zone_manner){
        .small_answers =
            (uint16_t)(config->udp_answer_limit > UINT16_MAX ? UINT16_MAX : config->udp_answer_limit),
        .no_tc = !config->enable_truncate,
        .no_empty_names = config->compat_consul,
        .whole_any = config->compat_consul,
        .texts = config->node_meta_txt,
    };
}

void output_start_zone(struct catalog *catalog, struct zone_out *out, const uint8_t *apex, zone_miss_fn *miss)
{
    uint32_t serial = out->serial;
    *out = (struct zone_out){.serial = serial};
    memcpy(out->apex, apex, name_len(apex));
    out->domain = out->apex;
    out->edit = zone_edit_new(out->apex, ZONE_CATALOG, catalog->state, miss,
                              miss ? computed_new(catalog, out) : NULL);
    if (miss)
        zone_edit_set_origins(out->edit, catalog->origins);
    struct zone_manner manner = manner_of(&catalog->config);
    if (!miss) /* no names of Consul's own kind */
        manner.no_empty_names = false;
    zone_edit_set_manner(out->edit, &manner);
    out->changed = true;
}

void output_stop_zone(struct zone_out *out)
{
    if (out->edit)
        zone_edit_abort(out->edit);
    if (out->zone)
        zone_unref(out->zone);
    out->edit = NULL;
    out->zone = NULL;
}

struct zone_out *output_next(const struct catalog *catalog, size_t *i)
{
    size_t at = (*i)++;
    if (at < catalog->zone_count)
        return (struct zone_out *)&catalog->zones[at];
    at -= catalog->zone_count;
    return at < reverse_count(catalog) ? reverse_zone(catalog, at) : NULL;
}

void output_stop(struct catalog *catalog)
{
    reverse_stop(catalog);
    for (size_t i = 0; i < catalog->zone_count; i++)
        output_stop_zone(&catalog->zones[i]);
    catalog->zone_count = 0;
}

void output_start(struct catalog *catalog)
{
    output_stop(catalog);
    struct zone_out *out;
    output_start_zone(catalog, &catalog->zones[0], catalog->config.domain, computed_miss);
    catalog->zone_count = 1;
    if (catalog->config.has_alt_domain) {
        output_start_zone(catalog, &catalog->zones[1], catalog->config.alt_domain, computed_miss);
        catalog->zone_count = 2;
    }
    reverse_start(catalog);
    for (size_t i = 0; (out = output_next(catalog, &i));)
        apex_put_ns(catalog, out);
}

struct zone_edit *output_edit(struct zone_out *out)
{
    if (!out->edit)
        out->edit = zone_edit_begin(out->zone);
    return out->edit;
}

void output_put(struct catalog *catalog, struct zone_out *out, const uint8_t *owner, uint16_t type,
                struct piece *piece)
{
    struct err err;
    out->changed = true;
    catalog->stats.edits++;
    if (!piece)
        zone_edit_remove(output_edit(out), owner, type);
    else if (zone_edit_put(output_edit(out), owner, piece, &err) < 0)
        log_error("catalog: %s", err.text);
}

bool output_has(const struct zone_out *out, const uint8_t *name)
{
    static const uint16_t types[] = {DNS_A, DNS_AAAA, DNS_CNAME, DNS_SRV, DNS_TXT};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (out->edit ? zone_edit_get(out->edit, name, types[i]) : zone_get(out->zone, name, types[i]))
            return true;
    return false;
}

void quiet_begin(const struct catalog *catalog, struct quiet *quiet)
{
    quiet->edits = catalog->stats.edits;
    for (size_t i = 0; i < catalog->zone_count; i++)
        quiet->changed[i] = catalog->zones[i].changed;
}

void quiet_end(struct catalog *catalog, const struct quiet *quiet)
{
    catalog->stats.edits = quiet->edits;
    for (size_t i = 0; i < catalog->zone_count; i++)
        catalog->zones[i].changed = quiet->changed[i];
}

/* Serials begin with the time, so that they rise over restarts, and go up by one a change (RFC 1982); changes
 * come in at less than one a second in the long run, and a saved view's serial is gone beyond. */
static uint32_t next_serial(uint32_t serial)
{
    uint32_t now = (uint32_t)(clock_real() / NS_PER_S);
    if (serial == 0)
        return now;
    return serial + 1 == 0 ? 1 : serial + 1;
}

size_t catalog_take_zones(struct catalog *catalog, struct zone *zones[CATALOG_ZONES_MAX])
{
    size_t count = 0;
    struct zone_out *out;
    reverse_flush(catalog);
    for (size_t i = 0; (out = output_next(catalog, &i));) {
        if (!out->edit)
            continue;
        if (out->changed) {
            out->serial = next_serial(out->serial);
            apex_put_soa(catalog, out);
            out->changed = false;
        }
        struct zone *next = zone_edit_commit(out->edit);
        out->edit = NULL;
        if (out->zone)
            zone_unref(out->zone);
        out->zone = next;
        zones[count++] = zone_ref(next);
    }
    return count;
}
