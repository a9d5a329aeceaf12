/* What was found. */
#pragma once

#include <jansson.h>
#include <stddef.h>

enum level { LEVEL_OK, LEVEL_NOTE, LEVEL_WARN, LEVEL_FAULT };

struct findings {
    const char *check; /* of the findings that are added now */
    json_t *list;
    unsigned count[LEVEL_FAULT + 1];
};

/* why: why it matters, one sentence; remedy: what to do. Both NULL where all is well. */
void finding_add(struct findings *findings, enum level level, const char *why, const char *remedy,
                 const char *what, ...) __attribute__((format(printf, 5, 6)));
