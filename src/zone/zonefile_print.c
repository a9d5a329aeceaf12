/* Zones to text that zonefile_parse reads back. */
#include "lictor/zonefile.h"

#include "zone/zonefile_rdata.h"

#include <stdlib.h>
#include <string.h>

/* RDATA as unsigned octets, left-justified (RFC 4034 section 6.3): a piece's own order is a shuffled one. */
static int by_octets(const void *a, const void *b)
{
    const struct rdata *x = a, *y = b;
    int order = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);
    return order ? order : (int)x->len - (int)y->len;
}

static void print_piece(struct rdata_reader *reader, const uint8_t *owner, const struct piece *piece,
                        struct buf *out)
{
    char name[NAME_MAX_TEXT];
    uint32_t count = piece_count(piece);
    struct rdata *rdata = reallocarray(NULL, count, sizeof(*rdata));
    if (!rdata)
        abort();
    for (uint32_t i = 0; i < count; i++)
        rdata[i] = piece_rdata(piece, i);
    qsort(rdata, count, sizeof(*rdata), by_octets);
    name_to_text(owner, name);
    for (uint32_t i = 0; i < count; i++) {
        buf_printf(out, "%s %u IN ", name, rdata_ttl(piece_type(piece), piece_ttl(piece), &rdata[i]));
        rdata_print(reader, piece_type(piece), rdata[i].data, rdata[i].len, out);
        buf_puts(out, "\n");
    }
    free(rdata);
}

struct printing {
    struct rdata_reader reader;
    struct buf *out;
};

static int visit(void *arg, const uint8_t *owner, const struct piece *piece)
{
    struct printing *printing = arg;
    print_piece(&printing->reader, owner, piece, printing->out);
    return 0;
}

void zonefile_print(const struct zone *zone, struct buf *out)
{
    struct printing printing = {.out = out};
    zone_walk(zone, visit, &printing);
    rdata_reader_free(&printing.reader);
}

void zonefile_print_rrset(const uint8_t *owner, const struct piece *piece, struct buf *out)
{
    struct rdata_reader reader = {0};
    print_piece(&reader, owner, piece, out);
    rdata_reader_free(&reader);
}
