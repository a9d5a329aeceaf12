/* Compiling RRsets into pieces. */
#include "piece_body.h"

#include "lictor/dns.h"
#include "lictor/xalloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What a record may have at most so that a message can hold it with a question and an OPT. */
#define RDATA_MAX 65000
/* Far above any RRset; keeps all offsets within 31 bits. */
#define PIECE_MAX (UINT32_C(1) << 30)

/* The builder's own: shuffling and drawing at compile time. */
static struct rng *builder_rng(void)
{
    static _Thread_local struct rng rng;
    if (!rng.s[0] && !rng.s[1])
        rng_seed(&rng);
    return &rng;
}

static void put16(uint8_t *out, unsigned value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

static void put32(uint8_t *out, uint32_t value)
{
    put16(out, value >> 16);
    put16(out + 2, value & 0xffff);
}

static int rdata_compare(const struct rdata *a, const struct rdata *b)
{
    int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
    return order ? order : (int)a->len - (int)b->len;
}

/* --- what goes in, put in order --------------------------------------------------------------------- */

/* The records that stay, in the piece's order. */
struct plan {
    struct rdata *rdata;
    uint32_t *from;  /* their numbers in the specification */
    uint32_t *place; /* specification number to place */
    uint32_t count;
    bool weighted;
};

static void plan_free(struct plan *plan)
{
    free(plan->rdata);
    free(plan->from);
    free(plan->place);
}

static int by_rdata(const void *a, const void *b, void *arg)
{
    const struct rdata *rdata = arg;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int order = rdata_compare(&rdata[x], &rdata[y]);
    return order ? order : (x > y) - (x < y);
}

/* Finds the records that repeat an earlier one: same[i] is the first of i's kind. */
static void find_repeated(const struct piece_spec *spec, uint32_t *same)
{
    uint32_t *sorted = xmalloc(spec->count * sizeof *sorted);
    for (uint32_t i = 0; i < spec->count; i++)
        sorted[i] = i;
    qsort_r(sorted, spec->count, sizeof *sorted, by_rdata, (void *)(uintptr_t)spec->rdata);
    for (uint32_t i = 0; i < spec->count; i++) {
        bool repeats = i && !rdata_compare(&spec->rdata[sorted[i]], &spec->rdata[sorted[i - 1]]);
        same[sorted[i]] = repeats ? same[sorted[i - 1]] : sorted[i];
    }
    free(sorted);
}

static void plan_make(struct plan *plan, const struct piece_spec *spec)
{
    uint32_t *same = xmalloc(spec->count * sizeof *same);
    *plan = (struct plan){.rdata = xmalloc(spec->count * sizeof *plan->rdata),
                          .from = xmalloc(spec->count * sizeof *plan->from),
                          .place = xmalloc(spec->count * sizeof *plan->place)};
    find_repeated(spec, same);
    for (uint32_t i = 0; i < spec->count; i++)
        if (same[i] == i)
            plan->from[plan->count++] = i;
    if (!spec->keep_order)
        for (uint32_t i = plan->count; i > 1; i--) {
            uint32_t other = rng_below(builder_rng(), i), swap = plan->from[i - 1];
            plan->from[i - 1] = plan->from[other];
            plan->from[other] = swap;
        }
    for (uint32_t i = 0; i < plan->count; i++) {
        plan->rdata[i] = spec->rdata[plan->from[i]];
        plan->place[plan->from[i]] = i;
    }
    for (uint32_t i = 0; i < spec->count; i++) {
        plan->place[i] = plan->place[same[i]];
        struct rdata *kept = &plan->rdata[plan->place[i]];
        if (kept->weight < spec->rdata[i].weight)
            kept->weight = spec->rdata[i].weight;
    }
    free(same);
    bool windowed = (spec->type == DNS_A || spec->type == DNS_AAAA) && !spec->keep_order;
    for (uint32_t i = 1; windowed && i < plan->count; i++)
        plan->weighted |= plan->rdata[i].weight != plan->rdata[0].weight;
}

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

/* --- extras ----------------------------------------------------------------------------------------- */

struct sorted_extra {
    uint32_t place;
    const struct piece_extra *extra;
};

static int extra_order(const void *a, const void *b)
{
    const struct sorted_extra *x = a, *y = b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    if (x->extra->type != y->extra->type)
        return (int)x->extra->type - (int)y->extra->type;
    return rdata_compare(&x->extra->rdata, &y->extra->rdata);
}

/* Extras by place, then type, then RDATA, without repetitions. Returns how many. */
static uint32_t extras_sort(const struct piece_spec *spec, const struct plan *plan,
                            struct sorted_extra *sorted)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < spec->extra_count; i++)
        sorted[i] = (struct sorted_extra){plan->place[spec->extra[i].record], &spec->extra[i]};
    qsort(sorted, spec->extra_count, sizeof *sorted, extra_order);
    for (uint32_t i = 0; i < spec->extra_count; i++)
        if (!kept || extra_order(&sorted[i], &sorted[kept - 1]))
            sorted[kept++] = sorted[i];
    return kept;
}

