/* What a zone knows about a name: the exact owner, or the closest encloser and its wildcard, and what cuts
 * the way (RFC 1034 section 4.3.2, RFC 4592 section 3.3.1). */
#include "zone_body.h"

#include <assert.h>
#include <string.h>

static void find_wildcard(const struct zone *zone, const uint8_t *name, unsigned encloser_labels,
                          struct zone_found *found)
{
    uint8_t wildcard[2 + NAME_MAX_WIRE] = {1, '*'};
    for (unsigned labels = name_labels(name); labels > encloser_labels; labels--)
        name += 1 + *name;
    size_t len = name_len(name);
    memcpy(wildcard + 2, name, len);
    if (2 + len > NAME_MAX_WIRE)
        return;
    struct trie_key key;
    struct trie_path path;
    trie_key(wildcard, 2 + len, zone->apex_len, &key);
    trie_search(&zone->trie, &key, &path);
    if (!path.last || name_common_labels(owner_name(path.last), wildcard) <= encloser_labels)
        return;
    found->wildcard_exists = true;
    if (path.last->name_len == 2 + len)
        found->wildcard = zone_owner_of(path.last);
}

void zone_search(const struct zone *zone, const uint8_t *name, size_t len, struct zone_found *found)
{
    struct trie_key key;
    struct trie_path path;
    trie_key(name, len, zone->apex_len, &key);
    trie_search(&zone->trie, &key, &path);
    *found = (struct zone_found){0};
    const struct owner *last = path.last, *cut = NULL;
    unsigned flags = 0;
    bool hashed = last && is_hashed(zone, last); /* not there, for questions; its encloser is the apex */
    if (last && !hashed && last->name_len == len && !memcmp(owner_name(last), name, len)) {
        found->exact = zone_owner_of(last);
        found->exists = true;
        if (path.marked && path.marked != last) { /* on the way to a name that is there: its ancestor */
            cut = path.marked;
            flags = path.marked_flags;
        } else if (path.last_flags & TRIE_CUT) { /* a DNAME leaves its owner alone */
            cut = last;
            flags = TRIE_CUT;
        }
    } else {
        /* The last leaf shares the most with the name: as far as whole labels go, that is the closest
         * encloser, be it an owner, an empty non-terminal or the apex. */
        unsigned common = last ? name_common_labels(owner_name(last), name) : zone->apex_labels;
        if (hashed && common == name_labels(owner_name(last)))
            common--;
        found->exists = common == name_labels(name);
        found->encloser_labels = common;
        if (path.marked && name_labels(owner_name(path.marked)) <= common) {
            cut = path.marked;
            flags = path.marked_flags;
        } else if (last && path.last_flags && name_labels(owner_name(last)) == common) {
            cut = last;
            flags = path.last_flags;
        }
        if (!cut && !found->exists && zone->wildcards)
            find_wildcard(zone, name, common, found);
    }
    if (cut) {
        found->cut = zone_owner_of(cut);
        found->cut_labels = name_labels(owner_name(cut));
        found->cut_is_dname = !(flags & TRIE_CUT);
    }
}

const struct piece *zone_owner_get(const struct zone_owner *owner, uint16_t type)
{
    return owner_get(owner_of(owner), type);
}

unsigned zone_owner_count(const struct zone_owner *owner)
{
    return owner_of(owner)->count;
}

const struct piece *zone_owner_piece(const struct zone_owner *owner, unsigned i)
{
    return owner_of(owner)->pieces[i];
}

uint8_t zone_owner_origin(const struct zone_owner *owner)
{
    return owner_of(owner)->origin;
}

int zone_miss(const struct zone *zone, const uint8_t *lower_qname, struct zone_computed *out)
{
    out->origin = 0;
    int found = zone->miss ? zone->miss(zone->miss_arg, lower_qname, out) : 0;
    assert(!found || out->len <= sizeof out->data);
    return found;
}
