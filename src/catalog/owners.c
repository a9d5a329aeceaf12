/* The names of a service's sets: which there are, what stands at each, and whose a contested one is. */
#include "names.h"
#include "service.h"

#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* Two labels that both begin with an underscore: always service x with tag y, as in Consul, and never a tag
 * `_x` of a service `_y` (or a service `_x._y`). */
static bool is_rfc2782(const uint8_t *name, const uint8_t *parent)
{
    const uint8_t *second = name + 1 + name[0];
    return name[0] > 0 && name[1] == '_' && second[0] > 0 && second[1] == '_' &&
           name_len(second) == 1 + (size_t)second[0] + name_len(parent);
}

/* `_NAME._TAG` before parent. `_tcp` means no tag at all, even where a tag `tcp` exists; `_udp` is a tag like
 * any other. */
static void add_rfc2782(const uint8_t *parent, const char *service, const char *tag, enum owner_kind kind,
                        struct owner owners[OWNERS_MAX], size_t *count)
{
    uint8_t protocol[NAME_MAX_WIRE];
    if (tag && strcmp(tag, "tcp") == 0)
        return;
    if (name_under_label("_", tag ? tag : "tcp", true, parent, protocol) > 0 &&
        name_under_label("_", service, true, protocol, owners[*count].name) > 0)
        owners[(*count)++].kind = kind;
}

size_t owners_of(const struct service *service, const struct answer_set *set, size_t zone,
                 struct owner owners[OWNERS_MAX])
{
    const struct place *place = &service->datacenter->places[zone];
    size_t count = 0;
    for (unsigned form = 0; form < place->forms; form++) {
        const uint8_t *parent = place->service[form];
        uint8_t name[NAME_MAX_WIRE], *plain = owners[count].name;
        if (!(set->forms & 1u << form) || name_under(service->name, true, parent, name) < 0)
            continue;
        int len = set->tag ? name_under(set->tag, true, name, plain)
                           : (int)name_len(memcpy(plain, name, name_len(name)));
        if (len > 0 && !is_rfc2782(plain, parent))
            owners[count++].kind = OWNER_PLAIN;
        add_rfc2782(parent, service->name, set->tag, OWNER_RFC2782, owners, &count);
        /* The same without `service`: below what follows that label. */
        add_rfc2782(parent + 1 + parent[0], service->name, set->tag, OWNER_SHORT, owners, &count);
    }
    return count;
}

/* Beside a CNAME nothing may stand (RFC 1034 section 3.6.2): at plain names the rest gives way, at those of
 * RFC 2782, which are asked for SRV, the CNAME does. Consul answers the short form for SRV only. */
struct piece *piece_at(const struct answer_set *set, size_t slot, enum owner_kind kind)
{
    if (!set || (kind == OWNER_PLAIN && set->shadowed))
        return NULL;
    bool alias = kind == OWNER_PLAIN && set->slots[SLOT_CNAME].piece;
    if ((slot == SLOT_CNAME) != alias)
        return NULL;
    if (kind == OWNER_SHORT && slot != SLOT_TXT && slot < SLOT_SRV)
        return NULL;
    return set->slots[slot].piece;
}

/* --- services with dots in their names ----------------------------------------------------------- */

bool is_shadowed(const struct catalog *catalog, const struct service *service, const char *tag)
{
    if (!tag || !catalog->dotted)
        return false;
    /* Of `x.a.b`: service x.a.b without a tag, then a.b with tag x; b with tag x.a is the one that asks. */
    char *joined = xasprintf("%s.%s", tag, service->name);
    size_t own = strlen(tag) + 1;
    bool found = false;
    for (size_t at = 0; at < own && !found; at += strcspn(joined + at, ".") + 1) {
        const struct service *longer = strmap_gets(service->datacenter->services, joined + at);
        if (!longer)
            continue;
        if (at > 0)
            joined[at - 1] = '\0';
        found = answer_sets_have(longer, at > 0 ? joined : NULL);
        if (at > 0)
            joined[at - 1] = '.';
    }
    free(joined);
    return found;
}

void each_shadowed(struct catalog *catalog, const struct service *service,
                   void (*visit)(struct catalog *catalog, struct service *shorter))
{
    for (const char *dot = strchr(service->name, '.'); dot; dot = strchr(dot + 1, '.')) {
        struct service *shorter = strmap_gets(service->datacenter->services, dot + 1);
        if (shorter)
            visit(catalog, shorter);
    }
}
