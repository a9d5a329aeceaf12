#include "zone/zonefile_build.h"

#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/strmap.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

struct record {
    size_t rdata; /* offset in octets */
    const char *file;
    uint32_t len;
    uint32_t next; /* of its RRset; NONE: the last */
    int line;
};

struct rrset {
    size_t owner; /* offset in octets */
    uint32_t first, last, count;
    uint32_t ttl; /* the smallest */
    uint16_t type;
};

struct collection {
    uint8_t apex[NAME_MAX_WIRE];
    struct buf octets; /* owners and RDATA */
    struct record *records;
    size_t record_count, record_cap;
    struct rrset *rrsets;
    size_t rrset_count, rrset_cap;
    struct strmap *index; /* owner and type -> number of the RRset, plus one */
    /* The first RRset whose records differ in TTL, for one warning. */
    const char *ttl_file;
    int ttl_line;
    size_t ttl_conflicts;
};

struct collection *collection_new(const uint8_t *apex)
{
    struct collection *collection = xcalloc(1, sizeof(*collection));
    memcpy(collection->apex, apex, name_len(apex));
    collection->index = strmap_new();
    return collection;
}

void collection_free(struct collection *collection)
{
    strmap_free(collection->index, NULL);
    buf_free(&collection->octets);
    free(collection->records);
    free(collection->rrsets);
    free(collection);
}

static size_t keep(struct collection *collection, const uint8_t *octets, size_t len)
{
    size_t at = collection->octets.len;
    buf_append(&collection->octets, octets, len);
    return at;
}

static bool is_of(const struct collection *collection, const struct rrset *rrset, const uint8_t *owner,
                  size_t owner_len, uint16_t type)
{
    const uint8_t *other = collection->octets.data + rrset->owner;
    return rrset->type == type && name_len(other) == owner_len && !memcmp(other, owner, owner_len);
}

/* The RRset of owner and type, made if it is new. Files are written RRset by RRset: the last one is tried
 * first. */
static struct rrset *find(struct collection *collection, const uint8_t *owner, uint16_t type, uint32_t ttl)
{
    size_t len = name_len(owner);
    struct rrset *last = collection->rrset_count ? &collection->rrsets[collection->rrset_count - 1] : NULL;
    if (last && is_of(collection, last, owner, len, type))
        return last;

    uint8_t key[NAME_MAX_WIRE + 2];
    memcpy(key, owner, len);
    memcpy(key + len, &type, 2);
    uintptr_t number = (uintptr_t)strmap_get(collection->index, key, len + 2);
    if (number)
        return &collection->rrsets[number - 1];
    if (collection->rrset_count == collection->rrset_cap) {
        collection->rrset_cap = collection->rrset_cap ? collection->rrset_cap * 2 : 64;
        collection->rrsets =
            xrealloc(collection->rrsets, collection->rrset_cap * sizeof(*collection->rrsets));
    }
    struct rrset *rrset = &collection->rrsets[collection->rrset_count++];
    *rrset = (struct rrset){
        .owner = keep(collection, owner, len), .first = NONE, .last = NONE, .ttl = ttl, .type = type};
    strmap_put(collection->index, key, len + 2, (void *)(uintptr_t)collection->rrset_count);
    return rrset;
}

/* RFC 2181 section 5.2: the TTLs of an RRset must be the same. Of those that are there, the smallest is the
 * one that no client would object to. */
static void agree_on_ttl(struct collection *collection, struct rrset *rrset, uint32_t ttl, const char *file,
                         int line)
{
    if (rrset->ttl == ttl || rrset->type == DNS_RRSIG) /* signatures have that of what they sign */
        return;
    if (!collection->ttl_conflicts++) {
        collection->ttl_file = file;
        collection->ttl_line = line;
    }
    if (ttl < rrset->ttl)
        rrset->ttl = ttl;
}

void collection_add(struct collection *collection, const uint8_t *owner, uint16_t type, uint32_t ttl,
                    const uint8_t *rdata, size_t len, const char *file, int line)
{
    if (collection->record_count == collection->record_cap) {
        collection->record_cap = collection->record_cap ? collection->record_cap * 2 : 64;
        collection->records =
            xrealloc(collection->records, collection->record_cap * sizeof(*collection->records));
    }
    uint32_t number = (uint32_t)collection->record_count++;
    collection->records[number] = (struct record){.rdata = keep(collection, rdata, len),
                                                  .len = (uint32_t)len,
                                                  .next = NONE,
                                                  .file = file,
                                                  .line = line};

    struct rrset *rrset = find(collection, owner, type, ttl);
    agree_on_ttl(collection, rrset, ttl, file, line);
    if (rrset->count++)
        collection->records[rrset->last].next = number;
    else
        rrset->first = number;
    rrset->last = number;
}

