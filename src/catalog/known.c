/* Where only services are in the view that were asked for (`watch = "asked"`), this is what is known of the
 * others: their names. So a name that is no service's does not exist at once, whatever is asked, and a name
 * that is one's is asked for (ask.h). Hashes only: 100,000 names take 4 MB, and a wrong guess costs one
 * question.
 *
 * The builder makes tables and publishes them; workers look names up, and note that somebody did. */
#include "service.h"

#include "base/siphash.h"
#include "lictor/ask.h"
#include "lictor/rcu.h"
#include "lictor/rng.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* So many labels before `.service` are tried as the name of a service with dots. */
#define LABELS_MAX 8

#define NAME_WATCHED 1 /* in the view, so that what the zone does not have does not exist */
#define NAME_ASKED \
    2 /* in vain, since the last look: its instances are out of the answers, or a tag is not there */

struct known_name {
    uint64_t hash; /* 0: free */
    _Atomic uint8_t flags;
};

struct known_names {
    uint64_t key[2];
    uint32_t mask;
    struct known_name slots[]; /* open addressing, at most half full */
};

static uint64_t hash_of(const uint64_t key[2], const char *name, size_t len)
{
    uint64_t hash = siphash(name, len, key);
    return hash ? hash : 1;
}

static struct known_name *find(struct known_names *names, const char *name, size_t len)
{
    uint64_t hash = hash_of(names->key, name, len);
    for (uint32_t at = (uint32_t)hash & names->mask; names->slots[at].hash; at = (at + 1) & names->mask)
        if (names->slots[at].hash == hash)
            return &names->slots[at];
    return NULL;
}

static struct known_names *current(const struct known *known)
{
    return atomic_load_explicit(&known->names, memory_order_acquire);
}

/* --- builder ------------------------------------------------------------------------------------- */

static void add(struct known_names *names, const char *name, uint8_t flags)
{
    uint64_t hash = hash_of(names->key, name, strlen(name));
    uint32_t at = (uint32_t)hash & names->mask;
    while (names->slots[at].hash && names->slots[at].hash != hash)
        at = (at + 1) & names->mask;
    names->slots[at].hash = hash;
    atomic_store_explicit(&names->slots[at].flags, flags, memory_order_relaxed);
}

void catalog_put_names(struct catalog *catalog, const struct strmap *names)
{
    struct known *known = &catalog->known;
    struct known_names *old = current(known), *next;
    const void *name;
    size_t len;
    void *value;
    uint32_t size = 16;
    while (size < 2 * strmap_count(names))
        size *= 2;
    next = xcalloc(1, sizeof(*next) + size * sizeof(next->slots[0]));
    next->mask = size - 1;
    if (old) {
        memcpy(next->key, old->key, sizeof(next->key));
    } else {
        struct rng rng;
        rng_seed(&rng);
        memcpy(next->key, rng.s, sizeof(next->key));
    }
    for (size_t i = 0; strmap_next(names, &i, &name, &len, &value);) {
        const struct known_name *before = old ? find(old, name, len) : NULL;
        uint8_t flags = before ? atomic_load_explicit(&before->flags, memory_order_relaxed) : 0;
        add(next, name, flags);
    }
    atomic_store_explicit(&known->names, next, memory_order_release);
    if (old)
        rcu_defer(free, old);
}

void catalog_set_watched(struct catalog *catalog, const char *service, bool watched)
{
    struct known_names *names = current(&catalog->known);
    struct known_name *name = names ? find(names, service, strlen(service)) : NULL;
    if (name)
        atomic_store_explicit(&name->flags, watched ? NAME_WATCHED : 0, memory_order_release);
}

static bool take_used(const struct service *service)
{
    bool used = false;
    for (size_t i = 0; i < service->set_count; i++)
        for (size_t slot = 0; slot < SLOTS; slot++)
            if (service->sets[i].slots[slot].piece)
                used |= piece_take_used(service->sets[i].slots[slot].piece);
    return used;
}

