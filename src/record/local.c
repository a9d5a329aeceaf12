/* Zones that are not in the store: their committed version is made here, and kept in `state-dir` so that a
 * restart answers with it and its serial does not go back. */
#include "body.h"

#include "lictor/dns.h"
#include "lictor/history.h"
#include "lictor/log.h"
#include "lictor/statefile.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"
#include "lictor/zonefile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KIND    "records"
#define VERSION 1

/* --- on the disk ---------------------------------------------------------------------------------- */

/* A small zone: SOA and NS, so that it is one, and the RRsets of the records; before it the file's hash. */
static void copy_rrset(void *arg, const uint8_t *owner, const struct piece *piece)
{
    zone_edit_put(arg, owner, (struct piece *)(uintptr_t)piece, NULL);
}

static struct zone *extract(const struct zone_entry *entry, const struct zone *zone)
{
    struct zone_edit *edit = zone_edit_new(entry->apex, ZONE_AUTHORITATIVE, zone_state(zone), NULL, NULL);
    copy_rrset(edit, entry->apex, zone_soa(zone));
    copy_rrset(edit, entry->apex, zone_get(zone, entry->apex, DNS_NS));
    for (size_t i = 0; i < entry->count; i++)
        render_each(&entry->records[i].config, zone, copy_rrset, edit);
    return zone_edit_commit(edit);
}

static int save(const struct records *records, const struct zone_entry *entry, const struct zone *zone,
                struct err *err)
{
    struct buf text = {0};
    char hash[ZONE_HASH_TEXT];
    struct zone *small = extract(entry, zone);
    zone_hash_text(zone_hash(entry->file), hash);
    buf_printf(&text, "; %s\n", hash);
    zonefile_print(small, &text);
    zone_unref(small);
    int result = mkdir(records->folder, 0750) && errno != EEXIST
                     ? err_set(err, "%s: %s", records->folder, strerror(errno))
                     : statefile_write(entry->saved, KIND, VERSION, text.data, text.len, err);
    buf_free(&text);
    return result;
}

/* NULL: there is none, or it is of no use. */
static struct zone *load(const struct zone_entry *entry, struct zone_state *state, struct zone_hash *of)
{
    struct buf text = {0};
    struct err err;
    struct zone *zone = NULL;
    int result = statefile_read(entry->saved, KIND, VERSION, &text, &err);
    const char *content = buf_str(&text);
    char hash[ZONE_HASH_TEXT] = "";
    if (result == 0 && (sscanf(content, "; %32s", hash) != 1 || zone_hash_parse(hash, of)))
        result = err_set(&err, "%s: it does not begin with a hash", entry->saved);
    if (result == 0)
        zone = zonefile_parse(entry->saved, content, text.len, entry->apex, ZONE_AUTHORITATIVE, state, &err);
    if (result < 0 || (result == 0 && !zone))
        log_error("zone %s: what its records answered before the start is of no use: %s", entry->text,
                  err.text);
    buf_free(&text);
    return zone;
}

/* --- versions ------------------------------------------------------------------------------------- */

static void set_serial(struct zone_edit *edit, const uint8_t *apex, uint32_t serial)
{
    const struct piece *soa = zone_edit_get(edit, apex, DNS_SOA);
    struct rdata rdata = piece_rdata(soa, 0);
    uint8_t octets[2 * NAME_MAX_WIRE + 20];
    memcpy(octets, rdata.data, rdata.len);
    put32(octets + rdata.len - 20, serial);
    rdata.data = octets;
    struct piece_spec spec = {.type = DNS_SOA, .ttl = piece_ttl(soa), .rdata = &rdata, .count = 1};
    struct piece *piece = piece_new(&spec, NULL);
    zone_edit_put(edit, apex, piece, NULL);
    piece_unref(piece);
}

static void note_serial(struct records *records, struct zone_entry *entry, uint32_t serial)
{
    pthread_mutex_lock(&records->lock);
    entry->serial = serial;
    pthread_mutex_unlock(&records->lock);
}

struct zone *records_dress(struct records *records, struct zone *file)
{
    struct zone_entry *entry = records->first;
    while (entry && !name_equal(entry->apex, zone_apex(file)))
        entry = entry->next;
    if (!entry || entry->stored || (!entry->count && !entry->base))
        return file;
    struct zone_hash now = zone_hash(file), of = {0, 0};
    struct zone *before = entry->base && entry->file ? zone_ref(entry->base) : NULL;
    if (before)
        of = zone_hash(entry->file);
    else
        before = load(entry, zone_state(file), &of);
    if (entry->file)
        zone_unref(entry->file);
    entry->file = zone_ref(file);
    if (!before)
        return file;

    struct zone_edit *edit = zone_edit_begin(file);
    uint32_t serial = zone_serial(file), last = zone_serial(before);
    if (records->config.raise && !serial_is_later(serial, last)) /* a serial never goes back */
        serial = zone_hash_equal(now, of) ? last : last + 1;
    for (size_t i = 0; i < entry->count; i++)
        render_each(&entry->records[i].config, before, copy_rrset, edit);
    set_serial(edit, entry->apex, serial);
    zone_unref(before);
    zone_unref(file);
    struct zone *zone = zone_edit_commit(edit);
    note_serial(records, entry, serial);
    return zone;
}

nstime local_commit(struct records *records, struct zone_entry *entry, nstime now)
{
    struct err err;
    if (!entry->file)
        return NS_NEVER;
    if (entry->committed_at && now < entry->committed_at + NS_PER_S)
        return entry->committed_at + NS_PER_S;
    entry->committed_at = now;
    struct zone_edit *edit = zone_edit_begin(entry->base);
    records_edit(records, entry->apex, edit);
    uint32_t serial = zone_serial(entry->base) + (records->config.raise ? 1 : 0);
    set_serial(edit, entry->apex, serial);
    struct zone *next = zone_edit_commit(edit);
    /* Saved before anybody sees the serial. */
    bool bad = zone_check(next, &err) || save(records, entry, next, &err);
    if (bad && !entry->failing)
        log_error("zone %s: what its records answer is not committed: %s", entry->text, err.text);
    entry->failing = bad;
    if (bad) {
        zone_unref(next);
        return now + NS_PER_S;
    }
    if (records->config.raise)
        history_continue(entry->base, next);
    note_serial(records, entry, serial);
    records_put(records, next);
    return NS_NEVER;
}
