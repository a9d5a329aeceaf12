#include "inspection.h"

#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/strmap.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* More lines than this would not fit 64 KiB anyway: a service of a thousand instances shows its first ones.
 */
#define LINES_MAX 200

struct inspection {
    struct publisher *publisher;
    struct zone_state state;
    uint8_t apex[NAME_MAX_WIRE];
    struct zone *zone;      /* the published version */
    struct zone_edit *edit; /* what is being put; NULL: nothing */
    struct strmap *texts;   /* name -> the lines put last, so that equal texts publish nothing */
    uint32_t serial;
};

static void put_rrset(struct inspection *inspection, const uint8_t *owner, uint16_t type,
                      const struct rdata *rdata, uint32_t count)
{
    struct piece_spec spec = {.type = type, .ttl = 0, .rdata = rdata, .count = count, .keep_order = true};
    struct err err;
    struct piece *piece = piece_new(&spec, &err);
    if (!piece || zone_edit_put(inspection->edit, owner, piece, &err))
        log_error("lictor.: %s", err.text);
    if (piece)
        piece_unref(piece);
}

static void put_apex(struct inspection *inspection)
{
    uint8_t soa[NAME_MAX_WIRE * 2 + 20];
    uint8_t host[NAME_MAX_WIRE];
    size_t n = (size_t)name_from_text("localhost", NULL, host, NULL);
    memcpy(soa, host, n);
    memcpy(soa + n, host, n);
    uint32_t timers[5] = {inspection->serial, 3600, 600, 86400, 0};
    for (int i = 0; i < 5; i++)
        for (int b = 0; b < 4; b++)
            soa[2 * n + (size_t)(4 * i + b)] = (uint8_t)(timers[i] >> (24 - 8 * b));
    put_rrset(inspection, inspection->apex, DNS_SOA, &(struct rdata){soa, (uint16_t)(2 * n + 20), 0}, 1);
    put_rrset(inspection, inspection->apex, DNS_NS, &(struct rdata){host, (uint16_t)n, 0}, 1);
}

static void begin(struct inspection *inspection)
{
    if (inspection->edit)
        return;
    if (inspection->zone)
        inspection->edit = zone_edit_begin(inspection->zone);
    else
        inspection->edit = zone_edit_new(inspection->apex, ZONE_INSPECT, &inspection->state, NULL, NULL);
    inspection->serial++;
    put_apex(inspection);
}

struct inspection *inspection_new(struct publisher *publisher, const char *node)
{
    struct inspection *inspection = xcalloc(1, sizeof *inspection);
    inspection->publisher = publisher;
    atomic_init(&inspection->state.stale_from, NS_NEVER);
    atomic_init(&inspection->state.dead_from, NS_NEVER);
    name_from_text("lictor", NULL, inspection->apex, NULL);
    inspection->texts = strmap_new();
    char *line = xasprintf("node=%s\nstarting", node);
    inspection_put(inspection, "status", line);
    free(line);
    inspection_publish(inspection);
    return inspection;
}

void inspection_free(struct inspection *inspection)
{
    if (!inspection)
        return;
    if (inspection->edit)
        zone_edit_abort(inspection->edit);
    if (inspection->zone)
        zone_unref(inspection->zone);
    strmap_free(inspection->texts, free);
    free(inspection);
}

/* One TXT record's RDATA of a line: strings of at most 255 octets. */
static void append_txt(struct buf *out, const char *line, size_t len)
{
    do {
        uint8_t n = len > 255 ? 255 : (uint8_t)len;
        buf_append(out, &n, 1);
        buf_append(out, line, n);
        line += n;
        len -= n;
    } while (len);
}

void inspection_put(struct inspection *inspection, const char *name, const char *lines)
{
    uint8_t owner[NAME_MAX_WIRE];
    const char *old = strmap_gets(inspection->texts, name);
    if (old ? !strcmp(old, lines) : !lines[0])
        return;
    if (name_from_text(name, inspection->apex, owner, NULL) < 0)
        return; /* a service whose name is no name: it has no answers either */
    begin(inspection);
    if (!lines[0]) {
        zone_edit_remove(inspection->edit, owner, DNS_TXT);
        free(strmap_removes(inspection->texts, name));
        return;
    }
    free(strmap_puts(inspection->texts, name, xstrdup(lines)));

    struct buf data = {0};
    struct rdata rdata[LINES_MAX];
    size_t ends[LINES_MAX], count = 0, at = 0;
    while (*lines && count < LINES_MAX) {
        size_t len = strcspn(lines, "\n");
        if (len > 4096)
            len = 4096;
        append_txt(&data, lines, len);
        ends[count++] = data.len;
        lines += strcspn(lines, "\n");
        lines += *lines == '\n';
    }
    for (size_t i = 0; i < count; at = ends[i++])
        rdata[i] = (struct rdata){data.data + at, (uint16_t)(ends[i] - at), 0};
    put_rrset(inspection, owner, DNS_TXT, rdata, (uint32_t)count);
    buf_free(&data);
}

void inspection_publish(struct inspection *inspection)
{
    if (!inspection->edit)
        return;
    struct zone *next = zone_edit_commit(inspection->edit);
    inspection->edit = NULL;
    if (inspection->zone)
        zone_unref(inspection->zone);
    inspection->zone = zone_ref(next);
    publisher_put(inspection->publisher, next);
}