static size_t extras_size(const struct sorted_extra *sorted, uint32_t count)
{
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        size += EXTRA_RDATA + (size_t)sorted[i].extra->rdata.len;
    return size;
}

static int by_target(const void *a, const void *b, void *arg)
{
    struct piece *piece = arg;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    size_t at = PIECE_RDATA + (size_t)dns_rdata_target(piece->type);
    struct rdata p = {.data = piece_record(piece, x) + at}, q = {.data = piece_record(piece, y) + at};
    p.len = (uint16_t)(piece_offset(piece, x + 1) - piece_offset(piece, x) - at);
    q.len = (uint16_t)(piece_offset(piece, y + 1) - piece_offset(piece, y) - at);
    int order = rdata_compare(&p, &q);
    return order ? order : (x > y) - (x < y);
}

/* Marks records whose target stands in an earlier one: its addresses need to be sent once only. */
static void extras_mark_repeated(struct piece *piece)
{
    uint32_t *table = piece_part(piece, piece->extra_table);
    uint32_t *sorted = xmalloc(piece->count * sizeof *sorted);
    size_t at = PIECE_RDATA + (size_t)dns_rdata_target(piece->type);
    for (uint32_t i = 0; i < piece->count; i++)
        sorted[i] = i;
    qsort_r(sorted, piece->count, sizeof *sorted, by_target, piece);
    for (uint32_t i = 1; i < piece->count; i++) {
        const uint8_t *a = piece_record(piece, sorted[i]), *b = piece_record(piece, sorted[i - 1]);
        size_t len = piece_offset(piece, sorted[i] + 1) - piece_offset(piece, sorted[i]);
        size_t other = piece_offset(piece, sorted[i - 1] + 1) - piece_offset(piece, sorted[i - 1]);
        if (len == other && !memcmp(a + at, b + at, len - at))
            table[sorted[i]] |= EXTRA_REPEATED;
    }
    free(sorted);
}

static void extras_write(struct piece *piece, const struct sorted_extra *sorted, uint32_t count)
{
    uint32_t *table = piece_part(piece, piece->extra_table), at = 0, next = 0;
    uint8_t *wire = piece_part(piece, piece->extra_wire);
    for (uint32_t i = 0; i < piece->count; i++) {
        table[i] = at;
        for (; next < count && sorted[next].place == i; next++) {
            const struct piece_extra *extra = sorted[next].extra;
            put16(wire + at, extra->type);
            put16(wire + at + 2, DNS_IN);
            put32(wire + at + 4, extra->ttl);
            put16(wire + at + 8, extra->rdata.len);
            memcpy(wire + at + EXTRA_RDATA, extra->rdata.data, extra->rdata.len);
            at += EXTRA_RDATA + (uint32_t)extra->rdata.len;
        }
    }
    table[piece->count] = at;
    extras_mark_repeated(piece);
}

/* --- the piece -------------------------------------------------------------------------------------- */

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
        put32(wire + at + 6, piece->ttl);
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
    struct piece head = {.refs = 1, .type = spec->type, .count = plan->count, .keep_order = spec->keep_order};
    head.ttl = spec->ttl > INT32_MAX ? 0 : spec->ttl; /* RFC 2181 section 8 */
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
        piece_draw(piece, builder_rng());
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

