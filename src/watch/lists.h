/* The lists that tell where to look: names of services, and checks in one state. Parsed and compared on the
 * builder. Private to watch/. */
#pragma once

#include "lictor/err.h"
#include "lictor/strmap.h"

#include <stdbool.h>
#include <stddef.h>

/* Body of /v1/catalog/services: folded name -> struct listed. NULL with err. */
struct listed {
    char *name;      /* as registered (the first of those that fold to one) */
    unsigned digest; /* of the tags, whatever their order */
};
struct strmap *services_list_parse(const char *body, size_t len, struct err *err);
void services_list_free(struct strmap *list);

/* Body of /v1/health/state/X: node, check and service ID -> the folded service or, for a node-level check,
 * the node. NULL with err. */
struct flagged {
    char *name;
    bool is_node;
};
struct strmap *checks_list_parse(const char *body, size_t len, struct err *err);
void checks_list_free(struct strmap *list);

/* Calls visit for each entry that is in one list only: what entered or left the state. Either may be NULL
 * (empty). */
void checks_list_diff(const struct strmap *before, const struct strmap *now,
                      void (*visit)(void *arg, const struct flagged *entry), void *arg);
