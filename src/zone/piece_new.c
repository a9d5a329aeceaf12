/* Compiling RRsets into pieces. */
#include "piece_build.h"

#include "lictor/dns.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <stdlib.h>

/* What a record may have at most so that a message can hold it with a question and an OPT. */
#define RDATA_MAX 65000
/* Far above any RRset; keeps all offsets within 31 bits. */
#define PIECE_MAX (UINT32_C(1) << 30)

static int check(const struct piece_spec *spec, struct err *err)
{
    char text[16];
    dns_type_text(spec->type, text);
    if (!spec->count)
        return err_set(err, "an RRset needs at least one record");
    for (uint32_t i = 0; i < spec->count; i++) {
        if (spec->rdata[i].len > RDATA_MAX)
            return err_set(err, "%s record of %u octets: no message can carry more than %d",
                           dns_type_text(spec->type, text), (unsigned)spec->rdata[i].len, RDATA_MAX);
        if (dns_rdata_check(spec->type, spec->rdata[i].data, spec->rdata[i].len, err))
            return -1;
    }
    if (spec->extra_count && dns_rdata_target(spec->type) < 0)
        return err_set(err, "%s records have no target whose addresses could be added",
                       dns_type_text(spec->type, text));
    for (uint32_t i = 0; i < spec->extra_count; i++) {
        const struct piece_extra *extra = &spec->extra[i];
        if (extra->type != DNS_A && extra->type != DNS_AAAA)
            return err_set(err, "only addresses can be added to a record, not %s",
                           dns_type_text(extra->type, text));
        if (extra->record >= spec->count)
            return err_set(err, "an address for record %u of %u", (unsigned)extra->record,
                           (unsigned)spec->count);
        if (dns_rdata_check(extra->type, extra->rdata.data, extra->rdata.len, err))
            return -1;
    }
    return 0;
}

/* Reserves room in the layout; aligned for uint32_t. */
static uint32_t reserve(uint64_t *size, uint64_t octets)
{
    *size = (*size + 3) & ~UINT64_C(3);
    uint32_t at = (uint32_t)*size;
    *size += octets;
    return at;
}

static uint32_t take_of(const struct piece_spec *spec, uint32_t count)
{
    bool windowed = spec->type == DNS_A || spec->type == DNS_AAAA;
    return windowed && spec->answers && spec->answers < count ? spec->answers : count;
}

static uint32_t ttl_of(const struct piece_spec *spec, const struct plan *plan)
{
    uint32_t lowest = spec->ttl > INT32_MAX ? 0 : spec->ttl; /* RFC 2181 section 8 */
    if (spec->type == DNS_RRSIG)
        lowest = UINT32_MAX;
    for (uint32_t i = 0; spec->type == DNS_RRSIG && i < plan->count; i++) {
        uint32_t ttl = rdata_ttl(DNS_RRSIG, 0, &plan->rdata[i]);
        lowest = ttl < lowest ? ttl : lowest;
    }
    return lowest;
}

static void records_write(struct piece *piece, const struct plan *plan)
{
    uint8_t *wire = piece_part(piece, piece->wire);
    uint32_t at = 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        if (piece->offsets)
            ((uint32_t *)piece_part(piece, piece->offsets))[i] = at;
        if (piece->weights)
            ((uint16_t *)piece_part(piece, piece->weights))[i] = plan->rdata[i].weight;
        put16(wire + at, 0xc00c);
        put16(wire + at + 2, piece->type);
        put16(wire + at + 4, DNS_IN);
        put32(wire + at + 6, rdata_ttl(piece->type, piece->ttl, &plan->rdata[i]));
        put16(wire + at + 10, plan->rdata[i].len);
        memcpy(wire + at + PIECE_RDATA, plan->rdata[i].data, plan->rdata[i].len);
        at += PIECE_RDATA + (uint32_t)plan->rdata[i].len;
    }
    if (piece->offsets)
        ((uint32_t *)piece_part(piece, piece->offsets))[plan->count] = at;
}

/* Lays out and fills a piece from what plan and extras say. */
static struct piece *compile(const struct piece_spec *spec, const struct plan *plan,
                             const struct sorted_extra *extras, uint32_t extra_count, struct err *err)
{
    struct piece head = {.refs = 1,
                         .type = spec->type,
                         .count = plan->count,
                         .keep_order = spec->keep_order,
                         .origin = spec->origin};
    head.ttl = ttl_of(spec, plan);
    head.take = take_of(spec, plan->count);
    uint64_t size = sizeof head, wire = 0;
    bool fixed = true;
    for (uint32_t i = 0; i < plan->count; i++) {
        wire += PIECE_RDATA + (uint64_t)plan->rdata[i].len;
        fixed &= plan->rdata[i].len == plan->rdata[0].len;
    }
    if (fixed)
        head.stride = (uint16_t)(PIECE_RDATA + plan->rdata[0].len);
    else
        head.offsets = reserve(&size, (plan->count + UINT64_C(1)) * sizeof(uint32_t));
    if (plan->weighted) {
        head.order_len = head.take < PIECE_ORDER_MAX ? head.take : PIECE_ORDER_MAX;
        head.orders = reserve(&size, (uint64_t)PIECE_ORDERS * head.order_len * sizeof(uint32_t));
        head.weights = reserve(&size, plan->count * sizeof(uint16_t));
    }
    if (extra_count) {
        head.extra_table = reserve(&size, (plan->count + UINT64_C(1)) * sizeof(uint32_t));
        head.extra_wire = reserve(&size, extras_size(extras, extra_count));
    }
    head.wire = reserve(&size, wire);
    if (size > PIECE_MAX) {
        err_set(err, "an RRset of %u records is too large", (unsigned)spec->count);
        return NULL;
    }
    head.size = (uint32_t)size;
    struct piece *piece = xmalloc(size);
    memcpy(piece, &head, sizeof head);
    records_write(piece, plan);
    if (piece->orders)
        piece_draw(piece, piece_rng());
    if (extra_count)
        extras_write(piece, extras, extra_count);
    return piece;
}

struct piece *piece_new(const struct piece_spec *spec, struct err *err)
{
    if (check(spec, err))
        return NULL;
    if (spec->count == 1 && !spec->extra_count) { /* most pieces by far */
        struct plan plan = {.rdata = (struct rdata *)(uintptr_t)spec->rdata, .count = 1};
        return compile(spec, &plan, NULL, 0, err);
    }
    struct plan plan;
    plan_make(&plan, spec);
    struct sorted_extra *extras = xmalloc((spec->extra_count + 1) * sizeof *extras);
    uint32_t extra_count = extras_sort(spec, &plan, extras);
    struct piece *piece = compile(spec, &plan, extras, extra_count, err);
    free(extras);
    plan_free(&plan);
    return piece;
}
