/* The keys of a zone in Consul's KV and what their values say. Pure; every octet read is
 * hostile.
 *
 *   heads/<zone>                 where the zone is: a line of text
 *   zones/<zone>/log/<seq>       one commit: an entry with what changed
 *   zones/<zone>/base/<seq>/<n>  the whole zone at seq: an entry that leads there from nothing, in chunks
 *   zones/<zone>/file/<seq>/<n>  the content of the last imported zone file, likewise
 *   recover/<zone>/<instance>/<seq>/<n>  the commits that KV has lost, put there by an instance that has
 * them: a set
 *
 * seq is 16 hex digits and never used again for another content; n is 4 digits. */
#pragma once

#include "lictor/difference.h"

#define STORE_CHUNK   (256u * 1024) /* octets of a value */
#define STORE_CHUNKS  4096
#define STORE_AUTHOR  128
#define STORE_COVERS  4096
#define STORE_KEY_MAX 1600

/* A version of a zone. No two contents have the same seq and hash. */
struct store_position {
    uint64_t seq; /* 0: nothing yet */
    uint64_t epoch;
    uint32_t serial;
    struct zone_hash hash;
};

struct store_head {
    struct store_position at;
    uint64_t base; /* seq of the valid base; 0: none (a zone of `store = "file"`) */
    unsigned base_chunks;
    uint64_t file; /* seq under which the last imported file's content is; 0: none */
    unsigned file_chunks;
    uint32_t file_serial;
    struct zone_hash file_hash;
};

bool store_position_equal(const struct store_position *a, const struct store_position *b); /* seq and hash */

/* At most 200 octets. Appends. */
void store_head_encode(const struct store_head *head, struct buf *out);
/* Returns 0, or -1 with err. */
int store_head_parse(const void *data, size_t len, struct store_head *out, struct err *err);

/* One commit, or a whole zone (prev 0, a difference from nothing). */
struct store_entry {
    struct store_position at; /* the zone after it */
    uint64_t prev;            /* the seq before it */
    struct zone_hash before;  /* the hash before it */
    int64_t time;             /* CLOCK_REALTIME, seconds */
    char author[STORE_AUTHOR];
    /* Positions whose changes it contains though its chain does not lead through them: after a rewind, what
     * was put back. */
    struct store_position *covers; /* owned; epoch and serial are 0 */
    size_t cover_count;
    struct difference *difference; /* one reference */
    size_t size;                   /* octets as encoded */
};

/* `before` of a zone's very first version: nothing was before it, so a mirror that is not in its past has
 * another past. */
#define STORE_ROOT ((struct zone_hash){UINT64_MAX, UINT64_MAX})

struct store_entry *store_entry_new(void); /* all zero */
void store_entry_free(struct store_entry *entry);
void store_entry_encode(const struct store_entry *entry, struct buf *out); /* appends */
/* NULL with err if it is damaged. */
struct store_entry *store_entry_parse(const void *data, size_t len, struct err *err);

/* What one instance puts into recover/ is one set of entries: half of them would claim to contain what led to
 * them. Begin, then append each. */
void store_set_begin(struct buf *set);
void store_set_add(struct buf *set, const struct store_entry *entry);
/* Appends its entries to those there (realloc). Returns 0, or -1 with err and nothing appended. */
int store_set_parse(const struct buf *set, struct store_entry ***entries, size_t *count, struct err *err);

/* A zone's name in keys is its name_to_key. */

/* The seq and chunk at the end of a key (`.../<seq>` or `.../<seq>/<n>`; then *chunk is n, else 0). Returns
 * 0, or -1. */
int store_key_numbers(const char *key, bool chunked, uint64_t *seq, unsigned *chunk);

/* The serial of a new version: `wanted` if that is above current, else the next one; above floor too. */
uint32_t store_serial_next(uint32_t current, uint32_t wanted, uint32_t floor);
