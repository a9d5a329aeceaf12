#include "zone/zonefile_build.h"

#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/strmap.h"
#include "lictor/xalloc.h"
#include "zone/chunks.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

/* A million of each of these two: they are kept small. */
struct record {
    uint32_t next; /* of its RRset; NONE: the last */
    int line;
    uint16_t file;
    uint16_t len;
    uint8_t rdata[];
};

struct rrset {
    uint32_t owner; /* among `owners` */
    uint32_t first, last, count;
    uint32_t ttl; /* the smallest */
    int line;     /* of the last record */
    uint16_t file;
    uint16_t type;
};

struct collection {
    uint8_t apex[NAME_MAX_WIRE];
    struct chunks records; /* given back as RRsets are built */
    struct chunks owners;
    struct rrset *rrsets;
    size_t rrset_count, rrset_cap;
    const char **files;
    uint16_t file_count;
    struct strmap *index; /* owner and type -> number of the RRset, plus one */
    /* The first RRset whose records differ in TTL, for one warning. */
    const char *ttl_file;
    int ttl_line;
    size_t ttl_conflicts;
};

static struct record *record_at(const struct collection *collection, uint32_t number)
{
    return chunks_at(&collection->records, number);
}

static const uint8_t *owner_of(const struct collection *collection, const struct rrset *rrset)
{
    return chunks_at(&collection->owners, rrset->owner);
}

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
    chunks_free(&collection->records);
    chunks_free(&collection->owners);
    free(collection->rrsets);
    free(collection->files);
    free(collection);
}

static uint32_t keep_owner(struct collection *collection, const uint8_t *owner, size_t len)
{
    uint32_t number = chunks_add(&collection->owners, len);
    memcpy(chunks_at(&collection->owners, number), owner, len);
    return number;
}

/* The file's number: nearly always that of the record before. */
static uint16_t number_of(struct collection *collection, const char *file)
{
    for (unsigned i = collection->file_count; i > 0; i--)
        if (collection->files[i - 1] == file)
            return (uint16_t)(i - 1);
    if (collection->file_count == UINT16_MAX) /* so many included files: lines are told of the last of them */
        return UINT16_MAX - 1;
    collection->files =
        xrealloc(collection->files, (collection->file_count + 1u) * sizeof(*collection->files));
    collection->files[collection->file_count] = file;
    return collection->file_count++;
}

static bool is_of(const struct collection *collection, const struct rrset *rrset, const uint8_t *owner,
                  size_t owner_len, uint16_t type)
{
    const uint8_t *other = owner_of(collection, rrset);
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
        .owner = keep_owner(collection, owner, len), .first = NONE, .last = NONE, .ttl = ttl, .type = type};
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
    uint32_t number = chunks_add(&collection->records, sizeof(struct record) + len);
    struct record *record = record_at(collection, number);
    *record = (struct record){
        .next = NONE, .line = line, .file = number_of(collection, file), .len = (uint16_t)len};
    if (len)
        memcpy(record->rdata, rdata, len);

    struct rrset *rrset = find(collection, owner, type, ttl);
    agree_on_ttl(collection, rrset, ttl, file, line);
    rrset->line = line;
    rrset->file = record->file;
    if (rrset->count++)
        record_at(collection, rrset->last)->next = number;
    else
        rrset->first = number;
    rrset->last = number;
}

/* --- building ------------------------------------------------------------------------------------- */

static bool same_rdata(const struct record *a, const struct record *b)
{
    return a->len == b->len && (!a->len || !memcmp(a->rdata, b->rdata, a->len));
}

/* Types of which a name has one record at most (RFC 1034 section 3.6.2, RFC 1035 section 5.2, RFC 6672). */
static int check_single(const struct collection *collection, const struct rrset *rrset, struct err *err)
{
    const struct record *first = record_at(collection, rrset->first), *record;
    if (rrset->type != DNS_SOA && rrset->type != DNS_CNAME && rrset->type != DNS_DNAME)
        return 0;
    const uint8_t *owner = owner_of(collection, rrset);
    char type[16], name[NAME_MAX_TEXT];
    if (rrset->type == DNS_SOA && !name_equal(owner, collection->apex))
        return err_set(err, "%s:%d: a SOA at %.200s, which is not the zone's apex; remove it",
                       collection->files[first->file], first->line, name_to_text(owner, name));
    for (uint32_t i = first->next; i != NONE; i = record->next) {
        record = record_at(collection, i);
        if (!same_rdata(first, record))
            return err_set(err, "%s:%d: a second %s at %.200s; keep this or line %d",
                           collection->files[record->file], record->line, dns_type_text(rrset->type, type),
                           name_to_text(owner, name), first->line);
    }
    return 0;
}

/* The memory of the records goes to the pieces that come next. */
static void give_back(struct collection *collection, const struct rrset *rrset)
{
    for (uint32_t i = rrset->first, next; i != NONE; i = next) {
        next = record_at(collection, i)->next;
        chunks_give_back(&collection->records, i);
    }
}

static int put(struct collection *collection, struct zone_edit *edit, const struct rrset *rrset,
               struct rdata **rdata, size_t *cap, struct err *err)
{
    const struct record *first = record_at(collection, rrset->first), *record;
    if (check_single(collection, rrset, err))
        return -1;
    if (rrset->count > *cap) {
        *cap = rrset->count;
        *rdata = xrealloc(*rdata, *cap * sizeof(**rdata));
    }
    uint32_t n = 0;
    for (uint32_t i = rrset->first; i != NONE; i = record->next) {
        record = record_at(collection, i);
        (*rdata)[n++] = (struct rdata){.data = record->rdata, .len = record->len};
    }
    struct piece *piece = piece_new(
        &(struct piece_spec){.type = rrset->type, .ttl = rrset->ttl, .rdata = *rdata, .count = n}, err);
    int result = piece ? zone_edit_put(edit, owner_of(collection, rrset), piece, err) : -1;
    if (piece)
        piece_unref(piece);
    if (result)
        return err_prefix(err, "%s:%d", collection->files[first->file], first->line);
    give_back(collection, rrset);
    return 0;
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
        if (name_equal(owner_of(collection, rrset), owner) && rrset->line > *line) {
            *file = collection->files[rrset->file];
            *line = rrset->line;
        }
    }
    return *line > 0;
}