/* --- building ------------------------------------------------------------------------------------- */

static bool same_rdata(const struct collection *collection, const struct record *a, const struct record *b)
{
    const uint8_t *octets = collection->octets.data;
    return a->len == b->len && (!a->len || !memcmp(octets + a->rdata, octets + b->rdata, a->len));
}

/* Types of which a name has one record at most (RFC 1034 section 3.6.2, RFC 1035 section 5.2, RFC 6672). */
static int check_single(const struct collection *collection, const struct rrset *rrset, struct err *err)
{
    const struct record *first = &collection->records[rrset->first];
    if (rrset->type != DNS_SOA && rrset->type != DNS_CNAME && rrset->type != DNS_DNAME)
        return 0;
    const uint8_t *owner = collection->octets.data + rrset->owner;
    char type[16], name[NAME_MAX_TEXT];
    if (rrset->type == DNS_SOA && !name_equal(owner, collection->apex))
        return err_set(err, "%s:%d: a SOA at %.200s, which is not the zone's apex; remove it", first->file,
                       first->line, name_to_text(owner, name));
    for (uint32_t i = first->next; i != NONE; i = collection->records[i].next)
        if (!same_rdata(collection, first, &collection->records[i]))
            return err_set(err, "%s:%d: a second %s at %.200s; keep this or line %d",
                           collection->records[i].file, collection->records[i].line,
                           dns_type_text(rrset->type, type), name_to_text(owner, name), first->line);
    return 0;
}

static int put(const struct collection *collection, struct zone_edit *edit, const struct rrset *rrset,
               struct rdata **rdata, size_t *cap, struct err *err)
{
    const struct record *first = &collection->records[rrset->first];
    if (check_single(collection, rrset, err))
        return -1;
    if (rrset->count > *cap) {
        *cap = rrset->count;
        *rdata = xrealloc(*rdata, *cap * sizeof(**rdata));
    }
    uint32_t n = 0;
    for (uint32_t i = rrset->first; i != NONE; i = collection->records[i].next) {
        const struct record *record = &collection->records[i];
        (*rdata)[n++] =
            (struct rdata){.data = collection->octets.data + record->rdata, .len = (uint16_t)record->len};
    }
    struct piece *piece = piece_new(
        &(struct piece_spec){.type = rrset->type, .ttl = rrset->ttl, .rdata = *rdata, .count = n}, err);
    int result = piece ? zone_edit_put(edit, collection->octets.data + rrset->owner, piece, err) : -1;
    if (piece)
        piece_unref(piece);
    return result ? err_prefix(err, "%s:%d", first->file, first->line) : 0;
}

struct zone *collection_build(struct collection *collection, enum zone_kind kind, struct zone_state *state,
                              struct err *err)
{
    strmap_free(collection->index, NULL); /* a large zone needs the memory for itself now */
    collection->index = NULL;
    struct zone_edit *edit = zone_edit_new(collection->apex, kind, state, NULL, NULL);
    struct rdata *rdata = NULL;
    size_t cap = 0;
    int result = 0;
    for (size_t i = 0; !result && i < collection->rrset_count; i++)
        result = put(collection, edit, &collection->rrsets[i], &rdata, &cap, err);
    free(rdata);
    if (result) {
        zone_edit_abort(edit);
        return NULL;
    }
    if (collection->ttl_conflicts)
        log_warn("%s:%d: records of one RRset differ in TTL (%zu such lines); the smallest is used (RFC 2181 "
                 "section 5.2)",
                 collection->ttl_file, collection->ttl_line, collection->ttl_conflicts);
    return zone_edit_commit(edit);
}

bool collection_where(const struct collection *collection, const uint8_t *owner, const char **file, int *line)
{
    *line = 0;
    for (size_t i = 0; i < collection->rrset_count; i++) {
        const struct rrset *rrset = &collection->rrsets[i];
        const struct record *last = &collection->records[rrset->last];
        if (name_equal(collection->octets.data + rrset->owner, owner) && last->line > *line) {
            *file = last->file;
            *line = last->line;
        }
    }
    return *line > 0;
}
