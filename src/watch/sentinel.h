/* What the lists have in common: a body goes to the builder, is compared there with the one before, and main
 * does what the difference asks for. Private to watch/. */
#pragma once

#include "internal.h"
#include "lists.h"

#include "lictor/buf.h"

struct names {
    char **items;
    size_t count, cap;
};
void names_add(struct names *names, const char *name);
void names_free(struct names *names);

struct list_job {
    struct watch *watch;
    enum sentinel which;
    struct buf body;
    bool known_leader;
    /* What the builder found. */
    struct names came, came_as; /* folded and registered names that were not listed before */
    struct names gone;          /* that are not listed any more */
    struct names touched;       /* services to be read */
    struct names nodes;         /* whose checks are to be read */
    bool denied, faulty;
    struct belief_facts facts; /* of the names */
    struct belief_result result;
    struct err err;
};

/* Builder. */
void names_run(struct list_job *job);
void checks_run(struct list_job *job);
/* Main. */
void names_apply(struct list_job *job);
void names_stop(struct watch *watch);
