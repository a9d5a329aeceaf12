#include "control/zone_json.h"

#include "lictor/clock.h"
#include "lictor/dns.h"
#include "lictor/json.h"
#include "lictor/zonefile.h"

struct listing {
    size_t records, octets, left_out;
};

static void print(const struct difference_record *record, struct buf *line)
{
    struct rdata rdata = record->rdata;
    struct piece *piece = piece_new(
        &(struct piece_spec){.type = record->type, .ttl = record->ttl, .rdata = &rdata, .count = 1}, NULL);
    if (!piece)
        return;
    zonefile_print_rrset(record->owner, piece, line);
    piece_unref(piece);
    while (line->len && line->data[line->len - 1] == '\n')
        line->len--;
}

static json_t *list(const struct difference *difference, enum difference_side side, struct listing *so_far)
{
    json_t *lines = json_array();
    size_t count = difference_count(difference, side);
    for (size_t i = 0; i < count; i++) {
        struct difference_record record = difference_record(difference, side, i);
        struct buf line = {0};
        if (so_far->records >= ZONE_JSON_RECORDS || so_far->octets >= ZONE_JSON_OCTETS) {
            so_far->left_out += count - i;
            break;
        }
        print(&record, &line);
        so_far->records++;
        so_far->octets += line.len;
        json_array_append_new(lines, json_clean(buf_str(&line)));
        buf_free(&line);
    }
    return lines;
}

static json_int_t count(const struct difference *difference, enum difference_side side)
{
    size_t records = difference_count(difference, side);
    bool soa = records && difference_record(difference, side, 0).type == DNS_SOA;
    return (json_int_t)(records - soa);
}

void zone_json_difference(json_t *object, const struct difference *difference, bool records)
{
    struct listing so_far = {0};
    json_object_set_new(object, "removed", json_integer(count(difference, DIFFERENCE_REMOVED)));
    json_object_set_new(object, "added", json_integer(count(difference, DIFFERENCE_ADDED)));
    if (!records)
        return;
    json_t *removed = list(difference, DIFFERENCE_REMOVED, &so_far);
    so_far.records = so_far.octets = 0;
    json_t *added = list(difference, DIFFERENCE_ADDED, &so_far);
    json_object_set_new(object, "records", json_pack("{s:o, s:o}", "removed", removed, "added", added));
    json_object_set_new(object, "left_out", json_integer((json_int_t)so_far.left_out));
}

json_t *zone_json_change(const struct store_change *change, bool records)
{
    json_t *object = json_object();
    char time[TIME_TEXT];
    json_object_set_new(object, "seq", json_integer((json_int_t)change->seq));
    json_object_set_new(object, "serial_from", json_integer(difference_from(change->difference)));
    json_object_set_new(object, "serial", json_integer(change->serial));
    json_object_set_new(object, "epoch", json_integer((json_int_t)change->epoch));
    json_object_set_new(object, "time", json_string(time_format(change->time * NS_PER_S, time)));
    json_object_set_new(object, "author", json_clean(change->author));
    zone_json_difference(object, change->difference, records);
    return object;
}
