/* JSON that others wrote, or that has texts of others. A body of 64 MiB may hold twenty million empty lists,
 * which jansson would make into several gigabytes: what a document will cost is counted before it is read.
 * Any thread. */
#pragma once

#include "lictor/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What one document may take in memory. Consul's own bodies take 6 octets an octet. */
#define JSON_COST_MAX ((size_t)384 * 1024 * 1024)

/* Any JSON value, or NULL with err: "WHAT: not JSON: ..." or what it would cost. */
json_t *json_load_bounded(const char *body, size_t len, const char *what, struct err *err);

/* Calls visit for each element of a list, with never more than one of them in memory; `null` has none.
 * Returns 0, or -1 with err if it is not such a list, or if visit returned -1 (err is visit's then). The
 * elements before a fault have been visited. */
typedef int json_visit(void *arg, size_t number, const json_t *element, struct err *err);
int json_each(const char *body, size_t len, const char *what, json_visit *visit, void *arg, struct err *err);
/* The same for who has seen most of the elements before: known gets each one's octets first, and those that
 * it takes (true) are not read. It must have been visited with these very octets. */
typedef bool json_known(void *arg, const char *text, size_t len);
int json_each_new(const char *body, size_t len, const char *what, json_known *known, json_visit *visit,
                  void *arg, struct err *err);

/* A string value of any octets: what is no UTF-8 in it becomes '?'. NULL: null. A new reference. */
json_t *json_clean(const char *text);

/* About how many octets a document takes once it is read. */
size_t json_cost(const char *body, size_t len);
