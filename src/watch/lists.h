/* The lists that tell where to look: names of services, and checks in one state. Parsed and compared on the
 * builder. Private to watch/. */
#pragma once

#include "lictor/catalog.h"
#include "lictor/err.h"
#include "lictor/strmap.h"

#include <stdbool.h>
#include <stddef.h>

/* ASCII lower case: names of services are the same in any case. Caller frees. */
char *list_fold(const char *text);

/* Body of /v1/catalog/services: folded name -> struct listed. NULL with err. */
struct listed {
    char *name;      /* as registered (the first of those that fold to one) */
    unsigned digest; /* of the tags, whatever their order */
};
struct strmap *services_list_parse(const char *body, size_t len, struct err *err);
void services_list_free(struct strmap *list);

/* Body of /v1/health/state/X or /v1/health/node/N: checks by node, check and service ID. NULL with err.
 * before: the list of the body before this one, or NULL: a check that stands there with the same octets is
 * taken from it, since most of a list is as it was a hundredth of a second ago. */
struct check_list;
struct check_list *checks_list_parse(const struct check_list *before, const char *body, size_t len,
                                     struct err *err);
void checks_list_free(struct check_list *list); /* NULL is allowed */
size_t checks_list_count(const struct check_list *list);
/* All of them, in the order of the body. */
const struct catalog_check *checks_list_all(const struct check_list *list);

typedef void check_visit(void *arg, const struct catalog_check *check);

/* Calls entered for each check that is only in now, or there with a higher ModifyIndex, and left for each
 * that is only in before. before may be NULL (empty). */
void checks_list_diff(const struct check_list *before, const struct check_list *now, check_visit *entered,
                      check_visit *left, void *arg);
/* Calls visit for each check of a service (folded name), or of a node itself. list may be NULL. */
void checks_list_of_service(const struct check_list *list, const char *service, check_visit *visit,
                            void *arg);
void checks_list_of_node(const struct check_list *list, const char *node, check_visit *visit, void *arg);