struct piece *piece_ref(struct piece *piece)
{
    assert(piece->refs > 0);
    piece->refs++;
    return piece;
}

void piece_unref(struct piece *piece)
{
    assert(piece->refs > 0);
    if (!--piece->refs)
        free(piece);
}

uint16_t piece_type(const struct piece *piece)
{
    return piece->type;
}

uint32_t piece_ttl(const struct piece *piece)
{
    return piece->ttl;
}

uint32_t piece_count(const struct piece *piece)
{
    return piece->count;
}

struct rdata piece_rdata(const struct piece *piece, uint32_t i)
{
    assert(i < piece->count);
    const uint8_t *record = piece_record(piece, i);
    return (struct rdata){.data = record + PIECE_RDATA,
                          .len = (uint16_t)(record[10] << 8 | record[11]),
                          .weight =
                              piece->weights ? ((const uint16_t *)piece_at(piece, piece->weights))[i] : 0};
}

/* --- comparison and redrawing ------------------------------------------------------------------------- */

static int by_record(const void *a, const void *b, void *arg)
{
    const struct piece *piece = arg;
    struct rdata x = piece_rdata(piece, *(const uint32_t *)a), y = piece_rdata(piece, *(const uint32_t *)b);
    return rdata_compare(&x, &y);
}

static uint32_t *sorted_records(const struct piece *piece)
{
    uint32_t *sorted = xmalloc(piece->count * sizeof *sorted);
    for (uint32_t i = 0; i < piece->count; i++)
        sorted[i] = i;
    qsort_r(sorted, piece->count, sizeof *sorted, by_record, (void *)(uintptr_t)piece);
    return sorted;
}

static const uint8_t *extras_of(const struct piece *piece, uint32_t record, size_t *len)
{
    const uint32_t *table = piece_at(piece, piece->extra_table);
    uint32_t at = table[record] & ~EXTRA_REPEATED;
    *len = (table[record + 1] & ~EXTRA_REPEATED) - at;
    return (const uint8_t *)piece_at(piece, piece->extra_wire) + at;
}

static bool record_equal(const struct piece *a, uint32_t i, const struct piece *b, uint32_t j)
{
    struct rdata x = piece_rdata(a, i), y = piece_rdata(b, j);
    if (rdata_compare(&x, &y) || x.weight != y.weight)
        return false;
    if (!a->extra_table)
        return true;
    size_t len, other;
    const uint8_t *in_a = extras_of(a, i, &len), *in_b = extras_of(b, j, &other);
    return len == other && !memcmp(in_a, in_b, len);
}

bool piece_equal(const struct piece *a, const struct piece *b)
{
    if (a == b)
        return true;
    if (a->type != b->type || a->ttl != b->ttl || a->count != b->count || a->take != b->take ||
        a->keep_order != b->keep_order || !a->weights != !b->weights || !a->extra_table != !b->extra_table)
        return false;
    if (a->count == 1)
        return record_equal(a, 0, b, 0);
    for (uint32_t i = 0; a->keep_order && i < a->count; i++)
        if (!record_equal(a, i, b, i))
            return false;
    uint32_t *in_a = sorted_records(a), *in_b = sorted_records(b);
    bool equal = true;
    for (uint32_t i = 0; equal && i < a->count; i++)
        equal = record_equal(a, in_a[i], b, in_b[i]);
    free(in_a);
    free(in_b);
    return equal;
}

bool piece_wants_redraw(struct piece *piece)
{
    return piece->orders && atomic_exchange_explicit(&piece->asked, false, memory_order_relaxed);
}

struct piece *piece_redraw(const struct piece *piece, struct rng *rng)
{
    struct piece *copy = xmalloc(piece->size);
    /* All but `asked`, which workers may be writing. */
    memcpy(copy, piece, offsetof(struct piece, asked));
    memcpy(copy + 1, piece + 1, piece->size - sizeof *piece);
    copy->refs = 1;
    atomic_init(&copy->asked, false);
    if (copy->orders)
        piece_draw(copy, rng);
    return copy;
}
