/* Which addresses an instance or a node has, after its tagged ones. Private to catalog/. */
#pragma once

#include "view.h"

struct tagged {
    struct address first;  /* for everything but the other family's records; an SRV target is this one */
    struct address second; /* of the other family; ADDRESS_NONE: none */
    const char *host;      /* ADDRESS_HOST; borrowed */
    bool other;            /* first is not the registered address */
};

/* text: the registered address; tagged: TaggedAddresses, of a node or a service, or NULL. translate: the
 * `wan` ones count. */
void tagged_choose(const char *text, const json_t *tagged, bool translate, struct tagged *out);
int tagged_port(const json_t *tagged, bool translate, int port);