void catalog_take_used(struct catalog *catalog, void (*visit)(void *arg, const char *service), void *arg)
{
    struct known_names *names = current(&catalog->known);
    const void *key;
    size_t len;
    void *value;
    for (size_t i = 0; strmap_next(local_datacenter(catalog)->services, &i, &key, &len, &value);) {
        struct known_name *name = names ? find(names, key, len) : NULL;
        bool asked = name && atomic_fetch_and(&name->flags, (uint8_t)~NAME_ASKED) & NAME_ASKED;
        if (take_used(value) || asked)
            visit(arg, key);
    }
}

void known_free(struct known *known)
{
    free(current(known));
}

/* --- workers ------------------------------------------------------------------------------------- */

/* Before `.service`: labels from the leftmost on, as one text. Returns how many; 0: too long to be ours. */
static size_t spell(const uint8_t *name, const uint8_t *end, char text[NAME_MAX_WIRE],
                    size_t starts[LABELS_MAX])
{
    size_t count = 0, len = 0;
    for (const uint8_t *at = name; at < end; at += 1 + *at)
        count++;
    for (size_t skip = count > LABELS_MAX ? count - LABELS_MAX : 0; skip > 0; skip--, count--)
        name += 1 + *name;
    for (size_t i = 0; i < count; i++, name += 1 + *name) {
        if (memchr(name + 1, '.', *name))
            return 0; /* no name of Consul's: its dots are between labels */
        if (i > 0)
            text[len++] = '.';
        starts[i] = len;
        memcpy(text + len, name + 1, *name);
        len += *name;
    }
    text[len] = '\0';
    return count;
}

/* What to ask for: the name as labels, so that it is a name. */
static int ask_for(const char *service, struct zone_computed *out)
{
    size_t len = 0;
    for (const char *label = service;; label++) {
        size_t part = strcspn(label, ".");
        if (part == 0 || part > 63 || len + part + 2 > sizeof(out->data))
            return 0;
        out->data[len++] = (uint8_t)part;
        memcpy(out->data + len, label, part);
        len += part;
        label += part;
        if (!*label)
            break;
    }
    out->data[len++] = 0;
    out->len = (uint16_t)len;
    out->ask = ASK_SERVICE;
    return ZONE_ASK;
}

/* 1: it is watched; ZONE_ASK; 0: no such service. */
static int judge(struct known_names *names, const char *service, struct zone_computed *out)
{
    if (!names) /* the list has not come in yet */
        return ask_for(service, out);
    struct known_name *name = find(names, service, strlen(service));
    if (!name)
        return 0;
    uint8_t flags = atomic_load_explicit(&name->flags, memory_order_acquire);
    if (!(flags & NAME_WATCHED))
        return ask_for(service, out);
    if (!(flags & NAME_ASKED)) /* read first: the line stays shared */
        atomic_fetch_or_explicit(&name->flags, NAME_ASKED, memory_order_relaxed);
    return 1;
}

int known_miss(const struct known *known, const uint8_t *name, const uint8_t *end, bool service_label,
               struct zone_computed *out)
{
    char text[NAME_MAX_WIRE];
    size_t starts[LABELS_MAX];
    size_t count = known->only_asked ? spell(name, end, text, starts) : 0;
    struct known_names *names = current(known);
    /* `_NAME._TAG`, the only form that may stand without `service` too. */
    if (count == 2 && text[0] == '_' && text[starts[1]] == '_') {
        text[starts[1] - 1] = '\0';
        return judge(names, text + 1, out) == ZONE_ASK ? ZONE_ASK : 0;
    }
    /* The longest registered name; without a list the label before `.service`. */
    for (size_t i = names || count == 0 ? 0 : count - 1; service_label && i < count; i++) {
        int verdict = judge(names, text + starts[i], out);
        if (verdict)
            return verdict == ZONE_ASK ? ZONE_ASK : 0;
    }
    return 0;
}
