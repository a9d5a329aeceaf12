/* `lictor.`: what a person with dig may ask (status, leader, members, health of services, zones), as TXT
 * records of an ordinary zone. Texts are sent from any thread as jobs; rendering is the builder's. */
#pragma once

#include "lictor/buf.h"
#include "lictor/catalog.h"
#include "publisher.h"

struct inspection;

/* Builder thread, or before it has work. */
struct inspection *inspection_new(struct publisher *publisher, const char *node);
void inspection_free(struct inspection *inspection);

/* Sets the TXT records of `name` (relative to `lictor.`, such as "status"): one record a line of text, in
 * that order. Lines above 255 octets become several strings of one record. An empty text removes the name.
 * Builder thread. */
void inspection_put(struct inspection *inspection, const char *name, const char *lines);
/* Publishes what was put since the last time, if anything differs. Builder thread. */
void inspection_publish(struct inspection *inspection);
